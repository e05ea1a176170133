"""Static embeddings, compared with the mean of the tokens' vectors."""

from __future__ import annotations

import subprocess
import sys

import model2vec.model
import numpy as np
import pytest

from elanus.errors import MissingExtraError, ParamError
from elanus_embeddings import Model2VecEmbeddingFunction

TEXTS = ["ice moves", "the the owl sleeps", "bread"]


def mean_of_tokens(words, vectors, text):
    found = [vectors[words.index(word)].astype(float) for word in text.split()]
    mean = np.mean(found, axis=0)
    return mean / np.linalg.norm(mean)


def test_a_text_is_the_mean_of_its_tokens(static_folder, words, token_vectors):
    static = Model2VecEmbeddingFunction(static_folder)
    expected = [mean_of_tokens(words, token_vectors, text) for text in TEXTS]
    assert np.abs(static.encode_documents(TEXTS) - expected).max() < 1e-6
    assert np.array_equal(static.encode_queries(TEXTS), static.encode_documents(TEXTS))
    assert static.dim == 8


def test_a_text_without_a_known_token_is_the_zero_vector(static_folder):
    assert not Model2VecEmbeddingFunction(str(static_folder))(["", "zeppelin"]).any()


def test_further_arguments_reach_the_package_and_the_name(static_folder):
    plain = Model2VecEmbeddingFunction(static_folder)
    short = Model2VecEmbeddingFunction(static_folder, dimensionality=4)
    raw = Model2VecEmbeddingFunction(static_folder, normalize=False)
    assert short(TEXTS).shape == (3, 4)
    assert np.abs(np.linalg.norm(raw(TEXTS), axis=1) - 1).max() > 1e-2
    assert len({plain.name, short.name, raw.name}) == 3


def test_a_secret_does_not_get_into_the_name(static_folder):
    function = Model2VecEmbeddingFunction(static_folder, token="hf_secret")  # noqa: S106  # no real one
    assert "hf_secret" not in function.name + repr(function)


def test_many_texts_start_no_process(static_folder, monkeypatch):
    monkeypatch.setattr(model2vec.model, "ProgressParallel", None)
    assert len(Model2VecEmbeddingFunction(static_folder)(["ice"] * 10_001)) == 10_001


@pytest.mark.parametrize("model", ["minishlab/potion-base-8M", "/no/such/folder"])
def test_a_model_that_is_not_here_is_not_fetched_unasked(no_network, model):
    with pytest.raises(ParamError, match=f"'{model}' is not on this machine.*download=True"):
        Model2VecEmbeddingFunction(model)


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ParamError, match=f"folder '{tmp_path}' holds no model"):
        Model2VecEmbeddingFunction(tmp_path)


def test_an_empty_name_is_refused():
    with pytest.raises(ParamError, match="model_source must be a folder or a name"):
        Model2VecEmbeddingFunction("")


def test_a_missing_package_is_named_with_its_extra(monkeypatch, static_folder):
    monkeypatch.setitem(sys.modules, "model2vec", None)
    with pytest.raises(MissingExtraError, match=r"elanus-embeddings\[model2vec\]"):
        Model2VecEmbeddingFunction(static_folder)


def test_it_needs_no_torch(static_folder):
    code = (
        "import sys; from elanus_embeddings import Model2VecEmbeddingFunction as F; "
        f"assert F({str(static_folder)!r})(['ice']).any(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
