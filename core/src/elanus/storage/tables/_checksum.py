"""Checksums of what rows hold, by which damage shows that SQLite cannot see.

Each begins with a number that is of its row and column alone, so that what came from elsewhere is
noticed as well.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WORD = 2**32 - 1


def of_blobs(starts: NDArray[np.int64], blobs: Iterable[bytes]) -> list[int]:
    """CRC-32 of each BLOB."""
    return list(map(zlib.crc32, blobs, starts.tolist()))


def of_words(starts: NDArray[np.int64], words: NDArray[np.uint32]) -> list[int]:
    """Sums of 32-bit words, each times an odd number by its place.

    In one pass over an array that is there already; CRCs take nine times as long. As the numbers
    are odd, no bit that changed leaves the sum as it was.

    Args:
        starts: (n,) numbers to begin with.
        words: (n, w).
    """
    places = np.arange(words.shape[1], dtype=np.uint32)
    sums: NDArray[np.uint32] = np.einsum("ij,j->i", words, places * np.uint32(2) + np.uint32(1))
    found: list[int] = (sums + starts.astype(np.uint32)).tolist()
    return found


def of_keys(starts: NDArray[np.int64], keys: Sequence[Any]) -> list[int]:
    """Of primary keys: of the two words of a number, or of the UTF-8 of a text."""
    if keys and isinstance(keys[0], str):
        return of_blobs(starts, map(str.encode, keys))
    numbers = np.array(keys, dtype=np.int64)
    # As `of_words` of two words; einsum takes longer for so few.
    found: list[int] = ((numbers & _WORD) + (numbers >> 32 & _WORD) * 3 + starts & _WORD).tolist()
    return found
