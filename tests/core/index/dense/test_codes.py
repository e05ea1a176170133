"""Codes: which of the nearest they find, on vectors that suit them and on vectors that do not."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

import numpy as np
import pytest
from scores import canonical_scores

from elanus.errors import DatabaseCorruptError, ParamError
from elanus.index import DENSE_METRICS, Codes, CodesParams, DenseIndex
from elanus.index.dense import _codes
from elanus.index.dense._exact import QueryVector
from elanus.schema import Metric

N = 6000


@pytest.fixture(autouse=True)
def cheap_codes(monkeypatch):
    """So few vectors would rather be scanned."""
    for name in ("_CODE_COST", "_CANDIDATE_COST", "_CALL_COST"):
        monkeypatch.setattr(_codes, name, 0)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def near(points, n, spread, seed):
    rng = np.random.default_rng(seed)
    rows = points[rng.integers(len(points), size=n)]
    return rows + spread * rng.standard_normal(rows.shape)


def lattice(n, seed):
    return np.random.default_rng(seed).integers(0, 2, size=(n, 16))


def of_all_lengths(n, dim, seed):
    return normal(n, dim, seed=seed) * np.exp(2 * normal(n, 1, seed=seed + 1))


CENTRES, MANY = normal(20, 48), normal(600, 48)
SETS = {
    "random": (normal(N, 64), normal(30, 64, seed=1)),
    "tight clusters": (near(CENTRES, N, 0.05, 1), near(CENTRES, 30, 0.05, 2)),
    "near duplicates": (near(MANY, N, 0.01, 1), near(MANY, 30, 0.01, 2)),
    "eight dimensions": (normal(N, 8), normal(30, 8, seed=1)),
    "three dimensions": (normal(N, 3), normal(30, 3, seed=1)),
    "one dimension": (normal(N, 1), normal(30, 1, seed=1)),
    "lattice": (lattice(N, 0), lattice(30, 1)),
    "all lengths": (of_all_lengths(N, 40, 0), of_all_lengths(30, 40, 5)),
    "few directions": (near(normal(4, 40), N, 0.0, 1) * normal(N, 1, seed=3), normal(30, 40)),
    "zeros among them": (normal(N, 24) * (np.arange(N) % 3 > 0)[:, None], normal(30, 24, seed=1)),
    "tiny and huge": (
        normal(N, 24) * np.where(np.arange(N) % 2, 1e-9, 1e9)[:, None],
        normal(30, 24, seed=1),
    ),
    "beyond float32": (
        normal(N, 24) * np.where(np.arange(N) % 9, 1.0, 1e14)[:, None],
        normal(30, 24, seed=1) * np.where(np.arange(30) % 2, 1.0, 1e25)[:, None],
    ),
}


def coded(matrix, metric, present=None):
    index = DenseIndex.from_matrix(np.ascontiguousarray(matrix, np.float32), present, metric)
    return index.with_graph(Codes.build(index, CodesParams()))


def exact(index, query, k, keys, mask=None):
    return index.with_graph(None).search(query, k, mask=mask, keys=keys)


def recall(found, wanted):
    return len(np.intersect1d(found[0], wanted[0])) / max(1, len(wanted[0]))


@pytest.mark.parametrize("metric", DENSE_METRICS)
@pytest.mark.parametrize("name", SETS)
def test_nearly_all_of_the_nearest_are_found_and_scored_canonically(name, metric):
    matrix, queries = (np.asarray(each, dtype=np.float32) for each in SETS[name])
    index, keys, recalls = coded(matrix, metric), np.arange(N)[::-1].copy(), []
    for query in queries:
        slots, scores = index.search(query, 10, mask=None, keys=keys)
        assert len(slots) == 10
        np.testing.assert_array_equal(scores, canonical_scores(metric, matrix[slots], query))
        recalls.append(recall((slots, scores), exact(index, query, 10, keys)))
    assert np.mean(recalls) >= 0.985


@pytest.mark.parametrize("metric", DENSE_METRICS)
@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.001])
def test_a_filter_gives_as_many_matches_as_there_are(share, metric):
    matrix, queries = (np.asarray(each, dtype=np.float32) for each in SETS["random"])
    index, keys, recalls = coded(matrix, metric), np.arange(N), []
    for i, query in enumerate(queries):
        mask = np.random.default_rng(i).random(N) < share
        found = index.search(query, 10, mask=mask, keys=keys)
        assert len(found[0]) == min(10, np.count_nonzero(mask))
        assert mask[found[0]].all()
        recalls.append(recall(found, exact(index, query, 10, keys, mask)))
    assert np.mean(recalls) >= 0.985


def test_few_candidates_suffice_where_the_nearest_stand_out(monkeypatch):
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((N, 96))
    queries = matrix[:20] + 0.5 * rng.standard_normal((20, 96))
    index = coded(matrix, Metric.COSINE)

    def refuse(*_args):
        raise AssertionError("scanned")

    monkeypatch.setattr("elanus.index.dense._rerank.scan", refuse)
    asked = []
    graph = index.graph

    class Counting:
        dim = graph._coded.dim

        def search(self, wanted, k, mask):
            asked.append(k)
            return graph._coded.search(wanted, k=k, mask=mask)

    index = index.with_graph(replace(graph, _coded=Counting()))
    for i, query in enumerate(queries):
        slots, _ = index.search(query.astype(np.float32), 1, mask=None, keys=np.arange(N))
        assert slots.tolist() == [i]
    assert asked == [64] * 20


@pytest.mark.parametrize("metric", DENSE_METRICS)
def test_of_equal_vectors_the_smallest_keys_are_given(metric):
    matrix = normal(N, 32).astype(np.float32)
    twins = np.random.default_rng(1).permutation(N)[:900]
    matrix[twins] = matrix[twins[0]]
    keys = np.random.default_rng(2).permutation(N)
    index = coded(matrix, metric)
    query = matrix[twins[0]] * np.float32(1 if metric is Metric.L2 else 5)
    slots, scores = index.search(query, 1000, mask=None, keys=keys)
    wanted, values = exact(index, query, 1000, keys)
    assert slots[:900].tolist() == wanted[:900].tolist()
    np.testing.assert_array_equal(scores[:900], values[:900])
    some = np.isin(np.arange(N), twins[:100])
    assert set(index.search(query, 200, mask=some, keys=keys)[0]) == set(twins[:100])


def test_many_queries_find_what_each_finds_alone():
    matrix, queries = (np.asarray(each, dtype=np.float32) for each in SETS["tight clusters"])
    index, keys = coded(matrix, Metric.L2), np.arange(N)
    together = index.search_many(queries, 7, mask=None, keys=keys)
    for query, found in zip(queries, together, strict=True):
        alone = index.search(query, 7, mask=None, keys=keys)
        assert found[0].tolist() == alone[0].tolist()
        assert found[1].tolist() == alone[1].tolist()


@pytest.mark.parametrize("metric", DENSE_METRICS)
def test_a_query_that_is_equally_near_to_all_is_answered_exactly(metric):
    matrix = normal(N, 64)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    index, keys = coded(np.sign(matrix), metric), np.arange(N)[::-1].copy()
    query = np.zeros(64, dtype=np.float32)
    found = index.search(query, 10, mask=None, keys=keys)
    assert keys[found[0]].tolist() == list(range(10))
    assert len(set(found[1].tolist())) == 1


@pytest.mark.parametrize("metric", [Metric.IP, Metric.L2])
def test_a_query_beyond_float32_is_answered_exactly(metric):
    index, keys = coded(SETS["random"][0], metric), np.arange(N)
    query = np.full(64, 1e30, dtype=np.float32)
    found = index.search(query, 10, mask=None, keys=keys)
    wanted = exact(index, query, 10, keys)
    assert [each.tolist() for each in found] == [each.tolist() for each in wanted]


@pytest.mark.parametrize("metric", DENSE_METRICS)
def test_what_is_added_is_found_and_what_was_is_as_before(metric):
    matrix, queries = (np.asarray(each, dtype=np.float32) for each in SETS["random"])
    old, keys = coded(matrix[:4000], metric), np.arange(N)
    before = [old.search(q, 10, mask=None, keys=keys[:4000]) for q in queries]
    longer = old.append(matrix[4000:])
    behind = [longer.search(q, 10, mask=None, keys=keys) for q in queries]
    whole = longer.with_graph(old.graph.extend(longer))
    assert whole.graph.covered == N
    assert old.graph.covered == 4000
    for i, query in enumerate(queries):
        wanted = exact(whole, query, 10, keys)
        assert recall(whole.search(query, 10, mask=None, keys=keys), wanted) >= 0.8
        assert recall(behind[i], wanted) >= 0.8
        again = old.search(query, 10, mask=None, keys=keys[:4000])
        assert again[0].tolist() == before[i][0].tolist()


def test_a_filter_that_leaves_only_what_is_behind_the_codes_finds_that():
    matrix = normal(N, 16).astype(np.float32)
    longer = coded(matrix[:4000], Metric.IP).append(matrix[4000:])
    mask = np.arange(N) >= 4000
    found = longer.search(matrix[1], 10, mask=mask, keys=np.arange(N))
    wanted = exact(longer, matrix[1], 10, np.arange(N), mask)
    assert [each.tolist() for each in found] == [each.tolist() for each in wanted]


def test_codes_of_few_vectors_are_made_anew_when_there_are_many_more():
    matrix = normal(N, 16).astype(np.float32)
    few = coded(matrix[:500], Metric.COSINE)
    some = few.append(matrix[500:1900])
    assert few.graph.extend(some).measured == 500
    many = few.append(matrix[500:])
    assert few.graph.extend(many).measured == N


def test_nulls_and_what_was_masked_out_are_not_coded():
    matrix = normal(N, 16).astype(np.float32)
    present, mask = np.arange(N) % 5 > 0, np.arange(N) % 7 > 0
    index = DenseIndex.from_matrix(matrix * present[:, None], present, Metric.IP)
    made = Codes.build(index, CodesParams(), mask=mask)
    assert sorted(made.nodes.slots) == np.flatnonzero(present & mask).tolist()
    slots, _ = index.with_graph(made).search(matrix[3], N, mask=mask, keys=np.arange(N))
    assert sorted(slots) == np.flatnonzero(present & mask).tolist()


def test_an_empty_index_has_codes_that_grow():
    empty = DenseIndex.empty(5, Metric.L2)
    made = Codes.build(empty, CodesParams())
    assert empty.with_graph(made).search(np.ones(5), 3, mask=None, keys=np.arange(0))[0].size == 0
    grown = empty.append(normal(300, 5).astype(np.float32))
    codes = made.extend(grown)
    slots, _ = grown.with_graph(codes).search(np.ones(5), 300, mask=None, keys=np.arange(300))
    assert sorted(slots) == list(range(300))


def test_more_confidence_looks_at_more():
    matrix, queries = (np.asarray(each, dtype=np.float32) for each in SETS["random"])
    index, keys = coded(matrix, Metric.COSINE), np.arange(N)
    wanted = [exact(index, query, 10, keys) for query in queries]

    def share(confidence):
        trusting = index.with_graph(index.graph.trusting(confidence))
        found = [trusting.search(query, 10, mask=None, keys=keys) for query in queries]
        return np.mean([recall(*pair) for pair in zip(found, wanted, strict=True)])

    assert share(-9.0) < share(4.0) == 1.0


@pytest.mark.parametrize("patience", [0, 1, 2, 3])
def test_a_build_and_an_extension_can_be_stopped(patience):
    index = coded(normal(4000, 64), Metric.COSINE)
    longer = index.append(normal(2000, 64, seed=3).astype(np.float32))

    def impatient():
        asked = iter([False] * patience)
        return lambda: next(asked, True)

    assert Codes.build(index, CodesParams(), stop=impatient()) is None
    assert index.graph.extend(longer, stop=impatient()) is None
    assert len(index.search(np.ones(64), 10, mask=None, keys=np.arange(4000))[0]) == 10


def test_arguments_that_do_not_fit_are_refused():
    index = coded(normal(300, 8), Metric.L2)
    with pytest.raises(ParamError, match="mask"):
        Codes.build(index, CodesParams(), mask=np.ones(3, dtype=bool))
    with pytest.raises(ParamError, match="does not fit"):
        DenseIndex.from_matrix(normal(300, 8).astype(np.float32), None, Metric.IP).with_graph(
            index.graph
        )


@pytest.mark.parametrize("metric", DENSE_METRICS)
@pytest.mark.parametrize("name", ["random", "three dimensions", "all lengths", "beyond float32"])
def test_saved_codes_answer_as_before(name, metric):
    matrix, queries = (np.asarray(each, dtype=np.float32) for each in SETS[name])
    index, keys = coded(matrix, metric), np.arange(N)
    arrays = {key: array.copy() for key, array in index.graph.to_arrays().items()}
    again = index.with_graph(Codes.from_arrays(arrays, index))
    for query in queries:
        before = index.search(query, 10, mask=None, keys=keys)
        after = again.search(query, 10, mask=None, keys=keys)
        assert [each.tolist() for each in before] == [each.tolist() for each in after]
    for key, array in again.graph.to_arrays().items():
        np.testing.assert_array_equal(array, arrays[key])


def put(name, place, value):
    def change(arrays):
        arrays[name] = arrays[name].copy()
        arrays[name][place] = value

    return change


def cut(name):
    def change(arrays):
        arrays[name] = arrays[name][:-1]

    return change


DAMAGE = {
    "missing": lambda arrays: arrays.pop("codes"),
    "type": lambda arrays: arrays.update(codes=arrays["codes"].astype(np.int16)),
    "shape": lambda arrays: arrays.update(node_start=arrays["node_start"][None]),
    "short header": cut("codes_header"),
    "format": put("codes_header", 0, 9),
    "bits": put("codes_header", 1, 4),
    "covered": put("codes_header", 2, 10**9),
    "covers too few": put("codes_header", 2, 3),
    "measured": put("codes_header", 3, -1),
    "count": put("codes_header", 4, 7),
    "scale": put("codes_measures", 0, 0.3),
    "no scale": put("codes_measures", 0, np.nan),
    "centre": put("codes_measures", 1, np.inf),
    "length": put("codes_measures", 3, -1.0),
    "codes cut": cut("codes"),
    "codes of nothing": lambda arrays: arrays.update(codes=arrays["codes"][:0]),
    "codes changed": put("codes", slice(0, 4), 0),
    "slot": put("node_slots", 0, 2**31),
    "slot twice": put("node_slots", 0, 5),
    "starts": put("node_start", 3, 0),
    "starts cut": cut("node_start"),
    "straggler": lambda arrays: arrays.update(stragglers=np.array([2**31], np.uint32)),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damaged_arrays_are_refused(what):
    index = coded(normal(400, 16), Metric.L2)
    arrays = dict(index.graph.to_arrays())
    DAMAGE[what](arrays)
    with pytest.raises(DatabaseCorruptError, match="codes"):
        Codes.from_arrays(arrays, index)


def test_any_bytes_in_place_of_codes_are_refused_or_answer_something():
    index, keys = coded(normal(400, 16), Metric.COSINE), np.arange(400)
    sound, rng = dict(index.graph.to_arrays()), np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        data = sound["codes"].copy()
        places = rng.integers(
            0, min(len(data), rng.choice([64, len(data)])), size=rng.integers(1, 9)
        )
        data[places] = rng.integers(0, 256, size=len(places))
        if rng.random() < 0.3:
            data = data[: rng.integers(len(data))]
        try:
            made = Codes.from_arrays({**sound, "codes": data}, index)
        except DatabaseCorruptError:
            refused += 1
            continue
        slots, _ = index.with_graph(made).search(np.ones(16), 10, mask=None, keys=keys)
        assert len(set(slots.tolist())) == 10
    assert refused > 50


def test_searches_go_on_while_codes_are_extended():
    matrix = normal(N, 32).astype(np.float32)
    index, keys = coded(matrix[:3000], Metric.COSINE), np.arange(N)
    query, failures, ends = matrix[7], [], threading.Event()
    wanted = index.search(query, 10, mask=None, keys=keys[:3000])[0].tolist()

    def ask():
        while not ends.is_set():
            if index.search(query, 10, mask=None, keys=keys[:3000])[0].tolist() != wanted:
                failures.append("another answer")

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    longer = index
    for first in range(3000, N, 500):
        longer = longer.append(matrix[first : first + 500])
        longer = longer.with_graph(longer.graph.extend(longer))
    ends.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert longer.graph.covered == N


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_of_a_fork_searches_extends_and_builds():
    matrix = normal(N, 32).astype(np.float32)
    index, keys = coded(matrix[:3000], Metric.COSINE), np.arange(N)
    queries = matrix[:40]
    wanted = index.search_many(queries, 5, mask=None, keys=keys[:3000])
    child = os.fork()
    if not child:
        found = index.search_many(queries, 5, mask=None, keys=keys[:3000])
        same = [a[0].tolist() for a in found] == [a[0].tolist() for a in wanted]
        longer = index.append(matrix[3000:])
        grown = index.graph.extend(longer).covered == N
        built = Codes.build(longer, CodesParams()).covered == N
        os._exit(0 if same and grown and built else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("metric", DENSE_METRICS)
@pytest.mark.parametrize("name", ["random", "all lengths"])
def test_the_codes_estimate_what_the_formula_says(name, metric):
    matrix, queries = (np.asarray(each, dtype=np.float32) for each in SETS[name])
    index = coded(matrix, metric)
    graph = index.graph
    for row in queries[:5]:
        query = QueryVector.of(row, index.dim)
        estimates, nodes = graph._coded.search(graph._direction(query)[None], k=N)
        slots, values = graph._slots(nodes[0], estimates[0], None)
        exact, wrong = graph._nearness(index.rows, slots, query)
        scores = canonical_scores(metric, matrix[slots], row)
        if metric is Metric.IP:
            scores *= graph.scale / query.norm
        elif metric is Metric.L2:
            scores = ((query.square - scores) * graph.scale**2 + graph.centre) / 2
        np.testing.assert_allclose(exact, scores, atol=wrong + 2e-7 * np.abs(scores).max(), rtol=0)
        errors = (exact - values) / graph._length_of(query)
        assert abs(errors.mean()) < 0.01 * graph.longest
        assert errors.std() < 1.25 * graph.error * graph.longest
        if name == "random":
            assert (errors / graph._lengths(index.rows, slots)).std() > 0.7 * graph.error
