"""Random filters over random rows, against a naive evaluator: one row at a time, plain Python."""

import math
import re
import struct
import unicodedata

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elanus.query import bind, check, evaluate, parse_filter

MIN, MAX = -(2**63), 2**63 - 1
UNKNOWN = None

# ---------------------------------------------------------------- what a row holds

chars = st.sampled_from(list("aab%_\\\n\"'éÉe\u0301😀\0"))
texts = st.text(chars, max_size=4)
ints = st.one_of(
    st.integers(-4, 4),
    st.sampled_from([MIN, MAX, 2**53 + 1, 2**53, -(2**62)]),
    st.integers(MIN, MAX),
)
doubles = st.one_of(
    st.sampled_from([0.0, 0.5, -1.5, 2.0, 0.1, float(2**53), 9.3e18, -9.3e18, 1e300]),
    st.floats(-5, 5).map(lambda x: round(x, 2)),
)


def single(number):
    try:
        return struct.unpack("f", struct.pack("f", number))[0]
    except OverflowError:
        return math.copysign(math.inf, number)


scalars = st.one_of(st.none(), st.booleans(), ints, doubles, texts)
json_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xy"), inner, max_size=2)
    ),
    max_leaves=5,
)
rows = st.fixed_dictionaries(
    {
        "i": st.none() | ints,
        "b": st.none() | st.booleans(),
        "f": st.none() | doubles.map(single).filter(math.isfinite),
        "d": st.none() | doubles,
        "s": st.none() | texts,
        "a": st.none() | st.lists(ints, max_size=3),
        "sa": st.none() | st.lists(texts, max_size=3),
        "j": st.none() | json_values,
        "$meta": st.fixed_dictionaries({}, optional={"k": json_values, "x": json_values}),
    }
)

# ---------------------------------------------------------------- filters as tuples

JSON_PATHS = [
    ("j",),
    ("j", "x"),
    ("j", 0),
    ("j", "x", 1),
    ("$meta", "k"),
    ("$meta", "x", "y"),
    ("k",),
    ("k", 0),
]
number_fields = st.sampled_from([("i",), ("f",), ("d",), ("a", 0), ("a", 1)])
json_paths = st.sampled_from(JSON_PATHS)
paths = st.one_of(number_fields, json_paths).map(lambda path: ("path", *path))
number_literals = st.one_of(ints, doubles).map(lambda value: ("value", value))


@st.composite
def arithmetic(draw, inner):
    operator = draw(st.sampled_from(["+", "-", "*", "/", "%"]))
    return (operator, draw(inner), draw(inner))


small_power = st.tuples(
    st.just("**"),
    st.sampled_from([("path", "i"), ("path", "k")]),
    st.integers(0, 3).map(lambda n: ("value", n)),
)
lengths = st.sampled_from([("a",), ("sa",), ("j",), ("k",)]).map(lambda p: ("length", ("path", *p)))
numbers = st.recursive(st.one_of(paths, number_literals, lengths), arithmetic, max_leaves=3)
strings = st.one_of(
    st.sampled_from([("s",), ("sa", 0), *JSON_PATHS]).map(lambda path: ("path", *path)),
    texts.map(lambda value: ("value", value)),
)
booleans = st.one_of(
    st.sampled_from([("b",), *JSON_PATHS]).map(lambda path: ("path", *path)),
    st.booleans().map(lambda value: ("value", value)),
)
order = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
lists = st.lists(
    st.one_of(st.booleans(), ints, doubles, texts, st.lists(ints, max_size=2)), max_size=7
)
number_lists = st.lists(st.one_of(ints, doubles), max_size=7)
any_path = json_paths.map(lambda path: ("path", *path))


def tagged(tag, *parts):
    return st.tuples(st.just(tag), *parts)


leaves = st.one_of(
    tagged("cmp", order, numbers, numbers),
    tagged("cmp", order, strings, strings),
    tagged("cmp", st.sampled_from(["==", "!="]), booleans, booleans),
    tagged("cmp", order, small_power, number_literals),
    tagged(
        "cmp", st.sampled_from(["==", "!="]), any_path, lists.map(lambda value: ("value", value))
    ),
    tagged(
        "cmp",
        st.sampled_from(["==", "!="]),
        st.just(("path", "a")),
        number_lists.map(lambda v: ("value", v)),
    ),
    tagged(
        "range",
        st.sampled_from(["<", "<="]),
        st.sampled_from(["<", "<="]),
        numbers,
        numbers,
        numbers,
    ),
    tagged(
        "range",
        st.sampled_from([">", ">="]),
        st.sampled_from([">", ">="]),
        strings,
        strings,
        strings,
    ),
    tagged("in", numbers, number_lists),
    tagged("in", st.just(("path", "s")), st.lists(texts, max_size=7)),
    tagged("in", any_path, lists),
    tagged(
        "like",
        st.one_of(st.just(("path", "s")), any_path),
        st.text(st.sampled_from(list("aab%%__\\\né😀\0")), max_size=6),
    ),
    tagged(
        "regex",
        st.one_of(st.sampled_from([("s",), ("sa", 0)]).map(lambda p: ("path", *p)), any_path),
        st.sampled_from(["a", "b", "é", ""]),
        st.booleans(),
    ),
    tagged("icontains", st.one_of(st.just(("path", "s")), any_path), texts.map(str.swapcase)),
    tagged(
        "null",
        st.one_of(
            st.sampled_from([("i",), ("s",), ("a",), ("a", 1)]).map(lambda p: ("path", *p)),
            any_path,
        ),
    ),
    tagged("exists", any_path),
    tagged("contains", st.just("one"), any_path, lists.filter(bool).map(lambda v: v[0])),
    tagged("contains", st.sampled_from(["all", "any"]), any_path, lists),
    tagged(
        "contains",
        st.sampled_from(["all", "any"]),
        st.just(("path", "sa")),
        st.lists(texts, max_size=3),
    ),
    tagged("contains", st.just("one"), st.just(("path", "a")), st.one_of(ints, doubles)),
    tagged("bare", booleans),
)
filters = st.recursive(
    leaves,
    lambda inner: st.one_of(
        tagged("and", inner, inner),
        tagged("or", inner, inner, inner),
        tagged("not", inner),
        tagged("true", inner),
    ),
    max_leaves=4,
)

