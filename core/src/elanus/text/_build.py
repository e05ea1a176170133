"""From ``analyzer_params`` to an analyzer: presets, and Milvus's form of tokenizer and filters."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from elanus.errors import MissingExtraError, ParamError, quoted
from elanus.schema import is_mapping
from elanus.text._analyzer import Analyzer, WordTerms, chain_filters
from elanus.text._jieba import CutMode, jieba_tokenizer
from elanus.text._options import Options, unknown
from elanus.text._tokenizers import Tokenizer, standard, whitespace
from elanus.text._unicode import HAN
from elanus.text.filters._filters import (
    QUERY_ONLY,
    JsonOptions,
    TokenFilter,
    build_filter,
    lowercase,
)

RULES_VERSION = 1
"""Number of the rules; raised whenever an unchanged identity would give other terms."""

Params = Mapping[str, Any]

_PRESETS: dict[str, Params] = {
    "chinese": {"tokenizer": "jieba", "filter": ["wordparts", "lowercase"]},
    "english": {
        "tokenizer": "standard",
        "filter": [
            "wordparts",
            "lowercase",
            {"type": "stop", "stop_words": ["_english_"]},
            {"type": "stemmer", "language": "english"},
        ],
    },
    "multilingual": {
        "tokenizer": "standard",
        "filter": [
            "wordparts",
            "lowercase",
            {"type": QUERY_ONLY, "stop_words": ["_english_", "_questions_"]},
            "folding",
            "scriptstemmer",
        ],
    },
    "standard": {"tokenizer": "standard", "filter": ["wordparts", "lowercase"]},
    "whitespace": {"tokenizer": "whitespace", "filter": []},
}
_OF_WHOLE_WORDS = ("stemmer", "scriptstemmer", "stop", QUERY_ONLY)
"""Filters that would say something else of the beginning of a word."""

_TOKENIZERS = ("jieba", "standard", "whitespace")
_HAN_WORD = re.compile(f"[{HAN}]+")


def build_analyzer(params: str | Params | None) -> Analyzer:
    """The analyzer that Milvus's ``analyzer_params`` describe.

    * None or an empty mapping: ``standard``.
    * A preset by name, or as ``{"type": name, "stop_words": [...]}``: ``standard`` (words, their
      parts, lower case), ``english`` (that, without stop words, stemmed), ``chinese`` (as
      ``standard``, with Chinese words by jieba), ``whitespace`` (split, nothing else), and
      ``multilingual``, which Milvus does not have: ``standard``, accents folded, stemmed by script,
      stop words and question words kept in documents and dropped from queries that say more.
      Stop words are lower-cased, and added to those of the preset.
    * ``{"tokenizer": ..., "filter": [...]}``: exactly these steps, in this order.
    * Either mapping as JSON, and so an `Analyzer.identity`.

    Raises:
        ParamError: a name, a key or a value is unknown; the message lists the known ones.
        MissingExtraError: jieba is asked for and not installed.

    Example:
        >>> build_analyzer("english").tokens("The parser's getUserName() in C++")
        ['parser', 'getusernam', 'get', 'user', 'name', 'c++']
    """
    given = _resolve(_read(params))
    options = Options("the analyzer", given)
    _check_version(options.take("version", int, RULES_VERSION))
    # Milvus takes a name or a mapping for each step.
    name, canonical, tokenizer = _tokenizer(options.take("tokenizer", object))
    steps = [_filter(step) for step in options.take("filter", list, [])]
    options.finish()
    identity = {
        "tokenizer": {"type": name, **canonical},
        "filter": [step for step, _ in steps],
        "version": RULES_VERSION,
    }
    indexed = [step for step in steps if step[0]["type"] != QUERY_ONLY]
    terms = _word_terms(tokenizer, indexed)
    return Analyzer(
        json.dumps(identity, sort_keys=True, separators=(",", ":")),
        tokenizer.split,
        terms,
        terms if len(indexed) == len(steps) else _word_terms(tokenizer, steps),
        _word_terms(tokenizer, [step for step in steps if step[0]["type"] not in _OF_WHOLE_WORDS]),
        tokenizer.table,
    )


def _word_terms(tokenizer: Tokenizer, steps: list[tuple[JsonOptions, TokenFilter]]) -> WordTerms:
    return WordTerms(tokenizer.expand, chain_filters([apply for _, apply in steps]))


def _read(params: str | Params | None) -> Params:
    if params is None:
        return {"type": "standard"}
    if isinstance(params, str):
        params = _parse(params) if params.lstrip().startswith("{") else {"type": params}
    if not is_mapping(params):
        raise ParamError(
            f"analyzer_params must be a name, a mapping, its JSON or None, got {quoted(params)}"
        )
    return params or {"type": "standard"}


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParamError(f"analyzer_params are not valid JSON ({error}): {quoted(text)}") from error


def analyzer_name(identity: str) -> str | None:
    """The name that stands for an analyzer of this identity now; None if none does."""
    for name in _PRESETS:
        try:
            if build_analyzer(name).identity == identity:
                return name
        except MissingExtraError:  # nor can what is opened be of it
            continue
    return None


def _resolve(params: Params) -> Params:
    """A preset as the tokenizer and filters that it stands for."""
    if "type" not in params:
        return params
    options = Options("an analyzer with a 'type'", params)
    name = options.take("type", str)
    if name not in _PRESETS:
        raise unknown("analyzer", name, _PRESETS)
    words = [lowercase(word)[0] for word in options.take_words("stop_words")]
    options.finish()
    preset = _PRESETS[name]
    return {**preset, "filter": _with_stop_words(preset["filter"], words)} if words else preset


def _with_stop_words(filters: list[Any], words: list[str]) -> list[Any]:
    """Add to the stop filter, or put one at the end."""
    for index, step in enumerate(filters):
        if _step_type(step) in {"stop", QUERY_ONLY}:
            stop = {**step, "stop_words": [*step["stop_words"], *words]}
            return [*filters[:index], stop, *filters[index + 1 :]]
    return [*filters, {"type": "stop", "stop_words": words}]


def _step_type(step: Any) -> object:
    return step.get("type") if is_mapping(step) else step


def _check_version(version: int) -> None:
    if version != RULES_VERSION:
        raise ParamError(
            f"analyzer: version {version} of the rules is not the one known here, "
            f"{RULES_VERSION}; the texts must be analyzed again"
        )


def _named(what: str, step: Any) -> tuple[str, Options]:
    """Name and options of a step, given as a name or as a mapping with a ``type``."""
    name = _step_type(step)
    if not isinstance(name, str):
        raise ParamError(
            f"analyzer: a {what} must be a name or a mapping with a 'type', got {quoted(step)}"
        )
    given = step if is_mapping(step) else {}
    return name, Options(f"{what} {quoted(name)}", {k: v for k, v in given.items() if k != "type"})


def _tokenizer(step: Any) -> tuple[str, JsonOptions, Tokenizer]:
    name, options = _named("tokenizer", step)
    if name not in _TOKENIZERS:
        raise unknown("tokenizer", name, _TOKENIZERS)
    if name == "jieba":
        return name, *_jieba(options)
    options.finish()
    return name, {}, standard() if name == "standard" else whitespace()


def _jieba(options: Options) -> tuple[JsonOptions, Tokenizer]:
    words = options.take_words("dict") if "dict" in options else ["_default_"]
    mode = options.take("mode", str, "search")
    hmm = options.take("hmm", bool, True)
    options.finish()
    if mode not in {"exact", "search"}:
        raise unknown("mode of tokenizer 'jieba'", mode, ("exact", "search"))
    own = tuple(sorted(set(words) - {"_default_"}))
    if "_default_" not in words or not all(map(_HAN_WORD.fullmatch, own)):
        raise ParamError(
            "analyzer: option 'dict' of tokenizer 'jieba' must hold '_default_', and beside it "
            f"words of Chinese characters only, got {quoted(words)}"
        )
    canonical: JsonOptions = {"dict": ["_default_", *own], "hmm": hmm, "mode": mode}
    return canonical, jieba_tokenizer(own, cast("CutMode", mode), hmm)


def _filter(step: Any) -> tuple[JsonOptions, TokenFilter]:
    name, options = _named("filter", step)
    canonical, apply = build_filter(name, options)
    options.finish()
    return {"type": name, **canonical}, apply
