"""Every argument of every public call with every kind of value: a result, or one of our errors.

A ``TypeError`` of Python's own is for a wrong signature only, and nothing here has one.
"""

import contextlib
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import inspect
import math
import pathlib
import types

import numpy as np
import pytest
from scipy.sparse import csr_matrix, dok_array

import elanus
from elanus import (
    AnnSearchRequest,
    CollectionSchema,
    DataType,
    DocumentStore,
    ElanusError,
    FieldSchema,
    Function,
    FunctionType,
    MilvusClient,
    RRFRanker,
    WeightedRanker,
)
from elanus.schema import IndexParams
from elanus.storage import OpenOptions


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Some texts are taken for the names of databases, which are made then."""
    monkeypatch.chdir(tmp_path)


torch = pytest.importorskip("torch")
pandas = pytest.importorskip("pandas")

LONGEST_MESSAGE = 2_000


class NoRepr:
    def __repr__(self):
        raise RuntimeError("no repr")


class LongRepr:
    def __repr__(self):
        return "long" * 1_000_000


class NoTruth:
    def __bool__(self):
        raise RuntimeError("neither true nor false")

    def __eq__(self, other):
        raise RuntimeError("equal to nothing")

    __hash__ = None


class Word(str, enum.Enum):
    ONE = "id"


class Level(enum.IntEnum):
    ONE = 1


class MyText(str):
    __slots__ = ()


def long_list():
    return [0] * 100_000


def endless_list():
    found = [1]
    found.append(found)
    return found


def endless_dict():
    found = {"a": 1}
    found["b"] = found
    return found


@functools.cache
def deep_list():
    found = []
    for _ in range(100_000):
        found = [found]
    return found


@functools.cache
def deep_dict():
    found = {}
    for _ in range(100_000):
        found = {"a": found}
    return found


def endless_array():
    found = np.empty((), dtype=object)
    found[()] = found
    return found


NASTY = {
    "None": lambda: None,
    "True": lambda: True,
    "False": lambda: False,
    "numpy True": lambda: np.True_,
    "0": lambda: 0,
    "1": lambda: 1,
    "-1": lambda: -1,
    "2**31": lambda: 2**31,
    "2**63-1": lambda: 2**63 - 1,
    "2**63": lambda: 2**63,
    "2**64": lambda: 2**64,
    "-2**63-1": lambda: -(2**63) - 1,
    "10**400": lambda: 10**400,
    "10**5000": lambda: 10**5000,
    "1.5": lambda: 1.5,
    "1e300": lambda: 1e300,
    "inf": lambda: math.inf,
    "-inf": lambda: -math.inf,
    "nan": lambda: math.nan,
    "numpy int": lambda: np.int64(3),
    "numpy uint": lambda: np.uint64(2**64 - 1),
    "numpy float": lambda: np.float32(0.5),
    "numpy long": lambda: np.longdouble("1e4000"),
    "numpy nan": lambda: np.float64("nan"),
    "numpy str": lambda: np.str_("vector"),
    "numpy bytes": lambda: np.bytes_(b"vector"),
    "numpy date": lambda: np.datetime64("2020-01-01"),
    "numpy span": lambda: np.timedelta64(1, "s"),
    "complex": lambda: 1j,
    "decimal": lambda: decimal.Decimal(1),
    "date": lambda: dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc),
    "empty text": lambda: "",
    "text": lambda: "id",
    "text false": lambda: "false",
    "own text": lambda: MyText("id"),
    "blank": lambda: " \n",
    "NUL": lambda: "a\0b",
    "surrogate": lambda: "a\ud800",
    "long text": lambda: "x" * 1_000_000,
    "long bytes": lambda: b"x" * 1_000_000,
    "bytearray": lambda: bytearray(b"id"),
    "memoryview": lambda: memoryview(b"id"),
    "enum of text": lambda: Word.ONE,
    "enum of int": lambda: Level.ONE,
    "DataType": lambda: DataType.INT64,
    "empty list": list,
    "list of ints": lambda: [1, 2],
    "list of texts": lambda: ["id", "vector"],
    "list of long texts": lambda: ["x" * 1_000_000] * 3,
    "list of lists": lambda: [[1, 2], [3, 4]],
    "list of None": lambda: [None],
    "list of no truth": lambda: [NoTruth()],
    "long list": long_list,
    "tuple": lambda: (1, 2),
    "set": lambda: {1, 2},
    "frozenset": lambda: frozenset({"id"}),
    "range": lambda: range(3),
    "generator": lambda: (i for i in range(3)),
    "empty dict": dict,
    "dict": lambda: {"id": 1},
    "dict of ints": lambda: {1: 2},
    "dict of a long key": lambda: {"k" * 1_000_000: 1},
    "dict of a long value": lambda: {"id": "v" * 1_000_000},
    "dict of None": lambda: {None: None},
    "endless list": endless_list,
    "endless dict": endless_dict,
    "deep list": deep_list,
    "deep dict": deep_dict,
    "endless array": endless_array,
    "array": lambda: np.array([1.0, 2.0]),
    "empty array": lambda: np.array([]),
    "array of 1": lambda: np.array([1]),
    "0-d array": lambda: np.array(1),
    "0-d text": lambda: np.array("id"),
    "matrix": lambda: np.ones((2, 2)),
    "array of texts": lambda: np.array(["id"]),
    "array of a long text": lambda: np.array(["x" * 1_000_000]),
    "array of objects": lambda: np.array([None, {}], dtype=object),
    "masked": lambda: np.ma.array([1.0, 2.0], mask=[0, 1]),
    "masked constant": lambda: np.ma.masked,
    "structured": lambda: np.zeros(2, dtype=[("a", "i4")]),
    "sparse": lambda: csr_matrix(np.eye(2)),
    "sparse dict": lambda: dok_array((1, 2)),
    "tensor": lambda: torch.ones(2),
    "0-d tensor": lambda: torch.tensor(1),
    "gradient": lambda: torch.ones(2, requires_grad=True),
    "0-d gradient": lambda: torch.ones((), requires_grad=True),
    "bfloat16": lambda: torch.ones(2, dtype=torch.bfloat16),
    "series": lambda: pandas.Series([1.0, 2.0]),
    "frame": lambda: pandas.DataFrame({"id": [1], "vector": [[1.0, 2.0]]}),
    "frame of odd names": lambda: pandas.DataFrame({"tocsr": [1], "columns": [2], "dict": [3]}),
    "series of odd names": lambda: pandas.Series({"tocsr": 1.0, "columns": 2.0}),
    "missing": lambda: pandas.NA,
    "dict of missing": lambda: {"id": {pandas.NA: pandas.NA}},
    "object": object,
    "class": lambda: int,
    "function": lambda: len,
    "module": lambda: math,
    "no repr": NoRepr,
    "long repr": LongRepr,
    "no truth": NoTruth,
    "path": lambda: pathlib.PurePath("id"),
    "namespace": types.SimpleNamespace,
    "exception": lambda: ValueError("x" * 1_000_000),
    "schema": CollectionSchema,
    "index params": IndexParams,
    "request": lambda: AnnSearchRequest([[1, 2]], "vector", {}, 3),
    "ranker": RRFRanker,
}

ROW = {"id": 1, "vector": [1.0, 2.0], "weights": {1: 0.5}, "text": "a fox", "extra": 1}
SEARCH = {
    "collection_name": "c", "data": [[1.0, 2.0]], "anns_field": "vector", "filter": "id > {x}",
    "filter_params": {"x": 0}, "limit": 3, "offset": 0, "output_fields": ["id"],
    "search_params": {"metric_type": "COSINE", "params": {"ef": 8}}, "round_decimal": 2,
    "timeout": 1.0, "partition_names": ["_default"], "group_by_field": None, "group_size": None,
    "strict_group_size": None, "consistency_level": "Strong", "ranker": None,
}  # fmt: skip
REQUEST = AnnSearchRequest([[1.0, 2.0]], "vector", {}, 3)
# A call, and arguments that it takes.
CALLS = {
    "create_collection": {
        "collection_name": "new", "dimension": 2, "primary_field_name": "id", "id_type": "int",
        "vector_field_name": "vector", "metric_type": "COSINE", "auto_id": False, "timeout": 1.0,
        "schema": None, "index_params": None, "properties": {"a": 1}, "description": "text",
        "max_length": 5, "enable_dynamic_field": True, "num_shards": 1,
    },
    "has_collection": {"collection_name": "c", "timeout": 1.0},
    "list_collections": {"timeout": 1.0},
    "describe_collection": {"collection_name": "c", "timeout": 1.0},
    "drop_collection": {"collection_name": "c", "timeout": 1.0},
    "rename_collection": {
        "old_name": "c", "new_name": "d", "target_db": "", "timeout": 1.0,
    },
    "truncate_collection": {"collection_name": "c", "timeout": 1.0},
    "get_collection_stats": {"collection_name": "c", "timeout": 1.0},
    "create_index": {"collection_name": "c", "index_params": [], "timeout": 1.0},
    "list_indexes": {"collection_name": "c", "field_name": "vector"},
    "describe_index": {"collection_name": "c", "index_name": "vector", "timeout": 1.0},
    "drop_index": {"collection_name": "c", "index_name": "vector", "timeout": 1.0},
    "load_collection": {"collection_name": "c", "timeout": 1.0},
    "refresh_load": {"collection_name": "c", "timeout": 1.0},
    "release_collection": {"collection_name": "c", "timeout": 1.0},
    "get_load_state": {"collection_name": "c", "partition_name": "", "timeout": 1.0},
    "flush": {"collection_name": "c", "timeout": 1.0},
    "compact": {
        "collection_name": "c", "is_clustering": False, "is_l0": False, "target_size": None,
        "target_size_unit": "mb", "timeout": 1.0,
    },
    "get_server_version": {"timeout": 1.0, "detail": False},
    "insert": {"collection_name": "c", "data": [ROW], "timeout": 1.0, "partition_name": ""},
    "upsert": {"collection_name": "c", "data": [ROW], "timeout": 1.0, "partition_name": ""},
    "delete": {
        "collection_name": "c", "ids": None, "timeout": 1.0, "filter": "id > {x}",
        "partition_name": "", "filter_params": {"x": 5}, "pks": None,
    },
    "get": {
        "collection_name": "c", "ids": [1], "output_fields": ["id"], "timeout": 1.0,
        "partition_names": None,
    },
    "query": {
        "collection_name": "c", "filter": "id > {x}", "output_fields": ["id"], "timeout": 1.0,
        "ids": None, "partition_names": None, "limit": 3, "offset": 0, "filter_params": {"x": 0},
    },
    "search": SEARCH,
    "hybrid_search": {
        "collection_name": "c", "reqs": [REQUEST], "ranker": None, "limit": 3,
        "output_fields": ["id"], "timeout": 1.0, "partition_names": None, "filter": "id > {x}",
        "filter_params": {"x": 0}, "offset": 0, "round_decimal": -1, "explain": False,
        "group_by": "id",
    },
    "replace": {
        "collection_name": "c", "data": [ROW], "filter": "id < {x}", "timeout": 1.0,
        "filter_params": {"x": 2},
    },
    "change_json": {
        "collection_name": "c", "field_name": "$meta", "values": {"a": 1}, "remove": ["b"],
        "ids": [1], "filter": None, "timeout": 1.0, "filter_params": None, "texts": {"text": "t"},
    },
    "change_collection": {
        "collection_name": "c", "properties": {"a": 1}, "timeout": 1.0,
        "index_params": {"field_name": "vector", "index_type": "FLAT"},
    },
    "count_values": {
        "collection_name": "c", "field_name": "$meta", "path": ["extra"], "filter": "id < {x}",
        "timeout": 1.0, "filter_params": {"x": 2},
    },
    "count_keys": {
        "collection_name": "c", "field_name": "$meta", "filter": "id < {x}", "timeout": 1.0,
        "filter_params": {"x": 2},
    },
    "query_terms": {
        "collection_name": "c", "anns_field": "terms", "query": "a", "prefix": True, "typos": True,
        "timeout": 1.0,
    },
    "file_size": {},
    "create_schema": {
        "auto_id": False, "enable_dynamic_field": False, "description": "", "primary_field": None,
        "fields": [], "functions": [],
    },
    "create_field_schema": {"name": "x", "data_type": DataType.INT64, "desc": "d"},
    "prepare_index_params": {"field_name": "vector", "index_type": "HNSW", "params": {}},
    "verify": {},
    "check_readable": {"collection_name": "c"},
    "check_writable": {},
    "backup": {"target": "/nonexistent/folder/x.db"},
}  # fmt: skip
NOT_CALLED = {"close"}


def make_schema():
    schema = CollectionSchema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("weights", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("text", DataType.VARCHAR, enable_analyzer=True)
    schema.add_field("terms", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("json", DataType.JSON, nullable=True)
    schema.add_field("list", DataType.ARRAY, element_type=DataType.INT64, nullable=True)
    schema.add_field("real", DataType.FLOAT, nullable=True)
    schema.add_field("flag", DataType.BOOL, nullable=True)
    schema.add_function(Function("f", FunctionType.BM25, "text", "terms"))
    return schema


def restore(client):
    """Bring back what a call that succeeded has changed."""
    names = client.list_collections()
    if names == ["c"] and client.list_indexes("c") and len(client.query("c", limit=3)) == 2:
        return
    for name in names:
        client.drop_collection(name)
    params = client.prepare_index_params("vector", index_type="HNSW", metric_type="COSINE")
    client.create_collection("c", schema=make_schema(), index_params=params)
    client.insert("c", [ROW, {**ROW, "id": 2}])


@pytest.fixture(scope="module")
def client():
    with MilvusClient(":memory:") as opened:
        restore(opened)
        yield opened
        assert opened.verify() == []


def attempt(call, *args, **arguments):
    """A call's result, or one of our errors, of bounded length; anything else is raised."""
    try:
        return call(*args, **arguments)
    except ElanusError as error:
        refused = error
    assert len(str(refused)) < LONGEST_MESSAGE, str(refused)[:500]
    assert type(refused).__module__ == "elanus.errors"
    return refused


