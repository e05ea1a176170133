"""Whether a difference may be chance: compared with tests by hand."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from elanus.errors import ParamError
from elanus.evaluation import Questions, evaluate_runs


@pytest.fixture
def compare(make_run):
    """Compares runs of which each question's relevant document has a given rank, by MRR@10."""

    def compare(baseline, **others):
        ids = [f"q{i}" for i in range(len(baseline))]
        questions = Questions(dict.fromkeys(ids, "?"), {id_: {"right": 1} for id_ in ids})
        runs = [
            make_run(name, {q: at(rank) for q, rank in zip(ids, ranks, strict=True)})
            for name, ranks in {"base": baseline, **others}.items()
        ]
        return evaluate_runs(runs, questions, measures=["MRR@10", "recall@1"])

    return compare


def at(rank):
    """Ten documents, of which the one of this rank is right."""
    ids = [f"wrong{i}" for i in range(10)]
    ids[rank - 1] = "right"
    return ids


def by_enumeration(differences):
    """The share of all changes of signs whose sum is as far from 0."""
    sums = [abs(np.dot(signs, differences)) for signs in product((-1, 1), repeat=len(differences))]
    return np.mean([s >= abs(sum(differences)) - 1e-12 for s in sums])


def test_a_comparison_counts_and_subtracts(compare):
    (found,) = compare([1, 2, 2, 4], other=[1, 1, 4, 1]).compare()
    assert (found.run, found.baseline, found.measure) == ("other", "base", "MRR@10")
    assert found.difference == pytest.approx((0 + 0.5 - 0.25 + 0.75) / 4)
    assert (found.better, found.worse, found.equal) == (2, 1, 1)
    assert found.low <= found.difference <= found.high


@pytest.mark.parametrize("seed", range(5))
def test_the_p_value_of_few_questions_is_exact(compare, seed):
    base, other = np.random.default_rng(seed).integers(1, 11, (2, 10))
    (found,) = compare(base, other=other).compare()
    assert found.p_value == pytest.approx(by_enumeration(1 / other - 1 / base), abs=1e-12)
    assert found.adjusted == found.p_value


def test_fixed_p_values(compare):
    # Five questions, all better: only two of the 32 changes of signs are as far from 0.
    (found,) = compare([2] * 5, other=[1] * 5).compare()
    assert found.p_value == pytest.approx(2 / 32)
    assert (found.difference, found.low, found.high) == (0.5, 0.5, 0.5)
    (same,) = compare([2] * 5, other=[2] * 5).compare()
    assert (same.difference, same.p_value, same.equal) == (0.0, 1.0, 5)


def test_the_p_value_of_many_questions_is_near_that_of_the_normal_law(compare):
    rng = np.random.default_rng(0)
    base, other = rng.integers(1, 11, 400), rng.integers(1, 10, 400)
    (found,) = compare(base, other=other).compare()
    d = 1 / other - 1 / base
    z = d.sum() / np.sqrt((d**2).sum())
    expected = 2 * (1 - normal_law(abs(z)))
    assert 0.01 < expected < 0.9
    assert found.p_value == pytest.approx(expected, abs=0.02)
    half = 1.96 * d.std() / 20
    assert (found.low, found.high) == pytest.approx((d.mean() - half, d.mean() + half), abs=0.005)


def normal_law(z):
    return (1 + math.erf(z / math.sqrt(2))) / 2


def test_several_runs_are_corrected_after_holm(compare):
    evaluation = compare([2] * 6, much=[1] * 6, some=[1] * 5 + [2], none=[2] * 6)
    found = {c.run: c for c in evaluation.compare()}
    assert {n: c.p_value for n, c in found.items()} == pytest.approx(
        {"much": 2 / 64, "some": 2 / 32, "none": 1.0}
    )
    assert {n: c.adjusted for n, c in found.items()} == pytest.approx(
        {"much": 6 / 64, "some": 4 / 32, "none": 1.0}
    )


def test_another_measure_and_another_baseline(compare):
    found = compare([1, 2], other=[2, 1])
    assert [c.measure for c in found.compare("RECALL@1")] == ["recall@1"]
    turned = evaluate_runs(found.runs, found.questions, measures=["MRR"], baseline="other")
    assert [(c.run, c.baseline) for c in turned.compare()] == [("base", "other")]
    with pytest.raises(ParamError, match=r"there is no run 'x'.*; there are base, other"):
        evaluate_runs(found.runs, found.questions, baseline="x")


def test_one_question_cannot_be_compared(compare):
    with pytest.raises(ParamError, match="at least two questions"):
        compare([1], other=[2]).compare()
    assert compare([1, 2]).compare() == ()
