"""What ElanusVectorStore does beyond LangChain's suite."""

from __future__ import annotations

from dataclasses import dataclass

import judging
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores.utils import maximal_marginal_relevance

import langchain_elanus
from elanus import (
    AdaptiveRanker,
    DocumentStore,
    ElanusError,
    FilterError,
    MilvusClient,
    ParamError,
    RRFRanker,
    SearchSettings,
    WeightedRanker,
)
from elanus.errors import ClosedError, EmbeddingMismatchError, RerankError
from elanus.text import build_analyzer
from langchain_elanus import ElanusVectorStore, _vectorstore

TEXTS = {
    "kite": "the red kite soars over the valley",
    "black": "the black kite soars over the river",
    "owl": "an owl hunts by night over the valley",
    "wren": "a wren is a small brown bird",
    "ice": "glaciers are rivers of ice",
    "sea": "the sea is salt and cold",
}
YEARS = {name: 2020 + i for i, name in enumerate(TEXTS)}
QUERY = "red kite over the valley"
MODES = ("hybrid", "dense", "text")


@pytest.fixture
def filled(store):
    store.add_texts(list(TEXTS.values()), [{"year": y} for y in YEARS.values()], ids=list(TEXTS))
    return store


def cosine(embeddings, name, query=QUERY):
    return float(np.dot(embeddings.vector(TEXTS[name]), embeddings.vector(query)))


def ids(documents):
    return [document.id for document in documents]


# --- searching ----------------------------------------------------------------------------------


def test_dense_search_ranks_by_cosine_and_says_it(filled, embeddings):
    found = filled.similarity_search_with_score(QUERY, k=6, mode="dense")
    assert {document.id for document, _ in found} == set(TEXTS)
    for document, score in found:
        assert score == pytest.approx(cosine(embeddings, document.id), abs=1e-6)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


def test_text_search_finds_what_shares_a_word(filled):
    found = filled.similarity_search("red ice", k=6, mode="text")
    assert set(ids(found)) == {"kite", "ice"}


def legs(embeddings, mode="hybrid", query=QUERY):
    """What the legs of a search know, by the formulas."""
    analyzer = build_analyzer("multilingual")
    points = {name: embeddings.vector(text) for name, text in TEXTS.items()}
    dense = judging.dense_leg(points, embeddings.vector(query), 100)
    words = {name: analyzer.tokens(text) for name, text in TEXTS.items()}
    text = judging.text_leg(words, analyzer.query_tokens(query), 100)
    return {"hybrid": [dense, text], "dense": [dense], "text": [text]}[mode]


def test_hybrid_scores_are_by_what_both_say_of_every_document(filled, embeddings):
    found = filled.similarity_search_with_score(QUERY, k=6)
    expected = judging.adaptive(legs(embeddings)).scores
    assert {document.id: score for document, score in found} == pytest.approx(expected, rel=1e-4)
    assert ids(document for document, _ in found) == judging.in_order(expected)


def test_hybrid_scores_by_rrf_are_those_of_both_rankings(filled):
    dense = ids(filled.similarity_search(QUERY, k=6, mode="dense"))
    text = ids(filled.similarity_search(QUERY, k=6, mode="text"))
    for document, score in filled.similarity_search_with_score(QUERY, k=6, ranker=RRFRanker()):
        expected = sum(
            1 / (60 + leg.index(document.id) + 1) for leg in (dense, text) if document.id in leg
        )
        assert score == pytest.approx(expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("query", [QUERY, "salt", "salt of nowhere"])
def test_relevances_are_those_of_the_formula(filled, embeddings, mode, query):
    found = filled.similarity_search_with_relevance_scores(query, k=6, mode=mode)
    expected = judging.relevance(legs(embeddings, mode, query))
    assert {document.id: relevance for document, relevance in found} == pytest.approx(
        expected, rel=1e-3, abs=1e-6
    )


def test_a_ranker_can_be_given_to_the_store_and_to_a_call(filled, make_store):
    text = ids(filled.similarity_search(QUERY, k=6, mode="text"))
    assert (
        ids(filled.similarity_search(QUERY, k=len(text), ranker=WeightedRanker(0.0, 1.0))) == text
    )
    weighted = make_store(None, store=filled.store, ranker=RRFRanker(10))
    ((_, score),) = weighted.similarity_search_with_score(QUERY, k=1)
    assert score == pytest.approx(2 / 11)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("query", [QUERY, "salt", "nothing of the kind", ""])
def test_relevances_are_from_0_to_1_and_fall_with_the_rank(filled, mode, query):
    found = filled.similarity_search_with_relevance_scores(query, k=6, mode=mode)
    relevances = [relevance for _, relevance in found]
    assert relevances == sorted(relevances, reverse=True)
    assert all(0.0 <= relevance <= 1.0 for relevance in relevances)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("least", [0.0, 0.3, 0.5, 0.97, 1.0])
def test_a_threshold_keeps_what_is_relevant_enough(filled, mode, least):
    everything = filled.similarity_search_with_relevance_scores(QUERY, k=6, mode=mode)
    expected = [document.id for document, relevance in everything if relevance >= least]
    options = {"k": 6, "mode": mode, "score_threshold": least}
    retriever = filled.as_retriever(search_type="similarity_score_threshold", search_kwargs=options)
    assert ids(retriever.invoke(QUERY)) == expected
    assert ids(filled.similarity_search(QUERY, **options)) == expected


@pytest.mark.parametrize("least", [-0.1, 1.1])
def test_a_threshold_outside_0_to_1_is_an_error(filled, least):
    with pytest.raises(ParamError, match="score_threshold"):
        filled.similarity_search(QUERY, score_threshold=least)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize(("k", "fetch_k"), [(3, 6), (2, 3), (6, 6)])
def test_mmr_chooses_as_its_definition_says_in_every_mode(
    filled, embeddings, mode, share, k, fetch_k
):
    scored = filled.similarity_search_with_score(QUERY, k=fetch_k, mode=mode)
    ranking = ids(document for document, _ in scored)
    vectors = [embeddings.vector(TEXTS[name]) for name in ranking]
    if mode == "dense":
        relevances = [cosine(embeddings, name) for name in ranking]
    else:
        relevances = judging.spread_out([score for _, score in scored])
    expected = [ranking[i] for i in judging.mmr(relevances, vectors, k, share)]
    found = filled.max_marginal_relevance_search(QUERY, k, fetch_k, share, mode=mode)
    assert ids(found) == expected
    if mode == "dense":
        langchains = maximal_marginal_relevance(
            np.array(embeddings.vector(QUERY)), vectors, share, min(k, len(vectors))
        )
        assert ids(found) == [ranking[i] for i in langchains]


def test_mmr_embeds_only_the_query(filled, embeddings):
    embeddings.calls.clear()
    filled.max_marginal_relevance_search(QUERY, k=2)
    assert embeddings.calls == [("embed_query", 1)]


def test_mmr_by_vector_is_mmr_in_dense_mode(filled, embeddings):
    by_text = filled.max_marginal_relevance_search(QUERY, k=3, mode="dense", filter="year > 2020")
    vector = embeddings.vector(QUERY)
    assert (
        filled.max_marginal_relevance_search_by_vector(vector, k=3, filter="year > 2020") == by_text
    )


def test_a_search_by_vector_is_dense_whatever_the_stores_mode(filled, embeddings):
    vector = embeddings.vector(QUERY)
    expected = filled.similarity_search_with_score(QUERY, mode="dense")
    assert filled.similarity_search_with_score_by_vector(vector) == expected
    assert filled.similarity_search_by_vector(vector) == [document for document, _ in expected]


@pytest.mark.parametrize(
    "call", ["similarity_search_by_vector", "max_marginal_relevance_search_by_vector"]
)
def test_a_search_by_vector_refuses_modes_that_need_words(filled, embeddings, call):
    with pytest.raises(ParamError, match="mode must be 'dense', not 'hybrid'"):
        getattr(filled, call)(embeddings.vector(QUERY), mode="hybrid")


def test_an_unknown_mode_is_an_error(filled, make_store):
    with pytest.raises(ParamError, match="got 'sparse'"):
        filled.similarity_search(QUERY, mode="sparse")
    with pytest.raises(ParamError, match="got 'sparse'"):
        make_store(mode="sparse")


def test_ids_and_depth_reach_the_search(filled):
    assert set(ids(filled.similarity_search(QUERY, ids=["ice", "sea", "gone"]))) == {"ice", "sea"}
    assert len(filled.similarity_search("zebra", k=6, depth=2)) == 2


# --- explanations -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call", ["similarity_search", "max_marginal_relevance_search", "similarity_search_with_score"]
)
def test_metadata_are_as_they_were_added_unless_explanations_are_asked_for(filled, call):
    for found in getattr(filled, call)(QUERY, k=6):
        document = found[0] if isinstance(found, tuple) else found
        assert document.metadata == {"year": YEARS[document.id]}


