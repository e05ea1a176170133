"""Writing: everything that can be done before the lock is done before it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from elanus.engine._snapshot import Snapshot
from elanus.engine._state import CollectionState
from elanus.errors import DataNotMatchException, shown
from elanus.query import Expression
from elanus.schema import Batch, DataType, Rejected, Schema, converter
from elanus.storage import (
    CollectionInfo,
    Connection,
    NewRows,
    bump,
    encode_dense,
    encode_sparse,
    encode_terms,
    raise_next_id,
    take_ids,
)
from elanus.text import Analyzer

_AT_ONCE = 5_000
_MOST_LOGGED_DELETES = 20_000


@dataclass(frozen=True, slots=True)
class Terms:
    """The analysed texts of one field, in CSR form over a vocabulary of their own."""

    vocabulary: list[str]
    offsets: NDArray[np.int64]
    terms: NDArray[np.uint32]
    counts: NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A part of a write, ready but for what only the lock's holder knows: ids, term numbers."""

    keys: list[Any]
    data: list[bytes]
    vectors: list[list[bytes | None]]
    terms: dict[str, Terms]


def prepare(schema: Schema, analyzers: Mapping[str, Analyzer], batch: Batch) -> list[Prepared]:
    """Serialise and analyse a batch, in parts of bounded size.

    Raises:
        DataNotMatchException: if a value cannot be written as JSON.
    """
    keys = list(batch.keys)
    if schema.primary.auto_id and schema.primary.dtype is DataType.VARCHAR:
        keys = [uuid.uuid4().hex if key is None else key for key in keys]
    data = _to_json(batch.rows)
    columns = _vector_columns(schema, batch)
    parts = []
    for start in range(0, batch.count, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        terms = {n: _analyse(analyzers[n], texts[part]) for n, texts in batch.texts.items()}
        parts.append(Prepared(keys[part], data[part], [c[part] for c in columns], terms))
    return parts


def _to_json(rows: Sequence[dict[str, Any]]) -> list[bytes]:
    try:
        return [orjson.dumps(row) for row in rows]
    except orjson.JSONEncodeError as error:
        raise DataNotMatchException(f"a row cannot be written as JSON: {error}") from error


def _vector_columns(schema: Schema, batch: Batch) -> list[list[bytes | None]]:
    dense = [batch.dense[f.name] for f in schema.dense]
    sparse = [batch.sparse[f.name] for f in schema.sparse]
    return [
        *(encode_dense(c.matrix, c.present) for c in dense),
        *(encode_sparse(c.offsets, c.indices, c.values, c.present) for c in sparse),
    ]


def _analyse(analyzer: Analyzer, texts: Sequence[str | None]) -> Terms:
    found = analyzer.analyze([text or "" for text in texts])
    return Terms(found.vocabulary, found.offsets, found.terms, found.counts)


class Writer:
    """Writes prepared rows of one collection inside a transaction.

    Args:
        db: a connection inside a writing transaction.
        info: the collection.
        state: what this process keeps of it.
    """

    def __init__(self, db: Connection, info: CollectionInfo, state: CollectionState) -> None:
        self._db = db
        self._number = info.number
        self._primary = info.schema.primary
        self._tables = state.tables
        self._vocabularies = state.vocabularies

    def put(self, part: Prepared) -> list[Any]:
        """Insert rows, replacing those whose keys exist; the keys of all rows."""
        keys = self._with_ids(part.keys)
        kept = _last_of_each(keys)
        new = NewRows(
            _picked(keys, kept),
            _picked(part.data, kept),
            [_picked(column, kept) for column in part.vectors],
            [_picked(blobs, kept) for blobs in self._term_columns(part)],
        )
        self.remove(self._tables.rows_to_remove(self._db, new.keys))
        self._tables.add(self._db, new)
        return keys

    def _with_ids(self, keys: list[Any]) -> list[Any]:
        """Fill in the keys that the engine makes."""
        if not self._primary.auto_id or self._primary.dtype is not DataType.INT64:
            return keys
        given = [key for key in keys if key is not None]
        if given:
            raise_next_id(self._db, self._number, max(given) + 1)
        taken = take_ids(self._db, self._number, len(keys) - len(given))
        if taken:
            self._tables.check_new(self._db, taken.start)
        ids = iter(taken)
        return [next(ids) if key is None else key for key in keys]

    def _term_columns(self, part: Prepared) -> Iterator[list[bytes | None]]:
        for name, terms in part.terms.items():
            numbers = self._vocabularies[name].number(self._db, terms.vocabulary)
            numbers_array = np.array(numbers, dtype=np.uint32)
            yield encode_terms(terms.offsets, numbers_array[terms.terms], terms.counts)

    def remove(self, rows: Any) -> int:
        """Delete rows by number; how many."""
        numbers = list(rows)
        if numbers:
            self._tables.remove(self._db, numbers)
            if self._tables.logged_deletes(self._db) > 2 * _MOST_LOGGED_DELETES:
                self._tables.trim_deletes(self._db, _MOST_LOGGED_DELETES)
                bump(self._db, catalogue=True)
        return len(numbers)


def delete(snapshot: Snapshot, db: Connection, filters: tuple[Expression, ...]) -> int:
    """Delete the rows that all filters let pass; how many. The transaction is of the snapshot."""
    mask, view = snapshot.eligible(*filters), snapshot.view
    rows = view.rows if mask is None else view.rows[np.flatnonzero(mask)]
    deleted = Writer(db, snapshot.info, snapshot.state).remove(rows.tolist())
    bump(db)
    return deleted


def _last_of_each(keys: Sequence[Any]) -> list[int] | None:
    """Places of the rows to keep when a key occurs twice: the last one. None keeps all."""
    last = {key: place for place, key in enumerate(keys)}
    return None if len(last) == len(keys) else sorted(last.values())


def _picked(values: Sequence[Any], places: list[int] | None) -> Sequence[Any]:
    return values if places is None else [values[place] for place in places]


def check_keys(schema: Schema, keys: Sequence[Any]) -> list[Any]:
    """Primary keys, checked against the key's type.

    Raises:
        DataNotMatchException: if one has another type.
    """
    convert = converter(schema.primary)
    checked = []
    for key in keys:
        try:
            checked.append(convert(key))
        except Rejected as rule:
            raise DataNotMatchException(
                f"primary key {schema.primary.name!r}: {rule}; got {shown(key)}"
            ) from None
    return checked
