"""Full disks, held locks, replaced files, forks: an error that says so, and nothing lost."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import apsw
import pytest

from elanus import MilvusClient
from elanus.errors import (
    ClosedError,
    DatabaseFullError,
    DatabaseLockedError,
    DatabaseReplacedError,
)
from elanus.storage.file import _opening
from elanus.storage.file._lock import WriterLock


def limit_pages(client, count):
    """Make the pool's connection believe that the disk ends there; its former limit."""
    with client._database.file.read() as db:
        (former,) = db.execute("PRAGMA max_page_count").fetchone()
        db.execute(f"PRAGMA max_page_count={count}")
    return former


def test_a_full_disk_writes_nothing_and_later_writes_succeed(client, world):
    former = limit_pages(client, 1)
    words = " ".join(f"word{i}x" for i in range(2000))
    with pytest.raises(DatabaseFullError, match=r"no space left for .*kb\.db; nothing was written"):
        client.insert(world.NAME, world.rows(0, 3000, text=words))
    assert world.keys(client) == list(range(100))
    assert world.found(client, "word7x") == []
    assert client.verify() == []
    with pytest.raises(DatabaseFullError):
        client.create_collection("other", dimension=4)
    assert client.list_collections() == [world.NAME]
    limit_pages(client, former)
    client.insert(world.NAME, world.rows(100, 200, text=words))
    assert world.found(client, "word7x") == list(range(100, 200))


def test_a_full_disk_in_the_middle_of_a_replacement_keeps_the_old_rows(client, world):
    limit_pages(client, 1)
    with pytest.raises(DatabaseFullError):
        client.upsert(world.NAME, world.rows(0, 100, text="new " + "long " * 5000))
    assert world.found(client, "common") == list(range(100))
    assert world.found(client, "new") == []


_LIMITED = """
import resource, sys
from elanus import MilvusClient
from elanus.errors import StorageError
path, rows = sys.argv[1], lambda a, b, t: [
    {"id": k, "text": t, "v": [float(k), 1.0, 0.0, 0.0]} for k in range(a, b)]
with MilvusClient(path) as client:
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, most))
    try:
        client.insert("rows", rows(100, 4000, "some text that takes room " * 20))
    except StorageError as error:
        print(type(error).__name__, error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert len(client.query("rows")) == 100
    assert client.verify() == []
    client.insert("rows", rows(100, 150, "later"))
    assert len(client.query("rows")) == 150
    assert client.verify() == []
"""


def test_a_file_that_may_not_grow_is_an_error_and_nothing_is_written(client, path, world):
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, path],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "kb.db" in done.stdout
    assert len(world.keys(client)) == 150
    assert world.found(client, "later") == list(range(100, 150))


_SMALL = """
import resource, sys
from elanus import MilvusClient
from elanus.errors import StorageError
said, (_, most) = set(), resource.getrlimit(resource.RLIMIT_FSIZE)
for number, limit in enumerate(range(0, 300_000, 12_000)):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    for journal in ("wal", "delete"):
        try:
            with MilvusClient(f"{sys.argv[1]}.{number}.{journal}", journal=journal):
                pass
        except StorageError as error:
            said.add(str(error))
assert said and all("ulimit -f" in text or "no space left" in text for text in said), said
"""


