"""Logs that a killed process left, and what is put beside them: names, copies, new files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from elanus import MilvusClient
from elanus.errors import DatabaseCorruptError, DatabaseNotFoundError, StorageError
from elanus.storage.file import _file

_WRITE_AND_DIE = """
import os, sys
from elanus import MilvusClient
path, journal, first, last, how = sys.argv[1:]
client = MilvusClient(path, journal=journal)
if how == "saves":
    client.query("rows", limit=1)
    database = client._database
    database._upkeep.cache.save(next(iter(database.commits.states.values())))
    with database.file.read() as db:
        assert db.row("SELECT count(*) FROM snapshots")[0]
for key in range(int(first), int(last)):
    client.insert("rows", [{"id": key, "text": "later " * 2_000, "v": [0, 0, 0, 1]}])
if how == "half":
    with client._database.file.write("die") as db:
        db.execute("PRAGMA cache_size=1")
        db.execute("UPDATE c1_rows SET data = zeroblob(20000)")
        os._exit(9)
os._exit(9)
"""


def write_and_die(path, journal="wal", span=(1000, 1020), how="all"):
    command = [sys.executable, "-c", _WRITE_AND_DIE, path, journal, *map(str, span), how]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 9, done.stderr


@pytest.fixture
def make(world):
    """Makes a closed file of some rows."""

    def make(path, count=50, **options):
        with MilvusClient(path, **options) as client:
            world.create(client)
            client.insert(world.NAME, world.rows(count))
        return path

    return make


def beside(path):
    return {ending: Path(f"{path}{ending}").exists() for ending in ("-wal", "-shm", "-journal")}


# --- a second name in the same folder ------------------------------------------------------------


def test_a_second_name_beside_a_killed_writers_journal_is_refused(make, path, tmp_path, world):
    make(path, 1000, journal="delete")
    write_and_die(path, "delete", (0, 0), "half")
    assert beside(path)["-journal"]
    other = tmp_path / "other.db"
    os.link(path, other)
    for read_only in (False, True):
        with pytest.raises(StorageError, match=r"other\.db: it is the same file as .*kb\.db \(a h"):
            MilvusClient(other, journal="delete", read_only=read_only)
    other.unlink()
    with MilvusClient(path, journal="delete") as client:
        assert world.keys(client) == list(range(1000))
        assert client.verify() == []


def test_a_second_name_of_a_file_that_another_process_has_open_without_a_log_is_refused(
    make, path, tmp_path
):
    make(path, journal="delete")
    code = """
import sys
from elanus import MilvusClient
with MilvusClient(sys.argv[1], journal="delete", read_only=True) as client:
    print(len(client.query("rows")), flush=True)
    sys.stdin.readline()
