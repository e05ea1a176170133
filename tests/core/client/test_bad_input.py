"""Bad input: each is refused with its own words, and leaves the collection as it was."""

import enum
import math
import re

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from elanus import (
    AnnSearchRequest,
    AsyncMilvusClient,
    CollectionSchema,
    DataType,
    ElanusError,
    FieldSchema,
    Function,
    FunctionType,
    MilvusClient,
    RRFRanker,
    WeightedRanker,
)
from elanus.errors import (
    ClosedError,
    CollectionExistsError,
    CollectionNotFoundError,
    DatabaseNotFoundError,
    DataNotMatchException,
    DataTypeNotSupportException,
    FilterError,
    ParamError,
    PrimaryKeyException,
    SchemaError,
    StorageError,
    UnsupportedError,
)

GOOD = {
    "id": 1,
    "dense": [1.0, 2.0],
    "weights": {1: 1.0},
    "text": "good words",
    "small": 5,
    "flag": True,
    "single": 0.5,
    "real": 0.5,
    "short": "ab",
    "doc": {"a": 1},
    "numbers": [1, 2],
    "words": ["a"],
}


@pytest.fixture
def table():
    """A client with the collection "c" of three rows, one field of each kind.

    In memory: input is refused before it reaches the storage, and a file costs a sync a case.
    """
    with MilvusClient(":memory:") as client:
        fill(client)
        yield client
        assert client.verify() == []


