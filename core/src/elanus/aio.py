"""The one way in which a call gets its asynchronous twin, for every distribution.

A call is written once. A blocking one gets its coroutine by ``twin``, which runs it on a thread. A
call of several steps, of which some have a coroutine of their own (a model behind HTTP), is written
as a flow: a generator that yields each step and is sent its result. ``run`` makes the steps one
after another; ``arun`` awaits them.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Future
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


class _Threads:
    """Threads that run jobs, as many as are busy at once, up to a limit.

    Not an executor: its threads are waited for before the end of the interpreter is announced, so
    one that waits for a graph would keep the process until the graph is built. These are told the
    end like the background, and waited for after that.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._most = (os.cpu_count() or 1) + 4
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._idle: list[None] = []  # one for each thread that waits for a job
        self._count = 0
        self.running: dict[object, None] = {}

    def submit(self, call: Callable[[], R]) -> Future[R]:
        """Have a call made."""
        future: Future[R] = Future()

        def job() -> None:
            if job in self.running and future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # noqa: BLE001  # raised again where it is awaited
                    future.set_exception(error)
            self.running.pop(job, None)

        self.running[job] = None
        self._jobs.put(job)
        try:
            self._idle.pop()
        except IndexError:
            if self._count < self._most:
                self._start(future, job)
        return future

    def _start(self, future: Future[R], job: object) -> None:
        self._count += 1
        try:
            ending.AwaitedThread(target=self._run, name=self._name, daemon=True).start()
        except RuntimeError as error:
            self._count -= 1
            if not self._count:  # else one of the others will run it
                self.running.pop(job, None)
                future.set_exception(
                    StorageError(
                        f"no thread can be started, which a coroutine needs ({error}); raise the "
                        "limit of processes (ulimit -u, or pids.max of the container)"
                    )
                )

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job  # or its result would live until the next
            self._idle.append(None)

    def close(self) -> None:
        """Let the threads end when all that was asked for is done."""
        for _ in range(self._count):
            self._jobs.put(None)


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
        self._threads.close()

    async def run(self, call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Await a blocking call of an object. Cancelling ends the wait, not the call.

        Raises:
            ClosedError: if the worker is closed.
        """
        import asyncio  # noqa: PLC0415  # a tenth of our import; who has a loop has it already

        if self._closed:
            owner = getattr(call, "__self__", call)
            raise ClosedError(f"{owner!r} is closed: cannot {call.__name__}; open it again")
        future = self._threads.submit(partial(call, *args, **kwargs))
        waiting = asyncio.wrap_future(future)
        waiting.add_done_callback(_look_at_result)
        # Without the shield a call that still waits for a thread would be cancelled with the wait.
        return await asyncio.shield(waiting)

    def close(self) -> None:
        """Let the threads end when their calls have."""
        self._closed = True
        self._threads.close()

    def wait(self) -> None:
        """Wait until no call runs, or waits to be run."""
        while self._threads.running:
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


async def in_thread(call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Await a blocking call on a thread of the event loop's."""
    import asyncio  # noqa: PLC0415  # as above

    return await asyncio.to_thread(call, *args, **kwargs)


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
