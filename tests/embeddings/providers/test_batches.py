"""Requests stay within a provider's limits, and their answers come together in order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus.errors import ParamError
from elanus_embeddings._providers._flow import Limits


@pytest.mark.parametrize(
    ("kind", "count", "sizes"),
    [
        ("openai", 2049, [2048, 1]),
        ("cohere", 200, [96, 96, 8]),
        ("voyage", 1001, [1000, 1]),
        ("jina", 600, [512, 88]),
    ],
)
def test_many_texts_go_in_batches_of_the_documented_size(make, server, encode, kind, count, sizes):
    texts = [f"{i}" for i in range(count)]
    vectors = encode(make(kind), texts)
    key = "texts" if kind == "cohere" else "input"
    assert [len(seen.body[key]) for seen in server.seen] == sizes
    assert [text for seen in server.seen for text in seen.body[key]] == texts
    one_by_one = [encode(make(kind), [texts[i]])[0] for i in (0, sizes[0] - 1, sizes[0], count - 1)]
    np.testing.assert_array_equal(vectors[[0, sizes[0] - 1, sizes[0], count - 1]], one_by_one)


def test_long_texts_go_in_batches_whose_tokens_must_fit(make, server, encode):
    texts = ["é" * 50_000] * 5  # 100,000 bytes each, and 300,000 tokens at most
    assert encode(make("openai"), texts).shape == (5, 8)
    assert [len(seen.body["input"]) for seen in server.seen] == [2, 2, 1]


def test_a_text_beyond_the_limit_goes_alone(make, server, encode):
    encode(make("voyage"), ["a", "b" * 200_000, "c"])
    assert [len(seen.body["input"]) for seen in server.seen] == [1, 1, 1]


def test_a_smaller_batch_can_be_asked_for(make, server, encode):
    function = make("openai", batch_size=2)
    assert function.batch_size == 2
    encode(function, ["a", "b", "c"])
    assert [len(seen.body["input"]) for seen in server.seen] == [2, 1]


@pytest.mark.parametrize("size", [0, -1, 97, True, 2.0, "3"])
def test_a_batch_size_that_cannot_be_is_refused(make, size):
    with pytest.raises(ParamError, match="batch_size"):
        make("cohere", batch_size=size)


@pytest.mark.parametrize("texts", [[], ()])
def test_no_texts_send_nothing(make, server, encode, texts):
    assert encode(make("openai", dim=8), texts).shape == (0, 8)
    assert encode(make("openai"), texts).shape == (0, 0)
    assert server.seen == []


@pytest.mark.parametrize("texts", ["abc", None, [1], ["a", None]])
def test_what_is_no_list_of_texts_is_refused_before_anything_is_sent(make, server, encode, texts):
    with pytest.raises(ParamError, match="texts"):
        encode(make("openai"), texts)
    assert server.seen == []


def test_surrogates_are_joined_or_replaced_before_texts_are_sent(make, server, encode):
    with pytest.warns(UserWarning, match=r"texts\[1\] and 1 more held surrogates"):
        encode(make("openai"), ["a", "\ud83d\ude00 b", "\ud800 c"])
    assert server.seen[0].body["input"] == ["a", "\U0001f600 b", "\ufffd c"]


def test_progress_counts_the_texts_on_standard_error(make, encode, capsys):
    function = make("openai", batch_size=2)
    encode(function, ["a", "b", "c"])
    assert capsys.readouterr().err == ""
    encode(function, ["a", "b", "c"], progress=True)
    assert "3 of 3 texts\n" in capsys.readouterr().err


def test_late_chunking_refuses_to_split(make, server, encode):
    function = make("jina", late_chunking=True)
    with pytest.raises(ParamError, match="late_chunking: 513 texts exceed one request"):
        encode(function, ["a"] * 513)
    assert server.seen == []
    assert encode(function, ["a"] * 513, "query").shape == (513, 8)


@given(
    st.lists(st.integers(0, 50), max_size=40),
    st.integers(1, 10),
    st.integers(1, 100),
)
def test_batches_cover_everything_once_and_are_as_large_as_they_may_be(sizes, items, size):
    batches = [range(s.start, s.stop) for s in Limits(items, size).batches(sizes)]
    assert [i for batch in batches for i in batch] == list(range(len(sizes)))
    for batch, following in zip(batches, [*batches[1:], None], strict=False):
        total = sum(sizes[i] for i in batch)
        assert len(batch) <= items
        assert total <= size or len(batch) == 1
        if following:
            assert len(batch) == items or total + sizes[following[0]] > size
