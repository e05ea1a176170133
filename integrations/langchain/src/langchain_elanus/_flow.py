"""What a call does, written once for its blocking and its asynchronous form.

A flow is a generator that yields each call that may take long, and is sent the call's result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Step:
    """One call, in both forms.

    Attributes:
        blocking: makes the call and returns the result.
        awaited: makes it on an event loop.
    """

    blocking: Callable[[], Any]
    awaited: Callable[[], Awaitable[Any]]


Flow: TypeAlias = Generator[Step, Any, R]


def step(
    blocking: Callable[..., Any],
    awaited: Callable[..., Awaitable[Any]] | None,
    *args: Any,
    **kwargs: Any,
) -> Step:
    """A call with its arguments; without an asynchronous form of its own it gets a thread."""
    if awaited is None:
        return Step(
            partial(blocking, *args, **kwargs),
            partial(asyncio.to_thread, blocking, *args, **kwargs),
        )
    return Step(partial(blocking, *args, **kwargs), partial(awaited, *args, **kwargs))


def run(flow: Flow[R]) -> R:
    """Run a flow to its end; what a call raises is raised in the flow, where it was asked for."""
    try:
        asked = next(flow)
        while True:
            try:
                answer = asked.blocking()
            except Exception as error:  # noqa: BLE001 - handed over, not dropped
                asked = flow.throw(error)
            else:
                asked = flow.send(answer)
    except StopIteration as end:
        result: R = end.value
        return result


async def arun(flow: Flow[R]) -> R:
    """Run a flow to its end without blocking the event loop; otherwise as ``run``."""
    try:
        asked = next(flow)
        while True:
            try:
                answer = await asked.awaited()
            except Exception as error:  # noqa: BLE001 - handed over, not dropped
                asked = flow.throw(error)
            else:
                asked = flow.send(answer)
    except StopIteration as end:
        result: R = end.value
        return result
