"""Collections, indexes, keys and every data type, in memory, on file, and after a reopen."""

import math
import struct

import numpy as np
import pytest
from scipy.sparse import coo_matrix, csr_array, csr_matrix, dok_matrix

from elanus import CollectionSchema, DataType, Function, FunctionType, MilvusClient
from elanus.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    ParamError,
)

INT64 = 2**63


def simple_schema(dim=2, **options):
    schema = CollectionSchema(**options)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    return schema


@pytest.fixture
def reopened(tmp_path):
    """A function that opens the same file afresh each time."""
    clients = []

    def open_again():
        for client in clients:
            client.close()
        clients.append(MilvusClient(tmp_path / "again.db"))
        return clients[-1]

    yield open_again
    assert clients[-1].verify() == []
    clients[-1].close()


def before_and_after(client, reopened):
    """The client as it is, then one on the file opened afresh."""
    yield client
    yield reopened()


# --- creating --------------------------------------------------------------------------------


def test_the_quick_form_makes_key_vector_index_and_dynamic_fields(client):
    client.create_collection("c", dimension=3)
    described = client.describe_collection("c")
    assert [(f["name"], f["type"].name) for f in described["fields"]] == [
        ("id", "INT64"),
        ("vector", "FLOAT_VECTOR"),
    ]
    assert described["enable_dynamic_field"] is True
    index = client.describe_index("c", "vector")
    assert (index["index_type"], index["metric_type"]) == ("AUTOINDEX", "COSINE")


def test_the_quick_form_takes_names_types_and_metric(client):
    client.create_collection(
        "c", 2, primary_field_name="key", id_type="string", vector_field_name="emb",
        metric_type="L2", max_length=3, enable_dynamic_field=False,
    )  # fmt: skip
    client.insert("c", {"key": "abc", "emb": [1, 2]})
    assert client.get("c", "abc") == [{"key": "abc", "emb": [1.0, 2.0]}]
    assert client.describe_index("c", "emb")["metric_type"] == "L2"
    assert client.describe_collection("c")["enable_dynamic_field"] is False


@pytest.mark.parametrize("kind", ["int", "integer", DataType.INT64])
def test_the_quick_form_takes_every_spelling_of_an_integer_key(client, kind):
    client.create_collection("c", dimension=2, id_type=kind)
    assert client.describe_collection("c")["fields"][0]["type"] is DataType.INT64


def test_creating_the_same_collection_again_does_nothing(client):
    client.create_collection("c", dimension=2)
    client.insert("c", {"id": 1, "vector": [1, 0]})
    client.create_collection("c", dimension=2)
    assert client.get_collection_stats("c") == {"row_count": 1}
    client.create_collection("d", schema=simple_schema())
    client.create_collection("d", schema=simple_schema())


@pytest.mark.parametrize(
    "options",
    [
        {"analyzer_params": {}},
        {"analyzer_params": None},
        {"analyzer_params": {"tokenizer": "standard", "filter": ("lowercase",)}},
        {"analyzer_params": {"type": "english", "stop_words": {"b", "a"}}},
        {"analyzer_params": '{"type": "english"}'},
        {"max_length": "20"},
        {"default_value": ""},
        {"nullable": True},
        {"mmap_enabled": True},
    ],
    ids=str,
)
def test_a_schema_equals_itself_after_it_was_stored(client, options):
    for _ in range(2):
        schema = simple_schema()
        schema.add_field("text", DataType.VARCHAR, enable_analyzer=True, **options)
        client.create_collection("c", schema=schema)
    assert client.list_collections() == ["c"]


def test_another_schema_under_the_same_name_is_an_error(client):
    client.create_collection("c", dimension=2)
    for change in ({"dimension": 3}, {"dimension": 2, "id_type": "string"}):
        with pytest.raises(CollectionExistsError, match="collection 'c' exists with another"):
            client.create_collection("c", **change)
    assert client.describe_collection("c")["fields"][1]["params"] == {"dim": 2}


def test_properties_and_descriptions_are_kept(reopened):
    client = reopened()
    client.create_collection(
        "c", schema=simple_schema(description="what it is"),
        properties={"collection.ttl.seconds": 60, "n": np.int64(3)},
    )  # fmt: skip
    described = reopened().describe_collection("c")
    assert described["description"] == "what it is"
    assert described["properties"] == {"collection.ttl.seconds": 60, "n": 3}


# --- listing, dropping, renaming, truncating -------------------------------------------------


