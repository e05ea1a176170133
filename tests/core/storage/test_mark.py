"""How a handle notices commits: by the mark beside the file, and by the file where it cannot."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from elanus import MilvusClient
from elanus.engine import _commit
from elanus.errors import StorageError
from elanus.storage.file._mark import CommitMark

_INSERT = """
import sys
from elanus import MilvusClient
with MilvusClient(sys.argv[1]) as client:
    client.insert("rows", [{"id": 7_000, "text": "late", "v": [0, 0, 0, 1]}])
    if sys.argv[2] == "die":
        import os
        file = client._database.file
        with file.write("die"), file._mark.moving():
            os._exit(0)
"""


@pytest.fixture
def asked(monkeypatch):
    """How often the newest commit was asked of the file."""
    calls = []
    real = _commit.read_state
    monkeypatch.setattr(_commit, "read_state", lambda db: calls.append(1) or real(db))
    return calls


def run(path, mode="live"):
    subprocess.run([sys.executable, "-c", _INSERT, str(path), mode], check=True, timeout=60)


def test_the_file_is_asked_once_between_two_commits(client, world, asked):
    world.found(client, "common")
    del asked[:]
    for _ in range(3):
        world.found(client, "common")
    assert asked == []
    client.insert(world.NAME, world.rows(500, 501, text="fresh"))
    del asked[:]
    assert world.found(client, "fresh") == [500]
    assert len(asked) >= 1


@pytest.mark.parametrize("mode", ["live", "die"])
def test_another_process_is_noticed_at_once_also_if_it_died_while_committing(
    client, world, path, mode
):
    assert world.found(client, "late") == []
    run(path, mode)
    assert world.found(client, "late") == [7_000]
    client.delete(world.NAME, [7_000])
    assert world.found(client, "late") == []


def test_a_number_left_odd_sends_everyone_to_the_file_until_the_next_commit(
    client, world, path, asked
):
    run(path, "die")
    world.found(client, "late")
    del asked[:]
    world.found(client, "late")
    assert asked != []
    client.delete(world.NAME, [7_000])
    world.found(client, "late")
    del asked[:]
    assert world.found(client, "late") == []
    assert asked == []


def test_a_handle_opened_by_a_link_notices_the_others(client, world, path, tmp_path):
    link = tmp_path / "link.db"
    link.symlink_to(path)
    with MilvusClient(link) as other:
        assert len(world.found(other, "common")) == 100
        client.delete(world.NAME, [5])
        assert len(world.found(other, "common")) == 99
    assert not Path(f"{link}-cache").exists()


def test_read_only_handles_notice_commits(client, world, path):
    with MilvusClient(path, read_only=True) as other:
        assert world.found(other, "late") == []
        client.insert(world.NAME, world.rows(900, 901, text="late"))
        assert world.found(other, "late") == [900]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_mark_that_may_only_be_read_is_mapped_by_who_only_reads(tmp_path, monkeypatch, number):
    path, opened = tmp_path / "commits", os.open

    def refuse(name, flags, *arguments):
        if flags & os.O_RDWR:
            raise OSError(number, os.strerror(number))
        return opened(name, flags, *arguments)

    writer = CommitMark(path, writable=True)
    with writer.moving():
        pass
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        reader = CommitMark(path, writable=False)
        assert CommitMark(path, writable=True).look() is None
    before = reader.look()
    assert before is not None
    with writer.moving():
        assert reader.look() is None
    assert reader.look() not in (before, None)


def test_a_deleted_folder_is_noticed_within_a_second(client, world, path):
    with MilvusClient(path) as other:
        assert len(world.found(other, "common")) == 100
        shutil.rmtree(f"{path}-cache")
        client.delete(world.NAME, [5])
        assert len(world.found(client, "common")) == 99
        time.sleep(1.1)
        assert len(world.found(other, "common")) == 99


def test_a_commit_that_moved_another_mark_is_noticed_in_every_collection(client, world, path):
    """Once a second the file is asked: what it says then holds for whoever reads next."""
    world.create(client, "other")
    client.insert("other", world.rows(3))
    for name in (world.NAME, "other"):
        world.keys(client, name)
    folder, away = Path(f"{path}-cache"), Path(f"{path}-away")
    folder.rename(away)
    run(path)
    shutil.rmtree(folder)
    away.rename(folder)
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        world.keys(client, "other")
    assert 7_000 in world.keys(client)


def test_a_mark_that_cannot_be_moved_stops_the_write(client, world, path):
    mark = Path(f"{path}-cache") / "commits"
    mark.unlink()
    mark.mkdir()
    with pytest.raises(StorageError, match=r"cannot write .*commits"):
        client.insert(world.NAME, world.rows(900, 901))
    assert len(world.keys(client)) == 100
    mark.rmdir()
    client.insert(world.NAME, world.rows(900, 901))
    assert len(world.keys(client)) == 101


_AS_ANOTHER = """
import os, sys
from elanus import MilvusClient
from elanus.errors import StorageError
path, mode = sys.argv[1], int(sys.argv[2], 8)
with MilvusClient(path) as client:  # all is imported while this user may still read it
    client.create_collection("rows", dimension=2)
    client.insert("rows", [{"id": 1, "vector": [1, 2]}])
    folder = os.path.dirname(path)
    os.chmod(folder, 0o777)
    for name in os.listdir(folder):
        os.chmod(os.path.join(folder, name), 0o666)
    os.chmod(path + "-cache", mode)
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        os.chmod(path + "-cache", 0o700)
        assert len(client.query("rows")) == 1
        sys.exit(os.waitstatus_to_exitcode(status))
    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    else:
        os.chmod(path + "-cache", mode & 0o077)
    other = MilvusClient(path)
    assert [row["id"] for row in other.query("rows")] == [1]
    try:
        other.insert("rows", [{"id": 2, "vector": [1, 2]}])
    except StorageError as error:
        assert "commits, by which other processes notice a commit; nothing was" in str(error), error
    else:
        os._exit(3)
    for call in (
        lambda: MilvusClient(f"{path}-cache/x/kb.db"),
        lambda: MilvusClient(f"{path}-cache/kb.db", read_only=True),
        lambda: other.backup(f"{path}-cache/copy.db"),
    ):
        try:
            call()
        except StorageError as error:
            assert "cannot open" in str(error), error
        else:
            os._exit(4)
    os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has no other user to become")
