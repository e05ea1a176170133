"""Ids made of what documents hold, and metadata that change without embedding."""

from __future__ import annotations

import pytest
from langchain_core.documents import Document

from elanus import DocumentStore, ParamError
from langchain_elanus import ElanusVectorStore

TEXTS = ["red kite", "black kite", "owl"]
YEARS = [{"year": 2024}, {"year": 2025}, {"year": 2026}]


def embedded(embeddings):
    """How many documents the model was given."""
    return sum(count for call, count in embeddings.calls if "documents" in call)


@pytest.mark.parametrize("batch_size", [None, 2])
async def test_a_document_added_twice_by_content_is_one(make_store, batch_size):
    store = make_store()
    first = store.add_texts(TEXTS, YEARS, ids="content", batch_size=batch_size)
    again = await store.aadd_texts(TEXTS, YEARS, ids="content", batch_size=batch_size)
    documents = [Document(text, metadata=year) for text, year in zip(TEXTS, YEARS, strict=True)]
    assert first == again == store.add_documents(documents, ids="content")
    assert len(store.store) == len(set(first)) == 3
    other = store.add_texts(["red kite"], [{"year": 1}], ids="content")
    assert other[0] not in first


def test_ids_are_those_of_the_store():
    with DocumentStore(":memory:") as plain:
        expected = plain.add(TEXTS, YEARS, ids="content")
    with ElanusVectorStore.from_texts(
        TEXTS, None, YEARS, ids="content", mode="text", uri=":memory:"
    ) as store:
        assert [document.id for document in store.get_by_ids(expected)] == expected


def test_what_is_stored_is_not_embedded_again(make_store, embeddings):
    store = make_store()
    store.add_texts(TEXTS, ids="content")
    embeddings.calls.clear()
    store.add_texts([*TEXTS, "heron"], ids="content")
    assert embedded(embeddings) == 1


def test_another_word_for_ids_is_refused(make_store):
    says = "ids must be a list with one entry a document, or 'content', got 'contnt'"
    with pytest.raises(ParamError, match=says):
        make_store().add_texts(TEXTS, ids="contnt")


async def test_metadata_change_without_embedding(make_store, embeddings):
    store = make_store()
    store.add_texts(TEXTS, YEARS, ids=["a", "b", "c"])
    embeddings.calls.clear()
    assert store.update_metadata(["a", "none"], {"seen": True}) == 1
    assert await store.aupdate_metadata(filter={"year": {"$gt": 2024}}, remove=["year"]) == 2
    found = [document.metadata for document in store.get_by_ids(["a", "b", "c"])]
    assert found == [{"year": 2024, "seen": True}, {}, {}]
    assert embeddings.calls == []
    with pytest.raises(ParamError, match="give ids, a filter, or both"):
        store.update_metadata(values={"seen": True})
