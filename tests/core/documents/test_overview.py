"""What a store says of itself: keys, facets, sizes, the first documents, and notebooks."""

from __future__ import annotations

import asyncio
import warnings

import pytest

from elanus import (
    Document,
    DocumentStore,
    MilvusClient,
    SearchSettings,
    StoreStats,
)
from elanus.errors import ClosedError, FilterError, ParamError, UnknownKeyWarning
from elanus.notebook import documents_table

TEXTS = ["one", "two", "three", "four"]
METADATA = [
    {"lang": "en", "year": 2020, "tags": ["a", "b"], "at": {"page": 1}},
    {"lang": "fr", "year": 2020.0, "tags": ["b", "b"], "draft": True},
    {"lang": "en", "year": "2020", "tags": [], "draft": None},
    {"lang": "en", "": 1, "a.b": 2, "draft": 1},
]


@pytest.fixture
def full(open_store):
    store = open_store()
    store.add(TEXTS, METADATA, ids=["1", "2", "3", "4"])
    return store


# --- keys and facets -----------------------------------------------------------------------------


def test_keys_have_the_types_of_their_values(full):
    assert full.keys() == {
        "lang": {"str": 4},
        "draft": {"bool": 1, "null": 1, "int": 1},
        "tags": {"list": 3},
        "year": {"int": 1, "float": 1, "str": 1},
        "": {"int": 1},
        "a.b": {"int": 1},
        "at": {"dict": 1},
    }
    assert list(full.keys()) == ["lang", "draft", "tags", "year", "", "a.b", "at"]


def test_keys_follow_what_is_written_and_a_filter(full):
    assert full.keys({"lang": "fr"}).keys() == {"lang", "year", "tags", "draft"}
    full.update_metadata(["1", "2", "3"], {"new": 0.5}, remove=["year", "tags"])
    full.delete("4")
    assert full.keys() == {
        "lang": {"str": 3}, "new": {"float": 3}, "draft": {"bool": 1, "null": 1}, "at": {"dict": 1},
    }  # fmt: skip


def test_facets_count_documents(full):
    assert full.facets("lang") == [("en", 3), ("fr", 1)]
    assert full.facets("year") == [(2020, 2), ("2020", 1)]
    assert full.facets("tags") == [("b", 2), ("a", 1)]
    assert full.facets("draft") == [(None, 1), (True, 1), (1, 1)]
    assert [type(value) for value, _ in full.facets("draft")] == [type(None), bool, int]
    assert full.facets("at") == []


def test_facets_of_what_is_inside_and_of_a_part(full):
    assert full.facets(["at", "page"]) == [(1, 1)]
    assert full.facets(("tags", 0)) == [("a", 1), ("b", 1)]
    assert full.facets("a.b") == full.facets(["a.b"]) == [(2, 1)]
    assert full.facets("lang", {"year": {"$exists": True}}) == [("en", 2), ("fr", 1)]
    assert full.facets("lang", "year == {y}", filter_params={"y": "2020"}) == [("en", 1)]
    assert full.facets("lang", limit=1) == [("en", 3)]


def test_facets_of_a_field_of_the_store_are_those_of_a_key_of_that_name(full):
    with pytest.warns(UnknownKeyWarning, match="no document has the key 'text'"):
        assert full.facets("text") == []


NESTED = [
    {"a": {"b": 1}},
    {"a.b": 2, "a": {"b": 3}},  # the key of that name comes first
    {"a.b": None, "a": {"b": 3}},  # unless it is null
    {"a": {"b": [1, 3, 3]}},
    {"a": {"b": None}},
    {"a": [{"b": 5}]},  # a way leads through dicts only
    {"a": {"b.c": 4}},  # this is no part of a way
    {"a": {"b": {"c": 7}}},
    {},
]
IDS = [str(n) for n in range(len(NESTED))]