@pytest.mark.parametrize("mode", MODES)
def test_an_explanation_has_rank_score_relevance_and_legs(filled, mode):
    scores = filled.similarity_search_with_score(QUERY, k=3, mode=mode)
    relevances = filled.similarity_search_with_relevance_scores(QUERY, k=3, mode=mode)
    explained = filled.similarity_search(QUERY, k=3, mode=mode, explain=True)
    for rank, (document, (_, score), (_, relevance)) in enumerate(
        zip(explained, scores, relevances, strict=True), 1
    ):
        said = document.metadata["_elanus"]
        assert (said["rank"], said["score"], said["relevance"]) == (rank, score, relevance)
        assert {leg["leg"] for leg in said["legs"]} <= {"dense", "text"}
        assert sum(leg["contribution"] for leg in said["legs"]) == pytest.approx(score)
        assert document.metadata["year"] == YEARS[document.id]


def test_an_explanation_has_the_reasons_of_the_store(filled):
    (hit,) = filled.store.search(QUERY, k=1, explain=True)
    (found,) = filled.similarity_search(QUERY, k=1, explain=True)
    reasons = [leg["reason"] for leg in found.metadata["_elanus"]["legs"]]
    assert reasons == [leg.reason for leg in hit.explanation]
    assert "standard deviations" in reasons[0]


# --- filters ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "condition",
    [
        {"filter": {"year": {"$gte": 2021, "$lt": 2023}}},
        {"filter": "year >= 2021 and year < 2023"},
        {"expr": "year >= 2021 and year < 2023"},
        {"expr": {"year": {"$in": [2021, 2022]}}},
    ],
)
def test_a_filter_is_a_dict_or_an_expression_and_expr_an_alias(filled, mode, condition):
    for search in (filled.similarity_search, filled.max_marginal_relevance_search):
        found = search("kite and owl over the valley", k=6, mode=mode, **condition)
        assert set(ids(found)) == {"black", "owl"}


def test_a_filter_and_an_alias_together_are_an_error(filled):
    with pytest.raises(ParamError, match="give either"):
        filled.similarity_search(QUERY, filter={"year": 1}, expr="year == 1")
    with pytest.raises(ParamError, match="give either"):
        filled.delete(filter={"year": 1}, expr="year == 1")


def test_a_wrong_filter_is_an_error(filled):
    with pytest.raises(FilterError):
        filled.similarity_search(QUERY, filter="year >")
    with pytest.raises(ParamError, match="expression or a dict"):
        filled.similarity_search(QUERY, filter=lambda _: True)


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.similarity_search(QUERY, fetchk=3),
        lambda s: s.similarity_search_with_relevance_scores(QUERY, fetchk=3),
        lambda s: s.max_marginal_relevance_search(QUERY, fetchk=3),
        lambda s: s.similarity_search_by_vector([0.0] * 32, fetchk=3),
        lambda s: s.as_retriever(search_kwargs={"fetchk": 3}).invoke(QUERY),
        lambda s: s.add_texts(["x"], fetchk=3),
        lambda s: s.delete(["x"], fetchk=3),
        lambda _: ElanusVectorStore(None, uri=":memory:", mode="text", fetchk=3),
        lambda _: ElanusVectorStore(None, mode="text", connection_args={"fetchk": 3}),
    ],
)
def test_an_unknown_argument_raises_a_type_error_that_names_it(filled, call):
    with pytest.raises(TypeError, match="fetchk"):
        call(filled)


# --- writing ------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
key = st.text(st.characters(codec="utf-8"), max_size=5)


@given(
    metadata=st.dictionaries(key, json_values, max_size=4),
    text=st.text(st.characters(codec="utf-8"), max_size=30),
)
def test_any_document_comes_back_as_it_went_in(metadata, text):
    document = Document(id="é\"'\\", page_content=text, metadata=metadata)
    with ElanusVectorStore(None, uri=":memory:", mode="text") as store:
        assert store.add_documents([document]) == ["é\"'\\"]
        assert store.get_by_ids(["é\"'\\"]) == [document]


