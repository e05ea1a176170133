"""Dense models by sentence-transformers: vectors, instructions, names, and models that are not here."""

from __future__ import annotations

import importlib
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from elanus.errors import MissingExtraError, ParamError
from elanus_embeddings import SentenceTransformerEmbeddingFunction
from elanus_embeddings._sentence_transformer import fitting_batch

TEXTS = ["ice moves", "", "Glaciers flow under their own weight.", "bread " * 40]


@pytest.fixture(scope="module")
def published(model_folder):
    return SentenceTransformerEmbeddingFunction(str(model_folder))


def test_the_published_model_gives_the_vectors_of_the_numpy_one(published, minilm):
    assert np.abs(published(TEXTS) - minilm(TEXTS)).max() < 1e-5
    assert np.abs(published.encode_queries(TEXTS) - minilm(TEXTS)).max() < 1e-5
    assert published.dim == 384


def test_the_batch_size_changes_no_vector(published, model_folder):
    small = SentenceTransformerEmbeddingFunction(str(model_folder), batch_size=1)
    assert np.abs(small(TEXTS) - published(TEXTS)).max() < 1e-5


def test_instructions_stand_before_the_texts_of_their_kind(published, model_folder):
    instructed = SentenceTransformerEmbeddingFunction(
        str(model_folder), query_instruction="query: ", doc_instruction="passage: "
    )
    for encode, prefix in (
        (instructed.encode_documents, "passage: "),
        (instructed.encode_queries, "query: "),
        (instructed, "passage: "),
    ):
        expected = published([prefix + text for text in TEXTS])
        assert np.abs(encode(TEXTS) - expected).max() < 1e-5
        assert np.abs(encode(TEXTS) - published(TEXTS)).max() > 1e-2


def test_vectors_have_unit_length_unless_told_otherwise(plain_bert_folder):
    plain = SentenceTransformerEmbeddingFunction(str(plain_bert_folder), normalize_embeddings=False)
    unit = SentenceTransformerEmbeddingFunction(str(plain_bert_folder))
    lengths = np.linalg.norm(plain(TEXTS), axis=1, keepdims=True)
    assert np.abs(lengths - 1).max() > 0.1
    assert np.abs(unit(TEXTS) - plain(TEXTS) / lengths).max() < 1e-5


def test_further_arguments_reach_the_package(model_folder):
    assert SentenceTransformerEmbeddingFunction(str(model_folder), truncate_dim=8)(["a"]).shape == (
        1,
        8,
    )


def test_whatever_changes_vectors_changes_the_name(plain_bert_folder, bert):
    folder = str(plain_bert_folder)
    names = [
        SentenceTransformerEmbeddingFunction(folder).name,
        SentenceTransformerEmbeddingFunction(folder, query_instruction="q: ").name,
        SentenceTransformerEmbeddingFunction(folder, doc_instruction="q: ").name,
        SentenceTransformerEmbeddingFunction(folder, normalize_embeddings=False).name,
        SentenceTransformerEmbeddingFunction(str(bert("BertModel", seed=8))).name,
    ]
    assert len(set(names)) == len(names)
    assert SentenceTransformerEmbeddingFunction(folder, batch_size=2).name == names[0]


def test_a_folder_is_the_same_model_wherever_it_lies(plain_bert_folder, tmp_path):
    copy = shutil.copytree(plain_bert_folder, tmp_path / plain_bert_folder.name)
    (copy / "README.md").write_text("a note", encoding="utf-8")
    names = {SentenceTransformerEmbeddingFunction(str(f)).name for f in (plain_bert_folder, copy)}
    assert len(names) == 1
    assert names.pop().startswith(f"{plain_bert_folder.name}@")


def test_large_files_are_told_apart_by_their_blocks(plain_bert_folder, tmp_path):
    names = set()
    for number in range(2):
        folder = shutil.copytree(plain_bert_folder, tmp_path / str(number) / "model")
        weights = bytes(1 << 20) + np.random.default_rng(number).bytes(2 << 20)
        (folder / "extra.bin").write_bytes(weights)
        names.add(SentenceTransformerEmbeddingFunction(str(folder)).name)
    assert len(names) == 2


@pytest.mark.parametrize("model", ["all-MiniLM-L6-v2", "nobody/no-such-model", "/no/such/folder"])
def test_a_model_that_is_not_here_is_not_fetched_unasked(no_network, model):
    with pytest.raises(ParamError, match=f"'{model}' is not on this machine.*download=True"):
        SentenceTransformerEmbeddingFunction(model)


def test_a_folder_without_a_model_is_named(no_network, tmp_path):
    with pytest.raises(ParamError, match=f"folder '{tmp_path}' holds no model"):
        SentenceTransformerEmbeddingFunction(str(tmp_path))


def test_a_missing_package_is_named_with_its_extra(monkeypatch, model_folder):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"elanus-embeddings\[sentence-transformers\]"):
        SentenceTransformerEmbeddingFunction(str(model_folder))


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "8"])
def test_a_batch_size_that_is_none_is_refused(size):
    with pytest.raises(ParamError, match="batch_size must be a whole number of at least 1"):
        SentenceTransformerEmbeddingFunction("x", batch_size=size)


@pytest.mark.parametrize(
    ("longest", "width", "free_gb", "size"),
    [
        (256, 384, 80, 512),  # the size at which a card of 80 GB was fastest
        (512, 384, 80, 256),
        (8192, 1024, 80, 32),  # never less than on a CPU
        (16, 384, 80, 2048),
        (256, 1024, 8, 128),  # 4 GB for 64 KB a token are 61,035 tokens, 238 texts
        (256, 4096, 1, 32),
        (300, 384, 80, 256),
    ],
)
def test_a_batch_on_a_graphics_card_is_as_large_as_length_and_memory_allow(
    longest, width, free_gb, size
):
    assert fitting_batch(longest, width, free_gb * 10**9) == size


@pytest.mark.parametrize(
    ("device", "batch_size", "texts", "expected"),
    [
        ("cpu", None, ["a"] * 3, 32),
        ("mps", None, ["a"] * 3, 32),
        ("cuda", None, ["a"] * 3, 1024),
        ("cuda", None, ["a", "a" * 10_000], 512),
        ("cuda", None, [], 32),
        ("cuda", 7, ["a"], 7),
        ("cpu", 7, ["a"], 7),
    ],
)
def test_the_batch_is_chosen_by_device_and_length_unless_it_is_given(
    monkeypatch, model_folder, device, batch_size, texts, expected
):
    seen = []

    class Model:
        max_seq_length = 256

        def __init__(self):
            self.device = SimpleNamespace(type=device)

        def encode_document(self, texts, *, batch_size, **_):
            seen.append(batch_size)
            return np.zeros((len(texts), 384))

        def get_embedding_dimension(self):
            return 384

    torch = importlib.import_module("torch")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (80 * 10**9, 80 * 10**9))
    function = SentenceTransformerEmbeddingFunction(str(model_folder), batch_size)
    function._model = Model()
    function.encode_documents(texts)
    assert seen == [expected]


@pytest.mark.parametrize("model", ["", None, 7])
def test_a_model_name_that_is_none_is_refused(model):
    with pytest.raises(ParamError, match="model_name must be a folder or a name"):
        SentenceTransformerEmbeddingFunction(model)
