"""Fields and functions of a collection."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from elanus.errors import (
    DataTypeNotSupportException,
    ParamError,
    PrimaryKeyException,
    SchemaError,
    UnsupportedError,
    likely,
    listed,
    quoted,
)
from elanus.schema._arguments import (
    as_written,
    asks,
    flag,
    is_whole,
    mapping,
    names,
    refuse,
    text,
)
from elanus.schema._json import MAX_JSON_DEPTH, as_json
from elanus.schema._types import ELEMENT_TYPES, DataType, FunctionType, member_of
from elanus.schema.frames._libraries import is_mapping

MAX_DIM = 32768
"""Milvus's largest dimension of a dense vector."""

MAX_LENGTH = 2**30
"""Longest string in bytes of UTF-8. Milvus stops at 65,535; SQLite would take about this much."""

DEFAULT_LENGTH = 65535
DEFAULT_CAPACITY = 4096
MAX_NAME = 255
_NAME = re.compile(r"[^\W\d]\w*\Z")

# Milvus's hints about where a cluster keeps a field. They change no result, are kept, and shown
# by describe_collection.
_HINTS = frozenset({"mmap_enabled", "mmap.enabled", "warmup", "is_clustering_key"})
_NOT_YET = frozenset(
    {"is_partition_key", "multi_analyzer_params", "struct_schema", "external_field"}
)


def check_name(name: object, what: str) -> str:
    """``name`` if it may name a field, collection or index (letters, digits, ``_``).

    Raises:
        ParamError: if it may not.
    """
    if not isinstance(name, str) or len(name) > MAX_NAME or not _NAME.match(name):
        raise ParamError(
            f"{what} name {quoted(name)} is invalid: use at most {MAX_NAME} letters, digits and "
            "underscores, not starting with a digit"
        )
    return str.__str__(name)


