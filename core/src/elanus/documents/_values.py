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

    A function may also have ``adaptive_weight``, a number from 0: how much its vectors count beside
    the words in a hybrid search, in place of the default of ``AdaptiveRanker``.

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


LongTexts = Literal["parts", "cut"]
LONG_TEXTS: tuple[LongTexts, ...] = ("parts", "cut")


@runtime_checkable
class SplittingEmbeddingFunction(EmbeddingFunction, Protocol):
    """An embedding function that says how it would split a text longer than its model reads.

    These two members are optional: a function without them is given every text as it is. With
    them a ``DocumentStore`` embeds a long text by its parts, and keeps the mean of their vectors.
    They change no vector of ``encode_documents``, and so not the ``name``: the mean lies among
    the vectors of the same model, and the same queries find it.
    """

    @property
    def long_texts(self) -> LongTexts | None:
        """What becomes of long texts.

        ``"parts"``: they are embedded by their parts. None: likewise, and the store warns once.
        ``"cut"``: they are given to ``encode_documents`` as they are, which reads the beginning.
        """

    def split_documents(self, texts: list[str], /) -> list[list[str]]:
        """The parts of each text, in order; the text itself, alone, if the model reads it whole.

        Each part is short enough to be read whole. Parts that follow each other overlap, so that
        what is said across a border is in one of them.
        """


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
        score: larger is better; cosine (dense), BM25 (text), the fused score (hybrid), or what a
            reranker gave.
        relevance: the estimated probability, from 0 to 1, that it answers the query; see
            ``docs/ranking.md``.
        explanation: with ``explain=True``, what each leg that found it said; else empty.
        vector: (dim,) its embedding, if it was asked for and there is one. Not part of equality.
        before, after: with ``context``, the documents around it in its source, in their order.
    """

    id: str
    text: str
    metadata: dict[str, Any]
    score: float
    relevance: float
    explanation: tuple[LegExplanation, ...] = ()
    vector: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    before: tuple[Document, ...] = field(default=(), repr=False)
    after: tuple[Document, ...] = field(default=(), repr=False)

    def _repr_html_(self) -> str:
        return documents_table([self]).html
