"""Mean and deviation of similarities against numpy, over vectors that come and go."""

from __future__ import annotations

import numpy as np
import pytest

from elanus.index import DenseIndex, Moments
from elanus.index.dense import _moments
from elanus.index.dense._exact import QueryVector
from elanus.schema import Metric


def naive(metric, rows, query):
    """Mean and standard deviation of all similarities, in float64."""
    wide, query = rows.astype(np.float64), query.astype(np.float64)
    if metric is Metric.COSINE:
        lengths = np.linalg.norm(wide, axis=1, keepdims=True)
        wide = np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths > 0)
        query = query / (np.linalg.norm(query) or 1.0)
    scores = wide @ query
    return scores.mean(), scores.std()


def of(moments, query, metric):
    return moments.of(QueryVector.of(query, len(query)), metric)


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.IP])
@pytest.mark.parametrize("dim", [1, 3, 64])
def test_they_follow_rows_that_come_and_go(metric, dim, monkeypatch):
    monkeypatch.setattr(_moments, "_BLOCK", 7)
    rng = np.random.default_rng(dim)
    matrix = rng.normal(0.5, 1.0, size=(200, dim)).astype(np.float32)
    matrix[::13] = 0
    rows = DenseIndex.from_matrix(matrix, None, metric).rows
    before, moments = np.zeros(200, dtype=bool), Moments.empty(dim)
    for share in (0.05, 0.5, 0.9, 1.0, 0.8, 0.3, 0.02, 0.6):
        now = rng.random(200) < share
        now[3] = True
        moments, before = moments.followed(rows, before, now), now
        assert moments.count == np.count_nonzero(now)
        for query in (*rng.normal(size=(3, dim)).astype(np.float32), np.zeros(dim, np.float32)):
            expected = naive(metric, matrix[now], query)
            assert of(moments, query, metric) == pytest.approx(expected, rel=1e-4, abs=2e-4)


def test_of_nothing_they_are_zero():
    assert of(Moments.empty(3), np.ones(3, np.float32), Metric.IP) == (0.0, 0.0)


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.IP])
def test_of_wide_vectors_the_mean_is_of_all_and_the_deviation_of_a_sample(metric):
    rng = np.random.default_rng(6)
    matrix = rng.normal(0.1, 1.0, size=(3000, 1100)).astype(np.float32)
    rows = DenseIndex.from_matrix(matrix, None, metric).rows
    now = rng.random(3000) < 0.9
    moments = Moments.empty(1100).followed(rows, np.zeros(3000, dtype=bool), now)
    assert moments.square is None
    query = rng.normal(0.1, 1.0, size=1100).astype(np.float32)
    mean, deviation = of(moments, query, metric)
    expected = naive(metric, matrix[now], query)
    assert mean == pytest.approx(expected[0], rel=1e-5, abs=1e-6)
    assert deviation == pytest.approx(expected[1], rel=0.1)
    few = moments.followed(rows, now, now & (np.arange(3000) < 50))
    expected = naive(metric, matrix[:50][now[:50]], query)
    assert of(few, query, metric) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_few_that_are_left_of_many_have_no_errors_of_those_that_went():
    rng = np.random.default_rng(1)
    common = rng.normal(size=64)
    matrix = (common + 0.3 * rng.normal(size=(50_000, 64))).astype(np.float32)
    rows = DenseIndex.from_matrix(matrix, None, Metric.COSINE).rows
    every, few = np.ones(50_000, dtype=bool), np.arange(50_000) < 10
    moments = Moments.empty(64).followed(rows, ~every, every).followed(rows, every, few)
    expected = naive(Metric.COSINE, matrix[:10], matrix[5])
    assert of(moments, matrix[5], Metric.COSINE) == pytest.approx(expected, rel=1e-5)
