"""Fusion: one ranking out of several, by rank (RRF) or by normalised score (weighted)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from elanus.errors import ParamError
from elanus.schema import LegExplanation, Metric, RRFRanker, WeightedRanker


@dataclass(frozen=True, slots=True)
class RankedLeg:
    """The hits of one leg, best first.

    Attributes:
        name: the leg's name, for explanations.
        metric: what the scores mean.
        ids: any hashable identities of the hits.
        scores: the leg's own score of each.
    """

    name: str
    metric: Metric
    ids: Sequence[int]
    scores: Sequence[float]


@dataclass(frozen=True, slots=True)
class Fused:
    """A hit of a fused ranking.

    Attributes:
        id: its identity.
        score: its fused score; larger is better.
        legs: what each leg that found it said.
    """

    id: int
    score: float
    legs: tuple[LegExplanation, ...]


def _normal_cosine(score: float) -> float:
    return (1.0 + score) / 2.0


def _normal_ip(score: float) -> float:
    return 0.5 + math.atan(score) / math.pi


def _normal_bm25(score: float) -> float:
    return 2.0 * math.atan(score) / math.pi


def _normal_l2(distance: float) -> float:
    return 1.0 - 2.0 * math.atan(distance) / math.pi


NORMALISE: dict[Metric, Callable[[float], float]] = {
    Metric.COSINE: _normal_cosine,
    Metric.IP: _normal_ip,
    Metric.BM25: _normal_bm25,
    Metric.L2: _normal_l2,
}
"""A score of each metric mapped to [0, 1], larger is better, as Milvus's weighted ranker does."""


def fuse(legs: Sequence[RankedLeg], ranker: RRFRanker | WeightedRanker) -> list[Fused]:
    """Fuse legs into one ranking, in no particular order.

    RRF gives Σ wᵢ / (k + rankᵢ) with ranks from 1 (Cormack, Clarke and Büttcher, SIGIR 2009);
    the weighted ranker Σ wᵢ · normalised score. A leg that did not find a hit adds nothing.

    Raises:
        ParamError: if the number of weights is not that of the legs.
    """
    weights = ranker.weights or (1.0,) * len(legs)
    if len(weights) != len(legs):
        raise ParamError(
            f"{type(ranker).__name__}: {len(weights)} weights for {len(legs)} requests"
        )
    found: dict[int, list[LegExplanation]] = {}
    for leg, weight, part in zip(legs, weights, _parts(legs, ranker), strict=True):
        for rank, (id_, score) in enumerate(zip(leg.ids, leg.scores, strict=True), 1):
            said = LegExplanation(leg.name, score, rank, weight * part(rank, score))
            found.setdefault(id_, []).append(said)
    return [Fused(i, sum(s.contribution for s in said), tuple(said)) for i, said in found.items()]


def _parts(
    legs: Sequence[RankedLeg], ranker: RRFRanker | WeightedRanker
) -> list[Callable[[int, float], float]]:
    """For each leg, what rank and score are worth before the weight."""
    if isinstance(ranker, RRFRanker):
        k = ranker.k
        return [lambda rank, _: 1.0 / (k + rank)] * len(legs)
    mixed = len({leg.metric.higher_is_better for leg in legs}) > 1
    return [_by_score(leg.metric, normalised=ranker.norm_score, mixed=mixed) for leg in legs]


def _by_score(metric: Metric, *, normalised: bool, mixed: bool) -> Callable[[int, float], float]:
    if normalised:
        normal = NORMALISE[metric]
        return lambda _, score: normal(score)
    if metric is Metric.L2:
        # Raw distances among themselves: smaller is better. Beside similarities: turned round.
        return (lambda _, score: _normal_l2(score)) if mixed else (lambda _, score: -score)
    return lambda _, score: score
