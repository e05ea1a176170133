"""A provider that fails with one text fails with that text's place in the caller's own list."""

import asyncio
import pickle

import numpy as np
import pytest

from elanus import DocumentStore
from elanus.errors import EmbeddingError, ParamError
from elanus_embeddings import CachedEmbeddingFunction, EmbeddingRequestError

BAD = {"empty": "!", "too long": "word " * 20_000}
LIMIT = 5000


def picky(server, reply, status=400, words="'$.input' is invalid"):
    """Makes the server refuse, as a whole, every request with a text that it cannot take."""
    handler = server.RequestHandlerClass
    usual = handler.answer

    def refuse(self, body):
        texts = body.get("input") or body.get("texts") or body.get("documents")
        if any(not text.strip(" !") or len(text) > LIMIT for text in texts):
            return reply(status, {"error": {"message": words}})
        return usual(self, body)

    server.RequestHandlerClass = type("Picky", (handler,), {"answer": refuse})


def many(count, **at):
    texts = [f"text {i}" for i in range(count)]
    for place, text in at.items():
        texts[int(place[1:])] = text
    return texts


@pytest.mark.parametrize("kind", ["openai", "cohere", "voyage", "jina"])
@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize(("what", "place"), [("empty", 0), ("empty", 57), ("too long", 69)])
def test_the_text_is_named_in_a_batch(make, server, encode, reply, kind, status, what, place):
    picky(server, reply, status)
    texts = many(70)
    texts[place] = BAD[what]
    with pytest.raises(EmbeddingRequestError, match="input' is invalid") as caught:
        encode(make(kind), texts)
    assert caught.value.place == place
    assert f"texts[{place}] " in str(caught.value)
    assert caught.value.status == status
    assert len(str(caught.value)) < 700
    assert len(server.seen) <= 10


def test_the_place_counts_over_all_batches(make, server, encode, reply):
    picky(server, reply)
    with pytest.raises(EmbeddingRequestError, match=r"to texts\[14:21\].*; texts\[17\] is '!'"):
        encode(make("openai", batch_size=7), many(40, _17="!", _30="!"))


def test_what_is_refused_for_every_text_is_said_of_all_after_one_more_request(
    make, server, encode, reply
):
    server.script.extend(reply(400, {"error": "no such model"}) for _ in range(2))
    with pytest.raises(
        EmbeddingRequestError, match=r"texts\[0:50\]: no such model; texts\[0\] alo"
    ):
        encode(make("openai"), many(50))
    assert [len(seen.body["input"]) for seen in server.seen] == [50, 1]


@pytest.mark.parametrize(
    ("failure", "attempts", "says"),
    [
        ({"status": 503, "body": {"error": "out of order"}}, 3, "answered 503 .*out of order"),
        ({"cut": True}, 3, "did not answer"),
        ({"status": 401, "body": {"error": "expired"}}, 1, "answered 401 .*expired"),
    ],
)
@pytest.mark.parametrize("works", [True, False])
def test_another_failure_ends_the_search_with_what_was_made(
    make, server, encode, reply, failure, attempts, says, works
):
    """Every part would wait for the server again: log₂ of the batch times the waits of one."""
    texts = many(64)
    expected = encode(make("openai"), texts[:32])
    begun = len(server.seen) + works
    rows = [{"index": i, "embedding": row.tolist()} for i, row in enumerate(expected)]
    answered = [reply(200, {"data": rows})] if works else []
    refused = reply(400, {"error": "no"})
    server.script.extend([*answered, refused, *(reply(**failure) for _ in range(40))])
    with pytest.raises(EmbeddingRequestError, match=says) as caught:
        encode(make("openai", batch_size=32), texts)
    assert len(server.seen) - begun == 1 + attempts
    assert caught.value.place is None
    if works:
        np.testing.assert_array_equal(caught.value.made, expected)
    else:
        assert caught.value.made is None


def test_an_outage_during_the_search_for_a_document_ends_it(make, server, rerank, reply):
    server.script.extend([reply(400, {}), *(reply(503, {}) for _ in range(40))])
    with pytest.raises(EmbeddingRequestError, match="answered 503"):
        rerank(make("cohere-rerank"), "a query", many(40))
    assert len(server.seen) == 4


def test_a_refusal_of_the_whole_that_no_text_shares_blames_none(make, server, encode, reply):
    server.script.append(reply(413, {"error": "request too large"}))
    with pytest.raises(EmbeddingRequestError, match=r"texts\[0:8\]: request too large$") as caught:
        encode(make("openai"), many(8))
    assert caught.value.place is None
    assert caught.value.places == tuple(range(8))


