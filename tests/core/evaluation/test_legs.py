"""What two runs have in common, and how far a relevance can be believed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus.errors import ParamError
from elanus.evaluation import Bin, Questions, Ranking, Run, overlap, reliability

TWO = Questions({"q": "?", "p": "?"}, {"q": {"a": 1, "b": 1, "z": 1}, "p": {"c": 1, "x": 0}})


def test_the_overlap_of_two_runs(make_run):
    first = make_run("one", {"q": ["a", "b", "x"], "p": []})
    second = make_run("two", {"q": ["y", "a"], "p": ["c"]})
    found = overlap(first, second, TWO, k=2)
    assert found.shared.tolist() == [1 / 3, 0.0]
    assert (found.first, found.second, found.k) == ("one", "two", 2)
    assert (found.both, found.only_first, found.only_second, found.neither) == (1, 1, 1, 1)
    turned = overlap(second, first, TWO, k=2)
    assert (turned.both, turned.only_first, turned.only_second, turned.neither) == (1, 1, 1, 1)


def test_runs_that_find_nothing_have_nothing_in_common(make_run):
    empty = make_run("one", {"q": [], "p": []})
    found = overlap(empty, empty, TWO)
    assert found.shared.tolist() == [0.0, 0.0]
    assert (found.both, found.neither) == (0, 4)


def rated(ids, relevances, k=10):
    return Run("run", {"q": Ranking(ids, relevances), "p": Ranking((), ())}, k)


def test_the_reliability_of_a_run():
    run = rated(("a", "x", "b", "y"), (1.0, 0.8, 0.75, 0.0))
    found = reliability(run, TWO, k=4, bins=4)
    assert found.bins == (
        Bin(0.0, 0.25, 1, 0.0, 0.0),
        Bin(0.75, 1.0, 3, pytest.approx(0.85), pytest.approx(2 / 3)),
    )
    assert found.error == pytest.approx(abs(0.85 - 2 / 3) * 3 / 4)
    assert found.brier == pytest.approx((0 + 0.64 + 0.0625 + 0) / 4)
    assert (found.run, found.k) == ("run", 4)


def test_only_the_first_hits_count():
    run = rated(("a", "x", "b"), (0.9, 0.9, 0.1))
    assert sum(b.count for b in reliability(run, TWO, k=2).bins) == 2


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30),
    st.integers(1, 12),
)
def test_reliability_is_what_counting_gives(hits, bins):
    ids = tuple(f"{i}" for i in range(len(hits)))
    grades = {"right": 1} | {
        id_: 1 for id_, (_, is_right) in zip(ids, hits, strict=True) if is_right
    }
    questions = Questions({"q": "?"}, {"q": grades})
    run = Run("run", {"q": Ranking(ids, tuple(said for said, _ in hits))}, len(ids))
    found = reliability(run, questions, k=len(ids), bins=bins)
    error = 0.0
    by_place = {}
    for said, is_right in hits:
        by_place.setdefault(min(int(said * bins), bins - 1), []).append((said, is_right))
    for b, (place, inside) in zip(found.bins, sorted(by_place.items()), strict=True):
        said, right = np.mean(inside, axis=0)
        assert (b.low, b.high, b.count) == (place / bins, (place + 1) / bins, len(inside))
        assert (b.predicted, b.observed) == pytest.approx((said, right))
        error += abs(said - right) * len(inside) / len(hits)
    assert found.error == pytest.approx(error)
    assert found.brier == pytest.approx(np.mean([(s - r) ** 2 for s, r in hits]))


def test_what_cannot_be_looked_at_is_named(make_run):
    full = make_run("full", {"q": ["a"], "p": ["c"]}, k=5)
    with pytest.raises(ParamError, match="run 'full' asked for 5 documents; k is 10"):
        overlap(full, full, TWO)
    with pytest.raises(ParamError, match="run 'part' has no ranking for 'p'"):
        overlap(full, make_run("part", {"q": []}), TWO, k=2)
    with pytest.raises(ParamError, match="run 'full' has no relevances"):
        reliability(full, TWO, k=5)
    with pytest.raises(ParamError, match="k must be an integer"):
        overlap(full, full, TWO, k=0)
    with pytest.raises(ParamError, match="bins must be an integer"):
        reliability(full, TWO, k=5, bins=0)
    with pytest.raises(ParamError, match="run 'none' has no relevances"):
        reliability(make_run("none", {"q": [], "p": []}, relevances=True), TWO)
