"""One background thread that makes searches faster, never different."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from elanus.engine._memory import return_free_memory

Stop = Callable[[], bool]
Work = Callable[[Stop], None]

_LOOK_SECONDS = 0.25
_log = logging.getLogger("elanus")


@dataclass(frozen=True, slots=True)
class _Task:
    work: Work
    when: Callable[[], bool] | None


class Background:
    """Runs named pieces of work, one after another.

    Work gets a function that says whether to give up; it should ask every few tenths of a second.
    """

    def __init__(self) -> None:
        self._waiting: dict[Hashable, _Task] = {}
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def request(self, name: Hashable, work: Work, when: Callable[[], bool] | None = None) -> None:
        """Ask for a piece of work; nothing happens if one of its name waits or runs already.

        Args:
            name: of the work.
            work: what to do.
            when: whether it is a good time, asked several times a second; None for at once. The
                work is done at closing at the latest.
        """
        with self._change:
            if self._closed or name in self._waiting:
                return
            self._waiting[name] = _Task(work, when)
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
        while (chosen := self._next()) is not None:
            name, task = chosen
            try:
                task.work(lambda: self._closed)
            except Exception:  # noqa: BLE001  # searches stay right without it: they scan, and ask again
                _log.exception("background work %r failed", name)
            finally:
                with self._change:
                    self._waiting.pop(name, None)
                    self._change.notify_all()
                    is_idle = not any(task.when is None for task in self._waiting.values())
                if is_idle:
                    return_free_memory()

    def _next(self) -> tuple[Hashable, _Task] | None:
        """Wait for work whose time has come; None when there will be no more."""
        with self._change:
            while True:
                for name, task in self._waiting.items():
                    if self._is_due(task):
                        return name, task
                if self._closed:
                    return None
                self._change.wait(_LOOK_SECONDS if self._waiting else None)

    def _is_due(self, task: _Task) -> bool:
        if self._closed:
            return task.when is not None
        return task.when is None or task.when()
