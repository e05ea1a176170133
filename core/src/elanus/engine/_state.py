"""What a process keeps of a collection between calls."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from elanus.engine._memory import return_free_memory
from elanus.engine._parts import (
    ColumnKey,
    DenseKey,
    PartKey,
    TextKey,
    TextPart,
    field_kinds,
    follow_columns,
)
from elanus.engine._saved import SLOTS, Restored, Saved, SavedText
from elanus.engine._view import View, empty_view, follow
from elanus.errors import DatabaseCorruptError, DatabaseFormatError, quoted
from elanus.index import Column, DenseIndex, FaissIndex, FieldKind, Graph, bm25_from_arrays
from elanus.schema import DataType, IndexSpec, Schema
from elanus.storage import (
    Apart,
    CollectionInfo,
    Connection,
    Container,
    FileMap,
    MappedMatrix,
    Tables,
    Vocabulary,
    find_snapshots,
    is_cut,
)
from elanus.text import Analyzer, build_analyzer

_log = logging.getLogger("elanus")

LEAST_WORTH_SAVING = 10_000
"""Rows of a text index that are saved once a quarter of it is not: reading them takes 0.1 s."""

MOST_SEGMENTS = 4
"""Pieces of a text index above which they are put together; each costs a query about 0.05 ms."""


class Upkeep(Protocol):
    """What a collection asks for, besides what its searches do themselves."""

    def restore(self, db: Connection, info: CollectionInfo) -> Restored | None:
        """The saved view of a collection, if there is one."""

    def check(self, state: CollectionState) -> None:
        """Have what was restored compared with its checksums, in the background."""

    def graph(self, state: CollectionState, key: DenseKey, spec: IndexSpec) -> None:
        """Have the graph made that an index lacks, in the background."""

    def merge(self, state: CollectionState, key: TextKey) -> None:
        """Have the pieces of a text index put together, in the background."""

    def save(self, state: CollectionState) -> None:
        """Have the text indexes saved, in the background."""


class OutdatedSnapshotError(Exception):
    """The published view is newer than the transaction: begin again. Never leaves the engine."""


class RestoredError(OutdatedSnapshotError):
    """The file holds less than was seen of it before: another state was restored in place."""


class CollectionState:
    """What a process keeps of a collection between calls: the newest view, and vocabularies."""

    def __init__(self, info: CollectionInfo, upkeep: Upkeep, apart: Apart | None = None) -> None:
        self._apart = apart or Apart()
        self.number = info.number
        self.tables = Tables(info.number, info.schema)
        self.analyzers = _analyzers(info)
        self.vocabularies = {name: Vocabulary(self.tables, name) for name in self.analyzers}
        self.kinds: Mapping[str, FieldKind] = field_kinds(info.schema)
        self.lock = threading.RLock()
        self.is_loaded = True
        self.unsaved_graphs: set[DenseKey] = set()
        self.upkeep = upkeep
        self.saved_graphs: dict[DenseKey, Container] = {}
        self._saved_texts: dict[str, SavedText] = {}
        self._text_keys = info.schema.primary.dtype is DataType.VARCHAR
        self._view = empty_view(info.generation, text_keys=self._text_keys)
        self.saved = Saved(self._view.lineage)
        self._began = -1  # the commit as of which the slots were numbered
        self.maps: Mapping[Hashable, FileMap] = {}  # replaced, never changed
        self._registered: str | None = None  # the file of slots that was, when we last looked

    def after_fork_in_child(self) -> None:
        """Make new locks, and drop what threads of the parent were in the middle of.

        A graph inside of which one was searching may hold a lock of its own for ever.
        """
        self.lock = threading.RLock()
        for vocabulary in self.vocabularies.values():
            vocabulary.finish(committed=False)
        parts = {
            key: part.with_graph(None)
            if isinstance(part, DenseIndex) and part.graph is not None and part.graph.busy
            else part
            for key, part in self._view.parts.items()
        }
        self._view = replace(self._view, parts=parts, settled=set())

    def check_maps(self) -> None:
        """Make sure that all that is mapped is still there: reading it would kill the process.

        Raises:
            OutdatedSnapshotError: if a file was made shorter; it is no longer used then.
        """
        maps = self.maps
        if maps and any(map(is_cut, maps.values())):
            _log.warning("a file in the cache folder was made shorter: reading its rows again")
            self.forget()
            raise OutdatedSnapshotError

    def until_cut(self, stop: Callable[[], bool]) -> Callable[[], bool]:
        """Tells whether to stop, also because something that is mapped now was made shorter."""
        maps = tuple(self.maps.values())
        return lambda: stop() or any(map(is_cut, maps))

    @property
    def view(self) -> View:
        """The newest view."""
        return self._view

    def at(self, db: Connection, info: CollectionInfo, seq: int) -> View:
        """The view of commit ``seq``, which the transaction of ``db`` sees.

        Raises:
            OutdatedSnapshotError: if a newer view was published meanwhile.
        """
        view = self._view
        return view if view.seq == seq else self._apart.run(lambda: self._follow_to(db, info, seq))

    def _follow_to(self, db: Connection, info: CollectionInfo, seq: int) -> View:
        with self.lock:
            view = self._view = self._followed(db, info, seq)
            return view

    def _followed(self, db: Connection, info: CollectionInfo, seq: int) -> View:
        view = self._view
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
        self._compare(db)
        followed = follow(db, info, self.tables, view, seq)
        if view.seq < 0 or followed.lineage != view.lineage:
            self._began = seq
        return followed

    def _compare(self, db: Connection) -> None:
        """Have what we map checked if it is no longer registered: it may be damaged."""
        held = self.saved.files.get(SLOTS)
        if held is not None:
            there = find_snapshots(db, self.number).get(SLOTS)
            name = None if there is None else there.id
            if name != self._registered:
                self._registered = name
                self.upkeep.check(self)

    def _taken_over(self, restored: Restored) -> View:
        self._began = restored.view.seq
        self.saved = restored.saved
        self.saved_graphs = dict(restored.graphs)
        self._saved_texts = dict(restored.texts)
        self.maps = restored.maps
        self._registered = restored.saved.files[SLOTS].id
        self.upkeep.check(self)
        return restored.view

    def with_part(self, db: Connection, info: CollectionInfo, seq: int, key: PartKey) -> View:
        """The view of commit ``seq`` with one part brought up to it.

        Raises:
            OutdatedSnapshotError: if a newer view was published meanwhile.
        """
        return self._apart.run(lambda: self._with_part(db, info, seq, key))

    def _with_part(self, db: Connection, info: CollectionInfo, seq: int, key: PartKey) -> View:
        with self.lock:
            view = self._followed(db, info, seq)
            part = view.parts.get(key)
            if part is None and isinstance(key, TextKey):
                part = self._saved_text(key, view)
            if part is None or not key.is_current(part, view):
                part = self._follow(db, view, key, part)
            if part is not view.parts.get(key):
                view = view.with_part(key, part)
            self._view = view
            if isinstance(key, TextKey):
                self._tidy(key, view.parts[key])
            return view

    def with_columns(
        self, db: Connection, info: CollectionInfo, seq: int, keys: Collection[ColumnKey]
    ) -> View:
        """The view of commit ``seq`` with some columns brought up to it, by one pass over the rows.

        Raises:
            OutdatedSnapshotError: if a newer view was published meanwhile.
        """
        return self._apart.run(lambda: self._with_columns(db, info, seq, keys))

    def _with_columns(
        self, db: Connection, info: CollectionInfo, seq: int, keys: Collection[ColumnKey]
    ) -> View:
        with self.lock:
            view = self._followed(db, info, seq)
            known = {key: view.parts.get(key) or Column.empty(key.kind) for key in keys}
            behind = {key: column for key, column in known.items() if column.n < view.n}
            if behind:
                parts = dict(view.parts)
                parts.update(follow_columns(db, self.tables, view, behind).items())
                view = replace(view, parts=parts, settled=set())
                if view.n >= LEAST_WORTH_SAVING:
                    return_free_memory()  # as below
            self._view = view
            return view

    def _follow(self, db: Connection, view: View, key: PartKey, part: Any) -> Any:
        followed = key.follow(db, self.tables, view, part)
        if part is None and view.n >= LEAST_WORTH_SAVING:
            # What was read is several times what is kept of it. Now, and not in the background:
            # the C library would let the next searches wait for it.
            return_free_memory()
        return followed

    def _saved_text(self, key: TextKey, view: View) -> TextPart | None:
        """The text index that was saved, if it fits the view and is sound."""
        saved = self._saved_texts.pop(key.field, None)
        if saved is None or saved.container.meta["lineage"] != view.lineage:
            return None
        try:
            saved.container.check()
            index = bm25_from_arrays(saved.container.arrays, k1=key.k1, b=key.b)
        except (DatabaseCorruptError, KeyError, ValueError) as error:
            _log.warning("ignoring the saved terms of %r, and reading them: %s", key.field, error)
            self.saved = self.saved.without_text(key.field)
            return None
        self.maps = {**self.maps, key: saved.container.map}
        return TextPart(index, saved.last_delete)

    def _tidy(self, key: TextKey, part: TextPart) -> None:
        """Have many small pieces, which small writes leave, put together, and much saved."""
        if len(part.index.segments) > MOST_SEGMENTS:
            self.upkeep.merge(self, key)
        if self.wants_saving(key, part):
            self.upkeep.save(self)

    def wants_saving(self, key: TextKey, part: TextPart) -> bool:
        """Whether much of a text index would have to be read again at the next opening."""
        saved = self.saved
        known = saved.texts.get(key.field, 0) if saved.lineage == self._view.lineage else 0
        return part.index.n - known >= max(LEAST_WORTH_SAVING, part.index.n // 4)

    def merge(self, key: TextKey, stop: Callable[[], bool]) -> None:
        """Put the pieces of an index together; if it was extended meanwhile, the next one will."""
        part: TextPart | None = self._view.parts.get(key)
        if part is None or self.until_cut(stop)():
            return
        merged = TextPart(part.index.merged(), part.last_delete)
        with self.lock:
            if self._view.parts.get(key) is part:
                self._view = self._view.with_part(key, merged)

    def adopt(self, restored: Restored) -> bool:
        """Take over a view that another process saved; False if it is the one that we have.

        Or one from before ours was read afresh, which was done because that one was of no use.
        """
        if restored.view.lineage == self._view.lineage or restored.view.seq < self._began:
            return False
        with self.lock:
            self._view = self._taken_over(restored)
        return True

    def publish_graph(self, built_from: View, key: DenseKey, graph: Graph | FaissIndex) -> bool:
        """Put a graph that was built in the background in place, if its slots are still those."""
        with self.lock:
            view = self._view
            index = view.parts.get(key)
            same = view.numbering is built_from.numbering
            if not same or index is None or index.n < graph.covered:
                return False
            self._view = view.with_part(key, index.with_graph(graph))
            self.unsaved_graphs.add(key)
            return True

    def note_saved(self, before: Saved, saved: Saved) -> bool:
        """Remember what was saved; False if the view was read afresh after ``before`` was taken.

        A view that is restored again may number the rows behind the saved ones otherwise.
        """
        with self.lock:
            is_same = self.saved is before
            if is_same:
                self.saved = saved
                self._registered = saved.files[SLOTS].id
            return is_same

    def rest_on(self, key: DenseKey, saved: Saved, matrix: MappedMatrix) -> None:
        """Let a dense index read its first vectors from a map of the file that they are saved in.

        What it read them from until now is given back when the last search that uses it ends: its
        own memory, or the pages that a search of all vectors has read of an earlier map. Those
        that are needed are read again from the file, or rather the system's memory of it, which
        all processes share.
        """
        with self.lock:
            view = self._view
            index = view.parts.get(key)
            if self.saved is saved and view.lineage == saved.lineage and index is not None:
                rows = index.rows.with_base(matrix.array)
                self.maps = {**self.maps, key: matrix.map}
                self._view = view.with_part(key, replace(index, rows=rows))

    def forget(self) -> None:
        """Drop all that can be read again."""
        with self.lock:
            self._view = empty_view(self._view.generation, text_keys=self._text_keys)
            self.saved = Saved(self._view.lineage)
            self.saved_graphs = {}
            self.unsaved_graphs = set()
            self._saved_texts = {}
            self.maps = {}


def _analyzers(info: CollectionInfo) -> dict[str, Analyzer]:
    """The analyzers of a collection's fields.

    Raises:
        DatabaseFormatError: if their rules have changed since the texts were analysed.
    """
    found = make_analyzers(info.schema)
    for name, analyzer in found.items():
        stored = info.analyzers.get(name)
        if stored != analyzer.identity:
            raise DatabaseFormatError(
                f"collection {info.name!r}, field {name!r}: its texts were analysed by "
                f"{quoted(stored)}, this version of elanus has {quoted(analyzer.identity)}; "
                "insert the texts again"
            )
    return found


def make_analyzers(schema: Schema) -> dict[str, Analyzer]:
    """An analyzer for each field whose terms are kept."""
    return {f.name: build_analyzer(f.analyzer_params) for f in schema.analysed}
