"""A view: what is known of a collection as of one commit. Immutable; searches take no lock."""

from __future__ import annotations

import uuid
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from elanus.engine._masks import Masks
from elanus.errors import DatabaseCorruptError
from elanus.storage import CollectionInfo, Connection, Tables

Keys: TypeAlias = NDArray[np.int64] | NDArray[np.object_]

_LEAST_ROWS_TO_REBUILD = 10_000


@dataclass(frozen=True, slots=True)
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
        orders: slots in the order of their keys, made at first use (at most one entry).
        masks: of the last filters.
        settled: keys of the parts that were found to need nothing more in the background.
        numbering: the same object in all views that number slots alike. A lineage may be restored
            again, and then go on otherwise behind the slots that were saved.
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
    parts: Mapping[Hashable, Any] = field(default_factory=dict)
    orders: list[NDArray[np.intp]] = field(default_factory=list)
    masks: Masks = field(default_factory=Masks)
    settled: set[Hashable] = field(default_factory=set)
    numbering: object = field(default_factory=object)

    @property
    def n(self) -> int:
        """Number of slots."""
        return len(self.rows)

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """The alive slots; None if all are."""
        return None if self.count == self.n else self.alive

    def slots_of(self, rows: NDArray[np.int64]) -> NDArray[np.intp]:
        """Slots of those row numbers that have one, in the given order."""
        places = np.searchsorted(self.rows, rows)
        inside = np.flatnonzero(places < self.n)
        known = inside[self.rows[places[inside]] == rows[inside]]
        found: NDArray[np.intp] = places[known]
        return found

    def with_part(self, key: Hashable, part: Any) -> View:
        """The same view with one part replaced."""
        return replace(self, parts={**self.parts, key: part}, settled=set())

    def in_key_order(self) -> NDArray[np.intp]:
        """All slots in the order of their keys."""
        if not self.orders:
            self.orders.append(np.argsort(self.keys, kind="stable"))
        return self.orders[0]


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


def follow(db: Connection, info: CollectionInfo, tables: Tables, view: View, seq: int) -> View:
    """The view brought up to the transaction's commit, by two range reads.

    Args:
        db: a connection inside a transaction of commit ``seq``.
        info: the collection as of that commit.
        tables: its tables.
        view: an older view.
        seq: number of the commit.
    """
    last_delete = tables.last_delete(db)
    if view.generation != info.generation or view.last_delete < info.floor:
        view = empty_view(info.generation, text_keys=view.keys.dtype == object)
    if view.n == 0:
        # Nothing to mark as dead: the log of the past need not be read.
        view = replace(view, last_delete=last_delete)
    new_rows, new_keys = tables.keys_since(db, view.last_row)
    if view.n and len(new_rows) and new_rows[0] <= view.rows[-1]:
        raise DatabaseCorruptError(
            f"row {int(new_rows[0])} of the file is damaged: it is older than rows that were read "
            "before it; restore it from a backup"
        )
    alive, count = view.alive, view.count
    deleted = np.zeros(0, dtype=np.int64)
    if last_delete > view.last_delete:
        deleted = tables.deletes_since(db, view.last_delete)
        alive = alive.copy()
        alive[view.slots_of(deleted)] = False
        count = int(np.count_nonzero(alive))
    if _is_mostly_dead(view.n, count):
        fresh = empty_view(info.generation, text_keys=view.keys.dtype == object)
        return follow(db, info, tables, fresh, seq)
    last_row = tables.last_row(db)
    # Each number that was given since is that of a row, or of one that was deleted again.
    came = len(new_rows) + int(np.count_nonzero(deleted > view.last_row))
    if view.n == 0 or came != last_row - view.last_row:
        tables.check_count(db, count + len(new_rows))
    if len(new_rows):
        alive = np.concatenate([alive, np.ones(len(new_rows), dtype=bool)])
    return replace(
        view,
        seq=seq,
        last_row=max(view.last_row, last_row),
        last_delete=last_delete,
        rows=_joined(view.rows, new_rows),
        keys=_joined(view.keys, as_keys(new_keys, view.keys.dtype)),
        alive=alive,
        count=count + len(new_rows),
        orders=view.orders if not len(new_rows) else [],
        masks=Masks(),
        settled=set(),
    )


def _is_mostly_dead(slots: int, alive: int) -> bool:
    return slots >= _LEAST_ROWS_TO_REBUILD and alive * 2 < slots


def as_keys(keys: list[Any], dtype: np.dtype[Any]) -> Keys:
    """Keys as an array of the given type; strings stay Python's."""
    array = np.empty(len(keys), dtype=dtype)
    array[:] = keys
    return array


def _joined(old: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
    """Old and new values in one array: appended in place where the old buffer has room.

    Earlier views hold shorter slices of the same buffer, and never see what lies behind them.
    Only one thread at a time appends (the collection's lock), and always to the newest view.
    """
    if not len(new):
        return old
    total = len(old) + len(new)
    buffer = old.base
    if (
        not isinstance(buffer, np.ndarray)
        or buffer.dtype != old.dtype
        or len(buffer) < total
        or buffer.ndim != 1
    ):
        buffer = np.empty(max(64, total + total // 2), dtype=old.dtype)
        buffer[: len(old)] = old
    buffer[len(old) : total] = new
    result: NDArray[Any] = buffer[:total]
    return result
