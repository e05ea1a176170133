"""Every data type, by every form of input, from the same client and after a reopen."""

import math
import struct

import numpy as np
import pytest
from scipy.sparse import coo_matrix, csr_array, csr_matrix, dok_matrix

from elanus import CollectionSchema, DataType, Function, FunctionType
from elanus.errors import (
    ParamError,
)

INT64 = 2**63


def simple_schema(dim=2, **options):
    schema = CollectionSchema(**options)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    return schema


def before_and_after(client, reopened):
    """The client as it is, then one on the file opened afresh."""
    yield client
    yield reopened()


# --- data types ------------------------------------------------------------------------------


def float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


LARGEST = float(np.finfo(np.float32).max)
DOUBLES = [0.0, -0.0, 0.1, 1e308, -1e308, 5e-324, 2**53 + 1, 1, -7]
INTEGERS = {
    DataType.INT8: 7,
    DataType.INT16: 15,
    DataType.INT32: 31,
    DataType.INT64: 63,
}
JSON_VALUES = [
    {}, [], None, True, 0, INT64 - 1, -INT64, 0.1, "", "文", {"a": {"b": [1, None, {"c": []}]}},
    [[[]]], {"": 0, " ": 1, "a.b": 2, '"': 3}, {"long": "x" * 100_000}, 1e-300,
]  # fmt: skip
TEXTS = ["", "a", "x" * 300, "字" * 100, "🦊" * 75, "a\0b", "\u202eright", "\u00e9 e\u0301", "\r\n"]

VALUES = {
    DataType.BOOL: [True, False, np.True_, np.False_],
    DataType.FLOAT: [0.0, 0.1, -0.1, LARGEST, -LARGEST, 1e-45, 3, np.float32(0.3), np.int8(4)],
    DataType.DOUBLE: [*DOUBLES, np.float64(0.2), np.float32(0.2), np.float16(0.5)],
    DataType.VARCHAR: [*TEXTS, np.str_("numpy")],
    DataType.JSON: JSON_VALUES,
    **{
        kind: [0, 1, -1, 2**bits - 1, -(2**bits), np.int8(-7), np.uint8(100)]
        for kind, bits in INTEGERS.items()
    },
}


def expected(kind, value):
    if value is None:
        return None
    if kind is DataType.FLOAT:
        return float32(float(value))
    if kind is DataType.DOUBLE:
        return float(value)
    if kind is DataType.BOOL:
        return bool(value)
    return value if kind is DataType.JSON else value.item() if hasattr(value, "item") else value


def same(found, wanted):
    """Equal, also in type and sign of zero."""
    if isinstance(wanted, float):
        return (
            type(found) is float
            and found == wanted
            and math.copysign(1, found) == math.copysign(1, wanted)
        )
    return type(found) is type(wanted) and found == wanted


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.name)
def test_scalars_come_back_exactly_from_the_same_client_and_after_a_reopen(reopened, kind):
    schema = simple_schema()
    options = {"max_length": 300} if kind is DataType.VARCHAR else {}
    schema.add_field("value", kind, nullable=True, **options)
    client = reopened()
    client.create_collection("c", schema=schema)
    values = [*VALUES[kind], None]
    client.insert("c", [{"id": i, "vector": [1, 0], "value": v} for i, v in enumerate(values)])
    client.insert("c", {"id": 999, "vector": [1, 0]})
    wanted = [*(expected(kind, v) for v in values), None]
    for opened in before_and_after(client, reopened):
        found = [row["value"] for row in opened.query("c", output_fields=["value"])]
        assert len(found) == len(wanted)
        assert [(f, w) for f, w in zip(found, wanted, strict=True) if not same(f, w)] == []


def test_dynamic_values_come_back_exactly(reopened):
    client = reopened()
    client.create_collection("c", dimension=2)
    values = [*JSON_VALUES, np.float64(0.5), np.int16(3), np.bool_(True), (1, (2, "x"))]
    values.append(np.arange(3))
    rows = [{"id": i, "vector": [1, 0], "any key ✓": v} for i, v in enumerate(values)]
    client.insert("c", rows)
    wanted = [*JSON_VALUES, 0.5, 3, True, [1, [2, "x"]], [0, 1, 2]]
    found = [row["any key ✓"] for row in reopened().query("c", output_fields=["any key ✓"])]
    assert found == wanted
    assert [type(f) for f in found] == [type(w) for w in wanted]


