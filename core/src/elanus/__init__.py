"""Elanus: embedded hybrid search for retrieval-augmented generation.

One file, no server: ``DocumentStore`` takes text and gives ranked documents;
``MilvusClient`` and ``AsyncMilvusClient`` speak Milvus's client API.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# isort: off
# From the bottom up, so that no import stands below a hundred others: there Python enters functions
# more slowly, and numpy took 20 ms more to load.
from elanus.errors import ElanusError, FilterError, MilvusException, ParamError
from elanus.schema import (
    AdaptiveRanker,
    AnnSearchRequest,
    CollectionSchema,
    CombMNZRanker,
    DataType,
    FieldSchema,
    Function,
    FunctionType,
    LegExplanation,
    LoadState,
    MinMaxRanker,
    RRFRanker,
    WeightedRanker,
    ZScoreRanker,
)
from elanus.text import build_analyzer
from elanus import native, storage, query  # noqa: F401  # what the client stands on
from elanus.client import AsyncMilvusClient, MilvusClient
# isort: on

if TYPE_CHECKING:
    from elanus.documents import (
        ClientOptions,
        Document,
        DocumentStore,
        Embedder,
        EmbeddingFunction,
        Fragment,
        KeyValueStore,
        LongTextWarning,
        RankedDocument,
        SearchSettings,
        SplittingEmbeddingFunction,
        StoreStats,
        SyncReport,
    )

__version__ = "0.1.0"

__all__ = [
    "AdaptiveRanker",
    "AnnSearchRequest",
    "AsyncMilvusClient",
    "ClientOptions",
    "CollectionSchema",
    "CombMNZRanker",
    "DataType",
    "Document",
    "DocumentStore",
    "ElanusError",
    "Embedder",
    "EmbeddingFunction",
    "FieldSchema",
    "FilterError",
    "Fragment",
    "Function",
    "FunctionType",
    "KeyValueStore",
    "LegExplanation",
    "LoadState",
    "LongTextWarning",
    "MilvusClient",
    "MilvusException",
    "MinMaxRanker",
    "ParamError",
    "RRFRanker",
    "RankedDocument",
    "SearchSettings",
    "SplittingEmbeddingFunction",
    "StoreStats",
    "SyncReport",
    "WeightedRanker",
    "ZScoreRanker",
    "__version__",
    "build_analyzer",
]


def __getattr__(name: str) -> Any:
    """What ``documents`` offers, loaded when it is first asked for: clients do without."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # A twelfth of our import. A fork meanwhile would leave the child the lock of a module that
    # nobody goes on loading: so whoever forks waits for it, as for a call of a library.
    documents = native.call(None, import_module, "elanus.documents")
    value = globals()[name] = getattr(documents, name)
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
