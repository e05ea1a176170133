"""Searching one snapshot: legs, fusion, and the hits that come of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.engine._dense import dense_index, request_upkeep, with_effort
from elanus.engine._parts import DenseKey, MomentsKey, MomentsPart, SparseKey, TextKey, TextPart
from elanus.engine._project import Projection, fetch, make_projection
from elanus.engine._snapshot import Snapshot
from elanus.engine._view import PartKey
from elanus.engine.wording._boosts import boosted
from elanus.engine.wording._groups import Grouping
from elanus.errors import DataNotMatchException, ParamError, listed, quoted, shown
from elanus.index import Bm25Index, top_hits
from elanus.query import (
    AdaptiveFusion,
    Evidence,
    Expression,
    Fusion,
    RankedLeg,
    first_of_groups,
    fuse,
    fuse_by_evidence,
)
from elanus.schema import (
    LARGEST,
    AdaptiveRanker,
    DataType,
    FieldSchema,
    FusionRequest,
    IndexSpec,
    LegExplanation,
    Metric,
    Rejected,
    SearchParams,
    SearchRequest,
    dense_matrix,
    metrics_for,
    names_something,
    sparse_vector,
)

Ranking = tuple[NDArray[np.intp], NDArray[np.float64]]
"""Slots and scores, best first."""

Mask = NDArray[np.bool_] | None
"""The slots that may be found; None if all may."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One vector search.

    Attributes:
        request: what is searched for, where, and how hard.
        filters: each hit passes all of them.
    """

    request: SearchRequest
    filters: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """The rows that one query found, best first.

    Attributes:
        key_name: the field of the primary key.
        keys: their primary keys.
        scores: distances or fused scores.
        entities: the fields that were asked for.
        legs: what each leg said of each hit, if that was asked for.
        relevances: the estimated probability that each answers the query, if that was asked for.
    """

    key_name: str
    keys: list[Any]
    scores: list[float]
    entities: list[dict[str, Any]]
    legs: list[tuple[LegExplanation, ...]] = field(default_factory=list)
    relevances: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Target:
    """What a leg searches: the field, by which metric, through which index, in which part."""

    field: FieldSchema
    metric: Metric
    index: IndexSpec | None
    key: Any


@dataclass(frozen=True, slots=True, eq=False)
class _Ranked:
    """What a leg found, and by what.

    Attributes:
        target: what was searched.
        index: the index that answered.
        mask: the slots that might be found.
        queries: as the index takes them: vectors, or terms with the number of those unknown.
        rankings: the best slots for each query.
    """

    target: _Target
    index: Any
    mask: Mask
    queries: Any
    rankings: list[Ranking]


def search(snapshot: Snapshot, leg: Leg, names: tuple[str, ...]) -> list[Hits]:
    """The hits of each query of one leg.

    Args:
        snapshot: the collection.
        leg: what is searched for.
        names: fields that each hit carries.
    """
    collection, offset = snapshot.collection, leg.request.offset
    projection = collection.projections.get(names) or make_projection(collection, names)
    rankings = rank(snapshot, leg, offset + leg.request.limit).rankings
    found = [(slots[offset:], scores[offset:]) for slots, scores in rankings]
    if len(found) == 1:
        return [_hits(snapshot, *found[0], projection)]
    # Fetched together, so that the file is read once.
    every = _hits(snapshot, *_joined(found), projection)
    ends = accumulate((len(slots) for slots, _ in found), initial=0)
    return [
        Hits(every.key_name, every.keys[a:b], every.scores[a:b], every.entities[a:b])
        for a, b in pairwise(ends)
    ]


def _joined(found: Sequence[Ranking]) -> Ranking:
    if not found:
        return np.zeros(0, dtype=np.intp), np.zeros(0)
    return np.concatenate([s for s, _ in found]), np.concatenate([v for _, v in found])


def _hits(
    snapshot: Snapshot, slots: NDArray[np.intp], scores: NDArray[np.float64], wanted: Projection
) -> Hits:
    view = snapshot.view
    keys = view.keys[slots].tolist()
    entities = fetch(snapshot, wanted, view.rows[slots].tolist(), keys)
    return Hits(snapshot.schema.primary.name, keys, scores.tolist(), entities)


def hybrid_search(snapshot: Snapshot, legs: Sequence[Leg], request: FusionRequest) -> list[Hits]:
    """The fused hits of each query; all legs have the same number of queries.

    Raises:
        ParamError: if they have not.
    """
    collection, names = snapshot.collection, request.names
    projection = collection.projections.get(names) or make_projection(collection, names)
    counts = {len(leg.request.queries) for leg in legs}
    if len(counts) != 1:
        raise ParamError(
            f"hybrid_search: every request needs as many queries, got {sorted(counts)}"
        )
    ranked = [rank(snapshot, leg, leg.request.limit, judged=request.is_judged) for leg in legs]
    end, keys, results = request.offset + request.limit, snapshot.view.keys, []
    for query in range(counts.pop()):
        if request.group is None:
            fusion, relevance = _fused(snapshot, ranked, query, request)
            most = end if request.least is None else max(1, len(fusion.ids))
            best = top_hits(fusion.ids, fusion.scores, most, keys, descending=True)
        else:
            fusion, relevance, best = _grouped(snapshot, legs, ranked, query, request)
        if request.least is not None:
            best = _passing(best, relevance, request.least)
        slots, scores = best[0][request.offset : end], best[1][request.offset : end]
        hits = _hits(snapshot, slots, scores, projection)
        said = slots.tolist()
        results.append(
            replace(
                hits,
                legs=[fusion.explain(slot) for slot in said] if request.explain else [],
                relevances=[relevance[slot] for slot in said] if request.relevance else [],
            )
        )
    return results


def _grouped(
    snapshot: Snapshot,
    legs: Sequence[Leg],
    ranked: Sequence[_Ranked],
    query: int,
    request: FusionRequest,
) -> tuple[Fusion | AdaptiveFusion, Mapping[int, float], Ranking]:
    """As `_fused`, and the best hit of each group, best group first.

    All legs are asked for four times as many hits until there are enough groups, or no more.
    """
    assert request.group is not None
    end, keys = request.offset + request.limit, snapshot.view.keys
    fusion, relevance = _fused(snapshot, ranked, query, request)
    most = max(1, len(fusion.ids))
    slots, scores = top_hits(fusion.ids, fusion.scores, most, keys, descending=True)
    column = snapshot.columns([request.group])[request.group]
    firsts = first_of_groups(column, slots)
    if len(firsts) < end and _may_find_more(snapshot, legs, ranked, query):
        allowed = _allowed(snapshot, ranked)
        if len(firsts) < len(first_of_groups(column, allowed)):
            deeper = [_deeper(leg, query) for leg in legs]
            judged = request.is_judged
            found = [rank(snapshot, leg, leg.request.limit, judged=judged) for leg in deeper]
            return _grouped(snapshot, deeper, found, 0, request)
    return fusion, relevance, (slots[firsts], scores[firsts])


def _passing(ranking: Ranking, relevance: Mapping[int, float], least: float) -> Ranking:
    """Those that are as relevant as is asked for."""
    slots, scores = ranking
    passed = np.array([relevance[slot] for slot in slots.tolist()]) >= least
    return slots[passed], scores[passed]


def _may_find_more(
    snapshot: Snapshot, legs: Sequence[Leg], ranked: Sequence[_Ranked], query: int
) -> bool:
    """Whether a leg gave as many hits as it was asked for, and there are more rows."""
    limits = [leg.request.limit for leg in legs]
    return any(
        len(one.rankings[query][0]) == limit < snapshot.n
        for one, limit in zip(ranked, limits, strict=True)
    )


def _allowed(snapshot: Snapshot, ranked: Sequence[_Ranked]) -> NDArray[np.intp]:
    """The slots that a leg may find, ascending."""
    masks = [leg.mask for leg in ranked if leg.mask is not None]
    if len(masks) < len(ranked):
        return np.arange(snapshot.n)
    return np.flatnonzero(reduce(np.logical_or, masks))


def _deeper(leg: Leg, query: int) -> Leg:
    """One query of a leg, with four times as many hits."""
    request = leg.request
    queries, limit = request.queries[query : query + 1], min(LARGEST, 4 * request.limit)
    return replace(leg, request=replace(request, queries=queries, limit=limit))


def _fused(
    snapshot: Snapshot, ranked: Sequence[_Ranked], query: int, request: FusionRequest
) -> tuple[Fusion | AdaptiveFusion, Mapping[int, float]]:
    """The fusion of what the legs found for a query, and relevances by slot if they are wanted."""
    found = [
        RankedLeg(
            leg.target.field.name,
            leg.target.metric,
            *(array.tolist() for array in leg.rankings[query]),
        )
        for leg in ranked
    ]
    ranker = request.ranker
    if not request.is_judged and not isinstance(ranker, AdaptiveRanker):
        return fuse(found, ranker), {}
    ids = np.unique(np.concatenate([leg.rankings[query][0] for leg in ranked]))
    evidence = [_evidence(snapshot, leg, query, ids) for leg in ranked]
    fusion, relevances = fuse_by_evidence(found, ids, evidence, ranker)
    if request.explain and isinstance(fusion, Fusion):
        fusion = replace(fusion, judged=evidence)
    return fusion, dict(zip(ids.tolist(), relevances.tolist(), strict=True))


def _evidence(snapshot: Snapshot, leg: _Ranked, number: int, ids: NDArray[np.intp]) -> Evidence:
    """What a leg says of some slots, ascending, whether it found them or not.

    Raises:
        ParamError: if scores of its metric cannot be judged.
    """
    target, index, query = leg.target, leg.index, leg.queries[number]
    allowed = np.ones(len(ids), dtype=bool) if leg.mask is None else leg.mask[ids]
    if target.metric is Metric.BM25:
        scores, deviation, possible = index.judge(*query, ids)
        found = np.isin(ids, leg.rankings[number][0])
        scores = np.where(allowed, scores, 0.0)
        return Evidence(scores, 0.0, deviation, index.documents, found, possible)
    if target.metric not in (Metric.COSINE, Metric.IP) or not isinstance(target.key, DenseKey):
        raise ParamError(
            f"field {target.field.name!r}: AdaptiveRanker and relevance need scores by BM25, or of "
            f"dense vectors by COSINE or IP, not {target.metric.value} of {target.field.dtype.name}"
        )
    if index.rows.present is not None:
        allowed &= index.rows.present[ids]
    moments = snapshot.part(MomentsKey(target.key)).moments
    scores, mean, deviation = index.judge(query, ids, moments)
    return Evidence(np.where(allowed, scores, mean), mean, deviation, moments.count)


def rank(snapshot: Snapshot, leg: Leg, limit: int, *, judged: bool = False) -> _Ranked:
    """The best ``limit`` slots for each query of a leg.

    Args:
        snapshot: the collection.
        leg: what is searched for.
        limit: how many hits a query.
        judged: whether hits are to be judged by all legs: then a vector of zeros, which is near to
            nothing, is no hit under COSINE.
    """
    request = leg.request
    target: _Target | None = None
    if isinstance(request.field, str | None):  # of anything else `_resolve` says what is wrong
        target = snapshot.collection.targets.get((request.field, request.params.metric))
    if target is None:
        target = _resolve(snapshot, request)
    limit = min(limit, max(snapshot.n, 1))  # an index may reserve room for all it may give
    if target.metric is not Metric.BM25 and (
        request.params.prefix or request.params.typos or request.params.boosts
    ):
        raise ParamError(
            f"field {target.field.name!r}: the search parameters prefix and typos, and boosts, are "
            f"for texts searched by BM25, not for {target.metric.value}"
        )
    mask = snapshot.eligible(*leg.filters)
    if target.field.dtype is DataType.FLOAT_VECTOR:
        if judged and target.metric is Metric.COSINE:
            moments: MomentsPart = snapshot.part(MomentsKey(target.key))
            if moments.moments.count < snapshot.view.count:  # they are of all others
                mask = moments.of if mask is None else mask & moments.of
        return _rank_dense(snapshot, request, target, mask, limit)
    if target.metric is Metric.BM25:
        return _rank_text(snapshot, request, target, mask, limit)
    return _rank_sparse(snapshot, request, target, mask, limit)


def _resolve(snapshot: Snapshot, request: SearchRequest) -> _Target:
    f = _vector_field(snapshot, request.field)
    index = snapshot.info.index_on(f.name)
    allowed = metrics_for(snapshot.schema, f)
    metric = index.metric if index is not None and index.metric is not None else None
    asked = None if request.params.metric is None else Metric.of(request.params.metric)
    if metric is None:
        metric = asked or allowed[0]
    if metric not in allowed or asked not in (None, metric):
        expected = metric if metric in allowed else allowed[0]
        raise ParamError(
            f"field {f.name!r}: metric type not match: expected={expected.value}, "
            f"actual={request.params.metric}"
        )
    target = _Target(f, metric, index, _key_of(snapshot, f, metric))
    if isinstance(request.field, str | None):
        snapshot.collection.targets[request.field, request.params.metric] = target
    return target


def _key_of(snapshot: Snapshot, f: FieldSchema, metric: Metric) -> PartKey:
    """The key of the index of a field under a metric."""
    if f.dtype is DataType.FLOAT_VECTOR:
        return DenseKey(f.name, f.dim or 0, metric)
    if metric is Metric.BM25:
        return snapshot.text_key(snapshot.schema.bm25_inputs[f.name])
    return SparseKey(f.name)


def _vector_field(snapshot: Snapshot, name: str | None) -> FieldSchema:
    vectors = snapshot.schema.vectors
    names = listed(f.name for f in vectors) or "none"
    if not names_something(name):
        if len(vectors) == 1:
            return vectors[0]
        raise ParamError(f"anns_field is needed: the vector fields are {names}")
    for f in vectors:
        if isinstance(name, str) and f.name == name:
            return f
    raise ParamError(f"anns_field {quoted(name)} is no vector field; vector fields: {names}")


def _rank_dense(
    snapshot: Snapshot, request: SearchRequest, target: _Target, mask: Mask, limit: int
) -> _Ranked:
    try:
        queries = dense_matrix(request.queries, target.key.dim)
    except Rejected as rule:
        number = int(rule.path[0])
        raise _refusal(target, number, request.queries[number], rule.rule) from None
    index = dense_index(snapshot, target.key, target.index)
    if target.key not in snapshot.view.derived.settled:
        request_upkeep(snapshot, target.key, target.index, index)
    keys = snapshot.view.keys
    if not len(queries):
        return _Ranked(target, index, mask, queries, [])
    index, ef = with_effort(index, request.params, target.index, limit)
    if len(queries) == 1:
        found = [index.search(queries[0], limit, mask=mask, keys=keys, ef=ef)]
    else:
        found = list(index.search_many(queries, limit, mask=mask, keys=keys, ef=ef))
    return _Ranked(target, index, mask, queries, found)


def _refusal(target: _Target, number: int, query: object, rule: object) -> DataNotMatchException:
    text = " (a text searches a field that a BM25 function fills)" * isinstance(query, str)
    return DataNotMatchException(
        f"query {number} on field {target.field.name!r}: {rule}{text}; got {shown(query)}"
    )


def _rank_text(
    snapshot: Snapshot, request: SearchRequest, target: _Target, mask: Mask, limit: int
) -> _Ranked:
    source = snapshot.schema.bm25_inputs[target.field.name]
    k1, b = request.params.bm25_k1, request.params.bm25_b
    key: TextKey = target.key
    if k1 is not None or b is not None:
        key = TextKey(source, key.k1 if k1 is None else k1, key.b if b is None else b)
    part: TextPart = snapshot.part(key)
    for number, query in enumerate(request.queries):
        if not isinstance(query, str):
            raise DataNotMatchException(
                f"query {number}: a BM25 search takes texts, got {type(query).__name__}"
            )
    queries: list[tuple[Any, int]]
    if request.params.boosts:
        indexes, boosts = _boosted_fields(snapshot, source, part.index, request.params)
        queries = [
            boosted(snapshot, indexes, boosts, query, request.params) for query in request.queries
        ]
    elif request.params.prefix or request.params.typos:
        grouping = Grouping(
            snapshot, source, part.index, request.params.prefix, request.params.typos, {}
        )
        queries = [grouping.of(query) for query in request.queries]
    else:
        queries = [_query_terms(snapshot, source, query) for query in request.queries]
    keys, known = snapshot.view.keys, [terms for terms, _ in queries]
    if len(known) == 1:
        found = [part.index.search(known[0], limit, mask=mask, keys=keys)]
    else:
        found = list(part.index.search_many(known, limit, mask=mask, keys=keys))
    return _Ranked(target, part.index, mask, queries, found)


def _boosted_fields(
    snapshot: Snapshot, source: str, index: Bm25Index, params: SearchParams
) -> tuple[dict[str, Bm25Index], dict[str, float]]:
    """The terms of all text fields that a search is of, and the factors of the further ones.

    Raises:
        ParamError: if one is filled by no BM25 function, or is the field that is searched.
    """
    indexes, boosts, inputs = {source: index}, {}, snapshot.schema.bm25_inputs
    for name, by in params.boosts:
        if inputs.get(name, source) == source:
            others = listed(each for each, text in inputs.items() if text != source) or "none"
            raise ParamError(
                f"search parameter boosts: {quoted(name)} is no further field that a BM25 function "
                f"fills; there are: {others}"
            )
        saturation = index.saturation
        key = TextKey(inputs[name], saturation.k1, saturation.b)
        indexes[inputs[name]], boosts[inputs[name]] = snapshot.part(key).index, by
    return indexes, boosts


def _query_terms(snapshot: Snapshot, field: str, text: str) -> tuple[list[tuple[int, int]], int]:
    """Term numbers and counts of a query, in the order of the terms' text; how many have none."""
    counts = Counter(snapshot.state.analyzers[field].query_tokens(text))
    numbers = snapshot.numbers(field, counts)
    known = [(numbers[term], counts[term]) for term in sorted(counts) if term in numbers]
    return known, counts.total() - sum(count for _, count in known)


def _rank_sparse(
    snapshot: Snapshot, request: SearchRequest, target: _Target, mask: Mask, limit: int
) -> _Ranked:
    queries = []
    for number, query in enumerate(request.queries):
        try:
            queries.append(sparse_vector(query))
        except Rejected as rule:
            raise _refusal(target, number, query, rule) from None
    index, keys = snapshot.part(target.key), snapshot.view.keys
    found = [index.search(i, v, limit, mask=mask, keys=keys) for i, v in queries]
    return _Ranked(target, index, mask, queries, found)
