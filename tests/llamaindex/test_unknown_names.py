"""A name that is not known is refused with the one that may be meant."""

from __future__ import annotations

from types import SimpleNamespace
from typing import get_type_hints

import pytest
from llama_index.core.vector_stores.types import VectorStoreQuery

from llama_index.vector_stores.elanus import (
    ElanusEmbedding,
    ElanusRerank,
    ElanusSparseEmbedding,
    ElanusVectorStore,
    _embedding,
)
from llama_index.vector_stores.elanus._embedding import EmbeddingFields, SparseFields

FUNCTION = SimpleNamespace(
    encode_documents=lambda texts: [[1.0]] * len(texts), encode_queries=list, name="m", dim=1
)


@pytest.mark.parametrize(
    ("make", "name", "meant"),
    [
        (lambda: ElanusVectorStore(":memory:", collection="x"), "collection", "collection_name"),
        (
            lambda: ElanusVectorStore(":memory:", colection_name="x"),
            "colection_name",
            "collection_name",
        ),
        (lambda: ElanusRerank(reranker=print, topn=3), "topn", "top_n"),
        (
            lambda: ElanusEmbedding(FUNCTION, embed_batchsize=3),
            "embed_batchsize",
            "embed_batch_size",
        ),
    ],
    ids=["collection", "typo", "reranker", "model"],
)
def test_a_component_names_its_fields(make, name, meant):
    says = rf"^Elanus\w+\(\) got unexpected arguments: {name}; known: .*did you mean '{meant}'\?$"
    with pytest.raises(TypeError, match=says):
        make()


@pytest.mark.parametrize(
    ("kind", "fields"),
    [(ElanusEmbedding, EmbeddingFields), (ElanusSparseEmbedding, SparseFields)],
)
def test_type_checkers_know_every_field_of_a_model(kind, fields):
    known = get_type_hints(fields, vars(_embedding))
    assert kind.model_fields.keys() - {"function", "model_name"} <= known.keys()
    assert "class_name" in known


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("limt", "similarity_top_k, .*"),
        ("limit", ".*; did you mean 'similarity_top_k'[?]"),
        ("expr", ".*; did you mean 'filters'[?]"),
        ("node_id", ".*; did you mean 'node_ids'[?]"),
        ("min_relevanc", ".*; did you mean 'min_relevance'[?]"),
    ],
)
def test_a_query_names_its_options_and_its_fields(wrong, hint):
    says = rf"^query: unknown arguments {wrong}; known: .*VectorStoreQuery: .*{hint}$"
    with pytest.raises(TypeError, match=says):
        ElanusVectorStore(":memory:").query(VectorStoreQuery(query_str="a"), **{wrong: 3})


def test_what_is_serialised_is_loaded():
    again = ElanusRerank.from_dict(ElanusRerank(reranker=print, top_n=3).to_dict(), reranker=print)
    assert again.top_n == 3
    model = ElanusEmbedding(FUNCTION, embed_batch_size=7)
    assert ElanusEmbedding.from_dict(model.to_dict(), function=FUNCTION).embed_batch_size == 7