def test_texts_that_are_one_request_by_nature_are_not_taken_apart(make, server, encode, reply):
    picky(server, reply)
    with pytest.raises(EmbeddingRequestError, match=r"texts\[0:9\]"):
        encode(make("jina", late_chunking=True), many(9, _4="!"))
    assert len(server.seen) == 1


@pytest.mark.parametrize("kind", ["cohere-rerank", "voyage-rerank", "jina-rerank"])
def test_a_reranker_names_the_document(make, server, rerank, reply, kind):
    picky(server, reply)
    with pytest.raises(EmbeddingRequestError, match=r"; documents\[31\] is '!'") as caught:
        rerank(make(kind), "a query", many(40, _31="!"))
    assert caught.value.place == 31


@pytest.mark.parametrize(
    ("vector", "said"),
    [
        ([], "no numbers"),
        (None, "None"),
        ([0.5] * 7, "7 numbers instead of 8"),
        ([0.5] * 7 + [None], "None as number 7"),
        (["0.5"] * 8, "'0.5' as number 0"),
        ([True] + [0.5] * 7, "True as number 0"),
        ("AACAPwAAAEA=", "'AACAPwAAAEA='"),
        ([0.5] * 7 + [float("nan")], "nan as number 7"),
    ],
)
def test_an_answer_that_is_odd_for_one_text_names_it(make, server, encode, reply, vector, said):
    rows = [[0.5] * 8, [0.25] * 8, vector]
    server.script.append(
        reply(200, {"data": [{"index": i, "embedding": row} for i, row in enumerate(rows)]})
    )
    with pytest.raises(EmbeddingRequestError) as caught:
        encode(make("openai"), many(3))
    assert f"not with 3 lists of numbers: texts[2] has {said}" in str(caught.value)
    assert caught.value.place == 2


def test_too_few_and_too_many_vectors_are_counted(make, server, encode, reply):
    for count in (1, 3):
        data = [{"embedding": [0.5] * 8, "index": i} for i in range(count)]
        server.script.append(reply(200, {"data": data}))
        with pytest.raises(EmbeddingRequestError, match=f"{count} vectors for 2 texts"):
            encode(make("openai"), ["a", "b"])


@pytest.mark.parametrize(
    "indexes", [[None, None, None], [None, 1, 2], [2, None, 1], ["2", "0", "1"], [2.0, 1, None]]
)
@pytest.mark.parametrize("kind", ["openai", "voyage", "jina"])
def test_indexes_that_are_left_out_or_text_keep_the_order(
    make, server, encode, reply, kind, indexes
):
    """Gemini leaves out the index 0; others leave out all of them, or write them as text."""
    data = []
    for i, index in enumerate(indexes):
        place = i if not any(indexes) else int(index or 0)
        item = {"embedding": [float(place)] * 8}
        data.append(item if index is None else {**item, "index": index})
    server.script.append(reply(200, {"data": data}))
    assert encode(make(kind), many(3))[:, 0].tolist() == [0.0, 1.0, 2.0]


def test_a_reranked_document_without_an_index_is_the_first(make, server, rerank, reply):
    results = [{"index": "1", "relevance_score": 0.9}, {"relevance_score": 0.5}]
    server.script.append(reply(200, {"results": results}))
    found = rerank(make("jina-rerank"), "q", ["a", "b"])
    assert [(each.index, each.score) for each in found] == [(1, 0.9), (0, 0.5)]


@pytest.mark.parametrize("cached", [False, True])
def test_a_store_names_the_place_in_the_list_that_it_was_given(
    make, server, reply, tmp_path, cached
):
    picky(server, reply)
    function = make("openai", dim=8)
    if cached:
        function = CachedEmbeddingFunction(function, tmp_path / "cache.db", batch_size=30)
        # What is known already is not sent: places in what is sent are others than the caller's.
        function.encode_documents([f"text {i}" for i in range(0, 300, 3)])
    texts = [*many(300, _250="!"), "text 1"]
    with DocumentStore(tmp_path / "kb.db", embedding=function) as store:
        for add in (store.add, lambda given: asyncio.run(store.aadd(given))):
            with pytest.raises(EmbeddingError, match=r"; texts\[250\] is '!'") as caught:
                add(texts)
            assert caught.value.place == 250
        assert store.verify() == []
    if cached:
        with pytest.raises(EmbeddingError, match=r"; texts\[301\] is '!'"):
            asyncio.run(function.aencode_documents([*many(300), "text 1", "!"]))
        function.close()


def test_the_error_can_be_pickled(make, server, encode, reply):
    picky(server, reply)
    with pytest.raises(EmbeddingRequestError) as caught:
        encode(make("openai"), many(5, _3="!"))
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
    assert (str(again), again.place, again.status) == (str(caught.value), 3, 400)
    again.renumber(range(100, 105))
    assert "texts[103] is '!'" in str(again)


