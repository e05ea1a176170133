"""Vectors on the way in: lists, numpy arrays, SciPy rows and matrices, dicts and pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.errors import DataNotMatchException, ParamError
from elanus.schema._values import Rejected, reject

MAX_DIMENSION_NUMBER = 2**32 - 2
"""Largest index in a sparse vector, as in Milvus."""


@dataclass(frozen=True, slots=True)
class DenseColumn:
    """Dense vectors of a batch.

    Attributes:
        matrix: (n, dim) float32; rows of nulls are zero.
        present: (n,) bool, or None if no vector is null.
    """

    matrix: NDArray[np.float32]
    present: NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True)
class SparseColumn:
    """Sparse vectors of a batch in CSR form.

    Attributes:
        offsets: (n + 1,) int64.
        indices: (nnz,) uint32, ascending and unique within a row.
        values: (nnz,) float32, finite.
        present: (n,) bool, or None if no vector is null.
    """

    offsets: NDArray[np.int64]
    indices: NDArray[np.uint32]
    values: NDArray[np.float32]
    present: NDArray[np.bool_] | None


def dense_column(name: str, dim: int, values: Sequence[Any] | NDArray[Any]) -> DenseColumn:
    """The vectors of a field as one matrix; None is null.

    A matrix of numbers (n, dim) is taken as it is.

    Raises:
        DataNotMatchException: if one has another dimension, is no vector, or is not finite.
    """
    present = None
    if not isinstance(values, np.ndarray) and any(v is None for v in values):
        present = np.array([v is not None for v in values], dtype=bool)
        zero = np.zeros(dim, dtype=np.float32)
        values = [zero if v is None else v for v in values]
    matrix = _as_matrix(values, dim)
    if matrix is None or not np.isfinite(matrix).all():
        _find_bad_vector(name, dim, values)
    assert matrix is not None
    return DenseColumn(matrix, present)


def _as_matrix(values: Any, dim: int) -> NDArray[np.float32] | None:
    """All vectors by one conversion, or None if numpy finds no (n, dim) numbers in them."""
    if isinstance(values, np.ndarray):
        array = values
    elif len(values) and set(map(type, values)) == {np.ndarray}:
        if {v.shape for v in values} != {(dim,)} or {v.dtype.kind for v in values} - set("fiu"):
            return None
        array = np.concatenate(values).reshape(len(values), dim)
    else:
        try:
            arrays = [np.asarray(v) for v in values]
            # Joined with numbers, bools would pass for numbers.
            if {v.dtype.kind for v in arrays} - set("fiu"):
                return None
            array = np.array(arrays).reshape(len(values), -1 if len(values) else dim)
        except (TypeError, ValueError):
            return None
    if array.shape != (len(values), dim) or array.dtype.kind not in "fiu":
        return None
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=np.float32)


def _find_bad_vector(name: str, dim: int, values: Iterable[Any]) -> None:
    for row, value in enumerate(values):
        try:
            dense_vector(value, dim)
        except Rejected as rule:
            reject(row, name, value, rule)
    raise DataNotMatchException(
        f"field {name!r}: the vectors do not form a matrix of {dim} columns"
    )


def dense_vector(value: Any, dim: int) -> NDArray[np.float32]:
    """One vector as (dim,) float32."""
    # Lists and arrays first: asking an abstract class costs more than all the rest.
    if isinstance(value, (str, bytes)) or not isinstance(value, (np.ndarray, list, Sequence)):
        raise Rejected("a FLOAT_VECTOR must be a list or numpy array of numbers")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        raise Rejected("a FLOAT_VECTOR must be a flat list of numbers") from None
    if array.ndim != 1 or array.dtype.kind not in "fiu":
        raise Rejected("a FLOAT_VECTOR must be a flat list of numbers")
    if len(array) != dim:
        raise Rejected(f"the vector has dimension {len(array)}, the field has dim={dim}")
    if array.dtype != np.float32 or not array.flags.c_contiguous:
        with np.errstate(over="ignore"):
            array = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(array).all():
        raise Rejected("a vector must be finite in single precision, without NaN or infinity")
    return array


def sparse_column(name: str, values: Sequence[Any] | NDArray[Any]) -> SparseColumn:
    """The sparse vectors of a field in CSR form; None is null.

    Raises:
        DataNotMatchException: if one has a negative or doubled index, or a value not finite.
    """
    rows = []
    for row, value in enumerate(values):
        try:
            rows.append(sparse_vector({} if value is None else value))
        except Rejected as rule:
            reject(row, name, value, rule)
    lengths = np.array([len(i) for i, _ in rows], dtype=np.int64)
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
    nothing = sparse_vector({})
    indices, data = zip(nothing, *rows, strict=True)
    missing = any(v is None for v in values)
    present = np.array([v is not None for v in values], dtype=bool) if missing else None
    return SparseColumn(offsets, np.concatenate(indices), np.concatenate(data), present)


def sparse_vector(value: Any) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """One sparse vector as ascending indices and their values; zeros are left out.

    Takes a dict ``{index: value}``, an iterable of pairs, or a SciPy sparse row.
    """
    if hasattr(value, "tocsr"):
        numbers, weights = _from_scipy(value)
    elif isinstance(value, Mapping):
        numbers, weights = list(value), list(value.values())
    else:
        numbers, weights = _from_pairs(value)
    return _checked_sparse(numbers, weights)


def _from_scipy(value: Any) -> tuple[Any, Any]:
    if value.ndim == 2 and value.shape[0] != 1:
        raise Rejected(f"a sparse vector must be one row, got a matrix of shape {value.shape}")
    row = value.tocsr()
    row.sum_duplicates()
    return row.indices, row.data


def _from_pairs(value: Any) -> tuple[list[Any], list[Any]]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise Rejected("a sparse vector must be a dict, a list of pairs or a SciPy sparse row")
    try:
        pairs = [(i, v) for i, v in value]
    except (TypeError, ValueError):
        raise Rejected(
            "a sparse vector must be a dict, a list of pairs or a SciPy sparse row"
        ) from None
    return [i for i, _ in pairs], [v for _, v in pairs]


def _checked_sparse(numbers: Any, weights: Any) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    if len(numbers) == 0:
        return np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.float32)
    try:
        indices, values = np.asarray(numbers), np.asarray(weights)
    except (OverflowError, ValueError):
        raise Rejected("a sparse vector needs integer indices and numbers") from None
    flat = indices.ndim == values.ndim == 1
    if not flat or indices.dtype.kind not in "iu" or values.dtype.kind not in "fiu":
        raise Rejected("a sparse vector needs integer indices and numbers as values")
    if indices.min() < 0 or indices.max() > MAX_DIMENSION_NUMBER:
        raise Rejected(f"an index must be from 0 to {MAX_DIMENSION_NUMBER}")
    order = np.argsort(indices, kind="stable")
    indices = indices[order].astype(np.uint32)
    if (indices[1:] == indices[:-1]).any():
        raise Rejected("an index occurs twice")
    with np.errstate(over="ignore"):
        values = values[order].astype(np.float32)
    if not np.isfinite(values).all():
        raise Rejected("a value must be finite, without NaN or infinity")
    kept = values != 0
    return indices[kept], values[kept]


def split_queries(data: Any) -> list[Any]:
    """Query data as a list of one entry a query: a single vector, text or row counts as one.

    Raises:
        ParamError: if it is neither a list nor one of these.
    """
    if isinstance(data, list):
        is_vector = bool(data) and isinstance(data[0], (int, float, np.integer, np.floating))
        return [data] if is_vector else data
    if hasattr(data, "tocsr"):
        rows = data.tocsr()
        return [rows[[i]] for i in range(rows.shape[0])] if rows.ndim == 2 else [rows]
    if isinstance(data, (str, Mapping)):
        return [data]
    if isinstance(data, np.ndarray):
        return [data] if data.ndim == 1 and data.dtype.kind in "fiu" else list(data)
    if isinstance(data, (bytes, bytearray)) or not isinstance(data, Iterable):
        raise ParamError(
            f"search data must be a list of vectors or texts, got {type(data).__name__}"
        )
    return split_queries(list(data))
