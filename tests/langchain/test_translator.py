"""Structured queries find exactly the documents that a naive reading of them finds."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.structured_query import (
    Comparator,
    Comparison,
    Operation,
    Operator,
    StructuredQuery,
)

from elanus import FilterError
from langchain_elanus import ElanusTranslator, ElanusVectorStore

MISSING = object()
VALUES = [
    *(0, 1, -3, 7, 2.5, 7.0, True, False, None, MISSING),
    *("", "red", "red kite", "Red", "kite_%", "9", "2024-03-01", 'quote " and \\', "é\n"),
    *(["red"], ["red kite", 7], [], [1, None]),
]


def same(stored, asked):
    """JSON equality: numbers by value, booleans are no numbers, a missing key is null."""
    if stored is MISSING:
        stored = None
    if isinstance(stored, bool) or isinstance(asked, bool):
        return stored is asked
    return stored == asked


def number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def ordered(stored, asked, compare):
    both = (number(stored) and number(asked)) or (
        isinstance(stored, str) and isinstance(asked, str)
    )
    return both and compare(stored, asked)


def like(stored, pattern):
    parts = {"%": ".*", "_": "."}
    regex = "".join(parts.get(c, re.escape(c)) for c in pattern)
    return isinstance(stored, str) and re.fullmatch(regex, stored, re.DOTALL) is not None


def contains(stored, asked):
    if isinstance(stored, list):
        return any(same(item, asked) for item in stored)
    return isinstance(stored, str) and isinstance(asked, str) and asked in stored


def listed(stored, asked):
    return any(same(stored, each) for each in (asked if isinstance(asked, list) else [asked]))


MEANING = {
    Comparator.EQ: same,
    Comparator.NE: lambda s, a: not same(s, a),
    Comparator.GT: lambda s, a: ordered(s, a, lambda x, y: x > y),
    Comparator.GTE: lambda s, a: ordered(s, a, lambda x, y: x >= y),
    Comparator.LT: lambda s, a: ordered(s, a, lambda x, y: x < y),
    Comparator.LTE: lambda s, a: ordered(s, a, lambda x, y: x <= y),
    Comparator.CONTAIN: contains,
    Comparator.LIKE: like,
    Comparator.IN: listed,
    Comparator.NIN: lambda s, a: not listed(s, a),
}


def holds(condition, metadata):
    if isinstance(condition, Comparison):
        stored = metadata.get(condition.attribute, MISSING)
        return MEANING[condition.comparator](stored, condition.value)
    parts = [holds(argument, metadata) for argument in condition.arguments]
    return {
        Operator.AND: all(parts),
        Operator.OR: any(parts),
        Operator.NOT: not any(parts),
    }[condition.operator]


@pytest.fixture(scope="module")
def documents():
    rows = [
        {k: v for k, v in (("x", x), ("y", VALUES[-1 - i])) if v is not MISSING}
        for i, x in enumerate(VALUES)
    ]
    with ElanusVectorStore(None, uri=":memory:", mode="text") as store:
        store.add_texts(["kite"] * len(rows), rows, ids=[f"{i:02}" for i in range(len(rows))])
        yield store, rows


def check(documents, condition):
    store, rows = documents
    query, arguments = ElanusTranslator().visit_structured_query(
        StructuredQuery("kite", condition, None)
    )
    found = {d.id for d in store.search(query, "similarity", k=len(rows), **arguments)}
    expected = {f"{i:02}" for i, row in enumerate(rows) if holds(condition, row)}
    assert found == expected


JSON = [v for v in VALUES if v is not MISSING]
SCALARS = [v for v in JSON if not isinstance(v, list)]
STRINGS = [v for v in JSON if isinstance(v, str)]
ORDERED = [v for v in JSON if number(v) or isinstance(v, str)]
ASKED = {
    Comparator.EQ: SCALARS,
    Comparator.NE: SCALARS,
    **dict.fromkeys((Comparator.GT, Comparator.GTE, Comparator.LT, Comparator.LTE), ORDERED),
    Comparator.CONTAIN: [v for v in SCALARS if v is not None],
    Comparator.LIKE: [*("red", "red%", "%kite", "%d k%", "r_d", "%", "", "kite%", "é%"), '%" and%'],
    Comparator.IN: [[], ["red", 7], [None], [True, "red kite", 2.5], "red", 7],
    Comparator.NIN: [[], ["red", 7], [None], [True, "red kite", 2.5], "red", 7],
}


@pytest.mark.parametrize(
    ("comparator", "value"),
    [(comparator, value) for comparator in Comparator for value in ASKED[comparator]],
)
def test_a_comparison_and_its_negation_find_what_they_say(documents, comparator, value):
    condition = Comparison(comparator, "x", value)
    check(documents, condition)
    check(documents, Operation(Operator.NOT, [condition]))


comparisons = st.sampled_from(list(Comparator)).flatmap(
    lambda c: st.builds(
        Comparison, st.just(c), st.sampled_from(["x", "y", "absent"]), st.sampled_from(ASKED[c])
    )
)
conditions = st.recursive(
    comparisons,
    lambda inner: st.builds(
        Operation, st.sampled_from(list(Operator)), st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=150)
@given(condition=conditions)
def test_any_combination_finds_what_it_says(documents, condition):
    check(documents, condition)


def test_every_comparator_and_operator_of_langchain_is_allowed():
    assert set(ElanusTranslator.allowed_comparators) == set(Comparator) == set(MEANING)
    assert set(ElanusTranslator.allowed_operators) == set(Operator)


def test_without_a_filter_there_are_no_arguments():
    query = StructuredQuery("kite", None, None)
    assert ElanusTranslator().visit_structured_query(query) == ("kite", {})


@pytest.mark.parametrize(
    "value",
    [
        {"type": "date", "date": "2024-03-01"},
        {"type": "datetime", "datetime": "2024-03-01"},
    ],
)
def test_a_date_is_compared_as_its_iso_string(documents, value):
    translated = ElanusTranslator().visit_comparison(Comparison(Comparator.GTE, "x", value))
    assert translated == {"x": {"$gte": "2024-03-01"}}


def test_the_retriever_of_a_store_takes_what_the_translator_gives(documents):
    store, _ = documents
    query, arguments = ElanusTranslator().visit_structured_query(
        StructuredQuery("kite", Comparison(Comparator.EQ, "x", "red kite"), None)
    )
    (found,) = store.as_retriever(search_kwargs=arguments).invoke(query)
    assert found.metadata["x"] == "red kite"


def negated(levels):
    condition = Comparison(Comparator.EQ, "n", 1)
    for _ in range(levels):
        condition = Operation(Operator.NOT, [condition])
    return condition


def test_what_is_nested_too_deep_is_refused(documents):
    translator = ElanusTranslator()
    deepest = translator.visit_structured_query(StructuredQuery("x", negated(38)))[1]
    assert documents[0].store.count(**deepest) == documents[0].store.count({"n": 1})
    for levels in (39, 400):
        with pytest.raises(FilterError, match="may nest 38 operations, this one has more"):
            translator.visit_structured_query(StructuredQuery("x", negated(levels)))
    twice = Comparison(Comparator.EQ, "n", 1)
    for _ in range(100):
        twice = Operation(Operator.AND, [twice, twice])
    with pytest.raises(FilterError, match="may nest 38 operations"):
        twice.accept(translator)
    endless = []
    endless.append(endless)
    with pytest.raises(FilterError, match="key 'n': a value may nest 50 lists, this one has more"):
        translator.visit_comparison(Comparison(Comparator.IN, "n", endless))


@pytest.mark.parametrize("kind", [np.zeros(2), ["date"], None, 1])
def test_a_type_that_is_no_text_is_no_date(kind):
    value = {"type": kind, "date": "2024-05-01"}
    found = ElanusTranslator().visit_comparison(Comparison(Comparator.EQ, "n", value))
    assert found["n"]["$eq"] is value