ELEMENTS = {k: v for k, v in VALUES.items() if k is not DataType.JSON}


@pytest.mark.parametrize("kind", ELEMENTS, ids=lambda kind: kind.name)
def test_arrays_of_every_element_type_come_back_exactly(reopened, kind):
    schema = simple_schema()
    options = {"max_length": 300} if kind is DataType.VARCHAR else {}
    schema.add_field(
        "value", DataType.ARRAY, element_type=kind, max_capacity=20, nullable=True, **options
    )
    client = reopened()
    client.create_collection("c", schema=schema)
    values = ELEMENTS[kind]
    plain = [v for v in values if not isinstance(v, np.generic)]
    arrays = [values, tuple(values), [], values[:1], values[:1] * 20, None, np.array(plain[:2])]
    client.insert("c", [{"id": i, "vector": [1, 0], "value": a} for i, a in enumerate(arrays)])
    wanted = [a if a is None else [expected(kind, v) for v in a] for a in arrays]
    for opened in before_and_after(client, reopened):
        rows = opened.query("c", output_fields=["value"])
        for found, array in zip((row["value"] for row in rows), wanted, strict=True):
            assert (found is None) == (array is None)
            if array is not None:
                assert all(map(same, found, array))
                assert len(found) == len(array)


def test_defaults_fill_what_is_missing_or_none(reopened):
    schema = simple_schema()
    defaults = {
        "b": (DataType.BOOL, np.False_, False),
        "i": (DataType.INT8, np.int64(-3), -3),
        "zero": (DataType.INT64, 0, 0),
        "f": (DataType.FLOAT, 0.1, float32(0.1)),
        "d": (DataType.DOUBLE, np.float64(0.1), 0.1),
        "s": (DataType.VARCHAR, "", ""),
        "j": (DataType.JSON, {"a": (1, 2)}, {"a": [1, 2]}),
    }
    for name, (kind, given, _) in defaults.items():
        schema.add_field(name, kind, default_value=given)
    schema.add_field("n", DataType.INT64, nullable=True)
    client = reopened()
    client.create_collection("c", schema=schema)
    client.create_collection("c", schema=schema)
    rows = [{"id": 1, "vector": [1, 0]}, {"id": 2, "vector": [1, 0], **dict.fromkeys(defaults)}]
    client.insert("c", rows)
    wanted = {name: value for name, (_, _, value) in defaults.items()} | {"n": None}
    client = reopened()
    for row in client.query("c", output_fields=[*wanted]):
        del row["id"]
        assert row == wanted
    assert client.describe_collection("c")["fields"][3]["default_value"] == -3


VECTORS = [
    [1, 2, 3],
    (1.5, -2.5, 0.1),
    np.array([0.1, 0.2, 0.3]),
    np.array([1, 2, 3], dtype=np.int16),
    np.array([0.5, 0.25, 0.125], dtype=np.float16),
    np.array([LARGEST, -LARGEST, 1e-45]),
    [0.0, -0.0, 0.0],
    [np.float32(0.1), 2, np.int64(3)],
]


def test_dense_vectors_come_back_in_single_precision(reopened):
    client = reopened()
    client.create_collection("c", schema=simple_schema(dim=3))
    client.insert("c", [{"id": i, "vector": v} for i, v in enumerate(VECTORS)])
    for opened in before_and_after(client, reopened):
        for row in opened.query("c"):
            wanted = [float32(float(x)) for x in VECTORS[row["id"]]]
            assert all(map(same, row["vector"], wanted))
            assert len(row["vector"]) == 3


