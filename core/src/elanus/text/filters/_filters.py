"""Filters: each turns one token into zero or more, knowing nothing of its neighbours."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

from elanus.errors import ParamError
from elanus.text._options import Options, unknown
from elanus.text._unicode import HAN
from elanus.text.filters._folding import asciifolding, folding
from elanus.text.filters._stemming import LANGUAGES, script_stemmer, stemmer
from elanus.text.filters._stopwords import resolve_stop_words
from elanus.text.filters._wordparts import wordparts

TokenFilter = Callable[[str], Sequence[str]]
JsonOptions = dict[str, object]

QUERY_ONLY = "querystop"
"""The filter that documents do not pass."""

# Punctuation, separators, controls, and symbols other than pictures ("So" has the emoji).
_PUNCTUATION = ("P", "Z", "C", "Sc", "Sk", "Sm")


def build_filter(name: str, options: Options) -> tuple[JsonOptions, TokenFilter]:
    """The filter of that name.

    Args:
        name: one of Milvus's names, or one of ours: ``folding``, ``querystop``, ``scriptstemmer``,
            ``wordparts``.
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


def removepunct(token: str) -> list[str]:
    """Drop a token that has nothing but punctuation, white space and mathematical symbols."""
    return [] if all(_is_punctuation(character) for character in token) else [token]


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character).startswith(_PUNCTUATION)


def _matching(pattern: str) -> TokenFilter:
    # Compiled for the first token, and kept by re: few need these filters, and Han takes 1 ms.
    return lambda token: [token] if re.fullmatch(pattern, token) else []


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
            f"analyzer: {options.owner} needs the option 'stop_words', e.g. ['_english_', 'foo']"
        )
    words = resolve_stop_words(options.take_words("stop_words"))
    return {"stop_words": sorted(words)}, lambda token: [] if token in words else [token]


def _stemmer(options: Options) -> tuple[JsonOptions, TokenFilter]:
    language = options.take("language", str).lower()
    if language not in LANGUAGES:
        raise unknown("language of filter 'stemmer'", language, LANGUAGES)
    return {"language": language}, stemmer(language)


_PLAIN: dict[str, TokenFilter] = {
    "alphanumonly": _matching("[A-Za-z0-9]+"),
    "asciifolding": asciifolding,
    "cnalphanumonly": _matching(f"[{HAN}A-Za-z0-9]+"),
    "cncharonly": _matching(f"[{HAN}]+"),
    "folding": folding,
    "lowercase": lowercase,
    "removepunct": removepunct,
    "scriptstemmer": script_stemmer(),
    "wordparts": wordparts,
}
_WITH_OPTIONS: dict[str, Callable[[Options], tuple[JsonOptions, TokenFilter]]] = {
    "length": _length,
    QUERY_ONLY: _stop,
    "stemmer": _stemmer,
    "stop": _stop,
}
