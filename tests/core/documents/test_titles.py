"""Titles: their words count by ``title_boost``, whatever was added, changed and deleted."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus import DocumentStore, SearchSettings, build_analyzer
from elanus.errors import ParamError, StorageError

K1, B = 1.2, 0.75
ANALYZER = build_analyzer("multilingual")
WORDS = ["red", "kite", "kites", "owl", "night", "hunt", "the", "receive", "机器"]


def bm25(texts, query, k1=K1, b=B):
    """Scores by id, in float64, as the formula says."""
    terms = {name: Counter(ANALYZER.tokens(text)) for name, text in texts.items()}
    average = sum(t.total() for t in terms.values()) / max(len(terms), 1) or 1.0
    scores = dict.fromkeys(terms, 0.0)
    for word, count in Counter(ANALYZER.query_tokens(query)).items():
        held = sum(word in t for t in terms.values())
        idf = math.log(1 + (len(terms) - held + 0.5) / (held + 0.5))
        for name, t in terms.items():
            norm = k1 * (1 - b + b * t.total() / average) if t[word] else 1.0
            scores[name] += count * idf * t[word] * (k1 + 1) / (t[word] + norm)
    return scores


def expected(documents, query, boost, **saturation):
    """What the search by words should give: of ``{id: (text, title)}``."""
    body = bm25({name: text for name, (text, _) in documents.items()}, query, **saturation)
    title = bm25({name: title for name, (_, title) in documents.items()}, query, **saturation)
    scores = {name: body[name] + boost * title[name] for name in documents}
    return {name: score for name, score in scores.items() if score > 0}


def check(store, documents, query, boost, **saturation):
    chosen = SearchSettings(title_boost=boost, **saturation)
    hits = store.search(query, 50, "text", settings=chosen)
    right = expected(documents, query, boost, **saturation)
    assert {hit.id: hit.score for hit in hits} == pytest.approx(right, rel=1e-6)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(0 <= hit.relevance <= 1 for hit in hits)


sentences = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
titles = sentences | st.sampled_from([None, 5, ["kite"]])
changes = st.tuples(st.sampled_from(["add", "sync", "title", "untitle", "delete"]),
                    st.sampled_from("abcd"), sentences, titles)  # fmt: skip


@settings(max_examples=40)
@given(st.lists(changes, max_size=10), sentences, st.sampled_from([0.0, 0.5, 3.0]), st.booleans())
def test_scores_are_those_of_the_formula_after_any_history(history, query, boost, looks):
    with DocumentStore(":memory:", title="name") as store:
        documents = {}
        for kind, name, text, title in history:
            as_title = title if isinstance(title, str) else ""
            metadata = {} if title is None else {"name": title}
            if kind == "add":
                store.add([text], [metadata], [name])
                documents[name] = (text, as_title)
            elif kind == "sync":
                store.sync(f"source {name}", [text], [metadata], [f"s{name}"])
                documents[f"s{name}"] = (text, as_title)
            elif kind == "delete":
                store.delete(name)
                documents.pop(name, None)
            else:
                change = {"values": metadata} if kind == "title" else {"remove": ["name"]}
                as_title = "" if kind == "untitle" else as_title
                store.update_metadata(name, **change)
                if name in documents and (metadata or kind == "untitle"):
                    documents[name] = (documents[name][0], as_title)
            if looks:
                check(store, documents, query, boost)
        check(store, documents, query, boost)
        assert store.verify() == []


DOCUMENTS = {
    "body": ("red kite red kite over hills", "birds"),
    "title": ("they hover and receive", "red kite"),
    "both": ("an owl and a kite", "kite"),
    "none": ("ice", ""),
}


def filled(store):
    store.add(
        [text for text, _ in DOCUMENTS.values()],
        [{"title": title, "n": n} for n, (_, title) in enumerate(DOCUMENTS.values())],
        list(DOCUMENTS),
    )
    return store


@pytest.fixture
def store(open_store, embedding):
    return filled(open_store(embedding=embedding, title="title"))


@pytest.mark.parametrize("saturation", [{}, {"k1": 0.5}, {"b": 0.1}, {"k1": 2.0, "b": 1.0}])
def test_titles_have_the_saturation_of_the_texts(store, saturation):
    for query in ("red kite", "kite kite owl", "birds", "zebra"):
        for boost in (0, 0.5, 4):
            check(store, DOCUMENTS, query, boost, **saturation)
    store.configure(SearchSettings(title_boost=2, **saturation))
    hits = store.search("red kite", mode="text")
    right = expected(DOCUMENTS, "red kite", 2, **saturation)
    assert {hit.id: hit.score for hit in hits} == pytest.approx(right, rel=1e-6)


def test_filters_modes_and_the_rest_go_on_over_titles(store):
    def ids(**options):
        return [hit.id for hit in store.search("red kite", mode="text", **options)]

    assert set(ids()) == {"body", "title", "both"}
    assert ids(filter="n == 1") == ["title"]
    assert ids(ids=["none"]) == []
    assert len(ids(group_by="title")) == 3
    assert ids(settings=SearchSettings(title_boost=9))[0] == "title"
    (found,) = store.search("birds", k=1, explain=True)
    (leg,) = [leg for leg in found.explanation if leg.leg == "text"]
    assert (found.id, leg.rank) == ("body", 1)
    assert leg.score == pytest.approx(
        0.25 * bm25({n: t for n, (_, t) in DOCUMENTS.items()}, "birds")["body"]
    )
    assert {hit.id for hit in store.search("red kite", filter="n < 2")} == {"body", "title"}


def test_the_boost_is_found_in_this_order(store):
    def first():
        return store.search("kite", k=1, mode="text")[0].id

    assert store.stats().settings.title_boost == 0.25
    store.configure(SearchSettings(title_boost=30))
    assert store.stats().kept == SearchSettings(title_boost=30)
    assert first() == "both"
    (hit,) = store.search("kite", 1, "text", settings=SearchSettings(title_boost=0))
    assert hit.id == "body"
    store.configure(None)
    assert store.stats().kept == SearchSettings()


def test_a_word_in_a_title_is_not_replaced(store):
    store.add(["a zebra", "ice"], [{}, {"title": "zebro"}], ["zebra", "zebro"])
    assert [h.id for h in store.search("zebro", mode="text", typos=True)] == ["zebro"]
    found = {h.id for h in store.search("zebru", mode="text", typos=True)}
    assert found == {"zebra", "zebro"}
    assert [h.id for h in store.search("recieve", mode="text", typos=True)] == ["title"]
    assert [h.id for h in store.search("bir", mode="text", prefix=True)] == ["body"]


def test_a_boost_of_zero_is_the_search_without_titles(store, open_store, embedding):
    plain = filled(open_store(embedding=embedding))
    zero = SearchSettings(title_boost=0)
    for mode in ("text", "hybrid", "dense"):
        assert store.search("red kite", mode=mode, settings=zero, explain=True) == plain.search(
            "red kite", mode=mode, explain=True
        )


def test_the_key_is_kept_in_the_file(tmp_path):
    path = tmp_path / "a.db"
    with DocumentStore(path, title="title") as store:
        filled(store)
    with DocumentStore(path) as store:
        check(store, DOCUMENTS, "red kite", 2)
        store.update_metadata("none", {"title": "zebra"})
        assert [hit.id for hit in store.search("zebra", mode="text")] == ["none"]
    with DocumentStore(path, title="title", read_only=True) as store:
        assert [hit.id for hit in store.search("zebra", mode="text")] == ["none"]
    with pytest.raises(ParamError, match="was made with title 'title', not 'name'"):
        DocumentStore(path, title="name")


def test_a_store_without_titles_says_so(tmp_path):
    path = tmp_path / "a.db"
    with DocumentStore(path) as store:
        store.add(["kite"], [{"title": "owl"}])
        assert store.search("owl", mode="text") == []
        boost = SearchSettings(title_boost=2)
        says = r"title_boost=2 is for a store that was made with title=…"
        with pytest.raises(ParamError, match=says):
            store.search("owl", mode="text", settings=boost)
        with pytest.raises(ParamError, match=says):
            store.configure(boost)
        assert store.stats().settings.title_boost is None
    with pytest.raises(ParamError, match="was made with no title, not 'title'"):
        DocumentStore(path, title="title")


@pytest.mark.parametrize("title", [5, "\ud800", ["title"], ""])
def test_a_key_is_a_text(title):
    with pytest.raises(ParamError, match="title must be"):
        DocumentStore(":memory:", title=title)


@pytest.mark.parametrize("boost", [-1, math.nan, "2", 1e7, True])
def test_a_boost_is_a_number_in_range(boost):
    with pytest.raises(ParamError, match="title_boost must be a number"):
        SearchSettings(title_boost=boost)


def test_coverage_and_deviation_are_those_of_both_texts(store):
    """By the formula of ``Bm25Index.judge``, and half of what a title could score at most."""
    hits = store.search("birds", explain=True, settings=SearchSettings(title_boost=2))
    (leg,) = [leg for hit in hits for leg in hit.explanation if leg.leg == "text" and leg.score]
    idf_of_none, idf = math.log(1 + 4.5 / 0.5), math.log(1 + 3.5 / 1.5)
    deviation = 2 * 1.2 * idf * 2.2 / 2 * math.sqrt(0.25 * 0.75)
    possible = idf_of_none * 2.2 + 2 * idf * 2.2 / 2
    share = leg.score / possible
    said = f"{leg.score / deviation:.1f} standard deviations; covers {share:.0%} of the query"
    assert leg.reason == said


# --- of the client -----------------------------------------------------------------------------


def test_the_client_takes_boosts_as_a_search_parameter(store):
    def found(field="terms", **params):
        (hits,) = store.client.search(
            "documents", ["red kite"], anns_field=field, search_params={"params": params}
        )
        return {hit["id"]: hit["distance"] for hit in hits}

    for boost in (0.0, 2.0):
        right = expected(DOCUMENTS, "red kite", boost)
        assert found(boosts={"title_terms": boost}) == pytest.approx(right, rel=1e-6)
    other = {n: s + 3 * o for n, s, o in (
        (n, bm25({n: t for n, (_, t) in DOCUMENTS.items()}, "red kite")[n],
         bm25({n: b for n, (b, _) in DOCUMENTS.items()}, "red kite")[n]) for n in DOCUMENTS)}  # fmt: skip
    right = {name: score for name, score in other.items() if score}
    assert found("title_terms", boosts={"terms": 3}) == pytest.approx(right, rel=1e-6)
    for wrong, says in (
        ({"terms": 1}, "boosts: 'terms' is no further field .* there are: title_terms"),
        ({"text": 1}, "boosts: 'text' is no further field"),
        ({"title_terms": -1}, "boosts: that of 'title_terms' must be a number"),
        ({5: 1}, "boosts: a field must be"),
        (5, "search parameter boosts"),
    ):
        with pytest.raises(ParamError, match=says):
            found(boosts=wrong)
    with pytest.raises(ParamError, match="field 'vector': the search parameters prefix and typos"):
        store.client.search(
            "documents", [[0.0] * store.dim], anns_field="vector",
            search_params={"boosts": {"title_terms": 1}},
        )  # fmt: skip


def test_the_client_enters_texts_that_stand_in_json(store):
    change = {"values": {"title": "zebra"}, "ids": "none"}
    for texts, says in (
        ({"titles": "title"}, "no field 'titles'"),
        ({"metadata": "title"}, "texts: 'metadata' is no VARCHAR field"),
        ({"id": "title"}, "texts: 'id' is no VARCHAR field"),
        ({"title": 5}, "texts: a key must be"),
        (5, "texts"),
    ):
        with pytest.raises(ParamError, match=says):
            store.client.change_json("documents", "metadata", **change, texts=texts)
    assert (
        store.client.change_json("documents", "metadata", **change, texts={"title": "title"}) == 1
    )
    assert [hit.id for hit in store.search("zebra", mode="text")] == ["none"]
    assert store.verify() == []


def test_a_change_that_fails_changes_no_title(tmp_path):
    with DocumentStore(tmp_path / "a.db", title="title") as store:
        filled(store)
    with DocumentStore(tmp_path / "a.db", read_only=True) as store:
        with pytest.raises(StorageError):
            store.update_metadata("none", {"title": "zebra"})
        check(store, DOCUMENTS, "red kite", 1)
