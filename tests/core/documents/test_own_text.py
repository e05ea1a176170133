"""Dict filters over the document's own text, against Python's own tests of strings."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus import DocumentStore
from elanus.errors import FilterError

TEXTS = {
    "kite": "The Red Kite soars.",
    "black": "A black kite; 100% black.",
    "owl": "Owls hunt at night_time.",
    "cafe": "Un caf\u00e9 noir",
    "open": "un cafe\u0301 noir",
    "empty": "",
}


@pytest.fixture(scope="module")
def texts():
    with DocumentStore(":memory:") as store:
        # Keys called like the text are another matter.
        metadatas = [{"text": "night", "$text": "day", "n": n} for n in range(len(TEXTS))]
        store.add(list(TEXTS.values()), metadatas, list(TEXTS))
        yield store


def folded(text):
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())


def found(store, condition):
    return {each.id for each in store.get(filter=condition)}


MEANING = {
    "$eq": lambda text, asked: text == asked,
    "$gt": lambda text, asked: text > asked,
    "$lte": lambda text, asked: text <= asked,
    "$in": lambda text, asked: text in asked,
    "$substring": lambda text, asked: asked in text,
    "$isubstring": lambda text, asked: folded(asked) in folded(text),
    "$regex": lambda text, asked: re.search(asked, text) is not None,
    "$like": lambda text, asked: (
        re.fullmatch(re.escape(asked).replace("%", ".*"), text) is not None
    ),
}
strings = st.sampled_from(
    ["kite", "KITE", "Kite", "black", "night_", "\u00e9", "e\u0301", "CAF\u00c9", "", "e", "A"]
)
tests = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$gt", "$lte", "$substring", "$isubstring"]), strings),
    st.tuples(st.just("$in"), st.lists(st.sampled_from([*TEXTS.values(), "x"]), max_size=3)),
    st.tuples(st.just("$regex"), st.sampled_from(["^A", "[Kk]ite", "\\d+%", "night.", "$"])),
    st.tuples(st.just("$like"), st.sampled_from(["%kite%", "The%", "%.", "", "%"])),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(tests, min_size=1, max_size=3), st.booleans(), st.integers(0, 6))
def test_a_condition_on_the_text_finds_what_python_finds(texts, drawn, negated, least):
    asked = dict(drawn)
    passing = {
        name
        for name, text in TEXTS.items()
        if all(MEANING[operator](text, operand) for operator, operand in asked.items())
    }
    passing = TEXTS.keys() - passing if negated else passing
    condition = {"$text": {"$not": asked} if negated else asked}
    assert found(texts, condition) == passing
    later = set(list(TEXTS)[least:])
    assert found(texts, {**condition, "n": {"$gte": least}}) == passing & later
    assert found(texts, {"$nor": [condition]}) == TEXTS.keys() - passing


def test_match_asks_for_words_as_the_analyzer_makes_them(texts):
    assert found(texts, {"$text": {"$match": "KITES owl"}}) == {"kite", "black", "owl"}
    assert found(texts, {"$text": {"$match": "kit"}}) == set()
    assert found(texts, {"$text": {"$match": "kite", "$substring": "100%"}}) == {"black"}
    asked = "text_match(text, 'KITES owl')"
    assert found(texts, {"$text": {"$not": {"$match": "KITES owl"}}}) == found(
        texts, f"not {asked}"
    )


def test_phrase_asks_for_words_side_by_side_as_the_analyzer_makes_them(texts):
    assert found(texts, {"$text": {"$phrase": "RED kites"}}) == {"kite"}
    assert found(texts, {"$text": {"$phrase": "kite red"}}) == set()
    assert found(texts, {"$text": {"$phrase": "un cafe"}}) == {"cafe", "open"}
    assert found(texts, {"$text": {"$phrase": "!"}}) == set()
    assert found(texts, "phrase_match(text, 'kite red', 2)") == {"kite"}
    others = TEXTS.keys() - {"kite"}
    assert found(texts, {"$text": {"$not": {"$phrase": "red kite"}}}) == others
    assert found(texts, "not phrase_match(text, 'red kite')") == others


def test_the_text_itself_may_be_asked_for(texts):
    assert found(texts, {"$text": TEXTS["owl"]}) == {"owl"}
    assert found(texts, {"$text": {"$ne": ""}}) == TEXTS.keys() - {"empty"}
    assert found(texts, {"text": "night"}) == TEXTS.keys()
    assert found(texts, {"$$text": "day"}) == TEXTS.keys()


@pytest.mark.parametrize("mode", ["text", "dense", "hybrid"])
def test_a_search_keeps_to_it(open_store, embedding, mode):
    store = open_store(embedding=embedding)
    store.add(list(TEXTS.values()), ids=list(TEXTS))
    hits = store.search("kite soars", mode=mode, filter={"$text": {"$isubstring": "BLACK"}})
    assert [hit.id for hit in hits] == ["black"]


@pytest.mark.parametrize(
    ("test", "says"),
    [
        ({"$contains": "x"}, r"unknown operator '\$contains'; known: .*\$substring"),
        ({"$exists": True}, r"unknown operator '\$exists'"),
        ({"$search": "x"}, r"unknown operator '\$search'; known: .*\$match"),
        ({"b": 1}, "unknown operator 'b'"),
        ({}, r"\$text has no operator"),
        (None, r"\$text.*\$eq needs a string, got None"),
        (5, r"\$text.*\$eq needs a string, got 5"),
        ({"$substring": 5}, r"\$text.*needs a string"),
        ({"$match": ["a"]}, r"\$text.*\$match needs a string"),
        ({"$regex": "("}, r"\$text.*\$regex '\('"),
        ({"$not": "x"}, r"\$text.*\$not needs operators"),
        ({"$not": {"$all": ["x"]}}, r"unknown operator '\$all'"),
    ],
)
def test_what_cannot_be_asked_of_a_text_is_an_error(texts, test, says):
    with pytest.raises(FilterError, match=says):
        texts.count({"$text": test})


def test_match_is_for_the_text_alone(texts):
    with pytest.raises(FilterError, match=r"unknown operator '\$match'; known: \$eq"):
        texts.count({"k": {"$match": "kite"}})
