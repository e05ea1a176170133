"""``hybrid_search(group_by=…)`` against the whole ranking, of which each group's first is kept."""

from __future__ import annotations

import numpy as np
import pytest

from elanus import AnnSearchRequest, DataType, MilvusClient, ParamError, RRFRanker, WeightedRanker
from elanus.errors import CollectionNotFoundError

N, DIM = 600, 4
VALUES = ["a", "b", 1, 1.0, 1.5, True, False, None, [1], {"x": 1}, "1", 2**60, float(2**60)]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(7)
    vectors = rng.normal(size=(N, DIM)).astype(np.float32)
    made = []
    for i in range(N):
        value = VALUES[rng.integers(len(VALUES))]
        meta = {} if i % 97 == 0 else {"in": {"of": value}, "of": f"s{int(rng.integers(40) ** 2)}"}
        made.append({"id": i, "vector": vectors[i], "other": vectors[-i], "meta": meta, "n": i % 5})
    return made


@pytest.fixture(scope="module")
def client(rows):
    with MilvusClient(":memory:") as client:
        schema = client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
        schema.add_field("other", DataType.FLOAT_VECTOR, dim=DIM)
        schema.add_field("meta", DataType.JSON)
        schema.add_field("n", DataType.INT64)
        client.create_collection("c", schema=schema)
        client.insert("c", rows)
        client.delete("c", filter="id % 11 == 3")
        yield client
        assert client.verify() == []


def group_of(row, path):
    """What a row is put together with; itself where nothing counts as a value."""
    value = row
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if value is None or isinstance(value, list | dict):
        return "alone", row["id"]
    return isinstance(value, bool), isinstance(value, str), value


def best_of_each(hits, rows, path):
    firsts = {}
    for hit in hits:
        firsts.setdefault(group_of(rows[hit["id"]], path), (hit["id"], hit["distance"]))
    return list(firsts.values())


def leg(field, seed, limit):
    return AnnSearchRequest(
        np.random.default_rng(seed).normal(size=(3, DIM)).astype(np.float32), field, {}, limit
    )


@pytest.mark.parametrize("path", [("meta", "of"), ("meta", "in", "of"), ("n",), ("id",)])
@pytest.mark.parametrize("where", ["", "id > 300", "n == 2", "id < 0"])
def test_the_best_of_each_group_is_found_however_deep_it_lies(client, rows, path, where):
    common = {"filter": where, "ranker": WeightedRanker(1.0, norm_score=False)}
    whole = client.hybrid_search("c", [leg("vector", 1, N)], limit=N, **common)
    expected = [best_of_each(hits, rows, path) for hits in whole]
    for k in (1, 4, 12, 45, N):
        found = client.hybrid_search(
            "c", [leg("vector", 1, 5)], limit=k, group_by=list(path), **common
        )
        assert [[(h["id"], h["distance"]) for h in hits] for hits in found] == [
            each[:k] for each in expected
        ]
    page = client.hybrid_search(
        "c", [leg("vector", 1, 5)], limit=3, offset=2, group_by=list(path), **common
    )
    assert [[h["id"] for h in hits] for hits in page] == [
        [id_ for id_, _ in each[2:5]] for each in expected
    ]


@pytest.mark.parametrize("ranker", [RRFRanker(), WeightedRanker(0.3, 0.7)])
def test_fused_hits_are_grouped_in_the_ranking_of_the_depth_that_sufficed(client, rows, ranker):
    for k in (2, 20, 44):
        found = client.hybrid_search(
            "c", [leg("vector", 1, 6), leg("other", 2, 4)], ranker, k,
            group_by=["meta", "of"], relevance=True, explain=True,
        )  # fmt: skip
        for query, hits in enumerate(found):
            for power in range(8):
                legs = [leg("vector", 1, 6 * 4**power), leg("other", 2, 4 * 4**power)]
                whole = client.hybrid_search(
                    "c", legs, ranker, 2 * N, relevance=True, explain=True
                )[query]
                firsts = [id_ for id_, _ in best_of_each(whole, rows, ("meta", "of"))]
                if len(firsts) >= k:
                    break
            said = {hit["id"]: hit for hit in whole}
            assert len(hits) == k
            assert hits == [said[id_] for id_ in firsts[:k]]


def test_a_query_is_grouped_alike_alone_and_among_others(client):
    together = client.hybrid_search("c", [leg("vector", 4, 5)], limit=30, group_by=["meta", "of"])
    for number, hits in enumerate(together):
        alone = leg("vector", 4, 5)
        alone.data = alone.data[number : number + 1]
        assert client.hybrid_search("c", [alone], limit=30, group_by=["meta", "of"]) == [hits]


def test_groups_that_no_leg_can_reach_are_not_waited_for(client):
    legs = [leg("vector", 1, 2)]
    legs[0].expr = "n == 2"
    found = client.hybrid_search("c", legs, limit=5, group_by="n")
    assert [len(hits) for hits in found] == [1, 1, 1]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("vector", "field 'vector' holds vectors"),
        ("nn", "no field 'nn'; fields: id, vector, other, meta, n; did you mean 'n'?"),
        (["n", "x"], "field 'n' is of type INT64"),
        ([], "no field ''"),
        (["meta", 2**63], "path: a position must be an integer up to 9223372036854775807, got 9"),
        (
            ["meta", 10**5000],
            "path: a position must be an integer up to 9223372036854775807, got a",
        ),
        (["meta", -1], "path must be a list of keys and positions"),
        ([5], "group_by must be a scalar field, or a list of a JSON field"),
        (5, "group_by must be a scalar field, or a list of a JSON field"),
    ],
)
def test_what_cannot_make_groups_is_refused(client, given, says):
    with pytest.raises(ParamError, match=says.replace("?", "\\?")):
        client.hybrid_search("c", [leg("vector", 1, 2)], group_by=given)
    with pytest.raises(CollectionNotFoundError):
        client.hybrid_search("missing", [leg("vector", 1, 2)], group_by="n")
