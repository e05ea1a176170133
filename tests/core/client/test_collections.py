"""Collections, indexes, keys and every data type, in memory, on file, and after a reopen."""

import numpy as np
import pytest

from elanus import CollectionSchema, DataType
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
