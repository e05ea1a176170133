"""Whatever goes wrong at the other end becomes one clear error, and never a wrong vector."""

import pytest

from elanus.errors import ElanusError, ParamError
from elanus_embeddings import EmbeddingRequestError, RetryPolicy

ONE = {"object": "embedding", "index": 0, "embedding": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "no such model", "type": "x"}}, "no such model"),
        ({"error": "model not found, try pulling it"}, "model not found, try pulling it"),
        ({"id": "x", "message": "invalid request"}, "invalid request"),
        ({"detail": "model not supported"}, "model not supported"),
        ({"detail": [{"loc": ["body"], "msg": "field required"}]}, "field required"),
        (b"<html>bad gateway</html>", "<html>bad gateway</html>"),
        ({"other": 1}, '{"other": 1}'),
        (["odd"], '["odd"]'),
        (b"", "texts[0:1]"),
    ],
)
def test_a_refusal_names_provider_status_and_the_providers_words(
    make, server, encode, reply, body, words
):
    server.script.append(reply(400, body))
    with pytest.raises(EmbeddingRequestError) as caught:
        encode(make("openai"), ["a"])
    message = str(caught.value)
    assert message.startswith(
        f"OpenAI ({server.url('openai')}/embeddings) answered 400 Bad Request"
    )
    assert words in message
    assert caught.value.status == 400
    assert not caught.value.transient
    assert len(server.seen) == 1


def test_a_refusal_of_any_depth_is_told(make, server, encode, reply):
    # About as deep as Python's stack is: some can be read as JSON, and not written again.
    function = make("openai", retry=RetryPolicy(1))
    for depth in range(900, 1000):
        server.script.append(reply(400, b"[" * depth + b"1" + b"]" * depth))
        with pytest.raises(EmbeddingRequestError, match=r"answered 400 Bad Request .*: .*\[\[\["):
            encode(function, ["a"])


def test_a_refusal_names_the_texts_it_is_about(make, server, encode, reply):
    good = {"data": [{**ONE, "index": i} for i in (0, 1)]}
    server.script.extend([reply(200, good), reply(400, {"error": "empty"})])
    with pytest.raises(EmbeddingRequestError, match=r"to texts\[2:3\]: empty"):
        encode(make("openai", batch_size=2), ["a", "b", "c"])


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_says_where_the_key_comes_from(make, server, encode, reply, status):
    server.script.append(reply(status, {"message": "invalid api token"}))
    with pytest.raises(
        EmbeddingRequestError, match=r"invalid api token; check the API key: api_key="
    ):
        encode(make("cohere"), ["a"])
    assert len(server.seen) == 1


def test_a_redirection_is_not_followed(make, server, encode, reply):
    server.script.append(reply(307, {}, {"Location": server.url("openai") + "/embeddings"}))
    with pytest.raises(EmbeddingRequestError, match="answered 307"):
        encode(make("openai"), ["a"])
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b'{"data": [',
        b"\xff\xfe",
        b"",
    ],
)
def test_an_answer_that_is_not_json_is_refused(make, server, encode, reply, body):
    server.script.append(reply(200, body))
    with pytest.raises(EmbeddingRequestError, match=r"answered 200 to .* but not with JSON"):
        encode(make("openai"), ["a"])
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [200, 400, 503])
@pytest.mark.parametrize(
    "charset",
    ["rot13", "base64", "hex", "zlib", "idna", "punycode", "undefined", "utf-16", "utf-32", "none"],
)
def test_an_answer_in_an_encoding_that_cannot_be_read_is_shown(
    make, server, encode, reply, status, charset
):
    headers = {"Content-Type": f"text/html; charset={charset}"}
    server.script.extend([reply(status, b"<p>out of \xffrder</p>", headers)] * 3)
    with pytest.raises(EmbeddingRequestError, match=rf"answered {status} .*<p>out of .*rder</p>"):
        encode(make("openai"), ["a"])


@pytest.mark.parametrize(
    ("charset", "body", "says"),
    [
        ("punycode", b"kite-fly9", "kite-fly9"),  # its decoder's time grows with the square
        ("idna", b"xn--bcher-kva", "xn--bcher-kva"),
        ("latin-1", b"B\xfccher", "Bücher"),
        ("gb2312", "机器".encode("gb2312"), "机器"),
        ("shift-jis", "キーボード".encode("shift-jis"), "キーボード"),
    ],
)
def test_an_answer_is_read_in_the_encodings_of_texts_only(
    make, server, encode, reply, charset, body, says
):
    server.script.append(reply(400, body, {"Content-Type": f"text/plain; charset={charset}"}))
    with pytest.raises(EmbeddingRequestError, match=f": {says}"):
        encode(make("openai"), ["a"])


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        [],
        [ONE],  # too few
        [ONE, {**ONE, "index": 1}, {**ONE, "index": 2}],  # too many
        [ONE, ONE],  # one twice
        [ONE, {**ONE, "index": 2}],
        [ONE, {**ONE, "index": -1}],
        [ONE, {**ONE, "index": "one"}],
        [ONE, {**ONE, "index": "9" * 5000}],
        [ONE, {**ONE, "index": True}],
        [ONE, {**ONE, "index": 0.5}],
        [ONE, {**ONE, "index": float("inf")}],
        [ONE, {**ONE, "index": [1]}],
        [ONE, "text"],
        [ONE, {**ONE, "index": None}],
        [ONE, {"embedding": [1.0, 2.0]}],
        [ONE, {"index": 1}],
        [ONE, {"index": 1, "embedding": [1.0]}],  # of another length
        [ONE, {"index": 1, "embedding": ["1.0", "2.0"]}],
        [ONE, {"index": 1, "embedding": [1.0, None]}],
        [ONE, {"index": 1, "embedding": [1.0, float("nan")]}],
        [ONE, {"index": 1, "embedding": [1.0, float("inf")]}],
        [ONE, {"index": 1, "embedding": [1.0, 1e300]}],  # infinite as float32
        [ONE, {"index": 1, "embedding": [[1.0], [2.0]]}],
        [ONE, {"index": 1, "embedding": "AACAPwAAAEA="}],
        [{"index": i, "embedding": []} for i in (0, 1)],
        [{"index": i, "embedding": [True, False]} for i in (0, 1)],
        [ONE, {"index": 1, "embedding": [True, 0.5]}],
        [ONE, {"index": 1, "embedding": [10**400, 0.5]}],
        [ONE, {"index": 1, "embedding": None}],
    ],
)
def test_an_answer_that_is_no_matrix_of_the_texts_is_refused(make, server, encode, reply, data):
    server.script.append(reply(200, {"data": data}))
    with pytest.raises(EmbeddingRequestError, match=r"but not with 2 lists of numbers"):
        encode(make("openai"), ["a", "b"])


