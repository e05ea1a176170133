"""Writing: everything that can be done before the lock is done before it."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from elanus.engine._snapshot import Snapshot
from elanus.engine._state import CollectionState
from elanus.errors import DataNotMatchException, ParamError, quoted, shown
from elanus.query import Expression
from elanus.schema import DYNAMIC, Batch, DataType, Rejected, Schema, converter
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


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """The analysed texts of one field, in CSR form over a vocabulary of their own."""

    vocabulary: list[str]
    offsets: NDArray[np.int64]
    terms: NDArray[np.uint32]
    counts: NDArray[np.uint32]


@dataclass(frozen=True, slots=True, eq=False)
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
    dense = [batch.dense[f.name] for f in schema.dense]
    sparse = [batch.sparse[f.name] for f in schema.sparse]
    columns = [
        *(encode_dense(c.matrix, c.present) for c in dense),
        *(encode_sparse(c.offsets, c.indices, c.values, c.present) for c in sparse),
    ]
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
        self._analyzers = state.analyzers

    def put(self, part: Prepared, unless: Collection[int] = ()) -> list[Any]:
        """Insert rows, replacing those whose keys exist; the keys of all rows.

        Args:
            part: the rows.
            unless: places of rows to leave out.
        """
        keys = self._with_ids(part.keys)
        kept = _last_of_each(keys)
        if unless:
            places = range(len(keys)) if kept is None else kept
            kept = [place for place in places if place not in unless]
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
            yield self._numbered(name, terms)

    def analysed(self, name: str, texts: Sequence[str]) -> list[bytes | None]:
        """The terms of texts of a field, as they are stored."""
        return self._numbered(name, _analyse(self._analyzers[name], texts))

    def _numbered(self, name: str, terms: Terms) -> list[bytes | None]:
        numbers = self._vocabularies[name].number(self._db, terms.vocabulary)
        numbers_array = np.array(numbers, dtype=np.uint32)
        return encode_terms(terms.offsets, numbers_array[terms.terms], terms.counts)

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


@dataclass(frozen=True, slots=True)
class Replacement:
    """What it took to make some rows what they should be.

    Attributes:
        written: rows that were not there, or otherwise.
        deleted: rows that are gone.
        unchanged: rows that were there as they should be, and were not touched.
    """

    written: int
    deleted: int
    unchanged: int


def replace(
    snapshot: Snapshot,
    db: Connection,
    filters: tuple[Expression, ...],
    parts: Sequence[Prepared],
) -> tuple[list[Any], Replacement]:
    """Make the rows that all filters let pass those of ``parts``, whose keys are distinct.

    Raises:
        ParamError: if a key is that of a row which the filters do not let pass.
    """
    rows, keys = _matching(snapshot, filters)
    there = dict(zip(keys, rows, strict=True))
    writer, given, unchanged = Writer(db, snapshot.info, snapshot.state), [], 0
    for part in parts:
        _check_not_elsewhere(snapshot, db, part, there)
        same = _unchanged(snapshot, part, there)
        unchanged += len(same)
        given += writer.put(part, same)
    wanted = set(given)
    deleted = writer.remove([row for key, row in there.items() if key not in wanted])
    bump(db)
    return given, Replacement(len(given) - unchanged, deleted, unchanged)


def _matching(snapshot: Snapshot, filters: tuple[Expression, ...]) -> tuple[list[int], list[Any]]:
    """Numbers and keys of the rows that all filters let pass."""
    view, mask = snapshot.view, snapshot.eligible(*filters)
    slots = slice(None) if mask is None else np.flatnonzero(mask)
    return view.rows[slots].tolist(), view.keys[slots].tolist()


def _check_not_elsewhere(
    snapshot: Snapshot, db: Connection, part: Prepared, there: Mapping[Any, int]
) -> None:
    new = [key for key in part.keys if key is not None and key not in there]
    other = next(iter(snapshot.state.tables.rows_of(db, new)), None)
    if other is not None:
        raise ParamError(
            f"replace: {quoted(other)} is the key of a row that the filter does not select; delete "
            "that row first, or give another key"
        )


def _unchanged(snapshot: Snapshot, part: Prepared, there: Mapping[Any, int]) -> set[int]:
    """Places of the rows that are stored as they should be already, bit for bit."""
    tables, schema = snapshot.state.tables, snapshot.schema
    places = [place for place, key in enumerate(part.keys) if key in there]
    keys = [part.keys[place] for place in places]
    rows = [there[key] for key in keys]
    stored = snapshot.by_row(rows, tables.documents, rows, keys)
    # As bytes: to Python 1, 1.0 and True are equal.
    same = {p for p, d in zip(places, stored, strict=True) if orjson.dumps(d) == part.data[p]}
    for f, column in zip((*schema.dense, *schema.sparse), part.vectors, strict=True):
        blobs = snapshot.by_row(rows, tables.fetch_vectors, f.name, rows)
        same -= {p for p, blob in zip(places, blobs, strict=True) if blob != column[p]}
    return same


@dataclass(frozen=True, slots=True)
class JsonChange:
    """A change of the object that a JSON field holds.

    Attributes:
        field: name of the field, or ``$meta``.
        values: keys to set, JSON values.
        removed: keys to take out, where they are.
        texts: text fields that hold the text under a key of the object, by name, with that key.
    """

    field: str
    values: Mapping[str, Any]
    removed: frozenset[str]
    texts: Mapping[str, str]

    def of(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The scalar fields of a row, changed.

        Raises:
            ParamError: if the field holds something else than an object.
        """
        there = document.get(self.field)
        if not isinstance(there, dict | None):
            raise ParamError(f"field {quoted(self.field)} of a row is no object: {shown(there)}")
        kept = {k: v for k, v in (there or {}).items() if k not in self.removed}
        changed = {**kept, **self.values}
        found = ((name, changed.get(key)) for name, key in self.texts.items())
        texts = {name: text if isinstance(text, str) else "" for name, text in found}
        if self.field == DYNAMIC and not changed:  # As a row is inserted that has no dynamic keys.
            return {k: v for k, v in document.items() if k != DYNAMIC} | texts
        # Null stays null where nothing is set.
        value = there if there is None and not changed else changed
        return {**document, **texts, self.field: value}


