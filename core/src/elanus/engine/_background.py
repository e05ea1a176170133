"""One background thread that makes searches faster, never different."""

from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import Callable, Hashable
from contextlib import suppress

Stop = Callable[[], bool]
Work = Callable[[Stop], None]

_log = logging.getLogger("elanus")


class Background:
    """Runs named pieces of work, one after another.

    Work gets a function that says whether to give up; it should ask every few tenths of a second.
    """

    def __init__(self) -> None:
        self._waiting: dict[Hashable, Work] = {}
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def request(self, name: Hashable, work: Work) -> None:
        """Ask for a piece of work; nothing happens if one of its name waits or runs already."""
        with self._change:
            if self._closed or name in self._waiting:
                return
            self._waiting[name] = work
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="elanus-background", daemon=True
                )
                self._thread.start()
            self._change.notify_all()

    def wait(self, name: Hashable) -> None:
        """Wait until a piece of work is done, or given up."""
        with self._change:
            self._change.wait_for(lambda: self._closed or name not in self._waiting)

    def close(self) -> None:
        """Give up what is running, and end the thread."""
        with self._change:
            self._closed = True
            thread, self._thread = self._thread, None
            self._change.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._closed or bool(self._waiting))
                if self._closed:
                    return
                name, work = next(iter(self._waiting.items()))
            try:
                work(lambda: self._closed)
            except Exception:  # noqa: BLE001  # searches stay right without it: they scan, and ask again
                _log.exception("background work %r failed", name)
            finally:
                with self._change:
                    self._waiting.pop(name, None)
                    self._change.notify_all()
                    is_idle = not self._waiting
                if is_idle:
                    _return_free_memory()


def _return_free_memory() -> None:
    """Have the C library give back to the system what is free between blocks in use.

    glibc does so at the end of its heap only: after a large insert, and after what is done here,
    that is a sixth of the process. It takes milliseconds. Other libraries have no such function.
    """
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
