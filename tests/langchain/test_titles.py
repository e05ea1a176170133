"""Titles: their words lift the documents that have them."""

from __future__ import annotations

import math

import pytest
from langchain_core.documents import Document

from elanus import DocumentStore, ParamError, SearchSettings
from langchain_elanus import ElanusVectorStore

# BM25 with k1 = 1.2, b = 0.75. Both texts have the word, and are as long as all are on average; of
# the two titles one is empty, so that the other is twice as long as the average.
TEXT_SCORE = math.log(1 + 0.5 / 2.5)
TITLE_SCORE = math.log(1 + 1.5 / 1.5) * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2))
DOCUMENTS = [
    Document("A kite hovers.", id="a", metadata={"name": None}),
    Document("A kite hovers.", id="b", metadata={"name": "Kites"}),
]


def scores(store):
    found = store.similarity_search_with_score("kite", mode="text")
    return [(document.id, score) for document, score in found]


@pytest.fixture
def titled(make_store, tmp_path):
    made = make_store(uri=tmp_path / "kb.db", title="name")
    made.add_documents(DOCUMENTS)
    return made


def test_a_word_of_the_title_lifts_a_document(titled, make_store):
    plain = make_store()
    plain.add_documents(DOCUMENTS)
    assert scores(plain) == [("a", pytest.approx(TEXT_SCORE)), ("b", pytest.approx(TEXT_SCORE))]
    assert scores(titled) == [
        ("b", pytest.approx(TEXT_SCORE + 0.25 * TITLE_SCORE)), ("a", pytest.approx(TEXT_SCORE)),
    ]  # fmt: skip
    assert [document.id for document in titled.similarity_search("kite")] == ["b", "a"]
    titled.store.configure(SearchSettings(title_boost=3))
    assert scores(titled)[0] == ("b", pytest.approx(TEXT_SCORE + 3 * TITLE_SCORE))
    titled.update_metadata("b", remove=["name"])
    titled.update_metadata("a", {"name": "kite"})
    assert scores(titled)[0] == ("a", pytest.approx(TEXT_SCORE + 3 * TITLE_SCORE))


def test_a_collection_keeps_its_title(titled, make_store, embeddings, tmp_path):
    again = make_store(uri=tmp_path / "kb.db")
    assert scores(again) == scores(titled)
    with pytest.raises(ParamError, match="was made with title 'name', not 'other'"):
        ElanusVectorStore(embeddings, uri=tmp_path / "kb.db", title="other")
    with ElanusVectorStore.from_documents(
        DOCUMENTS, embeddings, uri=":memory:", title="name"
    ) as store:
        assert scores(store) == scores(titled)


def test_a_title_is_a_text_and_not_for_a_store_that_is_open(embeddings):
    with pytest.raises(ParamError, match=r"title must be a string, got 5"):
        ElanusVectorStore(embeddings, uri=":memory:", title=5)
    with (
        DocumentStore(":memory:", title="name") as given,
        pytest.raises(ParamError, match=r"a file to open \(title\), not both"),
    ):
        ElanusVectorStore(store=given, mode="text", title="name")
