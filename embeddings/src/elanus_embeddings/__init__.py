"""Embedding functions and rerankers for Elanus: texts in, vectors or a better order out.

An embedding function has ``encode_documents``, ``encode_queries``, ``dim`` and ``name``; see
``EmbeddingFunction``. Importing this package imports no framework: a class is loaded when it is
first named, and what it needs when an object of it is made.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elanus_embeddings._base import BaseEmbeddingFunction
    from elanus_embeddings._bgem3 import BGEM3EmbeddingFunction
    from elanus_embeddings._bm25 import BM25EmbeddingFunction
    from elanus_embeddings._cached import CachedEmbeddingFunction
    from elanus_embeddings._contract import EmbeddingFunction, Reranker, RerankResult
    from elanus_embeddings._cross_encoder import BGERerankFunction, CrossEncoderRerankFunction
    from elanus_embeddings._http import (
        EmbeddingRequestError,
        RetryPolicy,
    )
    from elanus_embeddings._minilm import MiniLMEmbeddingFunction
    from elanus_embeddings._model2vec import Model2VecEmbeddingFunction
    from elanus_embeddings._providers import (
        CohereEmbeddingFunction,
        CohereRerankFunction,
        JinaEmbeddingFunction,
        JinaRerankFunction,
        OpenAIEmbeddingFunction,
        VoyageEmbeddingFunction,
        VoyageRerankFunction,
    )
    from elanus_embeddings._sentence_transformer import SentenceTransformerEmbeddingFunction
    from elanus_embeddings._splade import SpladeEmbeddingFunction

__version__ = "0.1.0"

__all__ = [
    "BGEM3EmbeddingFunction",
    "BGERerankFunction",
    "BM25EmbeddingFunction",
    "BaseEmbeddingFunction",
    "CachedEmbeddingFunction",
    "CohereEmbeddingFunction",
    "CohereRerankFunction",
    "CrossEncoderRerankFunction",
    "EmbeddingFunction",
    "EmbeddingRequestError",
    "JinaEmbeddingFunction",
    "JinaRerankFunction",
    "MiniLMEmbeddingFunction",
    "Model2VecEmbeddingFunction",
    "OpenAIEmbeddingFunction",
    "RerankResult",
    "Reranker",
    "RetryPolicy",
    "SentenceTransformerEmbeddingFunction",
    "SpladeEmbeddingFunction",
    "VoyageEmbeddingFunction",
    "VoyageRerankFunction",
    "__version__",
]

# Where each name lives. The same as the imports above, which type checkers read.
_HOMES = {
    "BGEM3EmbeddingFunction": "_bgem3",
    "BGERerankFunction": "_cross_encoder",
    "BM25EmbeddingFunction": "_bm25",
    "BaseEmbeddingFunction": "_base",
    "CachedEmbeddingFunction": "_cached",
    "CohereEmbeddingFunction": "_providers",
    "CohereRerankFunction": "_providers",
    "CrossEncoderRerankFunction": "_cross_encoder",
    "EmbeddingFunction": "_contract",
    "EmbeddingRequestError": "_http",
    "JinaEmbeddingFunction": "_providers",
    "JinaRerankFunction": "_providers",
    "MiniLMEmbeddingFunction": "_minilm",
    "Model2VecEmbeddingFunction": "_model2vec",
    "OpenAIEmbeddingFunction": "_providers",
    "RerankResult": "_contract",
    "Reranker": "_contract",
    "RetryPolicy": "_http",
    "SentenceTransformerEmbeddingFunction": "_sentence_transformer",
    "SpladeEmbeddingFunction": "_splade",
    "VoyageEmbeddingFunction": "_providers",
    "VoyageRerankFunction": "_providers",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
