"""Selecting rows of one snapshot: by filter, by key, and counting them and what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.engine._parts import NamesKey, Path, column_key
from elanus.engine._project import Projection, fetch, make_projection
from elanus.engine._snapshot import Collection, Snapshot
from elanus.engine._write import check_keys
from elanus.query import Expression, distinct


def select(
    snapshot: Snapshot,
    filters: tuple[Expression, ...],
    names: tuple[str, ...],
    *,
    limit: int | None,
    offset: int,
) -> list[dict[str, Any]]:
    """The rows that all filters let pass, in the order of their keys, which they always carry."""
    projection = _projection(snapshot, names)
    slots = _in_key_order(snapshot, snapshot.eligible(*filters))
    slots = slots[offset : None if limit is None else offset + limit]
    view = snapshot.view
    return fetch(snapshot, projection, view.rows[slots].tolist(), view.keys[slots].tolist())


def _in_key_order(snapshot: Snapshot, mask: NDArray[np.bool_] | None) -> NDArray[np.intp]:
    view = snapshot.view
    if mask is None:
        return view.in_key_order()
    slots = np.flatnonzero(mask)
    if len(slots) * 8 > snapshot.n:
        order = view.in_key_order()
        return order[mask[order]]
    return slots[np.argsort(view.keys[slots], kind="stable")]


def count(snapshot: Snapshot, filters: tuple[Expression, ...] = ()) -> int:
    """How many rows all filters let pass."""
    mask = snapshot.eligible(*filters)
    return snapshot.view.count if mask is None else int(np.count_nonzero(mask))


def _projection(snapshot: Snapshot, names: tuple[str, ...]) -> Projection:
    """As in Milvus, rows always carry their primary key."""
    collection, names = snapshot.collection, (snapshot.schema.primary.name, *names)
    return collection.projections.get(names) or make_projection(collection, names)


def select_keys(
    snapshot: Snapshot, keys: Sequence[Any], names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """The rows of some keys, in the order of the keys; those that do not exist are left out.

    Raises:
        DataNotMatchException: if a key has another type than the collection's.
    """
    wanted = list(dict.fromkeys(check_keys(snapshot.schema, keys)))
    projection = _projection(snapshot, names)
    rows = snapshot.state.tables.rows_of(snapshot.db, wanted)
    found = [key for key in wanted if key in rows]
    return fetch(snapshot, projection, [rows[key] for key in found], found)


def count_values(
    snapshot: Snapshot, path: Path, filters: tuple[Expression, ...]
) -> list[tuple[Any, int]]:
    """How many of the rows that all filters let pass have each value; see `distinct`."""
    mask = snapshot.eligible(*filters)
    return distinct(snapshot.columns([path])[path], mask)


def count_names(
    snapshot: Snapshot, path: Path, filters: tuple[Expression, ...]
) -> list[tuple[str, str, int]]:
    """In how many rows each key of a JSON object has a value of each type: key, type, rows."""
    mask = snapshot.eligible(*filters)
    found = distinct(snapshot.part(NamesKey(path)), mask)
    return [
        (name, kind, rows) for (kind, _, name), rows in ((e.partition(" "), n) for e, n in found)
    ]


def newly_unknown(collection: Collection, expected: Iterable[Path]) -> list[Path]:
    """Keys of which no row has one, though filters that were just evaluated expect it; once each.

    The columns were read for the filters: nothing else is read, and what is not there any more is
    not spoken of.
    """
    view, judged = collection.state.view, collection.state.judged
    asked = [path for path in expected if path not in judged]
    if not asked or not view.count:
        return []
    columns = {path: view.part(column_key(collection.info.schema, path)) for path in asked}
    known = {path: column for path, column in columns.items() if column is not None}
    judged.update(known)
    return [path for path, column in known.items() if column.holds_nothing]
