"""Saving views beside the file, and opening them again instead of reading every row."""

from __future__ import annotations

import logging
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from elanus.engine._background import Stop
from elanus.engine._parts import DenseKey
from elanus.engine._state import CollectionState, Restored, SavedMatrix
from elanus.engine._view import Keys, View, as_keys
from elanus.errors import DatabaseCorruptError
from elanus.index import DenseIndex, Graph
from elanus.schema import Metric
from elanus.storage import (
    CacheFolder,
    CollectionInfo,
    Container,
    DatabaseFile,
    SnapshotRow,
    Written,
    extend_matrix,
    find_snapshots,
    load_catalogue,
    map_matrix,
    register,
    unregister,
    write_arrays,
)

_SLOTS = "slots"
_AT_ONCE = 16_384
_log = logging.getLogger("elanus")


class SnapshotCache:
    """Saves and restores views of one database.

    Args:
        file: the database, which registers what is saved.
        folder: where the files are.
    """

    def __init__(self, file: DatabaseFile, folder: CacheFolder) -> None:
        self._file = file
        self.folder = folder

    # --- restoring -------------------------------------------------------------------------

    def restore(self, db: sqlite3.Connection, info: CollectionInfo) -> Restored | None:
        """The saved view of a collection, older than or equal to the transaction of ``db``."""
        rows = find_snapshots(db, info.number)
        saved = rows.pop(_SLOTS, None)
        if saved is None or saved.generation != info.generation or saved.last_delete < info.floor:
            return None
        try:
            return self._open(saved, rows, info)
        except (OSError, DatabaseCorruptError, KeyError, ValueError) as error:
            # It can be computed again, and will be.
            _log.warning("ignoring the saved view of %r: %s", info.name, error)
            return None

    def restore_newest(self, number: int) -> Restored | None:
        """The saved view of a collection as of now."""
        with self._file.read() as db:
            found = {c.number: c for c in load_catalogue(db).collections.values()}
            return self.restore(db, found[number]) if number in found else None

    def _open(
        self, saved: SnapshotRow, others: Mapping[str, SnapshotRow], info: CollectionInfo
    ) -> Restored:
        slots = self.folder.open(saved)
        # All but the vectors and the graphs; about 25 bytes a row.
        slots.check()
        view = _as_view(saved, slots, text_keys=slots.meta["text_keys"])
        matrices = {}
        for entry in slots.meta["dense"]:
            key = DenseKey(entry["field"], entry["dim"], Metric(entry["metric"]))
            if key.field not in info.schema.by_name:
                continue
            blocks = tuple((a, b, crc) for a, b, crc in entry["blocks"])
            matrices[key] = SavedMatrix(entry["matrix"], entry["rows"], blocks)
            view = view.with_part(key, self._open_index(key, entry, slots))
        graphs = {}
        for key in matrices:
            row = others.get(_graph_kind(key))
            graph = None if row is None else self._open_graph(row, view.lineage)
            if graph is not None:
                graphs[key] = graph
        return Restored(view, graphs, matrices)

    def _open_index(self, key: DenseKey, entry: Mapping[str, Any], slots: Container) -> DenseIndex:
        matrix = map_matrix(self.folder.matrix(entry["matrix"]), entry["rows"], key.dim)
        return DenseIndex.from_matrix(
            matrix,
            slots.arrays.get(_name("present", key)),
            key.metric,
            squares=slots.arrays[_name("squares", key)],
        )

    def _open_graph(self, row: SnapshotRow, lineage: str) -> Container | None:
        graph = self.folder.open(row)
        return graph if graph.meta["lineage"] == lineage else None

    # --- saving ----------------------------------------------------------------------------

    def save(self, state: CollectionState) -> None:
        """Save the newest view of a collection. The caller holds the folder's lock."""
        view = state.view
        if view.generation < 0 or self._file.options.read_only:
            return
        rows: list[SnapshotRow] = []
        matrices = dict(state.matrices)
        entries = []
        arrays = _slot_arrays(view)
        for key, index in _dense_parts(view):
            matrices[key] = self._save_matrix(matrices.get(key), index)
            entries.append(_entry(key, matrices[key]))
            arrays |= _index_arrays(key, index)
            if index.graph is not None:
                rows.append(self._save_graph(view, key, index.graph, state))
        meta = {"lineage": view.lineage, "text_keys": view.keys.dtype == object, "dense": entries}
        rows.append(self._save_arrays(view, state, _SLOTS, arrays, meta))
        if self._register(rows, state):
            state.matrices = matrices

    def _save_matrix(self, saved: SavedMatrix | None, index: DenseIndex) -> SavedMatrix:
        """Append what the file of an index lacks; begin a new file if it is not as we left it."""
        if saved is not None:
            path, width = self.folder.matrix(saved.name), index.dim * 4
            if path.exists() and path.stat().st_size == saved.rows * width:
                return self._append(saved, index)
        return self._append(SavedMatrix(self.folder.new_name(), 0), index)

    def _append(self, saved: SavedMatrix, index: DenseIndex) -> SavedMatrix:
        path, width = self.folder.matrix(saved.name), index.dim * 4
        blocks = list(saved.blocks)
        for first in range(saved.rows, index.n, _AT_ONCE):
            last = min(first + _AT_ONCE, index.n)
            rows = index.vectors(np.arange(first, last))
            if not extend_matrix(path, first * width, rows):
                raise DatabaseCorruptError(f"{path} was changed by someone else")
            blocks.append((first, last, zlib.crc32(rows.data)))
        return SavedMatrix(saved.name, index.n, tuple(blocks))

    # --- checking --------------------------------------------------------------------------

    def check(self, state: CollectionState, stop: Stop) -> None:
        """Compare the vectors that a restored view maps with their checksums.

        Opening does not, since that would take as long as reading them. A damaged file is
        forgotten, and the vectors are read from the database again.
        """
        for key, saved in state.matrices.items():
            if not self._is_sound(key, saved, stop) and not stop():
                _log.warning("the saved vectors of %r are damaged: reading them again", key.field)
                with self._file.write("forget a snapshot") as db:
                    unregister(db, state.number)
                state.forget()
                return

    def _is_sound(self, key: DenseKey, saved: SavedMatrix, stop: Stop) -> bool:
        try:
            matrix = map_matrix(self.folder.matrix(saved.name), saved.rows, key.dim)
        except (OSError, DatabaseCorruptError):
            return False
        return all(
            not stop() and zlib.crc32(np.ascontiguousarray(matrix[a:b]).data) == crc
            for a, b, crc in saved.blocks
        )

    def _save_graph(
        self, view: View, key: DenseKey, graph: Graph, state: CollectionState
    ) -> SnapshotRow:
        return self._save_arrays(
            view, state, _graph_kind(key), graph.to_arrays(), {"lineage": view.lineage}
        )

    def _save_arrays(
        self,
        view: View,
        state: CollectionState,
        kind: str,
        arrays: Mapping[str, NDArray[Any]],
        meta: Mapping[str, Any],
    ) -> SnapshotRow:
        name = self.folder.new_name()
        written: Written = write_arrays(self.folder.arrays(name), arrays, meta)
        return SnapshotRow(
            name, state.number, view.generation, kind, view.seq, view.last_row, view.last_delete,
            written,
        )  # fmt: skip

    def _register(self, rows: list[SnapshotRow], state: CollectionState) -> bool:
        """Enter files in the database, if what they hold is still a prefix of what is there."""
        with self._file.write("register a snapshot") as db:
            found = {c.number: c for c in load_catalogue(db).collections.values()}
            info = found.get(state.number)
            valid = info is not None and all(
                row.generation == info.generation
                and row.last_row <= state.tables.last_row(db)
                and row.last_delete <= state.tables.last_delete(db)
                for row in rows
            )
            if valid:
                for row in rows:
                    register(db, row)
            keep = {name for number in found for name in self._files(db, number)}
        self.folder.sweep(keep)
        return valid

    def _files(self, db: sqlite3.Connection, number: int) -> Iterator[str]:
        for row in find_snapshots(db, number).values():
            yield row.id
            if row.kind == _SLOTS:
                for entry in self._meta_of(row).get("dense", ()):
                    yield entry["matrix"]

    def _meta_of(self, row: SnapshotRow) -> Mapping[str, Any]:
        try:
            return self.folder.open(row).meta
        except (OSError, DatabaseCorruptError):
            return {}


