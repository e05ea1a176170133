"""Which slots of a column belong together, and the first of each group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from elanus.query.columns._distinct import NULL, by_type

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from elanus.query.columns._column import Column


def first_of_groups(column: Column, slots: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the places among ``slots`` at which a group begins, ascending.

    Slots with equal strings, numbers or bools are one group; numbers that are equal are equal
    whatever their type, and True is no number. A slot with null, an array, an object or nothing is
    a group of its own.

    Args:
        column: the values.
        slots: (m,) each once.
    """
    numbers = np.arange(len(slots))
    used = len(slots)
    for rank, values, those in by_type(column, slots):
        if rank != NULL:
            each, codes = np.unique(values, return_inverse=True)
            numbers[those] = used + codes
            used += len(each)
    return np.sort(np.unique(numbers, return_index=True)[1])
