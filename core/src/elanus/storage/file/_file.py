"""The database file: who may read and write it now, and transactions.

A write that finds no room on the disk is rolled back here, and its room in the log given back.

Each state has one owner: `Place` says where the file is and whether it is still the one that was
opened, the pool holds the connections, `Turns` the writers' queue, `CommitMark` the number by which
a commit is noticed. What is here is the order in which they are used.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from elanus.errors import (
    ClosedError,
    DatabaseFullError,
    ForkedHandleError,
    ReadOnlyError,
    StorageError,
)
from elanus.storage._errors import sqlite_errors, translate
from elanus.storage._options import SYNCHRONOUS, OpenOptions
from elanus.storage._sqlite import Connection, Error, copy, vacuum
from elanus.storage.file._apart import Apart, is_abandoned, note_writing
from elanus.storage.file._backup import give_identity, named_when_whole
from elanus.storage.file._fork import hold_connections, living, on_fork
from elanus.storage.file._mark import CommitMark
from elanus.storage.file._opening import Opening
from elanus.storage.file._place import Place
from elanus.storage.file._pool import Connections, MemoryPool, Pool
from elanus.storage.file._reader import Reader
from elanus.storage.file._turns import Turns
from elanus.storage.tables._catalogue import note_vacuum
from elanus.storage.tables._layout import find_identity

_LARGE_BATCH = 5_000
_LOOK_SECONDS = 1.0


class DatabaseFile:
    """An open database file with a pool of connections.

    Args:
        path: the file, or ``:memory:``.
        options: how to open it.
        apart: the threads for calls that no signal may interrupt; closed with the file.

    Attributes:
        place: where it is.
        pool: its connections.
        closed: whether it was closed; calls that still run then go on to their end.

    Raises:
        StorageError: if the file cannot be opened, is not ours, or is damaged.
    """

    def __init__(self, path: str, options: OpenOptions, apart: Apart | None = None) -> None:
        self.options = options
        self.apart = apart or Apart()
        self.place = Place(path, options)
        self.path = self.place.path
        self.in_memory = self.place.in_memory
        self.cache_folder = self.place.cache_folder
        self.closed = False
        self._process = os.getpid()
        # When the next call looks whether the file is still there; not before it is open.
        self._look_at = float("inf")
        self.place.check_free(
            file.place for file in living() if isinstance(file, DatabaseFile) and not file.closed
        )
        self._turns = Turns(self.place, options)
        folder = self.cache_folder
        self._mark = CommitMark(
            None if folder is None else folder / "commits",
            writable=not options.read_only,
            needed=options.journal == "wal",
        )
        opening = self._opening = Opening(self.place, options, self._turns, self.check_usable)
        self.pool: Connections = (
            MemoryPool(self.path, opening)
            if self.in_memory
            else Pool(self.path, opening, self.apart)
        )
        # Before there is a connection, which a fork of another thread would carry over.
        hold_connections(self.pool)
        on_fork(self)
        with sqlite_errors(self.path):
            self.pool.open_first()
        self.place.note_inode()
        self._used = time.monotonic()
        if self.place.media is not None:
            self._look_at = 0.0
        elif not self.in_memory:
            self._look_at = self._used + _LOOK_SECONDS

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"an open database cannot be pickled or copied deeply; open {self.path} again by its "
            "path where it is needed"
        )

    # --- may it be used --------------------------------------------------------------------

    def check_usable(self) -> None:
        """Begin a call; once a second look whether the file is still there.

        Raises:
            ClosedError: if it was closed.
            ForkedHandleError: if this process was forked from the one that opened it.
            DatabaseReplacedError: if another file stands in its place.
        """
        if os.getpid() != self._process:
            raise ForkedHandleError(
                f"{self.path} was opened before a fork, by process {self._process}; "
                "open it again in this process"
            )
        if self.closed:
            raise ClosedError(f"{self.path} is closed; open it again")
        self._used = time.monotonic()
        if self._used > self._look_at:
            # It takes the mark's lock, which a handler's call on top of this one may want.
            self.apart.run(self._check_place)

    def _check_place(self) -> None:
        self.place.check(self.pool.all())
        if not self.in_memory and self.place.media is None:
            self._mark.refresh()
            # Last: whoever finds this changed goes on by the new mark.
            self._look_at = time.monotonic() + _LOOK_SECONDS

    def check_journal(self, db: Connection) -> None:
        """Check, for a file opened with ``journal="delete"``, that nobody has given it a log since.

        SQLite would go on with the log, and nobody here looks whether that stays where it is. Nor
        may it be used where memory is not shared.

        Args:
            db: a connection that nobody else has.

        Raises:
            StorageError: if it has one.
        """
        if self.options.read_only or self.in_memory:
            return
        db.row("PRAGMA schema_version")  # looks at the file: the journal is as of the last look
        if db.row("PRAGMA journal_mode")[0] != self.options.journal:
            raise StorageError(
                f"{self.path} was opened elsewhere with journal='wal', and is open here with "
                "journal='delete': nothing was read or written; close it in both places, and open "
                "it in the same way everywhere"
            )

    def idle_seconds(self) -> float:
        """How long ago the last call was."""
        return time.monotonic() - self._used

    def look(self) -> int | None:
        """A number that every commit changes; None if only the file itself can tell.

        Two equal numbers, and there was no commit between the two looks. Raises as
        ``check_usable``.
        """
        before = self._look_at
        self.check_usable()
        # Where memory is not shared, which is what "delete" is for, nor is the mark, and who writes
        # may be unable to move it. And once a second the file is asked in any case: other programs,
        # which restore a copy, move no mark.
        if not self._opening.has_log or self._look_at != before:
            return None
        return self._mark.look()

    # --- transactions ----------------------------------------------------------------------

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One read transaction: all that is read inside is of one commit. Raises as `Reader`."""
        with Reader(self) as reader:
            db = reader.db
            if not reader.has_begun:
                db.execute("BEGIN")
            yield db

    def check_writable(self, operation: str) -> None:
        """Raise what every write raises that is certain to fail: takes no lock, reads nothing.

        Raises:
            ReadOnlyError: if the file was opened read-only.
            ClosedError: if it is closed.
        """
        self.check_usable()
        if self.options.read_only:
            raise ReadOnlyError(f"{self.path} is open read-only: cannot {operation}")

    @contextmanager
    def write(
        self,
        operation: str,
        rows: int = 0,
        after: Callable[[bool], None] | None = None,
        patience: float = math.inf,
    ) -> Iterator[Connection]:
        """One write transaction: committed at the end of the block, or rolled back by an error.

        In this order: the turn; a connection; the look at the file; the transaction. A process that
        dies before COMMIT has written nothing that anybody reads; one that dies inside it has
        written all or nothing, and leaves an odd mark, by which readers ask the file itself; one
        that dies after it has committed what nobody acknowledged. The turn is the system's lock,
        and ends with the process in any case.

        Args:
            operation: what is being done, for the error text of whoever waits.
            rows: about how many rows are written; after many, the log is folded into the file.
            after: told whether the transaction was committed, while the lock is still held.
            patience: seconds to wait for other writers, if that is less than the timeout.

        Raises:
            ReadOnlyError: if the file was opened read-only.
            DatabaseLockedError: if another writer held it for longer than the timeout.
            DatabaseReplacedError: if the file or its log is not the one that was opened.
        """
        committed = False
        with self._holding(operation, patience) as db:
            try:
                # What acquires is inside the block that releases, here and everywhere.
                note_writing(db)
                db.execute("BEGIN IMMEDIATE")
                yield db
                if is_abandoned():
                    raise StorageError(f"{operation}: given up, nothing was written")
                # Just before, or the log of whatever lies here now would have these pages; and
                # after it, before it is acknowledged: the log may have been removed meanwhile.
                self.place.check_in_place()
                with self._mark.moving():
                    db.execute("COMMIT")
                self._check_place()
                committed = True
            except Error as error:
                self._give_room_back(db, error)
                raise
            finally:
                note_writing(None)
                # SQLite has rolled back by itself after a full disk or an I/O error.
                if db.in_transaction:
                    db.execute("ROLLBACK")
                if after is not None:
                    after(committed)
            self._turns.fold_if_long(db, whole=rows >= _LARGE_BATCH)

    def _give_room_back(self, db: Connection, error: Error) -> None:
        """Empty the log of what a write has left there that found no room on the disk."""
        if isinstance(translate(error, self.path), DatabaseFullError):
            with suppress(Error):
                if db.in_transaction:
                    db.execute("ROLLBACK")
            self._turns.fold_if_long(db, whole=True)

    @contextmanager
    def _holding(self, operation: str, patience: float = math.inf) -> Iterator[Connection]:
        """A connection in the writer's turn, to a file that is still there."""
        self.check_writable(operation)
        try:
            with (
                self._turns.turn(operation, self.check_usable, patience),
                Reader(self, in_turn=True) as reader,
            ):
                db = reader.db
                # At every write, not only now and then: what goes into a file that is no longer
                # there would be acknowledged, and lost.
                self._check_place()
                yield db
        finally:
            # After the turn: ending the log takes another.
            if self.closed:
                self.close_idle()

    # --- the whole file --------------------------------------------------------------------

    def vacuum(self) -> None:
        """Give unused space back to the file system; row numbers stay.

        Raises:
            DatabaseLockedError: if another process is writing.
        """
        with self._holding("compact") as db:
            note_writing(db)
            try:
                self._vacuum(db)
                note_vacuum(db)
            except Error as error:
                self._give_room_back(db, error)
                raise
            finally:
                note_writing(None)
            self._check_place()
            self._turns.fold_if_long(db, whole=True)

    def _vacuum(self, db: Connection) -> None:
        if self.in_memory:
            db.execute("VACUUM")
            return
        place, options = self.place, self.options
        folder = os.path.dirname(place.real)  # noqa: PTH120  # a name, not a path
        synchronous = SYNCHRONOUS[options.durability]
        vacuum(place.address(), folder, synchronous, options.timeout, is_abandoned)

    def fold(self) -> None:
        """Take the log into the file, unless somebody writes just now."""
        if self.in_memory or self.options.read_only:
            return
        with suppress(StorageError), self._holding("take the log into the file", 0.0) as db:
            self._turns.fold_if_long(db, whole=True)

    def backup(self, target: str) -> None:
        """Copy the file as of now to ``target``, while others go on reading and writing.

        A copy that fails leaves nothing behind.

        Raises:
            FileExistsError: if there is such a file already.
            StorageError: if it cannot be written, or a log lies beside its name.
        """
        with named_when_whole(target) as made, self.read() as db:
            # What is wrong with this file is met here; the rest is the target's.
            find_identity(db)
            with sqlite_errors(target):
                if not copy(db, made, is_abandoned):
                    raise StorageError(f"backup to {target}: given up, nothing was written")
                give_identity(made)

    def close(self) -> None:
        """Close all connections; a second call does nothing. A call still running finishes."""
        if self.closed or os.getpid() != self._process:
            self.closed = True
            return
        # First: whoever gives a connection back after this closes it.
        self.closed = True
        self.close_idle()
        self._turns.close()
        self._mark.close()

    def close_idle(self) -> None:
        """Close the connections that nobody holds; the last one ends the log."""
        self.pool.close_idle(self._end_log)

    def _end_log(self, db: Connection) -> None:
        """Have the log folded into the file and removed, if no other process has it open."""
        # With "delete" there is none, or one that others have begun: see `check_journal`.
        if not self.options.read_only and self.options.journal == "wal":
            self.apart.run(lambda: self._turns.end_log(db))

    def after_fork_in_child(self) -> None:
        """See `MadeAnew`."""
        self.pool.after_fork_in_child()
        self._turns.after_fork_in_child()
        self._mark.after_fork_in_child()
        if not self.in_memory:
            self._process = os.getpid()
