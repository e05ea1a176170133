"""An API key is sent to its provider, and shown to nobody."""

import asyncio
import base64
import copy
import html
import io
import json
import logging
import pickle
import traceback
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus.errors import ParamError
from elanus_embeddings import (
    CohereEmbeddingFunction,
    CohereRerankFunction,
    EmbeddingRequestError,
    JinaEmbeddingFunction,
    JinaRerankFunction,
    OpenAIEmbeddingFunction,
    VoyageEmbeddingFunction,
    VoyageRerankFunction,
)
from elanus_embeddings._providers._redact import redact

ODD = 'sk-with"quotes\\and/slashes'


def everything_in(error):
    """All that a crash reporter could see: messages, locals, and the errors behind the error."""
    shown, queue, done = [], [error], set()
    while queue:
        current = queue.pop()
        if current is None or id(current) in done:
            continue
        done.add(id(current))
        report = traceback.TracebackException.from_exception(current, capture_locals=True)
        shown += [*report.format(), repr(current), str(vars(current)), str(current.args)]
        request = getattr(current, "_request", None)
        shown.append(str(request and request.headers.raw))
        queue += [current.__cause__, current.__context__]
    return "".join(shown)


def mishaps(reply, key):
    echo = {"error": {"message": f"Incorrect API key provided: {key}. Try {key!r}"}}
    return {
        "echo 401": [reply(401, echo)],
        "echo 429": [reply(429, echo)] * 3,
        "echo 500": [reply(500, echo)] * 3,
        "echo text": [reply(400, f"<b>{key}</b>".encode())],
        "echo cut": [reply(400, ("x" * 190 + key).encode())],
        "echo malformed": [reply(200, f'{{"key": "{key}"'.encode())],
        "echo odd": [reply(200, {"data": key})],
        "echo nested": [reply(400, {"detail": [{"msg": key}]})],
        "echo other": [reply(400, {key: key})],
        "redirect": [reply(302, {}, {"Location": "/"})],
        "timeout": [reply(200, {}, hangs=True)] * 3,
        "cut": [reply(200, {}, cut=True)] * 3,
    }


@pytest.mark.parametrize("secret", ["sk-Secret.0123456789/abcdefXYZ", ODD])
@pytest.mark.parametrize("name", list(mishaps(lambda *_args, **_options: None, "")))
def test_no_failure_shows_the_key(make, server, encode, reply, secret, name, caplog):
    caplog.set_level(logging.DEBUG)
    server.script.extend(mishaps(reply, secret)[name])
    function = make("openai", api_key=secret, timeout=0.3 if name == "timeout" else 60)
    with pytest.raises(EmbeddingRequestError) as caught:
        encode(function, ["a"])
    server.wait_for(1)
    assert server.seen[0].headers["Authorization"] == f"Bearer {secret}"
    # This frame, which knows the key, is not among what is looked at.
    caught.value.__traceback__ = caught.value.__traceback__.tb_next
    shown = everything_in(caught.value) + caplog.text
    for piece in (
        secret,
        secret[3:],
        secret[:-3],
        secret.replace("\\", "\\\\").replace('"', '\\"'),
    ):
        assert piece not in shown


def _every(form):
    return lambda text: "".join(form(letter) for letter in text)


WAYS = {
    "as it is": str,
    "HTML": lambda text: html.escape(text, quote=True),
    "HTML, decimal": _every(lambda c: f"&#{ord(c)};"),
    "HTML, hexadecimal": _every(lambda c: f"&#x{ord(c):x};"),
    "HTML, padded": _every(lambda c: f"&#{ord(c):010d};"),
    "HTML, decimal, open": _every(lambda c: f"&#{ord(c)}"),
    "HTML, hexadecimal, open": _every(lambda c: f"&#x{ord(c):x}"),
    "HTML, capital": _every(lambda c: f"&#X{ord(c):06X};"),
    "octal": _every(lambda c: f"\\{ord(c):03o}"),
    "long": _every(lambda c: f"\\U{ord(c):08x}"),
    "braces": _every(lambda c: f"\\u{{{ord(c):x}}}"),
    "old URL": _every(lambda c: f"%u{ord(c):04x}"),
    "NUL": "\0".join,
    "URL": lambda text: urllib.parse.quote(text, safe=""),
    "URL, small": lambda text: urllib.parse.quote(text, safe="").lower().replace("%2f", "%2f"),
    "URL, every letter": _every(lambda c: f"%{ord(c):02x}"),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, with slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON, every letter": _every(lambda c: f"\\u{ord(c):04X}"),
    "Python": lambda text: repr(text)[1:-1],
    "Python, bytes": _every(lambda c: f"\\x{ord(c):02x}"),
    "lines": lambda text: "\n  ".join(text[i : i + 5] for i in range(0, len(text), 5)),
    "escaped lines": lambda text: "\\n".join(text[i : i + 5] for i in range(0, len(text), 5)),
}
# What is hidden from sight, and cannot be undone letter by letter.
CODES = {
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64, Bearer": lambda text: base64.b64encode(f"Bearer {text}!".encode()).decode(),
    "base64, Basic": lambda text: base64.b64encode(f"x:{text}".encode()).decode(),
    "base64, for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
}
UNSEEN = [
    "\0", "\u00ad", "\u034f", "\u115f", "\u1160", "\u17b4", "\u180b", "\u180f", "\u200b", "\u2028",
    "\u2065", "\u2800", "\u3164", "\ufe0f", "\ufeff", "\uffa0", "\ufff0", "\U0001d173", "\U000e0100",
]  # fmt: skip
KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=16, max_size=60)


