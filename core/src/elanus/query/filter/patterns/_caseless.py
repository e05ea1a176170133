"""Text regardless of case and of Unicode's several spellings, over distinct strings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from elanus.normal import normalized

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from elanus.query.columns._strings import Strings


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
    return (
        text.casefold() if text.isascii() else normalized("NFD", normalized("NFD", text).casefold())
    )
