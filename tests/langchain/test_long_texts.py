"""``ElanusEmbeddings`` gives the vectors that a store gives to long and blank texts."""

from __future__ import annotations

import asyncio
import warnings
from functools import partial

import numpy as np
import pytest
from reading import Reader

from elanus import DocumentStore, LongTextWarning, ParamError
from elanus.errors import EmbeddingError
from langchain_elanus import ElanusEmbeddings

TEXTS = ["a b", "a b c d e f g h", "", "b c", " \n", "h g f e d c b a " * 50]


def stored(function):
    with DocumentStore(":memory:", function) as store:
        ids = store.add(TEXTS)
        return np.array([d.vector for d in store.get(ids, with_vectors=True)])


@pytest.mark.parametrize("how", ["parts", "cut"])
async def test_documents_have_the_vectors_that_a_store_gives_them(how):
    embeddings = ElanusEmbeddings(Reader(how))
    expected = stored(Reader(how))
    np.testing.assert_array_equal(np.float32(embeddings.embed_documents(TEXTS)), expected)
    np.testing.assert_array_equal(np.float32(await embeddings.aembed_documents(TEXTS)), expected)
    assert [bool(row.any()) for row in expected] == [True, True, False, True, False, True]
    # What a mean over the parts of a b, c d, e f, g h is: here all components are words.
    whole = (
        Reader.vector("a b") + Reader.vector("c d") + Reader.vector("e f") + Reader.vector("g h")
    )
    by_parts = whole / np.linalg.norm(whole)
    assert np.allclose(expected[1], by_parts if how == "parts" else Reader.vector("a b"))
    assert all("" not in map(str.strip, texts) for texts in embeddings.function.calls)
    assert len(embeddings.embed_query("a b c")) == Reader.dim


async def test_long_texts_are_warned_of_once():
    embeddings = ElanusEmbeddings(Reader())
    with pytest.warns(LongTextWarning, match="2 of 6 texts are longer than 'reader' reads"):
        await embeddings.aembed_documents(TEXTS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        embeddings.embed_documents(TEXTS)
    with pytest.raises(ParamError, match="embedding 'reader': long_texts must be 'parts' or 'cut'"):
        ElanusEmbeddings(Reader("some"))


async def test_no_texts_ask_for_nothing():
    class Learning(Reader):
        known = True

        @property
        def dim(self):
            if not self.known:
                raise ParamError("it is not known before the first answer")
            return Reader.dim

    embeddings = ElanusEmbeddings(Learning())
    embeddings.function.known = False
    assert embeddings.embed_documents([]) == await embeddings.aembed_documents([]) == []
    assert len(embeddings.embed_documents(["", "a"])[0]) == Reader.dim
    with pytest.raises(ParamError, match="not known before"):
        embeddings.embed_documents([""])


async def test_blank_texts_alone_are_zeros_and_reach_no_function():
    embeddings = ElanusEmbeddings(Reader())
    zeros = [[0.0] * Reader.dim] * 2
    assert embeddings.embed_documents([" ", ""]) == zeros
    assert await embeddings.aembed_documents([" ", ""]) == zeros
    assert embeddings.function.calls == []


async def test_an_error_names_the_text_and_keeps_what_was_embedded_before():
    embeddings = ElanusEmbeddings(Reader("parts", bad="x y"))
    texts = ["a b", "", "a b c d", "c d x y e f", "a"]
    for embed in (
        partial(asyncio.to_thread, embeddings.embed_documents),
        embeddings.aembed_documents,
    ):
        with pytest.raises(EmbeddingError, match=r"refused texts\[3\]$") as caught:
            await embed(texts)
        assert caught.value.place == 3
        expected = Reader("parts").joined(texts[:3])
        np.testing.assert_allclose(caught.value.made, expected, atol=1e-6)
