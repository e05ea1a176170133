"""A snapshot: one commit of a collection, seen through one read transaction."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.engine._background import Background
from elanus.engine._cache import Restored, SavedMatrix, SnapshotCache
from elanus.engine._graphs import make_graph
from elanus.engine._parts import (
    DenseKey,
    PartKey,
    Path,
    TextKey,
    TextPart,
    column_key,
    field_kinds,
)
from elanus.engine._view import View, empty_view, follow
from elanus.errors import DatabaseFormatError
from elanus.index import Column, FieldKind, Graph
from elanus.query import Expression, evaluate
from elanus.schema import DataType, IndexSpec, Schema
from elanus.storage import CollectionInfo, Container, Tables, Vocabulary
from elanus.text import Analyzer, build_analyzer

DEFAULT_K1, DEFAULT_B = 1.2, 0.75

MOST_SEGMENTS = 4
"""Pieces of a text index above which they are put together; each costs a query about 0.05 ms."""


class OutdatedSnapshotError(Exception):
    """The published view is newer than the transaction: begin again. Never leaves the engine."""


class CollectionState:
    """What a process keeps of a collection between calls: the newest view, and vocabularies."""

    def __init__(
        self, info: CollectionInfo, background: Background, cache: SnapshotCache | None
    ) -> None:
        self.number = info.number
        self.tables = Tables(info.number, info.schema)
        self.analyzers = _analyzers(info)
        self.vocabularies = {name: Vocabulary(self.tables, name) for name in self.analyzers}
        self.kinds: Mapping[str, FieldKind] = field_kinds(info.schema)
        self.lock = threading.RLock()
        self.is_loaded = True
        self.matrices: Mapping[DenseKey, SavedMatrix] = {}
        self._background = background
        self._cache = cache
        self._saved_graphs: dict[DenseKey, Container] = {}
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
        if view.seq < 0 and self._cache is not None:
            view = self._taken_over(self._cache.restore(db, info)) or view
        return view if view.seq == seq else follow(db, info, self.tables, view, seq)

    def _taken_over(self, restored: Restored | None) -> View | None:
        if restored is None:
            return None
        self._saved_graphs = dict(restored.graphs)
        self.matrices = restored.matrices
        cache = self._cache
        if cache is not None:
            self._background.request((self.number, "check"), lambda stop: cache.check(self, stop))
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
            self._background.request((self.number, key), lambda _: self._merge(key))

    def _merge(self, key: TextKey) -> None:
        """Put the pieces of an index together; if it was extended meanwhile, the next one will."""
        part: TextPart | None = self._view.parts.get(key)
        if part is None:
            return
        merged = TextPart(part.index.merged(), part.last_delete)
        with self.lock:
            if self._view.parts.get(key) is part:
                self._view = self._view.with_part(key, merged)

    # --- graphs ----------------------------------------------------------------------------

    def request_graph(self, key: DenseKey, spec: IndexSpec) -> None:
        """Ask for the graph that an index lacks; it is made in the background."""
        self._background.request(
            (self.number, key), lambda stop: make_graph(self, key, spec, self._cache, stop)
        )

    def wait_for_graph(self, key: DenseKey) -> None:
        """Wait for a graph that must be built; one that was saved is not waited for."""
        if key not in self._saved_graphs:
            self._background.wait((self.number, key))

    def saved_graph(self, key: DenseKey) -> Container | None:
        """The saved arrays of a graph that is not assembled yet."""
        return self._saved_graphs.get(key)

    def drop_saved_graph(self, key: DenseKey) -> None:
        """Say that a saved graph was assembled, or is of no use."""
        self._saved_graphs.pop(key, None)

    def adopt(self, cache: SnapshotCache) -> bool:
        """Take over what another process saved since; whether there was anything."""
        restored = cache.restore_newest(self.number)
        if restored is None or restored.view.lineage == self._view.lineage:
            return False
        with self.lock:
            view = self._taken_over(restored)
            assert view is not None
            self._view = view
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
            self._saved_graphs = {}
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


class Snapshot:
    """One commit of a collection; a column source for filters.

    Args:
        db: a connection inside a transaction.
        seq: number of the commit that it sees.
        info: the collection as of that commit.
        state: what this process keeps of it.
    """

    def __init__(
        self, db: sqlite3.Connection, seq: int, info: CollectionInfo, state: CollectionState
    ) -> None:
        self.db = db
        self.info = info
        self.state = state
        self._view = state.at(db, info, seq)

    @property
    def view(self) -> View:
        """The rows of this commit."""
        return self._view

    @property
    def schema(self) -> Schema:
        """The collection's schema."""
        return self.info.schema

    def part(self, key: PartKey) -> Any:
        """An index or column, covering every slot of the view."""
        part = self._view.parts.get(key)
        if part is None or not key.is_current(part, self._view):
            view = self.state.with_part(self.db, self.info, self._view.seq, key)
            if view.lineage != self._view.lineage:
                # Slots were numbered afresh meanwhile: masks and slots known so far are void.
                raise OutdatedSnapshotError
            self._view = view
            part = view.parts[key]
        return part

    # --- column source of filters ----------------------------------------------------------

    @property
    def n(self) -> int:
        """Number of slots."""
        return self._view.n

    def kind(self, name: str) -> FieldKind | None:
        """What a field is; None if there is no such field."""
        return self.state.kinds.get(name)

    def column(self, path: Path) -> Column:
        """The values of a field or path by slot."""
        column: Column = self.part(column_key(self.schema, path))
        return column

    def text_match(self, field: str, text: str, minimum: int) -> NDArray[np.bool_]:
        """The slots whose text holds at least ``minimum`` of the terms of ``text``."""
        terms = set(self.state.analyzers[field].tokens(text))
        numbers = self.state.vocabularies[field].find(self.db, terms)
        part: TextPart = self.part(self.text_key(field))
        if not terms or minimum > len(numbers):
            return np.zeros(self.n, dtype=bool)
        return part.index.matching(list(numbers.values()), minimum)

    def text_key(self, field: str) -> TextKey:
        """The key of a text field's terms, with the parameters of the BM25 index on it."""
        for target, source in self.schema.bm25_inputs.items():
            index = self.info.index_on(target) if source == field else None
            if index is not None:
                k1 = index.params.get("bm25_k1", DEFAULT_K1)
                return TextKey(field, k1, index.params.get("bm25_b", DEFAULT_B))
        return TextKey(field, DEFAULT_K1, DEFAULT_B)

    def eligible(self, *filters: Expression) -> NDArray[np.bool_] | None:
        """The alive slots that all filters let pass; None if that is every slot."""
        mask = self._view.mask
        for expression in filters:
            passing = evaluate(expression, self)
            mask = passing if mask is None else passing & mask
        return mask
