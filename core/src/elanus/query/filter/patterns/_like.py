"""Patterns of ``like`` over distinct strings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from elanus.query.filter.patterns._runs import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from elanus.query.columns._strings import Strings

# `%` and `_`, unless a backslash stands before them; a backslash makes any character literal.
_PART: Final = re.compile(
    r"\\(?P<escaped>.)|(?P<any>%+)|(?P<gap>_+)|(?P<plain>[^\\%_]+|\\)", re.DOTALL
)


def like_table(strings: Strings, pattern: str) -> NDArray[np.bool_]:
    """Return which of the strings match, bool (len(strings),), by code.

    ``%`` stands for any characters, none included, ``_`` for exactly one; a backslash takes both
    by their word. Capitals matter, and newlines are characters like others. The time is nearly
    linear in the length of the text and of the pattern, whatever they are.
    """
    # Python's own string methods: numpy's are slower on StringDType, and drop NULs at the end.
    texts = strings.texts()
    first, *others = runs = _runs(pattern)
    match [] if any(run.has_gaps for run in runs) else ["".join(run.texts) for run in runs]:
        case [start, ""]:
            hits = [text.startswith(start) for text in texts]
        case ["", end]:
            hits = [text.endswith(end) for text in texts]
        case ["", middle, ""]:
            hits = [middle in text for text in texts]
        case _ if not others:
            hits = [len(text) == first.size and first.stands_at(text, 0) for text in texts]
        case _ if len(runs) == 3 and first.size == runs[2].size == 0:
            hits = [runs[1].find(text, 0) >= 0 for text in texts]
        case _:
            *between, last = others
            size = sum(run.size for run in runs)
            hits = [len(text) >= size and _matches(text, first, between, last) for text in texts]
    return np.array(hits, np.bool_)


def _runs(pattern: str) -> list[Run]:
    """Split at ``%``."""
    runs: list[list[str | int]] = [[]]
    for match in _PART.finditer(pattern):
        if match.lastgroup == "any":
            runs.append([])
        elif match.lastgroup == "gap":
            runs[-1].append(len(match[0]))
        else:
            runs[-1].append(match[match.lastgroup or 0])
    return [Run.of(parts) for parts in runs]


def _matches(text: str, first: Run, between: Sequence[Run], last: Run) -> bool:
    """Whether a text that has room for all runs has them in their order."""
    if not first.stands_at(text, 0):
        return False
    # The first place is the best one for each: it leaves most room for the others.
    at = first.size
    for run in between:
        at = run.find(text, at)
        if at < 0:
            return False
        at += run.size
    end = len(text) - last.size
    return at <= end and last.stands_at(text, end)
