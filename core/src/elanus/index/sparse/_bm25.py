"""BM25 over counted terms: exact scores, exact order, whatever the history.

The truth is integers: counts, row lengths, and three totals (rows, tokens, rows with a term).
They are exact after any history of appends and removals, so scores equal, bit for bit, those of
an index that was built afresh from the rows that are left.

A removed row leaves these totals at once, and its lists never: they are shared with older values,
which others search. Its slot is hidden by the caller's mask, and what the lists still count of it
is in `Bm25Index.removed`, which is subtracted wherever the frequency of a term is asked for.

A search has two passes. The first adds up impacts, in float32 and at an average length that may be
out of date: cheap, and wrong by a little that is bounded, so its threshold is lowered by as much
and no hit is lost. The second scores those that are left, in float64 and with today's totals; only
it decides about scores and order. So neither stale impacts, nor how the postings are cut into
segments, nor which way was the cheaper one shows in a result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from operator import add, sub
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from elanus.errors import ParamError
from elanus.index._order import check_search, top_hits
from elanus.index.sparse._bm25_exact import exact_scores
from elanus.index.sparse._bm25_groups import Bm25Groups, score_groups
from elanus.index.sparse._bm25_search import candidates
from elanus.index.sparse._bm25_terms import QueryTerms, idf
from elanus.index.sparse._segment import (
    Saturation,
    Segment,
    TermCounts,
    count_removed,
    extend,
    make_segment,
    merge_all,
    refresh,
    row_lengths,
)
from elanus.schema import DEFAULT_B, DEFAULT_K1

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from elanus.index._order import Keys, Ranking
    from elanus.index.sparse._postings import SparseRows

_SELECTIVE: Final = 256
"""Allowed slots up to which a masked search scores all of them, without a first pass."""

_MAX_TERM: Final = 2**32 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Bm25Index:
    """An immutable BM25 index; `append` and `remove` return new values that share most arrays.

    Any number of threads may search any values while one thread makes the next one.

    Attributes:
        saturation: the parameters ``k1`` and ``b``.
        documents: N, rows appended and not removed.
        total_length: tokens of those rows.
        segments: what was appended, in the order of slots.
        removed: what was removed from the statistics.
        n: number of slots, those of removed rows included.
        average_length: ``avgdl``, tokens a row; 0 without rows.
    """

    saturation: Saturation
    documents: int = 0
    total_length: int = 0
    segments: tuple[Segment, ...] = ()
    removed: tuple[TermCounts, ...] = ()
    n: int = field(init=False)
    average_length: float = field(init=False)

    def __post_init__(self) -> None:
        last = self.segments[-1].postings if self.segments else None
        object.__setattr__(self, "n", 0 if last is None else last.base + last.rows)
        average = self.total_length / self.documents if self.documents else 0.0
        object.__setattr__(self, "average_length", average)

    @classmethod
    def empty(cls, *, k1: float = DEFAULT_K1, b: float = DEFAULT_B) -> Bm25Index:
        """An index without rows.

        Args:
            k1: how much further occurrences of a term in a row count, 0 (not at all) to 1000.
            b: how much a row's length counts, 0 (not at all) to 1.

        Raises:
            ParamError: k1 or b is out of range.
        """
        if not 0 <= k1 <= 1000:
            raise ParamError(
                f"BM25: k1 is {k1}; give a number from 0 to 1000, {DEFAULT_K1} is usual"
            )
        if not 0 <= b <= 1:
            raise ParamError(f"BM25: b is {b}; give a number from 0 to 1, {DEFAULT_B} is usual")
        return cls(Saturation(float(k1), float(b)))

    @property
    def nbytes(self) -> int:
        """Memory held by the arrays, in bytes."""
        kept = sum(segment.nbytes for segment in self.segments)
        return kept + sum(part.nbytes for part in self.removed)

    def append(self, rows: SparseRows) -> Bm25Index:
        """This index with the rows in the next slots.

        The work is proportional to the rows, but for the merging of a bounded number of older
        postings, and for new impacts when the average length has moved by more than 3 %.

        Args:
            rows: term numbers with counts of at least 1, of an unsigned integer type.

        Raises:
            ParamError: counts of another type or of 0, a term twice in a row, or too many slots.
        """
        _check_counts(rows)
        if not len(rows):
            return self
        length = int(rows.weights.sum(dtype=np.int64))
        grown = replace(
            self,
            documents=self.documents + len(rows),
            total_length=self.total_length + length,
        )
        segments = extend(self.segments, rows, grown.average_length, self.saturation)
        return replace(grown, segments=segments)

    def remove(self, slots: NDArray[np.intp], rows: SparseRows) -> Bm25Index:
        """This index without the rows in N, the total length and the terms' frequencies.

        The slots stay, and are found until the caller's mask hides them.

        Args:
            slots: (m,) distinct slots, none of them removed before.
            rows: what was appended at these slots, in the same order.

        Raises:
            ParamError: the rows are not those of the slots.
        """
        _check_counts(rows)
        lengths = row_lengths(rows)
        self._check_removed(slots, lengths)
        if not len(rows):
            return self
        rest = replace(
            self,
            documents=self.documents - len(rows),
            total_length=self.total_length - int(lengths.sum()),
            removed=count_removed(self.removed, rows.terms),
        )
        segments = refresh(self.segments, rest.average_length, self.saturation)
        return replace(rest, segments=segments)

    def merged(self) -> Bm25Index:
        """An equal index in one segment, which searches fastest; O(postings).

        For a quiet moment after very many small appends; `append` itself never moves much more
        than it was given.
        """
        segments = merge_all(self.segments, self.average_length, self.saturation)
        return replace(self, segments=segments)

    def with_saturation(self, *, k1: float, b: float) -> Bm25Index:
        """The same rows under other parameters: the lists are shared, impacts follow; O(postings).

        Raises:
            ParamError: k1 or b is out of range.
        """
        saturation = Bm25Index.empty(k1=k1, b=b).saturation
        segments = tuple(
            make_segment(segment.postings, segment.lengths, self.average_length, saturation)
            for segment in self.segments
        )
        return replace(self, saturation=saturation, segments=segments)

    def document_frequency(self, terms: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """In how many of the rows each term occurs; 0 for unknown numbers."""
        frequency = np.zeros(terms.size, dtype=np.int64)
        for segment in self.segments:
            ranges = segment.postings.ranges(terms)
            frequency += ranges[:, 1] - ranges[:, 0]
        for part in self.removed:
            frequency -= part.look_up(terms)
        return frequency

    def grouped(
        self,
        query: Sequence[tuple[NDArray[np.uint32], int]],
        alive: NDArray[np.bool_] | None,
    ) -> Bm25Groups:
        """A query whose words stand for several terms each, for `search` and `judge`; O(n).

        Args:
            query: (distinct term numbers, count in the query), in the order of the words.
            alive: (n,) the slots that were not removed; None for all.
        """
        return score_groups(
            self.segments, query, self.documents, self.average_length, self.saturation, alive
        )

    def search(
        self,
        query: Sequence[tuple[int, int]] | Bm25Groups,
        k: int,
        *,
        mask: NDArray[np.bool_] | None,
        keys: Keys,
    ) -> Ranking:
        """The first k rows by score, then by key, of those that hold a term of the query.

        Scores are summed in float64 in the order of the query and rounded once to float32.

        Args:
            query: (term number, count in the query), in the order of the terms' texts; or what
                `grouped` made.
            k: the largest number of hits.
            mask: (n,) the slots that may be found; None for all.
            keys: primary keys by slot, int64 or objects of type str.

        Returns:
            Slots and scores, best first; exactly min(k, matching rows) of them.

        Raises:
            ParamError: an argument is out of range, or not of the index's size.
        """
        check_search("Bm25Index.search", self.n, k, mask, keys)
        if isinstance(query, Bm25Groups):
            return query.search(k, mask, keys)
        weighted = self._weigh(query)
        if not weighted.numbers:
            return np.empty(0, dtype=np.intp), np.empty(0)
        if mask is not None and np.count_nonzero(mask) <= _SELECTIVE:
            slots = np.flatnonzero(mask)
        else:
            slots = candidates(self.segments, weighted, k, self.n, mask)
        scores = exact_scores(self.segments, weighted, slots)
        slots, scores = top_hits(slots, scores, k, keys, descending=True)
        held = int(np.count_nonzero(scores))  # rows without any of the terms are the last
        return slots[:held], scores[:held]

    def search_many(
        self,
        queries: Sequence[Sequence[tuple[int, int]] | Bm25Groups],
        k: int,
        *,
        mask: NDArray[np.bool_] | None,
        keys: Keys,
    ) -> list[Ranking]:
        """`search` for each query; equal to the searches one by one."""
        # One after the other: calls this short keep the interpreter's lock, and two threads take
        # longer than one. A product of sparse matrices would read every list in full.
        return [self.search(query, k, mask=mask, keys=keys) for query in queries]

    def judge(
        self, query: Sequence[tuple[int, int]] | Bm25Groups, unknown: int, slots: NDArray[np.intp]
    ) -> tuple[NDArray[np.float64], float, float]:
        """What the scores of some rows are worth, by what all rows would have.

        Args:
            query: as in `search`.
            unknown: how many further terms the query has, which no number stands for.
            slots: (m,) ascending.

        Returns:
            scores: (m,) as `search` gives them; 0 for a row without any of the terms.
            deviation: about the standard deviation of the scores of all rows:
                1.2 √Σ (½ (k1 + 1) n idf)² p (1 - p), p the share of the rows that hold the term,
                a term of all rows being counted as if half a row lacked it. Where other texts add
                to the scores (`Bm25Groups.beside`), the root of the sum of both variances.
            possible: what a row scores at most, if no term is unknown: Σ n idf (k1 + 1).
        """
        known: QueryTerms | Bm25Groups
        spread = further = 0.0
        if isinstance(query, Bm25Groups):
            known, words, scores = query, query.words, query.scores[slots]
            spread, further = query.spread, query.further
        else:
            known, words = self._weigh(query), sum(count for _, count in query)
            none = np.zeros(len(slots))
            scores = exact_scores(self.segments, known, slots) if known.idfs else none
        rows, most = self.documents, self.saturation.k1 + 1
        factors = [i * n * most for i, n in zip(known.idfs, known.counts, strict=True)]
        # A term that no row holds has the idf ln(1 + (N + ½) / ½).
        missing = unknown + words - sum(known.counts)
        possible = sum(factors) + missing * math.log(2 * rows + 2) * most + further
        # A word that all rows hold would vary by nothing, and outweigh all else by its length.
        shares = [min(held, rows - 0.5) / rows for held in known.frequencies]
        parts = [(f / 2) ** 2 * p * (1 - p) for f, p in zip(factors, shares, strict=True)]
        return scores, math.sqrt(1.44 * sum(parts) + spread), possible

    def matching(self, terms: Sequence[int], minimum: int = 1) -> NDArray[np.bool_]:
        """(n,) mask of the slots that hold at least ``minimum`` of the distinct terms.

        Raises:
            ParamError: minimum is below 1, or a term number out of range.
        """
        if minimum < 1:
            raise ParamError(f"Bm25Index.matching: minimum is {minimum}; ask for at least 1 term")
        numbers = np.unique(_term_numbers(terms))
        held = np.zeros(self.n, dtype=np.int32)
        for segment in self.segments:
            part = held[segment.postings.base :]
            for begin, end in segment.postings.ranges(numbers).tolist():
                np.add.at(part, segment.postings.slots[begin:end], np.int32(1))
        return held >= minimum

    def _weigh(self, query: Sequence[tuple[int, int]]) -> QueryTerms:
        """The query's known terms, with their weights and their lists."""
        numbers = [number for number, _ in query]
        lowest = min((count for _, count in query), default=1)
        if lowest < 1:
            raise ParamError(
                f"BM25 query: a term occurs {lowest:g} times; leave out what does not occur"
            )
        terms = _term_numbers(numbers)
        lists = [segment.postings.ranges(terms).tolist() for segment in self.segments]
        frequency = [0] * len(numbers)
        for part in lists:
            lengths = [end - begin for begin, end in part]
            frequency = list(map(add, frequency, lengths))
        for gone in self.removed:
            frequency = list(map(sub, frequency, gone.look_up(terms).tolist()))
        known = [place for place, df in enumerate(frequency) if df > 0]
        rows, held = self.documents, [frequency[place] for place in known]
        return QueryTerms(
            numbers=[numbers[place] for place in known],
            idfs=[idf(rows, df) for df in held],
            counts=[query[place][1] for place in known],
            frequencies=held,
            lists=[[part[place] for place in known] for part in lists],
            average=self.average_length,
            saturation=self.saturation,
        )

    def _check_removed(self, slots: NDArray[np.intp], lengths: NDArray[np.int64]) -> None:
        """Compare lengths: cheap, and it finds rows of other slots before they spoil the totals."""
        if slots.shape != lengths.shape:
            raise ParamError(
                f"Bm25Index.remove: slots of shape {slots.shape} for {lengths.size} rows; "
                "give one slot for each row"
            )
        if slots.size and not 0 <= slots.min() <= slots.max() < self.n:
            raise ParamError(
                f"Bm25Index.remove: slots from {slots.min()} to {slots.max()}; "
                f"the index has slots 0 to {self.n - 1}"
            )
        for segment in self.segments:
            local = slots - segment.postings.base
            here = (local >= 0) & (local < segment.postings.rows)
            if np.any(segment.lengths[local[here]] != lengths[here]):
                raise ParamError(
                    "Bm25Index.remove: a row is longer or shorter than what its slot holds; "
                    "give the rows as they were appended"
                )


def _term_numbers(terms: Sequence[int]) -> NDArray[np.uint32]:
    if terms and not 0 <= min(terms) <= max(terms) <= _MAX_TERM:
        raise ParamError(
            f"BM25: term numbers from {min(terms)} to {max(terms)}; "
            f"they must be between 0 and {_MAX_TERM}"
        )
    return np.array(terms, dtype=np.uint32)


def _check_counts(rows: SparseRows) -> None:
    if rows.weights.dtype.kind != "u":
        raise ParamError(
            f"Bm25Index: counts are of type {rows.weights.dtype}; give unsigned integers"
        )
    if rows.weights.size and not rows.weights.all():
        raise ParamError("Bm25Index: a count is 0; leave out terms that a row does not hold")
