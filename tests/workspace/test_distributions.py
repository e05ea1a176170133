"""What holds for the four distributions together."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from importlib.metadata import metadata, version
from pathlib import Path

import pytest

import elanus

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = {
    "elanus": "elanus",
    "elanus-embeddings": "elanus_embeddings",
    "langchain-elanus": "langchain_elanus",
    "llama-index-vector-stores-elanus": "llama_index.vector_stores.elanus",
}
SOURCES = (
    ROOT / "core/src",
    ROOT / "embeddings/src",
    ROOT / "integrations/langchain/src",
    ROOT / "integrations/llamaindex/src",
)
HEAVY = (
    "grpc",
    "hypothesis",
    "ir_measures",
    "jieba",
    "langchain_core",
    "llama_index",
    "markdown_it",
    "pandas",
    "pymilvus",
    "pytest",
    "scipy",
    "semantic_text_splitter",
    "sentence_transformers",
    "tokenizers",
    "torch",
    "transformers",
)


def packages():
    """Every package of the four source trees, by its dotted name."""
    for source in SOURCES:
        for init in sorted(source.rglob("__init__.py")):
            yield ".".join(init.relative_to(source).parent.parts)


def is_inner(package):
    """Whether a package is a room inside one of the rooms of elanus, which has the only face."""
    return package.startswith("elanus.") and package.count(".") > 1


def modules_after(statement):
    """The modules that a fresh interpreter has loaded after a statement."""
    code = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


def test_all_distributions_have_one_version():
    assert {version(name) for name in DISTRIBUTIONS} == {version("elanus")}


def commands():
    """Every line of the pages and the sources that installs something."""
    files = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")]
    files += ROOT.glob("integrations/*/README.md")
    for source in SOURCES:
        files += source.rglob("*.py")
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            for command in re.findall(r"pip install ([^`(#,;:]*)", line):
                yield file.relative_to(ROOT).as_posix(), command


def test_no_command_installs_a_distribution_of_ours_by_its_name():
    found = list(commands())
    assert {"README.md", "docs/langchain.md", "core/src/elanus/text/_jieba.py"} <= dict(
        found
    ).keys()
    ours = re.compile(rf"(?<![\w./-])({'|'.join(DISTRIBUTIONS)})(?![\w-])")
    assert [(file, command) for file, command in found if ours.search(command)] == []


def test_what_errors_install_is_what_the_extras_of_embeddings_bring():
    from elanus_embeddings._extras import _EXTRAS, how_to_install  # noqa: PLC0415

    brought = {}
    for line in metadata("elanus-embeddings").get_all("Requires-Dist"):
        match = re.fullmatch(r"([\w-]+)[^;]*; extra == '([\w-]+)'", line)
        if match:
            brought.setdefault(match[2], set()).add(match[1].lower())
    assert {extra: set(names.lower().split()) for extra, names in _EXTRAS.items()} == brought
    assert how_to_install("http").startswith("pip install httpx tenacity (")


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_distribution_is_under_apache_2_and_needs_python_3_10(name):
    fields = metadata(name)
    assert fields["License-Expression"] == "Apache-2.0"
    assert fields["Requires-Python"] == ">=3.10"


@pytest.mark.parametrize(("name", "module"), DISTRIBUTIONS.items())
def test_a_module_says_the_version_of_its_distribution(name, module):
    assert importlib.import_module(module).__version__ == version(name)


@pytest.mark.parametrize("module", DISTRIBUTIONS.values())
def test_a_distribution_is_typed(module):
    folder = Path(importlib.import_module(module).__file__).parent
    assert (folder / "py.typed").is_file()


@pytest.mark.parametrize("package", [name for name in packages() if is_inner(name)])
def test_an_inner_room_says_what_it_is_for_and_has_no_face(package):
    file = Path(importlib.import_module(package).__file__)
    (only,) = ast.parse(file.read_text(encoding="utf-8")).body
    assert isinstance(only, ast.Expr)
    assert isinstance(only.value, ast.Constant)


@pytest.mark.parametrize("package", [name for name in packages() if not is_inner(name)])
def test_a_package_exports_names_that_exist_each_once(package):
    # Their order is checked by ruff (RUF022), which sorts constants before classes.
    module = importlib.import_module(package)
    names = list(module.__all__)
    assert len(names) == len(set(names))
    assert [name for name in names if not hasattr(module, name)] == []


def test_the_namespace_of_llamaindex_is_left_open():
    source = SOURCES[-1] / "llama_index"
    assert not (source / "__init__.py").exists()
    assert not (source / "vector_stores" / "__init__.py").exists()


def test_importing_elanus_loads_no_framework():
    loaded = modules_after("import elanus")
    assert [
        name for name in (*HEAVY, "elanus.chunking", "elanus.evaluation") if name in loaded
    ] == []


@pytest.mark.parametrize("room", ["elanus.chunking", "elanus.evaluation"])
def test_importing_a_room_with_an_extra_loads_none_of_its_packages(room):
    loaded = modules_after(f"import {room}")
    assert room in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_importing_the_embeddings_loads_no_framework():
    loaded = modules_after("import elanus_embeddings")
    assert [
        name for name in ("torch", "transformers", "sentence_transformers") if name in loaded
    ] == []


def test_documents_are_loaded_when_they_are_first_asked_for():
    loaded = modules_after("import elanus")
    assert "elanus.client" in loaded
    assert "elanus.documents" not in loaded
    assert "elanus.documents" in modules_after("from elanus import DocumentStore")
    assert "elanus.documents" in modules_after("from elanus import *")
    assert set(elanus.__all__) <= set(dir(elanus))
    with pytest.raises(AttributeError, match="module 'elanus' has no attribute 'DocumentStores'"):
        elanus.DocumentStores  # noqa: B018
