"""A type checker sees every argument of a store: none is hidden behind ``**options: Any``."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from elanus import DocumentStore, MilvusClient, ParamError
from elanus.documents._collection import ClientOptions
from elanus.schema import Nothing

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
            names = "ClientOptions" if name == "__init__" else "Nothing"
            assert each.annotation == f"Unpack[{names}]"
    assert not Nothing.__annotations__


def test_the_options_are_those_of_the_client_and_of_the_same_types():
    taken = inspect.signature(MilvusClient).parameters
    assert {"uri", "kwargs", *ClientOptions.__annotations__} == set(taken)
    for name, kind in ClientOptions.__annotations__.items():
        assert getattr(kind, "__forward_arg__", kind) == taken[name].annotation


# What is given, and which argument is meant.
UNKNOWN = [
    ("search", "limit", "k"), ("search", "top_k", "k"), ("search", "n_results", "k"),
    ("search", "min_relevence", "min_relevance"), ("search", "score_threshold", "min_relevance"),
    ("search", "limt", "k"), ("search_mmr", "n_result", "k"), ("search", "wher", "filter"),
    ("search", "where", "filter"), ("search", "embedding", "vector"), ("search", "zzz", None),
    ("search_mmr", "fetchk", "fetch_k"), ("add", "metadata", "metadatas"),
    ("add", "documents", "texts"), ("add", "embeddings", "vectors"), ("sync", "id", "ids"),
    ("check_add", "metadata", "metadatas"), ("update_metadata", "value", "values"),
    ("delete", "id", "ids"), ("configure", "setting", "settings"),
    ("get", "include_vectors", "with_vectors"), ("count", "where", "filter"),
    ("peek", "limit", "n"), ("keys", "filters", "filter"), ("facets", "n", "limit"),
    ("highlight", "lenght", "length"), ("check_search", "limit", "k"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given", "meant"), UNKNOWN)
def test_an_unknown_keyword_is_refused_with_the_one_that_was_meant(name, given, meant):
    needed = {"query": "a", "texts": ["a"], "source": "a", "key": "a", "found": "a"}
    needed = {
        each: needed[each] for each in inspect.signature(CALLS[name]).parameters.keys() & needed
    }
    hint = "$" if meant is None else rf"; did you mean '{meant}'\?$"
    with DocumentStore(":memory:") as store:
        with pytest.raises(ParamError, match=rf"^{name}: unknown argument '{given}'; .*{hint}"):
            getattr(store, name)(**needed, **{given: 3})
        with pytest.raises(ParamError, match=f"'{given}'"):
            asyncio.run(
                getattr(store, "async_" if name == "sync" else f"a{name}")(**needed, **{given: 3})
            )
        assert store.count() == 0


def test_every_call_that_takes_arguments_refuses_unknown_ones():
    taking = {name for name in CALLS if len(inspect.signature(CALLS[name]).parameters) > 1}
    assert {n for n in taking if hasattr(CALLS[n], "__wrapped__") or n == "__init__"} | {
        name for name, _, _ in UNKNOWN
    } == taking
