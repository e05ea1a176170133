"""Values that describe collections, indexes, requests and rows. No I/O here."""

from elanus.schema._batch import Batch, make_batch
from elanus.schema._collection import (
    DYNAMIC,
    CollectionSchema,
    Schema,
    as_schema,
)
from elanus.schema._columns_input import is_data
from elanus.schema._fields import MAX_LENGTH, FieldSchema, Function, check_name, make_field
from elanus.schema._index import (
    FAISS_TYPES,
    IndexParam,
    IndexParams,
    IndexSpec,
    as_index_specs,
    metrics_for,
)
from elanus.schema._requests import (
    AnnSearchRequest,
    LegExplanation,
    RRFRanker,
    SearchParams,
    WeightedRanker,
    as_ranker,
    as_search_params,
)
from elanus.schema._types import (
    FLOAT_TYPES,
    INTEGER_TYPES,
    VECTOR_TYPES,
    DataType,
    FunctionType,
    LoadState,
    Metric,
)
from elanus.schema._values import Rejected, converter, shown, to_json, to_text
from elanus.schema._vectors import (
    DenseColumn,
    SparseColumn,
    dense_vector,
    sparse_vector,
    split_queries,
)

__all__ = [
    "DYNAMIC",
    "FAISS_TYPES",
    "FLOAT_TYPES",
    "INTEGER_TYPES",
    "MAX_LENGTH",
    "VECTOR_TYPES",
    "AnnSearchRequest",
    "Batch",
    "CollectionSchema",
    "DataType",
    "DenseColumn",
    "FieldSchema",
    "Function",
    "FunctionType",
    "IndexParam",
    "IndexParams",
    "IndexSpec",
    "LegExplanation",
    "LoadState",
    "Metric",
    "RRFRanker",
    "Rejected",
    "Schema",
    "SearchParams",
    "SparseColumn",
    "WeightedRanker",
    "as_index_specs",
    "as_ranker",
    "as_schema",
    "as_search_params",
    "check_name",
    "converter",
    "dense_vector",
    "is_data",
    "make_batch",
    "make_field",
    "metrics_for",
    "shown",
    "sparse_vector",
    "split_queries",
    "to_json",
    "to_text",
]
