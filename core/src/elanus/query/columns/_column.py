"""Columns: the values of one field, or of one JSON path, as arrays over the slots."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from elanus.errors import ParamError
from elanus.query.columns._convert import Converted, convert
from elanus.query.columns._kinds import MISSING, NATURAL_TYPES, FieldKind, FieldType, ValueType
from elanus.query.columns._strings import Strings
from elanus.schema import Growing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_JSON = FieldKind(FieldType.JSON)
_PLAIN = ("bools", "ints", "floats", "codes")
_ARRAYS = ("kinds", *_PLAIN, "starts", "lengths", "owners")


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """An immutable column of ``n`` slots; ``append`` returns a longer one.

    Versions share memory as `Growing` tells: readers need no lock, and appends are for one thread
    at a time. Only the arrays that the values need exist; where a slot is of another type, its
    entry means nothing.

    Attributes:
        kind: the field that the column belongs to.
        n: number of slots.
        type: the type of every slot, as long as ``kinds`` is None.
        strings: the dictionary that ``codes`` refer to.
        elements: the elements of all arrays, one after another, as a column of their own.
        kinds: ``ValueType`` of each slot, uint8 (n,); None if all are of ``type``.
        bools, ints, codes: values of the BOOL, INT and STRING slots, (n,).
        floats: values of the FLOAT slots, (n,); float32 for a FLOAT field, otherwise float64.
        starts: where the elements of each ARRAY slot begin in ``elements``, (n,).
        lengths: number of elements of each ARRAY slot, (n,).
        owners: the slot that each of ``elements`` belongs to, (elements.n,).
    """

    kind: FieldKind
    n: int
    type: ValueType
    strings: Strings = field(repr=False)
    elements: Column | None = field(default=None, repr=False)
    kinds: NDArray[np.uint8] | None = field(default=None, repr=False)
    bools: NDArray[np.bool_] | None = field(default=None, repr=False)
    ints: NDArray[np.int64] | None = field(default=None, repr=False)
    floats: NDArray[np.float64] | NDArray[np.float32] | None = field(default=None, repr=False)
    codes: NDArray[np.int32] | None = field(default=None, repr=False)
    starts: NDArray[np.int64] | None = field(default=None, repr=False)
    lengths: NDArray[np.int64] | None = field(default=None, repr=False)
    owners: NDArray[np.int64] | None = field(default=None, repr=False)
    _grown: Mapping[str, Growing] = field(default_factory=dict, repr=False)

    @classmethod
    def empty(cls, kind: FieldKind) -> Column:
        """Return a column without slots, to be appended to.

        Raises:
            ParamError: the kind is ``VECTOR``, which no column holds.
        """
        if kind.type not in NATURAL_TYPES:
            raise ParamError(f"a field of type {kind} has no column; read its vectors instead")
        return cls(kind, 0, NATURAL_TYPES[kind.type], Strings())

    @classmethod
    def of_numbers(
        cls, kinds: NDArray[np.uint8], ints: NDArray[np.int64], floats: NDArray[np.float64]
    ) -> Column:
        """Return a column of computed numbers; ``kinds`` holds INT, FLOAT or MISSING."""
        return cls(
            _JSON, len(kinds), ValueType.MISSING, Strings(), kinds=kinds, ints=ints, floats=floats
        )

    @classmethod
    def constant(cls, value: Any, n: int) -> Column:
        """Return a column with one bool, number or string in every slot, in constant memory."""
        one = cls.empty(_JSON).append([value])
        repeated: dict[str, Any] = {
            name: np.broadcast_to(lane, n) for name, lane in one.lanes().items()
        }
        return cls(_JSON, n, one.type, one.strings, **repeated)

    @property
    def holds_nothing(self) -> bool:
        """Whether no slot ever held a value, not even null."""
        return self.kinds is None and self.type is ValueType.MISSING

    def lanes(self, names: Sequence[str] = _PLAIN) -> dict[str, Any]:
        """Return those arrays that there are; ``bools ints floats codes``, or others by name."""
        lanes = {name: getattr(self, name) for name in names}
        return {name: lane for name, lane in lanes.items() if lane is not None}

    def all_kinds(self) -> NDArray[np.uint8]:
        """Return ``kinds``, or ``type`` repeated in constant memory; read-only."""
        kinds = self.kinds
        return np.broadcast_to(np.uint8(self.type), self.n) if kinds is None else kinds

    def subscript(self, at: int) -> Column:
        """Return the element at a position of each ARRAY slot, MISSING behind its end."""
        starts, lengths, elements = self.starts, self.lengths, self.elements
        if starts is None or lengths is None or elements is None or at >= elements.n:
            # Here too, because no array of int64 takes a position beyond 2**63.
            return Column(_JSON, self.n, ValueType.MISSING, self.strings)
        inside = (lengths > at) & (self.all_kinds() == ValueType.ARRAY.value)
        index = np.where(inside, starts + at, 0)
        lanes = {name: lane[index] for name, lane in elements.lanes().items()}
        kinds = np.where(inside, elements.all_kinds()[index], np.uint8(ValueType.MISSING))
        return Column(elements.kind, self.n, elements.type, elements.strings, kinds=kinds, **lanes)

    def take(self, slots: NDArray[np.int64]) -> Column:
        """Return a column of some of the slots; its arrays still refer to ``elements``."""
        lanes = {name: lane[slots] for name, lane in self.lanes(_ARRAYS[:-1]).items()}
        return Column(self.kind, len(slots), self.type, self.strings, self.elements, **lanes)

    def append(self, values: Sequence[Any]) -> Column:
        """Return a column that has the values behind the present ones, amortised O(values).

        Args:
            values: what the field admits; None for null, ``MISSING`` for no value at all.

        Raises:
            ParamError: a JSON value is of no type that JSON has.
        """
        if not len(values):
            return self
        return self._appended(convert(self.kind, values, self.strings))

    def append_missing(self, count: int) -> Column:
        """Return a column of JSON values that has ``count`` slots without any behind the present.

        As ``append`` of as many ``MISSING``, without a look at each.
        """
        return self._appended(Converted(count, ValueType.MISSING))

    def _appended(self, batch: Converted) -> Column:
        same = self.n == 0 or self.type == batch.type
        if self.kinds is not None or batch.kinds is not None or not same:
            kinds = np.full(batch.n, batch.type, np.uint8) if batch.kinds is None else batch.kinds
            batch.lanes["kinds"] = kinds
        return self._join(batch)

    def _join(self, batch: Converted) -> Column:
        offset = self.elements.n if self.elements else 0
        _shift(batch.lanes, self.n, offset)
        grown = {
            name: self._extended(name, batch, offset)
            for name in _ARRAYS
            if getattr(self, name) is not None or name in batch.lanes
        }
        elements = self.elements
        if batch.elements is not None:
            elements = (elements or Column.empty(element_kind(self.kind))).append(batch.elements)
        type_ = batch.type if self.n == 0 else self.type
        n = self.n + batch.n
        arrays: dict[str, Any] = {name: each.array for name, each in grown.items()}
        return Column(self.kind, n, type_, self.strings, elements, _grown=grown, **arrays)

    def _extended(self, name: str, batch: Converted, offset: int) -> Growing:
        more, shown = batch.lanes.get(name), getattr(self, name)
        if shown is None:
            size = offset if name == "owners" else self.n
            shown = np.full(size, self.type if name == "kinds" else 0, batch.lanes[name].dtype)
        if more is None:
            more = np.zeros(0 if name == "owners" else batch.n, shown.dtype)
        return (self._grown.get(name) or Growing.of(shown)).append(more)


def element_kind(kind: FieldKind) -> FieldKind:
    """Return what the elements of a field's arrays are."""
    return _JSON if kind.element is None else FieldKind(kind.element)


