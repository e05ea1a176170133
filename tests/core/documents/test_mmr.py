"""Maximal marginal relevance: the choice itself, and the search that makes it."""

from __future__ import annotations

import math

import judging
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus import DocumentStore, RRFRanker, WeightedRanker
from elanus.errors import EmbeddingMismatchError, FilterError, ParamError
from elanus.query import mmr

MODES = ("hybrid", "dense", "text")


vectors = st.integers(1, 5).flatmap(
    lambda dim: st.lists(
        st.tuples(
            st.floats(-5, 5), st.lists(st.floats(-3, 3, width=32), min_size=dim, max_size=dim)
        ),
        min_size=1,
        max_size=12,
    )
)


@given(vectors, st.integers(1, 14), st.floats(0, 1))
def test_every_choice_is_one_that_the_formula_allows(rows, k, lambda_mult):
    relevances, candidates = zip(*rows, strict=True)
    order = mmr(np.array(relevances), np.array(candidates, np.float32), k, lambda_mult)
    assert sorted(set(order)) == sorted(order)
    assert len(order) == min(k, len(candidates))
    for done, choice in enumerate(order):
        found = judging.worths(relevances, candidates, order[:done], lambda_mult)
        assert found[choice] >= max(w for w in found if w is not None) - 1e-9


def test_random_vectors_give_the_naive_choice():
    rng = np.random.default_rng(5)
    for lambda_mult in (0.0, 0.25, 0.5, 0.9, 1.0):
        matrix = rng.normal(size=(40, 16)).astype(np.float32)
        relevances = rng.uniform(-1, 1, 40)
        expected = judging.mmr(relevances.tolist(), matrix.tolist(), 40, lambda_mult)
        assert mmr(relevances, matrix, 40, lambda_mult) == expected


@pytest.mark.parametrize("dim", [1, 7, 384])
def test_of_equal_candidates_the_first_is_taken(dim):
    rng = np.random.default_rng(dim)
    kinds = rng.normal(size=(3, dim)).astype(np.float32)
    which = rng.integers(0, 3, 50)
    matrix, relevances = kinds[which], np.array([1.0, 0.4, 0.7])[which]
    order = mmr(relevances, matrix, 50, 0.5)
    for kind in range(3):
        places = [i for i in order if which[i] == kind]
        assert places == sorted(places)


def test_lambda_weighs_relevance_against_variety():
    relevances = np.array([1.0, 0.99, 0.6])
    candidates = np.array([[1, 0], [1, 0.01], [0.6, 0.8]], np.float32)
    assert mmr(relevances, candidates, 2, 1.0) == [0, 1]
    assert mmr(relevances, candidates, 2, 0.3) == [0, 2]


def test_the_first_is_the_most_relevant_wherever_it_stands():
    candidates = np.eye(3, dtype=np.float32)
    assert mmr(np.array([0.1, 0.2, 0.9]), candidates, 3, 0.5) == [2, 1, 0]
    assert mmr(np.array([0.1, 0.2, 0.9]), candidates, 1, 0.0) == [2]


@pytest.mark.parametrize("mode", ["dense", "hybrid"])
def test_a_blank_text_is_never_chosen_for_being_unlike_all_others(embedding, mode):
    with DocumentStore(":memory:", embedding) as store:
        store.add(["red kite", "", "red kite soars", " \n", "kite", "an owl"], ids=list("abcdef"))
        for lambda_mult in (0, 0.5, 1):
            found = store.search_mmr("red kite", 4, 6, lambda_mult, mode)
            assert sorted(hit.id for hit in found) == ["a", "c", "e", "f"]
        assert store.search_mmr("red kite", mode=mode, ids=["b"]) == []


def test_zero_vectors_and_no_candidates_are_no_error():
    assert mmr(np.zeros(2), np.zeros((2, 3), np.float32), 5, 0.5) == [0, 1]
    assert mmr(np.zeros(0), np.zeros((0, 3), np.float32), 5, 0.5) == []


# --- in a store --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus(request):
    embedding = request.getfixturevalue("module_embedding")
    rng = np.random.default_rng(3)
    words = ["red", "kite", "soars", "over", "hills", "owl", "hunts", "mice", "fish", "ice"]
    store = DocumentStore(":memory:", embedding)
    texts = [" ".join(rng.choice(words, rng.integers(1, 8))) for _ in range(60)]
    store.add(texts, [{"n": i} for i in range(60)], [f"d{i:02}" for i in range(60)])
    yield store
    assert store.verify() == []
    store.close()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lambda_mult", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("ranker", [None, RRFRanker(), WeightedRanker(0.3, 0.7)])
