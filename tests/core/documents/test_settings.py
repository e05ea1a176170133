"""What a search goes by where its arguments say nothing, and who may say it."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from elanus import AdaptiveRanker, DocumentStore, RRFRanker, SearchSettings
from elanus.engine import _database
from elanus.errors import ParamError, ReadOnlyError

DIM = 8
WORDS = ["kite", "owl", "falcon", "prey", "hill", "night", "wing", "mice"]
QUERY = "kite prey night"
# Vectors of words: so what the words find is near by its vectors too, and those are trusted.
POINTS = dict(zip(WORDS, np.random.default_rng(6).normal(size=(len(WORDS), DIM)), strict=True))
NEAR = sum(POINTS[word] for word in QUERY.split())
DEFAULTS = SearchSettings(weight=1.1, k1=1.2, b=0.75, depth=100)


class Weighing:
    """An embedding function that says how much it counts."""

    dim, name = DIM, "weighing"

    def __init__(self, weight):
        self.adaptive_weight = weight

    def encode_documents(self, texts):
        return self.encode_queries(texts)

    def encode_queries(self, texts):
        return np.ones((len(texts), DIM), dtype=np.float32)


@pytest.fixture
def texts():
    rng = np.random.default_rng(5)
    return [" ".join(rng.choice(WORDS, rng.integers(2, 12))) for _ in range(300)]


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "a.db")


@pytest.fixture
def fill(open_store, texts):
    """Opens a store of 300 documents, and keeps a weight of 2."""

    def make(path=":memory:", embedding=None):
        store = open_store(path, embedding, dim=DIM)
        noise = np.random.default_rng(7).normal(scale=2, size=(len(texts), DIM))
        vectors = noise + [sum(POINTS[word] for word in each.split()) for each in texts]
        store.add(texts, ids=[f"{i:03}" for i in range(len(texts))], vectors=vectors)
        return store

    return make


def found(store, **options):
    """Ids and scores of a hybrid search."""
    return [(hit.id, hit.score) for hit in store.search(QUERY, vector=NEAR, **options)]


def by_words(texts, k1, b):
    """BM25 of the texts, best first, by the formula of ``docs/scores.md``."""
    terms = [text.split() for text in texts]
    average = sum(map(len, terms)) / len(terms)
    scores = Counter()
    for word in QUERY.split():
        df = sum(word in each for each in terms)
        idf = math.log(1 + (len(terms) - df + 0.5) / (df + 0.5))
        for i, each in enumerate(terms):
            if tf := each.count(word):
                norm = k1 * (1 - b + b * len(each) / average)
                scores[f"{i:03}"] += idf * tf * (k1 + 1) / (tf + norm)
    return [score for _, score in scores.most_common(10)]


def said(store):
    return [hit.score for hit in store.search(QUERY, mode="text")]


def test_the_nearest_to_the_call_says_the_weight(fill, path):
    store = fill(path, Weighing(0.3))
    by = {w: found(store, ranker=AdaptiveRanker(w)) for w in (0.3, 0.7, 1.1, 2.0, 4.0)}
    assert len({tuple(each) for each in by.values()}) == 5
    assert found(store) == by[0.3]
    assert store.stats().settings.weight == 0.3
    store.configure(SearchSettings(weight=2))
    assert found(store) == by[2.0]
    assert found(store, settings=SearchSettings(depth=100)) == by[2.0]
    assert found(store, settings=SearchSettings(weight=4)) == by[4.0]
    other = SearchSettings(weight=4)
    assert found(store, settings=other, ranker=AdaptiveRanker(0.7)) == by[0.7]
    assert found(store, ranker=RRFRanker()) not in by.values()
    assert store.stats().kept == SearchSettings(weight=2.0)
    store.configure()
    assert found(store) == by[0.3]
    with DocumentStore(path) as plain:
        assert found(plain) == by[1.1]
        assert plain.stats().settings == DEFAULTS
        assert plain.stats().kept == SearchSettings()


def test_the_nearest_to_the_call_says_the_depth(fill):
    store = fill()
    by = {n: found(store, depth=n) for n in (8, 12, 100)}
    assert by[8] != by[12] != by[100]
    assert found(store) == by[100]
    store.configure(SearchSettings(depth=12))
    assert found(store, k=3) == by[12][:3]
    assert found(store, k=10) == found(store, depth=40)  # four times as many are the least
    assert found(store, k=2, settings=SearchSettings(depth=8)) == by[8][:2]
    assert found(store, k=3, depth={"dense": 100}) == found(
        store, k=3, depth={"dense": 100, "text": 12}
    )
    assert [h.id for h in store.search_mmr(QUERY, 1, 1, vector=NEAR)] == [by[12][0][0]]


def test_parameters_of_bm25_are_of_every_search_by_words(fill, texts):
    store = fill()
    assert said(store) == pytest.approx(by_words(texts, 1.2, 0.75), abs=1e-4)
    before = found(store)
    store.configure(SearchSettings(k1=0.4, b=0.1))
    assert said(store) == pytest.approx(by_words(texts, 0.4, 0.1), abs=1e-4)
    assert found(store) != before
    hits = store.search(QUERY, mode="text", settings=SearchSettings(k1=2.5))
    assert [h.score for h in hits] == pytest.approx(by_words(texts, 2.5, 0.1), abs=1e-4)
    texts = [*texts, "kite kite kite", "owl prey"]
    store.add(texts[-2:], ids=["300", "301"], vectors=np.ones((2, DIM)))
    assert said(store) == pytest.approx(by_words(texts, 0.4, 0.1), abs=1e-4)
    store.configure()
    assert said(store) == pytest.approx(by_words(texts, 1.2, 0.75), abs=1e-4)


_ASK = """
import json, sys
from elanus import DocumentStore
with DocumentStore(sys.argv[1], read_only=True) as store:
    hits = store.search(sys.argv[2], vector=json.loads(sys.argv[3]))
    print(json.dumps([[hit.id, hit.score] for hit in hits]))
