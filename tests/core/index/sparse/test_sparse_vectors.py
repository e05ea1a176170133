"""User sparse vectors against the definition of the inner product."""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.index import SparseIndex, _order
from elanus.index.sparse import _postings

VALUES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 2.0]),
    st.floats(-(2.0**60), 2.0**60, width=32),
)
DIMENSIONS = st.sampled_from([0, 1, 2, 3, 70_000, 2**31, 2**32 - 2])
VECTOR = st.dictionaries(DIMENSIONS, VALUES, max_size=6)


@contextmanager
def tiny_limits():
    """Several segments and groups with a few rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_order, "_GROUPS", 2)
        patch.setattr(_postings, "MERGE_LIMIT", 8)
        patch.setattr(_postings, "BULK_RATIO", 1)
        yield


def as_query(vector):
    return (
        np.array(list(vector), dtype=np.uint32),
        np.array(list(vector.values()), dtype=np.float32),
    )


@pytest.fixture(scope="module")
def vectors():
    """5,000 rows of about 30 of 400 dimensions, rounded values so that scores tie."""
    rng = np.random.default_rng(3)
    return [
        {
            int(dimension) * 10_000_019 % (2**32 - 1): round(float(value), 1)
            for dimension, value in zip(
                rng.choice(400, size=30, replace=False), rng.normal(size=30), strict=True
            )
        }
        for _ in range(5000)
    ]


@pytest.mark.parametrize("limits", [nullcontext, tiny_limits], ids=["defaults", "tiny limits"])
@settings(max_examples=120, deadline=None)
@given(
    batches=st.lists(st.lists(VECTOR, max_size=5), max_size=6),
    query=VECTOR,
    k=st.integers(1, 8),
    hidden=st.sets(st.integers(0, 30)),
    merge=st.booleans(),
)
def test_any_history_of_appends_equals_the_definition(
    csr, hits, inner_product_oracle, limits, batches, query, k, hidden, merge
):
    rows = [row for batch in batches for row in batch]
    keys = np.array([slot * 37 % 101 for slot in range(len(rows))], dtype=np.int64)
    mask = np.array([slot not in hidden for slot in range(len(rows))], dtype=np.bool_)
    index = SparseIndex.empty()
    with limits():
        for batch in batches:
            index = index.append(csr(batch, np.float32))
        index = index.merged() if merge else index
        found = index.search(*as_query(query), k, mask=mask, keys=keys)
    oracle = inner_product_oracle(rows)
    assert hits(found) == oracle.search(query, k, mask.tolist().__getitem__, keys.tolist())


@pytest.mark.parametrize("share", [None, 0.5, 0.01])
@pytest.mark.parametrize("k", [1, 10, 4999, 5003])
def test_many_rows_equal_the_definition(csr, hits, inner_product_oracle, vectors, share, k):
    rounded = [{d: float(np.float32(v)) for d, v in row.items()} for row in vectors]
    index = SparseIndex.empty().append(csr(vectors, np.float32))
    keys = np.random.default_rng(4).permutation(5000).astype(np.int64)
    mask = None if share is None else np.random.default_rng(5).random(5000) < share
    allowed = (lambda _: True) if mask is None else mask.tolist().__getitem__
    for query in rounded[:3]:
        expected = inner_product_oracle(rounded).search(query, k, allowed, keys.tolist())
        assert hits(index.search(*as_query(query), k, mask=mask, keys=keys)) == expected


def test_the_order_of_query_and_row_makes_no_difference(csr, hits, vectors):
    keys = np.arange(5000)
    turned = [dict(reversed(row.items())) for row in vectors]
    index, other = (SparseIndex.empty().append(csr(rows, np.float32)) for rows in (vectors, turned))
    indices, values = as_query(vectors[0])
    found = index.search(indices, values, 20, mask=None, keys=keys)
    assert hits(found) == hits(other.search(indices[::-1], values[::-1], 20, mask=None, keys=keys))


def test_products_are_summed_by_ascending_dimension(csr, hits):
    # In float64, 2^60 + 1 is 2^60: the 1 survives only if it is added last.
    rows = [{3: 1.0, 1: 2.0**60, 2: -(2.0**60)}, {1: 1.0, 2: 2.0**60, 3: -(2.0**60)}]
    index = SparseIndex.empty().append(csr(rows, np.float32))
    for order in ((1, 2, 3), (3, 2, 1), (2, 3, 1)):
        query = as_query(dict.fromkeys(order, 1.0))
        assert hits(index.search(*query, 5, mask=None, keys=np.arange(2))) == [(0, 1.0)]


def test_scores_of_zero_are_no_hits_and_negative_ones_come_last(csr, hits):
    rows = [{1: -2.0}, {1: 1.0, 2: -1.0}, {}, {1: 0.0}, {3: 5.0}, {1: 3.0}]
    index = SparseIndex.empty().append(csr(rows, np.float32))
    found = index.search(*as_query({1: 1.0, 2: 1.0}), 9, mask=None, keys=np.arange(6))
    assert hits(found) == [(5, 3.0), (0, -2.0)]


def test_string_keys_break_ties(csr, hits):
    index = SparseIndex.empty().append(csr([{9: 1.0}] * 4, np.float32))
    keys = np.array(["d", "b", "a", "c"], dtype=object)
    found = index.search(*as_query({9: 2.0}), 3, mask=None, keys=keys)
    assert hits(found) == [(2, 2.0), (1, 2.0), (3, 2.0)]


@pytest.mark.parametrize("rows", [[], [{}]], ids=["no rows", "an empty row"])
@pytest.mark.parametrize("query", [{}, {1: 1.0}], ids=["empty query", "query"])
def test_nothing_in_common_is_no_hit_and_no_error(csr, hits, rows, query):
    index = SparseIndex.empty().append(csr(rows, np.float32))
    assert hits(index.search(*as_query(query), 3, mask=None, keys=np.arange(len(rows)))) == []
    assert index.merged().n == len(rows)


def test_scores_too_large_for_float32_are_infinite_and_ordered(csr, hits):
    index = SparseIndex.empty().append(csr([{1: 3e38}, {1: -3e38}, {1: 1.0}], np.float32))
    found = index.search(*as_query({1: 3e38}), 3, mask=np.array([True] * 3), keys=np.arange(3))
    assert [slot for slot, _ in hits(found)] == [0, 2, 1]
    assert hits(found)[0][1] == np.inf


def test_queries_together_equal_queries_alone_and_old_values_stay(csr, hits, vectors):
    keys, queries = np.arange(5000), [as_query(vector) for vector in vectors[:4]]
    first = SparseIndex.empty().append(csr(vectors[:2000], np.float32))
    before = [hits(result) for result in first.search_many(queries, 10, mask=None, keys=keys)]
    second, size = first.append(csr(vectors[2000:], np.float32)), first.nbytes
    alone = [hits(first.search(*query, 10, mask=None, keys=keys)) for query in queries]
    assert before == alone
    assert (first.n, first.nbytes, second.n) == (2000, size, 5000)


def test_searches_during_appends_see_whole_values(csr, hits, vectors):
    published = [SparseIndex.empty().append(csr(vectors[:50], np.float32))]
    seen, query, keys = [], as_query(vectors[0]), np.arange(5000)

    def search():
        for _ in range(100):
            value = published[-1]
            seen.append((value, hits(value.search(*query, 10, mask=None, keys=keys))))

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for start in range(50, 2000, 30):
        published.append(published[-1].append(csr(vectors[start : start + 30], np.float32)))
    for thread in threads:
        thread.join()
    assert len(seen) == 300
    for value, found in seen:
        assert found == hits(value.search(*query, 10, mask=None, keys=keys))