# ---------------------------------------------------------------- filters as text


def literal(value, params):
    """Write a value: floats and long lists become templates half of the time."""
    if isinstance(value, bool):
        return "true" if value else "False"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    if isinstance(value, list):
        if len(value) % 2:
            name = f"t{len(params)}"
            params[name] = value
            return f"{{{name}}}"
        return f"[{', '.join(literal(item, params) for item in value)}]"
    return repr(value)


def value_text(node, params):
    match node:
        case ("value", value):
            return literal(value, params)
        case ("path", name, *steps):
            return name + "".join(f"[{literal(step, params)}]" for step in steps)
        case ("length", path):
            return f"array_length({value_text(path, params)})"
        case (operator, left, right):
            return f"({value_text(left, params)} {operator} {value_text(right, params)})"
    raise AssertionError(node)


def text_of(node, params):
    tag, *parts = node
    if tag in ("and", "or"):
        return f" {tag} ".join(f"({text_of(part, params)})" for part in parts)
    if tag == "not":
        return f"not ({text_of(parts[0], params)})"
    if tag == "true":
        return f"({text_of(parts[0], params)}) is true"
    return leaf_text(node, params)


def leaf_text(node, params):
    def sub(child):
        return value_text(child, params)

    match node:
        case ("cmp", operator, left, right):
            return f"{sub(left)} {operator} {sub(right)}"
        case ("range", one, two, low, middle, high):
            return f"{sub(low)} {one} {sub(middle)} {two} {sub(high)}"
        case ("in", left, values):
            return f"{sub(left)} in {literal(values, params)}"
        case ("like", left, pattern):
            return f"{sub(left)} like {literal(pattern, params)}"
        case ("regex", left, pattern, negated):
            return f"{sub(left)} {'!~' if negated else '=~'} {literal(pattern, params)}"
        case ("icontains", left, text):
            return f"icontains({sub(left)}, {literal(text, params)})"
        case ("null", path):
            return f"{sub(path)} is null"
        case ("exists", path):
            return f"exists {sub(path)}"
        case ("contains", quantifier, path, values):
            suffix = "" if quantifier == "one" else f"_{quantifier}"
            return f"json_contains{suffix}({sub(path)}, {literal(values, params)})"
        case ("bare", value):
            return sub(value)
    raise AssertionError(node)


# ---------------------------------------------------------------- the naive evaluator


def read(row, name, *steps):
    value = row["$meta"].get(name) if name not in row else row[name]
    for step in steps:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and step < len(value) else None
    return value


def as_number(value):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return UNKNOWN
    return value


def compute(operator, left, right):
    left, right = as_number(left), as_number(right)
    if left is UNKNOWN or right is UNKNOWN or (operator in "/%" and right == 0):
        return UNKNOWN
    if isinstance(left, int) and isinstance(right, int):
        quotient = (
            0 if right == 0 else abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
        )
        exact = {
            "+": lambda: left + right,
            "-": lambda: left - right,
            "*": lambda: left * right,
            "/": lambda: quotient,
            "%": lambda: left - quotient * right,
            "**": lambda: left**right,
        }[operator]()
        if MIN <= exact <= MAX:
            return exact
    left, right = float(left), float(right)
    result = {
        "+": lambda: left + right,
        "-": lambda: left - right,
        "*": lambda: left * right,
        "/": lambda: left / right,
        "%": lambda: math.fmod(left, right),
        "**": lambda: math.prod([left] * int(right)),
    }[operator]()
    return UNKNOWN if math.isnan(result) else result


def value_of(node, row):
    match node:
        case ("value", value):
            return value
        case ("path", *path):
            return read(row, *path)
        case ("length", path):
            value = value_of(path, row)
            return len(value) if isinstance(value, list) else UNKNOWN
        case (operator, left, right):
            return compute(operator, value_of(left, row), value_of(right, row))
    raise AssertionError(node)


def family(value):
    return float if as_number(value) is not UNKNOWN else type(value)


