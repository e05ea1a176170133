"""Embeddings: LangChain's as Elanus's embedding functions, and the other way round."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from elanus import EmbeddingFunction, ParamError
from elanus.aio import step_of
from elanus.arguments import text, whole
from elanus.errors import DataNotMatchException, EmbeddingMismatchError, quoted, shown

_NO_NUMBERS = {bool, np.bool_, str, bytes, type(None), type(np.ma.masked)}
_NAMING = ("model", "model_name", "model_id", "deployment")


class ElanusEmbeddings(Embeddings):
    """An embedding function of Elanus as LangChain ``Embeddings``.

    Its asynchronous twins are used where it has them (``aencode_documents``,
    ``aencode_queries``); a thread stands in otherwise.

    Args:
        function: any object with ``encode_documents``, ``encode_queries``, ``dim`` and ``name``,
            such as those of ``elanus_embeddings``.

    Raises:
        ParamError: if a member is missing.

    Example:
        >>> from elanus_embeddings import MiniLMEmbeddingFunction
        >>> len(ElanusEmbeddings(MiniLMEmbeddingFunction()).embed_query("red kite"))
        384
    """

    def __init__(self, function: EmbeddingFunction) -> None:
        if not isinstance(function, EmbeddingFunction):
            raise ParamError(
                f"ElanusEmbeddings: {quoted(function)} needs encode_documents, encode_queries, "
                "dim and name"
            )
        self.function = function

    def __repr__(self) -> str:
        return f"ElanusEmbeddings({quoted(self.function)})"

    @property
    def model(self) -> str:
        """The model's name."""
        return self.function.name

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of texts that will be searched."""
        return _as_lists(self.function.encode_documents(texts), self.model)

    def embed_query(self, text: str) -> list[float]:
        """The vector of a text that will be searched for."""
        return _as_lists(self.function.encode_queries([text]), self.model)[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Asynchronous ``embed_documents``."""
        found = await step_of(self.function, "encode_documents", list(texts)).awaited()
        return _as_lists(found, self.model)

    async def aembed_query(self, text: str) -> list[float]:
        """Asynchronous ``embed_query``."""
        found = await step_of(self.function, "encode_queries", [text]).awaited()
        return _as_lists(found, self.model)[0]


class LangChainFunction:
    """LangChain ``Embeddings`` as an embedding function of Elanus.

    Args:
        embeddings: what embeds.
        name: the model's name; None derives one, see ``model_name``.
        dim: components of a vector; None embeds a word when the number is first asked for.
    """

    def __init__(self, embeddings: Embeddings, name: str | None, dim: int | None) -> None:
        self.embeddings = embeddings
        self.name = name or model_name(embeddings)
        self._dim = dim

    def __repr__(self) -> str:
        return f"{type(self.embeddings).__name__}({quoted(self.name)})"

    @property
    def dim(self) -> int:
        """Components of a vector."""
        if self._dim is None:
            self._dim = len(self.embeddings.embed_query("dimension"))
        return self._dim

    def encode_documents(self, texts: list[str], /) -> NDArray[np.float32]:
        """Vectors (n, dim) of texts to be found."""
        return self._checked(self.embeddings.embed_documents(texts))

    def encode_queries(self, texts: list[str], /) -> NDArray[np.float32]:
        """Vectors (n, dim) of texts to search by."""
        return self._checked([self.embeddings.embed_query(text) for text in texts])

    async def aencode_documents(self, texts: list[str], /) -> NDArray[np.float32]:
        """As ``encode_documents``, by the model's own coroutine."""
        return self._checked(await self.embeddings.aembed_documents(texts))

    async def aencode_queries(self, texts: list[str], /) -> NDArray[np.float32]:
        """As ``encode_queries``, by the model's own coroutine."""
        found = await asyncio.gather(*map(self.embeddings.aembed_query, texts))
        return self._checked(found)

    def _checked(self, found: list[list[float]]) -> NDArray[np.float32]:
        """The model's vectors as a matrix.

        Raises:
            EmbeddingMismatchError: if they have not as many components as the stored ones.
        """
        vectors = _as_matrix(found, self.name)
        if vectors.ndim == 2 and vectors.shape[1] != self.dim:
            raise EmbeddingMismatchError(
                f"the collection holds vectors of {self.dim} components, and those of the model "
                f"{quoted(self.name)} have {vectors.shape[1]}: open it with the model that filled "
                "it, or choose another collection"
            )
        return vectors


def as_function(embedding: Any, name: str | None, dim: int | None) -> EmbeddingFunction | None:
    """The embedding function behind whatever a caller gave; None for None.

    Raises:
        ParamError: if it is neither ``Embeddings`` nor an embedding function.
    """
    if embedding is None:
        return None
    if isinstance(embedding, ElanusEmbeddings):
        return embedding.function
    if isinstance(embedding, Embeddings):
        declared = getattr(embedding, "dimensions", None)
        name = None if name is None else text("embedding_name", name)
        dim = None if dim is None else whole("dim", dim, 1)
        return LangChainFunction(embedding, name, declared if dim is None else dim)
    if isinstance(embedding, EmbeddingFunction):
        return embedding
    raise ParamError(
        f"embedding must be LangChain Embeddings or an embedding function of Elanus, got "
        f"{shown(embedding)}"
    )


def as_embeddings(function: EmbeddingFunction | None) -> Embeddings | None:
    """The LangChain form of an embedding function."""
    if function is None:
        return None
    if isinstance(function, LangChainFunction):
        return function.embeddings
    return ElanusEmbeddings(function)


def model_name(embeddings: Any) -> str:
    """What to call a model: its ``model``, ``model_name``, … if it has one, else its class."""
    # A cache around a model gives that model's vectors.
    inner = getattr(embeddings, "underlying_embeddings", None)
    if inner is not None:
        return model_name(inner)
    for attribute in _NAMING:
        value = getattr(embeddings, attribute, None)
        if isinstance(value, str) and value:
            return value
    return type(embeddings).__name__


def embeds_natively(function: EmbeddingFunction | None) -> bool:
    """Whether a function has coroutines of its own."""
    return hasattr(function, "aencode_documents") and hasattr(function, "aencode_queries")


def _as_lists(vectors: Any, name: str) -> list[list[float]]:
    lists: list[list[float]] = _as_matrix(vectors, name).tolist()
    return lists


def _as_matrix(vectors: Any, name: str) -> NDArray[np.float32]:
    """Vectors as float32.

    Raises:
        DataNotMatchException: naming the text whose vector is no list of numbers.
    """
    is_list = isinstance(vectors, Sequence) or (isinstance(vectors, np.ndarray) and vectors.ndim)
    rows = vectors if is_list else ()
    # Beside numbers, numpy takes True and False for 1 and 0, and masked elements for others.
    kinds = [set(map(type, row)) if isinstance(row, Sequence) else set() for row in rows]
    odd = [i for i, row in enumerate(kinds) if row & _NO_NUMBERS]
    odd += [i for i, row in enumerate(rows) if np.ma.is_masked(row)]
    try:
        # No dtype yet: with one, numpy would read strings as numbers.
        found = np.asarray([] if odd else vectors)
    except (RuntimeError, TypeError, ValueError):
        found = np.empty(0, dtype=object)
    if odd or found.dtype.kind not in "fiu":
        place = f"texts[{odd[0]}]" if odd else "the texts"
        value = vectors[odd[0]] if odd else vectors
        raise DataNotMatchException(
            f"the model {quoted(name)} gave {shown(value)} for {place}; a vector has numbers only"
        )
    with np.errstate(over="ignore"):  # what overflows is infinite, and refused by the store
        return found.astype(np.float32)
