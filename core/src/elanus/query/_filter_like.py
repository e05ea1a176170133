"""Patterns of ``like``, and text regardless of case, over distinct strings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from elanus.index import Strings

# `%` and `_`, unless a backslash stands before them; a backslash makes any character literal.
_PART: Final = re.compile(r"\\(?P<escaped>.)|(?P<any>%+)|(?P<one>_)|(?P<plain>.)", re.DOTALL)


def like_table(strings: Strings, pattern: str) -> NDArray[np.bool_]:
    """Return which of the strings match, bool (len(strings),), by code.

    ``%`` stands for any characters, none included, ``_`` for exactly one; a backslash takes both
    by their word. Capitals matter, and newlines are characters like others.
    """
    # Python's own string methods: numpy's are slower on StringDType, and drop NULs at the end.
    texts = strings.texts()
    runs = _runs(pattern)
    wild = any(part is None for run in runs for part in run)
    match [] if wild else ["".join(map(str, run)) for run in runs]:
        case [first, ""]:
            hits = [text.startswith(first) for text in texts]
        case ["", last]:
            hits = [text.endswith(last) for text in texts]
        case ["", middle, ""]:
            hits = [middle in text for text in texts]
        case _:
            hits = list(map(_matcher(runs), texts))
    return np.array(hits, np.bool_)


def folded_table(strings: Strings, text: str) -> NDArray[np.bool_]:
    """Return which of the strings hold a text regardless of case, bool (len(strings),), by code.

    Both sides are casefolded as Unicode says, so that ``STRASSE`` holds ``straße``.
    """
    wanted, texts = text.casefold(), strings.texts()
    return np.fromiter((wanted in each.casefold() for each in texts), np.bool_, len(texts))


def _runs(pattern: str) -> list[list[str | None]]:
    """Split at ``%``: each run is a list of characters, None for ``_``."""
    runs: list[list[str | None]] = [[]]
    for match in _PART.finditer(pattern):
        if match.lastgroup == "any":
            runs.append([])
        else:
            runs[-1].append(None if match.lastgroup == "one" else match[match.lastgroup or 0])
    return runs


def _matcher(runs: list[list[str | None]]) -> Callable[[str], bool]:
    """Return a test of one string, in linear steps: one regular expression would backtrack."""
    first, *others = [
        re.compile("".join("." if part is None else re.escape(part) for part in run), re.DOTALL)
        for run in runs
    ]
    if not others:
        return lambda text: first.fullmatch(text) is not None
    *middle, last = others
    tail = len(runs[-1])

    def matches(text: str) -> bool:
        match = first.match(text)
        for piece in middle:
            match = match and piece.search(text, match.end())
        if match is None or len(text) - tail < match.end():
            return False
        return last.match(text, len(text) - tail) is not None

    return matches
