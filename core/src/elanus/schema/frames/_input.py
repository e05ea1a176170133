"""Data on the way in: rows, mappings of columns, Arrow tables, pandas and polars frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elanus.errors import DataNotMatchException, ParamError, shown
from elanus.schema._collection import Schema
from elanus.schema._types import DataType
from elanus.schema.frames._columns import PlainColumn, is_column, read_column, reading
from elanus.schema.frames._libraries import (
    ARROW,
    POLARS,
    column_library,
    is_lazy_frame,
    is_mapping,
    table_library,
)

MISSING: Any = object()
"""Stands where a row has no entry for a field."""

# Their values may be lists in a row, too, so that a list tells nothing.
_LISTS_IN_A_ROW = (DataType.ARRAY, DataType.JSON)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as mappings of field names to values."""

    rows: Sequence[Mapping[str, Any]]

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def get(self, name: str) -> PlainColumn:
        """A field's value in each row, or MISSING."""
        try:
            return [row[name] for row in self.rows]
        except KeyError:
            return [row.get(name, MISSING) for row in self.rows]

    def with_others(self, schema: Schema) -> Sequence[Mapping[str, Any]] | None:
        """Rows with at least their keys that are no fields; None if no row has any."""
        names = schema.by_name.keys()
        return None if all(row.keys() <= names for row in self.rows) else self.rows


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows given column by column.

    Attributes:
        count: number of rows.
        by_name: the columns, of this length each.
    """

    count: int
    by_name: Mapping[str, PlainColumn]

    def get(self, name: str) -> PlainColumn:
        """A field's value in each row, or MISSING."""
        return self.by_name.get(name, [MISSING] * self.count)

    def with_others(self, schema: Schema) -> Sequence[Mapping[str, Any]] | None:
        """Rows of the columns that are no fields; None if there are none."""
        names = [name for name in self.by_name if name not in schema.by_name]
        if not names:
            return None
        columns = map(self.by_name.__getitem__, names)
        lists = [c.tolist() if isinstance(c, np.ndarray) else c for c in columns]
        return [dict(zip(names, values, strict=True)) for values in zip(*lists, strict=True)]


def is_data(data: Any) -> bool:
    """Whether data may be rows or a table; what is inside is not looked at."""
    if isinstance(data, (str, bytes)):
        return False
    is_table = table_library(data) is not None or is_lazy_frame(data)
    return is_table or isinstance(data, Sequence) or is_mapping(data)


def as_source(schema: Schema, data: Any) -> Rows | Columns:
    """Rows or columns, from what `insert` takes.

    Raises:
        ParamError: if a table's column has a name that is no string, or occurs twice.
        DataNotMatchException: if columns differ in length, or one is no column, or a row is none.
    """
    given = _named_columns(schema, data)
    if given is None:
        rows = [data] if is_mapping(data) else data
        for number, row in enumerate(rows):
            if not is_mapping(row):
                raise DataNotMatchException(
                    f"row {number}: a row must be a dict of field names to values, "
                    f"got {type(row).__name__}"
                )
        return Rows(rows)
    columns = {name: read_column(name, column) for name, column in given.items()}
    return Columns(_common_length(columns), columns)


def _common_length(columns: Mapping[str, PlainColumn]) -> int:
    lengths = {name: len(column) for name, column in columns.items()}
    if not lengths:
        return 0
    first, count = next(iter(lengths.items()))
    for name, length in lengths.items():
        if length != count:
            raise DataNotMatchException(
                f"column {name!r:.80} has {length} values, but column {first!r:.80} has {count}; "
                "columns must have one value a row each"
            )
    return count


def _named_columns(schema: Schema, data: Any) -> Mapping[str, Any] | None:
    if is_mapping(data):
        return data if _holds_columns(schema, data) else None
    if is_lazy_frame(data):
        raise ParamError("data: a LazyFrame of polars has no rows yet; give data.collect()")
    library = table_library(data)
    if library is None:
        return None
    names = list(data.schema.names if library == ARROW else data.columns)
    for name in names:
        if not isinstance(name, str):
            raise ParamError(f"data: column names must be strings, got {shown(name)}")
    for name, count in Counter(names).items():
        if count > 1:
            raise ParamError(f"data: column {shown(name)} occurs twice")
    if library == ARROW:
        return {name: data.column(i) for i, name in enumerate(names)}
    columns = {}
    for name in names:
        with reading(name):
            columns[name] = data.get_column(name) if library == POLARS else data[name]
    return columns


def _holds_columns(schema: Schema, data: Mapping[str, Any]) -> bool:
    """Whether a mapping holds columns rather than one row.

    The primary key decides: it is one value in a row, and a list or an array in columns. If the
    key is not there, the first field decides that is there and is one value in a row; and if
    there is none, the first dense vector, which in columns is a list of lists.
    """
    plain = [f for f in schema.scalars if f.dtype not in _LISTS_IN_A_ROW]
    for f in (schema.primary, *plain):
        if data.get(f.name) is not None:
            return is_column(data[f.name])
    vectors = [data[f.name] for f in schema.dense if data.get(f.name) is not None]
    return bool(vectors) and _is_matrix(vectors[0])


def _is_matrix(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim > 1 or (value.dtype.kind == "O" and any(map(is_column, value[:1])))
    if column_library(value) is not None:
        return True
    return isinstance(value, (list, tuple)) and any(map(is_column, value[:1]))


def no_null(source: Rows | Columns) -> str:
    """The rule that a null breaks in a field that takes none."""
    if isinstance(source, Columns):
        return "the field is not nullable (in a pandas frame, NaN, NaT and NA are null)"
    return "the field is not nullable"
