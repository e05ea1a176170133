"""What a search sees: every commit before it, whole commits only, whoever made them."""

import threading
import time
from contextlib import contextmanager

import pytest

from elanus import MilvusClient
from elanus.engine import _parts
from elanus.engine._parts import TextKey
from elanus.errors import ParamError
from elanus.storage import decode_row

QUERY = [1, 2, 0, -1]


def everywhere(world, client, text="red"):
    """The keys that each kind of search finds; all of them, on rows that match everywhere."""
    name = world.NAME
    return {
        "v": {k for k, _ in world.found(client, "v", QUERY)},
        "w": {k for k, _ in world.found(client, "w", QUERY)},
        "bm": {k for k, _ in world.found(client, "bm", text)},
        "s": {k for k, _ in world.found(client, "s", {1: 1.0})},
        "filter": {r["id"] for r in client.query(name, filter="n >= 0", output_fields=["id"])},
        "text_match": {r["id"] for r in client.query(name, filter=f"text_match(text, '{text}')")},
        "get": {r["id"] for r in client.get(name, ids=list(range(200)))},
        "count": client.query(name, output_fields=["count(*)"])[0]["count(*)"],
    }


def assert_holds(world, client, keys):
    seen = everywhere(world, client)
    assert seen.pop("count") == len(keys)
    assert seen == {kind: set(keys) for kind in seen}


@pytest.fixture
def full_row(world):
    def make(key, **values):
        return world.row(key, **{"text": "red", "v": QUERY, "w": QUERY, "n": 1, **values})

    return make


@contextmanager
def in_threads(work, count=3):
    """Run ``work`` again and again in threads while the block runs; then show their errors."""
    stop, errors = threading.Event(), []

    def loop():
        try:
            while not stop.is_set():
                work()
        except BaseException as error:  # noqa: BLE001  # shown in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=loop) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []


# --- freshness -----------------------------------------------------------------------------


def test_a_handle_finds_its_own_writes_at_once(world, client, full_row):
    assert_holds(world, client, [])
    for key in range(5):
        client.insert(world.NAME, [full_row(key)])
        assert_holds(world, client, range(key + 1))
    client.delete(world.NAME, ids=[0, 3])
    assert_holds(world, client, [1, 2, 4])
    client.delete(world.NAME, filter="id == 4")
    assert_holds(world, client, [1, 2])
    client.truncate_collection(world.NAME)
    assert_holds(world, client, [])


def test_a_handle_finds_the_writes_of_another_at_once(world, path, client, full_row):
    with MilvusClient(path) as other:
        for key in range(5):
            other.insert(world.NAME, [full_row(key)])
            assert_holds(world, client, range(key + 1))
            assert_holds(world, other, range(key + 1))
        client.delete(world.NAME, ids=[1])
        assert_holds(world, other, [0, 2, 3, 4])
        other.truncate_collection(world.NAME)
        assert_holds(world, client, [])
        assert other.verify() == []


def test_an_upsert_changes_all_fields_of_a_row_together(world, client, full_row):
    client.insert(world.NAME, [full_row(1), full_row(2)])
    changed = {"text": "blue", "v": [-1, 0, 0, 0], "w": None, "s": {2: 1.0}, "n": None}
    client.upsert(world.NAME, [full_row(1, **changed)])
    seen = everywhere(world, client)
    assert (seen["w"], seen["bm"], seen["s"], seen["filter"]) == ({2}, {2}, {2}, {2})
    assert world.found(client, "bm", "blue")[0][0] == 1
    assert dict(world.found(client, "v", [1, 0, 0, 0]))[1] == -1.0
    assert seen["count"] == 2


# --- one commit ----------------------------------------------------------------------------


@pytest.mark.parametrize("readers", ["same handle", "another handle", "in memory"])
def test_readers_see_whole_batches_in_all_legs_and_fields(
    world, path, client, readers, thresholds, monkeypatch
):
    """Each commit rewrites all rows with its own number in every field."""
    thresholds(rebuild_slots=40)
    monkeypatch.setattr("elanus.engine._write._MOST_LOGGED_DELETES", 30)
    if readers == "in memory":
        client = MilvusClient(":memory:")
        world.create(client)
    reader = MilvusClient(path) if readers == "another handle" else client

    def batch(number):
        return [
            world.row(i, text=f"n{number} red", v=[number, 1, 0, 0], s={1: float(number)}, n=number)
            for i in range(12)
        ]

    def look():
        reqs = [
            world.request("v", [1, 0, 0, 0], 100),
            world.request("bm", "red", 100),
            world.request("s", {1: 1.0}, 100),
        ]
        fields = ["text", "v", "s", "n"]
        [hits] = reader.hybrid_search(world.NAME, reqs, limit=100, output_fields=fields)
        assert len(hits) == 12
        numbers = {h["n"] for h in hits} | {h["v"][0] for h in hits} | {h["s"][1] for h in hits}
        assert len(numbers) == 1
        assert {h["text"] for h in hits} == {f"n{numbers.pop()} red".replace(".0", "")}
        assert len({r["n"] for r in reader.query(world.NAME, output_fields=["n"])}) == 1
        assert len(world.found(reader, "v", [1, 0, 0, 0], filter="n > 0")) == 12

    client.insert(world.NAME, batch(1))
    with in_threads(look):
        for number in range(2, 60):
            client.upsert(world.NAME, batch(number))
    assert reader.verify() == []
    if readers != "same handle":
        reader.close()


