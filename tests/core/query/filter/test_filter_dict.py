"""Dict filters against a plain matcher, and bare names made keys."""

import unicodedata
from operator import ge, gt, le, lt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import dok_array

from elanus import DocumentStore
from elanus.errors import FilterError
from elanus.query import as_filter, evaluate, filter_from_dict, parse_filter
from elanus.query.filter import _tree as tree
from elanus.query.filter._rebase import rebase_names

keys = st.sampled_from(["k", "a.b", "a", "b.c.d", 'q"\\', "and", "new\nline", ""])
scalars = st.one_of(
    st.booleans(), st.integers(-2, 2), st.sampled_from([0.5, 1.0]), st.text("ab%", max_size=2)
)
words = st.text(
    ["a", "A", "b", "ß", "s", "S", "%", "_", "\\", "\n", "İ", "é", "E", "\u0301"], max_size=3
)
values = st.one_of(st.none(), scalars, words, st.lists(scalars, max_size=2))
parts = st.sampled_from(["a", "b", "c", "b.c", "c.d", "d", "k"])
nested_values = st.recursive(
    values, lambda inner: st.dictionaries(parts, inner, max_size=2), max_leaves=4
)
documents = st.dictionaries(keys | parts, nested_values, max_size=4)
orderable = st.one_of(st.integers(-2, 2), st.text("ab", max_size=2))
with_none = st.lists(st.one_of(st.none(), scalars), max_size=3)


def operators(inner):
    return st.one_of(
        st.tuples(st.sampled_from(["$eq", "$ne"]), values),
        st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), orderable),
        st.tuples(st.sampled_from(["$in", "$nin"]), with_none),
        st.tuples(st.just("$exists"), st.booleans()),
        st.tuples(st.just("$like"), st.text("ab%", max_size=2)),
        st.tuples(st.just("$contains"), scalars),
        st.tuples(st.sampled_from(["$any", "$all"]), st.lists(scalars, max_size=2)),
        st.tuples(st.sampled_from(["$substring", "$isubstring"]), words),
        st.tuples(st.just("$regex"), st.sampled_from(["a", "^a", "b$", "a.?b", "^$", "", "(?i)A"])),
        st.tuples(st.just("$empty"), st.booleans()),
        st.tuples(st.just("$not"), inner),
    ).map(lambda pair: dict([pair]))


tests = st.recursive(operators(st.just({"$eq": 1})), operators, max_leaves=3)
asked = st.recursive(
    values | tests,
    lambda inner: st.dictionaries(parts, inner, min_size=1, max_size=2),
    max_leaves=3,
)
queries = st.recursive(
    st.dictionaries(keys | parts, asked, min_size=1, max_size=2),
    lambda inner: st.one_of(
        st.tuples(
            st.sampled_from(["$and", "$or", "$nor"]), st.lists(inner, min_size=1, max_size=2)
        ),
        st.tuples(st.just("$not"), inner),
    ).map(lambda pair: dict([pair])),
    max_leaves=4,
)


def same(left, right):
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    number = (int, float)
    if type(left) in number and type(right) in number:
        return left == right
    return type(left) is type(right) and left == right


def fits(pattern, text):
    if not pattern:
        return not text
    if pattern[0] == "%":
        return fits(pattern[1:], text) or (bool(text) and fits(pattern, text[1:]))
    return text[:1] == pattern[0] and fits(pattern[1:], text[1:])


def held(wanted, values):
    return any(same(wanted, each) for each in values)


def found(pattern, text):
    """The few patterns that are drawn, each by hand."""
    return {
        "a": "a" in text,
        "^a": text[:1] == "a",
        "b$": text[-1:] == "b",
        "a.?b": "ab" in text
        or any(text[i] == "a" and text[i + 2] == "b" for i in range(len(text) - 2)),
        "^$": text == "",
        "": True,
        "(?i)A": "a" in text or "A" in text,
    }[pattern]


def folded(text):
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())


STRINGS = {
    "$like": lambda value, operand: fits(operand, value),
    "$regex": lambda value, operand: found(operand, value),
    "$substring": lambda value, operand: operand in value,
    "$isubstring": lambda value, operand: folded(operand) in folded(value),
}
ARRAYS = {
    "$contains": lambda value, operand: held(operand, value),
    "$any": lambda value, operand: any(held(each, value) for each in operand),
    "$all": lambda value, operand: all(held(each, value) for each in operand),
}
ORDERS = {"$gt": gt, "$gte": ge, "$lt": lt, "$lte": le}


