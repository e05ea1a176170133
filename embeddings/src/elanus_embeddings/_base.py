"""What the embedding functions of this package have in common."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from elanus.aio import twin
from elanus.arguments import flag
from elanus.errors import ParamError, quoted
from elanus_embeddings._texts import checked_texts

Kind = Literal["document", "query"]
"""Whether a text will be searched, or searched for."""

Dense: TypeAlias = npt.NDArray[np.float32]

Encoded = TypeVar("Encoded")


class BaseEmbeddingFunction(ABC, Generic[Encoded]):
    """Every public method from one private one, ``_encode``.

    ``Encoded`` is what texts become: a float32 matrix (dense functions), a SciPy sparse matrix, or
    a dict of both. The coroutines run the same code on a thread, so that the event loop goes on.
    """

    @property
    @abstractmethod
    def dim(self) -> Any:
        """Components of a vector."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The model's identity: two functions of one name give the same vectors."""

    @abstractmethod
    def _encode(self, texts: list[str], kind: Kind, *, progress: bool) -> Encoded:
        """Encode checked texts, in order; there may be none."""

    def encode_documents(self, texts: Sequence[str], *, progress: bool = False) -> Encoded:
        """Encode texts that will be searched.

        Args:
            texts: any number of them; the empty string is a text too. Surrogates, which UTF-8
                cannot express, are joined or replaced by U+FFFD, with a warning.
            progress: show a progress bar on standard error.

        Returns:
            One row a text, in order.

        Raises:
            ParamError: ``texts`` is not a list, or an item is not a string.
        """
        return self._encode(checked_texts(texts), "document", progress=flag("progress", progress))

    def encode_queries(self, texts: Sequence[str], *, progress: bool = False) -> Encoded:
        """Encode texts that will be searched for; otherwise as ``encode_documents``."""
        return self._encode(checked_texts(texts), "query", progress=flag("progress", progress))

    aencode_documents = twin(encode_documents)
    aencode_queries = twin(encode_queries)

    def __call__(self, texts: Sequence[str]) -> Encoded:
        """Encode documents."""
        return self.encode_documents(texts)

    def __eq__(self, other: object) -> bool:
        # LlamaIndex compares a model with this word before it asserts, without a message, that it
        # is one of its own classes: the only place from which the user can be told what to write.
        if isinstance(other, str) and other == "default" and _is_resolved_by_llama_index():
            raise ParamError(
                f"LlamaIndex takes embedding models of its own kind: give it "
                f"ElanusEmbedding({type(self).__name__}(…)), with ElanusEmbedding from "
                "llama_index.vector_stores.elanus"
            )
        return self is other

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({quoted(self.name)})"


def _is_resolved_by_llama_index() -> bool:
    """Whether the method that calls this was called by the function that reads ``embed_model``."""
    asking = sys._getframe(2).f_globals.get("__name__")  # noqa: SLF001  # documented, for this use
    return asking == "llama_index.core.embeddings.utils"
