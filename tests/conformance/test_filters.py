"""Every filter operator, type and condition, against plain Python, for every adapter and mode."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

NUMBERS = [0, 1, 2, 0.5, 1.0, -3, 1e300, 2**60 + 1, 2**60]
STRINGS = ["", "red", "kite", "Red kite", "STRASSE", "straße", "1", 'say "kite" \\ %', "%", "RED"]
STRINGS += ["r\u00e9d", "RE\u0301D"]  # é as one character, and É as two
LISTS = [[], ["red"], ["red", "kite"], ["kite", "zzz", ""], [1, 2], [1.0], [0.5, 2.0], ["absent"]]
SCALARS = [*NUMBERS, *STRINGS]
OPERANDS = {
    **{name: [None, *SCALARS, ["red"], [1, 2], []] for name in ("EQ", "NE")},
    **dict.fromkeys(("GT", "GTE", "LT", "LTE"), SCALARS),
    **dict.fromkeys(("IN", "NIN", "ANY", "ALL"), LISTS),
    "CONTAINS": SCALARS,
    **dict.fromkeys(("TEXT_MATCH", "TEXT_MATCH_INSENSITIVE"), STRINGS),
    "IS_EMPTY": [None],
}


# --- the oracle ----------------------------------------------------------------------------------


def kind(value):
    for name, types in {"bool": bool, "number": (int, float), "str": str, "list": list}.items():
        if isinstance(value, types):
            return name
    return "null" if value is None else "object"


def same(left, right):
    if kind(left) != kind(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


def among(value, values):
    return any(same(value, each) for each in values)


def unequal(value, values, *, matches_all_others):
    """Whether a value is none of ``values``."""
    if matches_all_others:
        return not among(value, values)
    kinds = {kind(each) for each in values}
    of_their_kind = not kinds or kinds == {"null"} or kind(value) in kinds
    return value is not None and of_their_kind and not among(value, values)


def folded(text):
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())


def holds(value, operator, operand, adapter):
    match operator:
        case "EQ":
            return same(value, operand)
        case "NE" | "NIN":
            values = [operand] if operator == "NE" else operand
            others = adapter.unequal_matches_all_others
            return unequal(value, values, matches_all_others=others)
        case "IN":
            return among(value, operand)
        case "ANY":
            return isinstance(value, list) and any(among(each, value) for each in operand)
        case "ALL":
            return isinstance(value, list) and all(among(each, value) for each in operand)
        case "CONTAINS":
            return isinstance(value, list) and among(operand, value)
        case "TEXT_MATCH":
            return isinstance(value, str) and operand in value
        case "TEXT_MATCH_INSENSITIVE":
            return isinstance(value, str) and folded(operand) in folded(value)
        case "IS_EMPTY":
            return value is None or value in ("", [])
    return (
        kind(value) == kind(operand)
        and {
            "GT": lambda: value > operand,
            "GTE": lambda: value >= operand,
            "LT": lambda: value < operand,
            "LTE": lambda: value <= operand,
        }[operator]()
    )


def passes(metadata, part, adapter):
    if hasattr(part, "condition"):
        each = [passes(metadata, inner, adapter) for inner in part.parts]
        return {"AND": all, "OR": any, "NOT": lambda found: not any(found)}[part.condition](each)
    return holds(metadata.get(part.key), part.operator, part.value, adapter)


def expected(suite, part, adapter):
    return [name for name, data in suite.documents.items() if passes(data, part, adapter)]


# --- the suite -----------------------------------------------------------------------------------


def around(suite, leaf):
    """A filter alone, under each condition, and nested."""
    other, third = suite.leaf("n", "GTE", 1), suite.leaf("s", "EQ", "odd")
    group = suite.group
    return [
        leaf,
        group("NOT", [leaf]),
        group("AND", [leaf, other]),
        group("OR", [leaf, third]),
        group("NOT", [leaf, other]),
        group("AND", [group("OR", [leaf, other]), group("NOT", [third])]),
        group("NOT", [group("AND", [leaf, other]), group("NOT", [leaf, third])]),
        group("OR", [group("NOT", [group("NOT", [leaf])]), group("AND", [other, third])]),
    ]


@pytest.mark.parametrize("operator", OPERANDS)
def test_an_operator_finds_what_plain_python_finds(adapter, suite, operator):
    tried = 0
    for value in OPERANDS[operator]:
        for part in around(suite, suite.leaf("k", operator, value)):
            if adapter.expresses(part):
                found = adapter.found(part, adapter.modes[0])
                assert sorted(found) == expected(suite, part, adapter), part
                tried += 1
    assert tried == 8 * len(OPERANDS[operator]) or not adapter.expresses(
        suite.leaf("k", operator, None)
    )


@pytest.mark.parametrize("operator", OPERANDS)
def test_every_mode_and_its_coroutine_apply_the_same_filter(adapter, suite, operator):
    for value in OPERANDS[operator][:4]:
        leaf = suite.leaf("k", operator, value)
        for part in (leaf, suite.group("NOT", [leaf, suite.leaf("s", "EQ", "odd")])):
            for mode in adapter.modes if adapter.expresses(part) else ():
                wanted = expected(suite, part, adapter)
                assert sorted(adapter.found(part, mode)) == wanted, (mode, part)
                assert sorted(adapter.found_asynchronously(part, mode)) == wanted, (mode, part)


def test_the_oracle_tells_the_operators_apart(adapter, suite):
    # Otherwise the suite could pass with filters that let everything pass, or nothing.
    sizes = {
        len(expected(suite, suite.leaf("k", operator, value), adapter))
        for operator, values in OPERANDS.items()
        for value in values
    }
    assert {0, 1, 2, 3} < sizes
    assert max(sizes) >= 9


@settings(max_examples=150)
@given(data=st.data())
def test_any_nesting_finds_what_plain_python_finds(adapter, suite, data):
    def leaf(pair):
        return suite.leaf("k", *pair)

    operators = [each for each in OPERANDS if adapter.expresses(suite.leaf("k", each, None))]
    leaves = st.one_of(
        st.sampled_from([leaf((o, v)) for o in operators for v in OPERANDS[o]]),
        st.builds(suite.leaf, st.just("n"), st.sampled_from(["EQ", "NE", "GT"]), st.integers(0, 3)),
    )
    groups = st.recursive(
        leaves,
        lambda inner: st.builds(
            suite.group,
            st.sampled_from(["AND", "OR", "NOT"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        max_leaves=8,
    )
    part = data.draw(groups)
    assert sorted(adapter.found(part, adapter.modes[0])) == expected(suite, part, adapter)
