"""Checking vectors, wherever they come from, before anybody keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from elanus.arguments import checked_vectors
from elanus.errors import DataNotMatchException, cut, quoted, shown
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
    try:
        # The store's own check: what it would not keep is not cached either.
        return checked_vectors("vectors", answer, count, dim)
    except DataNotMatchException:
        raise _fault(answer, count, dim) from None


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
    if isinstance(row, (str, bytes, bytearray, memoryview)) or not is_list:
        return quoted(row)
    if len(row) == 0:
        return "no numbers"
    for j, value in enumerate(row):
        if not _is_number(type(value)) or not abs(value) <= _LARGEST:
            return f"{quoted(value)} as number {j}"
    return None
