"""No write needs the system's folder for temporary files: it may be full, or not writable."""

import random
import sys
from pathlib import Path

import apsw
import pytest

from elanus import MilvusClient

_TEXT = random.Random(0).randbytes(5_000).hex()  # hard to compress


class _Noting(apsw.VFS):
    """Notes what SQLite opens to delete it again: the name it asks for, and whether that stays."""

    def __init__(self):
        self.base = apsw.vfs_names()[0]
        self.temporary = []
        super().__init__("noting", self.base, makedefault=True)

    def xOpen(self, name, flags):  # noqa: N802  # SQLite's name
        opened = apsw.VFSFile(self.base, name, flags)
        if name is None or flags[0] & apsw.SQLITE_OPEN_DELETEONCLOSE:
            self.temporary.append((name, name is not None and Path(name).exists()))
        return opened


@pytest.fixture
def noting():
    noting = _Noting()
    yield noting
    noting.unregister()


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_only_compact_makes_a_temporary_file_and_makes_it_beside_the_database(
    noting, tmp_path, world, journal
):
    path = tmp_path / "kb.db"
    with MilvusClient(path, journal=journal) as client:
        world.create(client)
        rows = [world.row(key, _TEXT[key : key + 8_000]) for key in range(2_000)]
        client.insert(world.NAME, rows)
        client.upsert(world.NAME, rows[:1_000])
        client.delete(world.NAME, filter="id % 2 == 0")
        client.backup(tmp_path / "copy.db")
        assert noting.temporary == []
        before = path.stat().st_size
        client.compact(world.NAME)
        assert client.verify() == []
        assert world.keys(client) == list(range(1, 2_000, 2))
        client.drop_collection(world.NAME)
    assert 0 < path.stat().st_size < before
    ((name, stays),) = noting.temporary
    assert Path(name).parent == tmp_path
    assert stays == (sys.platform == "win32")  # which deletes it when its process ends
    assert not Path(name).exists()


def test_a_database_in_memory_makes_none(noting, world):
    with MilvusClient(":memory:") as client:
        world.create(client)
        client.insert(
            world.NAME, [world.row(key, _TEXT[key : key + 8_000]) for key in range(2_000)]
        )
        client.delete(world.NAME, filter="id % 2 == 0")
        client.compact(world.NAME)
        assert client.verify() == []
    assert noting.temporary == []
