"""Damaged files: every call is right or says so, ``verify`` never raises, and all of it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
COPIES = int(os.environ.get("ELANUS_REPEATS", "12"))
AT_ONCE = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A database, and one whose last commits are in its log."""
    made = tmp_path_factory.mktemp("damage")
    run("make", made)
    return made


def run(*arguments):
    """What a process prints, and its errors; it must not hang, nor die."""
    child = subprocess.run(
        [sys.executable, str(HERE / "_damage.py"), *map(str, arguments)],
        capture_output=True, text=True, timeout=1000, check=False,
    )  # fmt: skip
    assert child.returncode == 0, (child.returncode, child.stdout[-500:], child.stderr[-5000:])
    return [json.loads(line) for line in child.stdout.splitlines()]


@pytest.mark.parametrize("first", range(0, COPIES, AT_ONCE))
def test_damaged_copies_give_what_is_right_or_say_that_they_are_damaged(folder, tmp_path, first):
    played = run("play", folder, tmp_path, first, AT_ONCE)
    assert len(played) == 2 * AT_ONCE
    for said, found in zip(played[::2], played[1::2], strict=True):
        assert found["problems"] == [], said
