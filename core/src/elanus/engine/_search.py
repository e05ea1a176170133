"""Searching one snapshot: legs, fusion, and the hits that come of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.engine._graphs import is_scanned, needs_work
from elanus.engine._parts import DenseKey, SparseKey, TextPart
from elanus.engine._project import NOTHING, Projection, fetch
from elanus.engine._snapshot import Snapshot
from elanus.engine._state import CollectionState
from elanus.errors import DataNotMatchException, ParamError, listed, quoted, shown
from elanus.index import DenseIndex, FaissIndex, load_faiss, top_hits
from elanus.query import Expression, RankedLeg, fuse
from elanus.schema import (
    FAISS_TYPES,
    DataType,
    FieldSchema,
    IndexSpec,
    LegExplanation,
    Metric,
    Rejected,
    RRFRanker,
    SearchParams,
    WeightedRanker,
    dense_vector,
    metrics_for,
    names_something,
    sparse_vector,
)

DEFAULT_EF = 64
DEFAULT_REORDER = 100

Ranking = tuple[NDArray[np.intp], NDArray[np.float64]]
"""Slots and scores, best first."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One vector search.

    Attributes:
        data: one vector or text a query.
        field: the vector field; None if the collection has only one.
        limit: number of hits a query.
        params: metric and effort.
        filters: each hit passes all of them.
    """

    data: Sequence[Any]
    field: Any
    limit: int
    params: SearchParams
    filters: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Hits:
    """The rows that one query found, best first.

    Attributes:
        keys: their primary keys.
        scores: distances or fused scores.
        entities: the fields that were asked for.
        legs: what each leg said of each hit, if that was asked for.
    """

    keys: list[Any]
    scores: list[float]
    entities: list[dict[str, Any]]
    legs: list[tuple[LegExplanation, ...]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Target:
    """What a leg searches: the field, by which metric, through which index."""

    field: FieldSchema
    metric: Metric
    index: IndexSpec | None
    key: DenseKey


def _target(snapshot: Snapshot, leg: Leg) -> _Target:
    if not isinstance(leg.field, str | None):
        return _resolve(snapshot, leg)  # says what is wrong with it
    memo, asked = snapshot.info.memo, (leg.field, leg.params.metric)
    target: _Target | None = memo.get(asked)
    if target is None:
        target = memo[asked] = _resolve(snapshot, leg)
    return target


def _resolve(snapshot: Snapshot, leg: Leg) -> _Target:
    f = _vector_field(snapshot, leg.field)
    index = snapshot.info.index_on(f.name)
    allowed = metrics_for(snapshot.schema, f)
    metric = index.metric if index is not None and index.metric is not None else None
    asked = None if leg.params.metric is None else Metric.of(leg.params.metric)
    if metric is None:
        metric = asked or allowed[0]
    if metric not in allowed or asked not in (None, metric):
        expected = metric if metric in allowed else allowed[0]
        raise ParamError(
            f"field {f.name!r}: metric type not match: expected={expected.value}, "
            f"actual={leg.params.metric}"
        )
    return _Target(f, metric, index, DenseKey(f.name, f.dim or 0, metric))


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


def rank(snapshot: Snapshot, leg: Leg, limit: int) -> tuple[Metric, list[Ranking]]:
    """The best ``limit`` slots for each query of a leg, with their metric."""
    target = _target(snapshot, leg)
    limit = min(limit, max(snapshot.view.n, 1))  # an index may reserve room for all it may give
    mask = snapshot.eligible(*leg.filters)
    if target.field.dtype is DataType.FLOAT_VECTOR:
        return target.metric, _rank_dense(snapshot, leg, target, mask, limit)
    if target.metric is Metric.BM25:
        return target.metric, _rank_text(snapshot, leg, target, mask, limit)
    return target.metric, _rank_sparse(snapshot, leg, target, mask, limit)


def _rank_dense(
    snapshot: Snapshot, leg: Leg, target: _Target, mask: NDArray[np.bool_] | None, limit: int
) -> list[Ranking]:
    dim = target.key.dim
    queries = [_checked(dense_vector, q, i, target, dim) for i, q in enumerate(leg.data)]
    index = dense_index(snapshot, target.key, target.index)
    keys = snapshot.view.keys
    if not queries:
        return []
    index, ef = _with_effort(index, leg.params, target.index, limit)
    if len(queries) == 1:
        return [index.search(queries[0], limit, mask=mask, keys=keys, ef=ef)]
    found: list[Ranking] = index.search_many(np.stack(queries), limit, mask=mask, keys=keys, ef=ef)
    return found


def dense_index(snapshot: Snapshot, key: DenseKey, spec: IndexSpec | None) -> DenseIndex:
    """The index of a dense field; a graph that it lacks is asked for in the background."""
    index: DenseIndex = snapshot.part(key)
    view = snapshot.view
    if key in view.settled:
        return index
    if spec is None or spec.index_type == "FLAT":
        # A graph may be left from an index that was dropped: without one, answers are exact.
        return index if index.graph is None else index.with_graph(None)
    if spec.index_type in FAISS_TYPES:
        load_faiss()  # says what to install
    if spec.metric is key.metric and needs_work(view, index, spec):
        snapshot.state.upkeep.graph(snapshot.state, key, spec)
    else:
        view.settled.add(key)
    return index


def coverage(snapshot: Snapshot, spec: IndexSpec) -> tuple[int, int]:
    """Rows of a collection, and how many of them an index answers for as it should."""
    f, count = snapshot.schema.by_name[spec.field], snapshot.view.count
    is_dense = f.dtype is DataType.FLOAT_VECTOR
    if not is_dense or spec.metric is None or is_scanned(spec, count, f.dim or 0):
        return count, count
    # Whoever asks waits for the graph: so it is asked for.
    index = dense_index(snapshot, DenseKey(f.name, f.dim or 0, spec.metric), spec)
    view = snapshot.view
    if not needs_work(view, index, spec):
        return view.count, view.count
    covered = index.graph.covered if index.graph else 0
    return view.count, int(np.count_nonzero(view.alive[:covered]))


@dataclass(frozen=True, slots=True)
class DueGraph:
    """A graph that an index lacks.

    Attributes:
        state: of the collection.
        key: of the index.
        numbering: of the view in which it is due.
        covered: slots that the graph covers which is there; -1 without one.
    """

    state: CollectionState
    key: DenseKey
    numbering: object
    covered: int


def load_parts(snapshot: Snapshot, known: dict[DenseKey, tuple[object, int]]) -> list[DueGraph]:
    """Bring the vectors of the collection's indexes into memory; the graphs that are due.

    Args:
        snapshot: the collection.
        known: how many slots an index had when this was first asked, in which numbering. Rows that
            come later make no graph due.
    """
    snapshot.state.is_loaded = True
    due = []
    for spec in snapshot.info.indexes.values():
        f = snapshot.schema.by_name[spec.field]
        if f.dtype is not DataType.FLOAT_VECTOR or spec.metric is None:
            continue
        key = DenseKey(f.name, f.dim or 0, spec.metric)
        index, view = dense_index(snapshot, key, spec), snapshot.view
        if known.setdefault(key, (view.numbering, view.n))[0] is not view.numbering:
            known[key] = view.numbering, view.n
        if needs_work(view, index, spec, known[key][1]):
            covered = -1 if index.graph is None else index.graph.covered
            due.append(DueGraph(snapshot.state, key, view.numbering, covered))
    return due


def _with_effort(
    index: DenseIndex, params: SearchParams, spec: IndexSpec | None, limit: int
) -> tuple[DenseIndex, int]:
    """The index set to read as many lists as were asked for, and the number of candidates."""
    usual = spec.params if spec else {}
    if spec is None or spec.index_type not in FAISS_TYPES:
        return index, params.ef or int(usual.get("ef", DEFAULT_EF))
    nprobe = params.nprobe or usual.get("nprobe")
    if nprobe and isinstance(index.graph, FaissIndex):
        index = index.with_graph(index.graph.probing(int(nprobe)))
    # Distances between codes are rough: ten candidates for each hit.
    reorder_k = params.reorder_k or usual.get("reorder_k")
    return index, int(reorder_k or max(DEFAULT_REORDER, 10 * limit))


def _checked(convert: Any, value: Any, number: int, target: _Target, *more: Any) -> Any:
    try:
        return convert(value, *more)
    except Rejected as rule:
        text = " (a text searches a field that a BM25 function fills)" * isinstance(value, str)
        raise DataNotMatchException(
            f"query {number} on field {target.field.name!r}: {rule}{text}; got {shown(value)}"
        ) from None


def _rank_text(
    snapshot: Snapshot, leg: Leg, target: _Target, mask: NDArray[np.bool_] | None, limit: int
) -> list[Ranking]:
    source = snapshot.schema.bm25_inputs[target.field.name]
    part: TextPart = snapshot.part(snapshot.text_key(source))
    queries = [_query_terms(snapshot, source, q, i) for i, q in enumerate(leg.data)]
    keys = snapshot.view.keys
    if len(queries) == 1:
        return [part.index.search(queries[0], limit, mask=mask, keys=keys)]
    return list(part.index.search_many(queries, limit, mask=mask, keys=keys))


def _query_terms(snapshot: Snapshot, field: str, text: Any, number: int) -> list[tuple[int, int]]:
    """Term numbers and counts of a query, in the order of the terms' text."""
    if not isinstance(text, str):
        raise DataNotMatchException(
            f"query {number}: a BM25 search takes texts, got {type(text).__name__}"
        )
    counts = Counter(snapshot.state.analyzers[field].tokens(text))
    numbers = snapshot.numbers(field, counts)
    return [(numbers[term], counts[term]) for term in sorted(counts) if term in numbers]


