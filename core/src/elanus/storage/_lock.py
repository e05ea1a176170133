"""A queue for writers: an advisory lock file that says who holds it.

SQLite's own lock guards the data. But its busy handler is no queue (waits of seconds were measured
with four writers), and cannot say who holds the lock; this file can.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from elanus.errors import StorageError
from elanus.storage._apart import is_abandoned

_LOOK_SECONDS = 0.05

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


class WriterLock:
    """An exclusive lock between threads and processes, on a file of its own.

    Args:
        path: the lock file, or None for a lock between the threads of this process only.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._threads = threading.Lock()
        self._descriptor: int | None = None
        self._closed = False

    def acquire(self, timeout: float, operation: str, *, closing: bool = False) -> bool:
        """Wait for the lock; False after ``timeout`` seconds, or when it is no longer wanted.

        Args:
            timeout: in seconds.
            operation: what is being done, for those who wait meanwhile.
            closing: whether this is the last thing done, after ``close``.
        """
        deadline = time.monotonic() + timeout
        while not self._threads.acquire(timeout=_pause_until(deadline)):
            if time.monotonic() >= deadline or self._is_unwanted(closing):
                return False
        try:
            if self._lock_file(deadline, closing):
                self._write_holder(operation)
                return True
        except BaseException:
            self._end()
            raise
        self._end()
        return False

    def _end(self) -> None:
        if self._closed:
            self._close_file()
        self._threads.release()

    def _is_unwanted(self, closing: bool) -> bool:
        return (self._closed and not closing) or is_abandoned()

    def _lock_file(self, deadline: float, closing: bool) -> bool:
        """Lock the file that is there; without a place for one, SQLite's own lock has to do."""
        pause = 0.0005
        while not self._is_unwanted(closing):
            if self._descriptor is None and not self._open():
                return True
            assert self._descriptor is not None
            try:
                is_locked = _try_lock(self._descriptor)
            except OSError as error:
                raise StorageError(f"cannot lock {self._path}: {error.strerror}") from error
            if is_locked:
                if self._is_current(self._descriptor):
                    return True
                # The folder was deleted, and perhaps made again: others wait at another file.
                self._close_file()
                continue
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 1.5, 0.02)
        return False

    def _is_current(self, descriptor: int) -> bool:
        assert self._path is not None
        try:
            there = os.stat(self._path)  # noqa: PTH116  # one system call
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(descriptor))

    def _open(self) -> bool:
        if self._path is None:
            return False
        try:
            self._path.parent.mkdir(exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return False
        return True

    def _write_holder(self, operation: str) -> None:
        if self._descriptor is None:
            return
        # Who holds the lock is for an error's text only: a full disk must not stop the writer here.
        with suppress(OSError):
            holder = {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "operation": operation,
                "since": time.time(),
            }
            # Padded, not truncated: a shorter text would leave the tail of a longer one.
            text = json.dumps(holder).ljust(512).encode()
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, text)

    def release(self) -> None:
        """Let the next writer in."""
        if self._descriptor is not None:
            _unlock(self._descriptor)
        self._end()

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
        """Close the lock file. It stays: removing it would split the queue in two."""
        self._closed = True
        # Whoever holds the lock, or waits for it, closes the file itself.
        if self._threads.acquire(blocking=False):
            try:
                self._close_file()
            finally:
                self._threads.release()

    def _close_file(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        self._close_file()  # of a database that nobody closed

    def after_fork_in_child(self) -> None:
        """Let go of the inherited file: while it is open here, the parent's lock outlives it."""
        self._threads = threading.Lock()
        self._close_file()


def _pause_until(deadline: float) -> float:
    """How long to wait before looking whether the lock is still wanted."""
    return min(max(deadline - time.monotonic(), 0.0), _LOOK_SECONDS)
