"""Vectors on the way in: lists, numpy arrays, SciPy rows and matrices, dicts and pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.errors import DataNotMatchException, ParamError, cut, said_by, shown
from elanus.schema._arguments import as_list, is_number, is_whole
from elanus.schema._json import Rejected
from elanus.schema._values import reject
from elanus.schema.frames._libraries import is_mapping, is_scipy

MAX_INDEX = 2**32 - 2
"""Largest index in a sparse vector, as in Milvus."""

_FLAT = "a FLOAT_VECTOR must be a flat list of numbers"
_FINITE = "a vector must be finite in single precision, without NaN or infinity"
_NUMBERS = frozenset({int, float, *(np.dtype(code).type for code in "bhilqBHILQefdg")})
_TEXTS = (str, bytes, bytearray, memoryview)
_ONE_QUERY = frozenset({list, tuple, dict, str})


@dataclass(frozen=True, slots=True, eq=False)
class DenseColumn:
    """Dense vectors of a batch.

    Attributes:
        matrix: (n, dim) float32; rows of nulls are zero.
        present: (n,) bool, or None if no vector is null.
    """

    matrix: NDArray[np.float32]
    present: NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True, eq=False)
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
    try:
        return DenseColumn(dense_matrix(values, dim), present)
    except Rejected as error:
        row = int(error.path[0])
        reject(row, name, values[row], error.rule)


def dense_matrix(values: Sequence[Any] | NDArray[Any], dim: int) -> NDArray[np.float32]:
    """Vectors as one matrix (n, dim); a row that is none is ``Rejected``, its number the path."""
    if len(values) == 1 and type(values[0]) is np.ndarray:  # most searches
        try:
            return dense_vector(values[0], dim)[np.newaxis]
        except Rejected as error:
            raise Rejected(error.rule, (0,)) from None
    matrix = _as_matrix(values, dim)
    if matrix is not None and np.isfinite(matrix).all():
        return matrix
    rows = [np.zeros(dim, dtype=np.float32)]
    for row, value in enumerate(values):
        try:
            rows.append(dense_vector(value, dim))
        except Rejected as error:
            raise Rejected(error.rule, (row,)) from None
    return np.stack(rows)[1:]


def checked_vectors(
    source: str, vectors: Any, count: int, dim: int | None = None
) -> NDArray[np.float32]:
    """Vectors as one matrix (count, dim), whoever gave them: a caller, or a model.

    Args:
        source: where they come from, for the error.
        vectors: what was given: a matrix, or a list of vectors, of any library.
        count: how many there must be.
        dim: of each; None takes that of the first.

    Raises:
        DataNotMatchException: if they have another shape, or are no finite numbers.
    """
    shape = getattr(vectors, "shape", None)
    is_other = dim is not None and isinstance(shape, tuple) and shape != (count, dim)
    if is_other and (count or shape != (0,)):
        raise DataNotMatchException(
            f"{cut(source)}: expected the shape ({count}, {dim}), got {cut(str(shape))}"
        )
    is_list = isinstance(vectors, np.ndarray) or type(vectors) in (list, tuple)
    rows = vectors if is_list and shape != () else as_list(vectors)
    if rows is None or isinstance(vectors, (str, set, frozenset)) or len(rows) != count:
        raise DataNotMatchException(f"{_expected(source, count, dim)}, got {shown(vectors)}")
    try:
        return dense_matrix(rows, _width(rows) if dim is None else dim)
    except Rejected as error:
        row = int(error.path[0])
        raise DataNotMatchException(
            f"{_expected(source, count, dim)}, but row {row}: {error.rule}; got {shown(rows[row])}"
        ) from None


def _expected(source: str, count: int, dim: int | None) -> str:
    each = "numbers" if dim is None else f"{dim} numbers, shape ({count}, {dim})"
    return f"{cut(source)}: expected {count} rows of {each}"


def _width(rows: Sequence[Any] | NDArray[Any]) -> int:
    """Components of the first vector; it is ``Rejected`` if it is none."""
    if not len(rows):
        return 0
    try:
        first = _as_array(rows[0])
    except Rejected as error:
        raise Rejected(error.rule, (0,)) from None
    if first.ndim != 1 or not len(first):
        raise Rejected(_FLAT, (0,))
    return len(first)


def _as_matrix(values: Any, dim: int) -> NDArray[np.float32] | None:
    """All vectors by one conversion, or None where they have to be looked at one by one."""
    if isinstance(values, np.ndarray) and not isinstance(values, np.ma.MaskedArray):
        values = np.asarray(values)
        if values.shape != (len(values), dim) or values.dtype.kind not in "fiu":
            return None
        is_single = values.dtype == np.float32 and values.flags.c_contiguous
        return values if is_single else _as_single(values)
    kinds = set(map(type, values))
    if kinds == {np.ndarray}:
        if {v.shape for v in values} != {(dim,)} or {v.dtype.kind for v in values} - set("fiu"):
            return None
        joined = np.concatenate(values).reshape(len(values), dim)
        return joined if joined.dtype == np.float32 else _as_single(joined)
    if kinds - {list, tuple} or set(map(len, values)) - {dim}:
        return None
    # One row at a time is twice as slow.
    if not _NUMBERS.issuperset(set().union(*(map(type, v) for v in values))):
        return None
    try:
        with np.errstate(over="ignore"):
            found = np.fromiter(chain.from_iterable(values), np.float32, len(values) * dim)
    except OverflowError:
        return None
    return found.reshape(len(values), dim)


def dense_vector(value: Any, dim: int) -> NDArray[np.float32]:
    """One vector as (dim,) float32; an array that is one already is not copied."""
    if type(value) is np.ndarray:
        array = value
    elif isinstance(value, (list, tuple)):
        # The length of a subclass is what its author says, and need not be true.
        array = _as_numbers(value if type(value) in (list, tuple) else list(value))
    else:
        array = _as_array(value)
    if array.ndim != 1 or array.dtype.kind not in "fiu":
        raise Rejected(_FLAT)
    if len(array) != dim:
        raise Rejected(f"the vector has dimension {len(array)}, the field has dim={dim}")
    if array.dtype != np.float32 or not array.flags.c_contiguous:
        array = _as_single(array)
    if not np.isfinite(array).all():
        raise Rejected(_FINITE)
    return array


def _as_array(value: Any) -> NDArray[Any]:
    """An array of any library, or a sequence, as numpy's, with nothing guessed."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.getmaskarray(value).any():
        raise Rejected("a FLOAT_VECTOR has no masked elements")
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    if hasattr(value, "__array__"):
        try:
            return np.asarray(value)
        except Exception as error:  # noqa: BLE001  # that is up to the library
            raise Rejected(f"numpy cannot read it as numbers: {said_by(error)}") from None
    if isinstance(value, _TEXTS) or not isinstance(value, Sequence):
        raise Rejected("a FLOAT_VECTOR must be a list or numpy array of numbers")
    return _as_numbers(list(value))


