"""What each leg says of every candidate, in standard deviations; adaptive fusion of the legs.

The formula, and what it was measured on, are explained in ``docs/ranking.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from elanus.query._fusion import RankedLeg
from elanus.query._reasons import by_evidence
from elanus.schema import LegExplanation

Floats: TypeAlias = NDArray[np.float64]

_POWER = 1.5
_AGREED = 1.5  # agreement from which on vectors are trusted wholly
_COVERED = 0.2  # coverage from which on agreement is asked for
_LEAST = 1e-5  # deviation of scores that are all alike
_LEAST_SHARE = 1e-3  # of the mean: what similarities that are all alike differ by is rounding


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a leg says of n candidates.

    Attributes:
        scores: (n,) similarity, or BM25, of each; the mean where the leg may not find it.
        mean, deviation: of the scores over the collection. The mean of BM25 counts as 0, what a
            document without any of the terms has.
        documents: how many the collection has for this leg.
        found: (n,) whether it is among the hits of a text leg; None of a dense one.
        possible: what a document with all terms of the query scores at most, unknown ones included;
            0 of a dense leg.
    """

    scores: Floats
    mean: float
    deviation: float
    documents: int
    found: NDArray[np.bool_] | None = None
    possible: float = 0.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """What all legs say of n candidates of one query.

    Attributes:
        scores: (n,) the fused scores.
        standings: for each leg, b or z of each candidate.
        parts: for each leg, what it adds to each score.
        coverage: c, how much of the query the best text covers; 0 if no term is known.
        agreement: t, how far above the mean the vectors put what the text legs found.
        trust: g, how far the vectors are trusted, from 0 to 1.
    """

    scores: Floats
    standings: Sequence[Floats]
    parts: Sequence[Floats]
    coverage: float
    agreement: float
    trust: float


def judge(legs: Sequence[Evidence], weight: float) -> Judgement:
    """Score n candidates by all legs.

    The score is the sum of b over the text legs and of ``weight · g · max(z, 0)^1.5`` over the
    dense legs, there divided by their number. With ``t = Σ b z / Σ b`` over what the text legs
    found and the coverage c, ``g = max(min(t / 1.5, 1), 0, 1 - c / 0.2)``. If no text leg found
    anything, the score is the mean of z, which may be negative.
    """
    standings = [
        (leg.scores - leg.mean) / max(leg.deviation, _LEAST, _LEAST_SHARE * abs(leg.mean))
        for leg in legs
    ]
    both = list(zip(legs, standings, strict=True))
    dense = [s for leg, s in both if leg.found is None]
    nothing = np.zeros(len(legs[0].scores))
    b = sum((s for leg, s in both if leg.found is not None), nothing)
    found, coverage = nothing > 0, 0.0
    for leg in legs:
        if leg.found is not None:
            found |= leg.found
            best = float(leg.scores.max(initial=0.0)) / max(leg.possible, _LEAST)
            coverage = max(coverage, min(best, 1.0))
    total = float(b[found].sum())
    agreement, trust = 0.0, 1.0
    if total and dense:
        agreement = float((b * sum(dense, nothing))[found].sum()) / len(dense) / total
        trust = max(min(agreement / _AGREED, 1.0), 0.0, 1.0 - coverage / _COVERED)
        dense = [weight * trust * np.maximum(z, 0.0) ** _POWER for z in dense]
    left = iter(dense)
    parts = [next(left) / len(dense) if leg.found is None else s for leg, s in both]
    return Judgement(sum(parts, nothing), standings, parts, coverage, agreement, trust)


@dataclass(frozen=True, slots=True, eq=False)
class AdaptiveFusion:
    """Several rankings made one by what each leg says of every candidate.

    Attributes:
        legs: the rankings.
        ids: (n,) the candidates, ascending: what any leg found.
        scores: (n,) fused scores; larger is better.
        evidence: of each leg.
        judgement: of the candidates.
    """

    legs: Sequence[RankedLeg]
    ids: NDArray[np.intp]
    scores: Floats
    evidence: Sequence[Evidence]
    judgement: Judgement

    def explain(self, id_: int) -> tuple[LegExplanation, ...]:
        """What each leg says of a candidate; the contributions add up to its score."""
        place = int(np.searchsorted(self.ids, id_))
        return tuple(self._explain(number, id_, place) for number in range(len(self.legs)))

    def _explain(self, number: int, id_: int, place: int) -> LegExplanation:
        leg, evidence = self.legs[number], self.evidence[number]
        part = float(self.judgement.parts[number][place])
        found_at = leg.places.get(id_)
        rank = None if found_at is None else found_at + 1
        if evidence.found is not None:
            reason = by_evidence(evidence, place)
        else:
            reason = f"{by_evidence(evidence, place)}, trusted {self.judgement.trust:.0%}"
            if any(leg.found is not None for leg in self.evidence):
                reason += f": {self._why_trusted()}"
        return LegExplanation(leg.name, float(evidence.scores[place]), rank, part, reason)

    def _why_trusted(self) -> str:
        coverage, agreement = self.judgement.coverage, self.judgement.agreement
        if not coverage:
            return "no word of the query is known"
        if 1.0 - coverage / _COVERED >= min(agreement / _AGREED, 1.0):
            return f"the texts cover at most {coverage:.0%} of the query"
        return f"what the words find is {agreement:+.1f} standard deviations from the mean"
