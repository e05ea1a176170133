"""The distinct words of many ASCII texts at once, by numpy: no Python object for each word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LONGEST = 16
# What is left of eight bytes, the first in the lowest, of which so many belong to a word.
_MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)
# Odd and without a pattern, so that the second half of a word reaches all bits of its sum.
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_EDGE = "\n"


@dataclass(frozen=True, slots=True, eq=False)
class Scanned:
    """Words of m texts.

    Attributes:
        lengths: (m,) number of words of each text.
        numbers: number of each word, text after text.
        words: the words by number; hardly any occurs twice.
    """

    lengths: NDArray[np.int64]
    numbers: NDArray[np.uint32]
    words: list[str]


def scanner(separators: Iterable[str], trailing: str) -> NDArray[np.uint8]:
    """What `scan` needs to know of each ASCII character.

    Args:
        separators: characters that stand between words; the line feed is one.
        trailing: characters of words that say nothing at the end of one.
    """
    table = np.ones(128, dtype=np.uint8)
    table[[ord(c) for c in separators]] = 0
    table[[ord(c) for c in trailing]] = 2
    return table


def scan(texts: Sequence[str], table: NDArray[np.uint8]) -> Scanned:
    """Cut ASCII texts at separators, and number the words; one trailing character is dropped.

    Words of up to 16 characters are compared as two integers. They are sorted by a sum of both,
    which is all that a text without mischief needs; words that share a sum stand side by side, and
    whoever differs from its neighbour begins a new number, so that a collision costs at worst some
    numbers, and never mixes words.
    """
    whole = _EDGE + _EDGE.join(texts) + _EDGE * (_LONGEST + 1)
    characters = np.frombuffer(whole.encode("ascii"), dtype=np.uint8)
    starts, ends = _spans(table[characters])
    sizes = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    borders = np.searchsorted(starts, np.cumsum(sizes + 1))
    order, firsts = _grouped(characters, starts, ends - starts)
    numbers = np.empty(starts.size, dtype=np.uint32)
    numbers[order] = np.cumsum(firsts, dtype=np.uint32) - np.uint32(1)
    chosen = order[firsts]
    spans = zip(starts[chosen].tolist(), ends[chosen].tolist(), strict=True)
    words = [whole[start:end] for start, end in spans]
    return Scanned(np.diff(borders, prepend=0), numbers, words)


def _spans(kinds: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    inside = kinds != 0
    # The first and the last character are edges, so that starts and ends alternate.
    changes = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    starts, ends = changes[0::2], changes[1::2]
    ends = ends - (kinds[ends - 1] == 2)
    kept = ends > starts
    return starts[kept], ends[kept]


def _grouped(
    characters: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Places of words in an order in which equal ones are neighbours, and where each group begins.

    Words that are longer than what is compared make groups of their own.
    """
    size = characters.size - 7
    eights = np.ndarray((size,), dtype="<u8", buffer=characters, strides=(1,))
    low = eights[starts] & _MASKS[np.minimum(lengths, 8)]
    high = eights[starts + 8] & _MASKS[np.clip(lengths - 8, 0, 8)]
    order = np.argsort(low + high * _SPREAD)
    firsts = lengths[order] > _LONGEST
    firsts[:1] = True
    # By length, too: a short word may follow a long one that begins with it.
    for part in (low, high, lengths):
        ordered = part[order]
        firsts[1:] |= ordered[1:] != ordered[:-1]
    return order, firsts
