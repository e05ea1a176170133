"""Text regardless of case and of Unicode's several spellings, over distinct strings."""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from elanus.query.columns._strings import Strings

# More marks than any script writes at one letter; they are no word characters.
_MANY: Final = 64
_MANY_MARKS: Final = re.compile(rf"[^\w\x00-\x7f]{{{_MANY}}}")


def folded_table(strings: Strings, text: str) -> NDArray[np.bool_]:
    """Return which of the strings hold a text regardless of case, bool (len(strings),), by code.

    Both sides are folded, so that ``STRASSE`` holds ``straße``, and ``é`` as one character is
    found in what has it as a letter and an accent.
    """
    wanted, texts = fold(text), strings.texts()
    if wanted.isascii():
        hits = [wanted in (t.casefold() if t.isascii() else fold(t)) for t in texts]
    else:  # what folds to ASCII alone holds nothing else
        hits = [not t.isascii() and wanted in fold(t) for t in texts]
    return np.array(hits, np.bool_)


def fold(text: str) -> str:
    """Return the form in which canonical caseless matches are equal.

    It is NFD(casefold(NFD(text))): The Unicode Standard, section 3.13, definition D145.
    """
    return text.casefold() if text.isascii() else _decomposed(_decomposed(text).casefold())


def _decomposed(text: str) -> str:
    """NFD, in linear time also where thousands of marks follow each other."""
    if len(text) < _MANY or not _MANY_MARKS.search(text):
        return unicodedata.normalize("NFD", text)
    # Python's own function sorts marks by insertion.
    parts = "".join(unicodedata.normalize("NFD", character) for character in text)
    runs = groupby(parts, lambda character: unicodedata.combining(character) > 0)
    return "".join(
        "".join(sorted(run, key=unicodedata.combining) if marks else run) for marks, run in runs
    )
