from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scores import canonical_scores

from elanus.errors import ParamError
from elanus.index import DENSE_METRICS, top_hits
from elanus.schema import Metric


@pytest.mark.parametrize("metric", DENSE_METRICS)
@pytest.mark.parametrize("dim", [1, 2, 3, 7, 8, 9, 127, 128, 129, 384, 1000])
def test_a_row_alone_scores_the_same_bits_as_among_others(metric, dim):
    rng = np.random.default_rng(dim)
    rows = rng.standard_normal((200, dim)).astype(np.float32)
    query = rng.standard_normal(dim).astype(np.float32)
    together = canonical_scores(metric, rows, query)
    for count in (1, 2, 3, 64):
        for start in (0, 100, 199):
            part = rows[start : start + count]
            alone = canonical_scores(metric, part, query)
            np.testing.assert_array_equal(alone, together[start : start + count], strict=True)


@pytest.mark.parametrize("metric", DENSE_METRICS)
@pytest.mark.parametrize("scale", [1e-30, 1e-5, 1.0, 1e18, 1e37])
def test_scores_are_the_definition_in_float64_rounded_to_float32(metric, scale, oracle):
    rng = np.random.default_rng(1)
    rows = (rng.standard_normal((30, 12)) * scale).astype(np.float32)
    query = rng.standard_normal(12).astype(np.float32)
    scores = canonical_scores(metric, rows, query)
    wanted = [oracle.score(metric, row, query) for row in rows]
    np.testing.assert_allclose(scores, wanted, rtol=1.2e-7)
    with np.errstate(over="ignore", under="ignore"):
        np.testing.assert_array_equal(scores, scores.astype(np.float32))


def test_cosine_of_a_vector_with_itself_is_one_and_with_zero_is_zero():
    rows = np.random.default_rng(2).standard_normal((50, 33)).astype(np.float32)
    for row in rows:
        assert canonical_scores(Metric.COSINE, row[None], row)[0] == 1.0
        assert canonical_scores(Metric.COSINE, row[None], -row)[0] == -1.0
    zero = np.zeros(33, dtype=np.float32)
    assert not canonical_scores(Metric.COSINE, rows, zero).any()
    assert not canonical_scores(Metric.COSINE, zero[None], rows[0]).any()


def test_a_zero_score_has_no_sign():
    rows = np.array([[-1.0], [-1e-30]], dtype=np.float32)
    for query in (0.0, 1e-30):
        scores = canonical_scores(Metric.IP, rows[query > 0 :], np.array([query], np.float32))
        assert scores.tolist() == [0.0] * len(scores)
        assert not np.signbit(scores).any()


def test_a_product_beyond_float32_is_infinite_without_a_warning():
    rows = np.array([[3e38, 3e38], [-3e38, 0.0]], dtype=np.float32)
    assert canonical_scores(Metric.IP, rows, rows[0]).tolist() == [np.inf, -np.inf]
    assert canonical_scores(Metric.L2, rows, rows[0]).tolist() == [0.0, np.inf]


def test_only_distances_are_better_when_lower():
    assert [metric.higher_is_better for metric in DENSE_METRICS] == [True, True, False]
    assert Metric("COSINE") is Metric.COSINE


@pytest.mark.parametrize("bad", [[1.0, np.nan], [np.inf, 1.0], [1.0], [[1.0, 2.0]]])
def test_a_query_of_another_shape_or_not_finite_is_refused(bad):
    with pytest.raises(ParamError, match="query vector"):
        canonical_scores(Metric.IP, np.ones((3, 2), dtype=np.float32), np.array(bad, np.float32))


@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1)), max_size=40),
    st.booleans(),
)
def test_order_is_by_score_then_by_integer_key(pairs, descending):
    scores = np.array([score for score, _ in pairs], dtype=np.float64)
    keys = np.array([key for _, key in pairs], dtype=np.int64)
    sign = -1 if descending else 1
    found, _ = top_hits(np.arange(len(keys)), scores, len(keys), keys, descending=descending)
    assert [(sign * scores[i], keys[i]) for i in found] == sorted(
        zip(sign * scores, keys, strict=True)
    )


@given(st.lists(st.tuples(st.integers(-2, 2), st.text(max_size=4)), max_size=40))
def test_order_of_equal_scores_is_by_code_point_of_string_keys(pairs):
    scores = np.array([score for score, _ in pairs], dtype=np.float64)
    keys = np.array([key for _, key in pairs] + [None], dtype=object)[:-1]
    found, _ = top_hits(np.arange(len(keys)), scores, len(keys), keys, descending=True)
    assert [(-scores[i], keys[i]) for i in found] == sorted(zip(-scores, keys, strict=True))