def test_readers_of_a_released_collection_still_find_everything(world, client, full_row):
    client.insert(world.NAME, [full_row(i, n=i) for i in range(40)])
    client.delete(world.NAME, ids=list(range(10)))

    def look():
        assert len(world.found(client, "v", QUERY, filter="n < 20 and tag is null")) == 10
        assert len(world.found(client, "bm", "red", filter="n < 20")) == 10

    with in_threads(look):
        for _ in range(150):
            client.release_collection(world.NAME)


def test_no_index_is_mixed_with_slots_that_were_numbered_afresh(
    world, client, full_row, monkeypatch
):
    """A collection is released just after a search has evaluated its filter."""
    client.insert(world.NAME, [full_row(i, n=i) for i in range(40)])
    client.get_collection_stats(world.NAME)
    client.delete(world.NAME, ids=list(range(10)))
    released = []

    def release_once(self, *args, **kwargs):
        mask = eligible(self, *args, **kwargs)
        if not released:
            released.append(1)
            self.state.forget()
        return mask

    from elanus.engine import Snapshot  # noqa: PLC0415  # only here something inside is patched

    eligible = Snapshot.eligible
    client.query(world.NAME, filter="n < 20")
    monkeypatch.setattr(Snapshot, "eligible", release_once)
    hits = world.found(client, "v", QUERY, filter="n < 20")
    assert released
    assert [key for key, _ in hits] == list(range(10, 20))


def test_released_collections_are_read_again_when_used(world, client, full_row):
    client.insert(world.NAME, [full_row(i) for i in range(5)])
    client.release_collection(world.NAME)
    assert client.get_load_state(world.NAME)["state"].name == "NotLoad"
    assert_holds(world, client, range(5))
    client.load_collection(world.NAME)
    assert client.get_load_state(world.NAME)["state"].name == "Loaded"
    assert_holds(world, client, range(5))


def test_a_view_that_was_published_never_changes(world, client, full_row):
    """Searches that began on it go on without a lock."""
    client.insert(world.NAME, [full_row(i) for i in range(20)])
    assert_holds(world, client, range(20))
    view = client._database.commits.read(world.NAME, lambda s: s.view)
    before = view.rows.tolist(), view.keys.tolist(), view.alive.tolist(), view.count
    parts = dict(view.parts)
    for _ in range(3):
        client.delete(world.NAME, ids=[3, 4])
        client.upsert(world.NAME, [full_row(i) for i in range(4, 40)])
        assert_holds(world, client, [0, 1, 2, *range(4, 40)])
    assert before == (view.rows.tolist(), view.keys.tolist(), view.alive.tolist(), view.count)
    assert parts == view.parts


# --- histories that make slots or tables void ----------------------------------------------


def test_a_view_that_is_mostly_dead_is_read_afresh(world, client, full_row, thresholds):
    thresholds(rebuild_slots=20)
    client.insert(world.NAME, [full_row(i) for i in range(60)])
    assert_holds(world, client, range(60))
    client.delete(world.NAME, ids=list(range(29)))
    assert_holds(world, client, range(29, 60))
    slots = client._database.commits.read(world.NAME, lambda s: s.view.n)
    client.delete(world.NAME, ids=[29, 30, 31])
    assert_holds(world, client, range(32, 60))
    assert (slots, client._database.commits.read(world.NAME, lambda s: s.view.n)) == (60, 28)
    client.upsert(world.NAME, [full_row(i) for i in range(40, 70)])
    assert_holds(world, client, range(32, 70))


def test_a_recreated_collection_holds_nothing_of_its_predecessor(world, path, client, full_row):
    with MilvusClient(path) as other:
        client.insert(world.NAME, [full_row(i) for i in range(5)])
        assert_holds(world, other, range(5))
        client.drop_collection(world.NAME)
        assert not other.has_collection(world.NAME)
        world.create(client)
        for handle in (client, other):
            assert_holds(world, handle, [])
        other.insert(world.NAME, [full_row(7)])
        for handle in (client, other):
            assert_holds(world, handle, [7])


