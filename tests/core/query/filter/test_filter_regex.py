"""Regular expressions: a naive matcher as oracle, RE2's meaning by example, and what is refused."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.errors import FilterError
from elanus.query import bind, check, evaluate, parse_filter
from elanus.query.filter.patterns import _automaton as _filter_automaton
from elanus.query.filter.patterns import _regex as _filter_regex

# ---------------------------------------------------------------- patterns as trees

letters = st.sampled_from(list("aAb\n-.]^é0"))
sets = st.tuples(
    st.just("set"),
    st.booleans(),
    st.lists(st.sampled_from([*"aA-]^[&b\n", "0-9", "a-c"]), min_size=1, max_size=3),
)
atoms = st.one_of(
    letters.map(lambda c: ("char", c)),
    st.just(("dot",)),
    sets,
    st.sampled_from("dDwWsS").map(lambda c: ("class", c)),
    st.sampled_from(["^", "$", r"\b", r"\B"]).map(lambda c: ("at", c)),
)
trees = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(st.just("both"), inner, inner),
        st.tuples(st.just("either"), inner, inner),
        st.tuples(st.just("times"), st.sampled_from([(0, 1), (0, 3), (1, 3), (2, 2)]), inner),
    ),
    max_leaves=5,
)
texts = st.text(st.sampled_from(list("aAb\n-.]^é0_ ")), max_size=5)


def written(node):
    """The pattern, everything in a group, and every literal escaped as RE2 allows."""
    match node:
        case ("char", c):
            return c if c.isalnum() or c == "\n" else f"\\{c}"
        case ("dot",):
            return "."
        case ("class", c):
            return f"\\{c}"
        case ("at", c):
            return c
        case ("set", negated, items):
            inside = "".join(
                i if len(i) > 1 or i.isalnum() else f"\\x{{{ord(i):x}}}" for i in items
            )
            return f"[{'^' if negated else ''}{inside}]"
        case ("both", one, two):
            return written(one) + written(two)
        case ("either", one, two):
            return f"(?:{written(one)}|{written(two)})"
        case ("times", (low, high), inner):
            return f"({written(inner)}){{{low},{high}}}"
    raise AssertionError(node)


def is_word(text, at):
    return (
        0 <= at < len(text)
        and text[at] in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
    )


def is_in_class(c, name):
    found = {"d": c in "0123456789", "w": is_word(c, 0), "s": c in "\t\n\f\r "}[name.lower()]
    return found == name.islower()


def is_in_set(c, items):
    return any(i[0] <= c <= i[-1] if len(i) == 3 else c == i for i in items)


def ends(node, text, at):
    """Every place where a match that begins at ``at`` can end."""
    here = text[at : at + 1]
    step = {at + 1} if here else set()
    match node:
        case ("char", c):
            return step if here == c else set()
        case ("dot",):
            return step
        case ("class", name):
            return step if here and is_in_class(here, name) else set()
        case ("set", negated, items):
            return step if here and is_in_set(here, items) != negated else set()
        case ("at", anchor):
            border = is_word(text, at - 1) != is_word(text, at)
            holds = {"^": at == 0, "$": at == len(text), r"\b": border, r"\B": not border}
            return {at} if holds[anchor] else set()
        case ("both", one, two):
            return {end for middle in ends(one, text, at) for end in ends(two, text, middle)}
        case ("either", one, two):
            return ends(one, text, at) | ends(two, text, at)
        case ("times", (low, high), inner):
            reached, found = {at}, {at} if low == 0 else set()
            for count in range(1, high + 1):
                reached = {end for start in reached for end in ends(inner, text, start)}
                found |= reached if count >= low else set()
            return found
    raise AssertionError(node)


@pytest.mark.parametrize("steps", [0, 60, 10_000_000])
@settings(max_examples=400, deadline=None)
@given(trees, st.lists(texts, max_size=6))
def test_a_pattern_matches_what_the_naive_matcher_matches(make_rows, steps, node, data):
    source = make_rows([{"s": text} for text in data])
    pattern = written(node)
    with pytest.MonkeyPatch.context() as patch:
        # Above so many steps an automaton searches.
        patch.setattr(_filter_regex, "_MOST_STEPS", steps)
        _filter_regex.compile_regex.cache_clear()
        mask = evaluate(bind(parse_filter("s =~ {p}"), {"p": pattern}), source)
    _filter_regex.compile_regex.cache_clear()
    expected = [any(ends(node, text, at) for at in range(len(text) + 1)) for text in data]
    assert mask.tolist() == expected, pattern


PIECES = [
    *("a", "b", "A", "é", "\n", ".", "^", "$", "|", "(", ")", "(?:", "(?i:", "(?-i:", "(?s:", "(?-s:"),
    *("*", "+", "?", "*?", "+?", "??", "{0,2}", "{2}", "{1,}", "{,3}", "{0}", "[ab]", "[^a]", "[a-c\n]"),
    *(r"\b", r"\B", r"\A", r"\z", r"\d", r"\W", r"\s", r"\x41", r"\.", "_", " ", "😀", "(?P<x>"),
]  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(
    st.sampled_from(["", "(?i)", "(?m)", "(?-s)", "(?ims)"]),
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join),
    st.lists(st.text(st.sampled_from(list("aabAbBé\n_ 1k\u212aK😀")), max_size=7), max_size=6),
)
def test_the_automaton_finds_what_backtracking_finds(flags, pattern, data):
    try:
        regex = _filter_regex.compile_regex(flags + pattern)
    except ValueError:
        return
    effort = _filter_automaton.Effort()
    for text in data:
        found = regex.backtracking.search(text) is not None
        assert regex._automaton.search(text, effort) == found
        assert regex.search(text, effort) == found


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("(a+)+b", 0),
        ("(a|a)*b", 0),
        ("(a|aa)+$", 0),
        (r"\A(a|a)*b", 0),
        ("a*b", 0),
        ("(?i)A+B", 0),
        ("a*a*a*a*b", 0),
        (".*.*.*.*b", 0),
        ("(.*)*b", 0),
        ("(((((a*)*)*)*)*)*b", 0),
        ("(a?){30}a{30}b", 0),
        ("a?" * 30 + "a" * 30 + "b", 0),
        (r"^(\w+\s?)*$", 20),
        (r"(\w+\s?)+\.", 0),
        ("(?m)^(a|aa)+$", 0),
        ("((a{0,20}){0,20}){0,20}b", 0),
        ("a{0,1000}a{0,1000}b", 0),
        ("[ab]{1000}c", 0),
        ("(?:a|b)*a(?:a|b){500}c", 0),
        ("|".join("a" * n for n in range(1, 190)), 20),
        ("a" * 10_000 + "b", 0),
        ("([a-z]+)*[0-9]+x", 0),
    ],
)
def test_no_pattern_takes_more_than_linear_time(make_rows, pattern, found):
    source = make_rows([{"s": "a" * 65_536 + str(number)} for number in range(20)])
    start = time.perf_counter()
    mask = evaluate(bind(parse_filter("s =~ {p}"), {"p": pattern}), source)
    assert mask.sum() == found
    # By backtracking hours, or longer than the world stands; this way less than a second.
    assert time.perf_counter() - start < 20


def test_a_pattern_with_too_many_possibilities_is_a_filter_error(make_rows):
    rng = np.random.default_rng(1)
    text = "".join(rng.choice(["ab", "ba"], 30_000))
    source = make_rows([{"s": text}])
    start = time.perf_counter()
    with pytest.raises(FilterError, match="too many steps") as caught:
        evaluate(parse_filter('i == 1 or s =~ "(?:ab?|ba?|aba?){1000}c"'), source)
    assert caught.value.position == 15
    assert time.perf_counter() - start < 100
    assert evaluate(parse_filter('s =~ "(?:ab|ba){1000}"'), source).tolist() == [True]


def test_an_automaton_forgets_what_it_knew_when_there_is_too_much(make_rows, monkeypatch):
    monkeypatch.setattr(_filter_regex, "_MOST_STEPS", 0)
    monkeypatch.setattr(_filter_automaton, "_MOST_STATES", 3)
    monkeypatch.setattr(_filter_automaton, "_MOST_CHARACTERS", 2)
    _filter_regex.compile_regex.cache_clear()
    source = make_rows([{"s": "abcabcabd"}, {"s": "abcabcab"}, {"s": "dcbabd"}])
    mask = evaluate(parse_filter('s =~ "a(b|c)*(c|a)b[d-f]|ba[bc]d"'), source)
    _filter_regex.compile_regex.cache_clear()
    assert mask.tolist() == [True, False, True]


# ---------------------------------------------------------------- RE2's meaning, by example


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("E[0-9]{4}", "failed: E1001, again", True),
        ("^E[0-9]{4}$", "E1001, again", False),
        ("error|failed", "it failed", True),
        ("", "anything", True),
        ("^$", "", True),
        # `.` takes newlines, unless told not to; `$` is the very end.
        ("c.d", "c\nd", True),
        ("(?-s)c.d", "c\nd", False),
        ("a$", "a\n", False),
        ("(?m)a$", "a\nb", True),
        ("(?m)^b", "a\nb", True),
        ("^b", "a\nb", False),
        (r"\Ab\z", "b", True),
        # Case.
        ("(?i)gmail\\.com$", "carol@GMAIL.com", True),
        ("gmail", "GMAIL", False),
        ("(?i)É", "é", True),
        ("a(?i:b)c", "aBc", True),
        ("a(?i:b)c", "aBC", False),
        ("(?i)a(?-i:b)", "Ab", True),
        ("(?i)a(?-i:b)", "AB", False),
        ("(?is)a.b", "A\nB", True),
        # ASCII classes.
        (r"^\w+$", "é", False),
        (r"^\d$", "٣", False),
        (r"\s", "\u00a0", False),
        (r"[^\W]", "é", False),
        (r"[\D]", "é", True),
        (r"\bé", "é", False),
        # Escapes.
        (r"\x41\x{1F600}", "A😀", True),
        (r"\t\n", "\t\n", True),
        (r"a\-b\/c\"", 'a-b/c"', True),
        (r"[\x{41}-C]", "B", True),
        # Sets.
        ("[]a]", "]", True),
        ("[^]a]", "]", False),
        ("[a-]", "-", True),
        ("[+--]", ",", True),
        ("[[]", "[", True),
        ("[a&&b]", "&", True),
        ("[a||~~b]", "~", True),
        (r"[\]]", "]", True),
        # Braces that repeat nothing are themselves.
        ("a{", "a{", True),
        ("a{,2}", "a{,2}", True),
        ("a{,2}", "a", False),
        ("{x}", "{x}", True),
        # Groups and lazy repeats.
        ("(?P<code>E[0-9]+)", "E1", True),
        ("(?:ab)+?c", "ababc", True),
        ("(a|b)*c", "abac", True),
        ("(a+)+b", "aaaaab", True),
        ("a b # c", "a b # c", True),
        ("🚀", "go 🚀", True),
        ("a" * 10_000, "a", False),
        ("|".join(f"alt_{i}" for i in range(1000)), "alt_999", True),
    ],
)  # fmt: skip
def test_a_pattern_means_what_it_means_in_re2(make_rows, pattern, text, expected):
    source = make_rows([{"s": text}])
    for operator, found in (("=~", expected), ("!~", not expected)):
        mask = evaluate(bind(parse_filter(f"s {operator} {{p}}"), {"p": pattern}), source)
        assert mask.tolist() == [found]


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(unclosed", "missing )"),
        ("closed)", "parenthes"),
        ("[abc", "a [ has no ]"),
        ("[b-a]", "bad character range"),
        ("*a", "nothing to repeat"),
        ("a**", "repeats a repeat"),
        ("a*+", "repeats a repeat"),
        ("a{2}{3}", "repeats a repeat"),
        ("a{3,2}", "min repeat"),
        ("a{1001}", "more than 1000"),
        ("a{0,99999999999999999999}", "more than 1000"),
        (r"(a)\1", r"\1 is not supported"),
        (r"\k", r"\k is not supported"),
        (r"\x", r"\x is not supported"),
        (r"\x{110000}", "is no character"),
        (r"\p{Han}", r"\p is not supported"),
        (r"\Q.\E", r"\Q is not supported"),
        (r"\Z", r"\Z is not supported"),
        (r"[\b]", r"\b is not supported"),
        ("a\\", "backslash at the end"),
        ("E(?= 1)", "only groups"),
        ("E(?!1)", "only groups"),
        ("(?<=a)b", "only groups"),
        ("(?<n>a)", "only groups"),
        ("(?P=n)", "only groups"),
        ("(?>a)", "only groups"),
        ("(?#a)", "only groups"),
        ("(?x)a", "only groups"),
        ("a(?i)b", "only groups"),
        ("(?a)b", "only groups"),
        ("[[:alpha:]]", "[A-Za-z]"),
        ("(" * 60 + ")" * 60, "more than 50 deep"),
        ("(a{1000}){1000}", "longer than 30000 steps"),
        ("((((((((a{20}){20}){20}){20}){20}){20}){20}){20})", "longer than 30000 steps"),
        ("a" * 20_001, "more than 20000 characters"),
    ],
)
def test_a_pattern_that_re2_or_the_subset_has_not_is_an_error(make_rows, pattern, says):
    expression = bind(parse_filter("i == 1 or s =~ {p}"), {"p": pattern})
    with pytest.raises(FilterError) as caught:
        evaluate(expression, make_rows([]))
    assert says in str(caught.value)
    assert "invalid regular expression" in str(caught.value)
    assert caught.value.position == 15


@settings(max_examples=500, deadline=None)
@given(
    st.text(st.sampled_from(list(r"ab.*+?|()[]{}^$\-:imsPdwx0123,<>=!#&~ é" + "\n")), max_size=12)
)
def test_any_text_is_a_pattern_or_a_filter_error(make_rows, pattern):
    source = make_rows([{"s": "ab\n"}, {"s": None}])
    try:
        evaluate(bind(parse_filter("s =~ {p}"), {"p": pattern}), source)
    except FilterError as error:
        assert "regular expression" in str(error)  # noqa: PT017  # most texts raise nothing


# ---------------------------------------------------------------- what is no string


def matches(source, text, **params):
    return np.flatnonzero(evaluate(bind(parse_filter(text), params), source)).tolist()


@pytest.fixture
def source(make_rows):
    return make_rows(
        [
            {"s": "abc", "sa": ["abc"], "j": "abc", "$meta": {"k": "abc"}},
            {"s": "def", "sa": [], "j": 5, "$meta": {"k": {"x": "abc"}}},
            {"s": None, "sa": None, "j": ["abc"], "$meta": {"k": None}},
            {"s": "", "sa": ["x", "abc"], "j": None, "$meta": {}},
        ]
    )


def test_the_null_of_a_field_matches_neither_operator(source):
    assert matches(source, 's =~ "b"') == [0]
    assert matches(source, 's !~ "b"') == matches(source, 'not (s =~ "b")') == [1, 3]
    assert matches(source, 's !~ "b" or s is null') == [1, 2, 3]
    assert matches(source, '(s =~ "b") is not true') == [1, 2, 3]


@pytest.mark.parametrize("path", ["j", "k", '$meta["k"]', "sa[0]"])
def test_within_json_and_arrays_the_opposite_finds_what_is_no_string(source, path):
    assert matches(source, f'{path} =~ "b"') == [0]
    assert matches(source, f'{path} !~ "b"') == matches(source, f'not {path} =~ "b"') == [1, 2, 3]
    assert matches(source, f'{path}["no"] =~ ""' if path != "sa[0]" else 'sa[9] =~ ""') == []


def test_icontains_knows_strings_only(source):
    assert matches(source, 'icontains(s, "BC")') == [0]
    assert matches(source, 'not icontains(s, "BC")') == [1, 3]
    assert matches(source, 'not icontains(k, "BC")') == []
    assert matches(source, "icontains(s, {x})", x="") == [0, 1, 3]


def test_is_true_makes_two_values_of_three(source):
    assert matches(source, 'not (k == "abc")') == [1]
    assert matches(source, 'k == "abc" is not true') == [1, 2, 3]
    assert matches(source, "b is true or b is not true") == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ('i =~ "a"', 0, "reads strings"),
        ('sa =~ "a"', 0, "reads strings"),
        ("s =~ 5", 5, "is a string"),
        ("s =~ t", 5, "is a string"),
        ('s =~ ["a"]', 5, "is a string"),
        ('s =~ "(a"', 5, "missing )"),
        ('nope["a"] !~ "("', 13, "missing )"),
        ('icontains(i, "a")', 10, "reads strings"),
        ("icontains(s, 5)", 13, "is a string"),
        ("i is true", 0, "is no condition"),
        ("5 is true", 0, "is no condition"),
        ("s =~ {p}", 5, "has no value"),
    ],
)
def test_what_does_not_fit_is_an_error_that_points_at_its_place(source, text, position, says):
    with pytest.raises(FilterError) as caught:
        check(parse_filter(text), source.kinds)
    assert caught.value.position == position
    assert says in str(caught.value)
