from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from elanus.index import DENSE_METRICS, DenseIndex, Graph, GraphParams
from elanus.schema import Metric


def naive_score(metric, row, query):
    """The definition, in plain Python floats, rounded to float32 at the end."""
    row, query = [float(v) for v in row], [float(v) for v in query]
    if metric is Metric.L2:
        score = sum((a - b) ** 2 for a, b in zip(row, query, strict=True))
    else:
        score = sum(a * b for a, b in zip(row, query, strict=True))
    if metric is Metric.COSINE:
        lengths = (sum(a * a for a in row) * sum(b * b for b in query)) ** 0.5
        score = 0.0 if lengths == 0 else max(-1.0, min(1.0, score / lengths))
    with np.errstate(over="ignore", under="ignore"):
        return float(np.float32(score))


def naive_hits(metric, matrix, query, k, keys, eligible):
    """Every eligible row by score and key, sorted in Python."""
    sign = 1.0 if metric is Metric.L2 else -1.0
    scored = [
        (sign * naive_score(metric, matrix[slot], query), keys[slot], slot)
        for slot in range(len(matrix))
        if eligible[slot]
    ]
    return [(slot, sign * score) for score, _, slot in sorted(scored)[:k]]


def as_pairs(hits):
    slots, scores = hits
    return list(zip(slots.tolist(), scores.tolist(), strict=True))


@pytest.fixture
def oracle():
    return SimpleNamespace(score=naive_score, hits=naive_hits, pairs=as_pairs)


def clustered(n, dim, seed):
    centres = np.random.default_rng(0).standard_normal((40, dim))
    rng = np.random.default_rng(seed)
    rows = centres[rng.integers(40, size=n)] + 0.4 * rng.standard_normal((n, dim))
    return rows.astype(np.float32)


@pytest.fixture(scope="session")
def big():
    """5,000 clustered vectors, 500 of them equal, under a graph of each metric."""
    rng = np.random.default_rng(7)
    matrix = clustered(5000, 24, seed=1)
    twins = rng.permutation(5000)[:500]
    matrix[twins] = matrix[twins[0]]
    keys = rng.permutation(5000).astype(np.int64)
    graphs = {}
    for metric in DENSE_METRICS:
        index = DenseIndex.from_matrix(matrix, None, metric)
        graphs[metric] = index.with_graph(Graph.build(index, GraphParams(16, 100)))
    queries = clustered(60, 24, seed=3)
    return SimpleNamespace(matrix=matrix, twins=twins, keys=keys, graphs=graphs, queries=queries)
