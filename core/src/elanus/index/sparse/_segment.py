"""Parts of a BM25 index: a range of slots, and the counts of rows that were removed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from elanus.index.sparse._impacts import MAX_DRIFT, make_impacts
from elanus.index.sparse._postings import append_postings, merge_postings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from elanus.index.sparse._impacts import Impacts
    from elanus.index.sparse._postings import Postings, SparseRows


@dataclass(frozen=True, slots=True)
class Saturation:
    """BM25's two parameters: ``k1`` bends the effect of counts, ``b`` weighs the row's length."""

    k1: float
    b: float


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A range of slots: inverted counts, (rows,) int64 row lengths, and impacts."""

    postings: Postings
    lengths: NDArray[np.int64]
    impacts: Impacts

    @property
    def nbytes(self) -> int:
        """Memory held by the arrays, in bytes."""
        return self.postings.nbytes + self.lengths.nbytes + self.impacts.nbytes

    def refreshed(self, average: float, saturation: Saturation) -> Segment:
        """This segment with impacts that fit the average length."""
        if not average or self.impacts.drift(average) <= MAX_DRIFT:
            return self
        impacts = make_impacts(self.postings, self.lengths, average, saturation.k1, saturation.b)
        return replace(self, impacts=impacts)


def row_lengths(rows: SparseRows) -> NDArray[np.int64]:
    """(m,) tokens of each row: the sum of its counts."""
    ends = np.concatenate(([0], np.cumsum(rows.weights, dtype=np.int64)))
    lengths: NDArray[np.int64] = np.diff(ends[rows.offsets])
    return lengths


def extend(
    segments: tuple[Segment, ...], rows: SparseRows, average: float, saturation: Saturation
) -> tuple[Segment, ...]:
    """The segments with one row or more after their last slot, and with fitting impacts."""
    parts = append_postings(tuple(segment.postings for segment in segments), rows)
    kept = len(parts) - 1
    tail = [*(segment.lengths for segment in segments[kept:]), row_lengths(rows)]
    grown = make_segment(parts[-1], np.concatenate(tail), average, saturation)
    return (*refresh(segments[:kept], average, saturation), grown)


def merge_all(
    segments: tuple[Segment, ...], average: float, saturation: Saturation
) -> tuple[Segment, ...]:
    """The same rows as one segment (as none, if there are no rows)."""
    if len(segments) < 2:
        return segments
    postings = merge_postings([segment.postings for segment in segments])
    lengths = np.concatenate([segment.lengths for segment in segments])
    return (make_segment(postings, lengths, average, saturation),)


def refresh(
    segments: tuple[Segment, ...], average: float, saturation: Saturation
) -> tuple[Segment, ...]:
    """The segments, with new impacts where the average length has drifted too far."""
    return tuple(segment.refreshed(average, saturation) for segment in segments)


def make_segment(
    postings: Postings, lengths: NDArray[np.int64], average: float, saturation: Saturation
) -> Segment:
    """A segment with impacts that fit the average length (0 if there are no tokens); O(nnz)."""
    # Without any token there are no impacts either, and every reference is as good.
    impacts = make_impacts(postings, lengths, average or 1.0, saturation.k1, saturation.b)
    return Segment(postings, lengths, impacts)


@dataclass(frozen=True, slots=True, eq=False)
class TermCounts:
    """How many removed rows held each term.

    Attributes:
        terms: (t,) uint32, distinct, ascending.
        counts: (t,) int64.
    """

    terms: NDArray[np.uint32]
    counts: NDArray[np.int64]

    @property
    def nbytes(self) -> int:
        """Memory held by the arrays, in bytes."""
        return self.terms.nbytes + self.counts.nbytes

    def look_up(self, terms: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """The counts of these terms; 0 for absent ones."""
        wanted = terms.astype(np.uint32, copy=False)
        column = np.minimum(self.terms.searchsorted(wanted), self.terms.size - 1)
        found: NDArray[np.int64] = np.where(self.terms[column] == wanted, self.counts[column], 0)
        return found


def count_removed(
    removed: tuple[TermCounts, ...], terms: NDArray[np.uint32]
) -> tuple[TermCounts, ...]:
    """The counts with one more for every entry of ``terms``; amortised O(len(terms) log)."""
    if not terms.size:
        return removed
    parts = [*removed, TermCounts(*np.unique(terms, return_counts=True))]
    while len(parts) > 1 and parts[-2].terms.size < 2 * parts[-1].terms.size:
        parts[-2:] = [_sum_counts(parts[-2], parts[-1])]
    return tuple(parts)


def sum_counts(parts: Sequence[TermCounts]) -> TermCounts:
    """The sums of one or more counts."""
    return reduce(_sum_counts, parts)


def _sum_counts(left: TermCounts, right: TermCounts) -> TermCounts:
    terms = np.union1d(left.terms, right.terms)
    counts = np.zeros(terms.size, dtype=np.int64)
    for part in (left, right):
        counts[terms.searchsorted(part.terms)] += part.counts
    return TermCounts(terms, counts)
