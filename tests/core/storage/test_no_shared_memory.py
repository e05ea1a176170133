"""File systems on which no memory can be shared: what the log asks for, and what works without."""

import errno
import mmap
import os
from pathlib import Path

import apsw
import pytest

from elanus import MilvusClient
from elanus.errors import DatabaseFullError, StorageError
from elanus.storage._errors import translate


def refuse_maps(monkeypatch, number):
    def refused(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(mmap, "mmap", refused)


def cannot_map():
    return apsw.exception_for(apsw.SQLITE_IOERR_SHMMAP)


def test_a_log_that_cannot_be_mapped_names_the_other_journal(path):
    error = translate(cannot_map(), path)
    assert type(error) is StorageError
    assert f"{path}: the file system does not support SQLite's write-ahead log" in str(error)
    assert "journal='delete'" in str(error)


def test_a_log_that_a_limit_of_memory_keeps_from_being_mapped_says_so(path, monkeypatch):
    with monkeypatch.context() as patch:
        refuse_maps(patch, errno.ENOMEM)
        error = translate(cannot_map(), path)
    assert type(error) is StorageError
    assert "too little memory" in str(error)


def test_a_log_that_cannot_be_mapped_on_a_full_disk_says_that_it_is_full(path, monkeypatch):
    real = os.statvfs

    def full(where):
        found = list(real(where))
        found[2:5] = 1_000_000, 0, 0  # f_blocks, f_bfree, f_bavail
        return os.statvfs_result(found)

    with monkeypatch.context() as patch:
        patch.setattr(os, "statvfs", full)
        assert type(translate(cannot_map(), path)) is DatabaseFullError
    grown = apsw.exception_for(apsw.SQLITE_IOERR_SHMSIZE)
    assert type(translate(grown, path)) is DatabaseFullError


@pytest.mark.parametrize("number", [errno.ENODEV, errno.EINVAL])
def test_with_the_other_journal_writes_need_no_map_and_are_seen_at_once(
    path, world, monkeypatch, number
):
    with MilvusClient(path, journal="delete") as before:
        world.create(before)
        before.insert(world.NAME, world.rows(3))
    # The reader has mapped the number, which then nobody moves.
    with MilvusClient(path, read_only=True) as reader, monkeypatch.context() as patch:
        assert world.keys(reader) == [0, 1, 2]
        refuse_maps(patch, number)
        with MilvusClient(path, journal="delete") as writer:
            for key in range(3, 8):
                writer.insert(world.NAME, world.rows(key, key + 1))
                assert world.keys(reader) == world.keys(writer) == list(range(key + 1))
            writer.delete(world.NAME, [0])
            assert world.keys(reader) == list(range(1, 8))
            assert writer.verify() == []


def test_with_the_log_a_number_that_cannot_be_mapped_stops_the_write(
    client, path, world, monkeypatch
):
    (Path(f"{path}-cache") / "commits").unlink()
    with monkeypatch.context() as patch:
        refuse_maps(patch, errno.ENODEV)
        with pytest.raises(StorageError, match=r"cannot write .*commits"):
            client.insert(world.NAME, world.rows(100, 101))
    assert len(world.keys(client)) == 100
