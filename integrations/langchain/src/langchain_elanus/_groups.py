"""What LangChain's indexing API calls a group, the source of a document, as a string."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any

import numpy as np

from elanus import ParamError
from elanus.errors import shown

_LONGEST = 1000
_LEVELS = 50
_MOST_DIGITS = 10_000

# Begins what stands for something else than a string; a string that begins so gets one more.
_MARK = "\x1f"

# What Python writes alike in every process. Of the first a subclass is written as its base is.
_PLAIN: tuple[Any, ...] = (bool, int, float, complex, bytes, bytearray, range, type(None))
_NAMED = (Decimal, Fraction, PurePath, uuid.UUID, date, time, timedelta, np.generic)


def as_group(value: Any) -> str | None:
    """A source's id as a string: another for another value, the same in every process.

    Strings stay as they are; equal numbers are one, and what is no number is one.

    Raises:
        ParamError: naming a value of which that cannot be made, such as one that shows its address.
    """
    if value is None:
        return None
    try:
        name = str.__str__(value) if isinstance(value, str) else f"{_MARK}{_form(value)}"
    except ParamError:
        raise
    except Exception as error:  # a repr is anybody's code
        raise _refusal(value) from error
    if isinstance(value, str) and value.startswith(_MARK):
        name = _MARK + name
    content = name.encode("utf-8", "backslashreplace")
    if len(content) > _LONGEST:
        return f"{_MARK}sha256:{hashlib.sha256(content).hexdigest()}"
    text = content.decode()
    # What UTF-8 cannot express was written out, and is not the string that says the same.
    return text if text == name else f"{_MARK}str:{text}"


def _form(value: Any) -> str:
    """The type of a value and what it holds."""
    if isinstance(value, np.generic) and value.dtype.kind not in "mM":
        value = value.item()
    if isinstance(value, (int, float, Decimal, Fraction)):
        return f"number:{_number(value)}"
    if isinstance(value, PurePath):
        return f"path:{value.as_posix()}"
    return f"{type(value).__name__}:{_written(value, _LEVELS)}"


def _number(value: float | Decimal | Fraction) -> str:
    """Numbers that are equal in Python are written alike."""
    if isinstance(value, Decimal) and value.is_finite() and value:
        # Its digits first: 1E+999999999 is short, and has a gigabyte of them.
        exponent = value.as_tuple().exponent
        if max(abs(value.adjusted()), abs(int(exponent))) > _MOST_DIGITS:
            raise _refusal(value)
    try:
        over, under = value.as_integer_ratio()
    except (ValueError, OverflowError):  # infinite, or no number
        said = str(value).lower()
        return "nan" if "nan" in said else said.replace("infinity", "inf")
    return f"{over:x}" if under == 1 else f"{over:x}/{under:x}"


def _written(value: Any, levels: int) -> str:
    """A value as Python writes it, but for what is in another order in another process."""
    if not levels:
        raise _refusal(value)
    if isinstance(value, Enum):
        of = _written(value.value, levels - 1) if isinstance(value.value, (*_PLAIN, str)) else ""
        return f"<{type(value).__name__}.{value.name}{of and ': '}{of}>"
    if isinstance(value, str):
        return str.__repr__(value)
    if isinstance(value, np.void):
        value = value.item()  # it may hold anything
    if isinstance(value, (datetime, time)) and " at 0x" in repr(value.tzinfo):
        raise _refusal(value)
    if isinstance(value, _NAMED):
        return repr(value)
    base = next((each for each in _PLAIN if isinstance(value, each)), None)
    if base is None:
        return _holding(value, levels - 1)
    is_long = base is int and value.bit_length() > _LONGEST
    return hex(value) if is_long else base.__repr__(value)  # Python refuses more than 4300 digits


def _holding(value: Any, levels: int) -> str:
    """A container as Python writes it; dicts and sets in the order of what is written."""
    if is_dataclass(value) and not isinstance(value, type):
        return _call(
            value, {each.name: getattr(value, each.name) for each in fields(value)}, levels
        )
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _call(value, value._asdict(), levels)
    if isinstance(value, np.ndarray):
        return f"array({_written(value.tolist(), levels)}, {value.dtype}, {value.shape})"
    if isinstance(value, dict):
        inside = sorted(f"{_written(k, levels)}: {_written(v, levels)}" for k, v in value.items())
        left, right = "{", "}"
    elif isinstance(value, (set, frozenset)):
        inside = sorted(_written(each, levels) for each in value)
        left, right = ("{", "}") if inside else ("", "")
    elif isinstance(value, (tuple, list)):
        inside = [_written(each, levels) for each in value]
        left, right = ("[", "]") if isinstance(value, list) else ("(", ")")
        if left == "(" and len(inside) == 1:
            right = ",)"
    else:
        raise _refusal(value)
    written = f"{left}{', '.join(inside)}{right}"
    has_brackets = type(value) in (tuple, list, dict) or (type(value) is set and bool(inside))
    return written if has_brackets else f"{type(value).__name__}({written})"


def _call(value: Any, named: dict[str, Any], levels: int) -> str:
    inside = ", ".join(f"{name}={_written(each, levels)}" for name, each in named.items())
    return f"{type(value).__qualname__}({inside})"


def _refusal(value: Any) -> ParamError:
    return ParamError(
        "the id of a source must be the same in every process: a text, a number (a Decimal of at "
        f"most {_MOST_DIGITS:,} digits), bytes, a date, a UUID, a path, an enum's member, or a "
        f"tuple, list, dict, set, array or dataclass of these, at most {_LEVELS} deep; got "
        f"{shown(value)}. Let source_id_key give a text"
    )