def change_json(
    snapshot: Snapshot,
    db: Connection,
    filters: tuple[Expression, ...],
    keys: Sequence[Any] | None,
    change: JsonChange,
) -> int:
    """Change a JSON field of the rows that all filters let pass, or of some keys; how many.

    Vectors stay those that are stored, and so do terms of texts that the change does not enter. A
    row that is so already is not touched.
    """
    if keys is None:
        rows, keys = _matching(snapshot, filters)
    else:
        found = snapshot.state.tables.rows_of(db, check_keys(snapshot.schema, keys))
        rows, keys = list(found.values()), list(found)
    for start in range(0, len(rows), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        _rewrite(snapshot, db, rows[part], keys[part], change)
    bump(db)
    return len(rows)


def _rewrite(
    snapshot: Snapshot, db: Connection, rows: list[int], keys: Sequence[Any], change: JsonChange
) -> None:
    """A row never changes: it is written again under another number, with all else that it has."""
    tables, schema = snapshot.state.tables, snapshot.schema
    writer = Writer(db, snapshot.info, snapshot.state)
    stored = snapshot.by_row(rows, tables.documents, rows, keys)
    data = [orjson.dumps(change.of(document)) for document in stored]
    kept = [p for p, document in enumerate(stored) if data[p] != orjson.dumps(document)]
    numbers = [rows[p] for p in kept]
    read_vectors, read_terms = tables.fetch_vectors, tables.fetch_terms
    new = NewRows(
        _picked(keys, kept),
        _picked(data, kept),
        [
            snapshot.by_row(numbers, read_vectors, f.name, numbers)
            for f in (*schema.dense, *schema.sparse)
        ],
        [
            writer.analysed(f.name, [orjson.loads(data[p])[f.name] for p in kept])
            if f.name in change.texts
            else snapshot.by_row(numbers, read_terms, f.name, numbers)
            for f in schema.analysed
        ],
    )
    writer.remove(numbers)
    tables.add(db, new)


def _last_of_each(keys: Sequence[Any]) -> list[int] | None:
    """Places of the rows to keep when a key occurs twice: the last one. None keeps all."""
    last = {key: place for place, key in enumerate(keys)}
    return None if len(last) == len(keys) else sorted(last.values())


def _picked(values: Sequence[Any], places: list[int] | None) -> Sequence[Any]:
    return values if places is None else [values[place] for place in places]


def check_distinct(keys: Sequence[Any]) -> None:
    """Check that no two rows have one key; None is none.

    Raises:
        DataNotMatchException: naming the first that is there twice.
    """
    seen: dict[Any, int] = {}
    for number, key in enumerate(keys):
        if key is not None and seen.setdefault(key, number) != number:
            raise DataNotMatchException(
                f"row {number}: key {quoted(key)} is that of row {seen[key]}, too"
            )


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
