"""Embedding functions for Elanus: texts in, float32 vectors out.

A function has ``encode_documents``, ``encode_queries``, ``dim`` and ``name``; see
``EmbeddingFunction``. Importing this package imports no framework.
"""

from elanus_embeddings._contract import EmbeddingFunction
from elanus_embeddings._minilm import MiniLMEmbeddingFunction

__all__ = ["EmbeddingFunction", "MiniLMEmbeddingFunction"]
