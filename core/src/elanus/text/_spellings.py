"""The terms of a vocabulary by their spelling: those that begin with one, or are nearly one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Letters = NDArray[np.uint32]
"""Code points: (length,) of one term, (length, m) of m terms, a column each."""

LEAST_LETTERS = 4
"""A shorter term has too many neighbours that are other words."""


@dataclass(frozen=True, slots=True, eq=False)
class Spellings:
    """Numbered terms, laid out by length: a comparison with all of them is a few passes of numpy.

    Attributes:
        size: how many terms there are; they have the numbers from 0.
    """

    size: int = 0
    _by_length: dict[int, tuple[Letters, NDArray[np.uint32]]] = field(default_factory=dict)

    def extended(self, terms: Sequence[str]) -> Spellings:
        """These terms and others, which get the next numbers."""
        lengths = np.fromiter(map(len, terms), dtype=np.int64, count=len(terms))
        by_length = dict(self._by_length)
        for length in np.unique(lengths[lengths > 0]).tolist():
            places = np.flatnonzero(lengths == length)
            letters = _letters([terms[place] for place in places.tolist()], length)
            numbers = (self.size + places).astype(np.uint32)
            if length in by_length:
                before, known = by_length[length]
                letters = np.concatenate([before, letters], axis=1)
                numbers = np.concatenate([known, numbers])
            by_length[length] = letters, numbers
        return Spellings(self.size + len(terms), by_length)

    def written(self, numbers: NDArray[np.uint32]) -> list[str]:
        """The terms of some numbers, ascending and below ``size``, in their order."""
        found: dict[int, str] = {}
        for length, (letters, known) in self._by_length.items():
            places = np.flatnonzero(np.isin(known, numbers))
            spelled = np.ascontiguousarray(letters[:, places].T).view(f"<U{length}")
            found |= zip(known[places].tolist(), spelled.ravel().tolist(), strict=True)
        return [found[number] for number in sorted(found)]

    def beginning_with(self, start: str) -> NDArray[np.uint32]:
        """Numbers of the terms that begin with ``start``, one or more characters; ascending."""
        codes, found = _letters([start], len(start))[:, 0], [np.zeros(0, dtype=np.uint32)]
        for length, (letters, numbers) in self._by_length.items():
            if length >= len(codes):
                places = np.flatnonzero(letters[0] == codes[0])
                for row, code in zip(letters[1:], codes[1:], strict=False):
                    places = places[row[places] == code]
                found.append(numbers[places])
        return np.sort(np.concatenate(found))

    def near(self, term: str) -> NDArray[np.uint32]:
        """Numbers of the terms that one edit makes of a term, itself not among them; ascending.

        An edit adds a character, leaves one out, changes one, or swaps two neighbours.
        """
        codes, found = _letters([term], len(term))[:, 0], [np.zeros(0, dtype=np.uint32)]
        for length in range(len(term) - 1, len(term) + 2):
            if length in self._by_length:
                letters, numbers = self._by_length[length]
                found.append(numbers[_is_near(letters, codes)])
        return np.sort(np.concatenate(found))


def _is_near(letters: Letters, codes: Letters) -> NDArray[np.bool_]:
    """Which of m terms are one edit from a term that is as long, or a letter longer or shorter.

    They share a beginning and an end with it that leave out no more than the edit.
    """
    first = _shared(letters, codes)
    rest = min(len(letters), len(codes)) - first - _shared(letters[::-1], codes[::-1])
    if len(letters) != len(codes):
        near: NDArray[np.bool_] = rest <= 0
        return near
    near = rest == 1
    swapped = np.flatnonzero(rest == 2)
    at = first[swapped]
    near[swapped] = (letters[at, swapped] == codes[at + 1]) & (
        letters[at + 1, swapped] == codes[at]
    )
    return near


def _shared(letters: Letters, codes: Letters) -> NDArray[np.intp]:
    """(m,) how many letters each term has at its beginning in common."""
    same = np.ones(letters.shape[1], dtype=np.bool_)
    count = np.zeros(letters.shape[1], dtype=np.intp)
    for row, code in zip(letters, codes, strict=False):
        same &= row == code
        if not same.any():
            break
        count += same
    return count


def _letters(terms: Sequence[str], length: int) -> Letters:
    """(length, m) code points of m terms of one length."""
    table = np.array(terms, dtype=f"<U{length}").view(np.uint32)
    return np.ascontiguousarray(table.reshape(len(terms), length).T)
