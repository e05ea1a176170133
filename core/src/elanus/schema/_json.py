"""JSON values on the way in, and the error of a value that is none."""

from __future__ import annotations

import math
from datetime import date, datetime, timezone
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from types import NoneType
from typing import Any, Final
from uuid import UUID

import numpy as np

from elanus.errors import ParamError, cut, quoted
from elanus.schema._arguments import is_encodable
from elanus.schema.frames._libraries import is_mapping

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
# Each level takes four of Python's 1000 frames, of which the caller needs some.
MAX_JSON_DEPTH = 100
_STEPS_SHOWN = 6
_FINER: Final = ("ns", "ps", "fs", "as")
_PLAIN: Final = frozenset({NoneType, bool, int, float, str, list, dict, tuple})


class Rejected(Exception):  # never leaves this package: it carries a rule, no message
    """The rule that a single value breaks, and the path to the value inside a JSON value."""

    def __init__(self, rule: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(rule)
        self.rule = rule
        self.path = path

    def __str__(self) -> str:
        if not self.path:
            return self.rule
        steps = "".join(f"[{cut(quoted(step), 40)}]" for step in self.path[:_STEPS_SHOWN])
        return f"at {steps}{'…' * (len(self.path) > _STEPS_SHOWN)}: {self.rule}"


def as_json(what: str, value: Any, *, wide: bool = False) -> Any:
    """An argument that is kept as JSON; ``wide`` as for `to_json`.

    Raises:
        ParamError: if it is no JSON value.
    """
    try:
        return to_json(value, wide=wide)
    except Rejected as rule:
        raise ParamError(f"{cut(what)}: {rule}") from None


def to_text(value: Any, max_length: int | None = None) -> str:
    """A string that UTF-8 can hold, of at most ``max_length`` bytes."""
    if not isinstance(value, str):
        raise Rejected("a VARCHAR must be a string")
    if not is_encodable(value):
        raise Rejected("a string must be valid Unicode, without lone surrogates")
    if max_length is not None and len(value) * 4 > max_length:
        size = len(str.encode(value))
        if size > max_length:
            raise Rejected(f"the string has {size} bytes, more than max_length={max_length}")
    return str.__str__(value)


def plain_scalar(value: Any) -> Any:
    """A scalar that JSON lacks as the one that stands for it, in metadata and in filters alike.

    * A date is its ISO text, ``2024-05-01``. A datetime is ISO text by UTC, with its microseconds
      if it has any: ``2024-05-01T12:30:00+00:00``. One without a time zone counts as UTC. Such
      texts sort as the times do, and a date before all times of its day.
    * A UUID and a path are their text, a member of an enum is its value.
    * A Decimal is an integer if it is whole and fits in 64 bits, and the nearest float otherwise.
    * Scalars of numpy, and of types derived from str, int and float, are the plain values. A time
      that is none (NaT) is None.

    What is none of these comes back as it is.

    Raises:
        Rejected: a time that this form has no place for.
    """
    if type(value) in _PLAIN:
        return value
    match value:
        case Enum():
            return plain_scalar(value.value)
        case datetime():
            return _utc_text(value)
        case date():
            return date.isoformat(value)
        case UUID() | PurePath():
            return str(value)
        case Decimal():
            return _plain_decimal(value)
        case np.datetime64():
            return _plain_time(value)
        case np.bool_():
            return bool(value)
        case np.timedelta64():
            pass  # which numpy counts among the integers
        case np.integer() | int():
            return int(value)
        case np.floating() | float():
            return float(value)
        case str():
            return str.__str__(value)  # str() of a derived type may be anything
    return value


def _utc_text(value: datetime) -> str | None:
    if value != value:  # noqa: PLR0124  # pandas's NaT is a datetime
        return None
    if getattr(value, "nanosecond", 0):  # of a Timestamp of pandas
        raise Rejected("a time is kept to the microsecond; round it first")
    parts = value.year, value.month, value.day, value.hour, value.minute, value.second
    offset = value.utcoffset()
    plain = datetime(*parts, value.microsecond, tzinfo=timezone.utc)
    try:
        return (plain if offset is None else plain - offset).isoformat()
    except OverflowError:
        raise Rejected("by UTC the time lies outside of the years 1 to 9999") from None


def _plain_time(value: np.datetime64) -> str | None:
    if np.isnat(value):
        return None
    micros = value
    if np.datetime_data(value.dtype)[0] in _FINER:
        micros = value.astype("M8[us]")
        if micros.astype(value.dtype) != value:
            raise Rejected("a time is kept to the microsecond; round it first")
    plain = micros.item()
    if not isinstance(plain, date):
        raise Rejected("the time lies outside of the years 1 to 9999")
    return _utc_text(plain) if isinstance(plain, datetime) else plain.isoformat()


def _plain_decimal(value: Decimal) -> float:
    if value.is_nan():
        return math.nan  # a signalling one has no float
    # The size first: whoever writes 1E+999999 need not wait for its digits.
    if INT64_MIN <= value <= INT64_MAX and value == int(value):
        return int(value)
    return float(value)


def to_json(value: Any, depth: int = 0, *, wide: bool = False) -> Any:
    """A JSON value: None, bool, int of 64 bits, finite float, str, list or dict with str keys.

    Numpy scalars and arrays, and tuples, become the plain values that JSON has for them. Other
    types are refused, since they would come back as something else; unless ``wide``, for which
    scalars become what `plain_scalar` says, and NaN becomes None.
    """
    if wide:
        value = plain_scalar(value)
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
        if wide and math.isnan(value):
            return None
        if not math.isfinite(value):
            raise Rejected("a number in JSON must be finite, not NaN or infinite")
        return float(value)
    if depth > MAX_JSON_DEPTH:
        raise Rejected(f"JSON nested more than {MAX_JSON_DEPTH} deep")
    return _to_json_compound(value, depth, wide=wide)


def _to_json_compound(value: Any, depth: int, *, wide: bool) -> Any:
    if isinstance(value, dict) and is_mapping(value):
        for key in value:
            if not isinstance(key, str):
                raise Rejected(f"a JSON key must be a string, not {quoted(key)}")
            to_text(key)
        return {str.__str__(k): _inside(k, v, depth, wide=wide) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_inside(i, v, depth, wide=wide) for i, v in enumerate(value)]
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.str_):
        return to_text(str(value))
    if isinstance(value, np.ndarray):
        if wide and value.dtype.kind == "M":
            return to_json(list(value) if value.ndim else value[()], depth + 1, wide=wide)
        # Of dates and records, tolist() makes numbers and tuples.
        if value.dtype.kind not in "biufUTO":
            raise Rejected(f"an array of {cut(str(value.dtype))} has no JSON values")
        return to_json(value.tolist(), depth + 1, wide=wide)
    if isinstance(value, (str, int, float)):
        # A subclass (an enum, say) would come back as its plain base.
        raise Rejected(f"{cut(type(value).__name__)} is no plain JSON value; convert it first")
    raise Rejected(
        f"{cut(type(value).__name__)} is no JSON value (use str, numbers, bool, None, list, dict)"
    )


def _inside(step: str | int, value: Any, depth: int, *, wide: bool) -> Any:
    """Convert a member; the error names the path to it."""
    try:
        return to_json(value, depth + 1, wide=wide)
    except Rejected as inner:
        raise Rejected(inner.rule, (step, *inner.path)) from None
