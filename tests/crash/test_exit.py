"""A process that ends without closing, while a graph is built, ends as it would without one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from elanus import MilvusClient

SCRIPT = Path(__file__).with_name("_exits.py")
REPEATS = int(os.environ.get("ELANUS_REPEATS", "2"))
ENDS = {
    "end": 0,
    "exit_main": 3,
    "fail": 1,
    "exit_thread": 0,
    "exit_hard": 3,
    "exit_in_asyncio": 3,
    "give_up_loading": 0,
    "search_while_ending": 0,
    "search_at_exit": 0,
    "close_at_exit": 0,
    "open_at_exit": 0,
    "close_when_deleted": 0,
    "write_when_deleted": 0,
    "end_in_child_too": 0,
}


def run(*arguments):
    # A build takes half a minute or much more; nobody waits for it.
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("index_type", ["HNSW", "IVF_PQ"])
@pytest.mark.parametrize("how", ENDS)
def test_a_process_ends_as_it_means_to_while_a_graph_is_built(tmp_path, index_type, how):
    for turn in range(REPEATS if how == "end" else max(1, REPEATS // 5)):
        path = tmp_path / f"{turn}.db"
        done = run(index_type, how, path)
        assert done.returncode == ENDS[how], done.stderr
        assert "ZeroDivisionError" in done.stderr if how == "fail" else done.stderr == ""
        assert done.stdout.endswith("late\n") == how.endswith("when_deleted")
        assert done.stdout.startswith("still built") == (how == "give_up_loading")
        if turn == 0:
            with MilvusClient(path) as client:
                assert client.query("big", output_fields=["count(*)"]) == [{"count(*)": 20_000}]
                assert client.verify() == []


BEFORE_THE_IMPORT = """
import atexit
atexit.register(lambda: use())

from elanus import MilvusClient, native
native._PARK_SECONDS = 600.0

def use():  # runs after what the library does at the end
    client.load_collection("kb")
    print([[hit["id"] for hit in hits] for hits in client.search("kb", rows, limit=1)])
    client.close()

rows = [[float(i == j) for j in range(100)] for i in range(100)]
client = MilvusClient(":memory:")
client.create_collection("kb", dimension=100)
client.insert("kb", [{"id": i, "vector": row} for i, row in enumerate(rows)])
"""


def test_a_callback_registered_before_the_import_searches_when_all_else_has_ended():
    command = [sys.executable, "-c", BEFORE_THE_IMPORT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{[[i] for i in range(100)]}\n"
