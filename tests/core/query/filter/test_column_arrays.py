"""Columns as arrays: what was saved comes back, and no fault in it is believed."""

import numpy as np
import pytest

from elanus.errors import DatabaseCorruptError
from elanus.query import (
    MISSING,
    Column,
    FieldKind,
    FieldType,
    column_from_arrays,
    column_to_arrays,
)

JSON = FieldKind(FieldType.JSON)


def arrays_of(values, kind=JSON):
    return column_to_arrays(Column.empty(kind).append(values))


MIXED = [None, MISSING, True, 3, 2.5, "a", ["b", [1]], {}]


def test_the_arrays_are_these():
    arrays = {name: array.tolist() for name, array in arrays_of(MIXED).items()}
    assert bytes(arrays.pop("0.strings")) == b'["a"]'
    assert bytes(arrays.pop("1.strings")) == b'["b"]'
    assert arrays == {
        "levels": [[8, 0], [2, 0], [1, 3]],
        "0.kinds": [1, 0, 2, 3, 4, 5, 6, 7],
        "0.bools": [False, False, True, False, False, False, False, False],
        "0.ints": [0, 0, 0, 3, 0, 0, 0, 0],
        "0.floats": [0, 0, 0, 0, 2.5, 0, 0, 0],
        "0.codes": [0] * 8,
        "0.lengths": [0, 0, 0, 0, 0, 0, 2, 0],
        "1.kinds": [5, 6],
        "1.codes": [0, 0],
        "1.lengths": [0, 1],
        "2.ints": [1],
    }


@pytest.mark.parametrize(
    ("name", "array", "fault"),
    [
        ("levels", [[8, 0], [2, 0]], "arrays without elements"),
        ("levels", [[8, 9], [2, 0], [1, 3]], "of a type that the field has not"),
        ("levels", [[7, 0], [2, 0], [1, 3]], "not one for each of 7 slots"),
        ("levels", [8, 0, 2, 0], "not pairs"),
        ("levels", [[8, 0], [3, 0], [1, 3]], "not one for each of 3 slots"),
        ("levels", [[8, 0], [2, 0], [1, 4]], "an array of values is missing"),
        ("0.kinds", np.full(8, 8, np.uint8), "of a type that the field has not"),
        ("0.kinds", np.zeros(8, np.int8), "its kinds are int8"),
        ("0.kinds", np.zeros((8, 1), np.uint8), "not one for each"),
        ("0.ints", None, "an array of values is missing"),
        ("0.floats", np.zeros(8, np.float32), "its floats are float32"),
        ("0.codes", np.full(8, 1, np.int32), "a code is of no string"),
        ("0.codes", np.full(8, -1, np.int32), "a code is of no string"),
        ("0.strings", None, "a code is of no string"),
        ("0.strings", np.frombuffer(b'["a","a"]', np.uint8), "two of its strings are equal"),
        ("0.strings", np.frombuffer(b"[1]", np.uint8), "not a list of strings"),
        ("0.strings", np.frombuffer(b'["a"', np.uint8), "not a list of strings"),
        ("0.lengths", np.array([0, 0, 0, 0, 0, 0, 3, 0]), "do not add up"),
        ("0.lengths", np.array([-1, 0, 0, 0, 0, 0, 3, 0]), "do not add up"),
        ("0.lengths", np.array([0, 0, 0, 0, 0, 0, 1, 0]), "do not add up"),
        ("1.lengths", None, "an array of values is missing"),
        ("0.owners", np.zeros(8, np.int64), "of no use"),
    ],
)
def test_a_fault_is_an_error_that_says_which(name, array, fault):
    arrays = arrays_of(MIXED)
    arrays.pop(name, None)
    if array is not None:
        arrays[name] = np.asarray(array)
    with pytest.raises(DatabaseCorruptError, match=fault):
        column_from_arrays(JSON, arrays)


def test_a_typed_field_takes_no_column_of_another_type():
    whole = FieldKind(FieldType.INT)
    with pytest.raises(DatabaseCorruptError, match="a type that the field has not"):
        column_from_arrays(whole, arrays_of(["a"], FieldKind(FieldType.STRING)))
    with pytest.raises(DatabaseCorruptError, match="not pairs"):
        column_from_arrays(whole, {})


def test_no_array_of_numbers_is_copied():
    arrays = arrays_of(MIXED)
    column = column_from_arrays(JSON, arrays)
    assert column.ints is arrays["0.ints"]
    assert column.kinds is arrays["0.kinds"]