def leaf(value, operator, operand):
    """Return whether a value passes a test; one of another type does not."""
    match operator:
        case "$eq":
            return same(value, operand)
        case "$in":
            return held(value, operand)
        case "$exists":
            return (value is not None) == operand
        case "$empty":
            return (value in ("", []) or value is None) == operand
    if operator in STRINGS:
        return isinstance(value, str) and STRINGS[operator](value, operand)
    if operator in ARRAYS:
        return isinstance(value, list) and ARRAYS[operator](value, operand)
    comparable = isinstance(value, str) == isinstance(operand, str)
    return comparable and type(value) in (int, float, str) and ORDERS[operator](value, operand)


def at(value, key):
    """What stands under a key, or else at the end of the way that its dots make."""
    value = value if isinstance(value, dict) else {}
    if value.get(key) is not None or "." not in key:
        return value.get(key)
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def holds(value, test):
    if not isinstance(test, dict):
        test = {"$eq": test}
    if not any(key.startswith("$") for key in test):
        return all(holds(at(value, key), inner) for key, inner in test.items())
    return all(passes(value, operator, operand) for operator, operand in test.items())


def passes(value, operator, operand):
    match operator:
        case "$not":
            return not holds(value, operand)
        case "$ne":
            return not leaf(value, "$eq", operand)
        case "$nin":
            return not leaf(value, "$in", operand)
    return leaf(value, operator, operand)


def selects(document, query):
    return all(chooses(document, key, test) for key, test in query.items())


def chooses(document, key, test):
    match key:
        case "$not":
            return not selects(document, test)
        case "$and":
            return all(selects(document, part) for part in test)
        case "$or":
            return any(selects(document, part) for part in test)
        case "$nor":
            return not any(selects(document, part) for part in test)
    return holds(at(document, key), test)


@settings(max_examples=500, deadline=None)
@given(queries, st.lists(documents, max_size=5))
def test_a_dict_filter_selects_what_a_plain_matcher_selects(make_rows, query, data):
    expression = filter_from_dict(query, "j")
    source = make_rows([{"j": document} for document in data])
    mask = evaluate(expression, source)
    assert mask.tolist() == [selects(document, query) for document in data], expression


def test_values_and_keys_never_become_syntax():
    key, value = 'k"] == 1 or true or j["', '" or true'
    wanted = tree.Compare(None, "==", tree.Path(None, "j", (key,)), tree.Literal(None, value))
    assert filter_from_dict({key: value}, "j").root == wanted


def test_every_value_of_every_operator_is_bound():
    attack = '" or true or "'
    for operator, value in {
        **dict.fromkeys(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$like", "$regex"], attack),
        **dict.fromkeys(["$substring", "$isubstring", "$contains"], attack),
        **{operator: [attack] for operator in ("$in", "$nin", "$any", "$all")},
    }.items():
        expression = filter_from_dict({"k": {operator: value}}, "j")
        nodes = list(tree.walk(expression.root))
        names = [node.name for node in nodes if isinstance(node, tree.Path)]
        assert names == ["j"]
        held = [node for node in nodes if isinstance(node, tree.Literal | tree.ListLiteral)]
        assert len(held) == 1
        assert attack in repr(held[0])


def test_the_case_of_letters_that_fold_to_several_does_not_matter(make_rows):
    texts = ["STRASSE", "straße", "Strasse", "strase", "İstanbul", 5, None]
    source = make_rows([{"j": {"k": each}} for each in texts])
    for wanted, expected in [
        ("straße", [0, 1, 2]),
        ("ASSE", [0, 1, 2]),
        ("i̇ST", [4]),
        ("", [*range(5)]),
    ]:
        expression = filter_from_dict({"k": {"$isubstring": wanted}}, "j")
        found = np.flatnonzero(evaluate(expression, source)).tolist()
        assert found == expected, wanted


DOTTED = [
    {"a.b": 1},
    {"a": {"b": 1}},
    {"a.b": 2, "a": {"b": 1}},
    {"a.b": None, "a": {"b": 1}},
    {"a.b": 1, "a": {"b": 2}},
    {"a": {"b": {"c": 1}}},
    {"a": {"b.c": 1}},
    {"a": [{"b": 1}]},
    {"a": 1},
    {},
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"a.b": 1}, [0, 1, 3, 4]),
        ({"a": {"b": 1}}, [1, 2, 3]),
        ({"a.b": {"$ne": 1}}, [2, 5, 6, 7, 8, 9]),
        ({"a": {"b": {"$gt": 1}}}, [4]),
        ({"a": {"$not": {"b": 1}}}, [0, 4, 5, 6, 7, 8, 9]),
        ({"a.b": None}, [6, 7, 8, 9]),
        ({"a.b": {"$exists": True}}, [0, 1, 2, 3, 4, 5]),
        ({"a.b.c": 1}, [5]),
        ({"a": {"b.c": 1}}, [5, 6]),
        ({"a": {"b": {"c": 1}}}, [5]),
        ({"a.b": {"c": 1}}, [5]),
        ({"a": {"b": 1, "c": None}}, [1, 2, 3]),
        ({"a.": 1}, []),
    ],
)
def test_a_key_with_dots_is_the_key_of_that_name_or_else_a_path(make_rows, query, expected):
    source = make_rows([{"j": document} for document in DOTTED])
    mask = evaluate(filter_from_dict(query, "j"), source)
    assert np.flatnonzero(mask).tolist() == expected


