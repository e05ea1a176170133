"""Runs of characters with gaps, and the search for one in linear time."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Final

import numpy as np

from elanus.schema import computed_once

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

# A regular expression takes up to as many steps at each character as the run is long.
_SHORT: Final = 128
_LEAST_BLOCK: Final = 4096


class Run:
    """What stands between two ``%`` of a pattern.

    Attributes:
        size: number of characters that it takes.
        texts: the pieces without gaps, in order.
    """

    def __init__(self, texts: list[str], starts: list[int], size: int) -> None:
        self.size = size
        self.texts = texts
        self._starts = starts
        self._pieces = list(zip(starts, texts, strict=True))

    @classmethod
    def of(cls, parts: Iterable[str | int]) -> Run:
        """Return a run of texts and gaps, these given by their widths."""
        texts: list[str] = []
        starts: list[int] = []
        size = 0
        for is_text, group in groupby(parts, lambda part: isinstance(part, str)):
            if is_text:
                text = "".join(map(str, group))
                texts.append(text)
                starts.append(size)
                size += len(text)
            else:
                size += sum(map(int, group))
        return cls(texts, starts, size)

    @property
    def has_gaps(self) -> bool:
        """Whether any character may stand somewhere in the run."""
        return self.size > sum(map(len, self.texts))

    def stands_at(self, text: str, at: int) -> bool:
        """Return whether the run fits at a place that has room for it."""
        pieces = self._pieces
        return not pieces or all(text.startswith(piece, at + start) for start, piece in pieces)

    def find(self, text: str, start: int) -> int:
        """Return the first place from ``start`` where the run fits, or -1."""
        if len(self._pieces) > 1 and self.size > _SHORT:
            return self._correlation.find(text, start)
        if len(self._pieces) > 1:
            match = self._regex.search(text, start)
            return -1 if match is None else match.start()
        lead, piece = self._pieces[0] if self._pieces else (0, "")
        at = text.find(piece, start + lead) - lead
        return at if start <= at <= len(text) - self.size else -1

    @computed_once
    def _regex(self) -> re.Pattern[str]:
        parts: list[str] = []
        at = 0
        for start, piece in self._pieces:
            parts += "." * (start - at), re.escape(piece)
            at = start + len(piece)
        return re.compile("".join([*parts, "." * (self.size - at)]), re.DOTALL)

    @computed_once
    def _correlation(self) -> Correlation:
        return Correlation(self.size, self._starts, self.texts)


class Correlation:
    """A run as signals of +1 and -1, one for each bit of a character's number, 0 in the gaps.

    The correlation with the signals of a text, summed over the bits, reaches its highest value
    where every character is the right one. By the Fourier transform it takes n log n steps for all
    places together, whatever the characters (Fischer and Paterson, 1974). Its values are whole
    numbers far below 2**53, so rounding does no harm.
    """

    def __init__(self, size: int, starts: list[int], texts: list[str]) -> None:
        places = np.concatenate([np.arange(len(t)) + s for s, t in zip(starts, texts, strict=True)])
        letters = _codes("".join(texts))
        self._letters = np.unique(letters)
        # Number 0 is for what is not in the run: its signals are 0.
        bits = max(1, (len(self._letters) - 1).bit_length())
        numbers = np.arange(len(self._letters))
        self._signals = np.where(numbers >> np.arange(bits)[:, None] & 1, 1.0, -1.0)
        self._size = size
        self._highest = bits * len(letters)
        self._block = max(_LEAST_BLOCK, 1 << (4 * size - 1).bit_length())
        signals = np.zeros((bits, size))
        signals[:, places] = self._of(letters)
        self._spectra = np.fft.rfft(signals, self._block).conj()

    def find(self, text: str, start: int) -> int:
        """Return the first place from ``start`` where the run fits, or -1."""
        step, stop = self._block - self._size + 1, len(text) - self._size + 1
        for at in range(start, stop, step):
            signals = self._of(_codes(text[at : at + self._block]))
            product = (np.fft.rfft(signals, self._block) * self._spectra).sum(0)
            # Gaps at the end of the run could reach beyond the text.
            sums = np.fft.irfft(product, self._block)[: min(step, stop - at)]
            hits = np.flatnonzero(sums > self._highest - 0.5)
            if len(hits):
                return at + int(hits[0])
        return -1

    def _of(self, codes: NDArray[np.uint32]) -> NDArray[np.float64]:
        numbers = np.searchsorted(self._letters, codes).clip(max=len(self._letters) - 1)
        return np.asarray(self._signals[:, numbers] * (self._letters[numbers] == codes))


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), "<u4")