@pytest.mark.parametrize(
    "body", [[], "x", None, {"embeddings": [[1.0]]}, {"embeddings": {"float": [[1.0], [1.0]]}}]
)
def test_cohere_answers_of_another_form_are_refused(make, server, encode, reply, body):
    server.script.append(reply(200, body))
    with pytest.raises(EmbeddingRequestError, match=r"but not with 1 lists of numbers"):
        encode(make("cohere"), ["a"])


def test_a_dimension_other_than_the_known_one_is_refused(make, encode):
    with pytest.raises(
        EmbeddingRequestError, match=r"8 dimensions instead of 1536; .* give it as dim="
    ):
        encode(make("openai", "text-embedding-3-small"), ["a"])
    with pytest.raises(EmbeddingRequestError, match="8 dimensions instead of 4"):
        encode(make("openai", dim=4), ["a"])


def test_a_dimension_that_changes_between_batches_is_refused(make, server, encode, reply):
    server.script.extend([reply(200, {"data": [ONE]})])
    with pytest.raises(EmbeddingRequestError, match=r"texts\[1:2\] with 8 dimensions instead of 2"):
        encode(make("openai", batch_size=1), ["a", "b"])


def test_a_server_that_is_not_there_is_named(make, nobody, encode):
    with pytest.raises(
        EmbeddingRequestError, match=r"did not answer to texts\[0:1\]: ConnectError"
    ) as caught:
        encode(make("openai", base_url=nobody), ["a"])
    assert nobody in str(caught.value)
    assert caught.value.status is None
    assert caught.value.transient


@pytest.mark.parametrize("proxy", ["ftp://proxy", "socks9://proxy"])
def test_a_proxy_that_cannot_be_used_is_named(make, nobody, encode, monkeypatch, proxy):
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(ParamError, match=f"a proxy that the environment names.*{proxy}"):
        encode(make("openai", base_url=nobody), ["a"])


def test_a_proxy_whose_name_is_no_hosts_is_no_answer(make, encode, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://a..b:80")
    with pytest.raises(EmbeddingRequestError, match=r"did not answer to texts\[0:1\]"):
        encode(make("openai", base_url="http://host.example"), ["a"])


def test_a_long_answer_is_cut_in_the_message(make, server, encode, reply):
    server.script.append(reply(400, {"error": "word " * 10_000}))
    with pytest.raises(EmbeddingRequestError) as caught:
        encode(make("openai"), ["a"])
    assert len(str(caught.value)) < 700


def test_the_error_can_be_caught_as_any_error_of_elanus():
    assert issubclass(EmbeddingRequestError, ElanusError)
    assert issubclass(EmbeddingRequestError, RuntimeError)


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "ftp://host/v1"},
        {"base_url": "host:80/v1"},
        {"base_url": "https://"},
        {"base_url": "http://host:port"},
        {"base_url": "http://[1"},
        {"base_url": "https://api..example.com/v1"},
        {"base_url": f"http://{'a' * 64}.example"},
        {"base_url": "http://xn--a"},
        {"base_url": "http://."},
        {"base_url": ""},
        {"base_url": 5},
        {"base_url": "http://a b/"},
        {"base_url": "http://host/\n"},
        {"timeout": 0},
        {"timeout": -1.0},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"timeout": "5"},
        {"retry": 3},
        {"dim": 0},
        {"dim": True},
        {"dimensions": -1},
        {"dimensions": 1.5},
        {"dimensions": 4, "dim": 5},
        {"api_key": b"bytes"},
        {"model": 5},
    ],
)
def test_a_wrong_argument_is_refused_by_the_constructor(make, options):
    with pytest.raises(ParamError):
        make("openai", **options)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("cohere", {"input_type": "image"}),
        ("cohere", {"truncate": "MIDDLE"}),
        ("cohere", {"embedding_types": ["int8"]}),
        ("cohere", {"embedding_types": ["float", "int8"]}),
        ("voyage", {"embedding_type": "binary"}),
        ("voyage", {"truncate": "END"}),
        ("jina", {"task": ""}),
    ],
)
def test_what_a_provider_does_not_offer_is_refused_by_the_constructor(make, kind, options):
    with pytest.raises(ParamError):
        make(kind, **options)


@pytest.mark.parametrize(
    "options",
    [{"attempts": 0}, {"attempts": 1.5}, {"first_wait": -1}, {"longest_wait": float("inf")}],
)
def test_a_retry_policy_out_of_range_is_refused(options):
    with pytest.raises(ParamError, match="RetryPolicy"):
        RetryPolicy(**options)
