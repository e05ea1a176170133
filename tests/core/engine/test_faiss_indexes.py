"""Index types by FAISS through the client: built behind searches, exact scores, no substitutes."""

import importlib.util
import sys

import numpy as np
import pytest
from tiers import prefer_candidates

from elanus import MilvusClient, native
from elanus.errors import MissingExtraError, ParamError
from elanus.index import FaissIndex

N, DIM, NAME = 1500, 16, "listed"
TYPES = [
    ("IVF_FLAT", {"nlist": 16}),
    ("IVF_SQ8", {"nlist": 16}),
    ("IVF_PQ", {"nlist": 16, "m": 8, "nbits": 4}),
    ("SCANN", {"nlist": 16, "with_raw_data": True}),
]


@pytest.fixture(autouse=True)
def low_thresholds(thresholds, monkeypatch):
    thresholds(graph_rows=1_000, graph_values=0)
    prefer_candidates(monkeypatch)


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(4)
    centres = rng.normal(size=(20, DIM))
    rows = centres[rng.integers(20, size=N + 200)] + 0.5 * rng.normal(size=(N + 200, DIM))
    return rows.astype(np.float32)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "listed.db")


def asked(index_type, params):
    return MilvusClient.prepare_index_params(
        "vector", index_type=index_type, metric_type="COSINE", params=params
    )


def filled(path, vectors, index_type, params, n=N):
    client = MilvusClient(path)
    client.create_collection(
        NAME, dimension=DIM, metric_type="COSINE", index_params=asked(index_type, params)
    )
    client.insert(NAME, [{"id": i, "vector": vectors[i], "n": i % 10} for i in range(n)])
    return client


def lists_of(client):
    def look(snapshot):
        return next((p.graph for p in snapshot.view.parts.values() if hasattr(p, "graph")), None)

    return client._database.commits.read(NAME, look)


