"""Inverted lists of quantised vectors by FAISS, an optional package: smaller, built in seconds.

Jégou, Douze and Schmid, *Product quantization for nearest neighbor search*, 2011; the four-bit
codes of ``SCANN`` are compared in registers: Guo et al., *Accelerating large-scale inference with
anisotropic vector quantization*, 2020. FAISS gives candidates only; scores come of the vectors.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from elanus import native
from elanus.errors import ParamError
from elanus.index.dense._faiss_learning import learn_codes, learn_lists
from elanus.index.dense._nodes import (
    Growth,
    NodeTable,
    Stopped,
    direction,
    never,
    node_blocks,
    node_vectors,
)
from elanus.index.dense._rerank import Plan, check_fits, over_fetched
from elanus.schema import Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from elanus.index.dense._exact import QueryVector
    from elanus.index.dense._index import DenseIndex
    from elanus.index.dense._lengths import Float32s, Slots
    from elanus.index.dense._rows import Rows

FaissKind = Literal["IVF_FLAT", "IVF_SQ8", "IVF_PQ", "SCANN"]

_PER_CENTROID = 39  # vectors that k-means needs for each, says FAISS
_TRAINING_PER_LIST = 64  # more of them take longer, and recall stays as it is
_LEAST = 1024  # fewer are soon compared
_LISTS_PER_PROBE = 8
_LEAST_PROBES = 16
_SLICE = 2048  # rows at most between two looks at `stop`,
_LEAST_SLICE = 32  # and at least,
_SLICE_PRODUCTS = 2_000_000_000  # of so many products: 0.1 to 0.4 s
_STALE_GROWTH = 2  # lists found for half of the vectors no longer fit them


@dataclass(frozen=True, slots=True)
class FaissParams:
    """How inverted lists are built, under Milvus's names.

    Attributes:
        kind: what the lists hold: the vectors (``IVF_FLAT``), a byte for each dimension
            (``IVF_SQ8``), a code of ``m`` parts (``IVF_PQ``), or one of four bits for every two
            dimensions (``SCANN``).
        nlist: how many lists; at most one for 39 distinct vectors is made. 1 … 65536.
        m: parts of a code, which divide the dimension; 0 for one for every eight dimensions, or
            the next number that divides. ``IVF_PQ`` only.
        nbits: bits for each part, 1 … 12. ``IVF_PQ`` only.

    Raises:
        ParamError: a value is out of range.
    """

    kind: FaissKind
    nlist: int = 128
    m: int = 0
    nbits: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.nlist <= 65536:
            raise ParamError(f"{self.kind} parameter nlist is {self.nlist}: pass 1 to 65536")
        if self.kind == "IVF_PQ" and (self.m < 0 or not 1 <= self.nbits <= 12):
            raise ParamError(
                f"IVF_PQ parameters m={self.m}, nbits={self.nbits}: pass m that divides the "
                "dimension, or 0, and nbits from 1 to 12"
            )

    @property
    def learners(self) -> int:
        """Distinct vectors that learning the codes takes."""
        bits = {"IVF_PQ": self.nbits, "SCANN": 4}.get(self.kind)
        return max(_LEAST, 0 if bits is None else _PER_CENTROID << bits)

    @property
    def nprobe(self) -> int:
        """Lists that a search reads, unless it says how many."""
        return max(_LEAST_PROBES, self.nlist // _LISTS_PER_PROBE)

    def recipe(self, dim: int, count: int) -> str:
        """FAISS's name for such an index over ``count`` vectors.

        Raises:
            ParamError: ``m`` does not divide the dimension.
        """
        parts = self.m or next(m for m in range(-(-dim // 8), dim + 1) if dim % m == 0)
        if dim % parts:
            raise ParamError(f"IVF_PQ parameter m is {self.m}: it must divide dimension {dim}")
        if count < self.learners:
            return "Flat"
        lists = f"IVF{min(self.nlist, count // _PER_CENTROID)}"
        if self.kind == "IVF_PQ":
            # "np": no codes that are also compared by bits, which takes a minute to learn.
            return f"{lists},PQ{parts}x{self.nbits}np"
        if self.kind == "SCANN":
            return f"{lists},PQ{dim // 2 if dim % 2 == 0 else dim}x4fs"
        return f"{lists},{'Flat' if self.kind == 'IVF_FLAT' else 'SQ8'}"


@dataclass(frozen=True, slots=True, eq=False)
class FaissIndex:
    """Inverted lists over the distinct vectors of slots 0 … ``covered - 1``; never changed.

    Attributes:
        params: how it was built.
        metric: of the index that it was built from.
        dim: dimension of the vectors.
        covered: slots below are found, unless they were null or masked out when it was built.
        nodes: which slots each distinct vector stands for.
        stragglers: covered slots whose lengths float32 arithmetic cannot hold; scan them.
        scale: power of two that brings the vectors near to length one (1 for COSINE).
        trained: number of distinct vectors when lists and codes were learned.
        nprobe: how many lists a search reads.
        busy: one entry for each call that is inside of FAISS just now.
    """

    params: FaissParams
    metric: Metric
    dim: int
    covered: int
    nodes: NodeTable
    stragglers: Slots
    scale: float
    trained: int
    nprobe: int
    _faiss: Any
    busy: native.Entries = field(default_factory=list)

    @classmethod
    def build(
        cls,
        index: DenseIndex,
        params: FaissParams,
        *,
        mask: NDArray[np.bool_] | None = None,
        stop: Callable[[], bool] = never,
    ) -> FaissIndex | None:
        """Learn the lists and codes, and fill them with all slots that are present and in ``mask``.

        Args:
            index: where the vectors are.
            params: what to build.
            mask: bool, shape ``(n,)``: the slots worth adding; None for all.
            stop: asked several times a second; True abandons the build.

        Returns:
            The index, or None when it was stopped.

        Raises:
            MissingExtraError: FAISS is not installed.
            ParamError: an argument does not fit.
        """
        rows = index.rows
        try:
            grown = Growth.of(NodeTable.empty(), 1.0, rows, 0, mask, stop)
        except Stopped:
            return None
        made = native.load("faiss").index_factory(
            rows.dim, params.recipe(rows.dim, len(grown.added)), _faiss_metric(rows.metric)
        )
        if not made.is_trained and not _trained(made, rows, grown, params, stop):
            return None
        if not _filled(made, rows, grown, stop):
            return None
        return cls(
            params, rows.metric, rows.dim, rows.n, grown.nodes, grown.wild, grown.scale,
            len(grown.nodes), params.nprobe, made,
        )  # fmt: skip

    def extend(
        self,
        index: DenseIndex,
        *,
        mask: NDArray[np.bool_] | None = None,
        stop: Callable[[], bool] = never,
    ) -> FaissIndex | None:
        """An index that covers all of ``index``; this one stays as it is.

        Lists and codes are learned anew once there are twice as many vectors. Args and errors are
        those of `build`.
        """
        rows = index.rows
        check_fits(self, rows)
        try:
            grown = Growth.of(self.nodes, self.scale, rows, self.covered, mask, stop)
        except Stopped:
            return None
        if len(grown.nodes) > _STALE_GROWTH * self.trained:
            return FaissIndex.build(index, self.params, mask=mask, stop=stop)
        made = native.load("faiss").clone_index(self._faiss)
        if not _filled(made, rows, grown, stop):
            return None
        wilds = np.concatenate([self.stragglers, grown.wild])
        return replace(
            self, covered=rows.n, nodes=grown.nodes, stragglers=wilds, _faiss=made, busy=[]
        )

    @property
    def nbytes(self) -> int:
        """Bytes of memory: codes, ids and centroids."""
        count = len(self.nodes)
        lists = getattr(self._faiss, "nlist", 0)
        codes = count * (self._faiss.sa_code_size() + 8) + lists * 4 * self.dim
        return int(codes + self.nodes.nbytes + self.stragglers.nbytes)

    def probing(self, nprobe: int) -> FaissIndex:
        """The same index, of which a search reads ``nprobe`` lists."""
        return replace(self, nprobe=nprobe)

    def plan(self, k: int, ef: int, count: int, n: int) -> Plan:
        """See `over_fetched`."""
        return over_fetched(k, ef, count / n)

    def candidates(
        self,
        rows: Rows,  # noqa: ARG002  (a graph needs the lengths of the vectors; codes tell nothing)
        queries: Sequence[QueryVector],
        k: int,  # noqa: ARG002  (distances between codes are too rough to drop candidates by)
        fetch: int,
        mask: NDArray[np.bool_] | None,
    ) -> list[Slots | None]:
        """For each query the slots of about the ``fetch`` nearest vectors that are in ``mask``.

        None where float32 cannot hold the query.
        """
        if not len(self.nodes):
            return [self.nodes.slots for _ in queries]
        directions = [direction(self.metric, query, self.scale) for query in queries]
        known = [one for one in directions if one is not None]
        found = iter(self._searched(np.stack(known), min(fetch, len(self.nodes))) if known else ())
        return [None if one is None else self._slots(next(found), mask) for one in directions]

    def _searched(self, wanted: Float32s, fetch: int) -> NDArray[np.int64]:
        """Nodes by query, shape ``(queries, fetch)``; -1 where the lists held too few."""
        params = None
        lists = getattr(self._faiss, "nlist", 0)
        if lists:
            params = native.load("faiss").SearchParametersIVF(nprobe=min(self.nprobe, lists))
        with _usual_threads():
            _, nodes = native.call(self.busy, self._faiss.search, wanted, fetch, params=params)
        found: NDArray[np.int64] = nodes
        return found

    def _slots(self, nodes: NDArray[np.int64], mask: NDArray[np.bool_] | None) -> Slots:
        nodes = nodes[nodes >= 0]
        if not len(nodes):
            return self.nodes.slots[:0]
        slots, _ = self.nodes.expand(nodes, np.zeros(len(nodes), dtype=np.float32))
        return slots if mask is None else slots[mask[slots]]


def _faiss_metric(metric: Metric) -> int:
    faiss = native.load("faiss")
    return int(faiss.METRIC_L2 if metric is Metric.L2 else faiss.METRIC_INNER_PRODUCT)


@contextmanager
def _one_thread(faiss: Any) -> Iterator[None]:
    """Let this thread of Python work alone.

    Learning codes is thousands of tiny parallel loops: on a busy machine two threads, which wait
    for each other without rest, took six times as long as one.
    """
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def _usual_threads() -> AbstractContextManager[None]:
    """As many threads as FAISS takes by itself, where that is possible."""
    return _one_thread(native.load("faiss")) if native.is_forked() else nullcontext()


def _trained(
    made: Any, rows: Rows, grown: Growth, params: FaissParams, stop: Callable[[], bool]
) -> bool:
    """Learn lists and codes from a fixed sample; False when it was stopped before."""
    count = max(params.learners, _TRAINING_PER_LIST * made.nlist)
    sample = np.random.default_rng(0).permutation(len(grown.added))[:count]
    faiss, slots = native.load("faiss"), grown.added[np.sort(sample)]
    vectors = np.empty((len(slots), rows.dim), dtype=np.float32)
    try:
        for first, block in node_blocks(rows, slots, grown.scale, stop):
            vectors[first : first + len(block)] = block
        with _one_thread(faiss):
            learn_lists(faiss, made, vectors, stop)
            learn_codes(faiss, made, vectors, stop)
    except Stopped:
        return False
    return True


def _filled(made: Any, rows: Rows, grown: Growth, stop: Callable[[], bool]) -> bool:
    """Add the new nodes, whose numbers are FAISS's own; False when it was stopped."""
    compared = getattr(made, "nlist", 0) + (made.pq.ksub if hasattr(made, "pq") else 0)
    step = max(_LEAST_SLICE, min(_SLICE, _SLICE_PRODUCTS // (rows.dim * max(compared, 1))))
    for first in range(0, len(grown.added), step):
        if stop():
            return False
        vectors = node_vectors(rows, grown.added[first : first + step], grown.scale)
        with _usual_threads():
            native.call(None, made.add, vectors)
    return True
