"""Opening stores: models, analyzers, options, and what is refused."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3

import numpy as np
import pytest

from elanus import DocumentStore
from elanus.errors import (
    ClosedError,
    CollectionNotFoundError,
    DatabaseFormatError,
    DataNotMatchException,
    ElanusError,
    EmbeddingMismatchError,
    ParamError,
    ReadOnlyError,
    UnsupportedError,
)
from elanus.text import build_analyzer
from elanus.text._build import _PRESETS


def test_another_model_is_refused_naming_both(open_store, make_embedding, tmp_path):
    file = tmp_path / "kb.db"
    open_store(file, make_embedding(name="model-a")).add(["text"])
    with pytest.raises(EmbeddingMismatchError, match=r"'model-a' \(32 d\).*'model-b' \(32 d\)"):
        DocumentStore(file, make_embedding(name="model-b"))
    with pytest.raises(EmbeddingMismatchError, match=r"'model-a' \(32 d\).*'model-a' \(16 d\)"):
        DocumentStore(file, make_embedding(name="model-a", dim=16))


def test_without_its_model_a_store_is_searched_by_words_and_by_given_vectors(
    open_store, embedding, tmp_path
):
    file = tmp_path / "kb.db"
    open_store(file, embedding).add(["a bird", "a fish"], ids=["bird", "fish"])
    store = open_store(file)
    assert store.embedding is None
    assert [h.id for h in store.search("fish", mode="text")] == ["fish"]
    vector = embedding.encode_queries(["a bird"])[0]
    assert store.search("", k=1, mode="dense", vector=vector)[0].id == "bird"
    assert store.search("fish", k=1, vector=vector)[0].id in {"bird", "fish"}
    store.add(["a stone"], ids=["stone"], vectors=[vector])
    assert store.count() == 3
    for call in (
        lambda: store.search("bird"),
        lambda: store.search("bird", mode="dense"),
        lambda: store.add(["a tree"]),
    ):
        with pytest.raises(EmbeddingMismatchError, match="'hashing'"):
            call()
    assert store.count() == 3


def test_a_store_made_without_a_model_has_no_vectors(open_store, embedding, tmp_path):
    file = tmp_path / "kb.db"
    store = open_store(file)
    store.add(["a bird", "a fish"], ids=["bird", "fish"])
    assert [h.id for h in store.search("birds", mode="text")] == ["bird"]
    with pytest.raises(EmbeddingMismatchError, match="mode='text'"):
        store.search("bird")
    with pytest.raises(EmbeddingMismatchError, match="no vectors"):
        store.search("bird", mode="dense", vector=[1.0])
    with pytest.raises(EmbeddingMismatchError, match="no vectors"):
        store.add(["x"], vectors=[[1.0]])
    with pytest.raises(EmbeddingMismatchError, match=r"no embedding.*'hashing'"):
        DocumentStore(file, embedding)


def test_a_store_of_a_dimension_takes_the_vectors_that_the_caller_gives(open_store, tmp_path):
    file = tmp_path / "kb.db"
    open_store(file, dim=2).add(["a bird", "a fish"], ids=["bird", "fish"], vectors=np.eye(2))
    store = open_store(file)  # the file knows
    assert (store.dim, store.embedding) == (2, None)
    assert store.search("", k=1, mode="dense", vector=[0, 2])[0].id == "fish"
    assert store.search("bird", k=1, vector=[1, 0])[0].id == "bird"
    assert [h.id for h in store.search("birds", mode="text")] == ["bird"]
    assert store.search_mmr("", k=2, mode="dense", vector=[0, 1])[0].id == "fish"
    assert [h.id for h in store.search_mmr("birds", mode="text")] == ["bird"]
    for call in (
        lambda: store.search("bird"),
        lambda: store.search("bird", mode="dense"),
        lambda: store.search_mmr("bird"),
        lambda: store.add(["a tree"]),
    ):
        with pytest.raises(EmbeddingMismatchError, match=r"give the vectors.*\(2 d\)"):
            call()
    with pytest.raises(DataNotMatchException, match=r"\(1, 2\)"):
        store.search("", mode="dense", vector=[1, 0, 0])
    assert store.count() == 2


def test_a_store_without_a_model_opens_with_any_of_its_dimension(
    open_store, make_embedding, tmp_path
):
    file = tmp_path / "kb.db"
    first = make_embedding(name="first", dim=8)
    open_store(file, dim=8).add(["a bird"], vectors=first.encode_queries(["a bird"]))
    store = open_store(file, first)
    assert store.search("bird", mode="dense")[0].score > 0
    store.add(["a fish"], ids=["fish"])
    assert open_store(file, make_embedding(name="second", dim=8)).count() == 2
    assert open_store(file, first, dim=8).count() == 2
    with pytest.raises(EmbeddingMismatchError, match=r"8 d that came without.*'third' \(9 d\)"):
        DocumentStore(file, make_embedding(name="third", dim=9))


def test_a_dimension_that_does_not_fit_is_refused(open_store, embedding, tmp_path):
    file = tmp_path / "kb.db"
    open_store(file, embedding)
    assert open_store(file, dim=32).dim == 32
    with pytest.raises(EmbeddingMismatchError, match=r"'hashing' \(32 d\).*dim=16"):
        DocumentStore(file, dim=16)
    with pytest.raises(EmbeddingMismatchError, match=r"no vectors.*dim=16"):
        DocumentStore(client=open_store().client, dim=16)
    with pytest.raises(ParamError, match="dim=16"):
        DocumentStore(":memory:", embedding, dim=16)
    for dim in (0, -1, "8", 2.0, True):
        with pytest.raises(ParamError, match="dim must be an integer"):
            DocumentStore(":memory:", dim=dim)


def test_a_collection_made_by_something_else_is_refused(open_store, embedding):
    store = open_store(embedding=embedding)
    store.client.create_collection("others", dimension=4)
    with pytest.raises(ParamError, match="'others' was not made by DocumentStore"):
        DocumentStore(client=store.client, collection="others")


def test_another_analyzer_is_refused_and_none_takes_the_stored_one(open_store, tmp_path):
    file = tmp_path / "kb.db"
    open_store(file, analyzer="standard").add(["running birds"], ids=["a"])
    with pytest.raises(ParamError, match="analyzer"):
        DocumentStore(file, analyzer="english")
    again = open_store(file)
    assert [h.id for h in again.search("running", mode="text")] == ["a"]
    assert again.search("run", mode="text") == []
    assert open_store(file, analyzer={"type": "standard"}).count() == 1


@pytest.mark.parametrize("wrong", [0, False, [], (), 0.0])
def test_what_is_no_analyzer_is_not_taken_for_none(wrong):
    with pytest.raises(ParamError, match="analyzer_params must be a name, a mapping"):
        DocumentStore(":memory:", analyzer=wrong)


@pytest.mark.parametrize("wrong", [0, False, [], ()])
def test_what_is_no_filter_is_not_taken_for_none(open_store, wrong):
    store = open_store(":memory:")
    store.add(["a"], ids=["a"])
    for call in (store.get, store.delete, store.count):
        with pytest.raises(ParamError, match="filter must be an expression or a dict"):
            call(filter=wrong)
    for call in (store.get, store.delete):
        for nothing in (None, "", {}):
            with pytest.raises(ParamError, match="give ids, a filter, or both"):
                call(filter=nothing)
    assert store.count({}) == 1


@pytest.mark.parametrize("nothing", ["", {}])
def test_an_empty_analyzer_opens_what_it_has_made(open_store, tmp_path, nothing):
    file = tmp_path / "kb.db"
    open_store(file, analyzer=nothing).close()
    open_store(file, analyzer=nothing).close()


def test_analyzers_are_told_apart_by_name_or_by_what_differs(open_store, tmp_path):
    names = ["english", "multilingual", "standard", "whitespace"]
    for name in names:
        assert open_store(tmp_path / name, analyzer=name).stats().analyzer == name
    with pytest.raises(ParamError, match="with analyzer 'multilingual', not 'english'; leave"):
        open_store(tmp_path / "multilingual", analyzer="english")
    own = {"type": "english", "stop_words": ["whisper"]}
    with pytest.raises(ParamError, match=r"with analyzer 'english', not .*whisper"):
        open_store(tmp_path / "english", analyzer=own)
    store = open_store(tmp_path / "own", analyzer=own)
    assert build_analyzer(store.stats().analyzer).identity == build_analyzer(own).identity
    with pytest.raises(ParamError, match=r"with analyzer ….*whisper.*, not ….*thunder"):
        open_store(tmp_path / "own", analyzer={"type": "english", "stop_words": ["thunder"]})


def test_the_default_analyzer_is_multilingual(open_store):
    store = open_store()
    made = store.client.describe_collection("documents")["properties"]["elanus.analyzer"]
    assert made == build_analyzer("multilingual").identity


def test_a_store_made_with_english_goes_on_with_it(open_store, tmp_path):
    file = tmp_path / "kb.db"
    open_store(file, analyzer="english").add(["The café"], ids=["old"])
    store = open_store(file)
    store.add(["the cafe"], ids=["new"])
    assert [h.id for h in store.search("cafes", mode="text")] == ["new"]
    assert [h.id for h in store.search("café", mode="text")] == ["old"]
    assert store.search("the", mode="text") == []
    assert open_store(file, analyzer="english").count() == 2


def test_a_store_keeps_its_analyzer_when_the_name_stands_for_another(
    open_store, tmp_path, monkeypatch
):
    file = tmp_path / "kb.db"
    open_store(file).add(["running"], ids=["old"])
    monkeypatch.setitem(_PRESETS, "multilingual", _PRESETS["whitespace"])
    store = open_store(file)
    store.add(["runs"], ids=["new"])
    assert {h.id for h in store.search("run", mode="text")} == {"old", "new"}
    with pytest.raises(ParamError, match=r"was made with analyzer .*leave analyzer out"):
        open_store(file, analyzer="multilingual")


@pytest.mark.parametrize("change", ["version", "filter"])
def test_an_analyzer_that_is_not_known_is_refused(open_store, tmp_path, change):
    file = tmp_path / "kb.db"
    open_store(file).close()
    with contextlib.closing(sqlite3.connect(file)) as db, db:
        db.execute(
            "UPDATE collections SET definition_sum = NULL, definition = "
            f"replace(definition, '\\\"{change}\\\":', '\\\"other\\\":')"
        )
    with (
        DocumentStore(file) as store,
        pytest.raises(DatabaseFormatError, match=r"field 'text'.* insert the texts again"),
    ):
        store.search("owl", mode="text")


def test_read_only_finds_and_never_writes(open_store, embedding, tmp_path):
    file = tmp_path / "kb.db"
    open_store(file, embedding).add(["a bird"], ids=["bird"])
    store = open_store(file, embedding, read_only=True)
    assert [h.id for h in store.search("bird")] == ["bird"]
    with pytest.raises(ReadOnlyError, match="read-only"):
        store.add(["x"])
    with pytest.raises(ReadOnlyError):
        store.delete("bird")
    with pytest.raises(ReadOnlyError):
        DocumentStore(file, collection="missing", read_only=True)


def test_what_is_certain_to_fail_is_not_embedded_first(open_store, embedding, tmp_path):
    file = tmp_path / "kb.db"
    open_store(file, embedding).add(["a bird"], ids=["bird"])
    closed = DocumentStore(file, embedding)
    closed.close()
    dropped = open_store(tmp_path / "other.db", embedding)
    dropped.client.drop_collection("documents")
    calls = (embedding.document_calls, embedding.query_calls)
    read_only = open_store(file, embedding, read_only=True)
    for store, error in (
        (read_only, ReadOnlyError),
        (closed, ClosedError),
        (dropped, CollectionNotFoundError),
    ):
        for adding in (store.add, store.check_add):
            with pytest.raises(error):
                adding(["x"])
        if store is not read_only:
            for search in (store.search, store.search_mmr):
                with pytest.raises(error):
                    search("x")
    assert (embedding.document_calls, embedding.query_calls) == calls


def test_a_name_or_dimension_that_cannot_be_read_is_our_error(open_store, make_embedding):
    def fails(_self):
        raise RuntimeError("the model is gone")

    for member in ("name", "dim"):
        kind = type("Odd", (type(make_embedding()),), {"__init__": object.__init__})
        setattr(kind, member, property(fails))
        for other in {"name", "dim"} - {member}:
            setattr(kind, other, {"name": "odd", "dim": 2}[other])
        with pytest.raises(ParamError, match=r"name or dim cannot be read: .*the model is gone"):
            open_store(embedding=kind())


def test_two_stores_in_one_file_do_not_see_each_other(open_store, make_embedding, tmp_path):
    file = tmp_path / "kb.db"
    first = open_store(file, make_embedding(name="a"), collection="first")
    second = open_store(file, make_embedding(name="b", dim=8), collection="second")
    first.add(["a bird"], ids=["x"])
    second.add(["a fish"], ids=["x"])
    assert [d.text for d in first] == ["a bird"]
    assert [d.text for d in second] == ["a fish"]
    assert first.search("fish", mode="text") == []


def test_a_shared_client_outlives_the_store(open_store, embedding):
    owner = open_store(embedding=embedding)
    with DocumentStore(client=owner.client, collection="second") as guest:
        guest.add(["x"])
    assert owner.client.has_collection("second")


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"uri": "http://localhost:19530"}, UnsupportedError, "server's address"),
        ({"uri": ""}, ParamError, "uri"),
        ({"collection": "a b"}, ParamError, "collection name"),
        ({"analyzer": "klingon"}, ParamError, "klingon"),
        ({"embedding": object()}, ParamError, "needs encode_documents"),
        ({"wrong_option": 1}, ParamError, "unknown argument 'wrong_option'"),
    ],
)
def test_a_store_that_cannot_be_opened_says_why(options, error, says):
    with pytest.raises(error, match=says):
        DocumentStore(**{"uri": ":memory:", **options})


@pytest.mark.parametrize(
    ("name", "dim"), [(None, 4), ("", 4), (5, 4), ("m", 0), ("m", "4"), ("m", None)]
)
def test_an_embedding_that_cannot_be_kept_is_refused(make_embedding, name, dim):
    with pytest.raises(ParamError, match=r"name|dim"):
        DocumentStore(":memory:", make_embedding(name=name, dim=dim))


def test_options_beside_a_client_are_not_dropped_in_silence(open_store):
    with pytest.raises(ParamError, match="read_only"):
        DocumentStore(client=open_store().client, read_only=True)


def test_every_error_is_an_elanus_error(store):
    with pytest.raises(ElanusError):
        store.search("x", k=-1)


def test_a_read_only_store_large_enough_for_a_graph_leaves_no_folder(
    open_store, make_embedding, tmp_path
):
    file, embedding = tmp_path / "kb.db", make_embedding(dim=768)
    count = 4_000  # 3,072,000 numbers: with 3,000,000 or more a graph is built
    vectors = np.random.default_rng(1).normal(size=(count, 768))
    first = open_store(file, embedding)
    first.add(["text"] * count, vectors=vectors)
    first.close()
    shutil.rmtree(tmp_path / "kb.db-cache")
    store = open_store(file, embedding, read_only=True)
    store.client.load_collection("documents")
    assert store.search("", k=1, mode="dense", vector=vectors[7])[0].score == 1.0
    assert not (tmp_path / "kb.db-cache").exists()
