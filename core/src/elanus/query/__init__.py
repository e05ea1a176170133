"""Pure functions over queries: the filter language, and what is done with results."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from elanus.query._adaptive import (
    AdaptiveFusion,
    Evidence,
)
from elanus.query._fusion import Fusion, RankedLeg, fuse
from elanus.query._mmr import mmr
from elanus.query._relevance import fuse_by_evidence
from elanus.query.columns._column import Column, extract_path, first_keys
from elanus.query.columns._convert import type_of
from elanus.query.columns._distinct import distinct
from elanus.query.columns._groups import first_of_groups
from elanus.query.columns._kinds import MISSING, FieldKind, FieldType, ValueType

if TYPE_CHECKING:
    from elanus.query.filter._bind import bind
    from elanus.query.filter._check import ColumnPath, Kinds, check
    from elanus.query.filter._expected import unknown_keys
    from elanus.query.filter._from_dict import filter_from_dict
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
    "distinct",
    "evaluate",
    "extract_path",
    "filter_from_dict",
    "first_keys",
    "first_of_groups",
    "fuse",
    "fuse_by_evidence",
    "mmr",
    "parse_filter",
    "type_of",
    "unknown_keys",
    "with_phrases",
]

# The language of filters: a tenth of what importing all takes. Who gives no filter does without.
_LATER = {
    "ColumnPath": "_check",
    "ColumnSource": "evaluation._evaluate",
    "Expression": "_tree",
    "Kinds": "_check",
    "Step": "_tree",
    "as_filter": "_given",
    "bind": "_bind",
    "check": "_check",
    "evaluate": "evaluation._evaluate",
    "filter_from_dict": "_from_dict",
    "parse_filter": "_parser",
    "unknown_keys": "_expected",
    "with_phrases": "_given",
}


def __getattr__(name: str) -> Any:
    """What belongs to filters, loaded when the first is given."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.filter.{_LATER[name]}")
    value = globals()[name] = getattr(module, name)
    return value
