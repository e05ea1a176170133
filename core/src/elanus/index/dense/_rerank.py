"""From the candidates of an approximate index to hits: canonical scores, and what it lacks.

A search promises exactly ``min(k, eligible)`` hits. An approximate index promises nothing: its
links may lead elsewhere, a mask may hide most of what it finds, and float32 may be too small for a
query or for a vector. Three other sources make up for that, and each of them is exact:

* slots behind ``covered``, appended since it was built, are scanned;
* its stragglers, which it knows but cannot hold, are scored one by one;
* a query that has too few hits even so, or that it cannot answer, scans everything.

The first two never hold what it finds itself, so the parts are joined without looking for doubles;
and all parts have their scores from one function, so that it does not show where a hit came from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from elanus import native
from elanus.errors import DatabaseCorruptError, ParamError
from elanus.index._order import Keys, Ranking, top_hits
from elanus.index.dense._exact import QueryVector, canonical_scores, scan, score_slots
from elanus.index.dense._lengths import Float64s, Slots
from elanus.index.dense._nodes import are_wild, never

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from elanus.index.dense._codes import CodesParams
    from elanus.index.dense._faiss import FaissParams
    from elanus.index.dense._graph import GraphParams
    from elanus.index.dense._index import DenseIndex
    from elanus.index.dense._nodes import NodeTable
    from elanus.index.dense._rows import Rows
    from elanus.schema import Metric

FETCH_COST = 60
"""A candidate fetched from a graph or lists (2.2 µs at 384 d), against a row read in sequence."""

_LIST_POWER = 2 / 3  # measured: docs/planner.md
_PAIR_BYTES = 1 << 19  # float64 temporaries that stay in the cache
_MANY = 64  # candidates a query, beyond which scoring them together saves nothing
_NO_SLOTS: Slots = np.empty(0, dtype=np.intp)


@dataclass(frozen=True, slots=True)
class Plan:
    """What an approximate index would do for a search.

    Attributes:
        fetch: how many candidates it should give.
        cost: of giving and scoring them, in rows read in sequence.
    """

    fetch: int
    cost: float


class Approximate(Protocol):
    """An immutable index over the first slots of a field, which finds most of the nearest."""

    @property
    def params(self) -> GraphParams | FaissParams | CodesParams:
        """How it was built."""

    @property
    def metric(self) -> Metric:
        """Of the vectors that it was built from."""

    @property
    def dim(self) -> int:
        """Of the vectors that it was built from."""

    @property
    def covered(self) -> int:
        """Slots below are found, unless they were null or masked out when it was built."""

    @property
    def nodes(self) -> NodeTable:
        """Which slots each of its distinct vectors stands for."""

    @property
    def stragglers(self) -> Slots:
        """Covered slots that it cannot hold."""

    @property
    def busy(self) -> native.Entries:
        """One entry for each call that is inside of foreign code just now."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""

    def extend(
        self,
        index: DenseIndex,
        *,
        mask: NDArray[np.bool_] | None = None,
        stop: Callable[[], bool] = never,
    ) -> Approximate | None:
        """One that covers all of ``index``, or None when stopped; this one stays as it is."""

    def plan(self, k: int, ef: int, count: int, n: int) -> Plan:
        """What to do for the first ``k`` when ``count`` of ``n`` slots may be found.

        ``ef`` is how many candidates are asked for at least.
        """

    def candidates(
        self,
        rows: Rows,
        queries: Sequence[QueryVector],
        k: int,
        fetch: int,
        mask: NDArray[np.bool_] | None,
    ) -> list[Slots | None]:
        """For each query the slots that may be its first ``k``, of about ``fetch`` found.

        None when it cannot answer the query.
        """


def over_fetched(k: int, ef: int, share: float) -> Plan:
    """The plan of an index that knows nothing of masks, when a share of the slots may be found.

    So many candidates that ``k`` of them pass, with three standard deviations to spare, if the mask
    treats all slots alike. And more than ``ef``, but not in proportion: a longer list finds the few
    nearest with greater certainty. With this power recall is what it is without a mask, or better.

    hnswlib's own filter was not taken: it calls Python, under the GIL, for every node that it
    visits, and is slower than to fetch more and to mask in numpy.
    """
    enough = (k + 3 * math.sqrt(k * (1 - share))) / share
    fetch = math.ceil(max(ef / math.pow(share, _LIST_POWER), enough))
    return Plan(fetch, fetch * FETCH_COST)


