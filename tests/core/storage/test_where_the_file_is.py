"""A handle belongs to one file, wherever the program goes and whatever happens to the file."""

import asyncio
import copy
import json
import pickle
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import apsw
import pytest

from elanus import AsyncMilvusClient, DocumentStore, MilvusClient
from elanus.errors import DatabaseCorruptError, DatabaseReplacedError, StorageError


def _row(key):
    return {"id": key, "vector": [float(key), 1.0], "n": key}


def _keys(path):
    with MilvusClient(path) as client:
        assert client.verify() == []
        return [row["id"] for row in client.query("c", output_fields=["id"])]


def test_a_relative_path_means_the_same_file_after_a_change_of_folder(tmp_path, monkeypatch):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        with MilvusClient(tmp_path / folder / "kb.db") as client:
            client.create_collection("c", dimension=2)
    monkeypatch.chdir(tmp_path / "a")
    client = AsyncMilvusClient("kb.db")
    monkeypatch.chdir(tmp_path / "b")

    async def insert_all():
        await asyncio.gather(*(client.insert("c", _row(i)) for i in range(1, 9)))
        await client.close()

    asyncio.run(insert_all())
    assert _keys(tmp_path / "a" / "kb.db") == list(range(1, 9))
    assert _keys(tmp_path / "b" / "kb.db") == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be deleted there")
