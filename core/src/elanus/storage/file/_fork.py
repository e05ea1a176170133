"""No connection of SQLite crosses a fork.

SQLite keeps a table of the files that a process has open, with the locks that it holds on them. A
forked child inherits the table, but not the locks: its own connection to the same file would find
them in the table, and take none from the system. Then the parent, closing, believes itself alone,
and removes the log under the child, whose commits are lost.

So before a fork every connection of the process is closed, and none is opened until it is over;
afterwards both sides open theirs when they need one. Whoever holds a connection is waited for. If
that cannot be, because the forking thread itself holds it (a fork in a signal handler), or because
it takes longer than `_PATIENCE`, the fork goes on, and the child refuses to use SQLite at all. The
other threads are waited for even then, though not for so long: a thread that is in SQLite at the
moment of the fork leaves the child its locks, which nobody there will ever let go. Last those are
waited for who are inside of other libraries (`elanus.native`).

A signal handler may raise at any step of this, or open a database on top of it. So no lock is held:
who opens a connection says so first and then looks whether a fork is under way, and who forks does
it the other way round; the end of a fork is told by a call that no handler can interrupt; and
whether anything crossed is not remembered, but looked for, by the child.

Whoever has locks or threads of a database begins anew in the child by `on_fork`; what belongs to
the process as a whole registers with ``os`` itself.
"""

from __future__ import annotations

# First, so that its own preparation for a fork comes after ours: it takes the lock that whoever
# logs needs, and we wait for whoever reads, and may log meanwhile.
import logging  # noqa: F401
import os
import threading
import time
import weakref
from collections.abc import Iterable
from typing import Protocol, TypeVar

from elanus.errors import ForkedHandleError
from elanus.native import forking, wait_before_fork
from elanus.storage._sqlite import Connection, forbid

_PATIENCE = 60.0  # seconds
_PATIENCE_IN_VAIN = 5.0  # where the forking thread holds one, so that the child is refused anyway
_LOOK_SECONDS = 0.001
_PASSING_SECONDS = 1.0


class HoldsConnections(Protocol):
    """What has connections, which must not cross."""

    def before_fork(self) -> Iterable[int]:
        """Close what nobody uses; the threads that use a connection, 0 for one between two."""

    def crossed(self) -> Iterable[Connection]:
        """The connections that were in use when they crossed into the child all the same."""

    def all(self) -> Iterable[Connection]:
        """All of them, also those that were not."""


class MadeAnew(Protocol):
    """What begins anew in a child."""

    def after_fork_in_child(self) -> None:
        """Make new locks, and begin as if just opened."""


Told = TypeVar("Told")


class _Process:
    """This process, as far as forks matter.

    Attributes:
        pid: its number, as of the last fork that Python knows of.
        crossed: connections of the parent in its memory, if one of them was in use.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.crossed: list[Connection] = []
        self.holders: dict[int, weakref.ref[HoldsConnections]] = {}
        self.made_anew: dict[int, weakref.ref[MadeAnew]] = {}


_process = _Process()


def hold_connections(holder: HoldsConnections) -> None:
    """Have an object asked for its connections before and after forks, as long as it lives."""
    _note(_process.holders, holder)


def on_fork(told: MadeAnew) -> None:
    """Have an object told that it is in a child, as long as it lives."""
    _note(_process.made_anew, told)


def _note(known: dict[int, weakref.ref[Told]], told: Told) -> None:
    key = id(told)
    known[key] = weakref.ref(told, lambda _: known.pop(key, None))


def living() -> list[MadeAnew]:
    """All objects that are told of forks."""
    return _alive(_process.made_anew)


def _alive(known: dict[int, weakref.ref[Told]]) -> list[Told]:
    # A list of a dict is made in one step, whatever other threads add meanwhile.
    found = [reference() for reference in list(known.values())]
    return [told for told in found if told is not None]


def is_forking() -> bool:
    """Whether another thread forks: then no connection may be opened, and none kept.

    Raises:
        ForkedHandleError: if SQLite may not be used in this process.
    """
    if _process.crossed or _process.pid != os.getpid():
        raise _refusal()
    me = threading.get_ident()
    # A handler on top of the fork goes on: the thread would wait for itself.
    return forking.get("connections", me) != me


def _refusal() -> ForkedHandleError:
    return ForkedHandleError(
        f"this process was forked from {os.getppid()} while a thread there was using a database: "
        "its state cannot be used here; fork while none is used, or start the process by spawn or "
        "forkserver"
    )


def wait_for_fork() -> None:
    """Wait a moment for the end of a fork."""
    time.sleep(_LOOK_SECONDS)


def _before() -> None:
    deadline = time.monotonic() + _PATIENCE
    raised: BaseException | None = None
    while True:
        try:
            _close_all(deadline)
            # Now that nobody who is held up there holds a connection.
            wait_before_fork(deadline)
            break
        except BaseException as error:  # noqa: BLE001  # a handler's; it is raised below
            raised = error.with_traceback(None)
    if raised is not None:
        raise raised  # Python prints it, and forks


def _close_all(deadline: float) -> None:
    me = threading.get_ident()
    begun = time.monotonic()
    passed_by = begun + _PASSING_SECONDS
    while (now := time.monotonic()) < deadline:
        # One fork after another: the end of one would be taken for that of the other.
        if forking.setdefault("connections", me) == me:
            users = {thread for pool in _alive(_process.holders) for thread in pool.before_fork()}
            others = users - {me}
            if not others or (me in users and now > begun + _PATIENCE_IN_VAIN):
                return
            if others != {0}:
                passed_by = now + _PASSING_SECONDS
            # Another thread would have noted by now that it holds one, or does not: it is this one,
            # interrupted in between.
            elif now > passed_by:
                return
        wait_for_fork()


def _after_in_child() -> None:
    forking.clear()
    # Before they begin anew, which makes them forget.
    holders = _alive(_process.holders)
    if any(holder.crossed() for holder in holders):
        _process.crossed.extend(db for holder in holders for db in holder.all())
        # A handler that forked returns to the call under it, which may have one in its hands.
        forbid(_process.crossed, _refusal())
    for told in living():
        told.after_fork_in_child()
    # Last: until then nothing may be used.
    _process.pid = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before,
        after_in_parent=forking.clear,  # of C: no handler can keep it from running
        after_in_child=_after_in_child,
    )
