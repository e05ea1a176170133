"""Adaptive fusion and relevance in a store, against their formulas, whatever its history."""

from __future__ import annotations

import math
from itertools import pairwise
from uuid import uuid4

import judging
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from elanus import AdaptiveRanker, DocumentStore, RRFRanker

DIM = 5
DIRECTIONS = np.random.default_rng(11).standard_normal((12, DIM)).astype(np.float32)
VECTORS = [[0.0] * DIM, *DIRECTIONS.tolist()]
WORDS = ["red", "sea", "fox", "ice", "owl", "kite"]
MODES = ("hybrid", "dense", "text")

texts = st.lists(st.sampled_from(WORDS), max_size=7).map(" ".join)
queries = st.lists(st.sampled_from([*WORDS, *WORDS, "zebra", "gnu"]), max_size=5).map(" ".join)
vectors = st.sampled_from(VECTORS)
names = st.sampled_from([f"d{i:02}" for i in range(30)])
documents = st.tuples(names, texts, vectors, st.integers(0, 5))
searches = st.fixed_dictionaries(
    {
        "query": queries,
        "vector": vectors,
        "mode": st.sampled_from(["hybrid", "hybrid", "dense", "text"]),
        "k": st.sampled_from([1, 3, 50]),
        "depth": st.sampled_from([None, None, 2, {"dense": 3}, {"text": 1, "dense": 7}]),
        "least": st.sampled_from([None, None, 2, 5, 6]),
        "ids": st.none() | st.lists(names, max_size=12),
        "weight": st.sampled_from([None, None, 0.0, 2.5]),
    }
)


def judged(model, *, query, vector, mode, k, depth, least, ids):
    """What the legs of a search know.

    The model is a dict of (text, vector, n) by id.
    """
    allowed = {
        key for key, (_, _, n) in model.items()
        if (least is None or n >= least) and (ids is None or key in ids)
    }  # fmt: skip
    deep = dict.fromkeys(("dense", "text"), max(100, 4 * k) if mode == "hybrid" else max(40, k))
    if mode == "hybrid" and depth is not None:
        deep |= depth if isinstance(depth, dict) else dict.fromkeys(deep, depth)
    words = {key: text.split() for key, (text, _, _) in model.items()}
    points = {key: point for key, (_, point, _) in model.items()}
    legs = []
    if mode != "text":
        legs.append(judging.dense_leg(points, vector, deep["dense"], allowed))
    if mode != "dense":
        legs.append(judging.text_leg(words, query.split(), deep["text"], allowed))
    return legs


def odds(relevance):
    """Log odds: by how much the evidence differs, wherever the probability stands."""
    return math.log(relevance / (1 - relevance))


def check(store, model, weight=None, **asked):
    """A search of the store equals the formulas."""
    legs = judged(model, **asked)
    mode, k, least, ids = (asked[name] for name in ("mode", "k", "least", "ids"))
    if mode == "hybrid":
        verdict = judging.adaptive(legs, 1.1 if weight is None else weight)
        scores = verdict.scores
    else:
        (leg,) = legs
        scores = {key: leg.scores[key] for key in leg.hits}
    hits = store.search(
        asked["query"], k, mode, vector=None if mode == "text" else asked["vector"], ids=ids,
        filter=None if least is None else {"n": {"$gte": least}},
        depth=asked["depth"], ranker=None if weight is None else AdaptiveRanker(weight),
        explain=True,
    )  # fmt: skip
    # Squares of cosines are added up in float32: the less they vary, the less is known of it.
    spread = min((leg.deviation for leg in legs if not leg.is_text), default=1.0)
    rough = min(max(1e-4, 3e-7 / spread**2), 1e-2)
    near = {"rel": rough, "abs": rough}
    wanted = sorted(scores.values(), reverse=True)[:k]
    assert [hit.score for hit in hits] == pytest.approx(wanted, **near)
    assert {hit.id: hit.score for hit in hits} == pytest.approx(
        {hit.id: scores[hit.id] for hit in hits}, **near
    )
    relevances = judging.relevance(legs) if scores else {}
    assert {hit.id: odds(hit.relevance) for hit in hits} == pytest.approx(
        {hit.id: odds(relevances[hit.id]) for hit in hits}, abs=min(100 * rough, 0.3)
    )
    for a, b in pairwise(hits):
        assert a.score > b.score or (a.score == b.score and a.id < b.id)
        assert a.relevance >= b.relevance or weight is not None
    for hit in hits:
        said = {leg.leg: leg for leg in hit.explanation}
        assert sum(leg.contribution for leg in said.values()) == pytest.approx(hit.score)
        for name, leg in zip(said, legs, strict=True):
            assert said[name].score == pytest.approx(leg.scores[hit.id], rel=1e-6, abs=1e-6)
            place = leg.hits.index(hit.id) + 1 if hit.id in leg.hits else None
            assert said[name].rank == place


