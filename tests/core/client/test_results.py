"""The shapes of results: what code written for pymilvus reads from them."""

import copy
import json
import pickle

import numpy as np
import orjson
import pytest
from scipy.sparse import csr_array, csr_matrix

from elanus import AnnSearchRequest, LoadState, MilvusClient, RRFRanker, WeightedRanker
from elanus.client import Hit

QUERY = [1.0, 0.0]  # "docs" holds [1, i], so that row 0 is nearest and the others follow


def keys_of(hits):
    return [hit.id for hit in hits]


def as_json(result):
    # Sparse vectors have integers as keys, as in pymilvus; JSON has only text.
    assert json.loads(json.dumps(result)) == orjson.loads(
        orjson.dumps(result, option=orjson.OPT_NON_STR_KEYS)
    )
    return json.loads(json.dumps(result))


# --- hits ------------------------------------------------------------------------------------


def search_one(client, **options):
    return client.search("docs", [QUERY], anns_field="vector", limit=1, **options)[0][0]


def test_a_hit_is_keyed_by_the_name_of_the_primary_key(hybrid):
    hit = search_one(hybrid, output_fields=["colour"])
    assert dict(hit) == {
        "doc": 0,
        "distance": pytest.approx(1.0),
        "entity": {"colour": "red"},
    }
    assert "id" not in hit


def test_fields_of_a_hit_are_reached_as_items_and_as_attributes(hybrid):
    hit = search_one(hybrid, output_fields=["colour", "body"])
    assert hit["colour"] == hit.colour == hit.get("colour") == hit.entity["colour"] == "red"
    assert hit["body"] == hit.body == hit.fields["body"] == "red fox"
    assert hit["doc"] == hit.doc == hit.id == hit.pk == 0
    assert hit["distance"] == hit.distance == hit.score
    assert hit.entity.get("colour") == "red"


def test_what_a_hit_lacks_is_an_error_or_the_default(hybrid):
    hit = search_one(hybrid, output_fields=["colour"])
    with pytest.raises(KeyError, match="body"):
        hit["body"]
    with pytest.raises(AttributeError, match="no field 'body'"):
        _ = hit.body
    assert hit.get("body") is None
    assert hit.get("body", 5) == 5
    assert not hasattr(hit, "body")


def test_hits_are_plain_lists_and_dicts_that_copy_pickle_and_serialise(hybrid):
    found = hybrid.search("docs", [QUERY], anns_field="vector", output_fields=["*"])
    assert type(found) is list
    assert type(found[0]) is list
    assert isinstance(found[0][0], dict)
    assert isinstance(found[0][0], Hit)
    assert copy.deepcopy(found) == found
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301  # our own bytes
    assert as_json(found)[0][0]["entity"]["vector"] == [1.0, 0.0]


@pytest.mark.parametrize("fields", [None, ["*"], ["vector", "weights"], ["size"]])
def test_every_result_serialises(hybrid, fields):
    requests = [
        AnnSearchRequest([QUERY], "vector", {}, 5),
        AnnSearchRequest(["red fox"], "terms", {}, 5),
    ]
    results = {
        "insert": hybrid.insert("docs", []),
        "upsert": hybrid.upsert("docs", []),
        "delete": hybrid.delete("docs", ids=[]),
        "query": hybrid.query("docs", output_fields=fields),
        "get": hybrid.get("docs", [10, 20], output_fields=fields),
        "count": hybrid.query("docs", output_fields=["count(*)"]),
        "search": hybrid.search("docs", ["red"], anns_field="terms", output_fields=fields),
        "hybrid": hybrid.hybrid_search("docs", requests, output_fields=fields, explain=True),
        "describe": hybrid.describe_collection("docs"),
        "index": hybrid.describe_index("docs", "vector"),
        "indexes": hybrid.list_indexes("docs"),
        "names": hybrid.list_collections(),
        "stats": hybrid.get_collection_stats("docs"),
        "state": hybrid.get_load_state("docs"),
        "version": hybrid.get_server_version(),
    }
    assert as_json(results)["count"] == [{"count(*)": 6}]


# --- search ----------------------------------------------------------------------------------


