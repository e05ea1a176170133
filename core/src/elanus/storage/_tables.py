"""The tables of one collection, and the range reads by which indexes follow them.

Row and delete numbers are never used again (AUTOINCREMENT), so a follower that has seen the
numbers up to some point needs two range reads to know what is new and what is gone.

What is read is compared with its checksum, and with what must be true of any table: that row
numbers rise, and values have the type of their column, which SQLite does not enforce.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.errors import DatabaseCorruptError
from elanus.schema import DataType, Schema
from elanus.storage._checksum import of_blobs, of_keys, of_words
from elanus.storage._codec import COMPONENT, DENSE, TERM, decode_dense, decode_sparse, decode_terms
from elanus.storage._insert import insert_rows
from elanus.storage._sqlite import Connection

_AT_ONCE = 500
_NUMBERS_AT_ONCE = 50_000
LAST_ID = 2**63 - 1
"""The largest key, which is never generated: as the next one it means that none is left."""

Numbers = NDArray[np.int64]

Csr = tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[Any]]
"""Offsets of the rows; indices or term numbers; values or counts."""


@dataclass(frozen=True, slots=True)
class NewRows:
    """Rows to write, one entry a row in each list.

    Attributes:
        keys: primary keys, unique.
        data: the scalar fields as JSON.
        vectors: BLOBs of the vector columns, one list a column.
        terms: BLOBs of the analysed fields, one list a column.
    """

    keys: Sequence[Any]
    data: Sequence[bytes]
    vectors: Sequence[Sequence[bytes | None]]
    terms: Sequence[Sequence[bytes | None]]


class Tables:
    """Reads and writes the tables of one collection.

    Args:
        number: the collection's number in the catalogue.
        schema: its schema, which gives the columns.
    """

    def __init__(self, number: int, schema: Schema) -> None:
        self.rows = f"c{number}_rows"
        self.vectors = f"c{number}_vectors"
        self.terms = f"c{number}_terms"
        self.deletes = f"c{number}_deletes"
        self._number = number
        is_number = schema.primary.dtype is DataType.INT64
        self._key_type = "INTEGER" if is_number else "TEXT"
        self._key_class: type = int if is_number else str
        self._dims = {f.name: f.dim or 0 for f in schema.dense}
        # Columns are numbered by the field's place in the schema, so no name needs quoting.
        places = {f.name: i for i, f in enumerate(schema.fields)}
        self._vector_columns = {
            f.name: f"v{places[f.name]}" for f in (*schema.dense, *schema.sparse)
        }
        self._nullable = {f.name for f in (*schema.dense, *schema.sparse) if f.nullable}
        self._term_columns = {f.name: f"t{places[f.name]}" for f in schema.analysed}
        self._columns = {**self._vector_columns, **self._term_columns}
        self._seeds = {
            column: zlib.crc32(f"{number} {column}".encode())
            for column in ("key", "data", *self._columns.values())
        }

    def column(self, field: str) -> str:
        """The column of a vector field, or of an analysed field's terms."""
        return self._columns[field]

    def words(self, field: str) -> str:
        """The vocabulary table of an analysed field."""
        return f"c{self._number}_words_{self._term_columns[field]}"

    # --- making and removing ---------------------------------------------------------------

    def create(self, db: Connection) -> None:
        """Create the tables."""
        vectors = _declared(self._vector_columns.values())
        terms = _declared(self._term_columns.values())
        db.execute(
            f"CREATE TABLE {self.rows}(row INTEGER PRIMARY KEY AUTOINCREMENT, "
            f"pk {self._key_type} NOT NULL UNIQUE, key_sum INTEGER, data_sum INTEGER, "
            "data BLOB NOT NULL)"
        )
        db.execute(f"CREATE TABLE {self.vectors}(row INTEGER PRIMARY KEY{vectors})")
        db.execute(f"CREATE TABLE {self.terms}(row INTEGER PRIMARY KEY{terms})")
        db.execute(
            f"CREATE TABLE {self.deletes}(number INTEGER PRIMARY KEY AUTOINCREMENT, "
            f"row INTEGER NOT NULL{terms})"
        )
        for field in self._term_columns:
            db.execute(
                f"CREATE TABLE {self.words(field)}(number INTEGER PRIMARY KEY, "
                "text TEXT NOT NULL UNIQUE)"
            )

    def add_sums(self, db: Connection) -> None:
        """Add the checksums that format 1 did not have; rows that are there have none."""
        terms = list(self._term_columns.values())
        for table, columns in (
            (self.rows, ["key", "data"]),
            (self.vectors, list(self._vector_columns.values())),
            (self.terms, terms),
            (self.deletes, terms),
        ):
            for column in columns:
                db.execute(f"ALTER TABLE {table} ADD COLUMN {column}_sum INTEGER")

    def all_names(self) -> list[str]:
        """All tables, vocabularies included."""
        return [
            self.rows, self.vectors, self.terms, self.deletes, *map(self.words, self._term_columns)
        ]  # fmt: skip

    def drop(self, db: Connection) -> None:
        """Drop the tables."""
        for name in self.all_names():
            db.execute(f"DROP TABLE {name}")

    def clear(self, db: Connection) -> None:
        """Delete all rows. Row numbers go on; the vocabulary stays, since it describes words."""
        for name in (self.rows, self.vectors, self.terms, self.deletes):
            db.execute(f"DELETE FROM {name}")

    # --- writing ---------------------------------------------------------------------------

    def add(self, db: Connection, new: NewRows) -> None:
        """Insert rows whose keys are not there."""
        first = self._last(db, self.rows) + 1
        numbers = np.arange(first, first + len(new.keys), dtype=np.int64)
        rows = numbers.tolist()
        sums = self._key_sums(numbers, new.keys), self._data_sums(numbers, new.data)
        values = zip(rows, new.keys, *sums, new.data, strict=True)
        insert_rows(db, f"{self.rows}(row, pk, key_sum, data_sum, data)", 5, values)
        for table, columns, blobs in (
            (self.vectors, self._vector_columns, new.vectors),
            (self.terms, self._term_columns, new.terms),
        ):
            if blobs:
                found = [
                    self._sums(field, numbers, column)
                    for field, column in zip(columns, blobs, strict=True)
                ]
                names = f"row{_names(columns.values())}"
                values = zip(rows, *found, *blobs, strict=True)
                insert_rows(db, f"{table}({names})", 1 + 2 * len(columns), values)

    def _sums(
        self, field: str, numbers: Numbers, blobs: Sequence[bytes | None]
    ) -> Sequence[int | None]:
        """Checksums of a column's BLOBs; None for nulls."""
        kept = [blob for blob in blobs if blob is not None]
        if len(kept) == len(blobs):
            return self._sums_of(field, numbers, kept)
        filled = np.array([blob is not None for blob in blobs], dtype=bool)
        found = iter(self._sums_of(field, numbers[filled], kept))
        return [next(found) if there else None for there in filled.tolist()]

    def _sums_of(self, field: str, numbers: Numbers, blobs: Sequence[bytes]) -> list[int]:
        dim = self._dims.get(field)
        starts = numbers + self._seed(self.column(field))
        if dim is None:
            return of_blobs(starts, blobs)
        return of_words(starts, decode_dense(blobs, dim).view("<u4"))

    def _key_sums(self, numbers: Numbers, keys: Sequence[Any]) -> list[int]:
        return of_keys(numbers + self._seed("key"), keys)

    def _data_sums(self, numbers: Numbers, data: Sequence[bytes]) -> list[int]:
        return of_blobs(numbers + self._seed("data"), data)

    def _seed(self, column: str) -> int:
        """What tells a column's checksums from those of others, as pages can change places."""
        return self._seeds[column]

    def remove(self, db: Connection, rows: Iterable[int]) -> None:
        """Delete rows by number, and log them with their terms for those who keep statistics."""
        columns = _names(self._term_columns.values())
        for chunk in _chunks(rows):
            marks = ",".join("?" * len(chunk))
            if columns:
                db.execute(
                    f"INSERT INTO {self.deletes}(row{columns}) "
                    f"SELECT row{columns} FROM {self.terms} WHERE row IN ({marks})",
                    chunk,
                )
                _check_changed(db, self.terms, chunk)
            else:
                insert_rows(db, f"{self.deletes}(row)", 1, ((row,) for row in chunk))
            for table in (self.rows, self.vectors, self.terms):
                db.execute(f"DELETE FROM {table} WHERE row IN ({marks})", chunk)
                if table == self.rows:
                    _check_changed(db, table, chunk)

    def check_new(self, db: Connection, first: int) -> None:
        """Check that generated keys from ``first`` on are new: they would replace other rows.

        Raises:
            DatabaseCorruptError: if there is such a key, or a larger one.
        """
        (last,) = db.row(f"SELECT max(pk) FROM {self.rows}")
        # At the end there is no next key; whoever takes one says so.
        if last is not None and not (type(last) is int and (last < first or first == LAST_ID)):
            raise DatabaseCorruptError(
                f"the catalogue of the file is damaged: the next key of collection {self._number} "
                f"is {first}, but there is {last!r:.40}; restore it from a backup"
            )

    def trim_deletes(self, db: Connection, keep: int) -> None:
        """Forget all but the last ``keep`` deletes, and say so in the catalogue."""
        floor = self._last(db, self.deletes) - keep
        db.execute(f"DELETE FROM {self.deletes} WHERE number <= ?", (floor,))
        db.execute(
            "UPDATE collections SET floor = max(floor, ?) WHERE number = ?", (floor, self._number)
        )

    # --- reading ---------------------------------------------------------------------------

    def count(self, db: Connection) -> int:
        """Number of rows."""
        return int(db.row(f"SELECT count(*) FROM {self.rows}")[0])

    def logged_deletes(self, db: Connection) -> int:
        """Number of deletes that the log still holds."""
        (first,) = db.row(f"SELECT min(number) FROM {self.deletes}")
        return 0 if first is None else self.last_delete(db) - int(first) + 1

    def floor(self, db: Connection) -> int:
        """Number of the last delete that was trimmed from the log."""
        (floor,) = db.row("SELECT floor FROM collections WHERE number = ?", (self._number,))
        return int(floor)

    def last_row(self, db: Connection) -> int:
        """Largest row number ever given."""
        return self._last(db, self.rows)

    def last_delete(self, db: Connection) -> int:
        """Largest delete number ever given."""
        return self._last(db, self.deletes)

    def _last(self, db: Connection, table: str) -> int:
        found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
        if found is None:
            return 0
        if type(found[0]) is not int or found[0] < 0:
            raise DatabaseCorruptError(
                f"table {table} of the file is damaged: its last number is {found[0]!r:.40}; "
                "restore it from a backup"
            )
        return found[0]

    def rows_of(self, db: Connection, keys: Iterable[Any]) -> dict[Any, int]:
        """Row numbers by key, of those keys that exist. The index of keys alone is read."""
        found: dict[Any, int] = {}
        for chunk in _chunks(keys):
            marks = ",".join("?" * len(chunk))
            found.update(
                db.execute(f"SELECT pk, row FROM {self.rows} WHERE pk IN ({marks})", chunk)
            )
        return found

    def rows_to_remove(self, db: Connection, keys: Iterable[Any]) -> list[int]:
        """Row numbers of those keys that exist, each compared with the row itself."""
        found: list[int] = []
        for chunk in _chunks(keys):
            marks = ",".join("?" * len(chunk))
            picked = db.execute(
                f"SELECT row, pk, key_sum FROM {self.rows} WHERE pk IN ({marks})", chunk
            ).fetchall()
            if picked:
                numbers, there, sums = zip(*picked, strict=True)
                self.check_keys(db, np.array(numbers, dtype=np.int64), there, sums)
                found += numbers
        return found

    def fetch(self, db: Connection, rows: Sequence[int]) -> dict[int, tuple[Any, bytes]]:
        """Key and JSON of the scalar fields by row number."""
        found: dict[int, tuple[Any, bytes]] = {}
        for chunk in _chunks(rows):
            marks = ",".join("?" * len(chunk))
            picked = db.execute(
                f"SELECT row, pk, data, data_sum, row + {self._seed('data')} FROM {self.rows} "
                f"WHERE row IN ({marks})", chunk,
            ).fetchall()  # fmt: skip
            if picked:
                numbers, keys, blobs, sums, starts = zip(*picked, strict=True)
                # `check_data` says what is wrong; for a few rows it takes longer than all the rest.
                if not _are_same(sums, blobs, starts):
                    self.check_data(db, np.array(numbers, dtype=np.int64), blobs, sums)
                found.update(zip(numbers, zip(keys, blobs, strict=True), strict=True))
        return found

    def fetch_vectors(
        self, db: Connection, field: str, rows: Sequence[int]
    ) -> dict[int, bytes | None]:
        """A vector field's BLOBs by row number."""
        found: dict[int, bytes | None] = {}
        column = self._vector_columns[field]
        for numbers, blobs, sums in self._by_row(db, self.vectors, column, rows):
            self.check_blobs(db, field, np.array(numbers, dtype=np.int64), blobs, sums)
            found.update(zip(numbers, blobs, strict=True))
        return found

    @staticmethod
    def _by_row(
        db: Connection, table: str, column: str, rows: Sequence[int]
    ) -> Iterator[tuple[Sequence[int], Sequence[Any], Sequence[Any]]]:
        """Numbers, values and checksums of those rows that exist, some at a time."""
        for chunk in _chunks(rows):
            marks = ",".join("?" * len(chunk))
            found = db.execute(
                f"SELECT row, {column}, {column}_sum FROM {table} WHERE row IN ({marks})", chunk
            ).fetchall()
            if found:
                numbers, values, sums = zip(*found, strict=True)
                yield numbers, values, sums

    def keys_since(self, db: Connection, row: int) -> tuple[Numbers, list[Any]]:
        """Numbers and keys of the rows after ``row``, in order."""
        pieces: list[Numbers] = []
        keys: list[Any] = []
        for numbers, found, sums in self.walk(db, self.rows, ("pk", "key_sum"), row):
            self.check_keys(db, numbers, found, sums)
            pieces.append(numbers)
            keys += found
        if not pieces:
            return np.zeros(0, dtype=np.int64), keys
        rows = np.concatenate(pieces)
        if int(rows[-1]) > self.last_row(db):
            raise _damaged(int(rows[-1]), "it is newer than the last number given")
        return rows, keys

    def data_since(self, db: Connection, row: int, most: int) -> tuple[Numbers, Sequence[bytes]]:
        """Numbers and JSON of the first ``most`` rows after ``row``, in order."""
        numbers, blobs, sums = _since(db, self.rows, ("data", "data_sum"), row, most)
        self.check_data(db, numbers, blobs, sums)
        return numbers, blobs

    def dense_since(
        self, db: Connection, field: str, row: int, most: int
    ) -> tuple[Numbers, NDArray[np.bool_], NDArray[np.float32]]:
        """Of the first ``most`` rows after ``row``: numbers, which have a vector, the vectors."""
        column = self._vector_columns[field]
        numbers, blobs, sums = _since(db, self.vectors, (column, f"{column}_sum"), row, most)
        kept = self._check_shape(field, numbers, blobs)
        matrix = decode_dense(kept, self._dims[field])
        starts = numbers + self._seed(column)
        if len(kept) == len(blobs):
            self._check_sums(db, field, numbers, sums, of_words(starts, matrix.view("<u4")))
            return numbers, np.ones(len(blobs), dtype=bool), matrix
        self._check_sums(db, field, numbers, sums, self._sums(field, numbers, blobs))
        return numbers, np.array([blob is not None for blob in blobs], dtype=bool), matrix

    def sparse_since(self, db: Connection, field: str, row: int, most: int) -> tuple[Numbers, Csr]:
        """Numbers and sparse vectors of the first ``most`` rows after ``row``, in order."""
        column = self._vector_columns[field]
        numbers, blobs, sums = _since(db, self.vectors, (column, f"{column}_sum"), row, most)
        self.check_blobs(db, field, numbers, blobs, sums)
        return numbers, decode_sparse(blobs)

    def terms_since(self, db: Connection, field: str, row: int, most: int) -> tuple[Numbers, Csr]:
        """Numbers and terms of an analysed field of the first ``most`` rows after ``row``."""
        column = self._term_columns[field]
        numbers, blobs, sums = _since(db, self.terms, (column, f"{column}_sum"), row, most)
        return numbers, self.check_terms(db, field, numbers, blobs, sums)

    def last_word(self, db: Connection, field: str) -> int:
        """Largest number of a term; -1 if there is none."""
        return int(db.row(f"SELECT ifnull(max(number), -1) FROM {self.words(field)}")[0])

    def deletes_since(self, db: Connection, number: int) -> Numbers:
        """Numbers of the rows deleted after delete ``number``."""
        pieces = [
            _integers(self.deletes, found)
            for _, found in self.walk(db, self.deletes, ("row",), number, key="number")
        ]
        return np.concatenate([np.zeros(0, dtype=np.int64), *pieces])

    def removed_terms(self, db: Connection, field: str, number: int) -> tuple[Numbers, Csr]:
        """Row numbers and terms of the rows deleted after delete ``number``, by row."""
        column = self._term_columns[field]
        found = db.execute(
            f"SELECT row, {column}, {column}_sum FROM {self.deletes} "
            "WHERE number > ? ORDER BY row", (number,)
        ).fetchall()  # fmt: skip
        numbers, blobs, sums = zip(*found, strict=True) if found else ((), (), ())
        rows = _integers(self.deletes, numbers)
        _check_rising(self.deletes, rows, 0)
        return rows, self.check_terms(db, field, rows, blobs, sums)

    @staticmethod
    def walk(
        db: Connection, table: str, columns: tuple[str, ...], after: int, *, key: str = "row",
        most: int = _NUMBERS_AT_ONCE,
    ) -> Iterator[tuple[Any, ...]]:  # fmt: skip
        """Numbers and columns of all rows after a number, in order, some at a time."""
        while True:
            piece = _since(db, table, columns, after, most, key)
            if len(piece[0]):
                yield piece
            if len(piece[0]) < most:
                return
            after = int(piece[0][-1])

    # --- checking --------------------------------------------------------------------------

    def check_count(self, db: Connection, count: int) -> None:
        """Compare the number of rows that were found with the index of keys.

        Raises:
            DatabaseCorruptError: if it differs: one of the two has lost some.
        """
        _check_index(db, self.rows, "rows", count)

    def check_words(self, db: Connection, field: str) -> None:
        """Compare the numbers of a field's terms, which have no gaps, with the index of terms."""
        _check_index(db, self.words(field), "terms", self.last_word(db, field) + 1)

    def check_keys(
        self, db: Connection, rows: Numbers, keys: Sequence[Any], sums: Sequence[Any]
    ) -> None:
        """Compare primary keys with their checksums.

        Raises:
            DatabaseCorruptError: if one differs; so do the others here.
        """
        _check_types("primary key", rows, keys, {self._key_class})
        self._check_sums(db, "primary key", rows, sums, self._key_sums(rows, keys))

    def check_data(
        self, db: Connection, rows: Numbers, blobs: Sequence[Any], sums: Sequence[Any]
    ) -> None:
        """Compare the JSON of rows with its checksums."""
        _check_types("data", rows, blobs, {bytes})
        self._check_sums(db, "data", rows, sums, self._data_sums(rows, blobs))

    def check_blobs(
        self, db: Connection, field: str, rows: Numbers, blobs: Sequence[Any], sums: Sequence[Any]
    ) -> None:
        """Compare the vectors or terms of a field with their checksums."""
        self._check_shape(field, rows, blobs)
        self._check_sums(db, field, rows, sums, self._sums(field, rows, blobs))

    def check_terms(
        self, db: Connection, field: str, rows: Numbers, blobs: Sequence[Any], sums: Sequence[Any]
    ) -> Csr:
        """Compare terms with their checksums and the vocabulary; the terms."""
        self.check_blobs(db, field, rows, blobs, sums)
        offsets, terms, counts = decode_terms(blobs)
        # Whoever counts terms makes room for the largest number.
        wrong = (terms > self.last_word(db, field)) | (counts == 0)
        if wrong.any():
            place = int(np.searchsorted(offsets, int(wrong.argmax()), side="right")) - 1
            raise _damaged(int(rows[place]), f"a term of field {field!r} cannot be")
        return offsets, terms, counts

    def _check_shape(self, field: str, rows: Numbers, blobs: Sequence[Any]) -> Sequence[bytes]:
        """Check that each BLOB is there and holds whole records; those that are not null."""
        _check_types(f"field {field!r}", rows, blobs, {bytes, type(None)})
        if field not in self._nullable and None in blobs:
            raise _damaged(int(rows[blobs.index(None)]), f"field {field!r} is missing")
        kept = [blob for blob in blobs if blob is not None] if None in blobs else blobs
        dim = self._dims.get(field)
        record = TERM if field in self._term_columns else COMPONENT
        for length in set(map(len, kept)):
            if length % record.itemsize if dim is None else length != dim * DENSE.itemsize:
                place = next(i for i, b in enumerate(blobs) if b is not None and len(b) == length)
                raise _damaged(int(rows[place]), f"field {field!r} has {length} bytes")
        return kept

    def _check_sums(
        self,
        db: Connection,
        what: str,
        rows: Iterable[int],
        stored: Sequence[Any],
        found: Sequence[int | None],
    ) -> None:
        if list(stored) == found:
            return
        may_lack = None in stored and self._is_upgraded(db)
        for row, kept, counted in zip(rows, stored, found, strict=True):
            if kept != counted and not (kept is None and may_lack):
                raise _damaged(int(row), f"its {what} is not what was written")

    def _is_upgraded(self, db: Connection) -> bool:
        """Whether rows may be from format 1, without checksums: these columns were added last."""
        (last,) = db.row(
            "SELECT name FROM pragma_table_info(?) ORDER BY cid DESC LIMIT 1", (self.rows,)
        )
        return bool(last == "data_sum")


