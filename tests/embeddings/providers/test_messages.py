"""No message and no representation grows with what a caller gave or a server said."""

import json

import pytest

from elanus.errors import ElanusError, ParamError, UnsupportedError
from elanus_embeddings import (
    CohereEmbeddingFunction,
    EmbeddingRequestError,
    JinaEmbeddingFunction,
    JinaRerankFunction,
    OpenAIEmbeddingFunction,
    RetryPolicy,
    VoyageEmbeddingFunction,
    VoyageRerankFunction,
)
from unwieldy import LONGEST, MEGA, VALUES

# The argument, and the error; nothing is sent.
ARGUMENTS = {
    "OpenAI base_url": lambda v: OpenAIEmbeddingFunction("m", base_url=v),
    "OpenAI timeout": lambda v: OpenAIEmbeddingFunction("m", "key", timeout=v),
    "OpenAI retry": lambda v: OpenAIEmbeddingFunction("m", "key", retry=v),
    "OpenAI dim": lambda v: OpenAIEmbeddingFunction("m", "key", dim=v),
    "OpenAI dimensions": lambda v: OpenAIEmbeddingFunction("m", "key", dimensions=v),
    "OpenAI batch_size": lambda v: OpenAIEmbeddingFunction("m", "key", batch_size=v),
    "OpenAI texts": lambda v: OpenAIEmbeddingFunction("m", "key").encode_documents([v, 5]),
    "Cohere input_type": lambda v: CohereEmbeddingFunction("m", "key", input_type=v),
    "Cohere truncate": lambda v: CohereEmbeddingFunction("m", "key", truncate=v),
    "Cohere embedding_types": lambda v: CohereEmbeddingFunction("m", "key", embedding_types=[v]),
    "Voyage embedding_type": lambda v: VoyageEmbeddingFunction("m", "key", embedding_type=v),
    "Voyage truncate": lambda v: VoyageEmbeddingFunction("m", "key", truncate=v),
    "OpenAI name": lambda v: OpenAIEmbeddingFunction([v], "key"),
    "Cohere name": lambda v: CohereEmbeddingFunction({MEGA: v}, "key"),
    "Jina name": lambda v: JinaEmbeddingFunction([v], "key"),
    "Voyage name": lambda v: VoyageEmbeddingFunction([v], "key"),
    "Voyage reranker's name": lambda v: VoyageRerankFunction([v], "key"),
    "Jina reranker's name": lambda v: JinaRerankFunction([v], "key"),
    "attempts": lambda v: RetryPolicy(attempts=v),
    "first_wait": lambda v: RetryPolicy(first_wait=v),
    "longest_wait": lambda v: RetryPolicy(longest_wait=v),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("call", ARGUMENTS.values(), ids=ARGUMENTS)
def test_no_message_grows_with_an_argument(call, value):
    with pytest.raises((ParamError, UnsupportedError)) as caught:
        call(value)
    assert len(str(caught.value)) < LONGEST


@pytest.mark.parametrize(
    "url", [f"http://{MEGA}", f"http://h/{MEGA}", f"http://h:{MEGA}", f"http://h/é{MEGA}", MEGA]
)
def test_no_message_grows_with_an_address(url):
    with pytest.raises(ParamError, match="base_url") as caught:
        OpenAIEmbeddingFunction("m", "key", base_url=url)
    assert len(str(caught.value)) < LONGEST


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_key_is_never_shown(value):
    with pytest.raises(ParamError) as caught:
        OpenAIEmbeddingFunction("m", [value])
    assert str(caught.value) == "api_key must be a string or None, not list"
    with pytest.raises(ParamError) as caught:
        OpenAIEmbeddingFunction("m", "é" + MEGA)
    assert "x" * 9 not in str(caught.value)


def test_numbers_that_python_does_not_write_out_are_no_error_of_their_own():
    huge = 10**5_000
    with pytest.raises(ParamError, match="contradicts"):
        OpenAIEmbeddingFunction("m", "key", dim=huge, dimensions=huge + 1)
    with pytest.raises(ParamError, match="batch_size must be at most 2048"):
        OpenAIEmbeddingFunction("m", "key", batch_size=huge)


@pytest.mark.parametrize("kind", ["openai", "cohere", "voyage", "jina"])
def test_a_long_model_name_and_address_are_shown_in_part(make, server, encode, reply, kind):
    address = f"{server.url(kind)}/{'a' * 60_000}"
    function = make(kind, MEGA, base_url=address)
    assert len(repr(function)) < LONGEST
    assert function.name.endswith(MEGA)
    with pytest.raises(ParamError, match="is not known yet") as caught:
        _ = function.dim
    assert len(str(caught.value)) < LONGEST
    server.script.append(reply(400, {"message": MEGA}))
    with pytest.raises(EmbeddingRequestError, match="answered 400") as caught:
        encode(function, ["a"])
    assert len(str(caught.value)) < LONGEST


@pytest.mark.parametrize("kind", ["cohere-rerank", "voyage-rerank", "jina-rerank"])
def test_a_rerankers_long_name_and_address_are_shown_in_part(make, server, rerank, reply, kind):
    address = f"{server.url(kind.split('-')[0])}/{'a' * 60_000}"
    function = make(kind, MEGA, base_url=address)
    assert len(repr(function)) < LONGEST
    server.script.append(reply(200, {"results": MEGA, "data": MEGA}))
    with pytest.raises(EmbeddingRequestError, match="not with the scores") as caught:
        rerank(function, "q", ["a"])
    assert len(str(caught.value)) < LONGEST


def answers(reply):
    one = {"index": 0, "embedding": [1.0]}
    deep = "[" * 900 + "]" * 900
    return {
        "refused": reply(400, {"error": {"message": MEGA}}),
        "refused oddly": reply(400, {MEGA: [MEGA] * 9}),
        "refused in a list": reply(400, [{"error": MEGA}]),
        "refused in HTML": reply(400, f"<html>{MEGA}".encode()),
        "refused with control characters": reply(400, {"message": "\0" * 100_000}),
        "refused in depth": reply(400, deep.encode()),
        "refused at a key": reply(401, {"detail": MEGA}),
        "asks to wait": reply(429, {}, {"Retry-After": "9" * 308}),
        "asks to wait for ever": reply(429, {}, {"Retry-After": "9" * 20_000}),
        "no JSON": reply(200, MEGA.encode()),
        "no JSON but control characters": reply(200, b"\1" * 100_000),
        "a text": reply(200, {"data": MEGA}),
        "texts": reply(200, {"data": [{**one, "embedding": MEGA}]}),
        "numbers as texts": reply(200, {"data": [{**one, "embedding": [MEGA]}]}),
        "nested": reply(200, {"data": [{**one, "embedding": [[MEGA]]}]}),
        "deep": reply(200, json.dumps({"data": [{**one, "embedding": [0]}]})
                      .replace("[0]", deep).encode()),
        "an index": reply(200, {"data": [{**one, "index": "9" * 1_000_000}]}),
        "an object": reply(200, {"data": [{**one, "embedding": {MEGA: MEGA}}]}),
        "many vectors": reply(200, {"data": [one] * 10_000}),
        "placeholders": reply(400, {"message": "{texts}" * 1_000}),
        "half a pair": reply(400, {"error": {"message": "\ud800" * 500}}),
        "half a pair as a name": reply(400, {"\udfff": ["\ud800"]}),
        "half a pair as a number": reply(200, {"data": [{**one, "embedding": ["\ud800"]}]}),
        "half a pair as an index": reply(200, {"data": [{**one, "index": "\ud800"}]}),
    }  # fmt: skip


@pytest.mark.parametrize("name", list(answers(lambda *_: None)))
def test_no_message_grows_with_what_a_server_says(make, server, encode, reply, name):
    function = make("openai", dim=1, retry=RetryPolicy(1))
    server.script.append(answers(reply)[name])
    with pytest.raises(ElanusError) as caught:
        encode(function, ["a"])
    assert len(str(caught.value).encode()) < LONGEST  # what UTF-8 can hold, and short
    assert "OpenAI" in str(caught.value)


def test_many_bad_indexes_are_shown_in_part(make, server, encode, reply):
    items = [{"index": 10**300, "embedding": [1.0]}] * 1_000
    server.script.append(reply(200, {"data": items}))
    with pytest.raises(EmbeddingRequestError, match="the indexes are") as caught:
        encode(make("openai"), ["a"] * 1_000)
    assert len(str(caught.value)) < LONGEST


@pytest.mark.parametrize("text", ["a" + "\0" * 200_000, MEGA], ids=["control characters", "text"])
def test_a_text_at_fault_is_shown_in_part(make, server, encode, reply, text):
    server.script.extend([reply(400, {"message": MEGA})] * 9)
    with pytest.raises(EmbeddingRequestError, match=r"[\d,]+ characters\)") as caught:
        encode(make("openai"), [text, "b"])
    assert len(str(caught.value)) < LONGEST
