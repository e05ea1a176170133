"""Adding, replacing, getting, deleting, counting and walking through documents."""

from __future__ import annotations

import asyncio
import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus import Document, DocumentStore
from elanus.errors import (
    ClosedError,
    DataNotMatchException,
    ElanusWarning,
    EmbeddingError,
    ParamError,
)
from elanus.schema import repaired

BATCH = 128  # documents embedded and committed at once


def texts_of(count):
    return [f"document number {i}" for i in range(count)]


def names_of(count):
    return [f"n{i:05}" for i in range(count)]


# --- adding ------------------------------------------------------------------------------------


def test_ids_come_back_in_the_order_of_the_texts(store):
    assert store.add(["one", "two"], ids=["b", "a"]) == ["b", "a"]


def test_ids_that_are_not_given_are_made_and_are_distinct_strings(store):
    ids = store.add(["same"] * 5, ids=[None, "mine", None, None, None])
    assert ids[1] == "mine"
    assert len(set(ids)) == 5
    assert all(isinstance(name, str) and name for name in ids)
    assert [document.id for document in store.get(ids)] == ids


def test_adding_the_same_documents_again_changes_nothing(birds):
    before = list(birds)
    birds.add([d.text for d in before], [d.metadata for d in before], [d.id for d in before])
    assert list(birds) == before


def test_an_existing_id_is_replaced_whole(birds):
    birds.add(["Now a fish."], ids=["owl"])
    assert birds.get("owl") == [Document("owl", "Now a fish.", {})]
    assert birds.count() == 5
    assert [h.id for h in birds.search("mice", mode="text")] == []
    assert [h.id for h in birds.search("fish", mode="text")] == ["owl", "penguin"]


def test_the_last_of_two_documents_of_one_id_wins(store):
    # For whoever meant two documents: the first id that is there again, and where; it is said once.
    with pytest.warns(ElanusWarning, match=r"^ids\[1\] and ids\[3\] are both 'x'") as said:
        made = store.add(["y", "first", "z", "second", "z"], ids=["y", "x", "z", "x", "z"])
    assert made == ["y", "x", "z", "x", "z"]
    assert (len(said), said[0].filename) == (1, __file__)
    assert [d.text for d in store] == ["second", "y", "z"]


def test_an_empty_list_adds_nothing_and_embeds_nothing(store, embedding):
    assert store.add([]) == []
    assert (store.count(), embedding.document_calls) == (0, 0)


@pytest.mark.parametrize(
    "name", ["", " ", "a'b", 'a"b', "a\\b", "a\0b", "ü—字🦅", "x" * 4000, "{p0}"]
)
def test_any_string_is_an_id(store, name):
    store.add(["text", "other"], ids=[name, "neighbour"])
    assert store.get([name]) == [Document(name, "text", {})]
    assert store.search("text", mode="text")[0].id == name
    assert store.delete(name) == 1
    assert [d.id for d in store] == ["neighbour"]


@pytest.mark.parametrize(
    "text", ["", " ", "\0", "a\0b", "Überraschung 驚き 🦅", "\r\n\t", "x" * 100_000]
)
def test_any_text_comes_back_as_it_was(store, text):
    store.add([text], ids=["a"])
    assert store.get("a")[0].text == text


def test_lists_may_be_any_iterables_of_the_same_length(store):
    store.add(
        (t for t in ["one", "two"]), metadatas=({"n": n} for n in (1, 2)), ids=np.array(["a", "b"])
    )
    assert [(d.id, d.text, d.metadata) for d in store] == [
        ("a", "one", {"n": 1}),
        ("b", "two", {"n": 2}),
    ]


def test_the_callers_metadata_is_neither_changed_nor_kept(store):
    metadata = {"tags": ["a"]}
    store.add(["text"], [metadata], ids=["x"])
    metadata["tags"].append("b")
    assert store.get("x")[0].metadata == {"tags": ["a"]}
    assert metadata == {"tags": ["a", "b"]}


