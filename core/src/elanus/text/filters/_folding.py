"""Folding: one spelling for words that are written with their accents and marks, or without."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from elanus.normal import normalized

_DIACRITICS = re.compile("[\u0300-\u036f]+")
# Letters that have no decomposition.
_FOLDED = {
    **dict(zip("đĐðÐħĦłŁŋŊøØŧŦ\u0131", "dDdDhHlLnNoOtTi", strict=True)),
    **dict(zip("ßẞæÆœŒþÞ", ("ss", "SS", "ae", "AE", "oe", "OE", "th", "TH"), strict=True)),
}
# Letters of which most writers leave out the mark. й, ї and their like are letters of their own.
_CYRILLIC = dict(zip("ёЁѐЀѝЍ", "еЕеЕиИ", strict=True))
# Vowel points and the like, which only some texts have, and the stroke that widens Arabic words.
_UNWRITTEN = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u0610-\u061a\u0640\u064b-\u0652\u0656-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7-\u06ed]+"
)
_GREEK = re.compile("[\u0370-\u03ff\u1f00-\u1fff]")


def asciifolding(token: str) -> list[str]:
    """Letters with diacritics, and æ, ø, ß and their like, as ASCII; other scripts stay."""
    if token.isascii():
        return [token]
    return ["".join(map(_as_ascii, normalized("NFC", token)))]


def folding(token: str) -> list[str]:
    """What ``asciifolding`` does, and other scripts without the marks that many writers leave out.

    Greek loses its accents, Cyrillic the dots of ё and marks of stress, Hebrew its points, Arabic
    its vowel signs and tatweel. Marks that make another letter (й, Arabic hamza, Japanese voicing,
    all signs of Indic scripts) stay.
    """
    if token.isascii():
        return [token]
    return [_UNWRITTEN.sub("", "".join(map(_fold, normalized("NFC", token))))]


@lru_cache(maxsize=4096)
def _as_ascii(character: str) -> str:
    if character in _FOLDED:
        return _FOLDED[character]
    base = _base(character)
    return base if base.isascii() else character


@lru_cache(maxsize=4096)
def _fold(character: str) -> str:
    if _GREEK.match(character):
        return _base(character)
    return _CYRILLIC.get(character) or _as_ascii(character)


def _base(character: str) -> str:
    return _DIACRITICS.sub("", unicodedata.normalize("NFKD", character))
