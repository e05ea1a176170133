"""Every argument of every call with every kind of value: a result, or one of our errors."""

import math

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from pydantic import ValidationError

from elanus import ElanusError, ParamError
from elanus.errors import DataNotMatchException
from langchain_elanus import (
    ElanusRecordManager,
    ElanusReranker,
    ElanusRetriever,
    ElanusVectorStore,
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Some texts are taken for the names of databases, which are made then."""
    monkeypatch.chdir(tmp_path)


class Result:
    def __init__(self, index, score=0.5):
        self.index, self.score = index, score


def in_order(query, texts, top_k):
    return [Result(i) for i in range(min(top_k, len(texts)))]


class Model(Embeddings):
    model = "two"

    def embed_documents(self, texts):
        return [[1.0, 2.0] for _ in texts]

    def embed_query(self, _text):
        return [1.0, 2.0]


CALLS = {
    "similarity_search": {
        "query": "a", "k": 2, "mode": "hybrid", "filter": None, "ranker": None,
        "reranker": in_order, "explain": False, "score_threshold": 0.0, "ids": ["x"],
        "depth": None, "fill": False,
    },
    "similarity_search_with_score": {"query": "a", "k": 2, "mode": "text", "fill": True},
    "similarity_search_with_relevance_scores": {"query": "a", "k": 2, "score_threshold": 0.1},
    "similarity_search_by_vector": {"embedding": [1.0, 2.0], "k": 2, "mode": None},
    "max_marginal_relevance_search": {
        "query": "a", "k": 2, "fetch_k": 5, "lambda_mult": 0.5, "mode": "text",
    },
    "max_marginal_relevance_search_by_vector": {
        "embedding": [1.0, 2.0], "k": 2, "fetch_k": 5, "lambda_mult": 0.5,
    },
    "add_texts": {"texts": ["a"], "metadatas": [{}], "ids": ["x"], "batch_size": 2},
    "add_documents": {"documents": [Document("a")], "ids": ["x"], "batch_size": 2},
    "add_embeddings": {
        "texts": ["a"], "embeddings": [[1.0, 2.0]], "metadatas": [{}], "ids": ["x"],
    },
    "delete": {"ids": ["x"], "filter": {"a": 1}},
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_any_argument_of_a_store(name, refusals):
    with ElanusVectorStore(Model(), uri=":memory:") as store:
        store.add_texts(["a b", "b c"], [{"a": 1}, {"a": 2}], ids=["x", "y"])
        getattr(store, name)(**CALLS[name])
        assert refusals(getattr(store, name), CALLS[name]) == {}
        assert store.client.verify() == []


def test_any_argument_of_opening(refusals, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = {
        "embedding": Model(), "uri": ":memory:", "collection_name": "c", "mode": "hybrid",
        "analyzer": "english", "reranker": None, "fill": False, "embedding_name": None, "dim": 2,
        "read_only": False, "timeout": 1.0,
    }  # fmt: skip
    assert refusals(lambda **given: ElanusVectorStore(**given).close(), arguments) == {}
    # Of a dict of other names TypeError says which there are, as for any argument.
    wrong = refusals(
        lambda **given: ElanusVectorStore(None, mode="text", **given).close(),
        {"connection_args": {"uri": ":memory:"}},
    )
    assert wrong.keys() == {("connection_args", "dict")}


def test_any_argument_of_a_record_manager(refusals):
    with ElanusVectorStore(None, uri=":memory:", mode="text") as store:
        records = ElanusRecordManager("n", store)
        update = {"keys": ["a"], "group_ids": ["b"], "time_at_least": 0.0}
        assert refusals(records.update, update) == {}
        listing = {"before": 1e11, "after": 0.0, "group_ids": ["b"], "limit": 3}
        assert refusals(records.list_keys, listing) == {}
        assert refusals(records.exists, {"keys": ["a"]}) == {}
        assert refusals(records.delete_keys, {"keys": ["a"]}) == {}


@pytest.mark.parametrize("wrong", [np.array(1), np.array(["x"]), "5", [1.0], True, math.nan])
def test_a_time_that_is_no_number_is_refused_by_name(wrong):
    with ElanusVectorStore(None, uri=":memory:", mode="text") as store:
        records = ElanusRecordManager("n", store)
        for is_made in (False, True):
            for name in ("before", "after"):
                with pytest.raises(ParamError, match=rf"^{name} must be a number"):
                    records.list_keys(**{name: wrong})
            if not is_made:
                records.update(["a"])
        assert records.list_keys(before=math.inf, after=-math.inf) == ["a"]
        assert records.list_keys(before=np.float64(1e11), after=np.int64(0)) == ["a"]


def test_keys_that_are_no_strings_are_not_taken_for_their_text():
    with ElanusVectorStore(None, uri=":memory:", mode="text") as store:
        records = ElanusRecordManager("n", store)
        records.update(["1", "2"])
        for keys in ([1], "12"):
            for call in (records.exists, records.delete_keys, records.update):
                with pytest.raises(ParamError, match="keys must be a list of names"):
                    call(keys)
        assert records.list_keys() == ["1", "2"]


def test_any_argument_of_the_components(refusals):
    with ElanusVectorStore(Model(), uri=":memory:") as store:
        store.add_texts(["a b"])
        retriever = {"vectorstore": store, "k": 2, "mode": "text", "explain": False}
        ask = lambda **given: ElanusRetriever(**given).invoke("a")  # noqa: E731
        assert refusals(ask, retriever, ValidationError) == {}
        asked = {"k": 2, "filter": None, "mode": "text", "explain": True, "reranker": None}
        assert refusals(lambda **given: ElanusRetriever(vectorstore=store).invoke("a", **given),
                        asked) == {}  # fmt: skip
    reranker = ElanusReranker(reranker=in_order, explain=True)
    assert refusals(lambda documents: reranker.compress_documents(documents, "a"),
                    {"documents": [Document("a")]}) == {}  # fmt: skip
    own = Document("a", metadata={"_elanus": 5})
    [found] = reranker.compress_documents([own], "a")
    assert found.metadata == {"_elanus": {"rerank_score": 0.5}}


@pytest.mark.parametrize("member", ["index", "score"])
def test_any_result_of_a_reranker(member, refusals):
    def ask(value):
        results = [Result(**{"index": 0, member: value})]
        ElanusReranker(reranker=lambda *_, **__: results).compress_documents([Document("a")], "q")

    assert refusals(ask, {"value": 0}) == {}


@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: [[v, 1.0]]])
def test_any_answer_of_a_model(wrap, refusals):
    class Odd(Model):
        def embed_documents(self, _texts):
            return wrap(self.answer)

    def add(answer):
        model = Odd()
        model.answer = answer
        with ElanusVectorStore(model, uri=":memory:", dim=2) as store:
            store.add_texts(["a"])

    assert refusals(add, {"answer": 1}) == {}


@pytest.mark.parametrize("whole", [True, False])
def test_masked_elements_of_a_vector_are_refused(whole):
    rows = np.ma.array([[1.0, 2.0]], mask=[[0, 1]])

    class Masked(Model):
        def embed_documents(self, _texts):
            return rows if whole else [rows[0]]

    with ElanusVectorStore(Masked(), uri=":memory:", dim=2) as store:
        with pytest.raises(DataNotMatchException, match="a vector has numbers only"):
            store.add_texts(["a"])
        assert store.similarity_search("a") == []


def test_a_flag_is_no_text():
    with ElanusVectorStore(Model(), uri=":memory:") as store:
        for name in ("fill", "explain"):
            with pytest.raises(ElanusError, match=f"{name} must be True or False, got 'false'"):
                store.similarity_search("a", **{name: "false"})