def test_metadata_of_numpy_is_plain_and_what_json_lacks_is_refused_by_document_and_key(store):
    store.add_documents([Document(id="a", page_content="x", metadata={"k": [np.int64(3)]})])
    assert repr(store.get_by_ids(["a"])[0].metadata) == "{'k': [3]}"
    for value in (b"x", np.datetime64(5, "ns"), np.array([5], "m8[ns]")):
        documents = [Document(page_content="x"), Document(page_content="y", metadata={"k": value})]
        with pytest.raises(ElanusError, match=r"document 1, metadata: at \['k'\]"):
            store.add_documents(documents)
    assert store.store.count() == 1


def test_documents_keep_their_ids_and_others_get_one(store):
    given_ids = ["a", None, "b"]
    documents = [Document(id=i, page_content=f"text {i}") for i in given_ids]
    added = store.add_documents(documents)
    assert (added[0], added[2]) == ("a", "b")
    assert store.get_by_ids(added)[1].page_content == "text None"
    assert [document.id for document in documents] == given_ids


def test_a_document_whose_id_exists_is_replaced(store):
    store.add_texts(["old", "other"], [{"n": 1}, {}], ids=["a", "b"])
    store.add_documents([Document(id="a", page_content="new")])
    assert store.get_by_ids(["a"]) == [Document(id="a", page_content="new")]
    assert store.store.count() == 2


def test_a_batch_is_embedded_at_a_time(store, embeddings):
    store.add_texts([f"text {i}" for i in range(7)], batch_size=3)
    assert [n for call, n in embeddings.calls if call == "embed_documents"] == [3, 3, 1]
    assert store.store.count() == 7
    with pytest.raises(ParamError, match="batch_size"):
        store.add_texts(["x"], batch_size=0)


def test_everything_is_checked_before_anything_is_embedded(store, embeddings):
    embeddings.calls.clear()
    with pytest.raises(ElanusError, match="document 299"):
        store.add_texts(["text"] * 300, [{}] * 299 + [{"x": object()}])
    assert embeddings.calls == []
    assert store.store.count() == 0


def test_lists_of_different_lengths_are_an_error(store):
    with pytest.raises(ValueError, match="2 texts, but 1 metadatas"):
        store.add_texts(["a", "b"], [{}])
    with pytest.raises(ValueError, match="2 texts, but 3 ids"):
        store.add_texts(["a", "b"], ids=["a", "b", "c"])
    with pytest.raises(ParamError, match="texts must be a list"):
        store.add_texts("kite")


def test_nothing_to_add_is_no_error(store):
    assert store.add_texts([]) == []
    assert store.add_documents([]) == []


def test_texts_can_come_from_a_generator(store):
    assert store.add_texts((name for name in ("a", "b")), ids=["1", "2"]) == ["1", "2"]


def test_embeddings_that_are_known_are_not_made_again(store, embeddings):
    vectors = [embeddings.vector("owl"), embeddings.vector("kite")]
    embeddings.calls.clear()
    assert store.add_embeddings(["one", "two"], vectors, [{"n": 1}, {"n": 2}], ids=["a", "b"])
    assert embeddings.calls == []
    (found,) = store.similarity_search("kite", k=1, mode="dense")
    assert found == Document(id="b", page_content="two", metadata={"n": 2})


def test_delete_by_ids_by_filter_by_both_and_of_all(filled):
    assert filled.delete(["kite", "gone"]) is True
    assert filled.delete(filter={"year": YEARS["owl"]}) is True
    assert filled.delete(expr=f"year == {YEARS['wren']}") is True
    assert filled.delete(["black", "ice"], filter={"year": YEARS["ice"]}) is True
    assert {document.id for document in filled.store} == {"black", "sea"}
    assert filled.delete([]) is True
    assert filled.store.count() == 2
    assert filled.delete() is True
    assert filled.store.count() == 0
    assert filled.add_texts(["after"], ids=["x"]) == ["x"]


@pytest.mark.parametrize("condition", [{"filter": {}}, {"filter": ""}, {"expr": ""}])
def test_a_filter_without_conditions_deletes_nothing(filled, condition):
    with pytest.raises(ParamError, match=r"has no conditions; to delete all, use delete\(\)"):
        filled.delete(**condition)
    assert filled.store.count() == len(TEXTS)


def test_get_by_ids_keeps_the_order_asked_for(filled):
    assert ids(filled.get_by_ids(["sea", "gone", "kite"])) == ["sea", "kite"]
    assert filled.get_by_ids([]) == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("k", [2**61, 2**63 - 1])
