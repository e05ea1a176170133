"""A small deterministic embedder, and stores that must be sound when a test ends."""

from __future__ import annotations

import contextlib
import re
import zlib

import numpy as np
import pytest

from elanus import DocumentStore
from elanus.errors import ClosedError


class HashingEmbedding:
    """A bag of hashed words on the unit sphere: texts that share words are near each other.

    Counts its calls, and fails at the document call number ``fail_at`` (from 1).
    """

    def __init__(self, dim=32, name="hashing", fail_at=None):
        self.dim = dim
        self.name = name
        self.fail_at = fail_at
        self.document_calls = 0
        self.query_calls = 0

    def encode_documents(self, texts):
        self.document_calls += 1
        if self.document_calls == self.fail_at:
            raise RuntimeError("the model is gone")
        return self._encode(texts)

    def encode_queries(self, texts):
        self.query_calls += 1
        return self._encode(texts)

    def _encode(self, texts):
        matrix = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(matrix, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                row[zlib.crc32(word.encode()) % self.dim] += 1.0
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        return matrix / np.where(lengths > 0, lengths, 1.0)


@pytest.fixture
def make_embedding():
    return HashingEmbedding


@pytest.fixture
def embedding():
    return HashingEmbedding()


@pytest.fixture
def open_store():
    """Opens stores; at the end each that is still open is checked against itself and closed."""
    stores = []

    def open_one(uri=":memory:", embedding=None, **options):
        stores.append(DocumentStore(uri, embedding, **options))
        return stores[-1]

    yield open_one
    for store in stores:
        with contextlib.suppress(ClosedError):
            try:
                assert store.verify() == []
            finally:
                store.close()


@pytest.fixture
def store(open_store, embedding):
    """An empty store in memory."""
    return open_store(embedding=embedding)


BIRDS = {
    "kite": ("The red kite soars over open hills.", {"genus": "Milvus", "grams": 1000}),
    "elanus": ("The black-winged kite hovers over grassland.", {"genus": "Elanus", "grams": 250}),
    "falcon": ("The peregrine falcon dives at its prey.", {"genus": "Falco", "grams": 900}),
    "owl": ("The barn owl hunts mice at night.", {"genus": "Tyto", "grams": 350}),
    "penguin": ("The emperor penguin dives for fish under the ice.", {"genus": "Aptenodytes"}),
}


@pytest.fixture
def birds(store):
    """A store of five documents."""
    texts, metadatas = zip(*BIRDS.values(), strict=True)
    store.add(texts, metadatas, list(BIRDS))
    return store


@pytest.fixture(scope="module")
def module_embedding():
    return HashingEmbedding()