def test_a_good_answer_with_only_zeros_and_ones_is_taken(make, server, encode, reply):
    rows = [[0, 1, 0, 1, 1.0, 0.0, -0.0, 0]] * 2
    data = [{"index": i, "embedding": row} for i, row in enumerate(rows)]
    server.script.append(reply(200, {"data": data}))
    np.testing.assert_array_equal(encode(make("openai"), ["a", "b"]), np.float32(rows))


# --- blank texts, and what was embedded before ---------------------------------------------------


@pytest.mark.parametrize("kind", ["openai", "cohere", "voyage", "jina"])
def test_blank_texts_are_never_sent_and_have_the_vector_zero(make, server, encode, kind):
    texts = ["", "one", " \n\t", "two", "\u3000"]
    vectors = encode(make(kind), texts)
    assert vectors.dtype == np.float32
    assert not vectors[[0, 2, 4]].any()
    np.testing.assert_array_equal(vectors[[1, 3]], encode(make(kind), ["one", "two"]))
    for seen in server.seen:
        assert (seen.body.get("input") or seen.body["texts"]) == ["one", "two"]


def test_blank_texts_alone_send_nothing_where_the_dimension_is_known(make, server, encode):
    np.testing.assert_array_equal(encode(make("openai", dim=8), ["", " "]), np.zeros((2, 8)))
    with pytest.raises(ParamError, match=r"dimension of .* is not known yet: .* probe\(\)"):
        encode(make("openai"), ["", " "])
    assert server.seen == []


def test_places_count_blank_texts_too(make, server, encode, reply):
    picky(server, reply)
    with pytest.raises(EmbeddingRequestError, match=r"; texts\[6\] is '!'") as caught:
        encode(make("openai", batch_size=2), ["", "a", " ", "b", "c", "", "!", "d"])
    assert caught.value.place == 6
    # Two were answered before: with the blank ones between, that is the first four.
    expected = encode(make("openai"), ["", "a", " ", "b"])
    np.testing.assert_array_equal(caught.value.made, expected)


def test_an_error_at_the_first_request_has_made_nothing(make, server, encode, reply):
    picky(server, reply)
    with pytest.raises(EmbeddingRequestError) as caught:
        encode(make("openai"), ["", "a", "!"])
    assert caught.value.made is None


def test_blank_texts_count_in_the_bar(make, encode, capsys):
    encode(make("openai"), ["a", "", "b"], progress=True)
    assert "3 of 3 texts\n" in capsys.readouterr().err


@pytest.mark.parametrize("cached", [False, True])
def test_a_store_keeps_what_was_embedded_before_an_error_and_names_the_id(
    make, server, reply, tmp_path, cached
):
    picky(server, reply)
    plain = make("openai", dim=8, batch_size=10)
    function = CachedEmbeddingFunction(plain, tmp_path / "cache.db") if cached else plain
    texts = many(200, _7=" ", _171="!")
    ids = [f"id {i}" for i in range(200)]
    for add in (
        lambda store: store.add(texts, ids=ids),
        lambda store: asyncio.run(store.aadd(texts, ids=ids)),
    ):
        with DocumentStore(":memory:", embedding=function) as store:
            with pytest.raises(EmbeddingError, match=r"the id of texts\[171\] is 'id 171'$"):
                add(store)
            # Of the second 128 the first four requests were answered: one more was cut by the "!".
            assert store.count() == 168
            found = store.get(ids[:168], with_vectors=True)
            expected = plain.encode_documents(texts[:168])
            np.testing.assert_array_equal([d.vector for d in found], expected)
            assert store.verify() == []
    if cached:
        function.close()


def test_an_error_that_no_text_is_to_blame_for_names_some_ids(make, server, reply):
    server.script.append(reply(401, {"error": "no"}))
    with DocumentStore(":memory:", embedding=make("openai", dim=8)) as store:
        with pytest.raises(EmbeddingError, match=r"texts\[0:5\].*; their ids: a, b, c, …$"):
            store.add(many(5), ids=["a", "b", "c", "d", "e"])
        server.script.append(reply(401, {"error": "no"}))
        with pytest.raises(EmbeddingError, match=r"texts\[0:5\](?!.*their ids)"):
            store.add(many(5))


def test_blank_documents_are_found_by_their_metadata(make, server):
    with DocumentStore(":memory:", embedding=make("openai", dim=8)) as store:
        store.add(["", "ice", "  "], [{"n": i} for i in range(3)], ["a", "b", "c"])
        assert store.search("ice", mode="dense", filter="n != 1") == []
        assert [d.text for d in store.get(filter="n >= 0")] == ["", "ice", "  "]
        assert not store.get("c", with_vectors=True)[0].vector.any()
        assert store.verify() == []
    assert [seen.body["input"] for seen in server.seen] == [["ice"], ["ice"]]
