"""Rerankers over HTTP against the server's own scores, computed pair by pair."""

import pytest

from elanus.errors import ParamError
from elanus_embeddings import EmbeddingRequestError, Reranker, RerankResult

KINDS = ["cohere-rerank", "voyage-rerank", "jina-rerank"]
DOCUMENTS = ["bread needs time", "ice moves", "glaciers are ice", "", "time flies", "ice moves"]


def expected(score, query, documents, top_k):
    pairs = sorted((-score(query, text), i) for i, text in enumerate(documents))
    return [RerankResult(documents[i], -negative, i) for negative, i in pairs[:top_k]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("top_k", [1, 3, 5, 6, 100])
def test_the_best_documents_come_first_and_ties_as_given(make, rerank, model_score, kind, top_k):
    found = rerank(make(kind), "moving ice", DOCUMENTS, top_k=top_k)
    assert found == expected(model_score, "moving ice", DOCUMENTS, top_k)


@pytest.mark.parametrize("kind", KINDS)
def test_five_documents_are_returned_unless_told_otherwise(make, rerank, kind):
    assert len(rerank(make(kind), "ice", DOCUMENTS)) == 5


@pytest.mark.parametrize(
    ("kind", "path", "top", "more"),
    [
        ("cohere-rerank", "/cohere/v2/rerank", "top_n", {}),
        ("voyage-rerank", "/voyage/v1/rerank", "top_k", {}),
        ("jina-rerank", "/jina/v1/rerank", "top_n", {"return_documents": False}),
    ],
)
def test_each_provider_is_sent_its_own_format(make, server, rerank, key, kind, path, top, more):
    rerank(make(kind), "ice", ["a", "b"])
    (seen,) = server.seen
    assert seen.path == path
    assert seen.body == {
        "model": "a-reranker",
        "query": "ice",
        "documents": ["a", "b"],
        top: 2,
        **more,
    }
    assert seen.headers["Authorization"] == f"Bearer {key}"


@pytest.mark.parametrize("kind", KINDS)
def test_more_documents_than_fit_are_ranked_together(make, server, rerank, model_score, kind):
    documents = [f"{i:x} ice"[: i % 7 + 1] for i in range(1500)]
    found = rerank(make(kind), "ice 3f", documents, top_k=20)
    assert found == expected(model_score, "ice 3f", documents, 20)
    assert [len(seen.body["documents"]) for seen in server.seen] == [1000, 500]


def test_long_documents_go_in_requests_whose_tokens_must_fit(make, server, rerank):
    rerank(make("voyage-rerank"), "q", ["x" * 250_000] * 3)
    assert [len(seen.body["documents"]) for seen in server.seen] == [2, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_no_documents_send_nothing(make, server, rerank, kind):
    assert rerank(make(kind), "ice", []) == []
    assert server.seen == []


def test_cohere_can_leave_the_texts_out(make, rerank):
    found = rerank(make("cohere-rerank", return_documents=False), "ice", ["bread", "ice"])
    assert [(result.text, result.index) for result in found] == [("", 1), ("", 0)]


@pytest.mark.parametrize(
    "args",
    [(5, ["a"]), ("q", "abc"), ("q", [1]), ("q", ["a"], 0), ("q", ["a"], 1.5)],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(make, server, rerank, args):
    with pytest.raises(ParamError):
        rerank(make("cohere-rerank"), *args)
    assert server.seen == []


GOOD = {"index": 0, "relevance_score": 0.5}


@pytest.mark.parametrize(
    "results",
    [
        None,
        [],
        [GOOD],
        [GOOD, GOOD],
        [GOOD, {**GOOD, "index": 2}],
        [GOOD, {**GOOD, "index": -1}],
        [GOOD, {**GOOD, "index": True}],
        [GOOD, {**GOOD, "index": [1]}],
        [GOOD, {"index": 1}],
        [GOOD, {"index": 1, "relevance_score": None}],
        [GOOD, {"index": 1, "relevance_score": "0.5"}],
        [GOOD, {"index": 1, "relevance_score": float("nan")}],
        [GOOD, {"index": 1, "relevance_score": 10**400}],
        [GOOD, {"index": 1, "relevance_score": 0.5}, GOOD],
    ],
)
def test_an_answer_that_does_not_score_the_documents_is_refused(
    make, server, rerank, reply, results
):
    server.script.append(reply(200, {"results": results}))
    with pytest.raises(EmbeddingRequestError, match="not with the scores of 2 documents"):
        rerank(make("jina-rerank"), "ice", ["a", "b"])


@pytest.mark.parametrize("kind", KINDS)
def test_failures_are_retried_and_reported_as_for_embeddings(make, server, rerank, reply, kind):
    server.script.extend([reply(429, {}), reply(401, {"detail": "who are you"})])
    with pytest.raises(EmbeddingRequestError, match=r"401 .* to documents\[0:1\]: who are you"):
        rerank(make(kind), "ice", ["a"])
    assert len(server.seen) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_every_provider_is_a_reranker(make, kind):
    assert isinstance(make(kind), Reranker)
    assert make(kind).name == f"{kind.split('-')[0]}/a-reranker"