def test_has_list_and_drop(client):
    assert client.list_collections() == []
    assert client.has_collection("b") is False
    for name in ("b", "a", "名前"):
        client.create_collection(name, dimension=2)
    assert client.list_collections() == ["a", "b", "名前"]
    assert client.has_collection("名前") is True
    client.drop_collection("b")
    client.drop_collection("b")
    assert client.list_collections() == ["a", "名前"]


def test_a_dropped_collection_made_again_is_empty(client):
    for expected in ([[2]], [[7]]):
        client.create_collection("c", dimension=2)
        assert client.query("c") == []
        client.insert("c", {"id": expected[0][0], "vector": [1, 1]})
        found = client.search("c", [[1, 1]])
        assert [[hit.id for hit in hits] for hits in found] == expected
        client.drop_collection("c")
    with pytest.raises(CollectionNotFoundError):
        client.query("c")


def test_rename_moves_rows_and_indexes(reopened):
    client = reopened()
    client.create_collection("old", dimension=2)
    client.create_collection("taken", dimension=2)
    client.insert("old", {"id": 1, "vector": [1, 0]})
    with pytest.raises(CollectionExistsError, match="taken"):
        client.rename_collection("old", "taken")
    with pytest.raises(CollectionNotFoundError, match="none"):
        client.rename_collection("none", "new")
    client.rename_collection("old", "new")
    for opened in before_and_after(client, reopened):
        assert opened.list_collections() == ["new", "taken"]
        assert opened.search("new", [[1, 0]])[0][0].id == 1
        assert opened.list_indexes("new") == ["vector"]


def test_truncate_keeps_schema_and_indexes(reopened, hybrid_schema, hybrid_rows):
    client = reopened()
    client.create_collection("c", schema=hybrid_schema)
    client.insert("c", hybrid_rows)
    client.search("c", ["red"], anns_field="terms")
    client.truncate_collection("c")
    assert client.get_collection_stats("c") == {"row_count": 0}
    client.insert("c", hybrid_rows[2])
    for opened in before_and_after(client, reopened):
        assert [h.id for h in opened.search("c", ["whale"], anns_field="terms")[0]] == [20]
        assert opened.search("c", ["red"], anns_field="terms") == [[]]
        assert opened.query("c", output_fields=["count(*)"]) == [{"count(*)": 1}]


def test_collections_do_not_see_each_other(client):
    for number in range(3):
        client.create_collection(f"c{number}", dimension=2)
        client.insert(f"c{number}", [{"id": i, "vector": [1, i]} for i in range(number)])
    assert [client.get_collection_stats(f"c{n}")["row_count"] for n in range(3)] == [0, 1, 2]


# --- indexes ---------------------------------------------------------------------------------


def test_indexes_are_created_described_and_dropped(reopened):
    client = reopened()
    client.create_collection("c", schema=simple_schema())
    assert client.list_indexes("c") == []
    client.insert("c", [{"id": i, "vector": [i, 1]} for i in range(4)])
    params = client.prepare_index_params("vector", metric_type="L2", index_name="by_distance")
    client.create_index("c", params)
    client.create_index("c", params)
    opened = reopened()
    assert opened.list_indexes("c") == ["by_distance"]
    assert opened.describe_index("c", "by_distance")["metric_type"] == "L2"
    assert [h.id for h in opened.search("c", [[3, 1]], limit=2)[0]] == [3, 2]
    with pytest.raises(ParamError, match="'by_distance' already"):
        opened.create_index("c", opened.prepare_index_params("vector", metric_type="IP"))
    opened.drop_index("c", "by_distance")
    opened.drop_index("c", "by_distance")
    assert opened.list_indexes("c") == []
    opened.create_index("c", opened.prepare_index_params("vector", metric_type="IP"))
    assert opened.search("c", [[2, 0]], limit=1)[0][0].distance == 6.0


def test_a_field_without_index_is_searched_by_any_metric(client):
    client.create_collection("c", schema=simple_schema())
    client.insert("c", [{"id": i, "vector": [i, 1]} for i in range(1, 4)])

    def best(metric):
        return client.search("c", [[1, 1]], limit=1, search_params={"metric_type": metric})[0][0].id

    assert (best("L2"), best("IP"), best("COSINE")) == (1, 3, 1)


@pytest.mark.parametrize("form", ["params", "plain", "mixed"])
def test_index_parameters_are_read_nested_and_plain(client, form):
    options = {
        "params": {"params": {"M": 8, "efConstruction": 50}},
        "plain": {"M": 8, "efConstruction": 50},
        "mixed": {"M": 8, "params": {"efConstruction": 50}},
    }[form]
    client.create_collection("c", schema=simple_schema())
    client.create_index("c", client.prepare_index_params("vector", index_type="HNSW", **options))
    described = client.describe_index("c", "vector")
    assert described["params"] == {"M": 8, "efConstruction": 50}
    assert described["index_type"] == "HNSW"


