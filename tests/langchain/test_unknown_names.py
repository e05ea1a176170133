"""A name that is not known is refused with the one that may be meant."""

from __future__ import annotations

import asyncio

import pytest

from langchain_elanus import ElanusReranker, ElanusRetriever, ElanusVectorStore


def opened(**arguments):
    return ElanusVectorStore(None, mode="text", **{"uri": ":memory:", **arguments})


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("limit", "k"), ("top_k", "k"), ("n_results", "k"), ("kk", "k"), ("filters", "filter"),
        ("where", "filter"), ("phrase", "phrases"), ("querry", "query"),
    ],
)  # fmt: skip
def test_a_search_names_its_own_arguments_and_its_options(wrong, meant):
    with opened() as store:
        says = (
            rf"^similarity_search\(\) got .*: {wrong}; known: query, k, .*did you mean '{meant}'\?$"
        )
        with pytest.raises(TypeError, match=says):
            store.similarity_search("kite", **{wrong: 3})
        with pytest.raises(TypeError, match=rf"^asimilarity_search\(\).*did you mean '{meant}'"):
            asyncio.run(store.asimilarity_search("kite", **{wrong: 3}))


def test_every_search_names_the_arguments_that_it_has():
    with opened() as store:
        for call, query in (
            (store.max_marginal_relevance_search, "kite"),
            (store.max_marginal_relevance_search_by_vector, [1.0]),
        ):
            with pytest.raises(TypeError, match=r"known: .*, k, fetch_k, .*did you mean 'fetch_k'"):
                call(query, fetchk=3)


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("collection", "collection_name"), ("colection_name", "collection_name"), ("ur", "uri"),
        ("embedding_function", "embedding"), ("persist_directory", "uri"), ("readonly", "read_only"),
    ],
)  # fmt: skip
def test_opening_names_the_constructors_own_arguments(wrong, meant):
    says = rf"^ElanusVectorStore\(\) got .*known: embedding, uri, .*did you mean '{meant}'\?$"
    with pytest.raises(TypeError, match=says):
        opened(**{wrong: "x"})


def test_connection_args_and_writing_name_what_they_take():
    with pytest.raises(TypeError, match=r"connection_args .*known: uri, .*did you mean 'uri'"):
        opened(connection_args={"path": "x"})
    with opened() as store:
        with pytest.raises(TypeError, match=r"known: texts, metadatas, .*mean 'batch_size'"):
            store.add_texts(["a"], batchsize=3)
        with pytest.raises(TypeError, match=r"delete\(\).*known: ids, filter, expr; .*'filter'"):
            store.delete(filters={"a": 1})


def test_components_name_their_fields():
    with opened() as store, pytest.raises(TypeError, match=r"^ElanusRetriever\(\).*mean 'k'\?$"):
        ElanusRetriever(vectorstore=store, kk=3)
    with pytest.raises(TypeError, match=r"^ElanusReranker\(\).*mean 'top_n'\?$"):
        ElanusReranker(reranker=print, topn=3)
