"""A program that fills a small disk, and uses a database there."""

import os
import shutil
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from elanus import MilvusClient
from elanus.errors import DatabaseFullError, StorageError

folder, is_small = Path(sys.argv[1]), sys.argv[2] == "small"
path, filler = folder / "kb.db", folder / "filler"


def row(key, note="n"):
    return {"id": key, "vector": [float(key), 1.0], "note": note}


def fill():
    if is_small:
        with filler.open("wb", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass


def refused(call):
    """The call fails, because the disk is full, by an error that says so."""
    expected = pytest.raises(DatabaseFullError, match="no space left")
    with expected if is_small else nullcontext():
        call()


with MilvusClient(path) as client:
    client.create_collection("rows", dimension=2)
    client.insert("rows", [row(key) for key in range(100)])

# Opening needs room for the log's index; a handle that is open goes on reading.
fill()
refused(lambda: MilvusClient(path).close())
refused(lambda: MilvusClient(folder / "new.db").close())
filler.unlink(missing_ok=True)
with MilvusClient(path) as client:
    assert client.verify() == []


# A write that is refused gives back what its log has taken, also to other programs.
def free():
    found = os.statvfs(folder)
    return found.f_bavail * found.f_bsize


with MilvusClient(path) as client:
    client.insert("rows", [row(key, "x" * 1_000) for key in range(1_000, 1_100)])
with MilvusClient(path) as client:
    fill()
    if is_small:
        with filler.open("rb+") as file:
            file.truncate(filler.stat().st_size - 400_000)
    before = free()
    many = [row(key, "y" * 1_000) for key in range(2_000, 4_000)]
    for _ in range(3):
        refused(lambda: client.insert("rows", many))
        assert not is_small or free() > before - 100_000, (before, free())
    filler.unlink(missing_ok=True)
    assert client.verify() == []
    client.delete("rows", filter="id >= 1000")

# The mark, which others map, is made anew while there is no room for it.
with MilvusClient(path) as client:
    shutil.rmtree(f"{path}-cache")
    fill()
    for _ in range(3):
        refused(lambda: client.insert("rows", row(500)))
    assert len(client.query("rows", "id < 100")) == 100
    filler.unlink(missing_ok=True)
    client.insert("rows", row(501))
    assert client.verify() == []

    # A copy that fails leaves nothing.
    fill()
    if is_small:
        with pytest.raises(StorageError):
            client.backup(folder / "copy.db")
    assert list(folder.glob("*copy*")) == []
    filler.unlink(missing_ok=True)
    client.backup(folder / "copy.db")

    # A write that the disk has no room for, again and again.
    fill()
    for _ in range(3):
        refused(lambda: client.insert("rows", [row(key, "x" * 2000) for key in range(5000, 9000)]))
        refused(lambda: client.upsert("rows", [row(key, "x" * 2000) for key in range(5000, 9000)]))
    filler.unlink(missing_ok=True)
    if is_small:
        assert len(client.query("rows", "id >= 5000")) == 0
    client.insert("rows", row(502))
    assert client.verify() == []
with MilvusClient(folder / "copy.db") as client:
    assert client.verify() == []
    assert len(client.query("rows", "id < 100")) == 100
print("done")
