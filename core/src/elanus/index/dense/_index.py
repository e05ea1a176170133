"""One dense vector field of a collection: exact search, and a graph once that is faster."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from elanus.errors import ParamError
from elanus.index._order import Keys
from elanus.index.dense._flat import GATHER_COST, Hits, Pool, scan
from elanus.index.dense._metric import DENSE_METRICS, Float32s, Float64s, Query, Slots
from elanus.index.dense._rerank import Wanted, ranked
from elanus.index.dense._rows import Rows
from elanus.schema import DEFAULT_EF, Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from elanus.index.dense._faiss import FaissIndex
    from elanus.index.dense._graph import Graph

FETCH_COST = 60
"""A candidate fetched from the graph (2.2 µs at 384 d), against a row read in sequence."""

GRAPH_MIN_VALUES = 3_000_000
"""Values (rows times dimension) below which scanning is fast enough to stay exact for nothing.

Measured, k = 10, graph at ef 64: 8,000 rows of 384 d 0.20 ms scanned, 0.11 through the graph;
20,000 rows 1.1 (they left the cache) and 0.14; 40,000 rows of 64 d 0.25 and 0.11; 4,000 rows of
1,536 d 0.88 and 0.32.
"""

_LIST_POWER = 2 / 3  # measured: docs/planner.md
_FOUND_BYTES = 16 << 20  # what the graph gives for a batch of queries
_CANDIDATE_BYTES = 8 + 4  # a node and its distance


def wants_graph(n_alive: int, dim: int) -> bool:
    """Whether a field of ``n_alive`` vectors is searched much faster through a graph, or lists.

    All index types but ``FLAT`` switch here: below that size an exact answer costs no more.
    """
    # With fewer rows than its candidates are worth, a search would not take the graph at all.
    return n_alive > FETCH_COST * DEFAULT_EF and n_alive * dim >= GRAPH_MIN_VALUES


def list_length(k: int, ef: int, share: float) -> int:
    """How many candidates to ask of a graph when a share of the slots may be found.

    So many that ``k`` of them pass, with three standard deviations to spare, if the mask treats all
    slots alike. And more than ``ef``, but not in proportion: a longer list finds the few nearest
    with greater certainty. With this power recall is what it is without a mask, or better.
    """
    enough = (k + 3 * math.sqrt(k * (1 - share))) / share
    return math.ceil(max(ef / math.pow(share, _LIST_POWER), enough))


@dataclass(frozen=True, slots=True, eq=False)
class DenseIndex:
    """Immutable vectors by slot, and how to find the nearest.

    A slot is a position 0 … ``n - 1`` in the order of appending. One thread at a time may call
    `append`; any number may search any value meanwhile, without a lock.

    Attributes:
        rows: the vectors.
        graph: an approximate index over the first slots, or None; the rest is scanned.
    """

    rows: Rows
    graph: Graph | FaissIndex | None = None

    @classmethod
    def empty(cls, dim: int, metric: Metric) -> DenseIndex:
        """An index without rows.

        Raises:
            ParamError: ``dim`` is not positive, or the metric is not for dense vectors.
        """
        if dim < 1:
            raise ParamError(f"dimension is {dim}: pass at least 1")
        if metric not in DENSE_METRICS:
            raise ParamError(f"metric {metric.value} does not compare dense vectors")
        return cls(Rows.of(np.empty((0, dim), dtype=np.float32), None, metric))

    @classmethod
    def from_matrix(
        cls,
        matrix: Float32s,
        present: NDArray[np.bool_] | None,
        metric: Metric,
        *,
        squares: Float64s | None = None,
    ) -> DenseIndex:
        """An index over an existing matrix, which is neither copied nor ever written to.

        Args:
            matrix: float32, C-contiguous, shape ``(n, dim)``; possibly a read-only map. It must
                not change as long as the index lives.
            present: bool, shape ``(n,)``; False marks a null vector. None: all are present.
            metric: how vectors are compared.
            squares: `squares` of an equal index, when they were kept beside the matrix: opening
                then reads none of the vectors. They are part of every COSINE score: take them
                only from where damage is noticed.

        Raises:
            ParamError: a type or shape does not fit.
            DataNotMatchException: a present vector holds NaN or infinity.
            DatabaseCorruptError: ``squares`` are no squared lengths.
        """
        return cls(Rows.of(matrix, present, metric, squares))

    @property
    def n(self) -> int:
        """Number of slots, null vectors included."""
        return self.rows.n

    @property
    def dim(self) -> int:
        """Dimension of the vectors."""
        return self.rows.dim

    @property
    def metric(self) -> Metric:
        """How vectors are compared."""
        return self.rows.metric

    @property
    def squares(self) -> Float64s:
        """Squared lengths of the vectors, shape ``(n,)``; see `from_matrix`."""
        return self.rows.squares

    @property
    def nbytes(self) -> int:
        """Bytes of vectors, mapped ones included, and of the graph."""
        return self.rows.nbytes + (self.graph.nbytes if self.graph else 0)

    def append(self, vectors: Float32s, present: NDArray[np.bool_] | None = None) -> DenseIndex:
        """An index with more rows, which are found at once; this one stays as it is.

        Args:
            vectors: float32, shape ``(m, dim)``.
            present: bool, shape ``(m,)``; where False, the row is a null vector: its content is
                ignored, and it is never found.

        Raises:
            ParamError: a shape does not fit.
            DataNotMatchException: a present vector holds NaN or infinity.
        """
        return DenseIndex(self.rows.append(vectors, present), self.graph)

    def with_graph(self, graph: Graph | FaissIndex | None) -> DenseIndex:
        """The same rows, searched through ``graph`` as far as it covers them.

        Raises:
            ParamError: the graph was built from another kind of index.
        """
        if graph is not None:
            graph.check_fits(self.rows)
        return replace(self, graph=graph)

    def vectors(self, slots: Slots) -> Float32s:
        """Copies of the vectors at ``slots``, shape ``(len(slots), dim)``.

        Raises:
            ParamError: a slot is not in 0 … ``n - 1``.
        """
        slots = np.asarray(slots, dtype=np.intp)
        if len(slots) and not 0 <= slots.min() <= slots.max() < self.n:
            raise ParamError(f"slots {slots.min()} to {slots.max()}: pass slots 0 to {self.n - 1}")
        return self.rows.take(slots)

    def search(
        self,
        query: Float32s,
        k: int,
        *,
        mask: NDArray[np.bool_] | None,
        keys: Keys,
        ef: int = DEFAULT_EF,
    ) -> Hits:
        """The nearest vectors: ``min(k, eligible and present)`` hits, in canonical order.

        Exact without a graph, and wherever the mask leaves so few rows that scanning them is
        cheaper. Scores are canonical either way.

        Args:
            query: float32, shape ``(dim,)``.
            k: how many hits; at least 1.
            mask: bool, shape ``(n,)``: the slots that may be found; None for all.
            keys: primary keys by slot, shape ``(n,)``; they order equal scores.
            ef: how many candidates the graph gives at least (recall against time).

        Returns:
            Slots, and `canonical_scores`, best first.

        Raises:
            ParamError: an argument has a wrong shape, type or value.
        """
        self._check(k, ef, mask, keys)
        return self._search([Query.of(query, self.dim)], k, mask, keys, ef)[0]

    def search_many(
        self,
        queries: Float32s,
        k: int,
        *,
        mask: NDArray[np.bool_] | None,
        keys: Keys,
        ef: int = DEFAULT_EF,
    ) -> list[Hits]:
        """`search` for each row of ``queries``, shape ``(q, dim)``: the same hits, the same bits.

        Exact scans share one pass over the vectors. Arguments and errors are those of `search`.
        """
        self._check(k, ef, mask, keys)
        queries = np.asarray(queries, dtype=np.float32)
        if queries.ndim != 2:
            raise ParamError(
                f"queries have shape {queries.shape}: pass a matrix of shape (q, {self.dim})"
            )
        return self._search([Query.of(query, self.dim) for query in queries], k, mask, keys, ef)

    def _check(self, k: int, ef: int, mask: NDArray[np.bool_] | None, keys: Keys) -> None:
        if k < 1 or ef < 1:
            raise ParamError(f"k is {k} and ef is {ef}: pass at least 1")
        if mask is not None and (mask.shape != (self.n,) or mask.dtype != np.bool_):
            raise ParamError(
                f"mask: {mask.dtype} of shape {mask.shape}: pass one boolean for each of the "
                f"{self.n} slots"
            )
        if keys.shape != (self.n,):
            raise ParamError(
                f"keys have shape {keys.shape}: pass one key for each of the {self.n} slots"
            )

    def _search(
        self, queries: list[Query], k: int, mask: NDArray[np.bool_] | None, keys: Keys, ef: int
    ) -> list[Hits]:
        graph = self.graph
        count = 0 if graph is None else self._count(mask)
        fetch = None if graph is None else self._fetch(k, ef, count)
        if graph is None or fetch is None:
            return scan(self.rows, queries, k, Pool.of(self.rows, mask), keys)
        wanted = Wanted(k, count, mask, keys)
        hits: list[Hits] = []
        step = max(1, _FOUND_BYTES // (_CANDIDATE_BYTES * fetch))
        for first in range(0, len(queries), step):
            batch = queries[first : first + step]
            near = graph.candidates(self.rows, batch, k, fetch, mask)
            hits += ranked(self.rows, graph, batch, near, wanted)
        return hits

    def _count(self, mask: NDArray[np.bool_] | None) -> int:
        """How many slots may be found; counting costs a tenth of listing them."""
        present = self.rows.present
        if mask is None:
            return self.rows.n_present
        return int(np.count_nonzero(mask if present is None else mask & present))

    def _fetch(self, k: int, ef: int, count: int) -> int | None:
        """How many nodes to ask the graph for, or None when scanning ``count`` rows is cheaper.

        hnswlib's own filter was not taken: it calls Python, under the GIL, for every node that
        it visits, and is slower than to fetch more and to mask in numpy.
        """
        if count == 0:
            return None
        fetch = list_length(k, ef, count / self.n)
        return fetch if fetch * FETCH_COST < min(count * GATHER_COST, self.n) else None