def with_each(arguments):
    """Copies of arguments in which one is replaced by each nasty value."""
    for name in arguments:
        for kind, make in NASTY.items():
            yield f"{name}={kind}", {**arguments, name: make()}


def check_all(call, arguments, after=lambda: None):
    wrong = {}
    for case, changed in with_each(arguments):
        try:
            found = attempt(call, **changed)
            if not isinstance(found, ElanusError):
                after()
        except Exception as error:  # noqa: BLE001  # all are listed
            wrong[case] = f"{type(error).__name__}: {str(error)[:100]}"
    assert wrong == {}


def test_every_call_of_the_client_is_tried():
    public = {n for n, _ in inspect.getmembers(MilvusClient, callable) if not n.startswith("_")}
    assert public == CALLS.keys() | NOT_CALLED


@pytest.mark.parametrize("name", CALLS)
def test_any_argument_of_the_client(client, name):
    call = getattr(client, name)
    restore(client)
    attempt(call, **CALLS[name])
    restore(client)
    check_all(call, CALLS[name], lambda: restore(client))
    restore(client)


@pytest.mark.parametrize("kind", NASTY)
@pytest.mark.parametrize("field", [*ROW, "json", "list", "real", "flag", "terms", "$meta", "free"])
def test_any_value_of_a_row(client, kind, field):
    restore(client)
    for data in (
        [{**ROW, "id": 9, field: NASTY[kind]()}],
        {k: [v] for k, v in {**ROW, "id": 9, field: NASTY[kind]()}.items()},
        {**{k: [v] for k, v in ROW.items()}, field: NASTY[kind]()},
    ):
        before = client.query("c", output_fields=["count(*)"])
        if isinstance(attempt(client.insert, "c", data), ElanusError):
            assert client.query("c", output_fields=["count(*)"]) == before
        attempt(client.upsert, "c", data)
        client.delete("c", filter="id != 1 and id != 2")


