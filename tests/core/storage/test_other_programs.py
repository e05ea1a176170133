"""What other programs do to a file that is open: hard links, removed logs, restored states."""

import contextlib
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from elanus import MilvusClient
from elanus.errors import CollectionNotFoundError, DatabaseReplacedError, StorageError
from elanus.storage.file._lock import WriterLock
from elanus.storage.file._mark import CommitMark


def test_a_second_name_of_an_open_file_is_refused_by_name(path, tmp_path, world):
    client = MilvusClient(path)
    world.create(client)
    client.insert(world.NAME, world.rows(100))
    other = tmp_path / "other.db"
    os.link(path, other)  # the call that is meant
    (tmp_path / "deeper").mkdir()
    deeper = tmp_path / "deeper" / "other.db"
    os.link(path, deeper)
    for name in (other, deeper):
        with pytest.raises(StorageError, match=r"is the same file as .*kb\.db \(a hard link, or"):
            MilvusClient(name)
    assert len(world.keys(client)) == 100
    client.close()
    for name, refused in ((path, other), (other, path)):
        with pytest.raises(
            StorageError, match=rf"same file as {refused} \(a hard link\), and each"
        ):
            MilvusClient(name)
    Path(path).unlink()
    with MilvusClient(other) as opened:
        assert len(world.keys(opened)) == 100


def test_a_second_name_that_another_process_has_open_is_refused(client, path, tmp_path, world):
    other = tmp_path / "other.db"
    os.link(path, other)
    code = "import sys; from elanus import MilvusClient; MilvusClient(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, other], capture_output=True, text=True, timeout=60, check=False
    )
    assert "a hard link" in done.stderr
    assert len(world.keys(client)) == 100


@pytest.mark.parametrize("what", ["-wal", "-shm", "both", "-wal replaced"])
def test_a_log_that_was_removed_is_noticed_before_a_write_is_acknowledged(path, world, what):
    client = MilvusClient(path)
    world.create(client)
    client.insert(world.NAME, world.rows(10))
    for name in ["-wal", "-shm"] if what == "both" else [what[:4]]:
        Path(path + name).unlink()
    if what == "-wal replaced":
        Path(path + "-wal").write_bytes(b"")
    for call in (
        lambda: client.insert(world.NAME, world.rows(10, 20)),
        lambda: client.delete(world.NAME, ids=[1]),
        lambda: client.create_collection("other", dimension=2),
        client.compact,
    ):
        with pytest.raises(
            DatabaseReplacedError, match=r"the log of .*kb\.db .* was replaced or del"
        ):
            call()
    client.close()
    with MilvusClient(path) as again:
        assert again.verify() == []


def test_a_log_that_is_removed_during_the_commit_is_noticed_too(client, path, world, monkeypatch):
    moving = CommitMark.moving

    def removing(mark):
        Path(path + "-wal").rename(path + "-wal.kept")
        return moving(mark)

    with monkeypatch.context() as patch:
        patch.setattr(CommitMark, "moving", removing)
        with pytest.raises(DatabaseReplacedError, match="the newest commits with it"):
            client.insert(world.NAME, world.rows(500, 501))
    Path(path + "-wal.kept").rename(path + "-wal")


def test_readers_notice_a_removed_log_within_a_second(client, path, world):
    Path(path + "-wal").rename(path + "-wal.kept")
    time.sleep(1.1)
    with pytest.raises(DatabaseReplacedError):
        world.keys(client)
    Path(path + "-wal.kept").rename(path + "-wal")


