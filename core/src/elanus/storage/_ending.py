"""The end of the interpreter, which nobody who computes may meet.

It kills the threads that it finds, wherever they are, but only when they next ask for Python's
lock: until then they go on inside of libraries that are being taken down. A daemon thread that
multiplies matrices meanwhile has OpenBLAS wait for ever for a thread of its own, with numpy alone
in one run of five. So those who read are waited for, and those who come later are kept waiting.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable

from elanus.native import awaited, wait_before_the_end

_PATIENCE = 2.0  # seconds, for whoever computes when the end comes
_HOLD_SECONDS = (
    10.0  # the interpreter ends meanwhile; if it does not, somebody waits for the thread
)
_LOOK_SECONDS = 0.001
_REFUSED = "can't start new thread", "can't create new thread"  # the beginnings of what Python says


class _Process:
    """This process, as far as its end matters.

    Attributes:
        ends: whether the end has begun.
        first, last: what is done when it begins, in this order.
    """

    def __init__(self) -> None:
        self.ends = False
        self.first: list[Callable[[], None]] = []
        self.last: list[Callable[[], None]] = []


process = _Process()

reading: dict[int, None] = {}
"""The threads that read, by their number; the end waits for them, within reason."""


def first(stop: Callable[[], None]) -> Callable[[], None]:
    """Have something done when the end begins: a decorator."""
    process.first.append(stop)
    return stop


def last(stop: Callable[[], None]) -> Callable[[], None]:
    """Have something done after that: a decorator."""
    process.last.append(stop)
    return stop


def has_begun() -> bool:
    """Whether the interpreter ends."""
    return process.ends


class AwaitedThread(threading.Thread):
    """A daemon thread that somebody waits for when the end has begun: it may go on."""


class NoThreadError(Exception):
    """The system gives this process no more threads, or the interpreter ends."""


def begin(thread: threading.Thread) -> None:
    """Start a thread; what a signal handler raises meanwhile comes out.

    ``Thread.start`` clears up after any exception, and fails over that if the thread has begun.

    Raises:
        NoThreadError: if it cannot be started.
    """
    try:
        thread.start()
    except KeyError as error:
        raise (error.__context__ or error) from None
    except RuntimeError as error:
        raise as_refusal(error) from None


def as_refusal(error: RuntimeError) -> Exception:
    """The error for a thread that did not start: a signal handler's of this class is its own."""
    return NoThreadError(str(error)) if str(error).startswith(_REFUSED) else error


def hold() -> None:
    """Keep this thread from reading, now that the end has begun, if the end could kill it."""
    thread = threading.current_thread()
    is_awaited = isinstance(thread, AwaitedThread) or threading.get_ident() in awaited
    if thread.daemon and not is_awaited:
        reading.pop(threading.get_ident(), None)
        time.sleep(_HOLD_SECONDS)


@atexit.register
def _end() -> None:
    process.ends = True
    deadline = time.monotonic() + _PATIENCE
    reading.pop(threading.get_ident(), None)
    while reading and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    for stop in (*process.first, *process.last):
        stop()
    wait_before_the_end()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=reading.clear)
