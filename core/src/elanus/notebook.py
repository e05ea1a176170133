"""What notebooks show in place of a repr: tables in HTML, in which all text is escaped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from elanus.errors import ParamError, cut, shown

__all__ = ["Html", "described", "documents_table", "table"]

_LONGEST_TEXT = 300


class Html:
    """A piece of HTML that a notebook shows.

    Attributes:
        html: the piece.
    """

    def __init__(self, html: str) -> None:
        self.html = html

    def _repr_html_(self) -> str:
        return self.html


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as HTML, each cell escaped."""
    lines = [_row("th", head), *(_row("td", row) for row in rows)]
    return f"<table>{''.join(lines)}</table>"


def described(title: str, facts: Iterable[tuple[str, object]]) -> str:
    """A title, and a table of names and values below it."""
    lines = (_row("td", fact) for fact in facts)
    return f"<p><b>{escape(title)}</b></p><table>{''.join(lines)}</table>"


def _row(tag: str, cells: Sequence[object]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(str(cell))}</{tag}>' for cell in cells)}</tr>"


def documents_table(documents: Iterable[Any]) -> Html:
    """A table of documents, or of what a search found: a list shows none by itself.

    Raises:
        ParamError: naming what is no list, or no document.

    Example:
        >>> from elanus import Document
        >>> documents_table([Document("a", "Tom & Jerry")]).html.count("Tom &amp; Jerry")
        1
    """
    if isinstance(documents, (str, Mapping)) or not isinstance(documents, Iterable):
        raise ParamError(f"documents must be a list of documents, got {shown(documents)}")
    every = list(documents)
    for place, each in enumerate(every):
        if not all(hasattr(each, name) for name in ("id", "text", "metadata")):
            raise ParamError(f"documents[{place}] must be a document, got {shown(each)}")
    ranked = bool(every) and all(hasattr(each, "relevance") for each in every)
    head = ["id", *["relevance", "score"] * ranked, "text", "metadata"]
    return Html(table(head, (_cells(each, ranked=ranked) for each in every)))


def _cells(document: Any, *, ranked: bool) -> list[str]:
    scores = [f"{document.relevance:.2f}", f"{document.score:.4g}"] if ranked else []
    metadata = json.dumps(document.metadata, ensure_ascii=False)
    return [document.id, *scores, cut(document.text, _LONGEST_TEXT), cut(metadata, _LONGEST_TEXT)]
