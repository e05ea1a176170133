"""The layers of docs/architecture.md: a package imports from the ones below it, and no other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "core" / "src" / "elanus"
BELOW = {
    "schema": {"native"},
    "storage": {"native"},
    "index": {"native"},
    "text": {"normal"},
    "query": {"normal"},
    "engine": {"index", "query", "storage", "text"},
    "client": {"aio", "engine", "notebook", "query", "storage"},
    "documents": {"aio", "client", "notebook", "progress", "query", "text"},
    "evaluation": {"documents", "progress"},
    "chunking": set(),
}
# Modules beside the rooms.
MODULES_BELOW = {
    "aio": {"errors", "storage"},
    "native": {"errors"},
    "arguments": {"schema"},
    "normal": set(),
    "notebook": {"errors"},
    "progress": set(),
}


def imported(file):
    """The modules of elanus that a file imports, those inside functions included."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("elanus"):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("elanus"))


def test_every_package_has_its_place():
    assert {init.parent.name for init in SOURCE.glob("*/__init__.py")} == set(BELOW)


@pytest.mark.parametrize("package", BELOW)
def test_a_package_imports_only_from_those_below_it_and_by_their_public_face(package):
    allowed = BELOW[package] | {"schema", "errors"} - {package}
    files = sorted((SOURCE / package).rglob("*.py"))
    assert files
    for file in files:
        for module in imported(file):
            if module in {"elanus", f"elanus.{package}"} or module.startswith(f"elanus.{package}."):
                continue
            assert module.removeprefix("elanus.") in allowed, f"{file} imports {module}"


@pytest.mark.parametrize("module", MODULES_BELOW)
def test_a_module_beside_the_rooms_imports_only_from_those_below_it(module):
    found = {name.removeprefix("elanus.") for name in imported(SOURCE / f"{module}.py")}
    assert found <= MODULES_BELOW[module]


def test_no_room_has_more_than_a_dozen_files():
    for room in {file.parent for file in SOURCE.rglob("*.py")}:
        files = [file for file in room.glob("*.py") if file.name != "__init__.py"]
        assert len(files) <= 12, room


@pytest.mark.parametrize(
    "above", ["embeddings", "integrations/langchain", "integrations/llamaindex"]
)
def test_another_distribution_imports_only_public_names(above):
    files = sorted((ROOT / above / "src").rglob("*.py"))
    modules = {m for f in files for m in imported(f) if m.split(".")[0] == "elanus"}
    assert modules
    assert modules <= {f"elanus.{name}" for name in MODULES_BELOW} | {"elanus", "elanus.errors"}


def bodies(folder):
    """Lines of each function's body below its docstring, by the function."""
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                has_docstring = ast.get_docstring(node) is not None
                body = node.body[has_docstring:]
                lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                yield lines, f"{file.name}: {node.name}"


def test_functions_are_short():
    folders = ("core", "embeddings", "integrations/langchain", "integrations/llamaindex")
    found = sorted(each for folder in folders for each in bodies(ROOT / folder / "src"))
    assert len(found) > 1_000
    assert found[len(found) // 2][0] <= 5
    assert found[-1][0] <= 40, found[-1]
