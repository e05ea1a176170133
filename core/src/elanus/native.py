"""Who is inside of hnswlib, FAISS or BLAS: none of them survives to be left there.

A thread that is inside when the interpreter ends is killed on its way out, by an exception that
C++ code cannot let through: the process would be aborted. A thread that is inside when another one
forks may hold a lock there that nobody gives back in the child; and OpenBLAS takes its threads away
before a fork, also those that are computing just then, so that the parent waits for them for ever.

So who ends the interpreter waits until nobody is inside, and so does who forks; whoever wants to
enter meanwhile is held up.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

_LOOK_SECONDS = 0.001
_PATIENCE_SECONDS = 60.0
_PARK_SECONDS = 2.0

forking: dict[str, int] = {}
"""The thread that forks, under what it holds up by now: ``"connections"``, ``"native"``.

Emptied when the fork is over, by one call of C, which no signal handler can interrupt.
"""


class _All:
    """Everyone who is inside, of whatever object."""

    def __init__(self) -> None:
        self.inside: list[int] = []  # threads
        self.is_forked = False
        self.leaver: int | None = None  # the thread that ends the interpreter


_all = _All()


def wait_before_the_end() -> None:
    """Wait, as the interpreter ends, until nobody is inside; others who enter are held up.

    Only when the threads that are waited for have ended: they would be held up in vain.
    """
    _all.leaver = threading.get_ident()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while _all.inside and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)


def wait_before_fork(deadline: float) -> None:
    """Wait until no other thread is inside; those who enter wait until ``forking`` is emptied.

    Only when nobody waits for them in turn: a thread that is held up here may hold a connection.

    Args:
        deadline: of ``time.monotonic``; then the fork goes on, and the child does without the
            objects that somebody was inside of.
    """
    me = threading.get_ident()
    # First said, then looked for; who enters does it the other way round.
    forking["native"] = me
    while any(thread != me for thread in _all.inside.copy()) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)


def _begin_anew() -> None:
    me = threading.get_ident()
    # The others stayed in the parent. A handler that forked returns to the block under it.
    _all.inside[:] = [thread for thread in _all.inside if thread == me]
    _all.is_forked = True


def is_forked() -> bool:
    """Whether this process was forked from one that may have run OpenMP's threads.

    They stayed there, and OpenMP would wait for them.
    """
    return _all.is_forked


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


class Inside:
    """A block that calls into an object: ``with Inside(busy):``.

    It opens no connection, and waits for no other thread: whoever forks waits for its end.

    Args:
        busy: the object's list, one entry for each call; None for what has no state of its own.
    """

    __slots__ = ("_busy",)

    def __init__(self, busy: list[None] | None = None) -> None:
        self._busy = busy

    def __enter__(self) -> None:
        me, everyone = threading.get_ident(), _all.inside
        is_waited_for = me in everyone  # a block in a block, or a handler's on top of one
        everyone.append(me)
        while forking.get("native", me) != me and not is_waited_for:
            everyone.remove(me)
            time.sleep(_LOOK_SECONDS)
            everyone.append(me)
        if _all.leaver not in {None, me} and not is_waited_for:
            everyone.remove(me)
            # The interpreter ends this thread meanwhile, unless that waits for it in turn.
            time.sleep(_PARK_SECONDS)
            everyone.append(me)
        if self._busy is not None:
            self._busy.append(None)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._busy is not None:
            self._busy.pop()
        _all.inside.remove(threading.get_ident())


inside_blas = Inside()
"""A product of matrices, or a call into a library that has no object of ours."""
