"""Texts into chunks by their structure, each with the headings that it stands below.

Needs the extra ``elanus[chunking]``. ``import elanus`` does not import it.
"""

from elanus.chunking._calls import chunk, chunk_code, chunk_html, chunk_markdown, chunk_text
from elanus.chunking._chunk import Chunk
from elanus.chunking._size import Count, TokenCounter

__all__ = [
    "Chunk",
    "Count",
    "TokenCounter",
    "chunk",
    "chunk_code",
    "chunk_html",
    "chunk_markdown",
    "chunk_text",
]
