"""Every mode against a naive ranking, and everything that a query can ask for."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import judging
import numpy as np
import pytest
from llama_index.core.schema import MetadataMode
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters, VectorStoreQuery
from llama_index.core.vector_stores.types import VectorStoreQueryMode

from elanus import AdaptiveRanker, DocumentStore, RRFRanker, SearchSettings
from elanus.errors import ParamError
from llama_index.vector_stores.elanus import ElanusVectorStore

RNG = np.random.default_rng(7)
COUNT = 40
WORDS = ["kite", "falcon", "owl", "heron", "wren", "crane", "stork", "swift"]
VECTORS = RNG.standard_normal((COUNT, 6)).astype(np.float32)
TEXTS = [" ".join(RNG.choice(WORDS, 6)) for _ in range(COUNT)]
NAMES = [f"n{i:02}" for i in range(COUNT)]
WORDS_OF = {name: text.split() for name, text in zip(NAMES, TEXTS, strict=True)}
PROBE = RNG.standard_normal(6).astype(np.float32)
QUESTION = "kite heron"


class Result(NamedTuple):
    text: str
    score: float
    index: int


@pytest.fixture
def filled(store, make_node):
    store.add(
        [
            make_node(name, VECTORS[i].tolist(), TEXTS[i], source=f"doc{i % 5}", place=i, odd=i % 2)
            for i, name in enumerate(NAMES)
        ]
    )
    return store


def ask(mode="default", k=5, **parts):
    given = {"query_embedding": PROBE.tolist(), "query_str": QUESTION} | parts
    return VectorStoreQuery(mode=VectorStoreQueryMode(mode), similarity_top_k=k, **given)


def cosines(probe=PROBE):
    x, q = VECTORS.astype(np.float64), probe.astype(np.float64)
    return x @ q / (np.linalg.norm(x, axis=1) * np.linalg.norm(q))


def by_meaning():
    return [NAMES[i] for i in np.argsort(-cosines(), kind="stable")]


def bm25():
    """Score of each text, by the formula of docs/scores.md."""
    terms = [text.split() for text in TEXTS]
    mean = np.mean([len(each) for each in terms])
    scores = np.zeros(COUNT)
    for word in QUESTION.split():
        frequency = np.array([each.count(word) for each in terms], float)
        df = (frequency > 0).sum()
        idf = np.log(1 + (COUNT - df + 0.5) / (df + 0.5))
        length = np.array([len(each) for each in terms])
        norm = frequency + 1.2 * (0.25 + 0.75 * length / mean)
        scores += idf * frequency * 2.2 / norm
    return scores


def by_words():
    scores = bm25().round(5)
    return [NAMES[i] for i in np.argsort(-scores, kind="stable") if scores[i] > 0]


def fused(*rankings):
    scores = dict.fromkeys(NAMES, 0.0)
    for ranking in rankings:
        for rank, name in enumerate(ranking, 1):
            scores[name] += 1 / (60 + rank)
    found = [name for name in NAMES if scores[name] > 0]
    return sorted(found, key=lambda name: (-round(scores[name], 9), name))


def test_default_is_the_order_of_cosines(filled):
    result = filled.query(ask(k=7))
    assert result.ids == by_meaning()[:7]
    assert result.similarities == pytest.approx(sorted(cosines())[::-1][:7], abs=1e-6)
    assert [node.node_id for node in result.nodes] == result.ids


def legs(dense_depth=100, text_depth=100):
    """What both legs of hybrid mode know, by the formulas."""
    points = dict(zip(NAMES, VECTORS.tolist(), strict=True))
    return [
        judging.dense_leg(points, PROBE.tolist(), dense_depth),
        judging.text_leg(WORDS_OF, QUESTION.split(), text_depth),
    ]


def check(result, legs, k):
    """The result has the k best by adaptive fusion, each with its relevance."""
    assert result.ids == judging.in_order(judging.adaptive(legs).scores, k)
    relevances = judging.relevance(legs)
    expected = [relevances[name] for name in result.ids]
    assert result.similarities == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert result.similarities == sorted(result.similarities, reverse=True)


@pytest.mark.parametrize("mode", ["sparse", "text_search"])
def test_words_are_ranked_by_bm25(filled, mode):
    result = filled.query(ask(mode, k=7, query_embedding=None))
    assert result.ids == by_words()[:7]
    relevances = judging.relevance(legs()[1:])
    expected = [relevances[name] for name in result.ids]
    assert result.similarities == pytest.approx(expected, rel=1e-4)
    fewer = filled.query(ask(mode, k=7, sparse_top_k=3))
    assert fewer.ids == by_words()[:3]
    assert fewer.similarities == result.similarities[:3]


@pytest.mark.parametrize("mode", ["hybrid", "semantic_hybrid"])
def test_hybrid_fuses_what_both_say_of_every_node(filled, mode):
    check(filled.query(ask(mode, k=10)), legs(), 10)


def test_hybrid_goes_by_the_settings_that_are_kept_with_the_collection(filled):
    # Near what the words find, so that the vectors are trusted.
    asked = ask("hybrid", k=10, query_embedding=VECTORS[NAMES.index(by_words()[0])].tolist())
    before = filled.query(asked).ids
    documents = DocumentStore(client=filled.client, collection=filled.collection_name)
    documents.configure(SearchSettings(weight=0))
    assert filled.query(asked).ids == filled.query(asked, ranker=AdaptiveRanker(0)).ids != before
    usual = filled.query(ask("text_search", k=7)).similarities
    documents.configure(SearchSettings(k1=0.2))
    best = documents.search(QUESTION, 7, mode="text")
    found = filled.query(ask("text_search", k=7)).similarities
    assert found == [hit.relevance for hit in best] != usual


@pytest.mark.parametrize("mode", ["hybrid", "semantic_hybrid"])
def test_hybrid_fuses_both_by_reciprocal_ranks_if_asked(filled, mode):
    result = filled.query(ask(mode, k=10), ranker=RRFRanker())
    assert result.ids == fused(by_meaning(), by_words())[:10]
    relevances = judging.relevance(legs())
    expected = [relevances[name] for name in result.ids]
    assert result.similarities == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_sparse_top_k_is_the_depth_of_the_words(filled):
    query = ask("hybrid", k=10, sparse_top_k=2)
    check(filled.query(query), legs(text_depth=2), 10)
    result = filled.query(query, ranker=RRFRanker())
    assert result.ids == fused(by_meaning(), by_words()[:2])[:10]


def test_hybrid_top_k_is_the_length_and_similarity_top_k_the_depth_of_the_vectors(filled):
    query = ask("hybrid", k=3, hybrid_top_k=8)
    check(filled.query(query), legs(dense_depth=3), 8)
    result = filled.query(query, ranker=RRFRanker())
    assert result.ids == fused(by_meaning()[:3], by_words())[:8]
    query = ask("hybrid", k=3, hybrid_top_k=8, sparse_top_k=2)
    check(filled.query(query), legs(dense_depth=3, text_depth=2), 8)
    result = filled.query(query, ranker=RRFRanker())
    assert result.ids == fused(by_meaning()[:3], by_words()[:2])[:8]


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_alpha_weighs_vectors_against_words(filled, alpha):
    result = filled.query(ask("hybrid", k=6, alpha=alpha), explain=True)
    words = np.where(bm25() > 0, 2 * np.arctan(bm25()) / np.pi, 0.0)
    scores = alpha * (1 + cosines()) / 2 + (1 - alpha) * words
    best = sorted(range(COUNT), key=lambda i: (-round(scores[i], 6), NAMES[i]))[:6]
    assert result.ids == [NAMES[i] for i in best]
    said = [node.metadata["_elanus"]["score"] for node in result.nodes]
    assert said == pytest.approx(scores[best], abs=1e-5)
    relevances = judging.relevance(legs())
    expected = [relevances[name] for name in result.ids]
    assert result.similarities == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_a_ranker_can_be_given_instead_of_alpha(filled):
    plain = filled.query(ask("hybrid", k=40))
    assert filled.query(ask("hybrid", k=40), ranker=AdaptiveRanker()).ids == plain.ids
    by_ranks = filled.query(ask("hybrid", k=40), ranker=RRFRanker(60)).ids
    assert by_ranks == fused(by_meaning(), by_words())
    assert filled.query(ask("hybrid", k=40), ranker=RRFRanker(1)).ids not in (by_ranks, plain.ids)
    with pytest.raises(ParamError, match=r"alpha \(0.5\) or a ranker"):
        filled.query(ask("hybrid", alpha=0.5), ranker=RRFRanker())
    with pytest.raises(ParamError, match=r"alpha must be .* got 1.5"):
        filled.query(ask("hybrid", alpha=1.5))


def choose(k, balance, prefetch):
    candidates = by_meaning()[:prefetch]
    unit = VECTORS.astype(np.float64) / np.linalg.norm(VECTORS, axis=1)[:, None]
    near, chosen = dict(zip(NAMES, cosines(), strict=True)), []
    while candidates and len(chosen) < k:

        def value(name):
            same = [float(unit[NAMES.index(name)] @ unit[NAMES.index(c)]) for c in chosen]
            return balance * near[name] - (1 - balance) * max(same, default=0.0)

        best = max(candidates, key=value) if chosen else candidates[0]
        chosen.append(best)
        candidates.remove(best)
    return chosen


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.5, 1.0])
def test_mmr_balances_nearness_and_difference(filled, threshold):
    wanted = choose(6, threshold, COUNT)
    assert filled.query(ask("mmr", k=6, mmr_threshold=threshold)).ids == wanted
    assert filled.query(ask("mmr", k=6), mmr_threshold=threshold).ids == wanted


def test_mmr_chooses_from_as_many_as_one_says(filled):
    query = ask("mmr", k=4, mmr_threshold=0.1)
    assert filled.query(query, mmr_prefetch_k=6).ids == choose(4, 0.1, 6)
    assert filled.query(query, mmr_prefetch_factor=2.0).ids == choose(4, 0.1, 8)
    assert filled.query(ask("mmr", k=4)).ids == choose(4, 0.5, COUNT)
    with pytest.raises(ParamError, match="not both"):
        filled.query(query, mmr_prefetch_factor=2.0, mmr_prefetch_k=8)
    with pytest.raises(ParamError, match="min_relevance"):
        filled.query(query, min_relevance=0.5)


@pytest.mark.parametrize("mode", ["default", "text_search", "hybrid", "semantic_hybrid", "mmr"])
@pytest.mark.parametrize("k", [2**61, 2**63 - 1])
def test_any_number_of_nodes_can_be_asked_for(filled, mode, k):
    expected = filled.query(ask(mode, k=100)).ids
    assert filled.query(ask(mode, k=k)).ids == expected
    assert filled.query(ask(mode, k=k, sparse_top_k=k, hybrid_top_k=k)).ids == expected
    if mode == "mmr":
        for factor in (1e-6, 1e6):
            found = filled.query(ask(mode, k=k), mmr_prefetch_factor=factor).ids
            assert found == expected


@pytest.mark.parametrize(
    ("mode", "given", "options", "name"),
    [
        ("default", {"k": 0}, {}, "similarity_top_k"),
        ("mmr", {"k": 0}, {}, "similarity_top_k"),
        ("text_search", {"k": 0}, {}, "similarity_top_k"),
        ("text_search", {"sparse_top_k": 0}, {}, "sparse_top_k"),
        ("hybrid", {"sparse_top_k": 0}, {}, "sparse_top_k"),
        ("hybrid", {"hybrid_top_k": 0}, {}, "hybrid_top_k"),
        ("hybrid", {"hybrid_top_k": 5, "k": 0}, {}, "similarity_top_k"),
        ("semantic_hybrid", {"hybrid_top_k": 0}, {}, "hybrid_top_k"),
        ("mmr", {"mmr_threshold": 2.0}, {}, "mmr_threshold"),
        ("mmr", {}, {"mmr_threshold": 2.0}, "mmr_threshold"),
        ("mmr", {}, {"mmr_prefetch_factor": 0}, "mmr_prefetch_factor"),
        ("mmr", {}, {"mmr_prefetch_k": 0}, "mmr_prefetch_k"),
        *((mode, {"query_str": 5}, {}, "query_str") for mode in ("default", "hybrid", "mmr")),
    ],
)
def test_a_wrong_argument_is_named_as_it_was_given(filled, mode, given, options, name):
    with pytest.raises(ParamError, match=f"^{name} must be"):
        filled.query(ask(mode, **given), **options)


@pytest.mark.parametrize("mode", ["default", "text_search", "hybrid", "mmr"])
def test_doc_ids_node_ids_and_filters_all_restrict(filled, mode):
    odd = MetadataFilters(filters=[MetadataFilter(key="odd", value=1)])
    query = ask(mode, k=40, doc_ids=["doc1", "doc2"], filters=odd)
    allowed = {name for i, name in enumerate(NAMES) if i % 5 in (1, 2) and i % 2}
    found = filled.query(query).ids
    assert set(found) == (allowed & set(by_words()) if mode == "text_search" else allowed)
    query.node_ids = [*sorted(allowed)[:3], "n00"]
    assert set(filled.query(query).ids) <= set(sorted(allowed)[:3])
    assert asyncio.run(filled.aquery(query)).ids == filled.query(query).ids


def test_empty_lists_of_ids_restrict_nothing(filled):
    # An index whose store keeps the text passes node_ids=[] with every query.
    assert filled.query(ask(k=40, node_ids=[], doc_ids=[])).ids == by_meaning()


def test_output_fields_are_the_metadata_that_nodes_keep(filled):
    def keys(fields):
        return set(filled.query(ask(k=1, output_fields=fields)).nodes[0].metadata)

    assert keys(None) == {"place", "odd"}
    assert keys(["odd", "nowhere"]) == {"odd"}
    assert keys([]) == set()


def test_an_explanation_is_for_people_and_not_for_models(filled):
    plain = filled.query(ask("hybrid", k=3)).nodes
    explained = filled.query(ask("hybrid", k=3), explain=True).nodes
    for before, after in zip(plain, explained, strict=True):
        said = after.metadata["_elanus"]
        assert sum(leg["contribution"] for leg in said["legs"]) == pytest.approx(said["score"])
        assert {leg["leg"] for leg in said["legs"]} <= {"dense", "text"}
        assert 0 <= said["relevance"] <= 1
        for mode in (MetadataMode.LLM, MetadataMode.EMBED):
            assert after.get_content(mode) == before.get_content(mode)
        assert "_elanus" not in before.metadata


def test_min_relevance_leaves_out_what_is_below(filled):
    all_of_them = filled.query(ask("text_search", k=40))
    bound = all_of_them.similarities[4]
    some = filled.query(ask("text_search", k=40), min_relevance=bound)
    assert some.ids == all_of_them.ids[: sum(s >= bound for s in all_of_them.similarities)]


def test_a_reranker_orders_semantic_hybrid(make_store, make_node):
    asked = []

    def longest(query, documents, top_k):
        asked.append((query, len(documents), top_k))
        order = sorted(range(len(documents)), key=lambda i: -len(documents[i]))[:top_k]
        return [Result(documents[i], len(documents[i]), i) for i in order]

    store = make_store(reranker=longest)
    store.add([make_node(f"n{i}", [1.0, i], "owl " * (i % 7 + 1)) for i in range(30)])
    query = ask("semantic_hybrid", k=3, query_embedding=[1.0, 0.0], query_str="owl")
    result = store.query(query)
    assert asked == [("owl", 30, 30)]
    assert result.similarities == [len("owl " * 7)] * 3
    assert all(node.text == "owl " * 7 for node in result.nodes)
    query.hybrid_top_k = 5
    store.query(query)
    assert asked[-1] == ("owl", 5, 5)
    # The other modes are as they were.
    query.mode = VectorStoreQueryMode.HYBRID
    store.query(query)
    assert len(asked) == 2


@pytest.mark.parametrize("mode", ["svm", "logistic_regression", "linear_regression"])
def test_a_mode_that_is_not_there_is_named(filled, mode):
    with pytest.raises(ParamError, match=f"{mode.upper()}.*supported: DEFAULT, SPARSE"):
        filled.query(ask(mode))


def test_what_a_mode_lacks_is_named(filled):
    for mode in ("default", "hybrid", "mmr"):
        with pytest.raises(ParamError, match=f"{mode.upper()} needs a query_embedding"):
            filled.query(ask(mode, query_embedding=None))
    for mode in ("text_search", "sparse", "hybrid", "semantic_hybrid"):
        with pytest.raises(ParamError, match=f"{mode.upper()} needs a query_str"):
            filled.query(ask(mode, query_str=None))
    with pytest.raises(ParamError, match="embedding_field='other'"):
        filled.query(ask(embedding_field="other"))


@pytest.mark.parametrize("mode", ["default", "hybrid", "semantic_hybrid", "mmr"])
def test_a_blank_node_is_no_hit_of_any_query(make_store, make_node, tmp_path, mode):
    points = {"kite": [1.0, 0.5], "": [0.0, 0.0], "owl": [0.1, 1.0], " \n": [0.0, 0.0]}
    nodes = zip("abcd", points.items(), strict=True)
    asked = VectorStoreQuery(
        query_embedding=[1.0, 0.2], query_str="kite", similarity_top_k=9, mode=mode
    )
    first = ElanusVectorStore(tmp_path / "a.db")
    first.add([make_node(name, point, text) for name, (text, point) in nodes])
    assert sorted(first.query(asked).ids) == ["a", "c"]
    first.close()
    store = make_store(tmp_path / "a.db")
    assert sorted(store.query(asked).ids) == ["a", "c"]
    assert sorted(node.node_id for node in store.get_nodes(["b", "d"])) == ["b", "d"]
