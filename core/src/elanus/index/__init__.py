"""Arrays that answer which slots are nearest, and the scalar columns that filters read."""

from elanus.index._order import Keys, top_hits, top_order
from elanus.index.dense._faiss import FaissIndex, FaissKind, FaissParams, load_faiss
from elanus.index.dense._graph import Graph, GraphParams
from elanus.index.dense._index import DenseIndex, list_length, wants_graph
from elanus.index.dense._metric import DENSE_METRICS, canonical_scores
from elanus.index.sparse._bm25 import Bm25Index
from elanus.index.sparse._bm25_arrays import bm25_from_arrays, bm25_to_arrays
from elanus.index.sparse._postings import SparseRows
from elanus.index.sparse._vectors import SparseIndex

__all__ = [
    "DENSE_METRICS",
    "Bm25Index",
    "DenseIndex",
    "FaissIndex",
    "FaissKind",
    "FaissParams",
    "Graph",
    "GraphParams",
    "Keys",
    "SparseIndex",
    "SparseRows",
    "bm25_from_arrays",
    "bm25_to_arrays",
    "canonical_scores",
    "list_length",
    "load_faiss",
    "top_hits",
    "top_order",
    "wants_graph",
]
