"""Sparse matrices, for the functions that give them; SciPy is an extra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from elanus_embeddings._extras import load_package

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Sparse: TypeAlias = "csr_array[np.float32, tuple[int, int]]"


def sparse_matrix(
    values: Any, columns: Any, ends: Any, width: int, *, needed_by: str, extra: str
) -> Sparse:
    """A float32 matrix in compressed rows, without explicit zeros.

    Args:
        values: (n,) the entries, row after row.
        columns: (n,) their columns; equal ones of a row are summed.
        ends: (rows,) the position after the last entry of each row.
        width: number of columns.
        needed_by: class that asks, for the error's text.
        extra: what brings SciPy.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    sparse = load_package("scipy.sparse", extra, needed_by)
    offsets = np.concatenate([[0], np.asarray(ends, dtype=np.int64)])
    parts = (np.asarray(values, dtype=np.float32), np.asarray(columns, dtype=np.int64), offsets)
    matrix: Sparse = sparse.csr_array(parts, shape=(len(offsets) - 1, width))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix
