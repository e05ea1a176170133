"""A forked child keeps what its parent has in memory, but for graphs that a thread was inside of."""

import os
import signal
import threading

import numpy as np
import pytest
from tiers import prefer_candidates

from elanus import MilvusClient, native
from elanus.engine._parts import DenseKey

N, DIM = 2_000, 16
REPEATS = int(os.environ.get("ELANUS_REPEATS", "5"))
TYPES = ["HNSW", "IVF_FLAT", "AUTOINDEX"]


@pytest.fixture(autouse=True)
def low_thresholds(thresholds, monkeypatch):
    thresholds(graph_rows=1_000, graph_values=0)
    prefer_candidates(monkeypatch)


@pytest.fixture(scope="module")
def vectors():
    return np.random.default_rng(4).normal(size=(N, DIM)).astype(np.float32)


def loaded(vectors, index_type):
    client = MilvusClient(":memory:")
    params = client.prepare_index_params("vector", index_type=index_type, metric_type="L2")
    client.create_collection("c", dimension=DIM, index_params=params)
    client.insert("c", [{"id": i, "vector": v} for i, v in enumerate(vectors)])
    client.load_collection("c")
    client.search("c", [vectors[0]])
    (state,) = client._database.commits.states.values()
    return client, state


def index_of(state):
    return next(part for key, part in state.view.parts.items() if isinstance(key, DenseKey))


def in_child(action):
    """What an action returns in a forked child: 0 is well."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(60)
            code = action()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def search(index, vectors, count):
    keys = np.arange(len(vectors))
    found = index.search_many(vectors[:count], 3, mask=None, keys=keys, ef=64)
    return [slots[0] for slots, _ in found] == list(range(count))


@pytest.mark.parametrize("index_type", TYPES)
def test_a_graph_that_nobody_was_inside_of_is_kept(vectors, index_type):
    client, state = loaded(vectors, index_type)
    assert search(index_of(state), vectors, 500)  # OpenMP has its threads now

    def child():
        state.after_fork_in_child()
        index = index_of(state)
        kept = index.graph is not None and not native.are_inside(index.graph.busy)
        return 0 if kept and search(index, vectors, 1) and search(index, vectors, 64) else 2

    assert in_child(child) == 0
    client.close()


@pytest.mark.parametrize("index_type", TYPES)
def test_a_fork_beside_searches_leaves_the_child_a_view_that_can_be_searched(vectors, index_type):
    client, state = loaded(vectors, index_type)
    told = threading.Event()

    def look():
        while not told.is_set():
            search(index_of(state), vectors, 2)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()

    def child():
        state.after_fork_in_child()
        with state._lock:
            index = index_of(state)
        # Without a graph it is scanned; both give the nearest, which is the vector itself.
        return 0 if all(search(index, vectors, count) for count in (1, 5)) else 2

    codes = [in_child(child) for _ in range(REPEATS * 4)]
    told.set()
    for thread in threads:
        thread.join()
    client.close()
    assert codes == [0] * len(codes)


def test_a_fork_beside_products_of_matrices_leaves_both_sides_able_to_search():
    # OpenBLAS takes its threads away before a fork, also under a product that they are computing.
    vectors = np.random.default_rng(5).normal(size=(3_000, 256)).astype(np.float32)
    client = MilvusClient(":memory:")
    params = client.prepare_index_params("vector", index_type="FLAT", metric_type="L2")
    client.create_collection("c", dimension=256, index_params=params)
    client.insert("c", [{"id": i, "vector": v} for i, v in enumerate(vectors)])
    client.search("c", vectors[:64], limit=3)
    (state,) = client._database.commits.states.values()
    told, ended = threading.Event(), []

    def look():
        while not told.is_set():
            ended.append([hits[0]["id"] for hits in client.search("c", vectors[:64], limit=3)])

    threads = [threading.Thread(target=look, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()

    def child():
        state.after_fork_in_child()
        return 0 if search(index_of(state), vectors, 64) else 2

    codes = [in_child(child) for _ in range(REPEATS * 2)]
    told.set()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert codes == [0] * len(codes)
    assert ended
    assert all(found == list(range(64)) for found in ended)
    client.close()


def test_locks_that_others_held_and_numbers_not_committed_are_gone(vectors):
    client, state = loaded(vectors, "HNSW")
    entry = threading.Lock()
    entry.acquire()
    index_of(state).graph.busy.append(entry)
    held, told = threading.Event(), threading.Event()

    def hold():
        with state._lock:
            held.set()
            told.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(60)

    def child():
        state.after_fork_in_child()
        with state._lock:
            is_dropped = index_of(state).graph is None
        return 0 if is_dropped and native._all.threads() == [] else 2

    assert in_child(child) == 0
    told.set()
    thread.join()
    client.close()
