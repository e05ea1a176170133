"""What is known of a model without asking, what is learnt, and what a file remembers of it."""

import asyncio

import pytest

from elanus.errors import ParamError
from elanus_embeddings import EmbeddingFunction


@pytest.mark.parametrize(
    ("kind", "model", "dim"),
    [
        ("openai", "text-embedding-ada-002", 1536),
        ("openai", "text-embedding-3-small", 1536),
        ("openai", "text-embedding-3-large", 3072),
        ("cohere", "embed-english-light-v3.0", 384),
        ("cohere", "embed-v4.0", 1536),
        ("voyage", "voyage-3-large", 1024),
        ("voyage", "voyage-3-lite", 512),
        ("jina", "jina-embeddings-v3", 1024),
        ("jina", "jina-embeddings-v2-small-en", 512),
    ],
)
def test_the_dimension_of_a_known_model_needs_no_request(make, server, kind, model, dim):
    function = make(kind, model)
    assert function.dim == dim
    assert function.name == f"{kind}/{model}"
    assert server.seen == []


def test_an_unknown_dimension_is_not_guessed_and_not_asked_for(make, server):
    function = make("openai")
    with pytest.raises(
        ParamError, match=r"'openai/a-model' is not known yet: give dim=, or call probe\(\)"
    ):
        _ = function.dim
    assert server.seen == []


def test_a_dimension_can_be_told(make, server):
    assert make("openai", dim=8).dim == 8
    assert make("openai", "text-embedding-ada-002", dim=8).dim == 8
    assert server.seen == []


def test_the_first_answer_teaches_the_dimension(make, encode):
    function = make("openai")
    encode(function, ["a"])
    assert function.dim == 8


def test_probing_asks_once(make, server):
    function, other = make("openai"), make("voyage")
    assert function.probe() == function.dim == 8
    assert asyncio.run(other.aprobe()) == other.dim == 8
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("kind", "model", "options", "name"),
    [
        ("openai", "m", {}, "openai/m"),
        ("openai", "m", {"dimensions": 5}, "openai/m;dimensions=5"),
        ("openai", "m", {"dim": 5}, "openai/m"),
        ("openai", "text-embedding-3-small", {"dimensions": 1536}, "openai/text-embedding-3-small"),
        (
            "openai",
            "text-embedding-3-small",
            {"dimensions": 5},
            "openai/text-embedding-3-small;dimensions=5",
        ),
        ("voyage", "m", {"dimension": 5, "truncate": False}, "voyage/m;dimensions=5"),
        ("cohere", "m", {"truncate": "END"}, "cohere/m"),
        (
            "cohere",
            "m",
            {"truncate": "START", "input_type": "clustering"},
            "cohere/m;truncate=START",
        ),
        ("jina", "m", {}, "jina/m"),
        ("jina", "m", {"task": "text-matching"}, "jina/m"),
        ("jina", "m", {"task": None}, "jina/m;task=none"),
        ("jina", "jina-embeddings-v2-x", {"task": "code.passage"}, "jina/jina-embeddings-v2-x"),
        ("jina", "m", {"task": "code.passage"}, "jina/m;task=code"),
        (
            "jina",
            "m",
            {"late_chunking": True, "dimensions": 5},
            "jina/m;late_chunking;dimensions=5",
        ),
    ],
)
def test_the_name_holds_whatever_changes_the_vectors_and_nothing_else(
    make, kind, model, options, name
):
    assert make(kind, model, **options).name == name


@pytest.mark.parametrize("kind", ["openai", "cohere", "voyage", "jina"])
def test_every_provider_is_an_embedding_function(make, kind):
    assert isinstance(make(kind, dim=8), EmbeddingFunction)
