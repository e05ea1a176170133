"""Arrays that answer which slots are nearest, and the scalar columns that filters read."""

from elanus.index._bm25 import Bm25Index
from elanus.index._bm25_arrays import bm25_from_arrays, bm25_to_arrays
from elanus.index._columns import Column, extract_path
from elanus.index._columns_convert import to_float
from elanus.index._columns_kinds import MISSING, FieldKind, FieldType, ValueType
from elanus.index._columns_strings import Strings
from elanus.index._dense import DenseIndex, IndexType, list_length, wants_graph
from elanus.index._faiss import FaissIndex, FaissKind, FaissParams, load_faiss
from elanus.index._graph import Graph, GraphParams
from elanus.index._metric import DENSE_METRICS, canonical_scores
from elanus.index._order import Keys, top_hits, top_order
from elanus.index._postings import SparseRows
from elanus.index._sparse import SparseIndex

__all__ = [
    "DENSE_METRICS",
    "MISSING",
    "Bm25Index",
    "Column",
    "DenseIndex",
    "FaissIndex",
    "FaissKind",
    "FaissParams",
    "FieldKind",
    "FieldType",
    "Graph",
    "GraphParams",
    "IndexType",
    "Keys",
    "SparseIndex",
    "SparseRows",
    "Strings",
    "ValueType",
    "bm25_from_arrays",
    "bm25_to_arrays",
    "canonical_scores",
    "extract_path",
    "list_length",
    "load_faiss",
    "to_float",
    "top_hits",
    "top_order",
    "wants_graph",
]