# --- validation --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"texts": "one string"}, ParamError, "texts must be a list"),
        ({"texts": None}, ParamError, "texts must be a list"),
        ({"texts": {"a": 1}}, ParamError, "texts must be a list"),
        ({"texts": ["a"], "ids": "a"}, ParamError, "ids must be a list"),
        ({"texts": ["a"], "metadatas": {"a": 1}}, ParamError, "metadatas must be a list"),
        ({"texts": ["a"], "ids": ["a", "b"]}, ParamError, "1 texts, but 2 ids"),
        ({"texts": ["a"], "ids": []}, ParamError, "1 texts, but 0 ids"),
        ({"texts": ["a"], "metadatas": [{}, {}]}, ParamError, "1 texts, but 2 metadatas"),
        (
            {"texts": ["a", 5]},
            DataNotMatchException,
            r"document 1, text: must be a string; got 5 \(int\)",
        ),
        ({"texts": ["a", None]}, DataNotMatchException, "document 1, text"),
        ({"texts": ["a"], "ids": [7]}, DataNotMatchException, "document 0, id"),
        ({"texts": ["a"], "ids": ["x" * 70_000]}, DataNotMatchException, "document 0, id: .*bytes"),
        ({"texts": ["a"], "metadatas": [["k"]]}, DataNotMatchException, "metadata: must be a dict"),
        ({"texts": ["a"], "metadatas": [{1: 2}]}, DataNotMatchException, "key must be a string"),
        (
            {"texts": ["a"], "metadatas": [{"k": {1}}]},
            DataNotMatchException,
            r"at \['k'\]: set is no JSON value",
        ),
        ({"texts": ["a"], "metadatas": [{"k": float("inf")}]}, DataNotMatchException, "finite"),
        ({"texts": ["a"], "metadatas": [{"k": 2**63}]}, DataNotMatchException, "64 bits; got"),
    ],
)
def test_a_bad_document_is_named_before_anything_is_embedded(
    store, embedding, arguments, error, says
):
    store.add(["sentinel"], ids=["s"])
    calls = embedding.document_calls
    good = [f"good {i}" for i in range(300)]
    if isinstance(arguments["texts"], list) and len(arguments) == 1:
        # The bad one comes last, far behind the first batch.
        says = says.replace("document 1", "document 301").replace("document 0", "document 300")
        arguments = {"texts": [*good, *arguments["texts"]]}
    with pytest.raises(error, match=says):
        store.add(**arguments)
    assert embedding.document_calls == calls
    assert [d.id for d in store] == ["s"]


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (lambda n: np.zeros((n, 31)), r"expected the shape \(\d, 32\), got \(\d, 31\)"),
        (lambda n: np.zeros((n + 1, 32)), r"expected the shape \(2, 32\)"),
        (lambda n: np.zeros(32 * n), "shape"),
        (lambda n: [[0.0] * 31, [0.0] * 32][:n], r"expected \d rows of 32 numbers"),
        (lambda n: np.full((n, 32), np.nan), "finite"),
        (lambda n: [[1e39] * 32] * n, "finite"),
        (lambda n: [["1"] * 32] * n, r"expected \d rows of 32 numbers"),
        (lambda n: {"rows": n}, r"expected \d rows of 32 numbers"),
    ],
)
def test_vectors_of_a_wrong_shape_are_refused_wherever_they_come_from(
    store, embedding, result, says
):
    with pytest.raises(DataNotMatchException, match=says):
        store.add(["a", "b"], vectors=result(2))
    embedding.encode_documents = lambda texts: result(len(texts))
    with pytest.raises(DataNotMatchException, match=says):
        store.add(["a", "b"])
    embedding.encode_queries = lambda texts: result(len(texts))
    with pytest.raises(DataNotMatchException):
        store.search("a")
    assert store.count() == 0


def test_given_vectors_are_taken_and_nothing_is_embedded(store, embedding):
    vectors = np.eye(32)[:3]
    store.add(["a", "b", "c"], ids=["a", "b", "c"], vectors=vectors)
    assert embedding.document_calls == 0
    hits = store.search("anything", k=1, mode="dense", vector=vectors[1])
    assert [(h.id, h.score) for h in hits] == [("b", 1.0)]
    assert embedding.query_calls == 0