def _graph_kind(key: DenseKey) -> str:
    return f"graph:{key.field}:{key.metric.value}"


def _name(what: str, key: DenseKey) -> str:
    return f"{what}:{key.field}:{key.metric.value}"


def _entry(key: DenseKey, matrix: SavedMatrix) -> dict[str, Any]:
    return {
        "field": key.field,
        "dim": key.dim,
        "metric": key.metric.value,
        "matrix": matrix.name,
        "rows": matrix.rows,
        "blocks": matrix.blocks,
    }


def _dense_parts(view: View) -> Iterator[tuple[DenseKey, DenseIndex]]:
    for key, part in view.parts.items():
        if isinstance(key, DenseKey):
            yield key, part


def _slot_arrays(view: View) -> dict[str, NDArray[Any]]:
    if view.keys.dtype == object:
        keys: NDArray[Any] = np.frombuffer(orjson.dumps(view.keys.tolist()), dtype=np.uint8)
    else:
        keys = view.keys
    return {"rows": view.rows, "alive": view.alive, "keys": keys}


def _index_arrays(key: DenseKey, index: DenseIndex) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {_name("squares", key): index.squares}
    if index.rows.present is not None:
        arrays[_name("present", key)] = index.rows.present
    return arrays


def _as_view(saved: SnapshotRow, slots: Container, *, text_keys: bool) -> View:
    arrays = slots.arrays
    keys: Keys = arrays["keys"]
    if text_keys:
        keys = as_keys(orjson.loads(arrays["keys"].tobytes()), np.dtype(object))
    return View(
        seq=saved.seq,
        generation=saved.generation,
        lineage=slots.meta["lineage"],
        last_row=saved.last_row,
        last_delete=saved.last_delete,
        rows=arrays["rows"],
        keys=keys,
        alive=arrays["alive"],
        count=int(np.count_nonzero(arrays["alive"])),
    )
