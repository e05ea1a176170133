"""Splitting what has no blocks of its own: by lines, sentences, words and graphemes."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

from elanus.chunking._blocks import Block, trimmed
from elanus.errors import loading

# Characters that are given to the splitter at a time, for each unit of the size: the work of a
# call grows with the square of the text.
_AT_A_TIME = 16
_LEAST = 4096

_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_HALF = re.compile("[\ud800-\udfff]")


def load(module: str) -> ModuleType:
    """Import a package that not everybody has.

    Raises:
        MissingExtraError: it is not installed.
        StorageError: no more files can be opened.
    """
    missing = (
        f"chunking needs {module} ({{error}}): "
        "pip install markdown-it-py semantic-text-splitter (the extra elanus[chunking])"
    )
    with loading(module, missing):
        return importlib.import_module(module)


def without_surrogates(text: str) -> str:
    """A text of the same length that splitters and tokenizers take.

    A pair of surrogates becomes one grapheme, so that it is not split.
    """
    joined = _PAIR.sub("\N{REPLACEMENT CHARACTER}\N{VARIATION SELECTOR-16}", text)
    return _HALF.sub("\N{REPLACEMENT CHARACTER}", joined)


def split(text: str, block: Block, size: int, count: Callable[[str], int]) -> list[Block]:
    """The parts of a block, each as long as fits.

    Args:
        text: that the block is in.
        block: what does not fit as it is.
        size: what a part may count at most.
        count: the size of a text.

    Returns:
        Parts in order that hold all of the block but white space. One is longer than ``size`` only
        if it is a single character, or ``count`` is not nearly a sum over the parts of a text.
    """
    splitter = load("semantic_text_splitter").TextSplitter.from_callback(count, size, trim=False)
    least = max(_LEAST, _AT_A_TIME * size)
    found: list[Block] = []
    start, length = block.start, least
    while start < block.end:
        stop = min(start + length, block.end)
        parts = _parts(splitter, text, start, stop)
        if stop == block.end:
            return found + _trimmed(text, parts)
        if len(parts) == 1:
            length *= 2
            continue
        # The last one ends where the splitter was shown no more.
        found += _trimmed(text, parts[:-1])
        start, length = parts[-1][0], least
    return found


def _parts(splitter: Any, text: str, start: int, stop: int) -> list[tuple[int, int]]:
    found = splitter.chunk_indices(text[start:stop])
    return [(start + at, start + at + len(part)) for at, part in found]


def _trimmed(text: str, parts: list[tuple[int, int]]) -> list[Block]:
    return [Block(*kept) for part in parts if (kept := trimmed(text, *part))]