class Histories(RuleBasedStateMachine):
    """Documents come, change and go, the file is opened anew, and every search is as it should."""

    def __init__(self, folder):
        super().__init__()
        self.path = folder / f"{uuid4().hex}.db"
        self.store = DocumentStore(self.path, dim=DIM, analyzer="standard", durability="normal")
        self.model = {}

    def teardown(self):
        try:
            assert self.store.verify() == []
        finally:
            self.store.close()

    @rule(added=st.lists(documents, min_size=1, max_size=12))
    def add(self, added):
        latest = {name: rest for name, *rest in added}
        self.store.add(
            [text for text, _, _ in latest.values()], [{"n": n} for _, _, n in latest.values()],
            list(latest), [vector for _, vector, _ in latest.values()],
        )  # fmt: skip
        self.model |= {name: tuple(rest) for name, rest in latest.items()}

    @rule(gone=st.lists(names, max_size=10))
    def delete(self, gone):
        self.store.delete(gone)
        self.model = {name: rest for name, rest in self.model.items() if name not in gone}

    @rule(n=st.integers(0, 5))
    def delete_by_filter(self, n):
        self.store.delete(filter={"n": n})
        self.model = {name: rest for name, rest in self.model.items() if rest[2] != n}

    @rule()
    def reopen(self):
        self.store.close()
        self.store = DocumentStore(self.path, durability="normal")

    @rule(asked=searches)
    def search(self, asked):
        check(self.store, self.model, **asked)

    @invariant()
    def finds_by_both(self):
        check(
            self.store, self.model, query="red fox zebra", vector=VECTORS[3], mode="hybrid",
            k=5, depth=None, least=None, ids=None,
        )  # fmt: skip


