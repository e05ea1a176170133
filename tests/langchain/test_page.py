"""docs/langchain.md names what there is; its code runs in tests/workspace."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

from langchain_elanus import ElanusRetriever, ElanusVectorStore, __all__
from langchain_elanus._options import SearchKeywords, SearchOptions

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/langchain.md").read_text(encoding="utf-8")


def first_cells(title):
    section = re.search(rf"^##+ {title}\n(.*?)(?=^##+ |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`(\w+)", row.split(" | ")[0])]


def test_the_page_has_every_argument_of_the_store():
    arguments = [
        name
        for name, parameter in inspect.signature(ElanusVectorStore).parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    options = ["read_only", "durability", "timeout", "journal"]
    options += ["user", "password", "token", "db_name"]
    assert first_cells("`ElanusVectorStore`") == [*arguments, *options]


def test_the_page_has_every_search_option():
    options = {field.name for field in dataclasses.fields(SearchOptions)} | {"expr"}
    named = first_cells("Searching")
    assert {name for name in named if name in options} == options


def test_type_checkers_know_every_search_option_and_no_other():
    options = {field.name for field in dataclasses.fields(SearchOptions)}
    assert SearchKeywords.__annotations__.keys() == options | {"expr", "where_document"}


def test_the_page_has_every_setting_of_the_retriever():
    said = re.search(r"Its settings: (.*?)\.\n", PAGE, re.DOTALL)[1]
    own = set(ElanusRetriever.model_fields) - {"name", "tags", "metadata"}
    assert set(re.findall(r"`(\w+)", said)) == own


@pytest.mark.parametrize("name", [name for name in __all__ if name != "__version__"])
def test_the_page_shows_every_public_class(name):
    assert f"`{name}" in PAGE


@pytest.mark.parametrize(
    "name", ["index_params", "search_params", "consistency_level", "auto_id", "drop_old"]
)
def test_arguments_of_langchain_milvus_that_mean_nothing_here_raise(name):
    with pytest.raises(TypeError, match=name):
        ElanusVectorStore(None, uri=":memory:", mode="text", **{name: None})