def _rank_sparse(
    snapshot: Snapshot, leg: Leg, target: _Target, mask: NDArray[np.bool_] | None, limit: int
) -> list[Ranking]:
    queries = [_checked(sparse_vector, q, i, target) for i, q in enumerate(leg.data)]
    index = snapshot.part(SparseKey(target.field.name))
    keys = snapshot.view.keys
    return [index.search(i, v, limit, mask=mask, keys=keys) for i, v in queries]


def search(snapshot: Snapshot, leg: Leg, *, offset: int, projection: Projection) -> list[Hits]:
    """The hits of each query of one leg."""
    _, rankings = rank(snapshot, leg, offset + leg.limit)
    if len(rankings) == 1:
        ((slots, scores),) = rankings
        return [_hits(snapshot, slots[offset:], scores[offset:].tolist(), projection)]
    return _hits_of_many(
        snapshot, [(slots[offset:], scores[offset:]) for slots, scores in rankings], projection
    )


def _hits(snapshot: Snapshot, slots: Any, scores: list[float], projection: Projection) -> Hits:
    view = snapshot.view
    keys = view.keys[slots].tolist()
    if projection is NOTHING:
        return Hits(keys, scores, [{} for _ in keys])
    return Hits(keys, scores, fetch(snapshot, projection, view.rows[slots].tolist(), keys))


