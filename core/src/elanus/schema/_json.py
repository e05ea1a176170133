"""JSON values on the way in, and the error of a value that is none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from elanus.errors import ParamError, cut, quoted
from elanus.schema._arguments import is_encodable
from elanus.schema.frames._libraries import is_mapping

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
# Each level takes four of Python's 1000 frames, of which the caller needs some.
MAX_JSON_DEPTH = 100
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
        steps = "".join(f"[{cut(quoted(step), 40)}]" for step in self.path[:_STEPS_SHOWN])
        return f"at {steps}{'…' * (len(self.path) > _STEPS_SHOWN)}: {self.rule}"


def as_json(what: str, value: Any) -> Any:
    """An argument that is kept as JSON.

    Raises:
        ParamError: if it is no JSON value.
    """
    try:
        return to_json(value)
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
    if isinstance(value, dict) and is_mapping(value):
        for key in value:
            if not isinstance(key, str):
                raise Rejected(f"a JSON key must be a string, not {quoted(key)}")
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
            raise Rejected(f"an array of {cut(str(value.dtype))} has no JSON values")
        return to_json(value.tolist(), depth + 1)
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
