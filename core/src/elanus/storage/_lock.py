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
        except OSError:
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

    def acquire(self, timeout: float, operation: str) -> bool:
        """Wait for the lock; False after ``timeout`` seconds, or when it is closed meanwhile."""
        deadline = time.monotonic() + timeout
        if not self._threads.acquire(timeout=max(timeout, 0.0)):
            return False
        try:
            if self._lock_file(deadline):
                if self._descriptor is not None:
                    self._write_holder(operation)
                return True
        except BaseException:
            self._threads.release()
            raise
        self._threads.release()
        return False

    def _lock_file(self, deadline: float) -> bool:
        if self._closed:
            return False
        if self._descriptor is None and not self._open():
            return True
        pause = 0.0005
        while (descriptor := self._descriptor) is not None:
            if _try_lock(descriptor):
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 1.5, 0.02)
        return False

    def _open(self) -> bool:
        """Open the lock file; without a place for one, SQLite's busy handler is all there is."""
        if self._path is None:
            return False
        try:
            self._path.parent.mkdir(exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            self._path = None
            return False
        return True

    def _write_holder(self, operation: str) -> None:
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
            assert self._descriptor is not None
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, text)

    def release(self) -> None:
        """Let the next writer in."""
        if self._descriptor is not None:
            _unlock(self._descriptor)
        self._threads.release()

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
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
