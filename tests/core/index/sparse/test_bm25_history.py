"""Any history of appends, removals and merges equals a fresh index of the rows that are left."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus.index import Bm25Index, _order, bm25_from_arrays, bm25_to_arrays
from elanus.index.sparse import _bm25, _bm25_exact, _bm25_search, _impacts, _postings, _segment

DEFAULTS: dict = {}
TINY = {
    (_impacts, "DENSE_MINIMUM"): 1,
    (_impacts, "DENSE_SHARE"): 3,
    (_bm25, "_SELECTIVE"): 0,
    (_bm25_search, "_FEW"): 0,
    (_order, "_GROUPS"): 2,
    (_postings, "MERGE_LIMIT"): 30,
    (_postings, "BULK_RATIO"): 1,
    (_postings, "_SORTED_AT_ONCE"): 7,
}
STALE = {**TINY, (_segment, "MAX_DRIFT"): 100.0}
LOOKING_UP = {**TINY, (_bm25_exact, "_LOOKUP_COST"): 0}
EAGER = {**TINY, (_bm25_search, "_DEFERRED_SHARE"): 1e9}

ROWS = st.lists(
    st.dictionaries(st.integers(0, 12), st.integers(1, 4), max_size=6), min_size=1, max_size=12
)
STEPS = st.one_of(
    st.tuples(st.just("append"), ROWS),
    st.tuples(st.just("remove"), st.sets(st.integers(0, 40), min_size=1, max_size=10)),
    st.tuples(st.just("merge"), st.none()),
    st.tuples(st.just("save"), st.none()),
)
QUERY = st.lists(
    st.tuples(st.integers(0, 14), st.integers(1, 3)),
    max_size=6,
    unique_by=lambda entry: entry[0],
)


@contextmanager
def limits(values):
    """Reach every path of the search with a few rows, not only with many thousands."""
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), value in values.items():
            patch.setattr(module, name, value)
        yield


@dataclass
class History:
    csr: object
    index: Bm25Index = field(default_factory=Bm25Index.empty)
    rows: list = field(default_factory=list)
    dead: set = field(default_factory=set)

    def take(self, step):
        kind, what = step
        if kind == "append":
            self.index = self.index.append(self.csr(what))
            self.rows.extend(what)
        elif kind == "remove":
            slots = sorted(slot for slot in what if slot < len(self.rows) and slot not in self.dead)
            removed = self.csr([self.rows[slot] for slot in slots])
            self.index = self.index.remove(np.array(slots, dtype=np.intp), removed)
            self.dead |= set(slots)
        elif kind == "save":
            self.index = bm25_from_arrays(bm25_to_arrays(self.index), k1=1.2, b=0.75)
        else:
            self.index = self.index.merged()

    def live(self):
        return {s: row for s, row in enumerate(self.rows) if s not in self.dead}

    def mask(self):
        return np.array([slot not in self.dead for slot in range(len(self.rows))], dtype=np.bool_)


def make_keys(n):
    return np.array([slot * 37 % 101 for slot in range(n)], dtype=np.int64)


@pytest.mark.parametrize(
    "values",
    [DEFAULTS, TINY, STALE, LOOKING_UP, EAGER],
    ids=["defaults", "tiny limits", "stale impacts", "always looked up", "all deferred"],
)
@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEPS, min_size=1, max_size=12), query=QUERY, k=st.integers(1, 8))
def test_a_history_equals_a_fresh_build(csr, hits, bm25_oracle, values, steps, query, k):
    history = History(csr)
    with limits(values):
        for step in steps:
            history.take(step)
        keys = make_keys(len(history.rows))
        found = hits(history.index.search(query, k, mask=history.mask(), keys=keys))
    live = history.live()
    assert found == bm25_oracle(live).search(query, k, live.__contains__, keys.tolist())
    fresh = Bm25Index.empty().append(csr(list(live.values())))
    again = hits(fresh.search(query, k, mask=None, keys=keys[list(live)]))
    assert [(list(live)[slot], score) for slot, score in again] == found
    assert totals(history.index) == totals(fresh)
    held = history.index.matching([0, 3, 5], 2)[history.mask()]
    assert held.tolist() == fresh.matching([0, 3, 5], 2).tolist()


def totals(index):
    frequencies = index.document_frequency(np.arange(15, dtype=np.uint32)).tolist()
    return index.documents, index.total_length, frequencies


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(STEPS, min_size=2, max_size=10), query=QUERY)
def test_earlier_values_never_change(csr, hits, steps, query):
    history, seen = History(csr), []

    def answer(index, mask):
        keys = make_keys(index.n)
        return (
            hits(index.search(query, 5, mask=mask, keys=keys)),
            (index.n, index.nbytes, *totals(index)),
        )

    for step in steps:
        history.take(step)
        seen.append((history.index, history.mask(), answer(history.index, history.mask())))
    for index, mask, before in seen:
        assert answer(index, mask) == before


def test_one_value_can_be_extended_in_two_ways(csr, hits):
    base = Bm25Index.empty().append(csr([{1: 1}]))
    left, right = base.append(csr([{1: 5, 2: 1}])), base.append(csr([{3: 1}]))
    assert hits(left.search([(2, 1)], 5, mask=None, keys=np.arange(2)))[0][0] == 1
    assert hits(right.search([(2, 1)], 5, mask=None, keys=np.arange(2))) == []


def test_an_index_whose_rows_were_all_removed_has_no_hits_and_fills_again(csr, hits, bm25_oracle):
    rows = [{1: 2, 2: 1}, {2: 3}]
    emptied = Bm25Index.empty().append(csr(rows)).remove(np.arange(2), csr(rows))
    assert (emptied.n, emptied.documents, emptied.total_length) == (2, 0, 0)
    assert hits(emptied.search([(2, 1)], 5, mask=None, keys=np.arange(2))) == []
    empty_again = emptied.append(csr([{}]))
    assert hits(empty_again.search([(2, 1)], 5, mask=None, keys=np.arange(3))) == []
    filled = empty_again.append(csr(rows))
    mask = np.array([False, False, True, True, True])
    expected = bm25_oracle({2: {}, 3: rows[0], 4: rows[1]}).search(
        [(2, 1)], 5, lambda _: True, range(5)
    )
    assert hits(filled.search([(2, 1)], 5, mask=mask, keys=np.arange(5))) == expected


def test_impacts_are_made_anew_when_the_average_length_drifts(csr):
    index = Bm25Index.empty().append(csr([{1: 10}] * 50))
    grown = index.append(csr([{1: 11}]))
    assert grown.segments[0].impacts.reference == 10
    for _ in range(8):
        grown = grown.append(csr([{1: 60}]))
    drifts = [segment.impacts.drift(grown.average_length) for segment in grown.segments]
    assert max(drifts) <= _impacts.MAX_DRIFT


def test_single_rows_make_few_segments(csr):
    index = Bm25Index.empty()
    for number in range(600):
        index = index.append(csr([{number % 50: 1, 60: 2}]))
        sizes = [segment.postings.size for segment in index.segments]
        assert len(sizes) <= 6
    assert sum(segment.postings.rows for segment in index.segments) == 600


def test_a_single_row_never_moves_a_large_segment(csr, monkeypatch):
    monkeypatch.setattr(_postings, "MERGE_LIMIT", 200)
    index = Bm25Index.empty().append(csr([{1: 1, 2: 1}] * 400))
    large = index.segments[0].postings
    for _ in range(500):
        index = index.append(csr([{1: 1, 3: 1}]))
        assert index.segments[0].postings is large
    assert len(index.merged().segments) == 1
