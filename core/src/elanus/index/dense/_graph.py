"""Approximate search: a graph of distinct vectors (HNSW), immutable once it is published.

hnswlib walks the links; everything that decides which slots a node stands for, and what a score
is, stays here. Malkov and Yashunin, *Efficient and robust approximate nearest neighbor search
using Hierarchical Navigable Small World graphs*, 2018.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from elanus import native
from elanus.errors import DatabaseCorruptError, ParamError
from elanus.index.dense._exact import QueryVector, dot_error
from elanus.index.dense._graph_arrays import (
    HnswState,
    checked_header,
    hnsw_from_arrays,
    hnsw_to_arrays,
)
from elanus.index.dense._lengths import Float32s, Slots
from elanus.index.dense._nodes import (
    Growth,
    NodeTable,
    Stopped,
    direction,
    never,
    node_blocks,
    node_vectors,
)
from elanus.index.dense._rerank import Plan, check_fits, check_slots, over_fetched
from elanus.schema import Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from elanus.index.dense._index import DenseIndex
    from elanus.index.dense._rows import Rows

_Walked: TypeAlias = "tuple[NDArray[np.int64], Float32s]"
"""Nodes, and their distances."""

_SLICE = 128  # rows until the first look at `stop`: 0.02 to 0.2 s at 384 to 1536 dimensions
_LEAST_SLICE, _MOST_SLICE = 4, 1024
_SLICE_SECONDS = 0.1


def _next_step(rows: int, seconds: float) -> int:
    """How many rows to add before the next look, when so many took so long."""
    fitting = int(rows * min(_SLICE_SECONDS / max(seconds, 1e-6), 4.0))
    return min(max(fitting, _LEAST_SLICE), _MOST_SLICE)


@dataclass(frozen=True, slots=True)
class GraphParams:
    """How a graph is built, under Milvus's names and ranges.

    Attributes:
        m: links per node and level, twice as many at the lowest; 2 … 2048.
        ef_construction: candidates looked at when a node is linked; at least 1.

    Raises:
        ParamError: a value is out of range.
    """

    m: int = 16
    ef_construction: int = 200

    def __post_init__(self) -> None:
        if not 2 <= self.m <= 2048:
            raise ParamError(f"HNSW parameter M is {self.m}: pass a number from 2 to 2048")
        if not 1 <= self.ef_construction < 2**31:
            raise ParamError(
                f"HNSW parameter efConstruction is {self.ef_construction}: pass at least 1"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Links between the distinct vectors of slots 0 … ``covered - 1``.

    Nothing here changes after construction: hnswlib is not safe to add to, mark deleted in,
    resize or ``set_ef`` while others search (``ef`` is passed as ``k``, which is equal).

    Attributes:
        params: how it was built.
        metric: of the index that it was built from.
        dim: dimension of the vectors.
        covered: slots below are found through the graph, unless they were null or masked out
            when it was built; such a slot must stay masked out in every search.
        nodes: which slots each node stands for.
        stragglers: covered slots whose lengths float32 arithmetic cannot hold; scan them.
        scale: power of two that brings the vectors near to length one (1 for COSINE).
        busy: one entry for each call that is inside of hnswlib just now.
    """

    params: GraphParams
    metric: Metric
    dim: int
    covered: int
    nodes: NodeTable
    stragglers: Slots
    scale: float
    _hnsw: Any
    busy: native.Entries = field(default_factory=list)

    @classmethod
    def build(
        cls,
        index: DenseIndex,
        params: GraphParams,
        *,
        mask: NDArray[np.bool_] | None = None,
        threads: int = 0,
        stop: Callable[[], bool] = never,
    ) -> Graph | None:
        """Build a graph of all slots that are present and in ``mask``.

        Args:
            index: where the vectors are.
            params: M and efConstruction.
            mask: bool, shape ``(n,)``: the slots worth adding; None for all.
            threads: how many to build with; 0 for one per core. More than one makes builds
                differ from each other in a few links.
            stop: asked about every 0.1 s; True abandons the build.

        Returns:
            The graph, or None when it was stopped.

        Raises:
            ParamError: ``mask`` or ``threads`` does not fit.
        """
        rows = index.rows
        nodes, nobody = NodeTable.empty(), np.empty(0, dtype=np.intp)
        blank = cls(params, rows.metric, rows.dim, 0, nodes, nobody, 1.0, None)
        return blank.extend(index, mask=mask, threads=threads, stop=stop)

    def extend(
        self,
        index: DenseIndex,
        *,
        mask: NDArray[np.bool_] | None = None,
        threads: int = 0,
        stop: Callable[[], bool] = never,
    ) -> Graph | None:
        """A copy of this graph that covers all of ``index``; this one stays as it is.

        Args and errors are those of `build`; ``mask`` counts from ``covered`` on.
        """
        rows = index.rows
        check_fits(self, rows)
        if threads < 0:
            raise ParamError(f"threads is {threads}: pass 0 for one per core, or more")
        try:
            grown = Growth.of(self.nodes, self.scale, rows, self.covered, mask, stop)
        except Stopped:
            return None
        added, first = grown.added, len(self.nodes)
        hnsw = self._hnsw
        if len(added) or hnsw is None:
            hnsw = self._copied(len(grown.nodes))
        start, step = 0, _SLICE
        while start < len(added):
            if stop():
                return None
            began = time.monotonic()
            slots = added[start : start + step]
            labels = np.arange(first + start, first + start + len(slots))
            vectors = node_vectors(rows, slots, grown.scale)
            native.call(self.busy, hnsw.add_items, vectors, labels, num_threads=threads or -1)
            start += len(slots)
            step = _next_step(len(slots), time.monotonic() - began)
        wilds = np.concatenate([self.stragglers, grown.wild])
        return Graph(
            self.params, self.metric, self.dim, rows.n, grown.nodes, wilds, grown.scale, hnsw
        )

    @property
    def nbytes(self) -> int:
        """Bytes of memory, hnswlib's own copy of the vectors included."""
        per_node = 4 * self.dim + 4 * (2 * self.params.m + 1) + 8 + 8 + 4 + 48  # label map: 48
        upper = len(self.nodes) * 4 * (self.params.m + 1) // (self.params.m - 1)
        return int(len(self.nodes) * per_node + upper + self.nodes.nbytes + self.stragglers.nbytes)

    def plan(self, k: int, ef: int, count: int, n: int) -> Plan:
        """See `over_fetched`."""
        return over_fetched(k, ef, count / n)

    def candidates(
        self,
        rows: Rows,
        queries: Sequence[QueryVector],
        k: int,
        fetch: int,
        mask: NDArray[np.bool_] | None,
    ) -> list[Slots | None]:
        """For each query the slots that may be its first ``k``, of about ``fetch`` found.

        Several queries are walked together, in one thread per core; each gets what it would get
        alone. Slots that are not in ``mask`` are left out, and stragglers are not found. None when
        the graph cannot answer: its links reach fewer nodes than asked for, or float32 cannot hold
        the query.
        """
        if not len(self.nodes):
            return [self.nodes.slots for _ in queries]
        count = min(fetch, len(self.nodes))
        directions = [direction(self.metric, query, self.scale) for query in queries]
        found = iter(self._walked([d for d in directions if d is not None], count))
        walked = [None if d is None else next(found) for d in directions]
        return [None if w is None else self._kept(rows, *w, k, mask) for w in walked]

    def _walked(self, directions: list[Float32s], count: int) -> list[_Walked | None]:
        """The ``count`` nearest nodes to each direction, nearest first."""
        if not directions:
            return []
        wanted = directions[0] if len(directions) == 1 else np.array(directions)
        try:
            # One thread for each core: hnswlib starts them for nine queries or more.
            nodes, distances = native.call(
                self.busy, self._hnsw.knn_query, wanted, k=count, num_threads=-1
            )
        except RuntimeError:
            # It does not say which query reached too few.
            alone = [[one] for one in directions]
            return [None] if len(alone) == 1 else [self._walked(d, count)[0] for d in alone]
        return list(zip(nodes.view(np.int64), distances, strict=True))

    def _kept(
        self,
        rows: Rows,
        nodes: NDArray[np.int64],
        distances: Float32s,
        k: int,
        mask: NDArray[np.bool_] | None,
    ) -> Slots:
        """The slots of nodes, less those that are masked out or surely behind the first ``k``."""
        if mask is None and self.metric is not Metric.IP:
            # Every node has a slot. Looking up those of a few only saves as many cache misses.
            kept = self._near(distances, k, 0.0)
            return self.nodes.expand(nodes[:kept], distances[:kept])[0]
        slots, distances = self.nodes.expand(nodes, distances)
        if mask is not None:
            passes = mask[slots]
            slots, distances = slots[passes], distances[passes]
        longest = float(rows.factors[slots].max(initial=0.0)) if self.metric is Metric.IP else 0.0
        return slots[: self._near(distances, k, longest)]

    def _near(self, distances: Float32s, k: int, longest: float) -> int:
        """How many of the ascending distances can be among the first ``k`` by canonical score."""
        if len(distances) <= k:
            return len(distances)
        kth = float(distances[k - 1])
        return bisect_right(distances, kth + self._doubt(kth, longest))

    def _doubt(self, distance: float, longest: float) -> float:
        """How far beyond ``distance`` hnswlib may put a slot that is truly not behind it.

        Twice the error of one distance, by the bound that `_exact` explains. ``longest`` is the
        greatest length among the slots; IP needs it.
        """
        gamma = dot_error(self.dim)
        if self.metric is Metric.COSINE:
            return 2 * gamma
        if self.metric is Metric.IP:
            return 2 * gamma * (1.0 + self.scale * longest)
        # Relative, as squares have one sign, but for what underflows.
        return 3 * gamma * distance + self.dim * 2.0**-120

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The graph without its vectors, for `from_arrays`: about 140 bytes a slot at M = 16."""
        params = self.params
        hnsw_arrays = hnsw_to_arrays(
            self._hnsw, params.m, params.ef_construction, self.covered, self.dim
        )
        return {
            **hnsw_arrays,
            "scale": np.array([self.scale]),
            "node_start": self.nodes.start.astype(np.uint32),
            "node_slots": self.nodes.slots.astype(np.uint32),
            "stragglers": self.stragglers.astype(np.uint32),
        }

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        index: DenseIndex,
        *,
        stop: Callable[[], bool] = never,
    ) -> Graph | None:
        """Put a saved graph together with the vectors of ``index``; answers are as before.

        None when ``stop``, which is asked every few milliseconds, said so.

        Every id, count, level and entry point is checked before hnswlib, which checks nothing,
        sees it.

        Raises:
            DatabaseCorruptError: an array is missing, of a wrong type or shape, or holds a value
                that is out of range.
        """
        rows = index.rows
        header = checked_header(arrays, rows.n)
        try:
            params = GraphParams(header.m, header.ef_construction)
        except ParamError as error:
            raise DatabaseCorruptError(f"graph: {error}; rebuild it") from error
        start, slots, stragglers = (
            arrays[name].astype(np.intp) for name in ("node_start", "node_slots", "stragglers")
        )
        nodes, scale = NodeTable(start, slots), float(arrays["scale"][0])
        blank = cls(params, rows.metric, rows.dim, header.covered, nodes, stragglers, scale, None)
        check_slots(blank, scale, rows)
        hnsw = blank._copied(len(nodes))
        if len(nodes):
            blocks = node_blocks(rows, nodes.leaders[arrays["labels"]], scale, stop)
            try:
                hnsw = hnsw_from_arrays(arrays, hnsw, blocks, header)
            except Stopped:
                return None
        return replace(blank, _hnsw=hnsw)

    def _copied(self, capacity: int) -> Any:
        """A private hnswlib index with this graph's nodes, and room for ``capacity``.

        Others may search this graph meanwhile: a search writes to none of the memory that is read
        here. Whoever adds to the copy is its only owner until it is published.
        """
        if self._hnsw is not None and len(self.nodes):
            return HnswState.of(self._hnsw, self.params.m, self.dim).assembled(capacity)
        hnsw = native.load("hnswlib").Index("l2" if self.metric is Metric.L2 else "ip", self.dim)
        hnsw.init_index(
            max_elements=max(1, capacity),
            M=self.params.m,
            ef_construction=self.params.ef_construction,
        )
        return hnsw
