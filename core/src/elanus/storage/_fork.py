"""No connection of SQLite crosses a fork.

SQLite keeps a table of the files that a process has open, with the locks that it holds on them. A
forked child inherits the table, but not the locks: its own connection to the same file would find
them in the table, and take none from the system. Then the parent, closing, believes itself alone,
and removes the log under the child, whose commits are lost.

So before a fork every connection of the process is closed, and none is opened until it is over;
afterwards both sides open theirs when they need one. Whoever holds a connection is waited for. If
that cannot be, because the forking thread itself holds it (a fork in a signal handler), or because
it takes longer than `_PATIENCE`, the fork goes on, and the child refuses to use SQLite at all: the
state that it inherited may even hold a lock of a thread that does not exist there.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Iterable
from typing import Protocol

from elanus.errors import ForkedHandleError

_PATIENCE = 60.0  # seconds


class Forking(Protocol):
    """What is told of forks."""

    def before_fork(self, deadline: float) -> bool:
        """Close all connections; whether that was done by a time of ``time.monotonic``."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Make new locks, and begin as if just opened."""


class _Process:
    """This process, as far as forks matter.

    Attributes:
        number: its process number, as of the last fork that Python knows of.
        crossed: whether connections of the parent are in its memory.
        kept: connections that may have crossed.
        gate: held while a connection is opened, and through a fork.
    """

    def __init__(self) -> None:
        self.number = os.getpid()
        self.crossed = False
        self.gate = threading.RLock()
        self.kept: list[object] = []
        self.known: dict[int, weakref.ref[Forking]] = {}


_process = _Process()


def on_fork(told: Forking) -> None:
    """Have an object told of forks as long as it lives."""
    key = id(told)
    _process.known[key] = weakref.ref(told, lambda _: _process.known.pop(key, None))


def living() -> list[Forking]:
    """All objects that are told of forks."""
    # A list of a dict is made in one step, whatever other threads add meanwhile.
    found = [reference() for reference in list(_process.known.values())]
    return [told for told in found if told is not None]


def leak(objects: Iterable[object]) -> None:
    """Keep connections for ever, in case they cross: closing one in the child would use SQLite."""
    _process.kept.extend(objects)


def gate() -> threading.RLock:
    """The lock under which connections are opened.

    Raises:
        ForkedHandleError: if SQLite may not be used in this process.
    """
    if _process.crossed or _process.number != os.getpid():
        raise ForkedHandleError(
            f"this process was forked from {os.getppid()} while a thread there was using a "
            "database: its state cannot be used here; fork while none is used, or start the "
            "process by spawn or forkserver"
        )
    return _process.gate


def _before() -> None:
    deadline = time.monotonic() + _PATIENCE
    # The gate stays locked: a connection that is opened from now on would cross.
    locked = _process.gate.acquire(timeout=_PATIENCE)
    done = [told.before_fork(deadline) for told in living()]
    _process.crossed = not (locked and all(done))


def _after_in_parent() -> None:
    _process.crossed = False
    _process.kept.clear()
    for told in living():
        told.after_fork_in_parent()
    _process.gate.release()


def _after_in_child() -> None:
    _process.number = os.getpid()
    _process.gate = threading.RLock()
    if not _process.crossed:
        _process.kept.clear()
    for told in living():
        told.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )
