"""Adaptive fusion and relevance against their formulas, over null vectors and empty texts too."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import pairwise

import judging
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus import (
    AdaptiveRanker,
    AnnSearchRequest,
    CombMNZRanker,
    DataType,
    Function,
    FunctionType,
    MilvusClient,
    MinMaxRanker,
    ParamError,
    RRFRanker,
    WeightedRanker,
    ZScoreRanker,
)

NAME = "things"
METRICS = {"v": "COSINE", "w": "IP", "far": "L2"}
SOURCES = {"bm": "text", "bt": "title"}
WORDS = ["red", "sea", "fox", "ice", "owl", "kite", "all"]
QUERY = [3, -1, 2, 0]


def make_rows(count=60):
    rows = {}
    for i in range(count):
        v = [(i * 7) % 5 - 2, (i * 3) % 4 - 1, i % 3, i % 11 - 5]
        rows[i] = {
            "id": i,
            "text": " ".join(["all", *(WORDS[(i * j) % 6] for j in range(i % 6))]),
            "title": "" if i % 4 == 1 else " ".join(WORDS[i * j % 5] for j in range(i % 3)),
            "v": [0, 0, 0, 0] if i == 17 else v,
            "w": None if i % 9 == 0 else v[::-1],
            "far": v,
            "s": {i % 5: 1.0},
            "n": i,
        }
    return rows


def make_schema():
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("n", DataType.INT64)
    schema.add_field("s", DataType.SPARSE_FLOAT_VECTOR)
    for name in METRICS:
        schema.add_field(name, DataType.FLOAT_VECTOR, dim=4, nullable=name == "w")
    for terms, source in SOURCES.items():
        schema.add_field(
            source, DataType.VARCHAR, max_length=1000, enable_analyzer=True,
            analyzer_params={"type": "standard"},
        )  # fmt: skip
        schema.add_field(terms, DataType.SPARSE_FLOAT_VECTOR)
        schema.add_function(Function(terms, FunctionType.BM25, [source], [terms]))
    return schema


@pytest.fixture(scope="module")
def rows():
    return make_rows()


@contextmanager
def opened(rows):
    params = MilvusClient.prepare_index_params()
    for name, metric in METRICS.items():
        params.add_index(name, "FLAT", metric_type=metric)
    for name in SOURCES:
        params.add_index(name, "SPARSE_INVERTED_INDEX", metric_type="BM25")
    params.add_index("s", "SPARSE_INVERTED_INDEX", metric_type="IP")
    with MilvusClient(":memory:") as client:
        client.create_collection(NAME, schema=make_schema(), index_params=params)
        client.insert(NAME, list(rows.values()))
        yield client
        assert client.verify() == []


@pytest.fixture(scope="module")
def client(rows):
    with opened(rows) as found:
        yield found


def request(field, query, depth, below=None):
    return AnnSearchRequest([query], field, {}, depth, expr=below and f"n < {below}")


def leg_of(rows, field, query, depth, below=None):
    """What a leg of a request knows, by the formulas."""
    allowed = None if below is None else {key for key, row in rows.items() if row["n"] < below}
    if field in SOURCES:
        words = {key: row[SOURCES[field]].split() for key, row in rows.items()}
        return judging.text_leg(words, query.split(), depth, allowed)
    vectors = {key: row[field] for key, row in rows.items()}
    return judging.dense_leg(vectors, query, depth, allowed, METRICS[field])


def check(hits, scores, relevances, limit, offset=0):
    """Every hit has its score, they are the best, and each has its relevance."""
    wanted = sorted(scores.values(), reverse=True)[offset : offset + limit]
    assert [hit["distance"] for hit in hits] == pytest.approx(wanted, rel=1e-4, abs=1e-4)
    assert len({hit["id"] for hit in hits}) == len(hits)
    for hit in hits:
        assert hit["distance"] == pytest.approx(scores[hit["id"]], rel=1e-4, abs=1e-4)
        assert hit["relevance"] == pytest.approx(relevances[hit["id"]], rel=1e-3, abs=1e-6)
    for a, b in pairwise(hits):
        assert a["distance"] > b["distance"] or a["id"] < b["id"]


queries = st.lists(st.sampled_from([*WORDS, *WORDS, "zebra", "gnu"]), max_size=5).map(" ".join)
components = st.lists(st.integers(-3, 3), min_size=4, max_size=4)
legs_asked = st.lists(
    st.tuples(
        st.sampled_from(["v", "w", "bm", "bt"]),
        st.sampled_from([2, 5, 20, 100]),
        st.sampled_from([None, None, 40, 6, 1, -1]),
    ),
    min_size=1,
    max_size=4,
)


@given(asked=legs_asked, text=queries, vector=components, weight=st.sampled_from([0.0, 1.1, 3.0]),
       limit=st.sampled_from([1, 10, 100]), offset=st.sampled_from([0, 0, 3]))  # fmt: skip
def test_any_legs_are_fused_as_the_formula_says(
    client, rows, asked, text, vector, weight, limit, offset
):
    parts = [(f, text if f in SOURCES else vector, depth, below) for f, depth, below in asked]
    legs = [leg_of(rows, *part) for part in parts]
    verdict = judging.adaptive(legs, weight)
    [hits] = client.hybrid_search(
        NAME, [request(*part) for part in parts], AdaptiveRanker(weight), limit=limit,
        offset=offset, explain=True, relevance=True,
    )  # fmt: skip
    check(hits, verdict.scores, judging.relevance(legs), limit, offset)
    for hit in hits:
        said, key = hit["explanation"], hit["id"]
        assert [each["leg"] for each in said] == [part[0] for part in parts]
        for each, leg, contributed in zip(said, legs, verdict.parts, strict=True):
            assert each["contribution"] == pytest.approx(contributed[key], rel=1e-4, abs=1e-4)
            assert each["score"] == pytest.approx(leg.scores[key], rel=1e-6, abs=1e-6)
            assert each["rank"] == (leg.hits.index(key) + 1 if key in leg.hits else None)
        assert sum(each["contribution"] for each in said) == pytest.approx(hit["distance"])


@pytest.mark.parametrize("metrics", [("COSINE", "IP"), ("IP", "COSINE")])
def test_both_metrics_of_dense_vectors_are_judged(rows, metrics):
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    params = MilvusClient.prepare_index_params()
    for name, metric in zip("vw", metrics, strict=True):
        schema.add_field(name, DataType.FLOAT_VECTOR, dim=4, nullable=name == "w")
        params.add_index(name, "FLAT", metric_type=metric)
    with MilvusClient(":memory:") as client:
        client.create_collection(NAME, schema=schema, index_params=params)
        client.insert(
            NAME, [{name: row[name] for name in ("id", "v", "w")} for row in rows.values()]
        )
        legs = [
            judging.dense_leg({k: r[f] for k, r in rows.items()}, QUERY, 9, metric=metric)
            for f, metric in zip("vw", metrics, strict=True)
        ]
        asked = [request("v", QUERY, 9), request("w", QUERY, 9)]
        [hits] = client.hybrid_search(NAME, asked, AdaptiveRanker(), limit=30, relevance=True)
        check(hits, judging.adaptive(legs).scores, judging.relevance(legs), 30)


@pytest.mark.parametrize(
    "ranker",
    [
        RRFRanker(),
        WeightedRanker(0.2, 0.9),
        MinMaxRanker(),
        ZScoreRanker(),
        CombMNZRanker(),
        AdaptiveRanker(0.0),
    ],
)
def test_relevance_is_the_same_under_every_ranker(client, rows, ranker):
    asked = [("v", QUERY, 12, 50), ("bm", "red fox zebra", 12, 50)]
    expected = judging.relevance([leg_of(rows, *part) for part in asked])
    requests = [request(*part) for part in asked]
    [hits] = client.hybrid_search(NAME, requests, ranker, limit=100, relevance=True)
    assert {h["id"]: h["relevance"] for h in hits} == pytest.approx(expected, rel=1e-3, abs=1e-6)
    [plain] = client.hybrid_search(NAME, requests, ranker, limit=100)
    assert all("relevance" not in hit for hit in plain)
    assert [(h["id"], h["distance"]) for h in plain] == [(h["id"], h["distance"]) for h in hits]


def test_several_queries_are_judged_one_by_one(client):
    vectors, texts = [QUERY, [0, 1, 0, 1], [-1, 0, 0, 2]], ["red", "fox all", "nothing"]
    both = [AnnSearchRequest(vectors, "v", {}, 12), AnnSearchRequest(texts, "bm", {}, 12)]
    options = {"limit": 8, "explain": True, "relevance": True}
    together = client.hybrid_search(NAME, both, AdaptiveRanker(), **options)
    for hits, vector, text in zip(together, vectors, texts, strict=True):
        one = [request("v", vector, 12), request("bm", text, 12)]
        assert client.hybrid_search(NAME, one, AdaptiveRanker(), **options) == [hits]


def reasons(client, text, vector=QUERY):
    asked = [request("v", vector, 100), request("bm", text, 100)]
    [hits] = client.hybrid_search(NAME, asked, AdaptiveRanker(), limit=100, explain=True)
    return {hit["id"]: [leg["reason"] for leg in hit["explanation"]] for hit in hits}


@pytest.mark.parametrize("text", ["red fox", "zebra gnu kite zebra zebra zebra", "zebra"])
def test_reasons_tell_the_evidence_in_words(client, rows, text):
    legs = [leg_of(rows, "v", QUERY, 100), leg_of(rows, "bm", text, 100)]
    verdict = judging.adaptive(legs)
    for key, (dense, words) in reasons(client, text).items():
        z, b = legs[0].standing[key], legs[1].standing[key]
        share = legs[1].scores[key] / legs[1].possible
        assert words == f"{b:.1f} standard deviations; covers {share:.0%} of the query"
        trusted = f"{z:+.1f} standard deviations from the mean, trusted {verdict.trust:.0%}: "
        assert dense.startswith(trusted)
        why = dense.removeprefix(trusted)
        if text == "zebra":
            assert why == "no word of the query is known"
        elif text == "red fox":
            assert why == (
                f"what the words find is {verdict.agreement:+.1f} standard deviations from the mean"
            )
        else:
            assert why == f"the texts cover at most {verdict.coverage:.0%} of the query"


def test_vectors_alone_are_trusted_without_a_reason(client):
    [hits] = client.hybrid_search(
        NAME, [request("v", QUERY, 3)], AdaptiveRanker(), limit=1, explain=True
    )
    (said,) = hits[0]["explanation"]
    assert said["reason"].endswith("standard deviations from the mean, trusted 100%")


@pytest.mark.parametrize("options", [{"ranker": AdaptiveRanker()}, {"relevance": True}])
@pytest.mark.parametrize(
    ("field", "query", "said"),
    [("far", QUERY, "L2 of FLOAT_VECTOR"), ("s", {1: 1.0}, "IP of SPARSE_FLOAT_VECTOR")],
)
def test_scores_that_cannot_be_judged_are_named(client, field, query, said, options):
    asked = [request("bm", "red", 5), request(field, query, 5)]
    with pytest.raises(ParamError, match=f"field '{field}': AdaptiveRanker and relevance .*{said}"):
        client.hybrid_search(NAME, asked, **options)


@pytest.mark.parametrize("weight", [-0.1, "1", None, float("nan"), float("inf"), [1.0]])
def test_a_weight_that_is_none_is_refused(weight):
    with pytest.raises(ParamError, match="AdaptiveRanker: a weight must be a number of at least 0"):
        AdaptiveRanker(weight)


def test_the_ranker_tells_its_parameters():
    assert AdaptiveRanker().dict() == {"strategy": "adaptive", "params": {"weight": 1.1}}


def test_a_word_that_all_texts_hold_does_not_silence_the_vectors():
    texts = ["cat one purrs", "cat two sleeps a lot and more", "cat three"]
    rows = make_rows(3)
    for row, text, vector in zip(rows.values(), texts, np.eye(4)[:3].tolist(), strict=True):
        row["text"], row["v"] = text, vector
    with opened(rows) as client:
        for text in ("cat", "cat zebra"):
            asked = [("v", [0, 1, 0, 0], 10), ("bm", text, 10)]
            legs = [leg_of(rows, *part) for part in asked]
            [hits] = client.hybrid_search(
                NAME, [request(*part) for part in asked], AdaptiveRanker(), relevance=True
            )
            check(hits, judging.adaptive(legs).scores, judging.relevance(legs), 10)
            assert max(hit["distance"] for hit in hits) < 10
    # Nobody holds the second word: meaning decides, and nothing is certain.
    assert hits[0]["id"] == 1
    assert max(hit["relevance"] for hit in hits) < 0.5
