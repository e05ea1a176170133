"""SQLite, from the wheel that brings it: the only module that knows the package ``apsw``.

Not Python's ``sqlite3``: that has whatever library the system or the interpreter's build brings,
and up to version 3.51.2 SQLite can lose committed transactions when two checkpoints and a commit of
several processes meet (https://sqlite.org/wal.html#walresetbug).

Nothing happens here by itself: no checkpoint after a commit, and none when a connection is closed,
also when the collector closes one that was lost. Every commit and every checkpoint is made by
`DatabaseFile`, under the writers' lock.
"""

from __future__ import annotations

import ctypes
import gc
import os
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn, TypeAlias

import apsw

from elanus.errors import DatabaseCorruptError

Error: TypeAlias = apsw.Error
"""The root of SQLite's errors; `translate` makes ours of them."""

InterruptError: Final = apsw.InterruptError
"""A statement was given up."""

_FLAGS = apsw.SQLITE_OPEN_URI | apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.02  # seconds, between two looks whether a lock is free
_PAGES_AT_ONCE = 500
_STEPS = 1_000  # of SQLite's machine, between two looks whether a statement is given up
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

    def connect(self, address: str, vfs: str | None = None) -> None:
        """Open a file by its URI, with SQLite's access to the file system or another one."""
        if self.forbidden is not None:
            raise self.forbidden
        super().__init__(address, flags=_FLAGS, vfs=vfs, statementcachesize=_STATEMENTS)
        # Also what takes back a statement that fails: else a write of some dozens of rows would
        # need a folder for temporary files with room in it, which a container need not have.
        self.execute("PRAGMA temp_store=MEMORY")
        self.cursor_factory = _Cursor
        # In place of SQLite's own hook, which checkpoints.
        self.set_wal_hook(_note_log)
        self.fold_at_close(False)

    def fold_at_close(self, fold: bool) -> None:
        """Whether closing the last connection of all processes ends the log, and removes it."""
        self.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(not fold))

    def wait_for(self, seconds: float, is_given_up: Callable[[], bool]) -> None:
        """How long a statement waits for another program's lock, and what ends that sooner."""
        # SQLite's own wait would not end when Python is interrupted, and holds off all handlers.
        self.set_busy_handler(_Patience(seconds, is_given_up))

    def give_up_when(self, is_given_up: Callable[[], bool] | None) -> None:
        """Have statements raise `InterruptError` when something is so; None for never."""
        if is_given_up is None:
            self.set_progress_handler(None)
            return
        generation = _Process.generation

        def ask() -> bool:
            given_up = is_given_up()
            _end_if_forked(generation)
            return given_up

        self.set_progress_handler(ask, _STEPS)

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


class _Cursor(apsw.Cursor):
    """One whose class can be changed, which that of a class in C cannot."""

    __slots__ = ()


class _ForbiddenConnection(Connection):
    """What becomes of a connection that may not be used; closing it does nothing."""

    __slots__ = ()
    _ALLOWED = frozenset({"forbidden", "log_files", "log_pages", "owner"})

    def __getattribute__(self, name: str) -> Any:
        if name in _ForbiddenConnection._ALLOWED or name.startswith("__"):
            return object.__getattribute__(self, name)
        if name == "close":
            return _do_nothing
        reason: Exception = object.__getattribute__(self, "forbidden")
        raise reason.with_traceback(None)


class _ForbiddenCursor(_Cursor):
    __slots__ = ()
    reason: Exception

    def __getattribute__(self, _: str) -> NoReturn:
        raise _ForbiddenCursor.reason.with_traceback(None)

    def __next__(self) -> NoReturn:
        raise _ForbiddenCursor.reason.with_traceback(None)


def _do_nothing(*_: object) -> None:
    pass


def forbid(connections: Sequence[Connection], reason: Exception) -> None:
    """Have every use of connections, and of all cursors, raise before it enters SQLite.

    SQLite's locks may be held by threads that do not exist any more: whoever enters it, if only to
    free a statement, may wait for ever. So nothing of these is ever freed either, not even at the
    end of the interpreter. It is their class that changes: a check at each use would cost the
    others.
    """
    _ForbiddenCursor.reason = reason
    cursors = [found for found in gc.get_objects() if type(found) is _Cursor]
    for cursor in cursors:
        cursor.__class__ = _ForbiddenCursor
    for db in connections:
        db.forbidden = reason
        db.__class__ = _ForbiddenConnection
    for kept in (*cursors, *connections):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))


class _Patience:
    """Waits for a lock; knows nothing of its connection, which must end with its last holder."""

    def __init__(self, seconds: float, is_given_up: Callable[[], bool]) -> None:
        self._seconds = seconds
        self._is_given_up = is_given_up
        self._deadline = 0.0
        self._generation = _Process.generation

    def __call__(self, earlier: int) -> bool:
        """Wait a moment; False when it has been long enough."""
        if not earlier:
            self._deadline = time.monotonic() + self._seconds
        left = self._deadline - time.monotonic()
        waits = left > 0 and not self._is_given_up()
        if waits:
            time.sleep(min(left, _LONGEST_PAUSE, _FIRST_PAUSE * 1.5 ** min(earlier, 20)))
        _end_if_forked(self._generation)
        return waits


class _Process:
    """This process; its generation is told from its parent's without a call.

    For after any call a handler may strike, and fork.
    """

    generation = 0


def _count_generation() -> None:
    _Process.generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_generation)


def _end_if_forked(generation: int) -> None:
    """End a child of a handler that has struck in here, where SQLite waits for an answer.

    SQLite has locked the connection for the thread under the number that it had in the parent; in
    the child it would wait for itself for ever.
    """
    if generation != _Process.generation:
        os.write(2, b"elanus: forked by a signal handler inside SQLite: this process ends\n")
        os._exit(os.EX_SOFTWARE)


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


class _FilesBeside(apsw.VFS):
    """SQLite's access to the file system, but files that it wants without a name go to a folder."""

    def __init__(self, folder: str) -> None:
        self.name = f"beside-{uuid.uuid4().hex}"
        self._folder = folder
        super().__init__(self.name, "")

    def xOpen(  # noqa: N802  # SQLite's name
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        """Open a file; the flags of one without a name have its name deleted at once."""
        if name is None:
            made = f"compact-{uuid.uuid4().hex}.part"
            name = os.path.join(self._folder, made)  # noqa: PTH118  # names, not paths
        return apsw.VFSFile("", name, flags)


def vacuum(
    address: str, folder: str, synchronous: str, seconds: float, is_given_up: Callable[[], bool]
) -> None:
    """Write a database anew, without the pages that it does not use.

    SQLite makes a copy first, in a file without a name. Where that goes is up to the connection's
    own access to the file system, not to that of what is attached to it. So it is made in a folder
    with room for it, and the database itself read and written as always.

    Args:
        address: the database as a URI with a query.
        folder: where the copy is made.
        synchronous: how surely the outcome is on the disk.
        seconds: how long to wait for another program's lock.
        is_given_up: what ends that sooner.

    Raises:
        Error: if it fails; then the database is as before.
    """
    beside = _FilesBeside(folder)
    db = Connection()
    try:
        db.connect("file::memory:", beside.name)
        db.wait_for(seconds, is_given_up)
        db.execute("PRAGMA trusted_schema=OFF")
        db.execute("PRAGMA temp_store=FILE")
        db.execute("ATTACH ? AS vacuumed", (f"{address}&vfs={apsw.vfs_names()[0]}",))
        db.execute(f"PRAGMA vacuumed.synchronous={synchronous}")
        db.execute("VACUUM vacuumed")
    finally:
        db.close()
        beside.unregister()
