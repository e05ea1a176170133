"""What is sent is what each provider documents, and what comes back is read as documented."""

import numpy as np
import pytest

TEXTS = ["ice", "bread", "ünïcödé 冰"]


def check(vectors, expected):
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, np.array(expected, dtype=np.float32))


@pytest.mark.parametrize("kind", ["document", "query", "call"])
def test_openai_sends_model_and_input_and_restores_the_order(
    make, server, encode, kind, model_vector
):
    check(encode(make("openai"), TEXTS, kind), [model_vector(text, "") for text in TEXTS])
    (seen,) = server.seen
    assert seen.path == "/openai/v1/embeddings"
    assert seen.body == {"model": "a-model", "input": TEXTS}
    assert seen.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("kind", "input_type"),
    [("document", "search_document"), ("query", "search_query"), ("call", "search_document")],
)
def test_cohere_sends_the_input_type(make, server, encode, kind, input_type, model_vector):
    check(encode(make("cohere"), TEXTS, kind), [model_vector(t, input_type) for t in TEXTS])
    (seen,) = server.seen
    assert seen.path == "/cohere/v2/embed"
    assert seen.body == {
        "model": "a-model",
        "texts": TEXTS,
        "input_type": input_type,
        "embedding_types": ["float"],
    }


@pytest.mark.parametrize(
    ("kind", "input_type"), [("document", "document"), ("query", "query"), ("call", "document")]
)
def test_voyage_sends_the_input_type(make, server, encode, kind, input_type, model_vector):
    check(encode(make("voyage"), TEXTS, kind), [model_vector(t, input_type) for t in TEXTS])
    (seen,) = server.seen
    assert seen.path == "/voyage/v1/embeddings"
    assert seen.body == {"model": "a-model", "input": TEXTS, "input_type": input_type}


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        ("document", "retrieval.passage"),
        ("query", "retrieval.query"),
        ("call", "retrieval.passage"),
    ],
)
def test_jina_sends_the_task(make, server, encode, kind, task, model_vector):
    check(encode(make("jina"), TEXTS, kind), [model_vector(t, task) for t in TEXTS])
    (seen,) = server.seen
    assert seen.path == "/jina/v1/embeddings"
    assert seen.body == {"model": "a-model", "input": TEXTS, "task": task}


@pytest.mark.parametrize("kind", ["openai", "cohere", "voyage", "jina"])
def test_the_key_is_sent_as_a_bearer_token(make, server, encode, kind, key):
    encode(make(kind), ["a"])
    assert server.seen[0].headers["Authorization"] == f"Bearer {key}"


@pytest.mark.parametrize(
    ("kind", "argument", "sent"),
    [
        ("openai", "dimensions", "dimensions"),
        ("cohere", "dimensions", "output_dimension"),
        ("voyage", "dimension", "output_dimension"),
        ("jina", "dimensions", "dimensions"),
    ],
)
def test_dimensions_are_asked_for_under_the_providers_name(
    make, server, encode, kind, argument, sent
):
    function = make(kind, **{argument: 5})
    assert function.dim == 5
    assert encode(function, ["a", "b"]).shape == (2, 5)
    assert server.seen[0].body[sent] == 5


def test_cohere_calls_with_its_own_input_type_and_truncation(make, server, encode):
    function = make("cohere", input_type="clustering", truncate="START")
    for kind in ("call", "document", "query"):
        encode(function, ["a"], kind)
    assert [seen.body["input_type"] for seen in server.seen] == [
        "clustering",
        "search_document",
        "search_query",
    ]
    assert {seen.body["truncate"] for seen in server.seen} == {"START"}


def test_voyage_sends_truncation_if_it_is_given(make, server, encode):
    encode(make("voyage", truncate=False), ["a"])
    assert server.seen[0].body["truncation"] is False


def test_jina_takes_the_query_task_of_the_passage_task_given(make, server, encode):
    function = make("jina", task="code.passage")
    for kind in ("call", "document", "query"):
        encode(function, ["a"], kind)
    assert [seen.body["task"] for seen in server.seen] == [
        "code.passage",
        "code.passage",
        "code.query",
    ]


def test_jina_calls_with_another_task(make, server, encode):
    function = make("jina", task="text-matching")
    for kind in ("call", "document", "query"):
        encode(function, ["a"], kind)
    assert [seen.body["task"] for seen in server.seen] == [
        "text-matching",
        "retrieval.passage",
        "retrieval.query",
    ]


@pytest.mark.parametrize(
    "options", [{"model": "jina-embeddings-v2-base-en", "dim": 8}, {"task": None}]
)
def test_jina_sends_no_task_to_a_model_without_tasks(make, server, encode, options):
    encode(make("jina", **options), ["a"])
    assert "task" not in server.seen[0].body


def test_jina_chunks_documents_late_but_never_queries(make, server, encode):
    function = make("jina", late_chunking=True)
    encode(function, ["a", "b"])
    encode(function, ["a", "b"], "query")
    assert [seen.body.get("late_chunking") for seen in server.seen] == [True, None]


def test_a_server_without_keys_is_sent_none(make, server, encode):
    encode(make("openai", api_key=None), ["a"])
    assert "Authorization" not in server.seen[0].headers


def test_a_slash_at_the_end_of_the_base_url_changes_nothing(make, server, encode):
    encode(make("openai", base_url=server.url("openai") + "/"), ["a"])
    assert server.seen[0].path == "/openai/v1/embeddings"
