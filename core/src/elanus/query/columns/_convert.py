"""Python values to arrays, in bulk."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from elanus.errors import ParamError, shown
from elanus.query.columns._kinds import MISSING, NATURAL_TYPES, FieldKind, FieldType, ValueType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from elanus.query.columns._strings import Strings

_TYPE_OF: Final[dict[type, ValueType]] = {
    type(MISSING): ValueType.MISSING,
    NoneType: ValueType.NULL,
    bool: ValueType.BOOL,
    int: ValueType.INT,
    float: ValueType.FLOAT,
    str: ValueType.STRING,
    list: ValueType.ARRAY,
    tuple: ValueType.ARRAY,
    dict: ValueType.OBJECT,
}

# Typed loosely, because numpy declares comparisons of numbers only.
_NULL: Final[Any] = None
_MISSING: Final[Any] = MISSING

# What stands in an array where the slot holds no value; `kinds` hides it.
_FILLER: Final[dict[FieldType, Any]] = {
    FieldType.BOOL: False,
    FieldType.INT: 0,
    FieldType.FLOAT32: 0.0,
    FieldType.DOUBLE: 0.0,
    FieldType.STRING: "",
    FieldType.ARRAY: (),
}


@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """Converted values, before they join a column.

    Attributes:
        n: number of values.
        type: the type of all of them, if ``kinds`` is None.
        kinds: uint8 (n,), a ``ValueType`` a slot, or None.
        lanes: arrays by the name that they have in ``Column``.
        elements: what the arrays hold, one after another; None without arrays.
    """

    n: int
    type: ValueType
    kinds: NDArray[np.uint8] | None = None
    lanes: dict[str, NDArray[Any]] = field(default_factory=dict)
    elements: list[Any] | None = None


def convert(kind: FieldKind, values: Sequence[Any], strings: Strings) -> Converted:
    """Convert values of a field; strings get their codes from ``strings``.

    Raises:
        ParamError: a JSON value is of no type that JSON has.
    """
    return _mixed(values, strings) if kind.type is FieldType.JSON else _typed(kind, values, strings)


def _typed(kind: FieldKind, values: Sequence[Any], strings: Strings) -> Converted:
    kinds = None
    natural = NATURAL_TYPES[kind.type]
    if None in values or MISSING in values:
        array = np.fromiter(values, object, len(values))
        null, missing = np.equal(array, _NULL), np.equal(array, _MISSING)
        kinds = np.full(len(values), natural, np.uint8)
        kinds[null], kinds[missing] = ValueType.NULL, ValueType.MISSING
        filler = np.empty(1, object)
        filler[0] = _FILLER[kind.type]  # a tuple assigned by mask would be taken for an array
        values = np.where(null | missing, filler, array).tolist()
    batch = _of_type(natural, values, strings, single=kind.type is FieldType.FLOAT32)
    return Converted(len(values), natural, kinds, batch.lanes, batch.elements)


def _mixed(values: Sequence[Any], strings: Strings) -> Converted:
    n = len(values)
    array = np.fromiter(values, object, n)
    kinds = np.fromiter(map(type_of, values), np.uint8, n)
    _move_large_integers(array, kinds)
    present = [ValueType(number) for number in np.unique(kinds)]
    if len(present) == 1:
        return _of_type(present[0], array.tolist(), strings)
    lanes: dict[str, NDArray[Any]] = {}
    elements: list[Any] | None = None
    for type_ in present:
        rows = np.flatnonzero(kinds == type_.value)
        part = _of_type(type_, array[rows].tolist(), strings)
        for name, lane in part.lanes.items():
            lanes[name] = rows[lane] if name == "owners" else _spread(lane, rows, n)
        elements = part.elements if part.elements is not None else elements
    return Converted(n, ValueType.MISSING, kinds, lanes, elements)


def type_of(value: Any) -> ValueType:
    """Return the type of a JSON value.

    Raises:
        ParamError: it is of no type that JSON has.
    """
    try:
        return _TYPE_OF[type(value)]
    except KeyError:
        raise ParamError(
            f"a JSON value is of type {type(value).__name__}: {shown(value)}; give null, bool, "
            "int, float, str, list or dict"
        ) from None


def _move_large_integers(array: NDArray[Any], kinds: NDArray[np.uint8]) -> None:
    """Turn integers outside of int64 (stored JSON has them up to 2**64) into floats."""
    rows = np.flatnonzero(kinds == ValueType.INT.value)
    integers = array[rows]
    low, high = -(2**63), 2**63 - 1
    large = rows[np.asarray((integers < low) | (integers > high), dtype=bool)]
    for row in large:
        array[row] = to_float(array[row])
    kinds[large] = ValueType.FLOAT


def to_float(number: float) -> float:
    """Return the nearest float64; beyond its range an infinity, not Python's OverflowError."""
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def _spread(lane: NDArray[Any], rows: NDArray[np.int64], n: int) -> NDArray[Any]:
    spread = np.zeros(n, lane.dtype)
    spread[rows] = lane
    return spread


def _of_type(
    type_: ValueType, values: Sequence[Any], strings: Strings, *, single: bool = False
) -> Converted:
    """Convert values that are all of one type."""
    n = len(values)
    match type_:
        case ValueType.BOOL:
            lanes: dict[str, NDArray[Any]] = {"bools": np.fromiter(values, np.bool_, n)}
        case ValueType.INT:
            lanes = {"ints": np.fromiter(values, np.int64, n)}
        case ValueType.FLOAT:
            lanes = {"floats": np.fromiter(values, np.float32 if single else np.float64, n)}
        case ValueType.STRING:
            lanes = {"codes": strings.encode(values)}
        case ValueType.ARRAY:
            lengths = np.fromiter(map(len, values), np.int64, n)
            lanes = {
                "lengths": lengths,
                "starts": np.cumsum(lengths) - lengths,
                "owners": np.repeat(np.arange(n), lengths),
            }
            return Converted(n, type_, None, lanes, list(chain.from_iterable(values)))
        case _:
            lanes = {}  # nothing, or an object: filters ask only whether it is there
    return Converted(n, type_, None, lanes)
