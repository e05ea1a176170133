"""Checksums of what rows hold, and what else must be true of any table.

Damage shows by them that SQLite cannot see. Each begins with a number that is of its row and column
alone, so that what came from elsewhere is noticed as well. Besides, row numbers rise, and values
have the type of their column, which SQLite does not enforce.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.errors import DatabaseCorruptError
from elanus.storage._sqlite import Connection
from elanus.storage.tables._codec import (
    COMPONENT,
    DENSE,
    TERM,
    decode_dense,
    decode_sparse,
    decode_terms,
)
from elanus.storage.tables._names import Names
from elanus.storage.tables._numbers import Numbers

_WORD = 2**32 - 1

RowNumbers = NDArray[np.int64]

Csr = tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[Any]]
"""Offsets of the rows; indices or term numbers; values or counts."""


class Checks:
    """Makes and compares the checksums of one collection."""

    def __init__(self, names: Names, numbers: Numbers) -> None:
        self._names = names
        self._numbers = numbers

    # --- making ----------------------------------------------------------------------------

    def key_sums(self, rows: RowNumbers, keys: Sequence[Any]) -> list[int]:
        """Checksums of primary keys."""
        return _of_keys(rows + self._names.seeds["key"], keys)

    def data_sums(self, rows: RowNumbers, data: Sequence[bytes]) -> list[int]:
        """Checksums of the JSON of rows."""
        return _of_blobs(rows + self._names.seeds["data"], data)

    def blob_sums(
        self, field: str, rows: RowNumbers, blobs: Sequence[bytes | None]
    ) -> Sequence[int | None]:
        """Checksums of a field's vectors or terms; None for nulls."""
        kept = [blob for blob in blobs if blob is not None]
        if len(kept) == len(blobs):
            return self._sums_of(field, rows, kept)
        filled = np.array([blob is not None for blob in blobs], dtype=bool)
        found = iter(self._sums_of(field, rows[filled], kept))
        return [next(found) if there else None for there in filled.tolist()]

    def _sums_of(self, field: str, rows: RowNumbers, blobs: Sequence[bytes]) -> list[int]:
        names = self._names
        dim = names.dims.get(field)
        starts = rows + names.seeds[names.column(field)]
        if dim is None:
            return _of_blobs(starts, blobs)
        return _of_words(starts, decode_dense(blobs, dim).view("<u4"))

    # --- comparing -------------------------------------------------------------------------

    def check_count(self, db: Connection, count: int) -> None:
        """Compare the number of rows that were found with the index of keys.

        Raises:
            DatabaseCorruptError: if it differs: one of the two has lost some.
        """
        _check_index(db, self._names.rows, "rows", count)

    def check_words(self, db: Connection, field: str) -> None:
        """Compare the numbers of a field's terms, which have no gaps, with the index of terms."""
        count = self._numbers.last_word(db, field) + 1
        _check_index(db, self._names.words(field), "terms", count)

    def check_keys(
        self, db: Connection, rows: RowNumbers, keys: Sequence[Any], sums: Sequence[Any]
    ) -> None:
        """Compare primary keys with their checksums.

        Raises:
            DatabaseCorruptError: if one differs; so do the others here.
        """
        _check_types("primary key", rows, keys, {self._names.key_class})
        self._check_sums(db, "primary key", rows, sums, self.key_sums(rows, keys))

    def check_data(
        self, db: Connection, rows: RowNumbers, blobs: Sequence[Any], sums: Sequence[Any]
    ) -> None:
        """Compare the JSON of rows with its checksums."""
        _check_types("data", rows, blobs, {bytes})
        self._check_sums(db, "data", rows, sums, self.data_sums(rows, blobs))

    def check_blobs(
        self, db: Connection, field: str, rows: RowNumbers, blobs: Sequence[Any],
        sums: Sequence[Any],
    ) -> None:  # fmt: skip
        """Compare the vectors or terms of a field with their checksums."""
        self._check_shape(field, rows, blobs)
        self._check_sums(db, field, rows, sums, self.blob_sums(field, rows, blobs))

    def dense(
        self, db: Connection, field: str, rows: RowNumbers, blobs: Sequence[Any],
        sums: Sequence[Any],
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:  # fmt: skip
        """Compare dense vectors with their checksums; which rows have one, and the vectors."""
        kept = self._check_shape(field, rows, blobs)
        names = self._names
        matrix = decode_dense(kept, names.dims[field])
        if len(kept) == len(blobs):
            starts = rows + names.seeds[names.column(field)]
            self._check_sums(db, field, rows, sums, _of_words(starts, matrix.view("<u4")))
            return np.ones(len(blobs), dtype=bool), matrix
        self._check_sums(db, field, rows, sums, self.blob_sums(field, rows, blobs))
        return np.array([blob is not None for blob in blobs], dtype=bool), matrix

    def sparse(
        self, db: Connection, field: str, rows: RowNumbers, blobs: Sequence[Any],
        sums: Sequence[Any],
    ) -> Csr:  # fmt: skip
        """Compare sparse vectors with their checksums; the vectors."""
        self.check_blobs(db, field, rows, blobs, sums)
        return decode_sparse(blobs)

    def terms(
        self, db: Connection, field: str, rows: RowNumbers, blobs: Sequence[Any],
        sums: Sequence[Any],
    ) -> Csr:  # fmt: skip
        """Compare terms with their checksums and the vocabulary; the terms."""
        self.check_blobs(db, field, rows, blobs, sums)
        offsets, terms, counts = decode_terms(blobs)
        # Whoever counts terms makes room for the largest number.
        wrong = (terms > self._numbers.last_word(db, field)) | (counts == 0)
        if wrong.any():
            place = int(np.searchsorted(offsets, int(wrong.argmax()), side="right")) - 1
            raise damaged(int(rows[place]), f"a term of field {field!r} cannot be")
        return offsets, terms, counts

    def _check_shape(self, field: str, rows: RowNumbers, blobs: Sequence[Any]) -> Sequence[bytes]:
        """Check that each BLOB is there and holds whole records; those that are not null."""
        _check_types(f"field {field!r}", rows, blobs, {bytes, type(None)})
        if field not in self._names.nullable and None in blobs:
            raise damaged(int(rows[blobs.index(None)]), f"field {field!r} is missing")
        kept = [blob for blob in blobs if blob is not None] if None in blobs else blobs
        dim = self._names.dims.get(field)
        record = TERM if field in self._names.term_columns else COMPONENT
        for length in set(map(len, kept)):
            if length % record.itemsize if dim is None else length != dim * DENSE.itemsize:
                place = next(i for i, b in enumerate(blobs) if b is not None and len(b) == length)
                raise damaged(int(rows[place]), f"field {field!r} has {length} bytes")
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
        may_lack = None in stored and self._names.are_upgraded(db)
        for row, kept, counted in zip(rows, stored, found, strict=True):
            if kept != counted and not (kept is None and may_lack):
                raise damaged(int(row), f"its {what} is not what was written")


def damaged(row: int, what: str) -> DatabaseCorruptError:
    """The error for a row."""
    return DatabaseCorruptError(
        f"row {row} of the file is damaged: {what}; restore it from a backup"
    )


def check_rising(table: str, numbers: RowNumbers, after: int) -> None:
    """On damaged pages a walk may come back to where it has been, and would never end.

    Raises:
        DatabaseCorruptError: if it does.
    """
    wrong = np.diff(numbers, prepend=after) <= 0
    if wrong.any():
        raise DatabaseCorruptError(
            f"table {table} of the file is damaged: number {int(numbers[wrong.argmax()])} is out "
            "of order; restore it from a backup"
        )


def _check_types(what: str, rows: Iterable[int], values: Sequence[Any], types: set[type]) -> None:
    if set(map(type, values)) <= types:
        return
    for row, value in zip(rows, values, strict=True):
        if type(value) not in types:
            raise damaged(int(row), f"its {what} is of type {type(value).__name__}")


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


def _of_blobs(starts: NDArray[np.int64], blobs: Iterable[bytes]) -> list[int]:
    """CRC-32 of each BLOB."""
    return list(map(zlib.crc32, blobs, starts.tolist()))


def _of_words(starts: NDArray[np.int64], words: NDArray[np.uint32]) -> list[int]:
    """Sums of 32-bit words, each times an odd number by its place.

    In one pass over an array that is there already; CRCs take nine times as long. As the numbers
    are odd, no bit that changed leaves the sum as it was.

    Args:
        starts: (n,) numbers to begin with.
        words: (n, w).
    """
    places = np.arange(words.shape[1], dtype=np.uint32)
    sums: NDArray[np.uint32] = np.einsum("ij,j->i", words, places * np.uint32(2) + np.uint32(1))
    found: list[int] = (sums + starts.astype(np.uint32)).tolist()
    return found


def _of_keys(starts: NDArray[np.int64], keys: Sequence[Any]) -> list[int]:
    """Of primary keys: of the two words of a number, or of the UTF-8 of a text."""
    if keys and isinstance(keys[0], str):
        return _of_blobs(starts, map(str.encode, keys))
    numbers = np.array(keys, dtype=np.int64)
    # As `_of_words` of two words; einsum takes longer for so few.
    found: list[int] = ((numbers & _WORD) + (numbers >> 32 & _WORD) * 3 + starts & _WORD).tolist()
    return found
