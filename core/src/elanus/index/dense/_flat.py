"""Exact search: a float32 prefilter with rigorous bounds, then canonical scores.

BLAS computes all dot products in float32. The error of such a product is bounded, whatever the
order of its additions, by ``gamma_d |x| |q|`` with ``gamma_d = d u / (1 - d u)``, ``u = 2**-24``
(Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1). Rows whose upper
bound reaches the k-th best lower bound are candidates; only they are scored canonically.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from elanus.index._order import Keys, top_hits
from elanus.index.dense._metric import Float32s, Float64s, Query, Slots
from elanus.schema import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from elanus.index.dense._rows import Rows

Hits = tuple[Slots, Float64s]

GATHER_COST = 3
"""A row read by its slot, against one read in sequence (measured, 384 d: 0.11 and 0.037 µs)."""

_UNIT = 2.0**-24  # unit roundoff of float32
_DOT_BYTES = 64 << 20  # float32 products of a batch of queries
# OpenBLAS multiplies a matrix of fewer than 460,800 values with one vector in the calling thread.
# In two threads 100,000 rows of 384 d take 3.5 ms instead of 4.7 on an idle machine, but 8 (a
# whole time slice, waiting for the other thread) on a busy one, and as long for 1,200 rows.
# Gathered rows of this size are still in the cache when BLAS reads them.
_BLOCK_VALUES = 1 << 18
_FEW = 64  # below, scoring every row canonically costs less than a prefilter


@dataclass(frozen=True, slots=True)
class Pool:
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
    def of(cls, rows: Rows, mask: NDArray[np.bool_] | None, start: int = 0) -> Pool:
        """The slots from ``start`` on that are present and in ``mask`` (None: all)."""
        wanted = [array[start:] for array in (rows.present, mask) if array is not None]
        if not wanted:
            return cls(start, rows.n - start, None)
        eligible = wanted[0] if len(wanted) == 1 else wanted[0] & wanted[1]
        slots = np.flatnonzero(eligible)
        if len(slots) == rows.n - start:
            return cls(start, len(slots), None)
        return cls(start, len(slots), slots + start if start else slots)

    def gathers(self, rows: Rows) -> bool:
        """Whether reading only the eligible rows beats reading all of them in sequence."""
        return self.slots is not None and self.count * GATHER_COST < rows.n - self.start


def scan(rows: Rows, queries: Sequence[Query], k: int, pool: Pool, keys: Keys) -> list[Hits]:
    """The exact ``min(k, pool.count)`` best hits of each query, in canonical order."""
    if pool.count <= max(k, _FEW):
        slots = np.arange(pool.start, rows.n) if pool.slots is None else pool.slots
        return [_ranked(rows, query, slots, k, keys) for query in queries]
    step = max(1, _DOT_BYTES // (4 * (rows.n - pool.start)))
    hits: list[Hits] = []
    for first in range(0, len(queries), step):
        batch = queries[first : first + step]
        for query, dots in zip(batch, _dots(rows, batch, pool), strict=True):
            hits.append(_ranked(rows, query, _candidates(rows, query, k, pool, dots), k, keys))
    return hits


def _ranked(rows: Rows, query: Query, slots: Slots, k: int, keys: Keys) -> Hits:
    descending = rows.metric.higher_is_better
    return top_hits(slots, rows.scores(slots, query), k, keys, descending=descending)


def _dots(rows: Rows, queries: Sequence[Query], pool: Pool) -> Float32s:
    """Float32 dot products, shape ``(queries, m)``; NaN and infinity where they overflow.

    ``m`` counts the eligible rows if they are gathered, else all from ``pool.start`` on.
    """
    cosine = rows.metric is Metric.COSINE
    wanted = np.stack([query.unit() if cosine else query.vector for query in queries])
    gathered = pool.slots if pool.gathers(rows) else None
    width = rows.n - pool.start if gathered is None else pool.count
    dots = np.empty((len(queries), width), dtype=np.float32)
    step = max(1, _BLOCK_VALUES // rows.dim)
    if gathered is not None:
        blocks = _gathered(rows, gathered, step)
    else:
        blocks = rows.blocks(pool.start, step if len(queries) == 1 else rows.n)
    with np.errstate(all="ignore"):
        for offset, block in blocks:
            np.matmul(wanted, block.T, out=dots[:, offset : offset + len(block)])
    return dots


def _gathered(rows: Rows, slots: Slots, step: int) -> Iterator[tuple[int, Float32s]]:
    for first in range(0, len(slots), step):
        yield first, rows.take(slots[first : first + step])


def _candidates(rows: Rows, query: Query, k: int, pool: Pool, dots: Float32s) -> Slots:
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
        found = np.flatnonzero(~(upper < threshold))
    return found + pool.start if pool.slots is None else pool.slots[found]


def dot_error(dim: int) -> float:
    """Error of a float32 dot product, and of what is done to it, in units of ``|x| |q|``.

    Sixteen units above ``dim`` pay for the roundings besides the dot product (of the factor, the
    query, the score, the bounds themselves), and for underflow, which lengths within
    ``TAME_MIN`` … ``TAME_MAX`` keep below one of them.
    """
    return (dim + 16) * _UNIT / (1.0 - (dim + 16) * _UNIT)


def _bounds(
    metric: Metric, dots: Float32s, factors: Float32s, query: Query, dim: int
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
