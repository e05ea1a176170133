"""An answer is read no further than an answer to so many texts can go, and not for ever."""

import gzip
import json
import threading
import tracemalloc
import zlib

import pytest

from elanus_embeddings import EmbeddingRequestError
from elanus_embeddings._providers import _transport
from elanus_embeddings._providers._bounded import AnswerError, Body

MIB = 1 << 20
GOOD = {"data": [{"index": 0, "embedding": [0.5] * 8}]}


def bomb(size):
    return gzip.compress(b" " * size, 9)


def test_what_unpacks_to_more_than_an_answer_is_refused_before_it_fills_memory(
    make, server, encode, reply
):
    function, packed = make("openai"), bomb(128 * MIB)
    encode(function, ["a"])
    server.script.append(reply(200, packed, {"Content-Encoding": "gzip"}))
    tracemalloc.start()
    try:
        with pytest.raises(EmbeddingRequestError, match=f"of more than {16.25 * MIB:.0f} bytes"):
            encode(function, ["a"])
        assert tracemalloc.get_traced_memory()[1] < 80 * MIB
    finally:
        tracemalloc.stop()
    assert len(server.seen) == 2


def test_an_error_that_unpacks_to_more_is_cut(make, server, encode, reply):
    packed = gzip.compress(b'{"error": "no such model' + b" " * 8 * MIB, 9)
    server.script.append(reply(404, packed, {"Content-Encoding": "gzip"}))
    with pytest.raises(EmbeddingRequestError, match=r"404 .*no such model") as caught:
        encode(make("openai"), ["a"])
    assert caught.value.status == 404


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("GZIP", gzip.compress), ("deflate", zlib.compress)],
)
def test_packed_answers_are_read(make, server, encode, reply, encoding, pack):
    body = pack(json.dumps(GOOD).encode())
    server.script.append(reply(200, body, {"Content-Encoding": encoding}))
    assert encode(make("openai"), ["a"]).tolist() == [[0.5] * 8]
    assert server.seen[0].headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize(
    ("encoding", "body", "says"),
    [
        ("gzip, gzip", b"{}", "in an encoding that was not asked for, 'gzip, gzip'$"),
        (", ".join(["gzip"] * 500), b"{}", "in an encoding that was not asked for, 'gzip"),
        ("br", b"{}", "in an encoding that was not asked for, 'br'$"),
        ("gzip", b"{}", "that cannot be unpacked: .*incorrect header"),
        ("gzip", bomb(1000)[:-9], "that cannot be unpacked: its end is missing"),
    ],
)
def test_what_cannot_be_unpacked_is_refused_once(make, server, encode, reply, encoding, body, says):
    server.script.append(reply(200, body, {"Content-Encoding": encoding}))
    with pytest.raises(EmbeddingRequestError, match=f"answered 200 to .*, with an answer {says}"):
        encode(make("openai"), ["a"])
    assert len(server.seen) == 1


def test_an_error_in_another_encoding_keeps_its_status(make, server, encode, reply):
    server.script.append(reply(401, b"\xff\xfe", {"Content-Encoding": "br"}))
    with pytest.raises(EmbeddingRequestError, match=r"answered 401 .*check the API key"):
        encode(make("openai"), ["a"])


def test_an_answer_that_drips_for_ever_is_given_up(make, server, encode, monkeypatch):
    monkeypatch.setattr(_transport, "_SLOWEST", 0.05)
    ended = threading.Event()

    def drip(handler):
        handler.rfile.read(int(handler.headers["Content-Length"]))
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        try:
            while not ended.wait(0.01):
                handler.wfile.write(b" ")
        except OSError:
            ended.set()

    handler = server.RequestHandlerClass
    server.RequestHandlerClass = type("Dripping", (handler,), {"do_POST": drip})
    with pytest.raises(EmbeddingRequestError, match=r"answer that had not ended after 0\.3 s"):
        encode(make("openai", timeout=6.0), ["a"])
    assert ended.wait(60)


def test_the_bound_leaves_room_for_long_vectors():
    body = Body(2048, "", is_error=False, patience=60.0)
    piece = b"-1.2345678901234567e-01," * 3072
    for _ in range(2048):
        assert body.add(piece)
    assert len(body.content()) == 2048 * len(piece)
    small = Body(0, "", is_error=False, patience=60.0)
    assert small.add(b" " * 16 * MIB)
    with pytest.raises(AnswerError, match="of more than"):
        small.add(b" ")