# --- interruption and progress -----------------------------------------------------------------


def test_an_interrupted_add_keeps_the_batches_before_it_and_no_part_of_one(
    open_store, make_embedding, tmp_path
):
    file = tmp_path / "kb.db"
    store = open_store(file, make_embedding(fail_at=3))
    with pytest.raises(EmbeddingError, match="RuntimeError: the model is gone") as caught:
        store.add(texts_of(3 * BATCH), ids=names_of(3 * BATCH))
    assert caught.value.places == tuple(range(2 * BATCH, 3 * BATCH))
    assert f"texts[{2 * BATCH}:{3 * BATCH}]" in str(caught.value)
    assert str(names_of(3 * BATCH)[2 * BATCH]) in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert [d.id for d in store] == names_of(2 * BATCH)
    store.close()
    store = open_store(file, make_embedding())
    assert [d.id for d in store] == names_of(2 * BATCH)
    # Adding all of them again completes the store.
    store.add(texts_of(3 * BATCH), ids=names_of(3 * BATCH))
    assert [d.id for d in store] == names_of(3 * BATCH)


def test_whatever_an_embedding_function_raises_is_an_embedding_error(store, embedding):
    def limited(texts):
        raise ValueError("rate limit")

    store.add(["kite"], ids=["a"])
    embedding.encode_documents = embedding.encode_queries = limited
    with pytest.raises(EmbeddingError, match=r"failed with texts\[1:2\]: ValueError: rate") as at:
        store.add([" ", "owl"], ids=["b", "c"])
    assert "their ids: c" in str(at.value)
    with pytest.raises(EmbeddingError, match=r"failed with texts\[1:3\]: ValueError") as at:
        store.sync("s", ["", "owl", "gull"])
    assert isinstance(at.value.__cause__, ValueError)
    with pytest.raises(EmbeddingError, match=r"encode_queries failed: ValueError: rate limit"):
        store.search("owl")
    with pytest.raises(EmbeddingError, match="rate limit"):
        store.search_mmr("owl")
    assert [document.id for document in store] == ["a"]


class Lost(Exception):
    """No error of Python's own."""


def read_late(rows, error):
    """Vectors that a function makes only while they are read, until it fails."""
    yield from rows
    raise error


class Shapeless(list):
    @property
    def shape(self):
        raise Lost("no shape")


@pytest.mark.parametrize(
    "error", [Lost("line cut"), TypeError("line cut"), RuntimeError("line cut")]
)
def test_what_fails_while_it_is_read_is_an_embedding_error(store, embedding, error):
    store.add(["kite"], ids=["a"])
    rows = np.eye(3, 32)
    embedding.encode_documents = lambda _: read_late(rows, error)
    embedding.encode_queries = lambda _: read_late([], error)
    says = (
        r"encode_documents failed with texts\[0\], texts\[1\], texts\[3\] and 1 more: \w+: line cut"
    )
    for add in (store.add, lambda *given, **more: asyncio.run(store.aadd(*given, **more))):
        with pytest.raises(EmbeddingError, match=says) as caught:
            add(["b", "c", " ", "d", "e"], ids=list("bcxde"))
        assert caught.value.places == (0, 1, 3, 4)
        assert caught.value.__cause__ is error
        # What came before the error is kept: three vectors, and the blank text between them.
        assert [(d.id, d.text) for d in store] == [
            *zip("abcdx", ["kite", "b", "c", "d", " "], strict=True)
        ]
        found = np.array([d.vector for d in store.get(list("bcd"), with_vectors=True)])
        assert np.array_equal(found, rows)
        store.delete(list("bcxd"))
    with pytest.raises(EmbeddingError, match="line cut") as caught:
        store.sync("s", ["owl"])
    assert caught.value.__cause__ is error
    for call in (store.search, store.search_mmr, lambda q: asyncio.run(store.asearch(q))):
        with pytest.raises(EmbeddingError, match=r"encode_queries failed: \w+: line cut") as caught:
            call("owl")
        assert caught.value.__cause__ is error


