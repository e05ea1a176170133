from __future__ import annotations

import threading

import numpy as np
import pytest

from elanus.errors import ParamError
from elanus.index import (
    DENSE_METRICS,
    DenseIndex,
    Graph,
    GraphParams,
    canonical_scores,
    wants_graph,
)
from elanus.index.dense import _index as dense
from elanus.index.dense import _rerank as rerank
from elanus.index.dense._metric import Query
from elanus.schema import Metric


@pytest.fixture
def no_scan(monkeypatch):
    """Makes every exact scan an error, so that a test knows that the graph answered."""

    def refuse(*_args):
        raise AssertionError("scanned")

    for module in (dense, rerank):
        monkeypatch.setattr(module, "scan", refuse)


def exact_slots(metric, matrix, query, k, keys, mask=None):
    scores = canonical_scores(metric, matrix, query)
    order = np.lexsort((keys, scores if metric is Metric.L2 else -scores))
    return [slot for slot in order if mask is None or mask[slot]][:k]


def same_hits(left, right):
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("metric", DENSE_METRICS)
def test_a_graph_finds_nearly_all_and_scores_canonically(metric, big, no_scan):
    index = big.graphs[metric]
    found = 0
    for query in big.queries:
        slots, scores = index.search(query, 10, mask=None, keys=big.keys)
        wanted = exact_slots(metric, big.matrix, query, 10, big.keys)
        found += len(set(wanted) & set(slots.tolist()))
        np.testing.assert_array_equal(scores, canonical_scores(metric, big.matrix[slots], query))
        sign = 1 if metric is Metric.L2 else -1
        order = list(zip(sign * scores, big.keys[slots], strict=True))
        assert order == sorted(order)
    assert found >= 0.95 * 10 * len(big.queries)


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.L2])
def test_of_500_equal_vectors_a_graph_gives_the_ten_smallest_keys(metric, big, no_scan):
    index, twin = big.graphs[metric], big.matrix[big.twins[0]]
    assert len(index.graph.nodes) == 4501
    slots, _ = index.search(twin, 10, mask=None, keys=big.keys)
    assert big.keys[slots].tolist() == sorted(big.keys[big.twins])[:10]
    (slots,) = index.graph.candidates(index.rows, [Query.of(twin, 24)], 2, 2, None)
    assert set(slots[:500].tolist()) == set(big.twins.tolist())


def test_vectors_of_one_direction_share_a_node_under_cosine_only():
    matrix = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)
    matrix = np.concatenate([matrix, matrix * np.float32(4)])
    nodes = {
        metric: len(Graph.build(DenseIndex.from_matrix(matrix, None, metric), GraphParams()).nodes)
        for metric in DENSE_METRICS
    }
    assert nodes == {Metric.COSINE: 40, Metric.IP: 80, Metric.L2: 80}


@pytest.mark.parametrize("metric", DENSE_METRICS)
@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 0.01, 0.001])
def test_a_filter_gives_exactly_the_wanted_number_of_matches(metric, share, big):
    rng, index = np.random.default_rng(int(share * 1000)), big.graphs[metric]
    recall = []
    for query in big.queries[:20]:
        mask = rng.random(index.n) < share
        slots, scores = index.search(query, 10, mask=mask, keys=big.keys, ef=40)
        assert len(slots) == min(10, np.count_nonzero(mask))
        assert mask[slots].all()
        np.testing.assert_array_equal(scores, canonical_scores(metric, big.matrix[slots], query))
        wanted = exact_slots(metric, big.matrix, query, 10, big.keys, mask)
        recall.append(len(set(wanted) & set(slots.tolist())) / max(1, len(wanted)))
    assert np.mean(recall) >= (0.95 if share > 0.2 else 0.999)


def test_a_filter_that_keeps_half_goes_through_the_graph(big, no_scan):
    mask = np.arange(5000) % 2 == 0
    index = big.graphs[Metric.COSINE]
    slots, _ = index.search(big.queries[0], 10, mask=mask, keys=big.keys, ef=30)
    assert len(slots) == 10
    assert mask[slots].all()


def test_a_filter_against_the_query_is_answered_by_a_scan(big):
    index = big.graphs[Metric.L2]
    for query in big.queries[:5]:
        # The nearer half is filtered out: what the graph gives is masked to nothing.
        mask = np.ones(index.n, dtype=bool)
        mask[exact_slots(Metric.L2, big.matrix, query, 2500, big.keys)] = False
        slots, _ = index.search(query, 10, mask=mask, keys=big.keys, ef=30)
        assert slots.tolist() == exact_slots(Metric.L2, big.matrix, query, 10, big.keys, mask)


