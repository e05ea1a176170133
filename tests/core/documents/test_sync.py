"""The documents of one source: what is written, what is embedded, and what stays."""

from __future__ import annotations

import asyncio
import hashlib
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elanus import DocumentStore, SyncReport
from elanus.errors import (
    DataNotMatchException,
    EmbeddingError,
    EmbeddingMismatchError,
    ParamError,
    ReadOnlyError,
)


class Counting:
    """Embeds by letters, and keeps the texts that it was given."""

    dim, name = 8, "letters"

    def __init__(self):
        self.given = []

    def encode_documents(self, texts):
        self.given += texts
        return np.array([[t.count(c) + 0.1 for c in "abcdefgh"] for t in texts], dtype=np.float32)

    encode_queries = encode_documents


@pytest.fixture
def counting():
    return Counting()


@pytest.fixture
def store(open_store, counting):
    return open_store(embedding=counting)


def texts_of(store, source):
    found = store.get(filter={"source": source})
    return [d.text for d in sorted(found, key=lambda d: d.metadata["position"])]


def state(store):
    return [(d, d.vector.tolist()) for d in store.get([d.id for d in store], with_vectors=True)]


# --- what is written and embedded ----------------------------------------------------------------


def test_documents_get_their_source_and_their_place(store):
    report = store.sync("a.md", ["one", "two"], [{"page": 1}, None])
    assert [(d.id, d.text, d.metadata) for d in store.get(report.ids)] == [
        (report.ids[0], "one", {"page": 1, "source": "a.md", "position": 0}),
        (report.ids[1], "two", {"source": "a.md", "position": 1}),
    ]
    assert report == SyncReport(report.ids, written=2, embedded=2)


def test_the_same_again_embeds_and_writes_nothing(store, counting):
    first = store.sync("a.md", ["one", "two"])
    before = store.client.query("documents", output_fields=["id", "vector"])
    assert store.sync("a.md", ["one", "two"]) == SyncReport(first.ids, unchanged=2)
    assert counting.given == ["one", "two"]
    assert store.client.query("documents", output_fields=["id", "vector"]) == before


def test_only_texts_that_are_new_are_embedded_and_what_is_gone_is_deleted(store, counting):
    first = store.sync("a.md", ["one", "two", "three"])
    store.sync("b.md", ["one"])
    counting.given.clear()
    report = store.sync("a.md", ["zero", "one", "three"])
    assert counting.given == ["zero"]
    assert report.ids[1:] == [first.ids[0], first.ids[2]]
    # "one" has another place now; "three" is where it was.
    assert (report.written, report.unchanged, report.deleted, report.embedded) == (2, 1, 1, 1)
    assert texts_of(store, "a.md") == ["zero", "one", "three"]
    assert texts_of(store, "b.md") == ["one"]
    assert [h.text for h in store.search("two", mode="text")] == []


def test_vectors_that_are_reused_are_those_that_were_there(store):
    store.sync("a.md", ["aab", "bcd"])
    before = {d.text: d.vector.tolist() for d, _ in _with_vectors(store)}
    store.sync("a.md", ["new", "bcd", "aab"])
    after = {d.text: d.vector.tolist() for d, _ in _with_vectors(store)}
    assert {text: after[text] for text in before} == before


def _with_vectors(store):
    return [(d, None) for d in store.get([d.id for d in store], with_vectors=True)]


def test_other_metadata_is_written_without_embedding(store, counting):
    store.sync("a.md", ["one", "two"], [{"n": 1}, {"n": 1}])
    counting.given.clear()
    report = store.sync("a.md", ["one", "two"], [{"n": 1.0}, {"n": 1}])
    assert (report.written, report.unchanged, counting.given) == (1, 1, [])
    assert repr(store.get(report.ids[0])[0].metadata["n"]) == "1.0"


def test_equal_texts_of_one_source_are_several_documents_and_embedded_once(store, counting):
    report = store.sync("a.md", ["same", "same", "same"])
    assert len(set(report.ids)) == 3
    assert counting.given == ["same"]
    assert store.sync("a.md", ["same", "same"]).ids == report.ids[:2]
    assert store.sync("b.md", ["same"]).ids[0] not in report.ids


