"""Arrays that answer which slots are nearest: dense vectors, sparse ones, and counted terms.

The order of what they find, that of equal scores included, is in `_order`.
"""

from elanus.index._order import Keys, Ranking, top_hits
from elanus.index.dense._codes import Codes, CodesParams
from elanus.index.dense._faiss import FaissIndex, FaissKind, FaissParams
from elanus.index.dense._graph import Graph, GraphParams
from elanus.index.dense._index import (
    GRAPH_MIN_ROWS,
    GRAPH_MIN_VALUES,
    DenseIndex,
    wants_graph,
)
from elanus.index.dense._lengths import DENSE_METRICS
from elanus.index.dense._moments import Moments
from elanus.index.dense._rerank import Approximate, over_fetched
from elanus.index.sparse._bm25 import Bm25Index
from elanus.index.sparse._bm25_arrays import bm25_from_arrays, bm25_to_arrays
from elanus.index.sparse._bm25_groups import Bm25Groups
from elanus.index.sparse._postings import SparseRows
from elanus.index.sparse._vectors import SparseIndex

__all__ = [
    "DENSE_METRICS",
    "GRAPH_MIN_ROWS",
    "GRAPH_MIN_VALUES",
    "Approximate",
    "Bm25Groups",
    "Bm25Index",
    "Codes",
    "CodesParams",
    "DenseIndex",
    "FaissIndex",
    "FaissKind",
    "FaissParams",
    "Graph",
    "GraphParams",
    "Keys",
    "Moments",
    "Ranking",
    "SparseIndex",
    "SparseRows",
    "bm25_from_arrays",
    "bm25_to_arrays",
    "over_fetched",
    "top_hits",
    "wants_graph",
]
