"""One background thread that makes searches faster, never different.

A signal handler may call any of this on top of a frame of its own thread that is in here already.
So nothing here holds a lock: names are claimed by ``dict.setdefault``, messages go through a
`SimpleQueue`, which may be entered again, and whoever waits does so at a lock of its own.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from _thread import LockType, allocate_lock
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TypeAlias

from elanus.engine.upkeep._memory import return_free_memory
from elanus.engine.upkeep._thresholds import Pauses
from elanus.errors import StorageError
from elanus.storage import ending, give_up_when

_LOOK_SECONDS = 0.25
_log = logging.getLogger("elanus")


class Gate:
    """Opens once, and lets all through that wait for it."""

    __slots__ = ("_is_open", "_waiting")

    def __init__(self) -> None:
        self._is_open = False
        self._waiting: list[LockType] = []

    def lift(self) -> None:
        """Let everyone through, from now on."""
        self._is_open = True
        with suppress(IndexError):
            while True:
                self._waiting.pop().release()

    def wait(self) -> None:
        """Wait until it is open."""
        own = allocate_lock()
        own.acquire()
        self._waiting.append(own)
        # Opened before that: nobody may look at the list any more. And in a child that returns to
        # this, who was about to release it may have stayed in the parent.
        while not self._is_open:
            own.acquire(timeout=_LOOK_SECONDS)


@dataclass(frozen=True, slots=True)
class Stop:
    """Tells a piece of work whether to give up; to be asked every few tenths of a second."""

    background: Background

    def __call__(self) -> bool:
        """Whether the database is being closed."""
        return self.background.is_closed

    def is_late(self) -> bool:
        """Whether even what is nearly done, and worth keeping, is to be given up."""
        return self.background.is_closed and time.monotonic() > self.background.deadline


Work: TypeAlias = Callable[[Stop], None]


@dataclass(slots=True, eq=False)
class _Task:
    work: Work
    when: Callable[[], bool] | None
    ended: Gate = field(default_factory=Gate)
    failures: int = 0
    due: float = 0.0


class Background:
    """Runs named pieces of work, one after another.

    Work that fails is tried again after a second, then after two, four, at last once a minute.

    Args:
        pauses: how long it waits, and is waited for.

    Attributes:
        is_closed: whether it was closed.
        deadline: when to give up everything, once it is.
    """

    def __init__(self, pauses: Pauses | None = None) -> None:
        self._pauses = pauses or Pauses()
        self.is_closed = False
        self.deadline = 0.0
        self._begin()

    def _begin(self) -> None:
        self._tasks: dict[Hashable, _Task] = {}
        self._news: SimpleQueue[None] = SimpleQueue()
        # Whoever takes it runs, or has ended what never ran; so a second thread that was started by
        # an accident of timing ends at once, and one that never came to start is not waited for.
        self._ticket = [None]
        self._ended = Gate()
        self._thread: threading.Thread | None = None

    def after_fork_in_child(self) -> None:
        """Forget the thread, which stayed in the parent, and all work.

        A handler that forked on top of a wait returns to it: that ends, and may ask again.
        """
        _running.pop(id(self), None)
        self._end()
        self._begin()

    def request(self, name: Hashable, work: Work, when: Callable[[], bool] | None = None) -> None:
        """Ask for a piece of work; nothing happens if one of its name waits or runs already.

        Args:
            name: of the work.
            work: what to do.
            when: whether it is a good time, asked several times a second; None for at once. The
                work is done at closing at the latest.
        """
        if not self.is_closed:
            self._tasks.setdefault(name, _Task(work, when))
            self._wake()

    def wait(self, name: Hashable) -> bool:
        """Wait until a piece of work was done, or tried; whether nothing of it is left to do."""
        task = self._tasks.get(name)
        if task is None:
            return not self.is_closed
        if self._thread is threading.current_thread():
            return False  # asked by a finalizer in the middle of work: it would wait for itself
        ended = task.ended
        task.due = 0.0  # somebody waits: if it failed, it is tried again now
        if not self.is_closed and self._wake() and self._has_begun():
            ended.wait()
        return not self.is_closed and self._tasks.get(name) is not task

    def close(self) -> None:
        """Give up what is running, and end the thread."""
        if not self.is_closed:
            self.deadline = time.monotonic() + self._pauses.grace
            self.is_closed = True
        self._news.put(None)
        try:
            self._ticket.pop()
        except IndexError:
            thread = self._thread
            if thread is not threading.current_thread():
                self._ended.wait()
                if thread is not None:
                    thread.join(1.0)  # it only has to return
        else:
            self._end()

    def _wake(self) -> bool:
        """Have the thread look what there is to do; whether there is a thread."""
        if self._news.empty():
            self._news.put(None)
        if not self._ticket:
            return True
        thread = threading.Thread(target=self._run, name="elanus-background", daemon=True)
        try:
            ending.begin(thread)
        except ending.NoThreadError as error:
            _log.warning("no background work: %s", error)
            return False
        return True

    def _has_begun(self) -> bool:
        """Wait a moment for the thread to run.

        For ever, were this called by a handler in the middle of ``Thread.start``, which holds a
        lock that every new thread needs.
        """
        deadline = time.monotonic() + self._pauses.start
        while self._ticket and time.monotonic() < deadline:
            time.sleep(0.001)
        return not self._ticket

    def _run(self) -> None:
        try:
            self._ticket.pop()
        except IndexError:
            return
        self._thread = threading.current_thread()
        _running[id(self)] = self
        # Another process may be writing, and for long: closing waits for neither.
        give_up_when(Stop(self).is_late)
        try:
            while not ending.has_begun() and (name := self._next()) is not None:
                self._work_on(name, self._tasks[name])
        finally:
            self.is_closed = True
            _running.pop(id(self), None)
            self._end()

    def _end(self) -> None:
        for task in self._tasks.copy().values():
            task.ended.lift()
        self._ended.lift()

    def _next(self) -> Hashable | None:
        """Wait for work whose time has come; None when there will be no more."""
        while True:
            # What was said until now is seen below.
            with suppress(Empty):
                while True:
                    self._news.get_nowait()
            tasks = self._tasks.copy()
            for name, task in tasks.items():
                if self._is_due(task):
                    return name
            if self.is_closed:
                return None
            with suppress(Empty):
                self._news.get(timeout=_LOOK_SECONDS if tasks else None)

    def _is_due(self, task: _Task) -> bool:
        if self.is_closed:
            return task.when is not None and not task.failures
        if time.monotonic() < task.due:
            return False
        return task.when is None or bool(task.failures) or task.when()

    def _work_on(self, name: Hashable, task: _Task) -> None:
        ended, is_done = task.ended, True
        try:
            task.work(Stop(self))
        except StorageError as error:  # locked or full, perhaps: no fault of the program
            is_done = False
            _log.warning("background work %r is put off: %s", name, error)
        except Exception:  # noqa: BLE001  # searches stay right without it: they scan
            is_done = False
            _log.exception("background work %r failed", name)
        finally:
            if is_done:
                self._tasks.pop(name, None)
            else:
                pause = min(self._pauses.first * 2.0**task.failures, self._pauses.longest)
                task.failures += 1
                task.ended = Gate()
                task.due = time.monotonic() + pause
            ended.lift()
        if not any(task.when is None for task in self._tasks.copy().values()):
            return_free_memory()


_running: dict[int, Background] = {}


@ending.first
def _stop_all() -> None:
    """End all threads while they can: the interpreter kills those that it finds inside of C++.

    There, what kills a thread is an exception that nobody may catch, and that hnswlib or FAISS
    cannot let through: the process would be aborted.
    """
    for background in list(_running.values()):
        background.close()


def _forget_all() -> None:
    for background in list(_running.values()):
        background.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