def test_the_keys_below_a_key_may_begin_with_a_dollar(make_rows):
    source = make_rows([{"j": {"a": {"$b": 1}}}, {"j": {"a": {"b": 1}}}])
    assert evaluate(filter_from_dict({"a": {"$$b": 1}}, "j"), source).tolist() == [True, False]


def test_a_document_without_the_key_is_not_equal(make_rows):
    source = make_rows([{"j": {}}, {"j": {"k": None}}, {"j": {"k": 1}}, {"j": {"k": "1"}}])
    for query, expected in [
        ({"k": {"$ne": 1}}, [0, 1, 3]),
        ({"k": {"$nin": [1]}}, [0, 1, 3]),
        ({"$not": {"k": 1}}, [0, 1, 3]),
        ({"k": None}, [0, 1]),
        ({"k": {"$ne": None}}, [2, 3]),
        ({"k": {"$in": [None, 1]}}, [0, 1, 2]),
        ({"k": {"$nin": [None, 1]}}, [3]),
        ({"k": {"$gt": 0}}, [2]),
    ]:
        expression = filter_from_dict(query, "j")
        found = np.flatnonzero(evaluate(expression, source)).tolist()
        assert found == expected, query


def test_an_empty_dict_gives_an_empty_filter():
    assert filter_from_dict({}, "j") is None


def nested(levels):
    query = {"k": 1}
    for _ in range(levels):
        query = {"$not": query}
    return query


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"k": {"$gtt": 1}}, r"'\$gtt'; known: \$eq"),
        ({"$xor": []}, r"'\$xor'; known: \$and"),
        ({"k": {"b": 1, "$gt": 1}}, r"both operators and keys.*'\$gt'.*beside 'b'"),
        ({"k": {"b": 1, 5: 1}}, "both operators and keys.*5"),
        ({"k": {5: 1}}, "unknown operator 5"),
        ({"k": {"b": {}}}, "'b' has no operator"),
        ({"k": {"\ud800": 1}}, "key of a filter dict is a string"),
        ({"k": {"a": {"$text": "x"}}}, r"unknown operator '\$text'"),
        ({"$text": "x"}, r"unknown operator '\$text'"),
        ({"k": {}}, "no operator"),
        ({"k": {"$gt": None}}, "a number or a string"),
        ({"k": {"$gt": True}}, "a number or a string"),
        ({"k": {"$in": 5}}, r"\$in needs a list"),
        ({"k": {"$exists": 1}}, "True or False"),
        ({"k": {"$like": 5}}, "needs a string"),
        ({"k": {"$regex": 5}}, "needs a string"),
        ({"k": {"$regex": "(a"}}, r"'k': \$regex '\(a': missing \)"),
        ({"k": {"$regex": r"(a)\1"}}, "not supported"),
        ({"k": {"$substring": None}}, "needs a string"),
        ({"k": {"$isubstring": ["a"]}}, "needs a string"),
        ({"k": {"$any": "ab"}}, "needs a list"),
        ({"k": {"$all": 5}}, "needs a list"),
        ({"k": {"$any": [None]}}, "ask for null"),
        ({"k": {"$empty": "yes"}}, "True or False"),
        ({"k": {"$not": 5}}, "needs operators"),
        ({"k": {"$contains": None}}, "ask for null"),
        ({"k": {"$eq": {"a": 1}}}, "of type dict"),
        ({"k": object()}, "of type object"),
        ({"$and": []}, "list of filter dicts"),
        ({"$and": [{}]}, "at least one condition"),
        ({"$not": 5}, "at least one condition"),
        ({5: 1}, "key of a filter dict is a string"),
        ({"\ud800": 1}, "key of a filter dict is a string"),
        (dok_array((1, 2)), "at least one condition"),
        ({"k": dok_array((1, 2))}, "of type dok_array"),
        ({"k": pd.NA}, "of type NAType"),
        ({"k": {pd.NA: 1}}, "unknown operator <NA>"),
        ({"k": {"$in": [pd.NA]}}, "of type NAType"),
        ({"k": {"$not": dok_array((1, 2))}}, "needs operators"),
        ({pd.NA: 1}, "key of a filter dict is a string"),
        (nested(5000), "40 levels"),
        ([], "at least one condition"),
        (None, "at least one condition"),
    ],
)
def test_a_dict_that_is_no_filter_is_an_error(query, said):
    with pytest.raises(FilterError, match=said):
        filter_from_dict(query, "j")


