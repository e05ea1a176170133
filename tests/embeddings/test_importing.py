"""Importing the package costs nothing; naming a class costs that class only."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import elanus_embeddings

HEAVY = {
    "FlagEmbedding", "httpx", "model2vec", "scipy", "sentence_transformers", "tenacity",
    "tokenizers", "torch", "transformers",
}  # fmt: skip
ROOT = Path(__file__).parents[2]


def table():
    """The rows of the documentation's table of classes: name, model and extra."""
    page = (ROOT / "docs/embeddings.md").read_text(encoding="utf-8")
    return {
        name: (model.strip(), extra)
        for name, model, extra in re.findall(
            r"^\| `(\w+Function)` \| ([^|]+) \| ?`?([\w-]*)`? \|", page, re.MULTILINE
        )
    }


def loaded_after(statement):
    code = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    return set(json.loads(run.stdout))


def test_the_package_alone_loads_nothing_heavy():
    assert not HEAVY & loaded_after("import elanus_embeddings")


def test_naming_every_class_loads_no_framework():
    # The tokenizers package belongs to the installed ones.
    assert HEAVY & loaded_after("from elanus_embeddings import *") <= {"tokenizers"}


def test_every_name_is_found_and_listed():
    names = elanus_embeddings.__all__
    assert set(names) <= set(dir(elanus_embeddings))
    assert {getattr(elanus_embeddings, n).__name__ for n in names if n != "__version__"} == {
        n for n in names if n != "__version__"
    }
    assert set(elanus_embeddings._HOMES) == set(names) - {"__version__"}


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'NoSuchFunction'"):
        elanus_embeddings.NoSuchFunction  # noqa: B018  # the access is what is tested


def test_the_documentation_lists_every_class_with_its_default_model():
    listed = table()
    classes = {n for n in elanus_embeddings.__all__ if n.endswith("Function")}
    assert set(listed) == classes - {"EmbeddingFunction", "BaseEmbeddingFunction"}
    for name, (model, _) in listed.items():
        if model.startswith("`"):
            first = next(
                iter(inspect.signature(getattr(elanus_embeddings, name)).parameters.values())
            )
            assert model == f"`{first.default}`", name


def test_the_documentation_names_extras_that_exist():
    project = (ROOT / "embeddings/pyproject.toml").read_text(encoding="utf-8")
    for name, (_, extra) in table().items():
        assert not extra or f"\n{extra} = [" in project, name
