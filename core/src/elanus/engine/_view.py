"""A view: what is known of a collection as of one commit. Immutable; searches take no lock.

What follows from it while it is searched is kept beside it, in its `Derived`.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.engine._derived import Derived
from elanus.errors import DatabaseCorruptError
from elanus.index import Keys
from elanus.schema import Growing
from elanus.storage import CollectionInfo, Connection, Tables


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The rows of a collection by slot, in the order of their numbers, and what indexes them.

    Slots are only ever appended; a deleted row keeps its slot, and is not alive. Parts follow at
    their own pace: each covers a prefix of the slots, and is extended when it is used.

    Attributes:
        seq: number of the commit that the view shows.
        generation: the collection's; another one makes the view void.
        lineage: names this numbering of slots; a view that is read afresh has another.
        last_row, last_delete: the numbers up to which rows and deletes were followed.
        rows: (n,) row numbers, ascending.
        keys: (n,) primary keys.
        alive: (n,) whether the row still exists.
        count: number of alive rows.
        parts: indexes and columns, by kind and field.
        began: number of the commit as of which its slots were numbered.
        numbering: the same object in all views that number slots alike. A lineage may be restored
            again, and then go on otherwise behind the slots that were saved.
        grown: rows and keys with the room behind them; None until they are appended to.
        derived: what was worked out of the rest; another view has another.
        n: number of slots.
        mask: the alive slots; None if all are.
    """

    seq: int
    generation: int
    lineage: str
    last_row: int
    last_delete: int
    rows: NDArray[np.int64]
    keys: Keys
    alive: NDArray[np.bool_]
    count: int
    parts: Mapping[PartKey, Any] = field(default_factory=dict)
    began: int = -1
    numbering: object = field(default_factory=object)
    grown: tuple[Growing, Growing] | None = None
    derived: Derived = field(default_factory=Derived)
    n: int = field(init=False)
    mask: NDArray[np.bool_] | None = field(init=False)

    def __post_init__(self) -> None:
        n = len(self.rows)
        object.__setattr__(self, "n", n)
        object.__setattr__(self, "mask", None if self.count == n else self.alive)

    def slots_of(self, rows: NDArray[np.int64]) -> NDArray[np.intp]:
        """Slots of those row numbers that have one, in the given order."""
        places = np.searchsorted(self.rows, rows)
        inside = np.flatnonzero(places < self.n)
        known = inside[self.rows[places[inside]] == rows[inside]]
        found: NDArray[np.intp] = places[known]
        return found

    def part(self, key: PartKey) -> Any | None:
        """A part that covers every slot; None if it has to be made, or to follow, first."""
        part = self.parts.get(key)
        if part is None or not key.is_current(part, self):
            return None
        self.derived.current[key] = part
        return part

    def with_part(self, key: PartKey, part: Any) -> View:
        """The same view with one part replaced."""
        return self.with_parts({**self.parts, key: part})

    def with_parts(self, parts: Mapping[PartKey, Any]) -> View:
        """The same view with all parts replaced."""
        return replace(self, parts=parts, derived=self.derived.with_parts())

    def in_key_order(self) -> NDArray[np.intp]:
        """All slots in the order of their keys."""
        order = self.derived.order
        if order is None:
            order = self.derived.order = np.argsort(self.keys, kind="stable")
        return order


class PartKey(ABC):
    """Names a part of a view, and knows how to bring it up to the view."""

    @abstractmethod
    def follow(self, db: Connection, tables: Tables, view: View, part: Any) -> Any:
        """The part, or None for a new one, extended to all slots of the view.

        ``db`` is inside a transaction of the view's commit.
        """

    @abstractmethod
    def is_current(self, part: Any, view: View) -> bool:
        """Whether a part needs nothing more for this view."""


