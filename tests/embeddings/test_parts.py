"""Parts of long texts: windows over tokens, and what each kind of function makes of a text."""

from __future__ import annotations

import itertools
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from elanus import DocumentStore, LongTextWarning, SplittingEmbeddingFunction
from elanus.errors import ParamError
from elanus_embeddings import (
    CachedEmbeddingFunction,
    MiniLMEmbeddingFunction,
    SentenceTransformerEmbeddingFunction,
)
from elanus_embeddings._parts import Splitter, windows

READS = 254  # of MiniLM's 256 tokens, two are marks


@given(st.data(), st.integers(8, 300))
def test_windows_cover_all_tokens_fit_and_overlap(data, room):
    total = data.draw(st.integers(room + 1, 8 * room))
    begins = np.array(data.draw(st.lists(st.booleans(), min_size=total, max_size=total)))
    begins[0] = True
    found = windows(begins, room)
    assert found[0][0] == 0
    assert found[-1][1] == total
    assert all(0 < stop - first <= room for first, stop in found)
    for (first, stop), (following, last) in itertools.pairwise(found):
        assert first < following < stop < last
    # Borders are between words wherever there is one within a sixteenth of the room before.
    for border in {place for pair in found for place in pair} - {0, total}:
        assert begins[border] or not begins[border - room // 16 : border].any() or room < 32


@given(st.integers(8, 300), st.integers(2, 5000))
def test_windows_over_single_tokens_are_even_and_few(room, more):
    total = room + more
    found = windows(np.ones(total, dtype=bool), room)
    lengths = [stop - first for first, stop in found]
    assert max(lengths) - min(lengths) <= 1
    overlaps = [stop - first for (_, stop), (first, _) in itertools.pairwise(found)]
    assert min(overlaps) >= max(1, room // 8) - 1
    # One window less would not have covered them at this overlap, the room that is left aside.
    assert (len(found) - 1) * (room * 25 // 32 + 1) < total + room


def tokens_of(minilm, text):
    return minilm._tokenizer.encode(text, add_special_tokens=False)


WORDS = ["ice", "glacier", "internationalization", "Straße", "机器学习", "x" * 60, "a.b", "é", "😀"]


@given(st.lists(st.sampled_from(WORDS), min_size=100, max_size=900), st.sampled_from([" ", "\n\n"]))
def test_parts_are_read_whole_and_hold_every_word(minilm, words, space):
    text = space.join(words)
    (parts,) = minilm.split_documents([text])
    if len(tokens_of(minilm, text).ids) <= READS:
        assert parts == [text]
        return
    assert len(parts) > 1
    assert all(len(tokens_of(minilm, part).ids) <= READS for part in parts)
    end, start = 0, -1
    for part in parts:
        place = text.index(part, start + 1)
        assert not text[end:place].strip()  # nothing is left out between this and the last one
        start, end = place, place + len(part)
    assert end == len(text)


def test_a_text_that_is_read_whole_is_its_own_only_part(minilm):
    texts = ["", " ", "ice", "snow " * READS, "snow " * (READS + 1)]
    parts = minilm.split_documents(texts)
    assert parts[:4] == [[text] for text in texts[:4]]
    assert len(parts[4]) == 2
    assert minilm.split_documents([]) == []


def test_no_part_begins_or_ends_within_a_word_of_a_language_with_spaces(minilm):
    text = " ".join(f"glaciologists{i % 7} observe" for i in range(400))
    (parts,) = minilm.split_documents([text])
    known = set(text.split()) | {"observe"}
    assert {word for part in parts for word in part.split()} <= known


def test_a_word_that_is_longer_than_all_is_cut(tokenizer):
    splitter = Splitter(Tokenizer.from_str(tokenizer.to_str()), 22)
    text = "ice" + " glacier" * 50
    parts = splitter.parts(text)
    assert all(2 <= len(part.split()) <= 20 for part in parts)
    assert parts[0].startswith("ice glacier")
    assert len(parts) == 3


def test_a_prompt_takes_its_share_and_one_that_leaves_nothing_ends_the_splitting(tokenizer):
    text = " ".join(["ice moves"] * 100)
    plain = Splitter(tokenizer, 32).parts(text)
    prompted = Splitter(tokenizer, 32, "the kite hovers and the owl sleeps").parts(text)
    assert max(len(part.split()) for part in plain) <= 30
    assert max(len(part.split()) for part in prompted) <= 23
    assert len(prompted) > len(plain)
    assert Splitter(tokenizer, 32, "the " * 25).parts(text) == [text]


# --- the functions ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(model_folder):
    return SentenceTransformerEmbeddingFunction(str(model_folder))


def test_both_kinds_of_the_model_split_alike(minilm, published):
    texts = ["snow falls. " * 300, "机器学习是" * 200, "short", "unbreakable" * 50]
    assert published.split_documents(texts) == minilm.split_documents(texts)
    for function in (minilm, published):
        assert isinstance(function, SplittingEmbeddingFunction)
        assert function.long_texts is None


def test_both_kinds_of_the_model_count_alike(minilm, published):
    assert (published.max_tokens, minilm.max_tokens) == (READS, READS)
    for text in ("snow falls. " * 300, "机器学习是", "", "unbreakable" * 50):
        assert published.count_tokens(text) == minilm.count_tokens(text)


def test_an_instruction_is_part_of_what_the_model_reads(model_folder):
    function = SentenceTransformerEmbeddingFunction(
        str(model_folder), doc_instruction="a passage of a book on snow and ice: "
    )
    (parts,) = function.split_documents(["snow " * 1000])
    assert max(len(part.split()) for part in parts) <= READS - 10
    plain = SentenceTransformerEmbeddingFunction(str(model_folder))
    assert len(parts) >= len(plain.split_documents(["snow " * 1000])[0])


def test_a_model_s_own_prompt_counts_as_well(model_folder):
    prompt = "word " * 100
    function = SentenceTransformerEmbeddingFunction(str(model_folder), prompts={"document": prompt})
    (parts,) = function.split_documents(["snow " * 1000])
    assert max(len(part.split()) for part in parts) <= READS - 100
    assert function.max_tokens == READS - 100


def test_a_tokenizer_that_knows_no_places_splits_nothing(model_folder):
    function = SentenceTransformerEmbeddingFunction(str(model_folder), long_texts="parts")
    text = "snow " * 1000
    for model in (
        SimpleNamespace(max_seq_length=256, tokenizer=SimpleNamespace()),
        SimpleNamespace(max_seq_length=None, tokenizer=function._model.tokenizer),
        SimpleNamespace(),
    ):
        function._model = model
        assert function.long_texts == "cut"
        assert function.split_documents([text]) == [[text]]
        assert function.max_tokens is None


def test_a_tokenizer_of_another_kind_counts_nothing(model_folder):
    function = SentenceTransformerEmbeddingFunction(str(model_folder))
    function._model = SimpleNamespace(max_seq_length=256, tokenizer=SimpleNamespace())
    with pytest.raises(ParamError, match="does not count"):
        function.count_tokens("x")


def test_the_way_with_long_texts_changes_no_vector_and_no_name(minilm):
    cut = MiniLMEmbeddingFunction(long_texts="cut")
    text = "snow " * 1000
    assert cut.name == minilm.name
    np.testing.assert_allclose(cut([text]), minilm([text]), atol=1e-6)
    assert (cut.long_texts, MiniLMEmbeddingFunction(long_texts="parts").long_texts) == (
        "cut",
        "parts",
    )


@pytest.mark.parametrize("value", ["", "whole", True, 1, b"cut", []])
@pytest.mark.parametrize("make", [MiniLMEmbeddingFunction, SentenceTransformerEmbeddingFunction])
def test_another_way_is_refused(make, value):
    with pytest.raises(ParamError, match="long_texts must be 'parts' or 'cut'"):
        make(long_texts=value)


@pytest.mark.parametrize("texts", ["text", None, [1], {"a": 1}])
def test_what_is_no_list_of_texts_is_not_split(minilm, published, texts):
    for function in (minilm, published, CachedEmbeddingFunction(minilm, ":memory:")):
        with pytest.raises(ParamError, match="texts"):
            function.split_documents(texts)


def test_a_cache_splits_as_the_function_in_it(minilm):
    text = "snow " * 1000
    cached = CachedEmbeddingFunction(minilm, ":memory:")
    assert isinstance(cached, SplittingEmbeddingFunction)
    assert cached.long_texts is None
    assert cached.adaptive_weight is None
    minilm.adaptive_weight = 0.9
    assert cached.adaptive_weight == 0.9
    assert cached.split_documents([text, "a"]) == minilm.split_documents([text, "a"])
    cut = CachedEmbeddingFunction(MiniLMEmbeddingFunction(long_texts="cut"), ":memory:")
    assert cut.long_texts == "cut"

    class Plain:
        name, dim = "plain", 2
        encode_documents = encode_queries = lambda _, texts: np.ones((len(texts), 2))

    plain = CachedEmbeddingFunction(Plain(), ":memory:")
    assert plain.long_texts == "cut"
    assert plain.split_documents([text, "a"]) == [[text], ["a"]]


def stored(function, texts):
    with DocumentStore(":memory:", function) as store:
        ids = store.add(texts)
        vectors = np.array([d.vector for d in store.get(ids, with_vectors=True)])
        assert store.verify() == []
    return vectors


@pytest.mark.parametrize("kind", ["minilm", "published", "cached"])
def test_a_store_keeps_the_mean_of_the_parts(kind, minilm, published):
    functions = {"minilm": minilm, "published": published}
    function = functions.get(kind) or CachedEmbeddingFunction(minilm, ":memory:")
    texts = ["Bread rises. " * 300 + "Glaciers move slowly. " * 100, "short", "Owls sleep. " * 200]
    with pytest.warns(LongTextWarning, match=r"^2 of 3 texts are longer than "):
        vectors = stored(function, texts)
    for vector, text in zip(vectors, texts, strict=True):
        parts = minilm(minilm.split_documents([text])[0]).astype(np.float64)
        mean = parts.mean(axis=0)
        assert np.abs(vector - mean / np.linalg.norm(mean)).max() < 1e-5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cut = stored(MiniLMEmbeddingFunction(long_texts="cut"), texts[:1])
    assert np.abs(cut - minilm(texts[:1])).max() < 1e-6


def test_the_end_of_a_long_document_is_found(minilm):
    bread = "Bread rises slowly in the warm kitchen. " * 60
    ice = "Glaciers flow downhill under their own weight. " * 60
    found = {}
    for way in ("parts", "cut"):
        with DocumentStore(":memory:", MiniLMEmbeddingFunction(long_texts=way)) as store:
            store.add([bread + ice, bread * 2], ids=["both", "bread"])
            hits = store.search("movement of ice masses", mode="dense", k=2)
            found[way] = {hit.id: hit.score for hit in hits}
    assert found["parts"]["both"] > found["parts"]["bread"] + 0.1
    assert found["parts"]["both"] > found["cut"]["both"] + 0.1