def recall(client, vectors, keys, keep=lambda _: True, **options):
    """Found of the true ten, checking the number of hits and every score."""
    kept = np.array([k for k in keys if keep(k)])
    units = vectors.astype(np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    right = 0
    queries = list(range(0, N, 100))
    found = client.search(NAME, vectors[queries] + np.float32(0.01), limit=10, **options)
    for place, hits in zip(queries, found, strict=True):
        query = vectors[place].astype(np.float64) + np.float32(0.01)
        cosines = units[kept] @ (query / np.linalg.norm(query))
        assert len(hits) == min(10, len(kept))
        exact = dict(zip(kept.tolist(), cosines.tolist(), strict=True))
        assert all(hit["distance"] == pytest.approx(exact[hit["id"]], abs=1e-6) for hit in hits)
        right += len({hit["id"] for hit in hits} & set(kept[np.argsort(-cosines)[:10]].tolist()))
    return right / (10 * len(queries))


@pytest.mark.parametrize(("index_type", "params"), TYPES)
def test_an_index_is_built_behind_searches_and_again_after_reopening(
    path, vectors, index_type, params
):
    with filled(path, vectors, index_type, params) as client:
        client.load_collection(NAME)
        assert lists_of(client).params.kind == index_type
        described = client.describe_index(NAME, "vector")
        assert (described["index_type"], described["state"]) == (index_type, "Finished")
        assert recall(client, vectors, range(N)) >= 0.9
        filters = {"filter": "n == 3", "keep": lambda k: k % 10 == 3}
        assert recall(client, vectors, range(N), **filters) >= 0.9
    with MilvusClient(path) as again:
        assert recall(again, vectors, range(N)) >= 0.9
        again.load_collection(NAME)
        assert lists_of(again).covered == N
        assert recall(again, vectors, range(N)) >= 0.9
        assert again.verify() == []


def test_new_and_deleted_rows_are_seen_at_once_and_folded_in(path, vectors, thresholds):
    thresholds(longest_tail=100)
    with filled(path, vectors, *TYPES[3]) as client:
        client.load_collection(NAME)
        client.insert(NAME, [{"id": i, "vector": vectors[i], "n": 0} for i in range(N, N + 50)])
        client.delete(NAME, ids=list(range(100)))
        [hits] = client.search(NAME, [vectors[N + 7]], limit=3)
        assert hits[0]["id"] == N + 7
        assert lists_of(client).covered == N
        client.insert(
            NAME, [{"id": i, "vector": vectors[i], "n": 0} for i in range(N + 50, N + 200)]
        )
        client.load_collection(NAME)
        assert lists_of(client).covered == N + 200
        assert recall(client, vectors, range(100, N + 200)) >= 0.9
        client.delete(NAME, ids=list(range(100, 700)))
        client.load_collection(NAME)
        assert len(lists_of(client).nodes.slots) == N - 500
        assert recall(client, vectors, range(700, N + 200)) >= 0.9


def test_more_lists_and_more_candidates_find_more(path, vectors):
    with filled(path, vectors, *TYPES[3]) as client:
        client.load_collection(NAME)

        def found(**params):
            return recall(client, vectors, range(N), search_params={"params": params})

        assert found(nprobe=16, reorder_k=1000) == 1.0
        assert found(nprobe=1, reorder_k=1000) < 1.0
        assert found(nprobe=16, reorder_k=10) < 0.9


def test_the_index_says_how_many_lists_a_search_reads(path, vectors):
    with filled(path, vectors, "IVF_FLAT", {"nlist": 16, "nprobe": 1}) as client:
        client.load_collection(NAME)
        usual = recall(client, vectors, range(N))
        assert usual < recall(client, vectors, range(N), search_params={"nprobe": 16}) == 1.0


def test_another_index_type_takes_the_place_of_lists(path, vectors):
    with filled(path, vectors, *TYPES[0]) as client:
        client.load_collection(NAME)
        client.drop_index(NAME, "vector")
        client.create_index(NAME, asked("HNSW", {}))
        client.load_collection(NAME)
        assert not isinstance(lists_of(client), FaissIndex)
        client.drop_index(NAME, "vector")
        client.create_index(NAME, asked(*TYPES[1]))
        client.load_collection(NAME)
        assert lists_of(client).params.kind == "IVF_SQ8"


@pytest.mark.parametrize(
    ("name", "value"),
    [("nprobe", 0), ("nprobe", "many"), ("reorder_k", True), ("reorder_k", 70_000)],
)
def test_search_parameters_out_of_range_are_refused(path, vectors, name, value):
    message = f"{name} must be an integer from 1 to 65536"
    with (
        filled(path, vectors, *TYPES[0], n=10) as client,
        pytest.raises(ParamError, match=message),
    ):
        client.search(NAME, [vectors[0]], search_params={name: value})


@pytest.mark.parametrize(
    ("index_type", "params", "message"),
    [
        ("IVF_FLAT", {"nlist": 0}, "nlist=0 must be an integer from 1 to 65536"),
        ("IVF_SQ8", {"m": 4}, "no parameter 'm'"),
        ("IVF_PQ", {"m": 5}, "m=5 must divide the dimension, 16"),
        ("IVF_PQ", {"m": 4, "nbits": 24}, "nbits=24"),
        ("SCANN", {"M": 16}, "no parameter 'M'"),
    ],
)
def test_index_parameters_that_do_not_fit_are_refused(path, index_type, params, message):
    with MilvusClient(path) as client, pytest.raises(ParamError, match=message):
        client.create_collection(NAME, dimension=DIM, index_params=asked(index_type, params))


def test_without_the_package_creating_and_searching_name_the_extra(path, vectors, monkeypatch):
    filled(path, vectors, *TYPES[3]).close()
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "elanus.schema._index.find_spec", lambda n: None if n == "faiss" else find_spec(n)
    )
    monkeypatch.setitem(sys.modules, "faiss", None)
    native.load.cache_clear()
    with MilvusClient(path) as client:
        with pytest.raises(MissingExtraError, match=r"elanus\[faiss\]"):
            client.search(NAME, [vectors[0]])
        with pytest.raises(MissingExtraError, match=r"'vector'.*elanus\[faiss\]"):
            client.create_collection("b", dimension=4, index_params=asked("SCANN", {}))
        assert client.get(NAME, ids=[3])[0]["id"] == 3
        client.drop_index(NAME, "vector")
        assert (
            len(client.search(NAME, [vectors[0]], search_params={"metric_type": "COSINE"})[0]) == 10
        )
