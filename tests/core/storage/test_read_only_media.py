"""Read-only: what cannot be written is read as it is, and never believed when it may be wrong."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import apsw
import pytest

from elanus import MilvusClient
from elanus.errors import DatabaseReplacedError, StorageError
from elanus.storage import Connection

_MANY = """
import resource, sys
from elanus import MilvusClient
from elanus.errors import StorageError
path = sys.argv[1]
warm = MilvusClient(path, read_only=True)
warm.query("rows")
opened = []
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (60, most))
try:
    while True:
        opened.append(MilvusClient(path, read_only=sys.argv[2] == "read only"))
        opened[-1].query("rows")
except StorageError as error:
    assert "too many files open" in str(error) and "ulimit" in str(error), error
assert all(client._database.file.place.media is None for client in [warm, *opened])
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
with MilvusClient(path) as writer:
    writer.insert("rows", {"id": 900, "text": "late", "v": [0, 0, 0, 1]})
for client in opened:
    assert len(client.query("rows", "id == 900")) == 1
    client.close()
warm.close()
"""


_FEW = """
import os, resource, sys
from elanus import MilvusClient
from elanus.errors import StorageError
used = max(map(int, os.listdir("/proc/self/fd"))) + 1
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
failed = 0
for left in range(12):
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + left, most))
    try:
        with MilvusClient(f"{sys.argv[1]}.{left}") as client:
            client.create_collection("rows", dimension=2)
    except StorageError as error:
        failed += 1
        assert "too many files open" in str(error), (left, error)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with MilvusClient(f"{sys.argv[1]}.{left}") as client:
        client.create_collection("rows", dimension=2)
assert 2 < failed < 12, failed
"""


def test_too_few_descriptors_are_named_whichever_file_cannot_be_opened(path):
    done = subprocess.run(
        [sys.executable, "-c", _FEW, path], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("mode", ["read only", "writable"])
def test_running_out_of_descriptors_is_named_and_makes_nothing_immutable(client, path, world, mode):
    done = subprocess.run(
        [sys.executable, "-c", _MANY, path, mode],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(world.keys(client)) == 101


_DIE = """
import os, signal, sys
from elanus import MilvusClient
client = MilvusClient(sys.argv[1], journal="delete")
with client._database.file.write("die") as db:
    db.execute("PRAGMA cache_size=1")
    db.execute("UPDATE c1_rows SET data = zeroblob(20000)")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("limit", [0, 4_000, 100_000])
