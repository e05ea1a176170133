"""The shapes of results: what code written for pymilvus reads from them."""

import copy
import json
import pickle

import numpy as np
import orjson
import pytest
from scipy.sparse import csr_array, csr_matrix

from elanus import AnnSearchRequest, RRFRanker, WeightedRanker
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
            "reason": "1 / (60 + rank 2)",
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
