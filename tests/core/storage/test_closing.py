# ruff: noqa: ARG005  # the calls of a table all take the same arguments
"""Closing gives everything back, whatever is still running."""

import _thread
import gc
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest

from elanus import AsyncMilvusClient, DocumentStore, MilvusClient
from elanus.errors import ClosedError, DatabaseFormatError, StorageError
from elanus.storage.file import _apart


def test_closing_leaves_no_descriptor_no_log_and_no_thread(path, tmp_path, world):
    threads = set(threading.enumerate())
    client = MilvusClient(path)
    world.create(client)
    client.insert(world.NAME, world.rows(100))
    run_in_threads([lambda: world.nearest(client, 5)] * 4)
    assert world.descriptors(path) != []
    client.close()
    assert world.descriptors(path) == []
    assert set(threading.enumerate()) == threads
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kb.db", "kb.db-cache"]


def test_closing_does_not_wait_for_another_process_that_writes(path, world, hold):
    with MilvusClient(path, timeout=1_000) as client:
        world.create(client)
        client.insert(world.NAME, world.rows(100))
        upkeep = client._database._upkeep
        hold(path, "import much")
        begun = threading.Event()

        def work(_stop):
            begun.set()
            upkeep.cache._file.write("register", 0).__enter__()

        upkeep.background.request("work", work)
        assert begun.wait(60)
        before = time.monotonic()
        client.close()
        assert time.monotonic() - before < 300


def test_where_no_thread_can_be_started_each_call_says_so(path, world, monkeypatch):
    with MilvusClient(path) as client:
        world.create(client)
        client.insert(world.NAME, world.rows(5))
        with monkeypatch.context() as patched:
            patched.setattr(_apart, "start_new_thread", _refuse_thread)
            client._database.file.apart._idle.clear()
            for call in (
                lambda: MilvusClient(path),
                lambda: client.insert(world.NAME, world.rows(5, 6)),
                client.compact,
            ):
                with pytest.raises(StorageError, match=r"no thread can be started,.*ulimit -u"):
                    call()
        assert world.keys(client) == list(range(5))
        client.insert(world.NAME, world.rows(5, 6))
        assert world.keys(client) == list(range(6))


def _refuse_thread(*_):
    raise RuntimeError("can't start new thread")


def test_what_nobody_closes_leaves_no_descriptor_and_no_thread(path, world, tmp_path):
    other = tmp_path / "other.db"
    other.write_bytes(b"no database at all")
    threads = _thread._count()
    for key in range(3):
        client = MilvusClient(path)
        if not key:
            world.create(client)
        client.insert(world.NAME, world.rows(key, key + 1))
        del client
        with pytest.raises(DatabaseFormatError):
            MilvusClient(other)
    gc.collect()
    deadline = time.monotonic() + 60
    while _thread._count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _thread._count() == threads
    assert world.descriptors(path) == []


def test_a_closed_file_can_be_deleted_by_another_process(path, world):
    client = MilvusClient(path)
    world.create(client)
    client.close()
    code = "import pathlib, sys; pathlib.Path(sys.argv[1]).unlink()"
    subprocess.run([sys.executable, "-c", code, path], check=True, timeout=60)
    with MilvusClient(path) as again:
        assert again.list_collections() == []


def run_in_threads(calls):
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()


CALLS = {
    "query": lambda c, w: c.query(w.NAME),
    "get": lambda c, w: c.get(w.NAME, [1]),
    "search": lambda c, w: c.search(w.NAME, ["common"], anns_field="bm"),
    "insert": lambda c, w: c.insert(w.NAME, w.rows(2)),
    "delete": lambda c, w: c.delete(w.NAME, ids=[1]),
    "create": lambda c, w: c.create_collection("x", dimension=2),
    "list": lambda c, w: c.list_collections(),
    "load": lambda c, w: c.load_collection(w.NAME),
    "compact": lambda c, w: c.compact(),
    "verify": lambda c, w: c.verify(),
    "backup": lambda c, w: c.backup("never-written.db"),
}