@given(KEYS, st.lists(st.sampled_from(list(WAYS)), max_size=2), st.sampled_from([*CODES, "none"]))
def test_no_writing_of_a_key_is_left_in_what_a_server_said(secret, ways, code):
    written = CODES.get(code, str)(secret)
    for way in ways:
        if way != "URL, small" or written.lower() == written:
            written = WAYS[way](written)
    said = redact(f"<b>no: {written} is it</b>", secret)
    assert said.startswith("<b>no: ")
    assert said.endswith(" is it</b>")
    left = said.replace("[API key]", "")[7:-10]
    # In base64 the ends of a key depend on its neighbours, and are no eight letters of it. Each
    # way writes a letter in 13 at most.
    assert len(left) <= (0 if code == "none" else 24 * 13 ** len(ways)), said
    assert "[API key]" in said


@pytest.mark.parametrize("first", WAYS)
@pytest.mark.parametrize("second", WAYS)
def test_no_two_ways_together_hide_a_key(first, second):
    key = "sk-0123/abcd+xyz_789=."
    written = WAYS[first](key)
    if second != "URL, small" or written.lower() == written:
        written = WAYS[second](written)
    assert redact(f"<b>no: {written} is it</b>", key) == "<b>no: [API key] is it</b>"


@pytest.mark.parametrize("change", [str.upper, str.lower, str.swapcase, str.title])
def test_large_and_small_letters_do_not_hide_a_key(change):
    said = f"no: {change('sk-Proj_aB3dE5')}, {change(b'sk-Proj_aB3dE5'.hex())} is it"
    assert redact(said, "sk-Proj_aB3dE5") == "no: [API key], [API key] is it"


def test_four_ways_on_top_of_each_other_do_not_hide_a_key():
    written = WAYS["URL, every letter"]("sk-Proj_aB3dE5")
    for _ in range(3):
        written = urllib.parse.quote(written, safe="")
    assert redact(f"no: {written} is it", "sk-Proj_aB3dE5") == "no: [API key] is it"


@pytest.mark.parametrize("unseen", UNSEEN)
@pytest.mark.parametrize("way", [str, *(WAYS[f"HTML, {way}"] for way in ("decimal", "capital"))])
def test_letters_that_are_not_seen_do_not_hide_a_key(unseen, way):
    said = f"no: {way(unseen).join('sk-0123456789')} is it"
    assert redact(said, "sk-0123456789") == "no: [API key] is it"


@pytest.mark.parametrize(
    "written",
    [
        "sk&#450123456789", "sk&#x2d0123456789", "&#x73k&#000450123456789", "sk-&#x30 123456789",
        "s&#8203k&#x200b-0123456789", "sk&ZeroWidthSpace;-01&NoBreak;23456789",
    ],
)  # fmt: skip
def test_references_that_are_hard_to_end_do_not_hide_a_key(written):
    assert redact(f"no: {written} is it", "sk-0123456789") == "no: [API key] is it"


def test_names_of_signs_need_no_semicolon():
    assert redact("a&lt012345&amp, a&LT012345&AMP;.", "a<012345&") == "[API key], [API key]."


@given(KEYS, st.integers(8, 60))
def test_no_piece_of_a_key_of_eight_letters_is_left(secret, size):
    piece = secret[-size:]
    # No key has the sign before the piece, or it might be taken for a part of it.
    assert redact(f"key ending in … {piece}", secret) == "key ending in … [API key]"
    assert redact(f"{secret[:size]}", secret) == "[API key]"


