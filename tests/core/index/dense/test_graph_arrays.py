from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from elanus.errors import DatabaseCorruptError
from elanus.index import DENSE_METRICS, DenseIndex, Graph, GraphParams
from elanus.index.dense._exact import QueryVector
from elanus.schema import Metric


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(2)
    matrix = rng.standard_normal((600, 8)).astype(np.float32)
    matrix[100:150] = matrix[100]
    matrix[200] *= np.float32(1e30)
    present = np.arange(600) % 13 > 0
    index = DenseIndex.from_matrix(matrix, present, Metric.L2)
    return index, Graph.build(index, GraphParams(6, 40))


@pytest.mark.parametrize("metric", DENSE_METRICS)
def test_a_saved_graph_answers_as_before(metric, big):
    index = big.graphs[metric]
    arrays = index.graph.to_arrays()
    again = index.with_graph(Graph.from_arrays(arrays, index))
    for query in big.queries:
        left = index.search(query, 20, mask=None, keys=big.keys)
        right = again.search(query, 20, mask=None, keys=big.keys)
        assert all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))
        near, near_again = (_nearest(i.graph, i, query, 64) for i in (index, again))
        assert near.tolist() == near_again.tolist()
    saved_again = again.graph.to_arrays()
    assert {n: a.tobytes() for n, a in arrays.items()} == {
        n: a.tobytes() for n, a in saved_again.items()
    }


def _nearest(graph, index, vector, fetch):
    [slots] = graph.candidates(index.rows, [QueryVector.of(vector, index.dim)], fetch, fetch, None)
    return slots


def test_a_saved_graph_holds_no_vectors_and_no_objects(big):
    arrays = big.graphs[Metric.COSINE].graph.to_arrays()
    assert sum(array.nbytes for array in arrays.values()) < 200 * 5000
    assert all(array.dtype.kind in "iuf" for array in arrays.values())


def test_a_graph_put_together_can_be_extended(small):
    index, graph = small
    more = index.append(np.ones((1, 8), dtype=np.float32))
    extended = Graph.from_arrays(graph.to_arrays(), index).extend(more)
    slots = _nearest(extended, more, np.ones(8, dtype=np.float32), 1)
    assert slots.tolist() == [600]


def test_a_slot_too_long_for_float32_stays_outside_and_is_found(small):
    index, graph = small
    assert graph.stragglers.tolist() == [200]
    again = Graph.from_arrays(graph.to_arrays(), index)
    assert again.stragglers.tolist() == [200]


def _changed(name, change):
    def apply(arrays):
        arrays[name] = change(arrays[name].copy())

    return apply


def _put(place, value):
    def change(array):
        array[place] = value
        return array

    return change


