"""What does not fit is refused, with an error that says what and why."""

from __future__ import annotations

import numpy as np
import pytest

from elanus.errors import ParamError
from elanus.index import Bm25Index, SparseIndex, SparseRows


def rows(offsets, terms, weights, dtype=np.uint32):
    return SparseRows(
        np.array(offsets, dtype=np.int64),
        np.array(terms, dtype=np.uint32),
        np.array(weights, dtype=dtype),
    )


def bm25():
    return Bm25Index.empty().append(rows([0, 2, 3], [1, 2, 1], [1, 1, 4]))


def vectors():
    return SparseIndex.empty().append(rows([0, 1, 2], [1, 2], [1, 1], np.float32))


def find(query, k=1, mask=None, keys=(0, 1)):
    return bm25().search(query, k, mask=mask, keys=np.array(keys))


def look(indices, values, k=1, mask=None, keys=(0, 1)):
    return vectors().search(indices, values, k, mask=mask, keys=np.array(keys))


U, F = np.uint32, np.float32
CASES = {
    "offsets end early": (lambda: rows([0, 1], [1, 2], [1, 1]), "from 0 to 1"),
    "offsets start late": (lambda: rows([1, 2], [1, 2], [1, 1]), "from 1 to 2"),
    "offsets fall": (lambda: rows([0, 2, 1, 2], [1, 2], [1, 1]), "non-falling"),
    "no offsets": (lambda: rows([], [], []), "m \\+ 1"),
    "fewer weights": (lambda: rows([0, 2], [1, 2], [1]), "2 terms"),
    "terms of another type": (
        lambda: SparseRows(np.array([0, 1]), np.array([1]), np.array([1])),
        "int64",
    ),
    "a term twice": (lambda: bm25().append(rows([0, 2], [9, 9], [1, 1])), "slot 2 .* term 9"),
    "a dimension twice": (
        lambda: vectors().append(rows([0, 0, 2], [7, 7], [1, 1], F)),
        "slot 3 .* term 7",
    ),
    "float counts": (lambda: bm25().append(rows([0, 1], [1], [1], F)), "float32"),
    "a count of 0": (lambda: bm25().append(rows([0, 1], [1], [0])), "count is 0"),
    "integer values": (lambda: vectors().append(rows([0, 1], [1], [1])), "uint32"),
    "a NaN value": (lambda: vectors().append(rows([0, 1], [1], [np.nan], F)), "NaN"),
    "k1 below 0": (lambda: Bm25Index.empty(k1=-1), "k1 is -1"),
    "k1 NaN": (lambda: Bm25Index.empty(k1=np.nan), "k1 is nan"),
    "b above 1": (lambda: Bm25Index.empty(b=1.5), "b is 1.5"),
    "k of 0": (lambda: find([(1, 1)], k=0), "k is 0"),
    "a short mask": (lambda: find([(1, 1)], mask=np.ones(1, dtype=bool)), "2 slots"),
    "a mask of bytes": (lambda: find([(1, 1)], mask=np.ones(2, dtype="u1")), "uint8"),
    "few keys": (lambda: find([(1, 1)], keys=[1]), "1 keys for 2 slots"),
    "a negative term": (lambda: find([(-1, 1)]), "from -1"),
    "a large term": (lambda: find([(2**64, 1)]), "18446744073709551616"),
    "a count of no times": (lambda: find([(1, 0)]), "0 times"),
    "minimum of 0": (lambda: bm25().matching([1], 0), "minimum is 0"),
    "removal of an unknown slot": (
        lambda: bm25().remove(np.array([2]), rows([0, 1], [1], [4])),
        "slots 0 to 1",
    ),
    "removal of too few rows": (
        lambda: bm25().remove(np.array([0, 1]), rows([0, 1], [1], [4])),
        "for 1 rows",
    ),
    "removal of another row": (
        lambda: bm25().remove(np.array([0]), rows([0, 1], [1], [4])),
        "longer or shorter",
    ),
    "vectors: k of 0": (lambda: look(np.array([1], U), np.array([1], F), k=0), "k is 0"),
    "vectors: signed indices": (lambda: look(np.array([1]), np.array([1], F)), "int64"),
    "vectors: fewer values": (lambda: look(np.array([1, 2], U), np.array([1], F)), "2 indices"),
    "vectors: infinite value": (lambda: look(np.array([1], U), np.array([np.inf], F)), "finite"),
    "vectors: doubled": (lambda: look(np.array([5, 5], U), np.array([1, 1], F)), "dimension 5"),
}


@pytest.mark.parametrize(("call", "message"), CASES.values(), ids=CASES)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ParamError, match=message):
        call()
