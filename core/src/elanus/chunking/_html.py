"""The structure of HTML: what a page says, and where in its source each character of that is."""

from __future__ import annotations

import html
import re
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import pairwise

from elanus.chunking._blocks import Block, Heading, Section, line_starts, sections, trimmed

_SPACE = re.compile(r"[ \t\n\r\f]+|[^ \t\n\r\f]+")
_LINE = re.compile(r"\n")
_TAG = re.compile(r"<([a-zA-Z][^\t\n\r\f />\x00]*)")
_REFERENCE = re.compile(r"&(?:#0*(?P<number>[0-9]+)|#[xX][0-9a-fA-F]+|[a-zA-Z][a-zA-Z0-9]*);?")
# More digits than any character has, and few enough for int().
_MOST_DIGITS = 8
# How often all of a page may be read again for tags that do not end.
_PATIENCE = 16
_DEEPEST = 20  # lists whose items are indented by their depth: a page may nest thousands

_DROPPED = frozenset(
    {"iframe", "nav", "noscript", "object", "script", "style", "svg", "template", "title"}
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
# Those that stay whole where they fit.
_WHOLE = frozenset({"dl", "ol", "pre", "table", "ul"})
_PARAGRAPHS = _WHOLE | frozenset(
    {"address", "article", "aside", "blockquote", "body", "details", "div", "fieldset",
     "figcaption", "figure", "footer", "form", "header", "hr", "html", "main", "p", "section",
     "summary"}
)  # fmt: skip
_LINES = frozenset({"br", "caption", "dd", "dt", "li", "tr"})
_CELLS = frozenset({"td", "th"})

# What stands between two pieces of text, the weakest first.
_GAPS = ("", " ", "\n", "\n\n")
_A_SPACE, _NEW_LINE, _NEW_PARAGRAPH = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Page:
    """What a page of HTML says.

    Attributes:
        text: as it is read, without tags.
        sections: of the text.
        starts, ends: (characters of the text,) where in the source each one begins and ends.
    """

    text: str
    sections: list[Section]
    starts: array[int]
    ends: array[int]


def read_page(source: str) -> Page:
    """The text of a page and its sections, by the headings ``h1`` to ``h6``."""
    reader = _Reader(source)
    # References are read here, where they are text. Python's parser would also read those of
    # attributes, fail at long numbers, and take all that follows ``&#`` without one for text. So
    # it sees another character, of the same length, that means nothing to it.
    reader.feed(source.replace("&", "+"))
    reader.close()
    return reader.page()


class _Text:
    """The text that is read, and the places of its characters in the source."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.starts = array("q")
        self.ends = array("q")

    def __len__(self) -> int:
        return len(self.starts)

    def copy(self, piece: str, at: int) -> None:
        """Add what stands in the source as it is read."""
        self.pieces.append(piece)
        self.starts.extend(range(at, at + len(piece)))
        self.ends.extend(range(at + 1, at + len(piece) + 1))

    def write(self, piece: str, start: int, end: int) -> None:
        """Add what stands for a stretch of the source."""
        self.pieces.append(piece)
        self.starts.extend([start] * len(piece))
        self.ends.extend([end] * len(piece))

    def since(self, start: int) -> str:
        """The text from a place on, near its end."""
        found: list[str] = []
        left = len(self) - start
        for piece in reversed(self.pieces):
            if left <= 0:
                break
            found.append(piece[-left:])
            left -= len(piece)
        return "".join(reversed(found))


class _Reader(HTMLParser):
    """Reads a page from its beginning to its end, tag by tag.

    White space is written only once something follows it: ``_gap`` is the place in ``_GAPS`` of
    what is due, ``_mark`` what begins an item or a cell.
    """

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=False)
        self._source = source
        self._lines = [0, *(found.end() for found in _LINE.finditer(source))]
        self._text = _Text()
        self._gap = 0
        self._mark = ""
        self._dropped: list[str] = []
        self._whole: list[str] = []
        self._open: Counter[str] = Counter()
        self._whole_start: int | None = None
        self._wholes: list[tuple[int, int]] = []
        self._heading: int | None = None
        self._heading_start: int | None = None
        self._headings: list[Heading] = []
        self._cells = 0
        self._unended: set[str] = set()
        self._patience = _PATIENCE * len(source)

    def page(self) -> Page:
        """What was read."""
        self._end_heading()
        self._end_whole()
        text = "".join(self._text.pieces)
        spans = (span for span in self._wholes if trimmed(text, *span))
        wholes = (Block(*span, _lines(text, *span)) for span in spans)
        found = sections(text, self._headings, wholes)
        return Page(text, found, self._text.starts, self._text.ends)

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002  # the parser's own name
        if self._dropped or tag in _DROPPED:
            if not self._dropped or tag == self._dropped[0]:
                self._dropped.append(tag)
        elif tag in _HEADINGS:
            self._end_heading()
            self._end_whole()
            self._heading = _HEADINGS[tag]
        elif tag in _PARAGRAPHS:
            self._end_heading()
            self._break()
            if tag in _WHOLE:
                self._whole.append(tag)
                self._open[tag] += 1
        elif tag in _LINES:
            self._begin_line(tag)
        elif tag in _CELLS:
            self._begin_cell()

    def handle_endtag(self, tag: str) -> None:
        if self._dropped:
            if tag == self._dropped[0]:
                self._dropped.pop()
        elif tag in _HEADINGS:
            self._end_heading()
        elif self._open[tag]:
            ended = ""
            while ended != tag:
                ended = self._whole.pop()
                self._open[ended] -= 1
            if not self._whole:
                self._end_whole()
            self._break()
        elif tag in _PARAGRAPHS:
            self._break()
        elif tag in _LINES:
            self._gap, self._mark = max(self._gap, _NEW_LINE), ""

    def handle_data(self, data: str) -> None:
        if self._dropped:
            return
        at = self._place()
        end = at + len(data)
        for found in _REFERENCE.finditer(self._source, at, end):
            said = _said(found)
            if said != found[0]:
                self._read(at, found.start())
                self._begin(found.start())
                self._text.write(said, *found.span())
                at = found.end()
        self._read(at, end)

    # The parser's own methods return -1 for what does not end, after having looked for the end in
    # all that follows; so one that is known to be missing is not looked for again.

    def parse_starttag(self, i: int) -> int:
        """A tag; if too many had no end, it goes to the next ``>``, whatever is in quotes."""
        if self._patience < 0:
            end, name = self.rawdata.find(">", i), _TAG.match(self.rawdata, i)
            if end >= 0 and name:
                self.handle_starttag(name[1].lower(), [])
                return end + 1
        found = super().parse_starttag(i)
        if found < 0:
            self._patience -= len(self.rawdata) - i
        return self._or_text(i, found)

    def parse_endtag(self, i: int) -> int:
        """An end tag."""
        return self._or_text(i, super().parse_endtag(i))

    def parse_pi(self, i: int) -> int:
        """Anything that begins with ``<?``."""
        return self._or_text(i, super().parse_pi(i))

    def parse_comment(self, i: int, report: bool = True) -> int:
        """A comment."""
        return self._sought("--", i, lambda: super(_Reader, self).parse_comment(i, report))

    def parse_html_declaration(self, i: int) -> int:
        """Anything else that begins with ``<!``."""
        return self._or_text(i, super().parse_html_declaration(i))

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        """Anything that begins with ``<![``, which Python's own method may refuse."""
        kind = self.rawdata[i + 3 : i + 5].lower()
        try:
            return self._sought(
                kind, i, lambda: super(_Reader, self).parse_marked_section(i, report)
            )
        except AssertionError:
            return self.parse_bogus_comment(i)

    def _sought(self, kind: str, i: int, parse: Callable[[], int]) -> int:
        found = -1 if kind in self._unended else parse()
        if found < 0:
            self._unended.add(kind)
        return self._or_text(i, found)

    def _or_text(self, i: int, end: int) -> int:
        """Where something ends; if nowhere, it is text up to the next ``>``."""
        if end < 0:
            end = self.rawdata.find(">", i + 1) + 1 or len(self.rawdata)
            self.handle_data(self.rawdata[i:end])
        return end

    def _place(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column

    def _read(self, start: int, end: int) -> None:
        """Read a stretch of text without references."""
        data = self._source[start:end]
        if self._open["pre"]:
            # A line break directly below the tag is not shown.
            kept = data.removeprefix("\r").removeprefix("\n") if self._gap else data
            if kept:
                start += len(data) - len(kept)
                self._begin(start)
                self._text.copy(kept, start)
            return
        for found in _SPACE.finditer(data):
            if found[0].isspace() and found[0].isascii():
                self._gap = max(self._gap, _A_SPACE)
            else:
                self._begin(start + found.start())
                self._text.copy(found[0], start + found.start())

    def _begin(self, at: int) -> None:
        """Write what is due before something that is read."""
        if len(self._text):
            self._text.write(_GAPS[self._gap], at, at)
        if self._heading is not None and self._heading_start is None:
            self._heading_start = len(self._text)
        if self._whole and self._whole_start is None:
            self._whole_start = len(self._text)
        self._text.write(self._mark, at, at)
        self._gap, self._mark = 0, ""

    def _break(self) -> None:
        self._gap = max(self._gap, _NEW_LINE if self._whole else _NEW_PARAGRAPH)

    def _begin_line(self, tag: str) -> None:
        self._gap = max(self._gap, _NEW_LINE)
        if tag == "tr":
            self._cells, self._mark = 0, ""
        elif tag == "li":
            depth = self._open["ol"] + self._open["ul"]
            self._mark = "  " * min(depth - 1, _DEEPEST) + "- "

    def _begin_cell(self) -> None:
        if self._cells:
            self._gap = _A_SPACE
            self._mark += "| "
        self._cells += 1

    def _end_heading(self) -> None:
        if self._heading is None:
            return
        start, end = self._heading_start, len(self._text)
        if start is not None:
            title = " ".join(self._text.since(start).split())
            if title:  # one of no-break spaces says nothing
                self._headings.append(Heading(self._heading, title, start, end))
        self._heading, self._heading_start = None, None
        self._break()

    def _end_whole(self) -> None:
        if self._whole_start is not None:
            self._wholes.append((self._whole_start, len(self._text)))
        self._whole.clear()
        self._open.clear()
        self._whole_start = None
        self._break()


def _said(reference: re.Match[str]) -> str:
    """What a reference stands for; itself if for nothing."""
    number = reference["number"]
    return html.unescape(f"&#{number[:_MOST_DIGITS]};" if number else reference[0])


def _lines(text: str, start: int, end: int) -> tuple[Block, ...]:
    borders = [start + place for place in line_starts(text[start:end])]
    found = (trimmed(text, *pair) for pair in pairwise(borders))
    return tuple(Block(*pair) for pair in found if pair)
