"""Comparisons of a column with a value, a list, or another column."""

from __future__ import annotations

from math import ceil, floor, isinf, isnan
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from elanus.query.columns._column import Column
from elanus.query.columns._convert import to_float
from elanus.query.columns._kinds import FieldType, ValueType
from elanus.query.filter._members import Members, round_to_single
from elanus.query.filter.evaluation._truth import Truth, null_mask, settle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_UFUNCS: Final[dict[str, Any]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
_FLIPPED: Final = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
# Up to so many members, one comparison each is faster than a lookup of each slot.
_FEW: Final = 4


def compare(operator: str, left: Any, right: Any) -> Truth:
    """Return ``left operator right``: columns, or one and a bool, int, float, str or tuple."""
    if not isinstance(left, Column):
        operator, left, right = _FLIPPED[operator], right, left
    if isinstance(right, Column):
        return _compare_columns(operator, left, right)
    return _combine(operator, left, _against_value(operator, left, right))


def is_member(column: Column, members: Members) -> Truth:
    """Return ``column in members``."""
    return _combine("==", column, _against_members(column, members))


def _combine(
    operator: str, column: Column, parts: Iterator[tuple[ValueType, NDArray[np.bool_]]]
) -> Truth:
    """Put together the results for each type that the column holds."""
    kinds = column.kinds
    if kinds is None:
        for type_, hits in parts:
            if type_ == column.type:
                return Truth(hits, hits)
    kinds = column.all_kinds()
    same, certain = np.zeros(column.n, np.bool_), np.zeros(column.n, np.bool_)
    for type_, hits in parts:
        rows = kinds == type_.value
        same |= rows
        certain |= hits & rows
    return settle(operator, kinds, same, certain)


def _against_value(
    operator: str, column: Column, value: Any
) -> Iterator[tuple[ValueType, NDArray[np.bool_]]]:
    ufunc = _UFUNCS[operator]
    if isinstance(value, bool):
        if column.bools is not None:
            yield ValueType.BOOL, ufunc(column.bools, value)
    elif isinstance(value, str):
        if column.codes is not None:
            yield ValueType.STRING, _strings(operator, column, column.codes, value)
    elif isinstance(value, tuple):
        if column.elements is not None:
            equal = _equal_list(column, value)
            yield ValueType.ARRAY, equal if operator == "==" else ~equal
    else:
        if column.ints is not None:
            yield ValueType.INT, _integers(operator, column.ints, value)
        if column.floats is not None:
            yield ValueType.FLOAT, _floats(operator, column, column.floats, value)


def _strings(
    operator: str, column: Column, codes: NDArray[np.int32], text: str
) -> NDArray[np.bool_]:
    ufunc = _UFUNCS[operator]
    if operator in ("==", "!="):
        code = column.strings.code(text)
        return np.asarray(ufunc(codes, -1 if code is None else code))
    # StringDType orders by code point; `text` as plain `str` would lose NULs at its end.
    bound = np.array(text, dtype=np.dtypes.StringDType())
    return np.asarray(ufunc(column.strings.array(), bound)).take(codes)


def _integers(operator: str, ints: NDArray[np.int64], number: float) -> NDArray[np.bool_]:
    """Compare exactly: numpy would round the integers to float64."""
    if type(number) is int and _INT64_MIN <= number <= _INT64_MAX:
        return np.asarray(_UFUNCS[operator](ints, number))
    bound = _integer_bound(operator, number)
    if bound is None:
        return np.full(ints.shape, operator == "!=")
    if _INT64_MIN <= bound <= _INT64_MAX:
        return np.asarray(_UFUNCS[operator](ints, bound))
    above = bound > 0
    return np.full(
        ints.shape, operator == "!=" or operator in (("<", "<=") if above else (">", ">="))
    )


def _integer_bound(operator: str, number: float) -> int | None:
    """Return the integer that compares like ``number`` does, or None if nothing compares."""
    nearest = to_float(number)
    if isnan(nearest):
        return None
    if isinf(nearest):
        return 2 * (_INT64_MAX if nearest > 0 else _INT64_MIN)
    if operator in ("==", "!="):
        return int(number) if int(number) == number else None
    return ceil(number) if operator in ("<", ">=") else floor(number)


def _floats(
    operator: str, column: Column, floats: NDArray[Any], number: float
) -> NDArray[np.bool_]:
    if column.kind.type is FieldType.FLOAT32:
        # The field rounded what was inserted; rounded alike, 0.1 finds what came as 0.1, and
        # exactly one of <, == and > holds.
        single = round_to_single(np.array(to_float(number)))
        return np.asarray(_UFUNCS[operator](floats, single))
    bound = to_float(number)
    if bound != number and not isnan(bound):
        # An integer between two floats: nothing is equal, and the nearest float takes its side.
        if operator in ("==", "!="):
            return np.full(floats.shape, operator == "!=")
        below = bound < number
        operator = operator[0] + ("=" if below == (operator[0] == "<") else "")
    return np.asarray(_UFUNCS[operator](floats, bound))


def _against_members(
    column: Column, members: Members
) -> Iterator[tuple[ValueType, NDArray[np.bool_]]]:
    if column.bools is not None:
        yield ValueType.BOOL, _any_of(column.bools, np.array(sorted(members.bools), np.bool_))
    if column.ints is not None:
        yield ValueType.INT, _any_of(column.ints, members.ints)
    if column.floats is not None:
        single = column.kind.type is FieldType.FLOAT32
        yield ValueType.FLOAT, _any_of(column.floats, members.singles if single else members.floats)
    if column.codes is not None:
        yield ValueType.STRING, _any_code(column, column.codes, members)
    if column.elements is not None:
        hits = np.zeros(column.n, np.bool_)
        for values in members.lists:
            hits |= _equal_list(column, values)
        yield ValueType.ARRAY, hits


def _any_of(values: NDArray[Any], members: NDArray[Any]) -> NDArray[np.bool_]:
    if len(members) > _FEW:
        return np.isin(values, members)
    hits = np.zeros(values.shape, np.bool_)
    for member in members:
        hits |= values == member
    return hits


def _any_code(column: Column, codes: NDArray[np.int32], members: Members) -> NDArray[np.bool_]:
    wanted = np.array(column.strings.codes(members.strings), np.int32)
    if len(wanted) <= _FEW:
        return _any_of(codes, wanted)
    table = np.zeros(len(column.strings), np.bool_)
    table[wanted] = True
    return table.take(codes)


def _equal_list(column: Column, values: tuple[Any, ...]) -> NDArray[np.bool_]:
    """Return where an array has exactly these elements; False where there is none."""
    starts, lengths, elements = column.starts, column.lengths, column.elements
    if starts is None or lengths is None or elements is None:
        return np.zeros(column.n, np.bool_)
    equal: NDArray[np.bool_] = (lengths == len(values)) & (
        column.all_kinds() == ValueType.ARRAY.value
    )
    rows = np.flatnonzero(equal)
    for offset, value in enumerate(values):
        if not len(rows):
            break
        rows = rows[compare("==", elements.take(starts[rows] + offset), value).certain]
    equal[:] = False
    equal[rows] = True
    return equal


def _compare_columns(operator: str, left: Column, right: Column) -> Truth:
    """Return ``left operator right`` slot by slot.

    Arrays and objects are not looked into: compared with each other they are unknown.
    """
    kinds, others = left.all_kinds(), right.all_kinds()
    same, certain = np.zeros(left.n, np.bool_), np.zeros(left.n, np.bool_)
    for type_, other, hits in _pairs(operator, left, right):
        rows = (kinds == type_.value) & (others == other.value)
        same |= rows
        certain |= hits & rows
    # Unknown if either side has no value, and for two arrays or two objects.
    opaque = null_mask(right) | ((kinds == others) & (kinds >= ValueType.ARRAY.value))
    return settle(operator, np.where(opaque, np.uint8(ValueType.NULL), kinds), same, certain)


def _pairs(
    operator: str, left: Column, right: Column
) -> Iterator[tuple[ValueType, ValueType, NDArray[np.bool_]]]:
    ufunc = _UFUNCS[operator]
    ordered = operator not in ("==", "!=")
    if left.bools is not None and right.bools is not None and not ordered:
        yield ValueType.BOOL, ValueType.BOOL, ufunc(left.bools, right.bools)
    if left.codes is not None and right.codes is not None:
        texts = left.strings.array().take(left.codes), right.strings.array().take(right.codes)
        yield ValueType.STRING, ValueType.STRING, ufunc(*texts)
    if left.ints is not None and right.ints is not None:
        yield ValueType.INT, ValueType.INT, ufunc(left.ints, right.ints)
    if left.floats is not None and right.floats is not None:
        yield ValueType.FLOAT, ValueType.FLOAT, ufunc(left.floats, right.floats)
    if left.ints is not None and right.floats is not None:
        hits = _compare_int_float(operator, left.ints, right.floats)
        yield ValueType.INT, ValueType.FLOAT, hits
    if left.floats is not None and right.ints is not None:
        hits = _compare_int_float(_FLIPPED[operator], right.ints, left.floats)
        yield ValueType.FLOAT, ValueType.INT, hits


def _compare_int_float(
    operator: str, ints: NDArray[np.int64], floats: NDArray[Any]
) -> NDArray[np.bool_]:
    """Compare exactly: whole parts as integers, then the fraction."""
    wide = floats.astype(np.float64)
    whole = np.floor(wide)
    inside = (whole >= -(2.0**63)) & (whole < 2.0**63)
    rounded = np.where(inside, whole, 0.0).astype(np.int64)
    with np.errstate(invalid="ignore"):  # an infinity minus itself; it is not inside
        near = np.where(ints == rounded, whole - wide, np.where(ints < rounded, -1.0, 1.0))
    sign = np.where(inside, near, -wide)  # beyond int64 the float's side decides; NaN stays NaN
    return np.asarray(_UFUNCS[operator](sign, 0.0))
