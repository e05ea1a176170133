"""Which terms of a text field the words of a query stand for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elanus.engine._snapshot import Snapshot
from elanus.index import Bm25Groups, Bm25Index
from elanus.text import LEAST_LETTERS


@dataclass(frozen=True, slots=True)
class Grouping:
    """How the words of a query stand for several terms of a text field.

    Attributes:
        snapshot: where it is asked.
        field: the text field.
        index: its terms.
        prefix: whether the last word also stands for those that begin with it.
        typos: whether a word that no row has also stands for those that one edit makes of it.
        beside: the terms of the other text fields, in which a word may also be.
    """

    snapshot: Snapshot
    field: str
    index: Bm25Index
    prefix: bool
    typos: bool
    beside: Mapping[str, Bm25Index]

    def of(self, text: str) -> tuple[list[tuple[int, int]] | Bm25Groups, int]:
        """The words of a query, in the order of their text, and how many stand for no term."""
        words, goes_on = self.words(text)
        if not goes_on and all(len(numbers) <= 1 for numbers, _ in words):
            # Each word stands for itself: the faster search has the same scores.
            single = [(int(numbers[0]), count) for numbers, count in words if len(numbers)]
            return single, sum(count for numbers, count in words if not len(numbers))
        return self.index.grouped(words, self.snapshot.view.mask), 0

    def words(self, text: str) -> tuple[list[tuple[NDArray[np.uint32], int]], bool]:
        """The terms of each word and its count, in the order of text; whether the last goes on."""
        analyzer = self.snapshot.state.analyzers[self.field]
        if self.prefix:
            terms, last, start = analyzer.unfinished(text)
        else:
            terms, last, start = analyzer.query_tokens(text), "", ""
        counts = Counter(terms)
        known = self.snapshot.numbers(self.field, {*terms, last} - {""})
        words = [(self._terms(term, known, ""), counts[term]) for term in sorted(counts)]
        goes_on = bool(last or start)
        if goes_on:
            words.append((self._terms(last, known, start), 1))
        return words, goes_on

    def _terms(self, term: str, known: Mapping[str, int], start: str) -> NDArray[np.uint32]:
        """The numbers of a term, and of those that it stands for."""
        numbers = self._written(self.field, known, term, start)
        is_long = sum(map(str.isalpha, term)) >= LEAST_LETTERS
        if (
            self.typos
            and is_long
            and not self.index.document_frequency(numbers).any()
            and not self._is_beside(term, start)
        ):
            return self.snapshot.spellings(self.field).near(term)
        return numbers

    def _written(
        self, name: str, known: Mapping[str, int], term: str, start: str
    ) -> NDArray[np.uint32]:
        """The numbers that a field has for a term, and for those that begin with ``start``."""
        numbers = np.array([known[term]] if term in known else [], dtype=np.uint32)
        if not start:
            return numbers
        return np.union1d(numbers, self.snapshot.spellings(name).beginning_with(start))

    def _is_beside(self, term: str, start: str) -> bool:
        """Whether a row has a term, or a longer one, in another field."""
        for name, index in self.beside.items():
            known = self.snapshot.numbers(name, {term} - {""})
            if index.document_frequency(self._written(name, known, term, start)).any():
                return True
        return False


def terms_asked_for(
    snapshot: Snapshot, field: str, text: str, *, prefix: bool, typos: bool
) -> list[str]:
    """The terms of a text field by which a query finds rows, in the order of their numbers."""
    index = snapshot.part(snapshot.text_key(field)).index
    words, _ = Grouping(snapshot, field, index, prefix, typos, {}).words(text)
    none = np.zeros(0, dtype=np.uint32)
    numbers = np.unique(np.concatenate([none, *(found for found, _ in words)]))
    return snapshot.spellings(field).written(numbers)
