"""Text to tree: grammar, round trip, and errors that point at their place."""

import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.errors import FilterError
from elanus.query import bind, check, evaluate, filter_from_dict, parse_filter
from elanus.query.filter import _tree as tree


def render(node):
    """Write a tree as text again, with parentheses around everything."""
    return render_value(node) or f"({render_condition(node)})"


def render_value(node):
    match node:
        case tree.Literal(value=value):
            return quoted(value) if isinstance(value, str) else repr(value)
        case tree.ListLiteral(values=values):
            return f"[{', '.join(map(plain, values))}]"
        case tree.ListDisplay(items=items):
            return f"[{', '.join(map(render, items))}]"
        case tree.Template(name=name):
            return f"{{{name}}}"
        case tree.Path(name=name, steps=steps):
            return name + "".join(f"[{plain(step)}]" for step in steps)
        case tree.Arithmetic(operator=operator):
            return f"({render(node.left)} {operator} {render(node.right)})"
        case tree.ArrayLength(operand=operand):
            return f"array_length({render(operand)})"
    return None


def render_condition(node):
    match node:
        case tree.Compare(operator=operator):
            return f"{render(node.left)} {operator} {render(node.right)}"
        case tree.Range(operators=(one, two)):
            return f"{render(node.low)} {one} {render(node.middle)} {two} {render(node.high)}"
        case tree.And(operands=operands):
            return " and ".join(map(render, operands))
        case tree.Or(operands=operands):
            return " or ".join(map(render, operands))
        case tree.Not(operand=operand):
            return f"not {render(operand)}"
        case tree.In(operand=operand, values=values):
            return f"{render(operand)} in {render(values)}"
        case tree.HoldsText(operand=operand, pattern=pattern):
            return f"icontains({render(operand)}, {render(pattern)})"
        case tree.StringTest(operand=operand, pattern=pattern):
            operator = "like" if isinstance(node, tree.Like) else "=~"
            return f"{render(operand)} {operator} {render(pattern)}"
        case tree.IsNull(operand=operand) | tree.IsTrue(operand=operand):
            return f"{render(operand)} is {'null' if isinstance(node, tree.IsNull) else 'true'}"
        case tree.Exists(operand=operand):
            return f"exists {render(operand)}"
        case tree.Contains(function=function, operand=operand, values=values):
            return f"{function}({render(operand)}, {render(values)})"
        case tree.TextSearch(operand=operand, text=text, number=number):
            option = "minimum_should_match=" * isinstance(node, tree.TextMatch)
            return f"{node.written}({render(operand)}, {render(text)}, {option}{render(number)})"
    raise AssertionError(node)


def quoted(text):
    return '"' + "".join(rf"\u{ord(c):04x}" if ord(c) < 128 else c for c in text) + '"'


def plain(value):
    if isinstance(value, tuple):
        return f"[{', '.join(map(plain, value))}]"
    return quoted(value) if isinstance(value, str) else repr(value)


def tree_of(text):
    return parse_filter(text).root


