"""How many slots of a column have each value."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from elanus.query.columns._kinds import ValueType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from elanus.query.columns._column import Column

NULL, _BOOL, _NUMBER, _STRING = range(4)
_BOUND = 2.0**63


class _Counted(NamedTuple):
    rank: int
    value: Any
    slots: int


def distinct(column: Column, mask: NDArray[np.bool_] | None) -> list[tuple[Any, int]]:
    """Return each value and the number of slots that have it, the most frequent first.

    A slot with an array counts once for each different element. Null counts as None; what is
    missing does not count, nor does an object. Numbers that are equal count as one, and are given
    as integers if they are whole; True is no number. Equally frequent values come by type (null,
    bool, number, string), then in their own order.

    Args:
        column: the values.
        mask: the slots to count, bool (n,); None counts all.
    """
    slots = np.arange(column.n) if mask is None else np.flatnonzero(mask)
    found = [*_count(column, slots, slots)]
    elements, owners = column.elements, column.owners
    if elements is not None and owners is not None:
        is_counted = np.zeros(column.n, dtype=bool)
        is_counted[slots[column.all_kinds()[slots] == ValueType.ARRAY.value]] = True
        places = np.flatnonzero(is_counted[owners])
        found += _count(elements, places, owners[places])
    found.sort(key=_value_order)
    together = [_together(list(same)) for _, same in groupby(found, _value_order)]
    together.sort(key=lambda one: -one.slots)
    return [(one.value, one.slots) for one in together]


def _value_order(one: _Counted) -> tuple[int, Any]:
    return one.rank, 0 if one.value is None else one.value


def _together(same: list[_Counted]) -> _Counted:
    return same[0]._replace(slots=sum(one.slots for one in same))


def _count(
    column: Column, places: NDArray[np.int64], owners: NDArray[np.int64]
) -> Iterator[_Counted]:
    """The different values at some places of a column, each with the number of its owners."""
    for rank, values, those in by_type(column, places):
        each, codes = np.unique(values, return_inverse=True)
        # A pair of a value and an owner counts once, however often it is there.
        owned, numbers = owners[those], codes.astype(np.int64)
        order = np.lexsort((owned, numbers))
        owned, numbers = owned[order], numbers[order]
        is_new = np.ones(len(order), dtype=bool)
        is_new[1:] = (owned[1:] != owned[:-1]) | (numbers[1:] != numbers[:-1])
        counts = np.bincount(numbers[is_new], minlength=len(each)).tolist()
        for value, count in zip(each.tolist(), counts, strict=True):
            yield _Counted(rank, _shown(column, rank, value), count)


def _shown(column: Column, rank: int, value: Any) -> Any:
    if rank == NULL:
        return None
    return column.strings[value] if rank == _STRING else value


def by_type(
    column: Column, places: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[Any], NDArray[np.intp]]]:
    """Return rank, values and places among ``places``; whole numbers apart from the others."""
    kinds = column.all_kinds()[places]
    those = {kind: np.flatnonzero(kinds == kind.value) for kind in ValueType}
    yield NULL, np.zeros(len(those[ValueType.NULL])), those[ValueType.NULL]
    if column.bools is not None:
        yield _BOOL, column.bools[places[those[ValueType.BOOL]]], those[ValueType.BOOL]
    if column.codes is not None:
        yield _STRING, column.codes[places[those[ValueType.STRING]]], those[ValueType.STRING]
    integers, at = np.zeros(0, dtype=np.int64), those[ValueType.INT]
    if column.ints is not None:
        integers = column.ints[places[at]]
    if column.floats is not None:
        floats = column.floats[places[those[ValueType.FLOAT]]]
        is_whole = (np.floor(floats) == floats) & (np.abs(floats) < _BOUND)
        yield _NUMBER, floats[~is_whole], those[ValueType.FLOAT][~is_whole]
        # With the integers: [1, 1.0] has one number.
        integers = np.concatenate([integers, floats[is_whole].astype(np.int64)])
        at = np.concatenate([at, those[ValueType.FLOAT][is_whole]])
    yield _NUMBER, integers, at
