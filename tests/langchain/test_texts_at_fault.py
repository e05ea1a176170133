"""What a model cannot take or gives oddly is named by its place in the caller's own list."""

from __future__ import annotations

import asyncio
import copy
import pickle

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.structured_query import Comparator, Comparison, StructuredQuery

from elanus import MilvusClient
from elanus.errors import DataNotMatchException, EmbeddingError
from elanus_embeddings import CachedEmbeddingFunction
from langchain_elanus import (
    ElanusEmbeddings,
    ElanusRecordManager,
    ElanusRetriever,
    ElanusTranslator,
)


class Picky:
    """Fails with some texts, as a provider would: all of the request, but naming the text."""

    dim, name = 2, "picky"

    def encode_documents(self, texts):
        for i, text in enumerate(texts):
            if text == "!":
                raise EmbeddingError("refused {texts}; it was {text}", range(len(texts)), fault=i)
        return np.ones((len(texts), 2), np.float32)

    encode_queries = __call__ = encode_documents


class AsynchronouslyPicky(Picky):
    async def aencode_documents(self, texts):
        await asyncio.sleep(0)
        return self.encode_documents(texts)

    async def aencode_queries(self, texts):
        return self.encode_documents(texts)


@pytest.mark.parametrize("sort", [Picky, AsynchronouslyPicky])
@pytest.mark.parametrize("batch_size", [None, 1, 100, 130, 1000])
async def test_the_text_is_named_whatever_batches_there_are(make_store, sort, batch_size):
    store = make_store(sort())
    texts = [f"text {i}" for i in range(300)]
    texts[271] = "!"
    documents = [Document(text) for text in texts]
    for add in (
        lambda: asyncio.to_thread(store.add_texts, texts, batch_size=batch_size),
        lambda: store.aadd_texts(texts, batch_size=batch_size),
        lambda: asyncio.to_thread(store.add_documents, documents, batch_size=batch_size),
        lambda: store.aadd_documents(documents, batch_size=batch_size),
    ):
        with pytest.raises(EmbeddingError, match=r"it was texts\[271\]$") as caught:
            await add()
        assert caught.value.place == 271


async def added(store, call, texts, ids):
    if call == "add_texts":
        return await asyncio.to_thread(store.add_texts, texts, ids=ids)
    return await store.aadd_texts(texts, ids=ids)


class Halfway(AsynchronouslyPicky):
    """Has made the vectors of the texts before the one that it fails at."""

    def encode_documents(self, texts):
        try:
            return super().encode_documents(texts)
        except EmbeddingError as error:
            error.made = np.ones((error.place, 2), np.float32) if error.place else None
            raise


@pytest.mark.parametrize("bad", [0, 5, 130])
async def test_what_was_embedded_before_an_error_is_kept_and_the_id_named(make_store, bad):
    texts = [f"text {i}" for i in range(150)]
    texts[bad] = "!"
    ids = [f"id{i:03}" for i in range(150)]
    for call in ("add_texts", "aadd_texts"):
        store = make_store(Halfway())
        with pytest.raises(EmbeddingError, match=f"the id of texts\\[{bad}\\] is 'id{bad:03}'"):
            await added(store, call, texts, ids)
        assert [document.id for document in store.store] == ids[:bad]


@pytest.mark.parametrize("sort", [Picky, AsynchronouslyPicky])
async def test_a_function_never_sees_blank_texts_or_surrogates(make_store, sort):
    function, seen = sort(), []
    function.encode_documents = lambda texts: seen.extend(texts) or np.ones((len(texts), 2))
    store = make_store(function)
    texts = ["one", "", "two \ud83d"]
    for call in ("add_texts", "aadd_texts"):
        seen.clear()
        with pytest.warns(UserWarning, match=r"texts\[2\] held surrogates"):
            await added(store, call, texts, ["a", "b", "c"])
        assert seen == ["one", "two \ufffd"]
        found = store.store.get(["a", "b", "c"], with_vectors=True)
        assert [(d.text, d.vector.tolist()) for d in found] == [
            ("one", [1, 1]), ("", [0, 0]), ("two \ufffd", [1, 1]),
        ]  # fmt: skip


