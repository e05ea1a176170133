"""The LlamaIndex examples, run as a user runs them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from elanus import DocumentStore

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(folder, name, *arguments):
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_query_engine_answers_from_what_the_filter_leaves(tmp_path):
    output = run(tmp_path, "llamaindex_query_engine.py")
    assert "hears a vole beneath the snow" in output
    hits = re.findall(r"^(.*): relevance ([\d.]+) \((.*)\)$", output, re.MULTILINE)
    assert len(hits) == 2
    assert hits[0][0] == "Barn owl"
    assert re.fullmatch(r"dense [\d.]+, text [\d.]+", hits[0][2])
    question = run(tmp_path, "llamaindex_query_engine.py", "Who sees in dark water?")
    assert "> Who sees in dark water?" in question
    assert "Emperor penguin" not in question
    with DocumentStore(tmp_path / "birds.db", collection="llamaindex") as store:
        assert store.count() == 4
        assert store.verify() == []


def test_the_pipeline_embeds_only_what_is_new_or_changed(tmp_path):
    output = run(tmp_path, "llamaindex_ingestion.py").splitlines()
    assert output == [
        "3 documents, embedded: kites.md, owls.md, penguins.md",
        "3 documents, embedded: nothing",
        "2 documents, embedded: owls.md",
        "owls.md: Owls swallow a mouse whole.",
    ]
    again = run(tmp_path, "llamaindex_ingestion.py").splitlines()
    assert again[0] == "3 documents, embedded: owls.md, penguins.md"
    with DocumentStore(tmp_path / "notes.db", collection="llamaindex") as store:
        assert store.count() == 2
        assert store.verify() == []


def test_both_frameworks_read_what_the_other_wrote(tmp_path):
    assert run(tmp_path, "both_frameworks.py").splitlines() == [
        "LangChain found: Owls hunt at night.",
        "LlamaIndex found: The nightjar catches moths after sunset.",
    ]
    with DocumentStore(tmp_path / "shared.db", collection="birds") as store:
        assert store.count() == 3
        assert store.verify() == []
