"""The code blocks of the READMEs and of docs/ run as they stand, and print what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from elanus import DocumentStore

ROOT = Path(__file__).parents[2]
PAGES = (
    *("README.md", "core/README.md", "embeddings/README.md"),
    *("integrations/langchain/README.md", "integrations/llamaindex/README.md"),
    *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")),
)
# A python block, and the output block that may follow it directly.
BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", re.DOTALL)


class Example(NamedTuple):
    name: str
    code: str
    output: str


def examples():
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield Example(f"{page}:{line}", match[1], match[2])


def run_example(example, folder):
    script = folder / "example.py"
    script.write_text(example.code, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-W", "error", script.name],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def sharing(page):
    """The examples of a page that open a file which another example of it opens, too."""
    found = [each for each in examples() if each.name.startswith(f"{page}:")]
    files = [set(re.findall(r'"([\w-]+\.db)"', each.code)) for each in found]
    count = Counter(name for names in files for name in names)
    return [
        each for each, own in zip(found, files, strict=True) if any(count[name] > 1 for name in own)
    ]


@pytest.mark.parametrize("page", [page for page in PAGES if sharing(page)])
def test_the_examples_of_a_page_run_one_after_the_other_in_one_folder(page, tmp_path):
    for example in sharing(page):
        run = run_example(example, tmp_path)
        assert run.stderr == "", example.name
        assert example.output in (None, run.stdout), example.name


@pytest.mark.parametrize("example", list(examples()), ids=lambda example: example.name)
def test_an_example_runs_and_prints_what_the_page_says(example, tmp_path):
    run = run_example(example, tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    if example.output is not None:
        assert run.stdout == example.output


def test_the_first_example_of_the_readme_can_be_run_twice(tmp_path):
    example = next(examples())
    assert example.name.startswith("README.md")
    for _ in range(2):
        assert run_example(example, tmp_path).stdout == example.output
    with DocumentStore(tmp_path / "kb.db") as store:
        assert len(store) == 3


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
@pytest.mark.parametrize("page", ["integrations/{}/README.md", "docs/{}.md"])
def test_the_start_with_a_framework_can_be_run_twice(page, framework, tmp_path):
    page = page.format(framework)
    example = next(each for each in examples() if each.name.startswith(f"{page}:"))
    for _ in range(2):
        assert run_example(example, tmp_path).stdout == example.output
    with DocumentStore(tmp_path / "kb.db", collection=framework) as store:
        assert len(store) == 2


def test_the_readme_shows_the_three_ways_in():
    code = "\n".join(e.code for e in examples() if e.name.startswith("README.md"))
    for name in ("DocumentStore", "MilvusClient", "AsyncMilvusClient"):
        assert re.search(rf"\b{name}\(", code), f"README.md has no runnable example of {name}"


def test_the_readme_links_to_files_that_exist():
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
