"""Saving that fails leaves nothing behind, and takes no space that is short."""

import errno
import os
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from elanus import MilvusClient
from elanus.engine.saved import _saving
from elanus.engine.saved._cache import SavedCache
from elanus.engine.upkeep._thresholds import Pauses
from elanus.errors import DatabaseFullError
from elanus.storage import CacheFolder
from elanus.storage.cache import _container as container
from elanus.storage.cache import _folder as _cache

DIM = 16
QUERY = np.ones(DIM, dtype=np.float32)


@pytest.fixture(autouse=True)
def _small_texts(thresholds):
    thresholds(text_rows=100)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.db"


def state_of(client):
    client.query("c", limit=1)
    return next(iter(client._database.commits.states.values()))


def contents(path):
    folder = path.with_name(f"{path.name}-cache")
    return {f.name: f.read_bytes() for f in folder.iterdir() if f.suffix in (".arrays", ".f32")}


def search(client, field="vector", k=10):
    query = QUERY if field == "vector" else "black common"
    (hits,) = client.search("c", [query], anns_field=field, limit=k)
    return [(hit.id, hit.distance) for hit in hits]


def fail_at(monkeypatch, turn, error):
    """Have the n-th piece that is written to any file fail after half of it."""
    pieces, count = container.pieces, [0]

    def failing(array):
        for piece in pieces(array):
            count[0] += 1
            if count[0] == turn:
                yield piece[: len(piece) // 2]
                raise error
            yield piece

    monkeypatch.setattr(container, "pieces", failing)
    monkeypatch.setattr(container, "checksum", lambda *_: 0)
    return count


ERRORS = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EIO, "Input/output error"),
    RuntimeError("something"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_whatever_is_written_last_nothing_of_a_failed_save_is_left(
    path, fill, rows, monkeypatch, error
):
    with fill(path) as client:
        client.insert("c", rows(600, 900))
        before, exact = contents(path), search(client, k=900)
        search(client, "terms")
        client._database._upkeep.background.wait((state_of(client).number, "save"))
        before = contents(path)
        turn = 0
        while True:
            turn += 1
            with monkeypatch.context() as broken:
                count = fail_at(broken, turn, error)
                try:
                    client._database._upkeep.cache.save(state_of(client))
                except type(error):
                    pass
                else:
                    break
            assert contents(path) == before, turn
        assert turn > 10
        assert count[0] == turn - 1
        # Checksums of the last save are wrong, as the test has it: it is noticed, and harmless.
    with MilvusClient(path) as client:
        assert search(client, k=900) == exact
        assert client.verify() == []


def test_a_save_that_cannot_be_registered_is_taken_back(path, fill, rows, monkeypatch):
    with fill(path) as client:
        client.insert("c", rows(600, 900))
        search(client)
        before = contents(path)

        def full(*_):
            raise DatabaseFullError("no space left")

        with monkeypatch.context() as broken:
            broken.setattr("elanus.engine.saved._cache.register", full)
            with pytest.raises(DatabaseFullError):
                client._database._upkeep.cache.save(state_of(client))
        assert contents(path) == before
        client._database._upkeep.cache.save(state_of(client))
        assert contents(path) != before
        assert len(contents(path)) == len(before)


def test_a_save_whose_commit_was_done_although_it_failed_is_kept(path, fill, rows, monkeypatch):
    with fill(path) as client:
        client.insert("c", rows(600, 900))
        exact = search(client, k=900)
        file = client._database.file
        write = type(file).write

        class Late:
            def __init__(self, block):
                self.block = block

            def __enter__(self):
                return self.block.__enter__()

            def __exit__(self, *details):
                self.block.__exit__(*details)
                raise OSError(errno.EIO, "after the commit")

        monkeypatch.setattr(type(file), "write", lambda *args, **kw: Late(write(*args, **kw)))
        with pytest.raises(OSError, match="after the commit"):
            client._database._upkeep.cache.save(state_of(client))
        monkeypatch.undo()
    with MilvusClient(path) as client:
        assert search(client, k=900) == exact
        parts = state_of(client).view.parts.values()
        assert [len(p.rows.base) for p in parts if hasattr(p, "rows")] == [900]


def test_saving_that_is_stopped_leaves_nothing(path, fill, rows):
    with fill(path) as client:
        client.insert("c", rows(600, 900))
        search(client)
        before = contents(path)
        for patience in range(40):
            asked = []

            def stop(asked=asked, patience=patience):
                asked.append(1)
                return len(asked) > patience

            try:
                client._database._upkeep.cache.save(state_of(client), stop=stop)
            except _saving.Stopped:
                assert contents(path) == before
            else:
                break
        assert patience > 5
        assert contents(path) != before


def test_a_save_does_not_begin_when_it_would_leave_too_little_space(
    path, fill, rows, monkeypatch, caplog
):
    with fill(path) as client:
        client.insert("c", rows(600, 900))
        search(client)
        before = contents(path)
        free = [_cache.RESERVE + 10_000]
        usage = _cache.shutil.disk_usage(path.parent)
        monkeypatch.setattr(_cache.shutil, "disk_usage", lambda _: usage._replace(free=free[0]))
        monkeypatch.setattr(_saving, "write_arrays", lambda *_: pytest.fail("written"))
        client._database._upkeep.cache.save(state_of(client))
        assert contents(path) == before
        assert "little space is left" in caplog.text
        monkeypatch.undo()
        client._database._upkeep.cache.save(state_of(client))
        assert contents(path) != before


def test_a_graph_that_could_not_be_saved_is_saved_later(path, fill, thresholds, monkeypatch):
    save = SavedCache.save
    failures = []

    def fail_twice(self, *args, **options):
        if len(failures) < 2:
            failures.append(1)
            raise OSError(errno.ENOSPC, "No space left on device")
        save(self, *args, **options)

    thresholds(pauses=Pauses(first=0.01))
    monkeypatch.setattr(SavedCache, "save", fail_twice)
    with fill(path):
        deadline = time.monotonic() + 60
        while not contents(path):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert len(failures) == 2


_LIMITED = """
import resource, sys
from elanus import MilvusClient
from elanus.engine.upkeep._tasks import BackgroundUpkeep
from elanus.engine.upkeep._thresholds import Pauses, Thresholds
import logging
logging.getLogger("elanus").addHandler(logging.NullHandler())
BackgroundUpkeep.thresholds = Thresholds(300, 0, pauses=Pauses(first=0.01))
client = MilvusClient(sys.argv[1])
params = client.prepare_index_params("vector", index_type="HNSW", metric_type="L2")
client.create_collection("c", dimension=64, index_params=params)
def rows(a, b):
    return [{"id": i, "vector": [float(i % 7)] * 63 + [float(i)]} for i in range(a, b)]
client.insert("c", rows(0, 2000))
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
# The vectors alone are 512,000 bytes.
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, most))
client.load_collection("c")
client.search("c", [[1.0] * 64])
task = client._database._upkeep.background._tasks
assert task, "the save did not fail"
import os
left = {f: os.stat(f"{sys.argv[1]}-cache/{f}").st_size for f in os.listdir(f"{sys.argv[1]}-cache")}
print(sum(size for name, size in left.items() if name.endswith((".f32", ".arrays"))))
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
background = client._database._upkeep.background
for name in list(task):
    background.wait(name)
print(len(task))
print(sorted(f.rsplit(".")[-1] for f in os.listdir(f"{sys.argv[1]}-cache") if "." in f))
print(client.verify())
client.close()
"""


def test_files_that_may_not_grow_are_removed_and_saved_once_they_may(path):
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, path], capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    left, waiting, kinds, faults = done.stdout.splitlines()
    assert (left, waiting, faults) == ("0", "0", "[]")
    assert kinds == "['arrays', 'arrays', 'f32', 'lock', 'lock']"


