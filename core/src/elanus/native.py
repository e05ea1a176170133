"""Packages that not everybody has; and who is inside of foreign code.

That is turbovec, hnswlib, FAISS or BLAS, and none of them survives to be left there.

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
from _thread import LockType, allocate_lock
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

from elanus.errors import MissingExtraError, loading

P = ParamSpec("P")
R = TypeVar("R")

_LOOK_SECONDS = 0.001
_PATIENCE_SECONDS = 60.0
_PARK_SECONDS = 2.0

forking: dict[str, int] = {}
"""The thread that forks, under what it holds up by now: ``"connections"``, ``"native"``.

Emptied when the fork is over, by one call of C, which no signal handler can interrupt.
"""

awaited: dict[int, None] = {}
"""The threads whose every call the main thread waits for: it does not end the interpreter then."""


_HOW = {
    "faiss": "the package faiss-cpu: pip install faiss-cpu (the extra elanus[faiss])",
    "hnswlib": (
        "the package hnswlib, which a C++ compiler has to build: pip install hnswlib (the extra "
        "elanus[hnsw]); AUTOINDEX needs neither"
    ),
    "turbovec": (
        "the package turbovec, which has wheels for Linux with glibc, Windows, and macOS on arm64: "
        "pip install turbovec"
    ),
}


@lru_cache(maxsize=len(_HOW))
def load(package: str) -> Any:
    """A package that not everybody has.

    Raises:
        MissingExtraError: it is not installed.
        StorageError: no more files can be opened.
    """
    with loading(package, f"this index needs {_HOW[package]}"):
        return import_module(package)


def is_there(package: str) -> bool:
    """Whether a package is installed, and can be loaded."""
    try:
        load(package)
    except MissingExtraError:
        return False
    return True


def how_to_install(package: str) -> str:
    """What to do where a package is missing."""
    return _HOW[package]


class _All:
    """Everyone who is inside, of whatever object."""

    def __init__(self) -> None:
        # Locked for as long as the call takes: one that is not was left behind by a handler that
        # raised while it was taken out.
        self.inside: dict[LockType, int] = {}  # with its thread
        self.is_forked = False
        self.leaver: int | None = None  # the thread that ends the interpreter

    def threads(self) -> list[int]:
        """Who is inside now."""
        found = []
        for entry, thread in list(self.inside.items()):
            if entry.locked():
                found.append(thread)
            else:
                self.inside.pop(entry, None)
        return found


_all = _All()


def wait_before_the_end() -> None:
    """Wait, as the interpreter ends, until no other thread is inside; who enters is held up.

    Only when the threads that are waited for have ended: they would be held up in vain.
    """
    me = threading.get_ident()
    _all.leaver = me
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while _is_another_inside(me) and time.monotonic() < deadline:
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
    while _is_another_inside(me) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)


def _is_another_inside(me: int) -> bool:
    return any(thread != me for thread in _all.threads())


def _begin_anew() -> None:
    me = threading.get_ident()
    # The others stayed in the parent. A handler that forked returns to the call under it.
    _all.inside = {entry: thread for entry, thread in _all.inside.items() if thread == me}
    _all.is_forked = True
    awaited.clear()


def is_forked() -> bool:
    """Whether this process was forked from one that may have run OpenMP's threads.

    They stayed there, and OpenMP would wait for them.
    """
    return _all.is_forked


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


Entries = list[LockType]
"""Of the calls that are inside of one object."""


def call(busy: Entries | None, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function of a library, and be known to be inside of it meanwhile.

    It opens no connection, and waits for no other thread: whoever forks waits for its end. No
    handler that raises leaves anybody inside, wherever it strikes: ``with`` takes and gives back a
    lock by one call of C each.

    Args:
        busy: of the object that is called; None for what has no state of its own.
        function: what is called.
        *args: what with.
        **kwargs: the same.
    """
    entry, me, everyone = allocate_lock(), threading.get_ident(), _all.inside
    with entry:
        everyone[entry] = me
        try:
            if forking or _all.leaver is not None:
                _hold_up(entry, me)
            if busy is not None:
                busy.append(entry)
            return function(*args, **kwargs)
        finally:
            everyone.pop(entry, None)
            if busy is not None and entry in busy:
                busy.remove(entry)


def are_inside(busy: Entries) -> bool:
    """Whether a call is inside of an object, or was when a parent forked."""
    return any(entry.locked() for entry in busy)


def _hold_up(entry: LockType, me: int) -> None:
    """Wait outside while another thread forks or ends the interpreter."""
    everyone = _all.inside
    # In a call in a call, or a handler's on top of one.
    is_waited_for = _all.threads().count(me) > 1
    while forking.get("native", me) != me and not is_waited_for:
        everyone.pop(entry, None)
        time.sleep(_LOOK_SECONDS)
        everyone[entry] = me
    if _all.leaver not in {None, me} and not is_waited_for and me not in awaited:
        everyone.pop(entry, None)
        # The interpreter ends this thread meanwhile, unless that waits for it in turn.
        time.sleep(_PARK_SECONDS)
        everyone[entry] = me
