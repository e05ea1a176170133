"""Files of one collection, and children that hold locks."""

import contextlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from elanus import DataType, Function, FunctionType, MilvusClient

DIM = 4
NAME = "rows"

_HOLDER = """
import sys
from elanus import MilvusClient
with MilvusClient(sys.argv[1]) as client:
    with client._database.file.write(sys.argv[2]):
        print("ready", flush=True)
        sys.stdin.readline()
"""


def make_schema():
    schema = MilvusClient.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("text", DataType.VARCHAR, max_length=60_000, enable_analyzer=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("bm", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(Function("bm25", FunctionType.BM25, ["text"], ["bm"]))
    return schema


def create(client, name=NAME):
    params = MilvusClient.prepare_index_params()
    params.add_index("v", "FLAT", metric_type="L2")
    params.add_index("bm", "SPARSE_INVERTED_INDEX", metric_type="BM25")
    client.create_collection(name, schema=make_schema(), index_params=params)


def row(key, text="common"):
    return {"id": key, "text": text, "v": [float(key), 1.0, 0.0, 0.0], "note": f"n{key}"}


def rows(*span, text="common"):
    return [row(key, text) for key in range(*span)]


def keys(client, name=NAME):
    return [r["id"] for r in client.query(name, output_fields=["id"])]


def found(client, word, name=NAME):
    """Keys of the rows whose text holds a word."""
    [hits] = client.search(name, [word], anns_field="bm", limit=100_000)
    return sorted(h["id"] for h in hits)


def nearest(client, key, name=NAME):
    [[hit]] = client.search(name, [row(key)["v"]], anns_field="v", limit=1)
    return hit["id"] if hit["distance"] == 0 else None


def listing(folder):
    """Size, time and place of every file."""
    return {
        p.relative_to(folder).as_posix(): (p.stat().st_size, p.stat().st_mtime_ns)
        for p in folder.rglob("*")
    }


def descriptors(path):
    """The open descriptors of this process that lead to a database's files."""
    open_now = []
    for entry in Path("/proc/self/fd").iterdir():
        # The descriptor of the listing itself is gone by now.
        with contextlib.suppress(OSError):
            open_now.append(str(entry.readlink()))
    return [target for target in open_now if target.startswith(str(path))]


@pytest.fixture(scope="session")
def world():
    """The helpers above, for modules that cannot import this one."""
    return SimpleNamespace(**{k: v for k, v in globals().items() if not k.startswith("_")})


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "kb.db")


@pytest.fixture
def client(path):
    """A collection of 100 rows in a file; checked against itself when the test is over."""
    with MilvusClient(path) as opened:
        create(opened)
        opened.insert(NAME, rows(100))
        yield opened
        assert opened.verify() == []


@pytest.fixture
def hold():
    """Starts a process that is writing; a line on its input ends that."""
    started = []

    def hold(path, operation):
        child = subprocess.Popen(
            [sys.executable, "-c", _HOLDER, path, operation],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(child)
        assert child.stdout.readline() == "ready\n", child.communicate()
        return child

    yield hold
    for child in started:
        child.kill()
        child.communicate()
