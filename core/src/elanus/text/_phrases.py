"""Where the terms of a phrase stand side by side, in many texts at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_Places = NDArray[np.int64]

# Comparisons for each term of the texts, beyond which sorting these costs less.
_FEW = 64


def holding(
    rows: _Places, terms: _Places, phrase: Sequence[int], slop: int, height: int
) -> NDArray[np.bool_]:
    """Which rows hold a phrase.

    Every term of the phrase has an occurrence of its own, at a distance from its place in the
    phrase that is the same for all, or differs by ``slop`` at most (which is how Lucene counts: a
    term between two others is one step, and two neighbours that change places are two).

    Without slop this takes O(n log n log m) steps, of n terms and a phrase of m. With slop O(n log
    n), and O(n log n) more for each term of the phrase that it has twice or more often.

    Args:
        rows: (n,) row of each term; those of one row are neighbours.
        terms: (n,) number of each term, in the order of the text.
        phrase: the numbers of its terms, one or more.
        slop: 0 for terms one right behind the other.
        height: number of rows.

    Returns:
        (height,) mask.
    """
    wanted = np.asarray(phrase, dtype=np.int64)
    known = np.isin(terms, wanted)
    # Each row that is left has as many terms as the phrase, so that neither the phrase nor room for
    # it before each row is longer than all rows together.
    kept = (np.bincount(rows[known], minlength=height) >= len(wanted))[rows]
    rows, terms = rows[kept], terms[kept]
    mask = np.zeros(height, dtype=bool)
    if slop and rows.size:
        mask[_scattered(rows, terms, wanted, min(slop, 2 * len(terms)))] = True
    elif rows.size:
        mask[rows[side_by_side(rows, terms, wanted)]] = True
    return mask


# --- without slop --------------------------------------------------------------------------------


def side_by_side(rows: _Places, terms: _Places, wanted: _Places) -> _Places:
    """The places at which a phrase begins, none of which reaches into another row.

    Args:
        rows: (n,) as for `holding`.
        terms: (n,) likewise.
        wanted: (m,) the numbers of the phrase's terms, 1 to n.
    """
    size = len(wanted)
    begins: _Places = np.flatnonzero(terms[: len(terms) - size + 1] == wanted[0])
    begins = begins[rows[begins] == rows[begins + size - 1]]
    if begins.size * size > _FEW * len(terms):
        return begins[_same_blocks(terms, wanted, begins)]
    for at, number in enumerate(wanted):
        begins = begins[terms[begins + at] == number]
    return begins


def _same_blocks(terms: _Places, wanted: _Places, begins: _Places) -> NDArray[np.bool_]:
    """Whether the phrase stands at some places, by numbering blocks of 1, 2, 4, … terms.

    Blocks are equal if the numbers of their halves are (Karp, Miller and Rosenberg, 1972).
    """
    size, phrase = 1, len(terms)
    names = np.unique(np.concatenate([terms, wanted]), return_inverse=True)[1]
    while 2 * size <= len(wanted):
        pairs = names[:-size] * (phrase + len(wanted)) + names[size:]
        names, size = np.unique(pairs, return_inverse=True)[1], 2 * size
    rest = len(wanted) - size
    same: NDArray[np.bool_] = names == names[phrase]
    same_end: NDArray[np.bool_] = names == names[phrase + rest]
    return same[begins] & same_end[begins + rest]


# --- with slop -----------------------------------------------------------------------------------


def _scattered(rows: _Places, terms: _Places, wanted: _Places, slop: int) -> _Places:
    """The rows that hold the phrase."""
    # All is on a line on which there is room before each row, since the phrase may begin there.
    is_first = np.diff(rows, prepend=-1) != 0
    firsts, owner = np.flatnonzero(is_first), np.cumsum(is_first) - 1
    room = min(slop, len(wanted) - 1)
    borders = np.append(firsts, len(terms)) + room * np.arange(len(firsts) + 1)
    line = np.arange(len(terms)) + room * (owner + 1)
    numbers, at, counts = np.unique(wanted, return_index=True, return_counts=True)
    which = np.minimum(np.searchsorted(numbers, terms), len(numbers) - 1)
    known = numbers[which] == terms

    single = np.flatnonzero(known & (counts[which] == 1))
    single = single[np.argsort(which[single], kind="stable")]
    stops = line[single] - at[which[single]] + 1
    covered = _covered(which[single], stops, borders[owner[single]], slop, borders[-1])
    begins = np.flatnonzero(covered == (counts == 1).sum())
    none = borders[-1] + len(wanted)  # behind all
    for number in np.flatnonzero(counts > 1):
        places = line[known & (which == number)]
        offsets = np.flatnonzero(wanted == numbers[number])
        ends = borders[np.searchsorted(borders, begins, side="right")]
        begins = _with_enough(np.append(places, none), offsets, begins, ends, slop)
    return rows[firsts[np.searchsorted(borders, begins, side="right") - 1]]


def _covered(terms: _Places, stops: _Places, lows: _Places, slop: int, size: int) -> _Places:
    """For how many terms the phrase may begin at each place; each stands in it once.

    Args:
        terms: (n,) term of each occurrence, in the order of terms and then of places.
        stops: (n,) behind the last begin for which the occurrence is where its term may be.
        lows: (n,) begin of the occurrence's row.
        slop: as for `holding`.
        size: number of places.
    """
    starts = np.maximum(stops - slop - 1, lows)
    # What the occurrence before has covered for the same term.
    again = np.flatnonzero(terms[1:] == terms[:-1]) + 1
    starts[again] = np.maximum(starts[again], stops[again - 1])
    some = starts < stops
    starting = np.bincount(starts[some], minlength=size + 1)
    stopping = np.bincount(stops[some], minlength=size + 1)
    return np.cumsum(starting - stopping)[:size]


def _with_enough(
    places: _Places, offsets: _Places, begins: _Places, ends: _Places, slop: int
) -> _Places:
    """The begins for which a term has an occurrence of its own for each of its offsets.

    Args:
        places: of the occurrences; the last stands for none.
        offsets: the term's places in the phrase.
        begins: where the phrase may begin.
        ends: for each of them the end of its row.
        slop: as for `holding`.
    """
    last = np.full(len(begins), -1)
    # The first place from each point of the line on.
    following = np.searchsorted(places, np.arange(begins.max(initial=0) + offsets[-1] + 1))
    for offset in offsets:
        # The earliest place that is free: all may stray equally far, so it never is in the way.
        last = np.maximum(following[begins + offset], last + 1)
        holds = places[last] < np.minimum(ends, begins + offset + slop + 1)
        if not holds.all():
            begins, ends, last = begins[holds], ends[holds], last[holds]
    return begins
