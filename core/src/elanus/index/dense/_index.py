"""One dense vector field of a collection: exact search, and a graph once that is faster.

Nothing here is ever changed, so that a search takes no lock. This is why it stays right while
others work:

* `DenseIndex.append` makes a longer value. The rows of the shorter one stay where they are (see
  `Growing`), and the graph is handed on: what it covers is as before, and the new rows, which are
  behind that, are scanned. So a row is found by the first search after its commit, however long
  the graph takes to follow.
* A graph is built from one value, for seconds or minutes, while rows are appended and deleted. It
  is then put on the newest value, whose first slots are the same. It may link slots that were
  deleted since: the mask hides them. It lacks those that were dead when it was built: a slot never
  comes to life again, so no later mask asks for them.
* A build that is stopped, or fails, has touched its own copy only.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from elanus.errors import ParamError
from elanus.index._order import Keys, Ranking, check_search
from elanus.index.dense._exact import GATHER_COST, QueryVector, scan, score_slots
from elanus.index.dense._lengths import DENSE_METRICS, Float32s, Float64s, Slots
from elanus.index.dense._moments import Moments
from elanus.index.dense._rerank import FETCH_COST, Approximate, Wanted, check_fits, ranked
from elanus.index.dense._rows import Rows
from elanus.schema import DEFAULT_EF, Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray

GRAPH_MIN_ROWS = FETCH_COST * DEFAULT_EF + 1
"""With fewer rows than its candidates are worth, a search would not take the graph at all."""

GRAPH_MIN_VALUES = 3_000_000
"""Values (rows times dimension) below which scanning is fast enough to stay exact for nothing.

Measured, k = 10, graph at ef 64: 8,000 rows of 384 d 0.20 ms scanned, 0.11 through the graph;
20,000 rows 1.1 (they left the cache) and 0.14; 40,000 rows of 64 d 0.25 and 0.11; 4,000 rows of
1,536 d 0.88 and 0.32.
"""

_FOUND_BYTES = 16 << 20  # what the graph gives for a batch of queries
_CANDIDATE_BYTES = 8 + 4  # a node and its distance


def wants_graph(
    n_alive: int, dim: int, rows: int = GRAPH_MIN_ROWS, values: int = GRAPH_MIN_VALUES
) -> bool:
    """Whether a field of ``n_alive`` vectors is searched much faster through a graph, or lists.

    All index types but ``FLAT`` switch here: below that size an exact answer costs no more.
    """
    return n_alive >= rows and n_alive * dim >= values


@dataclass(frozen=True, slots=True, eq=False)
class DenseIndex:
    """Immutable vectors by slot, and how to find the nearest.

    A slot is a position 0 … ``n - 1`` in the order of appending. One thread at a time may call
    `append`; any number may search any value meanwhile, without a lock.

    Attributes:
        rows: the vectors.
        graph: an approximate index over the first slots, or None; the rest is scanned.
        n: number of slots, null vectors included.
        dim: dimension of the vectors.
    """

    rows: Rows
    graph: Approximate | None = None
    n: int = field(init=False)
    dim: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", self.rows.n)
        object.__setattr__(self, "dim", self.rows.dim)

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

    def with_graph(self, graph: Approximate | None) -> DenseIndex:
        """The same rows, searched through ``graph`` as far as it covers them.

        Raises:
            ParamError: the graph was built from another kind of index.
        """
        if graph is not None:
            check_fits(graph, self.rows)
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

    def judge(
        self, query: Float32s, slots: Slots, moments: Moments
    ) -> tuple[Float64s, float, float]:
        """What the similarities of some vectors are worth, by those of all.

        Args:
            query: float32, shape ``(dim,)``.
            slots: (m,) of vectors that are present.
            moments: of all vectors.

        Returns:
            Scores (m,), as `search` gives them; mean and standard deviation of all scores.
        """
        wanted = QueryVector.of(query, self.dim)
        scores = score_slots(self.rows, slots, wanted)
        return (scores, *moments.of(wanted, self.rows.metric))

    def search(
        self,
        query: Float32s,
        k: int,
        *,
        mask: NDArray[np.bool_] | None,
        keys: Keys,
        ef: int = DEFAULT_EF,
    ) -> Ranking:
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
        return self._search([query], k, mask, keys, ef)[0]

    def search_many(
        self,
        queries: Float32s,
        k: int,
        *,
        mask: NDArray[np.bool_] | None,
        keys: Keys,
        ef: int = DEFAULT_EF,
    ) -> list[Ranking]:
        """`search` for each row of ``queries``, shape ``(q, dim)``: the same hits, the same bits.

        Exact scans share one pass over the vectors. Arguments and errors are those of `search`.
        """
        queries = np.asarray(queries, dtype=np.float32)
        if queries.ndim != 2:
            raise ParamError(
                f"queries have shape {queries.shape}: pass a matrix of shape (q, {self.dim})"
            )
        return self._search(list(queries), k, mask, keys, ef)

    def _search(
        self, vectors: list[Float32s], k: int, mask: NDArray[np.bool_] | None, keys: Keys, ef: int
    ) -> list[Ranking]:
        check_search("DenseIndex.search", self.n, k, mask, keys)
        if ef < 1:
            raise ParamError(f"DenseIndex.search: ef is {ef}; pass at least 1")
        queries = [QueryVector.of(vector, self.dim) for vector in vectors]
        if self.graph is not None:
            wanted = Wanted(k, self._count(mask), mask, keys)
            fetch = self._fetch(self.graph, k, ef, wanted.count)
            if fetch is not None:
                return self._through(self.graph, queries, fetch, wanted)
        return scan(self.rows, queries, k, mask, keys)

    def _through(
        self, graph: Approximate, queries: list[QueryVector], fetch: int, wanted: Wanted
    ) -> list[Ranking]:
        """The hits by candidates of the graph, for so many queries at a time as memory allows."""
        hits: list[Ranking] = []
        step = max(1, _FOUND_BYTES // (_CANDIDATE_BYTES * fetch))
        for first in range(0, len(queries), step):
            batch = queries[first : first + step]
            near = graph.candidates(self.rows, batch, wanted.k, fetch, wanted.mask)
            hits += ranked(self.rows, graph, batch, near, wanted)
        return hits

    def _count(self, mask: NDArray[np.bool_] | None) -> int:
        """How many slots may be found; counting costs a tenth of listing them."""
        present = self.rows.present
        if mask is None:
            return self.rows.n_present
        return int(np.count_nonzero(mask if present is None else mask & present))

    def _fetch(self, graph: Approximate, k: int, ef: int, count: int) -> int | None:
        """How many candidates to ask for, or None when scanning ``count`` rows is cheaper."""
        if count == 0:
            return None
        plan = graph.plan(k, ef, count, self.n)
        return plan.fetch if plan.cost < min(count * GATHER_COST, self.n) else None
