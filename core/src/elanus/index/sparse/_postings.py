"""Inverted lists: which rows hold a term, and how often (or with what weight).

Rows come in as `SparseRows` (row by row) and are kept as `Postings` (term by term), one value for
a contiguous range of slots. An index is a short tuple of them: every append adds one, and
neighbours are merged geometrically, so that a posting is moved O(log) times in its life.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from elanus.errors import ParamError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MERGE_RATIO: Final = 4
"""A list is merged with what follows it, unless it is this many times as large."""

MERGE_LIMIT: Final = 1 << 18
"""Postings that any append may move, however small it is (about 10 ms)."""

BULK_RATIO: Final = 32
"""A larger append may move this many times its own size."""

_MAX_SLOTS: Final = 1 << 31

_SORTED_AT_ONCE: Final = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class SparseRows:
    """Rows of terms with weights, in compressed sparse row form.

    Row ``i`` has ``terms[offsets[i]:offsets[i + 1]]``, in any order, each term once.

    Attributes:
        offsets: (m + 1,) int64, from 0, never falling, up to the number of terms.
        terms: (nnz,) uint32 term or dimension numbers.
        weights: (nnz,) uint32 counts for BM25, or float32 values of user vectors.

    Raises:
        ParamError: the arrays do not fit together.
    """

    offsets: NDArray[np.int64]
    terms: NDArray[np.uint32]
    weights: NDArray[Any]

    def __post_init__(self) -> None:
        if self.terms.ndim != 1 or self.terms.dtype != np.uint32:
            raise ParamError(
                f"SparseRows: terms have shape {self.terms.shape} and type {self.terms.dtype}; "
                "give a one-dimensional uint32 array"
            )
        if self.weights.shape != self.terms.shape:
            raise ParamError(
                f"SparseRows: {self.terms.size} terms but weights of shape {self.weights.shape}; "
                "give one weight for each term"
            )
        if self.offsets.ndim != 1 or not self.offsets.size or np.any(np.diff(self.offsets) < 0):
            raise ParamError("SparseRows: offsets must be one non-falling row of m + 1 numbers")
        if self.offsets[0] != 0 or self.offsets[-1] != self.terms.size:
            raise ParamError(
                f"SparseRows: offsets run from {self.offsets[0]} to {self.offsets[-1]}; "
                f"they must run from 0 to the number of terms, {self.terms.size}"
            )

    def __len__(self) -> int:
        return self.offsets.size - 1


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """The inverted lists of ``rows`` slots from ``base`` on.

    Sorted distinct terms with a binary search serve both kinds of numbers: the dense ones of a
    vocabulary and the scattered ones of user vectors. A direct table would save two microseconds
    a query, and cost every small list an array as long as the vocabulary.

    Attributes:
        base: slot of the first row.
        rows: number of rows.
        terms: (t,) uint32, distinct, ascending.
        starts: (t + 1,) int64; the list of ``terms[i]`` is ``starts[i]:starts[i + 1]``.
        slots: (nnz,) int32, relative to ``base``, ascending within a list.
        weights: (nnz,) counts in the smallest unsigned type that holds them, or float32 values.
    """

    base: int
    rows: int
    terms: NDArray[np.uint32]
    starts: NDArray[np.int64]
    slots: NDArray[np.int32]
    weights: NDArray[Any]

    @property
    def size(self) -> int:
        """What moving this value costs, in postings and rows."""
        return self.slots.size + self.rows

    @property
    def nbytes(self) -> int:
        """Memory held by the arrays, in bytes."""
        arrays = (self.terms, self.starts, self.slots, self.weights)
        return sum(array.nbytes for array in arrays)

    def ranges(self, terms: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """(len(terms), 2) begin and end of each term's list; equal for an absent term."""
        if not self.terms.size:
            return np.zeros((terms.size, 2), dtype=np.int64)
        # In the directory's own type: numpy would convert the whole directory otherwise.
        wanted = terms.astype(np.uint32, copy=False)
        column = self.terms.searchsorted(wanted)
        held = self.terms.take(column, mode="clip") == wanted
        ranges = np.empty((terms.size, 2), dtype=np.int64)
        ranges[:, 0] = self.starts.take(column)
        ranges[:, 1] = self.starts.take(column + held)
        return ranges


def build_postings(rows: SparseRows, base: int) -> Postings:
    """Invert rows whose first one gets slot ``base``; O(nnz log nnz).

    Raises:
        ParamError: a row holds a term twice.
    """
    if rows.terms.size <= _SORTED_AT_ONCE:
        return _inverted(rows, base)
    # In pieces it is no slower, and the temporaries, 28 bytes a posting, stay small.
    marks = np.arange(0, rows.terms.size, _SORTED_AT_ONCE)
    cuts = rows.offsets.searchsorted(marks[1:], side="right") - 1
    bounds = np.unique([0, *cuts.tolist(), len(rows)]).tolist()
    return merge_postings([_inverted(_piece(rows, a, b), base + a) for a, b in pairwise(bounds)])


