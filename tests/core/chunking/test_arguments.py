"""What the calls take, and how they refuse what they do not."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from elanus.chunking import chunk, chunk_code, chunk_html, chunk_markdown, chunk_text
from elanus.errors import MissingExtraError, ParamError


class Model:
    """Counts letters, and reads ten."""

    max_tokens: int | None = 10

    def count_tokens(self, text):
        return sum(letter.isalpha() for letter in text)


def test_the_usual_sizes():
    source = "word " * 1000
    assert {len(each.text) for each in chunk_text(source)[:-1]} == {999}
    assert {len(each.text.split()) for each in chunk_text(source, count="words")} == {200}
    assert [each.text for each in chunk_text("one two three four", count=Model())] == [
        "one two", "three four",
    ]  # fmt: skip


def test_the_calls_are_those_of_their_kinds():
    source = "# a\n\n<p>b</p>\n\ndef f():\n    return 1\n"
    for call, kind in ((chunk_text, "text"), (chunk_markdown, "markdown"), (chunk_html, "html")):
        assert call(source, 30, 5, "characters") == chunk(source, kind, size=30, overlap=5)
    python = "def f():\n    return 1\n"
    assert chunk_code(python, "python", 30) == chunk(python, "python", 30)
    assert chunk_code(python, None, 30) == chunk(python, "code", 30)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": b"x"}, "text must be a string, got"),
        ({"kind": "latex"}, "kind must be one of text, markdown, python, code, html, got"),
        ({"size": 0}, "size must be an integer of at least 1, got"),
        ({"size": "9"}, "size must be an integer"),
        ({"size": 9, "overlap": 5}, "overlap must be an integer from 0 to 4, got"),
        ({"overlap": -1}, "overlap must be an integer from 0 to 500, got"),
        ({"count": "tokens"}, "count must be 'characters', 'words', a function that counts"),
        ({"count": None}, "count must be 'characters', 'words'"),
        ({"count": len}, "size must be given, as count="),
        ({"count": Model(), "size": 11}, "size=11 is more than the 10 tokens that"),
        ({"count": lambda _: -1, "size": 9}, "the answer of count must be an integer"),
        ({"count": lambda _: 0.5, "size": 9}, "the answer of count must be an integer"),
    ],
)
def test_what_is_wrong_is_named(arguments, message):
    with pytest.raises(ParamError) as caught:
        chunk(**{"text": "some text", "kind": "text"} | arguments)
    assert message in str(caught.value)


def test_languages_without_a_structure_here_are_named():
    with pytest.raises(ParamError, match="language must be 'python', or None for any other, got"):
        chunk_code("fn f() {}", "rust")


def test_a_language_of_another_type_is_named():
    with pytest.raises(ParamError, match="language must be 'python', or None for any other, got"):
        chunk_code("fn f() {}", np.array(["python", "rust"]))


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_counter_that_counts_what_it_puts_around_a_text_leaves_none_of_it_out(size):
    source = "some words " * 20
    for around in (2, 1_000):
        found = chunk_text(source, size, count=lambda text, n=around: len(text.split()) + n)
        assert "".join("".join(each.body.split()) for each in found) == "somewords" * 20


def test_an_error_of_a_counting_function_is_the_callers():
    def count(text):
        raise KeyError(text)

    with pytest.raises(KeyError):
        chunk_text("some text " * 9, size=5, count=count)


@pytest.mark.parametrize("module", ["markdown_it", "semantic_text_splitter"])
def test_the_extra_is_named_where_its_packages_are_missing(module, monkeypatch):
    from elanus.chunking import _markdown  # noqa: PLC0415

    _markdown._parser.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"{module}.*pip install m.*elanus\[chunking\]"):
        chunk_markdown("one two three", size=5)
