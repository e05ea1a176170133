"""Mean and deviation of a query's similarities over all vectors, without comparing it with each.

With the sum s = Σ x and the second moment M = Σ x xᵀ of n vectors, the inner products of a query q
have the mean μ = q·s / n and the variance qᵀMq / n - μ². Both sums follow the rows as they come and
go. For COSINE they are those of the vectors divided by their lengths.

A query costs d² multiplications, and so does each row that comes or goes. Above `_WIDEST`
dimensions that is more than comparing it with a sample: there the mean is still that of all
vectors, and the deviation that of `_SAMPLE` of them, evenly spaced: wrong by 1 / √(2 · _SAMPLE),
some 2 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from elanus import native
from elanus.schema import Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from elanus.index.dense._exact import QueryVector
    from elanus.index.dense._lengths import Float32s, Float64s, Slots
    from elanus.index.dense._rows import Rows

_WIDEST = 1024
_SAMPLE = 1024
_BLOCK = 4096  # rows whose products are added in float32


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Sums over some vectors; a value.

    Attributes:
        count: n, how many vectors.
        total: Σ x, shape ``(dim,)``.
        square: Σ x xᵀ, shape ``(dim, dim)``; None above `_WIDEST` dimensions.
        sample: some of the vectors, float32, shape ``(m, dim)``; None without need.
    """

    count: int
    total: Float64s
    square: Float64s | None
    sample: Float32s | None = None

    @classmethod
    def empty(cls, dim: int) -> Moments:
        """Of no vectors."""
        return cls(0, np.zeros(dim), np.zeros((dim, dim)) if dim <= _WIDEST else None)

    def followed(self, rows: Rows, before: NDArray[np.bool_], now: NDArray[np.bool_]) -> Moments:
        """The sums over other vectors than until now.

        Args:
            rows: where they are.
            before: (n,) the slots that these sums are of.
            now: (n,) those that the next ones are of.
        """
        gone = int(np.count_nonzero(before & ~now))
        if 2 * gone > self.count:
            # To add up the rest is less work, and leaves no rounding errors of those that went.
            return Moments.empty(rows.dim).followed(rows, np.zeros_like(now), now)
        total = self.total.copy()
        square = None if self.square is None else self.square.copy()
        for changed, sign in ((now & ~before, 1.0), (before & ~now, -1.0)):
            slots = np.flatnonzero(changed)
            for first in range(0, len(slots), _BLOCK):
                block = _scaled(rows, slots[first : first + _BLOCK])
                total += sign * block.sum(axis=0, dtype=np.float64)
                if square is not None:
                    square += sign * native.call(None, np.matmul, block.T, block)
        sample = None
        if square is None:
            every = np.flatnonzero(now)
            places = np.linspace(0, len(every) - 1, min(_SAMPLE, len(every))).astype(np.intp)
            sample = _scaled(rows, every[places])
        return Moments(int(np.count_nonzero(now)), total, square, sample)

    def of(self, query: QueryVector, metric: Metric) -> tuple[float, float]:
        """Mean and standard deviation of the query's similarities with all these vectors."""
        if not self.count:
            return 0.0, 0.0
        wide = query.wide
        if metric is Metric.COSINE and query.square:
            wide = wide / math.sqrt(query.square)
        mean = float(wide @ self.total) / self.count
        if self.square is None:
            assert self.sample is not None
            single = wide.astype(np.float32)
            similarities = native.call(None, np.matmul, self.sample, single)
            return mean, float(np.std(similarities))
        second = float(native.call(None, np.matmul, wide, self.square) @ wide)
        # Rounding may leave less than nothing where all vectors are alike.
        variance = second / self.count - mean * mean
        return mean, math.sqrt(max(variance, 0.0))


def _scaled(rows: Rows, slots: Slots) -> Float32s:
    """Vectors as the metric compares them, shape ``(m, dim)``."""
    vectors = rows.take(slots)
    if rows.metric is not Metric.COSINE:
        return vectors
    lengths = np.sqrt(rows.squares[slots])
    inverse = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    scaled: NDArray[np.float32] = (vectors * inverse[:, np.newaxis]).astype(np.float32)
    return scaled
