"""Saving views beside the file, and opening them again instead of reading every row."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from elanus.engine._background import Stop
from elanus.engine._parts import DenseKey, TextKey, TextPart
from elanus.engine._restore import open_saved
from elanus.engine._saved import (
    SLOTS,
    Restored,
    Saved,
    SavedMatrix,
    array_name,
    graph_kind,
    text_kind,
)
from elanus.engine._state import CollectionState
from elanus.engine._view import View
from elanus.errors import DatabaseCorruptError
from elanus.index import DenseIndex, Graph, bm25_to_arrays
from elanus.storage import (
    CacheFolder,
    CollectionInfo,
    Connection,
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

    def restore(self, db: Connection, info: CollectionInfo) -> Restored | None:
        """The saved view of a collection, older than or equal to the transaction of ``db``."""
        rows = find_snapshots(db, info.number)
        saved = rows.pop(SLOTS, None)
        if saved is None or saved.generation != info.generation or saved.last_delete < info.floor:
            return None
        try:
            return open_saved(self.folder, saved, rows, info)
        except (OSError, DatabaseCorruptError, KeyError, ValueError) as error:
            # It can be computed again, and will be.
            _log.warning("ignoring the saved view of %r: %s", info.name, error)
            return None

    def restore_newest(self, number: int) -> Restored | None:
        """The saved view of a collection as of now."""
        with self._file.read() as db:
            found = {c.number: c for c in load_catalogue(db).collections.values()}
            return self.restore(db, found[number]) if number in found else None

    # --- saving ----------------------------------------------------------------------------

    def save(self, state: CollectionState, *, graphs: bool = True) -> None:
        """Save the newest view of a collection. The caller holds the folder's lock.

        Slots are saved each time: rows behind the saved ones may get other slots in another
        process, so nothing may cover more of them than the file of slots does.

        Args:
            state: the collection.
            graphs: whether to save the graphs as well; they take longest.
        """
        with state.lock:
            view, before = state.view, state.saved
        if view.generation < 0 or self._file.options.read_only:
            return
        saved = before if before.lineage == view.lineage else Saved(view.lineage)
        rows = list(self._save_graphs(view, state) if graphs else ())
        texts = dict(saved.texts)
        for text, part in _text_parts(view):
            if state.wants_saving(text, part):
                rows.append(self._save_text(view, state, text, part))
                texts[text.field] = part.index.n
        matrices = dict(saved.matrices)
        entries = []
        arrays = _slot_arrays(view)
        for key, index in _dense_parts(view):
            # What is scanned in any case is soon read, and need not be on the disk twice.
            if index.graph is not None or key in matrices:
                matrices[key] = self._save_matrix(matrices.get(key), index)
                entries.append(_entry(key, matrices[key]))
                arrays |= _index_arrays(key, index)
        meta = {"lineage": view.lineage, "text_keys": view.keys.dtype == object, "dense": entries}
        files = {**saved.files, **{row.kind: row for row in rows}}
        files[SLOTS] = self._save_arrays(view, state, SLOTS, arrays, meta)
        is_registered = self._register(list(files.values()), state)
        now = Saved(view.lineage, files, matrices, texts)
        if is_registered and state.note_saved(before, now):
            for key in matrices:
                self.map_again(state, key)

    def save_texts(self, state: CollectionState) -> None:
        """Save the text indexes of a collection, unless another process is writing here."""
        for key, _ in _text_parts(state.view):
            state.merge(key)
        if self.folder.try_lock():
            try:
                self.save(state, graphs=False)
            finally:
                self.folder.unlock()

    def map_again(self, state: CollectionState, key: DenseKey) -> None:
        """Let an index read the vectors that are saved from a fresh map, which has no pages yet."""
        saved = state.saved
        matrix = saved.matrices.get(key)
        if matrix is not None:
            mapped = map_matrix(self.folder.matrix(matrix.name), matrix.rows, key.dim)
            state.rest_on(key, saved, mapped)

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
        for offset, rows in index.rows.blocks(saved.rows, _AT_ONCE):
            first = saved.rows + offset
            if not extend_matrix(path, first * width, rows):
                raise DatabaseCorruptError(f"{path} was changed by someone else")
            blocks.append((first, first + len(rows), zlib.crc32(rows.data)))
        return replace(saved, rows=index.n, blocks=tuple(blocks))

    # --- checking --------------------------------------------------------------------------

    def check(self, state: CollectionState, stop: Stop) -> None:
        """Compare the vectors that a restored view maps with their checksums.

        Opening does not, since that would take as long as reading them. A damaged file is
        forgotten, and the vectors are read from the database again.
        """
        for key, saved in state.saved.matrices.items():
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

    def _save_graphs(self, view: View, state: CollectionState) -> Iterator[SnapshotRow]:
        meta = {"lineage": view.lineage}
        for key, index in _dense_parts(view):
            if isinstance(index.graph, Graph):
                kind, arrays = graph_kind(key), index.graph.to_arrays()
                yield self._save_arrays(view, state, kind, arrays, meta)

    def _save_text(
        self, view: View, state: CollectionState, key: TextKey, part: TextPart
    ) -> SnapshotRow:
        arrays, kind = bm25_to_arrays(part.index), text_kind(key.field)
        meta = {"lineage": view.lineage, "slots": part.index.n}
        row = self._save_arrays(view, state, kind, arrays, meta)
        return replace(row, last_delete=part.last_delete)

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
                # All others were saved by who numbers the slots otherwise, or for a field that is
                # gone: together with these slots they would be wrong.
                unregister(db, state.number)
                for row in rows:
                    register(db, row)
            keep = {name for number in found for name in self._files(db, number)}
        self.folder.sweep(keep)
        return valid

    def _files(self, db: Connection, number: int) -> Iterator[str]:
        for row in find_snapshots(db, number).values():
            yield row.id
            if row.kind == SLOTS:
                for entry in self._meta_of(row).get("dense", ()):
                    yield entry["matrix"]

    def _meta_of(self, row: SnapshotRow) -> Mapping[str, Any]:
        try:
            return self.folder.open(row).meta
        except (OSError, DatabaseCorruptError):
            return {}


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


def _text_parts(view: View) -> Iterator[tuple[TextKey, TextPart]]:
    for key, part in view.parts.items():
        if isinstance(key, TextKey):
            yield key, part


def _slot_arrays(view: View) -> dict[str, NDArray[Any]]:
    if view.keys.dtype == object:
        keys: NDArray[Any] = np.frombuffer(orjson.dumps(view.keys.tolist()), dtype=np.uint8)
    else:
        keys = view.keys
    return {"rows": view.rows, "alive": view.alive, "keys": keys}


def _index_arrays(key: DenseKey, index: DenseIndex) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {array_name("squares", key): index.squares}
    if index.rows.present is not None:
        arrays[array_name("present", key)] = index.rows.present
    return arrays
