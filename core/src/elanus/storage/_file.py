"""The database file: connections, transactions, and what may happen to a file under a program.

Only SQLite touches the database files. Closing any other descriptor of them would drop its POSIX
locks, and acknowledged commits with them; so identity is asked of ``os.stat``, versions of PRAGMAs,
and copies of the backup API.

Every commit, every checkpoint and the end of the log run under the writers' lock (`_turn`), and
nothing else begins one: SQLite's own checkpoints, after a commit and at the last close, are off.

A connection is in the pool, or its holder's. One that is lost, because an exception struck between
the pool and its holder, is closed by the collector, which rolls back; nothing here keeps it alive.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from elanus.errors import (
    ClosedError,
    DatabaseCorruptError,
    DatabaseFormatError,
    DatabaseLockedError,
    DatabaseNotFoundError,
    DatabaseReplacedError,
    ElanusError,
    ForkedHandleError,
    ReadOnlyError,
    StorageError,
)
from elanus.storage._apart import Apart, is_abandoned, note_writing
from elanus.storage._errors import DAMAGE, sqlite_errors, translate
from elanus.storage._fork import is_forking, living, on_fork, wait_for_fork
from elanus.storage._layout import PAGE_SIZE, is_outdated, prepare, upgrade
from elanus.storage._lock import WriterLock
from elanus.storage._mark import CommitMark
from elanus.storage._options import SYNCHRONOUS, OpenOptions
from elanus.storage._sqlite import Connection, Error, copy
from elanus.storage._verify import first_fault

MEMORY = ":memory:"
_LOG_LIMIT = 64 * 1024 * 1024
_LARGE_BATCH = 5_000
_PAGES_TO_FOLD = 1_000  # SQLite's own default; with our pages 16 MB
_PAGES_TO_WARN = 16_000
_LOOK_SECONDS = 1.0
_CLOSE_SECONDS = 5.0  # that closing waits for a writer, to end the log; if in vain, another will
_log = logging.getLogger("elanus")

_Inode = tuple[int, int]


class DatabaseFile:
    """An open database file with a pool of connections.

    Args:
        path: the file, or ``:memory:``.
        options: how to open it.
        apart: the threads for calls that no signal may interrupt; closed with the file.

    Raises:
        StorageError: if the file cannot be opened, is not ours, or is damaged.
    """

    def __init__(self, path: str, options: OpenOptions, apart: Apart | None = None) -> None:
        # Absolute from the start: connections are opened later too, from wherever the program is.
        self.path = path if path == MEMORY else os.path.abspath(path)  # noqa: PTH100  # keeps links
        self.options = options
        self.in_memory = path == MEMORY
        # By the real path: whoever comes by a link must meet the others there, and SQLite names
        # its log by it.
        self._real = os.path.realpath(self.path)
        real = Path(self._real)
        self.cache_folder = None if self.in_memory else real.with_name(f"{real.name}-cache")
        self.apart = apart or Apart()
        self._process = os.getpid()
        self._closed = False
        self._media: os.stat_result | None = None  # of a file that nobody can write
        self._idle: list[Connection] = []
        self._open: dict[int, weakref.ref[Connection]] = {}
        # One connection, one lock: shared caches of :memory: fail at once instead of waiting.
        self._memory_lock = threading.RLock()
        self._closing = threading.Lock()
        lock_file = None if self.cache_folder is None else self.cache_folder / "writer.lock"
        self._writers = WriterLock(None if options.read_only else lock_file)
        self._inode: _Inode | None = None
        self._warned_at = _PAGES_TO_WARN
        self._check_place()
        self._mark = self._new_mark()
        # Before there is a connection, which a fork of another thread would carry over.
        on_fork(self)
        self._give_back(self._open_first())
        self._inode = self._inode_of(self.path)
        self._looked = self._used = time.monotonic()

    def _check_place(self) -> None:
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
        if not stat.S_ISREG(found.st_mode):
            raise StorageError(f"cannot open {self.path}: it is no regular file")
        if found.st_size == 1:
            # SQLite takes a file of one byte for an empty one, and would write over it.
            raise DatabaseFormatError(f"{self.path} is not a database file")
        if found.st_nlink > 1:
            self._check_other_names((found.st_dev, found.st_ino))

    def _check_other_names(self, inode: _Inode) -> None:
        """A file that is open by two names has two logs, of which each hides the other's commits.

        Raises:
            StorageError: if it is open by another name, as far as that can be seen: in this
                process, or in the same folder.
        """
        others = [
            file._real  # noqa: SLF001  # of the same class
            for file in living()
            if isinstance(file, DatabaseFile) and file._inode == inode and not file._closed  # noqa: SLF001
        ]
        with suppress(OSError):
            others += [
                entry.path
                for entry in os.scandir(os.path.dirname(self._real))  # noqa: PTH120  # as `_real`
                if entry.inode() == inode[1] and _size(entry.path + "-wal") is not None
            ]
        for other in others:
            if other != self._real:
                raise StorageError(
                    f"cannot open {self.path}: it is the same file as {other} (a hard link), which "
                    "is open; open it by that name, or make a copy by backup()"
                )

    def _new_mark(self) -> CommitMark:
        path = None if self.cache_folder is None else self.cache_folder / "commits"
        return CommitMark(path, writable=not self.options.read_only)

    # --- connections -----------------------------------------------------------------------

    def _open_first(self) -> Connection:
        try:
            return self._connect(new=True)
        except Error as error:
            ours = translate(error, self.path)
            if not self.options.read_only or self._is_folder_writable():
                raise ours from error
        # Read-only media: SQLite cannot make its shared memory, or take back what a writer that
        # died has left half-written. Ignoring the logs is right only where there are none.
        if self._has_log():
            raise StorageError(
                f"cannot open {self.path} read-only: its folder cannot be written, and a log lies "
                "beside it with changes that are not in the file yet; open it once for writing, "
                "or copy both to a folder that can be written"
            ) from None
        # Before it is opened: a change between the two is then noticed at the first look.
        self._media = os.stat(self.path)  # noqa: PTH116  # never opened: see above
        with sqlite_errors(self.path):
            return self._connect(new=True)

    def _has_log(self) -> bool:
        return bool(_size(self._real + "-wal") or _size(self._real + "-journal"))

    def _is_folder_writable(self) -> bool:
        """Whether the folder can be written; running out of descriptors is no reason to say no."""
        return os.access(os.path.dirname(self._real), os.W_OK)  # noqa: PTH120  # as `_real`

    def _connect(self, *, new: bool = False) -> Connection:
        db = Connection()
        db.owner = threading.get_ident()
        self._announce(db)
        try:
            db.connect(self._address())
            self._configure(db, new=new)
            db.log_files = self._log_inodes()
        except BaseException:
            self._close_connection(db)
            raise
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

    def _address(self) -> str:
        if self.in_memory:
            return "file::memory:"
        address = Path(self.path).as_uri()
        if self._media is not None:
            return address + "?immutable=1"
        return address + ("?mode=ro" if self.options.read_only else "?mode=rwc")

    def _configure(self, db: Connection, *, new: bool) -> None:
        db.wait_for(self.options.timeout)
        db.execute("PRAGMA trusted_schema=OFF")
        if self.options.read_only:
            if new:
                prepare(db, self.path, read_only=True)
            return
        db.execute(f"PRAGMA page_size={PAGE_SIZE}")
        db.execute(f"PRAGMA synchronous={SYNCHRONOUS[self.options.durability]}")
        db.execute(f"PRAGMA journal_size_limit={_LOG_LIMIT}")
        if not new:
            return
        is_laid_out = bool(db.row("PRAGMA schema_version")[0])
        if is_laid_out:
            prepare(db, self.path, read_only=False)
        if not is_laid_out or not self._has_journal(db) or is_outdated(db):
            # Two that switch an empty file to the log at once would not wait, but fail.
            with self._turn("open the file"):
                self._set_journal(db)
                prepare(db, self.path, read_only=False)
                upgrade(db)

    def _has_journal(self, db: Connection) -> bool:
        found = db.row("PRAGMA journal_mode")[0]
        return self.in_memory or found == self.options.journal

    def _set_journal(self, db: Connection) -> None:
        if self.in_memory:
            return
        try:
            got = db.row(f"PRAGMA journal_mode={self.options.journal}")[0]
        except Error as error:
            ours = translate(error, self.path)
            if not isinstance(ours, DatabaseLockedError):
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
    def _connection(self, *, in_turn: bool = False) -> Iterator[Connection]:
        self._check_usable()
        if self.in_memory:
            with self._memory_lock:
                self._check_usable()
                db = self._idle[0]
                outer, db.owner = db.owner, threading.get_ident()
                try:
                    while not outer and is_forking():
                        db.owner = 0
                        wait_for_fork()
                        db.owner = threading.get_ident()
                    yield db
                finally:
                    db.owner = outer
            return
        db = self._take()
        try:
            yield db
        except Exception:
            self._give_back(db)
            raise
        except BaseException:
            # A signal handler's: it may have struck anywhere, so nobody knows what runs on it.
            self._close_connection(db)
            raise
        else:
            self._give_back(db)
            if self._media is not None:
                # Nothing kept others from changing what was being read.
                self._check_media(self._media)
        finally:
            if self._closed and not in_turn:
                self._close_idle()

    def _take(self) -> Connection:
        try:
            db = self._idle.pop()
        except IndexError:
            with sqlite_errors(self.path):
                return self._connect()
        db.owner = threading.get_ident()
        return db

    def _give_back(self, db: Connection) -> None:
        try:
            if db.in_transaction:
                # An exception struck before the block that would have ended it.
                db.execute("ROLLBACK")
            if not self.in_memory and is_forking():
                # The fork waits for it.
                self._close_connection(db)
                return
        except Error:
            self._close_connection(db)
            return
        db.owner = 0
        self._idle.append(db)

    def _close_connection(self, db: Connection) -> None:
        db.close()
        self._open.pop(id(db), None)

    def _check_usable(self) -> None:
        if os.getpid() != self._process:
            raise ForkedHandleError(
                f"{self.path} was opened before a fork, by process {self._process}; "
                "open it again in this process"
            )
        if self._closed:
            raise ClosedError(f"{self.path} is closed; open it again")
        self._used = time.monotonic()
        if self._media is not None:
            self._check_media(self._media)
        elif not self.in_memory and self._used - self._looked > _LOOK_SECONDS:
            self._check_identity()

    def _check_media(self, opened: os.stat_result) -> None:
        """SQLite never looks again at a file that it takes for immutable; so each call does."""
        try:
            now = os.stat(self.path)  # noqa: PTH116  # never opened: see above
        except OSError:
            now = None
        if now is None or _what(now) != _what(opened) or self._has_log():
            raise DatabaseReplacedError(
                f"{self.path} was changed while it was open read-only, in a folder that could not "
                "be written; close it and open it again"
            )

    def _check_identity(self) -> None:
        if self.in_memory:
            return
        if self._inode_of(self.path) != self._inode:
            raise DatabaseReplacedError(
                f"{self.path} was replaced or deleted while it was open; close it and open it again"
            )
        # They stay the same while anybody has a connection; without one, another process may have
        # ended the log, and a new one begun.
        now = self._log_inodes()
        for db in self._connections():
            if any(one not in (None, other) for one, other in zip(db.log_files, now, strict=False)):
                raise DatabaseReplacedError(
                    f"the log of {self.path} (-wal, -shm) was replaced or deleted while it was "
                    "open, and the newest commits with it; close it and open it again"
                )
        self._mark.refresh()
        self._looked = time.monotonic()

    def _inode_of(self, path: str) -> _Inode | None:
        if self.in_memory:
            return None
        try:
            found = os.stat(path)  # noqa: PTH116  # one system call, and it never opens the file
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _log_inodes(self) -> tuple[_Inode | None, ...]:
        """The log and its index."""
        if self.options.journal != "wal" or self.in_memory or self._media is not None:
            return ()
        return self._inode_of(self._real + "-wal"), self._inode_of(self._real + "-shm")

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
        before = self._looked
        self._check_usable()
        # Where memory is not shared, which is what "delete" is for, nor is the mark. And once a
        # second the file is asked in any case: other programs, which restore a copy, move no mark.
        if self.options.journal != "wal" or self._looked != before:
            return None
        return self._mark.look()

    @contextmanager
    def glance(self) -> Iterator[Connection]:
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
                with sqlite_errors(self.path), self._telling_damage(db):
                    yield db
            finally:
                if not nested and db.in_transaction:
                    db.execute("ROLLBACK")

    @contextmanager
    def _telling_damage(self, db: Connection) -> Iterator[None]:
        """Whatever the block fails by is a damaged file, if the file is damaged.

        It is asked only then. That a page is not what was written can show in any error, of which
        most would also be those of a mistake; that must stay visible.
        """
        try:
            yield
        except ElanusError:
            raise
        except DAMAGE as error:
            if self.in_memory:
                raise
            if db.in_transaction:
                # What was half written contradicts itself, and is no damage.
                db.execute("ROLLBACK")
            fault = first_fault(db)
            if fault is None:
                raise
            raise DatabaseCorruptError(
                f"{self.path} is damaged ({fault}); restore it from a backup"
            ) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One read transaction: all that is read inside is of one commit. Raises as ``glance``."""
        with self.glance() as db:
            if not db.in_transaction:
                db.execute("BEGIN")
            yield db

    def check_writable(self, operation: str) -> None:
        """Raise what every write raises that is certain to fail: takes no lock, reads nothing.

        Raises:
            ReadOnlyError: if the file was opened read-only.
            ClosedError: if it is closed.
        """
        self._check_usable()
        if self.options.read_only:
            raise ReadOnlyError(f"{self.path} is open read-only: cannot {operation}")

    @contextmanager
    def write(
        self, operation: str, rows: int = 0, after: Callable[[bool], None] | None = None
    ) -> Iterator[Connection]:
        """One write transaction: committed at the end of the block, or rolled back by an error.

        Args:
            operation: what is being done, for the error text of whoever waits.
            rows: about how many rows are written; after many, the log is folded into the file.
            after: told whether the transaction was committed, while the lock is still held.

        Raises:
            ReadOnlyError: if the file was opened read-only.
            DatabaseLockedError: if another writer held it for longer than the timeout.
            DatabaseReplacedError: if the file or its log is not the one that was opened.
        """
        self.check_writable(operation)
        committed = False
        with self._holding(operation) as db:
            # At every write, not only now and then: what goes into a file that is no longer there
            # would be acknowledged, and lost.
            self._check_identity()
            try:
                # What acquires is inside the block that releases, here and everywhere.
                with sqlite_errors(self.path), self._telling_damage(db):
                    note_writing(db)
                    db.execute("BEGIN IMMEDIATE")
                    yield db
                    if is_abandoned():
                        raise StorageError(f"{operation}: given up, nothing was written")
                    with self._mark.moving():
                        db.execute("COMMIT")
                # Again, before it is acknowledged: the log may have been removed meanwhile.
                self._check_identity()
                committed = True
            finally:
                note_writing(None)
                # SQLite has rolled back by itself after a full disk or an I/O error.
                if db.in_transaction:
                    db.execute("ROLLBACK")
                if after is not None:
                    after(committed)
            self._fold_if_long(db, whole=rows >= _LARGE_BATCH)

    @contextmanager
    def _holding(self, operation: str) -> Iterator[Connection]:
        """A connection in the writer's turn."""
        try:
            with self._turn(operation), self._connection(in_turn=True) as db:
                yield db
        finally:
            # After the turn: ending the log takes another.
            if self._closed:
                self._close_idle()

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

    def _fold_if_long(self, db: Connection, *, whole: bool) -> None:
        """Checkpoint, if there is much to copy; the caller holds the writers' lock.

        Its failure is no failed write: the commit is in the log, and stays.
        """
        if self.in_memory or not (whole or db.log_pages >= _PAGES_TO_FOLD):
            return
        try:
            db.wait_for(0)
            pages, copied = db.fold(whole=whole)
            if pages - copied > self._warned_at:
                self._warned_at = 2 * pages
                _log.warning(
                    "the log of %s has grown to %d MB, because a reader has kept its transaction "
                    "open since its beginning; it shrinks when that reader has finished",
                    self.path, pages * PAGE_SIZE >> 20,
                )  # fmt: skip
        except Error:
            pass  # a reader, or a full disk; the next write tries again
        finally:
            db.wait_for(self.options.timeout)

    # --- the whole file --------------------------------------------------------------------

    def vacuum(self) -> None:
        """Give unused space back to the file system; row numbers stay.

        Raises:
            DatabaseLockedError: if another process is writing.
        """
        self._check_usable()
        if self.options.read_only:
            raise ReadOnlyError(f"{self.path} is open read-only: cannot compact")
        with self._holding("compact") as db, sqlite_errors(self.path), self._telling_damage(db):
            self._check_identity()
            note_writing(db)
            try:
                db.execute("VACUUM")
            finally:
                note_writing(None)
            self._check_identity()
            self._fold_if_long(db, whole=True)

    def backup(self, target: str) -> None:
        """Copy the file as of now to ``target``, while others go on reading and writing.

        A copy that fails leaves nothing behind.

        Raises:
            FileExistsError: if there is such a file already.
        """
        # A name of its own until it is whole, however long the target's is; a link, unlike a
        # renaming, replaces nothing.
        folder = os.path.dirname(target)  # noqa: PTH120  # names, not paths
        made = os.path.join(folder, f"backup-{os.getpid()}-{threading.get_ident()}.part")  # noqa: PTH118
        try:
            with self.read() as db:
                # What is wrong with this file is met here; the rest is the target's.
                db.row("SELECT count(*) FROM sqlite_master")
                with sqlite_errors(target):
                    copy(db, made)
            _publish(made, target)
        finally:
            for name in (made, f"{made}-journal", f"{made}-wal", f"{made}-shm"):
                with suppress(OSError):
                    os.unlink(name)  # noqa: PTH108  # names, not paths

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
        """Close the connections that nobody holds; the last one ends the log."""
        # Never waiting: whoever does this already looks again when he is done.
        while self._idle and self._closing.acquire(blocking=False):
            try:
                while self._idle:
                    db = self._idle.pop()
                    if len(self._open) == 1:
                        self._end_log(db)
                    self._close_connection(db)
            finally:
                self._closing.release()

    def _end_log(self, db: Connection) -> None:
        """Have the log folded into the file and removed, if no other process has it open."""
        if self.in_memory or self.options.read_only:
            return
        self.apart.run(lambda: self._close_in_turn(db))

    def _close_in_turn(self, db: Connection) -> None:
        # SQLite removes the log only if this is the last connection of all; so does a checkpoint
        # that fails here, or a turn that does not come, lose nothing.
        if self._writers.acquire(_CLOSE_SECONDS, "close the file", closing=True):
            try:
                self._fold_if_long(db, whole=True)
                db.fold_at_close(True)
                db.close()
            finally:
                self._writers.release()

    # --- forks -----------------------------------------------------------------------------

    def before_fork(self) -> list[int]:
        """See `Forking`."""
        while self._idle and not self.in_memory:
            self._close_connection(self._idle.pop())
        return [db.owner for db in self._connections() if db.owner or not self.in_memory]

    def _connections(self) -> list[Connection]:
        found = [reference() for reference in list(self._open.values())]
        return [db for db in found if db is not None]

    def after_fork_in_child(self) -> list[Connection]:
        """See `Forking`."""
        crossed = [db for db in self._connections() if db.owner or not self.in_memory]
        self._memory_lock = threading.RLock()
        self._closing = threading.Lock()
        self._writers.after_fork_in_child()
        self._mark.after_fork_in_child()
        self.apart.after_fork_in_child()
        if not self.in_memory:
            self._idle, self._open = [], {}
            self._process = os.getpid()
        return crossed


def _publish(made: str, target: str) -> None:
    """Give a file its name, unless there is one already."""
    try:
        os.link(made, target)  # names, not paths
    except FileExistsError:
        raise
    except OSError:  # a file system without links, or a name that it cannot hold
        if os.path.exists(target):  # noqa: PTH110  # as above
            raise FileExistsError(target) from None
        try:
            os.rename(made, target)  # noqa: PTH104  # as above
        except OSError as error:
            raise StorageError(f"cannot open {target}: {error.strerror}") from error


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size  # noqa: PTH116  # never opened: see above
    except OSError:
        return None


def _what(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
