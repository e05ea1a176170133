"""Mean and deviation of a query's similarities over all vectors, against comparing it with each."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.index import DenseIndex, Moments
from elanus.schema import Metric

METRICS = [Metric.COSINE, Metric.IP]


def similarities(metric, vectors, query):
    vectors, query = vectors.astype(np.float64), query.astype(np.float64)
    if metric is Metric.COSINE:
        lengths = np.linalg.norm(vectors, axis=1)
        vectors = vectors / np.where(lengths > 0, lengths, 1)[:, None]
        query = query / (np.linalg.norm(query) or 1)
    return vectors @ query


def judged(index, query, moments):
    _, mean, deviation = index.judge(query, np.arange(0), moments)
    return mean, deviation


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), steps=st.integers(1, 6))
def test_they_are_those_of_the_vectors_that_are_there_whatever_came_and_went(metric, seed, steps):
    rng = np.random.default_rng(seed)
    dim = int(rng.integers(1, 9))
    index, moments = DenseIndex.empty(dim, metric), Moments.empty(dim)
    alive = np.zeros(0, dtype=bool)
    for _ in range(steps):
        came = (rng.normal(size=(int(rng.integers(0, 9)), dim)) * 3 + 1).astype(np.float32)
        came[rng.random(len(came)) < 0.1] = 0
        index = index.append(came)
        before = np.concatenate([alive, np.zeros(len(came), dtype=bool)])
        alive = rng.random(index.n) < 0.7  # slots may even come to life again
        moments = moments.followed(index.rows, before, alive)
    query = rng.normal(size=dim).astype(np.float32)
    every = similarities(metric, index.vectors(np.flatnonzero(alive)), query)
    mean, deviation = judged(index, query, moments)
    assert moments.count == alive.sum()
    assert mean == pytest.approx(every.mean() if len(every) else 0, abs=1e-5)
    # The products are summed in float32, and the square of the mean is taken from their sum.
    longest = float(np.linalg.norm(index.vectors(np.flatnonzero(alive)), axis=1).max(initial=0))
    scale = 1.0 if metric is Metric.COSINE else longest * float(np.linalg.norm(query))
    assert deviation == pytest.approx(every.std() if len(every) else 0, abs=1e-3 * scale + 1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_ten_thousand_vectors(metric):
    rng = np.random.default_rng(1)
    vectors = (rng.normal(size=(10_000, 384)) + 0.3).astype(np.float32)
    index = DenseIndex.from_matrix(vectors, None, metric)
    none, every = np.zeros(10_000, dtype=bool), np.ones(10_000, dtype=bool)
    moments = Moments.empty(384).followed(index.rows, none, every)
    query = vectors[7] + rng.normal(size=384).astype(np.float32)
    wanted = similarities(metric, vectors, query)
    assert judged(index, query, moments) == pytest.approx((wanted.mean(), wanted.std()), rel=1e-4)


def test_above_1024_dimensions_the_mean_is_exact_and_the_deviation_that_of_a_sample():
    rng = np.random.default_rng(2)
    vectors = (rng.normal(size=(5_000, 1025)) + 0.05).astype(np.float32)
    index = DenseIndex.from_matrix(vectors, None, Metric.COSINE)
    none, every = np.zeros(5_000, dtype=bool), np.ones(5_000, dtype=bool)
    moments = Moments.empty(1025).followed(index.rows, none, every)
    assert moments.square is None
    query = vectors[:50].sum(axis=0)
    wanted = similarities(Metric.COSINE, vectors, query)
    mean, deviation = judged(index, query, moments)
    assert mean == pytest.approx(wanted.mean(), rel=1e-4)
    assert deviation == pytest.approx(wanted.std(), rel=0.1)


def test_vectors_that_are_all_alike_deviate_by_nothing():
    index = DenseIndex.from_matrix(np.ones((50, 3), dtype=np.float32), None, Metric.COSINE)
    moments = Moments.empty(3).followed(index.rows, np.zeros(50, bool), np.ones(50, bool))
    mean, deviation = judged(index, np.ones(3, dtype=np.float32), moments)
    assert mean == pytest.approx(1, abs=1e-6)
    assert deviation == pytest.approx(0, abs=1e-3)


def test_of_no_vectors_both_are_nothing():
    index = DenseIndex.empty(3, Metric.COSINE)
    assert judged(index, np.ones(3, dtype=np.float32), Moments.empty(3)) == (0.0, 0.0)
