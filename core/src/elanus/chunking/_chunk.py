"""What chunking gives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a source that is stored and embedded as one document.

    Attributes:
        text: what to store: the headings in a line, an empty line, and the body; or the body, where
            there are no headings. Outer headings are left out where they would take more than half
            of the size.
        body: the part itself. It is ``source[start:end]``, but for HTML, where it is what that
            stretch of the page says.
        headings: the headings that it stands below, all of them, the outermost first.
        start: offset in the source at which the body begins.
        end: offset in the source at which it ends.
    """

    text: str
    body: str
    headings: tuple[str, ...]
    start: int
    end: int

    @property
    def metadata(self) -> dict[str, list[str]]:
        """Metadata for a ``DocumentStore``: the headings.

        Offsets are not among them: a word more at the beginning of a source would move all, and
        every document of it would have to be written again.
        """
        return {"headings": list(self.headings)}
