"""The examples with LangChain, run as a user runs them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(folder, name):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_chain_retrieves_the_passage_that_answers_and_says_why(tmp_path):
    output = run(tmp_path, "langchain_rag.py")
    first, second = output.strip().split("\n\n")
    assert first.splitlines()[1].startswith("  [leave] relevance")
    assert second.splitlines()[1].startswith("  [travel] relevance")
    assert re.search(r"relevance [01]\.\d\d: dense [\d.]+, text [\d.]+$", first, re.MULTILINE)
    assert re.search(r"relevance [01]\.\d\d: dense [\d.]+, text [\d.]+$", second, re.MULTILINE)
    assert "2019" not in output
    assert first.endswith("  Thirty days a year.")
    assert second.endswith("  Form T-17.")


def test_indexing_adds_replaces_skips_and_deletes(tmp_path):
    assert run(tmp_path, "langchain_indexing.py").splitlines() == [
        "all: 4 added, 0 updated, 0 skipped, 0 deleted",
        "changed: 1 added, 0 updated, 3 skipped, 1 deleted",
        "removed: 0 added, 0 updated, 3 skipped, 1 deleted",
        "garden.txt: Prune the apple trees in March.",
    ]
    assert (tmp_path / "notes.db").is_file()