def test_collections_that_exchange_their_names_keep_their_rows(world, path, client, full_row):
    world.create(client, "second")
    client.insert(world.NAME, [full_row(1)])
    client.insert("second", [full_row(2)])
    with MilvusClient(path) as other:
        assert_holds(world, other, [1])
        client.rename_collection(world.NAME, "third")
        client.rename_collection("second", world.NAME)
        assert_holds(world, other, [2])
        assert_holds(world, client, [2])


def test_bm25_parameters_are_those_of_the_present_index(world, path, client):
    rows = {i: world.row(i, text="red " * (i % 4) + "sea " * i) for i in range(12)}
    client.insert(world.NAME, list(rows.values()))
    with MilvusClient(path) as other:
        for k1, b in ((1.2, 0.75), (2.0, 0.0), (0.0, 1.0), (0.5, 1.0)):
            for handle in (client, other):
                handle.drop_index(world.NAME, "bm")
                default = world.text(rows, "text", "red sea")
                assert world.found(handle, "bm", "red sea") == default
            params = client.prepare_index_params()
            params.add_index("bm", "AUTOINDEX", metric_type="BM25", bm25_k1=k1, bm25_b=b)
            client.create_index(world.NAME, params)
            expected = world.text(rows, "text", "red sea", k1=k1, b=b)
            for handle in (client, other):
                assert world.found(handle, "bm", "red sea") == expected
        client.delete(world.NAME, ids=[11])
        del rows[11]
        expected = world.text(rows, "text", "red sea", k1=0.5, b=1.0)
        assert world.found(other, "bm", "red sea") == expected


def test_a_search_may_have_parameters_of_bm25_of_its_own(world, path, client):
    rows = {i: world.row(i, text="red " * (i % 4) + "sea " * i) for i in range(12)}
    client.insert(world.NAME, list(rows.values()))
    filter_ = "text_match(text, 'red')"
    held = {i: row for i, row in rows.items() if i % 4}
    for k1, b in ((2.0, 0.0), (0.5, 1.0), (2.0, 0.0)):
        asked = {"bm25_k1": k1, "params": {"bm25_b": b}}
        expected = world.text(rows, "text", "red sea", k1=k1, b=b)
        assert world.found(client, "bm", "red sea", search_params=asked) == expected
        (found,) = client.search(
            world.NAME, ["red sea"], anns_field="bm", limit=99, filter=filter_, search_params=asked
        )
        assert [hit.distance for hit in found] == [d for key, d in expected if key in held]
        assert world.found(client, "bm", "red sea") == world.text(rows, "text", "red sea")
    (state,) = client._database.commits.states.values()
    assert sum(isinstance(key, TextKey) for key in state.view.parts) == 1
    for wrong, says in (({"bm25_k1": 4}, "bm25_k1 must be a number from 0 to 3"),
                        ({"bm25_b": "x"}, "bm25_b must be a number from 0 to 1")):  # fmt: skip
        with pytest.raises(ParamError, match=says):
            world.found(client, "bm", "red sea", search_params=wrong)


def test_properties_and_an_index_change_in_one_commit(world, path, client):
    rows = {i: world.row(i, text="red " * (i % 4) + "sea " * i) for i in range(12)}
    client.insert(world.NAME, list(rows.values()))
    params = client.prepare_index_params()
    params.add_index("bm", "AUTOINDEX", metric_type="BM25", bm25_k1=2.0, bm25_b=0.0)
    with MilvusClient(path) as other:
        before = world.text(rows, "text", "red sea")
        assert world.found(other, "bm", "red sea") == before
        client.change_collection(world.NAME, {"mine": {"x": [1]}}, params)
        for handle in (client, other):
            assert handle.describe_collection(world.NAME)["properties"]["mine"] == {"x": [1]}
            expected = world.text(rows, "text", "red sea", k1=2.0, b=0.0)
            assert world.found(handle, "bm", "red sea") == expected != before
        last = other._database.catalogue().version
        client.change_collection(world.NAME, {"mine": {"x": [1]}, "none": None}, params)
        assert other._database.catalogue().version == last
        client.change_collection(world.NAME, {"mine": None})
        assert "mine" not in other.describe_collection(world.NAME)["properties"]
        assert other.verify() == []
        for wrong in ({"properties": 5}, {"properties": {"x": b"y"}}, {"index_params": 5}):
            with pytest.raises(ParamError):
                client.change_collection(world.NAME, **wrong)


# --- values at the edge --------------------------------------------------------------------


def test_rows_without_a_vector_are_never_found_by_it(world, client, full_row):
    client.insert(world.NAME, [full_row(i, w=None if i % 2 else QUERY) for i in range(10)])
    assert {k for k, _ in world.found(client, "w", QUERY)} == {0, 2, 4, 6, 8}
    assert world.found(client, "w", QUERY, filter="id in [1, 3]") == []
    client.upsert(world.NAME, [full_row(0, w=None), full_row(1)])
    assert {k for k, _ in world.found(client, "w", QUERY)} == {1, 2, 4, 6, 8}
    assert client.get(world.NAME, ids=[0])[0]["w"] is None


