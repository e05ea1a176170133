"""Dict filters against a plain matcher, and bare names made keys."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.errors import FilterError
from elanus.query import bind, evaluate, filter_from_dict, parse_filter, rebase_names

keys = st.sampled_from(["k", "a.b", 'q"\\', "and", "new\nline", ""])
scalars = st.one_of(
    st.booleans(), st.integers(-2, 2), st.sampled_from([0.5, 1.0]), st.text("ab%", max_size=2)
)
values = st.one_of(st.none(), scalars, st.lists(scalars, max_size=2))
documents = st.dictionaries(keys, values, max_size=4)
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
        st.tuples(st.just("$not"), inner),
    ).map(lambda pair: dict([pair]))


tests = st.recursive(operators(st.just({"$eq": 1})), operators, max_leaves=3)
queries = st.recursive(
    st.dictionaries(keys, st.one_of(values, tests), min_size=1, max_size=2),
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


def leaf(value, operator, operand):
    """Return True or False; None where neither the test nor its opposite matches."""
    match operator:
        case "$eq":
            return same(value, operand)
        case "$in":
            return any(same(value, each) for each in operand)
        case "$exists":
            return (value is not None) == operand
    if value is None:
        return False
    match operator:
        case "$like":
            return fits(operand, value) if isinstance(value, str) else None
        case "$contains":
            return any(same(each, operand) for each in value) if isinstance(value, list) else None
    text = isinstance(value, str)
    if text != isinstance(operand, str) or type(value) not in (int, float, str):
        return None
    return {
        "$gt": value > operand,
        "$gte": value >= operand,
        "$lt": value < operand,
        "$lte": value <= operand,
    }[operator]


def holds(value, test, negated):
    if not isinstance(test, dict):
        test = {"$eq": test}
    found = []
    for operator, operand in test.items():
        if operator == "$not":
            found.append(holds(value, operand, not negated))
        elif operator in ("$ne", "$nin"):
            found.append(
                leaf(value, operator.replace("n", "", 1) if operator == "$nin" else "$eq", operand)
                is negated
            )
        else:
            found.append(leaf(value, operator, operand) is (not negated))
    return any(found) if negated else all(found)


def selects(document, query, negated=False):
    found = []
    for key, test in query.items():
        if key == "$not":
            found.append(selects(document, test, not negated))
        elif key in ("$and", "$or", "$nor"):
            inner = negated != (key == "$nor")
            parts = [selects(document, part, inner) for part in test]
            found.append(all(parts) if (key == "$and") != inner else any(parts))
        else:
            found.append(holds(document.get(key), test, negated))
    return any(found) if negated else all(found)


@settings(max_examples=500, deadline=None)
@given(queries, st.lists(documents, max_size=5))
def test_a_dict_filter_selects_what_a_plain_matcher_selects(make_rows, query, data):
    text, params = filter_from_dict(query, "j")
    source = make_rows([{"j": document} for document in data])
    mask = evaluate(bind(parse_filter(text), params), source)
    assert mask.tolist() == [selects(document, query) for document in data], text


def test_values_and_keys_never_become_syntax():
    text, params = filter_from_dict({'k"] == 1 or true or j["': '" or true'}, "j")
    assert text == 'j["k\\"] == 1 or true or j[\\""] == {p0}'
    assert params == {"p0": '" or true'}


def test_a_key_with_dots_is_one_key(make_rows):
    source = make_rows([{"j": {"a.b": 1}}, {"j": {"a": {"b": 1}}}])
    text, params = filter_from_dict({"a.b": 1}, "j")
    assert evaluate(bind(parse_filter(text), params), source).tolist() == [True, False]


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
        text, params = filter_from_dict(query, "j")
        found = np.flatnonzero(evaluate(bind(parse_filter(text), params), source)).tolist()
        assert found == expected, query


def test_an_empty_dict_gives_an_empty_filter():
    assert filter_from_dict({}, "j") == ("", {})


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
        ({"k": {"b": 1}}, "'b'; known"),
        ({"k": {}}, "no operator"),
        ({"k": {"$gt": None}}, "a number or a string"),
        ({"k": {"$gt": True}}, "a number or a string"),
        ({"k": {"$in": 5}}, "need a list"),
        ({"k": {"$exists": 1}}, "True or False"),
        ({"k": {"$like": 5}}, "a pattern"),
        ({"k": {"$not": 5}}, "dict of operators"),
        ({"k": {"$contains": None}}, "ask for null"),
        ({"k": {"$eq": {"a": 1}}}, "of type dict"),
        ({"k": object()}, "of type object"),
        ({"$and": []}, "list of filter dicts"),
        ({"$and": [{}]}, "at least one condition"),
        ({"$not": 5}, "at least one condition"),
        ({5: 1}, "key of a filter dict is a string"),
        ({"\ud800": 1}, "key of a filter dict is a string"),
        (nested(5000), "40 levels"),
        ([], "at least one condition"),
        (None, "at least one condition"),
    ],
)
def test_a_dict_that_is_no_filter_is_an_error(query, said):
    with pytest.raises(FilterError, match=said):
        filter_from_dict(query, "j")


def test_forty_levels_of_a_dict_still_parse():
    text, _ = filter_from_dict(nested(40), "j")
    assert parse_filter(text)
    wide = {"$or": [{"k": {"$not": {"$ne": n}}} for n in range(2000)]}
    assert parse_filter(filter_from_dict(wide, "j")[0])


@pytest.mark.parametrize(
    ("written", "rebased"),
    [
        ("year >= 2020", 'm["year"] >= 2020'),
        ('tags["x"][0] == 1 and  b', 'm["tags"]["x"][0] == 1 and  m["b"]'),
        (
            "text == 'text' and text_match(text, 'a b')",
            "m[\"text\"] == 'text' and text_match(text, 'a b')",
        ),
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
    assert rebase_names(written, "m", ["text"]) == rebased


@pytest.mark.parametrize(("text", "position"), [("a ==", 4), ("a and text_match(b, 'x')", 17)])
def test_errors_of_rebasing_point_into_the_given_text(text, position):
    with pytest.raises(FilterError) as caught:
        rebase_names(text, "m", ["text"])
    assert caught.value.position == position
    assert caught.value.expression == text
