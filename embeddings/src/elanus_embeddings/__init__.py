"""Embedding functions for Elanus: texts in, float32 vectors out.

A function has ``encode_documents``, ``encode_queries``, ``dim`` and ``name``; see
``EmbeddingFunction``. Importing this package imports no framework.
"""

from elanus_embeddings._contract import EmbeddingFunction
from elanus_embeddings._minilm import MiniLMEmbeddingFunction

__version__ = "0.1.0"

__all__ = ["EmbeddingFunction", "MiniLMEmbeddingFunction", "__version__"]
