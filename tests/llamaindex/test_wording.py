"""Phrases, beginnings, typing errors, passages and rerankers of a query."""

from __future__ import annotations

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.postprocessor import MetadataReplacementPostProcessor
from llama_index.core.schema import MetadataMode, TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery

from elanus import ParamError
from elanus.errors import RerankError

PAGES = ["Birds.", "The red kite soars.", "A kite that is red.", "They receive a kitten."]


@pytest.fixture
def filled(store):
    nodes = [TextNode(id_=f"n{i}", text=t, embedding=[1.0, float(i)]) for i, t in enumerate(PAGES)]
    store.sync("kites.md", nodes)
    return store


def ask(filled, words, mode="text_search", k=4, **options):
    query = VectorStoreQuery(
        query_str=words, query_embedding=[1.0, 0.0], mode=mode, similarity_top_k=k
    )
    return filled.query(query, **options)


@pytest.mark.parametrize(
    ("query", "options", "expected"),
    [
        ('"red kites"', {"phrases": True}, ["n1"]),
        ("red kit", {"prefix": True}, ["n1", "n2", "n3"]),
        ("recieve", {"typos": True}, ["n3"]),
        ("recieve", {"typos": None}, []),
    ],
)
def test_words_are_searched_for_as_the_store_does_it(filled, query, options, expected):
    found = ask(filled, query, **options)
    assert sorted(found.ids) == expected
    given = {name: value for name, value in options.items() if value}
    hits = filled.store.search(query, 4, "text", **given)
    assert found.similarities == [hit.relevance for hit in hits]
    if given.get("phrases"):
        assert ask(filled, query, "hybrid", **options).ids == expected


def test_a_retriever_takes_them(filled, embed_model, make_store):
    store = make_store()
    nodes = [TextNode(id_=f"n{i}", text=text) for i, text in enumerate(PAGES)]
    for node in nodes:
        node.embedding = embed_model.get_text_embedding(node.text)
    store.sync("kites.md", nodes)
    index = VectorStoreIndex.from_vector_store(store, embed_model=embed_model)
    retriever = index.as_retriever(
        vector_store_query_mode="hybrid",
        vector_store_kwargs={"phrases": True, "typos": True, "context": 1},
    )
    (found,) = retriever.retrieve('"red kites" soarz')
    assert found.node.node_id == "n1"
    passages = MetadataReplacementPostProcessor(target_metadata_key="_elanus_passage")
    (passage,) = passages.postprocess_nodes([found])
    assert passage.node.get_content() == "Birds.\nThe red kite soars.\nA kite that is red."


@pytest.mark.parametrize("mode", ["default", "mmr", "text_search", "hybrid", "semantic_hybrid"])
def test_nodes_have_their_passage_which_models_do_not_see(filled, mode):
    plain = ask(filled, "kitten", mode)
    found = ask(filled, "kitten", mode, context=1)
    assert found.ids == plain.ids
    last = found.nodes[found.ids.index("n3")]
    assert last.metadata["_elanus_passage"] == "A kite that is red.\nThey receive a kitten."
    before = plain.nodes[found.ids.index("n3")]
    assert "_elanus_passage" not in before.metadata
    for kind in (MetadataMode.LLM, MetadataMode.EMBED):
        assert last.get_content(kind) == before.get_content(kind)


class Pairs:
    """Stands for a cross-encoder."""

    def predict(self, pairs):
        return [float(len(text)) for _, text in pairs]


def test_a_query_may_bring_its_reranker(filled):
    for mode in ("default", "mmr", "text_search", "hybrid", "semantic_hybrid"):
        found = ask(filled, "kite", mode, 2, reranker=Pairs())
        assert found.similarities[0] == max(found.similarities)
        assert found.similarities == [len(node.text) for node in found.nodes]
    assert ask(filled, "kite", "hybrid", 1, reranker=Pairs()).ids == ["n3"]
    first = ask(filled, "kite", "default", 1).ids
    assert ask(filled, "kite", "default", 1, reranker=Pairs(), rerank_top=1).ids == first
    (node,) = ask(filled, "soars", reranker=Pairs(), explain=True).nodes
    assert [leg["leg"] for leg in node.metadata["_elanus"]["legs"]] == ["text", "reranker"]


def test_a_query_may_do_without_the_reranker_of_the_store(filled):
    plain = ask(filled, "kite", "semantic_hybrid")
    filled.reranker = Pairs()
    assert ask(filled, "kite", "semantic_hybrid").ids != plain.ids
    assert ask(filled, "kite", "semantic_hybrid", reranker=None) == plain


def test_a_reranker_that_fails_is_named_and_loses_no_hits(filled):
    with pytest.raises(RerankError, match="must give a finite number for each of 2 texts") as error:
        ask(filled, "kite", reranker=lambda *_: [1.0])
    assert sorted(hit.id for hit in error.value.hits) == ["n1", "n2"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"phrases": "yes"}, "phrases must be True or False, got 'yes'"),
        ({"prefix": 1}, "prefix must be True or False, got 1"),
        ({"context": -1}, "context must be an integer of at least 0"),
        ({"rerank_top": 5}, "rerank_top says how many .* give a reranker"),
        ({"reranker": Pairs(), "rerank_top": 0}, "rerank_top must be an integer of at least 1"),
        ({"reranker": 5}, "reranker must have predict.* got 5"),
        ({"typos": True, "mode": "default"}, "typos=True is for the modes text and hybrid"),
    ],
)
def test_a_wrong_option_is_refused(filled, options, says):
    with pytest.raises(ParamError, match=says):
        ask(filled, "kite", **options)
    with pytest.raises(TypeError, match="did you mean 'phrases'"):
        ask(filled, "kite", phrase=True)


def test_a_reranker_needs_words(filled):
    query = VectorStoreQuery(query_embedding=[1.0, 0.0])
    with pytest.raises(ParamError, match="DEFAULT needs a query_str"):
        filled.query(query, reranker=Pairs())


async def test_the_coroutine_takes_them_too(filled):
    query = VectorStoreQuery(query_str="recieve", mode="text_search")
    assert (await filled.aquery(query, typos=True, context=1)).ids == ["n3"]
