"""Elanus: embedded hybrid search for retrieval-augmented generation.

One file, no server: ``DocumentStore`` takes text and gives ranked documents;
``MilvusClient`` and ``AsyncMilvusClient`` speak Milvus's client API.
"""

from elanus.client import AsyncMilvusClient, MilvusClient
from elanus.documents import (
    Document,
    DocumentStore,
    EmbeddingFunction,
    LongTextWarning,
    RankedDocument,
    SplittingEmbeddingFunction,
)
from elanus.errors import ElanusError, FilterError, MilvusException, ParamError
from elanus.schema import (
    AnnSearchRequest,
    CollectionSchema,
    DataType,
    FieldSchema,
    Function,
    FunctionType,
    LegExplanation,
    LoadState,
    RRFRanker,
    WeightedRanker,
)
from elanus.text import build_analyzer

__version__ = "0.1.0"

__all__ = [
    "AnnSearchRequest",
    "AsyncMilvusClient",
    "CollectionSchema",
    "DataType",
    "Document",
    "DocumentStore",
    "ElanusError",
    "EmbeddingFunction",
    "FieldSchema",
    "FilterError",
    "Function",
    "FunctionType",
    "LegExplanation",
    "LoadState",
    "LongTextWarning",
    "MilvusClient",
    "MilvusException",
    "ParamError",
    "RRFRanker",
    "RankedDocument",
    "SplittingEmbeddingFunction",
    "WeightedRanker",
    "__version__",
    "build_analyzer",
]
