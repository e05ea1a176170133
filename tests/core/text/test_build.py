"""Presets, identities, and errors of ``analyzer_params``."""

import doctest
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus.errors import ParamError
from elanus.text import RULES_VERSION, _build, build_analyzer

ENGLISH_STEPS = {
    "tokenizer": "standard",
    "filter": [
        "wordparts",
        "lowercase",
        {"type": "stop", "stop_words": "_english_"},
        {"type": "stemmer", "language": "English"},
    ],
}


def test_examples_in_the_documentation_are_true():
    assert doctest.testmod(_build).failed == 0
    assert doctest.testmod(_build).attempted > 0


def test_english_removes_stop_words_and_stems():
    tokens = build_analyzer("english").tokens("The runners are running in getUserNames, 机器")
    assert tokens == ["runner", "run", "getusernam", "get", "user", "name", "机", "机器", "器"]


def test_presets_take_stop_words_in_any_case_beside_their_own():
    english = build_analyzer({"type": "english", "stop_words": ["Running"]})
    assert english.tokens("the running runs") == ["run"]
    standard = build_analyzer({"type": "standard", "stop_words": ["_english_", "Foo"]})
    assert standard.tokens("The foo bar") == ["bar"]


@pytest.mark.parametrize(
    "params", [None, {}, "standard", {"type": "standard"}, "{}", '{"type": "standard"}']
)
def test_standard_is_the_default(params):
    assert build_analyzer(params) == build_analyzer(
        {"tokenizer": "standard", "filter": ["wordparts", "lowercase"]}
    )


def test_equal_rules_have_one_identity_however_written():
    one = build_analyzer("english")
    two = build_analyzer(ENGLISH_STEPS)
    assert one.identity == two.identity
    assert one == two
    assert hash(one) == hash(two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("standard", "english"),
        ({"type": "english"}, {"type": "english", "stop_words": ["x"]}),
        ({"tokenizer": "standard", "filter": ["lowercase", "wordparts"]}, "standard"),
        ({"tokenizer": "standard"}, {"tokenizer": "whitespace"}),
    ],
)
def test_other_rules_have_another_identity(one, two):
    assert build_analyzer(one).identity != build_analyzer(two).identity
    assert build_analyzer(one) != build_analyzer(two)


def test_order_and_repetition_of_stop_words_do_not_matter():
    one, two = (
        build_analyzer({"type": "english", "stop_words": words})
        for words in (["b", "a"], ["a", "b", "a"])
    )
    assert one.identity == two.identity


SIMPLE = st.sampled_from(
    [
        *("lowercase", "asciifolding", "folding", "alphanumonly", "cnalphanumonly"),
        *("removepunct", "scriptstemmer", "wordparts"),
    ]
)
STEPS = st.one_of(
    SIMPLE,
    st.integers(1, 9).map(lambda n: {"type": "length", "max": n}),
    st.integers(0, 3).map(lambda n: {"type": "length", "min": n}),
    st.lists(st.text(st.characters(exclude_characters="_"))).map(
        lambda w: {"type": "stop", "stop_words": w}
    ),
    st.lists(st.text(st.characters(exclude_characters="_"))).map(
        lambda w: {"type": "querystop", "stop_words": w}
    ),
    st.sampled_from(["english", "french", "turkish"]).map(
        lambda n: {"type": "stemmer", "language": n}
    ),
)


@given(st.sampled_from(["standard", "whitespace"]), st.lists(STEPS, max_size=4), st.text())
def test_identity_builds_an_equal_analyzer(tokenizer, steps, text):
    analyzer = build_analyzer({"tokenizer": tokenizer, "filter": steps})
    again = build_analyzer(analyzer.identity)
    assert again.identity == analyzer.identity
    assert again.tokens(text) == analyzer.tokens(text)
    assert again.query_tokens(text) == analyzer.query_tokens(text)


def test_identity_is_ascii_json_with_the_version():
    identity = build_analyzer({"type": "english", "stop_words": ["é", "\ud800"]}).identity
    assert identity.isascii()
    assert json.loads(identity)["version"] == RULES_VERSION


def stop(words):
    return {"tokenizer": "standard", "filter": [{"type": "stop", "stop_words": words}]}


def one(step):
    return {"tokenizer": "standard", "filter": [step]}


