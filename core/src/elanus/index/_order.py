"""The one order of hits: by score, then by primary key."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Keys: TypeAlias = NDArray[np.int64] | NDArray[np.object_]
"""Primary keys by slot: int64, or an object array of str."""


def top_order(
    scores: NDArray[np.float64], keys: Keys, *, descending: bool = True
) -> NDArray[np.intp]:
    """Sort hits best first; equal scores by primary key, ascending.

    Args:
        scores: shape ``(m,)``, without NaN.
        keys: shape ``(m,)``; integers compare as numbers, strings by code point.
        descending: True when a higher score is better.

    Returns:
        The permutation, shape ``(m,)``.
    """
    ranks = -scores if descending else scores
    order = np.argsort(ranks, kind="stable")
    ordered = ranks[order]
    if (ordered[1:] != ordered[:-1]).all():
        return order
    # Two stable sorts: `lexsort` takes no object arrays.
    by_key = np.argsort(keys, kind="stable")
    return by_key[np.argsort(ranks[by_key], kind="stable")]


def top_hits(
    slots: NDArray[np.intp],
    scores: NDArray[np.float64],
    k: int,
    keys: Keys,
    *,
    descending: bool,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The first ``k`` hits of `top_order`, as slots and scores.

    Args:
        slots: shape ``(m,)``, where the hits live.
        scores: shape ``(m,)``.
        k: how many at most.
        keys: primary keys of *every* slot, shape ``(n,)``.
        descending: True when a higher score is better.
    """
    if len(slots) > 4 * k:
        # Keys, which may be Python strings, are then compared among few.
        ranks = -scores if descending else scores
        kept = np.flatnonzero(ranks <= np.partition(ranks, k - 1)[k - 1])
        slots, scores = slots[kept], scores[kept]
    best = top_order(scores, keys[slots], descending=descending)[:k]
    return slots[best], scores[best]
