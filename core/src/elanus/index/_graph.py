"""Approximate search: a graph of distinct vectors (HNSW), immutable once it is published.

hnswlib walks the links; everything that decides which slots a node stands for, and what a score
is, stays here. Malkov and Yashunin, *Efficient and robust approximate nearest neighbor search
using Hierarchical Navigable Small World graphs*, 2018.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import hnswlib
import numpy as np

from elanus.errors import DatabaseCorruptError, ParamError
from elanus.index._flat import dot_error
from elanus.index._graph_arrays import (
    HnswState,
    checked_layout,
    hnsw_from_arrays,
    hnsw_to_arrays,
)
from elanus.index._metric import TAME_MAX, Float32s, Query, Slots
from elanus.index._nodes import NodeTable, node_blocks, node_vectors
from elanus.schema import Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from elanus.index._rows import Rows

_SLICE = 128  # rows between two looks at `stop`: 0.02 to 0.2 s at 384 to 1536 dimensions


class HasRows(Protocol):
    """What a graph needs of an index: its vectors."""

    @property
    def rows(self) -> Rows:
        """The vectors by slot."""


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


def _never() -> bool:
    return False


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
    """

    params: GraphParams
    metric: Metric
    dim: int
    covered: int
    nodes: NodeTable
    stragglers: Slots
    scale: float
    _hnsw: Any

    @classmethod
    def build(
        cls,
        index: HasRows,
        params: GraphParams,
        *,
        mask: NDArray[np.bool_] | None = None,
        threads: int = 0,
        stop: Callable[[], bool] = _never,
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
        index: HasRows,
        *,
        mask: NDArray[np.bool_] | None = None,
        threads: int = 0,
        stop: Callable[[], bool] = _never,
    ) -> Graph | None:
        """A copy of this graph that covers all of ``index``; this one stays as it is.

        Args and errors are those of `build`; ``mask`` counts from ``covered`` on.
        """
        rows = index.rows
        self.check_fits(rows)
        _check_build(rows, mask, threads)
        fresh = np.arange(self.covered, rows.n)
        if rows.present is not None:
            fresh = fresh[rows.present[self.covered :]]
        if mask is not None:
            fresh = fresh[mask[fresh]]
        scale = self.scale if len(self.nodes) else _scale_of(rows, fresh)
        wild = _are_wild(rows, fresh, scale)
        nodes, added = self.nodes.with_slots(rows, fresh[~wild], scale)
        hnsw = self._copied(len(nodes)) if len(added) or self._hnsw is None else self._hnsw
        for start in range(0, len(added), _SLICE):
            if stop():
                return None
            slots = added[start : start + _SLICE]
            labels = np.arange(len(self.nodes) + start, len(self.nodes) + start + len(slots))
            hnsw.add_items(node_vectors(rows, slots, scale), labels, num_threads=threads or -1)
        wilds = np.concatenate([self.stragglers, fresh[wild]])
        return Graph(self.params, self.metric, self.dim, rows.n, nodes, wilds, scale, hnsw)

    @property
    def nbytes(self) -> int:
        """Bytes of memory, hnswlib's own copy of the vectors included."""
        per_node = 4 * self.dim + 4 * (2 * self.params.m + 1) + 8 + 8 + 4 + 48  # label map: 48
        upper = len(self.nodes) * 4 * (self.params.m + 1) // (self.params.m - 1)
        return int(len(self.nodes) * per_node + upper + self.nodes.nbytes + self.stragglers.nbytes)

    def check_fits(self, rows: Rows) -> None:
        """Raise unless ``rows`` can be the vectors that this graph links.

        Raises:
            ParamError: another metric, another dimension, or fewer slots than are covered.
        """
        same = self.metric is rows.metric and self.dim == rows.dim
        if not same or self.covered > rows.n:
            raise ParamError(
                f"a graph of {self.covered} slots ({self.metric.value}, dimension {self.dim}) does "
                f"not fit an index of {rows.n} ({rows.metric.value}, dimension {rows.dim}): build "
                "it from this index"
            )

    def nearest(self, query: Query, fetch: int) -> tuple[Slots, Float32s] | None:
        """The slots of about the ``fetch`` nearest distinct vectors, and float32 distances.

        Nearest first; stragglers are not among them. None when the graph cannot answer: its
        links reach fewer nodes than asked for, or float32 cannot hold the query.
        """
        if not len(self.nodes):
            return self.nodes.slots, np.empty(0, dtype=np.float32)
        wanted = self._direction(query)
        if wanted is None:
            return None
        count = min(fetch, len(self.nodes))
        try:
            found, distances = self._hnsw.knn_query(wanted, k=count, num_threads=1)
        except RuntimeError:
            return None
        return self.nodes.expand(found[0].view(np.int64), distances[0])

    def _direction(self, query: Query) -> Float32s | None:
        if self.metric is not Metric.COSINE and not query.is_tame:
            return None
        # A unit vector ranks alike under COSINE and IP, and hnswlib's 1 - x.q keeps its bits.
        if self.metric is not Metric.L2:
            return query.unit()
        scaled: Float32s = query.vector * np.float32(self.scale)
        return scaled if query.norm * self.scale <= TAME_MAX else None

    def doubt(self, rows: Rows, slots: Slots, distance: float) -> float:
        """How far beyond ``distance`` hnswlib may put a slot that is truly not behind it.

        Twice the error of one distance, by the bound that `_flat` explains.
        """
        gamma = dot_error(self.dim)
        if self.metric is Metric.COSINE:
            return 2 * gamma
        if self.metric is Metric.IP:
            return 2 * gamma * (1.0 + self.scale * float(rows.factors[slots].max()))
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
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], index: HasRows) -> Graph:
        """Put a saved graph together with the vectors of ``index``; answers are as before.

        Every id, count, level and entry point is checked before hnswlib, which checks nothing,
        sees it.

        Raises:
            DatabaseCorruptError: an array is missing, of a wrong type or shape, or holds a value
                that is out of range.
        """
        rows = index.rows
        layout = checked_layout(arrays, rows.n)
        try:
            params = GraphParams(layout.m, layout.ef_construction)
        except ParamError as error:
            raise DatabaseCorruptError(f"graph: {error}; rebuild it") from error
        start, slots, stragglers = (
            arrays[name].astype(np.intp) for name in ("node_start", "node_slots", "stragglers")
        )
        nodes, scale = NodeTable(start, slots), float(arrays["scale"][0])
        blank = cls(params, rows.metric, rows.dim, layout.covered, nodes, stragglers, scale, None)
        _check_slots(blank, rows)
        hnsw = blank._copied(len(nodes))
        if len(nodes):
            blocks = node_blocks(rows, nodes.leaders[arrays["labels"]], scale)
            hnsw = hnsw_from_arrays(arrays, hnsw, blocks, layout)
        return replace(blank, _hnsw=hnsw)

    def _copied(self, capacity: int) -> Any:
        """A private hnswlib index with this graph's nodes, and room for ``capacity``."""
        if self._hnsw is not None and len(self.nodes):
            return HnswState.of(self._hnsw, self.params.m, self.dim).assembled(capacity)
        hnsw = hnswlib.Index("l2" if self.metric is Metric.L2 else "ip", self.dim)
        hnsw.init_index(
            max_elements=max(1, capacity),
            M=self.params.m,
            ef_construction=self.params.ef_construction,
        )
        return hnsw