SPARSE = [
    {1: 0.5, 7: 1.0},
    {7: 1.0, 1: 0.5},
    {np.int64(1): np.float32(0.5), 7: 1},
    [(1, 0.5), (7, 1.0)],
    [[7, 1.0], [1, 0.5]],
    csr_matrix(([0.5, 1.0], ([0, 0], [1, 7])), shape=(1, 9)),
    csr_array(([0.5, 1.0], ([0, 0], [1, 7])), shape=(1, 2**32 - 1)),
    coo_matrix(([0.25, 0.25, 1.0], ([0, 0, 0], [1, 1, 7])), shape=(1, 9)),
    dok_matrix(csr_matrix(([0.5, 1.0], ([0, 0], [1, 7])), shape=(1, 9))),
    {1: 0.5, 3: 0.0, 7: 1.0},
]


def test_sparse_vectors_in_any_form_come_back_as_the_same_dict(reopened):
    schema = CollectionSchema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("weights", DataType.SPARSE_FLOAT_VECTOR, nullable=True)
    client = reopened()
    client.create_collection("c", schema=schema)
    special = [{}, {2**32 - 2: 1.0}, {0: -3.5}, None]
    values = [*SPARSE, *special]
    client.insert("c", [{"id": i, "weights": v} for i, v in enumerate(values)])
    for opened in before_and_after(client, reopened):
        found = [row["weights"] for row in opened.query("c")]
        assert found == [{1: 0.5, 7: 1.0}] * len(SPARSE) + special
        hits = opened.search("c", [{7: 2.0}], anns_field="weights", limit=50)[0]
        assert [(h.id, h.distance) for h in hits] == [(i, 2.0) for i in range(len(SPARSE))]


def test_null_vectors_are_never_found(reopened):
    schema = simple_schema()
    schema.add_field("maybe", DataType.FLOAT_VECTOR, dim=2, nullable=True)
    client = reopened()
    client.create_collection("c", schema=schema)
    rows = [{"id": i, "vector": [1, 0], "maybe": None if i % 2 else [1, i]} for i in range(6)]
    client.insert("c", [*rows, {"id": 7, "vector": [1, 0]}])
    for opened in before_and_after(client, reopened):
        hits = opened.search("c", [[0, 0]], anns_field="maybe", search_params={"metric_type": "L2"})
        assert [h.id for h in hits[0]] == [0, 2, 4]
        assert opened.get("c", [1, 2]) == [
            {"id": 1, "vector": [1.0, 0.0], "maybe": None},
            {"id": 2, "vector": [1.0, 0.0], "maybe": [1.0, 2.0]},
        ]


def test_everything_is_there_after_a_reopen(reopened, hybrid_schema, hybrid_rows):
    client = reopened()
    params = client.prepare_index_params()
    params.add_index("vector", "HNSW", "dense", metric_type="COSINE", params={"M": 8})
    params.add_index("terms", "AUTOINDEX", metric_type="BM25", params={"bm25_b": 0.5})
    client.create_collection("docs", schema=hybrid_schema, index_params=params)
    client.create_collection("other", dimension=4)
    client.insert("docs", hybrid_rows)
    client.upsert("docs", {**hybrid_rows[1], "body": "a red panda"})
    client.delete("docs", filter='colour == "grey"')

    def everything(opened):
        return {
            "names": opened.list_collections(),
            "described": opened.describe_collection("docs"),
            "indexes": [opened.describe_index("docs", n) for n in opened.list_indexes("docs")],
            "rows": opened.query("docs"),
            "dense": opened.search("docs", [[1, 2]], anns_field="vector", output_fields=["*"]),
            "text": opened.search("docs", ["red panda"], anns_field="terms"),
            "sparse": opened.search("docs", [{100: 1}], anns_field="weights"),
            "filtered": opened.query("docs", 'text_match(body, "red") and size < 3'),
        }

    before = everything(client)
    assert [hit.id for hit in before["text"][0]] == [10, 0, 30]
    assert len(before["rows"]) == 5
    assert everything(reopened()) == before
    assert everything(reopened()) == before


def test_a_function_filled_field_is_not_given_back(client):
    schema = CollectionSchema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("t", DataType.VARCHAR, enable_analyzer=True)
    schema.add_field("s", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(Function("f", FunctionType.BM25, "t", "s"))
    client.create_collection("c", schema=schema)
    client.insert("c", {"id": 1, "t": "x"})
    assert client.query("c") == [{"id": 1, "t": "x"}]
    with pytest.raises(ParamError, match="'s' is filled by a function"):
        client.query("c", output_fields=["s"])
