"""Vectors by slot: append-only memory that many immutable values share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from elanus.errors import DatabaseCorruptError, DataNotMatchException, ParamError
from elanus.index.dense._metric import (
    TAME_MAX,
    TAME_MIN,
    Float32s,
    Float64s,
    Query,
    Slots,
    score_rows,
    squared_norms,
)
from elanus.schema import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_NORM_CHUNK_BYTES = 1 << 20  # float64 temporaries that stay in the cache
_SCORE_CHUNK_BYTES = 16 << 20  # two or three such temporaries are alive at once


class _Buffer:
    """One growing array; each value reads a prefix of it, and only the newest appends in place."""

    __slots__ = ("array", "used")

    def __init__(self, array: NDArray[Any], used: int) -> None:
        self.array = array
        self.used = used

    def appended(self, length: int, rows: NDArray[Any]) -> _Buffer:
        """The buffer that holds this one's first ``length`` rows, and then ``rows``."""
        end = length + len(rows)
        buffer = self
        if length != self.used or end > len(self.array):
            buffer = self._grown(length, end)
        buffer.array[length:end] = rows
        buffer.used = end
        return buffer

    def _grown(self, length: int, end: int) -> _Buffer:
        # Growth by half keeps appends amortised O(m) and wastes less than doubling.
        capacity = max(end, length + length // 2)
        array = np.empty((capacity, *self.array.shape[1:]), dtype=self.array.dtype)
        array[:length] = self.array[:length]
        return _Buffer(array, length)


@dataclass(frozen=True, slots=True)
class Rows:
    """Immutable vectors of ``n`` slots: a mapped base that is never copied, and a growing tail.

    Attributes:
        metric: how they are compared.
        base: float32, shape ``(base_n, dim)``; possibly a read-only map.
        tail: float32, shape ``(n - base_n, dim)``.
        squares: `squared_norms` of each row, float64, shape ``(n,)``; 0 for null vectors.
        factors: what a float32 prefilter multiplies by, shape ``(n,)``: the inverse length for
            COSINE, the length for IP and L2. NaN marks a length outside of
            ``TAME_MIN`` … ``TAME_MAX``, for which float32 arithmetic may overflow or underflow.
        present: bool, shape ``(n,)``; False is a null vector. None when all are present.
        n_present: how many are.
    """

    metric: Metric
    base: Float32s
    tail: Float32s
    squares: Float64s
    factors: Float32s
    present: NDArray[np.bool_] | None
    n_present: int
    _buffers: tuple[_Buffer, _Buffer, _Buffer, _Buffer]

    @classmethod
    def of(
        cls,
        matrix: Float32s,
        present: NDArray[np.bool_] | None,
        metric: Metric,
        squares: Float64s | None = None,
    ) -> Rows:
        """Adopt a matrix of shape ``(n, dim)`` without copying it.

        ``squares`` are those of an equal value, kept with the matrix: computing them reads every
        vector (37 ms for 100,000 of 384 d), which opening a mapped file would rather not.

        Raises:
            ParamError: matrix or ``present`` has a wrong type or shape.
            DataNotMatchException: a present row holds NaN or infinity.
        """
        matrix = np.asarray(matrix)
        shaped = matrix.ndim == 2 and matrix.shape[1] > 0
        if not shaped or matrix.dtype != np.float32 or not matrix.flags.c_contiguous:
            raise ParamError(
                f"matrix of {matrix.dtype} with shape {matrix.shape}: pass a C-contiguous float32 "
                "matrix of shape (n, dim), dim at least 1"
            )
        known = _checked_present(present, len(matrix))
        if squares is None:
            squares = _present_squares(matrix, known)
        squares = _checked_squares(squares, len(matrix))
        tail = _Buffer(np.empty((0, matrix.shape[1]), dtype=np.float32), 0)
        buffers = (
            tail,
            _Buffer(squares, len(matrix)),
            _Buffer(_factors(squares, metric), len(matrix)),
            _Buffer(known, len(matrix)),
        )
        return cls._view(metric, matrix, len(matrix), buffers, int(known.sum()))

    @classmethod
    def _view(
        cls,
        metric: Metric,
        base: Float32s,
        n: int,
        buffers: tuple[_Buffer, _Buffer, _Buffer, _Buffer],
        n_present: int,
    ) -> Rows:
        tail, squares, factors, present = (buffer.array for buffer in buffers)
        known = None if n_present == n else present[:n]
        shared = (base, tail[: n - len(base)], squares[:n], factors[:n], known)
        return cls(metric, *shared, n_present, buffers)

    @property
    def n(self) -> int:
        """Number of slots."""
        return len(self.squares)

    @property
    def dim(self) -> int:
        """Dimension of the vectors."""
        return int(self.base.shape[1])

    @property
    def nbytes(self) -> int:
        """Bytes of the base and of the buffers, spare room included."""
        return int(self.base.nbytes + sum(buffer.array.nbytes for buffer in self._buffers))

    def append(self, vectors: Float32s, present: NDArray[np.bool_] | None) -> Rows:
        """A value with ``vectors`` behind the present ones; this value stays as it is.

        Raises:
            ParamError: ``vectors`` or ``present`` has a wrong shape.
            DataNotMatchException: a present row holds NaN or infinity.
        """
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise ParamError(
                f"vectors of shape {vectors.shape} cannot be appended to an index of dimension "
                f"{self.dim}: pass shape (m, {self.dim})"
            )
        known = _checked_present(present, len(vectors))
        squares = _present_squares(vectors, known)
        if not known.all():
            vectors = np.where(known[:, np.newaxis], vectors, np.float32(0))
        n, base_n = self.n, len(self.base)
        tail, old_squares, factors, old_present = self._buffers
        buffers = (
            tail.appended(n - base_n, vectors),
            old_squares.appended(n, squares),
            factors.appended(n, _factors(squares, self.metric)),
            old_present.appended(n, known),
        )
        n_present = self.n_present + int(known.sum())
        return Rows._view(self.metric, self.base, n + len(vectors), buffers, n_present)

    def with_base(self, matrix: Float32s) -> Rows:
        """The same rows, the first of them held by ``matrix``, which is equal to what they are.

        For a map of a file that they were written to: the memory that held them until now goes
        with the last older value.

        Args:
            matrix: float32, C-contiguous, shape ``(m, dim)`` with ``m <= n``.

        Raises:
            ParamError: its shape or type does not fit.
        """
        # A plain array: every slice of numpy's own memmap pays for being one.
        matrix = np.asarray(matrix)
        fits = matrix.shape[1:] == (self.dim,) and len(matrix) <= self.n
        if not fits or matrix.dtype != np.float32 or not matrix.flags.c_contiguous:
            raise ParamError(
                f"matrix of {matrix.dtype} with shape {matrix.shape} for {self.n} rows of "
                f"{self.dim} components: pass the first of these rows"
            )
        rest = self.take(np.arange(len(matrix), self.n))
        buffers = (_Buffer(rest, len(rest)), *self._buffers[1:])
        return Rows._view(self.metric, matrix, self.n, buffers, self.n_present)

    def take(self, slots: Slots) -> Float32s:
        """Copies of the vectors at ``slots``, shape ``(len(slots), dim)``."""
        base_n = len(self.base)
        if base_n == self.n:
            return self.base.take(slots, axis=0)
        if base_n == 0:
            return self.tail.take(slots, axis=0)
        late = slots >= base_n
        if not late.any():
            return self.base.take(slots, axis=0)
        taken = np.empty((len(slots), self.dim), dtype=np.float32)
        taken[~late] = self.base[slots[~late]]
        taken[late] = self.tail[slots[late] - base_n]
        return taken

    def blocks(self, start: int, step: int) -> Iterator[tuple[int, Float32s]]:
        """Views of slots ``start`` … ``n-1``, of at most ``step`` rows, each with its offset."""
        base_n = len(self.base)
        for first in range(start, base_n, step):
            yield first - start, self.base[first : first + step]
        for first in range(max(start - base_n, 0), len(self.tail), step):
            yield base_n + first - start, self.tail[first : first + step]

    def scores(self, slots: Slots, query: Query) -> Float64s:
        """Canonical scores of the vectors at ``slots``, in temporaries of bounded size."""
        step = max(1, _SCORE_CHUNK_BYTES // (8 * self.dim))
        if len(slots) <= step:
            return score_rows(self.metric, self.take(slots), query, self.squares.take(slots))
        scores = np.empty(len(slots), dtype=np.float64)
        for start in range(0, len(slots), step):
            scores[start : start + step] = self.scores(slots[start : start + step], query)
        return scores


def _checked_present(present: NDArray[np.bool_] | None, n: int) -> NDArray[np.bool_]:
    if present is None:
        return np.ones(n, dtype=np.bool_)
    known = np.array(present)
    if known.shape != (n,) or known.dtype != np.bool_:
        raise ParamError(
            f"present: {known.dtype} of shape {known.shape} for {n} vectors: pass {n} booleans"
        )
    return known


def _present_squares(rows: Float32s, present: NDArray[np.bool_]) -> Float64s:
    squares = np.empty(len(rows), dtype=np.float64)
    step = max(1, _NORM_CHUNK_BYTES // (8 * max(1, rows.shape[1])))
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


def _checked_squares(squares: Float64s, n: int) -> Float64s:
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


def _factors(squares: Float64s, metric: Metric) -> Float32s:
    lengths = np.sqrt(squares)
    tame = (squares == 0) | ((lengths >= TAME_MIN) & (lengths <= TAME_MAX))
    factors = np.where(tame, lengths, np.nan)
    if metric is Metric.COSINE:
        factors = np.divide(1.0, factors, out=factors, where=squares > 0)
    return factors.astype(np.float32)
