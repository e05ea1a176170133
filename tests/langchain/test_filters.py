"""Filters over text, Chroma's form of them, and values that JSON lacks, through LangChain."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.structured_query import Comparator, Comparison

from elanus import FilterError, ParamError
from elanus.errors import UnknownKeyWarning
from langchain_elanus import ElanusRetriever, ElanusTranslator, ElanusVectorStore

TEXTS = {
    "red": "The Red Kite soars, a kite.",
    "black": "A black kite.",
    "owl": "An owl, no bird of the day.",
    "none": "",
}


@pytest.fixture(scope="module")
def texts():
    with ElanusVectorStore(None, uri=":memory:", mode="text") as store:
        texts = [f"bird {text}" for text in TEXTS.values()]
        store.add_texts(texts, [{"n": n} for n in range(len(texts))], ids=list(TEXTS))
        yield store


def found(store, **options):
    return {each.id for each in store.similarity_search("bird", k=9, **options)}


words = st.sampled_from(["kite", "Kite", "owl", "a", "", ","])
tests = st.one_of(
    st.tuples(st.sampled_from(["$contains", "$not_contains"]), words),
    st.tuples(st.sampled_from(["$regex", "$not_regex"]), words),
).map(lambda pair: dict([pair]))
wheres = st.recursive(
    tests,
    lambda inner: st.tuples(
        st.sampled_from(["$and", "$or"]), st.lists(inner, min_size=1, max_size=3)
    ).map(lambda pair: dict([pair])),
    max_leaves=5,
)


def holds(text, where):
    ((operator, operand),) = where.items()
    if operator in ("$and", "$or"):
        join = all if operator == "$and" else any
        return join(holds(text, each) for each in operand)
    return (operand in text) != operator.startswith("$not")


@settings(max_examples=150, deadline=None)
@given(wheres, st.integers(0, 4))
def test_where_document_finds_what_chroma_means_by_it(texts, where, least):
    expected = {name for name, text in TEXTS.items() if holds(f"bird {text}", where)}
    assert found(texts, where_document=where) == expected
    later = set(list(TEXTS)[least:])
    condition = {"n": {"$gte": least}}
    assert found(texts, where_document=where, filter=condition) == expected & later


def test_every_search_and_the_retrievers_take_it(store):
    store.add_texts([f"bird {text}" for text in TEXTS.values()], ids=list(TEXTS))
    where = {"$contains": "black"}
    asked = {"k": 9, "where_document": where}
    answers = [
        store.similarity_search("bird", **asked),
        [each for each, _ in store.similarity_search_with_relevance_scores("bird", **asked)],
        store.max_marginal_relevance_search("bird", **asked),
        store.similarity_search_by_vector(store.embeddings.embed_query("bird"), **asked),
        store.as_retriever(search_kwargs=asked).invoke("bird"),
        ElanusRetriever(vectorstore=store, k=9).invoke("bird", where_document=where),
        ElanusRetriever(vectorstore=store, k=9, filter={"$text": {"$substring": "black"}}).invoke(
            "bird"
        ),
        store.similarity_search("bird", k=9, filter={"$text": {"$isubstring": "BLACK"}}),
    ]
    assert [[each.id for each in answer] for answer in answers] == [["black"]] * len(answers)
    assert found(store, where_document=None) == set(TEXTS)


def deep():
    where = {"$contains": "a"}
    for _ in range(31):
        where = {"$and": [where]}
    return where


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("kite", "one operator, got 'kite'"),
        ({}, "one operator"),
        ({"$contains": "a", "$regex": "b"}, "one operator"),
        ({"$has": "a"}, r"unknown operator '\$has'; known: \$contains, \$not_contains"),
        ({"$contains": 5}, r"\$contains needs a string, got 5"),
        ({"$or": {"$contains": "a"}}, r"\$or needs a list"),
        ({"$and": []}, r"\$and needs a list"),
        ({"$and": ["a"]}, "one operator, got 'a'"),
        ({"$regex": "("}, r"\$text.*\$regex"),
        (deep(), "30 levels"),
    ],
)
def test_what_is_no_such_condition_is_an_error(texts, where, says):
    with pytest.raises(FilterError, match=says):
        texts.similarity_search("bird", where_document=where)


def test_it_does_not_go_with_an_expression(texts):
    with pytest.raises(
        ParamError, match="where_document goes with a filter that is a dict, got 'n > 1'"
    ):
        texts.similarity_search("bird", filter="n > 1", where_document={"$contains": "a"})


# --- values ---------------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"


NOON = dt.datetime(2024, 5, 1, 12, tzinfo=dt.timezone.utc)
GIVEN = {
    "day": NOON.date(), "time": NOON, "key": uuid.UUID(int=7), "path": PurePosixPath("a/b"),
    "colour": Colour.RED, "price": Decimal("9.99"), "score": math.nan,
}  # fmt: skip
KEPT = {
    "day": "2024-05-01", "time": "2024-05-01T12:00:00+00:00", "path": "a/b",
    "key": "00000000-0000-0000-0000-000000000007", "colour": "red", "price": 9.99, "score": None,
}  # fmt: skip


async def test_metadata_are_kept_in_the_form_of_the_store(store):
    store.add_documents([Document("bird", metadata=GIVEN, id="d"), Document("bird", id="e")])
    assert store.get_by_ids(["d"])[0].metadata == KEPT
    for name, value in GIVEN.items():
        expected = {"d", "e"} if name == "score" else {"d"}
        assert found(store, filter={name: value}) == expected
    later = {"time": {"$gt": NOON - dt.timedelta(seconds=1)}, "day": {"$lte": NOON.date()}}
    assert {each.id for each in await store.asimilarity_search("bird", filter=later)} == {"d"}


@pytest.mark.parametrize(
    "written",
    ["2024-05-01T12:00:00", "2024-05-01T12:00:00Z", "2024-05-01T14:00:00+0200",
     "2024-05-01T12:00:00.000+00:00"],
)  # fmt: skip
def test_a_time_of_a_structured_query_finds_times_that_were_kept(store, written):
    store.add_documents([Document("bird", metadata=GIVEN, id="d")])
    value = {"type": "datetime", "datetime": written}
    for comparator, expected in [
        (Comparator.EQ, {"d"}), (Comparator.GTE, {"d"}), (Comparator.GT, set()),
        (Comparator.IN, {"d"}),
    ]:  # fmt: skip
        asked = [value] if comparator is Comparator.IN else value
        condition = ElanusTranslator().visit_comparison(Comparison(comparator, "time", asked))
        assert found(store, filter=condition) == expected


def test_a_time_that_cannot_be_read_stays_as_it_is():
    value = {"type": "datetime", "datetime": "Tuesday"}
    translated = ElanusTranslator().visit_comparison(Comparison(Comparator.EQ, "time", value))
    assert translated == {"time": {"$eq": "Tuesday"}}


def test_a_key_that_no_document_has_is_said_at_the_line_of_the_caller(store):
    store.add_documents([Document("bird", metadata=GIVEN)])
    with pytest.warns(UnknownKeyWarning, match="no document has the key 'prize'") as caught:
        store.similarity_search("bird", filter={"prize": {"$gt": 5}})
    assert caught[0].filename == __file__
