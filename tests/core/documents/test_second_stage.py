"""What follows the ranking, against the whole ranking: groups, the gate, rerankers, neighbours."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import NamedTuple

import judging
import numpy as np
import pytest

from elanus import (
    Document,
    DocumentStore,
    LegExplanation,
    MilvusClient,
    ParamError,
    RRFRanker,
    SearchSettings,
    ZScoreRanker,
)
from elanus.documents.search import _second_stage
from elanus.errors import RerankError

MODES = ("hybrid", "dense", "text")
WORDS = ["red", "kite", "soars", "over", "hills", "owl", "hunts", "mice", "fish", "ice"]
N = 240
QUERY = "red owl on ice"


class Result(NamedTuple):
    text: str
    score: float
    index: int


@pytest.fixture(scope="module")
def corpus(module_embedding):
    """Twelve sources, three of which have most documents, and some documents of none."""
    rng = np.random.default_rng(11)
    store = DocumentStore(":memory:", module_embedding)
    texts = [" ".join(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(N)]
    sources = [f"s{int(rng.integers(12) * rng.random())}" for _ in range(N)]
    metadatas = [{"source": s, "n": i} if i % 40 else {"n": i} for i, s in enumerate(sources)]
    store.add(texts, metadatas, [f"d{i:03}" for i in range(N)])
    yield store
    assert store.verify() == []
    store.close()


def length(query, texts):
    """A reranker: the longest text first."""
    assert query == QUERY
    return [float(len(text)) for text in texts]


def firsts(hits):
    """The best hit of each source; a document of none stands for itself."""
    best = {}
    for hit in hits:
        best.setdefault(hit.metadata.get("source", (hit.id,)), hit)
    return list(best.values())


def by_length(hits):
    order = sorted(range(len(hits)), key=lambda i: (-len(hits[i].text), i))
    return [replace(hits[i], score=float(len(hits[i].text))) for i in order]


# --- groups ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("where", [None, {"n": {"$lt": 90}}, {"source": "s0"}])
def test_each_group_is_there_by_its_best_document(corpus, mode, where):
    depth = N if mode == "hybrid" else None  # a deeper leg may change a fused order
    whole = corpus.search(QUERY, N, mode, where, depth=N)
    expected = firsts(whole)
    assert len({hit.metadata.get("source") for hit in expected}) > 1 or where == {"source": "s0"}
    for k in (1, 3, 11, N):
        found = corpus.search(QUERY, k, mode, where, group_by="source", depth=depth)
        assert found == expected[:k]


def test_hybrid_legs_look_as_deep_as_it_takes(corpus):
    expected = {hit.metadata.get("source", hit.id) for hit in corpus}
    found = corpus.search(QUERY, N, group_by="source", depth=2, ranker=RRFRanker())
    assert sorted(hit.metadata.get("source", hit.id) for hit in found) == sorted(expected)


def test_a_group_is_a_value_at_any_place(open_store):
    store = open_store()
    pages = [{"at": {"page": [1, 2]}}, {"at": {"page": [1.0]}}, {"at": {"page": [True]}}, {}, {}]
    store.add(["kite"] * 5, pages, list("abcde"))
    found = store.search("kite", 9, "text", group_by=["at", "page", 0])
    assert [hit.id for hit in found] == list("acde")
    assert [hit.id for hit in store.search("kite", 9, "text", group_by=("at",))] == list("abcde")


async def test_a_nested_key_makes_groups_as_filters_have_it(open_store):
    store = open_store()
    nested = [
        {"a": {"b": 1}}, {"a.b": 1, "a": {"b": 2}}, {"a.b": None, "a": {"b": 2}},
        {"a": {"b": 2}}, {"a.b": 3}, {"a": [{"b": 1}]}, {"a": {"b": {}}},
    ]  # fmt: skip
    store.add(["kite"] * 7, nested, list("abcdefg"))
    for key, ids in (("a.b", "acefg"), (["a", "b"], "abefg"), (["a.b"], "abcdefg")):
        found = store.search("kite", 9, "text", group_by=key)
        assert [hit.id for hit in found] == list(ids)
        assert await store.asearch("kite", 9, "text", group_by=key) == found


# --- rerankers ---------------------------------------------------------------------------------


class Predicting:
    """As a torch module: it may be called, which means something else."""

    def __call__(self, query, texts):
        raise AssertionError(query, texts)

    def predict(self, pairs):
        assert all(query == QUERY for query, _ in pairs)
        return np.array([len(text) for _, text in pairs], dtype=np.float32)


def ranking(query, documents, top_k=5):
    found = [Result(text, len(text), i) for i, text in enumerate(documents)]
    return sorted(found, key=lambda each: -each.score)[:top_k]


RERANKERS = {
    "numbers": length,
    "any keywords": lambda query, texts, **options: length(query, texts[: options["top_k"]]),
    "an array": lambda query, texts: np.array(length(query, texts)),
    "a tuple": lambda query, texts: tuple(length(query, texts)),
    "results": ranking,
    "predict": Predicting(),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", RERANKERS)
def test_a_reranker_orders_the_first_hits_and_gives_their_scores(corpus, mode, name):
    plain = corpus.search(QUERY, 20, mode, depth=100)
    found = corpus.search(QUERY, 6, mode, depth=100, reranker=RERANKERS[name], rerank_top=20)
    assert found == by_length(plain)[:6]
    # Never fewer than are asked for.
    found = corpus.search(QUERY, 20, mode, depth=100, reranker=RERANKERS[name], rerank_top=2)
    assert found == by_length(plain)


def test_the_steps_come_in_their_order(corpus):
    where = {"n": {"$gte": 30}}
    asked = {"filter": where, "depth": N, "explain": True}
    pool = firsts(corpus.search(QUERY, N, **asked))
    gate = sorted(hit.relevance for hit in pool)[3]
    passed = [hit for hit in pool if hit.relevance >= gate][:6]
    assert len(passed) == 6 < len(pool) - 3
    found = corpus.search(
        QUERY, 4, group_by="source", min_relevance=gate, reranker=length, rerank_top=6, **asked
    )
    assert [replace(hit, explanation=()) for hit in found] == [
        replace(hit, explanation=()) for hit in by_length(passed)[:4]
    ]
    for rank, hit in enumerate(found, 1):
        (was,) = (i for i, each in enumerate(passed) if each.id == hit.id)
        reason = f"place {was + 1} of {len(passed)} before it, with score {passed[was].score:.4g}"
        said = LegExplanation("reranker", hit.score, rank, hit.score, reason)
        assert hit.explanation == (*passed[was].explanation, said)


RANKERS = {
    "by rank": {"ranker": RRFRanker(weights=(1, 0.01))},
    "by deviations": {"ranker": ZScoreRanker(1, 0.1)},
    "a heavy weight": {"settings": SearchSettings(weight=9)},
}


@pytest.mark.parametrize("name", RANKERS)
@pytest.mark.parametrize("group", [None, "source"])
def test_the_gate_comes_before_the_first_k_are_kept(corpus, name, group):
    asked = RANKERS[name] | {"group_by": group, "depth": N}
    whole = corpus.search(QUERY, N, **asked)
    relevances = sorted({hit.relevance for hit in whole}, reverse=True)
    is_needed = False
    for gate in relevances[:20]:
        passed = [hit for hit in whole if hit.relevance >= gate]
        for k in (1, 3, N):
            is_needed |= passed[:k] != [hit for hit in whole[:k] if hit.relevance >= gate]
            assert corpus.search(QUERY, k, min_relevance=gate, **asked) == passed[:k]
        found = corpus.search(QUERY, 1, min_relevance=gate, reranker=length, **asked)
        assert found == by_length(passed[:50])[:1]
    assert is_needed


@pytest.mark.parametrize("group", [None, "source"])
def test_variety_is_chosen_among_what_passes_the_gate(corpus, group):
    asked = {"settings": SearchSettings(weight=9), "depth": N, "group_by": group}
    gate = sorted({hit.relevance for hit in corpus.search(QUERY, N, **asked)})[-3]
    plain = corpus.search(QUERY, 3, min_relevance=gate, with_vectors=True, **asked)
    assert plain != corpus.search(QUERY, 3, with_vectors=True, **asked)
    found = corpus.search_mmr(QUERY, 3, lambda_mult=1, min_relevance=gate, **asked)
    assert found == plain


def test_where_nothing_is_found_no_reranker_is_asked(corpus):
    def never(query, texts):
        raise AssertionError(query, texts)

    assert corpus.search(QUERY, reranker=never, filter={"n": -1}) == []
    assert corpus.search(QUERY, reranker=never, min_relevance=1.0) == []


def broken(query, texts):
    assert query == QUERY
    raise ValueError(f"no {len(texts)} today")


WRONG = {
    "fewer": lambda n: [1.0] * (n - 1),
    "more": lambda n: [1.0] * (n + 1),
    "NaN": lambda n: [float("nan")] * n,
    "infinite": lambda n: np.full(n, np.inf),
    "huge": lambda n: [10**400] * n,
    "texts": lambda n: ["0.5"] * n,
    "bools": lambda n: [True] * n,
    "two numbers a text": lambda n: np.zeros((n, 2)),
    "one number": np.float32,
    "nothing": {}.get,
    "a dict": lambda n: dict.fromkeys(range(n), 1.0),
    "one twice": lambda n: [Result("", 1.0, 0)] * n,
    "none of them": lambda n: [Result("", 1.0, i + 1) for i in range(n)],
    "a part of them": lambda n: [Result("", 1.0, i) for i in range(n - 1)],
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_score_of_every_text_is_an_error_that_keeps_the_hits(corpus, name):
    def mistaken(query, texts):
        assert query == QUERY
        return WRONG[name](len(texts))

    plain = corpus.search(QUERY, 7)
    with pytest.raises(RerankError) as error:
        corpus.search(QUERY, 3, reranker=mistaken, rerank_top=7)
    assert "mistaken" in str(error.value)
    assert "must give a finite number for each of 7 texts" in str(error.value)
    assert error.value.hits == plain


def test_an_error_of_a_reranker_names_it_and_keeps_the_hits(corpus):
    with pytest.raises(RerankError, match=r"broken .* failed with 7 texts: ValueError: no 7"):
        corpus.search(QUERY, 3, reranker=broken, rerank_top=7)
    with pytest.raises(RerankError) as error:
        corpus.search_mmr(QUERY, 3, 5, reranker=broken, rerank_top=7)
    assert [hit.id for hit in error.value.hits] == [h.id for h in corpus.search(QUERY, 7)]
    assert isinstance(error.value.__cause__, ValueError)


class Unread(NamedTuple):
    """A result whose score is computed when it is looked at."""

    index: int

    @property
    def score(self):
        raise OSError("lost")


class Unnumbered(list):
    """A result without values: this is what torch says of a tensor on its device ``meta``."""

    def tolist(self):
        raise NotImplementedError("no data!")


def one_by_one(query, texts):
    yield float(len(texts))
    raise TypeError("lost")


@pytest.mark.parametrize(
    ("late", "says"),
    [
        (one_by_one, "TypeError: lost"),
        (lambda _, texts: [Unread(i) for i in range(len(texts))], "OSError: lost"),
        (lambda *_: Unnumbered(), "NotImplementedError: no data!"),
    ],
)
def test_an_answer_that_fails_while_it_is_read_keeps_the_hits(corpus, late, says):
    plain = corpus.search(QUERY, 7)
    for search in (corpus.search, lambda *a, **more: asyncio.run(corpus.asearch(*a, **more))):
        with pytest.raises(RerankError, match=f"failed with 7 texts: {says}") as caught:
            search(QUERY, 3, reranker=late, rerank_top=7)
        assert caught.value.hits == plain
        assert type(caught.value.__cause__).__name__ == says.partition(":")[0]


def test_scores_may_come_one_by_one(corpus):
    def lazy(query, texts):
        yield from length(query, texts)

    assert corpus.search(QUERY, 7, reranker=lazy) == corpus.search(QUERY, 7, reranker=length)


async def later(query, texts):
    return length(query, texts)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"reranker": "bge"}, "reranker must be an object with predict"),
        ({"reranker": Predicting}, "reranker must be an object with predict"),
        ({"reranker": later}, "is a coroutine function; give a blocking one"),
        ({"rerank_top": 0}, "rerank_top must be"),
        ({"rerank_top": 20}, "rerank_top=20 needs a reranker"),
        ({"context": -1}, "context must be"),
        ({"context": True}, "context must be"),
        ({"group_by": []}, "group_by must be a metadata key"),
        ({"group_by": 3}, "group_by must be a metadata key"),
        ({"group_by": ["a", -1]}, "group_by must be a metadata key"),
        ({"group_by": [[]]}, "group_by must be a metadata key"),
    ],
)
def test_wrong_arguments_cost_no_embedding(open_store, make_embedding, wrong, says):
    embedding = make_embedding()
    store = open_store(embedding=embedding)
    store.add(["a kite"])
    for call in (store.search, store.search_mmr, store.check_search):
        with pytest.raises(ParamError, match=says):
            call("kite", **wrong)
    assert embedding.query_calls == 0


# --- variety -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("reranker", [None, length])
def test_variety_is_chosen_among_the_first_groups_as_they_are_ordered(corpus, mode, reranker):
    pool = corpus.search(QUERY, 12, mode, group_by="source", with_vectors=True, depth=100)
    among = pool[:9] if reranker is None else by_length(pool)[:9]
    scores = [hit.score for hit in among]
    if mode != "dense" or reranker is not None:
        scores = judging.spread_out(scores)
    chosen = judging.mmr(scores, [hit.vector.tolist() for hit in among], 5, 0.6)
    shown = {} if reranker is None else {"reranker": reranker, "rerank_top": 12}
    found = corpus.search_mmr(QUERY, 5, 9, 0.6, mode, group_by="source", **shown)
    assert found == [among[i] for i in chosen]


# --- neighbours --------------------------------------------------------------------------------


@pytest.fixture
def chapters(open_store):
    store = open_store()
    store.sync(
        "one", ["kite", "b", "c", "kite d", "e"], [{"n": i} for i in range(5)], list("abcde")
    )
    store.sync("two", ["x", "kite kite y", "z"], ids=list("xyz"))
    store.add(["lone kite", "kite, apart"], [{}, {"source": "one", "position": "4"}], ["l", "m"])
    return store


def around(hits):
    return {
        hit.id: ("".join(d.id for d in hit.before), "".join(d.id for d in hit.after))
        for hit in hits
    }


def test_neighbours_are_those_of_the_source_by_position(chapters):
    alone = chapters.search("kite", 9, "text")
    assert {hit.id for hit in alone} == set("adylm")
    expected = {
        0: dict.fromkeys("adylm", ("", "")),
        1: {"a": ("", "b"), "d": ("c", "e"), "y": ("x", "z"), "l": ("", ""), "m": ("", "")},
        3: {"a": ("", "bcd"), "d": ("abc", "e"), "y": ("x", "z"), "l": ("", ""), "m": ("", "")},
    }
    expected[2**63 - 1] = expected[3] | {"a": ("", "bcde")}
    for context, said in expected.items():
        found = chapters.search("kite", 9, "text", context=context)
        assert around(found) == said
        assert [replace(hit, before=(), after=()) for hit in found] == alone
    (hit,) = chapters.search("kite", 9, "text", {"n": 3}, context=1)  # which c and e do not pass
    assert hit.before == (Document("c", "c", {"source": "one", "position": 2, "n": 2}),)
    assert hit.after == (Document("e", "e", {"source": "one", "position": 4, "n": 4}),)


def test_positions_may_have_gaps_and_be_there_twice(open_store):
    store = open_store()
    places = [-3, 1, 1, 2, 5, 2**63 - 1, 1.5]
    store.add(
        ["b", "kite", "same place", "a", "far", "kite", "half"],
        [{"source": "s", "position": p} for p in places],
        list("tuvwxyz"),
    )
    found = around(store.search("kite", 9, "text", context=2))
    assert found == {"u": ("", "zw"), "y": ("", "")}
    # -2 to 0, and 3 and 4, no document has.
    assert around(store.search("kite", 1, "text", context=4))["u"] == ("", "zw")


def test_neighbours_end_where_a_document_was_deleted(open_store):
    store = open_store()
    ids = store.sync("s", ["kite", "one", "two", "three", "kite", "five"]).ids
    store.delete([ids[1], ids[3]])
    hits = store.search("kite", 9, "text", context=5)
    assert {h.id: ([d.text for d in h.before], [d.text for d in h.after]) for h in hits} == {
        ids[0]: ([], []),
        ids[4]: ([], ["five"]),
    }


def test_neighbours_are_what_a_look_at_all_documents_finds(open_store):
    store, rng = open_store(), np.random.default_rng(5)
    ids = [f"{number:02}" for number in range(80)]
    texts = rng.choice(["kite", "owl"], 80).tolist()
    places = {id_: (f"s{rng.integers(3)}", int(rng.integers(-20, 20))) for id_ in ids}
    store.add(texts, [{"source": s, "position": p} for s, p in places.values()], ids)
    for context in (1, 2, 7, 100):
        hits = store.search("kite", 80, "text", context=context)
        assert len(hits) == texts.count("kite")
        for hit in hits:
            source, position = places[hit.id]
            near = sorted((p, id_) for id_, (s, p) in places.items() if s == source)
            there = {p for p, _ in near}
            first, last = position, position
            while first - 1 in there and first > position - context:
                first -= 1
            while last + 1 in there and last < position + context:
                last += 1
            before = [id_ for p, id_ in near if first <= p < position]
            after = [id_ for p, id_ in near if position < p <= last]
            assert [document.id for document in hit.before] == before
            assert [document.id for document in hit.after] == after


def test_the_work_for_neighbours_does_not_grow_with_hits_times_documents(open_store, monkeypatch):
    store, looks = open_store(), []
    count = 400
    store.add(["kite"] * count, [{"source": "s", "position": i} for i in range(count)])
    position_of = _second_stage._position_of
    monkeypatch.setattr(
        _second_stage, "_position_of", lambda each: looks.append(each) or position_of(each)
    )
    hits = store.search("kite", count, "text", context=1)
    assert sum(len(hit.before) + len(hit.after) for hit in hits) == 2 * (count - 1)
    assert len(looks) <= 2 * count


def test_one_statement_reads_the_neighbours_of_all_hits(chapters, monkeypatch):
    calls = []
    query = MilvusClient.query

    def counted(*args, **options):
        calls.append(args)
        return query(*args, **options)

    monkeypatch.setattr(MilvusClient, "query", counted)
    chapters.search("kite", 9, "text")
    chapters.search("lone", 9, "text", context=1)
    assert not calls
    chapters.search("kite", 9, "text", context=1)
    assert len(calls) == 1


@pytest.mark.parametrize("context", [0, 2])
def test_coroutines_do_the_same(corpus, context):
    asked = {"group_by": "source", "reranker": length, "rerank_top": 8, "context": context}
    for call, twin in ((corpus.search, corpus.asearch), (corpus.search_mmr, corpus.asearch_mmr)):
        assert asyncio.run(twin(QUERY, 4, **asked)) == call(QUERY, 4, **asked)
    asyncio.run(corpus.acheck_search(QUERY, 4, **asked))
