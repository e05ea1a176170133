"""What a process keeps of a collection between calls.

The newest view is published by one assignment, under the collection's lock; searches take the view
that is there, and no lock. What else may happen, and what it leaves:

* Two searches need the same part of the same commit: the second waits for the lock, finds that the
  first has published it, and does nothing. Whoever began with an older view ends with it: nothing
  that a view shows is ever changed, only appended behind its end, by whoever holds the lock.
* A search comes with an older transaction than the newest view: it begins again
  (`OutdatedSnapshotError`), as slots are never taken back. If the file itself went back, as its
  rows or deletes say, another state was restored in place: all is read afresh (`RestoredError`).
* The background thread works on a view without the lock, for minutes perhaps, and takes it only to
  put the result in place. Meanwhile the view may have followed (then the result still fits, as the
  slots that it covers are the same), or was read afresh, or restored a second time (then the slots
  are others, which `View.numbering` says, and the result is thrown away).
* An exception, or a signal handler that raises: the view is assigned last, so what was half made is
  garbage, and the next search makes it again. A saved view that was taken over, and could not
  follow the file, is taken over again.
* A fork: the child has the view, but no thread, and a lock that a thread of the parent may hold. It
  gets a new one. The view is whole, as no half of one is ever published; only a graph that somebody
  was inside of is left out of it.
* Saving takes the view and what is saved of it together (`to_save`), and then works without the
  lock, too. It writes files, registers them in one transaction, and tells us last. A crash before
  the transaction leaves files that the next save sweeps away; one after it leaves a saved view that
  the next opening finds. If the view was read afresh meanwhile, what we hold stays as it is
  (`note_saved`), and the next save begins anew.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from elanus import native
from elanus.engine._parts import (
    COLUMN,
    ColumnKey,
    DenseKey,
    MomentsKey,
    Path,
    TextKey,
    TextPart,
    field_kinds,
    follow_columns,
)
from elanus.engine._view import KeptKey, PartKey, View, empty_view, follow
from elanus.engine.saved._held import SavedView
from elanus.engine.saved._saved import Restored, SavedFiles
from elanus.engine.upkeep._memory import return_free_memory
from elanus.engine.upkeep._thresholds import Thresholds
from elanus.errors import DatabaseCorruptError, DatabaseFormatError, ParamError, quoted
from elanus.index import Approximate, DenseIndex
from elanus.query import Column, FieldKind
from elanus.schema import DataType, IndexSpec, Schema
from elanus.storage import (
    Apart,
    CollectionInfo,
    Connection,
    FileState,
    MappedMatrix,
    Tables,
    Vocabulary,
    begin_history,
)
from elanus.text import Analyzer, Spellings, build_analyzer

_log = logging.getLogger("elanus")


class Upkeep(Protocol):
    """What a collection asks for, besides what its searches do themselves.

    Attributes:
        thresholds: the sizes from which it is asked for.
    """

    thresholds: Thresholds

    def restore(self, db: Connection, info: CollectionInfo) -> Restored | None:
        """The saved view of a collection, if there is one."""

    def request_check(self, state: CollectionState) -> None:
        """Have what was restored compared with its checksums, in the background."""

    def request_graph(self, state: CollectionState, key: DenseKey, spec: IndexSpec) -> None:
        """Have the graph made that an index lacks, in the background."""

    def request_merge(self, state: CollectionState, key: TextKey) -> None:
        """Have the pieces of a text index put together, in the background."""

    def request_save(self, state: CollectionState) -> None:
        """Have the text indexes saved, in the background."""


class OutdatedSnapshotError(Exception):
    """The published view is newer than the transaction: begin again. Never leaves the engine."""


class RestoredError(OutdatedSnapshotError):
    """The file holds less than was seen of it before: another state was restored in place."""


class History:
    """One past of a file. What is remembered belongs to it, and is worth nothing in another.

    Args:
        name: what the file calls it (`FileState.history`); None for that of the first who looks.
    """

    def __init__(self, name: str | None = None) -> None:
        self._first: dict[str, str] = {} if name is None else {"name": name}
        self._ours: set[str] = set()

    def goes_on(self, state: FileState) -> bool:
        """Whether a state of the file is of this past."""
        name = state.history
        # In one step, as two threads may be the first.
        return self._first.setdefault("name", name) == name or name in self._ours

    def write_on(self, db: Connection, state: FileState) -> None:
        """Begin a writing transaction; ``state`` is what it sees, and of this past.

        If somebody else has changed the file, a name is given to what we make of it: others, who
        may not have looked in between, would take it for what they knew before.
        """
        if not state.is_noted:
            self._ours.add(begin_history(db).history)


class CollectionState:
    """What a process keeps of a collection between calls: the newest view, and vocabularies.

    Attributes:
        history: of the file; nothing that is kept here is of another.
        view: the newest view; replaced here only, under the lock.
        saved: what was saved of it; changed through this class.
        thresholds: the sizes from which upkeep is asked for.
        is_loaded: whether the collection was not released since it was last loaded.
        judged: keys that filters asked for, of which it is known whether a row ever had one.
    """

    def __init__(
        self, info: CollectionInfo, upkeep: Upkeep, apart: Apart, history: History
    ) -> None:
        self._apart = apart
        self.history = history
        self.number = info.number
        self.tables = Tables(info.number, info.schema)
        self.analyzers = _analyzers(info)
        self.vocabularies = {name: Vocabulary(self.tables, name) for name in self.analyzers}
        self._spellings: dict[str, tuple[int, Spellings]] = {}
        self.kinds: Mapping[str, FieldKind] = field_kinds(info.schema)
        self._lock = threading.RLock()
        self.is_loaded = True
        self.judged: set[Path] = set()
        self.upkeep = upkeep
        self.thresholds = upkeep.thresholds
        self._text_keys = info.schema.primary.dtype is DataType.VARCHAR
        self.view = empty_view(info.generation, text_keys=self._text_keys)
        self.saved = SavedView(self.view.lineage)

    def after_fork_in_child(self) -> None:
        """Make new locks, and drop what threads of the parent were in the middle of.

        A graph inside of which one was searching may hold a lock of its own for ever.
        """
        self._lock = threading.RLock()
        self.finish_terms(committed=False)
        parts = {
            key: part.with_graph(None)
            if isinstance(part, DenseIndex) and part.graph and native.are_inside(part.graph.busy)
            else part
            for key, part in self.view.parts.items()
        }
        self.view = self.view.with_parts(parts)

    def finish_terms(self, committed: bool) -> None:
        """After a transaction that may have given numbers to terms; see `Vocabulary.finish`."""
        for vocabulary in self.vocabularies.values():
            vocabulary.finish(committed=committed)

    def spellings(self, db: Callable[[], Connection], field: str, seq: int) -> Spellings:
        """The terms of a text field as of commit ``seq``, and perhaps later ones, by spelling.

        Args:
            db: gives a connection inside a transaction of that commit, if one is needed.
            field: the field.
            seq: number of the commit.
        """
        of, known = self._spellings.get(field, (-1, Spellings()))
        if of < seq:
            new = self.vocabularies[field].since(db(), known.size)
            known = known.extended(new) if new else known
            self._spellings[field] = seq, known
        return known

    def check_maps(self) -> None:
        """Make sure that all that is mapped is still there: reading it would kill the process.

        Raises:
            OutdatedSnapshotError: if a file was made shorter; it is no longer used then.
        """
        if self.saved.is_cut():
            _log.warning("a file in the cache folder was made shorter: reading its rows again")
            self.forget()
            raise OutdatedSnapshotError

    def at(self, db: Connection, info: CollectionInfo, seq: int) -> View:
        """The view of commit ``seq``, which the transaction of ``db`` sees.

        Raises:
            OutdatedSnapshotError: if a newer view was published meanwhile.
        """
        view = self.view
        return view if view.seq == seq else self._apart.run(lambda: self._follow_to(db, info, seq))

    def _follow_to(self, db: Connection, info: CollectionInfo, seq: int) -> View:
        with self._lock:
            view = self.view = self._followed(db, info, seq)
            return view

    def _followed(self, db: Connection, info: CollectionInfo, seq: int) -> View:
        view = self.view
        if view.seq > seq:
            raise OutdatedSnapshotError
        if view.seq < 0:
            restored = self.upkeep.restore(db, info)
            view = view if restored is None else self._taken_over(restored)
        if view.seq == seq:
            return view
        if view.generation == info.generation and (
            self.tables.last_row(db) < view.last_row
            or self.tables.last_delete(db) < view.last_delete
        ):
            raise RestoredError
        if self.saved.has_changed(db, self.number):
            # What we map is no longer what is registered: somebody may have found it damaged.
            self.upkeep.request_check(self)
        return follow(db, info, self.tables, view, seq, self.thresholds.rebuild_slots)

    def _taken_over(self, restored: Restored) -> View:
        self.saved.take_over(restored)
        self.upkeep.request_check(self)
        return restored.view

    def with_part(self, db: Connection, info: CollectionInfo, seq: int, key: PartKey) -> View:
        """The view of commit ``seq`` with one part brought up to it.

        Raises:
            OutdatedSnapshotError: if a newer view was published meanwhile.
        """
        return self._apart.run(lambda: self._with_part(db, info, seq, key))

    def _with_part(self, db: Connection, info: CollectionInfo, seq: int, key: PartKey) -> View:
        with self._lock:
            view = self._followed(db, info, seq)
            part = view.parts.get(key)
            if part is None and isinstance(key, TextKey):
                view, part = self._other_text(key, view)
            if part is None and isinstance(key, KeptKey):
                part = self._saved_part(key, view)
            if part is None or not key.is_current(part, view):
                part = self._follow(db, view, key, part)
            if part is not view.parts.get(key):
                view = view.with_part(key, part)
            self.view = view
            self._tidy(key, view)
            return view

    def with_columns(
        self, db: Connection, info: CollectionInfo, seq: int, keys: Iterable[ColumnKey]
    ) -> View:
        """The view of commit ``seq`` with some columns brought up to it, by one pass over the rows.

        Raises:
            OutdatedSnapshotError: if a newer view was published meanwhile.
        """
        return self._apart.run(lambda: self._with_columns(db, info, seq, keys))

    def _with_columns(
        self, db: Connection, info: CollectionInfo, seq: int, keys: Iterable[ColumnKey]
    ) -> View:
        with self._lock:
            view = self._followed(db, info, seq)
            known: dict[ColumnKey, Column | None] = {
                key: view.parts.get(key) or self._saved_part(key, view) for key in keys
            }
            columns = {
                key: Column.empty(key.kind) if column is None else column
                for key, column in known.items()
            }
            behind = {key: c for key, c in columns.items() if not key.is_current(c, view)}
            columns |= follow_columns(db, self.tables, view, behind)
            parts = dict(view.parts)
            parts.update(columns.items())
            self.view = view = view.with_parts(parts)
            if None in known.values():
                self._return_memory(view)
            if self.unsaved(view, columns):
                self.upkeep.request_save(self)
            return view

    def _follow(self, db: Connection, view: View, key: PartKey, part: Any) -> Any:
        followed = key.follow(db, self.tables, view, part)
        if part is None:
            self._return_memory(view)
        return followed

    def _return_memory(self, view: View) -> None:
        """After a part was made: what was read is several times what is kept of it."""
        if view.n >= self.thresholds.text_rows:
            # Now, and not in the background: the C library would let the next searches wait for it.
            return_free_memory()

    def _other_text(self, key: TextKey, view: View) -> tuple[View, TextPart | None]:
        """The text index of a field that is there under other parameters, and the view without it.

        A field has one at a time: two would grow apart, and be saved twice.
        """
        for other, part in view.parts.items():
            if isinstance(other, TextKey) and other.field == key.field:
                rest = {k: p for k, p in view.parts.items() if k != other}
                index = part.index.with_saturation(k1=key.k1, b=key.b)
                return view.with_parts(rest), TextPart(index, part.last_delete)
        return view, None

    def _saved_part(self, key: KeptKey, view: View) -> Any | None:
        """A text index or column that was saved, if it fits the view and is sound."""
        saved = self.saved.take(key.file_kind, view.lineage)
        if saved is None:
            return None
        try:
            saved.container.check()
            part = key.from_arrays(saved.container.arrays, saved.last_delete)
        except (DatabaseCorruptError, KeyError, ValueError) as error:
            _log.warning("ignoring what was saved as %r, and reading it: %s", key.file_kind, error)
            self.saved.drop(key.file_kind)
            return None
        self.saved.hold(key, saved.container.map)
        return part

    def _tidy(self, key: PartKey, view: View) -> None:
        """Have many small pieces, which small writes leave, put together, and much saved."""
        part, most = view.parts[key], self.thresholds.most_segments
        if isinstance(key, TextKey) and len(part.index.segments) > most:
            self.upkeep.request_merge(self, key)
        if isinstance(key, MomentsKey) and self._wants_moments_saved(key, view):
            self.upkeep.request_save(self)
        if self.unsaved(view, [key]):
            self.upkeep.request_save(self)

    def unsaved(self, view: View, keys: Iterable[PartKey]) -> list[tuple[KeptKey, Any]]:
        """Text indexes and columns, much of which would have to be read at the next opening.

        A process that asks for ever other keys of JSON objects does not have a file for each: the
        first columns have one.

        Args:
            view: what they are parts of.
            keys: which of them to look at.
        """
        known = self.saved.covered(view.lineage)
        found: dict[str, tuple[KeptKey, Any]] = {}
        for key in keys:
            if isinstance(key, KeptKey):
                part, kind = view.parts[key], key.file_kind
                n = key.covered(part)
                if n - known.get(kind, 0) >= max(self.thresholds.text_rows, n // 4):
                    found[kind] = key, part
        columns = [kind for kind in {**known, **found} if kind.startswith(COLUMN)]
        too_many = columns[self.thresholds.most_columns :]
        return [each for kind, each in found.items() if kind not in too_many]

    def _wants_moments_saved(self, key: MomentsKey, view: View) -> bool:
        """Whether much of them would have to be added up again, if they go with saved vectors."""
        known = self.saved.moments_slots(key.dense, view.lineage)
        if known is None or view.parts[key].moments.square is None:
            return False
        return view.n - known >= max(self.thresholds.text_rows, view.n // 4)

    def merge(self, key: TextKey, stop: Callable[[], bool]) -> None:
        """Put the pieces of an index together; if it was extended meanwhile, the next one will."""
        part: TextPart | None = self.view.parts.get(key)
        if part is None or self.saved.until_cut(stop)():
            return
        merged = TextPart(part.index.merged(), part.last_delete)
        with self._lock:
            if self.view.parts.get(key) is part:
                self.view = self.view.with_part(key, merged)

    def adopt(self, restored: Restored) -> bool:
        """Take over a view that another process saved; False if it is the one that we have.

        Or one from before ours was read afresh, which was done because that one was of no use.
        """
        if restored.view.lineage == self.view.lineage or restored.view.seq < self.view.began:
            return False
        with self._lock:
            self.view = self._taken_over(restored)
        return True

    def publish_graph(
        self, made_from: View, key: DenseKey, graph: Approximate, *, is_saved: bool = False
    ) -> bool:
        """Put a graph that was made in the background in place, if its slots are still those."""
        with self._lock:
            view = self.view
            index = view.parts.get(key)
            same = view.numbering is made_from.numbering
            if not same or index is None or index.n < graph.covered:
                return False
            self.view = view.with_part(key, index.with_graph(graph))
            self.saved.note_graph(key, is_saved=is_saved)
            return True

    def to_save(self, stop: Callable[[], bool]) -> tuple[View, SavedFiles, Callable[[], bool]]:
        """The view, what is saved already, and when to stop: all as of one moment."""
        with self._lock:
            return self.view, self.saved.files, self.saved.until_cut(stop)

    def note_saved(self, before: SavedFiles, now: SavedFiles) -> bool:
        """Remember what was saved; False if the view was read afresh since it was taken."""
        with self._lock:
            return self.saved.note_saved(before, now)

    def rest_on(self, key: DenseKey, saved: SavedFiles, matrix: MappedMatrix) -> None:
        """Let a dense index read its first vectors from a map of the file that they are saved in.

        What it read them from until now is given back when the last search that uses it ends: its
        own memory, or the pages that a search of all vectors has read of an earlier map. Those
        that are needed are read again from the file, or rather the system's memory of it, which
        all processes share.
        """
        with self._lock:
            view = self.view
            index = view.parts.get(key)
            if self.saved.files is saved and view.lineage == saved.lineage and index is not None:
                rows = index.rows.with_base(matrix.array)
                self.saved.hold(key, matrix.map)
                self.view = view.with_part(key, replace(index, rows=rows))

    def forget(self) -> None:
        """Drop all that can be read again."""
        with self._lock:
            # The view first: files without it are never used, and are replaced with the next one.
            self.view = empty_view(self.view.generation, text_keys=self._text_keys)
            self.saved.forget(self.view.lineage)


def _analyzers(info: CollectionInfo) -> dict[str, Analyzer]:
    """The analyzers of a collection's fields, as they were when it was made.

    Made of their identities: what a name stands for may have changed since.

    Raises:
        DatabaseFormatError: if one is not known here, or is damaged.
    """
    return {f.name: _known_analyzer(info, f.name) for f in info.schema.analysed}


def _known_analyzer(info: CollectionInfo, name: str) -> Analyzer:
    stored = info.analyzers.get(name)
    try:
        analyzer = build_analyzer(stored)
    except ParamError as error:
        if isinstance(error.__cause__, RecursionError):
            raise error.__cause__ from None  # it was read before: the stack is too full just now
        raise _unknown_analyzer(info, name) from error
    if analyzer.identity != stored:  # what is left out would stand for today's defaults
        raise _unknown_analyzer(info, name)
    return analyzer


def _unknown_analyzer(info: CollectionInfo, name: str) -> DatabaseFormatError:
    return DatabaseFormatError(
        f"collection {info.name!r}, field {name!r}: its texts were analysed by "
        f"{quoted(info.analyzers.get(name))}, which this version of elanus does not know; "
        "insert the texts again"
    )


def make_analyzers(schema: Schema) -> dict[str, Analyzer]:
    """An analyzer for each field whose terms are kept."""
    return {f.name: build_analyzer(f.analyzer_params) for f in schema.analysed}
