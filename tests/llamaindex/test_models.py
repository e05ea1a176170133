"""Embedding functions and rerankers as LlamaIndex's components."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import NamedTuple

import numpy as np
import pytest
import scipy.sparse
from llama_index.core import Settings, VectorStoreIndex
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.storage.kvstore import SimpleKVStore

from elanus import DocumentStore
from elanus.errors import DataNotMatchException, EmbeddingError, ParamError, RerankError
from elanus_embeddings import CachedEmbeddingFunction
from llama_index.vector_stores.elanus import (
    ElanusEmbedding,
    ElanusRerank,
    ElanusSparseEmbedding,
)


class Result(NamedTuple):
    text: str
    score: float
    index: int


class Dense:
    """Documents and queries differ, and what was called is kept."""

    name, dim = "dense-model", 2

    def __init__(self):
        self.calls = []

    def encode_documents(self, texts):
        self.calls.append(list(texts))
        return np.array([[len(text), 1] for text in texts], np.float32)

    def encode_queries(self, texts):
        return np.array([[len(text), -1] for text in texts], np.float32)


class Asynchronous(Dense):
    """Has coroutines of its own, which LlamaIndex's coroutines must use."""

    async def aencode_documents(self, texts):
        await asyncio.sleep(0)
        return np.array([[len(text), 10] for text in texts], np.float32)

    async def aencode_queries(self, texts):
        await asyncio.sleep(0)
        return np.array([[len(text), -10] for text in texts], np.float32)


class Sparse:
    name = "sparse-model"

    def encode_documents(self, texts):
        rows = [[len(text), 0, text.count("a")] for text in texts]
        return scipy.sparse.csr_array(np.array(rows, np.float64))

    def encode_queries(self, texts):
        return {"sparse": self.encode_documents(texts).tocoo(), "dense": None}


def test_documents_and_queries_go_to_their_own_methods():
    model = ElanusEmbedding(Dense(), embed_batch_size=2)
    assert model.get_text_embedding("four") == [4.0, 1.0]
    assert model.get_query_embedding("four") == [4.0, -1.0]
    model.function.calls.clear()
    assert model.get_text_embedding_batch(["a", "bb", "ccc"]) == [
        [1.0, 1.0],
        [2.0, 1.0],
        [3.0, 1.0],
    ]
    assert model.function.calls == [["a", "bb"], ["ccc"]]
    assert all(type(x) is float for x in model.get_query_embedding("x"))


@pytest.mark.parametrize(("function", "mark"), [(Dense, 1.0), (Asynchronous, 10.0)])
def test_coroutines_use_the_functions_own_if_there_are_any(function, mark):
    model = ElanusEmbedding(function())

    async def run():
        assert await model.aget_text_embedding("ab") == [2.0, mark]
        assert await model.aget_query_embedding("ab") == [2.0, -mark]
        assert await model.aget_text_embedding_batch(["a", "b"]) == [[1.0, mark], [1.0, mark]]

    asyncio.run(run())


def test_a_real_model_gives_what_its_function_gives(embed_model):
    texts = ["Kites soar.", "Owls hunt at night."]
    expected = embed_model.function.encode_documents(texts)
    np.testing.assert_allclose(embed_model.get_text_embedding_batch(texts), expected, atol=1e-6)
    assert embed_model.model_name == embed_model.function.name


async def test_half_of_a_surrogate_pair_is_a_query_like_any_other():
    class Strict(Asynchronous):
        def encode_queries(self, texts):
            return np.array([[len(text.encode()), -1] for text in texts], np.float32)

        async def aencode_queries(self, texts):
            return self.encode_queries(texts)

    model = ElanusEmbedding(Strict())
    assert model.get_query_embedding("kite \ud83d") == [8, -1]  # as U+FFFD
    assert await model.aget_query_embedding("kite \ud83d") == [8, -1]  # as U+FFFD

    def encoded(query, texts, top_k):
        return [Result(texts[0], len(query.encode()), 0)]

    nodes = [NodeWithScore(node=TextNode(text="kite"))]
    (best,) = ElanusRerank(reranker=encoded).postprocess_nodes(nodes, query_str="kite \ud83d")
    assert best.score == 8


def test_nodes_that_pass_through_carry_embeddings():
    nodes = ElanusEmbedding(Dense())([TextNode(text="abc")])
    assert nodes[0].embedding == [3.0, 1.0]


