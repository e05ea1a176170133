"""How far the best of many answers stands out by chance."""

from statistics import NormalDist

import pytest

from elanus.query._relevance import _by_chance


@pytest.mark.parametrize("documents", [7, 8, 30, 1000, 10**6, 10**9, 10**12])
def test_it_is_the_quantile_of_a_normal_distribution(documents):
    # By its symmetry: close to 1 a probability has few digits left.
    expected = -NormalDist().inv_cdf(3 / documents)
    assert _by_chance(documents) == pytest.approx(expected, rel=1e-14)


def test_of_few_none_stands_out():
    assert [_by_chance(documents) for documents in range(7)] == [0.0] * 7