@given(st.text(), st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_anything_can_be_said(said, secret):
    assert secret not in redact(said, secret).replace("[API key]", "")


@pytest.mark.parametrize(
    ("said", "secret"),
    [
        ("the input must not be empty", "EMPTY"),
        ("a private model", "PRIVATE"),
        ("not found: 100% of &nbsp; \\u12 %zz &#; &#99999999;", "sk-1234567890"),
        ("see https://host/a%20b?c=d&amp;e", "ollama"),
    ],
)
def test_what_is_no_key_is_left_alone(said, secret):
    assert redact(said, secret) == said


@pytest.mark.parametrize("way", ["HTML", "URL, every letter", "JSON, every letter", "lines"])
def test_a_key_that_is_echoed_in_other_letters_is_not_shown(make, server, encode, reply, way):
    secret = f"{ODD}&<0123>+=%41'abcdefXYZ"
    server.script.append(reply(400, f"<p>bad key {WAYS[way](secret)}</p>".encode()))
    with pytest.raises(EmbeddingRequestError, match=r"bad key \[API key\]</p>"):
        encode(make("openai", api_key=secret), ["a"])


def test_a_refused_connection_does_not_show_the_key(make, nobody, encode, key, caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(EmbeddingRequestError) as caught:
        encode(make("openai", base_url=nobody), ["a"])
    caught.value.__traceback__ = caught.value.__traceback__.tb_next
    assert key not in everything_in(caught.value) + caplog.text


@pytest.mark.parametrize(
    "kind",
    ["openai", "cohere", "voyage", "jina", "cohere-rerank", "voyage-rerank", "jina-rerank"],
)
def test_no_representation_shows_the_key(make, kind, key):
    function = make(kind)
    out = io.StringIO()
    print(function, vars(function), function._endpoint, function.name, file=out)
    assert key not in out.getvalue()
    assert type(function).__name__ in repr(function)


@pytest.mark.parametrize(
    "bad", ["sk-two words", "sk-line\nfeed", "sk-ünïcödé", "sk-\x00", "sk-\x7f"]
)
def test_a_key_that_no_header_can_hold_is_refused_without_being_shown(make, bad):
    with pytest.raises(ParamError, match="api_key") as caught:
        make("openai", api_key=bad)
    caught.value.__traceback__ = None
    assert "sk-" not in everything_in(caught.value)


def test_white_space_around_a_key_is_dropped(make, server, encode):
    encode(make("openai", api_key=" sk-1\n"), ["a"])
    assert server.seen[0].headers["Authorization"] == "Bearer sk-1"


@pytest.mark.parametrize(
    "url",
    [
        "https://user:sk-hidden@host/v1",
        "https://host/v1?api-key=sk-hidden",
        "https://host/v1#sk-hidden",
        "ftp://user:sk-hidden@host",
        "https://user:sk-hidden@[host",
    ],
)
def test_a_secret_in_the_base_url_is_refused_without_being_shown(make, url):
    with pytest.raises(ParamError, match="base_url") as caught:
        make("openai", base_url=url)
    assert "sk-hidden" not in str(caught.value)


CLASSES = [
    (OpenAIEmbeddingFunction, "OpenAI", "OPENAI_API_KEY"),
    (CohereEmbeddingFunction, "Cohere", "CO_API_KEY"),
    (CohereEmbeddingFunction, "Cohere", "COHERE_API_KEY"),
    (CohereRerankFunction, "Cohere", "CO_API_KEY"),
    (VoyageEmbeddingFunction, "Voyage", "VOYAGE_API_KEY"),
    (VoyageRerankFunction, "Voyage", "VOYAGE_API_KEY"),
    (JinaEmbeddingFunction, "Jina", "JINA_API_KEY"),
    (JinaEmbeddingFunction, "Jina", "JINAAI_API_KEY"),
    (JinaRerankFunction, "Jina", "JINA_API_KEY"),
]


@pytest.mark.parametrize(("cls", "provider", "variable"), CLASSES)
def test_the_key_comes_from_the_environment_for_the_providers_own_server(
    cls, provider, variable, monkeypatch
):
    with pytest.raises(ParamError, match=f"{provider} needs an API key: api_key=, or .* variable"):
        cls()
    monkeypatch.setenv(variable, "sk-from-environment")
    assert cls()._endpoint.key.reveal() == "sk-from-environment"
    assert cls(api_key="sk-given")._endpoint.key.reveal() == "sk-given"
    assert cls()._endpoint.url.startswith("https://api.")


@pytest.mark.parametrize(("cls", "provider", "variable"), CLASSES)
def test_another_server_never_gets_the_key_of_the_environment(cls, provider, variable, monkeypatch):
    monkeypatch.setenv(variable, "sk-from-environment")
    assert cls(base_url="http://localhost:11434/v1")._endpoint.key is None


def test_copies_keep_working(make, server, encode, key):
    function = make("openai")
    for twin in (
        copy.copy(function),
        copy.deepcopy(function),
        pickle.loads(pickle.dumps(function)),  # noqa: S301 - our own bytes
    ):
        encode(twin, ["a"])
    assert [seen.headers["Authorization"] for seen in server.seen] == [f"Bearer {key}"] * 3


def test_a_cancelled_call_leaves_nothing_behind(make, server, reply):
    server.script.append(reply(200, {}, hangs=True))

    async def main():
        task = asyncio.create_task(make("openai").aencode_queries(["a"]))
        await asyncio.to_thread(server.wait_for, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert len(server.seen) == 1


@pytest.mark.parametrize("letter", ["\u200b", "\u00a0", "\u00ad", "\ufeff", "\ufe0f"])
def test_a_key_that_an_invisible_letter_breaks_is_found_percent_encoded(letter):
    key = "sk-proj-abcdefghij1234567890"
    broken = letter.join(key[i : i + 7] for i in range(0, len(key), 7))
    for written in (once := urllib.parse.quote(broken, safe=""), urllib.parse.quote(once)):
        assert redact(f"given {written}", key) == "given [API key]"
    assert redact(f"given {str(broken.encode())[2:-1]}", key) == "given [API key]"
