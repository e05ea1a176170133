"""The public calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

from elanus.chunking._blocks import Section, paragraphs
from elanus.chunking._chunk import Chunk
from elanus.chunking._code import code_sections, python_sections
from elanus.chunking._html import Page, read_page
from elanus.chunking._markdown import markdown_sections
from elanus.chunking._pack import Packed, pack
from elanus.chunking._size import Count, Limit, as_limit
from elanus.chunking._split import without_surrogates
from elanus.schema import choice, refuse

Kind = Literal["text", "markdown", "html", "python", "code"]


def chunk(
    text: str,
    kind: Kind,
    size: int | None = None,
    overlap: int = 0,
    count: Count = "characters",
) -> list[Chunk]:
    """Split a source of some kind into chunks.

    Args:
        text: the source.
        kind: ``"text"``, ``"markdown"``, ``"html"``, ``"python"``, or ``"code"`` of any other
            language.
        size: what a chunk may count at most, its headings and overlap included. None is what the
            embedding function reads, 1,000 characters, or 200 words.
        overlap: how much a chunk may repeat of the one before; at most half of the size. Chunks
            below different headings do not overlap.
        count: by what a chunk is measured: ``"characters"``; ``"words"`` between white space; an
            embedding function with ``count_tokens`` and ``max_tokens``; or a function that gives
            the size of a text, which must not shrink when text is added.

    Returns:
        The chunks in the order of the source. Each character of it that is not white space is in
        the body of one, but for headings, and in HTML what a reader does not see. One counts more
        than ``size`` only if it is a single character.

    Raises:
        ParamError: naming the argument that is wrong.
        MissingExtraError: if a package of ``elanus[chunking]`` is not installed.
    """
    if not isinstance(text, str):
        refuse("text", "a string", text)
    limit = as_limit(size, overlap, count)
    if choice("kind", kind, [*_SECTIONS, "html"]) == "html":
        return list(_of_page(read_page(without_surrogates(text)), limit))
    # Sizes are counted, and headings read, without surrogates; bodies are as they were given.
    plain = without_surrogates(text)
    return [
        _made(found, text[found.start : found.end], found.start, found.end)
        for found in pack(plain, _SECTIONS[kind](plain), limit)
    ]


def chunk_text(
    text: str, size: int | None = None, overlap: int = 0, count: Count = "characters"
) -> list[Chunk]:
    """Split plain text: by paragraphs, and long ones by lines, sentences and words.

    Args:
        text: the source.
        size: as for ``chunk``.
        overlap: likewise.
        count: likewise.

    Raises:
        ParamError, MissingExtraError: as for ``chunk``.
    """
    return chunk(text, "text", size, overlap, count)


def chunk_markdown(
    text: str, size: int | None = None, overlap: int = 0, count: Count = "characters"
) -> list[Chunk]:
    """Split Markdown: by headings, and below them by paragraphs, lists, tables and fenced code.

    Args:
        text: the source, CommonMark with tables.
        size: as for ``chunk``.
        overlap: likewise.
        count: likewise.

    Raises:
        ParamError, MissingExtraError: as for ``chunk``.
    """
    return chunk(text, "markdown", size, overlap, count)


def chunk_html(
    text: str, size: int | None = None, overlap: int = 0, count: Count = "characters"
) -> list[Chunk]:
    """Split what a page of HTML says: by headings, paragraphs, lists and tables.

    Scripts, styles, navigation and the title are left out, and character references decoded.
    Offsets are those of the source.

    Args:
        text: the source.
        size: as for ``chunk``.
        overlap: likewise.
        count: likewise.

    Raises:
        ParamError, MissingExtraError: as for ``chunk``.
    """
    return chunk(text, "html", size, overlap, count)


def chunk_code(
    text: str,
    language: str | None = None,
    size: int | None = None,
    overlap: int = 0,
    count: Count = "characters",
) -> list[Chunk]:
    """Split code: Python by functions and classes, other languages by blank lines and indentation.

    The heading of a Python chunk is the path of what it is part of, such as ``Class.method``.

    Args:
        text: the source. Python that does not parse is split as other languages are.
        language: ``"python"``, or None for any other.
        size: as for ``chunk``.
        overlap: likewise.
        count: likewise.

    Raises:
        ParamError, MissingExtraError: as for ``chunk``.
    """
    given: Any = language
    if given is not None and not (isinstance(given, str) and given == "python"):
        refuse("language", "'python', or None for any other", language)
    return chunk(text, "code" if language is None else "python", size, overlap, count)


def _text_sections(text: str) -> list[Section]:
    blocks = paragraphs(text, 0, len(text))
    return [Section((), blocks)] if blocks else []


_SECTIONS: dict[str, Callable[[str], list[Section]]] = {
    "text": _text_sections,
    "markdown": markdown_sections,
    "python": python_sections,
    "code": code_sections,
}


def _of_page(page: Page, limit: Limit) -> Iterator[Chunk]:
    for found in pack(page.text, page.sections, limit):
        start, end = page.starts[found.start], page.ends[found.end - 1]
        yield _made(found, page.text[found.start : found.end], start, end)


def _made(found: Packed, body: str, start: int, end: int) -> Chunk:
    return Chunk(found.prefix + body, body, found.headings, start, end)
