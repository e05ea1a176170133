"""A small deterministic model of LangChain's kind, and stores that must be sound in the end."""

from __future__ import annotations

import contextlib
import math
import re
import zlib

import pytest
from langchain_core.embeddings import Embeddings

from elanus.errors import ClosedError
from langchain_elanus import ElanusVectorStore

DIM = 32


class WordEmbeddings(Embeddings):
    """A bag of hashed words on the unit sphere; counts how it is asked."""

    def __init__(self, model="words"):
        self.model = model
        self.calls = []

    def embed_documents(self, texts):
        self.calls.append(("embed_documents", len(texts)))
        return [self.vector(text) for text in texts]

    def embed_query(self, text):
        self.calls.append(("embed_query", 1))
        return self.vector(text)

    async def aembed_documents(self, texts):
        self.calls.append(("aembed_documents", len(texts)))
        return [self.vector(text) for text in texts]

    async def aembed_query(self, text):
        self.calls.append(("aembed_query", 1))
        return self.vector(text)

    @staticmethod
    def vector(text):
        row = [0.0] * DIM
        for word in re.findall(r"\w+", text.lower()):
            row[zlib.crc32(word.encode()) % DIM] += 1.0
        length = math.sqrt(sum(x * x for x in row))
        return [x / length for x in row] if length else row


@pytest.fixture
def embeddings():
    return WordEmbeddings()


@pytest.fixture
def make_embeddings():
    return WordEmbeddings


@pytest.fixture
def make_store(embeddings):
    """Opens vector stores; at the end each that is still open is checked and closed."""
    opened = []

    def make(embedding=embeddings, **options):
        if "store" not in options:
            options = {"uri": ":memory:", **options}
        opened.append(ElanusVectorStore(embedding, **options))
        return opened[-1]

    yield make
    for store in opened:
        with contextlib.suppress(ClosedError):
            assert store.client.verify() == []
        store.close()


@pytest.fixture
def store(make_store):
    return make_store()