def _hits_of_many(
    snapshot: Snapshot, rankings: Sequence[Ranking], projection: Projection
) -> list[Hits]:
    """Fetched together, so that the file is read once."""
    slots = np.concatenate([s for s, _ in rankings]) if rankings else np.zeros(0, dtype=np.intp)
    every = _hits(snapshot, slots, [], projection)
    ends = [0, *accumulate(len(s) for s, _ in rankings)]
    return [
        Hits(every.keys[a:b], scores.tolist(), every.entities[a:b])
        for (a, b), (_, scores) in zip(pairwise(ends), rankings, strict=True)
    ]


def hybrid_search(
    snapshot: Snapshot,
    legs: Sequence[Leg],
    ranker: RRFRanker | WeightedRanker,
    *,
    limit: int,
    offset: int,
    projection: Projection,
    explain: bool,
) -> list[Hits]:
    """The fused hits of each query; all legs have the same number of queries.

    Raises:
        ParamError: if they have not.
    """
    counts = {len(leg.data) for leg in legs}
    if len(counts) != 1:
        raise ParamError(
            f"hybrid_search: every request needs as many queries, got {sorted(counts)}"
        )
    ranked = [rank(snapshot, leg, leg.limit) for leg in legs]
    names = [leg.field or snapshot.schema.vectors[0].name for leg in legs]
    results = []
    for query in range(counts.pop()):
        parts = [
            RankedLeg(name, metric, rankings[query][0].tolist(), rankings[query][1].tolist())
            for name, (metric, rankings) in zip(names, ranked, strict=True)
        ]
        fusion = fuse(parts, ranker)
        slots, scores = _best(snapshot, fusion.scores, offset + limit)
        hits = _hits(snapshot, slots[offset:], scores[offset:].tolist(), projection)
        if explain:
            said = [fusion.explain(slot) for slot in slots[offset:].tolist()]
            hits = replace(hits, legs=said)
        results.append(hits)
    return results


def _best(snapshot: Snapshot, scores: Mapping[int, float], count: int) -> Ranking:
    """The slots of the best fused scores; equal scores by primary key."""
    slots = np.fromiter(scores, dtype=np.intp, count=len(scores))
    values = np.fromiter(scores.values(), dtype=np.float64, count=len(scores))
    return top_hits(slots, values, count, snapshot.view.keys, descending=True)
