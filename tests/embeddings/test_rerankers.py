"""Cross-encoders, compared with the same network called pair by pair."""

from __future__ import annotations

import asyncio
import sys
import threading

import numpy as np
import pytest
import torch
import transformers

from elanus.errors import MissingExtraError, ParamError
from elanus_embeddings import (
    BGERerankFunction,
    CrossEncoderRerankFunction,
    Reranker,
    SentenceTransformerEmbeddingFunction,
    SpladeEmbeddingFunction,
)

pandas = pytest.importorskip("pandas")

QUERY = "ice moves"
DOCUMENTS = ["bread rises", "glacier flows", "", "ice moves", "the owl and the kite", "bread rises"]


@pytest.fixture(scope="module")
def outputs(cross_encoder_folder):
    """The network's raw output for a query and each document."""
    network = transformers.AutoModelForSequenceClassification.from_pretrained(cross_encoder_folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(cross_encoder_folder)

    def compute(query, documents):
        with torch.no_grad():
            return [
                network(**tokenizer(query, text, return_tensors="pt")).logits.item()
                for text in documents
            ]

    return compute


@pytest.fixture(scope="module", params=[CrossEncoderRerankFunction, BGERerankFunction])
def reranker(request, cross_encoder_folder):
    return request.param(str(cross_encoder_folder), device="cpu")


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x)))


def check(results, scores, documents, k):
    # Within 1e-3, as padding next to longer documents moves float32 outputs by 2e-4.
    best = np.argsort(-np.round(np.asarray(scores), 5), kind="stable")[:k]
    assert [result.index for result in results] == best.tolist()
    assert [result.text for result in results] == [documents[i] for i in best]
    assert [result.score for result in results] == pytest.approx(
        [scores[i] for i in best], abs=1e-3
    )


def test_it_fulfils_the_protocol(reranker, cross_encoder_folder):
    assert isinstance(reranker, Reranker)
    assert reranker.name.startswith(f"{cross_encoder_folder.name}@")
    assert repr(reranker) == f"{type(reranker).__name__}({reranker.name!r})"


def test_the_best_five_come_first_with_the_scores_of_the_network(reranker, outputs):
    check(reranker(QUERY, DOCUMENTS), sigmoid(outputs(QUERY, DOCUMENTS)), DOCUMENTS, 5)


@pytest.mark.parametrize("k", [1, 3, 6, 100])
def test_at_most_top_k_are_returned(reranker, outputs, k):
    check(reranker(QUERY, DOCUMENTS, k), sigmoid(outputs(QUERY, DOCUMENTS)), DOCUMENTS, k)


def test_equal_documents_keep_their_order(reranker):
    results = reranker(QUERY, ["bread rises"] * 3 + ["ice moves"], top_k=4)
    assert [r.index for r in results if r.text == "bread rises"] == [0, 1, 2]


def test_no_documents_give_no_results(reranker):
    assert reranker(QUERY, []) == []


def test_the_coroutine_gives_what_the_call_gives(reranker):
    assert asyncio.run(reranker.arerank(QUERY, DOCUMENTS, 3)) == reranker(QUERY, DOCUMENTS, 3)


def test_the_event_loop_goes_on_while_documents_are_scored(reranker, monkeypatch):
    loop_went_on = threading.Event()

    def wait(self, query, texts):
        assert loop_went_on.wait(timeout=30)
        return np.zeros(len(texts))

    async def rank():
        task = asyncio.ensure_future(reranker.arerank(QUERY, DOCUMENTS))
        await asyncio.sleep(0)
        loop_went_on.set()
        return await task

    monkeypatch.setattr(type(reranker), "_scores", wait)
    assert len(asyncio.run(rank())) == 5


def test_an_activation_replaces_that_of_the_model(cross_encoder_folder, outputs):
    raw = CrossEncoderRerankFunction(
        str(cross_encoder_folder), "cpu", activation_fct=torch.nn.Identity()
    )
    check(raw(QUERY, DOCUMENTS), outputs(QUERY, DOCUMENTS), DOCUMENTS, 5)