def _shift(lanes: dict[str, NDArray[Any]], slots: int, elements: int) -> None:
    if "owners" in lanes:
        lanes["owners"] = lanes["owners"] + slots
        lanes["starts"] = lanes["starts"] + elements


def extract_path(
    documents: Sequence[Any], path: Sequence[str | int | tuple[str, ...]]
) -> list[Any]:
    """Return what stands at a path in each document, ``MISSING`` where nothing does.

    Args:
        documents: decoded JSON values, usually dicts.
        path: keys of objects (str), positions in arrays (int, from 0), and keys that may be
            written as one (a tuple): what stands under the key with dots between them, and if
            that is missing or null, what stands at the end of the way, if anything does; an empty
            path gives the documents themselves.
    """
    values = list(documents)
    for step in path:
        if isinstance(step, str):
            values = _keyed(values, step)
        elif isinstance(step, int):
            values = _indexed(values, step)
        else:
            pairs = zip(_keyed(values, ".".join(step)), extract_path(values, step), strict=True)
            values = [_held(first, second) for first, second in pairs]
    return values


def _held(first: Any, second: Any) -> Any:
    """The first value; the second if that says more: null says less than a value, missing least."""
    is_less = first is MISSING or (first is None and second is not MISSING)
    return second if is_less else first


def first_keys(step: str | int | tuple[str, ...]) -> tuple[str | int, ...]:
    """Return the keys of which an object must have one, or nothing stands at a step into it."""
    return (".".join(step), step[0]) if isinstance(step, tuple) else (step,)


def _keyed(values: list[Any], key: str) -> list[Any]:
    return [value.get(key, MISSING) if isinstance(value, dict) else MISSING for value in values]


def _indexed(values: list[Any], at: int) -> list[Any]:
    return [
        value[at] if isinstance(value, list) and 0 <= at < len(value) else MISSING
        for value in values
    ]