def _since(
    db: Connection, table: str, columns: tuple[str, ...], after: int, most: int, key: str = "row"
) -> tuple[Any, ...]:
    """Numbers and columns of the first ``most`` rows after a number, in order."""
    found = db.execute(
        f"SELECT {key}, {', '.join(columns)} FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT ?",
        (after, most),
    ).fetchall()
    if not found:
        return np.zeros(0, dtype=np.int64), *((),) * len(columns)
    numbers, *values = zip(*found, strict=True)
    rows = np.array(numbers, dtype=np.int64)
    _check_rising(table, rows, after)
    return rows, *values


def _damaged(row: int, what: str) -> DatabaseCorruptError:
    return DatabaseCorruptError(
        f"row {row} of the file is damaged: {what}; restore it from a backup"
    )


def _check_changed(db: Connection, table: str, rows: Sequence[int]) -> None:
    """A delete that the log lacks would never be heard of."""
    if db.changes() != len(rows):
        raise DatabaseCorruptError(
            f"table {table} of the file is damaged: {db.changes()} of {len(rows)} rows that were "
            "to be deleted are there; restore it from a backup"
        )


def _are_same(sums: tuple[Any, ...], blobs: Iterable[Any], starts: Iterable[int]) -> bool:
    try:
        return sums == tuple(map(zlib.crc32, blobs, starts))
    except TypeError:
        return False


