"""The shapes of rows, writes and descriptions: what code written for pymilvus reads."""

import numpy as np
import pytest

from elanus import LoadState, MilvusClient

# --- query and get ---------------------------------------------------------------------------


def test_query_and_get_give_all_fields_by_default(hybrid, hybrid_rows):
    expected = [dict(row) for row in hybrid_rows]
    expected[0]["weights"] = {0: 1.0}
    for row in expected:
        row["weights"] = pytest.approx(row["weights"])
    assert hybrid.query("docs") == expected
    assert hybrid.get("docs", [0, 10]) == expected[:2]
    assert hybrid.query("docs", output_fields=[]) == expected


def test_rows_of_query_and_get_always_carry_their_key(hybrid):
    assert hybrid.get("docs", 20, output_fields=["size"]) == [{"doc": 20, "size": 2}]
    assert hybrid.query("docs", "size == 2", output_fields=["colour"]) == [
        {"doc": 20, "colour": "blue"}
    ]


def test_get_follows_the_order_of_the_keys_and_leaves_missing_ones_out(hybrid):
    def get(ids):
        return [row["doc"] for row in hybrid.get("docs", ids, output_fields=["doc"])]

    assert get([40, 7, 0, 20]) == [40, 0, 20]
    assert get([20, 20]) == [20]
    assert get(30) == [30]
    assert get(np.int64(30)) == [30]
    assert get(np.array([50, 10])) == [50, 10]
    assert get((10, 0)) == [10, 0]
    assert get([7]) == []
    assert get([]) == []


def test_query_pages_in_the_order_of_the_keys(hybrid):
    hybrid.upsert("docs", {"doc": -5, "vector": [0, 1], "weights": {}, "body": ""})

    def query(**options):
        return [row["doc"] for row in hybrid.query("docs", output_fields=["doc"], **options)]

    assert query() == [-5, 0, 10, 20, 30, 40, 50]
    assert query(limit=2) == [-5, 0]
    assert query(limit=2, offset=5) == [40, 50]
    assert query(offset=6) == [50]
    assert query(limit=-1, offset=5) == [40, 50]
    assert query(limit=100) == query()
    assert query(filter="size > 1", limit=1, offset=1) == [30]


def test_query_by_ids_pages_and_counts_too(hybrid):
    ids = [50, 7, 10, 30]
    assert [r["doc"] for r in hybrid.query("docs", ids=ids)] == [50, 10, 30]
    assert [r["doc"] for r in hybrid.query("docs", ids=ids, limit=1, offset=1)] == [10]
    assert hybrid.query("docs", ids=ids, output_fields=["count(*)"]) == [{"count(*)": 3}]


def test_filter_params_fill_templates(hybrid):
    def count(expression, **params):
        (row,) = hybrid.query("docs", expression, output_fields=["count(*)"], filter_params=params)
        return row["count(*)"]

    assert count("size in {sizes}", sizes=[1, 2, 99]) == 2
    assert count("colour == {name}", name="re\"d'") == 0
    assert count("colour == {name}", name="red") == 2
    assert count("text_match(body, {words})", words="fox") == 2


def test_count_follows_writes(hybrid):
    def count(expression=""):
        return hybrid.query("docs", expression, output_fields=["count(*)"])

    assert count() == [{"count(*)": 6}]
    assert count("size > 3") == [{"count(*)": 2}]
    hybrid.delete("docs", filter="size > 3")
    assert count() == [{"count(*)": 4}]
    assert hybrid.get_collection_stats("docs") == {"row_count": 4}


# --- writes ----------------------------------------------------------------------------------


def test_shapes_of_writes(client):
    client.create_collection("c", dimension=2)
    rows = [{"id": 5, "vector": [1, 0]}, {"id": 3, "vector": [0, 1]}]
    assert client.insert("c", rows) == {"insert_count": 2, "ids": [5, 3], "cost": 0}
    assert client.insert("c", rows[0]) == {"insert_count": 1, "ids": [5], "cost": 0}
    assert client.upsert("c", rows) == {"upsert_count": 2, "ids": [5, 3], "cost": 0}
    assert client.delete("c", ids=[5, 99]) == {"delete_count": 1, "cost": 0}
    assert client.delete("c", pks=3) == {"delete_count": 1, "cost": 0}
    assert client.delete("c", filter="id > 0") == {"delete_count": 0, "cost": 0}
    assert client.insert("c", []) == {"insert_count": 0, "ids": [], "cost": 0}
    assert client.query("c") == []


