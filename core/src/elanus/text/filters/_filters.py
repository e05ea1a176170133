"""Filters: each turns one token into zero or more, knowing nothing of its neighbours."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

import Stemmer

from elanus.errors import ParamError
from elanus.text._options import Options, unknown
from elanus.text._unicode import HAN
from elanus.text.filters._stopwords import resolve_stop_words
from elanus.text.filters._wordparts import wordparts

TokenFilter = Callable[[str], Sequence[str]]
JsonOptions = dict[str, object]

_HAN_ONLY = re.compile(f"[{HAN}]+")
_HAN_ALPHANUMERIC_ONLY = re.compile(f"[{HAN}A-Za-z0-9]+")
_ALPHANUMERIC_ONLY = re.compile("[A-Za-z0-9]+")
# Punctuation, separators, controls, and symbols other than pictures ("So" has the emoji).
_PUNCTUATION = ("P", "Z", "C", "Sc", "Sk", "Sm")
_DIACRITICS = re.compile("[\u0300-\u036f]+")
# Letters that have no decomposition.
_FOLDED = {
    **dict(zip("đĐðÐħĦłŁŋŊøØŧŦ\u0131", "dDdDhHlLnNoOtTi", strict=True)),
    **dict(zip("ßẞæÆœŒþÞ", ("ss", "SS", "ae", "AE", "oe", "OE", "th", "TH"), strict=True)),
}


def build_filter(name: str, options: Options) -> tuple[JsonOptions, TokenFilter]:
    """The filter of that name.

    Args:
        name: one of Milvus's names, or ``wordparts``.
        options: what the user gave beside the name; taken out as far as known.

    Returns:
        The options in their canonical form (defaults filled in, lists sorted), and the filter.

    Raises:
        ParamError: the name, an option or its value does not exist.
    """
    if name in _PLAIN:
        return {}, _PLAIN[name]
    if name not in _WITH_OPTIONS:
        raise unknown("filter", name, (*_PLAIN, *_WITH_OPTIONS))
    return _WITH_OPTIONS[name](options)


def lowercase(token: str) -> list[str]:
    """Lower case by ``str.lower``, and İ to i.

    Not ``str.casefold``: it turns ß into ss, which the German stemmer does itself and which other
    users would not expect without ``asciifolding``.
    """
    return [token.lower().replace("i̇", "i")]


def asciifolding(token: str) -> list[str]:
    """Letters with diacritics, and æ, ø, ß and their like, as ASCII; other scripts stay."""
    if token.isascii():
        return [token]
    return ["".join(map(_fold, unicodedata.normalize("NFC", token)))]


@lru_cache(maxsize=4096)
def _fold(character: str) -> str:
    if character in _FOLDED:
        return _FOLDED[character]
    base = _DIACRITICS.sub("", unicodedata.normalize("NFKD", character))
    return base if base.isascii() else character


def removepunct(token: str) -> list[str]:
    """Drop a token that has nothing but punctuation, white space and mathematical symbols."""
    return [] if all(_is_punctuation(character) for character in token) else [token]


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character).startswith(_PUNCTUATION)


def _matching(pattern: re.Pattern[str]) -> TokenFilter:
    return lambda token: [token] if pattern.fullmatch(token) else []


def _length(options: Options) -> tuple[JsonOptions, TokenFilter]:
    # Milvus counts bytes of UTF-8 and cannot have meant it; characters here, both ends included.
    if "max" not in options and "min" not in options:
        raise ParamError("analyzer: filter 'length' needs the option 'max', 'min' or both")
    shortest = options.take("min", int, 0)
    longest = options.take("max", int) if "max" in options else None
    if shortest < 0 or (longest is not None and longest < max(shortest, 1)):
        raise ParamError(
            f"analyzer: filter 'length' with min {shortest} and max {longest} keeps no token; "
            "min must be 0 or more, max at least 1 and at least min"
        )
    if longest is None:
        return {"min": shortest}, lambda token: [token] if len(token) >= shortest else []
    canonical: JsonOptions = {"max": longest, "min": shortest}
    return canonical, lambda token: [token] if shortest <= len(token) <= longest else []


def _stop(options: Options) -> tuple[JsonOptions, TokenFilter]:
    if "stop_words" not in options:
        raise ParamError(
            "analyzer: filter 'stop' needs the option 'stop_words', e.g. ['_english_', 'foo']"
        )
    words = resolve_stop_words(options.take_words("stop_words"))
    return {"stop_words": sorted(words)}, lambda token: [] if token in words else [token]


def _stemmer(options: Options) -> tuple[JsonOptions, TokenFilter]:
    language = options.take("language", str).lower()
    if language not in Stemmer.algorithms():
        raise unknown("language of filter 'stemmer'", language, Stemmer.algorithms())
    # A Stemmer works in one buffer of its own, so each thread has one. Not a lock: a signal handler
    # may analyse on top of the call that holds it, and a fork may leave it held for ever.
    mine = threading.local()

    def stem(token: str) -> list[str]:
        stemmer = getattr(mine, "stemmer", None)
        if stemmer is None:
            # Its own cache is off: the analyzer remembers every distinct word already.
            stemmer = mine.stemmer = Stemmer.Stemmer(language, 0)
        return [stemmer.stemWord(token)]

    return {"language": language}, stem


_PLAIN: dict[str, TokenFilter] = {
    "alphanumonly": _matching(_ALPHANUMERIC_ONLY),
    "asciifolding": asciifolding,
    "cnalphanumonly": _matching(_HAN_ALPHANUMERIC_ONLY),
    "cncharonly": _matching(_HAN_ONLY),
    "lowercase": lowercase,
    "removepunct": removepunct,
    "wordparts": wordparts,
}
_WITH_OPTIONS: dict[str, Callable[[Options], tuple[JsonOptions, TokenFilter]]] = {
    "length": _length,
    "stemmer": _stemmer,
    "stop": _stop,
}
