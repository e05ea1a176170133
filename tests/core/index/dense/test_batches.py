"""Many queries at once get, bit for bit, what each of them gets alone."""

from __future__ import annotations

import numpy as np
import pytest

from elanus.index import DENSE_METRICS, DenseIndex, Graph, GraphParams
from elanus.index.dense import _index as dense
from elanus.index.dense import _rerank as rerank
from elanus.schema import Metric


def assert_alike(index, queries, k, mask, keys, ef=64):
    together = index.search_many(queries, k, mask=mask, keys=keys, ef=ef)
    assert len(together) == len(queries)
    for query, (slots, scores) in zip(queries, together, strict=True):
        alone = index.search(query, k, mask=mask, keys=keys, ef=ef)
        assert slots.tolist() == alone[0].tolist()
        assert scores.tobytes() == alone[1].tobytes()
    return together


@pytest.mark.parametrize("metric", DENSE_METRICS)
@pytest.mark.parametrize("every", [None, 3, 50, 2000])
def test_a_batch_through_the_graph(metric, every, big):
    mask = None if every is None else np.arange(5000) % every == 0
    queries = np.concatenate([big.queries, big.matrix[big.twins[:1]]])
    hits = assert_alike(big.graphs[metric], queries, 7, mask, big.keys, ef=30)
    count = 5000 if mask is None else np.count_nonzero(mask)
    assert all(len(slots) == min(7, count) for slots, _ in hits)


@pytest.mark.parametrize("metric", DENSE_METRICS)
def test_a_batch_over_a_graph_and_rows_that_it_does_not_cover(metric, big):
    far = big.queries * np.float32(2)
    index = big.graphs[metric].append(far).append(far[:5], np.arange(5) % 2 == 0)
    keys = np.random.default_rng(1).permutation(index.n)
    for mask in (None, np.arange(index.n) % 4 > 0):
        assert_alike(index, big.queries, 9, mask, keys)


@pytest.mark.parametrize("metric", [Metric.IP, Metric.L2])
def test_a_batch_with_rows_and_queries_that_float32_cannot_hold(metric, big):
    matrix = big.matrix.copy()
    matrix[::500] *= np.float32(1e30)
    index = DenseIndex.from_matrix(matrix, None, metric)
    index = index.with_graph(Graph.build(index, GraphParams(8, 40)))
    assert len(index.graph.stragglers)
    queries = big.queries[:20].copy()
    queries[3] *= np.float32(1e25)
    queries[7] *= np.float32(1e-30)
    for mask in (None, np.arange(5000) % 2 == 0):
        assert_alike(index, queries, 12, mask, big.keys)


def test_a_batch_over_a_graph_that_reaches_too_few(big):
    index = big.graphs[Metric.COSINE]
    arrays = dict(index.graph.to_arrays())
    for name in ("links", "upper"):
        arrays[name] = np.zeros_like(arrays[name])
    cut = index.with_graph(Graph.from_arrays(arrays, index))
    exact = index.with_graph(None)
    for left, right in zip(
        assert_alike(cut, big.queries[:12], 5, None, big.keys),
        exact.search_many(big.queries[:12], 5, mask=None, keys=big.keys),
        strict=True,
    ):
        assert left[0].tolist() == right[0].tolist()


def test_a_batch_is_cut_into_blocks_of_bounded_memory(big, monkeypatch):
    asked = []
    candidates = Graph.candidates

    def spy(self, rows, queries, *more):
        asked.append(len(queries))
        return candidates(self, rows, queries, *more)

    monkeypatch.setattr(Graph, "candidates", spy)
    monkeypatch.setattr(dense, "_FOUND_BYTES", 12 * 64 * 25)
    monkeypatch.setattr(rerank, "_PAIR_BYTES", 8 * 24 * 7)
    assert_alike(big.graphs[Metric.L2], big.queries, 10, None, big.keys)
    assert asked[:3] == [25, 25, 10]


def test_an_empty_batch_gives_no_hits(big):
    none = np.empty((0, 24), dtype=np.float32)
    assert big.graphs[Metric.IP].search_many(none, 3, mask=None, keys=big.keys) == []
