"""The one order of hits: by score, equal scores by primary key; and what each search checks.

Fused hits have it too. Only what orders them once more breaks ties by rank: MMR, and a reranker of
`documents`.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from elanus.errors import ParamError

Keys: TypeAlias = NDArray[np.int64] | NDArray[np.object_]
"""Primary keys by slot: int64, or an object array of str."""

Ranking: TypeAlias = tuple[NDArray[np.intp], NDArray[np.float64]]
"""Slots and scores of hits, best first."""

_GROUPS: Final = 1024
"""At least so many groups, and eight for each of the k: few of the best then share one."""


def check_search(what: str, n: int, k: int, mask: NDArray[np.bool_] | None, keys: Keys) -> None:
    """Refuse arguments of a search that do not fit an index of n slots.

    Raises:
        ParamError: k is below 1, or mask or keys are not one entry a slot.
    """
    if k < 1:
        raise ParamError(f"{what}: k is {k}; ask for at least 1 hit")
    if mask is not None and (mask.shape != (n,) or mask.dtype != np.bool_):
        raise ParamError(
            f"{what}: the mask has shape {mask.shape} and type {mask.dtype}; "
            f"give one bool for each of the {n} slots"
        )
    if len(keys) < n:
        raise ParamError(f"{what}: {len(keys)} keys for {n} slots; give one key a slot")


def top_hits(
    slots: NDArray[np.intp],
    scores: NDArray[np.float64],
    k: int,
    keys: Keys,
    *,
    descending: bool,
) -> Ranking:
    """The first ``k`` hits, best first; equal scores by primary key, ascending.

    Integer keys compare as numbers, strings by code point.

    Args:
        slots: shape ``(m,)``, where the hits live.
        scores: shape ``(m,)``, without NaN.
        k: how many at most.
        keys: primary keys of *every* slot, shape ``(n,)``.
        descending: True when a higher score is better.
    """
    ranks = -scores if descending else scores
    if len(slots) > 4 * k:
        # All that tie with the k-th stay. Keys, which may be Python strings, then are compared
        # among few.
        kept = (ranks <= np.partition(ranks, k - 1)[k - 1]).nonzero()[0]
        slots, scores, ranks = slots[kept], scores[kept], ranks[kept]
    order = ranks.argsort(kind="stable")
    ordered = ranks[order]
    if (ordered[1:] == ordered[:-1]).any():
        # Two stable sorts, the lesser criterion first: `lexsort` takes no object arrays.
        by_key = np.argsort(keys[slots], kind="stable")
        order = by_key[np.argsort(ranks[by_key], kind="stable")]
    best = order[:k]
    return slots[best], scores[best]


def kth_bound(values: NDArray[Any], k: int) -> float:
    """A lower bound, usually close, of the k-th largest value; -inf if there are fewer than k.

    The values are dealt into groups, and the k-th best of the groups' maxima taken: at least k
    groups hold a value that good. A fifth of the time of a partition of all values.
    """
    if k > values.size:
        return -np.inf
    groups = max(_GROUPS, 8 * k)
    if values.size >= 4 * groups:
        whole = values.size - values.size % groups
        values = values[:whole].reshape(-1, groups).max(axis=0)
    return float(np.partition(values, values.size - k)[values.size - k])
