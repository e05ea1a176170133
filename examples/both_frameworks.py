"""One file, two frameworks: LlamaIndex writes, LangChain reads and adds, LlamaIndex reads again.

Run it: ``python examples/both_frameworks.py``.
"""

from __future__ import annotations

from langchain_core.documents import Document as LangChainDocument
from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters

from elanus_embeddings import MiniLMEmbeddingFunction
from langchain_elanus import ElanusVectorStore as LangChainStore
from llama_index.vector_stores.elanus import ElanusEmbedding
from llama_index.vector_stores.elanus import ElanusVectorStore as LlamaIndexStore

FILE, COLLECTION = "shared.db", "birds"
QUESTION = "Which bird hunts in the dark?"


def main() -> None:
    """Write with one framework, read with the other, and the other way round."""
    model = MiniLMEmbeddingFunction()

    written = LlamaIndexStore(FILE, COLLECTION, overwrite=True)
    documents = [
        Document(id_="owl", text="Owls hunt at night.", metadata={"by": "LlamaIndex"}),
        Document(id_="kite", text="Kites soar all day.", metadata={"by": "LlamaIndex"}),
    ]
    index = VectorStoreIndex.from_documents(
        documents,
        storage_context=StorageContext.from_defaults(vector_store=written),
        embed_model=ElanusEmbedding(model),
    )

    with LangChainStore(model, uri=FILE, collection_name=COLLECTION) as read:
        for hit in read.similarity_search(QUESTION, k=1, filter={"by": "LlamaIndex"}):
            print(f"LangChain found: {hit.page_content}")
        text = "The nightjar catches moths after sunset."
        read.add_documents([LangChainDocument(text, id="nightjar", metadata={"by": "LangChain"})])

    filters = MetadataFilters(filters=[MetadataFilter(key="by", value="LangChain")])
    retriever = index.as_retriever(vector_store_query_mode="hybrid", filters=filters)
    for found in retriever.retrieve(QUESTION):
        print(f"LlamaIndex found: {found.text}")
    written.close()


if __name__ == "__main__":
    main()