def test_no_texts_delete_the_source(store):
    store.sync("a.md", ["one", "two"])
    store.sync("b.md", ["one"])
    assert store.sync("a.md", []) == SyncReport([], deleted=2)
    assert store.sync("a.md", []) == SyncReport([])
    assert texts_of(store, "b.md") == ["one"]


def test_documents_that_were_added_with_a_source_belong_to_it(store, counting):
    store.add(["one", "two", "else"], [{"source": "a.md"}, {"source": "a.md"}, None])
    counting.given.clear()
    report = store.sync("a.md", ["two", "three"])
    assert counting.given == ["three"]
    assert (report.written, report.deleted) == (2, 2)
    assert sorted(d.text for d in store) == ["else", "three", "two"]


def test_documents_that_were_read_can_be_given_back(store, counting):
    store.sync("a.md", ["one", "two", "three"], [{"n": i} for i in range(3)])
    read = sorted(store.get(filter={"source": "a.md"}), key=lambda d: d.metadata["position"])[1:]
    store.sync("a.md", [d.text for d in read], [d.metadata for d in read], [d.id for d in read])
    assert texts_of(store, "a.md") == ["two", "three"]
    assert counting.given == ["one", "two", "three"]


def test_own_ids_are_kept(store, counting):
    assert store.sync("a.md", ["one", "two"], ids=["1", "2"]).ids == ["1", "2"]
    counting.given.clear()
    report = store.sync("a.md", ["ONE", "two", "one"], ids=["1", None, "3"])
    assert counting.given == ["ONE"]
    assert report.ids[0::2] == ["1", "3"]
    assert texts_of(store, "a.md") == ["ONE", "two", "one"]
    assert len(store) == 3


def test_given_vectors_are_taken_and_compared(open_store):
    store = open_store(dim=2)
    assert store.sync("a", ["x", "y"], vectors=[[1, 0], [0, 1]]).written == 2
    report = store.sync("a", ["x", "y"], vectors=[[1, 0], [0.5, 1]])
    assert (report.written, report.unchanged, report.embedded) == (1, 1, 0)
    assert store.sync("a", ["y"]).deleted == 1  # its vector is there
    with pytest.raises(EmbeddingMismatchError, match="give the vectors"):
        store.sync("a", ["z"])
    assert texts_of(store, "a") == ["y"]


def test_a_store_without_vectors_syncs_texts(open_store):
    store = open_store()
    store.sync("a", ["red kite", "barn owl"])
    assert store.sync("a", ["barn owl"]).deleted == 1
    assert [h.text for h in store.search("owls", mode="text")] == ["barn owl"]


def test_a_source_needs_no_field_of_its_own(store):
    """So a file of any age has what is needed."""
    store.sync("a", ["one"])
    fields = {f["name"] for f in store.client.describe_collection("documents")["fields"]}
    assert fields == {"id", "text", "metadata", "terms", "vector"}


