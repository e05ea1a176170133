"""``group_by`` in every mode, by ``query`` and by a retriever of an index."""

from __future__ import annotations

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.vector_stores import VectorStoreQuery

from elanus import ParamError

MODES = ["default", "sparse", "text_search", "hybrid", "semantic_hybrid", "mmr"]


@pytest.fixture
def filled(store, make_node):
    texts = ["red kite", "red kite soars", "a kite", "barn kite", "owl and kite"]
    store.add(
        [
            make_node(name, [1.0, i / 4, 0.5], text, source=name, book=book)
            for i, (name, text, book) in enumerate(zip("uvwxy", texts, "aabbc", strict=True))
        ]
    )
    return store


def asked(mode, k):
    return VectorStoreQuery(
        query_embedding=[1.0, 0.1, 0.2], query_str="red kite", similarity_top_k=k, mode=mode
    )


@pytest.mark.parametrize("mode", MODES)
def test_only_the_best_node_of_a_group_is_found(filled, mode):
    whole = filled.query(asked(mode, 5))
    best = {}
    for node, similarity in zip(whole.nodes, whole.similarities, strict=True):
        best.setdefault(node.metadata["book"], (node.node_id, similarity))
    if mode == "mmr":  # another choice, among other nodes
        assert sorted(filled.query(asked(mode, 5), group_by="book").ids) == ["u", "w", "y"]
        return
    for k in (1, 2, 5):
        found = filled.query(asked(mode, k), group_by="book")
        assert list(zip(found.ids, found.similarities, strict=True)) == list(best.values())[:k]


def test_a_nested_key_makes_groups(store, make_node):
    places = [{"at": {"book": "a"}}, {"at.book": "a"}, {"at": {"book": "b"}}]
    store.add(
        [
            make_node(name, [1.0, i / 4, 0.5], "red kite", **place)
            for i, (name, place) in enumerate(zip("uvw", places, strict=True))
        ]
    )
    assert store.query(asked("hybrid", 3), group_by="at.book").ids == ["u", "w"]


def test_a_retriever_hands_it_on(filled, embed_model):
    with pytest.raises(ParamError, match="group_by must be a metadata key"):
        filled.query(asked("hybrid", 2), group_by=1)
    index = VectorStoreIndex.from_vector_store(filled, embed_model)
    retriever = index.as_retriever(
        vector_store_query_mode="text_search",
        similarity_top_k=2,
        vector_store_kwargs={"group_by": "book"},
    )
    assert [hit.node_id for hit in retriever.retrieve("red kite")] == ["u", "w"]