def test_search_gives_key_and_distance_only_by_default(hybrid):
    for hit in hybrid.search("docs", [QUERY], anns_field="vector")[0]:
        assert hit.keys() == {"doc", "distance", "entity"}
        assert hit["entity"] == {}


def test_a_star_gives_all_fields_vectors_and_flattened_dynamic_keys(hybrid, hybrid_rows):
    hit = search_one(hybrid, output_fields=["*"])
    expected = {**hybrid_rows[0], "weights": {0: 1.0}}  # zeros are left out of sparse vectors
    assert hit["entity"] == expected


def test_the_meta_field_means_all_dynamic_keys(hybrid):
    assert search_one(hybrid, output_fields=["$meta"])["entity"] == {"colour": "red", "size": 0}


def test_a_dynamic_key_that_a_row_lacks_is_left_out(hybrid):
    hybrid.insert("docs", {"doc": 99, "vector": [9, -9], "weights": {}, "body": "", "own": 1})
    (row,) = hybrid.get("docs", 99, output_fields=["colour", "own"])
    assert row == {"doc": 99, "own": 1}


def test_offset_and_limit_cut_the_same_ranking(hybrid):
    def search(**options):
        return keys_of(hybrid.search("docs", [QUERY], anns_field="vector", **options)[0])

    assert search() == [0, 10, 20, 30, 40, 50]
    assert search(limit=2) == [0, 10]
    assert search(limit=2, offset=3) == [30, 40]
    assert search(limit=2, search_params={"offset": 3}) == [30, 40]
    assert search(limit=10, offset=5) == [50]
    assert search(limit=10, offset=6) == []
    assert search(limit=16_384) == [0, 10, 20, 30, 40, 50]


def test_hybrid_search_pages_the_fused_ranking(hybrid):
    requests = [
        AnnSearchRequest([QUERY], "vector", {}, 6),
        AnnSearchRequest(["red fox"], "terms", {}, 6),
    ]
    whole = hybrid.hybrid_search("docs", requests, RRFRanker(), limit=6)[0]
    pages = [
        hybrid.hybrid_search("docs", requests, RRFRanker(), limit=2, offset=at)[0]
        for at in (0, 2, 4, 6)
    ]
    assert [hit for page in pages for hit in page] == whole
    assert len(whole) == 6


def test_round_decimal_rounds_the_distances(hybrid):
    hits = hybrid.search("docs", [[1.0, 0.3]], anns_field="vector", round_decimal=2)[0]
    assert [hit.distance for hit in hits] == [round(hit.distance, 2) for hit in hits]
    # cos((1, 0.3), (1, 1)) = 1.3 / sqrt(1.09 * 2)
    assert {hit.id: hit.distance for hit in hits}[10] == pytest.approx(0.88)


def test_l2_is_the_squared_distance_and_smaller_is_better(client):
    client.create_collection("c", dimension=2, metric_type="L2")
    client.insert("c", [{"id": i, "vector": [i, 0]} for i in range(4)])
    hits = client.search("c", [[3, 1]], limit=4)[0]
    assert [(h.id, h.distance) for h in hits] == [(3, 1.0), (2, 2.0), (1, 5.0), (0, 10.0)]


