"""Which slots a node of a graph stands for, and what vector it holds.

Equal vectors share one node.

Without that, 64 candidates of 500 equal vectors would be 64 of them by chance, and the ones with
the smallest keys, which are the answer, would be lost; and their links would lead nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from elanus.errors import ParamError
from elanus.index.dense._lengths import TAME_MAX, Float32s, Slots
from elanus.schema import Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from elanus.index.dense._exact import QueryVector
    from elanus.index.dense._rows import Rows

_CHUNK_BYTES = 1 << 20


class Stopped(Exception):
    """A build was given up. Never leaves this room."""


def never() -> bool:
    """For whoever need not be stopped."""
    return False


def scale_of(rows: Rows, slots: Slots) -> float:
    """The power of two that brings the longest vector near to length one; 1 for COSINE."""
    if rows.metric is Metric.COSINE:
        return 1.0
    lengths = rows.factors[slots]
    longest = np.fmax.reduce(lengths, initial=np.float32(0.0))
    return float(2.0 ** -np.round(np.log2(longest))) if longest else 1.0


def are_wild(rows: Rows, slots: Slots, scale: float) -> NDArray[np.bool_]:
    """Which vectors float32 distances could overflow for, bool, shape ``(len(slots),)``."""
    if rows.metric is Metric.COSINE:
        return np.zeros(len(slots), dtype=np.bool_)
    return ~(rows.factors[slots] * scale <= TAME_MAX)


def direction(metric: Metric, query: QueryVector, scale: float) -> Float32s | None:
    """What a query looks for among `node_vectors`; None when float32 cannot hold it."""
    if metric is not Metric.COSINE and not query.is_tame:
        return None
    # A unit vector ranks alike under COSINE and IP, and hnswlib's 1 - x.q keeps its bits.
    if metric is not Metric.L2:
        return query.unit()
    scaled: Float32s = query.vector * np.float32(scale)
    return scaled if query.norm * scale <= TAME_MAX else None


def node_vectors(rows: Rows, slots: Slots, scale: float) -> Float32s:
    """What the graph holds for the vectors at ``slots``: unit length for COSINE, else scaled."""
    # The zero added turns -0.0 into 0.0, so that equal numbers are equal bytes.
    zero = np.float32(0.0)
    taken = rows.take(slots)
    if rows.metric is not Metric.COSINE:
        scaled: Float32s = taken * np.float32(scale) + zero
        return scaled
    lengths = np.sqrt(rows.squares[slots])
    inverse = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    units = np.multiply(taken, inverse[:, np.newaxis], dtype=np.float64).astype(np.float32)
    units += zero
    return units


def node_blocks(
    rows: Rows, slots: Slots, scale: float, stop: Callable[[], bool] = never
) -> Iterator[tuple[int, Float32s]]:
    """`node_vectors` of many slots in pieces that stay in the cache, each with its offset.

    Raises:
        Stopped: ``stop`` said so.
    """
    step = max(1, _CHUNK_BYTES // (8 * rows.dim))
    for start in range(0, len(slots), step):
        if stop():
            raise Stopped
        yield start, node_vectors(rows, slots[start : start + step], scale)


@dataclass(frozen=True, slots=True, eq=False)
class NodeTable:
    """Slots by node, as compressed rows: node ``i`` has ``slots[start[i]:start[i + 1]]``.

    Attributes:
        start: shape ``(nodes + 1,)``.
        slots: shape ``(start[-1],)``.
    """

    start: Slots
    slots: Slots

    @classmethod
    def empty(cls) -> NodeTable:
        """A table without nodes."""
        return cls(np.zeros(1, dtype=np.intp), np.empty(0, dtype=np.intp))

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def nbytes(self) -> int:
        """Bytes of both arrays."""
        return int(self.start.nbytes + self.slots.nbytes)

    @property
    def leaders(self) -> Slots:
        """One slot of each node, shape ``(nodes,)``."""
        leaders: Slots = self.slots.take(self.start[:-1])
        return leaders

    def expand(self, nodes: NDArray[np.int64], values: Float32s) -> tuple[Slots, Float32s]:
        """All slots of the given nodes, in their order, each with the value of its node."""
        if len(self.slots) == len(self):
            return self.slots.take(nodes), values
        starts = self.start.take(nodes)
        counts = self.start.take(nodes + 1) - starts
        ends = counts.cumsum()
        if ends[-1] == len(nodes):
            return self.slots.take(starts), values
        places = np.arange(ends[-1]) + np.repeat(starts - (ends - counts), counts)
        return self.slots.take(places), np.repeat(values, counts)

    def with_slots(
        self, rows: Rows, fresh: Slots, scale: float, stop: Callable[[], bool] = never
    ) -> tuple[NodeTable, Slots]:
        """Give every fresh slot a node: that of an equal vector, or a new one at the end.

        Returns:
            The table, and one slot for each new node, in the order of the nodes.
        """
        known = len(self)
        everyone = np.concatenate([self.leaders, fresh])
        first = _first_equal(rows, everyone, scale, stop)
        is_new = first == np.arange(len(everyone))
        is_new[:known] = False
        number = np.arange(len(everyone))
        number[is_new] = np.arange(known, known + np.count_nonzero(is_new))
        counts = np.diff(self.start)
        owners = np.concatenate([np.repeat(np.arange(known), counts), number[first[known:]]])
        slots = np.concatenate([self.slots, fresh])[np.argsort(owners, kind="stable")]
        added = everyone[is_new]
        start = np.zeros(known + len(added) + 1, dtype=np.intp)
        np.cumsum(np.bincount(owners, minlength=known + len(added)), out=start[1:])
        return NodeTable(start, slots), added


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """What an approximate index must take in to cover all slots.

    Attributes:
        nodes: those it had, then those to add.
        added: one slot for each node to add.
        wild: slots whose lengths float32 arithmetic cannot hold.
        scale: of the node vectors.
    """

    nodes: NodeTable
    added: Slots
    wild: Slots
    scale: float

    @classmethod
    def of(
        cls,
        nodes: NodeTable,
        scale: float,
        rows: Rows,
        covered: int,
        mask: NDArray[np.bool_] | None,
        stop: Callable[[], bool] = never,
    ) -> Growth:
        """Sort out the slots from ``covered`` on that are present and in ``mask``.

        ``scale`` is kept, unless there are no nodes yet.

        Raises:
            ParamError: ``mask`` does not fit.
            Stopped: ``stop`` said so.
        """
        if mask is not None and (mask.shape != (rows.n,) or mask.dtype != np.bool_):
            raise ParamError(
                f"mask: {mask.dtype} of shape {mask.shape} for {rows.n} slots: pass as many "
                "booleans"
            )
        fresh = np.arange(covered, rows.n)
        if rows.present is not None:
            fresh = fresh[rows.present[covered:]]
        if mask is not None:
            fresh = fresh[mask[fresh]]
        scale = scale if len(nodes) else scale_of(rows, fresh)
        wild = are_wild(rows, fresh, scale)
        table, added = nodes.with_slots(rows, fresh[~wild], scale, stop)
        return cls(table, added, fresh[wild], scale)


def _first_equal(rows: Rows, slots: Slots, scale: float, stop: Callable[[], bool]) -> Slots:
    """For every position, the first position whose node vector has the same bytes.

    Rows are sorted by a 64-bit hash, and neighbours of one hash compared in full. Should two
    hashes collide, equal rows may end in two nodes, which costs a little speed and nothing else.
    """
    hashes = np.empty(len(slots), dtype=np.uint64)
    # Odd random weights, modulo 2**64; a fixed seed, so that equal data gives equal graphs.
    weights = np.random.default_rng(0).integers(2**63, size=rows.dim, dtype=np.uint64) * 2 + 1
    for start, block in node_blocks(rows, slots, scale, stop):
        products = block.view(np.uint32) * weights
        hashes[start : start + len(block)] = products.sum(axis=1)
    order = np.argsort(hashes, kind="stable")
    leads = np.ones(len(slots), dtype=np.bool_)
    twins = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
    lefts = node_blocks(rows, slots[order[twins]], scale, stop)
    rights = node_blocks(rows, slots[order[twins + 1]], scale)
    for (start, left), (_, right) in zip(lefts, rights, strict=True):
        leads[twins[start : start + len(left)] + 1] = (left != right).any(axis=1)
    groups = np.cumsum(leads) - 1
    first: Slots = np.empty(len(slots), dtype=np.intp)
    first[order] = order[leads][groups]
    return first
