"""Equality with sentence-transformers, which runs the same weights in torch."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest

PHRASES = [
    "",
    " ",
    "\n\t\u00a0",
    "a",
    "UPPER lower MiXeD",
    "naïve café, Ångström, Straße, İstanbul",
    "naive cafe\u0301 with a combining accent",
    "机器学习是人工智能的一个分支。",
    "これは日本語の文章です。",
    "한국어 문장입니다",
    "Привет, мир! Ελληνικά עברית العربية हिन्दी",
    "👩‍👩‍👧‍👦 🏳️‍🌈 😀 emoji",
    "zero\u200bwidth \ufeffmark \ufffd replacement \x00 null \x07 bell",
    "https://example.com/a?b=c&d=%20#frag user@example.org",
    "3.14159, -2e10, 1/2, 50 %, $9.99, (x+y)**2 == x**2 + 2*x*y + y**2",
    "def f(x):\n    return {'a': [x, x**2]}  # code",
    "[CLS] [SEP] [PAD] [MASK] [UNK] special tokens",
    "x" * 99,
    "x" * 101,
    "Pneumonoultramicroscopicsilicovolcanoconiosis antidisestablishmentarianism",
]


def _texts():
    """200 texts of 0 to 600 words, from phrases and from a vocabulary with rare characters."""
    rng = random.Random(20)
    letters = "etaoinshrdlucmfwypvbgkqjxz" * 4 + "äéñøß字語ж한.,;'-0123456789"
    words = ["".join(rng.choices(letters, k=rng.randint(1, 9))) for _ in range(400)]
    words += [
        "the",
        "of",
        "and",
        "to",
        "in",
        "is",
        "ice",
        "glacier",
        "moves",
        "bread",
        "time",
        "sea",
        "search",
        "vector",
    ] * 40
    lengths = [600, 599, 300, 255, 254, 253, 128, 1, 1, 2]
    lengths += [min(600, int(rng.expovariate(1 / 40)) + 1) for _ in range(170)]
    return PHRASES + [" ".join(rng.choices(words, k=n)) for n in lengths]


TEXTS = _texts()


@pytest.fixture(scope="module")
def expected(model_folder):
    """What sentence-transformers says."""
    with warnings.catch_warnings():
        # Its import and torch's warn about themselves; that is no concern of these tests.
        warnings.simplefilter("ignore")
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - warns

        model = SentenceTransformer(str(model_folder), device="cpu", local_files_only=True)
        assert model.max_seq_length == 256
        return model.encode(TEXTS, batch_size=16, show_progress_bar=False)


@pytest.fixture(scope="module")
def vectors(minilm):
    return minilm.encode_documents(TEXTS)


def test_every_vector_equals_that_of_sentence_transformers(vectors, expected):
    assert len(TEXTS) == 200
    assert vectors.shape == expected.shape
    assert np.abs(vectors - expected).max() <= 1e-5


def test_every_text_ranks_the_others_as_sentence_transformers_does(vectors, expected):
    ours, theirs = (v.astype(np.float64) @ v.T.astype(np.float64) for v in (vectors, expected))
    order = np.argsort(-theirs, axis=1)
    steps = np.diff(np.take_along_axis(ours, order, axis=1), axis=1)
    # Texts may change places only where rounding alone separates them.
    assert steps.max() < 5e-6


def test_similar_texts_are_not_all_there_is(expected):
    """The equality above would mean little if all vectors were alike."""
    similarities = expected @ expected.T
    assert similarities.min() < 0.2
