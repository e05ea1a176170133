"""A fork with a database open: nothing acknowledged is lost, nobody is locked out or hangs."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from elanus import MilvusClient

PROGRAM = Path(__file__).with_name("_forks.py")
REPEATS = int(os.environ.get("ELANUS_REPEATS", "2"))
KILLED = {"dying_parent", "writing_parent_dies"}
SCENARIOS = [
    "opened_again", "inherited", "busy_threads", "forks_of_forks", "closing_child", "dying_parent",
    "writing_parent_dies", "memory", "asynchronous", "in_a_handler", "pool", "store",
    "struck", "returning_from_a_handler", "opening_threads", "log_ended_meanwhile",
    "held_elsewhere", "closed_elsewhere", "waiting_for_the_background", "inside_sqlite",
]  # fmt: skip
RUNS = [(scenario, turn) for scenario in SCENARIOS for turn in range(REPEATS)]


@pytest.mark.parametrize(("scenario", "turn"), [*RUNS, ("at_every_line", 0)])
def test_what_was_acknowledged_is_there(tmp_path, scenario, turn):
    path = tmp_path / "kb.db"
    with MilvusClient(path) as client:
        client.create_collection("rows", dimension=2)
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", PROGRAM, scenario, path],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    expected = -9 if scenario in KILLED else 0
    assert done.returncode == expected, done.stderr
    assert "child" not in done.stderr
    if scenario in KILLED:
        wait_for_the_child(path)
    log = Path(f"{path}.keys")
    acknowledged = set(map(int, log.read_text().split()))
    assert acknowledged
    with MilvusClient(path, timeout=5) as client:
        assert client.verify() == []
        found = {r["id"] for r in client.query("rows", output_fields=["id"])}
        assert acknowledged <= found
        client.insert("rows", {"id": -1, "vector": [0.0, 1.0]})


def wait_for_the_child(path):
    """Its parent is gone, so nobody else can."""
    log, deadline = Path(f"{path}.keys"), time.monotonic() + 60
    last = {"2019", "1002"}  # the last key that the child of either scenario inserts
    while not (log.exists() and last & set(log.read_text().split())):
        assert time.monotonic() < deadline
        time.sleep(0.05)


LOGS_MEANWHILE = """
import os, sys, threading, time
from elanus import MilvusClient, native

client = MilvusClient(sys.argv[1])
reading = threading.Event()

def read():
    with client._database.file.read():
        reading.set()
        while not native.forking:
            time.sleep(0.001)
        sys.modules["logging"].getLogger("meanwhile").warning("logged")

threading.Thread(target=read).start()
reading.wait()
child = os.fork()
if not child:
    client.insert("rows", {"id": 1, "vector": [0.0, 1.0]})
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), client.get("rows", 1)[0]["id"])
"""


def test_a_fork_waits_for_a_thread_that_logs_while_it_reads(tmp_path):
    path = tmp_path / "kb.db"
    with MilvusClient(path) as client:
        client.create_collection("rows", dimension=2)
    done = forked(LOGS_MEANWHILE, path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "7 1\n", "logged\n")


LOADS_MEANWHILE = """
import os, sys, threading
import elanus

loading = threading.Thread(target=lambda: elanus.DocumentStore)
loading.start()
while "elanus.documents" not in sys.modules:
    pass
child = os.fork()
if not child:
    elanus.DocumentStore(":memory:", dim=1).close()
    os._exit(7)
loading.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_fork_waits_for_a_thread_that_loads_the_document_store():
    for _ in range(REPEATS):
        done = forked(LOADS_MEANWHILE)
        assert (done.returncode, done.stdout, done.stderr) == (0, "7\n", "")


def forked(program, *arguments):
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
