"""In words, how what a leg adds to a fused score came about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elanus.schema import CombMNZRanker, RRFRanker, WeightedRanker, ZScoreRanker

if TYPE_CHECKING:
    from elanus.query._adaptive import Evidence
    from elanus.query._fusion import ListRanker, RankedLeg

_LEAST, _LEAST_SHARE = 1e-5, 1e-3  # as `judge` has them


def by_rule(ranker: ListRanker, leg: RankedLeg, weight: float, place: int, part: float) -> str:
    """What a ranker makes of the hit at a place of a leg, from 0; empty where it is the score."""
    if isinstance(ranker, RRFRanker):
        return f"{weight:g} / ({ranker.k:g} + rank {place + 1})"
    if isinstance(ranker, WeightedRanker):
        if part == leg.scores[place]:
            return ""
        how = "mapped to 0 … 1" if ranker.norm_score else "as it is"
        return f"weight {weight:g} of its {leg.metric.value} {how}"
    scale = "in deviations from" if isinstance(ranker, ZScoreRanker) else "from 0 to 1 between"
    ends = "the last hit" if isinstance(ranker, ZScoreRanker) else "the last hit and the first"
    legs = ", times the legs that found it" if isinstance(ranker, CombMNZRanker) else ""
    return f"weight {weight:g} of its {leg.metric.value}, {scale} {ends} of {len(leg.ids)}{legs}"


def by_evidence(evidence: Evidence, place: int) -> str:
    """How a leg's score of a candidate compares with what the collection has."""
    score = float(evidence.scores[place])
    least = max(_LEAST, _LEAST_SHARE * abs(evidence.mean))
    standing = (score - evidence.mean) / max(evidence.deviation, least)
    if evidence.found is None:
        return f"{standing:+.1f} standard deviations from the mean"
    share = score / max(evidence.possible, _LEAST)
    return f"{standing:.1f} standard deviations; covers {share:.0%} of the query"
