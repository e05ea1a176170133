"""Rows on the way in: from the caller's rows or columns to checked ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from elanus.errors import DataNotMatchException, likely, listed, quoted
from elanus.schema._collection import DYNAMIC, Schema
from elanus.schema._fields import FieldSchema
from elanus.schema._json import Rejected, to_json
from elanus.schema._values import convert_column, reject
from elanus.schema._vectors import DenseColumn, SparseColumn, dense_column, sparse_column
from elanus.schema.frames._columns import PlainColumn
from elanus.schema.frames._input import MISSING, Columns, Rows, as_source, no_null


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows of one write, checked against a schema.

    Attributes:
        count: number of rows.
        keys: their primary keys, None where the engine is to make one.
        rows: scalar fields of each row as JSON values, dynamic keys under ``"$meta"``.
        dense: dense vectors by field.
        sparse: sparse vectors by field, those filled by functions left out.
        texts: texts to analyse, by field; None is null.
    """

    count: int
    keys: list[Any]
    rows: list[dict[str, Any]]
    dense: dict[str, DenseColumn]
    sparse: dict[str, SparseColumn]
    texts: dict[str, list[str | None]]


def make_batch(schema: Schema, data: Any, *, upsert: bool = False) -> Batch:
    """Check rows or columns against a schema.

    Args:
        schema: the schema of the collection.
        data: a row, a list of rows, a mapping of columns, an Arrow table, or a frame.
        upsert: whether a key may be given although the engine makes keys.

    Raises:
        DataNotMatchException: naming row, field, value and the rule broken.
        ParamError: if the columns of a table are named wrongly.
    """
    source = as_source(schema, data)
    dynamic = _dynamic_parts(schema, source)
    scalars = {f.name: convert_column(f, _column(f, source)) for f in schema.scalars}
    keys = _keys(schema.primary, source, upsert=upsert)
    return Batch(
        count=source.count,
        keys=keys,
        rows=_join_rows(source.count, scalars, dynamic),
        dense={f.name: dense_column(f.name, f.dim or 0, _column(f, source)) for f in schema.dense},
        sparse={f.name: sparse_column(f.name, _column(f, source)) for f in schema.sparse},
        texts={f.name: scalars.get(f.name, keys) for f in schema.analysed},
    )


def _column(f: FieldSchema, source: Rows | Columns) -> PlainColumn:
    """A field's values with defaults filled in.

    Raises:
        DataNotMatchException: if a row lacks a value that it must have.
    """
    values = source.get(f.name)
    if isinstance(values, np.ndarray):
        return values
    filler = f.default_value
    if f.nullable or filler is not None:
        return [filler if v is None or v is MISSING else v for v in values]
    for number, value in enumerate(values):
        if value is MISSING:
            raise DataNotMatchException(
                f"row {number}: field {f.name!r} is missing (it is not nullable and has no default)"
            )
        if value is None:
            reject(number, f.name, None, no_null(source))
    return values


def _keys(f: FieldSchema, source: Rows | Columns, *, upsert: bool) -> list[Any]:
    if not f.auto_id:
        return convert_column(f, _column(f, source))
    given = [None if key is MISSING else key for key in source.get(f.name)]
    for number, key in enumerate(given):
        if key is not None and not upsert:
            reject(number, f.name, key, "the collection makes its own keys (auto_id=True)")
    return convert_column(f, given)


def _dynamic_parts(schema: Schema, source: Rows | Columns) -> list[dict[str, Any]] | None:
    """The keys of each row that are no fields; None if no row has any.

    Raises:
        DataNotMatchException: if a row has such keys and the schema does not take them.
    """
    others = source.with_others(schema)
    parts = None
    if others is not None:
        parts = [_dynamic_part(schema, i, row) for i, row in enumerate(others)]
    for name in (f.name for f in schema.fields if f.is_function_output):
        for number, value in enumerate(source.get(name)):
            if value is not None and value is not MISSING:
                reject(number, name, value, "the field is filled by a function; leave it out")
    return parts


def _dynamic_part(schema: Schema, number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    part = {k: v for k, v in row.items() if k not in schema.by_name}
    if part and not schema.enable_dynamic_field:
        raise DataNotMatchException(
            f"row {number}: unknown field {quoted(next(iter(part)))} (the collection has no "
            f"dynamic field); fields: {listed(schema.by_name)}"
            f"{likely(next(iter(part)), schema.by_name)}"
        )
    nested = part.pop(DYNAMIC, None)
    if isinstance(nested, dict):
        part = {**nested, **part}
    elif nested is not None:
        reject(number, DYNAMIC, nested, "dynamic keys must be given as a dict")
    try:
        return dict(to_json(part))
    except Rejected as rule:
        raise DataNotMatchException(f"row {number}, dynamic field {rule}") from None


def _join_rows(
    count: int, scalars: Mapping[str, list[Any]], dynamic: list[dict[str, Any]] | None
) -> list[dict[str, Any]]:
    names = list(scalars)
    columns = list(scalars.values())
    if not columns:
        rows: list[dict[str, Any]] = [{} for _ in range(count)]
    else:
        rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    if dynamic is not None:
        for row, part in zip(rows, dynamic, strict=True):
            if part:
                row[DYNAMIC] = part
    return rows
