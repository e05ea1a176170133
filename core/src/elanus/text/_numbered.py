"""The words of a batch of texts as numbers, so that the rest can be done for distinct words."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from elanus.text._scan import Scanned, scan

# Characters; below it a dict numbers the words faster than numpy sorts them.
_WORTH_A_SCAN = 20_000


def numbering() -> defaultdict[str, int]:
    """A dict that numbers its keys in the order in which they are first asked for."""
    return defaultdict(count().__next__)


def numbered_words(
    texts: Sequence[str], split: Callable[[str], list[str]], table: NDArray[np.uint8] | None
) -> tuple[NDArray[np.int64], NDArray[np.uint32], list[str]]:
    """Text and number of each of n words, and the words by number; one may have several numbers.

    The words of one text are neighbours; texts may come in another order.

    Args:
        texts: the texts.
        split: a text's words.
        table: for `scan`, which takes ASCII only; None to do without.
    """
    plain, others = _apart(texts, None if table is None else _WORTH_A_SCAN)
    by_dict = _with_dict([texts[row] for row in others.tolist()], split)
    rows = np.repeat(others, by_dict.lengths)
    if table is None or not plain.size:
        return rows, by_dict.numbers, by_dict.words
    found = scan([texts[row] for row in plain.tolist()], table)
    return (
        np.concatenate([rows, np.repeat(plain, found.lengths)]),
        np.concatenate([by_dict.numbers, found.numbers + np.uint32(len(by_dict.words))]),
        by_dict.words + found.words,
    )


def _apart(texts: Sequence[str], worth: int | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the ASCII texts, if they have so many characters together, and of the others."""
    is_plain = np.fromiter(map(str.isascii, texts), dtype=bool, count=len(texts))
    sizes = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    if worth is None or sizes[is_plain].sum() < worth:
        is_plain[:] = False
    return np.flatnonzero(is_plain), np.flatnonzero(~is_plain)


def _with_dict(texts: Sequence[str], split: Callable[[str], list[str]]) -> Scanned:
    known = numbering()
    numbers, lengths = array("I"), array("q")
    for text in texts:
        words = split(text)
        numbers.extend(map(known.__getitem__, words))
        lengths.append(len(words))
    return Scanned(
        np.asarray(lengths, dtype=np.int64), np.asarray(numbers, dtype=np.uint32), list(known)
    )