def check_fits(index: Approximate, rows: Rows) -> None:
    """Raise unless ``rows`` can be the vectors that an approximate index was built from.

    Raises:
        ParamError: another metric, another dimension, or fewer slots than are covered.
    """
    same = index.metric is rows.metric and index.dim == rows.dim
    if not same or index.covered > rows.n:
        raise ParamError(
            f"an approximate index of {index.covered} slots ({index.metric.value}, dimension "
            f"{index.dim}) does not fit an index of {rows.n} ({rows.metric.value}, dimension "
            f"{rows.dim}): build it from this index"
        )


def check_slots(index: Approximate, scale: float, rows: Rows) -> None:
    """Check what a saved index stands for: each slot once, covered, and present.

    Raises:
        DatabaseCorruptError: it is otherwise.
    """
    slots = np.concatenate([index.nodes.slots, index.stragglers])
    known = rows.present
    if (
        len(np.unique(slots)) != len(slots)
        or (slots >= index.covered).any()
        or (known is not None and not known[slots].all())
        or are_wild(rows, index.nodes.slots, scale).any()
    ):
        raise DatabaseCorruptError(
            "saved graph or codes: a slot is out of range, doubled, null or too long; build anew"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """What a search asks for.

    Attributes:
        k: how many hits.
        count: how many slots may be found.
        mask: which, bool, shape ``(n,)``; None for all.
        keys: primary keys by slot, shape ``(n,)``.
    """

    k: int
    count: int
    mask: NDArray[np.bool_] | None
    keys: Keys


def ranked(
    rows: Rows,
    index: Approximate,
    queries: Sequence[QueryVector],
    near: Sequence[Slots | None],
    wanted: Wanted,
) -> list[Ranking]:
    """The best of the candidates and of the slots that the index does not cover.

    A query with too few of them is answered by a scan: links are a heuristic, and a filter may
    be against them.

    Args:
        rows: the vectors.
        index: what gave the candidates.
        queries: the queries.
        near: the candidates of each.
        wanted: what the search asks for.
    """
    k, keys, descending = wanted.k, wanted.keys, rows.metric.higher_is_better
    late, scored = _uncovered(rows, index, queries, wanted), _scored(rows, queries, near)
    hits = []
    for query, slots, scores, more in zip(queries, near, scored, late, strict=True):
        if slots is None or len(slots) + sum(len(m) for m, _ in more) < min(k, wanted.count):
            hits += scan(rows, [query], k, wanted.mask, keys)
        else:
            found = _joined((slots, scores), more) if more else (slots, scores)
            hits.append(top_hits(*found, k, keys, descending=descending))
    return hits


def _joined(near: Ranking, late: Sequence[Ranking]) -> Ranking:
    slots, scores = zip(near, *late, strict=True)
    return np.concatenate(slots), np.concatenate(scores)


def _scored(
    rows: Rows, queries: Sequence[QueryVector], near: Sequence[Slots | None]
) -> list[Float64s]:
    """Canonical scores of each query's candidates, for many queries at once."""
    found = [_NO_SLOTS if slots is None else slots for slots in near]
    counts = [len(slots) for slots in found]
    if sum(counts) > _MANY * len(counts) or len(counts) == 1:
        return [
            score_slots(rows, slots, query) for slots, query in zip(found, queries, strict=True)
        ]
    everyone, owners = np.concatenate(found), np.repeat(np.arange(len(found)), counts)
    wide = np.array([query.wide for query in queries])
    squares = np.array([query.square for query in queries])
    scores = np.empty(len(everyone), dtype=np.float64)
    step = max(1, _PAIR_BYTES // (8 * rows.dim))
    for first in range(0, len(everyone), step):
        part = slice(first, first + step)
        slots, own = everyone[part], owners[part]
        vectors, lengths = rows.take(slots), rows.squares.take(slots)
        pairs = (vectors, wide.take(own, axis=0), squares.take(own), lengths)
        scores[part] = canonical_scores(rows.metric, *pairs)
    return np.split(scores, np.cumsum(counts)[:-1])


def _uncovered(
    rows: Rows, index: Approximate, queries: Sequence[QueryVector], wanted: Wanted
) -> list[list[Ranking]]:
    """For each query, hits among the slots that the index cannot find."""
    late: list[list[Ranking]] = [[] for _ in queries]
    if len(index.stragglers):
        slots = index.stragglers
        slots = slots if wanted.mask is None else slots[wanted.mask[slots]]
        for query, found in zip(queries, late, strict=True):
            found.append((slots, score_slots(rows, slots, query)))
    if index.covered < rows.n:
        tails = scan(rows, queries, wanted.k, wanted.mask, wanted.keys, index.covered)
        for found, tail in zip(late, tails, strict=True):
            found.append(tail)
    return late
