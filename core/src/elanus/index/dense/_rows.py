"""Vectors by slot: append-only memory that many immutable values share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from elanus.errors import ParamError
from elanus.index.dense._lengths import (
    Float32s,
    Float64s,
    Slots,
    checked_squares,
    prefilter_factors,
    present_squares,
)
from elanus.schema import Growing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from elanus.schema import Metric

_Grown: TypeAlias = tuple[Growing, Growing, Growing, Growing]
"""Tail, squares, factors, present."""


@dataclass(frozen=True, slots=True, eq=False)
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
        n: number of slots.
        dim: dimension of the vectors.
        whole: all vectors, if they are in one array: base or tail.
    """

    metric: Metric
    base: Float32s
    tail: Float32s
    squares: Float64s
    factors: Float32s
    present: NDArray[np.bool_] | None
    n_present: int
    n: int
    dim: int
    whole: Float32s | None
    _grown: _Grown

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
            squares = present_squares(matrix, known)
        squares = checked_squares(squares, len(matrix))
        grown = (
            Growing.of(matrix[:0]),
            Growing.of(squares),
            Growing.of(prefilter_factors(squares, metric)),
            Growing.of(known),
        )
        return cls._view(metric, matrix, grown, int(known.sum()))

    @classmethod
    def _view(cls, metric: Metric, base: Float32s, grown: _Grown, n_present: int) -> Rows:
        tail, squares, factors, present = (each.array for each in grown)
        n, dim = len(squares), int(base.shape[1])
        known = None if n_present == n else present
        whole = tail if not len(base) else None if len(tail) else base
        return cls(metric, base, tail, squares, factors, known, n_present, n, dim, whole, grown)

    @property
    def nbytes(self) -> int:
        """Bytes of the base and of what grows, spare room included."""
        return self.base.nbytes + sum(grown.nbytes for grown in self._grown)

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
        squares = present_squares(vectors, known)
        if not known.all():
            vectors = np.where(known[:, np.newaxis], vectors, np.float32(0))
        tail, old_squares, factors, old_present = self._grown
        grown = (
            tail.append(vectors),
            old_squares.append(squares),
            factors.append(prefilter_factors(squares, self.metric)),
            old_present.append(known),
        )
        return Rows._view(self.metric, self.base, grown, self.n_present + int(known.sum()))

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
        grown = (Growing.of(rest), *self._grown[1:])
        return Rows._view(self.metric, matrix, grown, self.n_present)

    def take(self, slots: Slots) -> Float32s:
        """Copies of the vectors at ``slots``, shape ``(len(slots), dim)``."""
        if self.whole is not None:
            return self.whole.take(slots, axis=0)
        base_n = len(self.base)
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


def _checked_present(present: NDArray[np.bool_] | None, n: int) -> NDArray[np.bool_]:
    if present is None:
        return np.ones(n, dtype=np.bool_)
    known = np.array(present)
    if known.shape != (n,) or known.dtype != np.bool_:
        raise ParamError(
            f"present: {known.dtype} of shape {known.shape} for {n} vectors: pass {n} booleans"
        )
    return known
