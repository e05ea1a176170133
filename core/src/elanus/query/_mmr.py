"""Maximal marginal relevance: results that answer the query and are unlike each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mmr(
    relevance: NDArray[np.float64], candidates: NDArray[np.float32], k: int, lambda_mult: float
) -> list[int]:
    """Choose ``min(k, n)`` of the candidates, one after another.

    The first is the most relevant; each further one maximises
    λ · relevance(d) - (1 - λ) · max over the chosen c of cos(c, d). Of equals the one that
    stands first among the candidates is taken. Carbonell and Goldstein, *The Use of MMR,
    Diversity-Based Reranking for Reordering Documents and Producing Summaries* (SIGIR 1998).

    Args:
        relevance: (n,) of each candidate, on about the scale of a cosine.
        candidates: (n, dim) vectors, by rank; the cosine with a zero vector is 0.
        k: how many to choose.
        lambda_mult: λ, from 0 (only unlike each other) to 1 (only relevant).

    Returns:
        Positions among the candidates, in the order of the choice.
    """
    if not len(candidates):
        return []
    units = _units(candidates)
    chosen = [int(np.argmax(relevance))]
    like = _cosines(units, units[chosen[0]])
    while len(chosen) < min(k, len(units)):
        worth = lambda_mult * relevance - (1.0 - lambda_mult) * like
        worth[chosen] = -np.inf
        chosen.append(int(np.argmax(worth)))
        like = np.maximum(like, _cosines(units, units[chosen[-1]]))
    return chosen


def _units(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    lengths = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
    return wide / np.where(lengths > 0, lengths, 1.0)


def _cosines(units: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    # Not a matrix product: BLAS may sum two equal rows in different ways, and break their tie.
    cosines: NDArray[np.float64] = (units * other).sum(axis=1)
    return cosines
