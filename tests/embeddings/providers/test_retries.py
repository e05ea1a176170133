"""A request is sent again when that may help, no more often than asked, and as late as asked."""

import itertools
import random
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from elanus_embeddings import EmbeddingRequestError, RetryPolicy


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_a_failure_that_may_pass_is_tried_again(make, server, encode, reply, status):
    server.script.append(reply(status, {"error": "later"}))
    assert encode(make("openai"), ["a"]).shape == (1, 8)
    assert [seen.body["input"] for seen in server.seen] == [["a"], ["a"]]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422])
def test_a_failure_that_stays_is_not_tried_again(make, server, encode, reply, status):
    server.script.append(reply(status, {"error": "never"}))
    with pytest.raises(EmbeddingRequestError, match="never"):
        encode(make("openai"), ["a"])
    assert len(server.seen) == 1


@pytest.mark.parametrize("attempts", [1, 2, 4])
def test_attempts_are_bounded_and_the_last_failure_is_reported(
    make, server, encode, reply, attempts
):
    server.script.extend(reply(503, {"error": f"busy {i}"}) for i in range(10))
    policy = RetryPolicy(attempts=attempts, first_wait=0.001, longest_wait=0.002)
    with pytest.raises(EmbeddingRequestError, match=f"busy {attempts - 1}") as caught:
        encode(make("openai", retry=policy), ["a"])
    assert len(server.seen) == attempts
    assert caught.value.transient
    assert caught.value.status == 503


def test_only_the_failed_batch_is_sent_again(make, server, encode, reply):
    good = {"data": [{"index": 0, "embedding": [0.5] * 8}]}
    server.script.extend([reply(200, good), reply(500, {})])
    encode(make("openai", batch_size=1), ["a", "b", "c"])
    assert [seen.body["input"] for seen in server.seen] == [["a"], ["b"], ["b"], ["c"]]


# Not the first wait, which is none, nor the longest; how late a busy machine is does not matter.
WAITS_AS_TOLD = RetryPolicy(first_wait=0, longest_wait=3600)


def test_a_wait_in_seconds_is_obeyed(make, server, encode, reply):
    server.script.append(reply(429, {"message": "slow down"}, {"Retry-After": "1"}))
    encode(make("cohere", retry=WAITS_AS_TOLD), ["a"])
    first, second = server.seen
    assert 0.95 <= second.time - first.time < 60


def test_a_wait_until_a_date_is_obeyed(make, server, reply):
    # A date has whole seconds.
    date = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=2)
    header = {"Retry-After": format_datetime(date, usegmt=True)}
    server.script.append(reply(503, {}, header))
    make("voyage", retry=WAITS_AS_TOLD).encode_documents(["a"])
    _, second = server.seen
    assert timedelta(seconds=-0.05) <= second.date - date < timedelta(seconds=60)


@pytest.mark.parametrize("after", ["3600", "9" * 400, "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_a_wait_beyond_the_longest_fails_at_once(make, server, encode, reply, after):
    server.script.append(reply(429, {"detail": "quota"}, {"Retry-After": after}))
    with pytest.raises(EmbeddingRequestError, match="quota; it asks to wait") as caught:
        encode(make("jina"), ["a"])
    assert len(server.seen) == 1
    assert caught.value.retry_after >= 3600


@pytest.mark.parametrize(
    "after",
    [
        *("soon", "-5", "1.5", "Fri, 99 Foo 2100", "Thu, 01 Jan 1970 00:00:00"),
        *("", " ", "nan", "inf", "-inf", "1e400", "-1e400", "0x10", "1_0", "1, 2", "+5", "\xb2"),
        *("Thu, 01 Jan 99999 00:00:00 GMT", "Thu, 01 Jan 2100 00:00:00 +99999999999999999999"),
        *("Thu, 01 Jan 2100 00:00:00 -9999", "Thu, 01 Jan 2100 99:99:99 GMT", "0 Jan 0 0:0:0 GMT"),
        "Thu, 01 Jan " + "9" * 5000 + " 00:00:00 GMT",
    ],
)
def test_a_wait_that_cannot_be_read_or_is_over_does_not_stop_the_retry(
    make, server, encode, reply, after
):
    server.script.append(reply(429, {}, {"Retry-After": after}))
    assert encode(make("openai"), ["a"]).shape == (1, 8)
    assert len(server.seen) == 2


def test_an_exhausted_account_is_not_asked_again(make, server, encode, reply):
    body = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
    server.script.append(reply(429, body))
    with pytest.raises(EmbeddingRequestError, match="You exceeded your quota"):
        encode(make("openai"), ["a"])
    assert len(server.seen) == 1


def test_a_timeout_is_tried_again(make, server, encode, reply):
    server.script.append(reply(200, {}, hangs=True))
    # A busy machine may be too slow for the second attempt as well, but not for ever.
    policy = RetryPolicy(attempts=50, first_wait=0.001, longest_wait=0.002)
    assert encode(make("openai", timeout=0.5, retry=policy), ["a"]).shape == (1, 8)
    assert len(server.seen) >= 2


def test_timeouts_end_in_an_error_that_names_the_timeout(make, server, encode, reply):
    server.script.extend(reply(200, {}, hangs=True) for _ in range(4))
    with pytest.raises(EmbeddingRequestError, match=r"ReadTimeout after 1 s; a larger timeout="):
        encode(make("openai", timeout=1), ["a"])
    server.wait_for(3)
    assert len(server.seen) == 3


def test_a_body_that_breaks_off_is_asked_for_again(make, server, encode, reply):
    server.script.append(reply(200, {"data": []}, cut=True))
    assert encode(make("openai"), ["a"]).shape == (1, 8)
    assert len(server.seen) == 2


def test_bodies_that_keep_breaking_off_end_in_an_error(make, server, encode, reply):
    server.script.extend(reply(200, {"data": []}, cut=True) for _ in range(3))
    with pytest.raises(EmbeddingRequestError, match="RemoteProtocolError"):
        encode(make("openai"), ["a"])
    assert len(server.seen) == 3


def test_waits_double_up_to_the_longest(make, server, encode, reply, monkeypatch):
    # The longest that may be drawn: then the wait is known.
    monkeypatch.setattr(random, "uniform", lambda _low, high: high)
    server.script.extend(reply(500, {}) for _ in range(15))
    encode(make("openai", retry=RetryPolicy(16, first_wait=0.01, longest_wait=0.05)), ["a"])
    times = [seen.time for seen in server.seen]
    waits = [after - before for before, after in itertools.pairwise(times)]
    bounds = [0.01, 0.02, 0.04] + [0.05] * 12
    assert all(wait >= 0.99 * bound for wait, bound in zip(waits, bounds, strict=True))
    assert sum(waits) < 60  # doubled to the end, they would last five minutes
