"""BM25 of words that stand for several terms: all that begin alike, or differ by a letter.

A group of terms counts as one term: its frequency is the number of rows that hold any of them, and
its count in a row the sum of theirs. So a rare spelling weighs no more than the word it stands for.
All rows with any of the words are scored exactly: there are no impacts of groups, by which a first
pass could choose.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from elanus.index._order import top_hits
from elanus.index.sparse._bm25_exact import length_norms
from elanus.index.sparse._bm25_terms import idf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from elanus.index._order import Keys, Ranking
    from elanus.index.sparse._segment import Saturation, Segment


@dataclass(frozen=True, slots=True, eq=False)
class Bm25Groups:
    """A query of groups, made by `Bm25Index.grouped`, with the scores of all rows.

    Attributes:
        scores: (n,) by slot, rounded to float32; 0 without any of the terms.
        idfs: of each group that a row holds.
        counts: how often the query has each of these.
        frequencies: in how many rows each of these occurs.
        words: how many words the query has, repeated ones counted again, those included that no
            row holds.
        spread: the variance of what other texts add to the scores; see `beside`.
        further: what these texts add where they hold all of the query.
    """

    scores: NDArray[np.float64]
    idfs: list[float]
    counts: list[int]
    frequencies: list[int]
    words: int
    spread: float = 0.0
    further: float = 0.0

    def beside(self, others: NDArray[np.float64], deviation: float, possible: float) -> Bm25Groups:
        """This query with the scores of another text of each row added, in float64, and rounded.

        Args:
            others: (n,) the scores of the other texts.
            deviation: about their standard deviation over all rows.
            possible: what they are where the other texts hold all of the query.
        """
        scores = (self.scores + others).astype(np.float32).astype(np.float64)
        spread, further = self.spread + deviation**2, self.further + possible
        return replace(self, scores=scores, spread=spread, further=further)

    def search(self, k: int, mask: NDArray[np.bool_] | None, keys: Keys) -> Ranking:
        """The first k rows by score, then by key; see `Bm25Index.search`."""
        slots = np.flatnonzero(self.scores if mask is None else self.scores * mask)
        return top_hits(slots, self.scores[slots], k, keys, descending=True)


def score_groups(
    segments: Sequence[Segment],
    query: Sequence[tuple[NDArray[np.uint32], int]],
    documents: int,
    average: float,
    saturation: Saturation,
    alive: NDArray[np.bool_] | None,
) -> Bm25Groups:
    """Score all rows; see `Bm25Index.grouped`."""
    lengths = np.concatenate([np.zeros(0, dtype=np.int64), *(s.lengths for s in segments)])
    norms = length_norms(lengths, average or 1.0, saturation.k1, saturation.b)
    scores = np.zeros(len(lengths))
    idfs: list[float] = []
    known: list[int] = []
    frequencies: list[int] = []
    for numbers, count in query:
        slots, counts = _occurrences(segments, numbers)
        if alive is not None:
            there = alive[slots]
            slots, counts = slots[there], counts[there]
        if not len(slots):
            continue
        weight, most = idf(documents, len(slots)), saturation.k1 + 1
        # The order of operations of single terms: a group of one scores as its term, bit for bit.
        scores[slots] += weight * counts * most / (counts + norms[slots]) * count
        idfs.append(weight)
        known.append(count)
        frequencies.append(len(slots))
    rounded = scores.astype(np.float32).astype(np.float64)
    return Bm25Groups(rounded, idfs, known, frequencies, sum(count for _, count in query))


def _occurrences(
    segments: Sequence[Segment], numbers: NDArray[np.uint32]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The slots that hold any of some terms, ascending, and how often: dead ones too."""
    slots: list[NDArray[Any]] = [np.zeros(0, dtype=np.intp)]
    counts: list[NDArray[Any]] = [np.zeros(0)]
    for segment in segments:
        postings = segment.postings
        ranges = postings.ranges(numbers)
        widths = ranges[:, 1] - ranges[:, 0]
        if not widths.any():
            continue
        ends = np.cumsum(widths)
        at = np.arange(ends[-1]) + np.repeat(ranges[:, 0] - ends + widths, widths)
        local, held = postings.slots[at], postings.weights[at].astype(np.float64)
        if np.count_nonzero(widths) > 1:
            summed = np.bincount(local, held, minlength=postings.rows)
            local = np.flatnonzero(summed)
            held = summed[local]
        slots.append(local.astype(np.intp) + postings.base)
        counts.append(held)
    return np.concatenate(slots), np.concatenate(counts)