def test_searches_are_as_the_formulas_say_after_any_history(tmp_path):
    most = settings().max_examples
    run_state_machine_as_test(
        lambda: Histories(tmp_path),
        settings=settings(max_examples=most // 2, stateful_step_count=15),
    )


# --- a larger store -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(4)
    return {
        f"d{i:03}": (
            " ".join(rng.choice(WORDS, rng.integers(0, 9))), VECTORS[i % 13], int(rng.integers(6))
        )
        for i in range(300)
    }  # fmt: skip


@pytest.fixture(scope="module")
def large(model):
    with DocumentStore(":memory:", dim=DIM, analyzer="standard") as store:
        given_texts, points, numbers = zip(*model.values(), strict=True)
        store.add(given_texts, [{"n": n} for n in numbers], list(model), points)
        yield store
        assert store.verify() == []


@given(asked=searches)
def test_searches_of_many_documents_are_as_the_formulas_say(large, model, asked):
    check(large, model, **asked)


@given(query=queries, vector=vectors, ranker=st.sampled_from([RRFRanker(), AdaptiveRanker(3)]))
def test_the_relevance_is_the_same_under_every_ranker(large, model, query, vector, ranker):
    legs = judged(
        model, query=query, vector=vector, mode="hybrid", k=20, depth=None, least=2, ids=None
    )
    expected = judging.relevance(legs)
    for hit in large.search(query, 20, vector=vector, ranker=ranker, filter="n >= 2"):
        assert hit.relevance == pytest.approx(expected[hit.id], rel=2e-3, abs=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_an_answer_that_stands_out_is_relevant_and_a_question_without_one_is_not(mode):
    rng = np.random.default_rng(8)
    with DocumentStore(":memory:", dim=64, analyzer="standard") as store:
        points = rng.standard_normal((400, 64)).astype(np.float32)
        written = [" ".join(rng.choice(WORDS, 12)) for _ in range(400)]
        written[7] += " quokka marsupial smiles"
        store.add(written, ids=[f"d{i:03}" for i in range(400)], vectors=points)
        first, *others = store.search("quokka marsupial", 5, mode, vector=points[7])
        assert first.id == "d007"
        assert first.relevance > 0.9
        assert all(hit.relevance < 0.1 for hit in others)
        nobody = rng.standard_normal(64)
        assert all(h.relevance < 0.1 for h in store.search("zebra gnu", 5, mode, vector=nobody))
        sure = store.search("quokka marsupial", 9, mode, vector=points[7], min_relevance=0.5)
        assert [hit.id for hit in sure] == ["d007"]


def test_what_vectors_that_are_all_alike_differ_by_is_rounding_and_no_evidence():
    rng = np.random.default_rng(2)
    for count in (1, 2, 5):
        with DocumentStore(":memory:", dim=384) as store:
            vector = rng.standard_normal(384)
            store.add(["a kite"] * count, vectors=[vector * 1.1**i for i in range(count)])
            for query in (vector, rng.standard_normal(384) + vector):
                for hit in store.search("", mode="dense", vector=query):
                    assert hit.relevance < 0.01
                for hit in store.search("zebra", vector=query):
                    assert abs(hit.score) < 0.01
                    assert hit.relevance < 0.01


# --- numbers worked out by hand -----------------------------------------------------------------


def test_four_documents_score_what_a_hand_calculation_gives():
    """One word in a document each, and one document along each half of two axes.

    BM25 of the one hit: idf = ln(1 + 3.5 / 1.5) = 1.203973; all texts are of one length, so that it
    counts 2.2 / 2.2 = 1. Deviation: 1.2 · 1.1 · 1.203973 · √(¼ · ¾) = 0.688163; b = 1.749546.
    Cosines are 1, 0, 0, -1: mean 0, deviation √½, so z = √2, 0, 0, -√2.
    Only d0 holds the word: t = z = √2, g = √2 / 1.5 = 0.942809, c = 1 / 2.2.
    Score of d0: 1.749546 + 1.1 · 0.942809 · √2^1.5 = 3.493717.
    Relevance of d0: the others score 0. Of 30 the third best would have 1.281552 by chance, and
    1.281552 + 1.1 · 1.281552^1.5 = 2.877429 as a score: the lead is 0.176399, and the log odds are
    -1.61 - 1.22 · ln 4.493717 + √(1 / 2.2) · (4.52 + 12.35 · 0.176399) + 0.568 · g · (√2 - 3) =
    0.223687.
    """
    with DocumentStore(":memory:", dim=2, analyzer="standard") as store:
        store.add(
            ["fox", "owl", "sea", "ice"], ids=["d0", "d1", "d2", "d3"],
            vectors=[[1, 0], [0, 1], [0, -1], [-1, 0]],
        )  # fmt: skip
        first, *others = store.search("fox", vector=[1, 0])
        assert first.id == "d0"
        assert first.score == pytest.approx(3.493717, abs=2e-6)
        assert first.relevance == pytest.approx(0.555690, abs=2e-6)
        assert [(hit.id, hit.score) for hit in others] == [("d1", 0.0), ("d2", 0.0), ("d3", 0.0)]
