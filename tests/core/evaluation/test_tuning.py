"""Weights by cross-validation: compared with a choice by hand."""

from __future__ import annotations

import numpy as np
import pytest

from elanus import AdaptiveRanker, DocumentStore, WeightedRanker
from elanus.errors import ParamError
from elanus.evaluation import Method, Questions, dense_weight, evaluate, tune

WORDS = ["kite", "owl", "falcon", "ice", "fish", "mice", "prey", "hill", "night", "wing"]


@pytest.fixture(scope="module")
def corpus():
    """Sixty documents with vectors, and questions of which either leg knows some."""
    rng = np.random.default_rng(3)
    with DocumentStore(":memory:", dim=16) as store:
        topics = rng.normal(size=(60, 16))
        texts = [" ".join(rng.choice(WORDS, 6)) for _ in range(60)]
        store.add(texts, ids=[f"{i:02}" for i in range(60)], vectors=topics)
        ids = [f"{i:02}" for i in range(0, 60, 3)]
        asked = {id_: " ".join(texts[int(id_)].split()[:3]) for id_ in ids}
        vectors = topics[[int(id_) for id_ in ids]] + rng.normal(scale=1.2, size=(20, 16))
        yield store, Questions(asked, {id_: {id_: 1} for id_ in ids}), vectors


def test_each_part_is_measured_by_what_the_others_choose(corpus):
    store, questions, vectors = corpus
    weights, depths = (0.0, 0.3, 0.7, 1.0), (5, 100)
    found = tune(store, questions, weights=weights, depths=depths, vectors=vectors, folds=4)
    values = {}
    for weight in weights:
        for depth in depths:
            way = Method("way", ranker=WeightedRanker(weight, 1 - weight), depth=depth)
            evaluation = evaluate(store, questions, [way], vectors=vectors)
            by_question = evaluation.by_question("way", "nDCG@10")
            values[weight, depth] = dict(zip(questions.ids, by_question, strict=True))
    usual = evaluate(store, questions, [Method("usual")], vectors=vectors).by_question("usual")
    usual = dict(zip(questions.ids, usual, strict=True))
    assert {(c.weight, c.depth): c.mean for c in found.candidates} == pytest.approx(
        {each: np.mean(list(row.values())) for each, row in values.items()}
    )
    held_out = {}
    for fold in found.folds:
        others = [q for q in questions.ids if q not in fold.questions]
        means = {each: np.mean([row[q] for q in others]) for each, row in values.items()}
        assert fold.chosen_by == pytest.approx(max(means.values()))
        assert means[fold.weight, fold.depth] == pytest.approx(fold.chosen_by)
        chosen = values[fold.weight, fold.depth]
        assert fold.held_out == pytest.approx(np.mean([chosen[q] for q in fold.questions]))
        assert fold.usual == pytest.approx(np.mean([usual[q] for q in fold.questions]))
        held_out |= {q: chosen[q] for q in fold.questions}
    assert sorted(held_out) == sorted(questions.ids)
    assert len(held_out) == sum(len(fold.questions) for fold in found.folds)
    assert found.held_out == pytest.approx(np.mean(list(held_out.values())))
    assert found.usual == pytest.approx(np.mean(list(usual.values())))
    assert found.gain.difference == pytest.approx(found.held_out - found.usual)
    best = max(found.candidates, key=lambda c: c.mean)
    assert (found.weight, found.depth) == (best.weight, best.depth)
    assert found.ranker == WeightedRanker(found.weight, 1 - found.weight)
    assert found.measure == "nDCG@10"


def test_a_leg_that_knows_everything_gets_all_the_weight(corpus):
    store, questions, _ = corpus
    exact = [store.get(q, with_vectors=True)[0].vector for q in questions.ids]
    right = tune(store, questions, weights=(0.0, 1.0), vectors=exact, measure="MRR")
    assert (right.weight, right.held_out) == (1.0, 1.0)
    assert {(f.weight, f.held_out) for f in right.folds} == {(1.0, 1.0)}
    turned = tune(store, questions, weights=(1.0, 0.0), vectors=[-v for v in exact], measure="MRR")
    assert turned.weight == 0.0


def test_of_equal_candidates_the_first_is_chosen(corpus):
    store, questions, vectors = corpus
    for weights in ((1.0, 2.0), (2.0, 1.0)):
        found = tune(
            store, questions, weights=weights, vectors=vectors, ranker_of=lambda _: AdaptiveRanker()
        )
        assert found.weight == weights[0]
        assert found.gain.difference == 0.0


def test_the_dealing_is_that_of_the_seed(corpus):
    store, questions, vectors = corpus
    options = {"weights": (0.5,), "vectors": vectors, "folds": 3}
    one, same, other = (tune(store, questions, seed=s, **options).folds for s in (0, 0, 1))
    assert one == same
    assert [f.questions for f in one] != [f.questions for f in other]
    assert sorted(len(f.questions) for f in one) == [6, 7, 7]


def test_a_weight_is_the_share_of_the_dense_leg():
    assert dense_weight(0.25) == WeightedRanker(0.25, 0.75)
    with pytest.raises(ParamError, match="weight must be"):
        dense_weight(1.5)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"weights": ()}, "weights must be there"),
        ({"weights": (0.5, 0.5)}, "weights must be there, and each once"),
        ({"weights": 0.5}, "weights must be a list"),
        ({"weights": ("x",)}, "a weight must be"),
        ({"weights": (2.0,)}, "weight must be a number from 0 to 1"),
        ({"depths": ()}, "depths must be there"),
        ({"depths": (0,)}, "a depth must be an integer"),
        ({"measure": "x"}, "measure must be"),
        ({"folds": 1}, "folds must be an integer of at least 2"),
        ({"folds": 21}, "folds=21, but there are only 20 questions"),
        ({"seed": -1}, "seed must be an integer"),
        ({"ranker_of": lambda _: 5}, "ranker must be one of RRFRanker"),
    ],
)
def test_wrong_arguments_are_named(corpus, arguments, says):
    store, questions, vectors = corpus
    with pytest.raises(ParamError, match=says):
        tune(store, questions, vectors=vectors, **arguments)
