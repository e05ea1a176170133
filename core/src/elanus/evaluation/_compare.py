"""Whether one run is better than another, or was lucky with its questions."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.errors import ParamError, loading

_FEWEST = 2  # questions
_RESAMPLES = 9_999
_AT_ONCE = 4_000_000  # numbers drawn at a time: 32 MB
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run beside the baseline, question by question.

    Attributes:
        run, baseline, measure: their names.
        difference: mean of the run less mean of the baseline.
        low, high: the 95 % interval of the difference, by bootstrap over questions (percentiles).
        p_value: how often chance alone gives a difference as large: the paired randomisation test,
            two-sided.
        adjusted: the p-value corrected for the number of runs compared, after Holm (1979).
        better, worse, equal: number of questions.
    """

    run: str
    baseline: str
    measure: str
    difference: float
    low: float
    high: float
    p_value: float
    adjusted: float
    better: int
    worse: int
    equal: int


def compare_values(
    runs: Sequence[str], values: NDArray[Any], against: NDArray[Any], baseline: str, measure: str
) -> tuple[Comparison, ...]:
    """Each run beside the baseline.

    Args:
        runs: names.
        values: (runs, questions) what the measure says.
        against: (questions,) what it says of the baseline.
        baseline: its name.
        measure: its name.

    Raises:
        ParamError: if there are fewer than two questions.
        MissingExtraError: if scipy is not installed.
    """
    if len(against) < _FEWEST:
        raise ParamError("a comparison needs at least two questions")
    differences = [row - against for row in values]
    p_values = [_p_value(d) for d in differences]
    return tuple(
        Comparison(
            run, baseline, measure, float(d.mean()), *_interval(d), p, adjusted,
            *(int(np.count_nonzero(s)) for s in (d > 0, d < 0, d == 0)),
        )
        for run, d, p, adjusted in zip(runs, differences, p_values, _holm(p_values), strict=True)
    )  # fmt: skip


def _stats() -> Any:
    missing = "comparisons need the package scipy: pip install scipy (the extra elanus[evaluation])"
    with loading("scipy", missing):
        return importlib.import_module("scipy.stats")


def _p_value(differences: NDArray[np.float64]) -> float:
    """Paired randomisation test: which run gave which of two values is exchanged at random.

    Recommended for this purpose by Smucker, Allan and Carterette, *A Comparison of Statistical
    Significance Tests for Information Retrieval Evaluation* (CIKM 2007). Exact for up to 13
    questions that differ; else from 9,999 random exchanges with a fixed seed.
    """
    changed = differences[differences != 0]
    if len(changed) < _FEWEST:  # a single one is as far from 0 with either sign
        return 1.0
    found = _stats().permutation_test(
        (changed,), np.sum, permutation_type="samples", vectorized=True, n_resamples=_RESAMPLES,
        batch=_batch(changed), rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(found.pvalue)


def _interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    found = _stats().bootstrap(
        (differences,), np.mean, confidence_level=_LEVEL, method="percentile",
        n_resamples=_RESAMPLES, batch=_batch(differences), rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _batch(values: NDArray[Any]) -> int:
    return max(1, _AT_ONCE // len(values))


def _holm(p_values: Sequence[float]) -> list[float]:
    """Step-down: the smallest times n, the next times n - 1, …, none below one before it."""
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - rank)))
        adjusted[place] = largest
    return adjusted
