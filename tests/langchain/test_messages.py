"""No message and no representation grows with what a caller or a model gave."""

from types import SimpleNamespace

import pytest
from langchain_core.embeddings import Embeddings

from elanus import ElanusError, MilvusClient
from langchain_elanus import (
    ElanusEmbeddings,
    ElanusRecordManager,
    ElanusReranker,
    ElanusRetriever,
    ElanusVectorStore,
)
from unwieldy import MEGA, VALUES, Failing, assert_shown_short, raises_short


class Model(Embeddings):
    """Gives whatever it was told to."""

    def __init__(self, name, answer=(1.0, 2.0)):
        self.model, self.answer = name, answer

    def embed_documents(self, texts):
        return [self.answer for _ in texts]

    def embed_query(self, text):
        del text
        return self.answer


def reranker_of(answer):
    return lambda _query, _texts, top_k: [answer] * top_k


CALLS = {
    "embedding": lambda _, v: ElanusVectorStore(v, uri=":memory:"),
    "function": lambda _, v: ElanusEmbeddings(v),
    "mode": lambda _, v: ElanusVectorStore(uri=":memory:", mode=v),
    "reranker": lambda _, v: ElanusVectorStore(uri=":memory:", mode="text", reranker=[v]),
    "two files": lambda _, v: ElanusVectorStore(uri="other.db", connection_args={"uri": v}),
    "two long files": lambda _, v: ElanusVectorStore(uri=MEGA, connection_args={"uri": v}),
    "collection": lambda _, v: ElanusVectorStore(Model("m"), uri=":memory:", collection_name=[v]),
    "mode of a search": lambda s, v: s.similarity_search("a", mode=v),
    "mode by vector": lambda s, v: s.similarity_search_by_vector([1.0, 2.0], mode=v),
    "filter": lambda s, v: s.similarity_search("a", filter={"k": {"$odd": v}}),
    "key of a filter": lambda s, v: s.similarity_search("a", filter={"$" + MEGA: v}),
    "reranker of a search": lambda s, v: s.similarity_search("a", reranker=[v]),
    "result": lambda s, v: s.similarity_search("a", reranker=reranker_of(v)),
    "number of texts": lambda s, v: s.add_texts([MEGA], ids=[v, MEGA]),
    "text": lambda s, v: s.add_texts([[v]]),
    "id": lambda s, v: s.add_texts(["a"], ids=[[v]]),
    "metadata": lambda s, v: s.add_texts(["a"], [{MEGA: {v} if isinstance(v, str) else v, 5: v}]),
    "two filters": lambda s, v: s.delete(filter={"a": v}, expr=MEGA),
    "namespace": lambda s, v: ElanusRecordManager([v], s),
    "store": lambda _, v: ElanusRecordManager("n", v),
    "collection of records": lambda s, v: ElanusRecordManager("n", s, collection_name=v),
}

FIXED = {
    "results": lambda s: s.similarity_search("a", reranker=lambda *_, **__: Failing()),
    "index": lambda s: s.similarity_search(
        "a", reranker=reranker_of(SimpleNamespace(index=10**5_000, score=1.0))
    ),
    "texts": lambda s: s.add_texts(MEGA),
    "batch_size": lambda s: s.add_texts(["a"], batch_size=-(10**5_000)),
    "long namespace": lambda s: ElanusRecordManager(MEGA, s),
    "odd namespace": lambda s: ElanusRecordManager("\ud800" * 1_000, s),
    "time": lambda s: ElanusRecordManager("n", s).update(["a"], time_at_least=10**5_000),
}


@pytest.fixture
def filled(make_store):
    store = make_store()
    store.add_texts(["a kite", "an owl"])
    return store


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_no_message_grows_with_an_argument(filled, call, value):
    with raises_short(ElanusError):
        call(filled, value)


@pytest.mark.parametrize("call", FIXED.values(), ids=FIXED)
def test_no_message_grows_with_a_long_argument(filled, call):
    with raises_short(ElanusError):
        call(filled)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_no_message_grows_with_what_a_model_answers(value):
    for answer in ([value], [1.0, value], [True, value]):
        with (
            ElanusVectorStore(Model(MEGA, answer), uri=":memory:", dim=2) as store,
            raises_short(ElanusError),
        ):
            store.add_texts(["a"])


def test_no_message_grows_with_the_name_of_a_model():
    with MilvusClient(":memory:") as client:
        first = ElanusVectorStore(Model("m"), uri=":memory:")
        with first, raises_short(ElanusError):
            ElanusVectorStore(Model(MEGA), store=first.store)
        del client
    with (
        ElanusVectorStore(Model(MEGA, [1.0]), uri=":memory:", dim=2) as store,
        raises_short(ElanusError, match="1: open it with the model"),
    ):
        store.add_texts(["a"])


@pytest.mark.parametrize("name", [MEGA, 5, None, ("a", Failing())], ids=["text", "5", "0", "odd"])
def test_an_unknown_argument_is_shown_in_part(name):
    with raises_short(TypeError, match="unexpected arguments"):
        ElanusVectorStore(connection_args={name: 1, "other": 2})


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_representation_is_short(filled, value):
    reranker = reranker_of(value)
    reranker.__qualname__ = MEGA
    shown = [
        ElanusReranker(reranker=reranker),
        ElanusRetriever(vectorstore=filled, filter={"a": value}, reranker=reranker),
        ElanusVectorStore(Model(MEGA), uri=":memory:"),
        ElanusEmbeddings(SimpleNamespace(**dict.fromkeys(
            ("encode_documents", "encode_queries", "dim", "name"), value))),
        ElanusRecordManager("x" * 1_000, filled),
    ]  # fmt: skip
    assert_shown_short(shown)