def test_forty_levels_of_a_dict_are_a_filter():
    assert filter_from_dict(nested(40), "j")
    wide = {"$or": [{"k": {"$not": {"$ne": n}}} for n in range(2000)]}
    assert filter_from_dict(wide, "j")


@pytest.mark.parametrize(
    ("written", "rebased"),
    [
        ("year >= 2020", 'm["year"] >= 2020'),
        ('tags["x"][0] == 1 and  b', 'm["tags"]["x"][0] == 1 and  m["b"]'),
        (
            "text == 'text' and text_match(text, 'a b')",
            "m[\"text\"] == 'text' and text_match(text, 'a b')",
        ),
        ("phrase_match(text, 'a b', 1) and a", "phrase_match(text, 'a b', 1) and m[\"a\"]"),
        ("m == 1", 'm["m"] == 1'),
        ("exists a or json_contains(b, {a})", 'exists m["a"] or json_contains(m["b"], {a})'),
        ("not (1 < é + in_x <= 2)", 'not (1 < m["é"] + m["in_x"] <= 2)'),
        ('$meta["a"] == a', '$meta["a"] == m["a"]'),
        ("a not in [1] AND a is null", 'm["a"] not in [1] AND m["a"] is null'),
        ("array_length == 1", 'm["array_length"] == 1'),
        ("true", "true"),
    ],
)
def test_bare_names_become_keys(written, rebased):
    found = rebase_names(parse_filter(written), "m", ["text"])
    assert found.root == parse_filter(rebased).root
    assert found.text == written
    assert found.templates == parse_filter(written).templates


@pytest.mark.parametrize(
    ("text", "position"),
    [("a ==", 4), ("a and text_match(b, 'x')", 17), ("a and phrase_match(b, 'x')", 19)],
)
def test_errors_of_rebasing_point_into_the_given_text(text, position):
    with pytest.raises(FilterError) as caught:
        as_filter(text, root="m", searched=["text"])
    assert caught.value.position == position
    assert caught.value.expression == text


@pytest.mark.parametrize("key", ["$x", "$", "$$x", "$and", "$eq", '$"', "$\n"])
def test_a_key_that_begins_with_a_dollar_is_written_with_one_more(key):
    with DocumentStore(":memory:") as store:
        store.add(["one", "two", "none"], [{key: 1}, {key: 2}, {}], ids=["one", "two", "none"])

        def found(condition):
            return {each.id for each in store.get(filter=condition)}

        assert found({f"${key}": 1}) == {"one"}
        assert found({f"${key}": {"$gt": 1}}) == {"two"}
        assert found({"$nor": [{f"${key}": {"$in": [1, 2]}}]}) == {"none"}
        with pytest.raises(FilterError, match=r"unknown operator '[$]nothing'"):
            found({"$nothing": 1})


def doubled(operator, levels):
    """A dict that holds the next one twice, and so on: small, but endless when it is written out."""
    found = {"a": 1}
    for _ in range(levels):
        found = {operator: [found, found]}
    return found


@pytest.mark.parametrize("operator", ["$and", "$or", "$nor"])
def test_a_dict_that_holds_dicts_many_times_over_is_refused(operator):
    with pytest.raises(FilterError, match="holds the same dicts more than 100,000 times") as caught:
        filter_from_dict(doubled(operator, 39), "j")
    assert len(str(caught.value)) < 500
    nodes = tree.walk(filter_from_dict(doubled(operator, 3), "j").root)
    assert sum(isinstance(node, tree.Compare) for node in nodes) == 8


def test_a_dict_that_holds_itself_is_refused():
    found = {}
    found["$or"] = [found, found]
    with pytest.raises(FilterError, match="may nest 40 levels"):
        filter_from_dict(found, "j")
