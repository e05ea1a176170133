"""The structure of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import count, pairwise, takewhile
from typing import Any

from elanus.chunking._blocks import (
    BREAK,
    Block,
    Heading,
    Section,
    filled,
    line_starts,
    sections,
    trimmed,
)
from elanus.chunking._split import load

# CommonMark takes the metadata that many files begin with for a line and a heading.
_FRONT_MATTER = re.compile(
    rf"---[ \t]*{BREAK}(?:[^\r\n]*{BREAK})*?(?:---|\.\.\.)[ \t]*(?:{BREAK}|\Z)"
)
# What a heading says: kinds of what is in its line, and those that stand for a space.
_READ = {"text", "text_special", "code_inline", "image", "softbreak", "hardbreak"}
_BREAKS = {"softbreak": " ", "hardbreak": " "}
# Kinds of blocks with parts.
_PARTS_OF = {"bullet_list": "list_item", "ordered_list": "list_item", "table": "tr"}


@lru_cache(maxsize=1)
def _parser() -> Any:
    # What is inside of lines is asked for in headings only.
    return load("markdown_it").MarkdownIt("commonmark").enable("table").disable("inline")


def markdown_sections(text: str) -> list[Section]:
    """The sections of a Markdown text, by headings that are in no list or quotation.

    Lists, tables, fenced code and quotations are blocks; the parts of a list are its items, those
    of a table its rows.
    """
    front = _FRONT_MATTER.match(text)
    start = front.end() if front else 0
    tokens = _parser().parse(text[start:])
    lines = [start + place for place in line_starts(text[start:])]
    headings = list(_headings(text, tokens, lines))
    return sections(text, headings, _blocks(text, tokens, lines))


def _headings(text: str, tokens: list[Any], lines: list[int]) -> Iterator[Heading]:
    for token, inside in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0:
            title, span = _plain(inside.content), trimmed(text, *_span(token, lines))
            if title and span:
                yield Heading(int(token.tag[1:]), title, *span)


def _plain(content: str) -> str:
    """A heading as it is read, without marks."""
    parser = _parser()
    found: list[Any] = []
    parser.inline.parse(content, parser, {}, found)
    words = (_BREAKS.get(token.type, token.content) for token in found if token.type in _READ)
    return " ".join("".join(words).split())


def _span(token: Any, lines: list[int]) -> tuple[int, int]:
    first, stop = token.map
    return lines[first], lines[min(stop, len(lines) - 1)]


def _blocks(text: str, tokens: list[Any], lines: list[int]) -> Iterator[Block]:
    """The outermost blocks but headings, in order."""
    for i, token in enumerate(tokens):
        if token.level == 0 and token.map and token.nesting >= 0 and token.type != "heading_open":
            yield from _block(text, _span(token, lines), _inner(text, tokens, i, lines))


def _inner(text: str, tokens: list[Any], i: int, lines: list[int]) -> list[Block]:
    """The items of the list or the rows of the table that begins with a token."""
    kind = tokens[i].type.removesuffix("_open")
    if kind not in _PARTS_OF:
        return []
    inside = takewhile(lambda token: token.level > 0, map(tokens.__getitem__, count(i + 1)))
    part = f"{_PARTS_OF[kind]}_open"
    level = 2 if kind == "table" else 1
    spans = (_span(t, lines) for t in inside if t.type == part and t.level == level)
    return [block for span in spans for block in _block(text, span, [])]


def _block(text: str, span: tuple[int, int], inner: list[Block]) -> list[Block]:
    kept = trimmed(text, *span)
    if not kept:
        return []
    return [Block(*kept, tuple(filled(text, *kept, inner)) if inner else ())]
