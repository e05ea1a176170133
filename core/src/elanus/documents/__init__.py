"""Text in, ranked documents out. Stands on what the client offers, and on nothing below it."""

from elanus.documents._embed import LongTextWarning
from elanus.documents._store import DocumentStore
from elanus.documents._values import (
    Document,
    EmbeddingFunction,
    RankedDocument,
    SplittingEmbeddingFunction,
)

__all__ = [
    "Document",
    "DocumentStore",
    "EmbeddingFunction",
    "LongTextWarning",
    "RankedDocument",
    "SplittingEmbeddingFunction",
]