@pytest.mark.parametrize("kind", NASTY)
def test_any_member_of_an_argument(client, kind):
    """Values one level down: members of lists, keys and values of dicts."""
    restore(client)
    value = NASTY[kind]
    for call in (
        lambda: client.get("c", [value()]),
        lambda: client.query("c", output_fields=[value()]),
        lambda: client.search("c", [value()], anns_field="vector"),
        lambda: client.search("c", [value()], anns_field="weights"),
        lambda: client.search("c", [value()], anns_field="terms"),
        lambda: client.search("c", value(), anns_field="terms"),
        lambda: client.search("c", value(), anns_field="weights"),
        lambda: client.search("c", [[value(), 1.0]], anns_field="vector"),
        lambda: client.search("c", [{1: value()}], anns_field="weights"),
        lambda: client.search("c", [[(value(), 1.0)]], anns_field="weights"),
        lambda: client.hybrid_search("c", [value()]),
        lambda: client.create_index("c", [value()]),
        lambda: client.create_index("c", [{"field_name": "vector", "params": value()}]),
        lambda: client.create_collection("c", dimension=2, properties={"a": value()}),
        lambda: client.create_schema(fields=[value()]),
        lambda: client.create_schema(functions=[value()]),
        lambda: client.insert("c", [value()]),
        *(
            lambda name=name: client.search(
                "c", [[1, 2]], anns_field="vector", search_params={name: value()}
            )
            for name in ("ef", "nprobe", "reorder_k", "metric_type", "params", "offset",
                         "round_decimal", "radius", "level", "bm25_k1", "bm25_b")
        ),
        *(
            lambda name=name: client.create_index("c", client.prepare_index_params(
                "vector", **{"index_type": "SCANN" if name == "with_raw_data" else "HNSW",
                             name: value()}))
            for name in ("index_type", "index_name", "metric_type", "params", "M",
                         "efConstruction", "ef", "nlist", "with_raw_data", "mmap.enabled", "warmup")
        ),
        *(
            lambda name=name: client.create_index(
                "c", [{"field_name": "terms", "index_type": "AUTOINDEX", name: value()}])
            for name in ("bm25_k1", "bm25_b", "inverted_index_algo", "drop_ratio_build")
        ),
    ):  # fmt: skip
        found = attempt(call)
        if not isinstance(found, ElanusError):
            restore(client)


