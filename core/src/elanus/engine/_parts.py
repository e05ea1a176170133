"""Parts of a view: the indexes and columns of a collection, and how each follows the file.

A part covers the first ``n`` slots of a view. Rows that were deleted before the part reached them
are no longer in the file; their slots are dead, and hold nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from elanus.engine._view import KeptKey, PartKey, View
from elanus.errors import DatabaseCorruptError
from elanus.index import (
    Bm25Index,
    DenseIndex,
    Moments,
    SparseIndex,
    SparseRows,
    bm25_from_arrays,
    bm25_to_arrays,
)
from elanus.query import (
    Column,
    FieldKind,
    FieldType,
    Step,
    column_from_arrays,
    column_to_arrays,
    extract_path,
    first_keys,
    type_of,
)
from elanus.schema import DYNAMIC, INTEGER_TYPES, DataType, FieldSchema, Metric, Schema
from elanus.storage import Connection, Tables, decode_row

Path = tuple[Step, ...]

_Piece = TypeVar("_Piece", bound=tuple[Any, ...])  # row numbers first
_Csr = tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[Any]]

TEXT, COLUMN = "text:", "column:"
"""How the kinds of files begin that hold the terms of a text field, and a column."""

_AT_ONCE = 4_096
"""Rows read at a time: as Python's objects they take more memory than the arrays made of them."""


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
        self, db: Connection, tables: Tables, view: View, part: DenseIndex | None
    ) -> DenseIndex:
        """See `PartKey`."""
        covered = 0 if part is None else part.n
        # Nulls, and rows that are gone: their slots hold zeros, and are never found.
        vectors = np.zeros((view.n - covered, self.dim), dtype=np.float32)
        present = np.zeros(len(vectors), dtype=bool)
        read = partial(tables.dense_since, db, self.field)
        for rows, filled, matrix in pieces(read, view, covered):
            places = _places(view, covered, rows)[filled]
            present[places] = True
            vectors[places] = matrix
        known = None if present.all() else present
        if part is None or not part.n:
            # Adopted, not appended: nothing is copied, now or when rows are added.
            return DenseIndex.from_matrix(vectors, known, self.metric)
        return part.append(vectors, known)


@dataclass(frozen=True, slots=True, eq=False)
class MomentsPart:
    """Moments of the vectors of the alive rows, of one view."""

    moments: Moments
    of: NDArray[np.bool_]
    last_delete: int


@dataclass(frozen=True, slots=True)
class MomentsKey(PartKey):
    """Moments of a dense index, for mean and deviation of scores; the part is a `MomentsPart`."""

    dense: DenseKey

    def is_current(self, part: MomentsPart, view: View) -> bool:
        """See `PartKey`."""
        return len(part.of) == view.n and part.last_delete == view.last_delete

    def follow(
        self, db: Connection, tables: Tables, view: View, part: MomentsPart | None
    ) -> MomentsPart:
        """See `PartKey`; the file need only be read if the index is behind."""
        index: DenseIndex | None = view.part(self.dense)
        if index is None:
            index = self.dense.follow(db, tables, view, view.parts.get(self.dense))
        moments = Moments.empty(self.dense.dim) if part is None else part.moments
        before = np.zeros(view.n, dtype=bool)
        if part is not None:
            before[: len(part.of)] = part.of
        now = with_direction(index, view.alive)
        return MomentsPart(moments.followed(index.rows, before, now), now, view.last_delete)