def equal(left, right):
    if left is None or right is None or family(left) is not family(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(equal, left, right))
    return left == right


def compare(operator, left, right, both_read):
    if left is None or right is None:
        return UNKNOWN
    if operator in ("==", "!="):
        if both_read and family(left) is family(right) and isinstance(left, (list, dict)):
            return UNKNOWN
        return equal(left, right) == (operator == "==")
    if family(left) is not family(right) or family(left) not in (float, str):
        return UNKNOWN
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[
        operator
    ]


def compare_nodes(operator, left, right, row):
    one, two = value_of(left, row), value_of(right, row)
    # A FLOAT field rounded its values, so what is compared with it is rounded alike.
    if left == ("path", "f") and right[0] == "value":
        two = single(two)
    if right == ("path", "f") and left[0] == "value":
        one = single(one)
    return compare(operator, one, two, "value" not in (left[0], right[0]))


def fits(pattern, text):
    if not pattern:
        return not text
    head, rest = pattern[0], pattern[1:]
    if head == "%":
        return fits(rest, text) or (bool(text) and fits(pattern, text[1:]))
    if head == "_":
        return bool(text) and fits(rest, text[1:])
    if head == "\\" and rest:
        head, rest = rest[0], rest[1:]
    return bool(text) and text[0] == head and fits(rest, text[1:])


def negate(truth):
    return UNKNOWN if truth is UNKNOWN else not truth


def conjunction(truths):
    if False in truths:
        return False
    return UNKNOWN if UNKNOWN in truths else True


def contains(quantifier, value, wanted):
    if not isinstance(value, list):
        return UNKNOWN
    wanted = [wanted] if quantifier == "one" else wanted
    found = [any(equal(item, each) for item in value) for each in wanted]
    return all(found) if quantifier == "all" else any(found)


def truth_of(node, row):
    tag, *parts = node
    if tag == "and":
        return conjunction([truth_of(part, row) for part in parts])
    if tag == "or":
        return negate(conjunction([negate(truth_of(part, row)) for part in parts]))
    if tag == "true":
        return truth_of(parts[0], row) is True
    return negate(truth_of(parts[0], row)) if tag == "not" else leaf_truth(node, row)


def folded(text):
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())


def string_test(tag, value, pattern, negated=False, *, left):
    if not isinstance(value, str):
        # Only a regular expression tells a null field from what is no string in JSON.
        return negated if tag == "regex" and left != ("path", "s") else UNKNOWN
    if tag == "like":
        return fits(pattern, value)
    if tag == "icontains":
        return folded(pattern) in folded(value)
    return (pattern in value) != negated


def leaf_truth(node, row):
    match node:
        case ("cmp", operator, left, right):
            return compare_nodes(operator, left, right, row)
        case ("range", one, two, low, middle, high):
            return conjunction(
                [compare_nodes(one, low, middle, row), compare_nodes(two, middle, high, row)]
            )
        case ("in", left, values):
            value = value_of(left, row)
            if value is None:
                return UNKNOWN
            if left == ("path", "f"):
                values = [single(each) for each in values]
            return any(equal(value, each) for each in values)
        case ("like" | "regex" | "icontains", left, pattern, *negated):
            return string_test(node[0], value_of(left, row), pattern, *negated, left=left)
        case ("null", path):
            return value_of(path, row) is None
        case ("exists", path):
            return value_of(path, row) is not None
        case ("contains", quantifier, path, values):
            return contains(quantifier, value_of(path, row), values)
        case ("bare", value):
            value = value_of(value, row)
            return value if isinstance(value, bool) else UNKNOWN
    raise AssertionError(node)


# ---------------------------------------------------------------- the properties

SETTINGS = settings(
    max_examples=500,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@SETTINGS
@given(st.lists(filters, min_size=1, max_size=4), st.lists(rows, max_size=6), st.integers(0, 6))
def test_a_mask_holds_the_rows_for_which_the_filter_is_true(make_rows, nodes, data, cut):
    for node in nodes:
        source, params = make_rows(data, cut=cut), {}
        text = text_of(node, params)
        expression = bind(parse_filter(text), params)
        mask = evaluate(expression, source)
        assert mask.dtype == bool
        assert mask.tolist() == [truth_of(node, row) is True for row in data], text
        assert len(source.asked) == len(set(source.asked))
        references = check(expression, source.kinds).values()
        assert set(source.asked) == {reference.column for reference in references}


@SETTINGS
@given(
    st.text(st.sampled_from("ab%_\\\n"), max_size=8),
    st.lists(st.text(st.sampled_from("ab%_\\\n"), max_size=8)),
)
def test_like_matches_as_the_definition_says(make_rows, pattern, values):
    source = make_rows([{"s": value} for value in values])
    mask = evaluate(bind(parse_filter("s like {p}"), {"p": pattern}), source)
    assert mask.tolist() == [fits(pattern, value) for value in values]


def test_the_naive_like_agrees_with_a_regular_expression():
    for text in ("", "a", "ab", "a%b", "aab"):
        assert fits("a%b", text) == bool(re.fullmatch("a.*b", text))
