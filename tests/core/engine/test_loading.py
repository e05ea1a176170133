"""Loading ends when no graph is due; reads beside drops and truncations never see SQLite."""

import os
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from elanus import MilvusClient
from elanus.engine._parts import DenseKey
from elanus.engine.upkeep import _graphs
from elanus.errors import ClosedError, CollectionNotFoundError
from elanus.index import Graph
from elanus.schema import IndexType

N, DIM = 400, 8
QUERY = [1.0] * DIM
REPEATS = int(os.environ.get("ELANUS_REPEATS", "5"))


@pytest.fixture(autouse=True)
def low_thresholds(thresholds):
    thresholds(graph_rows=100, graph_values=0, longest_tail=50)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "kb.db")


def rows(first, last):
    vectors = np.random.default_rng(first).normal(size=(last - first, DIM)).astype(np.float32)
    return [
        {"id": first + i, "vector": v, "text": f"word {i}", "n": i} for i, v in enumerate(vectors)
    ]


def create(client, name="c", index_type="HNSW"):
    params = client.prepare_index_params("vector", index_type=index_type, metric_type="L2")
    client.create_collection(name, dimension=DIM, index_params=params)


def state_of(client):
    client.query("c", limit=1)
    return next(iter(client._database.commits.states.values()))


def part_of(client):
    parts = state_of(client).view.parts
    return next((key, part) for key, part in parts.items() if isinstance(key, DenseKey))


def uncovered(client):
    _, index = part_of(client)
    return state_of(client).view.n - (0 if index.graph is None else index.graph.covered)


# --- building ------------------------------------------------------------------------------------


def test_a_graph_is_built_of_an_index_that_is_behind_its_view(path, monkeypatch):
    with MilvusClient(path) as client:
        create(client, index_type="FLAT")
        client.insert("c", rows(0, N))
        client.search("c", [QUERY])
        client.insert("c", rows(N, N + 90))
        client.delete("c", ids=[3, N + 5])
        client.query("c", "n == 1")  # follows the rows, and not the vectors
        state, (key, index) = state_of(client), part_of(client)
        assert (state.view.n, index.n) == (N + 89, N)  # one came and went unseen
        (info,) = client._database.catalogue().collections.values()
        spec = info.indexes["vector"]
        for index_type in ("HNSW", "IVF_FLAT", "SCANN", "AUTOINDEX"):
            asked = replace(spec, index_type=IndexType(index_type), params={})
            assert _graphs._build(state, key, asked, lambda: False)
            assert part_of(client)[1].graph.covered == N
            assert 3 not in part_of(client)[1].graph.nodes.slots


def test_mixed_traffic_always_ends_with_a_graph(path):
    for turn in range(REPEATS):
        with MilvusClient(f"{path}{turn}") as client:
            create(client)
            for number in range(8):
                first = number * 70
                client.insert("c", rows(first, first + 70))
                client.delete("c", ids=[first + 1, first + 9])
                if number % 2:
                    client.query("c", "n == 1")
                client.search("c", [QUERY])
                client.query("c", f"n == {number}")
            client.load_collection("c")
            assert uncovered(client) <= 50
            assert not client._database._upkeep.background._tasks
            assert client.verify() == []


# --- loading -------------------------------------------------------------------------------------


def test_loading_waits_for_a_saved_graph(path, monkeypatch):
    with MilvusClient(path) as client:
        create(client)
        client.insert("c", rows(0, N))
        client.load_collection("c")
    from_arrays = Graph.from_arrays

    def slow(*args, **options):
        time.sleep(0.2)
        return from_arrays(*args, **options)

    monkeypatch.setattr(Graph, "from_arrays", slow)
    monkeypatch.setattr(Graph, "build", None)
    with MilvusClient(path) as client:
        client.load_collection("c")
        assert uncovered(client) == 0


def test_loading_waits_for_what_is_due_after_the_graph_that_was_saved(path):
    with MilvusClient(path) as client:
        create(client)
        client.insert("c", rows(0, N))
        client.load_collection("c")
        client.insert("c", rows(N, N + 200))
    with MilvusClient(path) as client:
        client.load_collection("c")
        assert uncovered(client) <= 50