def test_many_documents_are_embedded_in_batches_and_written_in_one_commit(store, counting):
    texts = [f"text {i}" for i in range(300)]
    assert store.sync("a", texts).embedded == 300
    assert texts_of(store, "a") == texts
    counting.given.clear()
    assert store.sync("a", [*texts[150:], "end"]).embedded == 1


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"source": ""}, ParamError, "source must be the name of a file"),
        ({"source": 5}, ParamError, r"source must be a string, got 5 \(int\)"),
        ({"texts": "one"}, ParamError, "texts must be a list"),
        ({"texts": ["a", 1]}, DataNotMatchException, "document 1, text"),
        ({"ids": ["x", "x"]}, DataNotMatchException, "document 1, id: 'x' is that of document 0"),
        ({"ids": ["x", "other"]}, ParamError, "'other' is that of a document of source 'b'; "),
        ({"ids": ["x", "plain"]}, ParamError, "'plain' is that of a document of no source; "),
        (
            {"metadatas": [{}, {"source": "b"}]},
            DataNotMatchException,
            "document 1, metadata: 'source' must be that of the call, 'a'; got 'b'",
        ),
        (
            {"metadatas": [{"position": "engineer"}, {}]},
            DataNotMatchException,
            "document 0, metadata: 'position' is the place in the list.*got 'engineer'",
        ),
        ({"metadatas": [{"position": 7}, {}]}, DataNotMatchException, "got 7"),
        ({"metadatas": [{"position": False}, {}]}, DataNotMatchException, "got False"),
        ({"progress": 1}, ParamError, "progress"),
        ({"vectors": [[1] * 8]}, DataNotMatchException, "vectors"),
    ],
)
def test_what_is_wrong_embeds_and_changes_nothing(store, counting, arguments, error, says):
    store.sync("a", ["here"])
    store.sync("b", ["other"], ids=["other"])
    store.add(["plain"], ids=["plain"])
    counting.given.clear()
    before = state(store)
    with pytest.raises(error, match=says):
        store.sync(**{"source": "a", "texts": ["one", "two"], **arguments})
    assert (counting.given, state(store)) == ([], before)


def test_a_read_only_store_refuses_also_what_would_change_nothing(tmp_path, open_store, counting):
    open_store(tmp_path / "a.db", counting).sync("a", ["one"])
    reader = open_store(tmp_path / "a.db", counting, read_only=True)
    for texts in (["one"], [], ["two"]):
        with pytest.raises(ReadOnlyError):
            reader.sync("a", texts)


def test_a_failure_of_the_embedding_names_the_text_and_leaves_all_as_it_was(store, counting):
    store.sync("a", ["one", "two"])
    before = state(store)

    def fail(texts):
        raise EmbeddingError("no: {text}", range(len(texts)), texts.index("bad"))

    counting.encode_documents = fail
    with pytest.raises(EmbeddingError, match=r"no: texts\[3\]") as caught:
        store.sync("a", ["two", "new", "new", "bad"])
    assert caught.value.places == (1, 3)
    assert state(store) == before


# --- others at the same time ---------------------------------------------------------------------


def test_what_others_write_while_texts_are_embedded_is_not_left_over(store, counting):
    store.sync("a", ["one"])

    class Slow(Counting):
        def encode_documents(self, texts):
            store.add(["late"], [{"source": "a"}])
            store.delete(filter={"position": 0})
            return super().encode_documents(texts)

    with DocumentStore(client=store.client, embedding=Slow()) as other:
        other.sync("a", ["one", "two"])
    assert texts_of(store, "a") == ["one", "two"]