_INSERT = """
import sys
from elanus import MilvusClient
with MilvusClient(sys.argv[1]) as client:
    if not client.has_collection("rows"):
        client.create_collection("rows", dimension=4, vector_field_name="v")
    for key in range(50, 53):
        client.insert("rows", {"id": key, "text": "theirs", "v": [0, 0, 0, 1]})
    print("ready", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def insert_elsewhere():
    """Starts a process that inserts rows 50 to 52; it closes the file when it has a line."""
    with contextlib.ExitStack() as ended:

        def insert(path):
            command = [sys.executable, "-c", _INSERT, path]
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            ended.callback(child.communicate, timeout=60)
            ended.callback(child.kill)
            assert child.stdout.readline() == b"ready\n"
            return child

        yield insert


def unlink_log(path):
    for name in ("-wal", "-shm"):
        Path(path + name).unlink(missing_ok=True)


def test_a_log_that_others_have_begun_is_not_written_over_when_the_file_is_closed(
    path, world, insert_elsewhere
):
    with MilvusClient(path) as client:
        world.create(client)
        client.insert(world.NAME, world.rows(10))
    client = MilvusClient(path)
    client.insert(world.NAME, world.rows(10, 30))
    unlink_log(path)
    insert_elsewhere(path).communicate(b"\n", timeout=60)
    client.close()
    with MilvusClient(path) as again:
        assert again.verify() == []
        assert world.keys(again) == [*range(10), 50, 51, 52]


def test_what_lies_in_a_removed_log_is_kept_if_nobody_has_begun_another(path, world):
    client = MilvusClient(path)
    world.create(client)
    client.insert(world.NAME, world.rows(10))
    unlink_log(path)
    client.close()
    with MilvusClient(path) as again:
        assert again.verify() == []
        assert world.keys(again) == list(range(10))


def test_the_log_of_the_file_that_stands_there_now_is_not_removed(path, world, insert_elsewhere):
    client = MilvusClient(path)
    world.create(client)
    for name in ("", "-wal", "-shm"):
        Path(path + name).rename(path + ".old" + name)
    other = insert_elsewhere(path)
    client.close()
    assert Path(path + "-wal").exists()
    other.kill()
    other.wait()
    with MilvusClient(path) as again:
        assert [row["id"] for row in again.query("rows", output_fields=["id"])] == [50, 51, 52]
    with MilvusClient(path + ".old") as old:
        assert old.list_collections() == ["rows"]


@pytest.mark.parametrize("others", ["open", "closed", "closed, log removed"])
def test_who_keeps_a_journal_refuses_the_log_of_others(path, world, insert_elsewhere, others):
    client = MilvusClient(path, journal="delete")
    world.create(client)
    client.insert(world.NAME, world.rows(10))
    other = insert_elsewhere(path)
    if others != "open":
        other.communicate(b"\n", timeout=60)
    for call in (
        lambda: client.insert(world.NAME, world.rows(10, 20)),
        lambda: client.delete(world.NAME, ids=[1]),
        lambda: client.create_collection("other", dimension=2),
        client.compact,
        lambda: world.keys(client),
        client.list_collections,
        client.verify,
        lambda: client.backup(path + ".copy"),
    ):
        with pytest.raises(StorageError, match="elsewhere with journal='wal', and is open here"):
            call()
        if others == "closed, log removed":
            unlink_log(path)
    client.close()
    if others == "open":
        other.communicate(b"\n", timeout=60)
    with MilvusClient(path, journal="delete") as again:
        assert again.verify() == []
        assert world.keys(again) == [*range(10), 50, 51, 52]
        again.insert(world.NAME, world.rows(10, 20))
    assert not Path(path + "-wal").exists()


_RESTORE = """
import sqlite3, sys
source, target = sqlite3.connect(sys.argv[1]), sqlite3.connect(sys.argv[2])
source.backup(target)
target.close()
"""


@pytest.mark.parametrize("more", [0, 1, 5])
def test_an_older_state_that_is_restored_in_place_is_read_afresh(
    client, path, tmp_path, world, more
):
    """As by ``.restore`` of SQLite's shell, in another process; then others may go on writing."""
    client.backup(tmp_path / "old.db")
    client.insert(world.NAME, world.rows(100, 140, text="newer words"))
    client.delete(world.NAME, ids=[3])
    assert world.found(client, "newer") == list(range(100, 140))
    subprocess.run(
        [sys.executable, "-c", _RESTORE, tmp_path / "old.db", path], check=True, timeout=60
    )
    if more:
        code = f"""
import sys
import threading
from elanus import MilvusClient
with MilvusClient(sys.argv[1]) as client:
    for key in range({more}):
        client.insert("rows", {{"id": 900 + key, "text": "other", "v": [0, 0, 0, 1]}})
"""
        subprocess.run([sys.executable, "-c", code, path], check=True, timeout=60)
    time.sleep(1.1)
    expected = [*range(100), *range(900, 900 + more)]
    assert world.keys(client) == expected
    assert world.found(client, "newer") == []
    assert world.nearest(client, 3) == 3
    assert client.delete(world.NAME, filter="id == 4")["delete_count"] == 1
    client.insert(world.NAME, world.rows(500, 501, text="newest"))
    assert world.found(client, "newest") == [500]
    assert client.verify() == []