@dataclass(frozen=True, slots=True)
class FieldSchema:
    """One field of a collection; the arguments are those of pymilvus's class of this name.

    Attributes:
        dim: number of components, for FLOAT_VECTOR.
        max_length: longest value in bytes of UTF-8, for VARCHAR.
        element_type, max_capacity: of an ARRAY.
        nullable, default_value: what a row may leave out, and what it then holds.
        enable_analyzer, enable_match, analyzer_params: whether and how text is analysed.
    """

    name: str
    dtype: DataType
    description: str = ""
    is_primary: bool = False
    auto_id: bool = False
    dim: int | None = None
    max_length: int | None = None
    element_type: DataType | None = None
    max_capacity: int | None = None
    nullable: bool = False
    default_value: Any = None
    enable_analyzer: bool = False
    enable_match: bool = False
    analyzer_params: Any = None
    is_function_output: bool = False
    hints: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, value in _plain_options(self).items():
            object.__setattr__(self, key, value)
        _check_field(self)

    def to_dict(self) -> dict[str, Any]:
        """The attributes that are set, as JSON values."""
        # A default of 0 or False is a value; an option of 0 or False is the default.
        return {
            k: v for k, v in asdict(self).items() if v or (k == "default_value" and v is not None)
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> FieldSchema:
        """The inverse of :meth:`to_dict`."""
        return make_field(**raw)


_FIELD_ARGUMENTS = frozenset(f.name for f in fields(FieldSchema))
_FLAGS = ("is_primary", "auto_id", "nullable", "enable_analyzer", "enable_match",
          "is_function_output")  # fmt: skip
_NUMBERS = ("dim", "max_length", "max_capacity")


def make_field(name: str, dtype: Any, description: str = "", **options: Any) -> FieldSchema:
    """A field from keyword options, as ``add_field`` takes them.

    Raises:
        ParamError: if an option is unknown or has a wrong value.
        UnsupportedError: if it is an option of Milvus that this engine does not have.
    """
    what = f"field {quoted(name)}"
    description = options.pop("desc", description)
    hints = mapping(f"{what}: hints", options.pop("hints", None))
    hints |= {k: options.pop(k) for k in list(options) if k in _HINTS and asks(options[k])}
    for key in _NOT_YET & options.keys():
        if asks(options.pop(key)):
            raise UnsupportedError(f"{what}: {key} is not supported")
    unknown = options.keys() - _FIELD_ARGUMENTS - _HINTS
    if unknown:
        raise ParamError(
            f"{what}: unknown option {listed(map(repr, sorted(unknown)))}; "
            f"known: {', '.join(sorted(_FIELD_ARGUMENTS - {'hints', 'is_function_output'}))}"
            f"{likely(min(unknown), _FIELD_ARGUMENTS)}"
        )
    options = {k: v for k, v in options.items() if k not in _HINTS and v is not None}
    dtype = DataType.of(dtype)
    texts = dtype
    if dtype is DataType.ARRAY:
        options.setdefault("max_capacity", DEFAULT_CAPACITY)
        texts = options.get("element_type")
    if member_of(DataType, texts) is DataType.VARCHAR:
        options.setdefault("max_length", DEFAULT_LENGTH)
    return FieldSchema(name=name, dtype=dtype, description=description, hints=hints, **options)


def _plain_options(f: FieldSchema) -> dict[str, Any]:
    """The attributes as plain values; whether a field may have them is not looked at."""
    name = check_name(f.name, "field")
    what = f"field {name!r}: "
    plain: dict[str, Any] = {"name": name, "dtype": DataType.of(f.dtype)}
    plain["description"] = text(f"{what}description", f.description)
    plain |= {key: flag(f"{what}{key}", getattr(f, key)) for key in _FLAGS}
    for key in _NUMBERS:
        value = as_written(getattr(f, key))
        if value is not None and not (is_whole(value) and abs(int(value)) < 2**63):
            refuse(f"{what}{key}", "an integer", value)
        plain[key] = None if value is None else int(value)
    if f.element_type is not None:
        plain["element_type"] = DataType.of(f.element_type)
    plain["hints"] = as_json(f"{what}hints", mapping(f"{what}hints", f.hints))
    plain["analyzer_params"] = _plain_params(f"{what}analyzer_params", f.analyzer_params)
    return plain


def _plain_params(what: str, params: Any) -> Any:
    """Analyzer parameters as JSON gives them back, so that a schema equals its stored form."""
    if isinstance(params, str) and params.lstrip().startswith("{"):  # pymilvus writes JSON text
        # Building the analyzer will say what is wrong with it.
        with suppress(ValueError, RecursionError):
            params = json.loads(params)
    return as_json(what, _without_sets(params)) or None


def _without_sets(value: Any, depth: int = 0) -> Any:
    if depth > MAX_JSON_DEPTH:
        return value  # which is no JSON value then
    if is_mapping(value):
        return {k: _without_sets(v, depth + 1) for k, v in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((_without_sets(v, depth + 1) for v in value), key=str)
    if isinstance(value, (list, tuple)):
        return [_without_sets(v, depth + 1) for v in value]
    return value


def _check_field(f: FieldSchema) -> None:
    _check_shape(f)
    if f.is_primary:
        _check_primary(f)
    elif f.auto_id:
        raise PrimaryKeyException(f"field {f.name!r}: auto_id is for the primary key only")
    if (f.enable_analyzer or f.enable_match) and f.dtype is not DataType.VARCHAR:
        raise ParamError(f"field {f.name!r}: only VARCHAR text is analysed, not {f.dtype.name}")
    if f.enable_match and not f.enable_analyzer:
        raise ParamError(f"field {f.name!r}: enable_match needs enable_analyzer=True")


def _check_shape(f: FieldSchema) -> None:
    if f.dtype is DataType.FLOAT_VECTOR:
        _check_range(f.name, "dim", f.dim, MAX_DIM)
    if f.dtype is DataType.VARCHAR:
        _check_range(f.name, "max_length", f.max_length, MAX_LENGTH)
    if f.dtype is DataType.ARRAY:
        _check_range(f.name, "max_capacity", f.max_capacity, DEFAULT_CAPACITY)
        if f.element_type not in ELEMENT_TYPES:
            raise DataTypeNotSupportException(
                f"field {f.name!r}: an ARRAY needs element_type BOOL, INT8 to INT64, FLOAT, "
                f"DOUBLE or VARCHAR, got {quoted(f.element_type)}"
            )


def _check_range(name: str, key: str, value: int | None, most: int) -> None:
    if value is None or not 1 <= value <= most:
        raise ParamError(f"field {name!r}: {key} must be between 1 and {most}, got {quoted(value)}")


def _check_primary(f: FieldSchema) -> None:
    if f.dtype not in (DataType.INT64, DataType.VARCHAR):
        raise PrimaryKeyException(
            f"field {f.name!r}: a primary key is INT64 or VARCHAR, not {f.dtype.name}"
        )
    if f.nullable or f.default_value is not None:
        raise PrimaryKeyException(f"field {f.name!r}: a primary key has no null and no default")


@dataclass(frozen=True, slots=True)
class Function:
    """A function that fills a field from others: ``FunctionType.BM25`` from text.

    Raises:
        ParamError: if the function type does not exist or a field name is no string.
        UnsupportedError: for other types than BM25, when the schema is verified.
    """

    name: str
    function_type: FunctionType
    input_field_names: list[str] = field(default_factory=list)
    output_field_names: list[str] = field(default_factory=list)
    description: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = text("function: name", self.name)
        what = f"function {quoted(name)}"
        kind = member_of(FunctionType, self.function_type)
        if kind is None:
            raise ParamError(f"{what}: unknown type {quoted(self.function_type)}")
        params = mapping(f"{what}: params", self.params)
        plain = {
            "name": name,
            "function_type": kind,
            "description": text(f"{what}: description", self.description),
            "params": as_json(f"{what}: params", params),
        }
        for side in ("input_field_names", "output_field_names"):
            given = getattr(self, side)
            listed_names = [given] if isinstance(given, str) else [] if given is None else given
            plain[side] = names(f"{what}: {side}", listed_names)
        for key, value in plain.items():
            object.__setattr__(self, key, value)

    @property
    def type(self) -> FunctionType:
        """The function type, under pymilvus's other name for it."""
        return self.function_type

    def to_dict(self) -> dict[str, Any]:
        """The attributes as JSON values."""
        return asdict(self)


def check_bm25(function: Function, by_name: Mapping[str, FieldSchema]) -> None:
    """Check that a BM25 function reads one analysed text and fills one sparse vector.

    Raises:
        SchemaError: if it does not.
        UnsupportedError: if it is another kind of function.
    """
    what = f"function {quoted(function.name)}"
    if function.function_type is not FunctionType.BM25:
        raise UnsupportedError(
            f"{what}: FunctionType.{function.function_type.name} is not supported"
        )
    if len(function.input_field_names) != 1 or len(function.output_field_names) != 1:
        raise SchemaError(f"{what}: BM25 takes one input field and one output field")
    for name in (*function.input_field_names, *function.output_field_names):
        if name not in by_name:
            raise SchemaError(
                f"{what}: no field {quoted(name)}; fields: {listed(by_name)}{likely(name, by_name)}"
            )
    source = by_name[function.input_field_names[0]]
    target = by_name[function.output_field_names[0]]
    if not source.enable_analyzer:
        raise SchemaError(f"{what}: field {source.name!r} needs VARCHAR and enable_analyzer=True")
    if source.nullable:
        raise SchemaError(f"{what}: field {source.name!r} must not be nullable")
    if target.dtype is not DataType.SPARSE_FLOAT_VECTOR:
        raise SchemaError(f"{what}: field {target.name!r} must be SPARSE_FLOAT_VECTOR")
