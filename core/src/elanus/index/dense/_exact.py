"""Exact search: the canonical score of two vectors, and how most rows are spared from it.

A score comes of `canonical_scores` alone, whatever found the hit: a scan, a graph, lists, a batch
of queries. It costs three passes in float64; so a scan first lets BLAS compute all dot products in
float32. The error of such a product is bounded, whatever the order of its additions, by
``gamma_d |x| |q|`` with ``gamma_d = d u / (1 - d u)``, ``u = 2**-24`` (Higham, Accuracy and
Stability of Numerical Algorithms, 2nd ed., section 3.1). Rows whose upper bound reaches the k-th
best lower bound are candidates; only they are scored canonically.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from elanus import native
from elanus.errors import ParamError
from elanus.index._order import Keys, Ranking, top_hits
from elanus.index.dense._lengths import TAME_MAX, TAME_MIN, Float32s, Float64s, Slots
from elanus.schema import Metric

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from elanus.index.dense._rows import Rows

GATHER_COST = 3
"""A row read by its slot, against one read in sequence (measured, 384 d: 0.11 and 0.037 µs)."""

_LEAST = 2.0**-320
"""Less than any product of two lengths: float32 holds nothing between zero and 2**-149."""

_UNIT = 2.0**-24  # unit roundoff of float32
_SCORE_BYTES = 16 << 20  # float64 temporaries; two or three of them are alive at once
_DOT_BYTES = 64 << 20  # float32 products of a batch of queries
# OpenBLAS multiplies a matrix of fewer than 460,800 values with one vector in the calling thread.
# In two threads 100,000 rows of 384 d take 3.5 ms instead of 4.7 on an idle machine, but 8 (a
# whole time slice, waiting for the other thread) on a busy one, and as long for 1,200 rows.
# Gathered rows of this size are still in the cache when BLAS reads them.
_BLOCK_VALUES = 1 << 18
_FEW = 64  # below, scoring every row canonically costs less than a prefilter


@dataclass(frozen=True, slots=True)
class QueryVector:
    """A checked query vector and what every scorer needs of it.

    Attributes:
        vector: float32, shape ``(dim,)``.
        wide: the same numbers in float64.
        square: sum of its squares, in float64 (finite, and never overflowed: float32 cannot
            reach 1e154).
    """

    vector: Float32s
    wide: Float64s
    square: float

    @classmethod
    def of(cls, vector: Float32s, dim: int) -> QueryVector:
        """Check a query vector.

        Args:
            vector: shape ``(dim,)``, anything numpy can turn into float32.
            dim: the dimension of the index.

        Raises:
            ParamError: the shape is another, or a value is not finite.
        """
        vector = np.ascontiguousarray(vector, dtype=np.float32)
        if vector.shape != (dim,):
            raise ParamError(
                f"query vector has shape {vector.shape}, the index holds vectors of dimension "
                f"{dim}: pass one vector of shape ({dim},)"
            )
        wide = vector.astype(np.float64)
        square = float(np.add.reduce(wide * wide))
        if not math.isfinite(square):
            raise ParamError("query vector holds NaN or infinity: pass finite numbers only")
        return cls(vector, wide, square)

    @property
    def norm(self) -> float:
        """Euclidean length."""
        return math.sqrt(self.square)

    @property
    def is_tame(self) -> bool:
        """Whether float32 products with this vector are sound: see ``TAME_MIN``."""
        return self.square == 0 or TAME_MIN <= self.norm <= TAME_MAX

    def unit(self) -> Float32s:
        """The vector divided by its length in float64, then rounded; zero stays zero."""
        factor = 1.0 / self.norm if self.square else 0.0
        return (self.wide * factor).astype(np.float32)


def canonical_scores(
    metric: Metric,
    rows: Float32s,
    queries: Float64s,
    query_squares: Float64s | float,
    squares: Float64s,
) -> Float64s:
    """Score all rows against one query, or each with its own; equal pairs get equal bits, always.

    Products are taken in float64 and summed over the last axis, so that the order of the
    additions depends on the dimension only. BLAS was not taken: it adds in another order for
    one row than for many, and the last bits would depend on the path that found a hit.

    The sum is rounded to float32 once, at the very end, and kept in float64: what a score shows
    is what it is compared by, so that hits which look equal are ordered by their keys.

    Args:
        metric: ``COSINE`` gives dot / (|x| |q|), 0.0 when either vector is zero, within
            [-1, 1]; ``IP`` gives the dot product; ``L2`` the squared distance.
        rows: float32, shape ``(m, dim)``.
        queries: `QueryVector.wide` of one query, or of one for each row, shape ``(m, dim)``.
        query_squares: `QueryVector.square` of that query, or of each, shape ``(m,)``.
        squares: the rows' `squared_norms`, shape ``(m,)``, which COSINE needs.

    Returns:
        Shape ``(m,)``: float32 numbers held in float64. A magnitude beyond float32 is infinite.
    """
    # Not one mixed operation with ``dtype=float64``: numpy converts its operands in small pieces.
    wide = rows.astype(np.float64, order="C")
    if metric is Metric.L2:
        wide -= queries
        scores: Float64s = np.add.reduce(np.multiply(wide, wide, out=wide), axis=1)
    else:
        wide *= queries
        scores = np.add.reduce(wide, axis=1)
    if metric is Metric.COSINE:
        # One root of the product, not a product of roots: a vector with itself scores exactly 1.
        # A zero vector has the dot product 0, and so any length gives 0.
        lengths = np.maximum(np.sqrt(squares * query_squares), _LEAST)
        np.minimum(np.maximum(np.divide(scores, lengths, out=scores), -1.0), 1.0, out=scores)
    with np.errstate(over="ignore", under="ignore"):
        # The zero added makes one zero out of two: -0.0 would print as another score.
        return scores.astype(np.float32).astype(np.float64) + 0.0


def score_slots(rows: Rows, slots: Slots, query: QueryVector) -> Float64s:
    """Canonical scores of the vectors at ``slots``, in temporaries of bounded size."""
    step = max(1, _SCORE_BYTES // (8 * rows.dim))
    if len(slots) > step:
        starts = range(0, len(slots), step)
        return np.concatenate([score_slots(rows, slots[i : i + step], query) for i in starts])
    whole, squares = rows.whole, rows.squares.take(slots)
    vectors = rows.take(slots) if whole is None else whole.take(slots, axis=0)
    return canonical_scores(rows.metric, vectors, query.wide, query.square, squares)


@dataclass(frozen=True, slots=True)
class _Pool:
    """The slots that a scan may return: from ``start`` on, less what is not eligible.

    Attributes:
        start: first slot.
        count: how many are eligible.
        slots: those, ascending; None when all from ``start`` on are.
    """

    start: int
    count: int
    slots: Slots | None

    @classmethod
    def of(cls, rows: Rows, mask: NDArray[np.bool_] | None, start: int) -> _Pool:
        """The slots from ``start`` on that are present and in ``mask`` (None: all)."""
        wanted = [array[start:] for array in (rows.present, mask) if array is not None]
        if not wanted:
            return cls(start, rows.n - start, None)
        eligible = wanted[0] if len(wanted) == 1 else wanted[0] & wanted[1]
        slots = eligible.nonzero()[0]
        if len(slots) == rows.n - start:
            return cls(start, len(slots), None)
        return cls(start, len(slots), slots + start if start else slots)

    def gathers(self, rows: Rows) -> bool:
        """Whether reading only the eligible rows beats reading all of them in sequence."""
        return self.slots is not None and self.count * GATHER_COST < rows.n - self.start


def scan(
    rows: Rows,
    queries: Sequence[QueryVector],
    k: int,
    mask: NDArray[np.bool_] | None,
    keys: Keys,
    start: int = 0,
) -> list[Ranking]:
    """The ``k`` best hits of each query among the present slots of ``mask`` from ``start`` on.

    Fewer where there are no more; exact, and in canonical order.
    """
    pool = _Pool.of(rows, mask, start)
    near: Iterator[tuple[QueryVector, Slots]]
    if pool.count <= max(k, _FEW):
        slots = np.arange(start, rows.n) if pool.slots is None else pool.slots
        near = ((query, slots) for query in queries)
    else:
        near = _prefiltered(rows, queries, k, pool)
    descending = rows.metric.higher_is_better
    return [
        top_hits(slots, score_slots(rows, slots, query), k, keys, descending=descending)
        for query, slots in near
    ]


def _prefiltered(
    rows: Rows, queries: Sequence[QueryVector], k: int, pool: _Pool
) -> Iterator[tuple[QueryVector, Slots]]:
    """Each query with the slots that may be among its first k."""
    step = max(1, _DOT_BYTES // (4 * (rows.n - pool.start)))
    for first in range(0, len(queries), step):
        batch = queries[first : first + step]
        for query, dots in zip(batch, _dots(rows, batch, pool), strict=True):
            yield query, _candidates(rows, query, k, pool, dots)


def _dots(rows: Rows, queries: Sequence[QueryVector], pool: _Pool) -> Float32s:
    """Float32 dot products, shape ``(queries, m)``; NaN and infinity where they overflow.

    ``m`` counts the eligible rows if they are gathered, else all from ``pool.start`` on.
    """
    cosine = rows.metric is Metric.COSINE
    wanted = np.array([query.unit() if cosine else query.vector for query in queries])
    gathered = pool.slots if pool.gathers(rows) else None
    width = rows.n - pool.start if gathered is None else pool.count
    dots = np.empty((len(queries), width), dtype=np.float32)
    step = max(1, _BLOCK_VALUES // rows.dim)
    if gathered is not None:
        blocks = _gathered(rows, gathered, step)
    else:
        blocks = rows.blocks(pool.start, step if len(queries) == 1 else rows.n)
    # Announced once for all blocks: to announce one takes as long as a tenth of its product.
    native.call(None, _multiply, wanted, blocks, dots)
    return dots


def _multiply(wanted: Float32s, blocks: Iterable[tuple[int, Float32s]], dots: Float32s) -> None:
    with np.errstate(all="ignore"):
        for offset, block in blocks:
            np.matmul(wanted, block.T, out=dots[:, offset : offset + len(block)])


def _gathered(rows: Rows, slots: Slots, step: int) -> Iterator[tuple[int, Float32s]]:
    for first in range(0, len(slots), step):
        yield first, rows.take(slots[first : first + step])


def _candidates(rows: Rows, query: QueryVector, k: int, pool: _Pool, dots: Float32s) -> Slots:
    """Every slot that may be among the first k by canonical score; ``dots`` is overwritten."""
    if pool.slots is None:
        factors = rows.factors[pool.start :]
    else:
        factors = rows.factors.take(pool.slots)
        if len(dots) != pool.count:
            dots = dots.take(pool.slots - pool.start)
    with np.errstate(all="ignore"):
        lower, upper = _bounds(rows.metric, dots, factors, query, rows.dim)
        # NaN says that float32 cannot tell: such a row bounds nothing, and is always a candidate.
        lower = np.fmax(lower, np.float32(-np.inf), out=lower)
        threshold = np.partition(lower, len(lower) - k)[len(lower) - k]
        found: Slots = (~(upper < threshold)).nonzero()[0]
    return found + pool.start if pool.slots is None else pool.slots[found]


def dot_error(dim: int) -> float:
    """Error of a float32 dot product, and of what is done to it, in units of ``|x| |q|``.

    Sixteen units above ``dim`` pay for the roundings besides the dot product (of the factor, the
    query, the score, the bounds themselves), and for underflow, which lengths within
    ``TAME_MIN`` … ``TAME_MAX`` keep below one of them.
    """
    return (dim + 16) * _UNIT / (1.0 - (dim + 16) * _UNIT)


def _bounds(
    metric: Metric, dots: Float32s, factors: Float32s, query: QueryVector, dim: int
) -> tuple[Float32s, Float32s]:
    """Bounds of the canonical score, turned and shifted so that higher is better.

    They hold for the score *after* its rounding to float32.
    """
    gamma = dot_error(dim)
    if metric is Metric.COSINE:
        scores = np.multiply(dots, factors, out=dots)
        return scores - np.float32(gamma), scores + np.float32(gamma)
    if not query.is_tame:
        return np.full_like(dots, np.nan), np.full_like(dots, np.nan)
    norm = query.norm
    if metric is Metric.IP:
        errors = factors * np.float32(gamma * norm)
        return dots - errors, np.add(dots, errors, out=dots)
    # |x - q|^2 = |q|^2 + |x|^2 - 2 x.q, of which |q|^2 is the same for all rows.
    scores = np.multiply(dots, np.float32(2.0), out=dots)
    scores -= factors * factors
    square_gamma = 16 * _UNIT
    errors = factors * np.float32(square_gamma) + np.float32(2.0 * gamma * norm)
    errors *= factors
    errors += np.float32(square_gamma * query.square)
    return scores - errors, np.add(scores, errors, out=scores)
