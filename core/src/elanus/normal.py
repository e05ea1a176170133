"""Unicode's normal forms, in linear time: any text may come, and whoever waits is not alone."""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby
from typing import Final, Literal

Form = Literal["NFC", "NFD", "NFKC"]

# More marks than any script writes at one letter; they are no word characters.
_MANY: Final = 64
_MANY_MARKS: Final = re.compile(rf"[^\w\x00-\x7f]{{{_MANY}}}")


def normalized(form: Form, text: str) -> str:
    """Return a text in a normal form, as ``unicodedata.normalize`` does.

    That sorts the marks of a letter by insertion, and holds Python's lock meanwhile: thousands of
    them, in any order, are sorted first.
    """
    if len(text) < _MANY or not _MANY_MARKS.search(text):
        return unicodedata.normalize(form, text)
    decomposed: Final = "NFKD" if form == "NFKC" else "NFD"
    parts = "".join(unicodedata.normalize(decomposed, character) for character in text)
    runs = groupby(parts, lambda character: unicodedata.combining(character) > 0)
    in_order = "".join(
        "".join(sorted(run, key=unicodedata.combining) if marks else run) for marks, run in runs
    )
    return unicodedata.normalize(form, in_order)
