"""The one way in which a call gets its asynchronous twin, for every distribution.

A call is written once. A blocking one gets its coroutine by ``twin``, which runs it on a thread. A
call of several steps, of which some have a coroutine of their own (a model behind HTTP), is written
as a flow: a generator that yields each step and is sent its result. ``run`` makes the steps one
after another; ``arun`` awaits them.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial, wraps
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from elanus.errors import ClosedError, StorageError
from elanus.storage import ending, on_fork

if TYPE_CHECKING:
    import asyncio

__all__ = [
    "Flow",
    "HasWorker",
    "Step",
    "Worker",
    "arun",
    "in_thread",
    "run",
    "step",
    "step_of",
    "twin",
]

_LOOK_SECONDS = 0.001

P = ParamSpec("P")
R = TypeVar("R")


class _Job:
    """A call on a thread, and who awaits it.

    Not a future of `concurrent.futures`: that has a lock, which a signal handler that raises in the
    event loop's thread can leave locked.
    """

    __slots__ = ("_call", "_loop", "_waiting")

    def __init__(
        self,
        call: Callable[[], Any],
        loop: asyncio.AbstractEventLoop,
        waiting: asyncio.Future[Any],
    ) -> None:
        self._call = call
        self._loop = loop
        self._waiting = waiting

    def run(self) -> None:
        """Make the call, and tell the loop what it came to."""
        try:
            result = self._call()
        except BaseException as error:  # noqa: BLE001  # raised again where it is awaited
            self._tell(self._waiting.set_exception, error)
        else:
            self._tell(self._waiting.set_result, result)

    def _tell(self, settle: Callable[[Any], None], outcome: object) -> None:
        def tell() -> None:
            if not self._waiting.done():
                settle(outcome)

        with suppress(RuntimeError):  # the loop is closed: nobody awaits it any more
            self._loop.call_soon_threadsafe(tell)


class _Threads:
    """Threads that run jobs, as many as are busy at once, up to a limit.

    Not an executor: its threads are waited for before the end of the interpreter is announced, so
    one that waits for a graph or codes would keep the process until they are made. These are told
    the end like the background, and waited for after that.

    Who submits may be struck by a signal handler between any two steps, so nothing is counted
    there: each thread notes itself, where no handler strikes, and a job that is in the queue is run
    by whoever next looks into it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._most = (os.cpu_count() or 1) + 4
        self._jobs: deque[_Job] = deque()
        self._news: SimpleQueue[None] = SimpleQueue()
        self._idle: dict[int, None] = {}  # each thread is in one of these, or in both
        self._busy: dict[int, None] = {}
        self.is_closed = False

    def submit(self, job: _Job) -> None:
        """Have a job run; one that a handler's exception cuts off here is not.

        Raises:
            StorageError: if no thread can be started.
        """
        try:
            self._jobs.append(job)
            self._news.put(None)
            if len(self._jobs) > len(self._idle) and len(self._busy | self._idle) < self._most:
                self._start(job)
        except BaseException:
            self.withdraw(job)
            raise

    def _start(self, job: _Job) -> None:
        try:
            thread = ending.AwaitedThread(target=self._run, name=self._name, daemon=True)
            ending.begin(thread)
        except ending.NoThreadError as error:
            if not (self._busy or self._idle) and self.withdraw(job):
                raise StorageError(
                    f"no thread can be started, which a coroutine needs ({error}); raise the limit "
                    "of processes (ulimit -u, or pids.max of the container)"
                ) from error

    def withdraw(self, job: _Job) -> bool:
        """Have a job not run, if no thread has taken it; whether none has."""
        try:
            self._jobs.remove(job)
        except ValueError:
            return False
        return True

    def _run(self) -> None:
        me = threading.get_ident()
        while True:
            self._busy[me] = None
            self._idle.pop(me, None)
            self.run_waiting()
            if self.is_closed:
                self._busy.pop(me)
                self._news.put(None)  # for the next thread
                return
            self._idle[me] = None
            self._busy.pop(me)
            self._news.get()

    def run_waiting(self) -> None:
        """Run the jobs that no thread has taken."""
        with suppress(IndexError):
            while True:
                self._jobs.popleft().run()

    def are_busy(self) -> bool:
        """Whether a job runs, or waits to be run."""
        # In this order: a thread is busy before it takes a job.
        return bool(self._jobs) or bool(self._busy)

    def close(self) -> None:
        """Let the threads end when all that was asked for is done."""
        self.is_closed = True
        self._news.put(None)


