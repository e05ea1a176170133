"""Index parameters: what users ask for, and the checked value behind it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from elanus import native
from elanus.errors import (
    MissingExtraError,
    ParamError,
    UnsupportedError,
    cut,
    likely,
    listed,
    quoted,
    shown,
)
from elanus.schema._arguments import (
    as_written,
    flag,
    mapping,
    names_something,
    number,
    refuse,
    text,
    whole,
    word,
)
from elanus.schema._collection import Schema
from elanus.schema._fields import FieldSchema, check_name
from elanus.schema._types import VECTOR_TYPES, DataType, IndexType, Metric
from elanus.schema.frames._libraries import is_mapping

DEFAULT_EF = 64
"""Candidates that a graph gives, and codes at first, where nobody asks for a number."""

DEFAULT_K1, DEFAULT_B = 1.2, 0.75
"""BM25's parameters where nobody chooses: how counts saturate, and how much length weighs."""


class IndexParam:
    """One index asked for; ``params={…}`` and plain keywords mean the same."""

    def __init__(
        self, /, field_name: str, index_type: str = "", index_name: str = "", **options: Any
    ) -> None:
        self.field_name = field_name
        self.index_type = index_type
        self.index_name = index_name
        nested = mapping(f"index on {quoted(field_name)}: params", options.pop("params", None))
        self.configs: dict[str, Any] = {**nested, **options}

    def to_dict(self) -> dict[str, Any]:
        """All that was asked for."""
        return {
            "field_name": self.field_name,
            "index_type": self.index_type,
            "index_name": self.index_name,
            **self.configs,
        }

    def __repr__(self) -> str:
        return f"IndexParam({self.to_dict()})"


class IndexParams(list[IndexParam]):
    """The indexes of a collection, as ``MilvusClient.prepare_index_params`` returns them."""

    def add_index(
        self, field_name: str, index_type: str = "", index_name: str = "", **options: Any
    ) -> None:
        """Ask for an index.

        Args:
            field_name: the field to index.
            index_type: FLAT or AUTOINDEX for dense vectors, with hnswlib also HNSW, with FAISS
                IVF_FLAT, IVF_SQ8, IVF_PQ or SCANN; SPARSE_INVERTED_INDEX or AUTOINDEX for sparse
                ones; empty means AUTOINDEX.
            index_name: the name it gets; empty means the field's name.
            **options: ``metric_type`` and the parameters of the index type, plain or in
                ``params={…}``.
        """
        self.append(IndexParam(field_name, index_type, index_name, **options))


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """A checked index: its field, type, metric and parameters."""

    name: str
    field: str
    index_type: IndexType
    metric: Metric | None = None
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The attributes as JSON values."""
        return {
            "name": self.name,
            "field": self.field,
            "index_type": self.index_type.value,
            "metric": self.metric.value if self.metric else None,
            "params": dict(self.params),
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> IndexSpec:
        """The inverse of :meth:`to_dict`."""
        metric = Metric.of(raw["metric"]) if raw["metric"] else None
        index_type = IndexType(raw["index_type"])
        return cls(raw["name"], raw["field"], index_type, metric, raw["params"])


Rule = Callable[[str, Any], Any]
Rules = Mapping[str, Rule]


def _whole(low: int, high: int) -> Rule:
    return lambda what, value: whole(what, as_written(value), low, high)


def _real(low: float, high: float) -> Rule:
    return lambda what, value: float(number(what, as_written(value), low, high))


def _switch(what: str, value: Any) -> bool:
    """True or False, also written out: Milvus's own properties are texts."""
    written = {"true": True, "false": False}
    return flag(what, written.get((word(value) or "").lower(), value))


BM25_RULES: Rules = {"bm25_k1": _real(0.0, 3.0), "bm25_b": _real(0.0, 1.0)}
_HNSW: Rules = {"M": _whole(2, 2048), "efConstruction": _whole(1, 65536), "ef": _whole(1, 65536)}
_IVF: Rules = {"nlist": _whole(1, 65536), "nprobe": _whole(1, 65536)}
# These choose an algorithm or an approximation of Milvus's sparse index. Ours is exact whatever
# they say, which each of them allows.
_SPARSE: Rules = {"inverted_index_algo": text, "drop_ratio_build": _real(0.0, 0.999), **BM25_RULES}
_HINTS: Rules = {"mmap.enabled": _switch, "mmap_enabled": _switch, "warmup": text}

DENSE_TYPES: dict[IndexType, Rules] = {
    IndexType.FLAT: {},
    IndexType.HNSW: _HNSW,
    IndexType.AUTOINDEX: _HNSW,
    IndexType.IVF_FLAT: _IVF,
    IndexType.IVF_SQ8: _IVF,
    IndexType.IVF_PQ: {**_IVF, "m": _whole(1, 32768), "nbits": _whole(1, 12)},
    # The raw vectors are there in any case.
    IndexType.SCANN: {**_IVF, "reorder_k": _whole(1, 65536), "with_raw_data": _switch},
}
SPARSE_TYPES: dict[IndexType, Rules] = {
    IndexType.SPARSE_INVERTED_INDEX: _SPARSE,
    IndexType.SPARSE_WAND: _SPARSE,
    IndexType.AUTOINDEX: _SPARSE,
}
# Filters read typed columns, whatever index a scalar field has; so each of these is exact.
SCALAR_TYPES: dict[IndexType, Rules] = {
    IndexType.AUTOINDEX: {},
    IndexType.INVERTED: {"json_path": text, "json_cast_type": text},
    IndexType.STL_SORT: {},
    IndexType.TRIE: {},
    IndexType.BITMAP: {},
}


