"""A real HTTP server on this machine that speaks the documented format of every provider."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from elanus_embeddings import (
    CohereEmbeddingFunction,
    CohereRerankFunction,
    JinaEmbeddingFunction,
    JinaRerankFunction,
    OpenAIEmbeddingFunction,
    RetryPolicy,
    VoyageEmbeddingFunction,
    VoyageRerankFunction,
)

KEY = "sk-Secret.0123456789/abcdefXYZ"
DIM = 8


def vector_of(text, kind, dim=DIM):
    """What the server's model makes of a text: another vector for another text or purpose."""
    digest = hashlib.sha256(f"{kind}|{text}".encode()).digest()
    return [(byte - 128) / 128 for byte in (digest * 64)[:dim]]


def score_of(query, document):
    """What the server's reranker makes of a pair: the share of common letters."""
    a, b = set(query), set(document)
    return len(a & b) / max(len(a | b), 1)


@dataclass
class Seen:
    path: str
    headers: dict
    body: dict
    time: float = field(default_factory=time.monotonic)
    date: datetime = field(default_factory=lambda: datetime.now(timezone.utc))


@dataclass
class Reply:
    """A scripted answer: a status and a body (JSON, or raw bytes), or a mishap."""

    status: int = 200
    body: object = None
    headers: dict = field(default_factory=dict)
    hangs: bool = False  # says nothing before the test is over, or lets go of it
    cut: bool = False  # fewer bytes than announced

    def raw(self):
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Refusal(Exception):
    def __init__(self, status, body):
        super().__init__(status)
        self.status, self.body = status, body


def openai(body):
    texts = body["input"]
    if len(texts) > 2048:
        raise Refusal(400, {"error": {"message": "'$.input' is too long", "type": "invalid"}})
    dim = body.get("dimensions", DIM)
    data = [
        {"object": "embedding", "index": i, "embedding": vector_of(text, "", dim)}
        for i, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return {"object": "list", "data": data[::-1], "model": body["model"], "usage": usage}


def voyage(body):
    if len(body["input"]) > 1000:
        raise Refusal(400, {"detail": "The batch size limit is 1000."})
    dim = body.get("output_dimension", DIM)
    data = [
        {"object": "embedding", "embedding": vector_of(text, body["input_type"], dim), "index": i}
        for i, text in enumerate(body["input"])
    ]
    return {"object": "list", "data": data[::-1], "model": body["model"], "usage": {}}


def jina(body):
    if len(body["input"]) > 512:
        raise Refusal(422, {"detail": [{"msg": "Each input list can contain at most 512 items."}]})
    kind = body.get("task", "") + "+late" * body.get("late_chunking", False)
    data = [
        {
            "object": "embedding",
            "index": i,
            "embedding": vector_of(t, kind, body.get("dimensions", DIM)),
        }
        for i, t in enumerate(body["input"])
    ]
    return {"model": body["model"], "object": "list", "usage": {}, "data": data[::-1]}


def cohere(body):
    if len(body["texts"]) > 96:
        raise Refusal(400, {"id": "x", "message": "total number of texts must be at most 96"})
    dim = body.get("output_dimension", DIM)
    rows = [vector_of(text, body["input_type"], dim) for text in body["texts"]]
    return {"id": "x", "embeddings": {"float": rows}, "texts": body["texts"], "meta": {}}


def _ranked(body, top):
    if len(body["documents"]) > 1000:
        raise Refusal(400, {"message": "too many documents", "detail": "too many documents"})
    items = [
        {"index": i, "relevance_score": score_of(body["query"], document)}
        for i, document in enumerate(body["documents"])
    ]
    return sorted(items, key=lambda item: -item["relevance_score"])[: body[top]]


ROUTES = {
    "/openai/v1/embeddings": openai,
    "/voyage/v1/embeddings": voyage,
    "/jina/v1/embeddings": jina,
    "/cohere/v2/embed": cohere,
    "/cohere/v2/rerank": lambda body: {"results": _ranked(body, "top_n"), "id": "x", "meta": {}},
    "/jina/v1/rerank": lambda body: {"model": body["model"], "results": _ranked(body, "top_n")},
    "/voyage/v1/rerank": lambda body: {"object": "list", "data": _ranked(body, "top_k")},
}


class Server(ThreadingHTTPServer):
    """Keeps what it was sent; answers what its script says, and as the provider would after it."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[Seen] = []
        self.script: deque[Reply] = deque()
        self.released = threading.Event()
        self._news = threading.Condition()

    def note(self, seen):
        with self._news:
            self.seen.append(seen)
            self._news.notify_all()

    def wait_for(self, count):
        """Wait until so many requests were seen: a client that hangs up may be ahead of them."""
        with self._news:
            there = self._news.wait_for(lambda: len(self.seen) >= count, timeout=60)
        assert there, f"{len(self.seen)} requests instead of {count}"

    def url(self, provider):
        root = f"http://127.0.0.1:{self.server_address[1]}/{provider}"
        return root if provider == "cohere" else f"{root}/v1"

    def handle_error(self, request, client_address):
        """Clients that hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or every answer waits 40 ms for an acknowledgement

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        body = json.loads(self.rfile.read(length))
        self.server.note(Seen(self.path, dict(self.headers), body))
        try:
            reply = self.server.script.popleft()
        except IndexError:
            reply = self.answer(body)
        if reply.hangs:
            self.server.released.wait()
        content = reply.raw()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) + 10 * reply.cut))
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = self.close_connection or reply.cut

    def answer(self, body):
        try:
            return Reply(200, ROUTES[self.path](body))
        except Refusal as refusal:
            return Reply(refusal.status, refusal.body)

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    names = (
        "OPENAI_API_KEY",
        "CO_API_KEY",
        "COHERE_API_KEY",
        "VOYAGE_API_KEY",
        "JINA_API_KEY",
        "JINAAI_API_KEY",
    )
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    for name in names + proxies:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server():
    """A server of the test's own: what reaches it late is never taken for the next test's."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.001})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def nobody():
    """A base URL where nobody listens; the port is taken, so that nobody else can meanwhile."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{mute.getsockname()[1]}/v1"


