"""Words that stand for several terms: as if the rows had one term in their place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.index import Bm25Index, SparseRows

MERGED = 100
ROWS = st.lists(
    st.dictionaries(st.integers(0, 7), st.integers(1, 4), max_size=6), min_size=1, max_size=12
)
GROUPS = st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True)


def as_rows(rows):
    offsets = np.cumsum([0, *map(len, rows)])
    terms = np.array([t for row in rows for t in row], dtype=np.uint32)
    counts = np.array([c for row in rows for c in row.values()], dtype=np.uint32)
    return SparseRows(offsets, terms, counts)


def with_one_term(rows, group):
    """Rows in which one term stands for all of a group."""
    merged = []
    for row in rows:
        count = sum(row.get(term, 0) for term in group)
        rest = {t: c for t, c in row.items() if t not in group}
        merged.append(rest | ({MERGED: count} if count else {}))
    return merged


def built(rows, gone, cut):
    index = Bm25Index.empty()
    for piece in (rows[:cut], rows[cut:]):
        index = index.append(as_rows(piece))
    return index.remove(np.array(gone, dtype=np.intp), as_rows([rows[slot] for slot in gone]))


@settings(max_examples=200, deadline=None)
@given(data=st.data(), rows=ROWS, group=GROUPS, count=st.integers(1, 3), cut=st.integers(0, 12))
def test_a_group_scores_as_one_term_of_its_rows(data, rows, group, count, cut):
    gone = data.draw(st.lists(st.sampled_from(range(len(rows))), unique=True))
    other = data.draw(st.sampled_from([term for term in range(12) if term not in group]))
    keys, alive = np.arange(len(rows)), np.ones(len(rows), dtype=bool)
    alive[gone] = False
    mask = alive & np.array(
        data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    )
    index, oracle = built(rows, gone, cut), built(with_one_term(rows, group), gone, cut)
    words = [(np.array([other], dtype=np.uint32), 1), (np.array(group, dtype=np.uint32), count)]
    query, plain = index.grouped(words, alive), [(other, 1), (MERGED, count)]
    for given_mask in (alive, mask):
        found = index.search(query, 5, mask=given_mask, keys=keys)
        expected = oracle.search(plain, 5, mask=given_mask, keys=keys)
        assert [a.tolist() for a in found] == [a.tolist() for a in expected]
    slots = np.flatnonzero(alive)
    scores, *rest = index.judge(query, 2, slots)
    expected_scores, *expected_rest = oracle.judge(plain, 2, slots)
    assert scores.tolist() == expected_scores.tolist()
    assert rest == pytest.approx(expected_rest, rel=1e-12)


def test_without_rows_nothing_is_found():
    index = Bm25Index.empty()
    query = index.grouped([(np.array([1, 2], dtype=np.uint32), 1)], None)
    slots, _ = index.search(query, 3, mask=None, keys=np.zeros(0, dtype=np.int64))
    assert len(slots) == 0
    scores, deviation, possible = index.judge(query, 0, np.zeros(0, dtype=np.intp))
    assert (len(scores), deviation, possible > 0) == (0, 0.0, True)
