"""The first pass of a BM25 search: candidates by float32 impacts.

It must not lose a hit, and may let a few others through. It follows MaxScore (H. Turtle, J. Flood,
Query evaluation: strategies and optimizations, 1995): the lists of rare terms are added up, and
common terms, which can add little, are looked up only for the rows that they could still lift
among the first k.

A call of numpy costs about as much as adding 500 postings, and a query has ten terms; so the
number of calls is what this module keeps down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from elanus.index._order import kth_bound
from elanus.index.sparse._bm25_terms import spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from elanus.index.sparse._bm25_terms import QueryTerms
    from elanus.index.sparse._segment import Segment

_EXCLUDED: Final = 3e38
"""Subtracted from rows outside the mask; -inf would make NaN of 0 * inf."""

_DEFERRED_SHARE: Final = 0.6
"""Common terms wait while all of them could add at most this share of the k-th best score."""

_FEW: Final = 40
"""The exact scores of so many more candidates than hits cost less than another look at them."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A common term that was not added up yet: what it can add to a row, its number and factor."""

    peak: float
    number: int
    factor: float


def candidates(
    segments: Sequence[Segment], query: QueryTerms, k: int, n: int, mask: NDArray[np.bool_] | None
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
    found = np.flatnonzero(scores >= bound * slack - rest * (1 + 1e-5))
    if not waiting or found.size <= k + _FEW:
        return found
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
    scores: NDArray[np.float32], segments: Sequence[Segment], query: QueryTerms
) -> list[_Waiting]:
    """Add what is stored as lists; return the terms that are left to their dense rows."""
    numbers, factors = query.numbers, query.factors()
    peaks: dict[int, float] = {}
    for segment, lists in zip(segments, query.lists, strict=True):
        slots, impacts = segment.postings.slots, segment.impacts
        part = _part(scores, segment)
        for place, (begin, end) in enumerate(lists):
            row = impacts.dense_rows.get(numbers[place])
            if row is not None:
                peak = impacts.peaks[row] * factors[place]
                peaks[place] = max(peak, peaks.get(place, 0.0))
            elif begin < end:
                values = impacts.values[begin:end] * np.float32(factors[place])
                # Of native integers: `add.at` would convert others in small pieces.
                np.add.at(part, slots[begin:end].astype(np.intp), values)
    return [_Waiting(peak, numbers[place], factors[place]) for place, peak in peaks.items()]


def _add_dense(scores: NDArray[np.float32], segments: Sequence[Segment], term: _Waiting) -> None:
    for segment in segments:
        row = segment.impacts.dense_rows.get(term.number)
        if row is not None:
            part = _part(scores, segment)
            part += _impacts(segment.impacts.dense[row], segment.impacts.norms, term.factor)


def _completed(
    scores: NDArray[np.float32],
    slots: NDArray[np.intp],
    segments: Sequence[Segment],
    waiting: Sequence[_Waiting],
) -> NDArray[np.float32]:
    """The scores of these ascending slots, with all that the waiting terms add to them."""
    full = scores[slots]
    for place, span in spans(segments, slots):
        impacts = segments[place].impacts
        local = slots[span] - segments[place].postings.base
        norms = impacts.norms.take(local)
        for term in waiting:
            row = impacts.dense_rows.get(term.number)
            if row is not None:
                full[span] += _impacts(impacts.dense[row].take(local), norms, term.factor)
    return full


def _impacts(
    counts: NDArray[Any], norms: NDArray[np.float32], factor: float
) -> NDArray[np.float32]:
    """What a term with these counts adds to rows with these norms."""
    counts = counts.astype(np.float32)
    norms = norms + counts
    np.divide(counts, norms, out=norms)
    norms *= np.float32(factor)
    return norms


def _part(scores: NDArray[np.float32], segment: Segment) -> NDArray[np.float32]:
    return scores[segment.postings.base : segment.postings.base + segment.postings.rows]


def _kth(values: NDArray[np.float32], k: int) -> float:
    return float(np.partition(values, values.size - k)[values.size - k])


def _slack(segments: Sequence[Segment], query: QueryTerms) -> float:
    """What the k-th approximate score is multiplied by to be below every exact hit's one.

    A score is off by exp(drift) at most, either way; and by 2^-24 for each of the float32 steps:
    one a term, and fewer than 16 for impact, factor, product, threshold and result.
    """
    drift = max(segment.impacts.drift(query.average) for segment in segments)
    rounding = (len(query.numbers) + 16) * 2.0**-22
    return math.exp(-2 * drift) * max(0.0, 1 - rounding)