def test_models_are_serialised_without_their_functions():
    for kind, function in ((ElanusEmbedding, Dense()), (ElanusSparseEmbedding, Sparse())):
        model = kind(function, embed_batch_size=7)
        data = model.model_dump()
        assert data["model_name"] == function.name
        assert data["class_name"] == kind.__name__
        assert "function" not in data
        del data["class_name"]
        assert kind(function=function, **{**data, "num_workers": None}).embed_batch_size == 7
    assert ElanusEmbedding.from_dict(ElanusEmbedding(Dense()).to_dict(), function=Dense())
    assert ElanusEmbedding(Dense(), model_name="mine").model_name == "mine"


@pytest.mark.parametrize("kind", [ElanusEmbedding, ElanusSparseEmbedding])
@pytest.mark.parametrize("wrong", [5, None, len, Dense])
def test_a_function_that_embeds_nothing_is_named(kind, wrong):
    with pytest.raises(ParamError, match=r"function must be an object with encode_documents"):
        kind(wrong)


@pytest.mark.parametrize("kind", [ElanusEmbedding, ElanusSparseEmbedding])
def test_models_refuse_what_they_do_not_know(kind):
    with pytest.raises(TypeError, match="foo"):
        kind(Dense(), foo=1)
    model = kind(Dense(), embed_batch_size=7)
    data = {**model.model_dump(), "function": Dense()}
    assert kind.model_validate(data).embed_batch_size == 7


def test_sparse_vectors_are_dicts_of_what_is_not_zero():
    model = ElanusSparseEmbedding(Sparse())
    assert model.get_text_embedding("banana") == {0: 6.0, 2: 3.0}
    assert model.get_query_embedding("owl") == {0: 3.0}
    assert model.get_text_embedding_batch(["a", ""]) == [{0: 1.0, 2: 1.0}, {}]

    async def run():
        assert await model.aget_text_embedding("banana") == {0: 6.0, 2: 3.0}
        assert await model.aget_query_embedding("owl") == {0: 3.0}
        assert await model.aget_text_embedding_batch(["b"]) == [{0: 1.0}]

    asyncio.run(run())


def words_in_common(query, documents, top_k):
    scores = [len(set(query.split()) & set(text.split())) for text in documents]
    order = sorted(range(len(documents)), key=lambda i: (-scores[i], i))[:top_k]
    return [Result(documents[i], scores[i], i) for i in order]


@pytest.fixture
def scored():
    texts = ["red kite", "black kite flying", "red kite flying high", "owl"]
    return [
        NodeWithScore(node=TextNode(id_=str(i), text=text), score=1.0 - i / 10)
        for i, text in enumerate(texts)
    ]


def test_a_reranker_orders_nodes_and_leaves_those_that_came_in(scored):
    rerank = ElanusRerank(reranker=words_in_common, top_n=2)
    best = rerank.postprocess_nodes(scored, query_str="red kite flying")
    assert [(each.node_id, each.score) for each in best] == [("2", 3.0), ("0", 2.0)]
    assert [each.score for each in scored] == [1.0, 0.9, 0.8, 0.7]
    again = asyncio.run(rerank.apostprocess_nodes(scored, query_str="red kite flying"))
    assert [each.node_id for each in again] == ["2", "0"]


def test_a_reranker_reads_the_metadata_that_a_model_would_embed(scored):
    scored[3].node.metadata = {"a": "red kite flying", "b": "high"}
    scored[3].node.excluded_embed_metadata_keys = ["b"]
    (best,) = ElanusRerank(reranker=words_in_common, top_n=1).postprocess_nodes(
        scored, query_str="a: red kite flying owl"
    )
    assert (best.node_id, best.score) == ("3", 5.0)


def test_a_reranker_needs_a_query_and_no_nodes():
    rerank = ElanusRerank(reranker=words_in_common)
    assert rerank.postprocess_nodes([], query_str="x") == []
    with pytest.raises(ParamError, match="needs the query"):
        rerank.postprocess_nodes([])
    with pytest.raises(ValueError, match="top_n"):
        ElanusRerank(reranker=words_in_common, top_n=0)
    assert rerank.to_dict()["top_n"] == 5


@pytest.mark.parametrize("call", ["raise", "yield"])
def test_a_reranker_that_fails_keeps_the_nodes(scored, call):
    def late():
        yield Result("", 1.0, 0)
        raise OSError("lost")

    def failing(query, documents, top_k):
        return late() if call == "yield" else [*late()]

    rerank = ElanusRerank(reranker=failing)
    with pytest.raises(RerankError, match="failed with 4 texts: OSError: lost") as caught:
        rerank.postprocess_nodes(scored, query_str="red kite")
    assert caught.value.hits == scored
    assert isinstance(caught.value.__cause__, OSError)


