"""Keep an index in step with its sources, with LangChain's indexing API.

    python examples/langchain_indexing.py

Three runs over a small set of notes: all are new; one was changed, and the others are skipped, not
embedded again; one is gone, and so are its passages. What was indexed is remembered in the same
file as the documents, notes.db in the working folder. Delete the file to begin again.
"""

from __future__ import annotations

from langchain_core.documents import Document
from langchain_core.indexing import index

from elanus_embeddings import MiniLMEmbeddingFunction
from langchain_elanus import ElanusRecordManager, ElanusVectorStore

FIRST = {
    "garden.txt": ["Prune the apple trees in February.", "Roses like clay."],
    "kitchen.txt": ["Bread needs a hot oven and time."],
    "cellar.txt": ["The pump is tested every autumn."],
}
CHANGED = FIRST | {"garden.txt": ["Prune the apple trees in March.", "Roses like clay."]}
SMALLER = {name: passages for name, passages in CHANGED.items() if name != "cellar.txt"}


def main() -> None:
    """Index the notes three times, and show what each run did."""
    with ElanusVectorStore(MiniLMEmbeddingFunction(), uri="notes.db") as store:
        records = ElanusRecordManager("notes", store)
        records.create_schema()
        for title, notes in (("all", FIRST), ("changed", CHANGED), ("removed", SMALLER)):
            done = index(
                documents(notes),
                records,
                store,
                cleanup="full",
                source_id_key="source",
                key_encoder="sha256",
            )
            print(f"{title}: {', '.join(f'{v} {k[4:]}' for k, v in done.items())}")
        (best,) = store.similarity_search("When are fruit trees cut?", k=1)
        print(f"{best.metadata['source']}: {best.page_content}")


def documents(notes: dict[str, list[str]]) -> list[Document]:
    """One document a passage; its source says which file it is from."""
    return [
        Document(page_content=passage, metadata={"source": name})
        for name, passages in notes.items()
        for passage in passages
    ]


if __name__ == "__main__":
    main()
