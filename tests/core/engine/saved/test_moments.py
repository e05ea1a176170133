"""Saved moments of vectors: taken up at the next opening, and never able to change an answer."""

import numpy as np
import pytest

from elanus import AdaptiveRanker, AnnSearchRequest, MilvusClient
from elanus.engine._parts import MomentsKey
from elanus.index import Moments
from elanus.index.dense._exact import QueryVector
from elanus.schema import Metric

QUERY = np.linspace(-1, 1, 16).astype(np.float32)


@pytest.fixture(autouse=True)
def _save_soon(thresholds):
    thresholds(text_rows=100)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.db"


@pytest.fixture
def added(monkeypatch):
    """How many vectors were added to sums or taken from them, one entry each time."""
    found = []
    follow = Moments.followed

    def counted(self, rows, before, now):
        found.append(int(np.count_nonzero(before != now)))
        return follow(self, rows, before, now)

    monkeypatch.setattr(Moments, "followed", counted)
    return found


def hybrid(client):
    reqs = [
        AnnSearchRequest([QUERY], "vector", {}, 30),
        AnnSearchRequest(["black pink"], "terms", {}, 30),
    ]
    (hits,) = client.hybrid_search("c", reqs, AdaptiveRanker(), limit=20)
    return [(hit.id, round(hit.distance, 9)) for hit in hits]


def state_of(client):
    client.query("c", limit=1)
    return next(iter(client._database.commits.states.values()))


def wait(client):
    client._database._upkeep.background.wait((state_of(client).number, "save"))


def check(client):
    """Mean and deviation against those of all similarities in float64."""
    parts = state_of(client).view.parts
    (part,) = (part for key, part in parts.items() if isinstance(key, MomentsKey))
    rows = client.query("c", "num >= 0", output_fields=["vector"])
    vectors = np.array([row["vector"] for row in rows], dtype=np.float64)
    vectors = vectors[vectors.any(axis=1)]
    query = QUERY.astype(np.float64)
    cosines = vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
    found = part.moments.of(QueryVector.of(QUERY, len(QUERY)), Metric.COSINE)
    assert part.moments.count == len(vectors)
    assert found == pytest.approx((cosines.mean(), cosines.std()), rel=1e-5, abs=1e-7)


def test_saved_sums_are_taken_up_and_only_what_is_newer_is_added(path, fill, rows, added):
    with fill(path) as client:
        before = hybrid(client)
        wait(client)
    assert added == [600]
    with MilvusClient(path) as client:
        assert hybrid(client) == before
        assert added == [600]
        check(client)
        client.insert("c", rows(600, 640))
        client.delete("c", ids=list(range(10)))
        hybrid(client)
        assert added == [600, 50]
        check(client)
        assert client.verify() == []


def test_vectors_zero_are_left_out_of_saved_sums_too(path, fill, rows, added):
    with fill(path) as client:
        zeros = [row | {"vector": np.zeros(16, dtype=np.float32)} for row in rows(600, 900)]
        client.insert("c", zeros)
        before = hybrid(client)
        check(client)
        wait(client)
    with MilvusClient(path) as client:
        assert hybrid(client) == before
        check(client)
        client.delete("c", ids=[0, 1, 700, 701])
        hybrid(client)
        check(client)
    assert added == [600, 2]


def test_they_are_saved_again_when_a_quarter_is_new(path, fill, rows, added):
    with fill(path) as client:
        hybrid(client)
        wait(client)
        client.insert("c", rows(600, 900))
        hybrid(client)
        wait(client)
    with MilvusClient(path) as client:
        hybrid(client)
        check(client)
    assert added == [600, 300]


@pytest.mark.parametrize("seed", range(3))
def test_any_history_around_the_saving_has_the_moments_of_its_vectors(path, fill, rows, seed):
    rng = np.random.default_rng(seed)
    client = fill(path)
    last = 600
    for _ in range(8):
        for step in rng.choice(["insert", "delete", "upsert", "search", "reopen"], 4).tolist():
            low = int(rng.integers(0, last))
            if step == "insert":
                client.insert("c", rows(last, last + 150))
                last += 150
            elif step == "delete":
                client.delete("c", filter=f"num >= {low} and num < {low + 60}")
            elif step == "upsert":
                client.upsert("c", rows(low, low + 20))
            elif step == "search":
                hybrid(client)
                wait(client)
            else:
                client.close()
                client = MilvusClient(path)
        hybrid(client)
        check(client)
    client.close()


def test_a_save_without_sums_that_cover_all_leaves_none_that_do_not(path, fill, rows, added):
    with fill(path) as client:
        hybrid(client)
        wait(client)
        client.insert("c", rows(600, 620))
        client._database._upkeep.cache.save(state_of(client))
    with MilvusClient(path) as client:
        hybrid(client)
        check(client)
    assert added == [600, 620]
