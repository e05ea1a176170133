"""Coroutines for blocking calls: written once, for every class that has both forms."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

from elanus.errors import ClosedError
from elanus.storage import on_fork

if TYPE_CHECKING:
    import asyncio

P = ParamSpec("P")
R = TypeVar("R")


class Worker:
    """Threads on which coroutines let blocking calls run; bound to no event loop.

    Not asyncio's default executor: that one is shut down with its loop, and a client outlives it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._closed = False
        self._threads = self._new_threads()
        on_fork(self)

    def _new_threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor((os.cpu_count() or 1) + 4, thread_name_prefix=self._name)

    def after_fork_in_child(self) -> None:
        """See `MadeAnew`: the threads stayed behind, and who waits for them waits for ever."""
        self._threads = self._new_threads()
        if self._closed:
            self._threads.shutdown(wait=False)

    async def run(self, call: Callable[..., R], *args: Any, **kwargs: Any) -> R:
        """Await a blocking call. Cancelling ends the wait, not the call.

        Raises:
            ClosedError: if the worker is closed.
        """
        import asyncio  # noqa: PLC0415  # a tenth of our import; who has a loop has it already

        try:
            future: Future[R] = self._threads.submit(call, *args, **kwargs)
        except RuntimeError as error:
            raise ClosedError(
                f"{args[0]!r} is closed: cannot {call.__name__}; open it again"
            ) from error
        waiting = asyncio.wrap_future(future)
        waiting.add_done_callback(_look_at_result)
        return await asyncio.shield(waiting)

    def close(self) -> None:
        """Let the threads end when their calls have."""
        self._closed = True
        self._threads.shutdown(wait=False)


def _look_at_result(waiting: asyncio.Future[Any]) -> None:
    """Keep asyncio from reporting the error of a call that nobody waits for any more."""
    if not waiting.cancelled():
        waiting.exception()


async def in_thread(call: Callable[[], R]) -> R:
    """Await a blocking call on a thread of the loop's."""
    import asyncio  # noqa: PLC0415  # as above

    return await asyncio.to_thread(call)


class HasBlockingForm(Protocol):
    """A class whose coroutines run the calls of another object, or its own, on a worker."""

    @property
    def blocking(self) -> Any:
        """The object that has the blocking calls."""

    @property
    def worker(self) -> Worker:
        """The threads that they run on."""


def twin(
    call: Callable[Concatenate[Any, P], R],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """The coroutine of a blocking call: same arguments, same result."""

    @wraps(call)
    async def coroutine(self: HasBlockingForm, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.worker.run(call, self.blocking, *args, **kwargs)

    return coroutine