def fill(client):
    schema = CollectionSchema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("dense", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("weights", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("text", DataType.VARCHAR, enable_analyzer=True, enable_match=True)
    schema.add_field("terms", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(Function("bm25", FunctionType.BM25, "text", "terms"))
    schema.add_field("small", DataType.INT8)
    schema.add_field("flag", DataType.BOOL)
    schema.add_field("single", DataType.FLOAT)
    schema.add_field("real", DataType.DOUBLE)
    schema.add_field("short", DataType.VARCHAR, max_length=4)
    schema.add_field("doc", DataType.JSON)
    schema.add_field("numbers", DataType.ARRAY, element_type=DataType.INT16, max_capacity=3)
    schema.add_field(
        "words", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=3, max_length=3
    )
    params = client.prepare_index_params("dense", metric_type="COSINE", index_type="HNSW")
    params.add_index("terms", metric_type="BM25")
    client.create_collection("c", schema=schema, index_params=params)
    client.create_collection("free", dimension=2)
    client.insert("c", [{**GOOD, "id": i} for i in range(3)])
    client.insert("free", {"id": 1, "vector": [1, 2]})


def test_input_refused_on_a_file_leaves_the_file_as_it_was(client):
    fill(client)
    for call, error, message in (
        (lambda c: c.insert("c", {**GOOD, "small": 128}), DataNotMatchException, "INT8"),
        (lambda c: c.create_collection("a b", dimension=2), ParamError, "'a b'"),
        (lambda c: c.delete("c", filter="id >"), FilterError, "position 4"),
        (lambda c: c.delete("c", ids=[0, "x"]), DataNotMatchException, "got 'x'"),
    ):
        check_refused(client, error, message, call)


def check_refused(client, error, message, call):
    """The call raises; nothing has changed; the collections go on working."""
    before = {name: client.query(name) for name in ("c", "free")}
    with pytest.raises(error, match=message) as caught:
        call(client)
    assert isinstance(caught.value, ElanusError)
    assert type(caught.value) is error
    assert client.list_collections() == ["c", "free"]
    assert {name: client.query(name) for name in before} == before
    assert client.verify() == []
    client.upsert("c", {**GOOD, "id": 77})
    client.upsert("free", {"id": 77, "vector": [0, 1], "any": 1})
    assert client.search("c", ["words"], anns_field="terms", filter="id == 77")[0][0].id == 77


class Colour(str, enum.Enum):
    RED = "red"


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


def endless():
    value = []
    value.append(value)
    return value


# Field, value, what the message says of the rule.
BAD_VALUES = [
    ("id", None, "not nullable"),
    ("id", "1", "INT64 must be an integer"),
    ("id", 1.0, "INT64 must be an integer"),
    ("id", True, "INT64 must be an integer"),
    ("id", 2**63, "out of range for INT64"),
    ("id", np.uint64(2**63), "out of range for INT64"),
    ("id", 10**5000, "out of range for INT64.*too large to show"),
    ("dense", [1.0, 2.0, 3.0], "dimension 3, the field has dim=2"),
    ("dense", [], "flat list of numbers|dimension 0"),
    ("dense", np.ones(3), "dimension 3"),
    ("dense", np.ones((1, 2)), "flat list"),
    ("dense", [[1.0], [2.0]], "flat list"),
    ("dense", [1.0, [2.0]], "flat list"),
    ("dense", "ab", "list or numpy array"),
    ("dense", {0: 1.0, 1: 2.0}, "list or numpy array"),
    ("dense", 5, "list or numpy array"),
    ("dense", [True, False], "flat list of numbers"),
    ("dense", ["1", "2"], "flat list of numbers"),
    ("dense", [1.0, None], "flat list of numbers"),
    ("dense", [1j, 2], "flat list of numbers"),
    ("dense", [1.0, math.nan], "finite"),
    ("dense", [math.inf, 1.0], "finite"),
    ("dense", [1e39, 1.0], "finite in single precision"),
    ("dense", None, "not nullable"),
    ("weights", None, "not nullable"),
    ("weights", {-1: 1.0}, "index must be from 0"),
    ("weights", {2**32 - 1: 1.0}, "index must be from 0 to 4294967294"),
    ("weights", {2**70: 1.0}, "integer indices"),
    ("weights", {"1": 1.0}, "integer indices"),
    ("weights", {1.5: 1.0}, "integer indices"),
    ("weights", {(1, 2): 0.5}, "integer indices"),
    ("weights", {1: math.nan}, "finite"),
    ("weights", {1: 1e39}, "finite"),
    ("weights", {1: "x"}, "numbers"),
    ("weights", {1: None}, "numbers"),
    ("weights", [(1, 0.5), (1, 0.5)], "occurs twice"),
    ("weights", [1.0, 2.0], "list of pairs"),
    ("weights", [([1, 2], 0.5)], "integer indices"),
    ("weights", "text", "list of pairs"),
    ("weights", 3, "list of pairs"),
    ("weights", csr_matrix(np.ones((2, 3))), "one row"),
    ("weights", csr_matrix(np.array([[math.nan, 1.0]])), "finite"),
    ("text", 5, "VARCHAR must be a string"),
    ("text", b"bytes", "VARCHAR must be a string"),
    ("text", None, "not nullable"),
    ("text", "a\ud800b", "lone surrogates"),
    ("text", "x" * 65_536, "65536 bytes, more than max_length=65535"),
    ("small", 128, "out of range for INT8"),
    ("small", -129, "out of range for INT8"),
    ("small", np.int64(200), "out of range for INT8"),
    ("small", True, "INT8 must be an integer"),
    ("small", np.True_, "INT8 must be an integer"),
    ("small", 5.0, "INT8 must be an integer"),
    ("small", "5", "INT8 must be an integer"),
    ("small", None, "not nullable"),
    ("flag", 1, "BOOL must be True or False"),
    ("flag", "true", "BOOL must be True or False"),
    ("single", 3.5e38, "out of range for FLOAT"),
    ("single", math.nan, "finite"),
    ("single", "1.0", "must be a number"),
    ("single", True, "must be a number"),
    ("real", math.inf, "finite"),
    ("real", -math.inf, "finite"),
    ("real", 10**400, "finite"),
    ("real", 1j, "must be a number"),
    ("short", "abcde", "5 bytes, more than max_length=4"),
    ("short", "日本", "6 bytes, more than max_length=4"),
    ("short", ["a"], "VARCHAR must be a string"),
    ("doc", math.nan, "finite"),
    ("doc", {"a": {"b": math.inf}}, "'a'.*'b'.*finite"),
    ("doc", {1: 2}, "JSON key must be a string, not 1"),
    ("doc", {"a": 2**63}, "out of range for INT64"),
    ("doc", {"a": {1, 2}}, "set is no JSON value"),
    ("doc", {"a": object()}, "object is no JSON value"),
    ("doc", {"a": b"x"}, "bytes is no JSON value"),
    ("doc", {"a": Colour.RED}, "Colour is no plain JSON value"),
    ("doc", {"a\ud800": 1}, "lone surrogates"),
    ("doc", ["\udfff"], "lone surrogates"),
    ("doc", nested(150), "nested more than 100 deep"),
    ("doc", nested(10_000), "nested more than 100 deep"),
    ("doc", endless(), "nested more than 100 deep"),
    ("numbers", [1, 2, 3, 4], "4 elements, more than max_capacity=3"),
    ("numbers", [1, 2**15], "out of range for INT16"),
    ("numbers", [1, None], "INT16 must be an integer"),
    ("numbers", [1, "2"], "INT16 must be an integer"),
    ("numbers", [[1]], "INT16 must be an integer"),
    ("numbers", "12", "ARRAY must be a list"),
    ("numbers", 5, "ARRAY must be a list"),
    ("numbers", None, "not nullable"),
    ("words", ["abcd"], "4 bytes, more than max_length=3"),
    ("words", [1], "VARCHAR must be a string"),
    ("terms", {1: 1.0}, "filled by a function; leave it out"),
]


def value_id(case):
    field, value, _ = case
    return f"{field}={type(value).__name__}"


@pytest.mark.parametrize("case", BAD_VALUES, ids=value_id)
def test_a_bad_value_names_row_field_value_and_rule(table, case):
    field, value, rule = case
    rows = [{**GOOD, "id": 500}, {**GOOD, "id": 501}, {**GOOD, "id": 502, field: value}]
    check_refused(
        table,
        DataNotMatchException,
        rf"(?s)row 2.*'{field}'.*({rule})",
        lambda client: client.insert("c", rows),
    )


@pytest.mark.parametrize("case", BAD_VALUES[:3] + BAD_VALUES[5:9], ids=value_id)
def test_upsert_refuses_what_insert_refuses(table, case):
    field, value, rule = case
    check_refused(
        table, DataNotMatchException, rule, lambda c: c.upsert("c", {**GOOD, field: value})
    )


def test_a_long_value_is_shortened_in_the_message(table):
    with pytest.raises(DataNotMatchException) as caught:
        table.insert("c", {**GOOD, "short": "x" * 1_000_000})
    assert len(str(caught.value)) < 300


def dynamic(**values):
    return {"id": 5, "vector": [1, 2], **values}


BAD_ROWS = {
    "missing field": (
        "c",
        {k: v for k, v in GOOD.items() if k != "small"},
        "row 0.*'small' is mis",
    ),
    "missing vector": (
        "c",
        {k: v for k, v in GOOD.items() if k != "dense"},
        "row 0.*'dense' is mis",
    ),
    "missing key": ("free", {"vector": [1, 2]}, "row 0.*'id' is missing"),
    "unknown field": ("c", {**GOOD, "other": 1}, "row 0.*unknown field 'other'.*no dynamic"),
    "key that is no string": ("free", {**dynamic(), 5: 1}, "row 0.*key must be a string, not 5"),
    "row is a list": ("c", [[1, 2]], "row 0: a row must be a dict.*list"),
    "row is None": ("c", [GOOD, None], "row 1: a row must be a dict.*NoneType"),
    "dynamic NaN": ("free", dynamic(x=math.nan), "row 0, dynamic field.*'x'.*finite"),
    "dynamic int over 64 bits": ("free", dynamic(x=2**64), "'x'.*out of range for INT64"),
    "dynamic date": ("free", dynamic(x=np.datetime64("2020-01-01")), "'x'.*no JSON value"),
    "dynamic bytes": ("free", dynamic(x=b"a"), "'x'.*bytes is no JSON value"),
    "dynamic deep JSON": ("free", dynamic(x=nested(5000)), "nested more than 100 deep"),
    "dynamic surrogate": ("free", dynamic(x="\ud83d"), "'x'.*lone surrogates"),
    "dynamic key surrogate": ("free", dynamic(**{"\ud83d": 1}), "lone surrogates"),
    "$meta is no dict": ("free", dynamic(**{"$meta": 5}), r"'\$meta'.*dict"),
}


@pytest.mark.parametrize("case", BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_refused(table, case):
    name, row, message = case
    check_refused(
        table, DataNotMatchException, f"(?s){message}", lambda client: client.insert(name, row)
    )


@pytest.mark.parametrize("data", [None, 5, "rows", b"rows", iter([GOOD]), {1, 2}], ids=repr)
def test_data_must_be_a_dict_or_a_list(table, data):
    check_refused(
        table, ParamError, "data must be a dict or a list of dicts", lambda c: c.insert("c", data)
    )


def test_an_explicit_key_is_refused_where_the_collection_makes_keys(client):
    client.create_collection("auto", dimension=2, auto_id=True)
    with pytest.raises(DataNotMatchException, match=r"row 0.*'id'.*auto_id=True.*got 5"):
        client.insert("auto", {"id": 5, "vector": [1, 2]})
    assert client.query("auto") == []


@pytest.mark.parametrize("place", [0, 5_000, 10_000])
@pytest.mark.parametrize("call", ["insert", "upsert"])
def test_one_bad_row_among_ten_thousand_writes_nothing(client, call, place):
    client.create_collection("c", dimension=2)
    client.insert("c", {"id": 3, "vector": [1, 1], "old": True})
    rows = [{"id": i, "vector": [1.0, float(i)]} for i in range(10_000)]
    rows.insert(place, {"id": 99_999, "vector": [1.0, math.nan]})
    with pytest.raises(DataNotMatchException, match=f"row {place}, field 'vector'"):
        getattr(client, call)("c", rows)
    assert client.query("c") == [{"id": 3, "vector": [1.0, 1.0], "old": True}]
    assert client.search("c", [[1, 1]], limit=20_000)[0][0].id == 3
    del rows[place]
    assert getattr(client, call)("c", rows)[f"{call}_count"] == 10_000
    assert client.get_collection_stats("c") == {"row_count": 10_000}


# --- schemas ---------------------------------------------------------------------------------


def schema_of(*fields, functions=(), **options):
    return CollectionSchema(
        [FieldSchema(**f) if isinstance(f, dict) else f for f in fields], functions=functions,
        **options,
    )  # fmt: skip


KEY = {"name": "id", "dtype": DataType.INT64, "is_primary": True}


def text_field(**options):
    return CollectionSchema().add_field("t", DataType.VARCHAR, **options).fields[0]


def add(*args, **options):
    return lambda _: CollectionSchema().add_field(*args, **options)


def create(*fields, **options):
    return lambda client: client.create_collection("new", schema=schema_of(*fields, **options))


def quick(name="new", **options):
    return lambda client: client.create_collection(name, **{"dimension": 2, **options})


SPARSE = FieldSchema("s", DataType.SPARSE_FLOAT_VECTOR)
ANALYSED = text_field(enable_analyzer=True)
BM25 = Function("f", FunctionType.BM25, "t", "s")

BAD_SCHEMAS = {
    "field twice": (create(KEY, SPARSE, SPARSE), SchemaError, "'s'.* is defined twice"),
    "two keys": (
        create(KEY, FieldSchema("k", DataType.INT64, is_primary=True)),
        PrimaryKeyException,
        r"exactly one field.*\['id', 'k'\]",
    ),
    "no key": (create(SPARSE), PrimaryKeyException, "exactly one field.*none"),
    "key of FLOAT": (
        add("k", DataType.FLOAT, is_primary=True),
        PrimaryKeyException,
        "'k'.*INT64 or VARCHAR.*FLOAT",
    ),
    "key of INT32": (
        add("k", DataType.INT32, is_primary=True),
        PrimaryKeyException,
        "INT64 or VARCHAR.*INT32",
    ),
    "nullable key": (
        add("k", DataType.INT64, is_primary=True, nullable=True),
        PrimaryKeyException,
        "no null",
    ),
    "auto_id elsewhere": (
        add("k", DataType.INT64, auto_id=True),
        PrimaryKeyException,
        "primary key only",
    ),
    "no dim": (add("v", DataType.FLOAT_VECTOR), ParamError, "'v': dim must be between 1 and 32768"),
    "dim 0": (add("v", DataType.FLOAT_VECTOR, dim=0), ParamError, "dim must be.*got 0"),
    "dim -1": (add("v", DataType.FLOAT_VECTOR, dim=-1), ParamError, "dim must be.*got -1"),
    "dim 4.5": (add("v", DataType.FLOAT_VECTOR, dim=4.5), ParamError, "integer, got 4.5"),
    "dim True": (add("v", DataType.FLOAT_VECTOR, dim=True), ParamError, "integer, got True"),
    "dim huge": (add("v", DataType.FLOAT_VECTOR, dim=32_769), ParamError, "got 32769"),
    "dim text": (add("v", DataType.FLOAT_VECTOR, dim="x"), ParamError, "integer, got 'x'"),
    "max_length 0": (add("t", DataType.VARCHAR, max_length=0), ParamError, "max_length.*got 0"),
    "array without element": (
        add("a", DataType.ARRAY),
        DataTypeNotSupportException,
        "'a'.*needs element_type",
    ),
    "array of JSON": (
        add("a", DataType.ARRAY, element_type=DataType.JSON),
        DataTypeNotSupportException,
        "element",
    ),
    "capacity 0": (
        add("a", DataType.ARRAY, element_type=DataType.BOOL, max_capacity=0),
        ParamError,
        "max_capac",
    ),
    "binary vector": (
        add("b", DataType.BINARY_VECTOR, dim=8),
        DataTypeNotSupportException,
        "BINARY_VECTOR cannot",
    ),
    "no type": (add("b", "INT64"), DataTypeNotSupportException, "'INT64' is no data type"),
    "type 4711": (add("b", 4711), DataTypeNotSupportException, "4711 is no data type"),
    "unknown option": (
        add("b", DataType.BOOL, nulable=True),
        ParamError,
        "unknown.*nulable.*known",
    ),
    "partition key": (
        add("b", DataType.INT64, is_partition_key=True),
        UnsupportedError,
        "is_partition_key",
    ),
    "field name": (add("a-b", DataType.BOOL), ParamError, "field name 'a-b' is invalid"),
    "field name of no text": (add(5, DataType.BOOL), ParamError, "field name 5 is invalid"),
    "default of wrong type": (
        create(KEY, SPARSE, FieldSchema("i", DataType.INT8, default_value=200)),
        SchemaError,
        "'i': default_value: out of range for INT8",
    ),
    "match without analyzer": (
        add("t", DataType.VARCHAR, enable_match=True),
        ParamError,
        "needs enable_analyzer",
    ),
    "analyzer on a number": (
        add("t", DataType.INT64, enable_analyzer=True),
        ParamError,
        "only VARCHAR text",
    ),
    "unknown analyzer": (
        create(KEY, text_field(enable_analyzer=True, analyzer_params={"type": "klingon"})),
        ParamError,
        "klingon.*known.*english",
    ),
    "broken analyzer JSON": (
        create(KEY, text_field(enable_analyzer=True, analyzer_params='{"type": ')),
        ParamError,
        "not valid JSON",
    ),
    "function of no field": (
        create(KEY, SPARSE, functions=[BM25]),
        SchemaError,
        "'f': no field 't'",
    ),
    "function on plain text": (
        create(KEY, SPARSE, text_field(), functions=[BM25]),
        SchemaError,
        "enable_analyzer=True",
    ),
    "function into text": (
        create(KEY, ANALYSED, functions=[Function("f", FunctionType.BM25, "t", "t")]),
        SchemaError,
        "must be SPARSE_FLOAT_VECTOR",
    ),
    "two functions for a field": (
        create(KEY, SPARSE, ANALYSED, functions=[BM25, BM25]),
        SchemaError,
        "two functions",
    ),
    "function of another type": (
        create(
            KEY, SPARSE, ANALYSED, functions=[Function("e", FunctionType.TEXTEMBEDDING, "t", "s")]
        ),
        UnsupportedError,
        "TEXTEMBEDDING",
    ),
    "neither schema nor dimension": (quick(dimension=None), ParamError, "a schema or a dimension"),
    "no schema": (
        lambda c: c.create_collection("new", schema=5),
        ParamError,
        "5 is no CollectionSc",
    ),
    "quick dimension 0": (quick(dimension=0), ParamError, "dimension.*got 0"),
    "quick dimension text": (quick(dimension="4"), ParamError, "dimension.*got '4'"),
    "quick id type": (quick(id_type="uuid"), ParamError, "id_type.*'uuid'"),
    "quick id type list": (quick(id_type=[]), ParamError, "id_type"),
    "quick metric": (
        quick(metric_type="HAMMING"),
        ParamError,
        "unknown metric_type 'HAMMING'.*COS",
    ),
    "quick BM25": (quick(metric_type="BM25"), ParamError, "'vector': metric_type 'BM25'; allowed"),
    "name with blank": (quick("a b"), ParamError, "collection name 'a b' is invalid"),
    "empty name": (quick(""), ParamError, "collection name '' is invalid"),
    "name with digit first": (quick("1a"), ParamError, "not starting with a digit"),
    "name of no text": (quick(None), ParamError, "collection name None is invalid"),
    "long name": (quick("a" * 256), ParamError, "at most 255"),
    "unknown keyword": (quick(shards=3), UnsupportedError, "create_collection.*shards=3"),
    "properties": (quick(properties=5), ParamError, "properties must be a dict, got 5"),
    "property value": (quick(properties={"a": object()}), ParamError, "properties.*'a'.*object"),
    "taken name": (quick("free", dimension=9), CollectionExistsError, "'free' exists with another"),
}


@pytest.mark.parametrize("case", BAD_SCHEMAS.values(), ids=BAD_SCHEMAS)
def test_a_bad_schema_is_refused(table, case):
    call, error, message = case
    check_refused(table, error, f"(?s){message}", call)


# --- indexes ---------------------------------------------------------------------------------


def index(field="dense", **options):
    return lambda client: client.create_index("c", client.prepare_index_params(field, **options))


BAD_INDEXES = {
    "IVF_FLAT": (
        index(index_type="IVF_FLAT"),
        UnsupportedError,
        "'IVF_FLAT'.*supported: FLAT, HNSW",
    ),
    "DISKANN": (index(index_type="DISKANN"), UnsupportedError, "'DISKANN' is not supported"),
    "type is a number": (index(index_type=5), UnsupportedError, "'5' is not supported"),
    "dense type on sparse": (
        index("weights", index_type="HNSW"),
        UnsupportedError,
        "'HNSW'.*SPARSE",
    ),
    "HAMMING": (index(metric_type="HAMMING"), ParamError, "unknown metric_type 'HAMMING'; known"),
    "BM25 on dense": (
        index(metric_type="BM25"),
        ParamError,
        "'dense': metric_type 'BM25'; allowed",
    ),
    "L2 on sparse": (
        index("weights", metric_type="L2"),
        ParamError,
        "'weights'.*'L2'; allowed: IP",
    ),
    "IP on a text field": (index("terms", metric_type="IP"), ParamError, "'IP'; allowed: BM25"),
    "unknown field": (index("none"), ParamError, "no field 'none'; fields: id, dense"),
    "field is a list": (
        lambda c: c.create_index("c", [{"field_name": []}]),
        ParamError,
        "no field",
    ),
    "unknown parameter": (
        index(index_type="HNSW", params={"m": 5}),
        ParamError,
        "no parameter 'm'; known: M",
    ),
    "M of 1": (
        index(index_type="HNSW", params={"M": 1}),
        ParamError,
        "M=1 must be an integer from 2",
    ),
    "M of text": (index(index_type="HNSW", params={"M": "x"}), ParamError, "M='x' must be"),
    "b of 2": (index("terms", params={"bm25_b": 2}), ParamError, "bm25_b=2 must be a number from"),
    "params no dict": (index(params=5), ParamError, "params must be a dict, got 5"),
    "index name": (index(index_name="a b"), ParamError, "index name 'a b' is invalid"),
    "another index": (index(metric_type="IP"), ParamError, "'dense'.*already, with other"),
    "no params": (lambda c: c.create_index("c", None), ParamError, "index_params is needed"),
    "params of no kind": (lambda c: c.create_index("c", 5), ParamError, "prepare_index_params"),
    "describe": (lambda c: c.describe_index("c", []), ParamError, "index_name must be a string"),
    "drop": (lambda c: c.drop_index("c", 5), ParamError, "index_name must be a string"),
}


@pytest.mark.parametrize("case", BAD_INDEXES.values(), ids=BAD_INDEXES)
def test_a_bad_index_is_refused(table, case):
    call, error, message = case
    check_refused(table, error, f"(?s){message}", call)
    assert table.list_indexes("c") == ["dense", "terms"]


# --- reads and deletes -----------------------------------------------------------------------


def search(data=None, **options):
    options = {"anns_field": "dense", **options}
    return lambda client: client.search("c", [[1, 2]] if data is None else data, **options)


def query(*args, **options):
    return lambda client: client.query("c", *args, **options)


def fuse(*requests, ranker=None, **options):
    return lambda client: client.hybrid_search("c", list(requests), ranker, **options)


def leg(data=None, field="dense", param=None, limit=3, **options):
    return AnnSearchRequest(
        [[1, 2]] if data is None else data, field, param or {}, limit, **options
    )


WHOLE = "limit must be an integer of at least 1"
BAD_READS = {
    "limit 0": (search(limit=0), ParamError, f"{WHOLE}, got 0"),
    "limit -1": (search(limit=-1), ParamError, f"{WHOLE}, got -1"),
    "limit True": (search(limit=True), ParamError, f"{WHOLE}, got True"),
    "limit text": (search(limit="5"), ParamError, f"{WHOLE}, got '5'"),
    "limit float": (search(limit=5.0), ParamError, f"{WHOLE}, got 5.0"),
    "limit None": (search(limit=None), ParamError, f"{WHOLE}, got None"),
    "query limit 0": (query(limit=0), ParamError, f"{WHOLE}, got 0"),
    "query limit text": (query(limit="5"), ParamError, f"{WHOLE}, got '5'"),
    "hybrid limit": (fuse(leg(), limit=0), ParamError, f"{WHOLE}, got 0"),
    "leg limit": (fuse(leg(limit=0)), ParamError, f"{WHOLE}, got 0"),
    "offset -1": (search(offset=-1), ParamError, "offset must be.*got -1"),
    "offset text": (query(offset="1"), ParamError, "offset must be.*got '1'"),
    "hybrid offset": (fuse(leg(), offset=-1), ParamError, "offset must be.*got -1"),
    "round_decimal": (search(round_decimal="x"), ParamError, "round_decimal.*'x'"),
    "text on dense": (
        search(["hello"]),
        DataNotMatchException,
        "query 0 on field 'dense'.*BM25 function fills",
    ),
    "vector on text field": (
        search(anns_field="terms"),
        DataNotMatchException,
        "query 0.*takes texts, got list",
    ),
    "vector on sparse": (search(anns_field="weights"), DataNotMatchException, "'weights'.*pairs"),
    "sparse on dense": (search([{1: 1.0}]), DataNotMatchException, "query 0 on field 'dense'"),
    "query dimension": (
        search([[1, 2], [1, 2, 3]]),
        DataNotMatchException,
        "query 1.*dimension 3.*dim=2",
    ),
    "query NaN": (search([[1, math.nan]]), DataNotMatchException, "query 0.*finite"),
    "query None": (search([None]), DataNotMatchException, "query 0 on field 'dense'"),
    "no data": (lambda c: c.search("c", anns_field="dense"), ParamError, "data is needed"),
    "data is a number": (search(5), ParamError, "list of vectors or texts, got int"),
    "data is bytes": (search(b"ab"), ParamError, "list of vectors or texts, got bytes"),
    "leg without data": (fuse(AnnSearchRequest(None, "dense", {}, 3)), ParamError, "got NoneType"),
    "no field named": (search(anns_field=None), ParamError, "anns_field is needed.*dense, weights"),
    "unknown vector field": (search(anns_field="none"), ParamError, "'none' is no vector field"),
    "scalar field": (search(anns_field="small"), ParamError, "'small' is no vector field"),
    "field is a list": (search(anns_field=["dense"]), ParamError, "no vector field"),
    "metric mismatch": (
        search(search_params={"metric_type": "L2"}),
        ParamError,
        "not match: expected=COSINE, actual=L2",
    ),
    "unknown metric": (
        search(search_params={"metric_type": "X"}),
        ParamError,
        "unknown metric_type 'X'",
    ),
    "unknown search parameter": (
        search(search_params={"params": {"eff": 5}}),
        ParamError,
        "parameter 'eff'; known.*ef",
    ),
    "ef 0": (search(search_params={"ef": 0}), ParamError, "ef must be an integer.*got 0"),
    "search_params text": (search(search_params="ef"), ParamError, "search_params must be a dict"),
    "nested params": (search(search_params={"params": 5}), ParamError, "params must be a dict"),
    "radius": (search(search_params={"params": {"radius": 1}}), UnsupportedError, "'radius'"),
    "grouping": (search(group_by_field="short"), UnsupportedError, "group_by_field='short'"),
    "unknown keyword": (query(foo=1), UnsupportedError, "query: the argument foo=1"),
    "unknown keyword, array": (search(foo=np.ones(2)), UnsupportedError, "argument foo="),
    "partitions": (search(partition_names=["p"]), UnsupportedError, "partitions.*'p'"),
    "partition number": (query(partition_names=5), UnsupportedError, "partitions.*5"),
    "partition of insert": (
        lambda c: c.insert("c", GOOD, partition_name="p"),
        UnsupportedError,
        "insert: partitions",
    ),
    "output field": (search(output_fields=["none"]), ParamError, "unknown output field 'none'"),
    "output fields text": (query(output_fields="id"), ParamError, "must be a list of names"),
    "output fields number": (query(output_fields=5), ParamError, "must be a list of names"),
    "output fields mixed": (query(output_fields=["id", 5]), ParamError, "must be a list of names"),
    "output of a function": (query(output_fields=["terms"]), ParamError, "'terms' is filled by"),
    "count and more": (
        query(output_fields=["count(*)", "id"]),
        ParamError,
        r"count\(\*\) goes with",
    ),
    "count with limit": (
        query(output_fields=["count(*)"], limit=1),
        ParamError,
        r"count\(\*\) goes",
    ),
    "count in search": (search(output_fields=["count(*)"]), ParamError, r"count\(\*\) can only"),
    "ids and filter": (query("id > 1", ids=[1]), ParamError, "either a filter or ids"),
    "key of text": (lambda c: c.get("c", ["1"]), DataNotMatchException, "'id'.*integer; got '1'"),
    "key of float": (lambda c: c.get("c", 1.5), DataNotMatchException, "'id'.*integer; got 1.5"),
    "key None": (lambda c: c.get("c", None), DataNotMatchException, "'id'.*integer; got None"),
    "key in a list in a list": (lambda c: c.get("c", [[1]]), DataNotMatchException, r"got \[1\]"),
    "key far too large": (lambda c: c.get("c", 10**5000), DataNotMatchException, "out of range"),
    "key too large": (lambda c: c.get("c", 2**63), DataNotMatchException, "out of range"),
    "delete key of text": (lambda c: c.delete("c", ids=[0, "1"]), DataNotMatchException, "got '1'"),
    "delete key bool": (lambda c: c.delete("c", ids=True), DataNotMatchException, "got True"),
    "delete nothing": (lambda c: c.delete("c"), ParamError, "either ids or a filter"),
    "delete with empty filter": (lambda c: c.delete("c", filter=""), ParamError, "either ids or"),
    "delete both": (lambda c: c.delete("c", ids=[1], filter="id > 0"), ParamError, "either ids or"),
    "requests none": (fuse(), ParamError, "reqs must be a list of AnnSearchRequest"),
    "requests number": (lambda c: c.hybrid_search("c", 5), ParamError, "reqs must be a list"),
    "request of no kind": (fuse(5), ParamError, "5 is no AnnSearchRequest"),
    "uneven requests": (
        fuse(leg(), leg([[1, 2], [2, 1]])),
        ParamError,
        r"as many queries, got \[1, 2\]",
    ),
    "ranker of no kind": (
        fuse(leg(), ranker=5),
        ParamError,
        "RRFRanker or a WeightedRanker, got 5",
    ),
    "weights of other number": (
        fuse(leg(), ranker=WeightedRanker(0.5, 0.5)),
        ParamError,
        "2 weights for 1",
    ),
    "k of 0": (lambda _: RRFRanker(0), ParamError, "k must be between 0 and 16384.*got 0"),
    "weight over 1": (lambda _: WeightedRanker(1.5), ParamError, "from 0 to 1"),
    "request with both filters": (
        lambda _: leg(expr="id > 1", filter="id > 1"),
        ParamError,
        "expr or filter, not both",
    ),
}


@pytest.mark.parametrize("case", BAD_READS.values(), ids=BAD_READS)
def test_a_bad_read_or_delete_is_refused(table, case):
    call, error, message = case
    check_refused(table, error, f"(?s){message}", call)


# Filter, position of the offending character (None: the whole), words of the message.
BAD_FILTERS = {
    "unfinished": ("id >", 4, "."),
    "no operator": ("id 5", 3, "."),
    "open bracket": ("(id > 1", 7, "."),
    "open text": ('short == "a', 9, "."),
    "open list": ("id in [1, 2", 11, "."),
    "unknown character": ("id > 1 ; drop", 7, "."),
    "unknown field": ("none == 1", 0, "'none'"),
    "unknown template": ("id == {x}", 6, "x"),
    "text with number": ("short > 5", None, "."),
    "blank": ("   ", 0, "empty"),
    "surrogate": ('short == "\ud800"', 9, "surrogate"),
    "match on plain text": ('text_match(short, "a")', None, "short"),
    "match on a number": ('text_match(small, "a")', None, "small"),
}


@pytest.mark.parametrize("case", BAD_FILTERS.values(), ids=BAD_FILTERS)
def test_a_bad_filter_points_at_the_place(table, case):
    expression, position, words = case
    calls = [
        query(expression),
        search(filter=expression),
        fuse(leg(expr=expression)),
        fuse(leg(), filter=expression),
        lambda client: client.delete("c", filter=expression),
    ]
    for call in calls:
        check_refused(table, FilterError, words, call)
    with pytest.raises(FilterError) as caught:
        table.query("c", expression)
    if position is not None:
        line = str(caught.value).split("\n")[-2]
        caret = str(caught.value).split("\n")[-1]
        assert line == f"  {expression}"
        assert caret.index("^") == 2 + position
        assert caught.value.position == position
        assert f"position {position}" in str(caught.value)


@pytest.mark.parametrize("expression", [5, ["id > 1"], {"id": 1}, b"id > 1"], ids=repr)
def test_a_filter_must_be_text(table, expression):
    check_refused(table, FilterError, "a filter is a string", query(expression))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (5, ParamError, "filter_params must be a dict"),
        ({}, FilterError, "x"),
        ({"x": object()}, FilterError, "x"),
    ],
)
def test_bad_template_values(table, params, error, message):
    call = query("id == {x}", filter_params=params)
    check_refused(table, error, message, call)


# --- names and addresses ---------------------------------------------------------------------

BY_NAME = {
    "describe_collection": lambda c, n: c.describe_collection(n),
    "get_collection_stats": lambda c, n: c.get_collection_stats(n),
    "truncate_collection": lambda c, n: c.truncate_collection(n),
    "rename_collection": lambda c, n: c.rename_collection(n, "other"),
    "create_index": lambda c, n: c.create_index(n, []),
    "list_indexes": lambda c, n: c.list_indexes(n),
    "describe_index": lambda c, n: c.describe_index(n, "i"),
    "drop_index": lambda c, n: c.drop_index(n, "i"),
    "load_collection": lambda c, n: c.load_collection(n),
    "release_collection": lambda c, n: c.release_collection(n),
    "flush": lambda c, n: c.flush(n),
    "insert": lambda c, n: c.insert(n, [GOOD]),
    "insert nothing": lambda c, n: c.insert(n, []),
    "upsert": lambda c, n: c.upsert(n, [GOOD]),
    "delete": lambda c, n: c.delete(n, ids=[1]),
    "delete by filter": lambda c, n: c.delete(n, filter="id > 0"),
    "get": lambda c, n: c.get(n, [1]),
    "query": lambda c, n: c.query(n),
    "search": lambda c, n: c.search(n, [[1, 2]]),
    "hybrid_search": lambda c, n: c.hybrid_search(n, [leg()]),
}


@pytest.mark.parametrize("call", BY_NAME.values(), ids=BY_NAME)
def test_an_unknown_collection_is_named_with_those_that_exist(table, call):
    for name in ("none", "C", None, 5, []):
        check_refused(
            table,
            CollectionNotFoundError,
            rf"collection {re.escape(repr(name))} not found; collections here: c, free",
            lambda client, name=name: call(client, name),
        )


@pytest.mark.parametrize("name", [None, 5, [], b"c"], ids=repr)
def test_a_name_must_be_text(table, name):
    for call in (table.has_collection, table.drop_collection, table.get_load_state):
        check_refused(
            table, ParamError, "collection_name must be a string", lambda _, call=call: call(name)
        )


BAD_ADDRESSES = {
    "default": ({}, UnsupportedError, "server's address"),
    "http": (
        {"uri": "http://localhost:19530"},
        UnsupportedError,
        "'http://localhost:19530'.*files",
    ),
    "HTTPS": ({"uri": "HTTPS://host"}, UnsupportedError, "server's address"),
    "tcp": ({"uri": "tcp://host:1"}, UnsupportedError, "server's address"),
    "unix": ({"uri": "unix:/tmp/s"}, UnsupportedError, "server's address"),
    "number": ({"uri": 5}, ParamError, "file path or ':memory:', got 5"),
    "None": ({"uri": None}, ParamError, "got None"),
    "empty": ({"uri": ""}, ParamError, "got ''"),
    "bytes": ({"uri": b"x.db"}, ParamError, "got b'x.db'"),
    "NUL": ({"uri": "a\0b.db"}, ParamError, "no path can hold"),
    "surrogate": ({"uri": "a\ud800.db"}, ParamError, "no path can hold"),
    "no folder": (
        {"uri": "/no/such/folder/x.db"},
        DatabaseNotFoundError,
        "no folder /no/such/folder",
    ),
    "database": ({"uri": ":memory:", "db_name": "other"}, UnsupportedError, "db_name 'other'"),
    "keyword": ({"uri": ":memory:", "readonly": True}, UnsupportedError, "readonly=True"),
    "timeout": ({"uri": ":memory:", "timeout": "5"}, ParamError, "timeout.*'5'"),
    "negative timeout": ({"uri": ":memory:", "timeout": -1}, ParamError, "timeout.*-1"),
    "durability": ({"uri": ":memory:", "durability": "some"}, ParamError, "durability.*'some'"),
    "journal": ({"uri": ":memory:", "journal": "off"}, ParamError, "journal.*'off'"),
}


@pytest.mark.parametrize("case", BAD_ADDRESSES.values(), ids=BAD_ADDRESSES)
@pytest.mark.parametrize("kind", [MilvusClient, AsyncMilvusClient])
def test_a_bad_address_or_option_is_refused(kind, case):
    options, error, message = case
    with pytest.raises(error, match=message) as caught:
        kind(**options)
    assert isinstance(caught.value, ElanusError)


def test_a_folder_is_no_database(tmp_path):
    with pytest.raises(StorageError, match="it is a folder"):
        MilvusClient(tmp_path)


def test_after_close_every_call_says_so(tmp_path):
    client = MilvusClient(tmp_path / "a.db")
    client.create_collection("c", dimension=2)
    client.close()
    client.close()
    for call in BY_NAME.values():
        with pytest.raises(ClosedError, match="is closed"):
            call(client, "c")


# --- texts of users --------------------------------------------------------------------------

USER_TEXTS = [
    'C++ "x" AND (', "", " ", "\t\n", "🦊", "👩‍👩‍👧‍👦 family", "e" * 10_000, "word " * 2_000,
    "'; DROP TABLE c; --", "中文搜索引擎", "日本語のテキスト", "a\0b", "\0", "مرحبا بالعالم",
    "\u202eright to left\u202c", "e\u0301\u0302\u0303" * 500, "%_*?[]{}()\\^$.|+", "NEAR(a b)",
    "a OR b NOT c", '"', "'", "\\", "{x}", "𝕬𝖇𝖈", "ﬁ", "İstanbul ß", "\ufeffbom", "\uffff",
    "-5", "1e999", "x" * 200 + " " + "y" * 200, "".join(map(chr, range(1, 0x300))),
]  # fmt: skip


@pytest.mark.parametrize("text", USER_TEXTS, ids=lambda text: ascii(text[:12]))
def test_any_text_is_a_query_and_a_document(table, text):
    """No syntax, so no syntax error; a text finds itself if it holds a word at all."""
    assert len(table.search("c", [text], anns_field="terms")) == 1
    query = {"filter_params": {"q": text}, "output_fields": ["id"]}
    before = table.query("c", "text_match(text, {q})", **query)
    assert all(row["id"] in (0, 1, 2) for row in before)

    table.insert("c", {**GOOD, "id": 9, "text": text})
    assert table.get("c", 9, output_fields=["text"]) == [{"id": 9, "text": text}]
    ranked = [hit.id for hit in table.search("c", [text], anns_field="terms")[0]]
    matched = [row["id"] for row in table.query("c", "text_match(text, {q})", **query)]
    assert (9 in ranked) == (9 in matched)
    if any(char.isalnum() for char in text):
        assert 9 in matched


def test_all_user_texts_at_once(table):
    table.insert("c", [{**GOOD, "id": 100 + i, "text": t} for i, t in enumerate(USER_TEXTS)])
    together = table.search("c", USER_TEXTS, anns_field="terms", limit=50)
    assert together == [table.search("c", [t], anns_field="terms", limit=50)[0] for t in USER_TEXTS]
    requests = [AnnSearchRequest(USER_TEXTS, "terms", {}, 5)]
    assert len(table.hybrid_search("c", requests)) == len(USER_TEXTS)
