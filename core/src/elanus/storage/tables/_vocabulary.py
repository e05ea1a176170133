"""Vocabulary: the number of each term of an analysed field."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from elanus.errors import DatabaseCorruptError
from elanus.storage._sqlite import Connection
from elanus.storage.tables._tables import Tables
from elanus.storage.tables._writing import insert_rows

_AT_ONCE = 500
_LAST = 2**32 - 1


class Vocabulary:
    """Numbers of terms, with those seen kept in memory. Numbers count from 0 and never change.

    A number is remembered only when it is known to be committed: see ``finish``.
    """

    def __init__(self, tables: Tables, field: str) -> None:
        self._table = tables.names.words(field)
        self._known: dict[str, int] = {}
        self._pending: dict[str, int] = {}

    def known(self, terms: Iterable[str]) -> dict[str, int]:
        """Numbers of those terms that were looked up before; no file is read."""
        known = self._known
        return {term: known[term] for term in terms if term in known}

    def find(self, db: Connection, terms: Iterable[str]) -> dict[str, int]:
        """Numbers of those terms that have one."""
        found: dict[str, int] = {}
        unknown = []
        for term in terms:
            number = self._known.get(term)
            if number is None:
                unknown.append(term)
            else:
                found[term] = number
        if unknown:
            read = self._read(db, unknown)
            self._known.update(read)
            found.update(read)
        return found

    def _read(self, db: Connection, terms: Sequence[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for start in range(0, len(terms), _AT_ONCE):
            chunk = terms[start : start + _AT_ONCE]
            places = ",".join("?" * len(chunk))
            found.update(
                db.execute(
                    f"SELECT text, number FROM {self._table} WHERE text IN ({places})", chunk
                )
            )
        # Packed into four bytes; a damaged page may hold any number.
        if found and not 0 <= min(found.values()) <= max(found.values()) <= _LAST:
            raise DatabaseCorruptError(
                f"table {self._table} of the file is damaged: a term has a number that cannot be; "
                "restore it from a backup"
            )
        return found

    def since(self, db: Connection, number: int) -> list[str]:
        """The terms from a number on, in the order of their numbers, which have no gaps.

        Raises:
            DatabaseCorruptError: if they have, or a term is no text.
        """
        found = db.execute(
            f"SELECT number, text FROM {self._table} WHERE number >= ? ORDER BY number", (number,)
        ).fetchall()
        numbers, texts = zip(*found, strict=True) if found else ((), ())
        if numbers != tuple(range(number, number + len(found))) or not set(map(type, texts)) <= {
            str
        }:
            raise DatabaseCorruptError(
                f"table {self._table} of the file is damaged: its terms are not numbered one after "
                "the other; restore it from a backup"
            )
        return list(texts)

    def agrees(self, db: Connection) -> bool:
        """Whether all numbers that are remembered are those of the file."""
        known = dict(self._known)
        return self._read(db, list(known)) == known

    def number(self, db: Connection, terms: Sequence[str]) -> list[int]:
        """Numbers of all terms, in a writing transaction; new ones are entered."""
        # Nearly all terms of a batch are known, so they are looked up by a loop in C.
        numbers = list(map(self._known.get, terms))
        unknown = [t for t, n in zip(terms, numbers, strict=True) if n is None]
        if unknown:
            self._enter(db, [t for t in unknown if t not in self._pending])
            given = map(self._pending.__getitem__, unknown)
            return [next(given) if n is None else n for n in numbers]
        return cast("list[int]", numbers)

    def _enter(self, db: Connection, terms: Sequence[str]) -> None:
        """Note the numbers of terms, and give one to those that have none."""
        pending = self._pending
        pending.update(self._read(db, terms))
        (first,) = db.row(f"SELECT ifnull(max(number) + 1, 0) FROM {self._table}")
        entries = list(enumerate((t for t in terms if t not in pending), first))
        insert_rows(db, self._table, 2, entries)
        pending.update((text, number) for number, text in entries)

    def finish(self, *, committed: bool) -> None:
        """Remember the numbers given in a transaction if it was committed; forget them if not."""
        if committed:
            self._known.update(self._pending)
        self._pending = {}
