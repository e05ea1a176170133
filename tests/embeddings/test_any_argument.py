"""Every argument with every kind of value: a result, or one of our errors."""

import inspect

import numpy as np
import pytest

import elanus_embeddings
from elanus import ParamError
from elanus.errors import DataNotMatchException
from elanus_embeddings import (
    BM25EmbeddingFunction,
    CachedEmbeddingFunction,
    MiniLMEmbeddingFunction,
    RetryPolicy,
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Some texts are taken for the names of databases, which are made then."""
    monkeypatch.chdir(tmp_path)


class Two:
    name, dim = "two", 2

    def __init__(self, answer=None):
        self.answer = answer

    def encode_documents(self, texts):
        return np.ones((len(texts), 2)) if self.answer is None else self.answer

    encode_queries = encode_documents


def defaults(cls):
    """The arguments of a constructor that has no others, and their defaults."""
    named = inspect.Parameter.VAR_KEYWORD
    parameters = inspect.signature(cls).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is not named}


@pytest.mark.parametrize("provider", ["OpenAI", "Cohere", "Voyage", "Jina"])
@pytest.mark.parametrize("kind", ["Embedding", "Rerank"])
def test_any_argument_of_a_provider(provider, kind, refusals):
    cls = getattr(elanus_embeddings, f"{provider}{kind}Function", None)
    if cls is None:
        assert (provider, kind) == ("OpenAI", "Rerank")
        return
    assert refusals(cls, {**defaults(cls), "api_key": "sk-secret"}) == {}
    flags = [name for name, value in defaults(cls).items() if isinstance(value, bool)]
    for name in flags:
        with pytest.raises(ParamError, match=f"{name} must be True or False, got 'false'"):
            cls(**{"api_key": "sk-secret", name: "false"})


@pytest.mark.parametrize("cls", [RetryPolicy, BM25EmbeddingFunction])
def test_any_argument_of_a_constructor(cls, refusals):
    assert refusals(cls, defaults(cls)) == {}


def test_any_place_of_a_model(refusals):
    assert refusals(MiniLMEmbeddingFunction, {"path": None}) == {}
    bm25 = BM25EmbeddingFunction(corpus=["a b", "b c"])
    assert refusals(bm25.load, {"path": "nothing"}) == {}
    for value in (5, b"x", None):
        with pytest.raises(ParamError, match="path must be that of a file"):
            bm25.save(value)


@pytest.mark.parametrize("value", ["false", 0, 1, None, [], np.array(True)])
def test_only_true_lets_the_network_be_asked(value):
    with pytest.raises(ParamError, match="download must be True or False"):
        MiniLMEmbeddingFunction(download=value)
    with pytest.raises(ParamError, match="progress must be True or False"):
        BM25EmbeddingFunction(corpus=["kite"]).encode_documents(["a"], progress=value)


def test_any_argument_of_a_cache(refusals, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def encode(texts=("a",), progress=False, **given):
        with CachedEmbeddingFunction(**given) as made:
            made.encode_documents(texts, progress=progress)

    given = {"inner": Two(), "cache": ":memory:", "collection": "c", "batch_size": 3}
    assert refusals(encode, {**given, "texts": ["a"], "progress": False}) == {}


@pytest.mark.parametrize("member", ["name", "dim"])
def test_any_name_and_dimension_of_what_is_cached(member, refusals):
    def encode(value):
        inner = Two()
        setattr(inner, member, value)
        with CachedEmbeddingFunction(inner, ":memory:") as made:
            assert made.dim == 2
            made.encode_documents(["a"])

    def refused(value):
        try:
            encode(value)
        except AssertionError:  # 3 is a dimension as well
            assert member == "dim"

    assert refusals(refused, {"value": 2}) == {}


@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: [[v, 1.0]]])
def test_any_answer_of_what_is_cached(wrap, refusals):
    def encode(answer):
        with CachedEmbeddingFunction(Two(wrap(answer)), ":memory:") as made:
            made.encode_documents(["a"])

    assert refusals(encode, {"answer": 1}) == {}


@pytest.mark.parametrize(
    "answer",
    [
        [np.ma.array([1.0, 2.0], mask=[0, 1])],
        [[np.ma.masked, 1.0]],
        [[np.array(1.0), 1.0]],
        [[np.array([1.0]), np.array([1.0])]],
        [[np.timedelta64(1, "s"), 1.0]],
        [bytearray(b"ab")],
        [memoryview(b"ab")],
        [b"ab"],
    ],
)
def test_what_numpy_takes_for_numbers_is_refused(answer):
    with CachedEmbeddingFunction(Two(answer), ":memory:") as made:
        with pytest.raises(DataNotMatchException, match=r"gave .* for texts\[0\]"):
            made.encode_documents(["a"])
        assert made.dim == 2
