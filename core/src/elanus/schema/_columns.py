"""One column on the way in: a list, a numpy array, or a column of Arrow, pandas or polars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from elanus.errors import DataNotMatchException
from elanus.schema._shown import shown

Column = Sequence[Any] | NDArray[Any]
"""One value a row: plain values with None for null, or numpy numbers or bools without nulls."""

_AS_THEY_ARE = "biufU"  # numpy's kinds whose values in Python mean the same


def foreign_kind(value: Any) -> Literal["arrow", "pandas", "polars"] | None:
    """Whose column a value is; None if it is none of these libraries'."""
    if hasattr(value, "to_pylist") and hasattr(value, "null_count"):
        return "arrow"
    if hasattr(value, "to_list") and hasattr(value, "null_count"):
        return "polars"
    return "pandas" if hasattr(value, "iloc") and hasattr(value, "isna") else None


def is_column(value: Any) -> bool:
    """Whether a value is a list or an array of any kind."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, (list, tuple)) or foreign_kind(value) is not None


def read_column(name: str, column: Any) -> Column:
    """A column in plain form; float vectors stay one matrix (n, dim), where they form one.

    Raises:
        DataNotMatchException: if it is no column.
    """
    if isinstance(column, np.ndarray) and column.ndim:
        return _from_numpy(column)
    if isinstance(column, (list, tuple)):
        return column
    kind = foreign_kind(column)
    if kind == "arrow":
        return _from_arrow(column)
    if kind is not None:
        return _from_pandas(column) if kind == "pandas" else _from_polars(column)
    if hasattr(column, "tocsr") and column.ndim == 2:
        rows = column.tocsr()
        return [rows[[i]] for i in range(rows.shape[0])]
    raise DataNotMatchException(
        f"column {name!r} must be a list, a numpy array, or a column of Arrow, pandas or polars; "
        f"got {shown(column)}"
    )


def _from_numpy(values: NDArray[Any]) -> Column:
    if type(values) is np.ndarray and values.dtype.kind in _AS_THEY_ARE:
        return values
    if isinstance(values, np.ma.MaskedArray) or values.dtype.kind in "OT":
        plain: list[Any] = values.tolist()  # masked values become None
        return plain
    # Dates would come out of tolist() as numbers; numpy's own scalars are refused by name.
    return list(values)


def _from_arrow(column: Any) -> Column:
    whole = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    matrix = None
    if whole.null_count == 0 and hasattr(whole, "value_lengths"):
        values, lengths = whole.flatten(), whole.value_lengths()
        if values.null_count == 0:
            matrix = _matrix(*(a.to_numpy(zero_copy_only=False) for a in (lengths, values)))
    return whole.to_pylist() if matrix is None else matrix


def _from_polars(column: Any) -> Column:
    kind, matrix = str(column.dtype), None
    if kind.startswith(("Array", "List")) and column.null_count() == 0 and len(column):
        lists = column.arr.to_list() if kind.startswith("Array") else column
        values = lists.explode()
        if values.null_count() == 0:
            matrix = _matrix(lists.list.len().to_numpy(), values.to_numpy())
    return column.to_list() if matrix is None else matrix


def _matrix(lengths: NDArray[Any], values: NDArray[Any]) -> NDArray[Any] | None:
    """Lists of numbers as one matrix, without an object a row; None if they do not form one.

    Args:
        lengths: (n,) of each list.
        values: all their values, one list after the other.
    """
    if not lengths.size or lengths.min() != lengths.max() or values.dtype.kind not in "fiu":
        return None
    shape = (lengths.size, int(lengths[0]))
    return values.reshape(shape) if values.shape == (shape[0] * shape[1],) else None


def _from_pandas(column: Any) -> Column:
    missing = column.isna().to_numpy(dtype=bool)
    if not missing.any():
        return _from_numpy(column.to_numpy())
    # By way of objects, since integers with nulls would become floats.
    values = column.astype(object).to_numpy(copy=True)
    values[missing] = None
    plain: list[Any] = values.tolist()
    return plain
