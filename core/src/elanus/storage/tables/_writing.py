"""Writing rows, inside a writing transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from elanus.errors import DatabaseCorruptError
from elanus.storage._sqlite import Connection
from elanus.storage.tables._checks import Checks
from elanus.storage.tables._names import Names, listed
from elanus.storage.tables._numbers import Numbers

_MOST_VALUES = 990  # of one statement; SQLite takes up to 32,766
_AT_ONCE = 500

LAST_ID = 2**63 - 1
"""The largest key, which is never generated: as the next one it means that none is left."""


@dataclass(frozen=True, slots=True, eq=False)
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


class RowWriting:
    """Writes the rows of one collection."""

    def __init__(self, names: Names, numbers: Numbers, checks: Checks) -> None:
        self._names = names
        self._numbers = numbers
        self._checks = checks

    def add(self, db: Connection, new: NewRows) -> None:
        """Insert rows whose keys are not there."""
        names, checks = self._names, self._checks
        first = self._numbers.last_row(db) + 1
        numbers = np.arange(first, first + len(new.keys), dtype=np.int64)
        rows = numbers.tolist()
        sums = checks.key_sums(numbers, new.keys), checks.data_sums(numbers, new.data)
        values = zip(rows, new.keys, *sums, new.data, strict=True)
        insert_rows(db, f"{names.rows}(row, pk, key_sum, data_sum, data)", 5, values)
        for table, columns, blobs in (
            (names.vectors, names.vector_columns, new.vectors),
            (names.terms, names.term_columns, new.terms),
        ):
            if blobs:
                found = [
                    checks.blob_sums(field, numbers, column)
                    for field, column in zip(columns, blobs, strict=True)
                ]
                values = zip(rows, *found, *blobs, strict=True)
                width = 1 + 2 * len(columns)
                insert_rows(db, f"{table}(row{listed(columns.values())})", width, values)

    def remove(self, db: Connection, rows: Sequence[int]) -> None:
        """Delete rows by number, and log them with their terms for those who keep statistics."""
        names = self._names
        columns = listed(names.term_columns.values())
        for start in range(0, len(rows), _AT_ONCE):
            chunk = rows[start : start + _AT_ONCE]
            among = f"row IN ({','.join('?' * len(chunk))})"
            if columns:
                # Before they are deleted: the terms are taken from where they are.
                db.execute(
                    f"INSERT INTO {names.deletes}(row{columns}) "
                    f"SELECT row{columns} FROM {names.terms} WHERE {among}",
                    chunk,
                )
                _check_changed(db, names.terms, chunk)
            else:
                insert_rows(db, f"{names.deletes}(row)", 1, ((row,) for row in chunk))
            db.execute(f"DELETE FROM {names.rows} WHERE {among}", chunk)
            _check_changed(db, names.rows, chunk)
            for table in (names.vectors, names.terms):
                db.execute(f"DELETE FROM {table} WHERE {among}", chunk)

    def check_new(self, db: Connection, first: int) -> None:
        """Check that generated keys from ``first`` on are new: they would replace other rows.

        Raises:
            DatabaseCorruptError: if there is such a key, or a larger one.
        """
        names = self._names
        (last,) = db.row(f"SELECT max(pk) FROM {names.rows}")
        # At the end there is no next key; whoever takes one says so.
        if last is not None and not (type(last) is int and (last < first or first == LAST_ID)):
            raise DatabaseCorruptError(
                f"the catalogue of the file is damaged: the next key of collection "
                f"{names.collection} is {first}, but there is {last!r:.40}; restore it from a "
                "backup"
            )

    def trim_deletes(self, db: Connection, keep: int) -> None:
        """Forget all but the last ``keep`` deletes, and say so in the catalogue.

        In one transaction: whoever sees the shorter log sees the floor too, and so knows whether
        what it follows was trimmed.
        """
        names = self._names
        floor = self._numbers.last_delete(db) - keep
        db.execute(f"DELETE FROM {names.deletes} WHERE number <= ?", (floor,))
        db.execute(
            "UPDATE collections SET floor = max(floor, ?) WHERE number = ?",
            (floor, names.collection),
        )


def _check_changed(db: Connection, table: str, rows: Sequence[int]) -> None:
    """A delete that the log lacks would never be heard of."""
    if db.changes() != len(rows):
        raise DatabaseCorruptError(
            f"table {table} of the file is damaged: {db.changes()} of {len(rows)} rows that were "
            "to be deleted are there; restore it from a backup"
        )


def insert_rows(db: Connection, table: str, width: int, rows: Iterable[tuple[Any, ...]]) -> None:
    """Insert rows of ``width`` values, hundreds a statement.

    Not ``executemany``: it gives up Python's lock once a row, and each time a busy thread may keep
    it for 5 ms. Without such a thread this is faster too, by a tenth.
    """
    row = f"({','.join('?' * width)})"
    left = list(rows)
    most = _power(_MOST_VALUES // width)
    begin = 0
    while begin < len(left):
        count = min(most, _power(len(left) - begin))
        values = ",".join([row] * count)
        part = chain.from_iterable(left[begin : begin + count])
        db.execute(f"INSERT INTO {table} VALUES {values}", list(part))
        begin += count


def _power(limit: int) -> int:
    """The largest power of two up to a limit: few sizes, so that few statements are prepared."""
    return 1 << limit.bit_length() - 1
