"""Checking a file against itself. Reads everything; returns what is wrong, in words."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import orjson

from elanus.schema import FieldSchema
from elanus.storage._catalogue import CollectionInfo, load_catalogue
from elanus.storage._codec import COMPONENT, DENSE, decode_terms
from elanus.storage._sqlite import Connection
from elanus.storage._tables import Tables

_AT_ONCE = 2_000


def faults(db: Connection) -> Iterator[str]:
    """The faults of a file: damaged pages, and tables that contradict each other."""
    for (text,) in db.execute("PRAGMA integrity_check"):
        if text != "ok":
            yield f"SQLite: {text}"
    for info in load_catalogue(db).collections.values():
        for fault in _collection_faults(db, info):
            yield f"collection {info.name!r}: {fault}"


def _collection_faults(db: Connection, info: CollectionInfo) -> Iterator[str]:
    tables = Tables(info.number, info.schema)
    present = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    missing = [name for name in tables.all_names() if name not in present]
    if missing:
        yield f"tables are missing: {missing}"
        return
    yield from _row_faults(db, info, tables)
    for f in info.schema.dense:
        yield from _width_faults(db, tables, f, (f.dim or 0) * DENSE.itemsize, exact=True)
    for f in info.schema.sparse:
        yield from _width_faults(db, tables, f, COMPONENT.itemsize, exact=False)
    for f in info.schema.analysed:
        yield from _term_faults(db, tables, f.name)


def _row_faults(db: Connection, info: CollectionInfo, tables: Tables) -> Iterator[str]:
    sides = [tables.vectors] * bool(info.schema.dense or info.schema.sparse)
    sides += [tables.terms] * bool(info.schema.analysed)
    for side in sides:
        for a, b in ((tables.rows, side), (side, tables.rows)):
            (lost,) = db.row(f"SELECT count(*) FROM {a} WHERE row NOT IN (SELECT row FROM {b})")
            if lost:
                yield f"{lost} rows of {a} are not in {b}"
    (newest,) = db.row(f"SELECT ifnull(max(row), 0) FROM {tables.rows}")
    if newest > tables.last_row(db):
        yield f"row {newest} is newer than the last number given, {tables.last_row(db)}"
    (alive,) = db.row(
        f"SELECT count(*) FROM {tables.deletes} WHERE row IN (SELECT row FROM {tables.rows})"
    )
    if alive:
        yield f"{alive} rows are in the log of deletes, and still there"
    for row, data in db.execute(f"SELECT row, data FROM {tables.rows}"):
        try:
            orjson.loads(data)
        except orjson.JSONDecodeError:
            yield f"row {row} is no JSON"


def _width_faults(
    db: Connection, tables: Tables, f: FieldSchema, width: int, *, exact: bool
) -> Iterator[str]:
    rows, blobs = tables.vectors_since(db, f.name, 0)
    for row, blob in zip(rows.tolist(), blobs, strict=True):
        if blob is None:
            if not f.nullable:
                yield f"field {f.name!r}: row {row} has no vector"
        elif (len(blob) != width) if exact else len(blob) % width:
            yield f"field {f.name!r}: row {row} has {len(blob)} bytes"


def _term_faults(db: Connection, tables: Tables, field: str) -> Iterator[str]:
    count, last = db.row(f"SELECT count(*), ifnull(max(number), -1) FROM {tables.words(field)}")
    if count != last + 1:
        yield f"field {field!r}: the vocabulary has {count} terms, numbered up to {last}"
    rows, blobs = tables.terms_since(db, field, 0)
    for start in range(0, len(rows), _AT_ONCE):
        _, terms, counts = decode_terms(blobs[start : start + _AT_ONCE])
        if len(terms) and int(terms.max()) > last:
            yield f"field {field!r}: term {int(terms.max())} is not in the vocabulary"
        if not np.all(counts):
            yield f"field {field!r}: a term counts zero times"
