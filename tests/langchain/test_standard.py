"""LangChain's own suites, whole: none of their tests is overridden, skipped or expected to fail."""

from __future__ import annotations

import functools

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import VectorStoreRetriever
from langchain_tests.integration_tests import (
    EmbeddingsIntegrationTests,
    RetrieversIntegrationTests,
    VectorStoreIntegrationTests,
)
from langchain_tests.unit_tests import EmbeddingsUnitTests

from elanus_embeddings import MiniLMEmbeddingFunction
from langchain_elanus import ElanusEmbeddings, ElanusRetriever, ElanusVectorStore


def opened(uri, **options):
    store = ElanusVectorStore(options.pop("embedding"), uri=uri, **options)
    try:
        yield store
        assert store.client.verify() == []
    finally:
        store.close()


class InMemory:
    @pytest.fixture
    def vectorstore(self):
        yield from opened(
            ":memory:", embedding=self.get_embeddings(), mode=self.mode, fill=self.fill
        )


class InAFile:
    @pytest.fixture
    def vectorstore(self, tmp_path):
        uri = tmp_path / "standard.db"
        yield from opened(uri, embedding=self.get_embeddings(), mode=self.mode, fill=self.fill)


class TestHybridInMemory(InMemory, VectorStoreIntegrationTests):
    mode, fill = "hybrid", False


class TestHybridInAFile(InAFile, VectorStoreIntegrationTests):
    mode, fill = "hybrid", False


class TestDenseInMemory(InMemory, VectorStoreIntegrationTests):
    mode, fill = "dense", False


class TestDenseInAFile(InAFile, VectorStoreIntegrationTests):
    mode, fill = "dense", False


# The suite wants k documents whenever there are so many, of which one shares no word with the
# query: `fill` is what gives them in text mode.
class TestTextInMemory(InMemory, VectorStoreIntegrationTests):
    mode, fill = "text", True


class TestTextInAFile(InAFile, VectorStoreIntegrationTests):
    mode, fill = "text", True


@functools.cache
def minilm():
    return MiniLMEmbeddingFunction()


class TestEmbeddingsUnit(EmbeddingsUnitTests):
    @property
    def embeddings_class(self):
        return ElanusEmbeddings

    @property
    def embedding_model_params(self):
        return {"function": minilm()}


class TestEmbeddingsIntegration(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self):
        return ElanusEmbeddings

    @property
    def embedding_model_params(self):
        return {"function": minilm()}


class Retrieving:
    """Both retrievers, over a store that holds five documents with the word."""

    @pytest.fixture(autouse=True)
    def filled(self):
        embedding = DeterministicFakeEmbedding(size=6)
        with ElanusVectorStore(embedding, uri=":memory:", mode=self.mode) as self.store:
            self.store.add_texts([f"kite number {i}" for i in range(5)])
            yield

    @property
    def retriever_query_example(self):
        return "kite"


class OwnRetriever(Retrieving):
    @property
    def retriever_constructor(self):
        return ElanusRetriever

    @property
    def retriever_constructor_params(self):
        return {"vectorstore": self.store, "mode": self.mode}


class TestHybridRetriever(OwnRetriever, RetrieversIntegrationTests):
    mode = "hybrid"


class TestDenseRetriever(OwnRetriever, RetrieversIntegrationTests):
    mode = "dense"


class TestTextRetriever(OwnRetriever, RetrieversIntegrationTests):
    mode = "text"


class StoreRetriever(Retrieving):
    # VectorStoreRetriever takes k among its search_kwargs, where the suite gives it by itself.
    @property
    def retriever_constructor(self):
        least = self.least

        def construct(k=4, **_):
            retriever = self.store.as_retriever(
                search_type=self.search_type,
                search_kwargs={"k": k} | ({} if least is None else {"score_threshold": least}),
            )
            assert isinstance(retriever, VectorStoreRetriever)
            return retriever

        return construct

    least = None


class TestSimilarityRetriever(StoreRetriever, RetrieversIntegrationTests):
    mode, search_type = "hybrid", "similarity"


class TestDiverseRetriever(StoreRetriever, RetrieversIntegrationTests):
    mode, search_type = "hybrid", "mmr"


class TestThresholdRetriever(StoreRetriever, RetrieversIntegrationTests):
    mode, search_type = "hybrid", "similarity_score_threshold"
    least = 0.01
