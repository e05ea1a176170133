"""A column as named arrays and back, so that it can be saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from elanus.errors import DatabaseCorruptError
from elanus.query.columns._column import Column, element_kind
from elanus.query.columns._kinds import NATURAL_TYPES, FieldKind, FieldType, ValueType
from elanus.query.columns._strings import Strings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# The array that holds the values of a type; there is none where the type says it all.
_LANES: Final = {
    ValueType.BOOL: "bools",
    ValueType.INT: "ints",
    ValueType.FLOAT: "floats",
    ValueType.STRING: "codes",
    ValueType.ARRAY: "lengths",
}
_DTYPES: Final = {"kinds": "u1", "bools": "b1", "ints": "i8", "codes": "i4", "lengths": "i8"}


def column_to_arrays(column: Column) -> dict[str, NDArray[Any]]:
    """All that a column holds, for `column_from_arrays`.

    The elements of arrays are a column of their own, and theirs again: these are the levels, whose
    number stands before the name of each array. What follows from the lengths of arrays is left
    out. Objects need nothing: filters ask only whether there is one.
    """
    arrays: dict[str, NDArray[Any]] = {}
    levels: list[tuple[int, int]] = []
    level: Column | None = column
    while level is not None:
        before = f"{len(levels)}."
        for name, lane in level.lanes(("kinds", *_LANES.values())).items():
            arrays[before + name] = lane
        if level.codes is not None:
            # What came after the column was taken is in no slot of it, and does no harm.
            texts = orjson.dumps(level.strings.texts())
            arrays[before + "strings"] = np.frombuffer(texts, dtype=np.uint8)
        levels.append((level.n, int(level.type)))
        level = level.elements
    arrays["levels"] = np.array(levels, dtype=np.int64)
    return arrays


def column_from_arrays(kind: FieldKind, arrays: Mapping[str, NDArray[Any]]) -> Column:
    """The column of `column_to_arrays`. Arrays are not copied.

    Args:
        kind: the field that the column belongs to, as when it was saved.
        arrays: possibly read-only maps, which must not change as long as the column lives.

    Raises:
        DatabaseCorruptError: an array is missing, of a wrong type or length, or holds a number
            that is out of range.
    """
    levels = arrays.get("levels", np.zeros(0))
    _check(
        levels.dtype == np.int64 and levels.ndim == 2 and levels.shape[1:] == (2,) and levels.size,
        "its levels are not pairs of numbers",
    )
    kinds = [kind]
    for _ in levels[1:]:
        kinds.append(element_kind(kinds[-1]))
    column: Column | None = None
    for number, of in reversed(list(enumerate(kinds))):
        before = f"{number}."
        named = {n.removeprefix(before): a for n, a in arrays.items() if n.startswith(before)}
        n, type_ = levels[number].tolist()
        column = _level(of, n, type_, named, column)
    assert column is not None
    return column


def _level(
    kind: FieldKind, n: int, type_: int, lanes: dict[str, NDArray[Any]], elements: Column | None
) -> Column:
    """One column whose elements were made already."""
    strings = _strings(lanes.pop("strings", None))
    _check(
        lanes.keys() <= {"kinds", *_LANES.values()} and n >= 0, "it has arrays that are of no use"
    )
    for name, lane in lanes.items():
        float_ = "f4" if kind.type is FieldType.FLOAT32 else "f8"
        _check(lane.dtype == _DTYPES.get(name, float_), f"its {name} are {lane.dtype}")
        _check(lane.shape == (n,), f"its {name} are not one for each of {n} slots")
    _check_types(kind, n, type_, lanes)
    codes, lengths = lanes.get("codes"), lanes.get("lengths")
    _check(codes is None or _within(codes, len(strings) - 1), "a code is of no string")
    _check(
        (lengths is None) == (elements is None), "it has arrays without elements, or the reverse"
    )
    made: dict[str, Any] = dict(lanes)
    if lengths is not None and elements is not None:
        # First each, so that the sum cannot overflow.
        fits = _within(lengths, elements.n) and float(lengths.sum(dtype=np.float64)) == elements.n
        _check(fits, "the lengths of its arrays do not add up to its elements")
        made["starts"] = np.cumsum(lengths) - lengths
        made["owners"] = np.repeat(np.arange(n), lengths)
    return Column(kind, n, ValueType(type_), strings, elements, **made)


def _check_types(kind: FieldKind, n: int, type_: int, lanes: Mapping[str, NDArray[Any]]) -> None:
    """That each slot is of a type that the field admits, and has a value if its type has one."""
    kinds = lanes.get("kinds")
    found = {type_} if kinds is None else set(np.flatnonzero(np.bincount(kinds)).tolist())
    natural = NATURAL_TYPES[kind.type]
    admitted = {ValueType.MISSING, ValueType.NULL, natural}
    admitted = set(ValueType) if kind.type is FieldType.JSON else admitted
    _check({type_} | found <= admitted, "a slot is of a type that the field has not")
    if n:
        needed = {lane for of, lane in _LANES.items() if of in found}
        _check(needed <= lanes.keys(), "an array of values is missing")


def _strings(array: NDArray[Any] | None) -> Strings:
    if array is None:
        return Strings()
    try:
        texts = orjson.loads(array.tobytes())
    except orjson.JSONDecodeError:
        texts = None
    _check(
        isinstance(texts, list) and {*map(type, texts)} <= {str},
        "its strings are not a list of strings",
    )
    strings = Strings(texts)
    _check(strings.are_distinct, "two of its strings are equal")
    return strings


def _within(array: NDArray[Any], most: int) -> bool:
    return not array.size or 0 <= int(array.min()) <= int(array.max()) <= most


def _check(holds: object, fault: str) -> None:
    if not holds:
        raise DatabaseCorruptError(f"a column: {fault}; read it again")