def test_any_number_of_documents_can_be_asked_for(filled, mode, k):
    expected = ids(filled.similarity_search(QUERY, k=100, mode=mode))
    assert ids(filled.similarity_search(QUERY, k=k, mode=mode)) == expected

    def keep(_query, texts, **_):
        return [Result(text, 0.5, i) for i, text in enumerate(texts)]

    assert ids(filled.similarity_search(QUERY, k=k, mode=mode, reranker=keep)) == expected
    assert set(ids(filled.max_marginal_relevance_search(QUERY, k=k, mode=mode))) == set(expected)


# --- before a query is paid for -----------------------------------------------------------------

WRONG = [
    *({"query": query} for query in (None, 5, b"x", ["kite"])),
    *({"k": k} for k in (0, -1, "4", True)),
    *({"ranker": 5}, {"mode": "x"}, {"reranker": 5}, {"explain": "no"}, {"score_threshold": 2}),
    *({"filter": given} for given in (5, "year ==", ["year"])),
    *({"ids": 5}, {"ids": [5]}, {"depth": 0}, {"depth": {"dense": 0}}, {"depth": {"words": 5}}),
]
WRONG_MMR = [
    *({"fetch_k": fetch_k} for fetch_k in (0, "x", None)),
    *({"lambda_mult": share} for share in (5, -1, "x", None)),
]


@pytest.mark.parametrize(
    ("call", "wrong"),
    [
        *(("similarity_search", wrong) for wrong in WRONG),
        *(("max_marginal_relevance_search", wrong) for wrong in [*WRONG, *WRONG_MMR]),
    ],
    ids=str,
)
async def test_a_wrong_argument_costs_no_embedding(filled, embeddings, call, wrong):
    embeddings.calls.clear()
    arguments = {"query": QUERY, **wrong}
    with pytest.raises(ParamError, match=next(iter(wrong))):
        getattr(filled, call)(**arguments)
    with pytest.raises(ParamError, match=next(iter(wrong))):
        await getattr(filled, f"a{call}")(**arguments)
    assert embeddings.calls == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("call", ["similarity_search", "max_marginal_relevance_search"])
async def test_half_of_a_surrogate_pair_is_a_query_like_any_other(
    make_store, make_embeddings, call, mode
):
    class Strict(make_embeddings):
        @staticmethod
        def vector(text):
            text.encode()
            return make_embeddings.vector(text)

    def longest(query, texts, top_k):
        query.encode()
        return [Result(text, len(text), i) for i, text in enumerate(texts)][:top_k]

    store = make_store(Strict())
    store.add_texts(["red kite"], ids=["a"])
    # A reranker, where there is one, must get a text that it can read as well.
    options = {"mode": mode, "fill": True, "reranker": longest}
    assert ids(getattr(store, call)("kite \ud83d", **options)) == ["a"]
    assert ids(await getattr(store, f"a{call}")("kite \ud83d", **options)) == ["a"]


# --- opening ------------------------------------------------------------------------------------


def test_a_store_is_there_when_the_file_is_opened_again(tmp_path, make_embeddings):
    path = tmp_path / "kb.db"
    with ElanusVectorStore.from_texts(
        list(TEXTS.values()), make_embeddings(), ids=list(TEXTS), uri=path
    ) as first:
        expected = first.similarity_search_with_score(QUERY)
    again = make_embeddings()
    with ElanusVectorStore(again, connection_args={"uri": str(path)}) as second:
        assert again.calls == []
        assert second.similarity_search_with_score(QUERY) == expected
        assert second.client.verify() == []


def test_a_new_collection_embeds_one_word_unless_the_dimension_is_known(make_store, embeddings):
    make_store()
    assert embeddings.calls == [("embed_query", 1)]
    make_store(dim=32)
    embeddings.dimensions = 32
    make_store()
    assert len(embeddings.calls) == 1


def test_the_file_keeps_the_models_name(tmp_path, make_embeddings):
    path = tmp_path / "kb.db"
    ElanusVectorStore(make_embeddings("first"), uri=path).close()
    with pytest.raises(EmbeddingMismatchError, match=r"first.*second"):
        ElanusVectorStore(make_embeddings("second"), uri=path)
    ElanusVectorStore(make_embeddings("second"), uri=path, embedding_name="first").close()
    with ElanusVectorStore(make_embeddings("second"), uri=path, collection_name="other") as other:
        assert sorted(other.client.list_collections()) == ["langchain", "other"]


