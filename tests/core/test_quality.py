"""Search does not become worse: nDCG@10 on two small judged slices, and what a relevance keeps out.

The slices are too small to choose a ranker by: on all of the data the differences are others, see
``docs/ranking.md``.
"""

import sys
from pathlib import Path

import pytest

from elanus import DocumentStore

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
sys.path.insert(0, str(ROOT / "benchmarks"))

from quality import load, measure  # noqa: E402

FOUND = {
    "scifact": {"text": 0.8668, "dense": 0.8846, "RRF": 0.8880, "adaptive": 0.8877},
    "xquad-ru": {"text": 0.9500, "dense": 0.2689, "RRF": 0.6132, "adaptive": 0.9589},
}


@pytest.mark.parametrize("name", FOUND)
def test_answers_are_as_good_as_they_were(name):
    now = measure(load(DATA / name))
    for way, value in FOUND[name].items():
        assert now[way] >= value - 0.005, way
    assert now["adaptive"] >= max(now["text"], now["dense"]) - 0.003


@pytest.fixture(scope="module")
def claims():
    judged = load(DATA / "scifact")
    with DocumentStore(":memory:", dim=384) as store:
        store.add(judged.texts, ids=judged.ids, vectors=judged.vectors)
        yield store, judged


def test_a_relevance_of_a_half_lets_right_answers_pass_and_keeps_wrong_ones_out(claims):
    store, judged = claims
    right = wrong = 0
    for _, text, vector, gains in judged.questions:
        for hit in store.search(text, vector=vector, min_relevance=0.5):
            right += hit.id in gains
            wrong += hit.id not in gains
    assert right >= 40  # of 60 questions
    assert wrong <= right / 4


@pytest.mark.parametrize("mode", ["hybrid", "text", "dense"])
def test_questions_that_nothing_answers_are_not_answered(claims, mode):
    store, _ = claims
    others = load(DATA / "xquad-ru").questions
    best = [
        max((hit.relevance for hit in store.search(text, 1, mode, vector=vector)), default=0.0)
        for _, text, vector, _ in others
    ]
    assert sum(relevance > 0.5 for relevance in best) <= 2  # of 40
