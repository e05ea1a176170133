"""The parts of a text that hold the terms of a query."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain

from elanus.text import Span


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a text, and what in it a query asks for.

    Attributes:
        text: the part, as it stands in the whole.
        start, end: where it stands: ``text == whole[start:end]``.
        marks: where words of the query stand, (start, end) each, offsets in the whole text.
    """

    text: str
    start: int
    end: int
    marks: tuple[tuple[int, int], ...]

    def marked(self, before: str = "**", after: str = "**") -> str:
        """The part with a text before and after each mark. It is not escaped."""
        return "".join(
            f"{before}{piece}{after}" if is_marked else piece for piece, is_marked in self._pieces()
        )

    def html(self) -> str:
        """The part as HTML, escaped, with the marks in ``<mark>``."""
        return "".join(
            f"<mark>{escape(piece)}</mark>" if is_marked else escape(piece)
            for piece, is_marked in self._pieces()
        )

    def _repr_html_(self) -> str:
        return f"<p>{self.html()}</p>"

    def _pieces(self) -> list[tuple[str, bool]]:
        pieces, at = [], self.start
        for start, end in (*self.marks, (self.end, self.end)):
            for first, last, is_marked in ((at, start, False), (start, end, True)):
                if last > first:
                    pieces.append((self.text[first - self.start : last - self.start], is_marked))
            at = end
        return pieces


def fragments(text: str, spans: Sequence[Span], length: int, most: int) -> list[Fragment]:
    """The parts of a text that hold most of what was found in it, in the order of the text.

    Args:
        text: the whole text.
        spans: where terms stand, in order.
        length: of a part, in characters; longer only where one span is.
        most: how many parts.
    """
    starts, ends = [span.start for span in spans], [span.end for span in spans]
    chosen = _choose(spans, ends, length, most)
    found, at = [], 0
    for number, (first, last) in enumerate(chosen):
        after = starts[chosen[number + 1][0]] if number + 1 < len(chosen) else len(text)
        start, end = _widened(text, (starts[first], ends[last - 1]), (at, after), length)
        low, high = bisect_left(starts, start), bisect_right(ends, end)
        marks = tuple(zip(starts[low:high], ends[low:high], strict=True))
        found.append(Fragment(text[start:end], start, end, marks))
        at = end
    return found


def _choose(
    spans: Sequence[Span], ends: Sequence[int], length: int, most: int
) -> list[tuple[int, int]]:
    """Runs of spans that fit into one part each, and do not overlap; the richest ones, in order."""
    runs, last = [], 0
    inside: Counter[str] = Counter()  # how many spans of the run have a term
    for first, span in enumerate(spans):
        # Spans do not overlap, so their ends rise as their starts do.
        after = max(first + 1, bisect_right(ends, span.start + length, last))
        inside.update(chain.from_iterable(s.terms for s in spans[last:after]))
        last = after
        runs.append((-len(inside), first - last, first, last))
        for term in span.terms:
            inside[term] -= 1
            if not inside[term]:
                del inside[term]
    chosen: list[tuple[int, int]] = []
    for *_, first, last in sorted(runs):
        at = bisect_left(chosen, (first, last))
        is_free = not at or chosen[at - 1][1] <= first
        if len(chosen) < most and is_free and (at == len(chosen) or last <= chosen[at][0]):
            chosen.insert(at, (first, last))
    return chosen


def _widened(
    text: str, inner: tuple[int, int], bounds: tuple[int, int], length: int
) -> tuple[int, int]:
    """A part with as much around it as there is room for, that begins and ends with a word."""
    (first, last), (low, high) = inner, bounds
    room = max(0, length - (last - first))
    start = max(low, first - room // 2)
    end = min(high, start + max(length, last - start))
    start = max(low, min(start, end - length))
    if start > low and not text[start - 1].isspace():
        start += next((i + 1 for i, c in enumerate(text[start:first]) if c.isspace()), 0)
    if end < high and not text[end].isspace():
        end -= next((i + 1 for i, c in enumerate(reversed(text[last:end])) if c.isspace()), 0)
    return start, end