def test_a_relative_path_in_a_working_folder_that_was_deleted_is_refused(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for opened in (MilvusClient, DocumentStore):
        with pytest.raises(
            StorageError, match=r"kb\.db: the path is relative, and the working fold"
        ):
            opened("kb.db")
    with MilvusClient(tmp_path / "kb.db") as client:
        client.create_collection("c", dimension=2)
        client.insert("c", _row(1))
        client.compact("c")
        with pytest.raises(StorageError, match=r"copy\.db"):
            client.backup("copy.db")
    assert _keys(tmp_path / "kb.db") == [1]


@pytest.mark.parametrize("happening", ["replaced", "deleted", "moved"])
def test_a_write_to_a_file_that_is_gone_is_never_acknowledged(tmp_path, happening):
    path = tmp_path / "kb.db"
    client = MilvusClient(path)
    client.create_collection("c", dimension=2)
    client.insert("c", _row(1))
    if happening == "deleted":
        path.unlink()
    else:
        path.rename(tmp_path / "old.db")
    if happening == "replaced":
        shutil.copy(tmp_path / "old.db", path)
    with pytest.raises(DatabaseReplacedError, match=r"kb\.db was replaced or deleted"):
        client.insert("c", _row(2))
    with pytest.raises(DatabaseReplacedError):
        client.delete("c", ids=[1])
    client.close()


_IN_ITS_PLACE = """
import sys
from elanus import MilvusClient
with MilvusClient(sys.argv[1]) as client:
    if not client.has_collection("c"):
        client.create_collection("c", dimension=2)
    rows = [{"id": i, "vector": [float(i), 1.0], "n": i} for i in range(1000, 1200)]
    client.insert("c", rows)
    print("there", flush=True)
    sys.stdin.readline()
    client.insert("c", {"id": 1200, "vector": [0.0, 1.0], "n": 0})
"""


@contextmanager
def used_elsewhere(path):
    """Another process that has committed to a file, and commits once more at the end of the block."""
    command = [sys.executable, "-c", _IN_ITS_PLACE, path]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as other:
        assert other.stdout.readline() == "there\n"
        yield
        other.communicate("go on\n", timeout=60)
    assert other.returncode == 0


@pytest.mark.parametrize("ends", ["at once", "after a read", "after a write"])
@pytest.mark.parametrize("happening", ["replaced", "deleted", "moved"])
def test_closing_a_file_that_is_gone_leaves_what_was_committed_in_its_place(
    tmp_path, happening, ends
):
    """Both have the same log, by its name: the one that lay there before may not end it."""
    path, old = tmp_path / "kb.db", tmp_path / "old.db"
    client = MilvusClient(path)
    client.create_collection("c", dimension=2)
    client.insert("c", [_row(i) for i in range(300)])
    client.compact("c")  # nothing is in the log, or nobody could open another file beside it
    if happening == "replaced":
        client.backup(old)
        old.replace(path)
    elif happening == "deleted":
        path.unlink()
    else:
        path.rename(old)
    with used_elsewhere(path):
        if ends != "at once":
            time.sleep(1.1)  # until reads look at the place again
            with pytest.raises(DatabaseReplacedError):
                client.query("c", limit=1) if ends == "after a read" else client.insert(
                    "c", _row(1)
                )
        client.close()
    assert _keys(path) == [*(range(300) if happening == "replaced" else ()), *range(1000, 1201)]
    if happening == "moved":
        assert _keys(old) == list(range(300))


def test_a_larger_file_in_the_place_of_one_that_is_open_is_not_called_damaged(tmp_path):
    path, larger = tmp_path / "kb.db", tmp_path / "larger.db"
    with MilvusClient(larger) as client:
        client.create_collection("c", dimension=2)
        client.insert("c", [_row(i) for i in range(5000)])
    shutil.copy(larger, tmp_path / "copy.db")
    with MilvusClient(path) as client:
        client.create_collection("c", dimension=2)
        client.compact("c")
        larger.replace(path)
        for read_only in (False, True):
            command = [sys.executable, "-c", _OPEN, path, str(read_only)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
            assert done.stdout.startswith("StorageError: cannot open ")
            assert "kb.db-wal) is of another file, which it was put in the place of" in done.stdout
    assert path.read_bytes() == (tmp_path / "copy.db").read_bytes()
    assert _keys(path) == list(range(5000))


_OPEN = """
import sys
from elanus import MilvusClient
from elanus.errors import ElanusError
try:
    MilvusClient(sys.argv[1], read_only=sys.argv[2] == "True")
except ElanusError as error:
    print(f"{type(error).__name__}: {error}")
"""


def test_a_damaged_row_is_named(tmp_path):
    path = tmp_path / "kb.db"
    with MilvusClient(path) as client:
        client.create_collection("c", dimension=2)
        client.insert("c", [_row(1), _row(2)])
    with apsw.Connection(str(path)) as db:
        db.execute("UPDATE c1_rows SET data = x'67617262616765' WHERE pk = 2")
    db.close()
    with MilvusClient(path) as client:
        assert client.get("c", 1)[0]["n"] == 1
        with pytest.raises(DatabaseCorruptError, match="row 2 of the file is damaged"):
            client.get("c", 2)
        with pytest.raises(DatabaseCorruptError, match="row 2 of the file is damaged"):
            client.query("c", "n == 1")
        assert len(client.verify()) == 1


@pytest.mark.parametrize("how", [pickle.dumps, copy.deepcopy])
def test_an_open_client_is_neither_pickled_nor_copied(how):
    with MilvusClient(":memory:") as client, pytest.raises(TypeError, match="open :memory: again"):
        how(client)


def test_a_connection_that_is_opened_later_makes_no_file_and_takes_no_other(tmp_path):
    """SQLite would delete the log beside a file that it makes, and with it what was acknowledged."""
    path, old = tmp_path / "kb.db", tmp_path / "old.db"
    client = MilvusClient(path)
    client.create_collection("c", dimension=2)
    client.insert("c", [_row(i) for i in range(50)])
    client._database.file.pool.close_idle(id)  # as before a fork
    log = path.with_name("kb.db-wal").read_bytes()
    path.rename(old)
    with pytest.raises(DatabaseReplacedError):
        client.query("c", limit=1)
    assert not path.exists()
    with MilvusClient(tmp_path / "another.db") as another:
        another.create_collection("c", dimension=2)
    (tmp_path / "another.db").rename(path)
    with pytest.raises(DatabaseReplacedError):
        client.query("c", limit=1)
    client.close()
    assert path.with_name("kb.db-wal").read_bytes() == log
    old.replace(path)
    assert _keys(path) == list(range(50))


def test_closing_a_moved_file_leaves_it_to_whoever_uses_it_where_it_is_now(tmp_path):
    path, old = tmp_path / "kb.db", tmp_path / "old.db"
    client = MilvusClient(path)
    client.create_collection("c", dimension=2)
    client.insert("c", [_row(i) for i in range(100)])
    client.compact("c")
    client.insert("c", [_row(i) for i in range(100, 200)])  # in the log, which is not moved
    path.rename(old)
    with used_elsewhere(old):
        pass
    client.close()
    assert _keys(old) == [*range(100), *range(1000, 1201)]


def test_a_file_that_is_replaced_in_the_middle_of_a_write_has_none_of_it_in_its_log(tmp_path):
    path, copy_of_it = tmp_path / "kb.db", tmp_path / "copy.db"
    client = MilvusClient(path)
    client.create_collection("c", dimension=2)
    client.insert("c", [_row(i) for i in range(10)])
    client.compact("c")
    client.backup(copy_of_it)

    def write():
        with client._database.file.write("write") as db:
            db.execute("DELETE FROM c1_rows")
            copy_of_it.replace(path)

    with pytest.raises(DatabaseReplacedError):
        write()
    with used_elsewhere(path):
        client.close()
    assert _keys(path) == [*range(10), *range(1000, 1201)]


def test_others_open_a_file_that_was_restored_in_place_once_it_was_looked_at(tmp_path):
    path, saved = tmp_path / "kb.db", tmp_path / "saved.db"
    with MilvusClient(path) as client:
        client.create_collection("c", dimension=2)
        client.insert("c", [_row(i) for i in range(100)])
        client.backup(saved)
        client.insert("c", [_row(i) for i in range(100, 200)])
        client.compact("c")
        done = subprocess.run(
            [sys.executable, "-c", _RESTORE, saved, path], check=False, timeout=60
        )
        assert done.returncode == 0
        time.sleep(1.1)
        assert len(client.query("c", output_fields=["id"])) == 100
        client.insert("c", _row(500))
        assert _keys_elsewhere(path) == [*range(100), 500]
    assert _keys(path) == [*range(100), 500]


_RESTORE = """
import apsw, sys
with apsw.Connection(sys.argv[2]) as into, into.backup("main", apsw.Connection(sys.argv[1]), "main") as copy:
    copy.step()
"""


def _keys_elsewhere(path):
    code = "import sys; sys.path.insert(0, sys.argv[2]); from test_where_the_file_is import _keys; print(_keys(sys.argv[1]))"
    command = [sys.executable, "-c", code, path, Path(__file__).parent]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)
