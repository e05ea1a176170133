"""Fusion by rank (RRF), or by scores that are scaled by a rule or by what each leg has found.

Hits are put in order by these scores as all others are: `top_hits` of the index.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from elanus.errors import ParamError
from elanus.query._reasons import by_evidence, by_rule
from elanus.schema import (
    CombMNZRanker,
    LegExplanation,
    Metric,
    RRFRanker,
    ScaledRanker,
    WeightedRanker,
    ZScoreRanker,
    computed_once,
)

if TYPE_CHECKING:
    from elanus.query._adaptive import Evidence

ListRanker: TypeAlias = RRFRanker | WeightedRanker | ScaledRanker
"""Rankers that need no more than what the legs have found."""


@dataclass(frozen=True)
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

    @computed_once
    def places(self) -> dict[int, int]:
        """Where among the hits each one stands, counted from 0."""
        return {id_: place for place, id_ in enumerate(self.ids)}


@dataclass(frozen=True, eq=False)
class Fusion:
    """Several rankings made one.

    Attributes:
        legs: the rankings.
        parts: what each leg's hits contribute, in the order of the hits.
        ids: (n,) what any leg found.
        scores: (n,) fused scores; larger is better.
        ranker: the rule.
        judged: what each leg says of each of them in ascending order, for explanations; empty if
            that is not known.
    """

    legs: Sequence[RankedLeg]
    parts: Sequence[Sequence[float]]
    ids: NDArray[np.intp]
    scores: NDArray[np.float64]
    ranker: ListRanker
    judged: Sequence[Evidence] = ()

    def explain(self, id_: int) -> tuple[LegExplanation, ...]:
        """What each leg that found a hit said of it; the contributions add up to its score."""
        said = []
        weights = self.ranker.weights or (1.0,) * len(self.legs)
        for number, leg in enumerate(self.legs):
            place = leg.places.get(id_)
            if place is not None:
                score, part = leg.scores[place], self.parts[number][place]
                words = [by_rule(self.ranker, leg, weights[number], place, part)]
                if self.judged:
                    among = int(np.searchsorted(self._ascending, id_))
                    words.append(by_evidence(self.judged[number], among))
                reason = "; ".join(filter(None, words))
                said.append(LegExplanation(leg.name, score, place + 1, part, reason))
        return tuple(said)

    @computed_once
    def _ascending(self) -> NDArray[np.intp]:
        return np.sort(self.ids)


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


def fuse(legs: Sequence[RankedLeg], ranker: ListRanker) -> Fusion:
    """Fuse legs into one ranking.

    RRF gives Σ wᵢ / (k + rankᵢ) with ranks from 1 (Cormack, Clarke and Büttcher, SIGIR 2009);
    the others Σ wᵢ · scaled score, CombMNZ that times the number of legs that found the hit. A leg
    that did not find a hit adds nothing.

    Raises:
        ParamError: if the number of weights is not that of the legs.
    """
    weights = ranker.weights or (1.0,) * len(legs)
    if len(weights) != len(legs):
        raise ParamError(
            f"{type(ranker).__name__}: {len(weights)} weights for {len(legs)} requests"
        )
    parts = _parts(legs, ranker, weights)
    totals: dict[int, float] = {}
    so_far = totals.get
    for leg, contributed in zip(legs, parts, strict=True):
        hits = zip(leg.ids, contributed, strict=True)
        totals.update([(id_, so_far(id_, 0.0) + part) for id_, part in hits])
    ids = np.fromiter(totals, dtype=np.intp, count=len(totals))
    return Fusion(legs, parts, ids, np.fromiter(totals.values(), np.float64, len(totals)), ranker)


def _parts(
    legs: Sequence[RankedLeg], ranker: ListRanker, weights: Sequence[float]
) -> list[list[float]]:
    if isinstance(ranker, RRFRanker):
        return [_by_rank(leg, w, ranker.k) for leg, w in zip(legs, weights, strict=True)]
    if isinstance(ranker, WeightedRanker):
        return _by_score(legs, weights, normalised=ranker.norm_score)
    scale = _in_deviations if isinstance(ranker, ZScoreRanker) else _from_last_to_first
    parts = [[w * s for s in scale(leg)] for leg, w in zip(legs, weights, strict=True)]
    if isinstance(ranker, CombMNZRanker):
        legs_of = Counter(chain.from_iterable(leg.ids for leg in legs))
        found = zip(legs, parts, strict=True)
        parts = [
            [p * legs_of[i] for i, p in zip(leg.ids, part, strict=True)] for leg, part in found
        ]
    return parts


def _from_last_to_first(leg: RankedLeg) -> list[float]:
    """Scores from 0 for the leg's last hit to 1 for its first; 1 each if they are all alike."""
    if not leg.scores:
        return []
    first, last = leg.scores[0], leg.scores[-1]
    if first == last:
        return [1.0] * len(leg.scores)
    return [(score - last) / (first - last) for score in leg.scores]


def _in_deviations(leg: RankedLeg) -> list[float]:
    """Scores in standard deviations of the leg's hits, counted from its last hit."""
    scores = np.array(leg.scores)
    deviation = float(scores.std()) if len(scores) else 0.0
    if not deviation:
        return [1.0] * len(scores)
    sign = 1.0 if leg.metric.higher_is_better else -1.0
    standing: list[float] = (sign * (scores - scores[-1]) / deviation).tolist()
    return standing


def _by_rank(leg: RankedLeg, weight: float, k: float) -> list[float]:
    return [weight / (k + rank) for rank in range(1, len(leg.ids) + 1)]


def _by_score(
    legs: Sequence[RankedLeg], weights: Sequence[float], *, normalised: bool
) -> list[list[float]]:
    mixed = len({leg.metric.higher_is_better for leg in legs}) > 1
    parts = []
    for leg, weight in zip(legs, weights, strict=True):
        value = _worth(leg.metric, normalised=normalised, mixed=mixed)
        parts.append([weight * value(score) for score in leg.scores])
    return parts


def _worth(metric: Metric, *, normalised: bool, mixed: bool) -> Callable[[float], float]:
    """What a score is worth before the weight."""
    if normalised or (metric is Metric.L2 and mixed):
        return NORMALISE[metric]
    # Raw distances among themselves: smaller is better, so they are turned round.
    return float.__neg__ if metric is Metric.L2 else float
