"""What embedding functions and rerankers have to offer: there is nothing to inherit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from elanus import EmbeddingFunction

__all__ = ["EmbeddingFunction", "RerankResult", "Reranker"]


@dataclass(frozen=True, slots=True)
class RerankResult:
    """One document as a reranker sees it.

    Attributes:
        text: the document.
        score: its relevance to the query; higher is better, the scale is the model's.
        index: its place among the documents given.
    """

    text: str
    score: float
    index: int


@runtime_checkable
class Reranker(Protocol):
    """Orders documents by their relevance to a query; there is nothing to inherit.

    Note:
        ``isinstance(x, Reranker)`` checks that the members exist, not their signatures.
    """

    @property
    def name(self) -> str:
        """The model's identity."""
        ...

    def __call__(self, query: str, documents: list[str], /, top_k: int = 5) -> list[RerankResult]:
        """Return the best ``top_k`` documents, best first."""
        ...

    async def arerank(
        self, query: str, documents: list[str], /, top_k: int = 5
    ) -> list[RerankResult]:
        """Return the best ``top_k`` documents, best first, without blocking the event loop."""
        ...
