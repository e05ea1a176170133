"""What a document store takes and gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from elanus.notebook import documents_table
from elanus.schema import LegExplanation

Mode = Literal["hybrid", "dense", "text"]
MODES: tuple[Mode, ...] = ("hybrid", "dense", "text")


@runtime_checkable
class EmbeddingFunction(Protocol):
    """Turns texts into vectors. Any object with these four members is one, whoever wrote it.

    Documents and queries have a method each, because some models prefix them differently. Where
    a model does not, both give the same vectors.

    Note:
        ``isinstance(x, EmbeddingFunction)`` checks that the members exist, not their signatures.
    """

    @property
    def name(self) -> str:
        """The model's identity, kept in the file: functions of one name give the same vectors."""

    @property
    def dim(self) -> int:
        """Number of components of a vector."""

    def encode_documents(self, texts: list[str], /) -> NDArray[np.float32]:
        """Vectors (n, dim) of texts to be found."""

    def encode_queries(self, texts: list[str], /) -> NDArray[np.float32]:
        """Vectors (n, dim) of texts to search by."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was added.

    Attributes:
        id: its key.
        text: its text.
        metadata: JSON values under string keys.
        vector: (dim,) its embedding, if it was asked for and there is one. Not part of equality.
    """

    id: str
    text: str
    metadata: dict[str, Any] = field(default_factory=dict)
    vector: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)

    def _repr_html_(self) -> str:
        return documents_table([self]).html


@dataclass(frozen=True, slots=True)
class RankedDocument:
    """A document that a search found.

    Attributes:
        id, text, metadata: as it was added.
        score: larger is better; cosine (dense), BM25 (text), or the fused score (hybrid).
        relevance: the estimated probability, from 0 to 1, that it answers the query; see
            ``docs/ranking.md``.
        explanation: with ``explain=True``, what each leg that found it said; else empty.
        vector: (dim,) its embedding, if it was asked for and there is one. Not part of equality.
    """

    id: str
    text: str
    metadata: dict[str, Any]
    score: float
    relevance: float
    explanation: tuple[LegExplanation, ...] = ()
    vector: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)

    def _repr_html_(self) -> str:
        return documents_table([self]).html
