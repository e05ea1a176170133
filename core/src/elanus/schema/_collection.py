"""The schema of a collection: the builder that users fill, and the checked value behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from elanus.errors import ParamError, PrimaryKeyException, SchemaError
from elanus.schema._fields import FieldSchema, Function, check_bm25, make_field
from elanus.schema._types import VECTOR_TYPES, DataType
from elanus.schema._values import Rejected, converter

DYNAMIC = "$meta"
"""The name under which dynamic keys are kept and addressed."""


class CollectionSchema:
    """A schema under construction, as ``MilvusClient.create_schema`` returns it.

    Example:
        >>> schema = CollectionSchema()
        >>> schema = schema.add_field("id", DataType.INT64, is_primary=True)
        >>> schema = schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
        >>> schema.freeze().primary.name
        'id'
    """

    def __init__(
        self,
        fields: Iterable[FieldSchema] | None = None,
        description: str = "",
        functions: Iterable[Function] | None = None,
        *,
        enable_dynamic_field: bool = False,
        auto_id: bool | None = None,
        primary_field: str | None = None,
    ) -> None:
        self.fields: list[FieldSchema] = list(fields or [])
        self.functions: list[Function] = list(functions or [])
        self.description = description
        self.enable_dynamic_field = enable_dynamic_field
        self.auto_id = auto_id
        self.primary_field = primary_field

    def add_field(self, field_name: str, datatype: Any, **options: Any) -> CollectionSchema:
        """Add a field; the options are the attributes of :class:`FieldSchema`.

        Raises:
            ParamError: if an option is unknown or wrong.
            DataTypeNotSupportException: if the type cannot be stored.
        """
        self.fields.append(make_field(field_name, datatype, **options))
        return self

    def add_function(self, function: Any) -> CollectionSchema:
        """Add a function, ours or pymilvus's."""
        self.functions.append(as_function(function))
        return self

    def verify(self) -> None:
        """Check the whole schema.

        Raises:
            SchemaError: if its parts contradict each other.
        """
        self.freeze()

    def freeze(self) -> Schema:
        """The checked, immutable form of this schema.

        Raises:
            SchemaError: if its parts contradict each other.
        """
        fields = [self._with_primary_options(f) for f in self.fields]
        schema = Schema(
            tuple(fields), tuple(self.functions), bool(self.enable_dynamic_field), self.description
        )
        return check_schema(schema)

    def _with_primary_options(self, f: FieldSchema) -> FieldSchema:
        if self.primary_field == f.name:
            f = replace(f, is_primary=True)
        return replace(f, auto_id=True) if f.is_primary and self.auto_id else f

    def to_dict(self) -> dict[str, Any]:
        """The schema as JSON values."""
        return self.freeze().to_dict()