EXAMPLES = [
    "a == 1 and b != 2.5 or not c < 3",
    "1 < a + 2 * 3 ** 2 ** -1 % 4 <= 5",
    'x["k"][0]["ü"] in [1, -2.5, "s", true, [1, [2]]]',
    "x not in {values} && !(y is not null)",
    "x in [1, {two}, [3, {four}]] || z is null",
    "exists $meta[\"a b\"] and s not like 'x%\\\\_'",
    "JSON_CONTAINS(a, {v}) and array_contains_any(a, [1]) or json_contains_all(a, [])",
    "array_length(a) >= 0x1F - -3",
    'text_match(t, "a b", minimum_should_match={n}) and TEXT_MATCH(t, {q})',
    'phrase_match(t, "a b") or PHRASE_MATCH(t, {q}, {n})',
    "-a ** 2 == +b and flag",
    r's =~ "^a\.b" and k["x"] !~ {p} or not ICONTAINS(s, {q})',
    "(a == 1 or b) is true and c < 2 is not TRUE",
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_a_rendered_tree_parses_to_the_same_tree(text):
    root = tree_of(text)
    again = tree_of(render(root))
    assert again == root
    assert render(again) == render(root)


@pytest.mark.parametrize(
    ("short", "explicit"),
    [
        ("a or b and c", "a or (b and c)"),
        ("not a and b", "(not a) and b"),
        ("not a == 1", "not (a == 1)"),
        ("!a == 1", "not (a == 1)"),
        ("a + b * c == d", "(a + (b * c)) == d"),
        ("a - b - c == d", "((a - b) - c) == d"),
        ("a ** b ** c == d", "(a ** (b ** c)) == d"),
        ("-a ** b == c", "(-(a ** b)) == c"),
        ("a ** -b == c", "(a ** (-b)) == c"),
        ("a * b ** c * d == e", "((a * (b ** c)) * d) == e"),
        ("a + 1 in [1] and b", "((a + 1) in [1]) and b"),
        ("a not in [1]", "not (a in [1])"),
        ('a not like "x"', 'not (a like "x")'),
        ("a is not null", "not (a is null)"),
        ("a is not true", "not (a is true)"),
        ("not a is true", "not (a is true)"),
        ("a < 1 is true", "(a < 1) is true"),
        ('a !~ "x"', 'not (a =~ "x")'),
        ('not a =~ "x" and b', '(not (a =~ "x")) and b'),
        ("a AND b OR NOT c", "a && b || !c"),
        ("exists a and b", "(exists a) and b"),
        ("a == -1", "a == - 1"),
        ("a in [1,2,]", "a in [1, 2]"),
    ],
)
def test_operators_bind_as_documented(short, explicit):
    assert render(tree_of(short)) == render(tree_of(explicit))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("0", 0),
        ("12", 12),
        ("0x1f", 31),
        ("0XFF", 255),
        ("0b101", 5),
        ("9223372036854775808", 2**63),
        ("-9223372036854775808", -(2**63)),
        ("1.5", 1.5),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e-3", 0.001),
        ("1.5E+3", 1500.0),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ('"a"', "a"),
        ("'it\"s'", 'it"s'),
        (r'"\n\t\\\"\'"', "\n\t\\\"'"),
        (r'"\u00e9\x41"', "éA"),
        (r'"\ud83d\ude00"', "😀"),
        (r'"50\%\_"', r"50\%\_"),
        ('"two\nlines"', "two\nlines"),
        (r'r"\d\.\"\\"', r"\d\.\"\\"),
        (r"R'a\'b\q'", r"a\'b\q"),
        ('r""', ""),
    ],
)
def test_a_literal_has_its_value(written, value):
    literal = tree_of(f"a == {written}").right
    assert literal.value == value
    assert type(literal.value) is type(value)


@pytest.mark.parametrize("operator", ["=~", "!~"])
def test_behind_a_regex_operator_unknown_escapes_belong_to_the_pattern(operator):
    node = tree_of(rf'a {operator} "\d+\.\n\\w\p"')
    node = node.operand if operator == "!~" else node
    assert node.pattern.value == "\\d+\\.\n\\w\\p"


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("", 0, "empty"),
        ("   ", 0, "empty"),
        ("a ==", 4, "expected a value"),
        ("a == 1 b", 7, "expected an operator"),
        ("a = 1", 2, "=="),
        ("a == 1 and", 10, "expected a value"),
        ("(a == 1", 7, "expected ')'"),
        ("a in 5", 5, "list in brackets"),
        ("a in [1 2]", 8, "expected ','"),
        ("a in [b]", 6, "values and templates"),
        ("a not 5", 6, "`in` or `like`"),
        ("a is 5", 5, "expected 'null'"),
        ("a is false", 5, "expected 'null' or 'true'"),
        ("a =~", 4, "expected a value"),
        ("a ~ 'b'", 2, "unexpected character '~'"),
        ('a == r"x', 6, "no closing quote"),
        ("icontains(a)", 0, "takes 2 arguments, got 1"),
        ("a == 'x", 5, "no closing quote"),
        ("a == 12abc", 5, "not a number"),
        ("a == 010", 5, "not a number"),
        ("a == 1e999", 5, "too large"),
        ("a == " + "9" * 500, 5, "too long"),
        (r'a == "x\q"', 7, "unknown escape"),
        (r'a == "\ud800"', 5, "surrogate"),
        ("a == \ud800", 5, "unexpected character"),
        ("a.b == 1", 1, 'field["key"]'),
        ("a # b", 2, "unexpected character '#'"),
        ("a == {1}", 5, "template"),
        ("1 < a > 2", 6, "one way"),
        ("1 == a == 2", 7, "one way"),
        ("1 < a < 2 < 3", 10, "two comparisons"),
        ("a[b] == 1", 2, "key in quotes"),
        ("a[-1] == 1", 2, "key in quotes"),
        ("a[true] == 1", 2, "key in quotes"),
        ("nope(a)", 0, "unknown function 'nope'"),
        ("Json_Contains(a, 1)", 0, "unknown function"),
        ("array_length(a, b) > 1", 0, "takes 1 argument, got 2"),
        ("text_match(t)", 0, "takes 2 arguments, got 1"),
        ("phrase_match(t, 'a', 1, 2)", 0, "takes 2 or 3 arguments, got 4"),
        ("phrase_match(t, minimum_should_match=1)", 16, "no argument"),
        ("json_contains(a, minimum_should_match=1)", 17, "no argument"),
    ],
)
def test_a_parse_error_points_at_its_place(text, position, said):
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    assert caught.value.position == position
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "a" + ")" * 10_000,
        "not " * 10_000 + "a",
        "!" * 10_000 + "a",
        "-" * 10_000 + "a == 1",
        "a" + " + 1" * 10_000 + " > 1",
        "a == " + "2 ** " * 10_000 + "2",
        "a in " + "[" * 10_000,
        "exists " * 10_000 + "a",
        "array_length(" * 10_000,
        "1 < (" * 10_000 + "a",
    ],
)
def test_deep_nesting_is_a_filter_error(text):
    with pytest.raises(FilterError, match="levels deep"):
        parse_filter(text)