@pytest.fixture
def reply():
    return Reply


@pytest.fixture
def key():
    return KEY


@pytest.fixture
def make(server):
    """A function that makes a client of the local server, with waits of a millisecond."""
    classes = {
        "openai": (OpenAIEmbeddingFunction, "a-model"),
        "cohere": (CohereEmbeddingFunction, "a-model"),
        "voyage": (VoyageEmbeddingFunction, "a-model"),
        "jina": (JinaEmbeddingFunction, "a-model"),
        "cohere-rerank": (CohereRerankFunction, "a-reranker"),
        "voyage-rerank": (VoyageRerankFunction, "a-reranker"),
        "jina-rerank": (JinaRerankFunction, "a-reranker"),
    }

    def build(kind, model=None, **options):
        cls, default = classes[kind]
        defaults = {
            "api_key": KEY,
            "base_url": server.url(kind.split("-")[0]),
            "retry": RetryPolicy(attempts=3, first_wait=0.001, longest_wait=0.002),
            "timeout": 60.0,
        }
        return cls(model or default, **{**defaults, **options})

    return build


def _sync(function, texts, kind="document", **options):
    if kind == "call":
        return function(texts)
    encode = function.encode_documents if kind == "document" else function.encode_queries
    return encode(texts, **options)


def _async(function, texts, kind="document", **options):
    if kind == "call":
        return function(texts)  # calling has no asynchronous form
    encode = function.aencode_documents if kind == "document" else function.aencode_queries
    return asyncio.run(encode(texts, **options))


@pytest.fixture(params=[_sync, _async], ids=["sync", "async"])
def encode(request):
    """``encode(function, texts, kind)``, by the blocking method and by the coroutine."""
    return request.param


@pytest.fixture(params=["sync", "async"])
def rerank(request):
    """``rerank(function, query, documents, top_k)``, by calling and by the coroutine."""
    if request.param == "sync":
        return lambda function, *args, **options: function(*args, **options)
    return lambda function, *args, **options: asyncio.run(function.arerank(*args, **options))


@pytest.fixture
def model_vector():
    return vector_of


@pytest.fixture
def model_score():
    return score_of