@pytest.mark.parametrize("k", [100, 4501, 4999, 5000, 9000])
def test_more_hits_than_the_graph_can_give_are_complete_all_the_same(k, big):
    index = big.graphs[Metric.COSINE]
    slots, _ = index.search(big.queries[0], k, mask=None, keys=big.keys)
    assert len(set(slots.tolist())) == min(k, 5000)


def test_a_graph_that_reaches_too_few_nodes_is_passed_over(big):
    index = big.graphs[Metric.COSINE]
    arrays = dict(index.graph.to_arrays())
    arrays["links"] = np.zeros_like(arrays["links"])
    arrays["upper"] = np.zeros_like(arrays["upper"])
    cut = index.with_graph(Graph.from_arrays(arrays, index))
    slots, _ = cut.search(big.queries[0], 10, mask=None, keys=big.keys)
    assert slots.tolist() == exact_slots(Metric.COSINE, big.matrix, big.queries[0], 10, big.keys)


@pytest.mark.parametrize("metric", DENSE_METRICS)
def test_rows_behind_the_graph_are_found_at_once(metric, big):
    old = big.graphs[metric]
    before = [old.search(q, 10, mask=None, keys=big.keys) for q in big.queries[:10]]
    far = big.queries[:10] * np.float32(3 if metric is Metric.IP else 1)
    new = old.append(far).append(np.zeros((2, 24), np.float32), np.array([False, False]))
    keys = np.concatenate([big.keys, np.arange(5000, 5012)])
    for place, query in enumerate(big.queries[:10]):
        slots, scores = new.search(query, 10, mask=None, keys=keys)
        if metric is not Metric.IP:
            assert slots[0] == 5000 + place
        at = slots.tolist().index(5000 + place) if 5000 + place in slots else None
        if at is not None:
            assert scores[at] == canonical_scores(metric, far[place : place + 1], query)[0]
        mask = np.ones(5012, dtype=bool)
        mask[5000 + place] = False
        assert 5000 + place not in new.search(query, 10, mask=mask, keys=keys)[0]
    after = [old.search(q, 10, mask=None, keys=big.keys) for q in big.queries[:10]]
    assert all(same_hits(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("metric", DENSE_METRICS)
def test_an_extended_graph_covers_the_new_rows_and_leaves_the_old_graph_alone(metric, big, no_scan):
    old = big.graphs[metric]
    before = {name: array.tobytes() for name, array in old.graph.to_arrays().items()}
    fresh = np.concatenate([big.queries, big.matrix[big.twins[:3]], big.queries[:5]])
    present = np.arange(len(fresh)) != 2
    new = old.append(fresh, present)
    graph = old.graph.extend(new, threads=2)
    new = new.with_graph(graph)
    assert graph.covered == new.n == 5068
    # 60 new vectors, less the null one that comes again behind; equals share a node.
    assert len(graph.nodes) == len(old.graph.nodes) + 60
    keys = np.concatenate([big.keys, np.arange(5000, 5068)])
    for place in (0, 1, 3, 4):
        slots, _ = new.search(big.queries[place], 2, mask=None, keys=keys)
        if metric is not Metric.IP:
            assert slots.tolist() == [5000 + place, 5063 + place]
    slots = new.graph.nodes.slots
    assert sorted(slots.tolist()) == [*range(5002), *range(5003, 5068)]
    assert before == {name: array.tobytes() for name, array in old.graph.to_arrays().items()}


def test_masked_and_null_rows_are_left_out_of_a_graph():
    matrix = np.random.default_rng(0).standard_normal((100, 4)).astype(np.float32)
    present, alive = np.arange(100) % 10 > 0, np.arange(100) % 2 == 0
    index = DenseIndex.from_matrix(matrix, present, Metric.L2)
    graph = Graph.build(index, GraphParams(), mask=alive)
    assert sorted(graph.nodes.slots.tolist()) == np.flatnonzero(present & alive).tolist()
    assert graph.covered == 100


@pytest.mark.parametrize("metric", DENSE_METRICS)
@pytest.mark.parametrize("scale", [1e-30, 1e-9, 1e9, 1e30])
def test_the_size_of_the_numbers_does_not_matter(metric, scale):
    rng = np.random.default_rng(3)
    matrix = (rng.standard_normal((4000, 8)) * scale).astype(np.float32)
    matrix[::100] *= np.float32(1e7)
    index = DenseIndex.from_matrix(matrix, None, metric)
    graphed, keys = index.with_graph(Graph.build(index, GraphParams(8, 60))), np.arange(4000)
    found = 0
    for query in matrix[5:25]:
        slots, _ = graphed.search(query, 10, mask=None, keys=keys)
        found += len(set(slots) & set(index.search(query, 10, mask=None, keys=keys)[0]))
    assert found >= 190


def test_a_graph_of_nothing_and_one_of_one_row_answer():
    query, keys = np.ones(3, dtype=np.float32), np.arange(1)
    empty = DenseIndex.empty(3, Metric.COSINE)
    nothing = Graph.build(empty, GraphParams())
    assert len(empty.with_graph(nothing).search(query, 1, mask=None, keys=keys[:0])[0]) == 0
    one = empty.append(query[None])
    for graph in (nothing, nothing.extend(one), Graph.build(one, GraphParams())):
        again = Graph.from_arrays(graph.to_arrays(), one)
        slots, _ = one.with_graph(again).search(query, 5, mask=None, keys=keys)
        assert slots.tolist() == [0]


def test_building_stops_soon_when_told():
    rng = np.random.default_rng(0)
    index = DenseIndex.from_matrix(
        rng.standard_normal((20_000, 64)).astype(np.float32), None, Metric.L2
    )
    asked = []

    def stop():
        asked.append(1)
        return len(asked) > 2

    assert Graph.build(index, GraphParams(), stop=stop) is None
    assert len(asked) == 3  # of the 157 slices that it would take


def test_searches_go_on_while_another_thread_appends_and_extends(big):
    state = {"index": big.graphs[Metric.COSINE]}
    keys = np.concatenate([big.keys, np.arange(5000, 6000)])
    fresh = np.random.default_rng(1).standard_normal((600, 24)).astype(np.float32)
    failures, done = [], threading.Event()

    def search():
        rng = np.random.default_rng()
        while not done.is_set():
            index = state["index"]
            query = big.queries[rng.integers(60)]
            mask = rng.random(index.n) < 0.6
            for given in (None, mask):
                slots, scores = index.search(query, 10, mask=given, keys=keys[: index.n])
                wanted = canonical_scores(Metric.COSINE, index.vectors(slots), query)
                if len(slots) != 10 or not np.array_equal(scores, wanted):
                    failures.append((slots, scores))

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for start in range(0, 600, 20):
            index = state["index"].append(fresh[start : start + 20])
            if start % 100 == 80:
                index = index.with_graph(index.graph.extend(index, threads=1))
            state["index"] = index
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not failures
    assert state["index"].graph.covered == 5600
    np.testing.assert_array_equal(state["index"].vectors(np.arange(5000, 5600)), fresh)


def test_a_graph_of_another_index_is_refused(big):
    graph = big.graphs[Metric.COSINE].graph
    for other in (
        DenseIndex.from_matrix(big.matrix, None, Metric.IP),
        DenseIndex.from_matrix(big.matrix[:10], None, Metric.COSINE),
        DenseIndex.empty(3, Metric.COSINE),
    ):
        with pytest.raises(ParamError, match="does not fit an index"):
            other.with_graph(graph)
    assert big.graphs[Metric.COSINE].with_graph(None).graph is None


@pytest.mark.parametrize("params", [(1, 100), (2049, 100), (16, 0)])
def test_parameters_out_of_range_are_refused(params):
    with pytest.raises(ParamError, match="HNSW parameter"):
        GraphParams(*params)


def test_build_arguments_that_do_not_fit_are_refused(big):
    index = big.graphs[Metric.L2]
    with pytest.raises(ParamError, match="mask"):
        Graph.build(index, GraphParams(), mask=np.ones(3, dtype=bool))
    with pytest.raises(ParamError, match="threads is -1"):
        Graph.build(index, GraphParams(), threads=-1)


def test_a_graph_is_wanted_where_it_is_faster_than_a_scan():
    assert wants_graph(100_000, 384)
    assert not wants_graph(1_000, 384)
    assert not wants_graph(1_000, 32_768)
