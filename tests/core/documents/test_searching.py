"""Searching documents: modes, relevance, explanations, rankers."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus import (
    AdaptiveRanker,
    CombMNZRanker,
    DocumentStore,
    MinMaxRanker,
    RankedDocument,
    RRFRanker,
    WeightedRanker,
    ZScoreRanker,
)
from elanus.errors import CollectionNotFoundError, FilterError, ParamError
from elanus_embeddings import MiniLMEmbeddingFunction

MODES = ("hybrid", "dense", "text")
RANKERS = (
    None,
    RRFRanker(),
    RRFRanker(k=1),
    RRFRanker(k=10, weights=(3.0, 0.5)),
    WeightedRanker(0.7, 0.3),
    WeightedRanker(1.0, 1.0, norm_score=False),
    WeightedRanker(0.0, 0.0),
    MinMaxRanker(),
    MinMaxRanker(0.2, 3.0),
    ZScoreRanker(),
    ZScoreRanker(1.0, 0.5),
    CombMNZRanker(),
    AdaptiveRanker(0.0),
    AdaptiveRanker(4.0),
)
WORDS = ["red", "kite", "soars", "over", "hills", "owl", "hunts", "mice", "fish", "ice", "the"]


@pytest.fixture(scope="module")
def corpus(request):
    """Sixty documents of random words."""
    embedding = request.getfixturevalue("module_embedding")
    rng = np.random.default_rng(3)
    store = DocumentStore(":memory:", embedding)
    texts = [" ".join(rng.choice(WORDS, rng.integers(1, 12))) for _ in range(60)]
    store.add(texts, [{"n": i} for i in range(60)], [f"d{i:02}" for i in range(60)])
    yield store
    assert store.verify() == []
    store.close()


# --- modes -------------------------------------------------------------------------------------


def test_hybrid_is_the_default_mode(birds):
    assert birds.search("owl mice") == birds.search("owl mice", mode="hybrid")


def test_text_mode_finds_documents_that_hold_a_word_and_no_others(birds):
    assert [h.id for h in birds.search("dives", mode="text")] == ["falcon", "penguin"]
    assert birds.search("zebra", mode="text") == []


def test_dense_mode_gives_exactly_k_documents_by_cosine(birds, embedding):
    query = embedding.encode_queries(["black kite"])[0].astype(np.float64)
    texts = {d.id: d.text for d in birds}
    expected = {
        name: float(np.dot(embedding.encode_documents([text])[0].astype(np.float64), query))
        for name, text in texts.items()
    }
    hits = birds.search("black kite", k=4, mode="dense")
    assert len(hits) == 4
    assert hits[0].id == "elanus"
    assert {h.id: h.score for h in hits} == pytest.approx(
        {h.id: expected[h.id] for h in hits}, abs=1e-6
    )
    assert min(h.score for h in hits) >= sorted(expected.values())[1] - 1e-6


def test_a_hit_carries_the_document_as_it_was_added(birds):
    (hit,) = birds.search("owl", k=1)
    assert isinstance(hit, RankedDocument)
    (document,) = birds.get("owl")
    assert (hit.id, hit.text, hit.metadata) == (document.id, document.text, document.metadata)


def test_a_query_vector_replaces_the_query_text_in_the_dense_leg(birds, embedding):
    calls = embedding.query_calls
    vector = embedding._encode(["The barn owl hunts mice at night."])[0]
    assert birds.search("penguin", k=1, mode="dense", vector=vector)[0].id == "owl"
    for ranker in (RRFRanker(), WeightedRanker(0.5, 0.5), MinMaxRanker()):
        hits = birds.search("penguin", k=2, vector=vector, ranker=ranker)
        assert {h.id for h in hits} == {"owl", "penguin"}
    # The words find one that the vectors contradict: then the words alone decide.
    first, *others = birds.search("penguin", vector=vector, explain=True)
    assert first.id == "penguin"
    assert {leg.score for leg in others[-1].explanation if leg.leg == "text"} == {0.0}
    assert {h.id: h.explanation[0].score for h in [first, *others]}["owl"] == pytest.approx(1.0)
    assert embedding.query_calls == calls


def test_text_mode_embeds_nothing(birds, embedding):
    birds.search("owl", mode="text")
    assert embedding.query_calls == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("k", [1, 3, 1000, 100_000])
def test_k_is_the_most_there_are(birds, mode, k):
    hits = birds.search("kite owl dives", k=k, mode=mode)
    assert len(hits) == min(k, 5)
    assert hits == birds.search("kite owl dives", k=100, mode=mode)[:k]


@pytest.mark.parametrize("mode", MODES)
def test_an_empty_store_answers_nothing(store, mode):
    assert store.search("anything", mode=mode) == []
    assert store.search("anything", mode=mode, filter="a == 1", explain=True) == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "query",
    [
        "",
        " ",
        "\0",
        "?!",
        "words of no document",
        "OR AND NOT",
        'a:b (c) "d" *',
        "' OR 1=1 --",
        "{x}",
        "猛禽 🦅",
        "x" * 50_000,
    ],
)
def test_any_string_is_a_query(birds, mode, query):
    hits = birds.search(query, mode=mode)
    # Words that no document holds are found by nobody; every vector has a cosine.
    assert len(hits) == (0 if mode == "text" else 5)


def test_an_empty_document_is_found_by_filters_and_never_by_words_or_vectors(store):
    store.add(["", "the the", "bird"], ids=["empty", "stop", "bird"])
    assert [h.id for h in store.search("the bird", mode="text")] == ["bird"]
    assert [h.id for h in store.search("the", mode="text")] == ["stop"]
    found = store.search("the bird", mode="dense")
    assert sorted(hit.id for hit in found) == ["bird", "stop"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"query": 5}, "query must be a string"),
        ({"query": None}, "query must be a string"),
        ({"mode": "magic"}, "hybrid, dense, text"),
        ({"mode": None}, "hybrid, dense, text"),
        ({"k": 0}, "k must be an integer of at least 1"),
        ({"k": 2.0}, "k must be an integer"),
        ({"k": True}, "k must be an integer"),
        ({"min_relevance": -0.1}, "from 0 to 1"),
        ({"min_relevance": 1.5}, "from 0 to 1"),
        ({"min_relevance": math.nan}, "from 0 to 1"),
        ({"min_relevance": "0.5"}, "from 0 to 1"),
        ({"ranker": "rrf"}, "ranker must be one of RRFRanker, .*CombMNZRanker, got 'rrf'"),
        ({"ranker": MinMaxRanker(1.0)}, "MinMaxRanker: 1 weights for 2"),
        ({"ranker": CombMNZRanker(1, 2, 3)}, "CombMNZRanker: 3 weights for 2"),
        ({"ranker": WeightedRanker(1.0)}, "1 weights for 2"),
        ({"filter": 5}, "filter must be an expression or a dict"),
    ],
)
def test_a_wrong_argument_is_named(birds, arguments, says):
    with pytest.raises(ParamError, match=says):
        birds.search(**{"query": "bird", **arguments})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("k", [2**61, 2**63 - 1])
def test_any_number_of_documents_can_be_asked_for(birds, mode, k):
    expected = birds.search("bird", k=100, mode=mode)
    assert birds.search("bird", k=k, mode=mode) == expected
    assert len(birds.search_mmr("bird", k=k, mode=mode)) == len(expected)
    assert len(birds.search_mmr("bird", k=100, fetch_k=k, mode=mode)) == len(expected)
    with pytest.raises(
        ParamError, match=f"k must be an integer from 1 to {2**63 - 1}, got {2**63}"
    ):
        birds.search("bird", k=2**63, mode=mode)


@pytest.mark.parametrize("mode", MODES)
def test_a_filter_that_does_not_parse_is_an_error_in_every_mode(birds, mode):
    with pytest.raises(FilterError):
        birds.search("bird", mode=mode, filter="grams >")


# --- relevance ---------------------------------------------------------------------------------


@given(
    query=st.lists(st.sampled_from([*WORDS, "zebra"]), max_size=5).map(" ".join),
    mode=st.sampled_from(MODES),
    ranker=st.sampled_from(RANKERS),
    k=st.integers(1, 80),
)
def test_relevance_is_from_0_to_1_and_falls_with_the_score(corpus, query, mode, ranker, k):
    hits = corpus.search(query, k=k, mode=mode, ranker=ranker)
    assert all(0.0 <= h.relevance <= 1.0 for h in hits)
    assert all(a.score >= b.score for a, b in pairwise(hits))
    if mode != "hybrid" or ranker is None:  # of another fusion the order may be another one
        assert all(a.relevance >= b.relevance for a, b in pairwise(hits))
    assert len({h.id for h in hits}) == len(hits) <= k
    # Equal scores stand in the order of their ids.
    assert all(a.id < b.id for a, b in pairwise(hits) if a.score == b.score)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("k", [1, 4, 60])
def test_relevance_does_not_depend_on_how_many_are_asked_for(corpus, mode, k):
    every = corpus.search("red owl on ice", k=60, mode=mode)
    assert corpus.search("red owl on ice", k=k, mode=mode) == every[:k]


def test_relevance_in_dense_mode_follows_from_cosines_alone(store):
    """Cosines 1, 0 and -1: mean 0, deviation √(2/3), so z = 1.224745 and its opposite.

    Of 30 the third best would have 1.281552 by chance, and the first lags behind that: its log odds
    are -5.94 + 0.64 · 1.224745 - 7.65 · 0.044327. The others are 0 at most: -5.94 - 7.65.
    """
    plus = np.eye(32)[0]
    store.add(
        ["a", "b", "c"], ids=["same", "across", "opposite"], vectors=[plus, np.eye(32)[1], -plus]
    )
    hits = store.search("", mode="dense", vector=plus)
    assert [(h.id, h.score) for h in hits] == [("same", 1.0), ("across", 0.0), ("opposite", -1.0)]
    assert [h.relevance for h in hits] == pytest.approx([0.004089, 1.253e-6, 1.253e-6], rel=1e-3)


def test_relevance_in_text_mode_follows_from_words_alone(open_store):
    """One of four texts holds the word: b = 1 / (1.32 √(3/16)), c = 1 / 2.2, and a whole lead."""
    store = open_store(analyzer="standard")
    store.add(["fox", "owl", "sea", "ice"])
    (hit,) = store.search("fox", mode="text")
    odds = -6.88 + 0.25 * math.log(1 + 1.749546) + math.sqrt(1 / 2.2) * (6.08 + 14.83)
    assert hit.relevance == pytest.approx(1 / (1 + math.exp(-odds)), rel=1e-6)


@pytest.mark.parametrize("mode", ["hybrid", "text"])
def test_unknown_words_make_an_answer_less_relevant(birds, mode):
    surer, doubtful = (
        birds.search(query, k=1, mode=mode)[0].relevance
        for query in ("owl hunts mice", "owl hunts mice in Valparaiso cinemas on Sundays")
    )
    assert surer > 0.95
    assert 1 - doubtful > 10 * (1 - surer)


@pytest.mark.parametrize("mode", MODES)
def test_min_relevance_leaves_out_the_lesser_ones_and_keeps_equal_ones(birds, mode):
    hits = birds.search("kite dives for fish", mode=mode)
    for threshold in (0.0, hits[1].relevance, hits[0].relevance, 1.0):
        kept = birds.search("kite dives for fish", mode=mode, min_relevance=threshold)
        assert kept == [h for h in hits if h.relevance >= threshold]
    assert len(birds.search("kite dives for fish", mode=mode, min_relevance=hits[1].relevance)) >= 2


# --- explanations and rankers ------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_without_explain_a_hit_says_nothing_of_its_legs_and_is_else_the_same(birds, mode):
    plain = birds.search("kite", mode=mode)
    told = birds.search("kite", mode=mode, explain=True)
    assert all(h.explanation == () for h in plain)
    assert all(h.explanation for h in told)
    assert [(h.id, h.score, h.relevance) for h in plain] == [
        (h.id, h.score, h.relevance) for h in told
    ]


@pytest.mark.parametrize("ranker", RANKERS)
def test_contributions_add_up_to_the_score(corpus, ranker):
    for hit in corpus.search("red owl on ice", k=60, ranker=ranker, explain=True):
        assert hit.score == pytest.approx(sum(leg.contribution for leg in hit.explanation))


@pytest.mark.parametrize(("mode", "leg"), [("dense", "dense"), ("text", "text")])
def test_one_leg_explains_its_own_ranking(corpus, mode, leg):
    hits = corpus.search("red owl on ice", k=20, mode=mode, explain=True)
    assert [[e.leg for e in h.explanation] for h in hits] == [[leg]] * len(hits)
    assert [h.explanation[0].rank for h in hits] == list(range(1, len(hits) + 1))
    assert [h.explanation[0].score for h in hits] == [h.score for h in hits]
    # What hybrid mode says of the same documents, but for the trust in vectors.
    both = {h.id: h.explanation for h in corpus.search("red owl on ice", k=60, explain=True)}
    for hit in hits:
        (same,) = (said for said in both[hit.id] if said.leg == leg)
        assert hit.explanation[0].reason == same.reason.split(", trusted")[0]


SAID = {
    RRFRanker(40, (2, 1)): ("2 / (40 + rank {})", "1 / (40 + rank {})"),
    WeightedRanker(0.5, 1): ("weight 0.5 of its COSINE mapped to 0 … 1",
                             "weight 1 of its BM25 mapped to 0 … 1"),
    ZScoreRanker(): ("weight 1 of its COSINE, in deviations from the last hit of 60",
                     "weight 1 of its BM25, in deviations from the last hit of 60"),
    MinMaxRanker(): ("weight 1 of its COSINE, from 0 to 1 between the last hit and the first of 60",
                     "weight 1 of its BM25, from 0 to 1 between the last hit and the first of 60"),
}  # fmt: skip


@pytest.mark.parametrize("ranker", SAID, ids=repr)
def test_every_ranker_says_in_words_what_it_made_of_a_leg(corpus, ranker):
    usual = {h.id: h.explanation for h in corpus.search("red owl on ice", k=60, explain=True)}
    hits = corpus.search("red owl on ice", k=60, ranker=ranker, explain=True, depth=60)
    for hit in hits:
        for said in hit.explanation:
            (same,) = (each for each in usual[hit.id] if each.leg == said.leg)
            rule = SAID[ranker][said.leg == "text"].format(said.rank)
            found = sum(said.leg in {e.leg for e in h.explanation} for h in hits)
            rule = rule.replace("of 60", f"of {found}")
            assert said.reason == f"{rule}; {same.reason.split(', trusted')[0]}"


@pytest.mark.parametrize("ranker", RANKERS)
def test_a_hybrid_explanation_shows_the_scores_and_ranks_of_the_single_searches(corpus, ranker):
    query = "red owl on ice"
    alone = {
        mode: {
            h.id: (rank, h.score)
            for rank, h in enumerate(corpus.search(query, k=100, mode=mode), 1)
        }
        for mode in ("dense", "text")
    }
    tells_all = ranker is None or isinstance(ranker, AdaptiveRanker)
    for hit in corpus.search(query, k=20, explain=True, ranker=ranker):
        found_by = [m for m in alone if hit.id in alone[m]]
        assert [e.leg for e in hit.explanation] == (list(alone) if tells_all else found_by)
        for said in hit.explanation:
            # The text leg gives a text without any of the words 0, and no rank.
            assert (said.rank, said.score) == alone[said.leg].get(hit.id, (None, 0.0))
            assert said.reason


def test_a_document_beyond_the_depth_of_a_leg_is_judged_by_it_all_the_same(corpus):
    query = "red owl on ice"
    cosines = {h.id: h.score for h in corpus.search(query, k=60, mode="dense")}
    hits = corpus.search(query, k=60, explain=True, depth={"dense": 3, "text": 60})
    near = {h.id: h.explanation[0] for h in hits}
    assert [said.rank for said in near.values()].count(None) == len(hits) - 3
    assert {name: said.score for name, said in near.items()} == {n: cosines[n] for n in near}


@pytest.mark.parametrize(
    ("ranker", "k", "weights"),
    [
        (RRFRanker(), 60, (1, 1)),
        (RRFRanker(5), 5, (1, 1)),
        (RRFRanker(60, (2.0, 0.25)), 60, (2, 0.25)),
    ],
)
def test_rrf_is_the_sum_of_reciprocal_ranks(corpus, ranker, k, weights):
    query = "hunts prey at night"
    expected = {}
    for mode, weight in zip(("dense", "text"), weights, strict=True):
        for rank, hit in enumerate(corpus.search(query, k=100, mode=mode), 1):
            expected[hit.id] = expected.get(hit.id, 0.0) + weight / (k + rank)
    order = sorted(expected, key=lambda name: (-expected[name], name))[:10]
    hits = corpus.search(query, k=10, ranker=ranker)
    assert [h.id for h in hits] == order
    assert [h.score for h in hits] == pytest.approx([expected[name] for name in order])


@pytest.mark.parametrize("weights", [(0.7, 0.3), (1.0, 0.0), (0.0, 1.0)])
def test_weighted_is_the_weighted_sum_of_normalised_scores(corpus, weights):
    query = "hunts prey at night"
    expected = dict.fromkeys((d.id for d in corpus), 0.0)
    for hit in corpus.search(query, k=100, mode="dense"):
        expected[hit.id] += weights[0] * (1 + hit.score) / 2
    for hit in corpus.search(query, k=100, mode="text"):
        expected[hit.id] += weights[1] * 2 * math.atan(hit.score) / math.pi
    order = sorted(expected, key=lambda name: (-expected[name], name))[:10]
    hits = corpus.search(query, k=10, ranker=WeightedRanker(*weights))
    assert [h.score for h in hits] == pytest.approx([expected[name] for name in order])


def test_bm25_scores_follow_the_formula(open_store):
    store = open_store(analyzer="standard")
    texts = {"a": "ice ice fish", "b": "ice", "c": "owl mice owl mice owl", "d": "fish"}
    store.add(list(texts.values()), ids=list(texts))
    words = {name: text.split() for name, text in texts.items()}
    average = sum(map(len, words.values())) / 4
    expected = dict.fromkeys("abd", 0.0)
    for term in ("ice", "fish"):
        holding = [name for name in words if term in words[name]]
        idf = math.log(1 + (4 - len(holding) + 0.5) / (len(holding) + 0.5))
        for name in holding:
            tf = words[name].count(term)
            norm = 1.2 * (0.25 + 0.75 * len(words[name]) / average)
            expected[name] += idf * tf * 2.2 / (tf + norm)
    hits = store.search("ice fish", mode="text")
    assert {h.id: h.score for h in hits} == pytest.approx(expected, rel=1e-6)


# --- a real model ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def minilm():
    return MiniLMEmbeddingFunction()


def test_a_real_model_finds_what_shares_no_word_with_the_query(open_store, minilm):
    store = open_store(embedding=minilm)
    store.add(
        [
            "The cat sat on the mat.",
            "Interest rates were raised by the central bank.",
            "Fresh bread needs flour, water, yeast and patience.",
        ],
        ids=["cat", "bank", "bread"],
    )
    assert store.search("baking a loaf", k=1)[0].id == "bread"
    assert store.search("monetary policy", k=1, mode="dense")[0].id == "bank"
    assert store.search("monetary policy", mode="text") == []


def test_a_real_models_vectors_survive_reopening(open_store, minilm, tmp_path):
    file = tmp_path / "kb.db"
    first = open_store(file, minilm)
    first.add(["Kites glide on warm air.", "Owls hunt at night."], ids=["kite", "owl"])
    before = first.search("soaring bird", explain=True)
    first.close()
    assert open_store(file, minilm).search("soaring bird", explain=True) == before


def test_templates_of_an_expression_are_bound(store):
    store.add(["one", "two"], [{"lang": "en"}, {"lang": 'e" or true'}], ["a", "b"])
    bound = {"filter_params": {"x": 'e" or true'}}
    assert [h.id for h in store.search("one two", mode="text", filter="lang == {x}", **bound)] == [
        "b"
    ]
    assert store.count("lang == {x}", **bound) == 1
    assert [d.id for d in store.get(filter="lang == {x}", **bound)] == ["b"]
    assert store.delete(filter="lang == {x}", **bound) == 1
    with pytest.raises(FilterError, match=r"at position 8.*\n  lang == \{x\}\n          \^"):
        store.search("one", filter="lang == {x}")
    with pytest.raises(ParamError, match="a dict binds its own values"):
        store.count({"lang": "en"}, filter_params={"x": 1})


def test_membership_is_by_id(store):
    store.add(["one"], ids=["a"])
    assert "a" in store
    assert "b" not in store
    with pytest.raises(ParamError, match="ask for a string"):
        _ = 5 in store


@pytest.mark.parametrize(
    "wrong",
    [
        *({"query": 5}, {"k": 0}, {"mode": "x"}, {"filter": "a =="}, {"ranker": 5}, {"ids": 5}),
        *({"depth": 0}, {"filter": {"a": 1}, "filter_params": {"b": 1}}),
    ],
    ids=str,
)
def test_a_search_can_be_checked_before_its_query_is_embedded(store, wrong):
    arguments = {"query": "kite", **wrong}
    with pytest.raises(ParamError) as expected:
        store.search(**arguments)
    with pytest.raises(type(expected.value)) as found:
        store.check_search(**arguments)
    assert str(found.value) == str(expected.value)
    store.check_search("kite", 3, "dense", {"a": 1}, RRFRanker(), ids=["a"], depth={"text": 5})


def test_a_search_of_a_dropped_collection_is_refused_before_its_query_is_embedded(store):
    store.client.drop_collection(store.collection)
    with pytest.raises(CollectionNotFoundError):
        store.check_search("kite")


def test_a_lone_surrogate_is_a_query_like_any_other(store):
    store.add(["hello"], ids=["a"])
    assert [hit.id for hit in store.search("hello \ud83d")] == ["a"]


# --- words -----------------------------------------------------------------------------------------


SPOKEN = {
    "hamlet": "To be, or not to be: that is the question.",
    "who": "The Who were heard in London.",
    "café": "Das Café in der Hauptstraße",
    "barn": "An owl is in the barn.",
    "книги": "О книгах и ёлках",
    "كتب": "الكِتَاب على الطاولة",
}


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("To be or not to be", ["hamlet"]),
        ("the who", ["who", "barn", "hamlet"]),
        ("who is the owl?", ["barn"]),
        ("cafe HAUPTSTRASSE", ["café"]),
        ("ｃａｆé", ["café"]),
        ("книга", ["книги"]),
        ("елка", ["книги"]),
        ("كتاب", ["كتب"]),
        ("what is zzqx", []),
    ],
)
def test_words_are_found_in_every_spelling_and_stop_words_if_they_are_all(open_store, query, ids):
    store = open_store()
    store.add(list(SPOKEN.values()), ids=list(SPOKEN))
    assert [hit.id for hit in store.search(query, mode="text")] == ids


@pytest.mark.parametrize(
    ("text", "ids"), [("is the owl", ["barn"]), ("the", ["barn", "hamlet", "who"]), ("", [])]
)
def test_a_text_match_drops_stop_words_as_a_query_does(open_store, text, ids):
    store = open_store()
    store.add(list(SPOKEN.values()), ids=list(SPOKEN))
    rows = store.client.query("documents", filter=f"TEXT_MATCH(text, '{text}')")
    assert [row["id"] for row in rows] == ids