def _as_numbers(values: Sequence[Any]) -> NDArray[np.float32]:
    """Numbers as an array. Numpy alone would take bools, texts and arrays for numbers as well."""
    if not _NUMBERS.issuperset(map(type, values)) and not all(map(is_number, values)):
        raise Rejected(_FLAT)
    try:
        with np.errstate(over="ignore"):
            return np.fromiter(values, np.float32, len(values))
    except OverflowError:
        raise Rejected(_FINITE) from None


def _as_single(array: NDArray[Any]) -> NDArray[np.float32]:
    """In single precision, where what is too large for it becomes infinite."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=np.float32)


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
    if is_scipy(value):
        return _sorted_sparse(*_from_scipy(value))
    if isinstance(value, Mapping):
        numbers, weights = list(value), list(value.values())
    else:
        numbers, weights = _from_pairs(value)
    if not all(map(is_whole, numbers)):
        raise Rejected("a sparse vector needs integer indices")
    try:
        indices = np.fromiter(map(int, numbers), np.int64, len(numbers))
        values = _as_numbers(weights)
    except OverflowError:
        raise Rejected(f"a sparse vector needs integer indices up to {MAX_INDEX}") from None
    except Rejected:
        raise Rejected("a sparse vector needs finite numbers as values") from None
    return _sorted_sparse(indices, values)


def _from_scipy(value: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    if value.ndim == 2 and value.shape[0] != 1:
        raise Rejected(f"a sparse vector must be one row, got a matrix of shape {value.shape}")
    row = value.tocsr()
    if not row.has_canonical_format:
        row = row.copy()  # the caller's own stays as it is
        row.sum_duplicates()
    if row.data.dtype.kind not in "fiu":
        raise Rejected(f"a sparse vector needs numbers as values, not {row.data.dtype}")
    return row.indices, row.data


def _from_pairs(value: Any) -> tuple[list[Any], list[Any]]:
    pairs = None if isinstance(value, str) else as_list(value)
    if pairs is None or not all(isinstance(p, (tuple, list)) and len(p) == 2 for p in pairs):
        raise Rejected("a sparse vector must be a dict, a list of pairs or a SciPy sparse row")
    return [i for i, _ in pairs], [v for _, v in pairs]


def _sorted_sparse(
    indices: NDArray[Any], values: NDArray[Any]
) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    if len(indices) == 0:
        return np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.float32)
    if indices.min() < 0 or indices.max() > MAX_INDEX:
        raise Rejected(f"an index must be from 0 to {MAX_INDEX}")
    order = np.argsort(indices, kind="stable")
    indices = indices[order].astype(np.uint32)
    if (indices[1:] == indices[:-1]).any():
        raise Rejected("an index occurs twice")
    single = _as_single(values[order])
    if not np.isfinite(single).all():
        raise Rejected("a value must be finite, without NaN or infinity")
    kept = single != 0
    return indices[kept], single[kept]


def split_queries(data: Any) -> list[Any]:
    """Query data as a list of one entry a query: a single vector, text or row counts as one.

    Raises:
        ParamError: if it is neither a list nor one of these.
    """
    # First what nearly everyone gives: a list of vectors or texts, or a matrix.
    if type(data) is np.ndarray and data.ndim > 1:
        return list(data)
    first = data[0] if type(data) is list and data else None
    if type(first) in _ONE_QUERY or (type(first) is np.ndarray and first.ndim):
        return list(data)
    if isinstance(data, str) or is_mapping(data):
        return [data]
    if isinstance(data, np.ndarray) and data.ndim == 1 and data.dtype.kind in "fiu":
        return [data]
    if is_scipy(data):
        rows = data.tocsr()
        return [rows[[i]] for i in range(rows.shape[0])] if rows.ndim == 2 else [rows]
    # A set has no order, and neither queries nor numbers can do without.
    queries = None if isinstance(data, (set, frozenset)) else as_list(data)
    if queries is None:
        raise ParamError(
            f"search data must be a list of vectors or texts, got {type(data).__name__}"
        )
    # One number, also a wrong one; numpy's text has no dimension either.
    first = queries[0] if queries else ""
    is_number = not isinstance(first, str) and getattr(first, "ndim", 1) == 0
    return [data] if is_number or isinstance(first, (int, float)) else queries