def test_a_key_given_twice_in_one_batch_keeps_the_last_row(client):
    client.create_collection("c", dimension=2)
    rows = [{"id": 1, "vector": [i, 1], "n": i} for i in range(3)]
    assert client.insert("c", rows)["ids"] == [1, 1, 1]
    assert client.query("c", output_fields=["n"]) == [{"id": 1, "n": 2}]


def test_an_insert_of_an_existing_key_replaces_the_whole_row(client):
    client.create_collection("c", dimension=2)
    client.insert("c", {"id": 1, "vector": [1, 0], "old": True})
    client.insert("c", {"id": 1, "vector": [0, 1], "new": True})
    assert client.query("c") == [{"id": 1, "vector": [0.0, 1.0], "new": True}]
    assert client.search("c", [[0, 1]])[0][0].distance == pytest.approx(1.0)


def test_search_before_any_row_and_after_all_are_deleted(hybrid):
    hybrid.truncate_collection("docs")
    for field, query in (("vector", [1.0, 0.0]), ("weights", {1: 1.0}), ("terms", "red")):
        assert hybrid.search("docs", [query], anns_field=field) == [[]]
    assert hybrid.query("docs") == []


# --- descriptions ----------------------------------------------------------------------------


def test_describe_collection_has_pymilvus_keys(hybrid):
    described = hybrid.describe_collection("docs")
    assert described.keys() == {
        "collection_name", "auto_id", "num_shards", "description", "fields", "functions",
        "aliases", "collection_id", "consistency_level", "consistency_level_name", "properties",
        "num_partitions", "enable_dynamic_field", "created_timestamp",
    }  # fmt: skip
    key, vector, weights, body, terms = described["fields"]
    assert key["name"] == "doc"
    assert key["is_primary"] is True
    assert key["auto_id"] is False
    assert vector["params"] == {"dim": 2}
    assert vector["type"].name == "FLOAT_VECTOR"
    assert body["params"] == {
        "max_length": 20_000, "enable_analyzer": True, "enable_match": True
    }  # fmt: skip
    assert terms["is_function_output"] is True
    assert "is_function_output" not in weights
    (function,) = described["functions"]
    assert function["name"] == "bm25"
    assert function["input_field_names"] == ["body"]
    assert function["output_field_names"] == ["terms"]


def test_describe_index_has_pymilvus_keys(hybrid):
    assert hybrid.describe_index("docs", "weights") == {
        "index_type": "SPARSE_INVERTED_INDEX",
        "metric_type": "IP",
        "field_name": "weights",
        "index_name": "weights",
        "params": {},
        "total_rows": 6,
        "indexed_rows": 6,
        "pending_index_rows": 0,
        "state": "Finished",
    }


def test_a_missing_index_is_none(hybrid):
    assert hybrid.describe_index("docs", "no_such") is None


def test_list_indexes_of_a_collection_and_of_a_field(hybrid):
    assert hybrid.list_indexes("docs") == ["vector", "weights", "terms"]
    assert hybrid.list_indexes("docs", "terms") == ["terms"]
    assert hybrid.list_indexes("docs", field_name="body") == []


def test_load_states(hybrid):
    assert repr(hybrid.get_load_state("docs")) == "{'state': <LoadState: Loaded>}"
    hybrid.release_collection("docs")
    assert hybrid.get_load_state("docs") == {"state": LoadState.NotLoad}
    hybrid.load_collection("docs")
    assert hybrid.get_load_state("docs")["state"] is LoadState.Loaded
    hybrid.release_collection("docs")
    hybrid.refresh_load("docs")
    assert hybrid.get_load_state("docs")["state"] is LoadState.Loaded
    assert hybrid.get_load_state("none") == {"state": LoadState.NotExist}


def test_a_released_collection_is_still_searched(hybrid):
    before = hybrid.search("docs", ["red"], anns_field="terms")
    hybrid.release_collection("docs")
    assert hybrid.search("docs", ["red"], anns_field="terms") == before


def test_calls_without_a_result_return_none_or_a_number(hybrid):
    assert hybrid.flush("docs") is None
    assert hybrid.compact("docs") == 0
    assert hybrid.get_server_version().startswith("elanus ")
    assert repr(hybrid).startswith("MilvusClient(")


def test_a_backup_holds_the_same_rows(file_client, tmp_path):
    file_client.create_collection("c", dimension=2)
    file_client.insert("c", [{"id": 1, "vector": [1, 2]}])
    file_client.backup(tmp_path / "copy.db")
    with MilvusClient(tmp_path / "copy.db") as copied:
        assert copied.query("c") == file_client.query("c")
        assert copied.verify() == []
