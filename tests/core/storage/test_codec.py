"""What is written into BLOBs comes back unchanged."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from elanus.storage import (
    decode_dense,
    decode_sparse,
    decode_terms,
    encode_dense,
    encode_sparse,
    encode_terms,
)

counts = st.one_of(st.integers(1, 3), st.integers(250, 260), st.integers(500, 2000), st.just(510))
term_rows = st.lists(st.dictionaries(st.integers(0, 2**32 - 1), counts, max_size=6), max_size=12)
floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
sparse_rows = st.lists(
    st.none() | st.dictionaries(st.integers(0, 2**32 - 2), floats, max_size=6), max_size=12
)


def as_csr(rows, dtype):
    offsets = np.cumsum([0, *(len(r or {}) for r in rows)], dtype=np.int64)
    pairs = [item for r in rows for item in (r or {}).items()]
    first = np.array([a for a, _ in pairs], dtype=np.uint32)
    return offsets, first, np.array([b for _, b in pairs], dtype=dtype)


def as_rows(offsets, first, second):
    spans = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    return [dict(zip(first[a:b].tolist(), second[a:b].tolist(), strict=True)) for a, b in spans]


@given(term_rows)
def test_terms_come_back_with_counts_of_any_size(rows):
    blobs = encode_terms(*as_csr(rows, np.uint32))
    assert len(blobs) == len(rows)
    offsets, terms, counts = decode_terms(blobs)
    assert as_rows(offsets, terms, counts) == rows
    # Each term stands once, so a row's dict has not swallowed one.
    assert np.diff(offsets).tolist() == [len(r) for r in rows]


def test_a_term_takes_five_bytes_and_a_count_above_255_another_five():
    offsets = np.array([0, 1, 2, 3], dtype=np.int64)
    counts = np.array([255, 256, 1], dtype=np.uint32)
    blobs = encode_terms(offsets, np.array([7, 7, 7], dtype=np.uint32), counts)
    assert [len(b) for b in blobs] == [5, 10, 5]


def test_full_counts_of_one_term_in_neighbouring_rows_are_not_added_up():
    offsets = np.array([0, 1, 1, 2, 3], dtype=np.int64)
    counts = np.array([255, 255, 300], dtype=np.uint32)
    blobs = encode_terms(offsets, np.array([7, 7, 7], dtype=np.uint32), counts)
    assert as_rows(*decode_terms(blobs)) == [{7: 255}, {}, {7: 255}, {7: 300}]


@given(term_rows, st.data())
def test_missing_terms_are_empty_rows(rows, data):
    blobs = encode_terms(*as_csr(rows, np.uint32))
    gone = [data.draw(st.booleans()) for _ in rows]
    left = [None if g else b for g, b in zip(gone, blobs, strict=True)]
    expected = [{} if g else r for g, r in zip(gone, rows, strict=True)]
    assert as_rows(*decode_terms(left)) == expected


@given(sparse_rows)
def test_sparse_vectors_come_back_and_nulls_are_none(rows):
    present = np.array([r is not None for r in rows], dtype=bool)
    blobs = encode_sparse(*as_csr(rows, np.float32), present)
    assert [b is None for b in blobs] == [r is None for r in rows]
    assert as_rows(*decode_sparse(blobs)) == [r or {} for r in rows]


@given(st.integers(1, 9), st.integers(0, 12), st.data())
def test_dense_vectors_come_back_bit_by_bit_and_nulls_are_none(dim, count, data):
    rows = [[data.draw(floats) for _ in range(dim)] for _ in range(count)]
    matrix = np.array(rows, dtype=np.float32).reshape(count, dim)
    there = np.array([data.draw(st.booleans()) for _ in range(count)], dtype=bool)
    blobs = encode_dense(matrix, there)
    assert [b is not None for b in blobs] == there.tolist()
    kept = [b for b in blobs if b is not None]
    assert {len(b) for b in kept} <= {4 * dim}
    assert decode_dense(kept, dim).tobytes() == matrix[there].tobytes()


def test_a_dense_matrix_in_another_order_or_type_is_written_row_by_row():
    matrix = np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3))
    blobs = encode_dense(matrix, None)
    assert decode_dense(blobs, 3).tolist() == matrix.tolist()
    assert np.frombuffer(blobs[1], dtype="<f4").tolist() == [3.0, 4.0, 5.0]
