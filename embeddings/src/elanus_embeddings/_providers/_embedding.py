"""What all embedding functions over HTTP share: batches, order, dimension, the two ways to call."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from elanus.arguments import flag, is_blank
from elanus.errors import ParamError, quoted
from elanus.progress import ProgressBar
from elanus_embeddings._base import BaseEmbeddingFunction, Dense, Kind
from elanus_embeddings._http import EmbeddingRequestError
from elanus_embeddings._providers._flow import (
    Answer,
    HttpFlow,
    Limits,
    Request,
    place_of,
    search_fault,
)
from elanus_embeddings._providers._provider import checked_name
from elanus_embeddings._texts import checked_texts, positive
from elanus_embeddings._vectors import NotVectors, checked_rows

if TYPE_CHECKING:
    from elanus_embeddings._providers._transport import Endpoint

# What vectors are for: the object itself may be called for a purpose of its own.
Purpose: TypeAlias = Kind | Literal["call"]

# What a provider puts before each text, as a bound on its bytes.
_PROMPT_SIZE = 64


class HttpEmbeddingFunction(BaseEmbeddingFunction[Dense]):
    """An embedding function whose model runs behind an HTTP API.

    It can be used by many threads, in any event loop and after a fork: every call opens its own
    connections, and closes them. Nothing is sent before the first call, and nothing for no texts,
    whose matrix has the shape (0, dim), or (0, 0) while the dimension is not known. A blank text is
    never sent, and has the vector zero. If a provider fails or refuses, ``EmbeddingRequestError``
    is raised, with the vectors that were there before as its ``made``.
    """

    def __init__(
        self,
        model_name: str,
        endpoint: Endpoint,
        limits: Limits,
        *,
        known: Mapping[str, int],
        dimensions: int | None,
        dim: int | None,
        batch_size: int | None,
    ) -> None:
        self._model = checked_name(model_name)
        self._endpoint = endpoint
        self._limits = Limits(_batch_size(batch_size, limits.items), limits.size)
        self._asked = None if dimensions is None else positive("dimensions", dimensions)
        self._known = known.get(self._model) if dim is None else positive("dim", dim)
        if dim is not None and self._asked not in {None, dim}:
            raise ParamError(
                f"dim={quoted(dim)} contradicts dimensions={quoted(dimensions)}: give one of them"
            )
        self._dim = self._known if self._asked is None else self._asked

    @property
    def dim(self) -> int:
        """Components of a vector: of a known model, as asked for, or learnt from the first answer.

        Raises:
            ParamError: it is not known yet. No request is sent to find out, see ``probe``.
        """
        if self._dim is None:
            raise ParamError(
                f"the dimension of {quoted(self.name)} is not known yet: give dim=, or call "
                "probe() to ask the server"
            )
        return self._dim

    @property
    def name(self) -> str:
        """The model's identity: provider, model, and whatever else changes its vectors."""
        parts = [f"{self._endpoint.provider.lower()}/{self._model}", *self._variants()]
        if self._asked not in {None, self._known}:
            parts.append(f"dimensions={self._asked}")
        return ";".join(parts)

    @property
    def batch_size(self) -> int:
        """Texts in one request at most."""
        return self._limits.items

    def __call__(self, texts: Sequence[str]) -> Dense:
        """Encode documents, unless the constructor was told another purpose."""
        return self._endpoint.run(self._flow(checked_texts(texts), "call", progress=False))

    async def aencode_documents(self, texts: Sequence[str], *, progress: bool = False) -> Dense:
        """Encode documents without blocking the event loop; otherwise as ``encode_documents``."""
        flow = self._flow(checked_texts(texts), "document", progress=flag("progress", progress))
        return await self._endpoint.arun(flow)

    async def aencode_queries(self, texts: Sequence[str], *, progress: bool = False) -> Dense:
        """Encode queries without blocking the event loop; otherwise as ``encode_queries``."""
        flow = self._flow(checked_texts(texts), "query", progress=flag("progress", progress))
        return await self._endpoint.arun(flow)

    def probe(self) -> int:
        """Ask the provider for one short vector, and return its dimension.

        Raises:
            EmbeddingRequestError: the provider failed or refused.
        """
        return int(self.encode_queries(["dimension"]).shape[1])

    async def aprobe(self) -> int:
        """Ask for the dimension without blocking the event loop; otherwise as ``probe``."""
        return int((await self.aencode_queries(["dimension"])).shape[1])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({quoted(self._model)}, url={quoted(self._endpoint.url)})"

    def _encode(self, texts: list[str], kind: Kind, *, progress: bool) -> Dense:
        return self._endpoint.run(self._flow(texts, kind, progress=progress))

    @abstractmethod
    def _payload(self, texts: list[str], purpose: Purpose) -> dict[str, Any]:
        """Return the request's JSON object."""

    @abstractmethod
    def _vectors(self, body: Any, count: int) -> list[Any]:
        """Return the vectors of an answer in the order of the texts; LookupError etc. if odd."""

    def _variants(self) -> list[str]:
        """Return the settings, other than the dimension, that change vectors."""
        return []

    def _divisible(self, purpose: Purpose) -> bool:  # noqa: ARG002 - Jina's
        """Return whether a text's vector is the same in whatever request it is sent."""
        return True

    def _batches(self, texts: list[str], purpose: Purpose) -> list[slice]:  # noqa: ARG002 - Jina's
        sizes = [len(text.encode()) + _PROMPT_SIZE for text in texts]
        return list(self._limits.batches(sizes))

    def _flow(self, texts: list[str], purpose: Purpose, *, progress: bool) -> HttpFlow[Dense]:
        bar = ProgressBar(len(texts), "texts", shown=progress)
        places = [i for i, text in enumerate(texts) if not is_blank(text)]
        if len(places) == len(texts):
            return (yield from self._sent(texts, purpose, bar))
        bar.add(len(texts) - len(places))
        try:
            found = yield from self._sent([texts[i] for i in places], purpose, bar)
        except EmbeddingRequestError as error:
            error.renumber(places)
            if error.made is not None:
                count = len(error.made)
                error.made = _spaced(error.made, places[:count], places[count])
            raise
        # Where all are blank, nobody has said how long a vector is.
        return _spaced(found if places else found.reshape(0, self.dim), places, len(texts))

    def _sent(self, texts: list[str], purpose: Purpose, bar: ProgressBar) -> HttpFlow[Dense]:
        found: list[Dense] = []

        def make(places: range) -> Request:
            part = texts[places.start : places.stop]
            return Request(self._payload(part, purpose), places)

        for part in self._batches(texts, purpose):
            request = make(range(part.start, part.stop))
            try:
                answer = yield request
                found.append(self._array(answer, request))
            except EmbeddingRequestError as error:
                error.made = np.concatenate(found) if found else None
                if self._divisible(purpose):
                    yield from search_fault(error, make, texts, works=bool(found))
                raise
            bar.add(len(request.places))
        return np.concatenate(found) if found else np.empty((0, self._dim or 0), dtype=np.float32)

    def _array(self, answer: Answer, request: Request) -> Dense:
        count = len(request.places)
        try:
            rows = checked_rows(self._vectors(answer.body, count), count)
        except NotVectors as fault:
            reason = f"to {{texts}}, but not with {count} lists of numbers: "
            reason += "" if fault.row is None else "{text} has "
            reason += self._endpoint.excerpt(fault.reason)
            row = fault.row
        except (LookupError, TypeError, ValueError, AttributeError):
            reason = f"to {{texts}}, but not with {count} lists of numbers"
            row = None
        else:
            if self._dim is None:
                self._dim = rows.shape[1]
            if rows.shape[1] == self._dim:
                return rows
            reason = (
                f"to {{texts}} with {rows.shape[1]} dimensions instead of {self._dim}; if that is "
                "what the model has, give it as dim="
            )
            row = None
        raise self._endpoint.failure(
            f"answered {answer.status} {reason}", request, fault=row, status=answer.status
        )


