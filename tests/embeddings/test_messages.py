"""No message and no representation grows with what a caller gave or a file says."""

import json

import numpy as np
import pytest

from elanus import MilvusClient
from elanus.errors import DataNotMatchException, EmbeddingMismatchError, ParamError
from elanus_embeddings import (
    BaseEmbeddingFunction,
    BGERerankFunction,
    BM25EmbeddingFunction,
    CachedEmbeddingFunction,
    CrossEncoderRerankFunction,
    MiniLMEmbeddingFunction,
    Model2VecEmbeddingFunction,
    SentenceTransformerEmbeddingFunction,
    SpladeEmbeddingFunction,
)
from unwieldy import LONGEST, MEGA, VALUES

LONG_PATH = "a/" * 1_500 + "b"

ARGUMENTS = {
    "analyzer": BM25EmbeddingFunction,
    "k1": lambda v: BM25EmbeddingFunction(k1=v),
    "b": lambda v: BM25EmbeddingFunction(b=v),
    "epsilon": lambda v: BM25EmbeddingFunction(epsilon=v),
    "corpus": lambda v: BM25EmbeddingFunction(corpus=[v, 5]),
    "transformer": lambda v: SentenceTransformerEmbeddingFunction((v,)),
    "transformer, batch_size": lambda v: SentenceTransformerEmbeddingFunction(batch_size=v),
    "splade": lambda v: SpladeEmbeddingFunction((v,)),
    "splade, k": lambda v: SpladeEmbeddingFunction(k_tokens_query=v),
    "model2vec, batch_size": lambda v: Model2VecEmbeddingFunction(batch_size=v),
    "cross-encoder": lambda v: CrossEncoderRerankFunction((v,)),
    "cross-encoder, batch_size": lambda v: CrossEncoderRerankFunction(batch_size=v),
    "BGE": lambda v: BGERerankFunction(query_max_length=v),
    "cached": lambda v: CachedEmbeddingFunction(v, ":memory:"),
    "cached, batch_size": lambda v: CachedEmbeddingFunction(Named("m"), ":memory:", batch_size=v),
    "cached, texts": lambda v: CachedEmbeddingFunction(Named("m"), ":memory:")([v, 5]),
}

MODELS = {
    "transformer": SentenceTransformerEmbeddingFunction,
    "splade": SpladeEmbeddingFunction,
    "model2vec": Model2VecEmbeddingFunction,
    "cross-encoder": CrossEncoderRerankFunction,
    "BGE": BGERerankFunction,
}

PLACES = {
    "minilm": MiniLMEmbeddingFunction,
    "minilm, file": lambda p: MiniLMEmbeddingFunction(f"{p}/model.safetensors"),
    "minilm, download": lambda p: MiniLMEmbeddingFunction(p, download=True),
    "bm25": lambda p: BM25EmbeddingFunction().load(p),
}


class Named(BaseEmbeddingFunction):
    """Vectors of two components under any name."""

    def __init__(self, name, answer=None, dim=2):
        self._name, self._answer, self._dim = name, answer, dim

    @property
    def dim(self):
        return self._dim

    @property
    def name(self):
        return self._name

    def _encode(self, texts, kind, *, progress):  # noqa: ARG002  # the base class's
        return np.ones((len(texts), self._dim)) if self._answer is None else self._answer


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("call", ARGUMENTS.values(), ids=ARGUMENTS)
def test_no_message_grows_with_an_argument(call, value):
    with pytest.raises(ParamError) as caught:
        call(value)
    assert len(str(caught.value)) < LONGEST


@pytest.mark.parametrize("name", [MEGA, LONG_PATH, "m" * 256], ids=["long", "path", "name"])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_no_message_grows_with_the_name_of_a_model(model, name, no_network):
    with pytest.raises(ParamError, match="is not on this machine") as caught:
        model(name)
    assert len(str(caught.value)) < LONGEST


@pytest.mark.parametrize("path", [MEGA, LONG_PATH, "m" * 256], ids=["long", "path", "name"])
@pytest.mark.parametrize("load", PLACES.values(), ids=PLACES)
def test_no_message_grows_with_a_path(load, path, no_network):
    with pytest.raises(ParamError) as caught:
        load(path)
    assert len(str(caught.value)) < LONGEST


@pytest.mark.parametrize("said", [MEGA, [MEGA] * 3, {MEGA: MEGA}], ids=["text", "list", "dict"])
def test_no_message_grows_with_a_file_of_statistics(tmp_path, said):
    file = tmp_path / "bm25.json"
    function = BM25EmbeddingFunction({"type": "english", "stop_words": [MEGA]}, ["red kites"])
    function.save(file)
    state = json.loads(file.read_text())
    for odd in ({**state, "analyzer": said}, {**state, "version": said}, said):
        file.write_text(json.dumps(odd))
        with pytest.raises(ParamError) as caught:
            function.load(file)
        assert len(str(caught.value)) < LONGEST


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_representation_is_short_whatever_the_name(value):
    function = Named(value)
    assert len(repr(function)) <= 300
    if isinstance(value, str):
        with CachedEmbeddingFunction(function, ":memory:") as cached:
            assert len(repr(cached)) <= 600


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_no_message_grows_with_what_a_model_answers(value):
    for answer in (value, [value], [[value]], [[1.0, value]]):
        with (
            CachedEmbeddingFunction(Named(MEGA, answer), ":memory:") as cached,
            pytest.raises(DataNotMatchException, match="Named") as caught,
        ):
            cached.encode_documents(["a"])
        assert len(str(caught.value)) < LONGEST


def test_no_message_grows_with_the_name_of_a_cached_model():
    with MilvusClient(":memory:") as client:
        CachedEmbeddingFunction(Named(MEGA), client).encode_documents(["a"])
        with pytest.raises(EmbeddingMismatchError) as caught:
            CachedEmbeddingFunction(Named(MEGA, dim=3), client).encode_documents(["b"])
        assert len(str(caught.value)) < LONGEST