def test_from_documents_keeps_ids_and_metadata(embeddings):
    documents = [Document(id="a", page_content="owl", metadata={"n": None})]
    with ElanusVectorStore.from_documents(documents, embeddings, uri=":memory:") as store:
        assert store.get_by_ids(["a"]) == documents


GENERATED = {"a": "owl", "b": "wren"}


def generated():
    for id_, text in GENERATED.items():
        yield Document(id=id_, page_content=text, metadata={"n": text})


def check_generated(store, names=("a", "b")):
    assert store.store.count() == 2
    assert store.get_by_ids(names) == [
        Document(id=name, page_content=text, metadata={"n": text})
        for name, text in zip(names, GENERATED.values(), strict=True)
    ]


def test_documents_of_a_generator_are_added(make_store):
    store = make_store()
    assert store.add_documents(generated()) == ["a", "b"]
    check_generated(store)


def test_documents_and_ids_of_generators_are_added(make_store):
    store = make_store()
    assert store.add_documents(generated(), ids=iter("xy"), batch_size=1) == ["x", "y"]
    check_generated(store, ["x", "y"])


async def test_documents_of_a_generator_are_added_asynchronously(make_store):
    store = make_store()
    assert await store.aadd_documents(generated()) == ["a", "b"]
    check_generated(store)


async def test_from_documents_takes_a_generator(embeddings):
    with ElanusVectorStore.from_documents(generated(), embeddings, uri=":memory:") as store:
        check_generated(store)
    made = ElanusVectorStore.afrom_documents(generated(), embeddings, uri=":memory:")
    async with await made as store:
        check_generated(store)


class Longer(Embeddings):
    """A model of the usual name, with one component more."""

    model = "words"

    def embed_documents(self, texts):
        return [[1.0] * 33 for _ in texts]

    def embed_query(self, text):
        return self.embed_documents([text])[0]


async def test_a_model_of_another_dimension_is_named_with_both_when_it_embeds(
    tmp_path, make_embeddings
):
    path = tmp_path / "kb.db"
    ElanusVectorStore.from_texts(["owl"], make_embeddings(), uri=path).close()
    with ElanusVectorStore(Longer(), uri=path) as store:
        message = "holds vectors of 32 components, and those of the model 'words' have 33"
        for call in (
            store.similarity_search,
            store.max_marginal_relevance_search,
            lambda text: store.add_texts([text]),
        ):
            with pytest.raises(EmbeddingMismatchError, match=message):
                call("owl")
        for coroutine in (store.asimilarity_search("owl"), store.aadd_texts(["owl"])):
            with pytest.raises(EmbeddingMismatchError, match=message):
                await coroutine
        assert store.store.count() == 1


@pytest.fixture
def clients(monkeypatch):
    """The clients that vector stores opened."""
    opened = []

    class Recorded(MilvusClient):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            opened.append(self)

    monkeypatch.setattr(_vectorstore, "MilvusClient", Recorded)
    return opened


def test_what_fails_to_open_or_to_be_filled_is_closed_again(clients, embeddings, tmp_path):
    with pytest.raises(ElanusError):
        ElanusVectorStore.from_texts(["a"], embeddings, [{"x": object()}], uri=tmp_path / "a.db")
    with pytest.raises(ParamError, match="embedding must be"):
        ElanusVectorStore("all-MiniLM-L6-v2", uri=tmp_path / "a.db")
    assert len(clients) == 2
    for client in clients:
        with pytest.raises(ClosedError):
            client.list_collections()


def test_a_document_store_can_be_shared_and_stays_open(make_embeddings):
    with DocumentStore(":memory:", dim=32) as documents:
        with ElanusVectorStore(make_embeddings(), store=documents) as first:
            first.add_texts(["red kite"], ids=["a"])
            assert first.client is documents.client
        with ElanusVectorStore(store=documents, mode="text") as second:
            assert ids(second.similarity_search("kites")) == ["a"]
            assert second.embeddings is None
        assert documents.get("a")[0].text == "red kite"
        assert documents.verify() == []


def test_a_store_and_a_file_together_are_an_error(store):
    with pytest.raises(ParamError, match="not both"):
        ElanusVectorStore(store=store.store, uri="x.db")
    with pytest.raises(ParamError, match="collection_name"):
        ElanusVectorStore(store=store.store, collection_name="other", analyzer="english")
    with pytest.raises(ParamError, match="give one"):
        ElanusVectorStore(None, uri="x.db", mode="text", connection_args={"uri": "y.db"})


