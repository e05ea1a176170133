"""The second pass of a BM25 search: exact scores of the candidates, in float64.

``idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * dl / avgdl))``, times the query's count; the form of
Milvus (and of Lucene before 8), in this order of operations, so that equal rows score equally
whatever the road and the history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from elanus.index.sparse._bm25_terms import spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from elanus.index.sparse._bm25_terms import QueryTerms
    from elanus.index.sparse._postings import Postings
    from elanus.index.sparse._segment import Segment

_LOOKUP_COST: Final = 4
"""Finding one row in a list costs about as much as adding this many postings."""

_TINY: Final = 1e-300
"""Added to no count of 1 or more; makes 0 / (0 + norm) of an absent term 0 where the norm is 0."""


def length_norms(
    lengths: NDArray[np.int64], average: float, k1: float, b: float
) -> NDArray[np.float64]:
    """``k1 * (1 - b + b * dl / avgdl)``, in the order of operations of Milvus's formula."""
    norms = k1 * (1 - b + b * lengths / average)
    return norms.astype(np.float64, copy=False)


def exact_scores(
    segments: Sequence[Segment], query: QueryTerms, slots: NDArray[np.intp]
) -> NDArray[np.float64]:
    """BM25 of these ascending slots: summed in float64 in the query's order, rounded to float32.

    0 for a row without any of the terms.
    """
    postings = sum(end - begin for lists in query.lists for begin, end in lists)
    rows = sum(segment.postings.rows for segment in segments)
    by_row = _LOOKUP_COST * slots.size * len(query.numbers) < postings + rows
    totals = (look_up if by_row else add_up)(segments, query, slots)
    return totals.astype(np.float32).astype(np.float64)


def look_up(
    segments: Sequence[Segment], query: QueryTerms, slots: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Exact sums of few rows: a binary search for each in every list."""
    counts = np.zeros((len(query.numbers), slots.size), dtype=np.float64)
    lengths = np.empty(slots.size, dtype=np.int64)
    for place, span in spans(segments, slots):
        segment = segments[place]
        # Of the type of the lists: a search would convert the whole list otherwise.
        local = (slots[span] - segment.postings.base).astype(np.int32)
        lengths[span] = segment.lengths.take(local)
        _read_counts(counts[:, span], segment, query, query.lists[place], local)
    return _sum_terms(counts, lengths, query)


def _read_counts(
    counts: NDArray[np.float64],
    segment: Segment,
    query: QueryTerms,
    lists: list[list[int]],
    local: NDArray[np.int32],
) -> None:
    """Fill (t, m) zeros with how often each of m rows of a segment holds each of the terms."""
    impacts, present = segment.impacts, []
    for row, (begin, end) in enumerate(lists):
        dense = impacts.dense_rows.get(query.numbers[row])
        if dense is not None:
            counts[row] = impacts.dense[dense].take(local)
        elif begin < end:
            present.append(row)
    if present:
        counts[present] = _find_counts(segment.postings, [lists[row] for row in present], local)


def _find_counts(
    postings: Postings, lists: list[list[int]], local: NDArray[np.int32]
) -> NDArray[Any]:
    """(t, m) counts of m rows in t lists that are not empty."""
    places = np.empty((len(lists), local.size), dtype=np.intp)
    for place, (begin, end) in zip(places, lists, strict=True):
        place[:] = postings.slots[begin:end].searchsorted(local)
    bounds = np.array(lists, dtype=np.intp)
    places += bounds[:, :1]
    np.minimum(places, bounds[:, 1:] - 1, out=places)
    held = postings.slots.take(places) == local
    counts: NDArray[Any] = postings.weights.take(places) * held
    return counts


def _sum_terms(
    counts: NDArray[np.float64], lengths: NDArray[np.int64], query: QueryTerms
) -> NDArray[np.float64]:
    """(m,) sums over (t, m) counts; the counts are overwritten."""
    saturation = query.saturation
    norms = length_norms(lengths, query.average, saturation.k1, saturation.b)
    np.maximum(norms, _TINY, out=norms)
    divisors = counts + norms
    counts *= np.array(query.idfs)[:, None]
    counts *= saturation.k1 + 1
    counts /= divisors
    counts *= np.array(query.counts, dtype=np.float64)[:, None]
    # accumulate adds one term after the other; sum may pair them, and round otherwise.
    total: NDArray[np.float64] = np.add.accumulate(counts, axis=0)[-1]
    return total


def add_up(
    segments: Sequence[Segment], query: QueryTerms, slots: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Exact sums of many rows: every list is added to all rows that it names."""
    saturation, last = query.saturation, segments[-1].postings
    totals = np.zeros(last.base + last.rows, dtype=np.float64)
    for segment, lists in zip(segments, query.lists, strict=True):
        held = segment.postings
        total = totals[held.base : held.base + held.rows]
        norms = length_norms(segment.lengths, query.average, saturation.k1, saturation.b)
        for (begin, end), idf, count in zip(lists, query.idfs, query.counts, strict=True):
            found = held.slots[begin:end].astype(np.intp)
            counts = held.weights[begin:end].astype(np.float64)
            parts = idf * counts * (saturation.k1 + 1) / (counts + norms[found])
            np.add.at(total, found, parts * count)
    return totals[slots]
