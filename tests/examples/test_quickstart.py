"""The quickstart, run as a user runs it, on the first passages only."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from elanus import DocumentStore
from elanus_embeddings import MiniLMEmbeddingFunction

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart.py"
PASSAGES = 60  # of the modules that come first in the alphabet
QUESTION = "convert a string to a syntax tree"


def run(folder, *arguments):
    command = [sys.executable, "-W", "error", str(QUICKSTART), "--limit", str(PASSAGES), *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder in which the quickstart has run once; its output is in first.txt."""
    folder = tmp_path_factory.mktemp("quickstart")
    done = run(folder)
    (folder / "first.txt").write_text(done.stdout, encoding="utf-8")
    return folder


def test_the_first_run_indexes_and_answers_five_questions(folder):
    output = (folder / "first.txt").read_text(encoding="utf-8")
    assert f"Indexing {PASSAGES} passages" in output
    assert len(re.findall(r"^> ", output, re.MULTILINE)) == 5
    assert (folder / "demo.db").is_file()


def test_every_hit_shows_its_score_and_what_a_leg_contributed(folder):
    output = (folder / "first.txt").read_text(encoding="utf-8")
    hits = re.findall(r"^  \d\. ", output, re.MULTILINE)
    scores = re.findall(r"^     relevance [01]\.\d\d, score -?[\d.]+:$", output, re.MULTILINE)
    legs = re.findall(
        r"^       (dense|text) gives -?[\d.]+ \((?:rank \d+|not among its first); .*\)$",
        output,
        re.MULTILINE,
    )
    assert len(hits) == len(scores) == 15
    assert legs == ["dense", "text"] * 15


def test_a_second_run_indexes_nothing_and_answers_the_same(folder):
    def without_times(text):
        return re.sub(r"\[\d+ ms\]", "", text[text.index(" passages in ") :])

    output = run(folder).stdout
    assert "Indexing" not in output
    first = (folder / "first.txt").read_text(encoding="utf-8")
    assert without_times(output) == without_times(first)


def test_a_question_of_ones_own_is_the_only_one_answered(folder):
    output = run(folder, QUESTION).stdout
    assert re.findall(r"^> (.*?)   \[", output, re.MULTILINE) == [QUESTION]


def test_words_without_quotes_are_one_question(folder):
    output = run(folder, *QUESTION.split()).stdout
    assert re.findall(r"^> (.*?)   \[", output, re.MULTILINE) == [QUESTION]


def test_a_run_after_an_interruption_adds_only_what_is_missing(folder, tmp_path):
    # An interrupted run leaves some passages and no summary.
    with DocumentStore(folder / "demo.db", embedding=MiniLMEmbeddingFunction()) as whole:
        expected = {document.id for document in whole}
    names = sorted(name for name in expected if not name.startswith("python-"))
    run(tmp_path)
    with DocumentStore(tmp_path / "demo.db", embedding=MiniLMEmbeddingFunction()) as part:
        part.delete(ids=[*names[:20], *(expected - set(names))])
    assert "Indexing 20 passages" in run(tmp_path).stdout
    with DocumentStore(tmp_path / "demo.db", embedding=MiniLMEmbeddingFunction()) as part:
        assert {document.id for document in part} == expected
