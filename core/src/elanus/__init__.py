"""Elanus: embedded hybrid search for retrieval-augmented generation.

One file, no server: ``DocumentStore`` takes text and gives ranked documents;
``MilvusClient`` and ``AsyncMilvusClient`` speak Milvus's client API.
"""

from elanus.client import AsyncMilvusClient, MilvusClient
from elanus.documents import (
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

__version__ = "0.1.0"

__all__ = [
    "AdaptiveRanker",
    "AnnSearchRequest",
    "AsyncMilvusClient",
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