"""


def test_settings_are_seen_at_the_next_search_and_by_every_later_opening(fill, path, open_store):
    store, other = fill(path), open_store(path)
    default = found(other)
    settings = SearchSettings(weight=3, k1=0.5, b=0.2, depth=200)
    store.configure(settings)
    expected = found(store)
    assert expected != default
    assert found(other) == expected
    assert other.stats().kept == other.stats().settings == settings
    command = [sys.executable, "-c", _ASK, path, QUERY, json.dumps(NEAR.tolist())]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert [tuple(each) for each in json.loads(done.stdout)] == expected
    store.close()
    with DocumentStore(path) as again:
        assert found(again) == expected
        again.configure(None)
        assert found(other) == found(again) == default


def test_who_may_only_read_changes_nothing(fill, path):
    store = fill(path)
    with DocumentStore(path, read_only=True) as reader, pytest.raises(ReadOnlyError):
        reader.configure(SearchSettings(weight=2))
    assert store.stats().kept == SearchSettings()


def test_half_a_change_is_none(fill, monkeypatch):
    store = fill()
    before = found(store)

    def fail(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_database, "put_index", fail)  # the properties are written before
        with pytest.raises(KeyboardInterrupt):
            store.configure(SearchSettings(weight=5, k1=0.1))
    assert store.stats().kept == SearchSettings()
    assert found(store) == before
    store.configure(SearchSettings(weight=5, k1=0.1))
    assert store.stats().kept == SearchSettings(weight=5, k1=0.1)


def test_a_store_without_vectors_keeps_those_of_words(open_store, texts):
    store = open_store()
    store.add(texts)
    store.configure(SearchSettings(k1=0.4, b=0.1))
    assert said(store) == pytest.approx(by_words(texts, 0.4, 0.1), abs=1e-4)
    with pytest.raises(ParamError, match="weight and depth are of a fusion with vectors"):
        store.configure(SearchSettings(weight=1.0))
    assert store.stats().kept == SearchSettings(k1=0.4, b=0.1)


def test_the_coroutine_does_the_same(fill):
    store = fill()
    asyncio.run(store.aconfigure(SearchSettings(weight=2.5)))
    assert found(store) == found(store, ranker=AdaptiveRanker(2.5))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"weight": -1}, "weight must be a number from 0"),
        ({"weight": math.inf}, "weight must be a number from 0"),
        ({"weight": math.nan}, "weight must be a number from 0"),
        ({"weight": True}, "weight must be a number from 0"),
        ({"k1": 3.5}, "k1 must be a number from 0 to 3, got 3.5"),
        ({"b": "1"}, "b must be a number from 0 to 1"),
        ({"depth": 0}, "depth must be an integer of at least 1"),
        ({"depth": 1.5}, "depth must be an integer of at least 1"),
    ],
)
def test_a_wrong_number_is_named(settings, says):
    with pytest.raises(ParamError, match=says):
        SearchSettings(**settings)


def test_what_are_no_settings_is_refused(fill):
    store = fill()
    for wrong in ({"weight": 1}, 1.1, AdaptiveRanker()):
        with pytest.raises(ParamError, match="settings must be SearchSettings or None"):
            store.configure(wrong)
        with pytest.raises(ParamError, match="settings must be SearchSettings or None"):
            found(store, settings=wrong)


@pytest.mark.parametrize("weight", [-0.1, math.inf, math.nan, "1", True])
def test_a_function_with_a_wrong_weight_is_named_when_the_store_is_opened(open_store, weight):
    with pytest.raises(ParamError, match="embedding 'weighing': adaptive_weight must be a number"):
        open_store(embedding=Weighing(weight))


def test_a_weight_that_cannot_be_read_is_an_error_of_ours(open_store):
    class Broken(Weighing):
        @property
        def adaptive_weight(self):
            raise RuntimeError("the model is gone")

        @adaptive_weight.setter
        def adaptive_weight(self, weight):
            pass

    with pytest.raises(ParamError, match=r"its adaptive_weight cannot be read: .*is gone"):
        open_store(embedding=Broken(1))


def test_settings_say_what_they_are():
    assert str(SearchSettings(1, depth=40)) == "weight 1, depth 40"
    assert str(SearchSettings()) == "nothing"