def test_a_nested_key_is_that_of_a_filter(open_store):
    store = open_store()
    store.add(["kite"] * len(NESTED), NESTED, IDS)
    assert store.facets("a.b") == [(1, 2), (3, 2), (None, 1), (2, 1)]
    assert store.facets("a.b", {"a.b": {"$gt": 1}}) == [(2, 1), (3, 1)]
    assert store.facets("a.b.c") == [(7, 1)]
    assert store.facets(["a", "b.c"]) == [(4, 1)]
    assert store.facets(["a.b"]) == [(None, 1), (2, 1)]
    assert store.facets(["a", "b"]) == [(3, 3), (1, 2), (None, 1)]
    for value, count in store.facets("a.b"):
        equal = {"a.b": value, "$nor": [{"a.b": {"$exists": False}}]}
        held = {"$or": [equal, {"a.b": {"$contains": value}}]}
        assert value is None or store.count(held) == count
    assert asyncio.run(store.afacets("a.b")) == store.facets("a.b")


def test_a_key_that_is_no_way_is_itself(open_store):
    store = open_store()
    keys = (".", "a.", ".a", "a..b", "$x")
    store.add(["kite"], [dict.fromkeys(keys, 1)])
    assert [store.facets(key) for key in keys] == [[(1, 1)]] * len(keys)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"key": 5}, ParamError, r"key must be a metadata key, .* got 5 \(int\)"),
        ({"key": []}, ParamError, "key must be a metadata key"),
        ({"key": ["a", -1]}, ParamError, "key must be a metadata key"),
        ({"key": [("a", "b")]}, ParamError, "key must be a metadata key"),
        (
            {"key": ["a", 2**63]},
            ParamError,
            "position must be an integer up to 9223372036854775807",
        ),
        ({"key": "a", "limit": 0}, ParamError, "limit must be an integer of at least 1"),
        ({"key": "a", "filter": "b =="}, FilterError, "filter"),
    ],
)
def test_wrong_facets_are_refused(full, arguments, error, says):
    with pytest.raises(error, match=says):
        full.facets(**arguments)


# --- sizes, and the first documents --------------------------------------------------------------


def test_stats_are_those_of_the_store_and_its_file(open_store, embedding, tmp_path):
    store = open_store(tmp_path / "a.db", embedding, collection="birds", analyzer="standard")
    store.add(TEXTS)
    store.delete(store.peek(1)[0].id)
    stats = store.stats()
    assert stats == StoreStats(
        3,
        "birds",
        "hashing",
        32,
        "standard",
        stats.file_size,
        SearchSettings(weight=1.1, k1=1.2, b=0.75, depth=100),
        SearchSettings(),
    )
    assert stats.file_size == store.client.file_size() > 10_000


def test_stats_of_a_store_without_vectors_or_without_a_name(open_store):
    assert (open_store().stats().model, open_store().stats().dim) == (None, None)
    assert (open_store(dim=2).stats().model, open_store(dim=2).stats().dim) == (None, 2)


def test_peek_gives_the_first_by_id(full):
    assert full.peek(2) == [Document("1", "one", METADATA[0]), Document("2", "two", METADATA[1])]
    assert len(full.peek()) == 4
    with pytest.raises(ParamError, match="n must be an integer of at least 1, got 0"):
        full.peek(0)


def test_coroutines_say_the_same(full):
    async def ask():
        return (
            await full.akeys(), await full.afacets("lang"), await full.astats(),
            await full.apeek(1), await full.ahighlight("one two", "two"),
        )  # fmt: skip

    assert asyncio.run(ask()) == (
        full.keys(), full.facets("lang"), full.stats(), full.peek(1),
        full.highlight("one two", "two"),
    )  # fmt: skip


# --- notebooks -----------------------------------------------------------------------------------

NASTY = "<script>alert('&\"')</script>"


