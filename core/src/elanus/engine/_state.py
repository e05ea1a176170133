"""What a process keeps of a collection between calls."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from elanus.engine._parts import DenseKey, PartKey, TextKey, TextPart, field_kinds
from elanus.engine._view import View, empty_view, follow
from elanus.errors import DatabaseFormatError
from elanus.index import FieldKind, Graph
from elanus.schema import DataType, IndexSpec, Schema
from elanus.storage import CollectionInfo, Container, Tables, Vocabulary
from elanus.text import Analyzer, build_analyzer

MOST_SEGMENTS = 4
"""Pieces of a text index above which they are put together; each costs a query about 0.05 ms."""

Block = tuple[int, int, int]
"""First row, row after the last, CRC-32."""


@dataclass(frozen=True, slots=True)
class SavedMatrix:
    """A raw file of vectors, of which so many rows are registered.

    Attributes:
        blocks: row ranges of the file with the CRC-32 of each.
    """

    name: str
    rows: int
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class Restored:
    """A view that was saved, and what was saved with it.

    Attributes:
        view: with indexes that map the saved vectors.
        graphs: arrays of graphs, not yet assembled.
        matrices: the files that the vectors are in.
    """

    view: View
    graphs: Mapping[DenseKey, Container] = field(default_factory=dict)
    matrices: Mapping[DenseKey, SavedMatrix] = field(default_factory=dict)


class Upkeep(Protocol):
    """What a collection asks for, besides what its searches do themselves."""

    def restore(self, db: sqlite3.Connection, info: CollectionInfo) -> Restored | None:
        """The saved view of a collection, if there is one."""

    def check(self, state: CollectionState) -> None:
        """Have what was restored compared with its checksums, in the background."""

    def graph(self, state: CollectionState, key: DenseKey, spec: IndexSpec) -> None:
        """Have the graph made that an index lacks, in the background."""

    def merge(self, state: CollectionState, key: TextKey) -> None:
        """Have the pieces of a text index put together, in the background."""


class OutdatedSnapshotError(Exception):
    """The published view is newer than the transaction: begin again. Never leaves the engine."""


class CollectionState:
    """What a process keeps of a collection between calls: the newest view, and vocabularies."""

    def __init__(self, info: CollectionInfo, upkeep: Upkeep) -> None:
        self.number = info.number
        self.tables = Tables(info.number, info.schema)
        self.analyzers = _analyzers(info)
        self.vocabularies = {name: Vocabulary(self.tables, name) for name in self.analyzers}
        self.kinds: Mapping[str, FieldKind] = field_kinds(info.schema)
        self.lock = threading.RLock()
        self.is_loaded = True
        self.upkeep = upkeep
        self.matrices: Mapping[DenseKey, SavedMatrix] = {}
        self.saved_graphs: dict[DenseKey, Container] = {}
        self._text_keys = info.schema.primary.dtype is DataType.VARCHAR
        self._view = empty_view(info.generation, text_keys=self._text_keys)

    @property
    def view(self) -> View:
        """The newest view."""
        return self._view

    def at(self, db: sqlite3.Connection, info: CollectionInfo, seq: int) -> View:
        """The view of commit ``seq``, which the transaction of ``db`` sees.

        Raises:
            OutdatedSnapshotError: if a newer view was published meanwhile.
        """
        view = self._view
        if view.seq == seq:
            return view
        with self.lock:
            view = self._view = self._followed(db, info, seq)
            return view

    def _followed(self, db: sqlite3.Connection, info: CollectionInfo, seq: int) -> View:
        view = self._view
        if view.seq > seq:
            raise OutdatedSnapshotError
        if view.seq < 0:
            restored = self.upkeep.restore(db, info)
            view = view if restored is None else self._taken_over(restored)
        return view if view.seq == seq else follow(db, info, self.tables, view, seq)

    def _taken_over(self, restored: Restored) -> View:
        self.saved_graphs = dict(restored.graphs)
        self.matrices = restored.matrices
        self.upkeep.check(self)
        return restored.view

    def with_part(
        self, db: sqlite3.Connection, info: CollectionInfo, seq: int, key: PartKey
    ) -> View:
        """The view of commit ``seq`` with one part brought up to it.

        Raises:
            OutdatedSnapshotError: if a newer view was published meanwhile.
        """
        with self.lock:
            view = self._followed(db, info, seq)
            part = view.parts.get(key)
            if part is None or not key.is_current(part, view):
                part = key.follow(db, self.tables, view, part)
                view = view.with_part(key, part)
                self._tidy(key, part)
            self._view = view
            return view

    def _tidy(self, key: PartKey, part: Any) -> None:
        """Have the many small pieces that small writes leave in an index put together."""
        if isinstance(key, TextKey) and len(part.index.segments) > MOST_SEGMENTS:
            self.upkeep.merge(self, key)

    def merge(self, key: TextKey) -> None:
        """Put the pieces of an index together; if it was extended meanwhile, the next one will."""
        part: TextPart | None = self._view.parts.get(key)
        if part is None:
            return
        merged = TextPart(part.index.merged(), part.last_delete)
        with self.lock:
            if self._view.parts.get(key) is part:
                self._view = self._view.with_part(key, merged)

    def adopt(self, restored: Restored) -> bool:
        """Take over a view that another process saved; False if it is the one that we have."""
        if restored.view.lineage == self._view.lineage:
            return False
        with self.lock:
            self._view = self._taken_over(restored)
        return True

    def publish_graph(self, built_from: View, key: DenseKey, graph: Graph) -> bool:
        """Put a graph that was built in the background in place, if its slots are still those."""
        with self.lock:
            view = self._view
            index = view.parts.get(key)
            if view.lineage != built_from.lineage or index is None or index.n < graph.covered:
                return False
            self._view = view.with_part(key, index.with_graph(graph))
            return True

    def forget(self) -> None:
        """Drop all that can be read again."""
        with self.lock:
            self._view = empty_view(self._view.generation, text_keys=self._text_keys)
            self.saved_graphs = {}
            self.matrices = {}


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
                f"collection {info.name!r}, field {name!r}: its texts were analysed by {stored}, "
                f"this version of elanus has {analyzer.identity}; insert the texts again"
            )
    return found


def make_analyzers(schema: Schema) -> dict[str, Analyzer]:
    """An analyzer for each field whose terms are kept."""
    return {f.name: build_analyzer(f.analyzer_params) for f in schema.analysed}
