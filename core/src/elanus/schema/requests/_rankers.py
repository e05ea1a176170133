"""Rankers: how the legs of a hybrid search become one ranking; ours or pymilvus's."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from elanus.errors import UnsupportedError, quoted
from elanus.schema._arguments import as_number, flag, mapping, members, refuse, word


@dataclass(frozen=True, slots=True)
class RRFRanker:
    """Reciprocal rank fusion: a hit scores Σ wᵢ / (k + rankᵢ), ranks counted from 1.

    Cormack, Clarke and Büttcher, SIGIR 2009.

    Attributes:
        k: how flat the score falls with the rank; 0 < k < 16384.
        weights: one a leg, or none for 1 each.
    """

    k: float = 60
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        k = as_number(self.k)
        if k is None or not 0 < k < 16384:
            refuse("RRFRanker: k", "between 0 and 16384 (exclusive)", self.k)
        object.__setattr__(self, "k", k)
        object.__setattr__(self, "weights", _weights("RRFRanker", self.weights))

    def dict(self) -> dict[str, Any]:
        """The ranker as pymilvus writes it."""
        return {"strategy": "rrf", "params": {"k": self.k}}


@dataclass(frozen=True, slots=True, init=False)
class WeightedRanker:
    """Weighted sum of the legs' scores, each normalised as Milvus does.

    Attributes:
        weights: one a leg, each from 0 to 1.
        norm_score: whether scores are mapped to [0, 1] first.
    """

    weights: tuple[float, ...]
    norm_score: bool = True

    def __init__(self, *weights: float, norm_score: bool = True) -> None:
        object.__setattr__(self, "weights", _weights("WeightedRanker", weights))
        object.__setattr__(self, "norm_score", flag("WeightedRanker: norm_score", norm_score))
        if not weights or any(w > 1 for w in self.weights):
            refuse("WeightedRanker: weights", "from 0 to 1", weights)

    def dict(self) -> dict[str, Any]:
        """The ranker as pymilvus writes it."""
        params = {"weights": list(self.weights), "norm_score": self.norm_score}
        return {"strategy": "weighted", "params": params}


def _weights(what: str, weights: Any) -> tuple[float, ...]:
    plain = []
    for given in members(f"{what}: weights", "a list of numbers", weights):
        weight = as_number(given)
        if weight is None or not 0 <= weight <= sys.float_info.max:
            refuse(f"{what}: a weight", "a number of at least 0", given)
        plain.append(float(weight))
    return tuple(plain)


@dataclass(frozen=True, slots=True)
class AdaptiveRanker:
    """What text says in standard deviations, and vectors as far as they agree with it.

    A document scores b + weight · g · max(z, 0)^1.5. Here b is its BM25 score and z its cosine (or
    inner product), both in standard deviations over the whole collection; and g, from 0 to 1, is
    how far the vectors of this query are trusted: see ``docs/ranking.md``. Needs no labels, and
    keeps no state between queries. Legs are text (BM25) and dense vectors under COSINE or IP.

    Attributes:
        weight: how much the vectors count beside the text; at least 0.
    """

    weight: float = 1.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", _weights("AdaptiveRanker", (self.weight,))[0])

    def dict(self) -> dict[str, Any]:
        """The ranker in the form of pymilvus's."""
        return {"strategy": "adaptive", "params": {"weight": self.weight}}


@dataclass(frozen=True, slots=True, init=False)
class ScaledRanker:
    """Weighted sum of the legs' scores, each scaled by what its leg has found; has three kinds.

    Attributes:
        weights: one a leg, or none for 1 each.
    """

    strategy: ClassVar[str]
    weights: tuple[float, ...]

    def __init__(self, *weights: float) -> None:
        object.__setattr__(self, "weights", _weights(type(self).__name__, weights))

    def dict(self) -> dict[str, Any]:
        """The ranker in the form of pymilvus's."""
        return {"strategy": self.strategy, "params": {"weights": list(self.weights)}}


class MinMaxRanker(ScaledRanker):
    """Weighted sum of the legs' scores, each leg's mapped to [0, 1] from its last hit to its first.

    Args:
        *weights: one a leg, or none for 1 each.
    """

    __slots__ = ()
    strategy = "min_max"


class ZScoreRanker(ScaledRanker):
    """Weighted sum of the legs' scores, each in standard deviations of the scores of its hits.

    They are counted from the leg's last hit, so that a document that it did not find adds nothing.

    Args:
        *weights: one a leg, or none for 1 each.
    """

    __slots__ = ()
    strategy = "z_score"


class CombMNZRanker(ScaledRanker):
    """The sum of `MinMaxRanker`, times the number of legs that found the document.

    Fox and Shaw, *Combination of Multiple Searches* (TREC-2, 1994).

    Args:
        *weights: one a leg, or none for 1 each.
    """

    __slots__ = ()
    strategy = "comb_mnz"


Ranker: TypeAlias = RRFRanker | WeightedRanker | AdaptiveRanker | ScaledRanker

_OURS = (
    RRFRanker, WeightedRanker, AdaptiveRanker, MinMaxRanker, ZScoreRanker, CombMNZRanker,
)  # fmt: skip


def as_ranker(ranker: Any) -> Ranker:
    """Our form of a ranker: ours, or any object with pymilvus's ``dict()``.

    Raises:
        ParamError: if it is none, or its parameters are wrong.
        UnsupportedError: if it asks for another strategy.
    """
    if ranker is None:
        return RRFRanker()
    if isinstance(ranker, _OURS):
        return ranker
    try:
        raw = ranker.dict()
        strategy, params = raw["strategy"], mapping("ranker: params", raw["params"])
    except (AttributeError, KeyError, TypeError):
        refuse("ranker", f"one of {', '.join(kind.__name__ for kind in _OURS)}", ranker)
    if word(strategy) == "rrf":
        return RRFRanker(params.get("k", 60))
    if word(strategy) == "weighted":
        weights = members("ranker: weights", "a list of numbers", params.get("weights"))
        return WeightedRanker(*weights, norm_score=params.get("norm_score", True))
    raise UnsupportedError(
        f"ranker strategy {quoted(strategy)} is not supported; use rrf or weighted"
    )
