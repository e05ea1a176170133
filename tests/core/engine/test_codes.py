"""Codes through the client: made behind searches, kept, followed, and as sure as is asked for."""

import logging
import sys

import numpy as np
import pytest
from tiers import prefer_candidates

from elanus import MilvusClient, native
from elanus.engine._parts import DenseKey
from elanus.engine.upkeep import _graphs
from elanus.errors import MissingExtraError, ParamError
from elanus.index import Codes, Graph

N, DIM = 2_000, 16


@pytest.fixture(autouse=True)
def low_thresholds(thresholds, monkeypatch):
    thresholds(graph_rows=1_000, graph_values=0, codes_tail=100)
    prefer_candidates(monkeypatch)
    yield
    native.load.cache_clear()
    _graphs._can_be_indexed.cache_clear()


@pytest.fixture(scope="module")
def vectors():
    return np.random.default_rng(4).normal(size=(3 * N, DIM)).astype(np.float32)


def rows(vectors, start, stop):
    return [{"id": i, "vector": vectors[i]} for i in range(start, stop)]


@pytest.fixture
def client(tmp_path, vectors):
    with MilvusClient(tmp_path / "kb.db") as client:
        client.create_collection("c", dimension=DIM, metric_type="L2")
        client.insert("c", rows(vectors, 0, N))
        client.load_collection("c")
        yield client
        if not client._database.file.closed:
            assert client.verify() == []


def index_of(client):
    (state,) = client._database.commits.states.values()
    return next(part for key, part in state.view.parts.items() if isinstance(key, DenseKey))


def nearest(vectors, query, ids, k=10):
    distances = ((vectors[ids].astype(np.float64) - query) ** 2).sum(axis=1)
    return [int(ids[i]) for i in np.argsort(distances, kind="stable")[:k]]


def found(client, query, **options):
    (hits,) = client.search("c", [query], limit=10, **options)
    return [hit.id for hit in hits]


def test_autoindex_makes_codes_that_follow_what_is_written(client, vectors):
    assert isinstance(index_of(client).graph, Codes)
    assert index_of(client).graph.covered == N
    client.insert("c", rows(vectors, N, N + 50))
    found(client, vectors[0])
    assert index_of(client).graph.covered == N  # few rows behind the codes are scanned
    client.insert("c", rows(vectors, N + 50, 2 * N))
    client.delete("c", filter="id % 2 == 0")
    client.load_collection("c")
    assert index_of(client).graph.covered == 2 * N
    odd = np.arange(1, 2 * N, 2)
    for query in vectors[2 * N : 2 * N + 20]:
        assert found(client, query) == nearest(vectors, query, odd)
        some = odd[odd % 3 == 0]
        assert found(client, query, filter="id % 3 == 0") == nearest(vectors, query, some)


def test_codes_are_made_anew_once_most_of_what_they_hold_is_gone(client, vectors):
    client.delete("c", filter="id < 990")
    client.load_collection("c")
    assert len(index_of(client).graph.nodes) == N
    client.delete("c", filter="id < 1010")
    client.insert("c", rows(vectors, N, N + 100))
    client.load_collection("c")
    assert len(index_of(client).graph.nodes) == N - 1010 + 100


def test_the_memory_of_codes_is_told(client, vectors):
    described = client.describe_index("c", "vector")
    graph = index_of(client).graph
    assert described["index_bytes"] == graph.nbytes
    # Two bits for each of 24 components (L2 adds one to 16), and a length; as saved and as read.
    assert graph.nbytes == 2 * N * (24 * 2 // 8 + 4) + graph.nodes.nbytes
    client.drop_collection("c")
    client.create_collection("c", dimension=DIM)
    client.insert("c", rows(vectors, 0, 5))
    assert client.describe_index("c", "vector")["index_bytes"] == 0


def test_the_confidence_of_a_search_is_its_own(client, vectors, monkeypatch):
    asked = []
    trusting = Codes.trusting
    monkeypatch.setattr(Codes, "trusting", lambda s, c: asked.append(c) or trusting(s, c))
    for given in (0, 4.5, "3"):
        options = {"search_params": {"params": {"confidence": given}}}
        assert found(client, vectors[0], **options)[0] == 0
    assert asked == [0.0, 4.5, 3.0]
    for wrong in (-1, 11, "much", float("nan")):
        with pytest.raises(ParamError, match="confidence"):
            found(client, vectors[0], search_params={"confidence": wrong})


def test_a_flat_index_or_a_graph_in_place_of_codes_is_searched(client, vectors):
    for index_type, kind in (("FLAT", type(None)), ("HNSW", Graph), ("AUTOINDEX", Codes)):
        client.drop_index("c", "vector")
        params = client.prepare_index_params("vector", index_type=index_type, metric_type="L2")
        client.create_index("c", params)
        client.load_collection("c")
        assert found(client, vectors[7])[0] == 7
        if index_type != "FLAT":
            assert isinstance(index_of(client).graph, kind)


def missing(monkeypatch, *packages):
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)
    native.load.cache_clear()
    _graphs._can_be_indexed.cache_clear()


@pytest.mark.parametrize("packages", [["turbovec"], ["turbovec", "hnswlib"]], ids="-".join)
def test_without_the_package_searches_are_right_and_it_is_said_once(
    packages, tmp_path, vectors, monkeypatch, caplog
):
    missing(monkeypatch, *packages)
    with caplog.at_level(logging.WARNING), MilvusClient(tmp_path / "other.db") as client:
        client.create_collection("c", dimension=DIM, metric_type="L2")
        client.insert("c", rows(vectors, 0, N))
        client.load_collection("c")
        assert found(client, vectors[5])[0] == 5
        assert isinstance(index_of(client).graph, Graph) == (len(packages) == 1)
    said = [r.message for r in caplog.records if "turbovec" in r.message]
    assert len(said) == 1
    assert ("graphs" in said[0]) == (len(packages) == 1)


@pytest.mark.parametrize("packages", [["turbovec"], ["turbovec", "hnswlib"]], ids="-".join)
def test_saved_codes_are_no_harm_where_the_package_is_missing(
    packages, client, vectors, monkeypatch
):
    path = client._database.file.path
    client.close()
    missing(monkeypatch, *packages)
    with MilvusClient(path) as again:
        again.load_collection("c")
        assert found(again, vectors[9])[0] == 9
        assert isinstance(index_of(again).graph, Graph) == (len(packages) == 1)


def test_a_graph_by_name_says_what_it_needs(client, monkeypatch):
    missing(monkeypatch, "hnswlib")
    find_spec = "elanus.schema._index.find_spec"
    monkeypatch.setattr(find_spec, lambda name: None if name == "hnswlib" else name)
    params = client.prepare_index_params("vector", index_type="HNSW", metric_type="L2")
    with pytest.raises(MissingExtraError, match=r"elanus\[hnsw\].*AUTOINDEX"):
        client.create_collection("d", dimension=DIM, index_params=params)
    with pytest.raises(MissingExtraError, match=r"elanus\[hnsw\].*AUTOINDEX"):
        native.load("hnswlib")