BAD = {
    "preset": (
        "klingon",
        r"unknown analyzer: 'klingon'; known: 'chinese', 'english', 'multilingual', 'standard', 'whitespace'",
    ),
    "preset in a mapping": ({"type": "klingon"}, "unknown analyzer: 'klingon'"),
    "preset of a wrong type": ({"type": 3}, "'type' .* must be of type str, got 3"),
    "key beside type": (
        {"type": "english", "stopwords": []},
        "unknown option .*'stopwords'; known: 'stop_words', 'type'",
    ),
    "type and tokenizer": (
        {"type": "english", "tokenizer": "standard"},
        "unknown option .*'tokenizer'",
    ),
    "no tokenizer": ({"filter": []}, "needs the option 'tokenizer'"),
    "key": (
        {"tokenizer": "standard", "filters": []},
        "unknown option of the analyzer: 'filters'; known: 'filter', 'tokenizer'",
    ),
    "tokenizer": (
        {"tokenizer": "icu"},
        "unknown tokenizer: 'icu'; known: 'jieba', 'standard', 'whitespace'",
    ),
    "tokenizer of a wrong type": (
        {"tokenizer": 3},
        "tokenizer must be a name or a mapping .* got 3",
    ),
    "tokenizer without type": ({"tokenizer": {}}, "tokenizer must be a name"),
    "tokenizer's option": (
        {"tokenizer": {"type": "standard", "x": 1}},
        "option of tokenizer 'standard': 'x'; known: none",
    ),
    "filter list": (
        {"tokenizer": "standard", "filter": "lowercase"},
        "'filter' .* must be of type list, got 'lowercase'",
    ),
    "filter": (
        one("uppercase"),
        "unknown filter: 'uppercase'; known: 'alphanumonly', .*'wordparts'",
    ),
    "filter of a wrong type": (one(None), "filter must be a name"),
    "filter's option": (
        one({"type": "lowercase", "x": 1}),
        "unknown option of filter 'lowercase': 'x'",
    ),
    "length without bounds": (one("length"), "needs the option 'max'"),
    "length of a wrong type": (
        one({"type": "length", "max": "5"}),
        "'max' .* of type int, got '5'",
    ),
    "length is no truth value": (one({"type": "length", "max": True}), "'max' .* got True"),
    "length that keeps nothing": (one({"type": "length", "min": 3, "max": 2}), "min 3 and max 2"),
    "length below zero": (one({"type": "length", "min": -1}), "min -1"),
    "length beyond all": (one({"type": "length", "max": 10**5000}), "'max' .* fit in 64 bits"),
    "length below all": (
        one({"type": "length", "max": 5, "min": -(10**5000)}),
        "'min' .* fit in 64 bits",
    ),
    "version beyond all": ({"tokenizer": "standard", "version": 2**63}, "'version' .* 64 bits"),
    "stop without words": (one("stop"), "filter 'stop' needs the option 'stop_words'"),
    "querystop without words": (
        one("querystop"),
        "filter 'querystop' needs the option 'stop_words'",
    ),
    "stop words of a wrong type": (stop([1]), r"list of strings, got \[1\]"),
    "stop words in a mapping": (stop({"a": 1}), "list of strings"),
    "list of stop words": (
        stop(["_klingon_"]),
        "unknown list of stop words: '_klingon_'; known: '_english_', '_questions_'",
    ),
    "stemmer without language": (one("stemmer"), "filter 'stemmer' needs the option 'language'"),
    "language": (
        one({"type": "stemmer", "language": "klingon"}),
        "unknown language .*'klingon'; known: .*'english'",
    ),
    "JSON": ('{"type": ', "not valid JSON"),
    "not a mapping": (
        ["standard"],
        r"must be a name, a mapping, its JSON or None, got \['standard'\]",
    ),
    "version": ({"tokenizer": "standard", "version": 999}, "version 999 .* analyzed again"),
    "jieba mode": (
        {"tokenizer": {"type": "jieba", "mode": "all"}},
        "unknown mode .*'all'; known: 'exact', 'search'",
    ),
    "jieba dictionary": ({"tokenizer": {"type": "jieba", "dict": ["词"]}}, "must hold '_default_'"),
    "jieba word": (
        {"tokenizer": {"type": "jieba", "dict": ["_default_", "C语言"]}},
        "Chinese characters only",
    ),
}


@pytest.mark.parametrize(("params", "message"), BAD.values(), ids=BAD.keys())
def test_bad_params_are_named(params, message):
    with pytest.raises(ParamError, match=message):
        build_analyzer(params)