def test_syncs_at_once_leave_the_documents_of_one_of_them(store):
    wanted = [[f"{n} {i}" for i in range(n + 2)] for n in range(4)]
    barrier = threading.Barrier(4)

    def sync(texts):
        barrier.wait()
        for _ in range(5):
            store.sync("a", texts)

    threads = [threading.Thread(target=sync, args=[texts]) for texts in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts_of(store, "a") in wanted


def test_a_coroutine_syncs(store):
    async def work():
        await store.async_("a", ["one", "two"])
        return await store.aupdate_metadata(filter={"source": "a"}, values={"n": 1})

    assert asyncio.run(work()) == 2
    assert texts_of(store, "a") == ["one", "two"]


sources = st.sampled_from(["a", "b", "c d"])
lists = st.lists(st.sampled_from(["one", "two", "three", "four", ""]), max_size=5)


@given(steps=st.lists(st.tuples(sources, lists, st.booleans()), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_history_leaves_what_the_last_sync_of_each_source_gave(steps):
    """Against a dict of lists; and no text of a source is embedded while it has a vector."""
    counting, model = Counting(), {}
    with DocumentStore(":memory:", counting) as store:
        for source, texts, has_ids in steps:
            counting.given.clear()
            ids = [f"{source} {i}" for i in range(len(texts))] if has_ids else None
            report = store.sync(source, texts, ids=ids)
            new = [t for t in dict.fromkeys(texts) if t not in model.get(source, [])]
            new = [t for t in new if t.strip()]  # blank texts are not embedded
            assert sorted(counting.given) == sorted(new)
            assert report.embedded == len(new)
            assert report.written + report.unchanged == len(texts)
            model[source] = texts
            assert {name: texts_of(store, name) for name in model} == model
            assert len(store) == sum(map(len, model.values()))
        assert store.verify() == []


# --- ids by content ------------------------------------------------------------------------------


def test_a_document_that_is_added_twice_by_content_is_one(store, counting):
    texts, metadatas = ["one", "two"], [{"n": 1}, None]
    ids = store.add(texts, metadatas, ids="content")
    counting.given.clear()
    assert store.add(texts, metadatas, ids="content") == ids
    assert (len(store), counting.given) == (2, [])
    assert all(len(name) == 32 for name in ids)


def test_ids_by_content_follow_from_text_and_metadata_whatever_the_order_of_keys(open_store):
    store = open_store()
    same = [{"a": 1, "b": [2]}, {"b": [2], "a": 1}]
    different = [{"a": 1.0, "b": [2]}, {"a": True, "b": [2]}, {"a": 1}, None, {}]
    ids = store.add(["x"] * 7, same + different, ids="content")
    assert ids[0] == ids[1]
    assert ids[5] == ids[6]  # no metadata is the same as none
    assert len(set(ids)) == len(store) == 5
    # May not change: files have it.
    made = hashlib.sha256(b'["x",{"a":1,"b":[2]}]').hexdigest()
    assert ids[0] == made[:32]


def test_an_updated_document_is_made_what_is_added_again(store):
    (made,) = store.add(["one"], [{"n": 1}], ids="content")
    store.update_metadata(made, {"n": 2})
    store.add(["one"], [{"n": 1}], ids="content")
    assert store.get(made)[0].metadata == {"n": 1}


def test_any_other_text_is_no_list_of_ids(store):
    with pytest.raises(ParamError, match="ids must be a list"):
        store.add(["one"], ids="contents")
    store.check_add(["one"], ids="content")


# --- updating metadata ---------------------------------------------------------------------------


def test_metadata_is_changed_without_embedding(birds, embedding):
    calls, before = embedding.document_calls, {d.id: d for d, _ in _with_vectors(birds)}
    assert birds.update_metadata(["kite", "owl", "nobody"], {"seen": True}, remove=["grams"]) == 2
    assert birds.update_metadata(filter={"grams": {"$lt": 1000}}, values={"light": None}) == 2
    assert birds.update_metadata("owl", filter="genus == 'Milvus'", values={"never": 1}) == 0
    assert embedding.document_calls == calls
    assert {d.id: d.metadata for d in birds} == {
        "kite": {"genus": "Milvus", "seen": True},
        "owl": {"genus": "Tyto", "seen": True},
        "elanus": {"genus": "Elanus", "grams": 250, "light": None},
        "falcon": {"genus": "Falco", "grams": 900, "light": None},
        "penguin": {"genus": "Aptenodytes"},
    }
    for document, _ in _with_vectors(birds):
        assert document.text == before[document.id].text
        assert document.vector.tolist() == before[document.id].vector.tolist()
    assert [h.id for h in birds.search("mice", mode="text")] == ["owl"]
    assert birds.count({"seen": True}) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"values": {"a": 1}}, "update_metadata: give ids, a filter, or both"),
        ({"ids": ["kite"], "values": {"a": {1}}}, r"values: at \['a'\]: set is no JSON value"),
        ({"ids": ["kite"], "values": [1]}, "values must be a dict"),
        ({"ids": [1], "values": {}}, r"ids must be strings, got 1 \(int\)"),
        ({"ids": "kite", "remove": "grams"}, "remove must be a list of names"),
        ({"filter": "a ==", "values": {}}, "filter"),
    ],
)
def test_a_wrong_update_changes_nothing(birds, arguments, says):
    before = list(birds)
    with pytest.raises(ParamError, match=says):
        birds.update_metadata(**arguments)
    assert list(birds) == before
