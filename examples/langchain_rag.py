"""Answer questions from one file, with LangChain: retriever, prompt, chat model.

    python examples/langchain_rag.py

The chat model is a fake one that gives prepared answers, so that this runs without a key and
without a network: put a real one in its place. Retrieval is real: hybrid search, with the
all-MiniLM-L6-v2 model and BM25, over an index in memory.
"""

from __future__ import annotations

from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda, RunnablePassthrough

from elanus_embeddings import MiniLMEmbeddingFunction
from langchain_elanus import ElanusRetriever, ElanusVectorStore

HANDBOOK = [
    Document(
        id="leave",
        page_content="Everybody has thirty days of leave a year. Unused days are kept until March.",
        metadata={"chapter": "time", "year": 2026},
    ),
    Document(
        id="travel",
        page_content="Journeys of less than four hours are made by train. Form T-17 refunds them.",
        metadata={"chapter": "travel", "year": 2026},
    ),
    Document(
        id="travel-2019",
        page_content="Journeys are refunded with form T-3, which the office keeps.",
        metadata={"chapter": "travel", "year": 2019},
    ),
    Document(
        id="keys",
        page_content="Lost keys are reported to the porter, who changes the lock within a day.",
        metadata={"chapter": "house", "year": 2026},
    ),
]
QUESTIONS = {
    "How many holidays do I get?": "Thirty days a year.",
    "Which form refunds a train ticket?": "Form T-17.",
}
PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", "Answer from these passages only:\n{passages}"),
        ("human", "{question}"),
    ]
)


def main() -> None:
    """Index the handbook, then ask it."""
    embedding = MiniLMEmbeddingFunction()
    with ElanusVectorStore(embedding, uri=":memory:") as store:
        store.add_documents(HANDBOOK)
        retriever = ElanusRetriever(vectorstore=store, k=2, filter={"year": {"$gte": 2025}})
        chain = make_chain(retriever, FakeListChatModel(responses=list(QUESTIONS.values())))
        for question in QUESTIONS:
            print(f"> {question}")
            for document in retriever.invoke(question, explain=True):
                print(f"  {describe(document)}")
            print(f"  {chain.invoke(question)}\n")


def make_chain(retriever: ElanusRetriever, model: FakeListChatModel) -> Runnable[str, str]:
    """Question in, answer out."""
    passages = retriever | RunnableLambda(join)
    inputs = {"passages": passages, "question": RunnablePassthrough()}
    return inputs | PROMPT | model | StrOutputParser()


def join(documents: list[Document]) -> str:
    """The passages as the prompt shows them."""
    return "\n".join(f"[{document.id}] {document.page_content}" for document in documents)


def describe(document: Document) -> str:
    """Which document, and what each leg of the search thought of it."""
    said = document.metadata["_elanus"]
    legs = ", ".join(f"{leg['leg']} {leg['contribution']:.2f}" for leg in said["legs"])
    return f"[{document.id}] relevance {said['relevance']:.2f}: {legs}"


if __name__ == "__main__":
    main()
