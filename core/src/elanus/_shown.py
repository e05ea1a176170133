"""A caller's value in an error message: short whatever it is, and never an error of its own."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import Enum
from itertools import islice
from typing import Any

import numpy as np

LONGEST = 200
"""Characters of a value in a message, at most."""

_LONGEST_TEXT = 160
_LONGEST_NAME = 40
_MEMBERS = 4
_LEVELS = 3
_MOST_BITS = 256
_PLAIN = frozenset({str, bytes, bool, int, float, type(None), dict, list, tuple, set, frozenset})
_BRACKETS: tuple[tuple[type[Iterable[Any]], str, str], ...] = (
    (list, "[", "]"),
    (tuple, "(", ")"),
    (set, "{", "}"),
    (frozenset, "frozenset({", "})"),
)


def shown(value: object) -> str:
    """A value of any size and depth, and its type, in at most 200 characters."""
    kind = cut(type(value).__name__, _LONGEST_NAME)
    return f"{cut(quoted(value), LONGEST - len(kind) - 3)} ({kind})"


def quoted(value: object) -> str:
    """A value of any size and depth as Python writes it, in at most 200 characters."""
    return cut(_written(value, _LEVELS), LONGEST)


def said_by(error: BaseException) -> str:
    """What an error says, in one line of at most 200 characters.

    An error of somebody else's may have a ``__str__`` that fails; it is ``quoted`` then.
    """
    try:
        return cut(" ".join(str.__str__(str(error)).split()))
    except Exception:  # noqa: BLE001  # a str is anybody's code
        return quoted(error)


def listed(names: Iterable[str], most: int = 20) -> str:
    """The first of some names, plain and separated by commas; each may be of any length."""
    first = list(islice(names, most + 1))
    return ", ".join(cut(n, _LONGEST_NAME) for n in first[:most]) + ", …" * (len(first) > most)


def likely(name: object, known: Iterable[str]) -> str:
    """For the end of an error: ``"; did you mean 'limit'?"``, or nothing if no name is like it."""
    found = closest(name, known)
    return "" if found is None else f"; did you mean {found!r}?"


def closest(name: object, known: Iterable[str]) -> str | None:
    """The one of some names that is most like another; None if none is."""
    if not isinstance(name, str) or len(name) > _LONGEST_NAME:
        return None
    return next(iter(get_close_matches(str.__str__(name), list(known), 1)), None)


def cut(text: str, most: int = LONGEST) -> str:
    """The beginning of a text, which UTF-8 can hold."""
    short = text if len(text) <= most else text[: most - 1] + "…"
    if short.isascii():
        return short
    written = encodable(short)
    return written if len(written) <= most else written[: most - 1] + "…"


def encodable(text: str) -> str:
    """A text with its lone surrogates written out: whoever logs a message need not fail by them."""
    if text.isascii():
        return text
    return text.encode(errors="backslashreplace").decode()


def _written(value: object, levels: int) -> str:
    if type(value) in _PLAIN:
        # They raise nothing: so what is raised here is a signal handler's, and not to be lost.
        return _by_type(value, levels)
    try:
        return _by_type(value, levels)
    except Exception:  # noqa: BLE001  # a repr is anybody's code
        return "a value that cannot be shown"


def _by_type(value: object, levels: int) -> str:
    """The text of a value, made of a bounded part of it where its type lets one take a part."""
    if isinstance(value, Enum):
        return repr(value)
    if isinstance(value, (str, bytes, bytearray)):
        # A slice of a subclass is of the plain type.
        most = _LONGEST_TEXT if levels == _LEVELS else _LONGEST_NAME
        return repr(value[:most]) + "…" * (len(value) > most)
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return "a value too large to show"  # Python writes out no more than 4300 digits
    if isinstance(value, dict):
        first = islice(dict.items(value), _MEMBERS)
        written = [f"{_inside(k, levels)}: {_inside(v, levels)}" for k, v in first]
        return "{" + _joined(written, len(value)) + "}"
    for base, left, right in _BRACKETS:
        if isinstance(value, base):
            first = islice(base.__iter__(value), _MEMBERS)
            size = base.__len__(value)  # type: ignore[attr-defined]  # each of the four has a length
            return left + _joined([_inside(v, levels) for v in first], size) + right
    if isinstance(value, np.ndarray) and not _is_small(value.dtype, value.size):
        return f"array of shape {value.shape} and type {value.dtype.str}"
    return " ".join(cut(repr(value)).split())


def _is_small(kind: np.dtype[Any], size: int) -> bool:
    return size <= _MEMBERS**2 and kind.itemsize <= _MEMBERS**2 and not kind.hasobject


def _inside(value: object, levels: int) -> str:
    return _written(value, levels - 1) if levels else "…"


def _joined(members: list[str], size: int) -> str:
    return ", ".join(members) + ", …" * (size > len(members))
