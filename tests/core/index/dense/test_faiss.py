"""Inverted lists by FAISS: candidates of theirs, order and scores of ours."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scores import canonical_scores

from elanus import native
from elanus.errors import MissingExtraError, ParamError
from elanus.index import (
    DENSE_METRICS,
    DenseIndex,
    FaissIndex,
    FaissParams,
)
from elanus.index.dense import _index as dense
from elanus.index.dense import _rerank as rerank
from elanus.schema import Metric

KINDS = [
    FaissParams("IVF_FLAT", nlist=20),
    FaissParams("IVF_SQ8", nlist=20),
    FaissParams("IVF_PQ", nlist=20, m=12, nbits=6),
    FaissParams("SCANN", nlist=20),
]


@pytest.fixture(autouse=True)
def cheap_candidates(monkeypatch):
    """5,000 rows would rather be scanned."""
    monkeypatch.setattr(rerank, "FETCH_COST", 1)


@pytest.fixture
def no_scan(monkeypatch):
    def refuse(*_args):
        raise AssertionError("scanned")

    for module in (dense, rerank):
        monkeypatch.setattr(module, "scan", refuse)


@pytest.fixture(scope="module")
def lists(big):
    """An index of each kind and metric over the 5,000 vectors."""
    found = {}
    for metric in DENSE_METRICS:
        index = DenseIndex.from_matrix(big.matrix, None, metric)
        for params in KINDS:
            found[params.kind, metric] = index.with_graph(FaissIndex.build(index, params))
    return found


@pytest.mark.parametrize("metric", DENSE_METRICS)
@pytest.mark.parametrize("kind", [p.kind for p in KINDS])
def test_nearly_all_are_found_and_scored_canonically(kind, metric, lists, big, no_scan):
    index, exact, right = lists[kind, metric], DenseIndex.from_matrix(big.matrix, None, metric), 0
    for query in big.queries:
        slots, scores = index.search(query, 10, mask=None, keys=big.keys, ef=200)
        wanted = canonical_scores(metric, big.matrix[slots], query)
        assert scores.tobytes() == wanted.tobytes()
        sign = 1 if metric is Metric.L2 else -1
        order = list(zip(sign * scores, big.keys[slots], strict=True))
        assert order == sorted(order)
        every = canonical_scores(metric, exact.vectors(np.arange(5000)), query)
        right += len(set(np.lexsort((big.keys, sign * every))[:10]) & set(slots.tolist()))
    assert right >= 0.9 * 10 * len(big.queries)


@pytest.mark.parametrize("kind", [p.kind for p in KINDS])
def test_of_500_equal_vectors_the_ten_smallest_keys_are_given(kind, lists, big, no_scan):
    twin = big.matrix[big.twins[0]]
    slots, _ = lists[kind, Metric.COSINE].search(twin, 10, mask=None, keys=big.keys)
    assert big.keys[slots].tolist() == sorted(big.keys[big.twins])[:10]


@pytest.mark.parametrize("kind", [p.kind for p in KINDS])
@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.0])
def test_a_filter_gives_exactly_the_wanted_number_of_matches(kind, share, lists, big):
    mask = np.random.default_rng(2).random(5000) < share
    for query in big.queries[:10]:
        slots, _ = lists[kind, Metric.L2].search(query, 10, mask=mask, keys=big.keys)
        assert len(set(slots.tolist())) == min(10, np.count_nonzero(mask))
        assert mask[slots].all()


@pytest.mark.parametrize("kind", [p.kind for p in KINDS])
def test_a_batch_gets_what_its_queries_get_alone(kind, lists, big):
    index = lists[kind, Metric.IP]
    for mask in (None, np.arange(5000) % 3 > 0):
        together = index.search_many(big.queries, 7, mask=mask, keys=big.keys)
        for query, (slots, scores) in zip(big.queries, together, strict=True):
            alone = index.search(query, 7, mask=mask, keys=big.keys)
            assert slots.tolist() == alone[0].tolist()
            assert scores.tobytes() == alone[1].tobytes()


def test_reading_all_lists_of_whole_vectors_is_exact(lists, big, no_scan):
    index = lists["IVF_FLAT", Metric.COSINE]
    index = index.with_graph(index.graph.probing(20))
    for query in big.queries:
        scores = canonical_scores(Metric.COSINE, big.matrix, query)
        slots, _ = index.search(query, 10, mask=None, keys=big.keys)
        assert slots.tolist() == np.lexsort((big.keys, -scores))[:10].tolist()


def test_fewer_lists_find_less(lists, big):
    def found(nprobe):
        index = lists["IVF_FLAT", Metric.COSINE]
        index = index.with_graph(index.graph.probing(nprobe))
        hits = [index.search(q, 10, mask=None, keys=big.keys)[1] for q in big.queries]
        return sum(scores.sum() for scores in hits)

    assert found(1) < found(20)


@pytest.mark.parametrize("kind", [p.kind for p in KINDS])
def test_new_rows_are_found_at_once_and_folded_in_without_touching_the_old_index(kind, lists, big):
    old = lists[kind, Metric.COSINE]
    size, keys = old.graph._faiss.ntotal, np.arange(5060)
    new = old.append(big.queries)
    for index in (new, new.with_graph(old.graph.extend(new))):
        for place, query in enumerate(big.queries):
            slots, _ = index.search(query, 3, mask=None, keys=keys, ef=400)
            assert slots[0] == 5000 + place
    assert index.graph.covered == 5060
    assert len(index.graph.nodes) == size + 60
    assert old.graph._faiss.ntotal == size


def test_lists_are_learned_anew_when_the_vectors_have_doubled(big):
    index = DenseIndex.from_matrix(big.matrix[:2000], None, Metric.L2)
    graph = FaissIndex.build(index, FaissParams("SCANN", nlist=8))
    more = index.append(big.matrix[2000:2200])
    assert graph.extend(more).trained == graph.trained == len(graph.nodes)
    grown = graph.extend(more.append(big.matrix[2200:]))
    assert grown.trained == len(grown.nodes) == 4501


def test_masked_null_and_wild_rows_are_kept_apart(big):
    matrix = big.matrix.copy()
    matrix[::500] *= np.float32(1e30)
    present, alive = np.arange(5000) % 10 != 1, np.arange(5000) % 2 == 0
    index = DenseIndex.from_matrix(matrix, present, Metric.L2)
    graph = FaissIndex.build(index, KINDS[3], mask=alive)
    assert graph.stragglers.tolist() == list(range(0, 5000, 500))
    listed = np.concatenate([graph.nodes.slots, graph.stragglers])
    assert sorted(listed.tolist()) == np.flatnonzero(present & alive).tolist()
    slots, _ = index.with_graph(graph).search(
        matrix[500], 1, mask=alive, keys=big.keys
    )  # no float32 distance holds this query
    assert slots.tolist() == [500]


@pytest.mark.parametrize("params", KINDS)
@pytest.mark.parametrize("n", [0, 1, 30])
def test_few_vectors_are_compared_whole(params, n, big):
    index = DenseIndex.from_matrix(big.matrix[:n], None, Metric.COSINE)
    index = index.with_graph(FaissIndex.build(index, params))
    slots, _ = index.search(big.queries[0], 5, mask=None, keys=big.keys[:n])
    assert len(slots) == min(5, n)


@pytest.mark.parametrize("calls", [0, 1, 2])
def test_a_build_gives_up_when_told(calls, big):
    index, left = DenseIndex.from_matrix(big.matrix, None, Metric.L2), iter(range(calls))
    stop = lambda: next(left, None) is None  # noqa: E731  (one expression, used once)
    assert FaissIndex.build(index, KINDS[1], stop=stop) is None
    built = FaissIndex.build(index, KINDS[1])
    assert built.extend(index.append(big.queries), stop=lambda: True) is None


def test_codes_take_less_memory_than_vectors(lists):
    sizes = {p.kind: lists[p.kind, Metric.L2].graph.nbytes for p in KINDS}
    assert sizes["SCANN"] < sizes["IVF_SQ8"] < sizes["IVF_FLAT"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "SCANN", "nlist": 0}, "nlist is 0"),
        ({"kind": "IVF_PQ", "m": -1}, "m=-1"),
        ({"kind": "IVF_PQ", "m": 4, "nbits": 13}, "nbits=13"),
    ],
)
def test_parameters_out_of_range_are_refused(given, message):
    with pytest.raises(ParamError, match=message):
        FaissParams(**given)


@pytest.mark.parametrize(("dim", "m"), [(384, 48), (24, 3), (25, 5), (7, 1), (31, 31), (1, 1)])
def test_a_code_has_a_part_for_about_eight_dimensions(dim, m):
    assert FaissParams("IVF_PQ", nlist=4).recipe(dim, 100_000) == f"IVF4,PQ{m}x8np"
    assert FaissParams("SCANN", nlist=4).recipe(24, 100) == "Flat"


def test_what_does_not_fit_is_refused(big):
    index = DenseIndex.from_matrix(big.matrix, None, Metric.L2)
    with pytest.raises(ParamError, match="must divide dimension 24"):
        FaissIndex.build(index, FaissParams("IVF_PQ", m=7))
    with pytest.raises(ParamError, match="mask"):
        FaissIndex.build(index, KINDS[0], mask=np.ones(3, dtype=bool))
    lists = FaissIndex.build(index, KINDS[0])
    with pytest.raises(ParamError, match="does not fit an index"):
        DenseIndex.from_matrix(big.matrix, None, Metric.IP).with_graph(lists)


def test_without_the_package_the_error_names_the_extra(monkeypatch):
    native.load.cache_clear()
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match=r"elanus\[faiss\]"):
        native.load("faiss")
