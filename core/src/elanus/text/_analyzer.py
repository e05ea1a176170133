"""The analyzer: text to terms, one text at a time or counted over a batch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from elanus.errors import ParamError, quoted
from elanus.text._numbered import numbered_words, numbering
from elanus.text._phrases import holding, side_by_side
from elanus.text._unicode import UNSPACED
from elanus.text.filters._filters import TokenFilter

# Beyond it a token is cut, as a key of a vocabulary must end somewhere (base64, minified code).
LONGEST_TOKEN = 255
# About 25 MB when full. Forgetting all of it costs less than keeping an order of use.
_REMEMBERED_WORDS = 100_000
_REMEMBERED_TOKENS = 50_000
# A clause of Chinese has dozens of terms and will not come again.
_REMEMBERED_TERMS = 8

# As texts, which re compiles when it first needs them: 3 ms each.
_PARTS = f"(?P<unspaced>[{UNSPACED}]+)|[^{UNSPACED}]+"
_UNSPACED = f"[{UNSPACED}]+"
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, eq=False)
class AnalyzedBatch:
    """Terms and counts of a batch of m texts, in compressed sparse rows.

    Row i has the terms ``vocabulary[t] for t in terms[offsets[i]:offsets[i + 1]]``.

    Attributes:
        vocabulary: the distinct terms of the batch.
        offsets: shape (m + 1,).
        terms: positions in `vocabulary`, ascending and unique within a row.
        counts: how often each of `terms` occurs in its row, 1 or more.
    """

    vocabulary: list[str]
    offsets: NDArray[np.int64]
    terms: NDArray[np.uint32]
    counts: NDArray[np.uint32]


class WordTerms(dict[str, tuple[str, ...]]):
    """The terms of each word, derived when it is first asked for, and remembered for a while.

    Single reads and writes of a dict are atomic; two threads at worst do the same work.

    Args:
        expand: one raw word to its pieces, in order.
        apply: one piece to its terms.
    """

    def __init__(
        self, expand: Callable[[str], Iterable[str]], apply: Callable[[str], tuple[str, ...]]
    ) -> None:
        self._expand = expand
        self._apply = apply

    def __missing__(self, word: str) -> tuple[str, ...]:
        # A list at once: a generator would cost more than most words do.
        found = [self._apply(token[:LONGEST_TOKEN]) for token in self._expand(word)]
        terms = found[0] if len(found) == 1 else tuple(chain.from_iterable(found))
        if len(terms) <= _REMEMBERED_TERMS and len(word) <= LONGEST_TOKEN:
            if len(self) >= _REMEMBERED_WORDS:
                self.clear()
            self[word] = terms
        return terms


class Span(NamedTuple):
    """Where a text holds terms: ``text[start:end]``, and which ones."""

    start: int
    end: int
    terms: frozenset[str]


@dataclass(frozen=True, slots=True)
class Analyzer:
    """A tokenizer and its filters; made by `build_analyzer`, safe to share between threads.

    Every term is at most 255 characters long when the filters see it (a longer word is cut) and
    can be encoded in UTF-8 (a lone surrogate becomes U+FFFD).

    Attributes:
        identity: canonical JSON of the tokenizer, the filters and the version of the rules. Equal
            identities give equal terms; `build_analyzer` takes it back. It does not cover the
            Unicode tables of Python, nor the dictionaries of the Snowball and jieba packages.
    """

    identity: str
    _split: Callable[[str], list[str]] = field(repr=False, compare=False)
    _terms: WordTerms = field(repr=False, compare=False)
    _asked: WordTerms = field(repr=False, compare=False)
    _written: WordTerms = field(repr=False, compare=False)
    _table: NDArray[np.uint8] | None = field(repr=False, compare=False)

    def tokens(self, text: str) -> list[str]:
        """The terms of one text, in order, repeated as often as they occur.

        Raises:
            ParamError: `text` is not a string.
        """
        return list(chain.from_iterable(map(self._terms.__getitem__, self._words(text))))

    def query_tokens(self, text: str) -> list[str]:
        """The terms by which a query is searched for: `tokens` without those that ask for nothing.

        They differ for an analyzer with the filter ``querystop``, as ``multilingual`` has one. Its
        words are dropped, unless the query has no others.

        Raises:
            ParamError: `text` is not a string.
        """
        words = self._words(text)
        asked = list(chain.from_iterable(map(self._asked.__getitem__, words)))
        return asked or list(chain.from_iterable(map(self._terms.__getitem__, words)))

    def unfinished(self, text: str) -> tuple[list[str], str, str]:
        """The terms of a query whose last word may go on.

        Returns:
            The terms before, as in `query_tokens`; the last term, ``""`` if there is none; and with
            what the term of a longer word may begin: the last term unstemmed, also if it is a stop
            word.

        Raises:
            ParamError: `text` is not a string.
        """
        words = self._words(text)
        if not words:
            return [], "", ""
        *before, last = words
        says_something = any(self._asked[word] for word in words)
        terms = self._asked if says_something else self._terms
        *parts, term = self._terms[last] or ("",)
        start = (self._written[last] or ("",))[-1]
        return [*chain.from_iterable(map(terms.__getitem__, before)), *parts], term, start

    def _words(self, text: str) -> list[str]:
        if not isinstance(text, str):
            raise ParamError(f"text must be a string to be analyzed, got {quoted(text)}")
        return self._split(text)

    def spans(self, text: str, terms: Iterable[str], phrases: Iterable[str] = ()) -> list[Span]:
        """Where a text holds some terms: whole words, but parts of an unspaced script; in order.

        Spans do not overlap or touch: those that do are one, with the terms of both.

        Args:
            text: the text.
            terms: each is found wherever it stands.
            phrases: each is found where its terms stand side by side, from the first to the last.

        Raises:
            ParamError: `text` is not a string.
        """
        if not isinstance(text, str):
            raise ParamError(f"text must be a string to be analyzed, got {quoted(text)}")
        wanted, found, at = frozenset(terms), list[Span](), 0
        words: list[tuple[int, str]] = []
        for word in self._split(text):
            # Words come in order, and between two of them is nothing that could begin one.
            start = text.index(word, at)
            at = start + len(word)
            words.append((start, word))
            held = wanted.intersection(self._terms[word])
            if held:
                found += self._inside(word, start, held)
        sides = self._side_by_side(words, phrases)
        return _merged([*found, *sides]) if sides else found

    def _side_by_side(self, words: Sequence[tuple[int, str]], phrases: Iterable[str]) -> list[Span]:
        """Where the terms of phrases follow each other, in words of a text and their places."""
        # Of each term its number, and which word it is of.
        numbers: dict[str, int] = {}
        terms, owners = list[int](), list[int]()
        for at, (_, word) in enumerate(words):
            for term in self._terms[word]:
                terms.append(numbers.setdefault(term, len(numbers)))
                owners.append(at)
        sequence, one_row = np.array(terms, dtype=np.int64), np.zeros(len(terms), dtype=np.int64)
        found: list[Span] = []
        for phrase in phrases:
            asked, held = [w for w in self._split(phrase) if self._terms[w]], self.tokens(phrase)
            wanted = np.array([numbers.get(term, -1) for term in held], dtype=np.int64)
            if not 0 < len(wanted) <= len(terms) or wanted.min() < 0:
                continue
            ends = len(wanted) - 1
            # From which word to which. Once for all that overlap: there may be thousands.
            runs: list[tuple[int, int]] = []
            for at in side_by_side(one_row, sequence, wanted).tolist():
                low, high = owners[at], owners[at + ends]
                if runs and (low < runs[-1][1] or (low, high) == runs[-1]):
                    runs[-1] = runs[-1][0], max(high, runs[-1][1])
                else:
                    runs.append((low, high))
            for low, high in runs:
                (start, first), (end, last) = words[low], words[high]
                places = _quoted_inside(start, first, end, last, asked)
                found += [Span(*place, frozenset(held)) for place in places]
        return found

    def _inside(self, word: str, start: int, held: frozenset[str]) -> list[Span]:
        """Where the terms of a word stand that holds them."""
        whole = [Span(start, start + len(word), held)]
        spots: list[Span] = []
        for match in re.finditer(_PARTS, word):
            at = start + match.start()
            if match.lastgroup == "unspaced":
                spots += (
                    Span(at + i, at + i + len(term), frozenset({term}))
                    for term in held
                    for i in range(len(match[0]))
                    if match[0].startswith(term, i)
                )
            else:
                terms = held.intersection(self._terms[match[0]])
                spots += [Span(at, at + len(match[0]), terms)] if terms else []
        # Nothing is found of a term that is written otherwise in the text than it is kept.
        return _merged(spots) or whole

    def analyze(self, texts: Sequence[str]) -> AnalyzedBatch:
        """The terms of many texts, counted: for each text the counts of `tokens`.

        Working memory is about 100 bytes per word, so a few thousand texts at a time are best.

        Raises:
            ParamError: `texts` is one string, or an element is not a string.
        """
        rows, terms, numbers = self._sequence(texts)
        return _count(rows, terms, list(numbers), len(texts))

    def holding(
        self, texts: Sequence[str], phrases: Sequence[tuple[Sequence[str], int]]
    ) -> NDArray[np.bool_]:
        """Which of n texts hold terms side by side, as `tokens` gives them.

        Args:
            texts: the texts, each of which is analysed once.
            phrases: p of them: the terms in order, one or more; and by how much the distances
                between them may differ from those in the phrase.

        Returns:
            Shape (p, n).

        Raises:
            ParamError: as for `analyze`.
        """
        rows, terms, numbers = self._sequence(texts)
        found = np.zeros((len(phrases), len(texts)), dtype=bool)
        for at, (phrase, slop) in enumerate(phrases):
            wanted = [numbers.get(term, -1) for term in phrase]
            found[at] = holding(rows, terms, wanted, slop, len(texts))
        return found

    def _sequence(
        self, texts: Sequence[str]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, int]]:
        """Row and number of all terms, those of one text in their order; and the numbers."""
        if isinstance(texts, str):
            raise ParamError("analyze takes a list of texts, got one string; use tokens for one")
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise ParamError(
                    f"texts[{row}] must be a string to be analyzed, got {quoted(text)}"
                )
        rows, words, raw = numbered_words(texts, self._split, self._table)
        return _laid_out(rows, words, [self._terms[word] for word in raw])


def _quoted_inside(
    start: int, first: str, end: int, last: str, asked: Sequence[str]
) -> list[tuple[int, int]]:
    """Where a phrase stands in the words that hold its first and its last term.

    Whole words, but for those beside an unspaced script what was asked for, if it stands there so.

    Args:
        start: place of the first of these words in the text.
        first: that word.
        end: place of the last of them, which may be the same.
        last: that word.
        asked: the words of the phrase.
    """
    if start == end and len(asked) > 1:
        return [(start, start + len(first))]
    if start == end:
        found = (each.span() for each in re.finditer(re.escape(asked[0]), first))
        inside = [(start + a, start + b) for a, b in found if _is_apart(first, a, b)]
        return inside or [(start, start + len(first))]
    low, high = max(0, len(first) - len(asked[0])), len(asked[-1])
    begins = first.endswith(asked[0]) and _is_apart(first, low, len(first))
    ends = last.startswith(asked[-1]) and _is_apart(last, 0, high)
    return [(start + begins * low, end + (high if ends else len(last)))]


def _is_apart(word: str, start: int, end: int) -> bool:
    """Whether a part of a word begins and ends where it does, or beside an unspaced character."""
    return all(
        at in (0, len(word)) or re.compile(_UNSPACED).search(word, at - 1, at + 1)
        for at in (start, end)
    )


def _merged(spans: Iterable[Span]) -> list[Span]:
    found: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, s.end)):
        if found and span.start <= found[-1].end:
            last = found[-1]
            found[-1] = Span(last.start, max(last.end, span.end), last.terms | span.terms)
        else:
            found.append(span)
    return found


def chain_filters(filters: Sequence[TokenFilter]) -> Callable[[str], tuple[str, ...]]:
    """One function from a token to the terms that `filters` make of it, in turn.

    It remembers its answers: words without spaces between them share their pairs of characters.
    """

    @lru_cache(maxsize=_REMEMBERED_TOKENS)
    def apply(token: str) -> tuple[str, ...]:
        terms: Sequence[str] = (token if token.isascii() else _SURROGATE.sub("\ufffd", token),)
        for step in filters:
            # One term in, one term out is what nearly every step does.
            terms = step(terms[0]) if len(terms) == 1 else [*chain.from_iterable(map(step, terms))]
        return tuple(filter(None, terms))

    return apply


def _laid_out(
    rows: NDArray[np.int64], words: NDArray[np.uint32], terms: Sequence[tuple[str, ...]]
) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, int]]:
    """Replace words by their terms: row and number of each term, and the numbers.

    Args:
        rows: (n,) row of each word.
        words: (n,) number of each word.
        terms: for each number, the terms of that word.
    """
    numbers = numbering()
    flat = np.fromiter(map(numbers.__getitem__, chain.from_iterable(terms)), dtype=np.int64)
    sizes = np.fromiter(map(len, terms), dtype=np.int64, count=len(terms))
    starts = np.cumsum(sizes) - sizes
    widths = sizes[words]
    ends = np.cumsum(widths)
    # The j-th term of a word stands at starts[word] + j; j is what the running position exceeds
    # the word's first position by.
    at = np.arange(ends[-1] if ends.size else 0) + np.repeat(starts[words] - ends + widths, widths)
    return np.repeat(rows, widths), flat[at], numbers


def _count(
    rows: NDArray[np.int64], terms: NDArray[np.int64], vocabulary: list[str], height: int
) -> AnalyzedBatch:
    """Count each of n terms in each row."""
    keys, counts = np.unique(rows << 32 | terms, return_counts=True)
    offsets = np.searchsorted(keys, np.arange(height + 1, dtype=np.int64) << 32)
    return AnalyzedBatch(
        vocabulary=vocabulary,
        offsets=offsets.astype(np.int64),
        terms=(keys & 0xFFFFFFFF).astype(np.uint32),
        counts=counts.astype(np.uint32),
    )
