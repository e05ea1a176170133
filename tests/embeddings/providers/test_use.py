"""The functions where they are used: loops, threads, a document store, and without the extra."""

import asyncio
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from elanus import DocumentStore
from elanus.errors import EmbeddingMismatchError, MissingExtraError, ParamError
from elanus_embeddings import (
    CachedEmbeddingFunction,
    EmbeddingRequestError,
    OpenAIEmbeddingFunction,
)


def test_one_object_works_in_several_event_loops(make):
    function = make("openai")
    first = asyncio.run(function.aencode_documents(["a"]))
    second = asyncio.run(function.aencode_documents(["a"]))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, function.encode_documents(["a"]))


def test_calls_in_one_loop_run_together(make, server, reply):
    slow = {"data": [{"index": 0, "embedding": [0.5] * 8}]}
    server.script.extend(reply(200, slow, hangs=True) for _ in range(4))
    function = make("openai")

    async def main():
        calls = [asyncio.create_task(function.aencode_queries(["a"])) for _ in range(4)]
        # No answer comes before all have asked, and before the loop was free to go on here.
        await asyncio.to_thread(server.wait_for, 4)
        server.released.set()
        return await asyncio.gather(*calls)

    assert [rows.shape for rows in asyncio.run(main())] == [(1, 8)] * 4


def test_waits_between_attempts_do_not_block_the_loop(make, server, reply):
    server.script.append(reply(429, {}, {"Retry-After": "60"}))
    function = make("openai", retry=None)

    async def main():
        call = asyncio.create_task(function.aencode_queries(["a"]))
        await asyncio.to_thread(server.wait_for, 1)
        await asyncio.sleep(0.3)  # for the answer to arrive, and the wait to begin
        assert not call.done()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    start = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - start < 50  # a loop that waits with the call is busy for 60 s
    assert len(server.seen) == 1


def test_many_threads_share_one_object(make, model_vector):
    function = make("openai")
    texts = [f"text {i}" for i in range(40)]
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda text: function.encode_queries([text])[0], texts))
    expected = np.array([model_vector(text, "") for text in texts], dtype=np.float32)
    np.testing.assert_array_equal(rows, expected)


def test_a_document_store_embeds_and_searches_through_a_provider(make, server, tmp_path):
    path = str(tmp_path / "a.db")
    texts = [f"document {i}" for i in range(30)]
    with DocumentStore(path, embedding=make("openai", dim=8, batch_size=7)) as store:
        store.add(texts)
        assert store.search("document 7", k=1, mode="dense")[0].text == "document 7"
        assert store.verify() == []
    assert all(len(seen.body["input"]) <= 7 for seen in server.seen)
    with pytest.raises(EmbeddingMismatchError, match="openai/a-model"):
        DocumentStore(path, embedding=make("openai", dimensions=8))
    with DocumentStore(path, embedding=make("openai", dim=8)) as store:
        assert asyncio.run(store.asearch("document 3", k=1, mode="dense"))[0].text == "document 3"
        assert store.verify() == []


def test_a_cache_keeps_what_was_paid_for_before_a_failure(make, server, reply, tmp_path):
    texts = [f"text {i}" for i in range(5)]
    inner = make("openai", dim=8)
    with CachedEmbeddingFunction(inner, tmp_path / "a.db", batch_size=2) as cached:
        one = {"object": "embedding", "embedding": [0.5] * 8}
        first = reply(200, {"data": [{**one, "index": i} for i in (0, 1)]})
        server.script.extend([first, reply(400, {"error": "no"})])
        with pytest.raises(EmbeddingRequestError):
            cached.encode_documents(texts)
        server.seen.clear()
        vectors = cached.encode_documents(texts)
    assert [seen.body["input"] for seen in server.seen] == [texts[2:4], texts[4:]]
    np.testing.assert_array_equal(vectors[:2], np.full((2, 8), 0.5))
    np.testing.assert_array_equal(vectors[2:], inner.encode_documents(texts[2:]))


def test_a_document_store_asks_for_an_unknown_dimension_in_words(make, server):
    with pytest.raises(ParamError, match="give dim="):
        DocumentStore(":memory:", embedding=make("openai"))
    assert server.seen == []


@pytest.mark.parametrize("package", ["httpx", "tenacity"])
def test_a_missing_package_is_named_by_the_constructor(package, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("elanus_embeddings._providers")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match="pip install httpx tenacity "):
        OpenAIEmbeddingFunction(api_key="sk-1")


def test_all_names_can_be_imported_without_the_extra_and_constructors_send_nothing():
    program = """
        import sys
        sys.modules["httpx"] = sys.modules["tenacity"] = None
        import elanus_embeddings
        from elanus_embeddings import (
            CohereEmbeddingFunction, CohereRerankFunction, EmbeddingRequestError,
            JinaEmbeddingFunction, JinaRerankFunction, OpenAIEmbeddingFunction, Reranker,
            RerankResult, RetryPolicy, VoyageEmbeddingFunction, VoyageRerankFunction,
        )
        assert "torch" not in sys.modules
        print("fine")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("fine\n", "")