@pytest.mark.parametrize("options", [{}, {"mode": "dense"}, {"mode": "text", "fill": True}])
def test_without_an_embedding_only_text_mode_works(options):
    with pytest.raises(ParamError, match="needs an embedding"):
        ElanusVectorStore(None, uri=":memory:", **options)


def test_an_embedding_of_another_kind_is_an_error():
    with pytest.raises(ParamError, match="embedding must be"):
        ElanusVectorStore("all-MiniLM-L6-v2", uri=":memory:")


def test_an_analyzer_and_client_options_reach_the_store(tmp_path, embeddings):
    path = tmp_path / "kb.db"
    with ElanusVectorStore(embeddings, uri=path, analyzer="standard", durability="normal") as store:
        store.add_texts(["kites"], ids=["a"])
        assert store.similarity_search("kite", mode="text") == []
    with (
        ElanusVectorStore(embeddings, uri=path, read_only=True) as store,
        pytest.raises(ElanusError, match="read"),
    ):
        store.add_texts(["x"])


def test_a_closed_store_says_so_and_closes_twice(make_store):
    store = make_store()
    store.close()
    store.close()
    with pytest.raises(ElanusError, match="closed"):
        store.similarity_search("x", mode="text")


# --- text mode that fills up --------------------------------------------------------------------


def test_fill_appends_the_nearest_by_meaning_with_score_0(filled):
    text = filled.similarity_search_with_score("red kite", k=6, mode="text")
    found = filled.similarity_search_with_score("red kite", k=5, mode="text", fill=True)
    assert found[: len(text)] == text
    nearest = ids(filled.similarity_search("red kite", k=6, mode="dense"))
    others = [name for name in nearest if name not in ids(document for document, _ in text)]
    assert [(document.id, score) for document, score in found[len(text) :]] == [
        (name, 0.0) for name in others[: 5 - len(text)]
    ]
    relevant = filled.similarity_search_with_relevance_scores("red kite", mode="text", fill=True)
    assert [r for _, r in relevant[len(text) :]] == [0.0] * (4 - len(text))


# --- reranking ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    text: str
    score: float
    index: int


class ShortestFirst:
    """Prefers short texts; scores leave [0, 1] on both sides."""

    def __init__(self):
        self.seen = []

    def __call__(self, query, documents, top_k=5):
        self.seen.append((query, len(documents), top_k))
        order = sorted(range(len(documents)), key=lambda i: len(documents[i]))[:top_k]
        return [Result(documents[i], (30 - len(documents[i])) / 4, i) for i in order]


def test_a_reranker_orders_the_best_hits_anew(filled, make_store):
    reranker = ShortestFirst()
    store = make_store(None, store=filled.store, reranker=reranker)
    found = store.similarity_search_with_score(QUERY, k=2, mode="dense")
    expected = sorted(TEXTS, key=lambda name: len(TEXTS[name]))[:2]
    assert [(document.id, score) for document, score in found] == [
        (name, (30 - len(TEXTS[name])) / 4) for name in expected
    ]
    assert reranker.seen == [(QUERY, 6, 6)]
    relevances = {d.id: r for d, r in store.similarity_search_with_relevance_scores(QUERY, k=6)}
    before = filled.similarity_search_with_relevance_scores(QUERY, k=6)
    assert relevances == {d.id: r for d, r in before}
    plain = filled.similarity_search(QUERY)
    assert store.similarity_search(QUERY, reranker=None) == plain
    assert filled.similarity_search(QUERY, k=2, mode="dense", reranker=reranker) == [
        document for document, _ in found
    ]


def test_a_reranker_is_not_asked_when_nothing_was_found(make_store):
    reranker = ShortestFirst()
    assert make_store(reranker=reranker).similarity_search(QUERY) == []
    assert reranker.seen == []


def test_a_reranker_that_cannot_be_called_is_named(filled, make_store):
    with pytest.raises(ParamError, match=r"reranker must have predict.* got 5"):
        make_store(reranker=5)
    with pytest.raises(ParamError, match=r"reranker must have predict.* got 5"):
        filled.similarity_search(QUERY, reranker=5)


class Fixed:
    """Gives the same results whatever it is asked."""

    def __init__(self, results):
        self.results = results

    def __repr__(self):
        return "Fixed()"

    def __call__(self, *asked, **options):
        del asked, options
        return self.results


class Awaited(Fixed):
    async def arerank(self, *asked, **options):
        return self(*asked, **options)


