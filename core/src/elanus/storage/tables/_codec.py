"""How vectors and terms are written into BLOBs: packed records, little-endian."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from elanus.errors import DatabaseCorruptError

TERM = np.dtype([("term", "<u4"), ("count", "u1")])
"""A term of a row: its vocabulary number, and how often it occurs (5 bytes)."""

COMPONENT = np.dtype([("index", "<u4"), ("value", "<f4")])
"""A component of a sparse vector (8 bytes)."""

DENSE = np.dtype("<f4")
_MOST = 255
_WITHOUT_MEMORY = "Not enough memory"  # as orjson says it, by its error for bad JSON


def decode_row(row: int, data: bytes) -> dict[str, Any]:
    """The scalar fields of a row.

    Raises:
        DatabaseCorruptError: if they are no JSON object.
        MemoryError: if there is too little memory for them.
    """
    try:
        fields = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if error.msg.startswith(_WITHOUT_MEMORY):
            raise MemoryError(f"row {row} of the file: {error.msg}") from None
        raise DatabaseCorruptError(f"row {row} of the file is damaged: {error}") from error
    if not isinstance(fields, dict):
        raise DatabaseCorruptError(f"row {row} of the file is damaged: it is no JSON object")
    return fields


def encode_dense(
    matrix: NDArray[np.float32], present: NDArray[np.bool_] | None
) -> list[bytes | None]:
    """One BLOB a row; None for nulls."""
    if not len(matrix):
        return []
    view = memoryview(np.ascontiguousarray(matrix, dtype=DENSE).data).cast("B")
    width = matrix.shape[1] * DENSE.itemsize
    blobs: list[bytes | None] = [bytes(view[i : i + width]) for i in range(0, len(view), width)]
    return blobs if present is None else _without_nulls(blobs, present)


def encode_sparse(
    offsets: NDArray[np.int64],
    indices: NDArray[np.uint32],
    values: NDArray[np.float32],
    present: NDArray[np.bool_] | None,
) -> list[bytes | None]:
    """One BLOB a row of a CSR matrix; None for nulls."""
    records = np.empty(len(indices), dtype=COMPONENT)
    records["index"], records["value"] = indices, values
    blobs = _split(records, offsets)
    return blobs if present is None else _without_nulls(blobs, present)


def encode_terms(
    offsets: NDArray[np.int64], terms: NDArray[np.uint32], counts: NDArray[np.uint32]
) -> list[bytes | None]:
    """One BLOB a row. A term that occurs more than 255 times takes several records."""
    if len(counts) and counts.max() > _MOST:
        repeats = (counts + (_MOST - 1)) // _MOST
        ends = np.cumsum(repeats, dtype=np.int64)
        left = counts - (repeats - 1) * _MOST
        terms = np.repeat(terms, repeats)
        counts = np.full(len(terms), _MOST, dtype=np.uint32)
        counts[ends - 1] = left
        offsets = np.concatenate([np.zeros(1, dtype=np.int64), ends])[offsets]
    records = np.empty(len(terms), dtype=TERM)
    records["term"], records["count"] = terms, counts
    return _split(records, offsets)


def _split(records: NDArray[np.void], offsets: NDArray[np.int64]) -> list[bytes | None]:
    view = memoryview(records.tobytes())
    ends = (offsets * records.dtype.itemsize).tolist()
    return [bytes(view[a:b]) for a, b in pairwise(ends)]


def _without_nulls(blobs: list[bytes | None], present: NDArray[np.bool_]) -> list[bytes | None]:
    return [blob if there else None for blob, there in zip(blobs, present.tolist(), strict=True)]


def decode_dense(blobs: Sequence[bytes], dim: int) -> NDArray[np.float32]:
    """The (n, dim) float32 matrix of BLOBs without nulls."""
    flat = np.frombuffer(b"".join(blobs), dtype=DENSE)
    return flat.reshape(len(blobs), dim).astype(np.float32, copy=False)


def decode_sparse(
    blobs: Sequence[bytes | None],
) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32]]:
    """Offsets, indices and values of BLOBs in CSR form; a null is an empty row."""
    records, offsets = _join(blobs, COMPONENT)
    return offsets, records["index"].astype(np.uint32), records["value"].astype(np.float32)


def decode_terms(
    blobs: Sequence[bytes | None],
) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.uint32]]:
    """Offsets, term numbers and counts of BLOBs in CSR form; a term stands once a row."""
    records, offsets = _join(blobs, TERM)
    terms, counts = records["term"].astype(np.uint32), records["count"].astype(np.uint32)
    if len(counts) and counts.max() == _MOST:
        return _merge_repeats(offsets, terms, counts)
    return offsets, terms, counts


def _join(
    blobs: Sequence[bytes | None], dtype: np.dtype[np.void]
) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    filled = [blob or b"" for blob in blobs]
    lengths = np.fromiter(map(len, filled), dtype=np.int64, count=len(filled))
    offsets = np.zeros(len(filled) + 1, dtype=np.int64)
    np.cumsum(lengths // dtype.itemsize, out=offsets[1:])
    return np.frombuffer(b"".join(filled), dtype=dtype), offsets


def _merge_repeats(
    offsets: NDArray[np.int64], terms: NDArray[np.uint32], counts: NDArray[np.uint32]
) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.uint32]]:
    # The records of one term stand together, the full ones first.
    starts = np.ones(len(terms), dtype=bool)
    starts[1:] = terms[1:] != terms[:-1]
    starts[offsets[:-1][offsets[:-1] < len(terms)]] = True
    firsts = np.flatnonzero(starts)
    merged = np.add.reduceat(counts, firsts).astype(np.uint32)
    return np.searchsorted(firsts, offsets).astype(np.int64), terms[firsts], merged
