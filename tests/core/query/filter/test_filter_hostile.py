"""Every value that is wrong, or strange, gives a mask or a FilterError, and no other exception."""

import datetime as dt
import decimal
import enum
import random

import numpy as np
import pytest

from elanus.errors import FilterError
from elanus.query import (
    as_filter,
    bind,
    check,
    evaluate,
    filter_from_dict,
    parse_filter,
)
from elanus.query.filter import _bind as _filter_bind


class Shy:
    def __repr__(self):
        raise RuntimeError("no")


class Loud:
    def __repr__(self):
        return "z" * 1_000_000


class Grade(enum.IntEnum):
    A = 1


def deep(levels):
    value = [1]
    for _ in range(levels):
        value = [value]
    return value


def endless():
    value = [1]
    value.append(value)
    return value


def shared():
    """Small, and 20**15 numbers."""
    value = [1]
    for _ in range(15):
        value = [value] * 20
    return value


def array_in_itself():
    array = np.empty(2, object)
    array[:] = [array, 1]
    return array


DIGITS = "9" * 400
VALUES = [
    *(1, True, 0, -1, 2**63, -(2**63) - 1, 2**64, 10**308, 10**309, -(10**400), 10**5000),
    *(1.5, float("nan"), float("inf"), -float("inf"), "x", "", "\ud800", "a" * 100_000, b"x", None),
    *(np.int8(3), np.uint64(2**64 - 1), np.float16(1.5), np.float32("nan"), np.longdouble(1) / 3),
    *(np.bool_(True), np.str_("x"), np.bytes_(b"x"), np.datetime64("2020-01-01"), np.timedelta64(1)),
    *(np.complex128(1j), np.array(5), np.array("x"), np.array([1, 2]), np.array([[1, 2], [3, 4]])),
    *(np.array([]), np.zeros((1,) * 17), np.array([1, None, "x"], object), np.ma.masked),
    *(np.ma.array([1, 2], mask=[0, 1]), np.array([(1, 2.0)], "i4,f8"), np.array(["\ud800"], object)),
    *(endless(), shared(), array_in_itself(), deep(5000), [endless()], (1, 2), {1, 2}, range(3)),
    *({"a": 1}, object(), Shy(), [Shy()], Loud(), [Loud()], Grade.A, decimal.Decimal("1.5")),
    *(dt.date(2020, 1, 1), 1j, bytearray(b"x"), int, len, Ellipsis, [], [[]], [[], [[]]]),
    *([10**5000], [float("nan")], [True, 1, 1.0, "1"], [[1], [1, [2]]], [2**64, 0.1, "x", [1], []]),
    *("a%_\\", "(", "[", "(a", r"\d", ["a", None], [1, np.array([1, 2])], [np.array(None)]),
]  # fmt: skip
TEMPLATES = [
    *("i {o} {x}", "{x} {o} f", "d {o} {x}", "k {o} {x}", 'j["x"] {o} {x}', "a {o} {x}"),
    *("a[{n}] {o} {x}", "j[{n}] {o} {x}", "k[{n}][{n}] {o} {x}", "sa[{n}] like {x}", "s {o} {x}"),
    *("i in {x}", "k in {x}", "s in {x}", "f in {x}", "a in {x}", "k in [{x}, 1]", "k == [{x}]"),
    *("s like {x}", "k like {x}", "s =~ {x}", "k !~ {x}", "icontains(s, {x})"),
    *("json_contains(k, {x})", "json_contains_all(j, {x})", "json_contains_any(x, {x})"),
    *("array_contains(a, {x})", "array_contains_any(sa, {x})", "array_contains_all(a, {x})"),
    *("text_match(t, {x})", 'text_match(t, "a", minimum_should_match={x})'),
    *("phrase_match(t, {x})", 'phrase_match(t, "a", {x})'),
    *("i {m} {x} {o} 1", "d {m} {x} {o} {y}", "{x} {m} {y} {o} {x}", "{x} {o} {y}", "{x} in {y}"),
    *("-{x} == i", "+{x} < k", "i ** {x} > 1", "1 < {x} < i", "array_length({x}) > 1", "{x}"),
    *("not {x}", "{x} is null", "exists {x}", "b == {x}", "f == {x} or f != {x}"),
]


@pytest.fixture
def source(make_rows):
    return make_rows(
        [
            {"i": 1, "f": 1.5, "d": 2.5, "s": "x", "t": "a b", "b": True, "a": [1, 2**62],
             "sa": ["x"], "j": {"x": 2**63 - 1}, "$meta": {"k": 1, "x": [1, [2]]}},
            {"i": None, "s": None, "j": None, "$meta": {}},
            {"i": -(2**63), "f": -1.0, "d": 1e300, "s": "a\nb😀", "b": False, "a": [], "sa": [],
             "j": [1, "a", None, [1], 2**64], "$meta": {"k": [[1]], "x": {"y": 1.5}}},
        ]
    )  # fmt: skip


