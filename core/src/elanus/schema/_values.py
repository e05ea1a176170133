"""Checking and converting the values of one column, whole columns at a time where types allow."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from elanus.errors import DataNotMatchException
from elanus.schema._fields import FieldSchema
from elanus.schema._types import FLOAT_TYPES, INTEGER_BITS, DataType

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
# Each level takes four of Python's 1000 frames, of which the caller needs some.
MAX_JSON_DEPTH = 100
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


_STEPS_SHOWN = 6


class Rejected(Exception):  # never leaves this package: it carries a rule, no message
    """The rule that a single value breaks, and the path to the value inside a JSON value."""

    def __init__(self, rule: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(rule)
        self.rule = rule
        self.path = path

    def __str__(self) -> str:
        if not self.path:
            return self.rule
        steps = "".join(f"[{step!r:.40}]" for step in self.path[:_STEPS_SHOWN])
        return f"at {steps}{'…' * (len(self.path) > _STEPS_SHOWN)}: {self.rule}"


def reject(row: int, name: str, value: object, rule: object) -> NoReturn:
    """Raise the error for one value.

    Raises:
        DataNotMatchException: always.
    """
    raise DataNotMatchException(f"row {row}, field {name!r}: {rule}; got {shown(value)}")


def shown(value: object) -> str:
    """A value of any size and depth, and its type, in short."""
    kind = type(value).__name__
    try:
        # Not repr(): it fails on deep lists, and takes long for long ones.
        return f"{_SHORT.repr(value)} ({kind})"
    except ValueError:  # Python writes out no integer of more than 4300 digits
        return f"a value too large to show ({kind})"


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
        return max(map(len, values)) * 4 <= f.max_length and _encodable("".join(values))
    if f.dtype is DataType.DOUBLE and kinds == {float}:
        return bool(np.isfinite(np.array(values)).all())
    return f.dtype is DataType.BOOL and kinds == {bool}


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


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
    return (lambda value: to_array(f, value)) if f.dtype is DataType.ARRAY else to_json


_NO_INTEGERS = (bool, np.bool_, np.timedelta64)


def to_integer(value: Any, bits: int = 64) -> int:
    """An integer of so many bits; bools and floats are none."""
    # For numpy a span of time is an integer.
    if isinstance(value, _NO_INTEGERS) or not isinstance(value, (int, np.integer)):
        raise Rejected(f"an INT{bits} must be an integer")
    if not -(2 ** (bits - 1)) <= int(value) < 2 ** (bits - 1):
        raise Rejected(f"out of range for INT{bits}")
    return int(value)


def to_float(value: Any) -> float:
    """A finite double."""
    if isinstance(value, _NO_INTEGERS) or not isinstance(
        value, (int, float, np.integer, np.floating)
    ):
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


def to_text(value: Any, max_length: int | None = None) -> str:
    """A string that UTF-8 can hold, of at most ``max_length`` bytes."""
    if not isinstance(value, str):
        raise Rejected("a VARCHAR must be a string")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise Rejected("a string must be valid Unicode, without lone surrogates") from None
    if max_length is not None and size > max_length:
        raise Rejected(f"the string has {size} bytes, more than max_length={max_length}")
    return str(value)


def to_array(f: FieldSchema, value: Any) -> list[Any]:
    """A list of values of the field's element type."""
    if not isinstance(value, (list, tuple, np.ndarray)):
        raise Rejected("an ARRAY must be a list, tuple or numpy array")
    assert f.max_capacity is not None and f.element_type is not None  # noqa: PT018  # both by check
    if len(value) > f.max_capacity:
        raise Rejected(
            f"the array has {len(value)} elements, more than max_capacity={f.max_capacity}"
        )
    element = FieldSchema(f.name, f.element_type, max_length=f.max_length)
    convert = converter(element)
    return [convert(v) for v in value]


def to_json(value: Any, depth: int = 0) -> Any:
    """A JSON value: None, bool, int of 64 bits, finite float, str, list or dict with str keys.

    Numpy scalars and arrays, and tuples, become the plain values that JSON has for them.
    Other types are refused, since they would come back as something else.
    """
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:
        return to_text(value)
    if kind is int or (isinstance(value, np.integer) and kind is not np.timedelta64):
        if not INT64_MIN <= int(value) <= INT64_MAX:
            raise Rejected("an integer in JSON must fit in 64 bits")
        return int(value)
    if kind is float or isinstance(value, np.floating):
        if not math.isfinite(value):
            raise Rejected("a number in JSON must be finite, not NaN or infinite")
        return float(value)
    if depth > MAX_JSON_DEPTH:
        raise Rejected(f"JSON nested more than {MAX_JSON_DEPTH} deep")
    return _to_json_compound(value, depth)


def _to_json_compound(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise Rejected(f"a JSON key must be a string, not {key!r}")
            to_text(key)
        return {str(k): _inside(k, v, depth) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_inside(i, v, depth) for i, v in enumerate(value)]
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.str_):
        return to_text(str(value))
    if isinstance(value, np.ndarray):
        # Of dates and records, tolist() makes numbers and tuples.
        if value.dtype.kind not in "biufUTO":
            raise Rejected(f"an array of {value.dtype} has no JSON values")
        return to_json(value.tolist(), depth)
    if isinstance(value, (str, int, float)):
        # A subclass (an enum, say) would come back as its plain base.
        raise Rejected(f"{type(value).__name__} is no plain JSON value; convert it first")
    raise Rejected(
        f"{type(value).__name__} is no JSON value (use str, numbers, bool, None, list, dict)"
    )


def _inside(step: str | int, value: Any, depth: int) -> Any:
    """Convert a member; the error names the path to it."""
    try:
        return to_json(value, depth + 1)
    except Rejected as inner:
        raise Rejected(inner.rule, (step, *inner.path)) from None
