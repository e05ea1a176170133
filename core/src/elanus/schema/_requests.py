"""Search requests and rankers: what ``hybrid_search`` takes, ours or pymilvus's."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from elanus.errors import ParamError, UnsupportedError, likely, quoted
from elanus.schema._arguments import (
    as_number,
    as_written,
    flag,
    mapping,
    members,
    names,
    names_something,
    refuse,
    whole,
    word,
)
from elanus.schema._types import Metric
from elanus.schema._vectors import split_queries

COUNT = "count(*)"
"""The output field that asks for the number of rows."""

_COUNT = re.compile(r"\s*count\s*\(\s*\*\s*\)\s*", re.IGNORECASE)


class AnnSearchRequest:
    """One leg of a hybrid search.

    Args:
        data: query vectors or texts, one a query.
        anns_field: the vector field to search.
        param: search parameters, as ``search_params`` of a search.
        limit: how many hits this leg gives to the fusion.
        expr: filter of this leg; ``filter`` is another name for it.
        expr_params: values for the filter's templates.

    Raises:
        ParamError: if both ``expr`` and ``filter`` are given, or the filter is no string.
    """

    def __init__(
        self,
        data: Any,
        anns_field: str,
        param: Mapping[str, Any],
        limit: int,
        expr: str | None = None,
        expr_params: Mapping[str, Any] | None = None,
        filter: str | None = None,
    ) -> None:
        if expr is not None and filter is not None:
            raise ParamError("AnnSearchRequest: give expr or filter, not both")
        self.data = data
        self.anns_field = anns_field
        self.param = param
        self.limit = limit
        given = expr if filter is None else filter
        if given is not None and not isinstance(given, str):
            refuse("AnnSearchRequest: filter", "a string", given)
        self.expr = given
        self.expr_params = expr_params

    @property
    def filter(self) -> str | None:
        """The filter of this leg."""
        return self.expr


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


def as_ranker(ranker: Any) -> RRFRanker | WeightedRanker:
    """Our form of a ranker: ours, or any object with pymilvus's ``dict()``.

    Raises:
        ParamError: if it is none, or its parameters are wrong.
        UnsupportedError: if it asks for another strategy.
    """
    if ranker is None:
        return RRFRanker()
    if isinstance(ranker, (RRFRanker, WeightedRanker)):
        return ranker
    try:
        raw = ranker.dict()
        strategy, params = raw["strategy"], mapping("ranker: params", raw["params"])
    except (AttributeError, KeyError, TypeError):
        refuse("ranker", "an RRFRanker or a WeightedRanker", ranker)
    if word(strategy) == "rrf":
        return RRFRanker(params.get("k", 60))
    if word(strategy) == "weighted":
        weights = members("ranker: weights", "a list of numbers", params.get("weights"))
        return WeightedRanker(*weights, norm_score=params.get("norm_score", True))
    raise UnsupportedError(
        f"ranker strategy {quoted(strategy)} is not supported; use rrf or weighted"
    )


@dataclass(frozen=True, slots=True)
class SearchParams:
    """The checked parameters of a vector search.

    Attributes:
        metric: name of the metric that the caller expects, or None.
        ef: how many candidates a graph search looks at.
        nprobe: how many lists a search of inverted lists reads.
        reorder_k: how many candidates such a search compares exactly.
    """

    metric: str | None = None
    ef: int | None = None
    nprobe: int | None = None
    reorder_k: int | None = None


_UNTOLD = SearchParams()

# Parameters of other index types: Milvus lets one pass them to any, where they mean nothing.
_OTHER_INDEXES = frozenset(
    {"search_list", "level", "drop_ratio_search", "drop_ratio_build",
     "dim_max_score_ratio", "inverted_index_algo", "itopk_size", "max_empty_result_buckets",
     "bm25_k1", "bm25_b", "analyzer_name", "M", "efConstruction", "nlist", "hints"}
)  # fmt: skip
_COUNTS = ("ef", "nprobe", "reorder_k")
_USUAL = frozenset({"metric_type", "params", *_COUNTS})
_LATER = frozenset({"radius", "range_filter", "group_by_field", "group_size", "strict_group_size"})


def as_search_params(raw: Mapping[str, Any] | None) -> SearchParams:
    """Check ``search_params``; nested ``params`` and plain keys mean the same.

    Raises:
        ParamError: if a parameter is unknown or wrong.
        UnsupportedError: if it is a feature of Milvus that this engine does not have.
    """
    given = mapping("search_params", raw)
    options = given | mapping("search_params: params", given.get("params"))
    metric = options.get("metric_type")
    if not options.keys() <= _USUAL:
        _check_others(options)
    counts = [_count(name, options.get(name)) for name in _COUNTS]
    return SearchParams(Metric.of(metric).value if names_something(metric) else None, *counts)


def _check_others(options: Mapping[str, Any]) -> None:
    for key, value in options.items():
        if key in _LATER:
            if value is not None:
                raise UnsupportedError(f"search parameter {quoted(key)} is not supported")
        elif key not in _OTHER_INDEXES | _USUAL:
            every = sorted({"metric_type", *_COUNTS} | _OTHER_INDEXES)
            known = ", ".join(every)
            raise ParamError(
                f"unknown search parameter {quoted(key)}; known: {known}{likely(key, every)}"
            )


def _count(name: str, value: Any) -> int | None:
    if value is None:
        return None
    return whole(f"search parameter {name}", as_written(value), 1, 65536)


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """The checked arguments of a vector search.

    Attributes:
        queries: one vector or text a query.
        field: the vector field; None if the collection has only one. Whether it is a name at all
            is looked at with the collection, whose fields the error lists.
        limit: number of hits a query.
        params: metric and effort.
        offset: how many of the best hits are left out.
        digits: to how many digits scores are rounded; -1 for not at all.
    """

    queries: list[Any]
    field: Any
    limit: int
    params: SearchParams
    offset: int = 0
    digits: int = -1


def as_search(
    data: Any,
    field: Any,
    limit: Any,
    search_params: Mapping[str, Any] | None,
    more: dict[str, Any] | None = None,
) -> SearchRequest:
    """The request that ``search``, or one leg of a hybrid search, is called with.

    Args:
        data: query vectors or texts, one a query.
        field: the vector field.
        limit: number of hits a query.
        search_params: metric and effort, and in a search ``offset`` and ``round_decimal``.
        more: further keywords of a search, of which ``offset`` and ``round_decimal`` are taken out;
            None for a leg, which has neither.

    Raises:
        ParamError: if an argument is wrong.
        UnsupportedError: if a parameter is a feature of Milvus that this engine does not have.
    """
    options = mapping("search_params", search_params)
    offset, digits = (0, -1) if more is None else as_page(more, options)
    if data is None and more is not None:
        raise ParamError("search: data is needed: one vector or text a query")
    return SearchRequest(
        split_queries(data),
        str.__str__(field) if isinstance(field, str) else field,
        whole("limit", limit, 1),
        as_search_params(options) if options else _UNTOLD,
        offset,
        digits,
    )


def as_page(more: dict[str, Any], options: dict[str, Any]) -> tuple[int, int]:
    """``offset`` and ``round_decimal``, taken out of a call's keywords or its parameters."""
    offset = more.pop("offset", options.pop("offset", 0))
    digits = more.pop("round_decimal", options.pop("round_decimal", -1))
    return (
        0 if offset is None else whole("offset", offset, 0),
        whole("round_decimal", digits, -1, 100),
    )


def output_names(given: Any, *, counting: bool = False) -> tuple[str, ...]:
    """``output_fields`` as plain names; none if nothing is asked for.

    Args:
        given: what the caller gave.
        counting: whether ``count(*)`` may be among them, in any case and spacing.

    Raises:
        ParamError: if it is no list of names.
    """
    if given is None:
        return ()
    found = [COUNT if _COUNT.fullmatch(name) else name for name in names("output_fields", given)]
    if COUNT in found and not counting:
        raise ParamError(f"output_fields: {COUNT} can only be asked of query")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class LegExplanation:
    """What one leg of a hybrid search said of a hit.

    Attributes:
        leg: the vector field searched, or the name that the caller gave the leg.
        score: the leg's own score, in its metric.
        rank: place among the leg's hits, from 1.
        contribution: what the leg added to the fused score.
    """

    leg: str
    score: float
    rank: int
    contribution: float
