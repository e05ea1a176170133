"""Pure functions over queries: the filter language, and what is done with results."""

from elanus.query._filter_bind import bind
from elanus.query._filter_check import ColumnPath, KindOf, check, columns_of
from elanus.query._filter_dict import filter_from_dict
from elanus.query._filter_evaluate import ColumnSource, evaluate
from elanus.query._filter_parser import parse_filter
from elanus.query._filter_rewrite import rebase_names
from elanus.query._filter_tree import Expression
from elanus.query._fusion import Fusion, RankedLeg, fuse
from elanus.query._mmr import mmr

__all__ = [
    "ColumnPath",
    "ColumnSource",
    "Expression",
    "Fusion",
    "KindOf",
    "RankedLeg",
    "bind",
    "check",
    "columns_of",
    "evaluate",
    "filter_from_dict",
    "fuse",
    "mmr",
    "parse_filter",
    "rebase_names",
]