def as_index_specs(params: Any, schema: Schema) -> list[IndexSpec]:
    """Check index parameters, ours or pymilvus's, against a schema.

    Raises:
        ParamError: if a field, metric or parameter is unknown or wrong.
        UnsupportedError: if the index type is one that this engine does not have.
        MissingExtraError: if it needs hnswlib or FAISS, which is not installed.
    """
    if params is None:
        return []
    items = [params] if hasattr(params, "field_name") or is_mapping(params) else params
    if not isinstance(items, (list, tuple)):
        raise ParamError(f"index_params must come from prepare_index_params(), got {shown(params)}")
    return [_as_spec(p, schema) for p in items]


def _as_spec(param: Any, schema: Schema) -> IndexSpec:
    raw = param if is_mapping(param) else _attributes_of(param)
    if not all(isinstance(key, str) for key in raw):
        refuse("index", "a dict of names to values", raw)
    options = IndexParam(**{"field_name": "", **raw})
    name: Any = options.field_name
    if not isinstance(name, str) or name not in schema.by_name:
        raise ParamError(
            f"index: no field {quoted(name)}; fields: {listed(schema.by_name)}"
            f"{likely(name, schema.by_name)}"
        )
    return make_spec(schema, schema.by_name[name], options)


def _attributes_of(param: Any) -> Mapping[str, Any]:
    """What an index parameter, ours or pymilvus's, was given."""
    if not hasattr(param, "field_name") or not hasattr(param, "to_dict"):
        raise ParamError(f"index_params must come from prepare_index_params(), got {shown(param)}")
    return mapping("index_params", param.to_dict())


def make_spec(schema: Schema, f: FieldSchema, options: IndexParam) -> IndexSpec:
    """The checked form of what was asked for one field; see :func:`as_index_specs`."""
    types = _types_for(f)
    configs = dict(options.configs)
    nested = configs.pop("index_type", None)
    asked = next((v for v in (options.index_type, nested) if names_something(v)), "AUTOINDEX")
    written = (word(asked) or quoted(asked)).upper()
    index_type = next((t for t in types if t.value == written), None)
    if index_type is None:
        raise UnsupportedError(
            f"index on {f.name!r}: index_type {quoted(written)} is not supported for "
            f"{f.dtype.name}; supported: {', '.join(t.value for t in types)}"
            f"{likely(written, [t.value for t in types])}"
        )
    metric = _metric_for(schema, f, configs.pop("metric_type", None))
    params = _check_params(f.name, index_type, configs, {**types[index_type], **_HINTS})
    _check_feasible(f, index_type, params)
    given: Any = options.index_name
    name = check_name(given if names_something(given) else f.name, "index")
    return IndexSpec(name, f.name, index_type, metric, params)


def _check_feasible(f: FieldSchema, index_type: IndexType, params: Mapping[str, Any]) -> None:
    if (f.dim or 0) % params.get("m", 1):
        raise ParamError(f"index on {f.name!r}: m={params['m']} must divide the dimension, {f.dim}")
    package = index_type.package
    if package and not find_spec(package):
        how = native.how_to_install(package)
        raise MissingExtraError(f"index on {f.name!r}: {index_type.value} needs {how}")


def _types_for(f: FieldSchema) -> Mapping[IndexType, Rules]:
    if f.dtype is DataType.FLOAT_VECTOR:
        return DENSE_TYPES
    return SPARSE_TYPES if f.dtype is DataType.SPARSE_FLOAT_VECTOR else SCALAR_TYPES


def metrics_for(schema: Schema, f: FieldSchema) -> tuple[Metric, ...]:
    """The metrics that a field can be searched by, the default one first."""
    if f.dtype is DataType.FLOAT_VECTOR:
        return (Metric.COSINE, Metric.IP, Metric.L2)
    if f.dtype is DataType.SPARSE_FLOAT_VECTOR:
        return (Metric.BM25,) if f.name in schema.bm25_inputs else (Metric.IP,)
    return ()


def _metric_for(schema: Schema, f: FieldSchema, asked: Any) -> Metric | None:
    allowed = metrics_for(schema, f)
    if f.dtype not in VECTOR_TYPES:
        return None
    metric = Metric.of(asked) if names_something(asked) else allowed[0]
    if metric not in allowed:
        names = ", ".join(m.value for m in allowed)
        raise ParamError(f"index on {f.name!r}: metric_type {metric.value!r}; allowed: {names}")
    return metric


def _check_params(
    name: str,
    index_type: IndexType,
    configs: Mapping[str, Any],
    rules: Rules,
) -> dict[str, Any]:
    checked = {}
    for key, value in configs.items():
        if key not in rules:
            known = ", ".join(k for k in rules if k not in _HINTS) or "none"
            raise ParamError(
                f"index on {name!r}: {index_type.value} has no parameter {quoted(key)}; "
                f"known: {known}{likely(key, rules)}"
            )
        checked[key] = rules[key](f"index on {name!r}: {key}={cut(quoted(value), 80)}", value)
    return checked
