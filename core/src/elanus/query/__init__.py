"""Pure functions over queries: the filter language, and what is done with results."""

from elanus.query._adaptive import (
    AdaptiveFusion,
    Evidence,
)
from elanus.query._fusion import Fusion, RankedLeg, fuse
from elanus.query._mmr import mmr
from elanus.query._relevance import fuse_by_evidence
from elanus.query.columns._arrays import column_from_arrays, column_to_arrays
from elanus.query.columns._column import Column, extract_path, first_keys
from elanus.query.columns._convert import type_of
from elanus.query.columns._distinct import distinct
from elanus.query.columns._groups import first_of_groups
from elanus.query.columns._kinds import MISSING, FieldKind, FieldType, ValueType
from elanus.query.filter._bind import bind
from elanus.query.filter._check import ColumnPath, Kinds, check
from elanus.query.filter._expected import unknown_keys
from elanus.query.filter._from_dict import filter_from_dict, key_step
from elanus.query.filter._given import as_filter, with_phrases
from elanus.query.filter._parser import parse_filter
from elanus.query.filter._tree import Expression, Step
from elanus.query.filter.evaluation._evaluate import ColumnSource, evaluate

__all__ = [
    "MISSING",
    "AdaptiveFusion",
    "Column",
    "ColumnPath",
    "ColumnSource",
    "Evidence",
    "Expression",
    "FieldKind",
    "FieldType",
    "Fusion",
    "Kinds",
    "RankedLeg",
    "Step",
    "ValueType",
    "as_filter",
    "bind",
    "check",
    "column_from_arrays",
    "column_to_arrays",
    "distinct",
    "evaluate",
    "extract_path",
    "filter_from_dict",
    "first_keys",
    "first_of_groups",
    "fuse",
    "fuse_by_evidence",
    "key_step",
    "mmr",
    "parse_filter",
    "type_of",
    "unknown_keys",
    "with_phrases",
]