@pytest.mark.parametrize("metric", ["COSINE", "IP", "L2"])
def test_zero_vectors_have_a_score_and_a_place(world, metric):
    rows = {i: world.row(i, v=v) for i, v in enumerate([[0] * 4, QUERY, [-1, -2, 0, 1], [0] * 4])}
    with MilvusClient(":memory:") as client:
        world.create(client, v=("FLAT", metric))
        client.insert(world.NAME, list(rows.values()))
        for query in (QUERY, [0] * 4):
            assert world.found(client, "v", query) == world.dense(rows, "v", metric, query)
        assert client.verify() == []


def test_of_rows_with_one_key_in_a_batch_the_last_one_stays(world, client, full_row, monkeypatch):
    monkeypatch.setattr("elanus.engine._write._AT_ONCE", 3)
    batch = [full_row(i % 4, n=i, text=f"red w{i}") for i in range(14)]
    assert client.insert(world.NAME, batch)["insert_count"] == 14
    assert_holds(world, client, range(4))
    kept = {r["id"]: r["n"] for r in client.query(world.NAME, output_fields=["n", "id"])}
    assert kept == {0: 12, 1: 13, 2: 10, 3: 11}
    assert world.found(client, "bm", "w9") == []
    assert [k for k, _ in world.found(client, "bm", "w10")] == [2]


def test_row_that_came_and_went_between_two_looks_leaves_nothing(world, path, client, full_row):
    with MilvusClient(path) as other:
        assert_holds(world, other, [])
        client.insert(world.NAME, [full_row(i) for i in range(6)])
        client.delete(world.NAME, ids=[0, 5])
        client.upsert(world.NAME, [full_row(2), full_row(5)])
        assert_holds(world, other, [1, 2, 3, 4, 5])
        assert other.verify() == []


# --- columns -------------------------------------------------------------------------------


@pytest.fixture
def decoded(monkeypatch):
    """Numbers of the rows whose fields were decoded, one entry each time."""
    rows = []

    def decode(row, data):
        rows.append(row)
        return decode_row(row, data)

    monkeypatch.setattr(_parts, "decode_row", decode)
    return rows


def test_all_columns_of_a_filter_come_of_one_pass_over_the_rows(world, client, full_row, decoded):
    def made(key):
        many = {f"k{i}": (key, "x", None, [key])[i % 4] for i in range(key % 7, 40, 7)}
        return full_row(key, n=key, **many, deep={"a": {f"b{key % 3}": key}, "l": [key, 1]})

    rows = {key: made(key) for key in range(300)}
    client.insert(world.NAME, list(rows.values()))
    client.delete(world.NAME, ids=[5, 299])
    del rows[5], rows[299]

    def finds(text, rule, **params):
        found = client.query(
            world.NAME, filter=text, filter_params=params, output_fields=["id"], limit=1000
        )
        assert {r["id"] for r in found} == {key for key, row in rows.items() if rule(row)}

    finds("k0 == 7", lambda r: r.get("k0") == 7)
    assert len(decoded) == len(rows)
    decoded.clear()
    names = [f"k{i}" for i in range(60)]
    finds(
        " or ".join(f"{name} in {{wanted}}" for name in names) + ' or deep["a"]["b1"] == 100 '
        'or deep["l"][0] == 33 or deep["l"]["x"] == 1 or deep[0] == 1 or n == 290',
        lambda r: any(r.get(name) in (8, 21) for name in names) or r["id"] in (100, 33, 290),
        wanted=[8, 21],
    )
    assert len(decoded) == len(rows)
    decoded.clear()
    rows |= {key: made(key) for key in range(300, 310)}
    client.insert(world.NAME, [rows[key] for key in range(300, 310)])
    finds("k0 == 301", lambda r: r.get("k0") == 301)
    assert len(decoded) == 10
    decoded.clear()
    # One is up to date, the others are ten rows behind, and one is not there yet.
    finds(
        " or ".join(f"{name} == 304" for name in [*names, "late"]),
        lambda r: any(r.get(name) == 304 for name in names),
    )
    assert len(decoded) == 10 + len(rows)
    decoded.clear()
    finds("exists k39 and not exists k59", lambda r: r.get("k39") is not None)
    assert decoded == []


def test_a_thousand_keys_take_as_long_as_the_rows_take_once(world, client, full_row):
    client.insert(world.NAME, [full_row(key) for key in range(2_000)])
    start = time.perf_counter()
    text = " or ".join(f"key{i} == 1" for i in range(1_000))
    assert client.query(world.NAME, filter=text) == []
    assert time.perf_counter() - start < 2  # 0.1; a pass for each takes 4