@pytest.mark.parametrize("mode", ["700", "600"])
def test_a_mark_in_a_folder_that_only_others_can_enter_stops_the_write(mode):
    with tempfile.TemporaryDirectory() as folder:  # another user can enter no `tmp_path`
        command = [sys.executable, "-c", _AS_ANOTHER, f"{folder}/kb.db", mode]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_a_mark_that_cannot_be_asked_for_stops_the_write_before_its_commit(
    client, world, path, monkeypatch, number
):
    """Whatever `exists` says of it: Python's versions differ."""
    stat, opened = os.stat, os.open

    def refuse(real):
        def call(name, *arguments, **options):
            if str(name).endswith("commits"):
                raise OSError(number, os.strerror(number))
            return real(name, *arguments, **options)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(Path, "exists", lambda _: False)
        patch.setattr(os, "stat", refuse(stat))
        patch.setattr(os, "open", refuse(opened))
        with pytest.raises(StorageError, match=r"cannot write .*commits.*nothing was written"):
            client.insert(world.NAME, world.rows(900, 901))
    assert len(world.keys(client)) == 100


def test_the_number_is_new_after_every_commit_whatever_the_file_held(tmp_path):
    path = tmp_path / "commits"
    path.write_bytes(b"\xff" * 8)
    mark = CommitMark(path, writable=True)
    assert mark.look() is None
    seen = set()
    for _ in range(5):
        with mark.moving():
            assert mark.look() is None
        seen.add(mark.look())
    assert len(seen) == 5
    assert None not in seen
    mark.close()
    assert mark.look() is None


def test_a_file_that_is_too_short_is_no_mark_until_a_writer_makes_it_one(tmp_path):
    path = tmp_path / "commits"
    path.write_bytes(b"abc")
    reader, writer = CommitMark(path, writable=False), CommitMark(path, writable=True)
    assert reader.look() is None
    with writer.moving():
        pass
    assert path.stat().st_size == 8
    reader.refresh()
    assert reader.look() == writer.look() is not None


def test_a_commit_that_outlives_its_handle_moves_the_number_and_lets_go(tmp_path):
    closing, other = (CommitMark(tmp_path / "commits", writable=True) for _ in range(2))
    with closing.moving():
        pass
    other.refresh()
    before = other.look()
    closing.close()
    closing.refresh()
    assert closing.look() is None
    with closing.moving():
        assert other.look() is None
    assert closing.look() is None
    assert other.look() not in (before, None)
