"""The terms of a BM25 query over segments: their weights, and where their lists are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from elanus.index.sparse._segment import Saturation, Segment


@dataclass(frozen=True, slots=True, eq=False)
class QueryTerms:
    """Known terms of a query, in the order of their texts.

    Plain lists: for ten terms they are faster than arrays.

    Attributes:
        numbers: term numbers.
        idfs: Milvus's (and Lucene's) idf of each term.
        counts: how often the query holds each term.
        frequencies: in how many rows each term occurs.
        lists: for each segment the begin and end of each term's list; equal where it has none.
        average: the rows' average length, in tokens.
        saturation: ``k1`` and ``b``.
    """

    numbers: list[int]
    idfs: list[float]
    counts: list[int]
    frequencies: list[int]
    lists: list[list[list[int]]]
    average: float
    saturation: Saturation

    def factors(self) -> list[float]:
        """What a row's impact is multiplied by, term by term."""
        weights = zip(self.idfs, self.counts, strict=True)
        return [idf * count * (self.saturation.k1 + 1) for idf, count in weights]


def idf(rows: int, holding: int) -> float:
    """Milvus's (and Lucene's) weight of a term that so many of the rows hold."""
    return math.log(1 + (rows - holding + 0.5) / (holding + 0.5))


def spans(segments: Sequence[Segment], slots: NDArray[np.intp]) -> Iterator[tuple[int, slice]]:
    """The place of each segment that holds some of the ascending slots, and where these are."""
    if len(segments) == 1:
        yield 0, slice(0, slots.size)
        return
    bases = [segment.postings.base for segment in segments]
    ends = [*slots.searchsorted(bases).tolist(), slots.size]
    for place, (begin, end) in enumerate(pairwise(ends)):
        if begin < end:
            yield place, slice(begin, end)
