"""SPLADE vectors, compared with the published formula on the same network's outputs."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
import transformers

from elanus import CollectionSchema, DataType, MilvusClient
from elanus.errors import MissingExtraError, ParamError
from elanus_embeddings import SpladeEmbeddingFunction

TEXTS = ["ice moves", "", "the owl sleeps and the kite hovers", "bread"]


@pytest.fixture(scope="module")
def splade(splade_folder):
    return SpladeEmbeddingFunction(str(splade_folder))


@pytest.fixture(scope="module")
def oracle(splade_folder):
    """The maximum over tokens of ln(1 + relu(logit)), one text at a time."""
    network = transformers.AutoModelForMaskedLM.from_pretrained(splade_folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(splade_folder)

    def encode(text):
        with torch.no_grad():
            logits = network(**tokenizer(text, return_tensors="pt")).logits[0].double()
        return torch.log1p(torch.relu(logits)).max(dim=0).values.numpy()

    return encode


def test_vectors_are_those_of_the_formula(splade, oracle):
    matrix = splade.encode_documents(TEXTS)
    assert matrix.shape == (len(TEXTS), splade.dim)
    assert np.abs(matrix.toarray() - [oracle(text) for text in TEXTS]).max() < 1e-5
    assert np.abs((splade.encode_queries(TEXTS) - matrix).toarray()).max() < 1e-6


def test_matrices_hold_no_explicit_zeros_and_sorted_columns(splade):
    matrix = splade(TEXTS)
    assert matrix.format == "csr"
    assert (matrix.data > 0).all()
    assert matrix.has_sorted_indices
    assert matrix.nnz < matrix.shape[0] * matrix.shape[1]


def test_only_the_k_largest_entries_are_kept_of_each_kind(splade_folder, oracle):
    cut = SpladeEmbeddingFunction(str(splade_folder), k_tokens_query=2, k_tokens_document=3)
    for encode, k in ((cut.encode_queries, 2), (cut.encode_documents, 3)):
        for row, text in zip(encode(TEXTS).toarray(), TEXTS, strict=True):
            expected = oracle(text)
            expected[np.argsort(-expected)[k:]] = 0
            assert np.abs(row - expected).max() < 1e-5


def test_instructions_stand_before_the_texts_of_their_kind(splade_folder, oracle):
    instructed = SpladeEmbeddingFunction(
        str(splade_folder), query_instruction="ice ", doc_instruction="bread "
    )
    assert np.abs(instructed(["moves"]).toarray() - oracle("bread moves")).max() < 1e-5
    query = instructed.encode_queries(["moves"]).toarray()
    assert np.abs(query - oracle("ice moves")).max() < 1e-5


def test_an_engine_ranks_by_the_inner_product(splade):
    schema = CollectionSchema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("words", DataType.SPARSE_FLOAT_VECTOR)
    matrix = splade.encode_documents(TEXTS)
    query = splade.encode_queries(["the owl hovers"])
    with MilvusClient(":memory:") as client:
        indexes = client.prepare_index_params()
        indexes.add_index("words", "SPARSE_INVERTED_INDEX", metric_type="IP")
        client.create_collection("c", schema=schema, index_params=indexes)
        client.insert("c", [{"id": i, "words": matrix[[i]]} for i in range(len(TEXTS))])
        (hits,) = client.search("c", data=query, limit=4)
        assert client.verify() == []
    scores = (matrix.toarray().astype(float) @ query.toarray().astype(float).T)[:, 0]
    assert [hit["id"] for hit in hits] == np.argsort(-scores).tolist()


def test_whatever_changes_vectors_changes_the_name(splade_folder, splade):
    others = [
        SpladeEmbeddingFunction(str(splade_folder), **changed).name
        for changed in (
            {"k_tokens_query": 2},
            {"k_tokens_document": 2},
            {"query_instruction": "q"},
            {"doc_instruction": "q"},
        )
    ]
    assert len({splade.name, *others}) == 5


def test_a_model_that_cannot_predict_words_is_refused(plain_bert_folder):
    with pytest.raises(ParamError, match="is no SPLADE model"):
        SpladeEmbeddingFunction(str(plain_bert_folder))


def test_a_model_that_is_not_here_is_not_fetched_unasked(no_network):
    with pytest.raises(ParamError, match=r"is not on this machine.*download=True"):
        SpladeEmbeddingFunction()


def test_a_missing_package_is_named_with_its_extra(monkeypatch, splade_folder):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"elanus-embeddings\[sentence-transformers\]"):
        SpladeEmbeddingFunction(str(splade_folder))


@pytest.mark.parametrize("name", ["batch_size", "k_tokens_query", "k_tokens_document"])
def test_a_size_below_one_is_refused_by_its_name(splade_folder, name):
    with pytest.raises(ParamError, match=f"{name} must be a whole number of at least 1"):
        SpladeEmbeddingFunction(str(splade_folder), **{name: 0})
