"""Lengths of vectors: computed once a row, kept beside it, and part of every score and bound."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from elanus.errors import DatabaseCorruptError, DataNotMatchException, ParamError
from elanus.schema import Metric

Float32s: TypeAlias = NDArray[np.float32]
Float64s: TypeAlias = NDArray[np.float64]
Slots: TypeAlias = NDArray[np.intp]

TAME_MIN, TAME_MAX = 2.0**-40, 2.0**40
"""Lengths between which float32 products neither overflow nor lose bits to underflow."""

DENSE_METRICS = (Metric.COSINE, Metric.IP, Metric.L2)
"""The metrics by which dense vectors are compared."""

_CHUNK_BYTES = 1 << 20  # float64 temporaries that stay in the cache


def squared_norms(rows: Float32s) -> Float64s:
    """Sum of squares of every row in float64, shape ``(m,)``; canonical like the scores."""
    squares: Float64s = np.multiply(rows, rows, dtype=np.float64, order="C").sum(axis=1)
    return squares


def present_squares(rows: Float32s, present: NDArray[np.bool_]) -> Float64s:
    """`squared_norms` of many rows, 0 for those that are null.

    Raises:
        DataNotMatchException: a present row holds NaN or infinity.
    """
    squares = np.empty(len(rows), dtype=np.float64)
    step = max(1, _CHUNK_BYTES // (8 * max(1, rows.shape[1])))
    for start in range(0, len(rows), step):
        squares[start : start + step] = squared_norms(rows[start : start + step])
    squares[~present] = 0.0
    finite = np.isfinite(squares)
    if not finite.all():
        raise DataNotMatchException(
            f"vector {int(np.argmin(finite))} of {len(rows)} holds NaN or infinity: vectors must "
            "be finite"
        )
    return squares


def checked_squares(squares: Float64s, n: int) -> Float64s:
    """Squares that were kept in a file.

    Raises:
        ParamError: a wrong type or shape.
        DatabaseCorruptError: they are no squared lengths.
    """
    if squares.shape != (n,) or squares.dtype != np.float64:
        raise ParamError(
            f"squares: {squares.dtype} of shape {squares.shape} for {n} vectors: pass those of "
            "the value that the matrix came from"
        )
    if not (np.isfinite(squares).all() and (squares >= 0).all()):
        raise DatabaseCorruptError(
            "squared lengths of vectors are negative or not finite: leave them out, and they are "
            "computed again"
        )
    return squares


def prefilter_factors(squares: Float64s, metric: Metric) -> Float32s:
    """What a float32 prefilter multiplies by, shape ``(n,)``; see `Rows`."""
    lengths = np.sqrt(squares)
    tame = (squares == 0) | ((lengths >= TAME_MIN) & (lengths <= TAME_MAX))
    factors = np.where(tame, lengths, np.nan)
    if metric is Metric.COSINE:
        factors = np.divide(1.0, factors, out=factors, where=squares > 0)
    return factors.astype(np.float32)
