"""A process that ends without closing: ``python _exits.py INDEX_TYPE HOW PATH``."""

import asyncio
import atexit
import contextlib
import os
import sys
import threading
import time

import numpy as np

from elanus import AsyncMilvusClient, MilvusClient, native
from elanus.engine.upkeep._tasks import BackgroundUpkeep
from elanus.engine.upkeep._thresholds import Thresholds
from elanus.index import FaissIndex, Graph

# Whoever is waited for at the end must not be held up before it calls into a library.
native._PARK_SECONDS = 600.0

ROWS, DIM = 20_000, 32
SLOW = {
    "HNSW": {"M": 64, "efConstruction": 4_000},
    "IVF_PQ": {"nlist": 64, "m": 32, "nbits": 9},
}


def opened(path, index_type):
    """A client whose graph is being built: half a minute of work."""
    began = threading.Event()
    for kind in (Graph, FaissIndex):
        tell_when_called(kind, began)
    BackgroundUpkeep.thresholds = Thresholds(graph_rows=1_000, graph_values=0)
    asked = MilvusClient.prepare_index_params()
    asked.add_index("vector", index_type, metric_type="L2", params=SLOW[index_type])
    client = MilvusClient(path)
    client.create_collection("big", dimension=DIM, index_params=asked)
    vectors = np.random.default_rng(1).normal(size=(ROWS, DIM)).astype(np.float32)
    client.insert("big", [{"id": i, "vector": v} for i, v in enumerate(vectors)])
    search(client)
    assert began.wait(60)
    time.sleep(0.3)  # well inside
    assert client.describe_index("big", "vector")["indexed_rows"] == 0, "it is built already"
    return client


def tell_when_called(kind, began):
    build = kind.build

    def told(*args, **options):
        began.set()
        return build(*args, **options)

    kind.build = told


def search(client, queries=1):
    return client.search("big", np.ones((queries, DIM), dtype=np.float32), limit=3)


def end(client):
    assert client


def exit_main(client):
    assert client
    sys.exit(3)


def fail(client):
    raise ZeroDivisionError(client)


def exit_thread(client):
    assert client
    thread = threading.Thread(target=sys.exit, args=[3])
    thread.start()
    thread.join()


def exit_hard(client):
    assert client
    os._exit(3)


def exit_in_asyncio(client):
    async def run():
        await asyncio.to_thread(search, client)
        sys.exit(3)

    asyncio.run(run())


def give_up_loading(client):
    """Nobody waits any more for a thread that waits for the graph."""
    other = AsyncMilvusClient(client._database.file.path)

    async def run():
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(other.load_collection("big"), 1)

    asyncio.run(run())

    def tell():
        index = other.blocking.describe_index("big", "vector")
        print("still built" if index["indexed_rows"] < ROWS else "was waited for", flush=True)

    atexit.register(tell)


def search_while_ending(client):
    def forever():
        while True:
            search(client, 32)

    for _ in range(3):
        threading.Thread(target=forever, daemon=True).start()
    time.sleep(0.2)


def search_at_exit(client):
    atexit.register(lambda: print(len(search(client)[0]), flush=True))


def close_at_exit(client):
    atexit.register(client.close)


def open_at_exit(client):
    def again():
        with MilvusClient(":memory:") as other:
            other.create_collection("big", dimension=DIM)
            other.insert("big", [{"id": 1, "vector": [1.0] * DIM}])
            other.load_collection("big")
            print(len(search(other)[0]), client is not None, flush=True)

    atexit.register(again)


class Late:
    """Uses a client when the interpreter is taken down."""

    def __init__(self, client, use):
        self.client, self.use = client, use

    def __del__(self):
        self.use(self.client)
        print("late", flush=True)


def close_when_deleted(client):
    globals()["late"] = Late(client, MilvusClient.close)


def write_when_deleted(client):
    globals()["late"] = Late(client, lambda client: client.delete("big", ids=[-1]))


def end_in_child_too(client):
    if os.fork() == 0:
        return
    _, status = os.wait()
    assert client
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    _, kind, how, path = sys.argv
    globals()[how](opened(path, kind))
