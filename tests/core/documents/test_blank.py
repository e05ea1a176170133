"""Blank texts are found by metadata and id, and by no search of texts or vectors."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from elanus import AdaptiveRanker, AnnSearchRequest, MilvusClient, RRFRanker
from elanus.engine.upkeep._tasks import BackgroundUpkeep

TEXTS = ["red kite", "", "red kite soars", " \n\t", "kite", "an owl", "\u2003\ufeff\u200b\0"]
IDS = list("abcdefg")
METADATA = [{"n": i} for i in range(len(TEXTS))]
SAID = ["a", "c", "e", "f"]


@pytest.fixture(params=["memory", "file", "again"])
def blank(request, open_store, embedding, tmp_path):
    """A store of four texts and three blank ones; in memory, in a file, or opened a second time."""
    path = ":memory:" if request.param == "memory" else tmp_path / "a.db"
    store = open_store(path, embedding)
    store.add(TEXTS, METADATA, IDS)
    if request.param != "again":
        return store
    store.search("kite")
    store.close()
    return open_store(path, embedding)


def found(hits):
    return sorted(hit.id for hit in hits)


@pytest.mark.parametrize("k", [4, 5, 100])
def test_no_mode_finds_them_however_few_others_there_are(blank, k):
    assert found(blank.search("red kite", k, "dense")) == SAID
    for ranker in (None, RRFRanker(), AdaptiveRanker(9)):
        assert found(blank.search("red kite", k, ranker=ranker)) == SAID
    assert found(blank.search("red kite", k, "text")) == ["a", "c", "e"]
    for mode in ("dense", "hybrid"):
        assert found(blank.search_mmr("red kite", k, mode=mode)) == SAID
        assert found(blank.search(" ", k, mode)) == SAID
        assert found(blank.search("red kite", k, mode, {"n": {"$gte": 2}})) == ["c", "e", "f"]
        assert blank.search("red kite", k, mode, ids=["b", "d"]) == []
        assert found(blank.search("red kite", k, mode, group_by="n")) == SAID
        assert found(blank.search("red kite", k, mode, group_by="none")) == SAID
        assert found(asyncio.run(blank.asearch("red kite", k, mode))) == SAID


def test_what_reads_without_a_search_finds_them(blank):
    assert [each.text for each in blank.get(IDS)] == TEXTS
    assert [each.id for each in blank.get(filter="n in [1, 2, 3]")] == ["b", "c", "d"]
    assert (blank.count({"n": {"$gte": 3}}), len(blank), len(blank.facets("n"))) == (4, 7, 7)
    assert [each.id for each in blank] == IDS


def test_hits_are_those_of_a_store_without_them(blank, open_store, embedding):
    other = open_store(embedding=embedding)
    other.add([TEXTS[IDS.index(i)] for i in SAID], [METADATA[IDS.index(i)] for i in SAID], SAID)
    for mode in ("dense", "hybrid"):
        hits, same = (store.search("red kite", 9, mode) for store in (blank, other))
        assert [hit.id for hit in hits] == [hit.id for hit in same]
        if mode == "dense":
            assert [(h.score, h.relevance) for h in hits] == [(h.score, h.relevance) for h in same]


def test_they_come_and_go(blank):
    blank.add(["a kite", ""], ids=["b", "a"])  # one gets a text, and one loses it
    assert found(blank.search("red kite", 9, "dense")) == ["b", "c", "e", "f"]
    blank.delete(["d", "g", "a"])
    assert found(blank.search("red kite", 9, "dense")) == ["b", "c", "e", "f"]
    blank.delete(["b", "c", "e", "f"])
    assert blank.search("red kite", 9, "dense") == []
    blank.add([" "], ids=["x"])
    assert blank.search("red kite", 9, "dense") == blank.search("red kite", 9) == []


def test_a_vector_decides_and_not_the_text(open_store):
    store = open_store(dim=2)
    store.add(["", "kite", ""], ids=["picture", "zero", "blank"], vectors=[[1, 0], [0, 0], [0, 0]])
    assert found(store.search("", 9, "dense", vector=[1, 1])) == ["picture"]
    assert found(store.search("kite", 9, vector=[1, 1])) == ["picture", "zero"]
    assert found(store.search("", 9, "dense", vector=[0, 0])) == ["picture"]


def test_a_blank_text_is_found_by_its_title(open_store, embedding):
    store = open_store(embedding=embedding, title="title")
    store.add(["", "red kite", ""], [{"title": "Owl"}, {"title": "Kite"}, {}], list("abc"))
    assert found(store.search("owl", 9, "text")) == ["a"]
    assert found(store.search("owl", 9)) == ["a", "b"]
    assert found(store.search("owl", 9, "dense")) == ["b"]


@pytest.mark.parametrize("rows", [1000, 10**9], ids=["graph", "scan"])
def test_a_client_leaves_out_zeros_only_where_hits_are_judged(monkeypatch, rows):
    """As by looking at every row, by a scan and by a graph."""
    changed = replace(BackgroundUpkeep.thresholds, graph_rows=rows, graph_values=0)
    monkeypatch.setattr(BackgroundUpkeep, "thresholds", changed)
    rng, count = np.random.default_rng(7), 6000
    matrix = rng.normal(size=(count, 8)).astype(np.float32)
    matrix[rng.random(count) < 0.4] = 0
    query, odd = np.ones(8, np.float32), np.arange(count) % 2
    cosines = matrix @ query / np.maximum(np.linalg.norm(matrix, axis=1) * np.sqrt(8), 1e-9)
    order = np.argsort(-cosines, kind="stable")
    with MilvusClient(":memory:") as client:
        client.create_collection("c", dimension=8, metric_type="COSINE")
        client.insert("c", {"id": np.arange(count), "vector": matrix, "odd": odd})
        client.load_collection("c")
        for where, allowed in (("", odd >= 0), ("odd == 1", odd == 1)):
            left = [n for n in order.tolist() if allowed[n] and matrix[n].any()]
            leg = AnnSearchRequest([query], "vector", {}, 20, where)
            (hits,) = client.hybrid_search("c", [leg], AdaptiveRanker(), limit=20)
            assert len({hit["id"] for hit in hits} & set(left[:20])) >= 19
            leg = AnnSearchRequest([query], "vector", {}, count, where)
            (every,) = client.hybrid_search("c", [leg], limit=count, relevance=True)
            assert sorted(hit["id"] for hit in every) == sorted(left)
            (unjudged,) = client.hybrid_search("c", [leg], limit=count)
            assert len(unjudged) == np.count_nonzero(allowed)
            (usual,) = client.search("c", [query], where, limit=count)
            assert len(usual) == np.count_nonzero(allowed)


def test_what_cannot_be_seen_is_given_to_no_function(open_store, make_embedding):
    hidden = ["\u200b", "\ufeff", "\0", "\xad", "\u2060\u200d", "\u202e", "\x1f\x85", "\u2029"]
    hidden += ["\ufe0f", "\u3164\uffa0", "\u115f\u1160", "\u034f", "\U000e0100\u180b", "\u2800"]
    seen = ["\u200b.\u200b", "\0kite", "\ue000", "\u0378", "\u0301"]
    given = []

    class Keeping(make_embedding):
        def encode_documents(self, texts):
            given.extend(texts)
            return super().encode_documents(texts)

    store = open_store(embedding=Keeping())
    store.add([*hidden, *seen], ids=list("abcdefghijklmnopqrs"))
    assert given == seen
    assert not any(
        each.vector.any() for each in store.get(list("abcdefghijklmn"), with_vectors=True)
    )
    assert store.sync("source", hidden).embedded == 0
    assert given == seen
    assert found(store.search_mmr("kite", 99, mode="dense")) == ["p"]
