"""Embedding functions and rerankers that ask a provider over HTTP, with httpx and tenacity."""

from elanus_embeddings._providers._cohere import CohereEmbeddingFunction, CohereRerankFunction
from elanus_embeddings._providers._jina import JinaEmbeddingFunction, JinaRerankFunction
from elanus_embeddings._providers._openai import OpenAIEmbeddingFunction
from elanus_embeddings._providers._voyage import VoyageEmbeddingFunction, VoyageRerankFunction

__all__ = [
    "CohereEmbeddingFunction",
    "CohereRerankFunction",
    "JinaEmbeddingFunction",
    "JinaRerankFunction",
    "OpenAIEmbeddingFunction",
    "VoyageEmbeddingFunction",
    "VoyageRerankFunction",
]
