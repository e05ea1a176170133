"""A type checker sees every argument of a store: none is hidden behind ``**options: Any``."""

from __future__ import annotations

import inspect

import pytest

from elanus import DocumentStore, MilvusClient
from elanus.documents._collection import ClientOptions

CALLS = {
    name: call
    for name, call in inspect.getmembers(DocumentStore, callable)
    if not name.startswith("_") or name == "__init__"
}


@pytest.mark.parametrize("name", CALLS)
def test_every_argument_has_a_name_and_a_type(name):
    parameters = list(inspect.signature(CALLS[name]).parameters.values())
    if parameters and parameters[0].name == "self":
        del parameters[0]
    for each in parameters:
        assert each.kind is not each.VAR_POSITIONAL
        assert each.annotation is not each.empty, each
        if each.kind is each.VAR_KEYWORD:
            assert (name, each.annotation) == ("__init__", "Unpack[ClientOptions]")


def test_the_options_are_those_of_the_client_and_of_the_same_types():
    taken = inspect.signature(MilvusClient).parameters
    assert {"uri", "kwargs", *ClientOptions.__annotations__} == set(taken)
    for name, kind in ClientOptions.__annotations__.items():
        assert getattr(kind, "__forward_arg__", kind) == taken[name].annotation


@pytest.mark.parametrize("name", ["search", "search_mmr"])
def test_a_search_refuses_an_unknown_keyword(name):
    with DocumentStore(":memory:") as store, pytest.raises(TypeError, match="limt"):
        getattr(store, name)("kite", limt=3)
