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
from elanus.schema import LegExplanation

Floats: TypeAlias = NDArray[np.float64]

_POWER = 1.5
_AGREED = 1.5  # agreement from which on vectors are trusted wholly
_COVERED = 0.2  # coverage from which on agreement is asked for
_LEAST_TEXT, _LEAST_DENSE = 1e-6, 1e-5  # deviations of scores that are all alike
_LEAST_SHARE = 1e-3  # of the mean: what similarities that are all alike differ by is rounding


@dataclass(frozen=True, slots=True)
class TextEvidence:
    """What a BM25 leg says of n candidates.

    Attributes:
        scores: (n,) BM25 of each; 0 where it has no term of the query, or the leg may not find it.
        found: (n,) whether it is among the leg's hits.
        deviation: about the standard deviation of BM25 over the collection.
        possible: what a document with all terms of the query scores at most, unknown ones included.
        documents: how many the collection has.
    """

    scores: Floats
    found: NDArray[np.bool_]
    deviation: float
    possible: float
    documents: int

    def standing(self) -> Floats:
        """b: (n,) the scores in standard deviations."""
        return self.scores / max(self.deviation, _LEAST_TEXT)

    def coverage(self) -> float:
        """How much of the query the best candidate covers, from 0 to 1."""
        return min(float(self.scores.max(initial=0.0)) / max(self.possible, _LEAST_TEXT), 1.0)


@dataclass(frozen=True, slots=True)
class DenseEvidence:
    """What a dense leg says of n candidates.

    Attributes:
        scores: (n,) similarity of each; the mean where there is no vector that the leg may find.
        mean, deviation: of the query's similarities over the collection.
        documents: how many vectors the collection has.
    """

    scores: Floats
    mean: float
    deviation: float
    documents: int

    def standing(self) -> Floats:
        """z: (n,) standard deviations above the mean."""
        least = max(_LEAST_SHARE * abs(self.mean), _LEAST_DENSE)
        return (self.scores - self.mean) / max(self.deviation, least)


Evidence: TypeAlias = TextEvidence | DenseEvidence


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
    standings = [leg.standing() for leg in legs]
    both = list(zip(legs, standings, strict=True))
    texts = [(leg, s) for leg, s in both if isinstance(leg, TextEvidence)]
    dense = [s for leg, s in both if isinstance(leg, DenseEvidence)]
    nothing = np.zeros(len(legs[0].scores))
    b = sum((s for _, s in texts), nothing)
    found = np.logical_or.reduce([leg.found for leg, _ in texts]) if texts else nothing > 0
    total = float(b[found].sum())
    coverage = max((leg.coverage() for leg, _ in texts), default=0.0)
    agreement, trust = 0.0, 1.0
    if total and dense:
        agreement = float((b * sum(dense, nothing))[found].sum()) / len(dense) / total
        trust = max(min(agreement / _AGREED, 1.0), 0.0, 1.0 - coverage / _COVERED)
        dense = [weight * trust * np.maximum(z, 0.0) ** _POWER for z in dense]
    left = iter(dense)
    parts = [s if isinstance(leg, TextEvidence) else next(left) / len(dense) for leg, s in both]
    return Judgement(sum(parts, nothing), standings, parts, coverage, agreement, trust)


@dataclass(frozen=True, slots=True)
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
        standing = float(self.judgement.standings[number][place])
        part = float(self.judgement.parts[number][place])
        rank = leg.ids.index(id_) + 1 if id_ in leg.ids else None
        if isinstance(evidence, TextEvidence):
            share = evidence.scores[place] / max(evidence.possible, _LEAST_TEXT)
            reason = f"{standing:.1f} standard deviations; covers {share:.0%} of the query"
        else:
            trust = self.judgement.trust
            reason = f"{standing:+.1f} standard deviations from the mean, trusted {trust:.0%}"
            if any(isinstance(leg, TextEvidence) for leg in self.evidence):
                reason += f": {self._why_trusted()}"
        return LegExplanation(leg.name, float(evidence.scores[place]), rank, part, reason)

    def _why_trusted(self) -> str:
        coverage, agreement = self.judgement.coverage, self.judgement.agreement
        if not coverage:
            return "no word of the query is known"
        if 1.0 - coverage / _COVERED >= min(agreement / _AGREED, 1.0):
            return f"the texts cover at most {coverage:.0%} of the query"
        return f"what the words find is {agreement:+.1f} standard deviations from the mean"