MANY = [[1.0, 0.0], [1.0, 5.0], [0.0, 1.0]]
FORMS = {
    "lists": MANY,
    "tuple of tuples": tuple(map(tuple, MANY)),
    "arrays": [np.array(q) for q in MANY],
    "float32 arrays": [np.array(q, dtype=np.float32) for q in MANY],
    "matrix": np.array(MANY),
    "float32 matrix": np.array(MANY, dtype=np.float32),
    "float16 matrix": np.array(MANY, dtype=np.float16),
    "integer matrix": np.array(MANY, dtype=np.int64),
    "column-major matrix": np.asfortranarray(MANY),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_many_dense_queries_at_once_in_any_form(hybrid, form):
    one_by_one = [hybrid.search("docs", [q], anns_field="vector")[0] for q in MANY]
    assert hybrid.search("docs", form, anns_field="vector") == one_by_one
    assert [keys_of(hits)[0] for hits in one_by_one] == [0, 50, 50]


@pytest.mark.parametrize("single", [QUERY, tuple(QUERY), np.array(QUERY)], ids=type)
def test_one_bare_vector_is_one_query(hybrid, single):
    assert hybrid.search("docs", single, anns_field="vector") == hybrid.search(
        "docs", [QUERY], anns_field="vector"
    )


SPARSE = [{1: 1.0, 100: 0.5}, {4: 2.0}, {7: 1.0}]
MATRIX = np.zeros((3, 101), dtype=np.float32)
for _row, _vector in enumerate(SPARSE):
    MATRIX[_row, list(_vector)] = list(_vector.values())
SPARSE_FORMS = {
    "dicts": SPARSE,
    "pairs": [list(v.items()) for v in SPARSE],
    "csr matrix": csr_matrix(MATRIX),
    "csr array": csr_array(MATRIX),
    "csr rows": [csr_matrix(row) for row in MATRIX],
    "csr array rows": [csr_array(row[None, :]) for row in MATRIX],
    "coo matrix": csr_matrix(MATRIX).tocoo(),
}


@pytest.mark.parametrize("form", SPARSE_FORMS.values(), ids=SPARSE_FORMS)
def test_many_sparse_queries_at_once_in_any_form(hybrid, form):
    found = hybrid.search("docs", form, anns_field="weights", limit=3)
    scores = [[(h.id, pytest.approx(h.distance)) for h in hits] for hits in found]
    # Row i holds {i: 1, 100: i / 10}: only rows that share an index with the query are found.
    assert scores[0] == [(10, 1.05), (50, 0.25), (40, 0.2)]
    assert scores[1] == [(40, 2.0)]
    assert scores[2] == []


def test_many_texts_at_once(hybrid):
    found = hybrid.search("docs", ["red", "whale", "nothing"], anns_field="terms")
    assert sorted(keys_of(found[0])) == [0, 10, 30]
    assert keys_of(found[0])[0] == 10  # "red red wolf"
    assert keys_of(found[1]) == [20]
    assert found[2] == []
    assert hybrid.search("docs", "whale", anns_field="terms") == [found[1]]
    assert hybrid.search("docs", np.array(["red", "whale"]), anns_field="terms") == found[:2]


@pytest.mark.parametrize("field", ["vector", "weights", "terms"])
def test_no_queries_give_no_results(hybrid, field):
    assert hybrid.search("docs", [], anns_field=field) == []
    assert hybrid.hybrid_search("docs", [AnnSearchRequest([], field, {}, 3)]) == []


def test_a_filter_keeps_the_number_of_hits(hybrid):
    hits = hybrid.search(
        "docs", [QUERY], anns_field="vector", filter="size >= {low}", filter_params={"low": 2},
        limit=3,
    )[0]  # fmt: skip
    assert keys_of(hits) == [20, 30, 40]


def test_explain_tells_what_each_leg_gave(hybrid):
    requests = [
        AnnSearchRequest([QUERY], "vector", {}, 2),
        AnnSearchRequest(["whale"], "terms", {}, 2),
    ]
    hits = hybrid.hybrid_search("docs", requests, RRFRanker(60), explain=True)[0]
    by_key = {hit["doc"]: hit["explanation"] for hit in hits}
    assert by_key[10] == [
        {
            "leg": "vector",
            "score": pytest.approx(2**-0.5),
            "rank": 2,
            "contribution": pytest.approx(1 / 62),
        }
    ]
    assert [leg["leg"] for leg in by_key[20]] == ["terms"]
    for hit in hits:
        assert hit.distance == pytest.approx(sum(x["contribution"] for x in hit["explanation"]))
    plain = hybrid.hybrid_search("docs", requests, RRFRanker(60))[0]
    assert all("explanation" not in hit for hit in plain)


def test_a_weighted_hybrid_search_follows_milvus_formula(hybrid):
    requests = [AnnSearchRequest([[1.0, 1.0]], "vector", {}, 6)]
    hits = hybrid.hybrid_search("docs", requests, WeightedRanker(0.5))[0]
    for hit in hits:
        i = hit["doc"] / 10
        cosine = (1 + i) / np.sqrt(2 * (1 + i * i))
        assert hit.distance == pytest.approx(0.5 * (1 + cosine) / 2, rel=1e-6)


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
    for field, query in (("vector", QUERY), ("weights", {1: 1.0}), ("terms", "red")):
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
