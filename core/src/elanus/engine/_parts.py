"""Parts of a view: the indexes and columns of a collection, and how each follows the file.

A part covers the first ``n`` slots of a view. Rows that were deleted before the part reached them
are no longer in the file; their slots are dead, and hold nothing.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.engine._view import View
from elanus.index import (
    Bm25Index,
    Column,
    DenseIndex,
    FieldKind,
    FieldType,
    SparseIndex,
    SparseRows,
    extract_path,
)
from elanus.schema import DYNAMIC, INTEGER_TYPES, DataType, FieldSchema, Metric, Schema
from elanus.storage import Tables, decode_dense, decode_row, decode_sparse, decode_terms

Path = tuple[str | int, ...]


class PartKey(ABC):
    """Names a part of a view, and knows how to bring it up to the view."""

    @abstractmethod
    def follow(self, db: sqlite3.Connection, tables: Tables, view: View, part: Any) -> Any:
        """The part, or None for a new one, extended to all slots of the view.

        ``db`` is inside a transaction of the view's commit.
        """

    @abstractmethod
    def is_current(self, part: Any, view: View) -> bool:
        """Whether a part needs nothing more for this view."""


@dataclass(frozen=True, slots=True)
class DenseKey(PartKey):
    """The index of a dense vector field under a metric; the part is a `DenseIndex`."""

    field: str
    dim: int
    metric: Metric

    def is_current(self, part: DenseIndex, view: View) -> bool:
        """See `PartKey`."""
        return part.n == view.n

    def follow(
        self, db: sqlite3.Connection, tables: Tables, view: View, part: DenseIndex | None
    ) -> DenseIndex:
        """See `PartKey`."""
        index = DenseIndex.empty(self.dim, self.metric) if part is None else part
        rows, blobs = tables.vectors_since(db, self.field, _last_covered(view, index.n))
        places = _places(view, index.n, rows)
        filled = np.array([blob is not None for blob in blobs], dtype=bool)
        m = view.n - index.n
        present = np.zeros(m, dtype=bool)
        present[places[filled]] = True
        vectors = decode_dense([blob for blob in blobs if blob is not None], self.dim)
        if len(vectors) < m:
            # Nulls, and rows that are gone: their slots hold zeros, and are never found.
            scattered = np.zeros((m, self.dim), dtype=np.float32)
            scattered[places[filled]] = vectors
            vectors = scattered
        return index.append(vectors, None if present.all() else present)


@dataclass(frozen=True, slots=True)
class SparseKey(PartKey):
    """The index of sparse vectors that users gave; the part is a `SparseIndex`."""

    field: str

    def is_current(self, part: SparseIndex, view: View) -> bool:
        """See `PartKey`."""
        return part.n == view.n

    def follow(
        self, db: sqlite3.Connection, tables: Tables, view: View, part: SparseIndex | None
    ) -> SparseIndex:
        """See `PartKey`."""
        index = SparseIndex.empty() if part is None else part
        rows, blobs = tables.vectors_since(db, self.field, _last_covered(view, index.n))
        aligned = _aligned(view, index.n, rows, blobs)
        return index.append(SparseRows(*decode_sparse(aligned)))


@dataclass(frozen=True, slots=True)
class TextPart:
    """The terms of a text field, and the number of the last delete that its statistics know."""

    index: Bm25Index
    last_delete: int


@dataclass(frozen=True, slots=True)
class TextKey(PartKey):
    """The terms of an analysed field with BM25's parameters; the part is a `TextPart`."""

    field: str
    k1: float
    b: float

    def is_current(self, part: TextPart, view: View) -> bool:
        """See `PartKey`."""
        return part.index.n == view.n and part.last_delete == view.last_delete

    def follow(
        self, db: sqlite3.Connection, tables: Tables, view: View, part: TextPart | None
    ) -> TextPart:
        """See `PartKey`."""
        if part is not None and part.last_delete < view.last_delete:
            # The log may have been trimmed since: then it no longer says which terms are gone.
            part = part if part.last_delete >= tables.floor(db) else None
        if part is None:
            part = TextPart(Bm25Index.empty(k1=self.k1, b=self.b), view.last_delete)
        index = part.index
        if part.last_delete < view.last_delete and index.n:
            index = self._without_deleted(db, tables, view, part)
        rows, blobs = tables.terms_since(db, self.field, _last_covered(view, index.n))
        first = index.n
        index = index.append(SparseRows(*decode_terms(_aligned(view, first, rows, blobs))))
        gone = np.setdiff1d(np.arange(first, view.n), first + _places(view, first, rows))
        if len(gone):
            # They were deleted before this index saw them: no statistics may count them.
            index = index.remove(gone, SparseRows(*decode_terms([None] * len(gone))))
        return TextPart(index, view.last_delete)

    def _without_deleted(
        self, db: sqlite3.Connection, tables: Tables, view: View, part: TextPart
    ) -> Bm25Index:
        rows, blobs = tables.removed_terms(db, self.field, part.last_delete)
        known = rows <= view.rows[part.index.n - 1]
        slots = np.searchsorted(view.rows, rows[known])
        terms = [blob for blob, seen in zip(blobs, known.tolist(), strict=True) if seen]
        # The log also names rows that came and went between two looks.
        real = view.rows[slots] == rows[known]
        terms = [blob for blob, there in zip(terms, real.tolist(), strict=True) if there]
        return part.index.remove(slots[real], SparseRows(*decode_terms(terms)))


