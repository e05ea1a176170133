"""Tokens as the models count them, which chunks are measured by."""

from __future__ import annotations

import numpy as np
import pytest

from elanus.chunking import chunk_text
from elanus.errors import ParamError
from elanus_embeddings import CachedEmbeddingFunction

TEXT = "Kites soar over internationalization, Straße 机器学习 and x.y. " * 60


def test_tokens_are_counted_without_special_ones(minilm):
    assert minilm.max_tokens == 254
    assert minilm.count_tokens("the black kites") == len(["the", "black", "kit", "##es"])
    assert minilm.count_tokens("") == 0


def test_the_model_reads_every_chunk_whole(minilm):
    found = [each.text for each in chunk_text(TEXT, count=minilm)]
    assert len(found) > 1
    assert minilm.split_documents(found) == [[text] for text in found]
    # And they are as long as they can be: another sentence would be too much.
    assert min(minilm.count_tokens(text) for text in found[:-1]) > 254 - 25


def test_a_cache_counts_as_the_function_in_it(minilm):
    with CachedEmbeddingFunction(minilm, ":memory:") as cached:
        assert (cached.max_tokens, cached.count_tokens("the black kites")) == (254, 4)
        assert chunk_text(TEXT, count=cached) == chunk_text(TEXT, count=minilm)


def test_a_cache_of_a_function_that_does_not_count_says_so():
    class Other:
        name, dim = "other", 2

        def encode_documents(self, texts):
            return np.zeros((len(texts), 2), np.float32)

        encode_queries = encode_documents

    with CachedEmbeddingFunction(Other(), ":memory:") as cached:
        assert cached.max_tokens is None
        with pytest.raises(ParamError, match="does not count tokens"):
            cached.count_tokens("x")