class Splitting(AsynchronouslyPicky):
    """Reads one letter of a text, and splits a text into its letters."""

    long_texts = "parts"

    def encode_documents(self, texts):
        return np.array([[ord(text[0]), 1] for text in texts], np.float32)

    def split_documents(self, texts):
        return [list(text) for text in texts]


async def test_long_texts_are_embedded_by_their_parts_in_both_forms(make_store):
    for call in ("add_texts", "aadd_texts"):
        store = make_store(Splitting())
        await added(store, call, ["ac", "b", "aae"], ["x", "y", "z"])
        found = store.store.get(["x", "y", "z"], with_vectors=True)
        assert [d.vector.tolist() for d in found] == [[98, 1], [98, 1], [pytest.approx(98.3333), 1]]


ODD = [[1.0, True], [True, False], [np.True_, 1.0], ["1", "2"], [1.0, None], [1.0, [2.0]]]


@pytest.mark.parametrize("vector", ODD)
def test_what_is_no_vector_is_refused_and_not_written(make_store, make_embeddings, vector):
    model = make_embeddings()
    good = model.vector("a")
    model.embed_documents = lambda texts: [good, [*good[:-2], *vector]][: len(texts)]
    store = make_store(model, dim=32)
    with pytest.raises(DataNotMatchException, match=r"texts"):
        store.add_texts(["a", "b"])
    assert store.store.count() == 0
    model.embed_query = lambda _: [*good[:-2], *vector]
    with pytest.raises(DataNotMatchException, match=r"texts"):
        store.similarity_search("a")


@pytest.mark.parametrize("vector", ODD)
async def test_an_embedding_function_that_gives_no_vectors_is_named(vector):
    function = Picky()
    function.encode_documents = function.encode_queries = lambda texts: [vector for _ in texts]
    embeddings = ElanusEmbeddings(function)
    with pytest.raises(DataNotMatchException, match=r"picky\.encode_documents of 2 texts"):
        embeddings.embed_documents(["a", "b"])
    with pytest.raises(DataNotMatchException, match=r"picky\.encode_queries: expected 1 rows"):
        await embeddings.aembed_query("a")


@pytest.mark.parametrize("key", ["$x", "$", "$$x", "$and", "$eq", "a$"])
def test_a_key_that_begins_with_a_dollar_can_be_asked_for(store, key):
    store.add_texts(["one", "two", "none"], [{key: 1}, {key: 2}, {}], ids=["one", "two", "none"])
    doubled = f"${key}" if key.startswith("$") else key

    def found(condition):
        return {each.id for each in store.similarity_search("one", k=3, filter=condition)}

    assert found({doubled: 1}) == {"one"}
    assert found({doubled: {"$gt": 1}}) == {"two"}
    assert found({"$or": [{doubled: 1}, {"$not": {doubled: {"$exists": True}}}]}) == {"one", "none"}
    query = StructuredQuery(
        query="", filter=Comparison(comparator=Comparator.EQ, attribute=key, value=2)
    )
    assert found(ElanusTranslator().visit_structured_query(query)[1]["filter"]) == {"two"}


@pytest.mark.parametrize("how", [pickle.dumps, copy.deepcopy])
@pytest.mark.parametrize("place", [":memory:", "a file"])
def test_what_has_a_file_open_is_neither_pickled_nor_copied(tmp_path, make_store, how, place):
    uri = place if place == ":memory:" else tmp_path / "kb.db"
    store = make_store(Picky(), uri=uri)
    with MilvusClient(uri) as client:
        for what in (
            store,
            store.store,
            store.as_retriever(),
            ElanusRetriever(vectorstore=store),
            ElanusRecordManager("docs", store),
            ElanusEmbeddings(CachedEmbeddingFunction(Picky(), client)),
        ):
            with pytest.raises(TypeError, match=f"open {uri} again by its path"):
                how(what)