def test_vectors_may_come_one_by_one(store, embedding):
    encode = embedding.encode_documents
    embedding.encode_documents = lambda texts: iter(encode(texts))
    store.add(["red kite", "grey owl"], ids=["a", "b"])
    found = [d.vector for d in store.get(["a", "b"], with_vectors=True)]
    assert np.array_equal(np.array(found), encode(["red kite", "grey owl"]))


def test_an_answer_that_cannot_be_looked_at_is_an_embedding_error(store, embedding):
    embedding.encode_documents = embedding.encode_queries = Shapeless
    for call in (lambda: store.add(["owl"]), lambda: store.search("owl", mode="dense")):
        with pytest.raises(EmbeddingError, match="Lost: no shape"):
            call()


def test_surrogates_in_texts_are_joined_or_replaced_with_one_warning(store, embedding):
    seen = []
    encode = embedding.encode_documents
    embedding.encode_documents = lambda texts: seen.extend(texts) or encode(texts)
    texts = ["fine", "\ud83d\ude00", "a\ud800b", "\udfff\ud800"]
    with pytest.warns(UserWarning, match=r"texts\[1\] and 2 more held surrogates") as caught:
        store.add(texts, ids=["a", "b", "c", "d"])
    assert len(caught) == 1
    assert caught[0].filename == __file__
    expected = ["fine", "\U0001f600", "a\ufffdb", "\ufffd\ufffd"]
    assert seen == expected
    assert [d.text for d in store] == expected
    with pytest.warns(UserWarning, match=r"texts\[0\] held surrogates"):
        store.check_add(["\ud800"])


def test_surrogates_in_metadata_are_joined_or_replaced_with_one_warning(store):
    metadatas = [{"a": "fine"}, {"a": ["x\ud800", {"\ud83d\ude00": "\ud83d\ude00"}]}, {"\udfff": 1}]
    with pytest.warns(UserWarning, match=r"metadatas\[1\] and 1 more held surrogates") as caught:
        store.add(["a", "b", "c"], metadatas, ["a", "b", "c"])
    assert len(caught) == 1
    assert caught[0].filename == __file__
    mended = [{"a": "fine"}, {"a": ["x\ufffd", {"\U0001f600": "\U0001f600"}]}, {"\ufffd": 1}]
    assert [d.metadata for d in store] == mended
    with pytest.warns(UserWarning, match="^values held surrogates"):
        store.update_metadata("a", {"b": "\ud800"})
    assert store.get("a")[0].metadata == {"a": "fine", "b": "\ufffd"}
    with pytest.warns(UserWarning, match="held surrogates"):
        (made,) = store.add(["d"], [{"k": "\ud800"}], "content")
    assert store.add(["d"], [{"k": "\ufffd"}], "content") == [made]


def test_what_cannot_be_repaired_without_a_loss_is_refused(store):
    # Two keys would become one.
    for metadata in (
        dict(zip("\ud800\ud801", "ab", strict=True)),
        {"a": [dict.fromkeys("\ud800\ufffd")]},
    ):
        with pytest.raises(DataNotMatchException, match="document 0, metadata"):
            store.add(["a"], [metadata])
    endless = []
    endless.append(endless)
    with pytest.raises(DataNotMatchException, match="nested more than"):
        store.add(["a"], [{"\ud800": endless}])
    with pytest.raises(ParamError, match="values: "):
        store.update_metadata("a", {"\ud800": {1}})
    assert len(store) == 0


