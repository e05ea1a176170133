"""What filters mean, by example; and filters that do not fit the schema."""

import numpy as np
import pytest

from elanus.errors import FilterError
from elanus.query import bind, check, evaluate, parse_filter


def matches(source, text, **params):
    return np.flatnonzero(evaluate(bind(parse_filter(text), params), source)).tolist()


@pytest.fixture
def source(make_rows):
    return make_rows(
        [
            {
                "i": 2**53 + 1,
                "b": True,
                "f": 0.1,
                "s": "éa",
                "t": "red fox",
                "a": [1, 2],
                "j": 1,
                "$meta": {"k": 5},
            },
            {
                "i": -7,
                "b": False,
                "f": 2.0,
                "s": "z\nz",
                "t": "red hen",
                "a": [],
                "j": True,
                "$meta": {"k": "5"},
            },
            {
                "i": None,
                "b": None,
                "f": None,
                "s": None,
                "t": None,
                "a": None,
                "j": None,
                "$meta": {"k": None},
            },
            {
                "i": 2**63 - 1,
                "b": True,
                "f": -1.5,
                "s": "",
                "t": "",
                "a": [2],
                "j": [1, [2]],
                "$meta": {},
            },
        ]
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("i == 9007199254740993", [0]),
        ("i == 9007199254740992", []),
        ("i > 9007199254740992.0", [0, 3]),
        ("i < 9223372036854775808", [0, 1, 3]),
        ("i < 9223372036854775807.0", [0, 1, 3]),
        ("i >= 1e300", []),
        ("i != 0.5", [0, 1, 3]),
        ("i + 1 == 9223372036854775808.0", [3]),
        ("i + 0 == 9223372036854775807", [3]),
        ("i * 2 > 9223372036854775807", [3]),
        ("i / 2 == -3", [1]),
        ("i % 2 == -1", [1]),
        ("i / 0 == 1 or not (i / 0 == 1)", []),
        ("f == 0.1", [0]),
        ("f in [0.1, 7]", [0]),
        ("f <= 0.1", [0, 3]),
        ("f > 0.1", [1]),
        ("f < 1e300", [0, 1, 3]),
        ("b", [0, 3]),
        ("not b", [1]),
        ("b == true or b is null", [0, 2, 3]),
        ('s > "z"', [0, 1]),
        ("s like '%\n%'", [1]),
        ("s like '_a'", [0]),
        ('s == "nowhere" or s != "nowhere"', [0, 1, 3]),
        ("a[0] == 1", [0]),
        ("a[1] > 0", [0]),
        ("a == [1, 2]", [0]),
        ("a != [1, 2]", [1, 3]),
        ("array_contains(a, 2)", [0, 3]),
        ("not array_contains(a, 1)", [1, 3]),
        ("ARRAY_CONTAINS_ALL(a, [2, 1])", [0]),
        ("array_contains_all(a, [])", [0, 1, 3]),
        ("array_length(a) == 0", [1]),
        ("k == 5", [0]),
        ('$meta["k"] != 5', [1]),
        ("k > 4", [0]),
        ("not (k > 4)", []),
        ("k is null", [2, 3]),
        ("exists k", [0, 1]),
        ("j == 1", [0]),
        ("j == true", [1]),
        ("j in [true, 7]", [1]),
        ("json_contains(j, [2])", [3]),
        ("j[1][0] == 2", [3]),
        ("nowhere == 1 or not (nowhere == 1)", []),
        ("text_match(t, 'fox hen')", [0, 1]),
        ("text_match(t, 'red hen', minimum_should_match=2)", [1]),
        ("phrase_match(t, 'red fox')", [0]),
        ("PHRASE_MATCH(t, 'fox red')", []),
        ("phrase_match(t, 'fox red', 2)", [0]),
        ("not phrase_match(t, 'red hen', 0)", [0, 2, 3]),
        ("phrase_match(t, 'red') and i < 0", [1]),
        ("not (phrase_match(t, 'fox') and i > 0 and phrase_match(t, 'red'))", [1, 2, 3]),
        ("not (phrase_match(t, 'red') and i > 0)", [1, 2, 3]),
        ("not (i != 5 and not phrase_match(t, 'red'))", [0, 1]),
        ("phrase_match(t, 'hen') and phrase_match(t, 'red') or i == 5", [1]),
        ("1 == 1", [0, 1, 2, 3]),
        ("2 ** 3 == 8 and i == -7", [1]),
        ("true", [0, 1, 2, 3]),
    ],
)  # fmt: skip
def test_a_filter_finds(source, text, expected):
    assert matches(source, text) == expected


def test_templates_take_python_and_numpy_values(source):
    assert matches(source, "i == {x}", x=np.int64(-7)) == [1]
    assert matches(source, "i in {x}", x=np.array([-7, 5])) == [1]
    assert matches(source, "f == {x}", x=np.float32(0.1)) == [0]
    assert matches(source, "i in [5, {x}]", x=-7, unused=1) == [1]
    assert matches(source, "s like {p}", p="é%") == [0]
    assert matches(source, "text_match(t, {q}, minimum_should_match={n})", q="red fox", n=2) == [0]
    assert matches(source, "phrase_match(t, {q}, {n})", q="hen red", n=2) == [1]
    assert matches(source, "i < {huge}", huge=10**400) == [0, 1, 3]
    assert matches(source, "f < {huge}", huge=10**400) == [0, 1, 3]


def test_a_bound_value_is_never_syntax(source):
    hostile = '" or true or "'
    assert matches(source, "s == {x}", x=hostile) == []
    assert matches(source, "k in {x}", x=[hostile, "{x}"]) == []
    assert matches(source, "s != {x}", x="{y}") == [0, 1, 3]