def test_loading_ends_although_others_go_on_writing(path):
    with MilvusClient(path) as client, MilvusClient(path) as writer:
        create(client)
        client.insert("c", rows(0, N))
        told = threading.Event()

        def write():
            number = N
            while not told.is_set():
                writer.insert("c", rows(number, number + 60))
                number += 60
                time.sleep(0.02)  # the queue of writers is not a fair one

        thread = threading.Thread(target=write)
        thread.start()
        try:
            for _ in range(REPEATS):
                before = client.query("c", output_fields=["count(*)"])[0]["count(*)"]
                client.load_collection("c")
                assert part_of(client)[1].graph.covered >= before - 50
        finally:
            told.set()
            thread.join()
        client.load_collection("c")
        assert uncovered(client) <= 50
        assert client.verify() == []


def held(monkeypatch):
    """Have builds wait until they are told to go on, or to give up."""
    began, go_on = threading.Event(), threading.Event()
    build = Graph.build

    def wait(*args, stop, **options):
        began.set()
        while not (stop() or go_on.is_set()):
            time.sleep(0.005)
        return build(*args, stop=stop, **options)

    monkeypatch.setattr(Graph, "build", wait)
    return began, go_on


@pytest.mark.parametrize("how", ["drop", "close", "release", "truncate"])
def test_loading_ends_when_its_collection_does(path, monkeypatch, how):
    began, go_on = held(monkeypatch)
    client = MilvusClient(path)
    create(client)
    client.insert("c", rows(0, N))
    errors = []

    def load():
        try:
            client.load_collection("c")
        except (ClosedError, CollectionNotFoundError) as error:
            errors.append(type(error))

    thread = threading.Thread(target=load)
    thread.start()
    assert began.wait(60)
    if how == "close":
        client.close()
    else:
        getattr(client, f"{how}_collection")("c")
        go_on.set()
    thread.join(60)
    assert not thread.is_alive()
    expected = {"close": [ClosedError], "drop": [CollectionNotFoundError]}
    assert errors == expected.get(how, [])
    client.close()


def test_loading_a_collection_without_an_index_or_rows_returns(path):
    with MilvusClient(path) as client:
        create(client, "flat", "FLAT")
        client.insert("flat", rows(0, N))
        client.load_collection("flat")
        create(client, "empty")
        client.load_collection("empty")
        with pytest.raises(CollectionNotFoundError):
            client.load_collection("none")


def test_loading_ends_when_graphs_are_never_published(path, monkeypatch):
    with MilvusClient(path) as client:
        create(client)
        client.insert("c", rows(0, N))
        monkeypatch.setattr("elanus.engine._state.CollectionState.publish_graph", lambda *_: False)
        client.load_collection("c")
        assert uncovered(client) == N


# --- reads beside drops --------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["drop", "truncate"])
@pytest.mark.parametrize("read", ["documents", "fetch_vectors"])
def test_a_read_by_row_of_what_is_dropped_meanwhile_begins_again(path, monkeypatch, how, read):
    with MilvusClient(path) as client, MilvusClient(path) as other:
        create(client)
        client.insert("c", rows(0, 50))
        client.search("c", [QUERY])
        tables = next(iter(client._database.commits.states.values())).tables
        original, done = getattr(tables, read), []

        def first_dropped(*args):
            if not done:
                done.append(1)
                getattr(other, f"{how}_collection")("c")
            return original(*args)

        monkeypatch.setattr(tables, read, first_dropped)
        fields = ["vector"] if read == "fetch_vectors" else ["text"]
        if how == "drop":
            with pytest.raises(CollectionNotFoundError):
                client.search("c", [QUERY], output_fields=fields)
        else:
            assert list(client.search("c", [QUERY], output_fields=fields)[0]) == []
        assert done


def test_searches_beside_drops_raise_only_that_there_is_no_such_collection(path):
    told, errors = threading.Event(), []
    with MilvusClient(path) as client, MilvusClient(path) as other:

        def look(handle):
            while not told.is_set():
                try:
                    handle.search("c", [QUERY], output_fields=["*"], limit=20)
                    handle.query("c", "n < 5", output_fields=["text", "vector"])
                    handle.get("c", ids=[1, 2])
                    handle.describe_index("c", "vector")
                    handle.load_collection("c")
                except CollectionNotFoundError:
                    pass
                except BaseException as error:  # noqa: BLE001  # shown in the test's own thread
                    errors.append(error)
                    return

        threads = [threading.Thread(target=look, args=[h]) for h in (client, other, client)]
        for thread in threads:
            thread.start()
        for turn in range(REPEATS * 4):
            create(client)
            client.insert("c", rows(0, 30 + 100 * (turn % 2)))
            time.sleep(0.01)
            if turn % 3 == 0:
                client.truncate_collection("c")
                client.insert("c", rows(0, 30))
            client.drop_collection("c")
        told.set()
        for thread in threads:
            thread.join()
    assert errors == []
