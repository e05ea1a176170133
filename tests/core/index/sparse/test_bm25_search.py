"""BM25 searches of one index against the definition, hit for hit."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from elanus.index import Bm25Index
from elanus.index.sparse import _bm25, _bm25_exact, _bm25_search, _impacts, _postings

QUERIES = {
    "a common term alone": [(0, 1)],
    "a rare term alone": [(2500, 1)],
    "common terms only": [(0, 1), (1, 1), (2, 1), (3, 1)],
    "like a title": [(3, 1), (400, 1), (0, 1), (57, 1), (1200, 1), (1, 1), (9, 2)],
    "a repeated common term": [(0, 30), (900, 1)],
    "an unknown term besides": [(4_000_000_000, 1), (12, 1), (3001, 2)],
    "every term": [(term, 1) for term in range(3000)],
}


@pytest.fixture(scope="module")
def index(texts, csr):
    return Bm25Index.empty().append(csr(texts))


@pytest.fixture(scope="module")
def oracle(texts, bm25_oracle):
    return bm25_oracle(dict(enumerate(texts)))


@pytest.fixture(scope="module")
def keys(texts):
    return np.random.default_rng(1).permutation(len(texts)).astype(np.int64)


@pytest.fixture(
    scope="module", params=[None, 0.9, 0.3, 0.01, 0.0], ids=lambda share: f"mask {share}"
)
def mask(request, texts):
    if request.param is None:
        return None
    return np.random.default_rng(2).random(len(texts)) < request.param


def allow(mask):
    return (lambda _: True) if mask is None else mask.tolist().__getitem__


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_hits_scores_and_ties_are_those_of_the_definition(index, oracle, keys, mask, hits, query):
    full = oracle.search(query, index.n, allow(mask), keys.tolist())
    for k in (1, 10, 100, 1000, index.n, index.n + 5):
        assert hits(index.search(query, k, mask=mask, keys=keys)) == full[:k]


def test_the_data_has_dense_rows_and_ties_at_k(index, oracle, keys):
    assert index.segments[0].impacts.dense_rows
    scores = [score for _, score in oracle.search([(0, 1)], 1001, allow(None), keys.tolist())]
    assert scores[999] == scores[1000]


def test_common_terms_wait_until_candidates_are_few(texts, csr, oracle, keys, hits, monkeypatch):
    monkeypatch.setattr(_impacts, "DENSE_MINIMUM", 50)
    monkeypatch.setattr(_impacts, "DENSE_SHARE", 100)
    index = Bm25Index.empty().append(csr(texts))
    completed = []
    look_up = _bm25.exact_scores

    def spy(segments, query, slots):
        completed.append(slots.size)
        return look_up(segments, query, slots)

    monkeypatch.setattr(_bm25, "exact_scores", spy)
    query = [(2, 1), (0, 1), (1, 1), (700, 1), (1500, 1)]
    assert hits(index.search(query, 10, mask=None, keys=keys)) == oracle.search(
        query, 10, allow(None), keys.tolist()
    )
    assert 10 <= completed[0] < 100


def test_string_keys_break_ties_by_code_point(texts, csr, bm25_oracle, hits):
    row = {5: 2, 6: 1}
    names = [f"{number * 7919 % 1000}" for number in range(1000)]
    index = Bm25Index.empty().append(csr([row] * 1000))
    found = index.search([(5, 1)], 7, mask=None, keys=np.array(names, dtype=object))
    assert [names[slot] for slot, _ in hits(found)] == sorted(names)[:7]
    assert len({score for _, score in hits(found)}) == 1


def test_the_order_of_the_query_is_the_order_of_summation(index, oracle, keys, hits):
    query = QUERIES["like a title"]
    for turned in (query, query[::-1]):
        assert hits(index.search(turned, 50, mask=None, keys=keys)) == oracle.search(
            turned, 50, allow(None), keys.tolist()
        )


@pytest.mark.parametrize("route", [_bm25_exact.look_up, _bm25_exact.add_up])
@pytest.mark.parametrize("size", [1, 2, 9])
def test_sums_are_sequential_in_float64_before_the_only_rounding(index, texts, oracle, route, size):
    slots = sorted(range(len(texts)), key=lambda slot: -len(texts[slot]))[: 10 * size]
    query = [(term, 1) for term in range(0, 3000, 2)]
    weighted = index._weigh(query)
    for start in range(0, len(slots), size):
        chosen = np.array(sorted(slots[start : start + size]), dtype=np.intp)
        expected = [oracle.total(slot, query) for slot in chosen.tolist()]
        assert route(index.segments, weighted, chosen).tolist() == expected


def test_a_common_term_counts_with_its_peak_in_any_segment(csr, bm25_oracle, hits, monkeypatch):
    monkeypatch.setattr(_impacts, "DENSE_MINIMUM", 1)
    monkeypatch.setattr(_impacts, "DENSE_SHARE", 3)
    monkeypatch.setattr(_postings, "MERGE_RATIO", 0)
    strong = [{0: 50}] * 15 + [{7: 50}] * 15
    weak = [{0: 1, 8: 150}] * 15 + [{9: 50}] * 9 + [{1: 1}] * 6
    index = Bm25Index.empty().append(csr(strong)).append(csr(weak))
    assert len(index.segments) == 2
    oracle = bm25_oracle(dict(enumerate(strong + weak)))
    for count in range(1, 12):
        query = [(0, count), (1, 1)]
        expected = oracle.search(query, 8, allow(None), range(60))
        assert hits(index.search(query, 5, mask=None, keys=np.arange(60))) == expected[:5]
        assert hits(index.search(query, 8, mask=None, keys=np.arange(60))) == expected


def test_few_allowed_slots_are_scored_without_a_first_pass(index, oracle, keys, hits, monkeypatch):
    monkeypatch.delattr(_bm25, "candidates")
    mask = np.zeros(index.n, dtype=np.bool_)
    mask[100:300] = True
    query = QUERIES["like a title"]
    expected = oracle.search(query, 10, allow(mask), keys.tolist())
    assert hits(index.search(query, 10, mask=mask, keys=keys)) == expected


def test_a_term_given_twice_counts_twice(index, keys, hits):
    doubled = index.search([(57, 1), (57, 1)], 10, mask=None, keys=keys)
    assert hits(doubled) == hits(index.search([(57, 2)], 10, mask=None, keys=keys))


def test_queries_together_equal_queries_alone(index, keys, mask, hits):
    queries = list(QUERIES.values())[:6]
    together = index.search_many(queries, 10, mask=mask, keys=keys)
    alone = [index.search(query, 10, mask=mask, keys=keys) for query in queries]
    assert [hits(result) for result in together] == [hits(result) for result in alone]


@pytest.mark.parametrize(("k1", "b"), [(0, 0.75), (1.2, 0), (2.0, 1), (0, 0), (1000, 1)])
def test_k1_and_b_are_honoured(texts, csr, bm25_oracle, keys, hits, k1, b):
    index = Bm25Index.empty(k1=k1, b=b).append(csr(texts))
    oracle = bm25_oracle(dict(enumerate(texts)), k1, b)
    for query in (QUERIES["like a title"], QUERIES["a common term alone"]):
        expected = oracle.search(query, 20, allow(None), keys.tolist())
        assert hits(index.search(query, 20, mask=None, keys=keys)) == expected


@pytest.mark.parametrize(("k1", "b"), [(0, 0.75), (1.2, 0), (0, 0), (1.2, 1), (1000, 1)])
def test_dense_rows_honour_k1_and_b(texts, csr, bm25_oracle, keys, hits, monkeypatch, k1, b):
    monkeypatch.setattr(_impacts, "DENSE_MINIMUM", 50)
    monkeypatch.setattr(_impacts, "DENSE_SHARE", 100)
    monkeypatch.setattr(_bm25_search, "_FEW", 0)
    index = Bm25Index.empty(k1=k1, b=b).append(csr(texts))
    oracle = bm25_oracle(dict(enumerate(texts)), k1, b)
    for query in (QUERIES["like a title"], QUERIES["common terms only"]):
        expected = oracle.search(query, 20, allow(None), keys.tolist())
        assert hits(index.search(query, 20, mask=None, keys=keys)) == expected


@pytest.mark.parametrize("count", [2, 255, 256, 65_536, 2**24 + 1, 2**32 - 1])
def test_dense_rows_hold_counts_of_any_size(csr, bm25_oracle, hits, monkeypatch, count):
    monkeypatch.setattr(_impacts, "DENSE_MINIMUM", 1)
    rows = [{0: 1 + number % 3, 1 + number % 7: 1} for number in range(60)]
    rows[20] = {0: count, 3: 2}
    index = Bm25Index.empty().append(csr(rows))
    assert 0 in index.segments[0].impacts.dense_rows
    oracle = bm25_oracle(dict(enumerate(rows)))
    for query in ([(0, 1)], [(0, 1), (3, 1)]):
        expected = oracle.search(query, 10, allow(None), range(60))
        assert hits(index.search(query, 10, mask=None, keys=np.arange(60))) == expected


@pytest.mark.parametrize("count", [255, 256, 65_536, 4_294_967_295])
def test_large_counts_stay_exact(csr, bm25_oracle, hits, count):
    rows = [{1: count, 2: 1}, {1: 3}, {2: 9}]
    index = Bm25Index.empty().append(csr(rows))
    expected = bm25_oracle(dict(enumerate(rows))).search(
        [(1, 1), (2, 1)], 3, allow(None), [0, 1, 2]
    )
    assert hits(index.search([(1, 1), (2, 1)], 3, mask=None, keys=np.arange(3))) == expected


@pytest.mark.parametrize("rows", [[], [{}], [{}, {}]], ids=["no rows", "one empty", "two empty"])
def test_an_index_without_terms_has_no_hits(csr, hits, rows):
    index = Bm25Index.empty().append(csr(rows))
    assert hits(index.search([(0, 1)], 5, mask=None, keys=np.arange(len(rows)))) == []
    assert index.document_frequency(np.array([0, 7], dtype=np.uint32)).tolist() == [0, 0]
    assert index.matching([0]).tolist() == [False] * len(rows)


@pytest.mark.parametrize("query", [[], [(3_500, 1)]], ids=["empty", "unknown"])
def test_a_query_without_known_terms_has_no_hits(index, keys, hits, query):
    assert hits(index.search(query, 5, mask=None, keys=keys)) == []


@pytest.mark.parametrize("terms", [[0], [1, 5, 40], [2999, 0, 12], [4_000_000_000], [], [3, 3]])
@pytest.mark.parametrize("minimum", [1, 2, 3])
def test_matching_counts_distinct_terms(index, texts, terms, minimum):
    expected = [len(set(terms) & row.keys()) >= minimum for row in texts]
    assert index.matching(terms, minimum).tolist() == expected


def test_document_frequency_and_totals_are_counts(index, texts, oracle):
    terms = np.array([0, 1, 2999, 3000, 2**32 - 1], dtype=np.uint32)
    expected = [oracle.frequency[term] for term in terms.tolist()]
    assert index.document_frequency(terms).tolist() == expected
    assert (index.n, index.documents) == (len(texts), len(texts))
    assert index.total_length == sum(oracle.lengths.values())


def test_nbytes_counts_postings_and_dense_rows(index, texts):
    postings = sum(len(row) for row in texts)
    dense = len(index.segments[0].impacts.dense_rows) * len(texts)
    assert index.nbytes >= postings * (4 + 1 + 4) + dense


def test_searches_during_appends_see_whole_values(texts, csr, keys, hits):
    published = [Bm25Index.empty().append(csr(texts[:100]))]
    seen, query = [], QUERIES["like a title"]

    def search():
        for turn in range(150):
            value = published[-1 - turn % len(published)]
            seen.append((value, hits(value.search(query, 10, mask=None, keys=keys))))

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for start in range(100, 4100, 50):
        published.append(published[-1].append(csr(texts[start : start + 50])))
    for thread in threads:
        thread.join()
    assert len(seen) == 450
    for value, found in seen:
        assert found == hits(value.search(query, 10, mask=None, keys=keys))