class KeptKey(PartKey):
    """Names a part that is saved in a file of its own, as reading the tables for it takes long."""

    @property
    @abstractmethod
    def file_kind(self) -> str:
        """The kind of file that holds the part; of one kind there is one file."""

    @abstractmethod
    def covered(self, part: Any) -> int:
        """How many slots a part covers."""

    @abstractmethod
    def known_delete(self, part: Any) -> int | None:
        """The last delete that a part knows; None if it does not look at deletes."""

    @abstractmethod
    def to_arrays(self, part: Any) -> dict[str, NDArray[Any]]:
        """All that a part holds, for `from_arrays`."""

    @abstractmethod
    def from_arrays(self, arrays: Mapping[str, NDArray[Any]], last_delete: int) -> Any:
        """The part that was saved as these arrays, which are not copied.

        Raises:
            DatabaseCorruptError, KeyError, ValueError: if they are damaged.
        """


def empty_view(generation: int, *, text_keys: bool) -> View:
    """A view of nothing, older than any commit."""
    return View(
        seq=-1,
        generation=generation,
        lineage=uuid.uuid4().hex,
        last_row=0,
        last_delete=0,
        rows=np.zeros(0, dtype=np.int64),
        keys=np.zeros(0, dtype=object if text_keys else np.int64),
        alive=np.zeros(0, dtype=bool),
        count=0,
    )


def follow(
    db: Connection, info: CollectionInfo, tables: Tables, view: View, seq: int, rebuild_slots: int
) -> View:
    """The view brought up to the transaction's commit, by two range reads.

    Args:
        db: a connection inside a transaction of commit ``seq``.
        info: the collection as of that commit.
        tables: its tables.
        view: an older view.
        seq: number of the commit.
        rebuild_slots: so many slots, most of them dead, are read afresh.
    """
    last_delete = tables.last_delete(db)
    if view.generation != info.generation or view.last_delete < info.floor:
        view = empty_view(info.generation, text_keys=view.keys.dtype == object)
    if view.n == 0:
        # Nothing to mark as dead: the log of the past need not be read.
        view = replace(view, last_delete=last_delete)
    new_rows, new_keys = _keys_since(db, tables, view)
    alive, count = view.alive, view.count
    deleted = np.zeros(0, dtype=np.int64)
    if last_delete > view.last_delete:
        deleted = tables.deletes_since(db, view.last_delete)
        alive = alive.copy()
        alive[view.slots_of(deleted)] = False
        count = int(np.count_nonzero(alive))
    if view.n >= rebuild_slots and count * 2 < view.n:
        fresh = empty_view(info.generation, text_keys=view.keys.dtype == object)
        return follow(db, info, tables, fresh, seq, rebuild_slots)
    last_row = tables.last_row(db)
    # Each number that was given since is that of a row, or of one that was deleted again.
    came = len(new_rows) + int(np.count_nonzero(deleted > view.last_row))
    if view.n == 0 or came != last_row - view.last_row:
        tables.check_count(db, count + len(new_rows))
    if len(new_rows):
        alive = np.concatenate([alive, np.ones(len(new_rows), dtype=bool)])
    rows, keys = view.grown or (Growing.of(view.rows), Growing.of(view.keys))
    rows, keys = rows.append(new_rows), keys.append(as_keys(new_keys, view.keys.dtype))
    return replace(
        view,
        seq=seq,
        last_row=max(view.last_row, last_row),
        last_delete=last_delete,
        rows=rows.array,
        keys=keys.array,
        grown=(rows, keys),
        alive=alive,
        count=count + len(new_rows),
        began=seq if view.seq < 0 else view.began,
        derived=Derived(None if len(new_rows) else view.derived.order),
    )


def _keys_since(db: Connection, tables: Tables, view: View) -> tuple[NDArray[np.int64], list[Any]]:
    """Numbers and keys of the rows that came since a view.

    Raises:
        DatabaseCorruptError: if one is older than rows that the view knows.
    """
    rows, keys = tables.keys_since(db, view.last_row)
    if view.n and len(rows) and rows[0] <= view.rows[-1]:
        raise DatabaseCorruptError(
            f"row {int(rows[0])} of the file is damaged: it is older than rows that were read "
            "before it; restore it from a backup"
        )
    return rows, keys


def as_keys(keys: list[Any], dtype: np.dtype[Any]) -> Keys:
    """Keys as an array of the given type; strings stay Python's."""
    array = np.empty(len(keys), dtype=dtype)
    array[:] = keys
    return array