def test_a_file_that_cannot_be_made_says_why(path):
    done = subprocess.run(
        [sys.executable, "-c", _SMALL, path],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_disk_without_room_for_another_file_is_full(path, monkeypatch):
    real = os.statvfs

    def without_inodes(where):
        found = list(real(where))
        found[6] = found[7] = 0  # f_ffree, f_favail
        found[5] = 1_000_000  # f_files
        return os.statvfs_result(found)

    with monkeypatch.context() as patched:
        patched.setattr(os, "statvfs", without_inodes)
        patched.setattr(_opening.Connection, "connect", _cannot_open)
        with pytest.raises(DatabaseFullError, match=r"no space left for .*kb\.db"):
            MilvusClient(path)


def _cannot_open(*_):
    raise apsw.CantOpenError("unable to open database file")


# --- locks ---------------------------------------------------------------------------------------


def test_who_waits_too_long_is_told_who_holds_the_lock(client, path, world, hold):
    holder = hold(path, "import 5 rows")
    with MilvusClient(path, timeout=0.2) as waiting:
        begun = time.monotonic()
        expected = rf"waited 0\.2 s to insert 3 rows in .*kb\.db: process {holder.pid} on .*\(import 5 rows, since"
        with pytest.raises(DatabaseLockedError, match=expected):
            waiting.insert(world.NAME, world.rows(100, 103))
        assert 0.2 <= time.monotonic() - begun < 30
        with pytest.raises(DatabaseLockedError, match=rf"compact .*process {holder.pid}"):
            waiting.compact()
        # Readers never wait.
        assert world.keys(waiting) == list(range(100))
        assert world.found(waiting, "common") == list(range(100))
        holder.stdin.write("\n")
        holder.stdin.flush()
        holder.wait(timeout=60)
        waiting.insert(world.NAME, world.rows(100, 103))
    assert len(world.keys(client)) == 103


def test_a_writer_waits_for_another_and_goes_on(client, path, world, hold):
    holder = hold(path, "something")
    writing = threading.Thread(target=client.insert, args=(world.NAME, world.rows(100, 110)))
    writing.start()
    time.sleep(0.2)  # for the writer to come to the lock; if it comes later, nothing is lost
    assert len(world.keys(client)) == 100
    holder.stdin.write("\n")
    holder.stdin.flush()
    writing.join(timeout=60)
    assert len(world.keys(client)) == 110


def test_the_lock_of_a_killed_holder_is_free_at_once(client, path, world, hold):
    holder = hold(path, "something")
    holder.kill()
    holder.wait(timeout=60)
    # Whoever does not wait at all gets it.
    with MilvusClient(path, timeout=0) as hasty:
        hasty.insert(world.NAME, world.rows(100, 110))
    assert len(world.keys(client)) == 110


_FOREIGN = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("ready", flush=True)
sys.stdin.readline()
db.close()
"""


def test_another_programs_lock_is_waited_for_and_named(client, path, world):
    # In a process of its own: a second library in this one would meet no lock of the first.
    other = subprocess.Popen(
        [sys.executable, "-c", _FOREIGN, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with other:
        assert other.stdout.readline() == b"ready\n"
        with (
            MilvusClient(path, timeout=0.2) as waiting,
            pytest.raises(DatabaseLockedError, match=r"kb\.db is locked by another process"),
        ):
            waiting.insert(world.NAME, world.rows(100, 103))
        other.communicate(b"\n", timeout=60)
    client.insert(world.NAME, world.rows(100, 103))
    assert len(world.keys(client)) == 103


def test_closing_ends_the_wait_for_a_lock(client, path, world, hold):
    hold(path, "something")
    errors = []

    def insert(waiting):
        try:
            waiting.insert(world.NAME, world.rows(100, 103))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is compared below
            errors.append(error)

    waiting = MilvusClient(path, timeout=600)
    thread = threading.Thread(target=insert, args=(waiting,))
    thread.start()
    time.sleep(0.2)  # for the insert to come to the lock; if it comes later, it fails as well
    waiting.close()
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert [type(e) for e in errors] == [ClosedError]
    assert world.keys(client) == list(range(100))


def test_a_new_file_is_laid_out_by_one_at_a_time(path, monkeypatch):
    """Two that switch a new file to the write-ahead log at once would fail instead of waiting."""
    prepare, was_held = _opening.prepare, []

    def watched(db, name, *, read_only):
        queue = WriterLock(Path(f"{path}-cache") / "writer.lock")
        is_free = queue.acquire(0.0, "look")
        was_held.append(not is_free)
        if is_free:
            queue.release()
        queue.close()
        prepare(db, name, read_only=read_only)

    monkeypatch.setattr(_opening, "prepare", watched)
    for _ in range(2):
        with MilvusClient(path) as client:
            assert client.verify() == []
    # One that exists already is opened without waiting for its writers.
    assert was_held == [True, False]


# --- replaced and deleted files ------------------------------------------------------------------


def use(client, world):
    yield lambda: client.query(world.NAME)
    yield lambda: client.insert(world.NAME, world.rows(500, 501))
    yield lambda: client.search(world.NAME, ["common"], anns_field="bm")
    yield client.list_collections
    yield client.verify


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_file_that_was_taken_away_is_noticed_within_a_second(path, tmp_path, world, how):
    client = MilvusClient(path)
    world.create(client)
    client.insert(world.NAME, world.rows(10))
    client.backup(tmp_path / "other.db")
    if how == "deleted":
        Path(path).unlink()
    else:
        os.replace(tmp_path / "other.db", path)  # noqa: PTH105  # the call that programs replace with
    time.sleep(1.1)
    for call in use(client, world):
        with pytest.raises(DatabaseReplacedError, match=r"kb\.db was replaced or deleted while"):
            call()
    client.close()
    assert world.descriptors(path) == []
    with MilvusClient(path) as again:
        if how == "deleted":
            assert again.list_collections() == []
        else:
            assert world.keys(again) == list(range(10))
        assert again.verify() == []


def test_a_copy_of_a_closed_file_is_a_database(path, tmp_path, world):
    with MilvusClient(path) as client:
        world.create(client)
        client.insert(world.NAME, world.rows(10))
    shutil.copy(path, tmp_path / "copy.db")
    with MilvusClient(tmp_path / "copy.db") as copy:
        assert world.keys(copy) == list(range(10))
        assert copy.verify() == []
