"""The writers' lock: an advisory lock file that says who holds it, polled in fair order.

SQLite's own lock guards the data. But its busy handler lets the one who writes in a loop come first
again and again (waits of seconds were measured with four writers), and cannot say who holds the
lock; this file can.

Nobody is woken: whoever waits looks again after a pause, since a lock of the system that blocks
could not be given up when the file is closed or a signal strikes. What makes it fair is a second
lock, of the folder, for which all who wait poll with growing pauses. Its holder, the head, polls
the lock file alone and often, so that who has just written finds it taken.

A process that dies lets go of both, whichever it held: they are the system's, not the file's. And
whatever fails here, each lock is let go: what cannot be unlocked is closed. So letting go raises
nothing; when it is done, a commit is on the disk, and has to be acknowledged.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from elanus.errors import StorageError
from elanus.storage.file._apart import is_abandoned

_LOOK_SECONDS = 0.05
_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.02
_HEAD_PAUSE = 0.002  # the head of the queue is one process, and may look often
_TRIES = 20  # to lock a file that others delete and make again all the time

# Locks that threads of this process hold or wait for: what names the lock, and the thread's number.
_held: set[tuple[object, int]] = set()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_held.clear)

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class _LockFile:
    """A file or folder that one handle at a time may lock."""

    def __init__(self, path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> None:
        self.path = path
        self._flags = flags
        self._descriptor: int | None = None

    def open(self) -> bool:
        """Open it; False if there is no place for it."""
        if self._descriptor is None:
            try:
                self.path.parent.mkdir(exist_ok=True)
                self._descriptor = os.open(self.path, self._flags, 0o666)
            except OSError:
                return False
        return True

    def try_lock(self) -> bool:
        """Lock it, unless another holds the lock.

        Raises:
            StorageError: if the file system has no locks.
        """
        assert self._descriptor is not None
        try:
            return _try_lock(self._descriptor)
        except OSError as error:
            raise StorageError(f"cannot lock {self.path}: {error.strerror}") from error

    def unlock(self) -> None:
        """Let another lock it; a system that fails to unlock it has it closed, which unlocks it."""
        if self._descriptor is not None:
            try:
                _unlock(self._descriptor)
            except OSError:
                self.close()

    def is_current(self) -> bool:
        """Whether it is the one that others find by its name."""
        assert self._descriptor is not None
        try:
            there = os.stat(self.path)  # noqa: PTH116  # one system call
            return os.path.samestat(there, os.fstat(self._descriptor))
        except OSError:  # a server that has forgotten this descriptor (ESTALE) knows the next one
            return False

    def write(self, text: str) -> None:
        """Write a text of a few hundred bytes, if there is room."""
        with suppress(OSError):
            if self._descriptor is not None:
                os.lseek(self._descriptor, 0, os.SEEK_SET)
                # Padded, not truncated: a shorter text would leave the tail of a longer one.
                os.write(self._descriptor, text.ljust(512).encode())

    def close(self) -> None:
        """Close it, and so unlock it unless a forked process has it open too."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            # It is closed also if that fails; what a lock file says is for an error's text only.
            with suppress(OSError):
                os.close(descriptor)