def _check_build(rows: Rows, mask: NDArray[np.bool_] | None, threads: int) -> None:
    if mask is not None and (mask.shape != (rows.n,) or mask.dtype != np.bool_):
        raise ParamError(
            f"mask: {mask.dtype} of shape {mask.shape} for {rows.n} slots: pass as many booleans"
        )
    if threads < 0:
        raise ParamError(f"threads is {threads}: pass 0 for one per core, or a positive number")


def _scale_of(rows: Rows, slots: Slots) -> float:
    if rows.metric is Metric.COSINE:
        return 1.0
    lengths = rows.factors[slots]
    longest = np.fmax.reduce(lengths, initial=np.float32(0.0))
    return float(2.0 ** -np.round(np.log2(longest))) if longest else 1.0


def _are_wild(rows: Rows, slots: Slots, scale: float) -> NDArray[np.bool_]:
    """Which vectors hnswlib's float32 distances could overflow for."""
    if rows.metric is Metric.COSINE:
        return np.zeros(len(slots), dtype=np.bool_)
    return ~(rows.factors[slots] * scale <= TAME_MAX)


def _check_slots(graph: Graph, rows: Rows) -> None:
    """Each slot once, covered, and present."""
    slots = np.concatenate([graph.nodes.slots, graph.stragglers])
    known = rows.present
    if (
        len(np.unique(slots)) != len(slots)
        or (slots >= graph.covered).any()
        or (known is not None and not known[slots].all())
        or _are_wild(rows, graph.nodes.slots, graph.scale).any()
    ):
        raise DatabaseCorruptError(
            "graph: a slot is out of range, doubled, null or too long for its node; rebuild it"
        )