_FULL = textwrap.dedent(
    """
    import logging, sys
    from elanus import MilvusClient
    from elanus.engine.upkeep._tasks import BackgroundUpkeep
    from elanus.engine.upkeep._thresholds import Pauses, Thresholds
    from elanus.errors import StorageError
    from elanus.storage.cache import _folder as _cache
    logging.getLogger("elanus").addHandler(logging.NullHandler())
    _cache.RESERVE = int(sys.argv[2])
    BackgroundUpkeep.thresholds = Thresholds(300, 0, pauses=Pauses(first=0.01))
    client = MilvusClient(sys.argv[1])
    params = client.prepare_index_params("vector", index_type="HNSW", metric_type="L2")
    client.create_collection("c", dimension=256, index_params=params)
    rows = [{"id": i, "vector": [float(i % 7)] * 255 + [float(i)]} for i in range(20_000)]
    client.insert("c", rows[:4_000])
    folder = client._database._upkeep.cache.folder.path
    before = _cache.shutil.disk_usage(folder).free
    # Too little for the 4 MB of vectors in the cache, and enough for 500 rows.
    (folder.parent / "filler").write_bytes(bytes(before - 3_000_000))
    client.load_collection("c")
    print(_cache.shutil.disk_usage(folder).free > 2_900_000)
    print(not [f for f in folder.iterdir() if f.suffix in (".f32", ".arrays")])
    client.insert("c", rows[4_000:4_500])
    at = 4_000
    print(client.query("c", output_fields=["count(*)"])[0]["count(*)"] == at + 500)
    print(client.verify())
    client.close()
    """
)


@pytest.mark.parametrize("reserve", [0, 256 << 20])
def test_a_small_disk_keeps_room_for_what_users_write(tmp_path, reserve):
    """On a real one where that can be mounted; else sizes of files are limited above."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        done = subprocess.run(
            [sys.executable, "-c", _FULL, disk / "a.db", str(reserve)]
            if mounted
            else [sys.executable, "-c", _LIMITED, disk / "a.db"],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "[]"
        assert "False" not in done.stdout
    finally:
        if mounted:
            subprocess.run(["umount", str(disk)], check=True)


def test_room_is_that_of_the_disk_less_the_reserve(tmp_path):
    folder = CacheFolder(tmp_path)
    free = _cache.shutil.disk_usage(tmp_path).free
    assert not folder.has_room(free)
    assert not folder.has_room(free - _cache.RESERVE // 2)
    assert CacheFolder(tmp_path / "gone").has_room(1 << 60)
    assert os.path.isdir(tmp_path)  # noqa: PTH112