def _check_index(db: Connection, table: str, what: str, count: int) -> None:
    # No further than needed: on damaged pages a walk may have no end.
    (found,) = db.row(
        f"SELECT count(*) FROM (SELECT 1 FROM {table} INDEXED BY sqlite_autoindex_{table}_1 "
        "LIMIT ?)", (count + 1,),
    )  # fmt: skip
    if found != count:
        either = "more" if found > count else f"{found}"
        raise DatabaseCorruptError(
            f"table {table} of the file is damaged: it has {count} {what}, and its index {either}; "
            "restore it from a backup"
        )


def _check_rising(table: str, numbers: Numbers, after: int) -> None:
    """On damaged pages a walk may come back to where it has been, and would never end."""
    wrong = np.diff(numbers, prepend=after) <= 0
    if wrong.any():
        raise DatabaseCorruptError(
            f"table {table} of the file is damaged: number {int(numbers[wrong.argmax()])} is out "
            "of order; restore it from a backup"
        )


def _integers(table: str, values: Sequence[Any]) -> Numbers:
    if not set(map(type, values)) <= {int}:
        raise DatabaseCorruptError(
            f"table {table} of the file is damaged: a row number is no number; "
            "restore it from a backup"
        )
    return np.array(values, dtype=np.int64)


def _check_types(what: str, rows: Iterable[int], values: Sequence[Any], types: set[type]) -> None:
    if set(map(type, values)) <= types:
        return
    for row, value in zip(rows, values, strict=True):
        if type(value) not in types:
            raise _damaged(int(row), f"its {what} is of type {type(value).__name__}")


def _declared(columns: Iterable[str]) -> str:
    """The columns of a table: checksums first, for which no long value need be read."""
    names = list(columns)
    return "".join([f", {c}_sum INTEGER" for c in names] + [f", {c} BLOB" for c in names])


def _names(columns: Iterable[str]) -> str:
    """Those columns in a statement."""
    names = list(columns)
    return "".join([f", {c}_sum" for c in names] + [f", {c}" for c in names])


def _chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Lists short enough for the parameters of one statement."""
    iterator = iter(values)
    while chunk := list(islice(iterator, _AT_ONCE)):
        yield chunk
