# ruff: noqa: ARG005  # the calls of a table all take the same arguments
"""Opening: what is ours, what is not, what is damaged; and reading without writing."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import apsw
import pytest

from elanus import DocumentStore, MilvusClient
from elanus.errors import (
    DatabaseCorruptError,
    DatabaseFormatError,
    DatabaseNotFoundError,
    ParamError,
    ReadOnlyError,
    StorageError,
)
from elanus.storage import Connection


@pytest.fixture
def closed(path, world):
    """A file that nobody has open."""
    with MilvusClient(path) as client:
        world.create(client)
        client.insert(world.NAME, world.rows(2000))
    return path


# --- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["kb.db", "with space.db", "ü#?%20&=.db", "日本.db", "no-ending"])
def test_any_file_name_will_do(tmp_path, world, name):
    for path in (tmp_path / name, str(tmp_path / name)):
        with MilvusClient(path) as client:
            world.create(client)
            client.insert(world.NAME, world.rows(3))
            assert client.verify() == []
    assert sorted(p.name for p in tmp_path.iterdir()) == [name, f"{name}-cache"]


def test_a_relative_path_is_meant_from_where_it_was_opened(tmp_path, world, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with MilvusClient("kb.db") as client:
        world.create(client)
    assert (tmp_path / "kb.db").exists()


def test_a_folder_is_refused_by_name(tmp_path):
    with pytest.raises(StorageError, match="is a folder; give the path of a file"):
        MilvusClient(tmp_path)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_missing_folder_is_refused_by_name_and_not_made(tmp_path, read_only):
    with pytest.raises(DatabaseNotFoundError, match=f"no folder {tmp_path}/none"):
        MilvusClient(tmp_path / "none" / "kb.db", read_only=read_only)
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_the_system_refuses_is_an_error_of_ours(tmp_path):
    with pytest.raises(StorageError, match=r"cannot open .*: File name too long"):
        MilvusClient(tmp_path / ("x" * 300))
    loop = tmp_path / "loop.db"
    loop.symlink_to(loop)
    with pytest.raises(StorageError, match=r"cannot open .*loop\.db"):
        MilvusClient(loop)


def test_a_link_leads_to_the_file(closed, tmp_path, world):
    (tmp_path / "link.db").symlink_to(closed)
    with MilvusClient(tmp_path / "link.db") as client:
        assert len(world.keys(client)) == 2000


def test_an_error_of_the_disk_at_opening_is_one_of_ours(closed, monkeypatch):
    def refuse(db, address):
        raise apsw.CantOpenError("unable to open database file")

    monkeypatch.setattr(Connection, "connect", refuse)
    with pytest.raises(StorageError, match="check that it is a readable file"):
        MilvusClient(closed)


# --- what is in the file -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"x", b"hello", b"hello world, I am no database\n" * 500, bytes(100_000), b"\x00"]
)
@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path, content, read_only):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(DatabaseFormatError, match=r"notes\.txt is not a database file"):
        MilvusClient(path, read_only=read_only)
    assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("read_only", [False, True])
def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path, read_only):
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE notes(text)")
    other.commit()
    other.close()
    content = path.read_bytes()
    with pytest.raises(DatabaseFormatError, match="database of another program"):
        MilvusClient(path, read_only=read_only)
    assert path.read_bytes() == content


def test_a_marked_but_empty_database_of_another_program_is_refused(tmp_path):
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("PRAGMA application_id=1234567")
    other.close()
    with pytest.raises(DatabaseFormatError, match="database of another program"):
        MilvusClient(path)


def test_an_empty_file_becomes_a_database(tmp_path, world):
    path = tmp_path / "kb.db"
    path.touch()
    with MilvusClient(path) as client:
        world.create(client)
        client.insert(world.NAME, world.rows(3))
        assert client.verify() == []


def test_an_empty_file_cannot_be_opened_read_only(tmp_path):
    (tmp_path / "kb.db").touch()
    with pytest.raises(DatabaseFormatError, match="is empty, and opened read-only"):
        MilvusClient(tmp_path / "kb.db", read_only=True)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_newer_format_is_refused_by_its_number(closed, read_only):
    db = sqlite3.connect(closed)
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(DatabaseFormatError, match=r"has format 99, newer .*\(up to 2\); install"):
        MilvusClient(closed, read_only=read_only)


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    "kept", [1, 7, 20, 100, 511, 512, 4096, 16384, 5 * 16384, -16384, -1, -5000]
)
def test_a_truncated_file_is_refused_and_not_made_worse(closed, kept, read_only):
    whole = Path(closed).read_bytes()
    left = whole[:kept]
    Path(closed).write_bytes(left)
    with pytest.raises((DatabaseCorruptError, DatabaseFormatError), match=r"kb\.db"):
        MilvusClient(closed, read_only=read_only)
    assert Path(closed).read_bytes() == left
    Path(closed).write_bytes(whole)
    with MilvusClient(closed) as client:
        assert client.verify() == []


def test_a_damaged_page_is_found_by_verify_or_named_by_the_error(closed):
    content = bytearray(Path(closed).read_bytes())
    middle = len(content) // 2 // 16384 * 16384
    content[middle : middle + 16384] = b"\xaa" * 16384
    Path(closed).write_bytes(content)
    try:
        with MilvusClient(closed) as client:
            found = client.verify()
    except DatabaseCorruptError as error:
        found = [str(error)]
    assert found
    assert Path(closed).read_bytes() == bytes(content)


# --- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("durability", "level"), [("full", 2), ("normal", 1)])
def test_durability_reaches_every_connection(path, durability, level):
    with MilvusClient(path, durability=durability) as client:
        file = client._database.file
        # The second is made because the first is in use.
        with file.read() as first, file.read() as second:
            assert first is not second
            for db in (first, second):
                assert db.execute("PRAGMA synchronous").fetchone() == (level,)


def test_a_rollback_journal_leaves_no_log_and_can_be_changed_back(path, world):
    for journal, keys in (("delete", 10), ("wal", 20), ("delete", 30)):
        with MilvusClient(path, journal=journal) as client:
            world.create(client)
            client.insert(world.NAME, world.rows(keys - 10, keys))
            with client._database.file.read() as db:
                assert db.execute("PRAGMA journal_mode").fetchone() == (journal,)
            assert Path(path + "-wal").exists() == (journal == "wal")
            assert world.keys(client) == list(range(keys))
            assert client.verify() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"durability": "off"}, "durability must be 'full' or 'normal', got 'off'"),
        ({"journal": "memory"}, "journal must be 'wal' or 'delete', got 'memory'"),
        ({"timeout": -1}, "timeout must be a number of seconds, got -1"),
        ({"timeout": float("nan")}, "timeout must be a number of seconds"),
        ({"timeout": "soon"}, "timeout must be a number of seconds, got 'soon'"),
    ],
)
def test_a_wrong_option_is_named_and_no_file_is_made(path, options, message):
    with pytest.raises(ParamError, match=message):
        MilvusClient(path, **options)
    assert not Path(path).exists()


# --- reading without writing ---------------------------------------------------------------------

WRITES = {
    "create": lambda c, w: c.create_collection("x", dimension=2),
    "drop": lambda c, w: c.drop_collection(w.NAME),
    "rename": lambda c, w: c.rename_collection(w.NAME, "x"),
    "truncate": lambda c, w: c.truncate_collection(w.NAME),
    "insert": lambda c, w: c.insert(w.NAME, w.rows(3)),
    "upsert": lambda c, w: c.upsert(w.NAME, w.rows(3)),
    "delete by key": lambda c, w: c.delete(w.NAME, ids=[1]),
    "delete by filter": lambda c, w: c.delete(w.NAME, filter="id == 1"),
    "drop_index": lambda c, w: c.drop_index(w.NAME, "v"),
    "compact": lambda c, w: c.compact(),
}


@pytest.fixture(params=["mode=ro", "immutable"])
def reader(request, closed, monkeypatch):
    """A read-only client, as usual, and on a medium where SQLite cannot make its shared memory."""
    if request.param == "immutable":
        on_read_only_medium(monkeypatch)
    with MilvusClient(closed, read_only=True) as opened:
        assert (opened._database.file.place.media is not None) == (request.param == "immutable")
        yield opened


def on_read_only_medium(monkeypatch):
    connect, may = Connection.connect, os.access

    def refusing(db, address):
        if "mode=ro" in address:
            raise apsw.CantOpenError("unable to open database file")
        return connect(db, address)

    monkeypatch.setattr(Connection, "connect", refusing)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and may(path, mode))


def test_a_read_only_client_reads_everything(reader, world):
    assert world.keys(reader) == list(range(2000))
    assert world.found(reader, "common") == list(range(2000))
    assert world.nearest(reader, 77) == 77
    assert reader.verify() == []


@pytest.mark.parametrize("name", WRITES)
def test_a_read_only_client_refuses_to_write(reader, world, name):
    with pytest.raises(ReadOnlyError, match=r"kb\.db is open read-only: cannot"):
        WRITES[name](reader, world)
    assert len(world.keys(reader)) == 2000


def test_a_read_only_client_writes_nothing(closed, tmp_path, world):
    shutil.rmtree(closed + "-cache")
    before = world.listing(tmp_path)
    content = Path(closed).read_bytes()
    with MilvusClient(closed, read_only=True) as client:
        client.load_collection(world.NAME)
        world.nearest(client, 5)
        client.verify()
    after = world.listing(tmp_path)
    # SQLite needs its shared memory to read beside writers; the log that comes with it is empty.
    assert after.pop("kb.db-wal", (0, 0))[0] == 0
    after.pop("kb.db-shm", None)
    assert after == before
    assert Path(closed).read_bytes() == content


def test_on_a_read_only_medium_not_even_shared_memory_is_made(closed, tmp_path, world, monkeypatch):
    shutil.rmtree(closed + "-cache")
    before = world.listing(tmp_path)
    on_read_only_medium(monkeypatch)
    with MilvusClient(closed, read_only=True) as client:
        world.nearest(client, 5)
    assert world.listing(tmp_path) == before


def test_on_a_read_only_medium_a_log_with_commits_is_never_ignored(closed, world, monkeypatch):
    with MilvusClient(closed) as writer:
        writer.insert(world.NAME, world.rows(5000, 5010))
        assert os.stat(closed + "-wal").st_size  # noqa: PTH116  # never opened by us
        on_read_only_medium(monkeypatch)
        with pytest.raises(StorageError, match=r"a log lies beside it .*copy both"):
            MilvusClient(closed, read_only=True)


def test_a_read_only_client_sees_what_a_writer_does_meanwhile(closed, world):
    with MilvusClient(closed, read_only=True) as reader, MilvusClient(closed) as writer:
        assert len(world.keys(reader)) == 2000
        writer.insert(world.NAME, world.rows(5000, 5010))
        writer.delete(world.NAME, ids=[0])
        assert world.found(reader, "common") == [*range(1, 2000), *range(5000, 5010)]
        assert reader.verify() == []


def test_a_read_only_store_searches_and_refuses_to_add(path):
    with DocumentStore(path) as store:
        store.add(["an owl sleeps"], ids=["owl"])
    with DocumentStore(path, read_only=True) as store:
        assert [h.id for h in store.search("owls", mode="text")] == ["owl"]
        with pytest.raises(ReadOnlyError, match="read-only"):
            store.add(["a kite"])
        assert store.verify() == []


def test_a_missing_file_cannot_be_opened_read_only(path):
    with pytest.raises(DatabaseNotFoundError, match="read-only: no such file"):
        MilvusClient(path, read_only=True)
    assert not Path(path).exists()


_READ = """
import os, sys
from elanus import MilvusClient
if os.geteuid() == 0:  # who may write everywhere
    os.setgid(65534)
    os.setuid(65534)
with MilvusClient(sys.argv[1], read_only=True) as client:
    print(client.query("rows", output_fields=["count(*)"])[0]["count(*)"])
"""


def test_a_file_in_a_folder_that_cannot_be_written_is_read(closed):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(closed, folder / "kb.db")
        (folder / "kb.db").chmod(0o644)
        folder.chmod(0o555)
        try:
            found = subprocess.run(
                [sys.executable, "-c", _READ, folder / "kb.db"],
                capture_output=True, text=True, timeout=60, check=True,
            )  # fmt: skip
        finally:
            folder.chmod(0o755)
    assert found.stdout == "2000\n"
