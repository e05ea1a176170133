"""Where the terms of a phrase stand side by side, in many texts at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def holding(
    rows: NDArray[np.int64],
    terms: NDArray[np.int64],
    phrase: Sequence[int],
    slop: int,
    height: int,
) -> NDArray[np.bool_]:
    """Which rows hold a phrase.

    Every term of the phrase has an occurrence of its own, at a distance from its place in the
    phrase that is the same for all, or differs by ``slop`` at most (which is how Lucene counts: a
    term between two others is one step, and two neighbours that change places are two).

    Args:
        rows: (n,) row of each term; those of one row are neighbours.
        terms: (n,) number of each term, in the order of the text.
        phrase: the numbers of its terms, one or more.
        slop: 0 for terms one right behind the other.
        height: number of rows.

    Returns:
        (height,) mask.
    """
    places = {number: np.flatnonzero(terms == number) for number in set(phrase)}
    # Where the phrase may begin: what the first of its terms that stands too early says.
    shifts = [places[number] - at for at, number in enumerate(phrase)][: None if slop else 1]
    begins = np.concatenate(shifts)
    owners = rows[np.concatenate([places[number] for number in phrase[: len(shifts)]])]
    changes = np.flatnonzero(np.diff(rows, prepend=-1))
    first_of, end_of = np.zeros((2, height), dtype=np.int64)
    first_of[rows[changes]], end_of[rows[changes]] = changes, np.append(changes[1:], len(rows))
    firsts, ends = first_of[owners], end_of[owners]
    holds, last = np.ones(len(begins), dtype=bool), dict.fromkeys(places, firsts - 1)
    for at, number in enumerate(phrase):
        # The earliest place that is free: all may stray equally far, so it never is in the way.
        lowest = np.maximum(np.maximum(begins + at, firsts), last[number] + 1)
        found = np.searchsorted(places[number], lowest)
        holds &= found < len(places[number])
        if not holds.any():
            break
        chosen = places[number].take(found, mode="clip")
        holds &= (chosen <= begins + at + slop) & (chosen < ends)
        last[number] = chosen
    mask = np.zeros(height, dtype=bool)
    mask[owners[holds]] = True
    return mask
