"""The two passes of a BM25 search: candidates in float32, then exact scores in float64.

The first pass must not lose a hit, and may let a few others through. It follows MaxScore
(H. Turtle, J. Flood, Query evaluation: strategies and optimizations, 1995): the lists of rare
terms are added up, and common terms, which can add little, are looked up only for the rows that
they could still lift among the first k.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import numpy as np

from elanus.index._impacts import length_norms
from elanus.index._sparse_common import kth_bound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from elanus.index._segment import Saturation, Segment

_EXCLUDED: Final = 3e38
"""Subtracted from rows outside the mask; -inf would make NaN of 0 * inf."""

_DEFERRED_SHARE: Final = 0.5
"""Common terms wait while all of them could add at most this share of the k-th best score."""

_LOOKUP_COST: Final = 4
"""Finding one row in a list costs about as much as adding this many postings."""


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """Distinct known terms of a query, in the order of their texts.

    Attributes:
        numbers: (t,) int64 term numbers.
        idfs: (t,) float64.
        counts: (t,) float64, how often the query holds each term.
        average: the rows' average length, in tokens.
        saturation: ``k1`` and ``b``.
    """

    numbers: NDArray[np.int64]
    idfs: NDArray[np.float64]
    counts: NDArray[np.float64]
    average: float
    saturation: Saturation

    def factors(self) -> list[float]:
        """What an impact is multiplied by, term by term."""
        factors: list[float] = (self.idfs * self.counts * (self.saturation.k1 + 1)).tolist()
        return factors


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A common term that was not added up yet: what it can add to a row, its number and factor."""

    peak: float
    number: int
    factor: float


def candidates(
    segments: Sequence[Segment], query: Query, k: int, n: int, mask: NDArray[np.bool_] | None
) -> NDArray[np.intp]:
    """Ascending slots under the mask, among them the k best and every row that ties with them."""
    scores = _blank(n, mask)
    waiting = sorted(_add_lists(scores, segments, query), key=attrgetter("peak"))
    rest = sum(term.peak for term in waiting)
    bound = kth_bound(scores, k)
    while waiting and rest > _DEFERRED_SHARE * bound:
        rest -= waiting[-1].peak
        _add_dense(scores, segments, waiting.pop())
        bound = kth_bound(scores, k)
    if bound <= 0:
        return np.flatnonzero(scores > 0)
    slack = _slack(segments, query)
    if not waiting:
        return np.flatnonzero(scores >= bound * slack)
    seeds = np.flatnonzero(scores >= bound)
    bound = _kth(_completed(scores, seeds, segments, waiting), k)
    found = np.flatnonzero(scores >= bound * slack - rest * (1 + 1e-5))
    full = _completed(scores, found, segments, waiting)
    return found[full >= _kth(full, k) * slack]