def test_a_state_from_before_a_collection_was_made_is_read_afresh(path, tmp_path, world):
    with MilvusClient(path) as client:
        client.backup(tmp_path / "old.db")
        world.create(client)
        client.insert(world.NAME, world.rows(10))
        assert len(world.keys(client)) == 10
        code = [sys.executable, "-c", _RESTORE, tmp_path / "old.db", path]
        subprocess.run(code, check=True, timeout=60)
        time.sleep(1.1)
        with pytest.raises(CollectionNotFoundError):
            world.keys(client)
        assert client.list_collections() == []
        world.create(client)
        client.insert(world.NAME, world.rows(5))
        assert world.keys(client) == list(range(5))
        assert client.verify() == []


# --- the folder beside the file ------------------------------------------------------------------


def test_a_new_mark_that_shows_an_old_number_is_another(tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    reader = CommitMark(folder / "commits", writable=False)

    def commits(count):
        writer = CommitMark(folder / "commits", writable=True)
        for _ in range(count):
            with writer.moving():
                pass
        writer.close()

    commits(3)
    reader.refresh()
    before = reader.look()
    shutil.rmtree(folder)
    folder.mkdir()
    commits(3)
    reader.refresh()
    assert reader.look() not in (None, before)


def test_who_leaves_an_old_mark_tells_those_who_still_look_there(tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    reader, writer = (CommitMark(folder / "commits", writable=w) for w in (False, True))
    with writer.moving():
        pass
    reader.refresh()
    assert reader.look() is not None
    shutil.rmtree(folder)
    folder.mkdir()
    with writer.moving():
        pass
    assert reader.look() is None


def test_a_reader_never_stays_behind_when_the_folder_is_deleted_again_and_again(path, world):
    with MilvusClient(path) as client:
        world.create(client)
    with MilvusClient(path) as reader:
        for turn in range(4):
            shutil.rmtree(f"{path}-cache", ignore_errors=True)
            for key in range(turn * 10, turn * 10 + 3):
                code = (
                    "import sys; from elanus import MilvusClient\nwith MilvusClient(sys.argv[1]) as"
                )
                code += f' c: c.insert("rows", {{"id": {key}, "text": "t", "v": [0, 0, 0, 1]}})'
                subprocess.run([sys.executable, "-c", code, path], check=True, timeout=60)
            time.sleep(1.1)
            assert len(world.keys(reader)) == (turn + 1) * 3


def test_writers_meet_at_the_lock_file_that_is_there_now(tmp_path):
    folder = tmp_path / "cache"
    first, second = (WriterLock(folder / "writer.lock") for _ in range(2))
    assert first.acquire(0.0, "a")
    first.release()
    shutil.rmtree(folder)
    assert second.acquire(0.0, "b")
    assert not first.acquire(0.0, "c")
    second.release()
    assert first.acquire(0.0, "d")
    assert not second.acquire(0.0, "e")
    first.release()


def test_a_mark_that_somebody_cuts_is_made_again(client, path, world):
    Path(f"{path}-cache/commits").write_bytes(b"")
    client._database.file._mark.refresh()
    assert len(world.keys(client)) == 100
    client.insert(world.NAME, world.rows(200, 201))
    assert len(world.keys(client)) == 101


def test_a_reader_that_keeps_the_log_growing_is_reported(client, path, world, caplog):
    turns = client._database.file._turns
    turns.fold_at, turns.warn_at = 5, 10
    code = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("BEGIN")
db.execute("SELECT * FROM state").fetchall()
print("ready", flush=True)
sys.stdin.readline()
"""
    command = [sys.executable, "-c", code, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout.readline() == b"ready\n"
        with caplog.at_level(logging.WARNING, "elanus"):
            for key in range(1000, 1040):
                client.insert(world.NAME, world.row(key, "word " * 500))
        reader.communicate(b"\n", timeout=60)
    told = [record.getMessage() for record in caplog.records]
    assert any("has grown to" in message and "a reader" in message for message in told)
    assert len(told) <= 5


def test_who_writes_in_a_loop_lets_others_in(tmp_path):
    """Two locks of one file, as two processes have them."""
    greedy, patient = (WriterLock(tmp_path / "writer.lock") for _ in range(2))
    ended, rounds = threading.Event(), []

    def loop():
        while not ended.is_set():
            assert greedy.acquire(60.0, "write")
            time.sleep(0.001)
            greedy.release()
            rounds.append(1)

    thread = threading.Thread(target=loop)
    thread.start()
    waits = []
    try:
        for _ in range(20):
            begun = len(rounds)
            assert patient.acquire(60.0, "write")
            patient.release()
            waits.append(len(rounds) - begun)
    finally:
        ended.set()
        thread.join()
    # Counted in turns of the other, not in seconds: at the head of the queue, one is next.
    assert sorted(waits)[len(waits) // 2] <= 3
