"""Processes to kill, and what they write."""

import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def model():
    return SimpleNamespace(**runpy.run_path(str(HERE / "_model.py")))


@pytest.fixture
def start():
    """Starts a child process in a role; it has said that it is ready. None outlives the test."""
    started = []

    def start(role, *arguments):
        child = subprocess.Popen(
            [sys.executable, str(HERE / "_child.py"), role, *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(child)
        first = child.stdout.readline()
        assert first == "ready\n", (first, child.communicate(timeout=60))
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "kb.db")