"""
    shutil.rmtree(f"{path}-cache")
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdout.readline() == b"50\n"
        os.link(path, tmp_path / "other.db")
        for read_only in (False, True):
            with pytest.raises(StorageError, match=r"the same file as .*kb\.db \(a hard link\)"):
                MilvusClient(tmp_path / "other.db", journal="delete", read_only=read_only)
        reader.communicate(b"\n", timeout=60)


def test_names_in_other_folders_and_links_that_are_none_of_it_are_let_be(
    make, path, tmp_path, world
):
    (tmp_path / "deeper").mkdir()
    os.link(make(path), tmp_path / "deeper" / "other.db")
    (tmp_path / "soft.db").symlink_to(path)
    # As a backup leaves it whose process was killed just when the copy had got its name.
    os.link(path, tmp_path / "backup-12-34.part")
    for name in (path, tmp_path / "soft.db"):
        with MilvusClient(name) as client:
            assert len(world.keys(client)) == 50
    with pytest.raises(StorageError, match=r"the same file as .*kb\.db"):
        MilvusClient(tmp_path / "backup-12-34.part")


# --- a new file beside a log ---------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
def test_a_backup_to_a_name_beside_which_a_log_lies_writes_nothing(client, tmp_path, ending):
    target = tmp_path / "copy.db"
    left = Path(f"{target}{ending}")
    left.write_bytes(b"")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StorageError, match=rf"copy\.db: .*copy\.db{ending} lies there, of another"):
        client.backup(target)
    assert sorted(tmp_path.iterdir()) == before
    left.unlink()
    client.backup(target)


def test_a_log_that_comes_while_a_backup_is_written_keeps_it_from_its_name(
    client, tmp_path, monkeypatch
):
    give_identity = _file.give_identity

    def later(made):
        give_identity(made)
        (tmp_path / "copy.db-wal").write_bytes(b"x")

    monkeypatch.setattr(_file, "give_identity", later)
    with pytest.raises(StorageError, match=r"copy\.db-wal lies there"):
        client.backup(tmp_path / "copy.db")
    names = {file.name for file in tmp_path.iterdir()}
    assert "copy.db" not in names
    assert not [name for name in names if name.endswith(".part")]


@pytest.mark.parametrize(
    ("what", "journal"), [("absent", "wal"), ("empty", "wal"), ("empty", "delete")]
)
def test_a_log_whose_file_is_gone_is_neither_deleted_nor_played_back(
    make, path, world, what, journal
):
    make(path, 1000, journal=journal)
    write_and_die(path, journal, (1000, 1005), "half" if journal == "delete" else "all")
    Path(path).rename(path + ".kept")
    if what == "empty":
        Path(path).touch()
    log = Path(path + {"wal": "-wal", "delete": "-journal"}[journal])
    content = log.read_bytes()
    assert content
    for read_only in (False, True):
        wrong = DatabaseNotFoundError if what == "absent" and read_only else StorageError
        with pytest.raises(wrong) as told:
            MilvusClient(path, journal=journal, read_only=read_only)
        assert read_only or f"{log} has changes of a database that lay here" in str(told.value)
    assert log.read_bytes() == content
    Path(path + ".kept").replace(path)
    with MilvusClient(path, journal=journal) as client:
        assert world.keys(client) == list(range(1005))
        assert client.verify() == []


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_file_whose_maker_was_killed_before_it_had_a_page_is_made_again(path, journal):
    Path(path).touch()
    Path(path + "-wal").touch()
    Path(path + "-journal").write_bytes(bytes(512))
    with MilvusClient(path, journal=journal) as client:
        client.create_collection("rows", dimension=2)
        assert client.verify() == []


# --- another file beside a log -------------------------------------------------------------------


@pytest.mark.parametrize("how", ["all", "saves"])
def test_a_backup_that_is_put_beside_the_log_of_a_killed_process_is_not_mixed_with_it(
    make, path, tmp_path, world, how
):
    with MilvusClient(make(path)) as client:
        client.backup(tmp_path / "copy.db")
    write_and_die(path, span=(1000, 1020) if how == "all" else (0, 0), how=how)
    Path(path).rename(tmp_path / "old.db")
    shutil.copy(tmp_path / "copy.db", path)
    log = Path(path + "-wal").read_bytes()
    for read_only in (False, True):
        with pytest.raises(
            StorageError, match=r"kb\.db-wal\) is of another file, which it was put"
        ):
            MilvusClient(path, read_only=read_only)
    assert Path(path + "-wal").read_bytes() == log
    # Either way out: the old file with its log, or the copy without.
    (tmp_path / "old.db").replace(path)
    with MilvusClient(path) as client:
        assert len(world.keys(client)) == (70 if how == "all" else 50)
        assert client.verify() == []
    write_and_die(path, span=(2000, 2005))
    (tmp_path / "copy.db").replace(path)
    for ending in ("-wal", "-shm"):
        Path(path + ending).unlink()
    with MilvusClient(path) as client:
        assert world.keys(client) == list(range(50))
        assert client.verify() == []


def test_a_file_with_its_own_log_may_be_moved_copied_and_opened_by_many(
    make, path, tmp_path, world
):
    make(path)
    write_and_die(path)
    (tmp_path / "moved").mkdir()
    for ending in ("", "-wal"):
        shutil.copy(path + ending, tmp_path / "moved" / f"kb.db{ending}")
    for name in (tmp_path / "moved" / "kb.db", path):
        with MilvusClient(name) as client, MilvusClient(name, read_only=True) as other:
            client.insert(world.NAME, world.rows(3000, 3001))
            assert len(world.keys(client)) == len(world.keys(other)) == 71
            with MilvusClient(name) as third:
                assert third.verify() == []


@pytest.mark.parametrize("place", ["file", ":memory:"])
def test_a_copy_has_a_name_of_its_own_and_all_else_of_its_original(
    make, path, tmp_path, world, place
):
    with MilvusClient(make(path) if place == "file" else place) as client:
        if place == ":memory:":
            world.create(client)
        for name in ("a.db", "b.db"):
            client.backup(tmp_path / name)
    assert not any(beside(tmp_path / "a.db").values())
    states = []
    for name in ("a.db", "b.db"):
        with (
            MilvusClient(tmp_path / name, read_only=True) as client,
            client._database.file.read() as db,
        ):
            states.append(db.row("SELECT seq, catalogue, identity FROM state"))
    assert states[0][:2] == states[1][:2]
    assert states[0][2] != states[1][2]


def test_a_malformed_file_beside_a_log_says_that_the_log_may_be_anothers(make, path, world):
    """A copy that was not made by ``backup()`` has the name of its original."""
    shutil.copy(make(path), path + ".copy")
    with MilvusClient(path) as client:
        client.insert(world.NAME, world.rows(50, 3000, text="later " * 300))
    write_and_die(path, span=(5000, 5020))
    Path(path + ".copy").replace(path)
    told = r"is damaged .*remove its -wal, -shm and -journal with the old file: the log of another"

    def read_all():
        with MilvusClient(path) as client:
            world.found(client, "later")

    with pytest.raises(DatabaseCorruptError, match=told):
        read_all()


def test_a_copy_has_its_name_on_the_disk_when_it_is_acknowledged(client, tmp_path, monkeypatch):
    done, sync, link = [], os.fsync, os.link
    monkeypatch.setattr(
        os, "fsync", lambda fd: done.append(str(Path(f"/proc/self/fd/{fd}").readlink())) or sync(fd)
    )
    monkeypatch.setattr(os, "link", lambda *names: done.append("link") or link(*names))
    client.backup(tmp_path / "copy.db")
    assert done[done.index("link") :] == ["link", str(tmp_path)]
