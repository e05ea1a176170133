"""The course of a call as a generator: it yields requests, is sent answers, returns the result."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """What to send, and the name that an error gives to it.

    Attributes:
        payload: the JSON object.
        about: what it is about, such as ``texts[0:96]``.
    """

    payload: dict[str, Any]
    about: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A decoded answer.

    Attributes:
        body: the JSON value.
        status: the HTTP status.
    """

    body: Any = field(repr=False)
    status: int


Flow: TypeAlias = Generator[Request, Answer, T]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold.

    Attributes:
        items: texts at most.
        size: UTF-8 bytes at most, in all; a single longer text goes alone. Providers count tokens,
            which would need their tokenizers; a token is a byte at least.
    """

    items: int
    size: int

    def batches(self, sizes: Sequence[int]) -> Iterator[slice]:
        """Split items of the given sizes, in their order, into slices that fit."""
        start = total = 0
        for i, size in enumerate(sizes):
            if i > start and (i - start == self.items or total + size > self.size):
                yield slice(start, i)
                start, total = i, 0
            total += size
        if start < len(sizes):
            yield slice(start, len(sizes))
