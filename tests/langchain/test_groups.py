"""``group_by`` and ``rerank_top`` in every search and in retrievers."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest

from elanus import ParamError
from elanus.errors import UnknownKeyWarning
from langchain_elanus import ElanusRetriever

TEXTS = ["red kite", "red kite soars", "a kite", "barn owl", "owl and kite", "ice"]
SOURCES = ["a", "a", "b", "b", "c", None]
QUERY = "red kite"


@pytest.fixture
def filled(make_store):
    store = make_store()
    metadatas = [{} if source is None else {"source": source} for source in SOURCES]
    store.add_texts(TEXTS, metadatas, ids=list("uvwxyz"))
    return store


def firsts(documents):
    best = {}
    for document in documents:
        best.setdefault(document.metadata.get("source", (document.id,)), document)
    return list(best.values())


class Result(NamedTuple):
    text: str
    score: float
    index: int


def shortest(query, documents, top_k=5):
    assert query == QUERY
    found = [Result(text, 1 / len(text), i) for i, text in enumerate(documents)]
    return sorted(found, key=lambda each: -each.score)[:top_k]


@pytest.mark.parametrize("mode", ["hybrid", "dense", "text"])
def test_a_retriever_finds_the_best_of_each_group(filled, mode):
    whole = firsts(filled.similarity_search(QUERY, 6, mode=mode))
    assert len(whole) == (3 if mode == "text" else 4)
    asked = {"group_by": "source", "mode": mode}
    for k in (2, 6):
        plain = filled.as_retriever(search_kwargs={"k": k, **asked})
        assert plain.invoke(QUERY) == asyncio.run(plain.ainvoke(QUERY)) == whole[:k]
        assert ElanusRetriever(vectorstore=filled, k=k).invoke(QUERY, **asked) == whole[:k]
    reranked = filled.as_retriever(search_kwargs={"k": 2, "reranker": shortest, **asked})
    best = sorted(whole, key=lambda each: len(each.page_content))[:2]
    assert reranked.invoke(QUERY) == asyncio.run(reranked.ainvoke(QUERY)) == best
    diverse = filled.as_retriever(search_type="mmr", search_kwargs={"k": 6, **asked})
    assert {each.id for each in diverse.invoke(QUERY)} == {each.id for each in whole}


def test_a_nested_key_makes_groups(make_store):
    store = make_store()
    books = [{"at": {"book": "a"}}, {"at.book": "a"}, {"at": {"book": "b"}}]
    store.add_texts(["red kite", "red kite soars", "a kite"], books, ids=list("uvw"))
    for mode in ("hybrid", "dense", "text"):
        found = store.similarity_search(QUERY, 3, mode=mode, group_by="at.book")
        assert [document.metadata for document in found] == [books[0], books[2]]
    with pytest.warns(UnknownKeyWarning, match="'at.bok'"):
        assert len(store.similarity_search(QUERY, 3, group_by="at.bok")) == 3


def test_a_search_by_vector_is_grouped(filled, embeddings):
    vector = embeddings.vector(QUERY)
    whole = firsts(filled.similarity_search_by_vector(vector, 6))
    assert filled.similarity_search_by_vector(vector, 3, group_by="source") == whole[:3]


def test_a_reranker_is_shown_as_many_as_are_said(filled):
    shown = []

    def counting(query, documents, top_k):
        shown.append(len(documents))
        return shortest(query, documents, top_k)

    for top in (1, 4, None):
        filled.similarity_search(QUERY, 2, mode="dense", reranker=counting, rerank_top=top)
    assert shown == [2, 4, 6]


def test_what_does_not_go_together_is_refused(filled):
    for wrong, says in (
        ({"group_by": "source", "fill": True, "mode": "text"}, "fill does not go with group_by"),
        ({"group_by": 3}, "group_by must be a metadata key"),
        ({"rerank_top": 0}, "rerank_top must be"),
    ):
        with pytest.raises(ParamError, match=says):
            filled.similarity_search(QUERY, **wrong)
