"""The schema of a collection: the builder that users fill, and the checked value behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from elanus.errors import ParamError, PrimaryKeyException, SchemaError, UnsupportedError, quoted
from elanus.schema._arguments import asks, flag, mapping, members, text
from elanus.schema._computed import computed_once
from elanus.schema._fields import FieldSchema, Function, check_bm25, make_field
from elanus.schema._json import Rejected
from elanus.schema._types import VECTOR_TYPES, DataType
from elanus.schema._values import converter

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

    Args:
        fields, functions: to begin with, ours or pymilvus's.
        description: shown by ``describe_collection``.
        enable_dynamic_field: whether rows may have keys that are no fields.
        auto_id: whether the engine makes the primary keys.
        primary_field: name of the primary key, unless the field says so itself.

    Raises:
        ParamError: if an argument is of another type.
    """

    def __init__(
        self,
        fields: Iterable[Any] | None = None,
        description: str = "",
        functions: Iterable[Any] | None = None,
        *,
        enable_dynamic_field: bool | None = False,
        auto_id: bool | None = None,
        primary_field: str | None = None,
    ) -> None:
        what = "CollectionSchema: "
        self.fields: list[FieldSchema] = [as_field(f) for f in _list(f"{what}fields", fields)]
        given = _list(f"{what}functions", functions)
        self.functions: list[Function] = [as_function(f) for f in given]
        self.description = text(f"{what}description", description)
        # pymilvus has None where nothing was said.
        dynamic = False if enable_dynamic_field is None else enable_dynamic_field
        self.enable_dynamic_field = flag(f"{what}enable_dynamic_field", dynamic)
        self.auto_id = None if auto_id is None else flag(f"{what}auto_id", auto_id)
        primary = primary_field
        self.primary_field = None if primary is None else text(f"{what}primary_field", primary)

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
        plain = CollectionSchema(**vars(self))  # attributes may have been set since
        fields = tuple(plain._with_primary_options(f) for f in plain.fields)
        return check_schema(
            Schema(fields, tuple(plain.functions), plain.enable_dynamic_field, plain.description)
        )

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

    @computed_once
    def by_name(self) -> dict[str, FieldSchema]:
        """The fields by name."""
        return {f.name: f for f in self.fields}

    @computed_once
    def primary(self) -> FieldSchema:
        """The primary key."""
        return next(f for f in self.fields if f.is_primary)

    @computed_once
    def scalars(self) -> tuple[FieldSchema, ...]:
        """Fields kept in the row itself: all but the key and the vectors."""
        return tuple(f for f in self.fields if not f.is_primary and f.dtype not in VECTOR_TYPES)

    @computed_once
    def dense(self) -> tuple[FieldSchema, ...]:
        """The dense vector fields."""
        return tuple(f for f in self.fields if f.dtype is DataType.FLOAT_VECTOR)

    @computed_once
    def sparse(self) -> tuple[FieldSchema, ...]:
        """The sparse vector fields that users fill."""
        return tuple(
            f
            for f in self.fields
            if f.dtype is DataType.SPARSE_FLOAT_VECTOR and not f.is_function_output
        )

    @computed_once
    def analysed(self) -> tuple[FieldSchema, ...]:
        """The text fields whose terms are kept: inputs of BM25, and those with enable_match."""
        inputs = set(self.bm25_inputs.values())
        return tuple(f for f in self.fields if f.name in inputs or f.enable_match)

    @computed_once
    def bm25_inputs(self) -> dict[str, str]:
        """Text field by the sparse field that BM25 fills from it."""
        return {f.output_field_names[0]: f.input_field_names[0] for f in self.functions}

    @computed_once
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
        raise SchemaError(f"schema: field {quoted(sorted(double))} is defined twice")
    primaries = [f.name for f in schema.fields if f.is_primary]
    if len(primaries) != 1:
        raise PrimaryKeyException(
            f"schema: exactly one field must have is_primary=True, got "
            f"{quoted(primaries) if primaries else 'none'}"
        )
    for function in schema.functions:
        check_bm25(function, schema.by_name)
    outputs = [n for f in schema.functions for n in f.output_field_names]
    if len(set(outputs)) != len(outputs):
        raise SchemaError(f"schema: a field is filled by two functions: {quoted(outputs)}")
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


_FUNCTION_ATTRIBUTES = (
    "name", "type", "input_field_names", "output_field_names", "description", "params"
)  # fmt: skip
_FIELD_ATTRIBUTES = (
    "name", "dtype", "description", "is_primary", "auto_id", "nullable", "is_partition_key",
    "is_clustering_key", "element_type", "default_value"
)  # fmt: skip
_NOT_HERE = ("struct_fields", "enable_namespace", "external_source", "external_spec")
_SCHEMA_ATTRIBUTES = ("fields", "description", "functions", "enable_dynamic_field", "auto_id")


def as_function(function: Any) -> Function:
    """Our form of a function that may be pymilvus's.

    Raises:
        ParamError: if it is neither.
    """
    if isinstance(function, Function):
        return function
    try:
        given = [getattr(function, name) for name in _FUNCTION_ATTRIBUTES]
    except AttributeError:
        raise ParamError(f"{quoted(function)} is no Function") from None
    return Function(*given)


def as_field(f: Any) -> FieldSchema:
    """Our form of a field that may be pymilvus's.

    Raises:
        ParamError: if it is neither.
    """
    if isinstance(f, FieldSchema):
        return f
    try:
        options = {name: getattr(f, name) for name in _FIELD_ATTRIBUTES}
        params = f.params
    except AttributeError:
        raise ParamError(f"{quoted(f)} is no FieldSchema") from None
    options |= mapping("FieldSchema: params", params)
    options["element_type"] = options["element_type"] or None
    options["default_value"] = _plain_default(options["default_value"])
    options["external_field"] = getattr(f, "external_field", None)
    description = options.pop("description") or ""
    return make_field(options.pop("name"), options.pop("dtype"), description, **options)


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
        given = {name: getattr(schema, name) for name in _SCHEMA_ATTRIBUTES}
    except AttributeError:
        raise ParamError(f"{quoted(schema)} is no CollectionSchema") from None
    for name in _NOT_HERE:
        other = getattr(schema, name, None)
        if asks(other) and not (isinstance(other, list) and not other):
            raise UnsupportedError(f"schema: {name} is not supported")
    given["description"] = given["description"] or ""
    return CollectionSchema(**given).freeze()


def _list(what: str, given: Any) -> list[Any]:
    return [] if given is None else members(what, "a list", given)
