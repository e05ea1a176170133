"""Checking vectors, wherever they come from, before anybody keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from elanus.errors import cut, quoted, shown
from elanus_embeddings._base import Dense

_LARGEST = float(np.finfo(np.float32).max)


class NotVectors(Exception):
    """An answer is no matrix of vectors.

    Attributes:
        row: which of the rows is at fault; None if it is not one of them.
        reason: what is wrong.
    """

    def __init__(self, reason: str, row: int | None = None) -> None:
        super().__init__(reason)
        self.row = row
        self.reason = reason


def checked_rows(answer: Any, count: int, dim: int | None = None) -> Dense:
    """Vectors as a float32 matrix.

    Args:
        answer: a matrix, or a list of vectors.
        count: how many vectors there must be.
        dim: components of each; None takes what the first one has.

    Raises:
        NotVectors: naming the first row that is none of finite numbers, or has another length.
    """
    if _holds_others(answer):
        raise _fault(answer, count, dim)
    try:
        # No dtype yet: with one, numpy would read strings as numbers.
        rows = np.asarray(answer)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        rows = np.empty((), dtype=object)
    if rows.ndim != 2 or rows.dtype.kind not in "fiu" or isinstance(answer, np.ma.MaskedArray):
        raise _fault(answer, count, dim)
    with np.errstate(over="ignore"):  # what overflows is infinite, and refused here
        narrow = rows.astype(np.float32, copy=False)
    good = np.isfinite(narrow).all()
    if rows.shape != (count, dim or rows.shape[1] or 1) or not good:
        raise _fault(answer, count, dim)
    return narrow


def _holds_others(answer: Any) -> bool:
    """Whether a list holds what numpy takes for numbers, as True, arrays or masked elements."""
    if isinstance(answer, np.ndarray) or not isinstance(answer, Sequence):
        return False
    return not all(map(_is_row, answer))


def _is_row(row: Any) -> bool:
    if isinstance(row, Sequence):
        return all(map(_is_number, set(map(type, row))))
    return not np.ma.is_masked(row)


def _is_number(kind: type) -> bool:
    is_other = issubclass(kind, (bool, np.timedelta64))  # a span of time is one of numpy's integers
    return issubclass(kind, (int, float, np.number)) and not is_other


def _fault(answer: Any, count: int, dim: int | None) -> NotVectors:
    """What is wrong with an answer, as closely as that can be said."""
    sequence = isinstance(answer, (Sequence, np.ndarray)) and not isinstance(answer, (str, bytes))
    if not sequence or isinstance(answer, np.ma.MaskedArray) or getattr(answer, "ndim", 1) == 0:
        return NotVectors(shown(answer))
    if len(answer) != count:
        return NotVectors(f"{len(answer)} vectors for {count} texts")
    width = dim
    for i, row in enumerate(answer):
        reason = _row_fault(row)
        if reason is None and width not in {None, len(row)}:
            reason = f"{len(row)} numbers instead of {width}"
        if reason is not None:
            return NotVectors(reason, i)
        width = len(row)
    return NotVectors(f"a {cut(type(answer).__name__)} that is no matrix")


def _row_fault(row: Any) -> str | None:
    is_list = isinstance(row, Sequence) or (isinstance(row, np.ndarray) and row.ndim > 0)
    if isinstance(row, (str, bytes)) or not is_list:
        return quoted(row)
    if len(row) == 0:
        return "no numbers"
    for j, value in enumerate(row):
        if not _is_number(type(value)) or not abs(value) <= _LARGEST:
            return f"{quoted(value)} as number {j}"
    return None