def test_hits_and_documents_are_tables_with_all_text_escaped(open_store):
    store = open_store()
    store.add([f"kite {NASTY}"], [{NASTY: NASTY}], [NASTY])
    [hit] = store.search("kite", mode="text")
    for shown in (hit._repr_html_(), store.peek()[0]._repr_html_()):
        assert shown.count("&lt;script&gt;") == 4
        assert "<script" not in shown
        assert "'" not in shown
        assert shown.startswith("<table><tr><th>id</th>")
    assert f"<td>{hit.relevance:.2f}</td>" in hit._repr_html_()


def test_a_list_is_shown_by_a_call(full):
    shown = documents_table(full.search("one three", mode="text"))._repr_html_()
    assert shown.count("<tr>") == 3
    assert "<th>relevance</th>" in shown
    assert documents_table([])._repr_html_() == (
        "<table><tr><th>id</th><th>text</th><th>metadata</th></tr></table>"
    )
    long = documents_table([Document("a", "x" * 10_000)]).html
    assert len(long) < 1_000


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (Document("a", "x"), r"documents must be a list of documents, got Document"),
        (5, "documents must be a list of documents, got 5"),
        ("abc", "documents must be a list of documents, got 'abc'"),
        ({"a": 1}, "documents must be a list of documents, got "),
        ([Document("a", "x"), 1], r"documents\[1\] must be a document, got 1"),
        (["abc"], r"documents\[0\] must be a document, got 'abc'"),
    ],
)
def test_a_table_is_of_documents(given, says):
    with pytest.raises(ParamError, match=says):
        documents_table(given)


def test_a_store_shows_what_is_in_it(open_store, embedding):
    store = open_store(embedding=embedding)
    store.add(TEXTS)
    shown = store._repr_html_()
    for cell in ("documents</td><td>4", "model</td><td>hashing", "dimension</td><td>32", "bytes"):
        assert cell in shown
    assert "none is named" in open_store()._repr_html_()
    assert "no vectors" in open_store()._repr_html_()


def test_a_store_shows_the_key_of_its_titles(open_store):
    titled = open_store(title="head & line")
    assert (titled.stats().title, open_store().stats().title) == ("head & line", None)
    assert repr(titled).endswith(", collection='documents', title='head & line')")
    assert repr(open_store()).endswith(", collection='documents')")
    assert "<td>title</td><td>head &amp; line</td>" in titled._repr_html_()
    assert "<td>title</td><td>no titles</td>" in open_store()._repr_html_()


def test_a_client_shows_its_collections(tmp_path):
    with MilvusClient(tmp_path / "<b>.db") as client:
        client.create_collection("birds", dimension=2)
        client.insert("birds", [{"id": 1, "vector": [1, 0]}])
        shown = client._repr_html_()
    assert "<td>birds</td><td>1</td>" in shown
    assert "&lt;b&gt;.db" in shown
    assert "<b>.db" not in shown


def test_what_is_closed_says_so(tmp_path):
    store = DocumentStore(tmp_path / "a.db")
    client = store.client
    store.close()
    for shown in (store._repr_html_(), client._repr_html_()):
        assert "is closed; open it again" in shown
        assert "a.db" in shown
    with pytest.raises(ClosedError):
        store.stats()


def test_a_null_under_a_key_with_a_dot_is_there(store):
    metadatas = [{"a.b": None}, {"a": {"b": None}}, {"a.b": None, "a": {"b": 1}}, {"a": 1}]
    store.add(["kite"] * 4, metadatas, list("wxyz"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.facets("a.b") == [(None, 2), (1, 1)]
        assert store.facets("a.b", {"a.b": None}) == [(None, 2)]
        assert store.count({"a.b": 2}) == 0
        assert len(store.search("kite", mode="text", group_by="a.b")) == 4


def test_a_lone_null_under_a_key_with_a_dot_is_no_unknown_key(store):
    store.add(["kite"], [{"a.b": None}])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.facets("a.b") == [(None, 1)]
        assert store.count({"a.b": 1}) == 0
        assert len(store.search("kite", mode="text", group_by="a.b")) == 1