# --- keys ------------------------------------------------------------------------------------


def test_generated_integer_keys_are_unique_and_never_used_again(reopened):
    client = reopened()
    client.create_collection("c", dimension=2, auto_id=True)
    rows = [{"vector": [1, i]} for i in range(3)]
    seen = client.insert("c", rows)["ids"]
    client.upsert("c", {"id": 1000, "vector": [0, 1]})
    seen += client.insert("c", rows)["ids"]
    client.delete("c", ids=seen)
    seen += client.insert("c", rows)["ids"]
    client = reopened()
    client.truncate_collection("c")
    seen += client.insert("c", rows)["ids"]
    seen += client.upsert("c", rows)["ids"]
    assert len(set(seen)) == 15
    assert 1000 not in seen
    assert all(type(key) is int and key > 0 for key in seen)


def test_upsert_with_generated_and_given_keys_in_one_batch(client):
    client.create_collection("c", dimension=2, auto_id=True)
    (first,) = client.insert("c", {"vector": [1, 0]})["ids"]
    keys = client.upsert(
        "c", [{"vector": [1, 1]}, {"id": first, "vector": [9, 9]}, {"id": 50, "vector": [2, 2]}]
    )["ids"]
    assert keys[1:] == [first, 50]
    assert len(set(keys)) == 3
    assert client.get("c", first)[0]["vector"] == [9.0, 9.0]
    assert client.get_collection_stats("c") == {"row_count": 3}
    assert client.insert("c", {"vector": [0, 1]})["ids"][0] > 50


def test_generated_text_keys_are_unique_and_fit(reopened):
    client = reopened()
    client.create_collection("c", dimension=2, id_type="string", auto_id=True)
    keys = client.insert("c", [{"vector": [1, i]} for i in range(200)])["ids"]
    keys += client.upsert("c", [{"vector": [2, 2]}, {"id": "mine", "vector": [3, 3]}])["ids"]
    assert keys[-1] == "mine"
    assert len(set(keys)) == 202
    assert all(type(key) is str for key in keys)
    client = reopened()
    assert client.get("c", keys[7], output_fields=["vector"])[0]["vector"] == [1.0, 7.0]
    assert client.delete("c", ids=keys[:100])["delete_count"] == 100


@pytest.mark.parametrize(
    "key", [0, -1, 1, INT64 - 1, -INT64, np.int8(5), np.int64(6), np.uint32(2**32 - 1)], ids=repr
)
def test_integer_keys_over_the_whole_range(reopened, key):
    client = reopened()
    client.create_collection("c", dimension=2)
    assert client.insert("c", {"id": key, "vector": [1, 0]})["ids"] == [int(key)]
    client = reopened()
    assert [row["id"] for row in client.get("c", key)] == [int(key)]
    assert client.query("c", f"id == {int(key)}", output_fields=["id"]) == [{"id": int(key)}]
    assert client.search("c", [[1, 0]])[0][0].id == int(key)
    assert client.delete("c", ids=[key])["delete_count"] == 1


HOSTILE_KEYS = [
    "it's", 'say "x"', "back\\slash", "", " ", "a\0b", "日本", "e\u0301", "\u00e9", "🦊", "%_",
    "'; DROP TABLE rows; --", "NULL", "1", "line\nbreak", "\u202eabc", "x" * 65_535,
]  # fmt: skip


def test_text_keys_may_be_any_text(reopened):
    client = reopened()
    client.create_collection("c", dimension=2, id_type="string")
    rows = [{"id": k, "vector": [1, i], "n": i} for i, k in enumerate(HOSTILE_KEYS)]
    assert client.insert("c", rows)["ids"] == HOSTILE_KEYS
    client = reopened()
    for number, key in enumerate(HOSTILE_KEYS):
        assert client.get("c", key, output_fields=["n"]) == [{"id": key, "n": number}]
        found = client.query("c", "id == {key}", output_fields=["n"], filter_params={"key": key})
        assert [row["n"] for row in found] == [number]
    keys = [row["id"] for row in client.query("c", output_fields=["id"])]
    assert keys == sorted(HOSTILE_KEYS)
    assert client.delete("c", ids=HOSTILE_KEYS)["delete_count"] == len(HOSTILE_KEYS)


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
