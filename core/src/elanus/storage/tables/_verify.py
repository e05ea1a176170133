"""Checking a file against itself. Reads everything; returns what is wrong, in words."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

from elanus.errors import DatabaseCorruptError, ElanusError
from elanus.schema import DataType
from elanus.storage._errors import DECODING, is_refusal
from elanus.storage._sqlite import Connection, Error, InterruptError
from elanus.storage.tables._catalogue import CollectionInfo, collections_of, read_state
from elanus.storage.tables._codec import decode_row
from elanus.storage.tables._following import walk
from elanus.storage.tables._names import Names
from elanus.storage.tables._tables import Tables

MOST_FAULTS = 100

_AT_ONCE = 2_000
_MOST_LETTERS = 200
_SECONDS = 10.0
_WITHOUT_MEMORY = re.compile(r"error code[= ](7|3082)\b")  # SQLITE_NOMEM, SQLITE_IOERR_NOMEM


def faults(db: Connection, is_given_up: Callable[[], bool]) -> list[str]:
    """The first faults of a file: damaged pages, and tables that contradict each other.

    Never raises for damage: what cannot be read is a fault, and the rest is checked.

    Args:
        db: a connection.
        is_given_up: asked while SQLite reads.

    Raises:
        Error: SQLite's, if the system refuses what reading needs, or it is given up.
        MemoryError, RecursionError: if there is too little memory or stack.
    """
    db.give_up_when(is_given_up)
    try:
        found = list(islice(_faults(db), MOST_FAULTS + 1))
    finally:
        db.give_up_when(None)
    return found if len(found) <= MOST_FAULTS else [*found[:MOST_FAULTS], "and more"]


def first_fault(db: Connection, is_given_up: Callable[[], bool]) -> str | None:
    """The first fault of a file, if one is found in a few seconds.

    Args:
        db: a connection outside a transaction.
        is_given_up: asked while SQLite reads.

    Raises:
        Error: as `faults`; not if it is given up.
        MemoryError, RecursionError: as `faults`.
    """
    end = time.monotonic() + _SECONDS
    db.give_up_when(lambda: time.monotonic() > end or is_given_up())
    try:
        db.execute("BEGIN")
        return next(_faults(db), None)
    except InterruptError:
        return None
    finally:
        db.give_up_when(None)
        if db.in_transaction:
            db.execute("ROLLBACK")


def _faults(db: Connection) -> Iterator[str]:
    yield from _guarded("SQLite", _pages(db))
    yield from _guarded("state", _state_faults(db))
    yield from _guarded("catalogue", _catalogue_faults(db))
    yield from _guarded("snapshots", _snapshot_faults(db))


def _guarded(name: str, found: Iterator[str]) -> Iterator[str]:
    """Faults with the name of where they are; an error ends the search there, and is one.

    But for the system's: were a full disk taken for a fault, or too little memory, a sound file
    would be given up.
    """
    try:
        for fault in found:
            yield f"{name}: {fault:.{_MOST_LETTERS}}"
    except InterruptError:
        raise
    except DatabaseCorruptError as error:
        yield f"{name}: {error!s:.{_MOST_LETTERS}}"
    except (ElanusError, Error, *DECODING) as error:
        if is_refusal(error):
            raise
        # Whatever a damaged page can do.
        yield f"{name} cannot be read: {type(error).__name__}: {error!s:.{_MOST_LETTERS}}"


def _pages(db: Connection) -> Iterator[str]:
    for (text,) in db.execute("PRAGMA integrity_check"):
        if _WITHOUT_MEMORY.search(text):
            raise MemoryError(f"too little memory to check the pages of the file: {text:.100}")
        if text != "ok":
            yield text


def _state_faults(db: Connection) -> Iterator[str]:
    read_state(db)
    (count,) = db.row("SELECT count(*) FROM state")
    if count != 1:
        yield f"it has {count} rows"


def _catalogue_faults(db: Connection) -> Iterator[str]:
    for info in collections_of(db):
        if isinstance(info, DatabaseCorruptError):
            yield str(info)
        else:
            yield from _collection_faults(db, info)


def _snapshot_faults(db: Connection) -> Iterator[str]:
    numbers = "collection", "generation", "seq", "last_row", "last_delete", "bytes", "checksum"
    wrong = " OR ".join(f"typeof({name}) != 'integer' OR {name} < 0" for name in numbers)
    (count,) = db.row(
        "SELECT count(*) FROM snapshots "
        f"WHERE typeof(id) != 'text' OR typeof(kind) != 'text' OR {wrong}"
    )
    if count:
        yield f"{count} rows have values that cannot be"


def _collection_faults(db: Connection, info: CollectionInfo) -> Iterator[str]:
    tables, name = Tables(info.number, info.schema), f"collection {info.name!r:.60}"
    names, check = tables.names, tables.checks
    present = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    missing = [name for name in names.all() if name not in present]
    if missing:
        yield f"{name}: tables are missing: {missing}"
        return
    checks: list[Iterator[str]] = [
        _row_faults(db, info, tables),
        _each(db, names.rows, "pk", partial(check.check_keys, db)),
        _each(db, names.rows, "data", partial(check.check_data, db)),
        _json_faults(db, names),
    ]
    for f in (*info.schema.dense, *info.schema.sparse):
        blobs = partial(check.check_blobs, db, f.name)
        checks.append(_each(db, names.vectors, names.column(f.name), blobs))
    for f in info.schema.analysed:
        terms = partial(check.terms, db, f.name)
        checks.append(_word_faults(db, names, f.name))
        checks.append(_each(db, names.terms, names.column(f.name), terms))
        checks.append(_log_faults(db, tables, f.name))
    for each in checks:
        yield from _guarded(name, each)


def _row_faults(db: Connection, info: CollectionInfo, tables: Tables) -> Iterator[str]:
    names = tables.names
    sides = [names.vectors] * bool(info.schema.dense or info.schema.sparse)
    sides += [names.terms] * bool(info.schema.analysed)
    for side in sides:
        for a, b in ((names.rows, side), (side, names.rows)):
            (lost,) = db.row(f"SELECT count(*) FROM {a} WHERE row NOT IN (SELECT row FROM {b})")
            if lost:
                yield f"{lost} rows of {a} are not in {b}"
    for table, key, last in (
        (names.rows, "row", tables.last_row(db)),
        (names.deletes, "number", tables.last_delete(db)),
    ):
        (newest,) = db.row(f"SELECT ifnull(max({key}), 0) FROM {table}")
        if newest > last:
            yield f"{key} {newest} of {table} is newer than the last number given, {last}"
    if info.schema.primary.auto_id and info.schema.primary.dtype is DataType.INT64:
        (following,) = db.row("SELECT next_id FROM collections WHERE number = ?", (info.number,))
        tables.check_new(db, following)
    (alive,) = db.row(
        f"SELECT count(*) FROM {names.deletes} WHERE row IN (SELECT row FROM {names.rows})"
    )
    if alive:
        yield f"{alive} rows are in the log of deletes, and still there"
    (wrong,) = db.row(
        f"SELECT count(*) FROM {names.deletes} "
        "WHERE typeof(row) != 'integer' OR row <= 0 OR row > ?", (tables.last_row(db),)
    )  # fmt: skip
    if wrong:
        yield f"{wrong} rows of the log of deletes cannot be"


_Check = Callable[[Any, Sequence[Any], Sequence[Any]], object]


def _each(db: Connection, table: str, column: str, check: _Check) -> Iterator[str]:
    """What a check of values and checksums says, row by row where it says anything."""
    sums = f"{column.replace('pk', 'key')}_sum"
    for rows, values, kept in walk(db, table, (column, sums), 0, most=_AT_ONCE):
        try:
            check(rows, values, kept)
        except DatabaseCorruptError:
            for one in (slice(place, place + 1) for place in range(len(rows))):
                try:
                    check(rows[one], values[one], kept[one])
                except DatabaseCorruptError as error:
                    yield str(error)


def _json_faults(db: Connection, names: Names) -> Iterator[str]:
    """Of rows without a checksum; what has the right one is what was written."""
    for row, data in db.execute(f"SELECT row, data FROM {names.rows} WHERE data_sum IS NULL"):
        try:
            decode_row(row, data)
        except DatabaseCorruptError as error:
            yield str(error)


def _log_faults(db: Connection, tables: Tables, field: str) -> Iterator[str]:
    """Of the terms in the log of deletes: `_guarded` says what is wrong."""
    tables.removed_terms(db, field, 0)
    yield from ()


def _word_faults(db: Connection, names: Names, field: str) -> Iterator[str]:
    words = names.words(field)
    count, first, last = db.row(
        f"SELECT count(*), ifnull(min(number), 0), ifnull(max(number), -1) FROM {words}"
    )
    if count != last + 1 or first:
        yield f"field {field!r}: the vocabulary has {count} terms, numbered {first} to {last}"
    (wrong,) = db.row(f"SELECT count(*) FROM {words} WHERE typeof(text) != 'text'")
    if wrong:
        yield f"field {field!r}: {wrong} terms are no text"
