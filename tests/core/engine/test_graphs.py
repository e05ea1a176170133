"""Graphs are built in the background; searches are right before, meanwhile and after."""

import threading
import time

import numpy as np
import pytest
from tiers import prefer_candidates

from elanus import MilvusClient
from elanus.engine import Snapshot
from elanus.index import DenseIndex, Graph

N = 600
QUERY = [0.3, -0.7, 1.1, 0.2]
THREAD = "elanus-background"


@pytest.fixture(autouse=True)
def low_thresholds(thresholds, monkeypatch):
    """Graphs from 100 rows on, extended after 50 more, and taken whenever there is one."""
    thresholds(graph_rows=100, graph_values=0, longest_tail=50)
    prefer_candidates(monkeypatch)


@pytest.fixture
def rows(world):
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(3 * N, 4)).astype(np.float32).tolist()
    return {i: world.row(i, w=v, n=i % 10) for i, v in enumerate(vectors)}


@pytest.fixture
def some(rows):
    """The rows from one key up to another."""

    def take(first, last):
        return [rows[i] for i in range(first, last)]

    return take


class Watch:
    """Counts builds and extensions, and can hold builds up until they are let go."""

    def __init__(self, monkeypatch):
        self.built = self.extended = 0
        self.may_finish, self.began = threading.Event(), threading.Event()
        self.may_finish.set()
        build, extend = Graph.build, Graph.extend
        inside = threading.local()

        def watched_build(*args, stop, **options):
            self.built += 1
            self._wait(stop)
            inside.build = True
            try:
                return build(*args, stop=stop, **options)
            finally:
                inside.build = False

        def watched_extend(graph, *args, stop, **options):
            if not getattr(inside, "build", False):
                self.extended += 1
                self._wait(stop)
            return extend(graph, *args, stop=stop, **options)

        monkeypatch.setattr(Graph, "build", watched_build)
        monkeypatch.setattr(Graph, "extend", watched_extend)

    def _wait(self, stop):
        self.began.set()
        while not (stop() or self.may_finish.is_set()):
            time.sleep(0.005)

    def hold(self):
        self.may_finish.clear()
        self.began.clear()


@pytest.fixture
def watch(monkeypatch):
    return Watch(monkeypatch)


def graph_of(world, client):
    """The graph that searches of `w` use; None if they scan."""

    def look(snapshot):
        parts = [p for k, p in snapshot.view.parts.items() if isinstance(p, DenseIndex)
                 and k.field == "w"]  # fmt: skip
        return parts[0].graph if parts else None

    return client._database.commits.read(world.NAME, look)


def assert_right(world, client, rows, keys, *, exact):
    """Full pages of the right rows with the right scores, filtered or not."""
    kept = {k: rows[k] for k in keys}
    right = total = 0
    for text, keep in (("", world.everything), ("n == 3", lambda r: r["n"] == 3)):
        for query in (QUERY, [-1.0, 0.4, 0.0, 2.0], [0.1, 0.1, 0.1, 0.1]):
            expected = dict(world.dense(kept, "w", "L2", query, keep))
            hits = world.found(client, "w", query, 10, filter=text)
            best = list(expected)[:10]
            assert len(hits) == len(best)
            assert all(d == pytest.approx(expected[k], rel=1e-6) for k, d in hits)
            if exact:
                assert [k for k, _ in hits] == best
            right += len({k for k, _ in hits} & set(best))
            total += len(best)
    assert right >= 0.95 * total


def test_searches_are_exact_while_a_graph_is_built(world, client, rows, some, watch):
    watch.hold()
    client.insert(world.NAME, some(0, N))
    assert_right(world, client, rows, range(N), exact=True)
    assert watch.began.wait(60)
    client.insert(world.NAME, some(N, N + 20))
    client.delete(world.NAME, ids=list(range(100)))
    assert_right(world, client, rows, range(100, N + 20), exact=True)
    assert client.describe_index(world.NAME, "w")["state"] == "InProgress"
    watch.may_finish.set()
    client.load_collection(world.NAME)
    assert graph_of(world, client).covered >= N
    assert_right(world, client, rows, range(100, N + 20), exact=False)