CORRUPTIONS = {
    "missing": lambda arrays: arrays.pop("links"),
    "type": _changed("links", lambda a: a.astype(np.int64)),
    "shape": _changed("levels", lambda a: a[None]),
    "format": _changed("header", _put(0, 2)),
    "short header": _changed("header", lambda a: a[:4]),
    "m": _changed("header", _put(1, 7)),
    "m zero": _changed("header", _put(1, 0)),
    "ef_construction": _changed("header", _put(2, 0)),
    "covered": _changed("header", _put(3, 601)),
    "covers too few": _changed("header", _put(3, 599 - 100)),
    "negative": _changed("header", _put(3, -1)),
    "entry": _changed("header", _put(4, 10_000)),
    "entry below the top": _changed("header", _put(5, 40)),
    "count": _changed("links", _put((3, 0), 60_000)),
    "count with a flag": _changed("links", _put((3, 0), (1 << 16) + 2)),
    "link": _changed("links", _put((3, 1), 1 << 31)),
    "upper count": _changed("upper", _put((0, 0), 7)),
    "upper link": _changed("upper", _put((0, slice(None)), [1, *[9999] * 6])),
    "level": _changed("levels", _put(0, 1_000_000)),
    "negative level": _changed("levels", _put(0, -1)),
    "one level more": _changed("levels", lambda a: a + (np.arange(len(a)) == 0)),
    "label": _changed("labels", _put(0, 3_000_000)),
    "label twice": _changed("labels", lambda a: np.where(a == 1, 2, a).astype(a.dtype)),
    "labels short": _changed("labels", lambda a: a[:-1]),
    "start": _changed("node_start", _put(0, 1)),
    "start falls": _changed("node_start", _put(5, 400)),
    "slot": _changed("node_slots", _put(0, 600)),
    "slot twice": _changed("node_slots", lambda a: np.where(a == 1, 2, a).astype(a.dtype)),
    "null slot": _changed("node_slots", lambda a: np.where(a == 1, 13, a).astype(a.dtype)),
    "straggler": _changed("stragglers", _put(0, 600)),
    "straggler as node": _changed("node_slots", lambda a: np.where(a == 1, 200, a).astype(a.dtype)),
    "scale": _changed("scale", _put(0, np.nan)),
    "scale zero": _changed("scale", _put(0, 0.0)),
    "scale no power of two": _changed("scale", _put(0, 0.75)),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_damage_is_noticed_before_it_is_used(name, small):
    index, graph = small
    arrays = dict(graph.to_arrays())
    CORRUPTIONS[name](arrays)
    with pytest.raises(DatabaseCorruptError, match="graph"):
        Graph.from_arrays(arrays, index)


def test_an_upper_link_to_a_node_of_a_lower_level_is_noticed(small):
    index, graph = small
    arrays = graph.to_arrays()
    arrays["upper"][0, :2] = [1, int(np.flatnonzero(arrays["levels"] == 0)[0])]
    with pytest.raises(DatabaseCorruptError, match="below its level"):
        Graph.from_arrays(arrays, index)


BITS = """
import json, sys
import numpy as np
from elanus.errors import DatabaseCorruptError
from elanus.index import DenseIndex, Graph
from elanus.schema import Metric
from elanus.index.dense._exact import QueryVector

index = DenseIndex.from_matrix(np.load(sys.argv[1]), None, Metric[sys.argv[3]])
saved = dict(np.load(sys.argv[2]))
rng, keys, counts = np.random.default_rng(5), np.arange(index.n), {"raised": 0, "answered": 0}
queries = index.vectors(np.arange(8))
names = sorted(saved)
for turn in range(600):
    arrays = {name: array.copy() for name, array in saved.items()}
    name = names[turn % len(names)]
    for _ in range(rng.integers(1, 4)):
        raw = arrays[name].view(np.uint8).reshape(-1)
        if len(raw):
            raw[rng.integers(len(raw))] ^= np.uint8(1 << rng.integers(8))
    try:
        graph = Graph.from_arrays(arrays, index)
    except DatabaseCorruptError:
        counts["raised"] += 1
        continue
    for query in queries:
        [near] = graph.candidates(index.rows, [QueryVector.of(query, index.dim)], 64, 64, None)
        assert near is None or ((near >= 0) & (near < index.n)).all()
        slots, scores = index.with_graph(graph).search(query, 5, mask=None, keys=keys)
        assert len(slots) == 5
    if turn % 20 < 9:
        graph.extend(index.append(queries + np.float32(1)), threads=1)
    counts["answered"] += 1
print(json.dumps(counts))
"""


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.L2])
def test_flipped_bits_never_crash_the_process(metric, tmp_path):
    rng = np.random.default_rng(2)
    matrix = rng.standard_normal((500, 6)).astype(np.float32)
    matrix[100:150] = matrix[100]
    index = DenseIndex.from_matrix(matrix, None, metric)
    np.save(tmp_path / "vectors.npy", matrix)
    np.savez(tmp_path / "graph.npz", **Graph.build(index, GraphParams(4, 30)).to_arrays())
    done = subprocess.run(
        [sys.executable, "-c", BITS, tmp_path / "vectors.npy", tmp_path / "graph.npz", metric.name],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["raised"] > 100
    assert counts["answered"] > 20
