"""Reading what is new: the range reads by which indexes follow the tables.

A follower that has seen row and delete numbers up to some point needs two range reads to know what
is new and what is gone. All that is read is compared with its checksum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.errors import DatabaseCorruptError
from elanus.storage._sqlite import Connection
from elanus.storage.tables._checks import Checks, Csr, RowNumbers, check_rising, damaged
from elanus.storage.tables._names import Names
from elanus.storage.tables._numbers import Numbers

_AT_ONCE = 50_000


class Following:
    """Reads rows and deletes of one collection after a number, in order."""

    def __init__(self, names: Names, numbers: Numbers, checks: Checks) -> None:
        self._names = names
        self._numbers = numbers
        self._checks = checks

    def keys_since(self, db: Connection, row: int) -> tuple[RowNumbers, list[Any]]:
        """Numbers and keys of the rows after ``row``, in order."""
        pieces: list[RowNumbers] = []
        keys: list[Any] = []
        for found, picked, sums in walk(db, self._names.rows, ("pk", "key_sum"), row):
            self._checks.check_keys(db, found, picked, sums)
            pieces.append(found)
            keys += picked
        if not pieces:
            return np.zeros(0, dtype=np.int64), keys
        rows = np.concatenate(pieces)
        if int(rows[-1]) > self._numbers.last_row(db):
            raise damaged(int(rows[-1]), "it is newer than the last number given")
        return rows, keys

    def data_since(self, db: Connection, row: int, most: int) -> tuple[RowNumbers, Sequence[bytes]]:
        """Numbers and JSON of the first ``most`` rows after ``row``, in order."""
        rows, blobs, sums = _since(db, self._names.rows, ("data", "data_sum"), row, most)
        self._checks.check_data(db, rows, blobs, sums)
        return rows, blobs

    def dense_since(
        self, db: Connection, field: str, row: int, most: int
    ) -> tuple[RowNumbers, NDArray[np.bool_], NDArray[np.float32]]:
        """Of the first ``most`` rows after ``row``: numbers, which have a vector, the vectors."""
        rows, blobs, sums = self._blobs_since(db, self._names.vectors, field, row, most)
        return rows, *self._checks.dense(db, field, rows, blobs, sums)

    def sparse_since(
        self, db: Connection, field: str, row: int, most: int
    ) -> tuple[RowNumbers, Csr]:
        """Numbers and sparse vectors of the first ``most`` rows after ``row``, in order."""
        rows, blobs, sums = self._blobs_since(db, self._names.vectors, field, row, most)
        return rows, self._checks.sparse(db, field, rows, blobs, sums)

    def terms_since(
        self, db: Connection, field: str, row: int, most: int
    ) -> tuple[RowNumbers, Csr]:
        """Numbers and terms of an analysed field of the first ``most`` rows after ``row``."""
        rows, blobs, sums = self._blobs_since(db, self._names.terms, field, row, most)
        return rows, self._checks.terms(db, field, rows, blobs, sums)

    def _blobs_since(
        self, db: Connection, table: str, field: str, row: int, most: int
    ) -> tuple[Any, ...]:
        column = self._names.column(field)
        return _since(db, table, (column, f"{column}_sum"), row, most)

    def deletes_since(self, db: Connection, delete: int) -> RowNumbers:
        """Numbers of the rows that were deleted after a delete."""
        deletes = self._names.deletes
        pieces = [
            _integers(deletes, found)
            for _, found in walk(db, deletes, ("row",), delete, key="number")
        ]
        return np.concatenate([np.zeros(0, dtype=np.int64), *pieces])

    def removed_terms(self, db: Connection, field: str, delete: int) -> tuple[RowNumbers, Csr]:
        """Row numbers and terms of the rows that were deleted after a delete, by row."""
        deletes, column = self._names.deletes, self._names.column(field)
        found = db.execute(
            f"SELECT row, {column}, {column}_sum FROM {deletes} WHERE number > ? ORDER BY row",
            (delete,),
        ).fetchall()
        numbers, blobs, sums = zip(*found, strict=True) if found else ((), (), ())
        rows = _integers(deletes, numbers)
        check_rising(deletes, rows, 0)
        return rows, self._checks.terms(db, field, rows, blobs, sums)


def walk(
    db: Connection, table: str, columns: tuple[str, ...], after: int, *, key: str = "row",
    most: int = _AT_ONCE,
) -> Iterator[tuple[Any, ...]]:  # fmt: skip
    """Numbers and columns of all rows of a table after a number, in order, some at a time."""
    while True:
        piece = _since(db, table, columns, after, most, key)
        if len(piece[0]):
            yield piece
        if len(piece[0]) < most:
            return
        after = int(piece[0][-1])


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
    numbered = np.array(numbers, dtype=np.int64)
    check_rising(table, numbered, after)
    return numbered, *values


def _integers(table: str, values: Sequence[Any]) -> RowNumbers:
    if not set(map(type, values)) <= {int}:
        raise DatabaseCorruptError(
            f"table {table} of the file is damaged: a row number is no number; "
            "restore it from a backup"
        )
    return np.array(values, dtype=np.int64)
