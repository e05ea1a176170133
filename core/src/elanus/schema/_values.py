"""Checking and converting the values of one column, whole columns at a time where types allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from elanus.errors import DataNotMatchException, quoted, shown
from elanus.schema._arguments import is_encodable, is_number, is_whole
from elanus.schema._fields import FieldSchema
from elanus.schema._json import Rejected, to_json, to_text
from elanus.schema._types import FLOAT_TYPES, INTEGER_BITS, DataType


def reject(row: int, name: str, value: object, rule: object) -> NoReturn:
    """Raise the error for one value.

    Raises:
        DataNotMatchException: always.
    """
    raise DataNotMatchException(f"row {row}, field {quoted(name)}: {rule}; got {shown(value)}")


def convert_column(f: FieldSchema, values: Sequence[Any] | NDArray[Any]) -> list[Any]:
    """The values of a scalar field as JSON values of its type; None stays None.

    Raises:
        DataNotMatchException: at the first value that breaks a rule of the field.
    """
    values = values.tolist() if isinstance(values, np.ndarray) else list(values)
    kinds = set(map(type, values))
    if _is_clean(f, values, kinds):
        return values
    if f.dtype is DataType.FLOAT and kinds == {float}:
        doubles = np.array(values)
        if (np.abs(doubles) <= np.finfo(np.float32).max).all():  # neither is NaN
            singles: list[Any] = doubles.astype(np.float32).tolist()
            return singles
    convert = converter(f)
    out = []
    for row, value in enumerate(values):
        try:
            out.append(None if value is None else convert(value))
        except Rejected as rule:
            reject(row, f.name, value, rule)
    return out


def _is_clean(f: FieldSchema, values: Sequence[Any], kinds: set[type]) -> bool:
    """Whether a column needs no conversion: decided by C loops over the whole column."""
    if f.dtype in INTEGER_BITS and kinds == {int}:
        top = 2 ** (INTEGER_BITS[f.dtype] - 1)
        return bool(-top <= min(values) and max(values) < top)
    if f.dtype is DataType.VARCHAR and kinds == {str}:
        # A code point takes at most four bytes; isascii and encode look at every character.
        assert f.max_length is not None
        return max(map(len, values)) * 4 <= f.max_length and is_encodable("".join(values))
    if f.dtype is DataType.DOUBLE and kinds == {float}:
        return bool(np.isfinite(np.array(values)).all())
    return f.dtype is DataType.BOOL and kinds == {bool}


def converter(f: FieldSchema) -> Callable[[Any], Any]:
    """The function that checks and converts one non-null value of a field."""
    if f.dtype in INTEGER_BITS:
        return lambda value: to_integer(value, INTEGER_BITS[f.dtype])
    if f.dtype in FLOAT_TYPES:
        return to_float32 if f.dtype is DataType.FLOAT else to_float
    if f.dtype is DataType.VARCHAR:
        return lambda value: to_text(value, f.max_length)
    if f.dtype is DataType.BOOL:
        return to_bool
    if f.dtype is DataType.ARRAY:
        assert f.element_type is not None  # by the check of the field
        element = converter(FieldSchema(f.name, f.element_type, max_length=f.max_length))
        return lambda value: to_array(value, f.max_capacity or 0, element)
    return to_json


def to_integer(value: Any, bits: int = 64) -> int:
    """An integer of so many bits; bools and floats are none."""
    if not is_whole(value):
        raise Rejected(f"an INT{bits} must be an integer")
    if not -(2 ** (bits - 1)) <= int(value) < 2 ** (bits - 1):
        raise Rejected(f"out of range for INT{bits}")
    return int(value)


def to_float(value: Any) -> float:
    """A finite double."""
    if not is_number(value):
        raise Rejected("a FLOAT or DOUBLE must be a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Rejected("a FLOAT or DOUBLE must be finite, not NaN or infinite")
    return number


def to_float32(value: Any) -> float:
    """A finite number, rounded to single precision."""
    number = to_float(value)
    if abs(number) > float(np.finfo(np.float32).max):
        raise Rejected("out of range for FLOAT (single precision)")
    return float(np.float32(number))


def to_bool(value: Any) -> bool:
    """A bool; numbers are none."""
    if not isinstance(value, (bool, np.bool_)):
        raise Rejected("a BOOL must be True or False")
    return bool(value)


def to_array(value: Any, capacity: int, element: Callable[[Any], Any]) -> list[Any]:
    """A list of at most so many values, each of which ``element`` checks and converts."""
    is_array = isinstance(value, np.ndarray) and value.ndim > 0
    if not is_array and not isinstance(value, (list, tuple)):
        raise Rejected("an ARRAY must be a list, tuple or numpy array")
    if len(value) > capacity:
        raise Rejected(f"the array has {len(value)} elements, more than max_capacity={capacity}")
    return [element(v) for v in value]
