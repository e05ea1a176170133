"""A name that is not known is refused with the one that may be meant."""

from __future__ import annotations

import asyncio

import pytest

from elanus import ParamError
from langchain_elanus import ElanusReranker, ElanusRetriever, ElanusVectorStore


def opened(**arguments):
    return ElanusVectorStore(None, mode="text", **{"uri": ":memory:", **arguments})


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("limit", "k"), ("top_k", "k"), ("n_results", "k"), ("kk", "k"), ("filters", "filter"),
        ("where", "filter"), ("phrase", "phrases"), ("querry", "query"),
        ("min_relevance", "score_threshold"), ("limt", "k"), ("min_scor", "score_threshold"),
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


def test_sync_and_update_metadata_name_what_they_take():
    with opened() as store:
        for name, call in (
            ("update_metadata", store.update_metadata),
            ("update_metadata", lambda **given: asyncio.run(store.aupdate_metadata(**given))),
        ):
            says = rf"^{name}\(\) got .*known: ids, values, remove, filter, expr; .*'filter'"
            with pytest.raises(TypeError, match=says):
                call(filters={"a": 1}, values={"b": 2})
        with pytest.raises(TypeError, match=r"^sync\(\) .*known: source, documents; .*'documents'"):
            store.sync("a", [], document=[])
        with pytest.raises(TypeError, match=r"^async_\(\) .*known: source, documents; .*'source'"):
            asyncio.run(store.async_("a", [], sourc="b"))


def test_update_metadata_takes_expr_for_filter():
    with opened() as store:
        store.add_texts(["kite", "owl"], [{"n": 1}, {"n": 2}], ids=["a", "b"])
        assert store.update_metadata(values={"m": 1}, expr="n == 1") == 1
        assert asyncio.run(store.aupdate_metadata(remove=["n"], expr={"m": 1})) == 1
        assert [each.metadata for each in store.get_by_ids(["a", "b"])] == [{"m": 1}, {"n": 2}]
        for both in ({"filter": "n == 2", "expr": "n == 2"}, {}):
            with pytest.raises(ParamError, match="update_metadata: "):
                store.update_metadata(values={"m": 1}, **both)


def test_components_name_their_fields():
    with opened() as store, pytest.raises(TypeError, match=r"^ElanusRetriever\(\).*mean 'k'\?$"):
        ElanusRetriever(vectorstore=store, kk=3)
    with pytest.raises(TypeError, match=r"^ElanusReranker\(\).*mean 'top_n'\?$"):
        ElanusReranker(reranker=print, topn=3)
