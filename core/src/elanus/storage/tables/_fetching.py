"""Reading single rows, by their numbers or keys."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import orjson

from elanus.storage._sqlite import Connection
from elanus.storage.tables._checks import Checks, damaged
from elanus.storage.tables._codec import decode_row
from elanus.storage.tables._names import Names

_AT_ONCE = 500  # parameters of one statement


class Fetching:
    """Reads rows of one collection. Those that do not exist are left out."""

    def __init__(self, names: Names, checks: Checks) -> None:
        self._names = names
        self._checks = checks

    def documents(
        self, db: Connection, rows: Sequence[int], keys: Sequence[Any]
    ) -> dict[int, dict[str, Any]]:
        """The scalar fields of rows by row number.

        Args:
            db: a connection.
            rows: row numbers.
            keys: the primary key that each has to have.

        Raises:
            DatabaseCorruptError: if a row has another key, or is not what was written.
        """
        wanted = dict(zip(rows, keys, strict=True))
        seed, found = self._names.seeds["data"], {}
        columns = "row, pk, data, data_sum"
        for picked in _pick(db, columns, self._names.rows, "row", rows):
            for row, key, data, kept in picked:
                # For a few rows numpy takes longer than all the rest, so `check_data` is only
                # called to say what is wrong; or that there is no checksum.
                if type(data) is not bytes or zlib.crc32(data, row + seed) != kept:
                    self._checks.check_data(db, np.array([row]), [data], [kept])
                if key != wanted[row]:
                    raise damaged(row, f"its key is {key!r:.100}, not {wanted[row]!r:.100}")
                try:
                    fields = orjson.loads(data)
                except orjson.JSONDecodeError:
                    fields = None
                found[row] = fields if type(fields) is dict else decode_row(row, data)
        return found

    def fetch_vectors(
        self, db: Connection, field: str, rows: Sequence[int]
    ) -> dict[int, bytes | None]:
        """A vector field's BLOBs by row number."""
        return self._blobs(db, self._names.vectors, field, rows)

    def fetch_terms(
        self, db: Connection, field: str, rows: Sequence[int]
    ) -> dict[int, bytes | None]:
        """An analysed field's terms by row number, as they are stored."""
        return self._blobs(db, self._names.terms, field, rows)

    def _blobs(
        self, db: Connection, table: str, field: str, rows: Sequence[int]
    ) -> dict[int, bytes | None]:
        found: dict[int, bytes | None] = {}
        column = self._names.column(field)
        for picked in _pick(db, f"row, {column}, {column}_sum", table, "row", rows):
            numbers, blobs, sums = zip(*picked, strict=True)
            self._checks.check_blobs(db, field, np.array(numbers, dtype=np.int64), blobs, sums)
            found.update(zip(numbers, blobs, strict=True))
        return found

    def rows_of(self, db: Connection, keys: Sequence[Any]) -> dict[Any, int]:
        """Row numbers by key. The index of keys alone is read."""
        found: dict[Any, int] = {}
        for picked in _pick(db, "pk, row", self._names.rows, "pk", keys):
            found.update(picked)
        return found

    def rows_to_remove(self, db: Connection, keys: Sequence[Any]) -> list[int]:
        """Row numbers of keys, each compared with the row itself."""
        found: list[int] = []
        for picked in _pick(db, "row, pk, key_sum", self._names.rows, "pk", keys):
            numbers, there, sums = zip(*picked, strict=True)
            self._checks.check_keys(db, np.array(numbers, dtype=np.int64), there, sums)
            found += numbers
        return found


def _pick(
    db: Connection, columns: str, table: str, key: str, values: Sequence[Any]
) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of some values that exist, as many at a time as one statement takes."""
    for start in range(0, len(values), _AT_ONCE):
        chunk = values[start : start + _AT_ONCE]
        places = ",".join("?" * len(chunk))
        statement = f"SELECT {columns} FROM {table} WHERE {key} IN ({places})"
        picked = db.execute(statement, chunk).fetchall()
        if picked:
            yield picked