def test_a_finished_graph_is_reported_and_used(world, client, rows, some, watch):
    client.insert(world.NAME, some(0, N))
    client.load_collection(world.NAME)
    assert graph_of(world, client).covered == N
    described = client.describe_index(world.NAME, "w")
    assert (described["state"], described["indexed_rows"]) == ("Finished", N)
    assert_right(world, client, rows, range(N), exact=False)
    assert (watch.built, watch.extended) == (1, 0)


def test_few_new_rows_are_scanned_and_many_are_folded_in(world, client, rows, some, watch):
    client.insert(world.NAME, some(0, N))
    client.load_collection(world.NAME)
    client.insert(world.NAME, some(N, N + 50))
    client.load_collection(world.NAME)
    assert graph_of(world, client).covered == N
    assert_right(world, client, rows, range(N + 50), exact=False)
    client.insert(world.NAME, some(N + 50, N + 60))
    client.load_collection(world.NAME)
    assert graph_of(world, client).covered == N + 60
    assert (watch.built, watch.extended) == (1, 1)
    assert_right(world, client, rows, range(N + 60), exact=False)


def test_a_graph_a_quarter_dead_is_built_afresh_once(world, client, rows, some, watch):
    client.insert(world.NAME, some(0, N))
    client.load_collection(world.NAME)
    client.delete(world.NAME, ids=list(range(N // 4)))
    client.load_collection(world.NAME)
    assert watch.built == 1
    client.delete(world.NAME, ids=[N // 4])
    for _ in range(3):
        client.load_collection(world.NAME)
        assert_right(world, client, rows, range(N // 4 + 1, N), exact=False)
    assert watch.built == 2
    assert client.describe_index(world.NAME, "w")["state"] == "Finished"
    assert len(graph_of(world, client).nodes.slots) == N - N // 4 - 1
    # Of what is left, again more than a quarter.
    client.delete(world.NAME, ids=list(range(N // 4, N // 2 - 20)))
    client.load_collection(world.NAME)
    assert watch.built == 3
    assert_right(world, client, rows, range(N // 2 - 20, N), exact=False)


def test_rows_without_a_vector_do_not_count_as_dead(world, client, rows, some, watch):
    nulls = [{**r, "w": None} for r in some(N, 2 * N)]
    client.insert(world.NAME, [*some(0, N), *nulls])
    client.load_collection(world.NAME)
    client.delete(world.NAME, ids=list(range(N, N + N // 2)))
    client.load_collection(world.NAME)
    assert watch.built == 1
    assert_right(world, client, rows, range(N), exact=False)
    client.delete(world.NAME, ids=list(range(N // 3)))
    client.load_collection(world.NAME)
    assert watch.built == 2
    assert_right(world, client, rows, range(N // 3, N), exact=False)


@pytest.mark.parametrize("how", ["truncate_collection", "release_collection"])
def test_a_graph_of_slots_that_are_void_is_never_used(world, client, rows, some, watch, how):
    watch.hold()
    client.insert(world.NAME, some(0, N))
    client.delete(world.NAME, ids=list(range(50)))
    assert_right(world, client, rows, range(50, N), exact=True)
    client.delete(world.NAME, ids=list(range(50, 90)))
    assert watch.began.wait(60)
    getattr(client, how)(world.NAME)
    client.upsert(world.NAME, some(N, 2 * N))
    keys = range(N, 2 * N) if how == "truncate_collection" else range(90, 2 * N)
    assert_right(world, client, rows, keys, exact=True)
    watch.may_finish.set()
    for _ in range(3):
        client.load_collection(world.NAME)
        assert_right(world, client, rows, keys, exact=False)


def test_dropping_a_collection_while_its_graph_is_built_harms_nobody(
    world, client, rows, some, watch
):
    watch.hold()
    client.insert(world.NAME, some(0, N))
    assert_right(world, client, rows, range(N), exact=True)
    assert watch.began.wait(60)
    client.drop_collection(world.NAME)
    world.create(client)
    client.insert(world.NAME, some(N, 2 * N))
    watch.may_finish.set()
    client.load_collection(world.NAME)
    assert graph_of(world, client).covered == N
    assert_right(world, client, rows, range(N, 2 * N), exact=False)


def change_index(world, client, index_type, **params):
    client.drop_index(world.NAME, "w")
    asked = client.prepare_index_params()
    asked.add_index("w", index_type, metric_type="L2", params=params)
    client.create_index(world.NAME, asked)


def test_a_flat_index_in_place_of_a_graph_is_exact(world, client, rows, some, monkeypatch):
    client.insert(world.NAME, some(0, N))
    client.load_collection(world.NAME)
    change_index(world, client, "FLAT")
    monkeypatch.setattr(Graph, "candidates", None)  # whoever calls it fails
    assert_right(world, client, rows, range(N), exact=True)


def test_without_an_index_searches_are_exact(world, client, rows, some, monkeypatch):
    client.insert(world.NAME, some(0, N))
    client.load_collection(world.NAME)
    client.drop_index(world.NAME, "w")
    monkeypatch.setattr(Graph, "candidates", None)
    [hits] = client.search(world.NAME, [QUERY], anns_field="w", search_params={"metric_type": "L2"})
    expected = world.dense({k: rows[k] for k in range(N)}, "w", "L2", QUERY)[:10]
    assert [hit["id"] for hit in hits] == [key for key, _ in expected]


def test_an_index_with_other_parameters_gets_another_graph(world, client, rows, some, watch):
    client.insert(world.NAME, some(0, N))
    client.load_collection(world.NAME)
    change_index(world, client, "HNSW", M=5, efConstruction=33)
    client.load_collection(world.NAME)
    params = graph_of(world, client).params
    assert (params.m, params.ef_construction, watch.built) == (5, 33, 2)
    assert_right(world, client, rows, range(N), exact=False)


@pytest.mark.parametrize("where", ["file", ":memory:"])
def test_closing_while_a_graph_is_built_is_quick_and_leaves_no_thread(
    world, rows, some, watch, tmp_path, where
):
    before = threading.active_count()
    watch.hold()
    client = MilvusClient(str(tmp_path / "closed.db") if where == "file" else where)
    world.create(client)
    client.insert(world.NAME, some(0, N))
    world.found(client, "w", QUERY)
    assert watch.began.wait(60)
    started = time.monotonic()
    client.close()
    assert time.monotonic() - started < 60  # the build never ends by itself
    assert THREAD not in {t.name for t in threading.enumerate()}
    assert threading.active_count() <= before
    if where == "file":
        watch.may_finish.set()
        with MilvusClient(str(tmp_path / "closed.db")) as again:
            assert_right(world, again, rows, range(N), exact=False)
            assert again.verify() == []


def test_a_real_build_is_given_up_at_close(world, tmp_path, monkeypatch):
    """Half a minute of work, of which nobody waits for more than a few slices."""
    monkeypatch.setattr("elanus.index.dense._graph._SLICE", 8)
    vectors = np.random.default_rng(1).normal(size=(6_000, 4)).astype(np.float32)
    asked = MilvusClient.prepare_index_params()
    asked.add_index("vector", "HNSW", metric_type="L2", params={"M": 64, "efConstruction": 4_000})
    client = MilvusClient(":memory:")
    client.create_collection("big", dimension=4, index_params=asked)
    client.insert("big", [{"id": i, "vector": v} for i, v in enumerate(vectors)])
    client.search("big", [QUERY])
    started = time.monotonic()
    client.close()
    assert time.monotonic() - started < 15
    assert THREAD not in {t.name for t in threading.enumerate()}


@pytest.mark.parametrize("error", [OSError("disk full"), RuntimeError("hnswlib"), MemoryError()])
def test_a_build_that_fails_costs_only_speed(world, client, rows, some, monkeypatch, error):
    def fail(*args, **options):
        raise error

    client.insert(world.NAME, some(0, N))
    with monkeypatch.context() as broken:
        broken.setattr(Graph, "build", fail)
        client.load_collection(world.NAME)
        assert_right(world, client, rows, range(N), exact=True)
        client.load_collection(world.NAME)
    client.load_collection(world.NAME)
    assert graph_of(world, client).covered == N


def test_a_search_of_an_older_commit_is_not_answered_by_a_newer_graph(
    world, client, rows, some, monkeypatch
):
    """A graph is published, with more rows, between a search's first look and its scan."""
    client.insert(world.NAME, some(0, N))
    client.load_collection(world.NAME)
    published = []
    eligible = Snapshot.eligible

    def publish_meanwhile(self, *filters):
        mask = eligible(self, *filters)
        if not published:
            published.append(1)
            writer = threading.Thread(target=write)
            writer.start()
            writer.join()
        return mask

    def write():
        client.insert(world.NAME, some(N, N + 200))
        client.load_collection(world.NAME)

    monkeypatch.setattr(Snapshot, "eligible", publish_meanwhile)
    hits = world.found(client, "w", rows[N + 3]["w"], 5, filter="n >= 0")
    # Either the commit before or the one after, but one of them.
    assert hits[0][0] == N + 3 or all(key < N for key, _ in hits)
    assert published


def test_handles_that_share_graphs_stay_right_while_they_are_searched(
    world, path, client, rows, some
):
    """Both build, save and adopt; rows come and go; every search is filtered by what is stable."""
    client.insert(world.NAME, some(0, N))
    stop, errors = threading.Event(), []
    stable = "id < 200 and n == 3"
    expected = world.dense({k: rows[k] for k in range(3, 200, 10)}, "w", "L2", QUERY)

    def look(handle):
        try:
            while not stop.is_set():
                hits = world.found(handle, "w", QUERY, filter=stable)
                assert [k for k, _ in hits] == [k for k, _ in expected]
                assert len(world.found(handle, "w", QUERY, 10)) == 10
        except BaseException as error:  # noqa: BLE001  # shown in the test's own thread
            errors.append(error)

    with MilvusClient(path, durability="normal") as other:
        threads = [threading.Thread(target=look, args=[handle]) for handle in (client, other)]
        for thread in threads:
            thread.start()
        for number in range(12):
            writer, idle = (client, other) if number % 2 else (other, client)
            writer.upsert(world.NAME, some(200 + 60 * number, 400 + 60 * number))
            idle.delete(world.NAME, ids=list(range(200 + 40 * number, 300 + 40 * number)))
            writer.load_collection(world.NAME)
            if number % 4 == 3:
                idle.release_collection(world.NAME)
        stop.set()
        for thread in threads:
            thread.join()
        assert errors == []
        assert other.verify() == []


def test_a_graph_of_a_numbering_that_was_restored_again_is_not_published(world, client, some):
    client.insert(world.NAME, some(0, N))
    client.load_collection(world.NAME)  # saves the slots, which a release then restores
    client.search(world.NAME, [QUERY], anns_field="w")
    (state,) = client._database.commits.states.values()
    before = state.view
    key = next(k for k in before.parts if getattr(k, "field", None) == "w")
    graph = before.parts[key].graph
    assert state.publish_graph(before, key, graph)
    client.release_collection(world.NAME)
    client.search(world.NAME, [QUERY], anns_field="w")
    assert state.view.lineage == before.lineage
    assert not state.publish_graph(before, key, graph)


def test_describing_an_index_has_the_graph_built_that_is_due(world, client, some):
    client.insert(world.NAME, some(0, N))
    deadline = time.monotonic() + 60
    states = []
    while not states or states[-1] != "Finished":
        described = client.describe_index(world.NAME, "w")
        states.append(described["state"])
        assert described["indexed_rows"] + described["pending_index_rows"] == N
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert states[0] == "InProgress"
    assert graph_of(world, client).covered == N