def test_a_sound_file_is_not_damaged_where_its_journal_cannot_be_taken_back(path, world, limit):
    """SQLite then fails in the middle of reading, by an error that damage can have too."""
    with MilvusClient(path, journal="delete") as client:
        world.create(client)
        client.insert(world.NAME, world.rows(3000))
    limited = subprocess.run(
        [sys.executable, "-c", _LIMITED, path, _DIE, str(limit)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert limited.returncode == 0, limited.stderr
    with MilvusClient(path, journal="delete") as client:
        assert client.verify() == []
        assert world.keys(client) == list(range(3000))


_LIMITED = """
import resource, subprocess, sys
from elanus import MilvusClient
from elanus.errors import DatabaseCorruptError, StorageError
path, die, limit = sys.argv[1:]
writer = MilvusClient(path, journal="delete")
reader = MilvusClient(path, journal="delete", read_only=True)
for client in (writer, reader):
    assert len(client.query("rows")) == 3000
subprocess.run([sys.executable, "-c", die, path], timeout=60)
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), most))
for client, told in ((writer, "ulimit -f"), (reader, "a writer died")):
    for call in (
        lambda: client.query("rows"),
        lambda: client.search("rows", [[0, 0, 0, 1]], anns_field="v"),
        lambda: client.list_collections(),
        lambda: client.backup(path + ".copy"),
        client.verify,
    ):
        try:
            call()
        except StorageError as error:
            assert told in str(error) and not isinstance(error, DatabaseCorruptError), error
            assert ".copy" not in str(error), error
        else:
            raise AssertionError("it was read")
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
assert len(writer.query("rows")) == 3000 and writer.verify() == []
assert len(reader.query("rows")) == 3000 and reader.verify() == []
"""


def test_what_a_writer_that_died_left_half_written_is_never_read(path, world):
    with MilvusClient(path, journal="delete") as client:
        world.create(client)
        client.insert(world.NAME, world.rows(3000))
    died = subprocess.run([sys.executable, "-c", _DIE, path], timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL
    assert os.stat(path + "-journal").st_size  # noqa: PTH116  # never opened by us
    told = r"a writer died .*-journal takes back; open the fil"
    for _ in range(2):
        with pytest.raises(StorageError, match=told):
            MilvusClient(path, read_only=True, journal="delete")
    with MilvusClient(path, journal="delete") as client:
        assert client.verify() == []
    with MilvusClient(path, read_only=True, journal="delete") as client:
        assert world.keys(client) == list(range(3000))


@pytest.fixture
def medium(path, world, monkeypatch):
    """A file in a folder that cannot be written; what SQLite and the system say is forced."""
    with MilvusClient(path) as client:
        world.create(client)
        client.insert(world.NAME, world.rows(50))
    connect, may = Connection.connect, os.access

    def refusing(db, address):
        if "mode=ro" in address:
            raise apsw.CantOpenError("unable to open database file")
        return connect(db, address)

    monkeypatch.setattr(Connection, "connect", refusing)
    monkeypatch.setattr(os, "access", lambda name, mode: mode != os.W_OK and may(name, mode))
    return path


@pytest.mark.parametrize("change", ["written", "touched", "replaced", "deleted", "log", "journal"])
def test_a_change_of_what_was_taken_for_unchangeable_is_noticed_at_once(medium, world, change):
    with MilvusClient(medium, read_only=True) as client:
        assert world.keys(client) == list(range(50))
        if change == "written":
            with Path(medium).open("ab") as file:  # from outside, as by another host
                file.write(b"x")
        elif change == "touched":
            os.utime(medium, ns=(1, 1))
        elif change == "replaced":
            Path(medium).rename(medium + ".old")
            Path(medium).write_bytes(Path(medium + ".old").read_bytes())
        elif change == "deleted":
            Path(medium).unlink()
        else:  # by somebody who can write there; nothing is in the file itself yet
            name = {"log": "-wal", "journal": "-journal"}[change]
            Path(medium + name).write_bytes(b"x" * 4096)
        for call in (lambda: world.keys(client), lambda: world.nearest(client, 3)):
            with pytest.raises(
                DatabaseReplacedError, match="was changed while it was open read-on"
            ):
                call()


def test_a_change_while_it_is_read_is_noticed_before_the_answer(medium, world):
    with MilvusClient(medium, read_only=True) as client:

        def read():
            with client._database.file.read() as db:
                assert db.execute("SELECT count(*) FROM c1_rows").fetchone() == (50,)
                os.utime(medium, ns=(1, 1))

        with pytest.raises(DatabaseReplacedError):
            read()


@pytest.mark.parametrize("log", ["-wal", "-journal"])
def test_a_log_with_data_forbids_reading_without_it(medium, log):
    Path(medium + log).write_bytes(b"x" * 4096)
    with pytest.raises(StorageError, match="a log lies beside it"):
        MilvusClient(medium, read_only=True)


def test_an_error_in_a_folder_that_can_be_written_is_reported(path, world, monkeypatch):
    with MilvusClient(path) as client:
        world.create(client)

    def refuse(db, address):
        raise apsw.CantOpenError("unable to open database file")

    monkeypatch.setattr(Connection, "connect", refuse)
    with pytest.raises(StorageError, match="check that it is a readable file"):
        MilvusClient(path, read_only=True)


_WRITER = """
import sys
from elanus import MilvusClient
with MilvusClient(sys.argv[1]) as client:
    if not client.has_collection("rows"):
        client.create_collection("rows", dimension=2)
    client.insert("rows", [{"id": int(key), "vector": [1.0, 2.0]} for key in sys.argv[2:]])
    print("ready", flush=True)
    sys.stdin.readline()
"""

_FORKED = """
import os, sys
from elanus import MilvusClient
from elanus.errors import DatabaseReplacedError
if not os.geteuid():
    os.setgid(65534)
    os.setuid(65534)  # whom the permissions of a folder concern
reader = MilvusClient(sys.argv[1], read_only=True)

def look():
    found = reader.query("rows", "id > 0", output_fields=["vector"])
    assert found == [{"id": key, "vector": [1.0, 2.0]} for key in (1, 2)], found
    assert reader.get_collection_stats("rows") == {"row_count": 2}

look()
told, tell = os.pipe()
number = os.fork()
if number == 0:
    os.close(tell)
    assert os.read(told, 1)
    look()
    os._exit(0)
print("ready", flush=True)
sys.stdin.readline()
look()
os.write(tell, b"x")
assert os.waitpid(number, 0)[1] == 0
print("seen", flush=True)
sys.stdin.readline()
try:
    look()
except DatabaseReplacedError as error:
    assert "was changed while it was open read-only" in str(error)
else:
    raise AssertionError("it was not noticed")
reader.close()
with MilvusClient(sys.argv[1], read_only=True) as again:
    assert len(again.query("rows", "id > 0")) == 3
"""


@pytest.fixture
def locked():
    """A folder that only writers can write; starts one, or a reader, and ends it."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as ended:
        folder = Path(name)

        def start(program, *arguments):
            folder.chmod(0o755 if program is _WRITER else 0o555)
            child = subprocess.Popen(
                [sys.executable, "-c", program, folder / "kb.db", *arguments],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            ended.callback(child.communicate, timeout=60)
            ended.callback(child.kill)
            assert child.stdout.readline() == b"ready\n", child.communicate(timeout=60)
            return child

        def end(child):
            folder.chmod(0o755)
            said = child.communicate(b"\n", timeout=60)
            folder.chmod(0o555)
            assert child.returncode == 0, said

        yield SimpleNamespace(folder=folder, start=start, end=end)
        folder.chmod(0o755)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no forks")
def test_after_a_fork_a_file_whose_writer_has_ended_is_read_as_a_medium(locked):
    writer = locked.start(_WRITER, "1", "2")
    reader = locked.start(_FORKED)
    locked.end(writer)
    assert {file.name for file in locked.folder.iterdir()} == {"kb.db", "kb.db-cache"}
    reader.stdin.write(b"\n")
    reader.stdin.flush()
    assert reader.stdout.readline() == b"seen\n", reader.communicate(timeout=60)
    locked.end(locked.start(_WRITER, "3"))
    said = reader.communicate(b"\n", timeout=60)
    assert reader.returncode == 0, said[1].decode()
