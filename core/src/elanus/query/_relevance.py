"""Relevance: the estimated probability that a document answers the query.

A logistic model of evidence without a scale of its own, one for each kind of search, fitted on
judged collections and on questions that a collection does not answer: ``docs/ranking.md``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from elanus.query._adaptive import AdaptiveFusion, Evidence, Judgement, judge
from elanus.query._fusion import Fusion, RankedLeg, fuse
from elanus.schema import AdaptiveRanker, Ranker

Floats: TypeAlias = NDArray[np.float64]

_WEIGHT = AdaptiveRanker().weight
_RIVALS = 3
_FIRST = np.arange(_RIVALS + 1)
_FEW = 30  # vectors: less say too little of what is usual for any to stand out more surely
_BEST = 40  # candidates: a store has so many ranked, however few are asked for
_FAINT = 0.1  # deviations: less is no lead, even over nothing; it may be rounding
_ALIKE = 1e-4  # deviations: what stands no further apart may be one text that a model rounded twice
_PRECISE = 1e-12  # of a quantile, the last step to it; it squares what is wrong
_ROOT_2, _ROOT_2PI = math.sqrt(2.0), math.sqrt(2.0 * math.pi)
_UNKNOWN = 0.5  # what is left of the vectors' word where no word of the query is known


@dataclass(frozen=True, slots=True)
class _Model:
    """Coefficients of the log odds.

    Attributes:
        constant: where all evidence is 0.
        coverage: of √c.
        lead: of the lead over the rivals, times √c.
    """

    constant: float
    coverage: float
    lead: float


_HYBRID = _Model(-1.61, 4.52, 12.35)
# One rare word makes any score, whatever the question is about: so a high first score counts
# against all hits, and how the vectors find that hit for them.
_OF_FIRST, _OF_CONSENT, _USUAL = -1.22, 0.568, 3.0  # of ln(1 + score), of g (z - _USUAL)
_TEXT, _OF_STRENGTH = _Model(-6.88, 6.08, 14.83), 0.25  # of ln(1 + score), each its own
_DENSE = -5.94, 0.64, 7.65  # constant, of z, of the lead


def fuse_by_evidence(
    legs: Sequence[RankedLeg],
    ids: NDArray[np.intp],
    evidence: Sequence[Evidence],
    ranker: Ranker,
) -> tuple[Fusion | AdaptiveFusion, Floats]:
    """The fusion of what some legs found, and how relevant each candidate is.

    Args:
        legs: the rankings.
        ids: (n,) the candidates, ascending: what any leg found.
        evidence: what each leg says of each candidate.
        ranker: how legs become one ranking; relevances do not depend on it.
    """
    usual = judge(evidence, _WEIGHT)
    relevance = _relevances(evidence, usual)
    if not isinstance(ranker, AdaptiveRanker):
        return fuse(legs, ranker), relevance
    judgement = usual if ranker.weight == _WEIGHT else judge(evidence, ranker.weight)
    return AdaptiveFusion(legs, ids, judgement.scores, evidence, judgement), relevance


def _relevances(legs: Sequence[Evidence], judgement: Judgement) -> Floats:
    """(n,) probabilities, from 0 to 1, that candidates answer the query, by what all legs say."""
    if not len(judgement.scores):
        return np.zeros(0)
    texts = sum(leg.found is not None for leg in legs)
    strength = np.maximum(judgement.scores, 0.0)
    documents = max(leg.documents for leg in legs)
    if texts < len(legs):
        # How many of the best are no copies: of all others as many may be. The last may go on
        # behind the best. Words alone cannot tell copies from texts that score alike.
        best = np.sort(sum(judgement.standings, 0.0 * strength))[::-1][:_BEST]
        ends = (best[:-1] - best[1:] > _ALIKE).nonzero()[0]
        share = len(ends) / (ends[-1] + 1) if len(ends) else 1 / len(best)
        documents = max(round(documents * share), _FEW)
    by_chance = _by_chance(documents)
    certain = 1.0
    if judgement.coverage:
        if texts == len(legs):
            model, floor = _TEXT, 1.5 * by_chance
            odds = _OF_STRENGTH * np.log1p(strength)
        else:
            model, floor = _HYBRID, by_chance + _WEIGHT * by_chance**1.5
            odds = np.full(len(strength), _consent(legs, judgement))
        covered = math.sqrt(judgement.coverage)
        odds += model.constant + covered * (model.coverage + model.lead * _lead(strength, floor))
    elif texts == len(legs):
        return np.zeros(len(strength))
    else:
        constant, of_z, of_lead = _DENSE
        odds = constant + of_z * strength + of_lead * _lead(strength, by_chance)
        certain = _UNKNOWN if texts else 1.0
    probability: Floats = certain / (1.0 + np.exp(-odds))
    return probability


def _consent(legs: Sequence[Evidence], judgement: Judgement) -> float:
    """What the first candidate's score, and the vectors' word on it, add to the odds of all."""
    first = int(judgement.scores.argmax())
    z = [s[first] for leg, s in zip(legs, judgement.standings, strict=True) if leg.found is None]
    beyond = max(float(np.mean(z)), 0.0) - _USUAL
    of_score = _OF_FIRST * math.log1p(max(float(judgement.scores[first]), 0.0))
    return of_score + _OF_CONSENT * judgement.trust * beyond


@lru_cache(maxsize=64)
def _by_chance(documents: int) -> float:
    """How many deviations the third best of so many answers has if none is right: a normal's."""
    if documents <= 2 * _RIVALS:
        return 0.0
    # Newton's steps from 0, where the tail is convex, so that they never go too far. Not Python's
    # `statistics`: its import takes 7 ms, and, made in a search, a descriptor that may not be left.
    above, z, step = _RIVALS / documents, 0.0, 1.0
    while step > _PRECISE * z:
        density = math.exp(-z * z / 2.0) / _ROOT_2PI
        step = (math.erfc(z / _ROOT_2) / 2.0 - above) / density
        z += step
    return z


def _lead(strength: Floats, floor: float) -> Floats:
    """How far each stands above its rivals, as a share of the larger; from -1 to 1.

    The rivals are the best three of the others, or what there would be by chance: a filter may have
    left none. What is alike is one answer, which may be there more than once: copies are no rivals.
    """
    order = np.argsort(-strength, kind="stable")
    ranked = strength[order]
    own = np.zeros(len(ranked), dtype=np.intp)  # which answer each is
    np.cumsum(ranked[:-1] - ranked[1:] > _ALIKE, out=own[1:])
    firsts = own.searchsorted(_FIRST)
    firsts = firsts[firsts < len(own)]
    best = np.zeros(_RIVALS + 1)
    best[: len(firsts)] = ranked[firsts]
    # Of the first three the fourth is a rival: nobody is his own.
    instead = np.where(own < _RIVALS, best[_RIVALS] - best[np.minimum(own, _RIVALS)], 0.0)
    rivals = np.maximum((best[:_RIVALS].sum() + instead) / _RIVALS, floor)
    lead = np.empty_like(ranked)
    lead[order] = (ranked - rivals) / np.maximum(np.maximum(ranked, rivals), _FAINT)
    return lead
