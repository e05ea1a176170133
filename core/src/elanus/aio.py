"""The one way in which a call gets its asynchronous twin, for every distribution.

A call is written once. A blocking one gets its coroutine by ``twin``, which runs it on a thread. A
call of several steps, of which some have a coroutine of their own (a model behind HTTP), is written
as a flow: a generator that yields each step and is sent its result. ``run`` makes the steps one
after another; ``arun`` awaits them.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from elanus.errors import ClosedError
from elanus.storage import on_fork

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

P = ParamSpec("P")
R = TypeVar("R")


class Worker:
    """Threads on which coroutines let blocking calls run; bound to no event loop.

    Not asyncio's default executor: that one is shut down with its loop, which waits for every call
    that is running. A client outlives its loops, and a cancelled write goes on after one.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._closed = False
        self._pool = self._new_pool()
        on_fork(self)

    def _new_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor((os.cpu_count() or 1) + 4, thread_name_prefix=self._name)

    def before_fork(self) -> tuple[int, ...]:
        """Nothing here holds a connection: each call takes its own, and is waited for there."""
        return ()

    def after_fork_in_child(self) -> tuple[object, ...]:
        """Begin anew: the threads stayed behind, and who waits for them waits for ever.

        The parent's pool is dropped as it is. Its locks may be held by threads that do not exist
        here, so it is not even shut down.
        """
        self._pool = self._new_pool()
        if self._closed:
            self._pool.shutdown(wait=False)
        return ()

    async def run(self, call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Await a blocking call of an object. Cancelling ends the wait, not the call.

        Raises:
            ClosedError: if the worker is closed.
        """
        import asyncio  # noqa: PLC0415  # a tenth of our import; who has a loop has it already

        try:
            future: Future[R] = self._pool.submit(call, *args, **kwargs)
        except RuntimeError as error:
            owner = getattr(call, "__self__", call)
            raise ClosedError(
                f"{owner!r} is closed: cannot {call.__name__}; open it again"
            ) from error
        waiting = asyncio.wrap_future(future)
        waiting.add_done_callback(_look_at_result)
        # Without the shield a call that still waits for a thread would be cancelled with the wait.
        return await asyncio.shield(waiting)

    def close(self) -> None:
        """Let the threads end when their calls have."""
        self._closed = True
        self._pool.shutdown(wait=False)


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
