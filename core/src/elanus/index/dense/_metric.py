"""Metrics of dense vectors, and the one function that turns two vectors into a score."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from elanus.errors import ParamError
from elanus.schema import Metric

Float32s: TypeAlias = NDArray[np.float32]
Float64s: TypeAlias = NDArray[np.float64]
Slots: TypeAlias = NDArray[np.intp]


TAME_MIN, TAME_MAX = 2.0**-40, 2.0**40
"""Lengths between which float32 products neither overflow nor lose bits to underflow."""


_LEAST = 2.0**-320
"""Less than any product of two lengths: float32 holds nothing between zero and 2**-149."""


DENSE_METRICS = (Metric.COSINE, Metric.IP, Metric.L2)
"""The metrics by which dense vectors are compared."""


@dataclass(frozen=True, slots=True)
class Query:
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
    def of(cls, vector: Float32s, dim: int) -> Query:
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


def squared_norms(rows: Float32s) -> Float64s:
    """Sum of squares of every row in float64, shape ``(m,)``; canonical like the scores."""
    squares: Float64s = np.multiply(rows, rows, dtype=np.float64, order="C").sum(axis=1)
    return squares


def canonical_scores(metric: Metric, rows: Float32s, query: Float32s) -> Float64s:
    """Score rows against one query; equal pairs of vectors get equal bits, always.

    Products are taken in float64 and summed over the last axis, so that the order of the
    additions depends on the dimension only. BLAS was not taken: it adds in another order for
    one row than for many, and the last bits would depend on the path that found a hit.

    Args:
        metric: ``COSINE`` gives dot / (|x| |q|), 0.0 when either vector is zero, within
            [-1, 1]; ``IP`` gives the dot product; ``L2`` the squared distance.
        rows: float32, shape ``(m, dim)``.
        query: float32, shape ``(dim,)``.

    Returns:
        Shape ``(m,)``: float32 numbers held in float64. A magnitude beyond float32 is infinite.
    """
    squares = squared_norms(rows) if metric is Metric.COSINE else None
    return score_rows(metric, rows, Query.of(query, rows.shape[1]), squares)


def score_rows(
    metric: Metric, rows: Float32s, query: Query, squares: Float64s | None = None
) -> Float64s:
    """`canonical_scores` for callers that keep the rows' `squared_norms` (used by COSINE)."""
    return score_pairs(metric, rows, query.wide, query.square, squares)


def score_pairs(
    metric: Metric,
    rows: Float32s,
    queries: Float64s,
    query_squares: Float64s | float,
    squares: Float64s | None = None,
) -> Float64s:
    """`canonical_scores` of each row with a query of its own, or of all rows with one.

    Args:
        metric: how vectors are compared.
        rows: float32, shape ``(m, dim)``.
        queries: `Query.wide` of one query, or of one for each row, shape ``(m, dim)``.
        query_squares: `Query.square` of that query, or of each, shape ``(m,)``.
        squares: the rows' `squared_norms`, shape ``(m,)``; COSINE computes them if None.
    """
    # Not one mixed operation with ``dtype=float64``: numpy converts its operands in small pieces.
    wide = rows.astype(np.float64, order="C")
    if metric is Metric.L2:
        wide -= queries
        return _rounded(np.add.reduce(np.multiply(wide, wide, out=wide), axis=1))
    wide *= queries
    dots: Float64s = np.add.reduce(wide, axis=1)
    if metric is Metric.IP:
        return _rounded(dots)
    # One root of the product, not a product of roots: a vector with itself scores exactly 1.
    lengths = np.sqrt((squared_norms(rows) if squares is None else squares) * query_squares)
    # A zero vector has the dot product 0, and so any length gives 0.
    cosines = np.divide(dots, np.maximum(lengths, _LEAST, out=lengths), out=dots)
    return _rounded(np.minimum(np.maximum(cosines, -1.0, out=cosines), 1.0, out=cosines))


def _rounded(scores: Float64s) -> Float64s:
    with np.errstate(over="ignore", under="ignore"):
        # The zero added makes one zero out of two: -0.0 would print as another score.
        return scores.astype(np.float32).astype(np.float64) + 0.0
