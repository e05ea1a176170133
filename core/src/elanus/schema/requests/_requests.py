"""Search requests: what ``search`` and ``hybrid_search`` take, ours or pymilvus's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from elanus.errors import ParamError, UnsupportedError, likely, quoted
from elanus.schema._arguments import (
    as_written,
    flag,
    mapping,
    names,
    names_something,
    number,
    refuse,
    text,
    whole,
)
from elanus.schema._index import BM25_RULES
from elanus.schema._types import Metric
from elanus.schema._vectors import split_queries
from elanus.schema.requests._rankers import AdaptiveRanker, Ranker, as_ranker

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
class SearchParams:
    """The checked parameters of a vector search.

    Attributes:
        metric: name of the metric that the caller expects, or None.
        ef: how many candidates of a graph are looked at, and how many of codes at first.
        confidence: how many standard deviations an estimate by codes may be too low.
        nprobe: how many lists a search of inverted lists reads.
        reorder_k: how many candidates such a search compares exactly.
        bm25_k1, bm25_b: of a search by BM25, in place of those of the index.
        prefix: whether the last word of a text also stands for words that begin with it.
        typos: whether a word that no row holds stands for those that one edit makes of it.
        boosts: further fields of texts, and the factors of the scores by BM25 that they add.
    """

    metric: str | None = None
    ef: int | None = None
    confidence: float | None = None
    nprobe: int | None = None
    reorder_k: int | None = None
    bm25_k1: float | None = None
    bm25_b: float | None = None
    prefix: bool = False
    typos: bool = False
    boosts: tuple[tuple[str, float], ...] = ()


_UNTOLD = SearchParams()

# Parameters of other index types: Milvus lets one pass them to any, where they mean nothing.
_OTHER_INDEXES = frozenset(
    {"search_list", "level", "drop_ratio_search", "drop_ratio_build",
     "dim_max_score_ratio", "inverted_index_algo", "itopk_size", "max_empty_result_buckets",
     "analyzer_name", "M", "efConstruction", "nlist", "hints"}
)  # fmt: skip
_LATER = frozenset({"radius", "range_filter", "group_by_field", "group_size", "strict_group_size"})

LARGEST_BOOST = 1e6
MOST_CONFIDENCE = 10  # standard deviations

_PAGE = frozenset({"offset", "round_decimal"})


def as_search_params(raw: Mapping[str, Any] | None) -> SearchParams:
    """Check ``search_params``; nested ``params`` and plain keys mean the same.

    Raises:
        ParamError: if a parameter is unknown or wrong.
        UnsupportedError: if it is a feature of Milvus that this engine does not have.
    """
    given = mapping("search_params", raw)
    told: dict[str, Any] = {}
    for name, value in (given | mapping("search_params: params", given.get("params"))).items():
        if not isinstance(name, str):  # pandas.NA has no truth when it is compared
            _check_other(name, value)
        elif name in _READERS:
            told[name] = _READERS[name](name, value)
        elif name == "metric_type":
            told["metric"] = Metric.of(value).value if names_something(value) else None
        elif name != "params":
            _check_other(name, value)
    return SearchParams(**told)


def _check_other(name: Any, value: Any) -> None:
    if name in _LATER:
        if value is not None:
            raise UnsupportedError(f"search parameter {quoted(name)} is not supported")
    elif name not in _OTHER_INDEXES:
        every = sorted({"metric_type", *_READERS, *_OTHER_INDEXES})
        known = ", ".join(every)
        raise ParamError(
            f"unknown search parameter {quoted(name)}; known: {known}{likely(name, every)}"
        )


def _count(name: str, value: Any) -> int | None:
    if value is None:
        return None
    return whole(f"search parameter {name}", as_written(value), 1, 65536)


def _saturation(name: str, value: Any) -> float | None:
    return None if value is None else BM25_RULES[name](f"search parameter {name}", value)


def _confidence(name: str, value: Any) -> float | None:
    if value is None:
        return None
    return float(number(f"search parameter {name}", as_written(value), 0, MOST_CONFIDENCE))


def _flag(name: str, value: Any) -> bool:
    return flag(f"search parameter {name}", value)


def _boosts(name: str, value: Any) -> tuple[tuple[str, float], ...]:
    here = f"search parameter {name}"
    return tuple(
        (
            text(f"{here}: a field", field),
            float(number(f"{here}: that of {quoted(field)}", by, 0, LARGEST_BOOST)),
        )
        for field, by in mapping(here, value).items()
    )


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "ef": _count, "nprobe": _count, "reorder_k": _count,
    "confidence": _confidence,
    "bm25_k1": _saturation, "bm25_b": _saturation,
    "prefix": _flag, "typos": _flag, "boosts": _boosts,
}  # fmt: skip


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


@dataclass(frozen=True, slots=True)
class FusionRequest:
    """The checked arguments of a hybrid search, besides its legs.

    Attributes:
        ranker: how legs become one ranking.
        names: fields that each hit carries.
        limit: number of hits a query.
        offset: how many of the best hits are left out.
        digits: to how many digits scores are rounded; -1 for not at all.
        explain: whether hits carry what each leg said of them.
        relevance: whether they carry the probability that they answer the query.
        least: the relevance that a hit has at least; None for any.
        is_judged: whether all legs judge every hit, for the ranker or for the relevance.
        group: the column of whose values each is among the hits once, at most: a field, or the way
            into a JSON field. None lets any number have the same.
    """

    ranker: Ranker
    names: tuple[str, ...]
    limit: int
    offset: int = 0
    digits: int = -1
    explain: bool = False
    relevance: bool = False
    least: float | None = None
    is_judged: bool = False
    group: tuple[str | int | tuple[str, ...], ...] | None = None


def as_fusion(ranker: Any, limit: Any, output_fields: Any, more: dict[str, Any]) -> FusionRequest:
    """The request that ``hybrid_search`` is called with, besides its legs.

    Args:
        ranker: how legs become one ranking.
        limit: number of hits a query.
        output_fields: fields of the hits.
        more: further keywords, of which those that are meant here are taken out.

    Raises:
        ParamError: if an argument is wrong.
        UnsupportedError: if the ranker is one that this engine does not have.
    """
    offset, digits = as_page(more, {})
    explain = flag("explain", more.pop("explain", False))
    relevance = flag("relevance", more.pop("relevance", False))
    least = more.pop("min_relevance", None)
    if least is not None:
        least = float(number("min_relevance", least, 0, 1))
    names, most = output_names(output_fields), whole("limit", limit, 1)
    plain = ranker if isinstance(ranker, Ranker) else as_ranker(ranker)
    is_judged = relevance or least is not None or isinstance(plain, AdaptiveRanker)
    return FusionRequest(plain, names, most, offset, digits, explain, relevance, least, is_judged)


def as_page(more: dict[str, Any], options: dict[str, Any]) -> tuple[int, int]:
    """``offset`` and ``round_decimal``, taken out of a call's keywords or its parameters."""
    if not more and _PAGE.isdisjoint(options):
        return 0, -1
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
        rank: place among the leg's hits, from 1; None if it is not among them.
        contribution: what the leg added to the fused score.
        reason: how the contribution came about, in words; empty if it is the score itself, and no
            more is known of that.
    """

    leg: str
    score: float
    rank: int | None
    contribution: float
    reason: str = ""