def test_a_function_that_fails_while_it_is_read_is_an_embedding_error():
    def late(texts):
        yield [1.0, 2.0]
        raise OSError("lost")

    function = Dense()
    function.encode_documents = function.encode_queries = late
    model = ElanusEmbedding(function)
    with pytest.raises(EmbeddingError, match=r"failed with texts\[0:2\]: OSError: lost") as caught:
        model.get_text_embedding_batch(["a", "b"])
    assert caught.value.made.tolist() == [[1.0, 2.0]]
    for call in (model.get_query_embedding, lambda q: asyncio.run(model.aget_query_embedding(q))):
        with pytest.raises(EmbeddingError, match="encode_queries failed: OSError: lost"):
            call("a")


@pytest.mark.parametrize("wrong", [5, None, "name", Result])
def test_what_is_not_a_reranker_is_named(wrong):
    with pytest.raises(ValueError, match=r"reranker must be a callable of \(query, documents"):
        ElanusRerank(reranker=wrong)


def test_a_postprocessor_refuses_what_it_does_not_know():
    with pytest.raises(TypeError, match="foo"):
        ElanusRerank(reranker=words_in_common, foo=1)
    rerank = ElanusRerank(reranker=words_in_common, top_n=2)
    assert ElanusRerank.from_dict(rerank.to_dict(), reranker=words_in_common).top_n == 2
    data = {**rerank.model_dump(), "reranker": words_in_common}
    assert ElanusRerank.model_validate(data).top_n == 2


def test_reranking_is_reported_to_callbacks(scored):
    handler = LlamaDebugHandler(print_trace_on_end=False)
    manager = CallbackManager([handler])
    rerank = ElanusRerank(reranker=words_in_common, top_n=1, callback_manager=manager)
    rerank.postprocess_nodes(scored, query_str="owl")
    (pair,) = handler.get_event_pairs(CBEventType.RERANKING)
    assert pair[0].payload["query_str"] == "owl"
    assert [each.node_id for each in pair[1].payload["nodes"]] == ["3"]


class Picky(Dense):
    """Fails with bad texts, as a provider would: all of the request, but naming the text."""

    def encode_documents(self, texts):
        for i, text in enumerate(texts):
            if text == "bad":
                raise EmbeddingError("refused {texts}; it was {text}", range(len(texts)), fault=i)
        return super().encode_documents(texts)


class AsynchronouslyPicky(Picky):
    async def aencode_documents(self, texts):
        await asyncio.sleep(0)
        return self.encode_documents(texts)


@pytest.mark.parametrize("sort", [Picky, AsynchronouslyPicky])
@pytest.mark.parametrize("workers", [None, 3])
async def test_a_text_at_fault_is_named_by_its_place_in_the_whole_list(sort, workers):
    model = ElanusEmbedding(sort(), embed_batch_size=4, num_workers=workers)
    texts = [f"text {i}" for i in range(19)]
    texts[13] = "bad"
    for embed in (
        lambda: asyncio.to_thread(model.get_text_embedding_batch, texts),
        lambda: model.aget_text_embedding_batch(texts),
    ):
        with pytest.raises(EmbeddingError, match=r"texts\[12:16\]; it was texts\[13\]$") as caught:
            await embed()
        assert caught.value.place == 13


@pytest.mark.parametrize(
    ("texts", "size", "says", "place"),
    [
        (["a"] * 12 + ["bad"], 10, "texts[10:13]; it was texts[12]", 12),
        (["a"] * 12 + ["bad"], 100, "texts[0:13]; it was texts[12]", 12),
        (["a", "b", "a", "bad", "a"], 3, "texts[3:5]; it was texts[3]", 3),
        (["a", "", "bad", "a", "bad"], 5, "texts[0], texts[2], texts[3] and 1 more; it was texts[2]", 2),
    ],
)  # fmt: skip
async def test_equal_texts_are_told_apart_by_their_places(texts, size, says, place):
    model = ElanusEmbedding(Picky(), embed_batch_size=size)
    with pytest.raises(EmbeddingError) as caught:
        model.get_text_embedding_batch(texts)
    assert str(caught.value).endswith(says)
    assert caught.value.place == place
    with pytest.raises(EmbeddingError) as caught:
        await model.aget_text_embedding_batch(texts)
    assert caught.value.place == place


class Limited(Dense):
    """Fails with an error of its own, which says nothing of the text."""

    name = "limited"

    def encode_documents(self, texts):
        if "bad" in texts:
            raise ValueError("rate limit")
        vectors = np.ones((len(texts), 2))
        return scipy.sparse.csr_matrix(vectors) if self.is_sparse else vectors

    encode_queries = encode_documents
    is_sparse = False


class AsynchronouslyLimited(Limited):
    async def aencode_documents(self, texts):
        await asyncio.sleep(0)
        return self.encode_documents(texts)

    aencode_queries = aencode_documents


