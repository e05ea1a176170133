"""ElanusRetriever, ElanusReranker and ElanusEmbeddings."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.runnables import RunnableLambda

from elanus import ParamError, WeightedRanker
from elanus.errors import RerankError
from langchain_elanus import ElanusEmbeddings, ElanusReranker, ElanusRetriever, ElanusVectorStore

TEXTS = ["red kite", "black kite", "kite kite kite", "owl", "wren"]


@pytest.fixture
def filled(store):
    store.add_texts(TEXTS, [{"n": i} for i in range(5)], ids=list("abcde"))
    return store


def test_a_retriever_is_hybrid_unless_told_otherwise(filled, make_store):
    dense = make_store(None, store=filled.store, mode="dense")
    expected = filled.similarity_search("red kite", mode="hybrid", explain=True)
    assert ElanusRetriever(vectorstore=dense, explain=True).invoke("red kite") == expected


@pytest.mark.parametrize(
    "changed",
    [
        {"k": 2},
        {"mode": "text"},
        {"filter": {"n": {"$gt": 0}}},
        {"expr": "n > 0"},
        {"ranker": WeightedRanker(0.1, 0.9)},
        {"explain": True},
        {"score_threshold": 0.9},
    ],
)
async def test_every_setting_can_be_given_to_the_retriever_and_to_a_call(filled, changed):
    expected = filled.similarity_search("red kite", **changed)
    retriever = ElanusRetriever(vectorstore=filled)
    assert retriever.invoke("red kite", **changed) == expected
    assert await retriever.ainvoke("red kite", **changed) == expected
    if "expr" not in changed:
        assert ElanusRetriever(vectorstore=filled, **changed).invoke("red kite") == expected


def test_a_call_overrides_the_retrievers_filter_by_an_expression(filled):
    retriever = ElanusRetriever(vectorstore=filled, filter={"n": 0})
    assert [d.id for d in retriever.invoke("kite", expr="n == 1")] == ["b"]


@pytest.mark.parametrize("wrong", [{"k": 0}, {"mode": "x"}, {"score_threshold": 2.0}])
def test_a_wrong_setting_is_an_error(filled, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ElanusRetriever(vectorstore=filled, **wrong)


def test_an_unknown_argument_of_a_call_raises_a_type_error(filled):
    with pytest.raises(TypeError, match="kk"):
        ElanusRetriever(vectorstore=filled).invoke("kite", kk=1)


def test_a_retriever_works_in_a_chain_and_in_a_batch(filled):
    chain = ElanusRetriever(vectorstore=filled, k=1) | RunnableLambda(lambda found: found[0].id)
    assert chain.batch(["red", "owl"]) == ["a", "d"]


# --- rerankers ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    text: str
    score: float
    index: int


class CountingWords:
    """The score is how often the first word of the query is in the text, over ten."""

    def __call__(self, query, documents, top_k=5):
        assert top_k <= len(documents)
        word = query.split()[0]
        scored = [Result(t, t.split().count(word) / 10, i) for i, t in enumerate(documents)]
        return sorted(scored, key=lambda r: -r.score)[:top_k]


class Awaiting(CountingWords):
    def __init__(self):
        self.awaited = 0

    async def arerank(self, query, documents, top_k=5):
        self.awaited += 1
        await asyncio.sleep(0)
        return self(query, documents, top_k)


@pytest.mark.parametrize("top_n", [1, 2, 50])
async def test_a_compressor_keeps_the_best_in_order(top_n):
    documents = [
        Document(id=i, page_content=t, metadata={"i": i})
        for i, t in zip("abcde", TEXTS, strict=True)
    ]
    reranker = ElanusReranker(reranker=CountingWords(), top_n=top_n)
    expected = [documents[i] for i in (2, 0, 1, 3, 4)][:top_n]
    assert reranker.compress_documents(documents, "kite") == expected
    assert await reranker.acompress_documents(documents, "kite") == expected
    assert reranker.compress_documents([], "kite") == []


def test_rerank_scores_are_in_copies_and_only_if_asked_for():
    documents = [Document("kite", metadata={"_elanus": {"rank": 1}}), Document("owl")]
    plain = ElanusReranker(reranker=CountingWords()).compress_documents(documents, "kite")
    assert [d.metadata for d in plain] == [{"_elanus": {"rank": 1}}, {}]
    explained = ElanusReranker(reranker=CountingWords(), explain=True)
    found = explained.compress_documents(documents, "kite")
    assert [d.metadata["_elanus"] for d in found] == [
        {"rank": 1, "rerank_score": 0.1},
        {"rerank_score": 0.0},
    ]
    assert documents[1].metadata == {}


async def test_a_rerankers_own_coroutine_is_used(filled):
    reranker = Awaiting()
    compressor = ElanusReranker(reranker=reranker)
    await compressor.acompress_documents([Document("kite")], "kite")
    found = await filled.asimilarity_search("kite", k=1, reranker=reranker)
    assert reranker.awaited == 2
    assert found == filled.similarity_search("kite", k=1, reranker=reranker)
    assert found[0].id == "c"


def test_a_retrievers_reranker_orders_what_it_finds(filled):
    retriever = ElanusRetriever(vectorstore=filled, k=1, reranker=CountingWords())
    assert [d.id for d in retriever.invoke("kite owl")] == ["c"]


# --- embeddings ---------------------------------------------------------------------------------


class Function:
    """An embedding function of Elanus that treats documents and queries differently."""

    name, dim = "function", 2

    def encode_documents(self, texts):
        return np.array([[len(text), 1] for text in texts], dtype=np.float32).reshape(-1, 2)

    def encode_queries(self, texts):
        return np.array([[1, len(text)] for text in texts], dtype=np.float32).reshape(-1, 2)


class Awaited(Function):
    async def aencode_documents(self, texts):
        return self.encode_documents(texts) * 2

    async def aencode_queries(self, texts):
        return self.encode_queries(texts) * 2


async def test_a_function_serves_as_langchain_embeddings():
    model = ElanusEmbeddings(Function())
    assert isinstance(model, Embeddings)
    assert model.model == "function"
    assert model.embed_documents(["a", "bb"]) == [[1.0, 1.0], [2.0, 1.0]]
    assert model.embed_query("bb") == [1.0, 2.0]
    assert model.embed_documents([]) == []
    assert await model.aembed_documents(["a"]) == [[1.0, 1.0]]
    assert await model.aembed_query("a") == [1.0, 1.0]
    assert all(type(x) is float for x in model.embed_query("a"))


async def test_a_functions_own_coroutines_are_used():
    model = ElanusEmbeddings(Awaited())
    assert await model.aembed_documents(["a"]) == [[2.0, 2.0]]
    assert await model.aembed_query("bb") == [2.0, 4.0]


@pytest.mark.parametrize("texts", [[], ["owl"]])
def test_a_compressor_names_a_reranker_that_cannot_be_called(texts):
    with pytest.raises(ParamError, match=r"reranker must be callable .* got 5"):
        ElanusReranker(reranker=5).compress_documents([Document(text) for text in texts], "owl")


def test_a_retriever_names_a_reranker_that_cannot_be_called(filled):
    with pytest.raises(ParamError, match=r"reranker must have predict.* got 5"):
        ElanusRetriever(vectorstore=filled, reranker=5).invoke("owl")


def test_what_is_no_function_is_an_error():
    with pytest.raises(ParamError, match="encode_documents"):
        ElanusEmbeddings(object())


def test_a_store_takes_a_function_or_its_langchain_form(make_store):
    function = Function()
    for embedding in (function, ElanusEmbeddings(function)):
        store = make_store(embedding)
        assert store.store.embedding is function
        assert isinstance(store.embeddings, ElanusEmbeddings)
        assert store.embeddings.embed_query("bb") == [1.0, 2.0]


def test_the_name_of_a_model_comes_from_what_it_says_of_itself(make_store):
    class Named(DeterministicFakeEmbedding):
        model_name: str = "by-model-name"

    class Cache(Embeddings):
        underlying_embeddings = Named(size=3)

        def embed_documents(self, texts):
            return self.underlying_embeddings.embed_documents(texts)

        def embed_query(self, text):
            return self.underlying_embeddings.embed_query(text)

    for embedding, name in (
        (Named(size=3), "by-model-name"),
        (Cache(), "by-model-name"),
        (DeterministicFakeEmbedding(size=3), "DeterministicFakeEmbedding"),
    ):
        assert make_store(embedding).store.embedding.name == name
    assert make_store(Cache(), embedding_name="mine").store.embedding.name == "mine"


def test_a_retriever_tells_tracing_what_it_uses(filled):
    seen = ElanusRetriever(vectorstore=filled)._get_ls_params()
    assert seen["ls_vector_store_provider"] == ElanusVectorStore.__name__
    assert seen["ls_embedding_provider"] == "WordEmbeddings"


class Failing:
    def __init__(self, answer):
        self.answer = answer

    def __call__(self, *_, top_k):
        assert top_k
        return self.answer()


class Unread:
    index = 0

    @property
    def score(self):
        raise OSError("lost")


def lost():
    raise OSError("lost")


def one_by_one():
    yield from ()
    raise OSError("lost")


@pytest.mark.parametrize("answer", [lost, one_by_one, lambda: [Unread()] * 5])
async def test_a_reranker_that_fails_keeps_what_it_was_given(filled, answer):
    reranker = Failing(answer)
    documents = [Document(text) for text in TEXTS]
    compressor = ElanusReranker(reranker=reranker)
    says = r"reranker .*Failing.* failed with 5 texts: OSError: lost"
    with pytest.raises(RerankError, match=says) as caught:
        compressor.compress_documents(documents, "kite")
    assert caught.value.hits == documents
    assert isinstance(caught.value.__cause__, OSError)
    with pytest.raises(RerankError, match=says):
        await compressor.acompress_documents(documents, "kite")
    with pytest.raises(RerankError, match=says):
        filled.similarity_search("kite", k=5, mode="dense", reranker=reranker)
    with pytest.raises(RerankError, match=says):
        await filled.asimilarity_search("kite", k=5, mode="dense", reranker=reranker)
