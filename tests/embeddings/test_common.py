"""What all embedding functions that run on this machine have in common."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from elanus.errors import ParamError
from elanus_embeddings import (
    BM25EmbeddingFunction,
    CachedEmbeddingFunction,
    EmbeddingFunction,
    Model2VecEmbeddingFunction,
    SentenceTransformerEmbeddingFunction,
    SpladeEmbeddingFunction,
)

TEXTS = ["ice moves", "", "the bread rises", "the owl sleeps and the kite hovers"]
SORTS = ["minilm", "sentence_transformer", "model2vec", "splade", "bm25", "cached"]
LIBRARY_BARS = {"sentence_transformer", "model2vec", "splade"}


@pytest.fixture(scope="module")
def functions(minilm, plain_bert_folder, static_folder, splade_folder):
    return {
        "minilm": minilm,
        "sentence_transformer": SentenceTransformerEmbeddingFunction(str(plain_bert_folder)),
        "model2vec": Model2VecEmbeddingFunction(static_folder),
        "splade": SpladeEmbeddingFunction(str(splade_folder)),
        "bm25": BM25EmbeddingFunction(corpus=TEXTS),
        "cached": CachedEmbeddingFunction(minilm, ":memory:"),
    }


@pytest.fixture(params=SORTS)
def function(request, functions):
    return functions[request.param]


def rows(encoded):
    return np.asarray(encoded if isinstance(encoded, np.ndarray) else encoded.toarray())


def test_it_fulfils_the_protocol(function):
    assert isinstance(function, EmbeddingFunction)
    assert isinstance(function.name, str)
    assert function.name
    assert repr(function).startswith(f"{type(function).__name__}(")


def test_there_is_a_float32_row_of_dim_components_for_every_text(function):
    for encode in (function.encode_documents, function.encode_queries, function):
        assert rows(encode(TEXTS)).shape == (len(TEXTS), function.dim)
        assert rows(encode(TEXTS)).dtype == np.float32


def test_no_texts_give_no_rows_of_the_right_width(function):
    for encode in (function.encode_documents, function.encode_queries):
        assert rows(encode([])).shape == (0, function.dim)


def test_a_call_encodes_documents(function):
    assert np.array_equal(rows(function(TEXTS)), rows(function.encode_documents(TEXTS)))


def test_rows_follow_the_order_of_the_texts(function):
    encoded = rows(function.encode_documents(TEXTS))
    turned = rows(function.encode_documents(TEXTS[::-1]))
    assert np.abs(turned[::-1] - encoded).max() < 1e-5
    assert np.abs(encoded[0] - encoded[2]).max() > 1e-3


def test_coroutines_give_what_the_calls_give_in_one_loop_after_another(function):
    async def both():
        return await asyncio.gather(
            function.aencode_documents(TEXTS), function.aencode_queries(TEXTS)
        )

    for _ in range(2):
        documents, queries = asyncio.run(both())
        assert np.abs(rows(documents) - rows(function.encode_documents(TEXTS))).max() < 1e-6
        assert np.abs(rows(queries) - rows(function.encode_queries(TEXTS))).max() < 1e-6


@pytest.mark.parametrize("sort", [s for s in SORTS if s != "cached"])
def test_the_event_loop_goes_on_while_texts_are_encoded(functions, sort, monkeypatch):
    function, loop_went_on = functions[sort], threading.Event()

    def wait(self, texts, kind, *, progress):
        assert loop_went_on.wait(timeout=30)
        return kind

    async def encode():
        waiting = [function.aencode_documents(TEXTS), function.aencode_queries(TEXTS)]
        both = asyncio.gather(*waiting)
        await asyncio.sleep(0)
        loop_went_on.set()
        return await both

    monkeypatch.setattr(type(function), "_encode", wait)
    assert asyncio.run(encode()) == ["document", "query"]


@pytest.mark.parametrize("sort", [s for s in SORTS if s not in LIBRARY_BARS])
def test_progress_is_shown_on_standard_error_and_only_if_asked_for(functions, sort, capsys):
    functions[sort].encode_documents(["ice", "bread"])
    assert capsys.readouterr() == ("", "")
    functions[sort].encode_documents(["a new text", "and one more"], progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.endswith(f"[{'#' * 30}] 2 of 2 texts\n")


@pytest.mark.parametrize("sort", sorted(LIBRARY_BARS))
def test_libraries_show_their_own_bars_and_only_if_asked_for(functions, sort, capsys):
    functions[sort].encode_documents(["ice", "bread"])
    assert capsys.readouterr() == ("", "")
    functions[sort].encode_documents(["ice", "bread"], progress=True)
    assert "100%" in capsys.readouterr().err


@pytest.mark.parametrize("texts", ["a bare string", b"bytes", None, 7, {"a": 1}])
def test_anything_but_a_list_of_texts_is_refused(function, texts):
    with pytest.raises(ParamError, match=f"must be a list of strings, not {type(texts).__name__}"):
        function.encode_documents(texts)
    with pytest.raises(ParamError, match=f"must be a list of strings, not {type(texts).__name__}"):
        asyncio.run(function.aencode_queries(texts))


def test_an_item_that_is_no_text_is_refused_by_its_index(function):
    with pytest.raises(ParamError, match=r"texts\[1\] must be a string, not int"):
        function.encode_queries(["fine", 3])
    with pytest.warns(UserWarning, match=r"texts\[1\] held surrogates"):
        assert rows(function.encode_documents(["fine", "half \ud83d"])).shape[0] == 2