@given(st.text(st.sampled_from("a\ud83d\ude00\udfff\ud800é\U0001f600"), max_size=8))
def test_a_repaired_text_is_what_pairs_and_halves_say(text):
    pair = re.compile("[\ud800-\udbff][\udc00-\udfff]")
    joined = pair.sub(lambda m: m[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)
    assert repaired(text) == re.sub("[\ud800-\udfff]", "\ufffd", joined)


def test_a_function_never_sees_blank_texts(store, embedding):
    seen = []
    encode = embedding.encode_documents
    embedding.encode_documents = lambda texts: seen.extend(texts) or encode(texts)
    texts = ["", "kite", "\n", " \u2003", "owl"]
    store.add(texts, [{"n": i} for i in range(5)], ids=list("abcde"))
    assert seen == ["kite", "owl"]
    vectors = [d.vector for d in store.get(list("abcde"), with_vectors=True)]
    np.testing.assert_array_equal(vectors[1::3], encode(["kite", "owl"]))
    assert not np.any([vectors[0], vectors[2], vectors[3]])
    assert [d.id for d in store.get(filter="n in [0, 2, 3]")] == ["a", "c", "d"]
    store.add(["", " "], ids=["a", "f"])
    assert embedding.document_calls == 2
    assert len(store) == 6


def test_given_vectors_are_written_all_or_none(store, embedding):
    vectors = embedding.encode_documents(texts_of(2 * BATCH))
    vectors[-1, 0] = np.inf
    with pytest.raises(DataNotMatchException, match="finite"):
        store.add(texts_of(2 * BATCH), vectors=vectors)
    assert store.count() == 0


def test_progress_is_shown_on_standard_error_only_when_asked(store, capfd):
    store.add(texts_of(300))
    assert capfd.readouterr() == ("", "")
    store.add(texts_of(300), progress=True)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err.endswith("300 of 300 documents,    0 s left\n")
    store.add([], progress=True)
    assert capfd.readouterr() == ("", "")


def test_progress_can_be_shown_where_standard_error_is_captured(store, monkeypatch, capsys):
    assert sys.stderr.isatty() is False
    store.add(["one"], progress=True)
    assert "1 of 1 documents" in capsys.readouterr().err


# --- getting, deleting, counting ---------------------------------------------------------------


def test_get_keeps_the_order_and_leaves_out_what_does_not_exist(birds):
    assert [d.id for d in birds.get(["owl", "dodo", "kite"])] == ["owl", "kite"]
    assert birds.get([]) == []
    assert birds.get("dodo") == []


def test_delete_says_how_many_documents_there_were(birds):
    assert birds.delete(["owl", "dodo"]) == 1
    assert birds.delete("owl") == 0
    assert birds.delete([]) == 0
    assert [d.id for d in birds] == ["elanus", "falcon", "kite", "penguin"]


def test_delete_by_filter_deletes_what_the_filter_finds(birds):
    assert birds.delete(filter="grams >= 900") == 2
    assert birds.delete(filter={"genus": {"$in": ["Tyto", "Bubo"]}}) == 1
    assert [d.id for d in birds] == ["elanus", "penguin"]


@pytest.mark.parametrize("arguments", [{}, {"filter": ""}, {"filter": {}}])
def test_delete_never_deletes_everything_for_want_of_a_choice(birds, arguments):
    with pytest.raises(ParamError, match="give ids, a filter, or both"):
        birds.delete(**arguments)
    assert birds.count() == 5


def test_delete_by_ids_and_filter_deletes_what_both_choose(birds):
    assert birds.delete(["owl", "kite", "dodo"], filter="grams >= 900") == 1
    assert birds.delete(["owl"], filter={"grams": {"$gte": 900}}) == 0
    assert [d.id for d in birds] == ["elanus", "falcon", "owl", "penguin"]


def test_clear_deletes_all_and_the_store_goes_on(birds, embedding):
    before = birds.search("owl", mode="text")[0].score
    birds.clear()
    assert (birds.count(), list(birds), birds.search("owl")) == (0, [], [])
    texts, metadatas = ["The barn owl hunts mice at night."] * 2, [{"n": 1}, {"n": 2}]
    birds.add(texts, metadatas, ["owl", "new"])
    assert {h.id for h in birds.search("owl", mode="dense")} == {"owl", "new"}
    assert birds.search("owl", mode="text")[0].score != before  # of a collection of its own
    assert birds.embedding is embedding


def test_count_and_len_agree_and_an_empty_store_is_true(store):
    assert (store.count(), len(store), bool(store)) == (0, 0, True)
    store.add(["one", "two"], [{"n": 1}, {"n": 2}])
    assert (store.count(), len(store)) == (2, 2)
    assert store.count("n > 1") == store.count({"n": {"$gt": 1}}) == 1


def test_walking_gives_every_document_once_in_the_order_of_ids(open_store):
    store = open_store()
    names = [f"{prefix}{i}" for i in range(700) for prefix in ("a", "Z", "ü", "字")]
    store.add(names, ids=names)
    assert [d.id for d in store] == sorted(names)


def test_writing_while_walking_is_no_error(open_store):
    store = open_store()
    store.add(texts_of(1500), ids=names_of(1500))
    seen = []
    for document in store:
        if not seen:
            store.delete("n01400")
        seen.append(document.id)
    assert seen == [name for name in names_of(1500) if name != "n01400"]


# --- asynchronous twins ------------------------------------------------------------------------


def test_the_coroutines_do_what_the_calls_do(embedding):
    async def use():
        async with DocumentStore(":memory:", embedding) as store:
            assert await store.aadd(["one bird", "two fish"], ids=["a", "b"]) == ["a", "b"]
            assert await store.acount() == 2
            assert await store.aget("a") == store.get("a")
            assert await store.asearch("fish", k=1) == store.search("fish", k=1)
            assert [d.id async for d in store] == ["a", "b"]
            found = await asyncio.gather(*(store.asearch("bird", mode="text") for _ in range(20)))
            assert {tuple(h.id for h in hits) for hits in found} == {("a",)}
            assert await store.adelete(filter="id == 'a'") == 0
            assert await store.adelete(["a"]) == 1
            near = await store.asearch_mmr("fish", k=1)
            assert [h.id for h in near] == ["b"]
            assert near == store.search_mmr("fish", k=1)
            assert await store.aclear() is None
            assert await store.acount() == 0
            assert await store.averify() == []
        return store

    store = asyncio.run(use())
    with pytest.raises(ClosedError):
        store.count()


def test_one_store_serves_one_event_loop_after_another(store):
    assert asyncio.run(store.aadd(["one"], ids=["a"])) == ["a"]
    assert asyncio.run(store.acount()) == 1


def test_an_error_reaches_the_coroutine(store):
    with pytest.raises(ParamError, match="mode"):
        asyncio.run(store.asearch("x", mode="magic"))


def test_a_closed_store_says_so_in_both_forms(embedding):
    store = DocumentStore(":memory:", embedding)
    store.close()
    store.close()
    for call in (store.count, lambda: store.add(["x"]), lambda: store.search("x"), store.verify):
        with pytest.raises(ClosedError):
            call()
    with pytest.raises(ClosedError, match="closed"):
        asyncio.run(store.asearch("x"))


# --- nothing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", [[], (), iter(()), np.array([])], ids=repr)
@pytest.mark.parametrize("with_model", [True, False])
def test_adding_nothing_does_nothing_and_embeds_nothing(
    open_store, make_embedding, nothing, with_model, tmp_path
):
    file, embedding = tmp_path / "kb.db", make_embedding()
    with open_store(file, embedding) as store:
        store.add(["a"], ids=["a"])
    calls = embedding.document_calls
    store = open_store(file, embedding if with_model else None)
    assert store.add(nothing) == []
    assert store.add([], [], [], [], progress=True) == []
    assert store.add([], vectors=np.zeros((0, 32))) == []
    assert store.get([]) == []
    assert store.delete([]) == 0
    assert store.delete(ids=[], filter="x > 1") == 0
    assert store.search("a", mode="text", ids=[]) == []
    assert [d.id for d in store] == ["a"]
    assert embedding.document_calls == calls


def test_adding_nothing_still_looks_at_the_other_arguments(store):
    for arguments in ({"ids": ["a"]}, {"metadatas": [{}]}):
        with pytest.raises(ParamError, match="0 texts, but 1"):
            store.add([], **arguments)
    with pytest.raises(DataNotMatchException):
        store.add([], vectors=[[1.0] * 32])
    store.close()
    with pytest.raises(ClosedError):
        store.add([])
