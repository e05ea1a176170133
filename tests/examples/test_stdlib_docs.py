"""The passages of the demo: documented, unique, public, and the same every time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
DUMP = """
import dataclasses, json, stdlib_docs
passages = stdlib_docs.stdlib_passages()
print(json.dumps([{**dataclasses.asdict(p), "text": p.text, "metadata": p.metadata} for p in passages]))
"""


def collect():
    # A process of its own: the collector imports modules, and tests must not depend on that.
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", DUMP],
        cwd=EXAMPLES,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return json.loads(run.stdout)


@pytest.fixture(scope="module")
def passages():
    return collect()


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("subprocess", "module", "Subprocesses with accessible I/O streams"),
        ("subprocess.run", "function", "Run command with arguments"),
        ("subprocess.Popen", "class", "Execute a child program"),
        ("subprocess.Popen.wait", "function", "Wait for child process to terminate"),
        ("concurrent.futures.Future.result", "function", "Return the result of the call"),
        ("collections.deque", "class", "A list-like sequence"),
        ("itertools.chain", "class", "iterable"),
        ("math.sqrt", "function", "square root"),
        ("os.remove", "function", "Remove a file"),
        ("os.path.commonpath", "function", "longest common"),
        ("str.split", "function", "substrings"),
        ("sorted", "function", "ascending order"),
    ],
)
def test_well_known_documentation_is_there(passages, name, kind, words):
    (passage,) = (p for p in passages if p["name"] == name)
    assert passage["kind"] == kind
    assert words in passage["doc"]
    assert passage["text"].startswith(name)
    assert passage["metadata"] == {"name": name, "kind": kind, "module": passage["module"]}


def test_a_signature_follows_the_name(passages):
    texts = {p["name"]: p["text"] for p in passages}
    assert texts["shutil.which"].startswith("shutil.which(cmd, mode=")


def test_there_are_a_few_thousand_passages_with_unique_names_and_texts(passages):
    assert 4000 < len(passages) < 8000
    assert len({p["name"] for p in passages}) == len(passages)
    assert len({p["doc"] for p in passages}) == len(passages)


def test_only_public_objects_are_collected(passages):
    private = [p["name"] for p in passages if any(x.startswith("_") for x in p["name"].split("."))]
    assert private == []


def test_tests_and_jokes_are_left_out(passages):
    modules = {p["module"].split(".")[0] for p in passages}
    assert modules.isdisjoint({"antigravity", "idlelib", "test", "this", "turtledemo"})


def test_a_second_collection_is_the_same(passages):
    assert collect() == passages
