"""What a parser finds in a source: sections below headings, and blocks in them."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# The end of a line, in one way only: what could also read CR LF as two would try all choices.
BREAK = r"(?:\r\n|\r(?!\n)|\n)"

_BREAK = re.compile(BREAK)
_BLANK_LINES = re.compile(rf"{BREAK}(?:[^\S\r\n]*{BREAK})+")
_SPACE = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of text that stays whole where it fits.

    Attributes:
        start, end: its offsets.
        inner: blocks that hold all of it but white space, for where it does not fit; none if only
            lines, sentences and words are left to split it by.
    """

    start: int
    end: int
    inner: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks below one heading; a chunk never holds text of two sections.

    Attributes:
        headings: the outermost first.
        blocks: in order, without a gap but for white space.
        inner: sections that stand for this one where it does not fit into one chunk.
    """

    headings: tuple[str, ...]
    blocks: Sequence[Block]
    inner: Sequence[Section] = ()


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: 1 is the outermost level."""

    level: int
    title: str
    start: int
    end: int


def line_starts(text: str) -> list[int]:
    """Where each line begins, as Markdown and Python count lines; and the end of the text."""
    return [0, *(found.end() for found in _BREAK.finditer(text)), len(text)]


def trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    """A stretch without white space around it; None if nothing else is in it.

    A line that it begins with keeps its indentation, which is structure in code and in lists.
    """
    end = start + len(text[start:end].rstrip())
    if start == end:
        return None
    space = _SPACE.match(text, start, end)
    first = space.end() if space else start
    breaks = [found.end() for found in _BREAK.finditer(text, start, first)]
    at_line = start == 0 or text[start - 1] in "\r\n"
    return (breaks[-1] if breaks else start if at_line else first), end


def paragraphs(text: str, start: int, end: int) -> list[Block]:
    """What stands between blank lines."""
    gaps = list(_BLANK_LINES.finditer(text, start, end))
    starts = [start, *(gap.end() for gap in gaps)]
    stops = [*(gap.start() for gap in gaps), end]
    found = (trimmed(text, *pair) for pair in zip(starts, stops, strict=True))
    return [Block(*pair) for pair in found if pair]


def filled(text: str, start: int, end: int, blocks: Iterable[Block]) -> list[Block]:
    """Blocks, and paragraphs of what no block holds: parsers leave out what shows nothing."""
    found: list[Block] = []
    for block in blocks:
        found += [*paragraphs(text, start, block.start), block]
        start = block.end
    return found + paragraphs(text, start, end)


def sections(text: str, headings: Sequence[Heading], blocks: Iterable[Block]) -> list[Section]:
    """The sections of a text whose headings and blocks are known, both in order.

    A heading with nothing below it is the body of a section itself, or it would be in no chunk.
    """
    borders = [*(heading.start for heading in headings), len(text)]
    waiting = deque(blocks)
    found = [Section((), _body(text, 0, borders[0], waiting))]
    above: list[Heading] = []
    for i, heading in enumerate(headings):
        above = [other for other in above if other.level < heading.level]
        body = _body(text, heading.end, borders[i + 1], waiting)
        is_leaf = i + 1 == len(headings) or headings[i + 1].level <= heading.level
        if not body and is_leaf:
            own = Block(heading.start, heading.end)
            found.append(Section(tuple(other.title for other in above), [own]))
        above.append(heading)
        found.append(Section(tuple(other.title for other in above), body))
    return [section for section in found if section.blocks]


def _body(text: str, start: int, end: int, waiting: deque[Block]) -> list[Block]:
    """The blocks of a stretch, taken from those that wait."""
    inside = []
    while waiting and waiting[0].start < end:
        inside.append(waiting.popleft())
    return filled(text, start, end, inside)
