"""Text in, ranked documents out. Stands on what the client offers, and on nothing below it."""

from elanus.documents._collection import ClientOptions
from elanus.documents._embed import Embedder, LongTextWarning
from elanus.documents._highlight import Fragment
from elanus.documents._keyed import KeyValueStore
from elanus.documents._overview import StoreStats
from elanus.documents._store import DocumentStore
from elanus.documents._sync import SyncReport
from elanus.documents._values import (
    Document,
    EmbeddingFunction,
    Mode,
    RankedDocument,
    SplittingEmbeddingFunction,
)
from elanus.documents.search._settings import SearchSettings

__all__ = [
    "ClientOptions",
    "Document",
    "DocumentStore",
    "Embedder",
    "EmbeddingFunction",
    "Fragment",
    "KeyValueStore",
    "LongTextWarning",
    "Mode",
    "RankedDocument",
    "SearchSettings",
    "SplittingEmbeddingFunction",
    "StoreStats",
    "SyncReport",
]