class WriterLock:
    """An exclusive lock between threads and processes, on a file of its own.

    Who waits looks again and again, while who writes in a loop would always come first. So one has
    to be the head of a queue to take the lock: that is a lock too, of the folder.

    Args:
        path: the lock file, or None for a lock between the threads of this process only.
        fair: whether there is a queue. None is needed by who never waits.
    """

    def __init__(self, path: Path | None, *, fair: bool = True) -> None:
        self._path = path
        self._name: object = object() if path is None else str(path)
        self._threads = threading.Lock()
        self._lock = None if path is None else _LockFile(path)
        # Windows has no locks of folders; there, who waits longest may wait long.
        has_queue = fair and path is not None and sys.platform != "win32"
        self._queue = _LockFile(path.parent, os.O_RDONLY) if path and has_queue else None
        self._closed = False

    def acquire(self, timeout: float, operation: str, *, closing: bool = False) -> bool:
        """Wait for the lock; False after ``timeout`` seconds, or when it is no longer wanted.

        False at once if this thread holds it, or waits for it, and so would wait for itself: a
        finalizer (``__del__``) runs wherever the collector comes, in the middle of a write too.

        Args:
            timeout: in seconds.
            operation: what is being done, for those who wait meanwhile.
            closing: whether this is the last thing done, after ``close``.
        """
        mine = self._name, threading.get_ident()
        if mine in _held:
            return False
        _held.add(mine)  # first: the collector may come at any step from here on
        is_taken = False
        try:
            is_taken = self._wait(time.monotonic() + timeout, operation, closing)
        finally:
            if not is_taken:
                _held.discard(mine)
        return is_taken

    def _wait(self, deadline: float, operation: str, closing: bool) -> bool:
        while not self._threads.acquire(timeout=_pause_until(deadline)):
            if time.monotonic() >= deadline or self._is_unwanted(closing):
                return False
        try:
            if self._lock_files(deadline, closing):
                self._write_holder(operation)
                return True
        except BaseException:
            self._let_go()
            raise
        self._end()
        return False

    def _let_go(self) -> None:
        try:
            if self._lock is not None:
                self._lock.unlock()
        finally:
            self._end()

    def _end(self) -> None:
        if self._closed:
            self._close_files()
        self._threads.release()

    def _is_unwanted(self, closing: bool) -> bool:
        return (self._closed and not closing) or is_abandoned()

    def _lock_files(self, deadline: float, closing: bool) -> bool:
        """Lock what is there; without a place for the files, SQLite's own lock has to do."""
        lock, queue = self._lock, self._queue
        if lock is None:
            return True
        if queue is None or not queue.open():
            return self._poll(lambda: self._is_locked(lock), _LONGEST_PAUSE, deadline, closing)
        if not self._poll(queue.try_lock, _LONGEST_PAUSE, deadline, closing):
            return False
        try:
            return self._poll(lambda: self._is_locked(lock), _HEAD_PAUSE, deadline, closing)
        finally:
            queue.unlock()

    def _is_locked(self, lock: _LockFile) -> bool:
        if not lock.open():
            return True
        for _ in range(_TRIES):
            if not lock.try_lock():
                return False
            if lock.is_current():
                return True
            # The folder was deleted, and perhaps made again: others wait at another file.
            lock.close()
            if not lock.open():
                return True
        raise StorageError(
            f"cannot lock {lock.path}: each time that it is locked, it is no longer the file of "
            "this name, or the system does not say whether it is"
        )

    def _poll(
        self, attempt: Callable[[], bool], longest: float, deadline: float, closing: bool
    ) -> bool:
        pause = _FIRST_PAUSE
        while not self._is_unwanted(closing):
            if attempt():
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 1.5, longest)
        return False

    def _write_holder(self, operation: str) -> None:
        if self._lock is not None:
            # For an error's text only: a full disk must not stop the writer here.
            holder = {
                "pid": os.getpid(),
                "host": _host(),
                "operation": operation,
                "since": time.time(),
            }
            self._lock.write(json.dumps(holder))

    def is_held_here(self) -> bool:
        """Whether this thread holds the lock, or waits for it."""
        return (self._name, threading.get_ident()) in _held

    def release(self) -> None:
        """Let the next writer in."""
        try:
            self._let_go()
        finally:
            _held.discard((self._name, threading.get_ident()))

    def holder(self) -> str:
        """Who holds the lock, in words, for an error's text."""
        if self._path is None:
            return "another writer"
        try:
            raw = json.loads(self._path.read_text())
            seconds = time.time() - raw["since"]
        except (OSError, ValueError, KeyError, TypeError):
            return "another writer"
        return (
            f"process {raw['pid']} on {raw['host']} ({raw['operation']}, since {seconds:.1f} s ago)"
        )

    def close(self) -> None:
        """Close the files. They stay: removing them would split the queue in two."""
        self._closed = True
        # Whoever holds the lock, or waits for it, closes the files itself.
        if self._threads.acquire(blocking=False):
            self._end()

    def _close_files(self) -> None:
        for file in (self._lock, self._queue):
            if file is not None:
                file.close()

    def __del__(self) -> None:
        # Of a database that nobody closed, or of one whose making a handler has ended by raising.
        if hasattr(self, "_closed"):
            self._close_files()

    def after_fork_in_child(self) -> None:
        """Let go of the inherited files: while one is open here, the parent's lock outlives it."""
        self._threads = threading.Lock()
        self._close_files()


def _host() -> str:
    try:
        return socket.gethostname()
    except OSError:
        return "a host without a name"


def _pause_until(deadline: float) -> float:
    """How long to wait before looking whether the lock is still wanted."""
    return min(max(deadline - time.monotonic(), 0.0), _LOOK_SECONDS)