def _blank(n: int, mask: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    if mask is None:
        return np.zeros(n, dtype=np.float32)
    # Arithmetic, because a choice per row (np.where, copyto) is ten times slower on a mixed mask.
    blank: NDArray[np.float32] = np.subtract(mask, 1, dtype=np.float32)
    blank *= np.float32(_EXCLUDED)
    return blank


def _add_lists(
    scores: NDArray[np.float32], segments: Sequence[Segment], query: Query
) -> list[_Waiting]:
    """Add what is stored as lists; return the terms that are left to their dense rows."""
    peaks: dict[int, float] = {}
    numbers, factors = query.numbers.tolist(), query.factors()
    for segment in segments:
        postings, impacts = segment.postings, segment.impacts
        part = _part(scores, segment)
        for place, (begin, end) in enumerate(postings.ranges(query.numbers).tolist()):
            row = impacts.dense_rows.get(numbers[place])
            if row is not None:
                peak = impacts.peaks[row] * factors[place]
                peaks[place] = max(peak, peaks.get(place, 0.0))
            elif begin < end:
                values = impacts.values[begin:end] * np.float32(factors[place])
                np.add.at(part, postings.slots[begin:end], values)
    return [_Waiting(peak, numbers[place], factors[place]) for place, peak in peaks.items()]


def _add_dense(scores: NDArray[np.float32], segments: Sequence[Segment], term: _Waiting) -> None:
    for segment in segments:
        row = segment.impacts.dense_rows.get(term.number)
        if row is not None:
            # Not BLAS's axpy: it wakes its threads for a vector of this size.
            part = _part(scores, segment)
            part += segment.impacts.dense[row] * np.float32(term.factor)


def _completed(
    scores: NDArray[np.float32],
    slots: NDArray[np.intp],
    segments: Sequence[Segment],
    waiting: Sequence[_Waiting],
) -> NDArray[np.float32]:
    """The scores of these ascending slots, with all that the waiting terms add to them."""
    full = scores[slots]
    for segment, span in _spans(segments, slots):
        local = slots[span] - segment.postings.base
        for term in waiting:
            row = segment.impacts.dense_rows.get(term.number)
            if row is not None:
                full[span] += segment.impacts.dense[row].take(local) * np.float32(term.factor)
    return full


def _part(scores: NDArray[np.float32], segment: Segment) -> NDArray[np.float32]:
    return scores[segment.postings.base : segment.postings.base + segment.postings.rows]


def _spans(segments: Sequence[Segment], slots: NDArray[np.intp]) -> Iterator[tuple[Segment, slice]]:
    """Each segment that holds some of the ascending slots, and where these are."""
    bases = [segment.postings.base for segment in segments]
    ends = [*slots.searchsorted(bases).tolist(), slots.size]
    for segment, (begin, end) in zip(segments, pairwise(ends), strict=True):
        if begin < end:
            yield segment, slice(begin, end)


def _kth(values: NDArray[np.float32], k: int) -> float:
    return float(np.partition(values, values.size - k)[values.size - k])


def _slack(segments: Sequence[Segment], query: Query) -> float:
    """What the k-th approximate score is multiplied by to be below every exact hit's one.

    A score is off by exp(drift) at most, either way; and by 2^-24 for each of the float32 steps:
    one a term, and fewer than 16 for impact, factor, product, threshold and result.
    """
    drift = max(segment.impacts.drift(query.average) for segment in segments)
    rounding = (query.numbers.size + 16) * 2.0**-22
    return math.exp(-2 * drift) * max(0.0, 1 - rounding)


def exact_scores(
    segments: Sequence[Segment], query: Query, slots: NDArray[np.intp]
) -> NDArray[np.float64]:
    """BM25 of these ascending slots: summed in float64 in the query's order, rounded to float32.

    ``idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * dl / avgdl))``, times the query's count; the
    form of Milvus (and of Lucene before 8). 0 for a row without any of the terms.
    """
    scores = np.zeros(slots.size, dtype=np.float64)
    for segment, span in _spans(segments, slots):
        local = (slots[span] - segment.postings.base).astype(np.int32)
        ranges = segment.postings.ranges(query.numbers)
        postings = int(np.sum(ranges[:, 1] - ranges[:, 0]))
        if not postings:
            continue
        by_row = _LOOKUP_COST * local.size * len(ranges) < postings + segment.postings.rows
        scores[span] = (_look_up if by_row else _add_up)(segment, query, ranges, local)
    return scores.astype(np.float32).astype(np.float64)


def _look_up(
    segment: Segment, query: Query, ranges: NDArray[np.int64], local: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Exact sums of few rows: a binary search for each in every list."""
    postings, saturation = segment.postings, query.saturation
    present = np.flatnonzero(ranges[:, 0] < ranges[:, 1])
    places = np.empty((present.size, local.size), dtype=np.intp)
    for row, (begin, end) in enumerate(ranges[present].tolist()):
        places[row] = postings.slots[begin:end].searchsorted(local)
    places += ranges[present, :1]
    np.minimum(places, ranges[present, 1:] - 1, out=places)
    held = postings.slots[places] == local
    counts = np.where(held, postings.weights[places], 0).astype(np.float64)
    norms = length_norms(segment.lengths[local], query.average, saturation.k1, saturation.b)
    parts = query.idfs[present, None] * counts * (saturation.k1 + 1)
    # k1 = 0 makes 0 / 0 of an absent term.
    np.divide(parts, counts + norms, out=parts, where=held)
    parts *= query.counts[present, None]
    # accumulate adds one term after the other; sum may pair them, and round otherwise.
    total: NDArray[np.float64] = np.add.accumulate(parts, axis=0)[-1]
    return total


def _add_up(
    segment: Segment, query: Query, ranges: NDArray[np.int64], local: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Exact sums of many rows: every list is added to all rows that it names."""
    postings, saturation = segment.postings, query.saturation
    norms = length_norms(segment.lengths, query.average, saturation.k1, saturation.b)
    total = np.zeros(postings.rows, dtype=np.float64)
    terms = zip(ranges.tolist(), query.idfs.tolist(), query.counts.tolist(), strict=True)
    for (begin, end), idf, count in terms:
        slots = postings.slots[begin:end]
        counts = postings.weights[begin:end].astype(np.float64)
        parts = idf * counts * (saturation.k1 + 1) / (counts + norms[slots])
        np.add.at(total, slots, parts * count)
    return total[local]
