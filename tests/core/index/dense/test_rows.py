"""Rows that move from memory to a map of the same bytes."""

import numpy as np
import pytest

from elanus.errors import ParamError
from elanus.index.dense._rows import Rows
from elanus.schema import Metric

DIM = 3


@pytest.fixture
def vectors():
    return np.random.default_rng(4).normal(size=(10, DIM)).astype(np.float32)


@pytest.fixture
def rows(vectors):
    present = np.arange(10) != 7
    return Rows.of(vectors[:4], None, Metric.COSINE).append(vectors[4:], present[4:])


def everything(rows):
    return (
        rows.take(np.arange(rows.n)).tolist(),
        rows.squares.tolist(),
        rows.factors.tolist(),
        rows.n_present,
        None if rows.present is None else rows.present.tolist(),
    )


@pytest.mark.parametrize("m", [0, 2, 4, 6, 10])
def test_another_base_holds_equal_rows(rows, m):
    before = everything(rows)
    base = rows.take(np.arange(m))
    base.flags.writeable = False
    moved = rows.with_base(base)
    assert everything(moved) == before == everything(rows)
    assert len(moved.base) == m
    assert m == 0 or np.shares_memory(moved.base, base)
    assert not np.shares_memory(moved.base, rows.base)
    assert not np.shares_memory(moved.tail, rows.tail)


@pytest.mark.parametrize("m", [0, 4, 10])
def test_rows_with_another_base_grow_and_leave_older_values_as_they_are(rows, vectors, m):
    before = everything(rows)
    moved = rows.with_base(rows.take(np.arange(m)))
    grown = moved.append(vectors[:5], None)
    assert everything(rows) == before == everything(moved)
    assert np.array_equal(grown.take(np.arange(10, 15)), vectors[:5])
    assert everything(grown)[0][:10] == before[0]
    slots = np.array([14, 0, 9, 3, 10])
    assert np.array_equal(grown.take(slots), grown.take(np.arange(15))[slots])
    blocks = list(grown.blocks(2, 4))
    assert np.array_equal(np.concatenate([b for _, b in blocks]), grown.take(np.arange(2, 15)))
    assert blocks[0][0] == 0


@pytest.mark.parametrize(
    "matrix",
    [
        np.zeros((4, DIM + 1), dtype=np.float32),
        np.zeros((11, DIM), dtype=np.float32),
        np.zeros((4, DIM), dtype=np.float64),
        np.zeros((8, DIM), dtype=np.float32)[::2],
        np.zeros(DIM, dtype=np.float32),
    ],
    ids=["wider", "longer", "float64", "strided", "one row"],
)
def test_a_base_that_cannot_be_these_rows_is_refused(rows, matrix):
    with pytest.raises(ParamError, match="pass the first of these rows"):
        rows.with_base(matrix)
