"""Columns: the values of one field, or of one JSON path, as arrays over the slots."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from elanus.errors import ParamError
from elanus.index._columns_convert import Batch, convert
from elanus.index._columns_kinds import MISSING, NATURAL_TYPES, FieldKind, FieldType, ValueType
from elanus.index._columns_strings import Strings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_JSON = FieldKind(FieldType.JSON)
_PLAIN = ("bools", "ints", "floats", "codes")


@dataclass(slots=True)
class _Buffer:
    """The room behind an array that a column shows; ``used`` is what some column shows of it."""

    array: NDArray[Any]
    used: int


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """An immutable column of ``n`` slots; ``append`` returns a longer one.

    Versions share their buffers: an append writes behind what earlier versions show, so these
    stay valid and need no lock. Appends themselves are for one thread at a time. Only the arrays
    that the values need exist; where a slot is of another type, its entry means nothing.

    Attributes:
        kind: the field that the column belongs to.
        n: number of slots.
        type: the type of every slot, as long as ``kinds`` is None.
        strings: the dictionary that ``codes`` refer to.
        elements: the elements of all arrays, one after another, as a column of their own.
    """

    kind: FieldKind
    n: int
    type: ValueType
    strings: Strings = field(repr=False)
    elements: Column | None = field(default=None, repr=False)
    _arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict, repr=False)
    _buffers: Mapping[str, _Buffer] = field(default_factory=dict, repr=False)

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
        arrays: dict[str, NDArray[Any]] = {"kinds": kinds, "ints": ints, "floats": floats}
        return cls(_JSON, len(kinds), ValueType.MISSING, Strings(), None, arrays)

    @classmethod
    def constant(cls, value: Any, n: int) -> Column:
        """Return a column with one bool, number or string in every slot, in constant memory."""
        one = cls.empty(_JSON).append([value])
        repeated = {name: np.broadcast_to(lane, n) for name, lane in one.lanes().items()}
        return cls(_JSON, n, one.type, one.strings, None, repeated)

    @property
    def kinds(self) -> NDArray[np.uint8] | None:
        """``ValueType`` of each slot, uint8 (n,); None if all are of ``type``."""
        return self._arrays.get("kinds")

    @property
    def bools(self) -> NDArray[np.bool_] | None:
        """Values of the BOOL slots, (n,)."""
        return self._arrays.get("bools")

    @property
    def ints(self) -> NDArray[np.int64] | None:
        """Values of the INT slots, (n,)."""
        return self._arrays.get("ints")

    @property
    def floats(self) -> NDArray[np.float64] | NDArray[np.float32] | None:
        """Values of the FLOAT slots, (n,); float32 for a FLOAT field, otherwise float64."""
        return self._arrays.get("floats")

    @property
    def codes(self) -> NDArray[np.int32] | None:
        """Codes of the STRING slots, (n,)."""
        return self._arrays.get("codes")

    @property
    def starts(self) -> NDArray[np.int64] | None:
        """Where the elements of each ARRAY slot begin in ``elements``, (n,)."""
        return self._arrays.get("starts")

    @property
    def lengths(self) -> NDArray[np.int64] | None:
        """Number of elements of each ARRAY slot, (n,)."""
        return self._arrays.get("lengths")

    @property
    def owners(self) -> NDArray[np.int64] | None:
        """The slot that each of ``elements`` belongs to, (elements.n,)."""
        return self._arrays.get("owners")

    def lanes(self) -> dict[str, NDArray[Any]]:
        """Return those of ``bools``, ``ints``, ``floats`` and ``codes`` that there are."""
        return {name: lane for name, lane in self._arrays.items() if name in _PLAIN}

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
        inside = (lengths > at) & (self.all_kinds() == ValueType.ARRAY)
        index = np.where(inside, starts + at, 0)
        lanes = {name: lane[index] for name, lane in elements.lanes().items()}
        lanes["kinds"] = np.where(inside, elements.all_kinds()[index], np.uint8(ValueType.MISSING))
        return Column(elements.kind, self.n, elements.type, elements.strings, None, lanes)

    def take(self, slots: NDArray[np.int64]) -> Column:
        """Return a column of some of the slots; its arrays still refer to ``elements``."""
        lanes = {name: lane[slots] for name, lane in self._arrays.items() if name != "owners"}
        return Column(self.kind, len(slots), self.type, self.strings, self.elements, lanes)

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
        return self._appended(Batch(count, ValueType.MISSING))

    def _appended(self, batch: Batch) -> Column:
        same = self.n == 0 or self.type == batch.type
        if self.kinds is not None or batch.kinds is not None or not same:
            kinds = np.full(batch.n, batch.type, np.uint8) if batch.kinds is None else batch.kinds
            batch.lanes["kinds"] = kinds
        return self._join(batch)

    def _join(self, batch: Batch) -> Column:
        offset = self.elements.n if self.elements else 0
        _shift(batch.lanes, self.n, offset)
        arrays: dict[str, NDArray[Any]] = {}
        buffers: dict[str, _Buffer] = {}
        for name in (*self._arrays, *(new for new in batch.lanes if new not in self._arrays)):
            arrays[name], buffers[name] = self._extended(name, batch, offset)
        elements = self.elements
        if batch.elements is not None:
            elements = (elements or Column.empty(_element_kind(self.kind))).append(batch.elements)
        type_ = batch.type if self.n == 0 else self.type
        return Column(self.kind, self.n + batch.n, type_, self.strings, elements, arrays, buffers)

    def _extended(self, name: str, batch: Batch, offset: int) -> tuple[NDArray[Any], _Buffer]:
        size = offset if name == "owners" else self.n
        more = batch.lanes.get(name)
        if more is None:
            dtype = self._arrays[name].dtype
            more = np.zeros(0 if name == "owners" else batch.n, dtype)
        shown = self._arrays.get(name)
        if shown is None:
            shown = np.full(size, self.type if name == "kinds" else 0, more.dtype)
        return _extend(shown, self._buffers.get(name), more)


def _element_kind(kind: FieldKind) -> FieldKind:
    return _JSON if kind.element is None else FieldKind(kind.element)


def _shift(lanes: dict[str, NDArray[Any]], slots: int, elements: int) -> None:
    if "owners" in lanes:
        lanes["owners"] = lanes["owners"] + slots
        lanes["starts"] = lanes["starts"] + elements


def _extend(
    shown: NDArray[Any], buffer: _Buffer | None, more: NDArray[Any]
) -> tuple[NDArray[Any], _Buffer]:
    start, end = len(shown), len(shown) + len(more)
    # Whoever appends to a version that is not the last one must not write over the last one.
    if buffer is None or buffer.used != start or end > len(buffer.array):
        # The first batch is often the whole column, so it gets no spare room.
        room = end + end // 2 if start else end
        buffer = _Buffer(np.empty(room, shown.dtype), start)
        buffer.array[:start] = shown
    buffer.array[start:end] = more
    buffer.used = end
    return buffer.array[:end], buffer


def extract_path(documents: Sequence[Any], path: Sequence[str | int]) -> list[Any]:
    """Return what stands at a path in each document, ``MISSING`` where nothing does.

    Args:
        documents: decoded JSON values, usually dicts.
        path: keys of objects (str) and positions in arrays (int, from 0); an empty path gives
            the documents themselves.
    """
    values = list(documents)
    for step in path:
        values = _keyed(values, step) if isinstance(step, str) else _indexed(values, step)
    return values


def _keyed(values: list[Any], key: str) -> list[Any]:
    return [value.get(key, MISSING) if isinstance(value, dict) else MISSING for value in values]


def _indexed(values: list[Any], at: int) -> list[Any]:
    return [
        value[at] if isinstance(value, list) and 0 <= at < len(value) else MISSING
        for value in values
    ]
