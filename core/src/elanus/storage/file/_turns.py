"""The writers' turn: what may be done only by the one who has it.

Every commit, every checkpoint and the end of the log happen in a turn, and nothing else begins one:
SQLite's own checkpoints, after a commit and at the last close, are off.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from elanus.errors import DatabaseLockedError, StorageError
from elanus.storage._options import OpenOptions
from elanus.storage._sqlite import Connection, Error
from elanus.storage.file._apart import is_abandoned
from elanus.storage.file._lock import WriterLock
from elanus.storage.file._place import Place
from elanus.storage.tables._layout import PAGE_SIZE

_PAGES_TO_FOLD = 1_000  # SQLite's own default; with our pages 16 MB
_PAGES_TO_WARN = 16_000
_CLOSE_SECONDS = 1.0  # that closing waits for a writer, to end the log; if in vain, another will
_log = logging.getLogger("elanus")


class Turns:
    """The queue of writers of one file.

    Attributes:
        fold_at: pages in the log from which on a write folds it into the file.
        warn_at: pages that cannot be folded, from which on that is reported.
    """

    def __init__(self, place: Place, options: OpenOptions) -> None:
        folder = None if options.read_only else place.cache_folder
        self._lock = WriterLock(None if folder is None else folder / "writer.lock")
        self._place = place
        self._timeout = options.timeout
        self.fold_at = _PAGES_TO_FOLD
        self.warn_at = _PAGES_TO_WARN

    @contextmanager
    def turn(
        self, operation: str, check_usable: Callable[[], None], patience: float = math.inf
    ) -> Iterator[None]:
        """Wait in the queue, and be the one who writes.

        Args:
            operation: what is being done, for the error text of whoever waits.
            check_usable: asked if the turn does not come, as it does not once the file is closed.
            patience: seconds to wait, if that is less than the file's timeout.

        Raises:
            DatabaseLockedError: if it does not come in time, or is this thread's already.
        """
        timeout = min(self._timeout, patience)
        if not self._lock.acquire(timeout, operation):
            check_usable()
            if is_abandoned():
                raise DatabaseLockedError(
                    f"{operation} in {self._place.path}: given up while waiting"
                )
            if self._lock.is_held_here():
                raise DatabaseLockedError(
                    f"cannot {operation} in {self._place.path}: a finalizer (__del__) asks for it "
                    "in the middle of another write of its own thread; write elsewhere than there"
                )
            raise DatabaseLockedError(
                f"waited {timeout:g} s to {operation} in {self._place.path}: "
                f"{self._lock.holder()} is writing"
            )
        try:
            yield
        finally:
            self._lock.release()

    def fold_if_long(self, db: Connection, *, whole: bool) -> None:
        """Checkpoint, if there is much to copy; the caller has the turn.

        Its failure is no failed write: the commit is in the log, and stays.
        """
        if self._place.in_memory or not (whole or db.log_pages >= self.fold_at):
            return
        # In the turn, so that nobody can commit to the file in whose place another was put since.
        if not self._place.has_log_of(db):
            return
        try:
            db.wait_for(0, is_abandoned)
            pages, copied = db.fold(whole=whole)
            if pages - copied > self.warn_at:
                self.warn_at = 2 * pages
                _log.warning(
                    "the log of %s has grown to %d MB, because a reader has kept its transaction "
                    "open since its beginning; it shrinks when that reader has finished",
                    self._place.path, pages * PAGE_SIZE >> 20,
                )  # fmt: skip
        except Error:
            pass  # a reader, or a full disk; the next write tries again
        finally:
            db.wait_for(self._timeout, is_abandoned)

    def end_log(self, db: Connection) -> None:
        """Close the last connection of this process in a turn; that of all processes ends the log.

        SQLite removes the log only if it is the last of all, so a checkpoint that fails here, or a
        turn that does not come, loses nothing: the log stays part of the database. So a system that
        refuses to lock ends no close.
        """
        has_turn = False
        with suppress(StorageError):
            has_turn = self._lock.acquire(_CLOSE_SECONDS, "close the file", closing=True)
        if has_turn:
            try:
                if self._place.has_log_of(db):
                    self.fold_if_long(db, whole=True)
                    db.fold_at_close(True)
                db.close()
            finally:
                self._lock.release()

    def close(self) -> None:
        """Let nobody wait any more."""
        self._lock.close()

    def after_fork_in_child(self) -> None:
        """Let go of the lock's files, which the parent goes on using."""
        self._lock.after_fork_in_child()
