"""The connections of this process to one database.

A connection is in the pool, or its holder's. Where an exception may strike between the two (a
signal handler's may strike between any two steps), nothing here keeps it alive: a connection that
is lost is closed by the collector, which rolls back, and `_open`, which knows it by a weak
reference only, forgets it.

Before a connection is opened, it is made known to those who fork, and given an owner, for whom they
wait; only then is looked whether a fork is under way already. Who forks does it the other way
round, so one of the two always sees the other: see `_fork`. A connection that is given back while
another thread forks is closed, since that thread may have closed the idle ones already.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from elanus.errors import ClosedError
from elanus.native import forking
from elanus.storage._errors import sqlite_errors
from elanus.storage._sqlite import Connection, Error
from elanus.storage.file._apart import Apart
from elanus.storage.file._fork import is_forking, wait_for_fork
from elanus.storage.file._opening import Opening

_LOOK_SECONDS = 0.25


class Connections(Protocol):
    """A pool of a file, or the one connection of a database in memory."""

    def open_first(self) -> None:
        """Open a connection, and check what is there. Raises as `Opening.connect`."""

    def take(self) -> Connection:
        """A connection that nobody else has until it is given back.

        Raises:
            StorageError: if none can be opened.
        """

    def give_back(self, db: Connection) -> None:
        """Let others have a connection; a transaction that was begun since is rolled back."""

    def discard(self, db: Connection) -> None:
        """Take back a connection in a state that nobody knows."""

    def close_idle(self, end: Callable[[Connection], None]) -> None:
        """Close what nobody holds; ``end`` is called before with the last one that there is."""

    def all(self) -> list[Connection]:
        """All connections, whoever holds them."""

    def before_fork(self) -> list[int]:
        """See `HoldsConnections`."""

    def crossed(self) -> list[Connection]:
        """See `HoldsConnections`."""

    def after_fork_in_child(self) -> None:
        """Begin as if just opened."""


class Pool:
    """The connections to a file. Any thread may use any of them, one at a time.

    Args:
        path: the file, for errors.
        opening: opens them.
        apart: see `take`.
    """

    def __init__(self, path: str, opening: Opening, apart: Apart) -> None:
        self._path = path
        self._opening = opening
        self._apart = apart
        self._idle: list[Connection] = []
        self._open: dict[int, weakref.ref[Connection]] = {}
        self._closing = threading.Lock()

    def open_first(self) -> None:
        """See `Connections`."""
        self.give_back(self._connect(threading.get_ident(), first=True))

    def take(self) -> Connection:
        """See `Connections`."""
        try:
            db = self._idle.pop()
        except IndexError:
            me = threading.get_ident()
            with sqlite_errors(self._path):
                # Apart: it may wait for another process's lock inside SQLite, which a handler that
                # forks there could not leave any more.
                return self._apart.run(lambda: self._connect(me, first=False))
        db.owner = threading.get_ident()
        return db

    def _connect(self, holder: int, *, first: bool) -> Connection:
        try:
            return self._opened(holder, first=first)
        except Error as error:
            self._opening.take_as_media(error)
        return self._opened(holder, first=first)

    def _opened(self, holder: int, *, first: bool) -> Connection:
        db = Connection()
        db.owner = threading.get_ident()
        self._announce(db)
        try:
            self._opening.connect(db, first=first)
        except BaseException:
            self.discard(db)
            raise
        db.owner = holder
        return db

    def _announce(self, db: Connection) -> None:
        """Make a connection known, before it is opened, to those who fork; they wait for it."""
        key = id(db)
        known = weakref.ref(db, lambda _: self._open.pop(key, None))
        self._open[key] = known
        while is_forking():
            self._open.pop(key, None)
            wait_for_fork()
            self._open[key] = known

    def give_back(self, db: Connection) -> None:
        """See `Connections`."""
        try:
            if db.in_transaction:
                db.execute("ROLLBACK")
            if forking and is_forking():
                self.discard(db)
                return
        except Error:
            self.discard(db)
            return
        db.owner = 0
        self._idle.append(db)

    def discard(self, db: Connection) -> None:
        """See `Connections`."""
        db.close()
        self._open.pop(id(db), None)

    def close_idle(self, end: Callable[[Connection], None]) -> None:
        """See `Connections`."""
        # Never waiting: whoever does this already looks again when he is done.
        while self._idle and self._closing.acquire(blocking=False):
            try:
                while self._idle:
                    db = self._idle.pop()
                    # Ending the log takes a while, for which those who fork wait.
                    db.owner = threading.get_ident()
                    if len(self.all()) == 1:
                        end(db)
                    self.discard(db)
            finally:
                self._closing.release()

    def all(self) -> list[Connection]:
        """See `Connections`."""
        # A list of a dict is made in one step, whatever other threads add meanwhile.
        found = [reference() for reference in list(self._open.values())]
        return [db for db in found if db is not None]

    def before_fork(self) -> list[int]:
        """See `HoldsConnections`."""
        while self._idle:
            db = self._idle.pop()
            db.owner = threading.get_ident()
            self.discard(db)
        return [db.owner for db in self.all()]

    def crossed(self) -> list[Connection]:
        """See `HoldsConnections`."""
        return self.all()

    def after_fork_in_child(self) -> None:
        """See `Connections`."""
        self._closing = threading.Lock()
        self._idle, self._open = [], {}


class MemoryPool:
    """The one connection of a database in memory: shared caches fail at once instead of waiting.

    Whoever takes it may take it again, inside; what was begun inside ends there.

    Args:
        path: for errors.
        opening: opens it.
    """

    def __init__(self, path: str, opening: Opening) -> None:
        self._path = path
        self._opening = opening
        self._lock = threading.RLock()
        self._db: Connection | None = None
        self._began: list[bool] = []  # of each who holds it: whether a transaction was there before

    def open_first(self) -> None:
        """See `Connections`."""
        self._db = db = Connection()
        try:
            _own(db)
            self._opening.connect(db, first=True)
        finally:
            db.owner = 0

    def take(self) -> Connection:
        """See `Connections`."""
        # Not one long wait: in a child that returns to it there is another lock, and nobody who
        # would release this one.
        while not self._lock.acquire(timeout=_LOOK_SECONDS):
            pass
        try:
            return self._taken()
        except BaseException:
            self._release()
            raise

    def _release(self) -> None:
        with suppress(RuntimeError):  # made anew by a fork since it was acquired
            self._lock.release()

    def _taken(self) -> Connection:
        db = self._db
        if db is None:
            raise ClosedError(f"{self._path} is closed; open it again")
        if not self._began:
            _own(db)
        self._began.append(db.in_transaction)
        return db

    def give_back(self, db: Connection) -> None:
        """See `Connections`."""
        try:
            if not self._began.pop() and db.in_transaction:
                db.execute("ROLLBACK")
        except Error:
            pass  # closed meanwhile, by who holds it
        finally:
            if not self._began:
                db.owner = 0
            self._release()

    def discard(self, db: Connection) -> None:
        """See `Connections`."""
        self.give_back(db)  # it is the database: closed, all would be gone

    def close_idle(self, end: Callable[[Connection], None]) -> None:  # noqa: ARG002  # has no log
        """See `Connections`."""
        with self._lock:
            db = self._db
            if db is not None:
                _own(db)
                db.close()
                self._db = None

    def all(self) -> list[Connection]:
        """See `Connections`."""
        return [] if self._db is None else [self._db]

    def before_fork(self) -> list[int]:
        """See `HoldsConnections`."""
        return [db.owner for db in self.all() if db.owner]

    def crossed(self) -> list[Connection]:
        """See `HoldsConnections`; an idle one is memory like any other."""
        return [db for db in self.all() if db.owner]

    def after_fork_in_child(self) -> None:
        """See `Connections`."""
        self._lock = threading.RLock()


def _own(db: Connection) -> None:
    """Have those who fork wait for a connection, or wait for them."""
    db.owner = threading.get_ident()
    while is_forking():
        db.owner = 0
        wait_for_fork()
        db.owner = threading.get_ident()
