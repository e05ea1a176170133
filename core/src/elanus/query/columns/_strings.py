"""The dictionary of a column's distinct strings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


class Strings:
    """Distinct strings, numbered in the order of their arrival; only ever grows.

    All versions of a column share one dictionary: an older version just never uses the newer
    codes. One writer at a time may call ``encode``; readers need no lock.

    Args:
        texts: the first strings, by code, which should be all different.
    """

    __slots__ = ("_array", "_codes", "_texts")

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._texts = [*texts]
        self._codes = dict(zip(self._texts, range(len(self._texts)), strict=True))
        self._array: NDArray[Any] = np.empty(0, dtype=np.dtypes.StringDType())

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, code: int) -> str:
        return self._texts[code]

    @property
    def are_distinct(self) -> bool:
        """Whether no two strings are equal, as none are but for a fault in those first given."""
        return len(self._codes) == len(self._texts)

    def encode(self, values: Sequence[str]) -> NDArray[np.int32]:
        """Return the codes of the values, int32 of the same length; new strings are added."""
        for text in dict.fromkeys(values):
            if text not in self._codes:
                # The text first: whoever finds a code must find its text.
                self._texts.append(text)
                self._codes[text] = len(self._texts) - 1
        return np.fromiter(map(self._codes.__getitem__, values), np.int32, len(values))

    def code(self, text: str) -> int | None:
        """Return the code of a string, or None if no slot ever held it."""
        return self._codes.get(text)

    def codes(self, texts: Iterable[str]) -> list[int]:
        """Return the codes of those strings that are known; the others are left out."""
        known = self._codes
        return [known[text] for text in texts if text in known]

    def texts(self) -> list[str]:
        """Return all strings, by code."""
        return self._texts[:]

    def array(self) -> NDArray[Any]:
        """Return all strings by code, as numpy's ``StringDType``, which orders by code point."""
        array = self._array
        if len(array) < len(self._texts):
            more = np.array(self._texts[len(array) :], dtype=np.dtypes.StringDType())
            # Two readers may both do this; either result is complete.
            array = self._array = np.concatenate([array, more])
        return array