def test_the_choice_is_made_among_the_first_of_the_ranking(corpus, mode, lambda_mult, ranker):
    query, where = "red owl on ice", "n < 50"
    pool = corpus.search(
        query, k=20, mode=mode, filter=where, explain=True, with_vectors=True, depth=100,
        ranker=ranker,
    )  # fmt: skip
    vectors = [hit.vector.tolist() for hit in pool]
    scores = [hit.score for hit in pool]
    if mode != "dense":
        scores = judging.spread_out(scores)
    expected = [pool[i] for i in judging.mmr(scores, vectors, 5, lambda_mult)]
    found = corpus.search_mmr(
        query, k=5, fetch_k=20, lambda_mult=lambda_mult, mode=mode, filter=where, explain=True,
        ranker=ranker,
    )  # fmt: skip
    assert found == expected
    assert [h.vector.tolist() for h in found] == [h.vector.tolist() for h in expected]
    vector = corpus.embedding.encode_queries([query])[0]
    assert corpus.search_mmr(query, 5, 20, lambda_mult, mode, where, ranker, vector=vector) == [
        without_explanation(hit) for hit in found
    ]


def test_where_all_score_alike_variety_alone_decides(open_store):
    store = open_store(dim=3)
    vectors = [[1, 0, 0], [1, 0.1, 0], [0, 1, 0], [0, 0.1, 1]]
    store.add(["red kite"] * 4, ids=list("abcd"), vectors=vectors)
    found = store.search_mmr("kite", k=4, mode="text", lambda_mult=0.9)
    relevances = judging.spread_out([hit.score for hit in found])
    assert relevances == [1.0] * 4
    chosen = judging.mmr(relevances, vectors, 4, 0.9)
    assert [hit.id for hit in found] == ["abcd"[i] for i in chosen] == list("acdb")


def without_explanation(hit):
    return type(hit)(hit.id, hit.text, hit.metadata, hit.score, hit.relevance)


def test_in_dense_mode_lambda_one_is_the_plain_search(corpus):
    plain = corpus.search("kite over ice", k=8, mode="dense")
    found = corpus.search_mmr("kite over ice", k=8, lambda_mult=1.0, mode="dense")
    assert [h.score for h in found] == pytest.approx([h.score for h in plain], abs=1e-6)


@pytest.mark.parametrize(("mode", "share"), [("dense", 0.5), ("hybrid", 0.3), ("text", 0.3)])
def test_copies_of_one_text_do_not_crowd_the_answer(store, mode, share):
    store.add(["the red kite soars"] * 10 + ["a red owl", "one red fish on ice"])
    plain = store.search("red kite", k=3, mode=mode)
    assert {h.text for h in plain} == {"the red kite soars"}
    varied = store.search_mmr("red kite", k=3, lambda_mult=share, mode=mode)
    assert len({h.text for h in varied}) == 3


def test_text_mode_embeds_nothing_and_needs_no_model(birds, embedding, open_store):
    assert [h.id for h in birds.search_mmr("dives", k=5, mode="text")] == ["falcon", "penguin"]
    assert embedding.query_calls == 0
    store = open_store(dim=2)
    store.add(["red kite", "red owl"], ids=["kite", "owl"], vectors=np.eye(2))
    assert {h.id for h in store.search_mmr("red", mode="text")} == {"kite", "owl"}
    for mode in ("hybrid", "dense"):
        with pytest.raises(EmbeddingMismatchError, match="give the vectors"):
            store.search_mmr("red", mode=mode)


def test_a_small_fetch_k_still_gives_k(corpus):
    assert len(corpus.search_mmr("owl", k=12, fetch_k=3)) == 12
    assert len(corpus.search_mmr("owl", k=1000)) == 60


def test_the_query_is_embedded_once(birds, embedding):
    birds.search_mmr("owl", k=2)
    assert embedding.query_calls == 1


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"k": 0}, ParamError, "k must be"),
        ({"fetch_k": 0}, ParamError, "fetch_k must be"),
        ({"lambda_mult": 1.5}, ParamError, "lambda_mult must be a number from 0 to 1"),
        ({"lambda_mult": None}, ParamError, "lambda_mult"),
        ({"lambda_mult": math.nan}, ParamError, "lambda_mult"),
        ({"mode": "magic"}, ParamError, "mode"),
        ({"filter": "n =="}, FilterError, "expected"),
        ({"ranker": "rrf"}, ParamError, "ranker"),
    ],
)
def test_a_wrong_argument_is_an_error_before_anything_is_embedded(
    birds, embedding, arguments, error, says
):
    with pytest.raises(error, match=says):
        birds.search_mmr("owl", **arguments)
    assert embedding.query_calls == 0


def test_every_mode_needs_vectors(open_store):
    store = open_store()
    store.add(["an owl"])
    with pytest.raises(EmbeddingMismatchError, match="holds no vectors"):
        store.search_mmr("owl", mode="text")


def test_an_empty_store_answers_nothing(store):
    assert store.search_mmr("owl") == []
