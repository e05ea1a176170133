"""One column on the way in: a list, a numpy array, or a column of Arrow, pandas or polars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.errors import DataNotMatchException, ElanusError, said_by, shown
from elanus.schema.frames._libraries import (
    ARROW,
    PANDAS,
    POLARS,
    column_library,
    is_on_arrow,
    is_scipy,
)
from elanus.schema.frames._plain import arrow_values, polars_values

PlainColumn = Sequence[Any] | NDArray[Any]
"""One value a row: plain values with None for null, or numpy numbers or bools without nulls."""

_AS_THEY_ARE = "biufU"  # numpy's kinds whose values in Python mean the same
# Of Arrow and of polars, by name: the numbers that numpy has too.
_NUMBERS = {"halffloat", "float", "double", "Float16", "Float32", "Float64"} | {
    f"{sort}{bits}" for sort in ("int", "uint", "Int", "UInt") for bits in (8, 16, 32, 64)
}


def is_column(value: Any) -> bool:
    """Whether a value is a list or an array of any kind."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, (list, tuple)) or column_library(value) is not None


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Let an error say which column a library could not read.

    Raises:
        DataNotMatchException: naming the column.
    """
    try:
        yield
    except (ElanusError, MemoryError):
        raise
    except Exception as error:  # the libraries' errors have no base in common
        raise DataNotMatchException(
            f"column {name!r:.80} cannot be read: {said_by(error)}"
        ) from error


def read_column(name: str, column: Any) -> PlainColumn:
    """A column in plain form; float vectors stay one matrix (n, dim), where they form one.

    Raises:
        DataNotMatchException: if it is no column, a value has no plain form, or its library cannot
            read it.
    """
    with reading(name):
        return _in_plain_form(name, column)


def _in_plain_form(name: str, column: Any) -> PlainColumn:
    if isinstance(column, np.ndarray) and column.ndim:
        return _from_numpy(column)
    if isinstance(column, (list, tuple)):
        return column
    library = column_library(column)
    if library == ARROW:
        return _from_arrow(name, column)
    if library == PANDAS:
        return _from_pandas(name, column)
    if library == POLARS:
        return _from_polars(name, column)
    if is_scipy(column) and column.ndim == 2:
        rows = column.tocsr()
        return [rows[[i]] for i in range(rows.shape[0])]
    raise DataNotMatchException(
        f"column {name!r:.80} must be a list, a numpy array, or a column of Arrow, pandas or "
        f"polars; got {shown(column)}"
    )


def _from_numpy(values: NDArray[Any]) -> PlainColumn:
    kind = values.dtype.kind
    if type(values) is np.ndarray and kind in _AS_THEY_ARE:
        return values
    is_masked = isinstance(values, np.ma.MaskedArray)
    if kind in "OT" or (is_masked and kind in _AS_THEY_ARE):
        plain: list[Any] = values.tolist()  # masked values become None
        return plain
    # Dates would come out of tolist() as numbers; numpy's own scalars are refused by name.
    return [None if each is np.ma.masked else each for each in values]


def _from_arrow(name: str, column: Any) -> PlainColumn:
    matrix = None
    if column.null_count == 0 and _is_of_numbers(column.type, "value_type"):
        whole = column.combine_chunks() if hasattr(column, "combine_chunks") else column
        if hasattr(whole, "value_lengths"):
            values, lengths = whole.flatten(), whole.value_lengths()
            if values.null_count == 0:
                matrix = _matrix(*(a.to_numpy(zero_copy_only=False) for a in (lengths, values)))
    return arrow_values(name, column) if matrix is None else matrix


def _from_polars(name: str, column: Any) -> PlainColumn:
    matrix = None
    if column.null_count() == 0 and len(column) and _is_of_numbers(column.dtype, "inner"):
        lists = column.arr.to_list() if str(column.dtype).startswith("Array") else column
        values = lists.explode()
        if values.null_count() == 0:
            matrix = _matrix(lists.list.len().to_numpy(), values.to_numpy())
    return polars_values(name, column) if matrix is None else matrix


def _is_of_numbers(kind: Any, inner: str) -> bool:
    return str(getattr(kind, inner, None)) in _NUMBERS


def _matrix(lengths: NDArray[Any], values: NDArray[Any]) -> NDArray[Any] | None:
    """Lists of numbers as one matrix, without an object a row; None if they do not form one.

    Args:
        lengths: (n,) of each list.
        values: all their values, one list after the other.
    """
    if not lengths.size or lengths.min() != lengths.max():
        return None
    shape = (lengths.size, int(lengths[0]))
    return values.reshape(shape) if values.shape == (shape[0] * shape[1],) else None


def _from_pandas(name: str, column: Any) -> PlainColumn:
    missing = column.isna().to_numpy(dtype=bool)
    if is_on_arrow(column):
        # By way of pandas, integers in lists with nulls would become floats.
        values = _from_arrow(name, column.array.__arrow_array__())
        if isinstance(values, np.ndarray) or not missing.any():
            return values
        return [None if gone else v for v, gone in zip(values, missing.tolist(), strict=True)]
    if not missing.any():
        return _from_numpy(column.to_numpy())
    # By way of objects, since integers with nulls would become floats.
    objects = column.astype(object).to_numpy(copy=True)
    objects[missing] = None
    plain: list[Any] = objects.tolist()
    return plain
