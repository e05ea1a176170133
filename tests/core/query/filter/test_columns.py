"""Columns: what goes in comes out, however it is cut, and earlier versions stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.errors import ParamError
from elanus.query import (
    MISSING,
    Column,
    FieldKind,
    FieldType,
    ValueType,
    column_from_arrays,
    column_to_arrays,
    distinct,
    extract_path,
)


def values_of(column):
    """Read a column back, slot by slot; an object gives an empty dict."""
    return [value_of(column, slot) for slot in range(column.n)]


def value_of(column, slot):
    match ValueType(column.all_kinds()[slot]):
        case ValueType.MISSING:
            return MISSING
        case ValueType.NULL:
            return None
        case ValueType.BOOL:
            return bool(column.bools[slot])
        case ValueType.INT:
            return int(column.ints[slot])
        case ValueType.FLOAT:
            return float(column.floats[slot])
        case ValueType.STRING:
            return column.strings[column.codes[slot]]
        case ValueType.ARRAY:
            start, length = column.starts[slot], column.lengths[slot]
            assert (column.owners[start : start + length] == slot).all()
            return [value_of(column.elements, at) for at in range(start, start + length)]
    return {}


int64 = st.integers(-(2**63), 2**63 - 1)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), int64, st.floats(allow_nan=False), st.text(max_size=3)),
    lambda inner: st.lists(inner, max_size=3) | st.just({}),
    max_leaves=6,
)
KINDS = [
    (FieldKind(FieldType.BOOL), st.none() | st.booleans()),
    (FieldKind(FieldType.INT), st.none() | int64),
    (FieldKind(FieldType.FLOAT32), st.none() | st.floats(width=32, allow_nan=False)),
    (FieldKind(FieldType.DOUBLE), st.just(MISSING) | st.none() | st.floats(allow_nan=False)),
    (FieldKind(FieldType.STRING), st.none() | st.text(max_size=3)),
    (
        FieldKind(FieldType.ARRAY, FieldType.STRING),
        st.none() | st.lists(st.text(max_size=2), max_size=3),
    ),
    (FieldKind(FieldType.JSON), st.just(MISSING) | json_values),
]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_column_gives_back_what_was_appended(data):
    kind, values = data.draw(st.sampled_from(KINDS))
    batches = data.draw(st.lists(st.lists(values, max_size=5), max_size=4))
    versions, expected = [Column.empty(kind)], [[]]
    for batch in batches:
        versions.append(versions[-1].append(batch))
        expected.append(expected[-1] + batch)
    # A second history from an earlier version must not disturb the first.
    fork = data.draw(st.integers(0, len(batches)))
    other = data.draw(st.lists(values, min_size=1, max_size=5))
    versions.append(versions[fork].append(other))
    expected.append(expected[fork] + other)
    for column, held in zip(versions, expected, strict=True):
        assert column.n == len(held)
        assert repr(values_of(column)) == repr(held)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_column_comes_back_from_arrays_and_goes_on(data):
    kind, value = data.draw(st.sampled_from(KINDS))
    before, more = (data.draw(st.lists(value, max_size=8)) for _ in range(2))
    column = Column.empty(kind).append(before)
    arrays = column_to_arrays(column)
    column.append(more)  # what comes while it is written stays out of it
    again = column_from_arrays(kind, arrays)
    assert values_of(again) == values_of(column)
    assert values_of(again.append(more)) == values_of(column.append(more))
    assert distinct(again.append(more), None) == distinct(column.append(more), None)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(KINDS[-1][1], max_size=3) | st.integers(0, 3), max_size=5))
def test_slots_without_a_value_are_as_if_each_had_been_given(pieces):
    column, expected = Column.empty(FieldKind(FieldType.JSON)), []
    for piece in pieces:
        is_gap = isinstance(piece, int)
        column = column.append_missing(piece) if is_gap else column.append(piece)
        expected += [MISSING] * piece if is_gap else piece
    assert column.n == len(expected)
    assert repr(values_of(column)) == repr(expected)


@pytest.mark.parametrize(
    ("kind", "values", "lanes"),
    [
        (FieldType.INT, [1, 2], {"ints"}),
        (FieldType.FLOAT32, [1, 2.5], {"floats"}),
        (FieldType.STRING, ["a"], {"codes"}),
        (FieldType.JSON, ["a", "b"], {"codes"}),
        (FieldType.JSON, [1, 2.5], {"ints", "floats"}),
        (FieldType.JSON, [MISSING, MISSING], set()),
    ],
)
def test_only_the_arrays_that_are_needed_exist(kind, values, lanes):
    column = Column.empty(FieldKind(kind)).append(values)
    assert set(column.lanes()) == lanes
    assert (column.kinds is None) == (len(lanes) < 2)


def test_a_float_field_is_held_in_single_precision():
    column = Column.empty(FieldKind(FieldType.FLOAT32)).append([0.1])
    assert column.floats.dtype == np.float32


def test_appending_copies_the_column_rarely():
    column = Column.empty(FieldKind(FieldType.INT)).append([0])
    copies = 0
    for number in range(1, 5000):
        longer = column.append([number])
        copies += not np.shares_memory(longer.ints, column.ints)
        column = longer
    assert column.ints.tolist() == list(range(5000))
    assert copies < 30


def test_json_integers_beyond_int64_become_floats():
    column = Column.empty(FieldKind(FieldType.JSON)).append([2**63, -(2**63), 2**64 - 1])
    assert values_of(column) == [float(2**63), -(2**63), float(2**64 - 1)]


def test_a_value_that_json_does_not_have_is_an_error():
    with pytest.raises(ParamError, match="complex"):
        Column.empty(FieldKind(FieldType.JSON)).append([1j])
    with pytest.raises(ParamError, match="VECTOR"):
        Column.empty(FieldKind(FieldType.VECTOR))


def test_the_dictionary_keeps_strings_that_look_alike_apart():
    column = Column.empty(FieldKind(FieldType.STRING)).append(
        ["a", "a\0", "", "\0", "\u00e9", "e\u0301"]
    )
    assert len(column.strings) == 6
    assert column.strings.array().tolist() == column.strings.texts()


def test_a_path_is_followed_through_objects_and_arrays():
    documents = [
        {"a": {"b": [1, None]}},
        {"a": [5]},
        {"a": None},
        {},
        None,
        7,
        {"a": {"b": "text"}},
    ]
    assert extract_path(documents, ["a", "b", 1]) == [None] + [MISSING] * 6
    assert extract_path(documents, ["a", 0]) == [MISSING, 5] + [MISSING] * 5
    assert extract_path(documents, ["a"])[2:4] == [None, MISSING]
    assert extract_path(documents, []) == documents