@pytest.mark.parametrize("place", ["file", ":memory:"])
@pytest.mark.parametrize("name", CALLS)
def test_calls_on_a_closed_client_say_so(path, world, name, place, monkeypatch):
    monkeypatch.chdir(Path(path).parent)
    client = MilvusClient(path if place == "file" else place)
    world.create(client)
    client.close()
    client.close()
    with pytest.raises(ClosedError, match=r"(kb\.db|:memory:) is closed; open it again"):
        CALLS[name](client, world)
    assert not Path("never-written.db").exists()


def test_a_context_manager_closes_also_after_an_error(path, world):
    def fail():
        with MilvusClient(path) as client:
            world.create(client)
            made.append(client)
            raise ZeroDivisionError

    made = []
    with pytest.raises(ZeroDivisionError):
        fail()
    [client] = made
    with pytest.raises(ClosedError):
        client.list_collections()
    assert world.descriptors(path) == []


def test_a_store_closes_its_own_client_and_leaves_a_given_one_open(path, world):
    with MilvusClient(path) as client:
        with DocumentStore(client=client) as store:
            store.add(["an owl"])
        assert client.list_collections() == ["documents"]
    with DocumentStore(path) as store:
        assert len(store) == 1
    store.close()
    with pytest.raises(ClosedError):
        store.count()
    assert world.descriptors(path) == []


def test_a_store_that_cannot_be_made_leaves_nothing_open(path, world):
    with MilvusClient(path) as client:
        client.create_collection("documents", dimension=3)
    with pytest.raises(ValueError, match="was not made by DocumentStore"):
        DocumentStore(path)
    assert world.descriptors(path) == []


def test_an_asynchronous_client_closes_for_good(path, world):
    import asyncio  # noqa: PLC0415  # one test only

    async def run():
        client = AsyncMilvusClient(path)
        await client.create_collection("a", dimension=2)
        await asyncio.gather(*(client.list_collections() for _ in range(20)))
        await client.close()
        await client.close()
        with pytest.raises(ClosedError):
            await client.list_collections()

    asyncio.run(run())
    assert world.descriptors(path) == []


@pytest.mark.parametrize("place", ["file", ":memory:"])
def test_closing_during_searches_and_writes_ends_them_in_order(path, world, place):
    client = MilvusClient(path if place == "file" else place)
    world.create(client)
    client.insert(world.NAME, world.rows(500))
    errors, acknowledged = [], []
    searched, written = threading.Event(), threading.Event()

    def search():
        try:
            while True:
                assert len(world.found(client, "common")) >= 500
                world.nearest(client, 3)
                searched.set()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is compared below
            errors.append(error)

    def write():
        try:
            for key in range(1000, 100_000, 2):
                client.insert(world.NAME, world.rows(key, key + 2))
                acknowledged.append(key)
                written.set()
        except Exception as error:  # noqa: BLE001  # as above
            errors.append(error)

    threads = [threading.Thread(target=call) for call in (search, search, search, write)]
    for thread in threads:
        thread.start()
    assert searched.wait(60)
    assert written.wait(60)
    time.sleep(0.3)  # for all to be somewhere in the middle
    client.close()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert [type(e) for e in errors] == [ClosedError] * 4, errors
    assert world.descriptors(path) == []
    if place == "file":
        with MilvusClient(path) as again:
            found = set(world.keys(again)) - set(range(500))
            assert found >= {k for key in acknowledged for k in (key, key + 1)}
            # The write that was running when the file was closed is whole or absent.
            assert len(found) - 2 * len(acknowledged) in (0, 2)
            assert again.verify() == []


def test_a_closed_client_keeps_no_memory_of_its_collections(path, world):
    client = MilvusClient(path)
    world.create(client)
    client.insert(world.NAME, world.rows(50))
    assert world.nearest(client, 5) == 5
    states = client._database.commits.states.values()
    (kept,) = [weakref.ref(state) for state in states]
    del states
    client.close()
    gc.collect()
    assert kept() is None
