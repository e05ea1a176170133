"""Comparisons of integers and floats are exact, where float64 alone would round."""

import operator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.query import bind, evaluate, parse_filter

OPERATORS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
EDGES = [0, 1, -1, 2**53, 2**62, -(2**62), 2**63 - 1, -(2**63)]
integers = st.builds(
    lambda edge, offset: max(-(2**63), min(2**63 - 1, edge + offset)),
    st.sampled_from(EDGES),
    st.integers(-2, 2),
)
floats = st.one_of(
    integers.map(float),
    st.integers(-6, 6).map(lambda halves: halves / 2),
    st.sampled_from([9.3e18, -9.3e18, 1e300, -1e300, 0.1, -0.1]),
)


@settings(max_examples=300, deadline=None)
@given(integers, floats)
def test_an_integer_compares_exactly_with_a_float(make_rows, integer, number):
    source = make_rows([{"i": integer, "d": number, "$meta": {"k": integer, "x": number}}])
    for sign, holds in OPERATORS.items():
        params = {"i": integer, "d": number}
        for left in ("i", "k", "{i}"):
            for right in ("d", "x", "{d}"):
                text = f"{left} {sign} {right}"
                mask = evaluate(bind(parse_filter(text), params), source)
                assert mask.tolist() == [holds(integer, number)], text
                text = f"{right} {sign} {left}"
                mask = evaluate(bind(parse_filter(text), params), source)
                assert mask.tolist() == [holds(number, integer)], text


@settings(max_examples=300, deadline=None)
@given(integers, floats, st.lists(st.one_of(integers, floats), max_size=7))
def test_a_list_holds_a_number_only_if_it_is_exactly_equal(make_rows, integer, number, values):
    source = make_rows([{"i": integer, "d": number}])
    for name, value in (("i", integer), ("d", number)):
        mask = evaluate(bind(parse_filter(f"{name} in {{x}}"), {"x": values}), source)
        assert mask.tolist() == [value in values]


@pytest.mark.parametrize("sign", OPERATORS)
def test_an_integer_compares_with_what_overflowed_to_an_infinity(make_rows, sign):
    source = make_rows([{"i": 1, "d": 1e300}, {"i": 1, "d": -1e300}, {"i": None, "d": 1e300}])
    mask = evaluate(parse_filter(f"i {sign} d * 1e300"), source)
    assert mask.tolist() == [sign in ("<", "<=", "!="), sign in (">", ">=", "!="), False]


@pytest.mark.parametrize("sign", OPERATORS)
def test_nan_equals_nothing_and_has_no_order(make_rows, sign):
    source = make_rows([{"i": 1, "d": 1.0, "f": 1.0}, {"d": float("nan")}])
    for name in ("i", "d", "f"):
        mask = evaluate(bind(parse_filter(f"{name} {sign} {{x}}"), {"x": float("nan")}), source)
        assert mask[0] == (sign == "!=")
    assert evaluate(parse_filter(f"d {sign} 1"), source)[1] == (sign == "!=")
