"""How long a chunk may be, and by which measure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from elanus.errors import ParamError, quoted
from elanus.schema import refuse, whole


@runtime_checkable
class TokenCounter(Protocol):
    """An embedding function, or anything else, that counts as its model does."""

    @property
    def max_tokens(self) -> int | None:
        """Tokens of a text that the model reads; None if there is no limit."""

    def count_tokens(self, text: str, /) -> int:
        """The tokens of a text, without those that the model adds to every text."""


Count = Literal["characters", "words"] | Callable[[str], int] | TokenCounter

_CHARACTERS = 1000
_WORDS = 200
_RULE = (
    "'characters', 'words', a function that counts, or an embedding function with count_tokens "
    "and max_tokens"
)


@dataclass(frozen=True, slots=True)
class Limit:
    """The size of a chunk.

    Attributes:
        count: the size of a text; checks what a caller's function answers.
        size: what a chunk may have at most, its headings included.
        overlap: how much of it may repeat the end of the chunk before.
    """

    count: Callable[[str], int]
    size: int
    overlap: int

    @property
    def packed(self) -> int:
        """The size of a chunk before it is given its overlap."""
        return self.size - self.overlap


def as_limit(size: Any, overlap: Any, count: Any) -> Limit:
    """The arguments of the public calls.

    Raises:
        ParamError: naming the one that is wrong.
    """
    counting, usual, most = _counting(count)
    if size is None and usual is None:
        raise ParamError(f"size must be given, as count={quoted(count)} says none")
    size = whole("size", usual if size is None else size, 1)
    if most is not None and size > most:
        raise ParamError(f"size={size} is more than the {most} tokens that {quoted(count)} reads")
    return Limit(counting, size, whole("overlap", overlap, 0, size // 2))


def _counting(count: Any) -> tuple[Callable[[str], int], int | None, int | None]:
    """What counts, the size if none is given, and the largest that makes sense."""
    if isinstance(count, str):
        if count == "characters":
            return len, _CHARACTERS, None
        if count == "words":
            return _words, _WORDS, None
    # Before functions: some models can be called, and give vectors.
    elif isinstance(count, TokenCounter):
        most = count.max_tokens
        most = None if most is None else whole("count: max_tokens", most, 1)
        return _checked(count.count_tokens), most, most
    elif callable(count):
        return _checked(count), None, None
    return refuse("count", _RULE, count)


def _words(text: str) -> int:
    return len(text.split())


def _checked(count: Callable[[str], Any]) -> Callable[[str], int]:
    def counted(text: str) -> int:
        return whole("the answer of count", count(text), 0)

    return counted
