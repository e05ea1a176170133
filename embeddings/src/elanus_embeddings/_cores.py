"""Arithmetic spread over the cores of the machine, by threads that live as long as one call."""

from __future__ import annotations

import math
import os
import threading
import time
from _thread import LockType, allocate_lock, start_new_thread
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from threadpoolctl import OpenBLASController, ThreadpoolController

T = TypeVar("T")
R = TypeVar("R")

# Between two matrix products numpy is called from Python, which one thread does at a time: about a
# tenth of the work. More threads than this would wait for each other.
_MOST_THREADS = 8
_LOOK_SECONDS = 0.05
_REFUSED = "can't start new thread", "can't create new thread"  # the beginnings of what Python says
# Processes of others that had a core over the last minute, on average: fewer are none.
_IDLE = 0.5
_MINUTE = 60.0


def thread_count() -> int:
    """How many threads are worth having: the cores that this process may use, up to eight."""
    is_told = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if is_told else os.cpu_count() or 1
    return min(cores, _MOST_THREADS)


def spread(work: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[int, R]]:
    """Do a piece of work for each item, on as many cores as there are.

    BLAS's own threads rest meanwhile. They divide every product by the number of cores and wait
    for each other at its end: where something else has one of the cores, all wait for it each
    time, and two cores take longer than one. A single item is left to them where nothing else has:
    it would have one core.

    The work is done by threads of this call alone, since signal handlers interrupt the main thread
    at any step and fork or raise. What a thread had in its hands when the process forked, and all
    if no thread could be started, is done by the caller.

    Args:
        work: what to do; it has to be safe in several threads.
        items: what to do it for.

    Yields:
        The place of an item and what became of it, in the order in which they are finished.
    """
    call = object()
    _calls[call] = None
    try:
        if len(items) == 1 and len(_calls) == 1 and _load.of_others() < _IDLE:
            yield 0, work(items[0])
        else:
            yield from _by_threads(work, items)
    finally:
        _calls.pop(call, None)


def _by_threads(work: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[int, R]]:
    job = _Job(work, deque(enumerate(items)))
    process = os.getpid()
    running = job.start(min(thread_count(), len(items)))
    left = set(range(len(items)))
    try:
        # With a limit: the threads, which release these locks, stay in the parent of a fork.
        while running and os.getpid() == process:
            if running[-1].acquire(timeout=_LOOK_SECONDS):
                running.pop()
            for place, result in job.taken():
                left.discard(place)
                yield place, result
    finally:
        job.todo.clear()
    for place, result in job.taken():
        left.discard(place)
        yield place, result
    if job.errors:
        raise job.errors[0]
    for place in sorted(left):
        yield place, work(items[place])


@dataclass(frozen=True, slots=True)
class _Job(Generic[T, R]):
    """What the threads of one call share. Taking from a deque is one step for all of them."""

    work: Callable[[T], R]
    todo: deque[tuple[int, T]]
    done: deque[tuple[int, R]] = field(default_factory=deque)
    errors: list[BaseException] = field(default_factory=list)

    def start(self, count: int) -> list[LockType]:
        """Start threads that work until nothing is left; fewer if the system gives no more.

        None of `threading`: where a handler raises while one of those starts, the start clears up
        after a thread that has begun, which then fails over that.

        Returns:
            Per thread a lock, which its end releases.
        """
        running: list[LockType] = []
        try:
            for _ in range(count):
                lock = allocate_lock()
                lock.acquire()
                start_new_thread(self._run, (lock,))
                running.append(lock)
        except RuntimeError as error:
            if not str(error).startswith(_REFUSED):  # a signal handler's
                raise
        return running

    def taken(self) -> Iterator[tuple[int, R]]:
        """What has been finished since the last time."""
        while self.done:
            yield self.done.popleft()

    def _run(self, running: LockType) -> None:
        try:
            with _blas:
                while self.todo:
                    place, item = self.todo.popleft()
                    self.done.append((place, self.work(item)))
        except IndexError:
            pass  # another thread took the last one in between
        except BaseException as error:  # noqa: BLE001  # raised where the results are waited for
            self.errors.append(error)
            self.todo.clear()
        finally:
            # threadpoolctl has asked for the current thread: `threading` keeps an entry of it.
            threading._active.pop(threading.get_ident(), None)  # type: ignore[attr-defined]  # noqa: SLF001
            running.release()


class _SingleThreadedBlas:
    """Keeps BLAS to one thread as long as any thread of ours is in it.

    The setting belongs to the process, or to each thread, as the library was built. So every
    thread sets it when it enters, and the last to leave puts back what the first one found: two
    calls that each put back what they had found would leave it at one thread for ever. While
    another thread of the process has set it by threadpoolctl, that holds.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a handler may fork on top of a fork
        self._controller: Any = None
        self._found: Any = None  # by whoever came first
        self._count = 0
        if hasattr(os, "register_at_fork"):
            # No thread of ours may be inside of threadpoolctl, or its lock would stay closed.
            os.register_at_fork(
                before=self._lock.acquire,
                after_in_parent=self._lock.release,
                after_in_child=self._after_fork,
            )

    def __enter__(self) -> None:
        with self._lock:
            if self._controller is None:
                self._controller = ThreadpoolController()  # looks at all libraries: a millisecond
            found = self._controller.limit(limits=1, user_api="blas")
            if not self._count:
                self._found = found
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._count -= 1
            if not self._count:
                self._found.restore_original_limits()
            OpenBLASController.clear_controlling_thread()  # or nobody else could set it

    def _after_fork(self) -> None:
        # Whoever was in it stayed in the parent.
        if self._count:
            self._count = 0
            self._found.restore_original_limits()
            OpenBLASController.clear_controlling_thread()
        self._lock.release()


class _Load:
    """How many processes of others have wanted a core: the system's average less our own share.

    Without our share, whoever asks one question after the other would find the machine busy.
    """

    def __init__(self) -> None:
        self._state = (time.monotonic(), time.process_time(), 0.0)

    def of_others(self) -> float:
        """The average over about the last minute; infinite where the system does not say."""
        before, spent_before, own = self._state
        now, spent = time.monotonic(), time.process_time()
        if now > before:
            # The system's own formula for its average.
            kept = math.exp((before - now) / _MINUTE)
            rate = max(0.0, spent - spent_before) / (now - before)  # a child begins at none
            own = own * kept + rate * (1 - kept)
            self._state = (now, spent, own)
        return os.getloadavg()[0] - own if hasattr(os, "getloadavg") else math.inf


_blas = _SingleThreadedBlas()
_load = _Load()
_calls: dict[object, None] = {}  # those that are running
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_calls.clear)