@pytest.fixture
def few(monkeypatch):
    """A lower bound, so that the many values that reach it take no time."""
    monkeypatch.setattr(_filter_bind, "_MAX_INNER", 1_000)


def attempt(text, params, source):
    """Whether a filter worked; anything but a FilterError is raised."""
    return works(lambda: bind(parse_filter(text), params), source, len(text))


def works(make, source, length=0):
    """Whether a filter could be made and worked; positions are below a length."""
    try:
        expression = make()
        check(expression, source.kinds)
        mask = evaluate(expression, source)
    except FilterError as error:
        assert error.position is None or 0 <= error.position <= length  # noqa: PT017
        return False
    assert mask.shape == (source.n,)
    assert mask.dtype == bool
    return True


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("template", TEMPLATES)
def test_any_value_of_a_template_is_bound_or_a_filter_error(source, template):
    rng = random.Random(template)
    worked = 0
    for value in VALUES:
        text = template.replace("{o}", rng.choice(["==", "!=", "<", "<=", ">", ">="]))
        text = text.replace("{m}", rng.choice(["+", "-", "*", "/", "%", "**"]))
        text = text.replace("{n}", rng.choice(["0", "1", str(2**63 - 1), str(2**63), DIGITS]))
        worked += attempt(text, {"x": value, "y": rng.choice(VALUES)}, source)
    may_work = template not in ("array_length({x}) > 1", "{x} is null", "exists {x}")
    assert (worked > 0) == may_work


OPERATORS = [
    *("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$like", "$regex", "$substring", "$isubstring"),
    *("$contains", "$any", "$all", "$in", "$nin", "$exists", "$empty", "$not", "$and", "$or", "$nor"),
    *("zz", "$" * 100_000, 5, None, ("a",), b"x", np.str_("$eq")),
]  # fmt: skip


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("operator", OPERATORS, ids=lambda value: f"{value!r:.12}")
def test_any_value_of_a_dict_is_bound_or_a_filter_error(source, operator):
    for value in VALUES:
        test = {operator: value}
        for query in (
            *({"k": test}, test, {operator: [value]}, {"k": {operator: [value]}}, {"k": value}),
            *(value, {"k": {"$not": test}}, {"a" * 100_000: test}),
        ):
            if isinstance(query, dict) and not query:
                assert filter_from_dict(query, "j") is None
            else:
                assert works(lambda query=query: filter_from_dict(query, "j"), source) in (
                    True,
                    False,
                )


def test_inner_lists_hold_a_million_values_together(source):
    assert attempt("k == {x}", {"x": [[1] * 500_000] * 2}, source)
    for value in (shared(), [[1] * 500_001] * 2, [[]] + [[1] * 1_000] * 1_001):
        with pytest.raises(FilterError, match="1000000 values in inner lists"):
            bind(parse_filter("k == {x}"), {"x": value})


def test_a_dict_that_holds_itself_is_a_filter_error():
    for operator in ("$not", "$and", "$or", "k"):
        query = {}
        query[operator] = [query] if operator in ("$and", "$or") else query
        with pytest.raises(FilterError):
            filter_from_dict(query, "j")
    test = {}
    test["$not"] = test
    with pytest.raises(FilterError, match="40 levels"):
        filter_from_dict({"k": test}, "j")


def test_a_filter_that_is_no_text_is_a_filter_error():
    for value in VALUES:
        if isinstance(value, (str, dict)):
            continue
        with pytest.raises(FilterError):
            parse_filter(value)
        if value is not None:  # which is no filter
            with pytest.raises(FilterError):
                as_filter(value, root="j", searched={"t"})
        with pytest.raises(FilterError):
            filter_from_dict(value, "j")


LONG = "n" * 1_000_000


