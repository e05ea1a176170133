"""The numbers that a collection has given so far.

Row and delete numbers are never used again (AUTOINCREMENT), and terms are numbered without gaps, so
whoever has seen those up to some number needs to be told only what came after.
"""

from __future__ import annotations

from elanus.errors import DatabaseCorruptError
from elanus.storage._sqlite import Connection
from elanus.storage.tables._names import Names

MOST = 2**62
"""What is counted up by ones never comes here, and a smaller number may still be raised."""


class Numbers:
    """The last row, delete and term numbers of one collection, as a transaction sees them."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def last_row(self, db: Connection) -> int:
        """Largest row number ever given."""
        return _last(db, self._names.rows)

    def last_delete(self, db: Connection) -> int:
        """Largest delete number ever given."""
        return _last(db, self._names.deletes)

    def last_word(self, db: Connection, field: str) -> int:
        """Largest number of a term; -1 if there is none."""
        words = self._names.words(field)
        return int(db.row(f"SELECT ifnull(max(number), -1) FROM {words}")[0])

    def floor(self, db: Connection) -> int:
        """Number of the last delete that was trimmed from the log."""
        collection = (self._names.collection,)
        return int(db.row("SELECT floor FROM collections WHERE number = ?", collection)[0])

    def logged_deletes(self, db: Connection) -> int:
        """How many deletes the log still holds."""
        (first,) = db.row(f"SELECT min(number) FROM {self._names.deletes}")
        return 0 if first is None else self.last_delete(db) - int(first) + 1


def _last(db: Connection, table: str) -> int:
    found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    if found is None:
        return 0
    if type(found[0]) is not int or not 0 <= found[0] < MOST:
        raise DatabaseCorruptError(
            f"table {table} of the file is damaged: its last number is {found[0]!r:.40}; "
            "restore it from a backup"
        )
    return int(found[0])
