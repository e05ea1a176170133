"""Selecting rows of one snapshot: by filter, by key, and counting them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.engine._project import Projection, fetch
from elanus.engine._snapshot import Snapshot
from elanus.query import Expression


def select(
    snapshot: Snapshot,
    filters: tuple[Expression, ...],
    *,
    limit: int | None,
    offset: int,
    projection: Projection,
) -> list[dict[str, Any]]:
    """The rows that all filters let pass, in the order of their keys."""
    slots = _in_key_order(snapshot, snapshot.eligible(*filters))
    end = None if limit is None else offset + limit
    return _entities(snapshot, slots[offset:end], projection)


def _in_key_order(snapshot: Snapshot, mask: NDArray[np.bool_] | None) -> NDArray[np.intp]:
    view = snapshot.view
    if mask is None:
        return view.in_key_order()
    slots = np.flatnonzero(mask)
    if len(slots) * 8 > view.n:
        order = view.in_key_order()
        return order[mask[order]]
    return slots[np.argsort(view.keys[slots], kind="stable")]


def count(snapshot: Snapshot, filters: tuple[Expression, ...] = ()) -> int:
    """How many rows all filters let pass."""
    mask = snapshot.eligible(*filters)
    return snapshot.view.count if mask is None else int(np.count_nonzero(mask))


def select_keys(
    snapshot: Snapshot, keys: Sequence[Any], projection: Projection
) -> list[dict[str, Any]]:
    """The rows of some keys, in the order of the keys; those that do not exist are left out."""
    wanted = list(dict.fromkeys(keys))
    rows = snapshot.state.tables.rows_of(snapshot.db, wanted)
    found = [key for key in wanted if key in rows]
    return fetch(snapshot, projection, [rows[key] for key in found], found)


def _entities(
    snapshot: Snapshot, slots: NDArray[np.intp], projection: Projection
) -> list[dict[str, Any]]:
    view = snapshot.view
    return fetch(snapshot, projection, view.rows[slots].tolist(), view.keys[slots].tolist())
