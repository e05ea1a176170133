from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scores import canonical_scores

from elanus.errors import DatabaseCorruptError, DataNotMatchException, ParamError
from elanus.index import DENSE_METRICS, DenseIndex
from elanus.schema import Metric


@st.composite
def fields(draw):
    """Rows that tie often, of lengths far apart, some null; an index of them in pieces."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, dim = draw(st.integers(0, 300)), draw(st.sampled_from([1, 2, 5, 16]))
    matrix = rng.integers(-2, 3, size=(n, dim)).astype(np.float32)
    spread = draw(st.sampled_from([0, 0, 3, 12, 37]))
    with np.errstate(over="ignore", under="ignore"):
        matrix = (matrix * 10.0 ** rng.integers(-spread, spread + 1, size=(n, 1))).astype(
            np.float32
        )
    present = rng.random(n) < draw(st.sampled_from([1.0, 0.8, 0.1]))
    metric = draw(st.sampled_from(DENSE_METRICS))
    mapped = draw(st.integers(0, n))
    base = DenseIndex.from_matrix(matrix[:mapped], present[:mapped], metric)
    cut = draw(st.integers(mapped, n))
    index = base.append(matrix[mapped:cut], present[mapped:cut]).append(matrix[cut:], present[cut:])
    eligible = rng.random(n) < draw(st.sampled_from([1.0, 0.7, 0.2, 0.02]))
    mask = None if draw(st.booleans()) else eligible
    query = rng.integers(-2, 3, size=dim).astype(np.float32)
    query *= np.float32(draw(st.sampled_from([1.0, 1e-30, 1e20])))
    return matrix, present, metric, index, mask, query, rng.permutation(n).astype(np.int64)


@settings(deadline=None, max_examples=250)
@given(fields(), st.integers(1, 320))
def test_search_is_the_top_k_of_the_canonical_order(field, k):
    matrix, present, metric, index, mask, query, keys = field
    slots, scores = index.search(query, k, mask=mask, keys=keys)
    everything = canonical_scores(metric, matrix, query) if len(matrix) else np.empty(0)
    eligible = present if mask is None else present & mask
    sign = 1.0 if metric is Metric.L2 else -1.0
    wanted = sorted((sign * everything[i], keys[i], i) for i in np.flatnonzero(eligible))[:k]
    assert slots.tolist() == [slot for _, _, slot in wanted]
    assert scores.tolist() == [sign * score for score, _, _ in wanted]


@settings(deadline=None, max_examples=60)
@given(fields(), st.integers(1, 50))
def test_a_batch_answers_like_its_queries_one_by_one(field, k):
    matrix, _, _, index, mask, query, keys = field
    queries = np.stack([query, -query, np.zeros_like(query), *matrix[:5]])
    together = index.search_many(queries, k, mask=mask, keys=keys)
    for query_, (slots, scores) in zip(queries, together, strict=True):
        alone = index.search(query_, k, mask=mask, keys=keys)
        np.testing.assert_array_equal(slots, alone[0])
        np.testing.assert_array_equal(scores, alone[1])


@pytest.mark.parametrize("metric", DENSE_METRICS)
@pytest.mark.parametrize("share", [None, 0.9, 0.3, 0.02])
def test_search_agrees_with_plain_python(metric, share, oracle):
    rng = np.random.default_rng(11)
    # Small integers over a power of two: plain Python's order of additions is exact, too.
    matrix = (rng.integers(-8, 9, size=(1500, 8)) / 8).astype(np.float32)
    keys = np.array([f"key-{i}" for i in rng.permutation(1500)], dtype=object)
    mask = None if share is None else rng.random(1500) < share
    index = DenseIndex.empty(8, metric).append(matrix)
    for query in matrix[:5] + np.float32(0.125):
        hits = index.search(query, 25, mask=mask, keys=keys)
        eligible = np.ones(1500, dtype=bool) if mask is None else mask
        assert oracle.pairs(hits) == oracle.hits(metric, matrix, query, 25, keys, eligible)


@pytest.mark.parametrize("metric", DENSE_METRICS)
def test_random_vectors_of_one_length_are_ordered_exactly(metric):
    rng = np.random.default_rng(4)
    matrix = rng.standard_normal((3000, 100))
    matrix = (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)
    # Neighbours that differ in the last bit only: where a float32 scan alone goes wrong.
    matrix[1::3] = np.nextafter(matrix[::3], np.float32(2))
    index, keys = DenseIndex.from_matrix(matrix, None, metric), np.arange(3000)[::-1].copy()
    for query in rng.standard_normal((20, 100)).astype(np.float32):
        scores = canonical_scores(metric, matrix, query)
        wanted = np.lexsort((keys, scores if metric is Metric.L2 else -scores))[:40]
        assert index.search(query, 40, mask=None, keys=keys)[0].tolist() == wanted.tolist()


@pytest.mark.parametrize("metric", DENSE_METRICS)
def test_of_many_equal_vectors_the_smallest_keys_win(metric):
    rng = np.random.default_rng(5)
    matrix = rng.standard_normal((1000, 16)).astype(np.float32)
    matrix[300:500] = matrix[300]
    keys = rng.permutation(1000).astype(np.int64)
    index = DenseIndex.from_matrix(matrix, None, metric)
    query = matrix[300] * np.float32(1e3 if metric is Metric.IP else 1)
    slots, scores = index.search(query, 10, mask=None, keys=keys)
    if metric is not Metric.IP:
        assert keys[slots].tolist() == sorted(keys[300:500])[:10]
    assert len(set(scores.tolist())) == 1 or metric is Metric.IP


@pytest.mark.parametrize("metric", DENSE_METRICS)
def test_values_that_overflow_float32_products_are_ranked_right(metric):
    rng = np.random.default_rng(6)
    matrix = rng.standard_normal((400, 8)).astype(np.float32)
    matrix[::3] *= np.float32(1e37)
    matrix[1::3] *= np.float32(1e-38)
    matrix[5] = 0
    keys = np.arange(400)
    index = DenseIndex.from_matrix(matrix, None, metric)
    for query in (matrix[0], matrix[1], matrix[2], matrix[5]):
        scores = canonical_scores(metric, matrix, query)
        wanted = np.lexsort((keys, scores if metric is Metric.L2 else -scores))[:300]
        assert index.search(query, 300, mask=None, keys=keys)[0].tolist() == wanted.tolist()


@pytest.mark.parametrize("metric", DENSE_METRICS)
@pytest.mark.parametrize(("row_scale", "query_scale"), [(1e-11, 1e-33), (1e11, 1e30), (1, 1e37)])
def test_queries_beyond_float32_products_are_ranked_right(metric, row_scale, query_scale):
    rng = np.random.default_rng(10)
    matrix = (rng.standard_normal((2000, 16)) * row_scale).astype(np.float32)
    queries = (rng.standard_normal((5, 16)) * query_scale).astype(np.float32)
    index, keys = DenseIndex.from_matrix(matrix, None, metric), rng.permutation(2000)
    for query in queries:
        scores = canonical_scores(metric, matrix, query)
        wanted = np.lexsort((keys, scores if metric is Metric.L2 else -scores))[:30]
        assert index.search(query, 30, mask=None, keys=keys)[0].tolist() == wanted.tolist()


def test_null_vectors_are_never_found_whatever_they_hold():
    vectors = np.array([[1, 0], [np.nan, np.inf], [0, 1]], dtype=np.float32)
    present = np.array([True, False, True])
    keys = np.arange(6)
    index = DenseIndex.from_matrix(vectors, present, Metric.L2).append(vectors, present)
    slots, _ = index.search(np.zeros(2, dtype=np.float32), 10, mask=None, keys=keys)
    assert slots.tolist() == [0, 2, 3, 5]
    assert not index.vectors(np.array([4])).any()


def test_an_empty_index_and_an_empty_mask_find_nothing():
    query = np.ones(3, dtype=np.float32)
    index = DenseIndex.empty(3, Metric.COSINE)
    slots, scores = index.search(query, 5, mask=None, keys=np.arange(0))
    assert (len(slots), len(scores)) == (0, 0)
    index = index.append(np.ones((500, 3), dtype=np.float32))
    hits = index.search(query, 5, mask=np.zeros(500, dtype=bool), keys=np.arange(500))
    assert len(hits[0]) == 0
    assert index.search_many(np.empty((0, 3), np.float32), 5, mask=None, keys=np.arange(500)) == []


def test_earlier_values_stay_as_they_were_when_rows_are_appended(oracle):
    rng = np.random.default_rng(8)
    matrix = rng.standard_normal((900, 4)).astype(np.float32)
    keys = np.arange(900)
    values = [DenseIndex.empty(4, Metric.IP)]
    for start in range(0, 900, 30):
        values.append(values[-1].append(matrix[start : start + 30]))
    for index in values:
        assert len(index.search(matrix[0], 1000, mask=None, keys=keys[: index.n])[0]) == index.n
        np.testing.assert_array_equal(index.vectors(np.arange(index.n)), matrix[: index.n])


def test_two_continuations_of_one_value_do_not_see_each_other():
    # The second append leaves spare room, which both continuations would like to write to.
    start = DenseIndex.empty(2, Metric.L2).append(np.zeros((20, 2), dtype=np.float32))
    start = start.append(np.zeros((1, 2), dtype=np.float32))
    left = start.append(np.full((2, 2), 1, dtype=np.float32))
    right = start.append(np.full((2, 2), 2, dtype=np.float32))
    assert left.vectors(np.arange(21, 23)).tolist() == [[1, 1], [1, 1]]
    assert right.vectors(np.arange(21, 23)).tolist() == [[2, 2], [2, 2]]
    assert start.n == 21


def test_a_mapped_matrix_is_neither_copied_nor_written(tmp_path):
    matrix = np.random.default_rng(9).standard_normal((100, 6)).astype(np.float32)
    matrix.tofile(tmp_path / "vectors")
    mapped = np.memmap(tmp_path / "vectors", dtype=np.float32, mode="r", shape=(100, 6))
    index = DenseIndex.from_matrix(mapped, None, Metric.COSINE).append(matrix[:50])
    assert np.shares_memory(index.rows.base, mapped)
    slots = np.array([99, 100, 0, 149])
    np.testing.assert_array_equal(index.vectors(slots), matrix[[99, 0, 0, 49]])
    assert (tmp_path / "vectors").read_bytes() == matrix.tobytes()


def test_kept_squares_give_the_same_index():
    matrix = np.random.default_rng(9).standard_normal((100, 6)).astype(np.float32)
    present = np.arange(100) % 7 > 0
    first = DenseIndex.from_matrix(matrix, present, Metric.COSINE)
    again = DenseIndex.from_matrix(matrix, present, Metric.COSINE, squares=first.squares)
    keys = np.arange(100)
    for mine, theirs in zip(
        first.search(matrix[3], 20, mask=None, keys=keys),
        again.search(matrix[3], 20, mask=None, keys=keys),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(DatabaseCorruptError, match="squared lengths"):
        DenseIndex.from_matrix(matrix, None, Metric.COSINE, squares=-first.squares - 1)
    with pytest.raises(ParamError, match="squares"):
        DenseIndex.from_matrix(matrix, None, Metric.COSINE, squares=first.squares[1:])


def test_size_in_bytes_counts_the_vectors():
    index = DenseIndex.empty(10, Metric.L2).append(np.zeros((100, 10), dtype=np.float32))
    assert 4000 <= index.nbytes <= 8000
    assert (index.n, index.dim, index.metric, index.graph) == (100, 10, Metric.L2, None)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda i: i.append(np.zeros((2, 4), np.float32)), "dimension 3"),
        (lambda i: i.append(np.zeros(3, np.float32)), "dimension 3"),
        (lambda i: i.append(np.zeros((2, 3), np.float32), np.array([1, 0])), "booleans"),
        (lambda i: i.vectors(np.array([2])), "slots 0 to 1"),
        (lambda i: i.vectors(np.array([-1])), "slots 0 to 1"),
        (lambda _: DenseIndex.empty(0, Metric.L2), "dimension is 0"),
        (lambda _: DenseIndex.from_matrix(np.zeros((2, 3)), None, Metric.L2), "float32"),
        (lambda _: DenseIndex.from_matrix(np.zeros((3, 0), "f4"), None, Metric.L2), "at least 1"),
        (lambda i: i.search(np.ones(4), 1, mask=None, keys=np.arange(2)), "dimension 3"),
        (lambda i: i.search(np.full(3, np.nan), 1, mask=None, keys=np.arange(2)), "NaN"),
        (lambda i: i.search(np.ones(3), 0, mask=None, keys=np.arange(2)), "k is 0"),
        (lambda i: i.search(np.ones(3), 1, mask=None, keys=np.arange(2), ef=0), "ef is 0"),
        (lambda i: i.search(np.ones(3), 1, mask=np.ones(1, bool), keys=np.arange(2)), "mask"),
        (lambda i: i.search(np.ones(3), 1, mask=np.ones(2), keys=np.arange(2)), "mask"),
        (lambda i: i.search(np.ones(3), 1, mask=None, keys=np.arange(1)), "keys"),
        (lambda i: i.search_many(np.ones(3), 1, mask=None, keys=np.arange(2)), "queries"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call, message):
    index = DenseIndex.empty(3, Metric.IP).append(np.ones((2, 3), dtype=np.float32))
    with pytest.raises(ParamError, match=message):
        call(index)


def test_a_present_vector_that_is_not_finite_is_refused():
    vectors = np.ones((3, 2), dtype=np.float32)
    vectors[1, 0] = np.nan
    with pytest.raises(DataNotMatchException, match="vector 1 of 3"):
        DenseIndex.empty(2, Metric.IP).append(vectors)
    with pytest.raises(DataNotMatchException, match="vector 1 of 3"):
        DenseIndex.from_matrix(vectors, None, Metric.COSINE)
