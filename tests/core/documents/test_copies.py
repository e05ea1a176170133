"""A document that is there more than once is one answer, as relevant as it was alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus import AdaptiveRanker, DocumentStore
from elanus.query import Evidence, RankedLeg, fuse_by_evidence

COUNT, DIM = 120, 16
WORDS = [f"w{i:03}" for i in range(150)]


def relevances(legs, places):
    """Of candidates that are copies of those at some places, among as many more documents."""
    times = len(places) // len(legs[0].scores)
    said = [
        Evidence(
            leg.scores[places], leg.mean, leg.deviation, leg.documents * times,
            None if leg.found is None else leg.found[places], leg.possible,
        )
        for leg in legs
    ]  # fmt: skip
    ids = np.arange(len(places))
    rankings = [RankedLeg(str(n), None, [], []) for n in range(len(legs))]
    return fuse_by_evidence(rankings, ids, said, AdaptiveRanker())[1]


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 60), times=st.integers(2, 6),
       mode=st.sampled_from(["dense", "hybrid", "unknown words"]))  # fmt: skip
def test_copies_of_all_candidates_change_no_relevance(seed, count, times, mode):
    rng = np.random.default_rng(seed)
    # Nothing stands alike by chance.
    cosines = np.cumsum(rng.uniform(0.01, 0.2, count)) - rng.uniform(0, 3)
    legs = [Evidence(cosines, 0.1, 0.9, 5 * count)]
    if mode != "dense":
        bm25 = np.maximum(cosines - rng.uniform(-1, 2), 0) * (mode == "hybrid")
        legs.append(Evidence(bm25, 0.0, 0.4, 5 * count, bm25 > 0, 5.0))
    once = relevances(legs, np.arange(count))
    places = rng.permutation(np.repeat(np.arange(count), times))
    assert relevances(legs, places) == pytest.approx(once[places], abs=1e-9)


def test_copies_that_a_model_rounded_otherwise_are_copies():
    rng = np.random.default_rng(1)
    scores = np.array([*np.linspace(-1, 3, 29), 8])
    once = relevances([Evidence(scores, 0.0, 1.0, 500)], np.arange(30))
    for noise, near in ((2e-5, 1e-3), (2e-2, None)):
        twice = np.repeat(scores, 2) + rng.uniform(-noise, noise, 60)
        said = relevances([Evidence(twice, 0.0, 1.0, 1000)], np.arange(60))[::2]
        if near is None:  # these are different documents
            assert said[-1] < once[-1] - 0.05
        else:
            assert said == pytest.approx(once, abs=near)


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(5)
    return [" ".join(rng.choice(WORDS, 12)) for _ in range(COUNT)]


@pytest.fixture(scope="module")
def vectors():
    return np.random.default_rng(6).standard_normal((COUNT, DIM)).astype(np.float32)


@pytest.fixture(scope="module")
def stores(texts, vectors):
    """The documents once, twice and five times."""
    opened = {times: DocumentStore(":memory:", dim=DIM) for times in (1, 2, 5)}
    for times, store in opened.items():
        ids = [f"{n:03}-{copy}" for n in range(COUNT) for copy in range(times)]
        store.add([text for text in texts for _ in range(times)], ids=ids,
                  vectors=np.repeat(vectors, times, axis=0))  # fmt: skip
    yield opened
    for store in opened.values():
        store.close()


def found(store, query, vector, mode, times, k=COUNT):
    """Relevances of the documents, whose copies have the same."""
    depth = {"depth": COUNT * times} if mode == "hybrid" else {}
    vector = None if mode == "text" else vector
    best = {}
    for hit in store.search(query, k * times, mode, vector=vector, **depth):
        best.setdefault(hit.id[:3], set()).add(hit.relevance)
    assert all(len(same) == 1 for same in best.values())
    return {name: min(same) for name, same in best.items()}


# By how much a relevance may change. Vectors: by nothing but what happens to stand alike. Words:
# the idf of a rare one grows with the number of documents, and so does, in text mode, what the best
# has by chance.
@pytest.mark.parametrize(("mode", "near"), [("dense", 0.01), ("hybrid", 0.05), ("text", 0.3)])
@pytest.mark.parametrize("times", [2, 5])
def test_a_corpus_with_all_documents_copied_is_as_relevant(
    stores, texts, vectors, mode, near, times
):
    rng, first = np.random.default_rng(7), []
    for n in range(0, COUNT, 6):
        query = " ".join([*texts[n].split()[:3], "unheard"])
        vector = vectors[n] + rng.normal(scale=0.5, size=DIM)
        once = found(stores[1], query, vector, mode, 1)
        more = found(stores[times], query, vector, mode, times)
        assert more == pytest.approx(once, abs=near)
        first.append(once[f"{n:03}"])
    assert np.mean(first) > 0.3


@pytest.mark.parametrize("mode", ["dense", "hybrid"])
def test_a_relevance_does_not_depend_on_how_many_are_asked_for(stores, texts, vectors, mode):
    query = " ".join(texts[3].split()[:3])
    for times, store in stores.items():
        whole = found(store, query, vectors[3], mode, times)
        for k in (1, 4):
            few = found(store, query, vectors[3], mode, times, k)
            assert few == pytest.approx({name: whole[name] for name in few}, abs=1e-12)


@pytest.mark.parametrize("mode", ["dense", "text", "hybrid"])
def test_copies_of_the_answer_leave_it_above_the_gate(open_store, texts, vectors, mode):
    store = open_store(dim=DIM)
    written = [*texts]
    written[7] += " quokka quokka marsupial"
    store.add(written, ids=[f"{n:03}" for n in range(COUNT)], vectors=vectors)
    asked = {"vector": None if mode == "text" else vectors[7], "min_relevance": 0.3}
    assert [hit.id for hit in store.search("quokka marsupial", 9, mode, **asked)] == ["007"]
    store.add([written[7]] * 4, ids=list("abcd"), vectors=[vectors[7]] * 4)
    hits = store.search("quokka marsupial", 9, mode, **asked)
    assert sorted(hit.id for hit in hits) == ["007", "a", "b", "c", "d"]
