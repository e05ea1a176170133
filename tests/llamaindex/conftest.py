"""A real model, a few passages, and stores that must be sound in the end."""

from __future__ import annotations

import pytest
from llama_index.core.schema import Document, NodeRelationship, RelatedNodeInfo, TextNode

from elanus_embeddings import MiniLMEmbeddingFunction
from llama_index.vector_stores.elanus import ElanusEmbedding, ElanusVectorStore

PASSAGES = {
    "kite": "Kites soar for hours on rising warm air, hardly moving their wings.",
    "falcon": "Falcons dive at their prey from above, faster than any other bird.",
    "penguin": "Penguins cannot fly; they swim after fish under the ice.",
    "owl": "Owls hunt at night and hear a mouse beneath the snow.",
    "python": "The interpreter compiles a module to bytecode before it runs it.",
}


@pytest.fixture(scope="session")
def embed_model():
    return ElanusEmbedding(MiniLMEmbeddingFunction())


@pytest.fixture
def documents():
    return [
        Document(id_=name, text=text, metadata={"topic": "code" if name == "python" else "birds"})
        for name, text in PASSAGES.items()
    ]


@pytest.fixture
def make_store():
    """Opens vector stores; at the end each one is checked and closed."""
    opened = []

    def make(uri=":memory:", **options):
        opened.append(ElanusVectorStore(uri, **options))
        return opened[-1]

    yield make
    for store in opened:
        assert store.client.verify() == []
        store.close()


@pytest.fixture
def store(make_store):
    return make_store()


@pytest.fixture
def make_node():
    def make(name, embedding, text=None, source=None, **metadata):
        links = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=source)} if source else {}
        return TextNode(
            id_=name,
            text=name if text is None else text,
            embedding=embedding,
            metadata=metadata,
            relationships=links,
        )

    return make
