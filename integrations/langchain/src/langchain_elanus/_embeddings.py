"""Embeddings: LangChain's as Elanus's embedding functions, and the other way round."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from elanus import Embedder, EmbeddingFunction, ParamError
from elanus.aio import arun, run
from elanus.arguments import as_query, checked_vectors, is_blank, members, refuse, text, whole
from elanus.errors import EmbeddingMismatchError, quoted, reading, shown

_NAMING = ("model", "model_name", "model_id", "deployment")


class ElanusEmbeddings(Embeddings):
    """An embedding function of Elanus as LangChain ``Embeddings``.

    Documents have the vectors that a ``DocumentStore`` gives them: a long one the mean of its
    parts', with a ``LongTextWarning`` for the first, and a blank one zeros.

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
        if not _is_function(function):
            raise ParamError(
                f"ElanusEmbeddings: {quoted(function)} needs encode_documents, encode_queries, "
                "dim and name"
            )
        self._function = function
        self._embedder = Embedder(function)

    def __repr__(self) -> str:
        return f"ElanusEmbeddings({quoted(self._function)})"

    @property
    def function(self) -> EmbeddingFunction:
        """The embedding function."""
        return self._function

    @property
    def model(self) -> str:
        """The model's name."""
        return self.function.name

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of texts that will be searched.

        Raises:
            DataNotMatchException: if the function gives anything but vectors.
            EmbeddingError: if the function fails, in whatever way; names the text, or all.
        """
        vectors: list[list[float]] = run(self._embedder.flow(_checked_texts(texts))).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """The vector of a text that will be searched for.

        Raises:
            DataNotMatchException, EmbeddingError: as for ``embed_documents``.
        """
        return _first(run(self._embedder.query_flow(as_query("text", text))))

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Asynchronous ``embed_documents``."""
        found = await arun(self._embedder.flow(_checked_texts(texts)))
        vectors: list[list[float]] = found.tolist()
        return vectors

    async def aembed_query(self, text: str) -> list[float]:
        """Asynchronous ``embed_query``."""
        return _first(await arun(self._embedder.query_flow(as_query("text", text))))


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
            found = _as_matrix([self.embeddings.embed_query("dimension")], self.name, 1)
            self._dim = found.shape[1]
        return self._dim

    @property
    def adaptive_weight(self) -> float | None:
        """How much the vectors count in a hybrid search, if the model says it."""
        return getattr(self.embeddings, "adaptive_weight", None)

    def encode_documents(self, texts: list[str], /) -> NDArray[np.float32]:
        """Vectors (n, dim) of texts to be found."""
        return self._checked(self.embeddings.embed_documents(texts), len(texts))

    def encode_queries(self, texts: list[str], /) -> NDArray[np.float32]:
        """Vectors (n, dim) of texts to search by."""
        found = [self.embeddings.embed_query(text) for text in texts]
        return self._checked(found, len(texts))

    async def aencode_documents(self, texts: list[str], /) -> NDArray[np.float32]:
        """As ``encode_documents``, by the model's own coroutine."""
        return self._checked(await self.embeddings.aembed_documents(texts), len(texts))

    async def aencode_queries(self, texts: list[str], /) -> NDArray[np.float32]:
        """As ``encode_queries``, by the model's own coroutine."""
        found = await asyncio.gather(*map(self.embeddings.aembed_query, texts))
        return self._checked(found, len(texts))

    def _checked(self, found: Any, count: int) -> NDArray[np.float32]:
        """The model's vectors as a matrix.

        Raises:
            EmbeddingMismatchError: if they have not as many components as the stored ones.
        """
        vectors = _as_matrix(found, self.name, count)
        if count and vectors.shape[1] != self.dim:
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
    if _is_function(embedding):
        function: EmbeddingFunction = embedding
        return function
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


def reads_as_they_are(function: EmbeddingFunction, texts: list[str]) -> bool:
    """Whether a function may be given texts without the store, which looks after odd ones.

    Those are blank texts, and those that are longer than the model reads.
    """
    return not hasattr(function, "split_documents") and not any(map(is_blank, texts))


def _is_function(value: Any) -> bool:
    """Whether a value has the members of an embedding function.

    Raises:
        ParamError: if one of them fails when it is read.
    """
    with reading(f"embedding {quoted(value)}", "name or dim"):
        return isinstance(value, EmbeddingFunction)


def _checked_texts(texts: Any) -> list[str]:
    found = members("texts", "a list of strings", texts)
    for i, each in enumerate(found):
        if not isinstance(each, str):
            refuse(f"texts[{i}]", "a string", each)
    return found


def _first(vectors: NDArray[np.float32]) -> list[float]:
    numbers: list[float] = vectors[0].tolist()
    return numbers


def _as_matrix(vectors: Any, name: str, count: int) -> NDArray[np.float32]:
    """Vectors as float32, by the store's own check.

    Raises:
        DataNotMatchException: naming the text whose vector is no list of finite numbers.
    """
    return checked_vectors(f"what the model {quoted(name)} gave for the texts", vectors, count)
