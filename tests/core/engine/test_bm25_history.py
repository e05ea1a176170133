"""Whatever happened to a file, its BM25 hits are those of a fresh one with the same rows."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elanus import MilvusClient

WORDS = ["red", "red red", "green", "blue", "sea", "the", "quick fox", "Ünïcode", "x1", ""]
QUERIES = ["red", "the red red fox", "green blue sea", "x1 nothing", "nothing", ""]

keys = st.integers(0, 19)
texts = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
batches = st.dictionaries(keys, texts, min_size=1, max_size=12)
puts = st.tuples(st.sampled_from(["insert", "upsert"]), batches)
deletes = st.tuples(st.just("delete"), st.sets(keys, min_size=1, max_size=6))
looks = st.tuples(
    st.sampled_from(["search", "count", "text_match", "reopen", "compact", "truncate", "release"]),
    st.none(),
)
histories = st.lists(puts | deletes | deletes | looks, min_size=3, max_size=25)


class History:
    """A file and the texts that should be in it."""

    def __init__(self, world, path):
        self.world, self.path, self.texts = world, path, {}
        self.client = MilvusClient(path, durability="normal")
        world.create(self.client)

    def step(self, what, value):
        name = self.world.NAME
        if what in ("insert", "upsert"):
            getattr(self.client, what)(name, [self.world.row(k, text=t) for k, t in value.items()])
            self.texts |= value
        elif what == "delete":
            self.client.delete(name, ids=sorted(value))
            self.texts = {k: t for k, t in self.texts.items() if k not in value}
        elif what == "search":
            self.hits()
        elif what == "count":
            self.client.get_collection_stats(name)
        elif what == "text_match":
            self.client.query(name, filter="text_match(text, 'red')")
        elif what == "reopen":
            self.client.close()
            self.client = MilvusClient(self.path, durability="normal")
        elif what == "truncate":
            self.client.truncate_collection(name)
            self.texts = {}
        else:
            getattr(self.client, {"release": "release_collection"}.get(what, what))(name)

    def hits(self):
        return [
            self.world.found(self.client, "bm", query, limit)
            for query in QUERIES
            for limit in (1, 3, 100)
        ]


@pytest.fixture
def low_limits(thresholds, monkeypatch):
    """Trim the log of deletes, split batches and rebuild views already at a few rows."""
    monkeypatch.setattr("elanus.engine._write._MOST_LOGGED_DELETES", 2)
    monkeypatch.setattr("elanus.engine._write._AT_ONCE", 3)
    thresholds(rebuild_slots=30)


def fresh_hits(world, texts):
    with MilvusClient(":memory:") as client:
        world.create(client)
        client.insert(world.NAME, [world.row(k, text=t) for k, t in sorted(texts.items())])
        return [
            world.found(client, "bm", query, limit) for query in QUERIES for limit in (1, 3, 100)
        ]


@settings(suppress_health_check=list(HealthCheck))
@given(history=histories)
def test_hits_equal_those_of_a_fresh_file_bit_for_bit(world, tmp_path_factory, low_limits, history):
    kept = History(world, str(tmp_path_factory.mktemp("history") / "kb.db"))
    for what, value in history:
        kept.step(what, value)
    rows = {k: {"text": t} for k, t in kept.texts.items()}
    hits = kept.hits()
    assert hits == fresh_hits(world, kept.texts)
    assert hits[2] == world.text(rows, "text", QUERIES[0])
    assert kept.client.verify() == []
    kept.client.close()


def test_statistics_survive_a_log_that_was_trimmed_while_only_rows_were_looked_at(
    world, client, low_limits
):
    texts = {i: f"red {'sea ' * i}" for i in range(30)}
    client.insert(world.NAME, [world.row(k, text=t) for k, t in texts.items()])
    world.found(client, "bm", "red")
    for key in range(12):
        client.delete(world.NAME, ids=[key])
        client.get_collection_stats(world.NAME)
        del texts[key]
    rows = {k: {"text": t} for k, t in texts.items()}
    assert world.found(client, "bm", "red sea") == world.text(rows, "text", "red sea")


def test_a_second_handle_that_slept_through_a_trimmed_log_has_the_right_statistics(
    world, path, client, low_limits
):
    client.insert(world.NAME, [world.row(i, text="red sea") for i in range(30)])
    with MilvusClient(path) as other:
        world.found(other, "bm", "red")
        for key in range(20):
            client.delete(world.NAME, ids=[key])
        rows = {k: {"text": "red sea"} for k in range(20, 30)}
        assert world.found(other, "bm", "sea") == world.text(rows, "text", "sea")
        assert other.verify() == []


def test_a_failed_batch_leaves_no_trace_in_the_statistics(world, client):
    client.insert(world.NAME, [world.row(1, text="red sea"), world.row(2, text="red")])
    before = world.found(client, "bm", "red sea new")
    rows = [world.row(3, text="new red"), world.row(4, text="new", v=[1, 2])]
    with pytest.raises(ValueError, match="row 1"):
        client.insert(world.NAME, rows)
    assert world.found(client, "bm", "red sea new") == before
    client.insert(world.NAME, [world.row(3, text="other new")])
    rows = {1: {"text": "red sea"}, 2: {"text": "red"}, 3: {"text": "other new"}}
    assert world.found(client, "bm", "new red") == world.text(rows, "text", "new red")
