"""What LangChain's indexing API calls a group, the source of a document, as a string."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath
from typing import Any

import numpy as np

_LONGEST = 1000

# Begins what stands for something else than a string; a string that begins so gets one more.
_MARK = "\x1f"


def as_group(value: Any) -> str | None:
    """A source's id as a string: another for another value, the same in every process.

    ``index()`` shows a record manager the ids of the sources only after it has embedded and written
    the documents, so nothing is refused here. Strings stay as they are; equal numbers are one, and
    what is no number is one.
    """
    if value is None:
        return None
    name = str.__str__(value) if isinstance(value, str) else f"{_MARK}{_form(value)}"
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
    return f"{type(value).__name__}:{value!r}"


def _number(value: float | Decimal | Fraction) -> str:
    """Numbers that are equal in Python are written alike."""
    try:
        over, under = value.as_integer_ratio()
    except (ValueError, OverflowError):  # infinite, or no number
        said = str(value).lower()
        return "nan" if "nan" in said else said.replace("infinity", "inf")
    return f"{over:x}" if under == 1 else f"{over:x}/{under:x}"
