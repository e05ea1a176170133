"""Programs that are interrupted by signals at random moments."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from elanus import MilvusClient
from elanus.errors import ClosedError, ElanusError
from elanus.storage.file import _file
from elanus.storage.file._lock import WriterLock

NAME = "rows"


class Interrupt(Exception):
    """What a signal handler raises."""


def row(key, note="n"):
    return {"id": key, "vector": [float(key % 7), 1.0], "note": note}


def writes(client, copies, turn):
    """Each call that writes, as a list."""
    name = f"extra{turn}"
    return [
        lambda: client.insert(NAME, [row(key) for key in range(turn * 10, turn * 10 + 10)]),
        lambda: client.upsert(NAME, [row(key, f"u{turn}") for key in range(50)]),
        lambda: client.delete(NAME, ids=[turn * 10]),
        lambda: client.delete(NAME, filter=f"id == {turn * 10 + 1}"),
        lambda: client.create_collection(name, dimension=2),
        lambda: client.rename_collection(name, name + "x"),
        lambda: client.truncate_collection(name + "x"),
        lambda: client.drop_index(name + "x", "vector"),
        lambda: client.drop_collection(name + "x"),
        client.compact,
        lambda: client.backup(f"{copies}/{turn}.db"),
    ]


def reads(client):
    return [
        lambda: client.search(NAME, [[1.0, 1.0]], output_fields=["note"]),
        lambda: client.query(NAME, "note == 'n'", limit=5),
        lambda: client.get(NAME, [1, 2]),
        client.list_collections,
        lambda: client.get_collection_stats(NAME),
    ]


def attempt(call):
    """Whether a call ended; it may fail because an earlier one was interrupted."""
    try:
        call()
    except (Interrupt, KeyboardInterrupt):
        return False
    except ElanusError:
        return True
    return True


def assert_free(client, path):
    """Nobody holds a lock, and no connection in the pool is inside a transaction."""
    file = client._database.file
    assert not any(db.in_transaction for db in file.pool.all() if not db.owner), (
        "a connection came back in a transaction"
    )
    if path != ":memory:":
        lock = WriterLock(file.cache_folder / "writer.lock")
        assert lock.acquire(0.0, "look"), "the writers' lock is held"
        lock.release()
        lock.close()


def interrupted(path, turns):
    """Every call is struck at a random moment by an exception; nothing stays locked."""
    error = random.choice([Interrupt, KeyboardInterrupt])

    def strike(*_):
        raise error

    signal.signal(signal.SIGALRM, strike)
    _file._LOOK_SECONDS = -1.0  # at every call, instead of once a second
    client, copies = MilvusClient(path, timeout=5), tempfile.mkdtemp()
    client.create_collection(NAME, dimension=2)
    client.insert(NAME, [row(key) for key in range(100)])
    struck = 0
    for turn in range(20, 20 + turns):
        for call in [*writes(client, copies, turn), *reads(client)]:
            begun = time.perf_counter()
            attempt(lambda: client.get_collection_stats(NAME))
            delay = random.choice([0.0001, 0.001, 0.004]) * random.random() + 1e-6
            try:
                signal.setitimer(signal.ITIMER_REAL, delay)
                struck += not attempt(call)
            except (Interrupt, KeyboardInterrupt):
                struck += 1
            finally:
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                except (Interrupt, KeyboardInterrupt):
                    struck += 1
            assert time.perf_counter() - begun < 60
            assert_free(client, path)
    client.insert(NAME, row(-1))
    other = threading.Thread(target=lambda: client.insert(NAME, row(-2)))
    other.start()
    other.join()
    assert len(client.get(NAME, [-1, -2])) == 2
    assert client.verify() == []
    assert struck > turns, f"only {struck} calls were struck"
    assert not list(Path(copies).glob("*.part*"))
    shutil.rmtree(copies)
    client.close()


def handler_calls_anything(path, turns):
    """A handler makes calls on top of calls of the same thread."""
    client, copies = MilvusClient(path, timeout=5), tempfile.mkdtemp()
    client.create_collection(NAME, dimension=2)
    client.insert(NAME, [row(key) for key in range(100)])
    nested = []
    _file._LOOK_SECONDS = -1.0  # at every call, instead of once a second

    def strike(*_):
        call = random.choice([*writes(client, copies, 10_000 + len(nested)), *reads(client)])
        assert attempt(call)
        nested.append(1)

    signal.signal(signal.SIGALRM, strike)
    for turn in range(20, 20 + turns):
        for call in [*writes(client, copies, turn), *reads(client)]:
            signal.setitimer(signal.ITIMER_REAL, 0.004 * random.random() + 1e-6)
            assert attempt(call)
    while not nested:
        time.sleep(0.001)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert_free(client, path)
    assert client.verify() == []
    client.close()
    shutil.rmtree(copies)


def waiting(path, turns):
    """Ctrl-C ends the wait for a lock that another program holds on the file, not only on ours."""

    def strike(*_):
        raise Interrupt

    signal.signal(signal.SIGALRM, strike)
    for journal in ("wal", "delete"):
        with MilvusClient(path, journal=journal) as client:
            client.create_collection(NAME, dimension=2)
            client.insert(NAME, row(1))
    client = MilvusClient(path, journal="delete", timeout=1_000)
    client.get(NAME, [1])
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, path], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "ready\n"
    begun = time.monotonic()
    for _ in range(turns):
        for call in (
            lambda: client.insert(NAME, row(2)),
            lambda: client.get(NAME, [1]),
            client.compact,
            lambda: client.backup(f"{path}.copy"),
            lambda: MilvusClient(path, journal="delete", timeout=1_000),
        ):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            assert not attempt(call)
            assert time.monotonic() - begun < 500
    holder.kill()
    holder.wait()
    client.insert(NAME, row(3))
    assert_free(client, path)
    assert not Path(f"{path}.copy").exists()
    client.close()


_HOLDER = """
import apsw, sys, time
db = apsw.Connection(sys.argv[1])
db.execute("BEGIN EXCLUSIVE")
print("ready", flush=True)
time.sleep(1_000)
"""


def handler_opens(path, turns):
    """A handler opens a database on top of a read that opens a connection."""
    client, nested = MilvusClient(path), []
    client.create_collection(NAME, dimension=2)
    client.insert(NAME, row(1))

    def strike(*_):
        with MilvusClient(path) as own:
            nested.extend(own.list_collections())

    signal.signal(signal.SIGALRM, strike)
    for turn in range(1, turns + 1):
        client._database.file.pool.before_fork()  # closes the connections of the pool
        signal.setitimer(signal.ITIMER_REAL, 0.001 * random.random() + 1e-6)
        assert len(client.query(NAME, "id == 1")) == 1
        while len(nested) < turn:
            time.sleep(0.0001)
    client.close()


def close_in_a_handler(path, delay):
    """SIGTERM closes the database in the middle of whatever runs."""
    client = MilvusClient(path, durability="normal")
    client.create_collection(NAME, dimension=2)

    def end(*_):
        client.close()
        print("closed", flush=True)
        sys.exit(3)

    signal.signal(signal.SIGTERM, end)
    threading.Timer(delay, os.kill, (os.getpid(), signal.SIGTERM)).start()
    key = 0
    try:
        while True:
            client.insert(NAME, row(key))
            client.search(NAME, [[1.0, 1.0]], output_fields=["note"])
            key += 1
    except ClosedError:
        time.sleep(60)  # the handler has closed it, and is about to exit


if __name__ == "__main__":
    scenario, place, number = sys.argv[1:]
    random.seed(float(number))
    globals()[scenario](place, float(number) if "." in number else int(number))