@pytest.mark.parametrize(
    ("text", "params"),
    [
        (f"{LONG} == 1", {}),
        (f"{LONG}(1)", {}),
        (f"v == 1 and {LONG}", {}),
        (f"i {LONG}", {}),
        (f'i == "{LONG}"', {}),
        (f'i in ["{LONG}"]', {}),
        (f'text_match({LONG}, "a")', {}),
        (f'i["{LONG}"] == 1', {}),
        (f"a{'[0]' * 100_000} == 1", {}),
        (f'k["{LONG}"]{"[0]" * 100_000} == {{{LONG}}}', {}),
        (f"i == [{'1,' * 100_000}]", {}),
        (f'i == 1 [{"1," * 100_000}"a"]', {}),
        ("i == " + "9" * 400 + ".5e9999", {}),
        ("i == " + "9" * 1_000_000, {}),
        (f's =~ "{"a" * 1_000_000}"', {}),
        (f's =~ "a{{{"1" * 1_000}}}"', {}),
        ("i == {x}", {"x": LONG}),
        ("i == {x}", {"x": Loud()}),
        ("s == {x}", {"x": 10**5000}),
        ("s in {x}", {"x": [10**5000]}),
        ("i in {x}", {"x": [LONG]}),
        ("i == {x}", {"x": LONG.encode()}),
        ("s =~ {x}", {"x": "(" + LONG}),
        ("s =~ {x}", {"x": f"a{{{'1' * 5_000}}}"}),
    ],
    ids=lambda value: value[:8] if isinstance(value, str) else "",
)
def test_no_message_shows_more_than_a_part(make_rows, text, params):
    source = make_rows([], dynamic=False)
    source.fields["k"] = source.fields["j"]
    with pytest.raises(FilterError) as caught:
        evaluate(bind(parse_filter(text), params), source)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "query",
    [
        {LONG: {}},
        {LONG: {"$gt": None}},
        {LONG: {"$not": 5}},
        {LONG: {LONG: 5, "$gt": 1}},
        {LONG: {LONG: Loud()}},
        {f"${LONG}": 5},
        {"k": {"$regex": f"({LONG}"}},
        {"k": {"$gt": LONG.encode()}},
        {"k": Loud()},
        {"k": [10**5000, None]},
        {"$and": LONG},
        {"$not": LONG},
        {10**5000: 1},
        {"k": {10**5000: 1}},
    ],
    ids=range(14),
)
def test_no_message_of_a_dict_shows_more_than_a_part(query):
    with pytest.raises(FilterError) as caught:
        filter_from_dict(query, "j")
    assert len(str(caught.value)) < 600


# ---------------------------------------------------------------- numbers beyond every type

HUGE = [10**309, -(10**309), 10**5000, 2**64 + 1, 2**1024]


@pytest.mark.parametrize("number", HUGE, ids=lambda value: f"{value.bit_length()} bits")
def test_an_integer_of_any_size_compares_exactly(make_rows, number):
    signs = {"<": number > 0, "<=": number > 0, ">": number < 0, ">=": number < 0,
             "==": False, "!=": True}  # fmt: skip
    rows = [
        {"i": n, "f": 1.5 * n, "d": 1e300 * n, "j": n, "$meta": {"k": 2.5 * n}} for n in (-1, 1)
    ]
    source = make_rows(rows)
    for sign, expected in signs.items():
        for name in ("i", "f", "j", "k", *["d"] * (abs(number) > 2**70)):
            mask = evaluate(bind(parse_filter(f"{name} {sign} {{x}}"), {"x": number}), source)
            assert mask.tolist() == [expected] * 2
    for text, expected in [
        ("{x} == {x}", True),
        ("{x} != {y}", True),
        ("{x} < {y}", True),
        ("{y} <= {x}", False),
        ("{x} in [{x}, 1]", True),
        ("{x} in [{y}, 1]", False),
        ("1 < {y} and {x} < {y}", number > 0),
    ]:
        params = {"x": number, "y": number + 1}
        mask = evaluate(bind(parse_filter(text), params), source)
        assert mask.tolist() == [expected] * 2, text


@pytest.mark.parametrize("number", [10**309, 10**5000], ids=["309", "5000"])
def test_an_integer_beyond_float64_is_infinite_in_arithmetic(make_rows, number):
    source = make_rows([{"i": 1, "d": 1.0}])
    for text, expected in [
        ("i + {x} > 1", True),
        ("i - {x} > 1", False),
        ("d * {x} == {x}", False),
        ("-{x} < d", True),
        ("i / {x} == 0", True),
    ]:
        assert evaluate(bind(parse_filter(text), {"x": number}), source).tolist() == [expected]


@pytest.mark.parametrize("position", [1, 2**31, 2**63 - 1, 2**63, 10**30, int(DIGITS)])
def test_a_position_behind_every_array_holds_nothing(make_rows, position):
    source = make_rows([{"a": [5], "sa": ["x"], "j": [5], "$meta": {"k": {"x": [5]}}}])
    for path in ("a", "sa", "j", "k", 'k["x"]'):
        mask = evaluate(parse_filter(f"{path}[{position}] is null"), source)
        assert mask.tolist() == [True]
