"""Titles: their words lift the nodes that have them."""

from __future__ import annotations

import math

import pytest
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores import VectorStoreQuery

from elanus import ParamError, SearchSettings
from llama_index.vector_stores.elanus import ElanusVectorStore

# BM25 with k1 = 1.2, b = 0.75. Both texts have the word, and are as long as all are on average; of
# the two titles one is empty, so that the other is twice as long as the average.
TEXT_SCORE = math.log(1 + 0.5 / 2.5)
TITLE_SCORE = math.log(1 + 1.5 / 1.5) * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2))


@pytest.fixture
def titled(make_store, tmp_path):
    made = make_store(tmp_path / "kb.db", title="name")
    made.add(
        [
            TextNode(id_="a", text="A kite hovers.", embedding=[1.0, 0.0], metadata={"name": None}),
            TextNode(id_="b", text="A kite hovers.", embedding=[1.0, 0.0], metadata={"name": "Kites"}),
        ]
    )  # fmt: skip
    return made


def scores(store):
    query = VectorStoreQuery(query_str="kite", mode="text_search", similarity_top_k=5)
    found = store.query(query, explain=True)
    return [(node.node_id, node.metadata["_elanus"]["score"]) for node in found.nodes]


def test_a_word_of_the_title_lifts_a_node(titled):
    assert scores(titled) == [
        ("b", pytest.approx(TEXT_SCORE + 0.25 * TITLE_SCORE)), ("a", pytest.approx(TEXT_SCORE)),
    ]  # fmt: skip
    hybrid = VectorStoreQuery(query_str="kite", query_embedding=[1.0, 1.0], mode="hybrid")
    assert titled.query(hybrid).ids == ["b"]
    titled.store.configure(SearchSettings(title_boost=3))
    assert scores(titled)[0] == ("b", pytest.approx(TEXT_SCORE + 3 * TITLE_SCORE))
    titled.update_metadata("b", remove=["name"])
    titled.update_metadata("a", {"name": "kite"})
    assert scores(titled)[0] == ("a", pytest.approx(TEXT_SCORE + 3 * TITLE_SCORE))


def test_the_title_is_kept_in_the_file_and_in_what_is_dumped(titled, make_store, tmp_path):
    assert scores(make_store(tmp_path / "kb.db")) == scores(titled)
    again = ElanusVectorStore.from_dict(titled.to_dict())
    assert again.title == "name"
    assert scores(again) == scores(titled)
    again.close()
    with pytest.raises(ParamError, match="was made with title 'name', not 'other'"):
        ElanusVectorStore(tmp_path / "kb.db", title="other")
    with pytest.raises(ParamError, match=r"title must be a string, got 5"):
        ElanusVectorStore(tmp_path / "kb.db", title=5)


def test_a_store_without_a_title_finds_texts_alone(store):
    store.add([TextNode(id_="a", text="owl", embedding=[1.0], metadata={"name": "kite"})])
    assert store.title is None
    assert scores(store) == []


def test_a_key_has_a_name():
    with pytest.raises(ParamError, match="title must be the name of a metadata key, got ''"):
        ElanusVectorStore(":memory:", title="")