@dataclass(frozen=True, slots=True)
class ColumnKey(PartKey):
    """The values of a scalar field or of a JSON path; the part is a `Column`."""

    path: Path
    kind: FieldKind

    def is_current(self, part: Column, view: View) -> bool:
        """See `PartKey`."""
        return part.n == view.n

    def follow(
        self, db: sqlite3.Connection, tables: Tables, view: View, part: Column | None
    ) -> Column:
        """See `PartKey`."""
        column = Column.empty(self.kind) if part is None else part
        documents = documents_since(db, tables, view, column.n)
        return self.extended(column, documents)

    def extended(self, column: Column, documents: Sequence[dict[str, Any]]) -> Column:
        """The column with the values that the documents have at its path."""
        return column.append(extract_path(documents, self.path))


@dataclass(frozen=True, slots=True)
class PrimaryKeyColumn(PartKey):
    """The primary keys as a column; they are in the view already."""

    kind: FieldKind

    def is_current(self, part: Column, view: View) -> bool:
        """See `PartKey`."""
        return part.n == view.n

    def follow(
        self, db: sqlite3.Connection, tables: Tables, view: View, part: Column | None
    ) -> Column:
        """See `PartKey`; the file need not be read."""
        del db, tables
        column = Column.empty(self.kind) if part is None else part
        return column.append(view.keys[column.n :].tolist())


def documents_since(
    db: sqlite3.Connection, tables: Tables, view: View, covered: int
) -> list[dict[str, Any]]:
    """The scalar fields of the slots after the first ``covered``; empty for rows that are gone."""
    rows, blobs = tables.data_since(db, _last_covered(view, covered))
    documents: list[dict[str, Any]] = [{}] * (view.n - covered)
    places = _places(view, covered, rows).tolist()
    for place, row, blob in zip(places, rows.tolist(), blobs, strict=True):
        documents[place] = decode_row(row, blob)
    return documents


def _last_covered(view: View, covered: int) -> int:
    return int(view.rows[covered - 1]) if covered else 0


def _places(view: View, covered: int, rows: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where rows stand among the slots after the first ``covered``."""
    return np.searchsorted(view.rows[covered:], rows)


def _aligned(
    view: View, covered: int, rows: NDArray[np.int64], blobs: Sequence[bytes | None]
) -> Sequence[bytes | None]:
    if len(blobs) == view.n - covered:
        return blobs
    aligned: list[bytes | None] = [None] * (view.n - covered)
    for place, blob in zip(_places(view, covered, rows).tolist(), blobs, strict=True):
        aligned[place] = blob
    return aligned


_FIELD_TYPES = {
    DataType.BOOL: FieldType.BOOL,
    DataType.FLOAT: FieldType.FLOAT32,
    DataType.DOUBLE: FieldType.DOUBLE,
    DataType.VARCHAR: FieldType.STRING,
    DataType.JSON: FieldType.JSON,
    DataType.ARRAY: FieldType.ARRAY,
    DataType.FLOAT_VECTOR: FieldType.VECTOR,
    DataType.SPARSE_FLOAT_VECTOR: FieldType.VECTOR,
    **dict.fromkeys(INTEGER_TYPES, FieldType.INT),
}


def field_kinds(schema: Schema) -> dict[str, FieldKind]:
    """The fields of a schema as filters see them."""
    kinds = {f.name: _field_kind(schema, f) for f in schema.fields}
    if schema.enable_dynamic_field:
        kinds[DYNAMIC] = FieldKind(FieldType.JSON)
    return kinds


def _field_kind(schema: Schema, f: FieldSchema) -> FieldKind:
    element = None if f.element_type is None else _FIELD_TYPES[f.element_type]
    return FieldKind(_FIELD_TYPES[f.dtype], element, f in schema.analysed)


def column_key(schema: Schema, path: Path) -> PartKey:
    """The key of the column that holds a field or a JSON path."""
    name = path[0]
    if name == DYNAMIC:
        return ColumnKey(path, FieldKind(FieldType.JSON))
    f = schema.by_name[str(name)]
    kind = _field_kind(schema, f)
    if f.is_primary:
        return PrimaryKeyColumn(kind)
    return ColumnKey(path, kind if len(path) == 1 else FieldKind(FieldType.JSON))