def test_a_power_of_floats_and_a_negative_power_are_floats(make_rows):
    source = make_rows([{"d": 2.25, "i": 2}, {"d": -1.0, "i": 0}])
    assert matches(source, "d ** 0.5 == 1.5") == [0]
    assert matches(source, "i ** -1 == 0.5") == [0]
    assert matches(source, "i ** -1 != 0.5") == []
    assert matches(source, "d ** 0.5 != 7") == [0]
    assert matches(source, "i ** 62 == 4611686018427387904") == [0]
    assert matches(source, "i ** 63 == 9223372036854775808.0") == [0]


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("i == 'x'", 2, "i (INT) cannot be compared with 'x'"),
        ("b == 1", 2, "b (BOOL) cannot be compared with 1"),
        ("b < true", 2, "no order"),
        ("1 == s", 2, "cannot be compared"),
        ("i in [1, 'x']", 5, "'x', which the list holds"),
        ("i in {five}", 5, "needs a list"),
        ("i == {list}", 2, "cannot be compared"),
        ("a == 1", 2, "cannot be compared"),
        ("a == sa", 2, "list of values"),
        ("a == ['x']", 5, "which the list holds"),
        ("a[0] == 'x'", 5, "cannot be compared"),
        ("a['x'] == 1", 0, "has no ['x']"),
        ("i[0] == 1", 0, "has no [0]"),
        ("i like 'x'", 0, "reads strings"),
        ("s like 5", 7, "is a string"),
        ("s like s", 7, "is a string"),
        ("i + s > 1", 4, "computes with numbers"),
        ("-s == 1", 1, "computes with numbers"),
        ("i", 0, "no condition"),
        ("(i > 1) == 5", 3, "condition stands where a value"),
        ("i + (i > 1) > 2", 7, "condition stands where a value"),
        ("exists i", 7, "is not null"),
        ("(i + 1) is null", 3, "needs a field"),
        ("array_length(i) > 1", 13, "reads arrays"),
        ("array_contains(a, 'x')", 18, "which the list holds"),
        ("array_contains(a, i)", 18, "a value, not"),
        ("array_contains_any(a, 1)", 22, "needs a list"),
        ("text_match(s, 'x')", 11, "analysed fields only"),
        ("text_match(j['x'], 'x')", 11, "name of one"),
        ("text_match(t, 5)", 14, "is a string"),
        ("text_match(t, 'x', minimum_should_match=0)", 40, "whole number from 1"),
        ("phrase_match(s, 'x')", 13, "analysed fields only"),
        ("phrase_match(j['x'], 'x')", 13, "name of one"),
        ("phrase_match(t, 5)", 16, "the text of phrase_match is a string"),
        ("phrase_match(t, 'x', -1)", 21, "the slop of phrase_match is a whole number from 0"),
        ("phrase_match(t, 'x', 1.0)", 21, "whole number from 0"),
        ("phrase_match(t, 'x', true)", 21, "whole number from 0"),
        ("v == 1", 0, "is a vector"),
        ("$meta == 1", 0, "name a key"),
        ("i == {unset}", 5, "template {unset} has no value"),
    ],
)
def test_a_filter_that_does_not_fit_points_at_its_place(source, text, position, said):
    params = {"five": 5, "list": [1]}
    with pytest.raises(FilterError) as caught:
        evaluate(bind(parse_filter(text), params), source)
    assert said in str(caught.value)
    assert caught.value.position == position


@pytest.mark.parametrize("value", [None, {"a": 1}, b"x", object(), [None], "\ud800", [["x", 1j]]])
def test_a_template_refuses_values_that_nothing_equals(value):
    with pytest.raises(FilterError, match=r"template \{x\}") as caught:
        bind(parse_filter("a == {x}"), {"x": value})
    assert caught.value.position == 5


def test_an_unbound_template_is_named_also_without_binding(source):
    with pytest.raises(FilterError, match=r"template \{x\} has no value"):
        check(parse_filter("i == {x}"), source.kinds)


def test_an_unknown_name_is_an_error_without_a_dynamic_field(make_rows):
    source = make_rows([{"i": 1}], dynamic=False)
    with pytest.raises(FilterError, match="no field 'nowhere'") as caught:
        evaluate(parse_filter("i == 1 and nowhere == 1"), source)
    assert caught.value.position == 11
    with pytest.raises(FilterError, match=r"no field '\$meta'"):
        evaluate(parse_filter('$meta["x"] == 1'), source)


def test_columns_are_named_with_their_steps(source):
    text = 'i > 1 and a[0] == 1 and j["x"][2] == 1 and k["y"] == i and $meta["z"] == 1 and text_match(t, "x")'
    references = check(parse_filter(text), source.kinds).values()
    assert {reference.column for reference in references} == {
        ("i",), ("a",), ("j", "x", 2), ("$meta", "k", "y"), ("$meta", "z"),
    }  # fmt: skip


def test_a_mask_may_be_changed_without_harm(source):
    column = source.column(("b",))
    source.column = lambda _: column
    for _ in range(2):
        mask = evaluate(parse_filter("b"), source)
        assert mask.tolist() == [True, False, False, True]
        mask[:] = True


def test_long_lists_are_looked_up_at_once(make_rows):
    source = make_rows([{"i": n, "s": str(n), "f": float(n)} for n in range(1000)])
    even = list(range(0, 200_000, 2))
    expected = list(range(0, 1000, 2))
    assert matches(source, "i in {x}", x=even) == expected
    assert matches(source, "s in {x}", x=list(map(str, even))) == expected
    assert matches(source, "f in {x}", x=even) == expected
    assert matches(source, f"i in {even}") == expected