def with_direction(index: DenseIndex, alive: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The alive slots whose vectors moments are of.

    By COSINE not those of the vector zero, which is near to nothing and far from nothing: that of a
    blank text, say. The more of them there were, the more would any other stand out.
    """
    rows = index.rows
    found = alive if rows.present is None else alive & rows.present
    return found & (rows.squares > 0) if rows.metric is Metric.COSINE else found


@dataclass(frozen=True, slots=True)
class SparseKey(PartKey):
    """The index of sparse vectors that users gave; the part is a `SparseIndex`."""

    field: str

    def is_current(self, part: SparseIndex, view: View) -> bool:
        """See `PartKey`."""
        return part.n == view.n

    def follow(
        self, db: Connection, tables: Tables, view: View, part: SparseIndex | None
    ) -> SparseIndex:
        """See `PartKey`."""
        index = SparseIndex.empty() if part is None else part
        read = partial(tables.sparse_since, db, self.field)
        return index.append(_sparse_rows(read, view, index.n, np.float32)[0])


@dataclass(frozen=True, slots=True, eq=False)
class TextPart:
    """The terms of a text field, and the number of the last delete that its statistics know."""

    index: Bm25Index
    last_delete: int


@dataclass(frozen=True, slots=True)
class TextKey(KeptKey):
    """The terms of an analysed field with BM25's parameters; the part is a `TextPart`."""

    field: str
    k1: float
    b: float

    def is_current(self, part: TextPart, view: View) -> bool:
        """See `PartKey`."""
        return part.index.n == view.n and part.last_delete == view.last_delete

    def follow(self, db: Connection, tables: Tables, view: View, part: TextPart | None) -> TextPart:
        """See `PartKey`."""
        if part is not None and part.last_delete < view.last_delete:
            # The log may have been trimmed since: then it no longer says which terms are gone.
            part = part if part.last_delete >= tables.floor(db) else None
        if part is None:
            tables.check_words(db, self.field)
            part = TextPart(Bm25Index.empty(k1=self.k1, b=self.b), view.last_delete)
        index = part.index
        if part.last_delete < view.last_delete and index.n:
            index = self._without_deleted(db, tables, view, part)
        read = partial(tables.terms_since, db, self.field)
        added, is_there = _sparse_rows(read, view, index.n, np.uint32)
        gone = index.n + np.flatnonzero(~is_there)
        index = index.append(added)
        if len(gone):
            # They were deleted before this index saw them: no statistics may count them.
            index = index.remove(
                gone,
                SparseRows(
                    np.zeros(len(gone) + 1, dtype=np.int64), *(np.zeros(0, dtype=np.uint32),) * 2
                ),
            )
        return TextPart(index, view.last_delete)

    @property
    def file_kind(self) -> str:
        """See `KeptKey`: counts alone are saved, which serve any parameters."""
        return f"{TEXT}{self.field}"

    def covered(self, part: TextPart) -> int:
        """See `KeptKey`."""
        return part.index.n

    def known_delete(self, part: TextPart) -> int:
        """See `KeptKey`."""
        return part.last_delete

    def to_arrays(self, part: TextPart) -> dict[str, NDArray[Any]]:
        """See `KeptKey`."""
        return bm25_to_arrays(part.index)

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]], last_delete: int) -> TextPart:
        """See `KeptKey`."""
        return TextPart(bm25_from_arrays(arrays, k1=self.k1, b=self.b), last_delete)

    def _without_deleted(
        self, db: Connection, tables: Tables, view: View, part: TextPart
    ) -> Bm25Index:
        rows, (offsets, terms, counts) = tables.removed_terms(db, self.field, part.last_delete)
        # The log also names rows that came and went between two looks.
        real = np.isin(rows, view.rows[: part.index.n])
        picked = np.repeat(real, np.diff(offsets))
        ends = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(np.diff(offsets)[real])])
        removed = SparseRows(ends, terms[picked], counts[picked])
        return part.index.remove(view.slots_of(rows[real]), removed)


class StoredColumn(KeptKey):
    """A column that is read from the rows in the tables, which takes 10 µs a row; a `Column`.

    Attributes:
        path: what is read of each row.
        kind: what the column holds.
    """

    path: Path
    kind: FieldKind

    def is_current(self, part: Column, view: View) -> bool:
        """See `PartKey`."""
        return part.n == view.n

    def covered(self, part: Column) -> int:
        """See `KeptKey`."""
        return part.n

    def known_delete(self, part: Column) -> None:
        """See `KeptKey`: the slots of deleted rows are masked, whatever they hold."""

    def to_arrays(self, part: Column) -> dict[str, NDArray[Any]]:
        """See `KeptKey`."""
        return column_to_arrays(part)

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]], last_delete: int) -> Column:
        """See `KeptKey`."""
        del last_delete
        return column_from_arrays(self.kind, arrays)


@dataclass(frozen=True, slots=True)
class ColumnKey(StoredColumn):
    """The values of a scalar field or of a JSON path; the part is a `Column`."""

    path: Path
    kind: FieldKind

    @property
    def file_kind(self) -> str:
        """See `KeptKey`."""
        return f"{COLUMN}{self.kind}:{json.dumps(self.path)}"

    def follow(self, db: Connection, tables: Tables, view: View, part: Column | None) -> Column:
        """See `PartKey`."""
        column = Column.empty(self.kind) if part is None else part
        return follow_columns(db, tables, view, {self: column})[self]


@dataclass(frozen=True, slots=True)
class PrimaryKeyColumn(PartKey):
    """The primary keys as a column; they are in the view already."""

    kind: FieldKind

    def is_current(self, part: Column, view: View) -> bool:
        """See `PartKey`."""
        return part.n == view.n

    def follow(self, db: Connection, tables: Tables, view: View, part: Column | None) -> Column:
        """See `PartKey`; the file need not be read."""
        del db, tables
        column = Column.empty(self.kind) if part is None else part
        return column.append(view.keys[column.n :].tolist())


_NAMES = FieldKind(FieldType.ARRAY, FieldType.STRING)


@dataclass(frozen=True, slots=True)
class NamesKey(StoredColumn):
    """The keys of the objects at a JSON path; the part is a `Column` of arrays.

    The entries are texts, ``TYPE key``: a key with values of two types has two of them.
    """

    path: Path
    kind: FieldKind = _NAMES

    @property
    def file_kind(self) -> str:
        """See `KeptKey`."""
        return f"{COLUMN}names:{json.dumps(self.path)}"

    def follow(self, db: Connection, tables: Tables, view: View, part: Column | None) -> Column:
        """See `PartKey`."""
        column = Column.empty(self.kind) if part is None else part
        for documents in documents_since(db, tables, view, column.n):
            column = column.append([_names(v) for v in extract_path(documents, self.path)])
        return column