@pytest.mark.parametrize("sort", [Limited, AsynchronouslyLimited])
@pytest.mark.parametrize("kind", [ElanusEmbedding, ElanusSparseEmbedding])
async def test_whatever_a_function_raises_is_told_in_one_way(sort, kind):
    function = sort()
    function.is_sparse = kind is ElanusSparseEmbedding
    model = kind(function, embed_batch_size=4)
    texts = [f"text {i}" for i in range(19)]
    assert len(model.get_text_embedding_batch(texts)) == 19
    assert len(await model.aget_text_embedding_batch(texts)) == 19
    texts[13] = "bad"
    for ask, says in (
        (lambda: asyncio.to_thread(model.get_text_embedding_batch, texts), "documents"),
        (lambda: model.aget_text_embedding_batch(texts), "documents"),
        (lambda: asyncio.to_thread(model.get_query_embedding, "bad"), "queries"),
        (lambda: model.aget_query_embedding("bad"), "queries"),
    ):
        with pytest.raises(EmbeddingError) as caught:
            await ask()
        where = " with texts[12:16]" if says == "documents" else ""
        expected = f"'limited'.encode_{says} failed{where}: ValueError: rate limit"
        assert str(caught.value) == expected
        assert isinstance(caught.value.__cause__, ValueError)


def test_with_a_cache_only_what_is_not_in_it_is_named():
    cache = SimpleKVStore()
    model = ElanusEmbedding(Picky(), embed_batch_size=3, embeddings_cache=cache)
    model.get_text_embedding_batch(["a", "b"])
    with pytest.raises(EmbeddingError, match=r"refused texts\[5:6\]; it was texts\[5\]$"):
        model.get_text_embedding_batch(["a", "b", "a", "b", "a", "bad"])


@pytest.mark.parametrize(
    "vector", [[1.0, True], [True, False], [np.True_, 1.0], ["1", "2"], [1.0, None], [[1.0], [2.0]]]
)
def test_what_is_no_vector_is_named(vector):
    function = Dense()
    function.encode_documents = lambda texts: [[1.0, 2.0], vector][: len(texts)]
    with pytest.raises(DataNotMatchException, match=r"row 1: a FLOAT_VECTOR must be a flat list"):
        ElanusEmbedding(function).get_text_embedding_batch(["a", "b"])
    function.encode_documents = lambda texts: np.ones((len(texts), 2), bool)
    with pytest.raises(DataNotMatchException, match=r"row 0: a FLOAT_VECTOR must be a flat list"):
        ElanusEmbedding(function).get_text_embedding("a")


@pytest.mark.parametrize("wrap", [ElanusEmbedding, ElanusSparseEmbedding])
def test_a_function_over_an_open_file_is_not_left_out_of_a_pickle(wrap):
    with DocumentStore(":memory:") as store:
        model = wrap(CachedEmbeddingFunction(Dense(), store))
        for how in (pickle.dumps, copy.deepcopy):
            with pytest.raises(TypeError, match="open :memory: again by its path"):
                how(model)
        assert isinstance(model.function, CachedEmbeddingFunction)
    again = pickle.loads(pickle.dumps(wrap(Dense())))  # noqa: S301  # made one line above
    assert isinstance(again.function, Dense)


def test_a_reranker_that_cannot_be_pickled_stays():
    rerank = ElanusRerank(reranker=lambda *_, **__: [])
    with pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
        pickle.dumps(rerank)
    assert callable(rerank.reranker)


# --- an embedding function where LlamaIndex wants a model of its own ------------------------------


def test_settings_say_what_to_write_for_an_embedding_function(tmp_path):
    function = CachedEmbeddingFunction(Dense(), tmp_path / "cache.db")
    before = Settings._embed_model
    with pytest.raises(
        ParamError, match=r"give it ElanusEmbedding\(CachedEmbeddingFunction\(…\)\)"
    ):
        Settings.embed_model = function
    with pytest.raises(ParamError, match=r"from llama_index\.vector_stores\.elanus$"):
        VectorStoreIndex([], embed_model=function)
    assert Settings._embed_model is before
    try:
        Settings.embed_model = ElanusEmbedding(function)
        assert Settings.embed_model.get_text_embedding("four") == [4.0, 1.0]
    finally:
        Settings._embed_model = before
    function.close()


def test_an_embedding_function_compares_with_anything_elsewhere(tmp_path):
    with CachedEmbeddingFunction(Dense(), tmp_path / "cache.db") as function:
        assert function == function  # noqa: PLR0124  # that is the question
        assert function not in ["default", None, Dense()]
        assert {function: 1}[function] == 1