def test_bge_scores_are_raw_if_not_normalized(cross_encoder_folder, outputs):
    raw = BGERerankFunction(str(cross_encoder_folder), device="cpu", normalize=False)
    check(raw(QUERY, DOCUMENTS), outputs(QUERY, DOCUMENTS), DOCUMENTS, 5)


def test_bge_cuts_long_queries_and_long_pairs(cross_encoder_folder, outputs):
    cut = BGERerankFunction(str(cross_encoder_folder), device="cpu", query_max_length=2)
    scores = sigmoid(outputs("Ice moves", DOCUMENTS))
    check(cut("Ice moves, the kite hovers", DOCUMENTS), scores, DOCUMENTS, 5)
    short = BGERerankFunction(str(cross_encoder_folder), device="cpu", max_length=6)
    (one,) = short("ice", ["bread rises and the owl sleeps"])
    # [CLS] ice [SEP] bread rises [SEP] are six tokens.
    assert one.score == pytest.approx(sigmoid(outputs("ice", ["bread rises"]))[0], abs=1e-5)


def test_a_model_without_one_trained_output_is_refused(bert, plain_bert_folder):
    two = bert("BertForSequenceClassification", num_labels=2)
    with pytest.raises(ParamError, match="has 2 outputs; a reranker needs"):
        CrossEncoderRerankFunction(str(two))
    with pytest.raises(ParamError, match="none of them trained"):
        CrossEncoderRerankFunction(str(plain_bert_folder))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, DOCUMENTS), "query must be a string, not int"),
        ((QUERY, "one text"), "documents must be a list of strings, not str"),
        ((QUERY, ["fine", None]), r"documents\[1\] must be a string, not NoneType"),
        ((QUERY, DOCUMENTS, 0), "top_k must be a whole number of at least 1"),
    ],
)
def test_arguments_that_do_not_fit_are_named(reranker, arguments, message):
    with pytest.raises(ParamError, match=message):
        reranker(*arguments)


def test_surrogates_are_replaced_with_a_warning(reranker):
    with pytest.warns(UserWarning, match=r"(query|documents)\[\d\] held surrogates"):
        found = reranker("half \ud83d", ["one \udc00", "two"])
    assert {result.text for result in found} == {"one \ufffd", "two"}


@pytest.mark.parametrize("make", [CrossEncoderRerankFunction, BGERerankFunction])
def test_a_model_that_is_not_here_is_not_fetched_unasked(no_network, make):
    with pytest.raises(ParamError, match=r"is not on this machine.*download=True"):
        make("nobody/no-such-model")


def test_a_model_must_be_named(no_network):
    with pytest.raises(ParamError, match="model_name must be a folder or a name, got ''"):
        CrossEncoderRerankFunction()


@pytest.mark.parametrize("make", [CrossEncoderRerankFunction, BGERerankFunction])
def test_a_missing_package_is_named_with_its_extra(monkeypatch, make):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"elanus-embeddings\[sentence-transformers\]"):
        make("x")


@pytest.mark.parametrize("device", [np.zeros(2), pandas.NA, 5, ["cpu"]])
@pytest.mark.parametrize(
    "cls",
    [
        CrossEncoderRerankFunction,
        BGERerankFunction,
        SentenceTransformerEmbeddingFunction,
        SpladeEmbeddingFunction,
    ],
)
def test_a_device_has_a_name(cls, device):
    says = f"{cls.__name__}: device must be a name such as 'cpu', or None, got"
    with pytest.raises(ParamError, match=says):
        cls("nothing", device=device)


@pytest.mark.parametrize("device", [None, "", torch.device("cpu")])
def test_a_device_may_be_chosen_by_the_package_or_be_an_object(cross_encoder_folder, device):
    reranker = CrossEncoderRerankFunction(str(cross_encoder_folder), device=device)
    assert reranker(QUERY, DOCUMENTS, 1)[0].text in DOCUMENTS
