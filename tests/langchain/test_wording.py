"""Phrases, beginnings, typing errors and passages in every search and in retrievers."""

from __future__ import annotations

import asyncio

import pytest
from langchain_core.documents import Document

from elanus import ParamError
from langchain_elanus import ElanusRetriever

PAGES = {
    "kites.md": ["Birds.", "The red kite soars.", "A kite that is red.", "They nest."],
    "owls.md": ["Owls receive kittens.", "Owls hunt."],
}


@pytest.fixture
def filled(make_store):
    store = make_store()
    for source, pages in PAGES.items():
        store.sync(source, [Document(page, id=f"{source[0]}{n}") for n, page in enumerate(pages)])
    return store


def ids(documents):
    return [document.id for document in documents]


@pytest.mark.parametrize(
    ("query", "options", "expected"),
    [
        ('"red kites"', {"phrases": True}, ["k1"]),
        ("red kit", {"prefix": True}, ["k1", "k2", "o0"]),
        ("recieve", {"typos": True}, ["o0"]),
        ("recieve", {}, []),
    ],
)
def test_words_are_searched_for_as_the_store_does_it(filled, query, options, expected):
    options |= {"mode": "text"}
    hits = filled.store.search(query, k=4, **options)
    assert sorted(hit.id for hit in hits) == expected
    found = filled.similarity_search_with_score(query, **options)
    assert [(d.id, score) for d, score in found] == [(hit.id, hit.score) for hit in hits]
    plain = filled.as_retriever(search_kwargs=options)
    own = ElanusRetriever(vectorstore=filled, **options)
    for retriever in (plain, own):
        assert ids(retriever.invoke(query)) == [hit.id for hit in hits]
        assert ids(asyncio.run(retriever.ainvoke(query))) == [hit.id for hit in hits]
    diverse = filled.as_retriever(search_type="mmr", search_kwargs=options)
    assert sorted(ids(diverse.invoke(query))) == expected


def test_hybrid_mode_finds_documents_with_all_phrases_alone(filled):
    assert ids(filled.similarity_search('"red kite" owls', phrases=True)) == ["k1"]
    assert len(filled.similarity_search('"red kite" owls')) == 4


async def test_documents_bring_their_neighbours(filled):
    expected = {"before": ["Birds."], "after": ["A kite that is red."]}
    (found,) = filled.similarity_search("soars", mode="text", context=1)
    assert (found.page_content, found.metadata["_elanus"]) == ("The red kite soars.", expected)
    (asked,) = await filled.asimilarity_search("soars", mode="text", context=1, explain=True)
    assert asked.metadata["_elanus"].keys() == {"rank", "score", "relevance", "legs", *expected}
    (own,) = ElanusRetriever(vectorstore=filled, mode="text", context=9).invoke("nest")
    assert own.metadata["_elanus"] == {"before": PAGES["kites.md"][:3], "after": []}
    for diverse in (
        filled.max_marginal_relevance_search("soars", mode="text", context=1),
        filled.similarity_search_by_vector(
            filled.embeddings.vector("red kite soars the"), 1, context=1
        ),
    ):
        assert diverse[0].metadata["_elanus"] == expected
    (plain,) = filled.similarity_search("soars", mode="text")
    assert plain.metadata == {"source": "kites.md", "position": 1}


class Pairs:
    """Stands for a cross-encoder."""

    def __init__(self):
        self.seen = []

    def predict(self, pairs):
        self.seen.append(pairs)
        return [float(len(text)) for _, text in pairs]


class Numbers:
    def __call__(self, _query, texts):
        return [float(len(text)) for text in texts]


@pytest.mark.parametrize("make", [Pairs, Numbers])
async def test_rerankers_are_those_of_the_store(filled, make):
    hits = filled.store.search("kite", 2, "text", reranker=make(), explain=True, context=1)
    options = {"mode": "text", "reranker": make(), "explain": True, "context": 1}
    found = filled.similarity_search_with_score("kite", 2, **options)
    assert [(d.id, score) for d, score in found] == [(hit.id, hit.score) for hit in hits]
    said = found[0][0].metadata["_elanus"]
    assert [leg["leg"] for leg in said["legs"]] == ["text", "reranker"]
    assert said["before"] == [each.text for each in hits[0].before]
    assert await filled.asimilarity_search_with_score("kite", 2, **options) == found


async def test_an_awaited_reranker_does_what_a_called_one_does(filled):
    class Awaited:
        def __call__(self, _query, texts, top_k):
            assert top_k == len(texts)
            return [Result(i, float(len(text) % 3)) for i, text in enumerate(texts)][::-1]

        async def arerank(self, query, texts, top_k):
            return self(query, texts, top_k)

    for options in ({}, {"rerank_top": 3}, {"score_threshold": 0.01}, {"group_by": "source"}):
        options |= {"reranker": Awaited(), "explain": True, "context": 1}
        found = filled.similarity_search_with_score("red kite", 2, **options)
        assert found
        assert await filled.asimilarity_search_with_score("red kite", 2, **options) == found


class Result:
    def __init__(self, index, score):
        self.index, self.score = index, score


def test_a_threshold_spares_the_reranker(filled):
    relevant = filled.similarity_search_with_relevance_scores("red kite", mode="text")
    least = relevant[0][1]
    reranker = Pairs()
    found = filled.similarity_search(
        "red kite", mode="text", reranker=reranker, score_threshold=least
    )
    assert ids(found) == [d.id for d, r in relevant if r >= least]
    assert len(reranker.seen[0]) == len(found) < len(relevant)


def test_what_follows_by_fill_is_not_reranked(filled):
    options = {"mode": "text", "fill": True, "typos": True, "reranker": Pairs()}
    found = filled.similarity_search_with_score("recieve", 6, **options)
    assert [score > 0 for _, score in found] == [True] + [False] * 5


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"phrases": "yes"}, "phrases must be True or False, got 'yes'"),
        ({"prefix": 1}, "prefix must be True or False, got 1"),
        ({"typos": None}, "typos must be True or False, got None"),
        ({"context": -1}, "context must be an integer of at least 0"),
        ({"typos": True, "mode": "dense"}, "typos=True is for the modes text and hybrid"),
        ({"phrases": True, "fill": True}, "fill does not go with phrases"),
        ({"reranker": Pairs}, "reranker must have predict"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_embedded(filled, embeddings, options, says):
    embeddings.calls.clear()
    for call in (filled.similarity_search, filled.max_marginal_relevance_search):
        with pytest.raises(ParamError, match=says):
            call("kite", **options)
    with pytest.raises(TypeError, match="did you mean 'phrases'"):
        filled.similarity_search("kite", phrase=True)
    assert embeddings.calls == []
