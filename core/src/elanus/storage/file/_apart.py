"""Calls that no signal handler can interrupt, and that a handler can make itself.

Python runs signal handlers in the main thread, between any two steps of whatever it does. One that
raises, as Ctrl-C does, may strike between taking a lock and entering the ``try`` that gives it
back; one that calls us, to close a database say, may wait for a lock that the call under it holds.
Neither can be ruled out by care. So whatever takes a lock or begins to write runs apart: on another
thread, for which the main thread waits holding nothing. In other threads it simply runs.

A handler that raises during the wait abandons the call: a write that has not begun to commit is
rolled back. Only then does the exception go on, so that whoever catches it finds no lock held.

While the interpreter is taken down no other thread runs any more, nor does a handler: then a call,
of a ``__del__`` perhaps, simply runs too.
"""

from __future__ import annotations

import sys
import threading
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from elanus import native
from elanus.errors import ForkedHandleError, StorageError
from elanus.storage._ending import NoThreadError, as_refusal
from elanus.storage._sqlite import Connection
from elanus.storage.file._fork import on_fork

T = TypeVar("T")

_PATIENCE = 1.0  # seconds
_current = threading.local()


class _Call(Generic[T]):
    """A call that runs apart.

    Attributes:
        running: a lock that is held until the call has ended.
        abandoned: whether its result is no longer wanted.
        writing: the connection that it writes with.
        result, error: one of them is what the call came to, once it has ended.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._once = allocate_lock()
        self.result: T
        self.error: BaseException | None = None
        self.running = allocate_lock()
        self.running.acquire()
        self.sent = self.ended = self.abandoned = False
        self.writing: Connection | None = None

    def claim(self) -> bool:
        """Whether nobody else runs it, or ever will."""
        return self._once.acquire(blocking=False)

    def run(self) -> bool:
        """Run it, on the other thread; False if another does so.

        It is not run at all if it was abandoned before.
        """
        if not self.claim():
            return False
        _current.call = self
        try:
            if not self.abandoned:
                self.result = self._call()
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that waits
            self.error = error
        finally:
            _current.call = None
        return True

    def end(self) -> None:
        """Let the thread that waits go on."""
        self.ended = True
        self.running.release()

    def fail(self, error: Exception) -> None:
        """End it without a result."""
        self.error = error
        self.end()

    def abandon(self) -> None:
        """Have a write given up; what only reads, or commits already, runs to its end."""
        self.abandoned = True
        writing = self.writing
        if writing is not None:
            writing.interrupt()


def is_abandoned() -> bool:
    """Whether nobody waits any more for what this thread does."""
    call = getattr(_current, "call", None)
    if call is not None:
        return bool(call.abandoned)
    is_given_up: Callable[[], bool] | None = getattr(_current, "is_given_up", None)
    return is_given_up is not None and is_given_up()


def give_up_when(is_given_up: Callable[[], bool]) -> None:
    """Have what this thread does given up, like an abandoned call, from some moment on."""
    _current.is_given_up = is_given_up


def note_writing(db: Connection | None) -> None:
    """Say which connection this thread writes with, for whoever gives up waiting."""
    call = getattr(_current, "call", None)
    if call is not None:
        call.writing = db


class Apart:
    """The threads on which calls of the main thread run. They end when it is closed."""

    def __init__(self) -> None:
        self._idle: list[_Helper] = []
        self._all: list[_Helper] = []
        self._waiting: list[_Call[Any]] = []  # of the main thread, one on top of another
        # Not left to the database: it is opened by the first call that runs here.
        on_fork(self)

    def run(self, call: Callable[[], T]) -> T:
        """Run a call: apart from the main thread, but in any other thread just so."""
        if threading.get_ident() != threading.main_thread().ident or sys.is_finalizing():
            return call()
        made: _Call[T] = _Call(call)
        raised: BaseException | None = None
        # A handler may strike between any two steps: after the call was sent, but before that was
        # noted (it may be sent twice), or after the lock was taken (to take it again would hang).
        while not made.ended:
            try:
                if not made.sent:
                    self._send(made)
                made.running.acquire()
            except BaseException as error:  # noqa: BLE001  # a handler's, mostly; raised below
                raised = raised or error
                if isinstance(error, MemoryError | RecursionError) and made.claim():
                    # It cannot be sent from here, however often that is tried.
                    if made in self._waiting:
                        self._waiting.remove(made)
                    break
                made.abandon()
        failed, made.error = raised or made.error, None
        if failed is None:
            return made.result
        try:
            raise failed
        finally:
            # An error that its frame keeps lives until the collector comes: a result that nobody
            # wants any more, a connection perhaps, would live as long.
            del failed, raised, made

    def _send(self, call: _Call[Any]) -> None:
        # Known before anybody runs it: a fork in between would leave it waiting in the child.
        if call not in self._waiting:
            self._waiting.append(call)
        try:
            helper = self._idle.pop()
        except IndexError:
            try:
                helper = _Helper(self._idle, self._waiting)
            except NoThreadError as error:
                # Unless it was sent before a handler struck: then it runs, and is waited for.
                if call.claim():
                    call.fail(
                        StorageError(
                            "no thread can be started, which each call of the main thread needs "
                            f"({error}); raise the limit of processes (ulimit -u, or pids.max of "
                            "the container), or of memory (ulimit -v)"
                        )
                    )
                    self._waiting.remove(call)
                call.sent = True
                return
            self._all.append(helper)
        helper.inbox.put(call)
        call.sent = True

    def close(self) -> None:
        """End the threads; one that still runs a call ends after it."""
        ending = self._all
        # New lists: one that is about to say that it is idle says so in the old one.
        self._idle, self._all = [], []
        for helper in ending:
            helper.inbox.put(None)
        for helper in ending:
            helper.join(_PATIENCE)

    def __del__(self) -> None:
        # Of a database that could not be opened, or that nobody closed; a handler that raised while
        # this was made has left nothing of it.
        helpers: list[_Helper] = getattr(self, "_all", [])
        for helper in helpers:
            helper.inbox.put(None)

    def after_fork_in_child(self) -> None:
        """Forget the threads, which stay behind in the parent, and end what waits for them.

        A handler that forks on top of a call returns to it in the child too. Whether the call was
        done is then the parent's to know.
        """
        self._idle, self._all = [], []
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            if call.ended:
                # Its end may have been cut in two.
                with suppress(RuntimeError):
                    call.running.release()
            else:
                call.fail(
                    ForkedHandleError(
                        "this process was forked in the middle of this call, which goes on in its "
                        "parent; start processes elsewhere than in signal handlers"
                    )
                )


class _Helper:
    """A thread that runs one call after another.

    None of `threading`: starting one of those takes a lock that every new one needs, so a handler
    that interrupts such a start, and then waits for another new thread, would wait for ever.
    """

    def __init__(self, idle: list[_Helper], waiting: list[_Call[Any]]) -> None:
        self.inbox: SimpleQueue[_Call[Any] | None] = SimpleQueue()
        self._idle = idle
        self._waiting = waiting
        self._running = allocate_lock()
        self._running.acquire()
        try:
            self._number = start_new_thread(self._run, ())
        except RuntimeError as error:
            raise as_refusal(error) from None

    def join(self, seconds: float) -> None:
        """Wait for its end, after None was put into the inbox."""
        if self._number != threading.get_ident() and self._running.acquire(timeout=seconds):
            self._running.release()

    def _run(self) -> None:
        native.awaited[threading.get_ident()] = None
        try:
            while (call := self.inbox.get()) is not None:
                was_run = call.run()
                # Before the other thread goes on, so that it finds this one; what it then puts into
                # the inbox is found there by the next turn.
                self._idle.append(self)
                if was_run:
                    call.end()
                # Here, where no handler strikes. One that was sent twice may have been removed.
                if call.ended and call in self._waiting:
                    self._waiting.remove(call)
                del call  # or its result would live until then
        finally:
            native.awaited.pop(threading.get_ident(), None)
            # Whoever asked for the current thread, as logging does, has made an entry of it that
            # `threading` keeps for ever.
            threading._active.pop(threading.get_ident(), None)  # type: ignore[attr-defined]  # noqa: SLF001
            self._running.release()
