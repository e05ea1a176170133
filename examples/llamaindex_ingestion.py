"""A LlamaIndex ingestion pipeline that embeds only what is new or changed.

Run it twice: ``python examples/llamaindex_ingestion.py``. The document store remembers what was
ingested, in the same file; the vector store drops the nodes of what changed or vanished.
"""

from __future__ import annotations

from llama_index.core import Document
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.vector_stores import VectorStoreQuery
from llama_index.core.vector_stores.types import VectorStoreQueryMode

from elanus_embeddings import MiniLMEmbeddingFunction
from llama_index.vector_stores.elanus import (
    ElanusDocumentStore,
    ElanusEmbedding,
    ElanusVectorStore,
)

NOTES = {
    "kites.md": "Kites soar on warm air. They steer with their tails.",
    "owls.md": "Owls hunt at night. They hear a mouse beneath the snow.",
    "penguins.md": "Penguins cannot fly. They swim after fish.",
}


def make_pipeline(store: ElanusVectorStore) -> IngestionPipeline:
    """Split, embed, store; with a document store, so that unchanged documents are left alone."""
    return IngestionPipeline(
        transformations=[
            SentenceSplitter(chunk_size=128, chunk_overlap=0),
            ElanusEmbedding(MiniLMEmbeddingFunction()),
        ],
        vector_store=store,
        docstore=ElanusDocumentStore(store),
        docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
        disable_cache=True,
    )


def ingest(pipeline: IngestionPipeline, notes: dict[str, str]) -> None:
    """Bring the store to what the notes are now."""
    documents = [Document(id_=name, text=text) for name, text in notes.items()]
    nodes = pipeline.run(documents=documents)
    changed = sorted({node.ref_doc_id or "" for node in nodes})
    print(f"{len(documents)} documents, embedded: {', '.join(changed) or 'nothing'}")


def main() -> None:
    """Ingest, change one note, remove another, and ingest again."""
    store = ElanusVectorStore("notes.db")
    pipeline = make_pipeline(store)
    ingest(pipeline, NOTES)
    ingest(pipeline, NOTES)
    ingest(pipeline, {"kites.md": NOTES["kites.md"], "owls.md": "Owls swallow a mouse whole."})

    found = store.query(
        VectorStoreQuery(
            query_str="a mouse", mode=VectorStoreQueryMode.TEXT_SEARCH, similarity_top_k=3
        )
    )
    for node in found.nodes or ():
        print(f"{node.ref_doc_id}: {node.get_content()}")
    store.close()


if __name__ == "__main__":
    main()
