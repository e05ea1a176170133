"""A text index as arrays: what they are checked for. That they give equal answers, the history says."""

import re

import numpy as np
import pytest

from elanus.errors import DatabaseCorruptError, ParamError
from elanus.index import Bm25Index, bm25_from_arrays, bm25_to_arrays
from elanus.index.sparse import _postings

ROWS = [{}, {1: 2, 5: 1}, {5: 300}, {}, {2: 1, 7: 3, 9: 1}, {}]


@pytest.fixture
def index(csr):
    grown = Bm25Index.empty().append(csr(ROWS[:3])).append(csr(ROWS[3:]))
    return grown.remove(np.array([1]), csr(ROWS[1:2]))


def restored(arrays):
    return bm25_from_arrays(arrays, k1=1.2, b=0.75)


def test_arrays_are_taken_as_they_are_and_may_be_read_only(index, hits):
    arrays = bm25_to_arrays(index)
    for array in arrays.values():
        array.flags.writeable = False
    again = restored(arrays)
    assert np.shares_memory(again.segments[0].postings.slots, arrays["slots"])
    for query in ([(5, 1)], [(1, 2), (7, 1)]):
        before, after = (i.search(query, 5, mask=None, keys=np.arange(6)) for i in (index, again))
        assert hits(after) == hits(before) != []


def test_an_index_without_rows_or_without_terms_survives(csr):
    for empty in (Bm25Index.empty(), Bm25Index.empty().append(csr([{}, {}]))):
        again = restored(bm25_to_arrays(empty))
        assert (again.n, again.documents, again.total_length) == (empty.n, empty.documents, 0)
        assert again.append(csr([{3: 1}])).n == empty.n + 1


def test_other_parameters_take_effect(index, csr, hits):
    again = bm25_from_arrays(bm25_to_arrays(index), k1=0.5, b=0.1)
    fresh = Bm25Index.empty(k1=0.5, b=0.1).append(csr(ROWS)).remove(np.array([1]), csr(ROWS[1:2]))
    expected, found = (
        hits(i.search([(5, 1), (9, 1)], 5, mask=None, keys=np.arange(6))) for i in (fresh, again)
    )
    assert found == expected
    with pytest.raises(ParamError, match="k1 is -1"):
        bm25_from_arrays(bm25_to_arrays(index), k1=-1, b=0.1)


def test_an_index_takes_other_parameters_and_keeps_its_lists(index, csr, hits):
    again = index.with_saturation(k1=0.5, b=0.1)
    fresh = Bm25Index.empty(k1=0.5, b=0.1).append(csr(ROWS)).remove(np.array([1]), csr(ROWS[1:2]))
    found, expected, before = (
        hits(i.search([(5, 1), (9, 1)], 5, mask=None, keys=np.arange(6)))
        for i in (again, fresh, index)
    )
    assert found == expected != before
    lists = [segment.postings for segment in again.segments]
    assert lists == [segment.postings for segment in index.segments]
    grown = again.append(csr([{5: 7}])), fresh.append(csr([{5: 7}]))
    one, other = (hits(i.search([(5, 1)], 9, mask=None, keys=np.arange(7))) for i in grown)
    assert one == other
    with pytest.raises(ParamError, match=r"b is 1\.5"):
        index.with_saturation(k1=1, b=1.5)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("terms", None, "the array terms is missing"),
        ("slots", lambda a: a.astype(np.int64), "the array slots is int64"),
        ("weights", lambda a: a.astype(np.float32), "the array weights is float32"),
        ("lengths", lambda a: a[np.newaxis], "2 dimensions"),
        ("totals", lambda a: a[:1], "the totals are not two"),
        ("removed_counts", lambda a: a[:0], "differ in number"),
        ("terms", lambda a: a[1:], "not one for each term"),
        ("weights", lambda a: a[1:], "do not fit the postings"),
        ("starts", lambda a: np.concatenate([a[:1], a[2:3], a[1:2], a[3:]]), "before the one"),
        ("slots", lambda a: a + 3, "none of the 6"),
        ("slots", lambda a: a - 2, "none of the 6"),
    ],
)
def test_what_does_not_fit_is_refused(index, name, damage, message):
    arrays = bm25_to_arrays(index)
    array = arrays.pop(name)
    if damage is not None:
        arrays[name] = damage(array)
    with pytest.raises(DatabaseCorruptError, match=message):
        restored(arrays)


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
def test_rows_inverted_in_pieces_are_as_inverted_at_once(csr, monkeypatch, limit):
    rng = np.random.default_rng(limit)
    dicts = [{}, {}, *({int(t): 1 + i for t in rng.integers(0, 9, i % 5)} for i in range(60)), {}]
    rows = csr(dicts)
    whole = _postings.build_postings(rows, 10)
    monkeypatch.setattr(_postings, "_SORTED_AT_ONCE", limit)
    pieces = _postings.build_postings(rows, 10)
    for name in ("base", "rows", "terms", "starts", "slots", "weights"):
        assert np.array_equal(getattr(pieces, name), getattr(whole, name)), name
    assert pieces.weights.dtype == whole.weights.dtype
    expected = [[s for s, row in enumerate(dicts) if t in row] for t in pieces.terms.tolist()]
    assert [part.tolist() for part in np.split(pieces.slots, pieces.starts[1:-1])] == expected


def test_a_doubled_term_is_named_by_its_slot_also_in_a_later_piece(csr, monkeypatch):
    monkeypatch.setattr(_postings, "_SORTED_AT_ONCE", 2)
    rows = csr([{1: 1, 2: 1}, {3: 1, 4: 1}, {5: 1, 6: 1}])
    rows.terms[-1] = 5
    with pytest.raises(ParamError, match=re.escape("the row of slot 102 holds term 5 twice")):
        _postings.build_postings(rows, 100)
