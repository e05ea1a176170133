"""Who is inside of hnswlib or FAISS: neither survives to be left there.

A thread that is inside when the interpreter ends is killed on its way out, by an exception that
C++ code cannot let through: the process would be aborted. A thread that is inside when another one
forks may hold a lock there that nobody gives back in the child.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

_LOOK_SECONDS = 0.005
_PATIENCE_SECONDS = 60.0
_PARK_SECONDS = 2.0


class _All:
    """Everyone who is inside, of whatever object."""

    def __init__(self) -> None:
        self.inside: list[int] = []
        self.is_forked = False
        self.leaver: int | None = None  # the thread that ends the interpreter

    def leave(self) -> None:
        """Wait, as the interpreter ends, until nobody is inside; others who enter are held up."""
        self.leaver = threading.get_ident()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self.inside and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)


_all = _All()
atexit.register(_all.leave)


def _begin_anew() -> None:
    _all.inside = []  # threads that were inside stayed in the parent
    _all.is_forked = True


def is_forked() -> bool:
    """Whether this process was forked from one that may have run OpenMP's threads.

    They stayed there, and OpenMP would wait for them.
    """
    return _all.is_forked


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


class inside:  # noqa: N801  # reads as a word: with inside(busy)
    """A block that calls into an object.

    Args:
        busy: the object's list, one entry for each call.
    """

    __slots__ = ("_busy", "_everyone")

    def __init__(self, busy: list[None]) -> None:
        self._busy = busy
        self._everyone = _all.inside

    def __enter__(self) -> None:
        self._busy.append(None)
        self._everyone.append(0)
        if _all.leaver is not None and _all.leaver != threading.get_ident():
            self._everyone.pop()
            # The interpreter ends this thread meanwhile, unless that waits for it in turn.
            time.sleep(_PARK_SECONDS)
            self._everyone.append(0)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._everyone.pop()
        self._busy.pop()
