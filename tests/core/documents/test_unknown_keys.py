"""A filter's key that no document has is said once, and only where it is not meant to be absent."""

from __future__ import annotations

import subprocess
import sys
import warnings

import pytest

from elanus.engine import _parts
from elanus.errors import ElanusWarning, UnknownKeyWarning


@pytest.fixture
def years(open_store):
    store = open_store()
    store.add(
        ["a kite", "an owl", "a wren"],
        [{"year": 2020, "a": {"b": 1}}, {"year": None, "none": None}, {"x.y": 2}],
        list("abc"),
    )
    return store


def said(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert all(each.category is UnknownKeyWarning for each in caught)
    return [str(each.message) for each in caught]


@pytest.mark.parametrize(
    ("filter", "key"),
    [
        ("yaer > 2020", "'yaer'"),
        ("yaer != 2020", "'yaer'"),
        ("not (yaer == 2020)", "'yaer'"),
        ("yaer in [1] or year == 2020", "'yaer'"),
        ("array_length(yaer) == 0", "'yaer'"),
        ("a['c'] == 1", "'a'['c']"),
        ("year[0] == 1", "'year'[0]"),
        ({"yaer": {"$gt": 2020}}, "'yaer'"),
        ({"yaer": 2020}, "'yaer'"),
        ({"$or": [{"year": 1}, {"yaer": 1}]}, "'yaer'"),
        ({"yaer": {"$ne": 5, "$lt": 9}}, "'yaer'"),
        ({"a.c": 1}, "'a.c'"),
        ({"a": {"c": 1}}, "'a'['c']"),
        ({"b.c": {"$contains": 1}}, "'b.c'"),
        ({"$text": {"$substring": "kite"}, "text": "x"}, "'text'"),
        ({"text": "kite"}, "'text'"),
    ],
    ids=repr,
)
def test_a_key_that_no_document_has_is_named_once(years, filter, key):
    says = f"no document has the key {key}, which is asked for: is it written wrongly?"
    calls = (
        lambda: years.count(filter),
        lambda: years.search("kite", mode="text", filter=filter),
        lambda: years.get(filter=filter),
        lambda: years.delete(filter=filter),
    )
    assert said(calls[0]) == [says]
    for call in calls:
        assert said(call) == []
    years.add(["another"])
    assert said(calls[0]) == []


@pytest.mark.parametrize(
    "filter",
    [
        *("year > 2020", "none == 1", "a['b'] == 1", "year == 1 or a['b'] != 1"),
        *("yaer is null", "exists yaer", "not exists yaer", "yaer is not null and yaer > 1"),
        *("yaer !~ 'x'", "text_match(text, 'kite')", "1 == 2"),
        *({"year": 1}, {"none": {"$gt": 1}}, {"a.b": 1}, {"a": {"b": 1}}, {"x.y": 2}, {}),
        *({"yaer": None}, {"yaer": {"$exists": True}}, {"yaer": {"$empty": False}}),
        *({"yaer": {"$ne": 1}}, {"yaer": {"$nin": [1]}}, {"yaer": {"$not": {"$gt": 1}}}),
        *({"$nor": [{"yaer": 1}]}, {"$not": {"yaer": {"$lt": 3}}}, {"yaer": {"$in": [1, None]}}),
        {"$or": [{"yaer": {"$exists": False}}, {"yaer": {"$gt": 1}}]},
        {"$text": "kite"},
        {"$not": {"$text": {"$match": "kite"}}},
    ],
    ids=repr,
)
def test_nothing_is_said_of_what_is_there_or_may_be_absent(years, filter):
    assert said(lambda: years.count(filter)) == []


@pytest.mark.parametrize(
    ("asked", "key"),
    [("yaer", "'yaer'"), ("a.c", "'a.c'"), (["a", "c"], "'a'['c']"), (["a", 0], "'a'[0]")],
)
def test_facets_and_groups_warn_as_filters_do(years, asked, key):
    says = [f"no document has the key {key}, which is asked for: is it written wrongly?"]
    assert said(lambda: years.facets(asked)) == says
    assert said(lambda: years.facets(asked)) == []
    assert said(lambda: years.search("kite", mode="text", group_by=asked)) == []
    years.client.create_collection("others", dimension=2)
    other = type(years)(client=years.client, collection="more")
    assert said(lambda: other.facets(asked)) == []  # it is empty
    other.add(["a kite"])
    assert said(lambda: other.search("kite", mode="text", group_by=asked)) == says
    assert said(lambda: other.facets(asked)) == []


def test_facets_and_keys_warn_of_their_filter(years):
    assert len(said(lambda: years.facets("year", {"yaer": 1}))) == 1
    assert len(said(lambda: years.keys("yare == 1"))) == 1
    assert said(lambda: years.facets("a.b") and years.facets("x.y") and years.facets("none")) == []


def test_an_operator_without_its_dollar_is_pointed_out(years):
    (says,) = said(lambda: years.count({"year": {"gte": 2020}}))
    assert says.endswith("is $gte meant?")


def test_several_keys_are_said_together(years):
    (says,) = said(lambda: years.count({f"key{n}": n for n in range(1001)}))
    assert says.startswith("no document has the key 'key0' (and 1,000 more that are in the filter)")
    assert said(lambda: years.count("key7 == 1 or key1001 == 2")) == [
        "no document has the key 'key1001', which is asked for: is it written wrongly?"
    ]


def test_a_huge_key_is_shown_in_part(years):
    (says,) = said(lambda: years.count({"k" * 1_000_000: {"n" * 1_000_000: 1}}))
    assert len(says) < 600


def test_an_empty_store_says_nothing_and_each_store_has_its_own_memory(open_store):
    first, second = open_store(), open_store()
    assert said(lambda: first.count({"k": 1})) == []
    for store in (first, second):
        store.add(["a"])
        assert len(said(lambda store=store: store.count({"k": 1}))) == 1
        assert said(lambda store=store: store.count({"k": 1})) == []


def test_a_key_that_comes_later_is_known_then(years):
    years.add(["new"], [{"later": 1}])
    assert said(lambda: years.count({"later": 1})) == []


def test_a_client_whose_keys_are_free_says_nothing(years):
    years.client.create_collection("c", dimension=2)
    years.client.insert("c", [{"id": 1, "vector": [0.0, 1.0], "year": 1}])
    assert said(lambda: years.client.query("c", "yaer == 1")) == []


@pytest.mark.parametrize("mode", ["text", "dense", "hybrid"])
@pytest.mark.parametrize("is_file", [False, True])
def test_it_is_said_at_the_line_of_the_caller(open_store, embedding, tmp_path, mode, is_file):
    store = open_store(tmp_path / "kb.db" if is_file else ":memory:", embedding)
    store.add(["a kite"], [{"year": 2020}])
    with pytest.warns(UnknownKeyWarning) as caught:
        store.search("kite", mode=mode, filter="yaer > 1")
    assert [each.filename for each in caught] == [__file__]


def test_it_can_be_an_error_and_loses_nothing(years):
    with warnings.catch_warnings():
        warnings.simplefilter("error", ElanusWarning)
        with pytest.raises(UnknownKeyWarning, match="'yaer'"):
            years.delete(filter="yaer > 1")
        assert years.count() == 3
        assert years.delete(filter="yaer > 1") == 0


async def test_the_asynchronous_form_says_it_too(years):
    with pytest.warns(UnknownKeyWarning, match="'yaer'"):
        await years.asearch("kite", mode="text", filter={"yaer": 1})


@pytest.mark.parametrize(
    "write",
    [
        lambda store, wrong: store.delete(filter=wrong),
        lambda store, wrong: store.update_metadata(values={"new": 1}, filter=wrong),
    ],
)
def test_what_writes_says_it_before_anything_is_written(years, write):
    wrong = {"$or": [{"yaer": 1}, {"year": 2020}]}
    before = years.get(["a", "b", "c"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnknownKeyWarning)
        with pytest.raises(UnknownKeyWarning, match="'yaer'"):
            write(years, wrong)
    assert years.get(["a", "b", "c"]) == before
    assert write(years, wrong) == 1


def test_by_default_python_shows_it(tmp_path):
    script = tmp_path / "typo.py"
    script.write_text(
        "from elanus import DocumentStore\n"
        "with DocumentStore(':memory:') as store:\n"
        "    store.add(['a'], [{'year': 2020}])\n"
        "    for _ in range(3):\n"
        "        store.count('yaer > 2000')\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stderr.count("UnknownKeyWarning") == 1
    assert "typo.py:5: UnknownKeyWarning: no document has the key 'yaer'" in done.stderr


def test_no_search_reads_the_rows_again(years, monkeypatch):
    asked = []
    real = _parts.documents_since
    monkeypatch.setattr(_parts, "documents_since", lambda *a: asked.append(a) or real(*a))
    for n in range(5):
        said(lambda n=n: years.count(f"yaer > {n}"))
    assert len(asked) == 1


def test_a_sync_does_not_warn_of_the_key_that_it_enters_itself(years):
    assert said(lambda: years.sync("f.md", [])) == []
    # Of a caller who asks for it nothing else is known.
    assert len(said(lambda: years.count({"source": "f.md"}))) == 1
    assert said(lambda: years.sync("g.md", ["a wren"])) == []
    assert said(lambda: years.count({"source": "f.md"})) == []