class Worker:
    """Threads on which coroutines let blocking calls run; bound to no event loop.

    Not asyncio's default executor: that one is shut down with its loop, which waits for every call
    that is running. A client outlives its loops, and a cancelled write goes on after one.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._closed = False
        self._threads = _Threads(name)
        on_fork(self)
        _workers.add(self)

    def after_fork_in_child(self) -> None:
        """Begin anew: the threads stayed behind, and who waits for them waits for ever.

        The parent's are dropped as they are: what is left of them here is memory.
        """
        self._threads = _Threads(self._name)

    def __del__(self) -> None:
        if hasattr(self, "_threads"):  # no handler has raised while it was made
            self._threads.close()

    async def run(self, call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Await a blocking call of an object. Cancelling ends the wait, not the call.

        Raises:
            ClosedError: if the worker is closed.
        """
        import asyncio  # noqa: PLC0415  # a tenth of our import; who has a loop has it already

        if self._closed:
            raise self._refusal(call)
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[R] = loop.create_future()
        waiting.add_done_callback(_look_at_result)
        job = _Job(partial(call, *args, **kwargs), loop, waiting)
        self._threads.submit(job)
        # Closed meanwhile: the threads may be gone.
        if self._threads.is_closed and self._threads.withdraw(job):
            raise self._refusal(call)
        return await waiting

    @staticmethod
    def _refusal(call: Callable[..., Any]) -> ClosedError:
        owner = getattr(call, "__self__", call)
        return ClosedError(f"{owner!r} is closed: cannot {call.__name__}; open it again")

    def close(self) -> None:
        """Let the threads end when their calls have."""
        self._closed = True
        self._threads.close()

    def wait(self) -> None:
        """Wait until no call runs, or waits to be run."""
        # Asked anew each time: a handler may fork, and return to this where the threads are gone.
        while self._threads.are_busy():
            self._threads.run_waiting()
            time.sleep(_LOOK_SECONDS)


_workers: weakref.WeakSet[Worker] = weakref.WeakSet()


@ending.last
def _finish_all() -> None:
    """Let calls that nobody awaits any more end, writes above all; the interpreter kills them."""
    for worker in list(_workers):
        worker.wait()


def _look_at_result(waiting: asyncio.Future[Any]) -> None:
    """Keep asyncio from reporting the error of a call that nobody waits for any more."""
    if not waiting.cancelled():
        waiting.exception()


class HasWorker:
    """Base of a class whose coroutines run on threads of its own."""

    _worker: Worker

    @property
    def worker(self) -> Worker:
        """The threads that the coroutines run calls on."""
        return self._worker

    @property
    def blocking(self) -> Any:
        """The object whose calls the coroutines run: this one, or one that it stands for."""
        return self


_late = Worker("elanus-late")


async def in_thread(call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Await a blocking call on a thread of the event loop's.

    Or on one of ours when the main thread has ended, while others go on: asyncio gives none then.
    """
    import asyncio  # noqa: PLC0415  # as above

    if threading.main_thread().is_alive():
        return await asyncio.to_thread(call, *args, **kwargs)
    made: Callable[[], R] = partial(copy_context().run, call, *args, **kwargs)
    return await _late.run(made)


def twin(
    call: Callable[Concatenate[Any, P], R],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """The coroutine of a blocking method: same arguments, same result.

    It runs on the threads of an object that has some (``HasWorker``), and on the event loop's for
    any other. What runs is the object's own method of that name, also where a subclass has another.
    """
    name = call.__name__

    @wraps(call)
    async def coroutine(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if isinstance(self, HasWorker):
            return await self._worker.run(getattr(self.blocking, name), *args, **kwargs)
        return await in_thread(getattr(self, name), *args, **kwargs)

    return coroutine


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a flow, in both forms.

    Attributes:
        blocking: makes the call and returns the result.
        awaited: makes it on an event loop.
    """

    blocking: Callable[[], Any]
    awaited: Callable[[], Awaitable[Any]]


Flow: TypeAlias = Generator[Step, Any, R]
"""A call of several steps: yields each of them, is sent its result, and returns the call's."""


def step(
    blocking: Callable[..., Any],
    awaited: Callable[..., Awaitable[Any]] | None,
    *args: Any,
    **kwargs: Any,
) -> Step:
    """A step with its arguments; one without an asynchronous form of its own gets a thread."""
    coroutine = partial(in_thread, blocking) if awaited is None else awaited
    return Step(partial(blocking, *args, **kwargs), partial(coroutine, *args, **kwargs))


def step_of(owner: object, name: str, *args: Any, **kwargs: Any) -> Step:
    """A call of an object, by its coroutine ``a…`` of the same name where it has one."""
    return step(getattr(owner, name), getattr(owner, f"a{name}", None), *args, **kwargs)


def _make(asked: Step) -> Any:
    return asked.blocking()


def _await(asked: Step) -> Awaitable[Any]:
    return asked.awaited()


def run(flow: Generator[Any, Any, R], make: Callable[[Any], Any] = _make) -> R:
    """Run a flow to its end; what a step raises is raised in the flow, where it was asked for.

    Args:
        flow: the call.
        make: makes what it yields, where that is no ``Step``.
    """
    try:
        asked = next(flow)
        while True:
            try:
                answer = make(asked)
            except Exception as error:  # noqa: BLE001 - handed over, not dropped
                asked = flow.throw(error)
            else:
                asked = flow.send(answer)
    except StopIteration as end:
        result: R = end.value
        return result


async def arun(flow: Generator[Any, Any, R], make: Callable[[Any], Awaitable[Any]] = _await) -> R:
    """Run a flow to its end without blocking the event loop; otherwise as ``run``.

    When it is cancelled the flow ends at the step that was awaited; what runs on a thread goes on.
    """
    try:
        asked = next(flow)
        while True:
            try:
                answer = await make(asked)
            except Exception as error:  # noqa: BLE001 - handed over, not dropped
                asked = flow.throw(error)
            else:
                asked = flow.send(answer)
    except StopIteration as end:
        result: R = end.value
        return result
