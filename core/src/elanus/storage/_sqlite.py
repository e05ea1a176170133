"""SQLite, from the wheel that brings it: the only module that knows the package ``apsw``.

Not Python's ``sqlite3``: that has whatever library the system or the interpreter's build brings,
and up to version 3.51.2 SQLite can lose committed transactions when two checkpoints and a commit of
several processes meet (https://sqlite.org/wal.html#walresetbug).

Nothing happens here by itself: no checkpoint after a commit, and none when a connection is closed,
also when the collector closes one that was lost. Every commit and every checkpoint is made by
`DatabaseFile`, under the writers' lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias

import apsw

from elanus.errors import DatabaseCorruptError

Error: TypeAlias = apsw.Error
"""The root of SQLite's errors; `translate` makes ours of them."""

InterruptError: Final = apsw.InterruptError
"""A statement was given up."""

_FLAGS = apsw.SQLITE_OPEN_URI | apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.02  # seconds, between two looks whether a lock is free
_PAGES_AT_ONCE = 500
_STATEMENTS = 512  # prepared ones that are kept; a collection uses some dozens


class Connection(apsw.Connection):
    """A connection to a database file.

    Attributes:
        log_pages: pages in the write-ahead log after this connection's last commit.
        owner: the thread that holds it; 0 while it is idle.
        log_files: what tells the log that it was opened with from others.
        forbidden: why it may not be used any more.
    """

    __slots__ = ("forbidden", "log_files", "log_pages", "owner")

    def __init__(self) -> None:
        # Not opened yet: it has to be known to those who fork before it is.
        self.log_pages = 0
        self.owner = 0
        self.log_files: tuple[tuple[int, int] | None, ...] = ()
        self.forbidden: Exception | None = None

    def connect(self, address: str) -> None:
        """Open a file by its URI."""
        if self.forbidden is not None:
            raise self.forbidden
        super().__init__(address, flags=_FLAGS, statementcachesize=_STATEMENTS)
        # In place of SQLite's own hook, which checkpoints.
        self.set_wal_hook(_note_log)
        self.fold_at_close(False)

    def fold_at_close(self, fold: bool) -> None:
        """Whether closing the last connection of all processes ends the log, and removes it."""
        self.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(not fold))

    def forbid(self, reason: Exception) -> None:
        """Have every statement from now on raise, and the opening: SQLite may not be used."""
        self.forbidden = reason

        def refuse(*_: object) -> bool:
            raise reason

        # One that is closed, or not open yet, has no statements.
        with suppress(apsw.ConnectionClosedError):
            self.set_exec_trace(refuse)

    def wait_for(self, seconds: float, is_given_up: Callable[[], bool]) -> None:
        """How long a statement waits for another program's lock, and what ends that sooner."""
        # SQLite's own wait would not end when Python is interrupted, and holds off all handlers.
        self.set_busy_handler(_Patience(seconds, is_given_up))

    def row(self, statement: str, values: Sequence[Any] = ()) -> tuple[Any, ...]:
        """The one row that a query gives.

        Raises:
            DatabaseCorruptError: if it gives none.
        """
        found: tuple[Any, ...] | None = self.execute(statement, values).fetchone()
        if found is not None:
            return found
        raise DatabaseCorruptError(
            f"{self.filename} is damaged: nothing for {statement:.100}; restore it from a backup"
        )

    def fold(self, *, whole: bool) -> tuple[int, int]:
        """Checkpoint: copy the log into the file, as far as readers let; the lock must be held.

        Args:
            whole: wait for nobody, but empty the log if nobody reads from it.

        Returns:
            Pages in the log, and how many of them the file has now; (-1, -1) without a log.

        Raises:
            Error: if it cannot be done now.
        """
        mode = apsw.SQLITE_CHECKPOINT_TRUNCATE if whole else apsw.SQLITE_CHECKPOINT_PASSIVE
        return self.wal_checkpoint(mode=mode)


class _Patience:
    """Waits for a lock; knows nothing of its connection, which must end with its last holder."""

    def __init__(self, seconds: float, is_given_up: Callable[[], bool]) -> None:
        self._seconds = seconds
        self._is_given_up = is_given_up
        self._deadline = 0.0

    def __call__(self, earlier: int) -> bool:
        """Wait a moment; False when it has been long enough."""
        if not earlier:
            self._deadline = time.monotonic() + self._seconds
        left = self._deadline - time.monotonic()
        if left <= 0 or self._is_given_up():
            return False
        time.sleep(min(left, _LONGEST_PAUSE, _FIRST_PAUSE * 1.5 ** min(earlier, 20)))
        return True


def _note_log(db: apsw.Connection, _: str, pages: int) -> int:
    assert isinstance(db, Connection)
    db.log_pages = pages
    return apsw.SQLITE_OK


def copy(source: Connection, target: str, is_given_up: Callable[[], bool]) -> bool:
    """Copy a whole database to a file; False if it was given up.

    Args:
        source: a connection inside a transaction, of whose commit the copy is.
        target: a file that does not exist.
        is_given_up: asked every few megabytes.

    Raises:
        Error: if the file cannot be written.
    """
    copied = apsw.Connection(target)
    try:
        with copied.backup("main", source, "main") as backup:
            while not backup.done:
                if is_given_up():
                    return False
                backup.step(_PAGES_AT_ONCE)
        return True
    finally:
        copied.close()
