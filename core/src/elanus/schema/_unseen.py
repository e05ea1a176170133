"""Which characters show nothing: for texts that say nothing, and for what is hidden in others."""

from __future__ import annotations

import re
from unicodedata import category

# Unicode's categories of spaces, of what ends a line, a paragraph or a page, and of what only tells
# how the rest is set: a zero-width space, a soft hyphen, a byte order mark.
_CATEGORIES = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})

# Default_Ignorable_Code_Point of Unicode 16.0, DerivedCoreProperties.txt: what is drawn as nothing
# where a font does not know it, such as fillers of Hangul and variation selectors. Most of them are
# letters, marks or unassigned by their category. The last one is the blank pattern of braille.
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f-\u1160\u17b4-\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff\u2800]"
)


def is_unseen(character: str) -> bool:
    """Whether a character shows nothing: a space, a control or format character, or a filler."""
    if "!" <= character <= "~":
        return False
    return category(character) in _CATEGORIES or _IGNORABLE.match(character) is not None


def is_blank(value: str) -> bool:
    """Whether nothing of a text can be seen.

    Looks no further than the first character that can be seen. One that this version of Unicode
    does not know, or that is for private use, may well be.
    """
    return all(map(is_unseen, value))
