"""LlamaIndex on Elanus: a vector store in one file, with all query modes and filter operators.

``ElanusVectorStore`` holds the nodes; ``ElanusDocumentStore`` and ``ElanusIndexStore`` hold what
LlamaIndex keeps beside them, in the same file, by ``ElanusKVStore``. ``ElanusEmbedding``,
``ElanusSparseEmbedding`` and ``ElanusRerank`` bring the functions of ``elanus_embeddings`` to
LlamaIndex.
"""

from llama_index.vector_stores.elanus._embedding import ElanusEmbedding, ElanusSparseEmbedding
from llama_index.vector_stores.elanus._rerank import ElanusRerank
from llama_index.vector_stores.elanus._storage import (
    ElanusDocumentStore,
    ElanusIndexStore,
    ElanusKVStore,
)
from llama_index.vector_stores.elanus._store import ElanusVectorStore

__version__ = "0.1.0"

__all__ = [
    "ElanusDocumentStore",
    "ElanusEmbedding",
    "ElanusIndexStore",
    "ElanusKVStore",
    "ElanusRerank",
    "ElanusSparseEmbedding",
    "ElanusVectorStore",
    "__version__",
]