@dataclass(frozen=True)
class Schema:
    """A checked schema. Immutable; equal schemas accept the same rows."""

    fields: tuple[FieldSchema, ...]
    functions: tuple[Function, ...] = ()
    enable_dynamic_field: bool = False
    description: str = ""

    @cached_property
    def by_name(self) -> dict[str, FieldSchema]:
        """The fields by name."""
        return {f.name: f for f in self.fields}

    @cached_property
    def primary(self) -> FieldSchema:
        """The primary key."""
        return next(f for f in self.fields if f.is_primary)

    @cached_property
    def scalars(self) -> tuple[FieldSchema, ...]:
        """Fields kept in the row itself: all but the key and the vectors."""
        return tuple(f for f in self.fields if not f.is_primary and f.dtype not in VECTOR_TYPES)

    @cached_property
    def dense(self) -> tuple[FieldSchema, ...]:
        """The dense vector fields."""
        return tuple(f for f in self.fields if f.dtype is DataType.FLOAT_VECTOR)

    @cached_property
    def sparse(self) -> tuple[FieldSchema, ...]:
        """The sparse vector fields that users fill."""
        return tuple(
            f
            for f in self.fields
            if f.dtype is DataType.SPARSE_FLOAT_VECTOR and not f.is_function_output
        )

    @cached_property
    def analysed(self) -> tuple[FieldSchema, ...]:
        """The text fields whose terms are kept: inputs of BM25, and those with enable_match."""
        inputs = set(self.bm25_inputs.values())
        return tuple(f for f in self.fields if f.name in inputs or f.enable_match)

    @cached_property
    def bm25_inputs(self) -> dict[str, str]:
        """Text field by the sparse field that BM25 fills from it."""
        return {f.output_field_names[0]: f.input_field_names[0] for f in self.functions}

    @cached_property
    def vectors(self) -> tuple[FieldSchema, ...]:
        """All vector fields, also those that a function fills."""
        return tuple(f for f in self.fields if f.dtype in VECTOR_TYPES)

    def to_dict(self) -> dict[str, Any]:
        """The schema as JSON values."""
        return {
            "fields": [f.to_dict() for f in self.fields],
            "functions": [f.to_dict() for f in self.functions],
            "enable_dynamic_field": self.enable_dynamic_field,
            "description": self.description,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Schema:
        """The inverse of :meth:`to_dict`."""
        return cls(
            tuple(FieldSchema.from_dict(f) for f in raw["fields"]),
            tuple(Function(**f) for f in raw["functions"]),
            raw["enable_dynamic_field"],
            raw["description"],
        )


def check_schema(schema: Schema) -> Schema:
    """``schema`` with its function outputs marked, after all checks.

    Raises:
        SchemaError: if its parts contradict each other.
    """
    names = [f.name for f in schema.fields]
    double = {n for n in names if names.count(n) > 1}
    if double:
        raise SchemaError(f"schema: field {sorted(double)} is defined twice")
    primaries = [f.name for f in schema.fields if f.is_primary]
    if len(primaries) != 1:
        raise PrimaryKeyException(
            f"schema: exactly one field must have is_primary=True, got {primaries or 'none'}"
        )
    for function in schema.functions:
        check_bm25(function, schema.by_name)
    outputs = [n for f in schema.functions for n in f.output_field_names]
    if len(set(outputs)) != len(outputs):
        raise SchemaError(f"schema: a field is filled by two functions: {outputs}")
    marked = tuple(
        replace(f, is_function_output=f.name in outputs, default_value=_checked_default(f))
        for f in schema.fields
    )
    return replace(schema, fields=marked)


def _checked_default(f: FieldSchema) -> Any:
    if f.default_value is None:
        return None
    if f.dtype in VECTOR_TYPES:
        raise SchemaError(f"field {f.name!r}: a vector has no default value")
    try:
        return converter(f)(f.default_value)
    except Rejected as rule:
        raise SchemaError(f"field {f.name!r}: default_value: {rule}") from None


def as_function(function: Any) -> Function:
    """Our form of a function that may be pymilvus's.

    Raises:
        ParamError: if it is neither.
    """
    if isinstance(function, Function):
        return function
    try:
        return Function(
            name=function.name,
            function_type=function.type,
            input_field_names=function.input_field_names,
            output_field_names=function.output_field_names,
            description=function.description,
            params=function.params,
        )
    except AttributeError:
        raise ParamError(f"{function!r} is no Function") from None


def as_field(f: Any) -> FieldSchema:
    """Our form of a field that may be pymilvus's.

    Raises:
        ParamError: if it is neither.
    """
    if isinstance(f, FieldSchema):
        return f
    try:
        options = {"is_primary": f.is_primary, "auto_id": f.auto_id, "nullable": f.nullable}
        return make_field(
            f.name,
            f.dtype,
            f.description or "",
            **options,
            **dict(f.params or {}),
            element_type=f.element_type or None,
            default_value=_plain_default(f.default_value),
            is_partition_key=f.is_partition_key,
            is_clustering_key=f.is_clustering_key,
        )
    except AttributeError:
        raise ParamError(f"{f!r} is no FieldSchema") from None


def _plain_default(value: Any) -> Any:
    """Pymilvus wraps a default in a protobuf message with one field set."""
    which = getattr(value, "WhichOneof", None)
    if which is None:
        return value
    name = which("data")
    return None if name is None else getattr(value, name)


def as_schema(schema: Any) -> Schema:
    """The checked form of a schema: ours, our builder's or pymilvus's (read by attributes).

    Raises:
        ParamError: if it is none of these.
        SchemaError: if its parts contradict each other.
    """
    if isinstance(schema, Schema):
        return schema
    if isinstance(schema, CollectionSchema):
        return schema.freeze()
    try:
        fields = [as_field(f) for f in schema.fields]
        functions = [as_function(f) for f in schema.functions or []]
        builder = CollectionSchema(
            fields,
            schema.description or "",
            functions,
            enable_dynamic_field=bool(schema.enable_dynamic_field),
            auto_id=schema.auto_id,
        )
    except AttributeError:
        raise ParamError(f"{schema!r} is no CollectionSchema") from None
    return builder.freeze()
