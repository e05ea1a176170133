"""Tables and columns of Arrow, pandas and polars, known by their classes; none is imported.

Not by their attributes: a pandas frame has its columns as attributes, whatever they are called.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeGuard

ARROW, PANDAS, POLARS = "pyarrow", "pandas", "polars"

_TABLES = {(ARROW, "Table"), (ARROW, "RecordBatch"), (PANDAS, "DataFrame"), (POLARS, "DataFrame")}
_COLUMNS = {(ARROW, "Array"), (ARROW, "ChunkedArray"), (PANDAS, "Series"), (POLARS, "Series")}


def table_library(value: Any) -> str | None:
    """Whose table or frame a value is; None if it is none of these libraries'."""
    return _library(value, _TABLES)


def column_library(value: Any) -> str | None:
    """Whose column a value is; None if it is none of these libraries'."""
    return _library(value, _COLUMNS)


def is_lazy_frame(value: Any) -> bool:
    """Whether a value is a plan of polars, which has column names, but no columns yet."""
    return _library(value, {(POLARS, "LazyFrame")}) is not None


def is_on_arrow(column: Any) -> bool:
    """Whether a column of pandas holds values of Arrow's types."""
    return _library(column.dtype, {(PANDAS, "ArrowDtype")}) is not None


def is_polars_extension(dtype: Any) -> bool:
    """Whether a type of polars is one that its user made of another."""
    return _library(dtype, {(POLARS, "BaseExtension")}) is not None


def is_scipy(value: Any) -> bool:
    """Whether a value is a sparse matrix or array of SciPy, which has many classes for them."""
    # Callable, since a column of a frame may have this name as well.
    return callable(getattr(value, "tocsr", None))


def is_mapping(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    """Whether a value maps names to values; of SciPy's matrices those of one class are dicts, too.

    Such a matrix has no truth, and what it holds is no name's.
    """
    return type(value) is dict or (isinstance(value, Mapping) and not is_scipy(value))


def _library(value: Any, classes: Collection[tuple[str, str]]) -> str | None:
    for each in type(value).__mro__:
        library = str(each.__module__).partition(".")[0]
        if (library, each.__name__) in classes:
            return library
    return None