GOOD = [Result("", 0.5, i) for i in range(5)]


@pytest.mark.parametrize("kind", [Fixed, Awaited])
@pytest.mark.parametrize(
    "results",
    [
        [(0, 0.5)] * 6,
        [*GOOD, Result("", 0.5, None)],
        [*GOOD, Result("", None, 5)],
        [*GOOD, Result("", 0.5, 6)],
        [*GOOD, Result("", 0.5, -1)],
        [*GOOD, Result("", 0.5, 4)],
        GOOD,
        None,
    ],
    ids=str,
)
async def test_a_reranker_that_gives_no_scores_is_named_and_loses_no_hits(filled, kind, results):
    options = {"k": 2, "mode": "dense", "reranker": kind(results)}
    with pytest.raises(RerankError, match=r"reranker Fixed\(\)") as caught:
        filled.similarity_search(QUERY, **options)
    assert [hit.id for hit in caught.value.hits] == ids(
        filled.similarity_search(QUERY, 6, mode="dense")
    )
    with pytest.raises(RerankError, match=r"reranker Fixed\(\)") as awaited:
        await filled.asimilarity_search(QUERY, **options)
    assert awaited.value.hits == caught.value.hits


async def test_a_reranker_that_fails_is_named(filled):
    class Broken:
        def __call__(self, *_):
            raise RuntimeError("no weights")

        async def arerank(self, *_, **__):
            raise RuntimeError("no weights")

    says = r"reranker .*Broken.* failed with 6 texts: RuntimeError: no weights"
    with pytest.raises(RerankError, match=says):
        filled.similarity_search(QUERY, mode="dense", reranker=Broken())
    with pytest.raises(RerankError, match=says):
        await filled.asimilarity_search(QUERY, mode="dense", reranker=Broken())


# --- the rest -----------------------------------------------------------------------------------


def test_the_public_names_are_sorted_and_exist():
    names = langchain_elanus.__all__
    assert names == sorted(names)
    assert all(hasattr(langchain_elanus, name) for name in names)


def test_properties_show_what_is_underneath(store, embeddings):
    assert store.embeddings is embeddings
    assert isinstance(store.store, DocumentStore)
    assert isinstance(store.client, MilvusClient)
    assert "mode='hybrid'" in repr(store)


def test_settings_that_are_kept_with_the_collection_are_gone_by(tmp_path, embeddings):
    texts = ["red kite", "red owl at night", "kite kite kite over hills", "owl"]
    with ElanusVectorStore.from_texts(
        texts, embeddings, uri=str(tmp_path / "a.db"), collection_name="kept"
    ) as store:
        before = store.similarity_search_with_score("red kite")
        with DocumentStore(tmp_path / "a.db", collection="kept") as documents:
            documents.configure(SearchSettings(weight=7))
        after = store.similarity_search_with_score("red kite")
        expected = store.similarity_search_with_score("red kite", ranker=AdaptiveRanker(7))
        assert [s for _, s in after] == [s for _, s in expected] != [s for _, s in before]
    embeddings.adaptive_weight = 3.0
    with ElanusVectorStore.from_texts(texts, embeddings) as store:
        found = store.similarity_search_with_score("red kite")
        expected = store.similarity_search_with_score("red kite", ranker=AdaptiveRanker(3))
        assert [s for _, s in found] == [s for _, s in expected]


@pytest.mark.parametrize("again", [False, True])
def test_a_blank_text_is_no_hit_of_any_search(make_store, embeddings, tmp_path, again):
    store = make_store(uri=tmp_path / "a.db")
    store.add_texts(["red kite", "", "an owl", " \n"], ids=list("abcd"))
    if again:
        store.close()
        store = make_store(uri=tmp_path / "a.db")
    for mode in ("dense", "hybrid"):
        found = store.similarity_search("red kite", 9, mode=mode)
        assert sorted(document.id for document in found) == ["a", "c"]
        found = store.max_marginal_relevance_search("red kite", 9, mode=mode)
        assert sorted(document.id for document in found) == ["a", "c"]
    found = store.similarity_search_by_vector(embeddings.vector("kite"), 9)
    assert sorted(document.id for document in found) == ["a", "c"]
    found = store.similarity_search("red kite", 9, mode="text", fill=True)
    assert [document.id for document in found] == ["a", "c"]
    assert [document.id for document in store.get_by_ids(["b", "d"])] == ["b", "d"]
