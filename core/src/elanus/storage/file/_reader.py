"""A connection for the time of a block: taken, its errors explained, given back."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from elanus.errors import DatabaseCorruptError, ElanusError
from elanus.storage._errors import DAMAGE, damaged, translate
from elanus.storage._sqlite import Connection, Error
from elanus.storage.file._apart import is_abandoned
from elanus.storage.tables._verify import first_fault

if TYPE_CHECKING:
    from elanus.storage.file._file import DatabaseFile


class Reader:
    """The file for the time of a block; a connection is taken when one is first needed.

    Most searches find all in memory, and never take one. What is read without a transaction is
    read by one statement: each gives up Python's lock, and so costs most when several threads
    search.

    Whatever the block fails by, SQLite's errors are raised as ours, and a damaged file is told as
    such. The order at the end matters. First the file is asked, while the connection is still this
    thread's; then the connection is given back, which ends what was begun; then a closed file
    closes what lies idle, for whoever closed it could not wait for this block. After an exception
    that is no error, a handler's, the connection is not used again: it may have struck anywhere,
    so nobody knows what runs on it.

    Args:
        file: the open file.
        db: a connection of it that is held already; then nothing ends with the block.
        in_turn: whether the block is in a writer's turn, after which what lies idle is closed:
            ending the log takes a turn of its own.

    Attributes:
        has_begun: whether a transaction was begun: then all is of its commit.
    """

    __slots__ = ("_db", "_file", "_in_turn", "_taken", "has_begun")

    def __init__(
        self, file: DatabaseFile, db: Connection | None = None, *, in_turn: bool = False
    ) -> None:
        self._file = file
        self._in_turn = in_turn
        self._db = db
        self._taken: Connection | None = None
        self.has_begun = db is not None and db.in_transaction

    def begin(self) -> None:
        """Begin a transaction. Raises as ``db``."""
        self.db.execute("BEGIN")
        self.has_begun = True

    @property
    def db(self) -> Connection:
        """A connection, outside a transaction until one is begun.

        Raises:
            ClosedError: if the file is closed.
            DatabaseReplacedError: if another file stands in its place.
            StorageError: if it has another journal now than it was opened with.
        """
        db = self._db
        if db is None:
            self._file.check_usable()
            self._taken = self._db = db = self._file.pool.take()
            self.has_begun = db.in_transaction
            if self._file.options.journal != "wal":
                self._file.check_journal(db)
        return db

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        db, file = self._taken, self._file
        if db is None:
            return
        try:
            if error is not None:
                self._end(db, error)
                return
            file.pool.give_back(db)
            if file.place.media is not None:
                # Nothing kept others from changing what was being read.
                file.place.check_media(file.place.media)
        finally:
            if file.closed and not self._in_turn:
                # Apart: whoever closes one is not to be interrupted in the middle.
                file.apart.run(file.close_idle)
                file.apart.close()

    def _end(self, db: Connection, error: BaseException) -> None:
        try:
            self._explain(db, error)
        except Exception:  # what the error means: the connection is sound
            self._file.pool.give_back(db)
            raise
        except BaseException:  # a handler's, in the middle of asking
            self._file.pool.discard(db)
            raise
        if isinstance(error, Exception):
            self._file.pool.give_back(db)
        else:
            self._file.pool.discard(db)

    def _explain(self, db: Connection, error: BaseException) -> None:
        """Raise what an error of the block means, if that is something else.

        Whatever the block fails by is a damaged file, if the file is damaged. It is asked only
        then. That a page is not what was written can show in any error, of which most would also
        be those of a mistake; that must stay visible.
        """
        place, path = self._file.place, self._file.place.path
        if place.media is not None and isinstance(error, (*DAMAGE, Error, DatabaseCorruptError)):
            place.check_media(place.media)  # nothing kept others from changing what was being read
        try:
            if isinstance(error, DAMAGE) and not isinstance(error, ElanusError):
                # Apart: what a handler raised in the middle of it would be taken for a fault, and
                # after an error of too deep a stack there is a fresh one.
                fault = self._file.apart.run(lambda: self._fault(db))
                if fault is not None:
                    raise damaged(path, fault) from error
        except Error as refused:
            raise translate(refused, path) from refused
        if isinstance(error, Error):
            raise translate(error, path) from error

    def _fault(self, db: Connection) -> str | None:
        if self._file.place.in_memory:
            return None
        if db.in_transaction:
            # What was half written contradicts itself, and is no damage.
            db.execute("ROLLBACK")
        return first_fault(db, is_abandoned)
