"""BGE-M3 through a stand-in for FlagEmbedding, which has the members that its documentation names.

The real package and its weights (2.3 GB) are not installed for the tests.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from elanus.errors import MissingExtraError, ParamError
from elanus_embeddings import BGEM3EmbeddingFunction

VOCABULARY = 50
TEXTS = ["ice moves", "", "bread", "the owl", "kite kite"]


class StandIn:
    """``BGEM3FlagModel``: dense vectors by length of text, a lexical weight for each word."""

    def __init__(self, model_name_or_path, **settings):
        self.source, self.settings, self.calls = model_name_or_path, settings, []
        self.tokenizer = range(VOCABULARY)
        self.model = SimpleNamespace(
            model=SimpleNamespace(config=SimpleNamespace(hidden_size=4)),
            colbert_linear=SimpleNamespace(out_features=3),
        )

    def _encode(self, kind, texts, batch_size, return_dense, return_sparse, return_colbert_vecs):
        assert 0 < len(texts) <= batch_size
        self.calls.append((kind, list(texts)))
        weights = [{str(len(w)): np.float16(0.5) for w in t.split()} for t in texts]
        tokens = [np.full((len(t.split()), 3), len(t), np.float16) for t in texts]
        return {
            "dense_vecs": np.array([[len(t)] * 4 for t in texts], np.float16)
            if return_dense
            else None,
            "lexical_weights": weights if return_sparse else None,
            "colbert_vecs": tokens if return_colbert_vecs else None,
        }

    def encode_queries(self, texts, **options):
        return self._encode("query", texts, **options)

    def encode_corpus(self, texts, **options):
        return self._encode("document", texts, **options)


@pytest.fixture
def package(monkeypatch):
    module = ModuleType("FlagEmbedding")
    module.BGEM3FlagModel = StandIn
    monkeypatch.setitem(sys.modules, "FlagEmbedding", module)


def test_documents_have_dense_and_sparse_rows_in_order(package, tmp_path):
    found = BGEM3EmbeddingFunction(str(tmp_path), batch_size=2).encode_documents(TEXTS)
    assert sorted(found) == ["dense", "sparse"]
    assert found["dense"].tolist() == [[len(text)] * 4 for text in TEXTS]
    assert found["dense"].dtype == found["sparse"].dtype == np.float32
    expected = np.zeros((len(TEXTS), VOCABULARY))
    for row, text in enumerate(TEXTS):
        for word in text.split():
            expected[row, len(word)] = 0.5
    assert np.array_equal(found["sparse"].toarray(), expected)
    assert found["sparse"].format == "csr"


def test_token_vectors_come_if_asked_for_and_alone(package, tmp_path):
    function = BGEM3EmbeddingFunction(
        str(tmp_path), return_dense=False, return_sparse=False, return_colbert_vecs=True
    )
    found = function(TEXTS)
    assert list(found) == ["colbert_vecs"]
    assert [rows.shape for rows in found["colbert_vecs"]] == [(len(t.split()), 3) for t in TEXTS]


def test_no_texts_give_no_rows_of_the_right_width(package, tmp_path):
    found = BGEM3EmbeddingFunction(str(tmp_path), return_colbert_vecs=True)([])
    assert found["dense"].shape == (0, 4)
    assert found["sparse"].shape == (0, VOCABULARY)
    assert found["colbert_vecs"] == []


def test_kinds_and_settings_reach_the_package_in_batches(package, tmp_path):
    function = BGEM3EmbeddingFunction(
        str(tmp_path), batch_size=3, device="cpu", use_fp16=True, query_max_length=64
    )
    function.encode_queries(TEXTS)
    function(["x"])
    model = function._model
    assert model.calls == [("query", TEXTS[:3]), ("query", TEXTS[3:]), ("document", ["x"])]
    assert model.source == str(tmp_path)
    assert model.settings == {
        "devices": "cpu",
        "normalize_embeddings": True,
        "use_fp16": True,
        "query_max_length": 64,
    }


def test_dim_has_a_number_for_each_sort_of_vector(package, tmp_path):
    dims = BGEM3EmbeddingFunction(str(tmp_path)).dim
    assert dims == {"dense": 4, "sparse": VOCABULARY, "colbert_vecs": 3}


def test_whatever_changes_vectors_changes_the_name(package, tmp_path):
    changes = [{}, {"normalize_embeddings": False}, {"query_max_length": 64}]
    names = {BGEM3EmbeddingFunction(str(tmp_path), **changed).name for changed in changes}
    assert len(names) == 3
    assert BGEM3EmbeddingFunction(str(tmp_path), cache_dir="x", devices="cpu").name in names


def test_asking_for_nothing_is_refused(package, tmp_path):
    with pytest.raises(ParamError, match="one of return_dense, return_sparse"):
        BGEM3EmbeddingFunction(str(tmp_path), return_dense=False, return_sparse=False)


def test_a_model_that_is_not_here_is_not_fetched_unasked(package, no_network):
    with pytest.raises(ParamError, match=r"'BAAI/bge-m3' is not on this machine.*download=True"):
        BGEM3EmbeddingFunction()


def test_a_missing_package_is_named_with_its_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "FlagEmbedding", None)
    with pytest.raises(MissingExtraError, match=r"elanus-embeddings\[bge-m3\]"):
        BGEM3EmbeddingFunction(str(tmp_path))
