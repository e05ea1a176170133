r"""Tokenizers: ``standard`` and ``whitespace``, and the road that ``jieba`` shares.

A tokenizer works in two steps. `split` runs over the text, in one call of C code; `scan` does it
for many texts, but leaves punctuation at the words. `expand` turns one raw word into its final
pieces; it is called once per distinct raw word, so it may take its time. What ``standard`` takes
for a word:

* a run of letters, digits, marks and underscores (``snake_case``, ``utf8``);
* such runs joined by a full stop (``os.path``, ``3.14``, ``v1.2.3``), by an apostrophe (``don't``;
  the typographic one is turned into ``'``), or by a comma between digits (``1,000``);
* with ``++`` or ``#`` at its end, if there (``C++``, ``C#``). A leading full stop is not part of a
  word: ``.NET`` gives ``NET``;
* one emoji, without its skin tone and joiners; a flag is one token.

Words are normalised by NFKC one by one, so full-width and half-width forms, ligatures and
decomposed accents agree with the plain ones. The text as a whole is not: that would glue symbols
to words (``™`` becomes ``TM``). Case is kept. A run in an unspaced script is cut out of its word
and split by `ngrams`. Words without a letter or digit (``__``) are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from elanus.normal import normalized
from elanus.text._cjk import ngrams
from elanus.text._scan import scanner
from elanus.text._unicode import (
    JOINERS,
    PICTOGRAPHS,
    REGIONAL,
    UNSPACED,
    VARIATION_SELECTORS,
    marks,
)

_UNSPACED_RUN = f"([{UNSPACED}]+)"  # Compiled when first needed: 2 ms.
_PLAIN = {**dict.fromkeys((*map(ord, JOINERS), *VARIATION_SELECTORS)), 0x2019: "'"}
_NOT_A_WORD = "_.',+#"
# Neither a part of a word nor of what joins and ends one, so that words never reach across.
_SEPARATORS = [c for c in map(chr, range(128)) if not (c.isalnum() or c in _NOT_A_WORD)]


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """Two steps from text to words.

    Attributes:
        split: text to raw words, in order.
        expand: one raw word to its pieces, in order; depends on that word alone.
        table: for `scan`; None if ASCII texts cannot be cut by single characters. Its words may
            hold several of `split`, and punctuation, which `expand` sorts out.
    """

    split: Callable[[str], list[str]]
    expand: Callable[[str], Iterable[str]]
    table: NDArray[np.uint8] | None = None


def whitespace() -> Tokenizer:
    """Split at Unicode white space, and change nothing."""
    return Tokenizer(str.split, lambda raw: (raw,))


def standard(cut: Callable[[str], Iterable[str]] = ngrams) -> Tokenizer:
    """Unicode words, as the module says.

    Args:
        cut: splits a run of an unspaced script.
    """
    return Tokenizer(_split, lambda raw: _expand(raw, cut), scanner(_SEPARATORS, ".,"))


def _pattern(word: str, others: str = "") -> str:
    return rf"{word}(?:[.'\u2019]{word}|(?<=\d),(?=\d){word})*(?:\+\+|#(?!\w))?{others}"


_ascii_words = re.compile(_pattern(r"\w+"), re.ASCII).findall


@cache
def _unicode_words() -> Callable[[str], list[str]]:
    word = rf"\w[\w{marks()}{JOINERS}]*"
    return re.compile(_pattern(word, rf"|[{REGIONAL}]{{2}}|[{PICTOGRAPHS}]")).findall


def _split(text: str) -> list[str]:
    # Two patterns that agree on ASCII: the small one is faster, and most text is ASCII.
    return _ascii_words(text) if text.isascii() else _unicode_words()(text)


def _expand(raw: str, cut: Callable[[str], Iterable[str]]) -> list[str]:
    if raw.isascii():
        return [raw] if raw.isalnum() else _words(raw)
    plain = normalized("NFKC", raw.translate(_PLAIN))
    # The capturing group makes every second part an unspaced run.
    parts = enumerate(re.split(_UNSPACED_RUN, plain))
    return [piece for at, part in parts for piece in (cut(part) if at % 2 else _words(part))]


def _words(text: str) -> list[str]:
    # NFKC may have made punctuation (½ has a slash inside), and a cut may have left some at an end.
    return [word for word in _split(text) if word.strip(_NOT_A_WORD)]