def _names(value: Any) -> list[str]:
    if not isinstance(value, dict):
        return []
    return [f"{type_of(each).name} {name}" for name, each in value.items()]


def follow_columns(
    db: Connection, tables: Tables, view: View, columns: Mapping[ColumnKey, Column]
) -> dict[ColumnKey, Column]:
    """Columns extended to all slots of the view; those that cover equally many by one pass."""
    found = {}
    for covered in {column.n for column in columns.values()}:
        together = {key: column for key, column in columns.items() if column.n == covered}
        for documents in documents_since(db, tables, view, covered):
            read = _Documents(documents, are_many=len(together) > 1)
            together = {key: read.append_to(column, key) for key, column in together.items()}
        found.update(together)
    return found


class _Documents:
    """Some documents, of which paths are read: what many paths share is looked at once."""

    def __init__(self, documents: list[dict[str, Any]], *, are_many: bool) -> None:
        self._documents = documents
        self._are_many = are_many
        self._parents: dict[Path, tuple[list[Any], set[str] | None]] = {}

    def append_to(self, column: Column, key: ColumnKey) -> Column:
        """A column with what stands at its path in the documents behind its values."""
        *way, last = key.path
        parents, names = self._at(tuple(way))
        is_json = key.kind.type is FieldType.JSON
        if names is not None and is_json and names.isdisjoint(first_keys(last)):
            # Thousands of keys that no document has are easily asked for.
            return column.append_missing(len(parents))
        return column.append(extract_path(parents, (last,)))

    def _at(self, way: Path) -> tuple[list[Any], set[str] | None]:
        """What stands at a path, and the names of all keys there if that is worth a look."""
        if way not in self._parents:
            values, names = extract_path(self._documents, way), None
            if self._are_many and not any(isinstance(v, list) for v in values):
                names = set().union(*(v for v in values if isinstance(v, dict)))
            self._parents[way] = values, names
        return self._parents[way]


def documents_since(
    db: Connection, tables: Tables, view: View, covered: int
) -> Iterator[list[dict[str, Any]]]:
    """The scalar fields of the slots after the first ``covered``; empty for rows that are gone."""
    for rows, blobs in pieces(partial(tables.data_since, db), view, covered):
        places = _places(view, covered, rows).tolist()
        documents: list[dict[str, Any]] = [{}] * (places[-1] + 1)
        for place, row, blob in zip(places, rows.tolist(), blobs, strict=True):
            documents[place] = decode_row(row, blob)
        yield documents
        covered += len(documents)
    if covered < view.n:
        yield [{}] * (view.n - covered)


def pieces(read: Callable[[int, int], _Piece], view: View, covered: int = 0) -> Iterator[_Piece]:
    """What there is of the rows after the first ``covered`` slots, some rows at a time."""
    first = last = int(view.rows[covered - 1]) if covered else 0
    count = 0
    while True:
        # The numbers rise, or reading fails: so this ends.
        piece = read(last, _AT_ONCE)
        if not len(piece[0]):
            break
        yield piece
        count += len(piece[0])
        last = int(piece[0][-1])
    expected = int(np.count_nonzero(view.alive[covered:]))
    if count != expected:
        raise DatabaseCorruptError(
            f"the file is damaged: a table has {count} of {expected} rows after row {first}; "
            "restore it from a backup"
        )


def _places(view: View, covered: int, rows: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where rows stand among the slots after the first ``covered``.

    Raises:
        DatabaseCorruptError: if one is not among them: the tables contradict each other.
    """
    slots = view.rows[covered:]
    places = np.searchsorted(slots, rows)
    if len(rows) and (places[-1] == len(slots) or not np.array_equal(slots[places], rows)):
        known = np.isin(rows, slots)
        raise DatabaseCorruptError(
            f"row {int(rows[~known][0])} of the file is damaged: a table has it that should not; "
            "restore it from a backup"
        )
    return places


def _sparse_rows(
    read: Callable[[int, int], tuple[NDArray[np.int64], _Csr]],
    view: View,
    covered: int,
    weights: type[np.float32 | np.uint32],
) -> tuple[SparseRows, NDArray[np.bool_]]:
    """The slots after the first ``covered``, and which of them have a row; the others are empty."""
    counts = np.zeros(view.n - covered, dtype=np.int64)
    is_there = np.zeros(len(counts), dtype=bool)
    indices: list[NDArray[np.uint32]] = [np.zeros(0, dtype=np.uint32)]
    values: list[NDArray[Any]] = [np.zeros(0, dtype=weights)]
    for rows, (offsets, found, given) in pieces(read, view, covered):
        places = _places(view, covered, rows)
        counts[places] = np.diff(offsets)
        is_there[places] = True
        indices.append(found)
        values.append(given)
    ends = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)])
    return SparseRows(ends, np.concatenate(indices), np.concatenate(values)), is_there


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
