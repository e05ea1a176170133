"""A LlamaIndex query engine over one file, hybrid search, and what each hit owes to which leg.

Run it: ``python examples/llamaindex_query_engine.py "your question"``. The language model is
LlamaIndex's mock, which answers with the prompt that it was given: put your own in its place.
"""

from __future__ import annotations

import sys

from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.vector_stores import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from elanus_embeddings import MiniLMEmbeddingFunction
from llama_index.vector_stores.elanus import ElanusEmbedding, ElanusVectorStore

PASSAGES = {
    "Red kite": (
        "The red kite soars over woods and fields and steers with its forked tail.",
        ["wood", "field"],
    ),
    "Black-winged kite": (
        "The black-winged kite hovers over grassland and drops on voles.",
        ["grassland"],
    ),
    "Barn owl": (
        "The barn owl hunts at night and hears a vole beneath the snow.",
        ["field", "barn"],
    ),
    "Emperor penguin": (
        "The emperor penguin sees well in the dark water beneath the ice.",
        ["ice", "sea"],
    ),
}


def build_index(store: ElanusVectorStore) -> VectorStoreIndex:
    """Embed the passages and put them into the store."""
    documents = [
        Document(id_=name, text=text, metadata={"places": places})
        for name, (text, places) in PASSAGES.items()
    ]
    return VectorStoreIndex.from_documents(
        documents,
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=ElanusEmbedding(MiniLMEmbeddingFunction()),
    )


def main() -> None:
    """Build the index, ask it, and show where the answer comes from."""
    question = " ".join(sys.argv[1:]) or "Which bird hunts voles at night?"
    store = ElanusVectorStore("birds.db", overwrite=True)
    index = build_index(store)

    on_land = MetadataFilters(
        filters=[MetadataFilter(key="places", value="sea", operator=FilterOperator.CONTAINS)],
        condition=FilterCondition.NOT,
    )
    engine = index.as_query_engine(
        llm=MockLLM(),
        vector_store_query_mode="hybrid",
        similarity_top_k=2,
        filters=on_land,
        vector_store_kwargs={"explain": True},
    )
    answer = engine.query(question)
    print(f"> {question}\n")
    print(f"{str(answer).strip()}\n")
    for each in answer.source_nodes:
        legs = each.metadata["_elanus"]["legs"]
        ranks = ", ".join(f"{leg['leg']} {leg['contribution']:.2f}" for leg in legs)
        print(f"{each.node.ref_doc_id}: relevance {each.score:.2f} ({ranks})")
    store.close()


if __name__ == "__main__":
    main()
