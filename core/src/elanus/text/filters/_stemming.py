"""Stemming by PyStemmer: in one language, or in the one that a word's script stands for."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import Stemmer

Stem = Callable[[str], list[str]]

LANGUAGES: tuple[str, ...] = tuple(Stemmer.algorithms())
"""What `stemmer` knows."""

SCRIPTS = {
    "arabic": "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff",
    "greek": "\u0370-\u03ff\u1f00-\u1fff",
    "hindi": "\u0900-\u097f",
    "russian": "\u0400-\u052f\u1c80-\u1c8f\u2de0-\u2dff\ua640-\ua69f",
}
"""The language by which most texts in a script can be stemmed; English for all others."""

_OTHERS = "english"


def stemmer(language: str) -> Stem:
    """The stem of a word in lower case, in one of `LANGUAGES`."""
    # A Stemmer works in one buffer of its own, so each thread has one. Not a lock: a signal handler
    # may analyse on top of the call that holds it, and a fork may leave it held for ever.
    mine = threading.local()

    def stem(token: str) -> list[str]:
        made = getattr(mine, "stemmer", None)
        if made is None:
            # Its own cache is off: the analyzer remembers every distinct word already.
            made = mine.stemmer = Stemmer.Stemmer(language, 0)
        return [made.stemWord(token)]

    return stem


def script_stemmer() -> Stem:
    """The stem of a word in lower case, in the language that `SCRIPTS` has for all its letters.

    Any other word is stemmed as English, which leaves what is not Latin as it is.
    """
    stems = {language: stemmer(language) for language in (*SCRIPTS, _OTHERS)}
    plain = stems[_OTHERS]

    def stem(token: str) -> list[str]:
        if token.isascii():
            return plain(token)
        found = _WHOLE.fullmatch(token)
        return stems[found.lastgroup or _OTHERS](token) if found else plain(token)

    return stem


_WHOLE = re.compile("|".join(rf"(?P<{name}>[{script}\d_.,']+)" for name, script in SCRIPTS.items()))
