"""Builds are given up soon after they are told to, and learn what FAISS would learn."""

import time

import numpy as np
import pytest

from elanus import native
from elanus.index import DenseIndex, FaissIndex, FaissParams, Graph, GraphParams
from elanus.index.dense import _faiss_learning as learning
from elanus.schema import Metric

N, DIM = 6_000, 32
KINDS = [
    FaissParams("IVF_FLAT", nlist=60),
    FaissParams("IVF_SQ8", nlist=60),
    FaissParams("IVF_PQ", nlist=30, m=8, nbits=6),
    FaissParams("SCANN", nlist=60),
]
RECIPES = ["IVF60,Flat", "IVF60,SQ8", "IVF30,PQ8x6np", "IVF60,PQ16x4fs"]


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(2)
    centres = rng.normal(size=(40, DIM))
    found = centres[rng.integers(40, size=N)] + 0.4 * rng.normal(size=(N, DIM))
    return found.astype(np.float32)


def learned(recipe, vectors, metric, how):
    faiss = native.load("faiss")
    made = faiss.index_factory(DIM, recipe, metric)
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        if how == "at once":
            made.train(vectors)
        else:
            learning.learn_lists(faiss, made, vectors, lambda: False)
            learning.learn_codes(faiss, made, vectors, lambda: False)
    finally:
        faiss.omp_set_num_threads(threads)
    assert made.is_trained
    made.add(vectors)
    return made


def recall(made, vectors, metric):
    faiss = native.load("faiss")
    queries = vectors[::40] + np.float32(0.01)
    exact = faiss.knn(queries, vectors, 10, metric=metric)[1]
    found = made.search(queries, 100, params=faiss.SearchParametersIVF(nprobe=16))[1]
    return np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, found, strict=True)])


@pytest.mark.parametrize("metric", [0, 1])
@pytest.mark.parametrize("recipe", RECIPES)
def test_short_steps_learn_what_one_call_learns(recipe, vectors, metric, monkeypatch):
    kind = metric  # FAISS's numbers: 0 for inner products, 1 for distances
    whole = learned(recipe, vectors, kind, "at once")
    steps = learned(recipe, vectors, kind, "in steps")
    assert np.array_equal(
        whole.quantizer.reconstruct_n(0, whole.nlist), steps.quantizer.reconstruct_n(0, steps.nlist)
    )
    # One round a step, and rounds in several steps, which sum in another order.
    for products in (N * 60 * DIM, 100_000):
        monkeypatch.setattr(learning, "_STEP_PRODUCTS", products)
        sliced = learned(recipe, vectors, kind, "in steps")
        assert recall(sliced, vectors, kind) >= recall(whole, vectors, kind) - 0.03


def test_lists_without_vectors_take_over_half_of_long_ones(monkeypatch):
    monkeypatch.setattr(learning, "_STEP_PRODUCTS", 1)
    rng = np.random.default_rng(0)
    # Nearly all in one place: whatever is drawn first lies there.
    few = np.concatenate([rng.normal(scale=0.01, size=(4_000, DIM)), rng.normal(size=(4, DIM)) * 9])
    made = learned("IVF40,Flat", few.astype(np.float32), 1, "in steps")
    sizes = [made.invlists.list_size(i) for i in range(40)]
    assert sum(sizes) == 4_004
    assert max(sizes) < 1_000


def build(index, params, stop):
    kind = Graph if isinstance(params, GraphParams) else FaissIndex
    return kind.build(index, params, stop=stop)


@pytest.mark.parametrize("params", [*KINDS, GraphParams()], ids=repr)
def test_whenever_it_is_told_to_a_build_gives_up(params, vectors, monkeypatch):
    monkeypatch.setattr(learning, "_STEP_PRODUCTS", 3_000_000)
    index = DenseIndex.from_matrix(vectors, None, Metric.L2)
    asked = []
    assert build(index, params, lambda: bool(asked.append(1))) is not None
    total = len(asked)
    assert total >= 4  # hnswlib is asked by time: a fast machine asks less often
    for moment in sorted({0, 1, 2, total // 4, total // 2, max(total - 5, 0)}):
        asked.clear()

        def stop(moment=moment):
            asked.append(1)
            return len(asked) > moment

        assert build(index, params, stop) is None
        assert len(asked) == moment + 1


def test_extending_and_assembling_give_up_too(vectors):
    index = DenseIndex.from_matrix(vectors[:5_000], None, Metric.L2)
    more = index.append(vectors[5_000:])
    for params in (KINDS[0], GraphParams()):
        graph = build(index, params, lambda: False)
        assert graph.extend(more, stop=lambda: True) is None
        assert graph.covered == 5_000
    assert Graph.from_arrays(graph.to_arrays(), index, stop=lambda: True) is None


@pytest.mark.parametrize(
    "params",
    [
        FaissParams("IVF_PQ", nlist=2, m=16, nbits=12),
        FaissParams("IVF_SQ8", nlist=4_000),
        GraphParams(m=512, ef_construction=5_000),
    ],
    ids=repr,
)
def test_even_slow_builds_ask_often(params):
    """A minute or more of work; its first seconds show how long it goes without asking."""
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(170_000 if params != GraphParams() else 20_000, 64))
    index = DenseIndex.from_matrix(matrix.astype(np.float32), None, Metric.L2)
    began, last, longest = time.monotonic(), [time.monotonic()], [0.0]

    def stop():
        now = time.monotonic()
        longest[0], last[0] = max(longest[0], now - last[0]), now
        return now - began > 6

    assert build(index, params, stop) is None
    assert longest[0] < 10