def _piece(rows: SparseRows, first: int, last: int) -> SparseRows:
    begin, end = rows.offsets[first], rows.offsets[last]
    offsets = rows.offsets[first : last + 1] - begin
    return SparseRows(offsets, rows.terms[begin:end], rows.weights[begin:end])


def _inverted(rows: SparseRows, base: int) -> Postings:
    # One sort of (term, position) in 64 bits: numpy sorts plain integers with SIMD, which is
    # faster than a stable argsort of the terms, and than SciPy's import.
    order = rows.terms.astype(np.uint64) << np.uint64(32)
    order |= np.arange(order.size, dtype=np.uint64)
    order.sort()
    position = order.astype(np.uint32)
    numbers = (order >> np.uint64(32)).astype(np.uint32)
    owners = np.repeat(np.arange(len(rows), dtype=np.int32), np.diff(rows.offsets))
    slots = owners[position]
    _refuse_doubled(numbers, slots, base)
    begins = np.flatnonzero(np.diff(numbers, prepend=numbers[:1] + np.uint32(1)))
    return Postings(
        base=base,
        rows=len(rows),
        terms=numbers[begins],
        starts=np.append(begins, numbers.size).astype(np.int64),
        slots=slots,
        weights=_narrow(rows.weights)[position],
    )


def _refuse_doubled(numbers: NDArray[np.uint32], slots: NDArray[np.int32], base: int) -> None:
    doubled = np.flatnonzero((numbers[1:] == numbers[:-1]) & (slots[1:] == slots[:-1]))
    if doubled.size:
        first = doubled[0]
        raise ParamError(
            f"SparseRows: the row of slot {base + slots[first]} holds term {numbers[first]} twice; "
            "give each term of a row once"
        )


def _narrow(weights: NDArray[Any]) -> NDArray[Any]:
    if weights.dtype.kind != "u" or not weights.size:
        return weights
    return weights.astype(np.min_scalar_type(int(weights.max())))


def append_postings(parts: tuple[Postings, ...], rows: SparseRows) -> tuple[Postings, ...]:
    """The parts with the rows after their last slot; few parts, the earlier ones the larger.

    Raises:
        ParamError: a row holds a term twice, or there would be more than 2^31 slots.
    """
    if not len(rows):
        return parts
    base = parts[-1].base + parts[-1].rows if parts else 0
    if base + len(rows) >= _MAX_SLOTS:
        raise ParamError(f"sparse index: {base} slots and {len(rows)} more; 2^31 is the limit")
    parts = (*parts, build_postings(rows, base))
    start = _merge_start([part.size for part in parts])
    return (*parts[:start], merge_postings(parts[start:]))


def _merge_start(sizes: Sequence[int]) -> int:
    """Where to begin a merge of the tail of lists of these sizes, of which the last is new.

    Lists stay each `MERGE_RATIO` times as large as all that follow, which makes few of them; but
    the work is limited by what was appended, so that no single row ever pays for the collection.
    """
    limit = max(MERGE_LIMIT, BULK_RATIO * sizes[-1])
    start, total, tail = len(sizes) - 1, sizes[-1], sizes[-1]
    for place in range(len(sizes) - 2, -1, -1):
        total += sizes[place]
        if total > limit:
            break
        if sizes[place] < MERGE_RATIO * tail:
            start = place
        tail = total
    return start


def merge_postings(parts: Sequence[Postings]) -> Postings:
    """The same lists as those of neighbouring ``parts``, as one value; O(nnz + t log t)."""
    if len(parts) == 1:
        return parts[0]
    terms = np.unique(np.concatenate([part.terms for part in parts]))
    columns = [terms.searchsorted(part.terms) for part in parts]
    lengths = np.zeros(terms.size, dtype=np.int64)
    for part, column in zip(parts, columns, strict=True):
        lengths[column] += np.diff(part.starts)
    starts = np.concatenate(([0], np.cumsum(lengths)))
    slots = np.empty(starts[-1], dtype=np.int32)
    weights = np.empty(starts[-1], dtype=np.result_type(*(part.weights.dtype for part in parts)))
    free = starts[:-1].copy()
    for part, column in zip(parts, columns, strict=True):
        counts = np.diff(part.starts)
        target = np.repeat(free[column] - part.starts[:-1], counts) + np.arange(part.slots.size)
        slots[target] = part.slots + np.int32(part.base - parts[0].base)
        weights[target] = part.weights
        free[column] += counts
    rows = sum(part.rows for part in parts)
    return Postings(parts[0].base, rows, terms, starts, slots, weights)
