"""A property that is computed once, without a lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class computed_once(Generic[T]):  # noqa: N801  # a decorator, as `property` is
    """``functools.cached_property`` without its lock, which up to Python 3.11 a whole class shares.

    A thread that holds that lock at a fork leaves it locked for ever in the child, and a signal
    handler that interrupts its holder could wait for a thread that waits for it. Here two threads
    may both compute; all get what was stored first.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> computed_once[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> computed_once[T] | T:
        if instance is None:
            return self
        # In the instance's own dict Python finds it before it looks for this descriptor.
        value: T = vars(instance).setdefault(self._name, self._compute(instance))
        return value
