"""Saving views beside the file, and opening them again instead of reading every row.

A file counts once it is registered in the database. The order of a save follows from that:

1. Files are written under new names, and vectors behind the registered end of their file. A full
   disk or a `Stopped` takes back what was written. A crash leaves it: the next save sweeps away new
   files, and begins another in place of a file of vectors that is longer than was registered.
2. One transaction registers all of them and forgets the rest. It looks first whether what they
   hold is still a prefix of what is there, and whether they are: the collection may have been
   truncated, dropped or restored meanwhile, and whoever deletes the folder may do so at any time.
   If the commit fails late, it may have been done: so the database is asked before anything is
   taken back.
3. Only then is swept what nobody registers. Were it before, a failing transaction would leave rows
   that name files which are gone.
4. The process is told last, and then reads its vectors from the map. Should it end before, the
   next opening finds all of it.

Only who holds the folder's lock saves, one process at a time; restoring takes no lock, as files
that are registered never change.

Damage is handled in the opposite order. First this process stops to use the file, which cannot
fail; then it is forgotten in the database, which may be locked, full or read-only: that is tried
again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from elanus.engine._parts import DenseKey, TextKey
from elanus.engine._state import CollectionState
from elanus.engine.saved._loading import open_saved
from elanus.engine.saved._saved import SLOTS, Restored, SavedFiles, SavedMatrix
from elanus.engine.saved._saving import (
    Saving,
    Stopped,
    dense_parts,
    graph_drafts,
    missing_bytes,
    moments_of,
    part_draft,
    slots_draft,
)
from elanus.engine.upkeep._background import Stop
from elanus.errors import DatabaseCorruptError
from elanus.storage import (
    CacheFolder,
    CollectionInfo,
    Connection,
    DatabaseFile,
    SavedFile,
    bump,
    find_saved,
    is_sound,
    load_catalogue,
    map_matrix,
    read_state,
    register,
    sign,
    unregister,
)

_FAULTS = (FileNotFoundError, DatabaseCorruptError, KeyError, ValueError, TypeError)
_PATIENCE = 1.0  # seconds that a repair waits for a writer; it is tried again later
_log = logging.getLogger("elanus")


class SavedCache:
    """Saves and restores views of one database.

    Args:
        file: the database, which registers what is saved.
        folder: where the files are.

    Attributes:
        faulty: numbers of the collections of which something registered is gone or damaged.
    """

    def __init__(self, file: DatabaseFile, folder: CacheFolder) -> None:
        self._file = file
        self.folder = folder
        self.faulty: set[int] = set()
        self._distrusted: set[str] = set()  # files of vectors; names are never used again

    # --- restoring -------------------------------------------------------------------------

    def restore(self, db: Connection, info: CollectionInfo) -> Restored | None:
        """The saved view of a collection, older than or equal to the transaction of ``db``."""
        rows = find_saved(db, info.number)
        saved = rows.pop(SLOTS, None)
        if saved is None or saved.generation != info.generation or saved.last_delete < info.floor:
            return None
        try:
            restored = open_saved(self.folder, saved, rows, info)
        except (OSError, *_FAULTS) as error:
            # It can be computed again, and will be.
            _log.warning("ignoring the saved view of %r: %s", info.name, error)
            self.faulty.add(info.number)
            return None
        if any(matrix.name in self._distrusted for matrix in restored.saved.matrices.values()):
            return None
        if not rows.keys() <= restored.saved.by_kind.keys():
            self.faulty.add(info.number)
        return restored

    def restore_newest(self, number: int) -> Restored | None:
        """The saved view of a collection as of now."""
        with self._file.read() as db:
            found = {c.number: c for c in load_catalogue(db).collections.values()}
            return self.restore(db, found[number]) if number in found else None

    # --- saving ----------------------------------------------------------------------------

    def save(
        self,
        state: CollectionState,
        *,
        graphs: bool = True,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Save the newest view of a collection. The caller holds the folder's lock.

        Slots are saved each time: rows behind the saved ones may get other slots in another
        process, so nothing may cover more of them than the file of slots does.

        Args:
            state: the collection.
            graphs: whether to save the graphs as well; they take longest.
            stop: whether to give up.
        """
        view, before, stop = state.to_save(stop)
        if view.generation < 0 or self._file.options.read_only:
            return
        saved = before if before.lineage == view.lineage else SavedFiles(view.lineage)
        drafts = list(graph_drafts(view)) if graphs else []
        drafts += [part_draft(key, part) for key, part in state.unsaved(view, view.parts)]
        # What is scanned in any case is soon read, and need not be on the disk twice.
        indexes = {
            key: index
            for key, index in dense_parts(view)
            if index.graph is not None or key in saved.matrices
        }
        moments = moments_of(view, indexes)
        drafts.append(slots_draft(view, indexes, moments))
        size = sum(draft.nbytes for draft in drafts)
        size += sum(missing_bytes(saved.matrices.get(key), i) for key, i in indexes.items())
        if not self.folder.has_room(size):
            _log.warning("not saving %d bytes in %s: little space is left", size, self.folder.path)
            return
        with Saving(self.folder, state.number, view, stop) as saving:
            matrices = {k: saving.extend(saved.matrices.get(k), i) for k, i in indexes.items()}
            meta = {
                "text_keys": view.keys.dtype == object,
                "dense": [_entry(key, matrix) for key, matrix in matrices.items()],
            }
            rows = [saving.write(d, meta if d.kind == SLOTS else {}) for d in drafts]
            files = self._register(saving, rows, saved.by_kind, matrices, state)
        if files is None:
            return
        self._sweep()
        parts = {**saved.parts, **{d.kind: d.slots for d in drafts if d.slots is not None}}
        kept = {kind: slots for kind, slots in parts.items() if kind in files}
        covered = dict.fromkeys(moments, view.n)
        now = SavedFiles(view.lineage, files, {**saved.matrices, **matrices}, kept, covered)
        if state.note_saved(before, now):
            for key in matrices:
                self.map_again(state, key)

    def save_parts(self, state: CollectionState, stop: Stop) -> None:
        """Save all of a collection but its graphs, unless another process is writing here."""
        for key in state.view.parts:
            if isinstance(key, TextKey):
                state.merge(key, stop.is_late)
        if not stop.is_late() and self.folder.try_lock():
            try:
                self.save(state, graphs=False, stop=stop.is_late)
            except Stopped:
                _log.warning("gave up saving %s", self.folder.path)
            finally:
                self.folder.unlock()

    def map_again(self, state: CollectionState, key: DenseKey) -> None:
        """Let an index read the vectors that are saved from a fresh map, which has no pages yet."""
        saved = state.saved.files
        matrix = saved.matrices.get(key)
        if matrix is not None:
            mapped = map_matrix(self.folder.matrix(matrix.name), matrix.rows, key.dim)
            state.rest_on(key, saved, mapped)

    def _register(
        self,
        saving: Saving,
        new: Sequence[SavedFile],
        old: Mapping[str, SavedFile],
        matrices: Mapping[DenseKey, SavedMatrix],
        state: CollectionState,
    ) -> dict[str, SavedFile] | None:
        """Enter files in the database, if what they hold is still a prefix of what is there.

        Returns:
            All that is registered now, by kind; None if nothing was done.
        """
        try:
            with self._file.write("register a saved view") as db:
                rows = self._valid_rows(db, new, old, matrices, state)
                if rows is None:
                    return None
                # All others were saved by who numbers the slots otherwise, or for a field that is
                # gone: together with these slots they would be wrong.
                unregister(db, state.number)
                for row in rows.values():
                    register(db, row)
                sign(db)
        except Exception:
            # A commit that failed late may have been done.
            if self._are_registered(new, state.number):
                saving.keep()
            raise
        saving.keep()
        return rows

    def _are_registered(self, rows: Sequence[SavedFile], number: int) -> bool:
        with self._file.read() as db:
            ids = {row.id for row in find_saved(db, number).values()}
        return any(row.id in ids for row in rows)

    def _sweep(self) -> None:
        with self._file.read() as db:
            found = load_catalogue(db).collections.values()
            keep = {name for info in found for name in self._files(db, info.number)}
        self.folder.sweep(keep)

    def _valid_rows(
        self,
        db: Connection,
        new: Sequence[SavedFile],
        old: Mapping[str, SavedFile],
        matrices: Mapping[DenseKey, SavedMatrix],
        state: CollectionState,
    ) -> dict[str, SavedFile] | None:
        """What to register: of what was saved before, only what is still there."""
        found = {c.number: c for c in load_catalogue(db).collections.values()}
        info = found.get(state.number)
        if info is None or not state.history.goes_on(read_state(db)):
            return None
        rows = {kind: row for kind, row in old.items() if self.folder.holds(row)}
        rows |= {row.kind: row for row in new}
        last_row, last_delete = state.tables.last_row(db), state.tables.last_delete(db)
        are_prefixes = all(
            row.generation == info.generation
            and row.last_row <= last_row
            and row.last_delete <= last_delete
            for row in rows.values()
        )
        # Whoever deletes the folder may do so at any time.
        are_there = all(self.folder.holds(row) for row in new) and all(
            self.folder.holds_matrix(m.name, m.rows * key.dim * 4) for key, m in matrices.items()
        )
        return rows if are_prefixes and are_there else None

    def _files(self, db: Connection, number: int) -> list[str]:
        names = []
        for row in find_saved(db, number).values():
            names.append(row.id)
            if row.kind == SLOTS:
                with suppress(OSError, *_FAULTS):
                    names += [entry["matrix"] for entry in self.folder.open(row).meta["dense"]]
        return names

    # --- comparing with checksums, and forgetting what is damaged --------------------------

    def check(self, state: CollectionState, stop: Callable[[], bool]) -> None:
        """Compare the vectors that a view maps with their checksums.

        Opening does not, since that would take as long as reading them. A damaged file is
        forgotten, and the vectors are read from the database again.
        """
        for key, saved in state.saved.files.matrices.items():
            try:
                sound = self._is_sound(key, saved, stop)
            except FileNotFoundError:
                # Another process has saved its own view, or somebody has deleted the folder: what
                # is mapped stays what it was.
                self.faulty.add(state.number)
                continue
            if not sound and not stop():
                _log.warning("the saved vectors of %r are damaged: reading them again", key.field)
                # First what cannot fail: the database may be read-only, locked or full.
                self._distrusted.add(saved.name)
                self.faulty.add(state.number)
                state.forget()
                break
        if state.number in self.faulty:
            self.repair(state.number)

    def _is_sound(self, key: DenseKey, saved: SavedMatrix, stop: Callable[[], bool]) -> bool:
        width = key.dim * 4
        parts = [(first * width, end * width, crc) for first, end, crc in saved.blocks]
        return is_sound(self.folder.matrix(saved.name), parts, stop)

    def repair(self, number: int) -> None:
        """Forget the registered files that are gone or damaged: no opening shall try them again."""
        if not self._file.options.read_only:
            with self._file.write("forget a saved view", patience=_PATIENCE) as db:
                rows = find_saved(db, number)
                bad = [kind for kind, row in rows.items() if not self._is_usable(row)]
                for kind in bad:
                    unregister(db, number, None if kind == SLOTS else kind)
                if bad:
                    # Others, who may have mapped the same, look again after a commit.
                    bump(db)
        self.faulty.discard(number)

    def _is_usable(self, row: SavedFile) -> bool:
        try:
            file = self.folder.open(row)
            if row.kind != SLOTS:
                return True
            file.check()
            return all(self._is_matrix_usable(entry) for entry in file.meta["dense"])
        except _FAULTS:
            return False
        except OSError:  # says nothing of the file: too many open ones, perhaps
            return True

    def _is_matrix_usable(self, entry: Mapping[str, Any]) -> bool:
        name, size = entry["matrix"], entry["rows"] * entry["dim"] * 4
        return name not in self._distrusted and self.folder.holds_matrix(name, size)


def _entry(key: DenseKey, matrix: SavedMatrix) -> dict[str, Any]:
    return {
        "field": key.field,
        "dim": key.dim,
        "metric": key.metric.value,
        "matrix": matrix.name,
        "rows": matrix.rows,
        "blocks": matrix.blocks,
    }
