"""Arithmetic over columns: exact in int64, and float64 where that is too small."""

from __future__ import annotations

import operator as python
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from elanus.query.columns._column import Column
from elanus.query.columns._kinds import ValueType

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_FLOAT: Final[dict[str, Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "**": np.power,
}
_EXACT: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": python.add,
    "-": python.sub,
    "*": python.mul,
    "**": python.pow,
}


def arithmetic(operator: str, left: Column, right: Column) -> Column:
    """Return ``left operator right`` slot by slot; MISSING where the result is unknown.

    Two ints give an int; a quotient of ints is cut towards zero, and a remainder has the sign of
    its left side, as in Milvus. What does not fit int64, and a power below 1, is computed in
    float64. Unknown: what is no number on either side, division by zero, and what is not a
    number in float64 (``(-1) ** 0.5``).
    """
    ints = _is(left, ValueType.INT) & _is(right, ValueType.INT)
    numeric = (_is(left, ValueType.FLOAT) | _is(left, ValueType.INT)) & (
        _is(right, ValueType.FLOAT) | _is(right, ValueType.INT)
    )
    one, other = _as_floats(left), _as_floats(right)
    known = numeric & _defined(operator, one, other)
    # The quotient of ints needs no estimate, and fmod of floats is slow.
    estimated = known & ~ints if operator in ("/", "%") else known
    ufunc = _FLOAT[operator]
    kinds = np.full(left.n, ValueType.MISSING.value, np.uint8)
    exact, floats = np.zeros(left.n, np.int64), np.zeros(left.n)
    with np.errstate(all="ignore"):
        ufunc(one, other, where=estimated, out=floats)
        kinds[known & ~np.isnan(floats)] = ValueType.FLOAT
        rows = np.flatnonzero(ints & known)
        if len(rows) and left.ints is not None and right.ints is not None:
            exact[rows], fits = _integers(operator, left.ints[rows], right.ints[rows], floats[rows])
            kinds[rows[fits]] = ValueType.INT
            floats[rows[~fits]] = ufunc(one[rows[~fits]], other[rows[~fits]])
    return Column.of_numbers(kinds, exact, floats)


def _is(column: Column, type_: ValueType) -> NDArray[np.bool_]:
    return np.asarray(column.all_kinds() == type_.value)


def _as_floats(column: Column) -> NDArray[np.float64]:
    floats = np.zeros(column.n) if column.floats is None else column.floats.astype(np.float64)
    return (
        floats if column.ints is None else np.where(_is(column, ValueType.INT), column.ints, floats)
    )


def _defined(
    operator: str, left: NDArray[np.float64], right: NDArray[np.float64]
) -> NDArray[np.bool_]:
    if operator in ("/", "%"):
        return np.asarray(right != 0)
    if operator == "**":
        return np.asarray((left != 0) | (right >= 0))
    return np.ones(len(left), np.bool_)


def _integers(
    operator: str, left: NDArray[np.int64], right: NDArray[np.int64], estimate: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return exact results, and where they are whole and fit int64."""
    if operator == "/":
        return _quotient(left, right)
    if operator == "%":
        return np.fmod(left, right), np.ones(len(left), np.bool_)
    possible = np.ones(len(left), np.bool_)
    if operator == "**":
        possible = right >= 0
        right = np.where(possible, right, 0)
    results = np.asarray(_EXACT[operator](left, right))  # wraps where it does not fit
    size = np.abs(estimate)
    fits = possible & (size < 2.0**62)
    # The estimate is off by less than a factor of two: only between these bounds is doubt left,
    # and there Python's own integers decide.
    doubtful = np.flatnonzero(possible & (size >= 2.0**62) & (size <= 2.0**64))
    if len(doubtful):
        large = _EXACT[operator](left[doubtful].astype(object), right[doubtful].astype(object))
        inside = np.asarray((large >= _INT64_MIN) & (large <= _INT64_MAX), np.bool_)
        results[doubtful[inside]] = large[inside].astype(np.int64)
        fits[doubtful[inside]] = True
    return results, fits


def _quotient(
    left: NDArray[np.int64], right: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    too_large = (left == _INT64_MIN) & (right == -1)
    divisor = np.where(too_large, 1, right)
    down = left // divisor
    cut = (left % divisor != 0) & ((left < 0) != (divisor < 0))
    return down + cut, ~too_large