@pytest.mark.parametrize("made", [5, ["x"], np.ones(2)])
async def test_vectors_that_are_none_do_not_hide_an_error(make_store, made):
    class Failing(AsynchronouslyPicky):
        async def aencode_documents(self, texts):
            error = EmbeddingError("no quota for {texts}", range(5, 5 + len(texts)))
            error.made = made
            raise error

    with pytest.raises(EmbeddingError, match=r"^no quota for texts$"):
        await make_store(Failing()).aadd_texts(["a", "b"])


class Limited(Picky):
    """Fails with an error of its own, which says nothing of the text."""

    def encode_documents(self, texts):
        if "!" in texts:
            raise ValueError("rate limit")
        return np.ones((len(texts), 2), np.float32)

    encode_queries = encode_documents


class AsynchronouslyLimited(Limited):
    """Has coroutines, so that its blocking methods are for blocking calls alone."""

    async def aencode_documents(self, texts):
        await asyncio.sleep(0)
        return Limited.encode_documents(self, texts)

    aencode_queries = aencode_documents


@pytest.fixture(params=["a function", "one with coroutines", "LangChain's"])
def limited(request, make_embeddings):
    if request.param != "LangChain's":
        return {"a function": Limited, "one with coroutines": AsynchronouslyLimited}[
            request.param
        ]()
    model = make_embeddings("picky")

    def vectors(texts):
        return Limited().encode_documents(texts).tolist()

    async def avectors(texts):
        return vectors(texts)

    async def avector(text):
        return vectors([text])[0]

    model.embed_documents, model.aembed_documents = vectors, avectors
    model.embed_query, model.aembed_query = lambda text: vectors([text])[0], avector
    return model


def failing_writes(store):
    """Each way to add 300 texts, of which that at 271 is too much for the model."""
    texts = [f"text {i}" for i in range(300)]
    texts[271] = "!"
    ids = [f"id{i:03}" for i in range(300)]
    documents = [Document(text, id=name) for text, name in zip(texts, ids, strict=True)]
    return {
        "add_texts": lambda: asyncio.to_thread(store.add_texts, texts, ids=ids),
        "aadd_texts": lambda: store.aadd_texts(texts, ids=ids),
        "add_documents": lambda: asyncio.to_thread(store.add_documents, documents),
        "aadd_documents": lambda: store.aadd_documents(documents),
    }


@pytest.mark.parametrize("call", ["add_texts", "aadd_texts", "add_documents", "aadd_documents"])
async def test_whatever_a_model_raises_is_told_in_one_way_when_texts_come(
    make_store, limited, call
):
    store = make_store(limited, dim=2)
    with pytest.raises(EmbeddingError) as caught:
        await failing_writes(store)[call]()
    assert str(caught.value) == (
        "'picky'.encode_documents failed with texts[256:300]: ValueError: rate limit; "
        "their ids: id256, id257, id258, …"
    )
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.places == tuple(range(256, 300))
    assert len(store.store) == 256


async def test_whatever_a_model_raises_is_told_in_one_way_when_a_query_comes(make_store, limited):
    store = make_store(limited, dim=2)
    store.add_texts(["kite"])
    by_itself = ElanusEmbeddings(limited) if isinstance(limited, Picky) else None
    for call in ("similarity_search", "max_marginal_relevance_search", "embed_query"):
        owner = by_itself if call == "embed_query" else store
        if owner is None:
            continue
        for ask in (
            lambda owner=owner, call=call: asyncio.to_thread(getattr(owner, call), "!"),
            lambda owner=owner, call=call: getattr(owner, f"a{call}")("!"),
        ):
            with pytest.raises(EmbeddingError) as caught:
                await ask()
            assert str(caught.value) == "'picky'.encode_queries failed: ValueError: rate limit"
            assert isinstance(caught.value.__cause__, ValueError)
