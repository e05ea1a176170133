"""The tables of one collection, and the range reads by which indexes follow them.

Row and delete numbers are never used again (AUTOINCREMENT), so a follower that has seen the
numbers up to some point needs two range reads to know what is new and what is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.schema import DataType, Schema
from elanus.storage._insert import insert_rows
from elanus.storage._sqlite import Connection

_AT_ONCE = 500

ALL = -1
"""No limit, as SQLite writes it."""


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
        self._key_type = "INTEGER" if schema.primary.dtype is DataType.INT64 else "TEXT"
        # Columns are numbered by the field's place in the schema, so no name needs quoting.
        places = {f.name: i for i, f in enumerate(schema.fields)}
        self._vector_columns = {
            f.name: f"v{places[f.name]}" for f in (*schema.dense, *schema.sparse)
        }
        self._term_columns = {f.name: f"t{places[f.name]}" for f in schema.analysed}

    def words(self, field: str) -> str:
        """The vocabulary table of an analysed field."""
        return f"c{self._number}_words_{self._term_columns[field]}"

    # --- making and removing ---------------------------------------------------------------

    def create(self, db: Connection) -> None:
        """Create the tables."""
        vectors = "".join(f", {c} BLOB" for c in self._vector_columns.values())
        terms = "".join(f", {c} BLOB" for c in self._term_columns.values())
        db.execute(
            f"CREATE TABLE {self.rows}(row INTEGER PRIMARY KEY AUTOINCREMENT, "
            f"pk {self._key_type} NOT NULL UNIQUE, data BLOB NOT NULL)"
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
        numbers = range(first, first + len(new.keys))
        insert_rows(db, self.rows, 3, zip(numbers, new.keys, new.data, strict=True))
        for table, columns in ((self.vectors, new.vectors), (self.terms, new.terms)):
            if columns:
                rows = zip(numbers, *columns, strict=True)
                insert_rows(db, table, 1 + len(columns), rows)

    def remove(self, db: Connection, rows: Iterable[int]) -> None:
        """Delete rows by number, and log them with their terms for those who keep statistics."""
        columns = "".join(f", {c}" for c in self._term_columns.values())
        picked = ", ".join(self._term_columns.values())
        for chunk in _chunks(rows):
            marks = ",".join("?" * len(chunk))
            if columns:
                db.execute(
                    f"INSERT INTO {self.deletes}(row{columns}) "
                    f"SELECT row, {picked} FROM {self.terms} WHERE row IN ({marks})",
                    chunk,
                )
            else:
                insert_rows(db, f"{self.deletes}(row)", 1, ((row,) for row in chunk))
            for table in (self.rows, self.vectors, self.terms):
                db.execute(f"DELETE FROM {table} WHERE row IN ({marks})", chunk)

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
        return 0 if found is None else int(found[0])

    def rows_of(self, db: Connection, keys: Iterable[Any]) -> dict[Any, int]:
        """Row numbers by key, of those keys that exist."""
        found: dict[Any, int] = {}
        for chunk in _chunks(keys):
            marks = ",".join("?" * len(chunk))
            found.update(
                db.execute(f"SELECT pk, row FROM {self.rows} WHERE pk IN ({marks})", chunk)
            )
        return found

    def fetch(self, db: Connection, rows: Sequence[int]) -> dict[int, bytes]:
        """JSON of the scalar fields by row number."""
        return self._by_row(db, self.rows, "data", rows)

    def fetch_vectors(
        self, db: Connection, field: str, rows: Sequence[int]
    ) -> dict[int, bytes | None]:
        """A vector field's BLOBs by row number."""
        return self._by_row(db, self.vectors, self._vector_columns[field], rows)

    @staticmethod
    def _by_row(db: Connection, table: str, column: str, rows: Sequence[int]) -> dict[int, Any]:
        found: dict[int, Any] = {}
        for chunk in _chunks(rows):
            marks = ",".join("?" * len(chunk))
            found.update(
                db.execute(f"SELECT row, {column} FROM {table} WHERE row IN ({marks})", chunk)
            )
        return found

    def keys_since(self, db: Connection, row: int) -> tuple[NDArray[np.int64], list[Any]]:
        """Numbers and keys of the rows after ``row``, in order."""
        rows, keys = _columns(
            db.execute(f"SELECT row, pk FROM {self.rows} WHERE row > ? ORDER BY row", (row,))
        )
        return np.array(rows, dtype=np.int64), list(keys)

    def data_since(
        self, db: Connection, row: int, most: int = ALL
    ) -> tuple[NDArray[np.int64], Sequence[bytes]]:
        """Numbers and JSON of the first ``most`` rows after ``row``, in order."""
        return self._since(db, self.rows, "data", row, most)

    def vectors_since(
        self, db: Connection, field: str, row: int, most: int = ALL
    ) -> tuple[NDArray[np.int64], Sequence[bytes | None]]:
        """Numbers and BLOBs of a vector field of the first ``most`` rows after ``row``."""
        return self._since(db, self.vectors, self._vector_columns[field], row, most)

    def terms_since(
        self, db: Connection, field: str, row: int, most: int = ALL
    ) -> tuple[NDArray[np.int64], Sequence[bytes | None]]:
        """Numbers and term BLOBs of an analysed field of the first ``most`` rows after ``row``."""
        return self._since(db, self.terms, self._term_columns[field], row, most)

    @staticmethod
    def _since(
        db: Connection, table: str, column: str, row: int, most: int
    ) -> tuple[NDArray[np.int64], Sequence[Any]]:
        rows, values = _columns(
            db.execute(
                f"SELECT row, {column} FROM {table} WHERE row > ? ORDER BY row LIMIT ?", (row, most)
            )
        )
        return np.array(rows, dtype=np.int64), values

    def deletes_since(self, db: Connection, number: int) -> NDArray[np.int64]:
        """Numbers of the rows deleted after delete ``number``."""
        found = db.execute(
            f"SELECT row FROM {self.deletes} WHERE number > ? ORDER BY number", (number,)
        )
        return np.fromiter((row for (row,) in found), dtype=np.int64)

    def removed_terms(
        self, db: Connection, field: str, number: int
    ) -> tuple[NDArray[np.int64], Sequence[bytes | None]]:
        """Row numbers and term BLOBs of the rows deleted after delete ``number``."""
        column = self._term_columns[field]
        rows, blobs = _columns(
            db.execute(
                f"SELECT row, {column} FROM {self.deletes} WHERE number > ? ORDER BY row", (number,)
            )
        )
        return np.array(rows, dtype=np.int64), blobs


def _columns(found: Iterable[tuple[Any, ...]]) -> tuple[Sequence[Any], Sequence[Any]]:
    rows = list(found)
    if not rows:
        return (), ()
    first, second = zip(*rows, strict=True)
    return first, second


def _chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Lists short enough for the parameters of one statement."""
    iterator = iter(values)
    while chunk := list(islice(iterator, _AT_ONCE)):
        yield chunk
