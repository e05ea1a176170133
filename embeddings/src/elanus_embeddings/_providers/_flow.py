"""The course of a call as a flow of ``elanus.aio`` whose steps are requests over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from elanus_embeddings._http import EmbeddingRequestError
from elanus_embeddings._texts import excerpt

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """What to send, and which texts it is about.

    Attributes:
        payload: the JSON object.
        places: where the texts are in the list that the caller gave.
        name: what that list is called.
    """

    payload: dict[str, Any]
    places: range
    name: str = "texts"


@dataclass(frozen=True, slots=True)
class Answer:
    """A decoded answer.

    Attributes:
        body: the JSON value.
        status: the HTTP status.
    """

    body: Any = field(repr=False)
    status: int


HttpFlow: TypeAlias = Generator[Request, Answer, T]
"""Yields requests, is sent answers, and returns the call's result."""


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


# More than the places of any list have, and few enough for int().
_MOST_DIGITS = 20

# How servers refuse what a text says or how long it is.
_ABOUT_THE_TEXTS = frozenset({400, 413, 422})


def search_fault(
    error: EmbeddingRequestError,
    make: Callable[[range], Request],
    texts: Sequence[str],
    *,
    works: bool,
) -> HttpFlow[None]:
    """Find the text for which a server refused a request, and name it in the error.

    A server that cannot take one text refuses all of the request, mostly without saying which text
    it was. Halves of it are sent until the text is alone; the answers are not used.

    Args:
        error: the refusal.
        make: makes the request for the texts of some places.
        texts: the caller's list.
        works: whether the server has answered anything before.

    Raises:
        EmbeddingRequestError: a part failed for another reason, such as an outage. Each further
            part would wait for the server as long, and say nothing of its text.
    """
    places = range(error.places[0], error.places[-1] + 1)
    if error.status not in _ABOUT_THE_TEXTS:
        return
    if not works and len(places) > 1:
        # A server that refuses everything shows it at the first text, not after all halves.
        if (yield from _is_refused(make(places[:1]), error)):
            error.blame(places[0], f"; {{text}} alone is refused too: {excerpt(texts[places[0]])}")
            return
        places = places[1:]
    alone = len(error.places) == 1
    while len(places) > 1:
        half = places[: len(places) // 2]
        alone = yield from _is_refused(make(half), error)
        places = half if alone else places[len(half) :]
    # A half is not proven guilty by the innocence of the other.
    if alone or (yield from _is_refused(make(places), error)):
        error.blame(places[0], f"; {{text}} is {excerpt(texts[places[0]])}")


def _is_refused(request: Request, refusal: EmbeddingRequestError) -> HttpFlow[bool]:
    """Whether a part is refused, too; any other failure ends the search, with what was made."""
    try:
        yield request
    except EmbeddingRequestError as error:
        if error.status in _ABOUT_THE_TEXTS:
            return True
        error.made = refusal.made
        raise
    return False


def place_of(item: Any) -> int:
    """The ``index`` of an item of an answer; -1 if it is none.

    Servers whose answers come from Protocol Buffers, as Gemini's, leave out what is 0, and some
    write numbers as text.
    """
    index = item.get("index")
    if index is None:
        return 0
    if isinstance(index, str) and index.isascii() and index.isdecimal():
        return int(index[:_MOST_DIGITS])
    is_whole = isinstance(index, (int, float)) and not isinstance(index, bool) and index % 1 == 0
    return int(index) if is_whole else -1