def freeze(schema):
    return schema.freeze() if isinstance(schema, CollectionSchema) else schema


OBJECTS = {
    "AnnSearchRequest": (
        AnnSearchRequest,
        {"data": [[1, 2]], "anns_field": "vector", "param": {}, "limit": 3, "expr": "id > {x}",
         "expr_params": {"x": 1}},
    ),
    "RRFRanker": (RRFRanker, {"k": 60, "weights": (1.0,)}),
    "WeightedRanker": (
        lambda weight, norm_score: WeightedRanker(weight, norm_score=norm_score),
        {"weight": 0.5, "norm_score": True},
    ),
    "Function": (
        Function,
        {"name": "f", "function_type": FunctionType.BM25, "input_field_names": ["text"],
         "output_field_names": ["terms"], "description": "", "params": {}},
    ),
    "FieldSchema": (
        FieldSchema,
        {"name": "x", "dtype": DataType.VARCHAR, "description": "", "is_primary": False,
         "auto_id": False, "dim": 2, "max_length": 5, "element_type": DataType.INT8,
         "max_capacity": 3, "nullable": False, "default_value": None, "enable_analyzer": False,
         "enable_match": False, "analyzer_params": None, "is_function_output": False, "hints": {}},
    ),
    "add_field": (
        lambda **options: freeze(make_schema().add_field(**options)),
        {"field_name": "x", "datatype": DataType.VARCHAR, "description": "", "desc": "",
         "is_primary": False, "auto_id": False, "dim": 2, "max_length": 5,
         "element_type": DataType.INT8, "max_capacity": 3, "nullable": False,
         "default_value": None, "enable_analyzer": True, "enable_match": False,
         "analyzer_params": {}, "hints": {}, "mmap_enabled": True, "warmup": "sync",
         "is_partition_key": False, "is_clustering_key": False, "multi_analyzer_params": None,
         "struct_schema": None},
    ),
    "default_value": (
        lambda value, datatype: freeze(make_schema().add_field("x", datatype, default_value=value,
                                                               element_type=DataType.INT8)),
        {"value": 1, "datatype": DataType.INT8},
    ),
    "add_function": (lambda f: make_schema().add_function(f), {"f": None}),
    "CollectionSchema": (
        lambda **options: freeze(CollectionSchema(**options)),
        {"fields": [FieldSchema("id", DataType.INT64, is_primary=True)], "description": "",
         "functions": [], "enable_dynamic_field": False, "auto_id": None, "primary_field": None},
    ),
    "add_index": (
        IndexParams().add_index,
        {"field_name": "vector", "index_type": "HNSW", "index_name": "", "params": {}},
    ),
    "OpenOptions": (
        OpenOptions, {"read_only": False, "durability": "full", "timeout": 1.0, "journal": "wal"}
    ),
    "build_analyzer": (elanus.build_analyzer, {"params": "english"}),
    "build_analyzer type": (lambda t: elanus.build_analyzer({"type": t}), {"t": "english"}),
    "build_analyzer words": (
        lambda w: elanus.build_analyzer({"type": "english", "stop_words": w}), {"w": ["a"]}
    ),
    "build_analyzer filter": (
        lambda f: elanus.build_analyzer({"tokenizer": "standard", "filter": f}), {"f": []}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OBJECTS)
def test_any_argument_of_an_object(name):
    make, arguments = OBJECTS[name]
    attempt(make, **arguments)
    check_all(make, arguments)


@pytest.mark.parametrize("kind", NASTY)
def test_attributes_that_were_set_afterwards(client, kind):
    for name in ("fields", "functions", "description", "enable_dynamic_field", "auto_id",
                 "primary_field"):  # fmt: skip
        schema = make_schema()
        setattr(schema, name, NASTY[kind]())
        attempt(schema.verify)
        attempt(schema.to_dict)
    for name in ("data", "anns_field", "param", "limit", "expr", "expr_params"):
        request = AnnSearchRequest([[1.0, 2.0]], "vector", {}, 3)
        setattr(request, name, NASTY[kind]())
        attempt(client.hybrid_search, "c", [request])


OPENING = {
    "uri": ":memory:", "user": "", "password": "", "db_name": "", "token": "", "timeout": 1.0,
    "read_only": False, "durability": "full", "journal": "wal",
}  # fmt: skip


@pytest.mark.parametrize("name", OPENING)
def test_any_argument_of_opening(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind, make in NASTY.items():
        found = attempt(MilvusClient, **{**OPENING, name: make()})
        if not isinstance(found, ElanusError):
            found.close()
        if isinstance(found, OSError):
            assert name in ("uri", "read_only"), kind


class Two:
    name, dim = "two", 2

    def encode_documents(self, texts):
        return np.ones((len(texts), 2))

    encode_queries = encode_documents


STORE = {
    "add": {"texts": ["a"], "metadatas": [{}], "ids": ["x"], "vectors": [[1, 2]],
            "progress": False},
    "sync": {"source": "a.md", "texts": ["a"], "metadatas": [{}], "ids": ["z"],
             "vectors": [[1, 2]], "progress": False},
    "update_metadata": {"ids": ["x"], "values": {"b": 1}, "remove": ["c"], "filter": "a > {x}",
                        "filter_params": {"x": 1}},
    "keys": {"filter": "a > {x}", "filter_params": {"x": 1}},
    "facets": {"key": "a", "filter": "a > {x}", "limit": 3, "filter_params": {"x": 1}},
    "peek": {"n": 2},
    "highlight": {"found": "a b", "query": "b", "length": 20, "most": 2,
        "phrases": True, "prefix": True, "typos": True},
    "delete": {"ids": ["x"], "filter": "a > {x}", "filter_params": {"x": 1}},
    "get": {"ids": ["x"], "filter": "a > {x}", "filter_params": {"x": 1}, "with_vectors": True},
    "count": {"filter": "a > {x}", "filter_params": {"x": 1}},
    "search": {
        "query": "a", "k": 2, "mode": "hybrid", "filter": "a > {x}", "ranker": None,
        "min_relevance": 0.5, "explain": False, "vector": [1, 2], "filter_params": {"x": 1},
        "ids": ["x"], "depth": {"dense": 5}, "with_vectors": False, "group_by": ["b", 0],
        "reranker": lambda query, texts: [float(len(query))] * len(texts), "rerank_top": 5,
        "context": 1,
    },
    "search_mmr": {
        "query": "a", "k": 2, "fetch_k": 5, "lambda_mult": 0.5, "mode": "dense",
        "filter": "a > {x}", "ranker": None, "vector": [1, 2], "filter_params": {"x": 1},
        "ids": ["x"], "explain": False, "group_by": ["b", 0], "rerank_top": 5, "context": 1,
        "depth": {"text": 5}, "min_relevance": 0.5,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", STORE)
def test_any_argument_of_a_store(name):
    with DocumentStore(":memory:", Two()) as store:
        store.add(["a b", "b c"], [{"a": 2}, {"a": 3}], ["x", "y"])
        check_all(getattr(store, name), STORE[name])
        assert store.verify() == []


@pytest.mark.filterwarnings("ignore:.*held surrogates")
@pytest.mark.parametrize("kind", NASTY)
def test_any_member_of_an_argument_of_a_store(kind):
    value = NASTY[kind]
    with DocumentStore(":memory:", Two()) as store:
        for call in (
            lambda: store.add([value()]),
            lambda: store.add(["a"], [value()]),
            lambda: store.add(["a"], [{"a": value()}]),
            lambda: store.add(["a"], ids=[value()]),
            lambda: store.add(["a"], vectors=[value()]),
            lambda: store.sync("s", [value()]),
            lambda: store.sync("s", ["a"], [value()]),
            lambda: store.sync("s", ["a"], [{"source": value()}]),
            lambda: store.sync("s", ["a"], [{"position": value()}]),
            lambda: store.sync("s", ["a"], ids=[value()]),
            lambda: store.update_metadata("x", {"a": value()}),
            lambda: store.update_metadata("x", remove=[value()]),
            lambda: store.facets([value()]),
            lambda: store.get([value()]),
            lambda: store.delete([value()]),
            lambda: store.search("a", depth={"dense": value()}),
            lambda: store.search("a", ids=[value()]),
        ):
            attempt(call)
        assert store.verify() == []


def open_store(**arguments):
    with contextlib.closing(DocumentStore(**arguments)):
        pass


STORE_OPENING = {"uri": ":memory:", "embedding": Two(), "collection": "d", "analyzer": "english",
                 "dim": 2, "client": None, "timeout": 1.0}  # fmt: skip


def test_any_argument_of_opening_a_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_all(open_store, STORE_OPENING)


@pytest.mark.parametrize("member", ["name", "dim"])
def test_an_embedding_with_any_name_and_dimension(member):
    for make in NASTY.values():
        embedding = Two()
        setattr(embedding, member, make())
        attempt(open_store, uri=":memory:", embedding=embedding)


def test_a_flag_is_no_text_and_no_number(client):
    schema = CollectionSchema()
    for value in ("false", "true", 0, 1, None, [], np.array(True)):
        for call in (
            lambda value=value: client.create_collection("new", dimension=2, auto_id=value),
            lambda value=value: client.hybrid_search("c", [REQUEST], explain=value),
            lambda value=value: OpenOptions(read_only=value),
            lambda value=value: WeightedRanker(1.0, norm_score=value),
            lambda value=value: FieldSchema("x", DataType.INT64, nullable=value),
        ):
            assert isinstance(attempt(call), elanus.ParamError), value
        for name in ("is_primary", "auto_id", "nullable", "enable_analyzer", "enable_match"):
            if value is not None:  # which is the default
                found = attempt(schema.add_field, "x", DataType.INT64, **{name: value})
                assert isinstance(found, elanus.ParamError), (name, value)
        for name in ("auto_id", "enable_dynamic_field"):
            if value is not None:
                found = attempt(client.create_schema, **{name: value})
                assert isinstance(found, elanus.ParamError), (name, value)


def test_numpy_scalars_are_taken_for_those_of_python(client):
    restore(client)
    plain = client.search("c", [[1.0, 2.0]], filter="id > 0", limit=1, offset=1, round_decimal=2,
                          anns_field="vector", output_fields=["id"],
                          search_params={"metric_type": "COSINE", "ef": 8}, timeout=1.5)  # fmt: skip
    found = client.search(
        np.str_("c"), [[1.0, 2.0]], filter=np.str_("id > 0"), limit=np.int64(1),
        offset=np.uint8(1), round_decimal=np.int16(2), anns_field=np.str_("vector"),
        output_fields=[np.str_("id")], timeout=np.float32(1.5),
        search_params={"metric_type": np.str_("cosine"), "ef": np.int32(8)},
    )  # fmt: skip
    assert found == plain
    assert client.hybrid_search("c", [REQUEST], RRFRanker(np.float32(60)), explain=np.True_)
    assert client.query("c", ids=np.array([1, 2]), limit=np.int64(1)) == client.query("c", limit=1)
    assert client.get("c", np.int64(1)) == client.get("c", 1)
    field = FieldSchema(np.str_("x"), DataType.VARCHAR, nullable=np.False_, max_length=np.int64(5))
    assert field == FieldSchema("x", DataType.VARCHAR, nullable=False, max_length=5)
    assert all(type(v).__module__ != "numpy" for v in dataclasses.asdict(field).values())
    options = OpenOptions(np.False_, np.str_("normal"), np.float64(2), np.str_("wal"))
    assert options == OpenOptions(False, "normal", 2.0, "wal")
    with DocumentStore(":memory:", Two(), np.str_("d"), dim=np.int64(2)) as store:
        store.add([np.str_("a")], ids=[np.str_("x")], progress=np.False_)
        hits = store.search(np.str_("a"), np.int8(1), np.str_("dense"), min_relevance=np.float16(0))
        assert [type(hits[0].id), hits[0].id] == [str, "x"]


@pytest.mark.parametrize("timeout", [math.inf, math.nan, 1e300, -1, 10**400, 2**40, "5", True])
def test_a_timeout_is_a_number_of_seconds_that_can_be_waited(timeout, client):
    for call in (
        lambda: MilvusClient(":memory:", timeout=timeout),
        lambda: DocumentStore(":memory:", timeout=timeout),
        lambda: client.query("c", timeout=timeout),
    ):
        found = attempt(call)
        assert isinstance(found, elanus.ParamError)
        assert "timeout must be a number of seconds, got " in str(found)
        assert "from 0 to 2,000,000" in str(found)