def _spaced(vectors: Dense, places: list[int], count: int) -> Dense:
    """A matrix of ``count`` vectors, those given at their places, and zero elsewhere."""
    matrix = np.zeros((count, vectors.shape[1]), dtype=np.float32)
    matrix[places] = vectors
    return matrix


def by_index(items: Any, count: int) -> list[Any]:
    """Return the ``embedding`` of each item of a list, in the order of their ``index``.

    Raises:
        NotVectors: an index is twice there, or outside of ``range(count)``.
        TypeError, KeyError: the items have another form.
    """
    if len(items) != count:
        raise NotVectors(f"{len(items)} vectors for {count} texts")
    # Some servers number nothing, and answer in the order of the texts.
    numbered = any(item.get("index") is not None for item in items)
    order = [place_of(item) if numbered else i for i, item in enumerate(items)]
    if sorted(order) != list(range(count)):
        raise NotVectors(f"the indexes are {quoted(order)}")
    vectors: list[Any] = [None] * count
    for i, item in zip(order, items, strict=True):
        vectors[i] = item["embedding"]
    return vectors


def _batch_size(given: int | None, most: int) -> int:
    if given is None:
        return most
    if positive("batch_size", given) > most:
        raise ParamError(
            f"batch_size must be at most {most}, the provider's limit, got {quoted(given)}"
        )
    return given
