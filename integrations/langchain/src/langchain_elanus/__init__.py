"""Elanus for LangChain: hybrid search over one file, retrievers, reranking and the indexing API.

The vector store stands on ``elanus.DocumentStore``; both read and write the same files.
"""

from langchain_elanus._bytes import ElanusByteStore
from langchain_elanus._embeddings import ElanusEmbeddings
from langchain_elanus._records import ElanusRecordManager
from langchain_elanus._reranker import ElanusReranker
from langchain_elanus._retriever import ElanusRetriever
from langchain_elanus._translator import ElanusTranslator
from langchain_elanus._vectorstore import ElanusVectorStore

__version__ = "0.1.0"

__all__ = [
    "ElanusByteStore",
    "ElanusEmbeddings",
    "ElanusRecordManager",
    "ElanusReranker",
    "ElanusRetriever",
    "ElanusTranslator",
    "ElanusVectorStore",
    "__version__",
]
