"""Schemas and indexes that contradict themselves, or ask for what is not there."""

import pytest

from elanus import CollectionSchema, DataType, FieldSchema, Function, FunctionType
from elanus.errors import (
    CollectionExistsError,
    DataTypeNotSupportException,
    ParamError,
    PrimaryKeyException,
    SchemaError,
    UnsupportedError,
)


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
def test_a_bad_schema_is_refused(table, case, check_refused):
    call, error, message = case
    check_refused(table, error, f"(?s){message}", call)


def index(field="dense", **options):
    return lambda client: client.create_index("c", client.prepare_index_params(field, **options))


BAD_INDEXES = {
    "DISKANN": (
        index(index_type="DISKANN"),
        UnsupportedError,
        "'DISKANN' is not supported.*supported: FLAT, HNSW",
    ),
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
    "M of text": (
        index(index_type="HNSW", params={"M": "x"}),
        ParamError,
        "M='x' must be an integer",
    ),
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
def test_a_bad_index_is_refused(table, case, check_refused):
    call, error, message = case
    check_refused(table, error, f"(?s){message}", call)
    assert table.list_indexes("c") == ["dense", "terms"]
