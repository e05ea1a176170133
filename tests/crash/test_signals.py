"""Signals at random moments: no lock stays held, nothing hangs, and a handler may call anything."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from elanus import MilvusClient

PROGRAM = Path(__file__).with_name("_signals.py")
REPEATS = int(os.environ.get("ELANUS_REPEATS", "5"))


def run(scenario, path, number):
    return subprocess.run(
        [sys.executable, PROGRAM, scenario, str(path), str(number)],
        capture_output=True, text=True, timeout=300 + 10 * REPEATS, check=False,
    )  # fmt: skip


# A file grows with every turn, and each turn copies and compacts it: so many take several files.
TURNS = min(8 * REPEATS, 160)
PARTS = range(-(-8 * REPEATS // TURNS))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("place", ["file", "memory"])
def test_an_exception_at_a_random_moment_leaves_nothing_locked(tmp_path, place, part):
    path = tmp_path / "kb.db" if place == "file" else ":memory:"
    done = run("interrupted", path, TURNS + part)
    assert done.returncode == 0, done.stderr
    if place == "file":
        with MilvusClient(path, timeout=5) as client:
            assert client.verify() == []
            client.insert("rows", {"id": -3, "vector": [0.0, 1.0]})


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("place", ["file", "memory"])
def test_a_handler_may_call_anything_on_top_of_anything(tmp_path, place, part):
    path = tmp_path / "kb.db" if place == "file" else ":memory:"
    done = run("handler_calls_anything", path, TURNS + part)
    assert done.returncode == 0, done.stderr


def test_a_handler_may_open_a_database_on_top_of_one_that_is_being_opened(tmp_path):
    done = run("handler_opens", tmp_path / "kb.db", 20 * REPEATS)
    assert done.returncode == 0, done.stderr


def test_the_wait_for_another_programs_lock_can_be_interrupted(tmp_path):
    done = run("waiting", tmp_path / "kb.db", REPEATS)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("turn", range(REPEATS))
@pytest.mark.parametrize("place", ["file", "memory"])
def test_close_in_a_handler_returns(tmp_path, place, turn):
    delay = 0.05 + random.Random(turn).random() * 0.3
    path = tmp_path / "kb.db" if place == "file" else ":memory:"
    done = run("close_in_a_handler", path, delay)
    assert (done.returncode, done.stdout) == (3, "closed\n"), done.stderr
    if place == "file":
        with MilvusClient(path, timeout=5) as client:
            assert client.verify() == []


def test_a_handler_that_strikes_a_submission_leaves_nothing_to_wait_for():
    program = PROGRAM.with_name("_submits.py")
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10  # lines at which one struck
