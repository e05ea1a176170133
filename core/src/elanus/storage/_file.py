"""The database file: connections, transactions, and what may happen to a file under a program.

Only ``sqlite3`` touches the database files. Closing any other descriptor of them would drop
SQLite's POSIX locks, and acknowledged commits with them; so identity is asked of ``os.stat``,
versions of PRAGMAs, and copies of the backup API.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from elanus.errors import (
    ClosedError,
    DatabaseFormatError,
    DatabaseLockedError,
    DatabaseNotFoundError,
    DatabaseReplacedError,
    ForkedHandleError,
    ReadOnlyError,
    StorageError,
)
from elanus.storage._errors import sqlite_errors, translate
from elanus.storage._layout import PAGE_SIZE, prepare
from elanus.storage._lock import WriterLock
from elanus.storage._mark import CommitMark
from elanus.storage._options import SYNCHRONOUS, OpenOptions

MEMORY = ":memory:"
_WAL_LIMIT = 64 * 1024 * 1024
_LARGE_BATCH = 5_000
_NO_FOLDER = ("unable to open", "attempt to write a readonly")  # where no log can be made


class DatabaseFile:
    """An open database file with a pool of connections.

    Args:
        path: the file, or ``:memory:``.
        options: how to open it.

    Raises:
        StorageError: if the file cannot be opened, is not ours, or is damaged.
    """

    def __init__(self, path: str, options: OpenOptions) -> None:
        # Absolute from the start: connections are opened later too, from wherever the program is.
        self.path = path if path == MEMORY else os.path.abspath(path)  # noqa: PTH100  # keeps links
        self.options = options
        self.in_memory = path == MEMORY
        # By the real path: whoever comes by a link must meet the others there.
        real = Path(os.path.realpath(self.path))
        self.cache_folder = None if self.in_memory else real.with_name(f"{real.name}-cache")
        self._process = os.getpid()
        self._closed = False
        self._immutable = False
        self._idle: list[sqlite3.Connection] = []
        self._all: set[sqlite3.Connection] = set()
        self._pool = threading.Lock()
        # One connection, one lock: shared caches of :memory: fail at once instead of waiting.
        self._memory_lock = threading.RLock()
        lock_file = None if self.cache_folder is None else self.cache_folder / "writer.lock"
        self._writers = WriterLock(None if options.read_only else lock_file)
        self._check_folder()
        self._mark = self._new_mark()
        self._idle.append(self._open_first())
        self._inode = self._current_inode()
        self._looked = self._used = time.monotonic()

    def _check_folder(self) -> None:
        if self.in_memory:
            return
        parent = Path(self.path).parent
        if not parent.is_dir():
            raise DatabaseNotFoundError(f"cannot open {self.path}: no folder {parent}")
        try:
            found = os.stat(self.path)  # noqa: PTH116  # never opened: see above
        except FileNotFoundError:
            if self.options.read_only:
                raise DatabaseNotFoundError(
                    f"cannot open {self.path} read-only: no such file"
                ) from None
            return
        except OSError as error:
            raise StorageError(f"cannot open {self.path}: {error.strerror}") from error
        if stat.S_ISDIR(found.st_mode):
            raise StorageError(f"cannot open {self.path}: it is a folder; give the path of a file")
        if found.st_size == 1:
            # SQLite takes a file of one byte for an empty one, and would write over it.
            raise DatabaseFormatError(f"{self.path} is not a database file")

    def _new_mark(self) -> CommitMark:
        path = None if self.cache_folder is None else self.cache_folder / "commits"
        return CommitMark(path, writable=not self.options.read_only)

    # --- connections -----------------------------------------------------------------------

    def _open_first(self) -> sqlite3.Connection:
        try:
            return self._connect(new=True)
        except sqlite3.Error as error:
            if not (self.options.read_only and any(t in str(error) for t in _NO_FOLDER)):
                raise translate(error, self.path) from error
        # Read-only media: SQLite cannot make its shared memory. Ignoring the log is right only
        # when there is none; otherwise its commits would be missing without a word.
        if self._log_size():
            raise StorageError(
                f"cannot open {self.path} read-only: its folder cannot be written and "
                f"{self.path}-wal holds commits; copy both to a folder that can be written"
            )
        self._immutable = True
        with sqlite_errors(self.path):
            return self._connect(new=True)

    def _log_size(self) -> int:
        """Bytes of the write-ahead log; 0 if there is none."""
        try:
            # SQLite names it by the real path, also where the file was opened by a link.
            return os.stat(os.path.realpath(self.path) + "-wal").st_size  # noqa: PTH116  # never opened: see above
        except FileNotFoundError:
            return 0

    def _connect(self, *, new: bool = False) -> sqlite3.Connection:
        db = sqlite3.connect(
            self._uri(),
            uri=True,
            timeout=self.options.timeout,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        try:
            self._configure(db, new=new)
        except BaseException:
            db.close()
            raise
        with self._pool:
            self._all.add(db)
        return db

    def _uri(self) -> str:
        if self.in_memory:
            return "file::memory:"
        address = Path(self.path).as_uri()
        if self._immutable:
            return address + "?immutable=1"
        return address + ("?mode=ro" if self.options.read_only else "?mode=rwc")

    def _configure(self, db: sqlite3.Connection, *, new: bool) -> None:
        db.execute("PRAGMA trusted_schema=OFF")
        if not self.options.read_only:
            db.execute(f"PRAGMA page_size={PAGE_SIZE}")
            db.execute(f"PRAGMA synchronous={SYNCHRONOUS[self.options.durability]}")
            db.execute(f"PRAGMA journal_size_limit={_WAL_LIMIT}")
        if new and self.options.read_only:
            prepare(db, self.path, read_only=True)
        elif new and db.execute("PRAGMA schema_version").fetchone()[0]:
            prepare(db, self.path, read_only=False)
            self._set_journal(db)
        elif new:
            # Two that switch an empty file to the log at once would not wait, but fail.
            with self._turn("create the file"):
                self._set_journal(db)
                prepare(db, self.path, read_only=False)

    def _set_journal(self, db: sqlite3.Connection) -> None:
        if self.in_memory:
            return
        try:
            got = db.execute(f"PRAGMA journal_mode={self.options.journal}").fetchone()[0]
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            raise DatabaseLockedError(
                f"{self.path} is open elsewhere with another journal than "
                f"{self.options.journal!r}; close it there first, or open it here in the same way"
            ) from error
        if got != self.options.journal:
            raise StorageError(
                f"{self.path}: the file system does not support SQLite's write-ahead log "
                f"(journal mode is {got!r}); open it with journal='delete', from one host at a time"
            )

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        self._check_usable()
        if self.in_memory:
            with self._memory_lock:
                self._check_usable()
                yield self._idle[0]
            return
        try:
            db = self._idle.pop()
        except IndexError:
            with sqlite_errors(self.path):
                db = self._connect()
        try:
            yield db
        finally:
            self._idle.append(db)
            if self._closed:
                self._close_idle()

    def _check_usable(self) -> None:
        if os.getpid() != self._process:
            raise ForkedHandleError(
                f"{self.path} was opened before a fork, by process {self._process}; "
                "open it again in this process"
            )
        if self._closed:
            raise ClosedError(f"{self.path} is closed; open it again")
        self._used = time.monotonic()
        if not self.in_memory and self._used - self._looked > 1.0:
            self._check_identity()

    def _check_identity(self) -> None:
        if self._current_inode() != self._inode:
            raise DatabaseReplacedError(
                f"{self.path} was replaced or deleted while it was open; close it and open it again"
            )
        self._mark.refresh()
        self._looked = time.monotonic()

    def _current_inode(self) -> tuple[int, int] | None:
        if self.in_memory:
            return None
        try:
            found = os.stat(self.path)  # noqa: PTH116  # one system call, and it never opens the file
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"an open database cannot be pickled or copied deeply; open {self.path} again by its "
            "path where it is needed"
        )

    # --- transactions ----------------------------------------------------------------------

    def idle_seconds(self) -> float:
        """How long ago the last call was."""
        return time.monotonic() - self._used

    def look(self) -> int | None:
        """A number that every commit changes; None if only the file itself can tell.

        Two equal numbers, and there was no commit between the two looks. Raises as ``glance``.
        """
        self._check_usable()
        # Where memory is not shared, which is what "delete" is for, nor is the mark.
        return self._mark.look() if self.options.journal == "wal" else None

    @contextmanager
    def glance(self) -> Iterator[sqlite3.Connection]:
        """A connection outside a transaction; one that is begun in the block ends with it.

        For reads that may need no more than one statement: each gives up Python's lock, and so
        costs most when several threads search.

        Raises:
            ClosedError: if the file is closed.
            DatabaseReplacedError: if another file stands in its place.
        """
        with self._connection() as db:
            nested = db.in_transaction
            try:
                with sqlite_errors(self.path):
                    yield db
            finally:
                if not nested and db.in_transaction:
                    db.execute("ROLLBACK")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """One read transaction: all that is read inside is of one commit. Raises as ``glance``."""
        with self.glance() as db:
            if not db.in_transaction:
                db.execute("BEGIN")
            yield db

    @contextmanager
    def write(
        self, operation: str, rows: int = 0, after: Callable[[bool], None] | None = None
    ) -> Iterator[sqlite3.Connection]:
        """One write transaction: committed at the end of the block, or rolled back by an error.

        Args:
            operation: what is being done, for the error text of whoever waits.
            rows: about how many rows are written; after many, the log is folded into the file.
            after: told whether the transaction was committed, while the lock is still held.

        Raises:
            ReadOnlyError: if the file was opened read-only.
            DatabaseLockedError: if another writer held it for longer than the timeout.
        """
        self._check_usable()
        if self.options.read_only:
            raise ReadOnlyError(f"{self.path} is open read-only: cannot {operation}")
        with self._turn(operation), self._connection() as db:
            # At every write, not only now and then: what goes into a file that is no longer there
            # would be acknowledged, and lost.
            self._check_identity()
            with sqlite_errors(self.path):
                db.execute("BEGIN IMMEDIATE")
            try:
                with sqlite_errors(self.path):
                    yield db
                    with self._mark.moving():
                        db.execute("COMMIT")
            except BaseException:
                # SQLite has rolled back by itself after a full disk or an I/O error.
                if db.in_transaction:
                    db.execute("ROLLBACK")
                if after is not None:
                    after(False)
                raise
            if after is not None:
                after(True)
            if rows >= _LARGE_BATCH:
                self._fold_log(db)

    @contextmanager
    def _turn(self, operation: str) -> Iterator[None]:
        """Wait in the queue of writers, and be the one who writes."""
        if not self._writers.acquire(self.options.timeout, operation):
            self._check_usable()
            raise DatabaseLockedError(
                f"waited {self.options.timeout:g} s to {operation} in {self.path}: "
                f"{self._writers.holder()} is writing"
            )
        try:
            yield
        finally:
            self._writers.release()

    def _fold_log(self, db: sqlite3.Connection) -> None:
        """Checkpoint. Its failure is no failed write: the commit is in the log, and stays."""
        with suppress(sqlite3.Error):
            db.execute("PRAGMA busy_timeout=0")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with suppress(sqlite3.Error):
            db.execute(f"PRAGMA busy_timeout={int(self.options.timeout * 1000)}")

    # --- the whole file --------------------------------------------------------------------

    def vacuum(self) -> None:
        """Give unused space back to the file system; row numbers stay.

        Raises:
            DatabaseLockedError: if another process is writing.
        """
        self._check_usable()
        if self.options.read_only:
            raise ReadOnlyError(f"{self.path} is open read-only: cannot compact")
        with self._turn("compact"), self._connection() as db, sqlite_errors(self.path):
            db.execute("VACUUM")
            if not self.in_memory:
                self._fold_log(db)

    def backup(self, target: str) -> None:
        """Copy the file as of now to ``target``, while others go on reading and writing."""
        with self._connection() as db, sqlite_errors(target):
            copy = sqlite3.connect(target)
            try:
                db.backup(copy)
            finally:
                copy.close()

    def close(self) -> None:
        """Close all connections; a second call does nothing. A call still running finishes."""
        if self._closed or os.getpid() != self._process:
            self._closed = True
            return
        self._closed = True
        with self._memory_lock:
            self._close_idle()
        self._writers.close()
        self._mark.close()

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                db = self._idle.pop()
                with self._pool:
                    self._all.discard(db)
                    last = not self._all
                if last and not self.in_memory and not self.options.read_only:
                    self._fold_log(db)
                db.close()
