"""What two runs have in common, and how far the relevance of a run can be believed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elanus.errors import ParamError, quoted
from elanus.evaluation._questions import Questions, of_type
from elanus.evaluation._runs import Run
from elanus.schema import whole


@dataclass(frozen=True, slots=True)
class Overlap:
    """The first k documents of two runs, beside each other.

    Attributes:
        first, second: names of the runs.
        k: how many documents of each.
        shared: (questions,) documents that both found, as a share of those that either did.
        both, only_first, only_second, neither: number of relevant documents, over all questions.
    """

    first: str
    second: str
    k: int
    shared: NDArray[np.float64]
    both: int
    only_first: int
    only_second: int
    neither: int


def overlap(first: Run, second: Run, questions: Questions, k: int = 10) -> Overlap:
    """How much two runs find the same, and which relevant documents only one of them finds.

    Raises:
        ParamError: if a run lacks a question, or asked for fewer than ``k``.
    """
    k = whole("k", k, 1)
    of_type("questions", Questions, questions)
    shared, counts = [], np.zeros(4, dtype=np.int64)
    for id_ in questions.ids:
        one, other = (set(_first(run, id_, k)) for run in (first, second))
        relevant = questions.relevant(id_)
        shared.append(len(one & other) / max(len(one | other), 1))
        parts = (one & other, one - other, other - one, relevant - one - other)
        counts += [len(part & relevant) for part in parts]
    return Overlap(first.name, second.name, k, np.array(shared), *counts.tolist())


@dataclass(frozen=True, slots=True)
class Bin:
    """Hits whose relevance lies in one span.

    Attributes:
        low, high: the span; of several bins only the last holds its upper end.
        count: how many hits.
        predicted: their mean relevance.
        observed: the share of them that was judged relevant.
    """

    low: float
    high: float
    count: int
    predicted: float
    observed: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """Relevance as predicted, beside what was judged.

    Attributes:
        run: its name.
        k: how many hits of each question.
        bins: those with hits.
        error: expected calibration error: mean over hits of |observed - predicted| of their bin.
        brier: mean over hits of (relevance - judged)², where judged is 0 or 1.
    """

    run: str
    k: int
    bins: tuple[Bin, ...]
    error: float
    brier: float


def reliability(run: Run, questions: Questions, k: int = 10, bins: int = 10) -> Reliability:
    """Compare the relevance of hits with judgements: if 0.7 is said, are 70 % relevant?

    A hit that nobody judged counts as not relevant, so sets with few judgements make every
    relevance look too high.

    Args:
        run: of a store.
        questions: with the judgements.
        k: how many hits of each question.
        bins: how many spans of one width from 0 to 1.

    Raises:
        ParamError: if the run lacks a question, asked for fewer than ``k``, found nothing at all,
            or has no relevances.
    """
    k, bins = whole("k", k, 1), whole("bins", bins, 1, 1000)
    of_type("questions", Questions, questions)
    said: list[float] = []
    judged: list[bool] = []
    for id_ in questions.ids:
        ids, relevant = _first(run, id_, k), questions.relevant(id_)
        said += run.rankings[id_].relevances[:k]
        judged += [document in relevant for document in ids]
    if not judged or len(said) != len(judged):
        raise ParamError(f"run {quoted(run.name)} has no relevances to look at")
    predicted, truth = np.array(said), np.array(judged, dtype=np.float64)
    return _binned(run.name, k, predicted, truth, bins)


def _binned(
    name: str, k: int, said: NDArray[np.float64], truth: NDArray[np.float64], bins: int
) -> Reliability:
    place = np.minimum((said * bins).astype(np.int64), bins - 1)
    counts = np.bincount(place, minlength=bins)
    means, shares = (np.bincount(place, w, bins) / np.maximum(counts, 1) for w in (said, truth))
    found = tuple(
        Bin(i / bins, (i + 1) / bins, int(counts[i]), float(means[i]), float(shares[i]))
        for i in np.flatnonzero(counts).tolist()
    )
    error = float(counts @ np.abs(means - shares)) / len(said)
    return Reliability(name, k, found, error, float(np.mean((said - truth) ** 2)))


def _first(run: Run, question: str, k: int) -> tuple[str, ...]:
    if question not in of_type("run", Run, run).rankings:
        raise ParamError(f"run {quoted(run.name)} has no ranking for {quoted(question)}")
    if run.k < k:
        raise ParamError(f"run {quoted(run.name)} asked for {run.k} documents; k is {k}")
    return run.rankings[question].ids[:k]