def test_ninety_levels_and_ten_thousand_alternatives_are_fine(make_rows):
    source = make_rows([{"i": 1}, {"i": 2}])
    nested = "(" * 90 + "i == 1" + ")" * 90
    assert evaluate(parse_filter(nested), source).tolist() == [True, False]
    flat = " or ".join(f"i == {number}" for number in range(2, 10_000))
    assert evaluate(parse_filter(flat), source).tolist() == [False, True]


def test_an_equal_text_gives_the_same_tree_object():
    assert parse_filter("a == 1234") is parse_filter("a == 1234")


def test_a_filter_is_a_string():
    with pytest.raises(FilterError, match="not int"):
        parse_filter(5)


words = st.sampled_from(
    [
        *(
            "and",
            "or",
            "not",
            "in",
            "like",
            "is",
            "null",
            "exists",
            "true",
            "i",
            "s",
            "k",
            "a",
            "$meta",
        ),
        *(
            "1",
            "2.5",
            '"x"',
            "'",
            '"',
            "(",
            ")",
            "[",
            "]",
            ",",
            "==",
            "!=",
            "<",
            ">=",
            "+",
            "-",
            "**",
        ),
        *("%", "{p}", "{", "=", "array_length(", "json_contains(", "array_contains_any(a,", "\\"),
        *("text_match(t,", "minimum_should_match", "0x", "é", "\0"),
    ]
)


@settings(max_examples=1500, deadline=None)
@given(
    st.one_of(
        st.lists(words, max_size=12).map(" ".join), st.text(max_size=30), st.text(string.printable)
    )
)
def test_any_text_is_a_filter_or_a_filter_error(make_rows, text):
    source = make_rows([{"i": 1, "s": "x", "a": [1], "$meta": {"k": 1}}])
    try:
        expression = bind(parse_filter(text), {"p": 1})
        check(expression, source.kinds)
    except FilterError as error:
        assert error.position is None or 0 <= error.position <= len(text)  # noqa: PT017
    else:
        assert evaluate(expression, source).shape == (1,)


@pytest.mark.parametrize(
    "value",
    [np.array(1), np.array("x"), np.array(1, dtype=object), np.ma.masked, np.ma.array(1.0)],
)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [1, v], lambda v: [[v]]])
def test_an_array_without_a_dimension_is_no_value(value, wrap):
    for text in ("i == {x}", "i in {x}"):
        with pytest.raises(FilterError, match=r"template \{x\} is of type \w+: .*give a bool, int"):
            bind(parse_filter(text), {"x": wrap(value)})
    with pytest.raises(FilterError, match=r"key 'k' is of type \w+: "):
        filter_from_dict({"k": wrap(value)}, "metadata")


def test_numbers_and_lists_of_numpy_are_values(make_rows):
    source = make_rows([{"i": 1}, {"i": 2}])
    for value in (np.int64(1), np.float32(1), np.array([1]), [np.int8(1)], np.array([[1]])[0]):
        text = "i == {x}" if isinstance(value, np.generic) else "i in {x}"
        assert evaluate(bind(parse_filter(text), {"x": value}), source).tolist() == [True, False]
