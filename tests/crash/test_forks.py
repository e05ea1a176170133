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
