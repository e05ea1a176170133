"""Nearest vectors by short codes: all are estimated, and the best estimates scored exactly.

Zandieh, Daliri, Hadian and Mirrokni, *TurboQuant: Online Vector Quantization with Near-optimal
Distortion Rate*, arXiv:2504.19874, 2025, by the package `turbovec`. Nothing is learned from the
vectors but the spread of each component, so a hundred thousand are coded in a third of a second.

How many candidates a query needs depends on its neighbours: some dozens are enough where few
vectors are nearly as near as the hits, and thousands where a cluster of near-equal ones surrounds
it. The exact scores tell which it is: as long as a vector that was not looked at would be among the
hits if its estimate were as wrong as estimates may be, more are looked at. How wrong that is was
measured when the codes were made, and shows again in the candidates of each query. So recall is a
promise, at every size and under every filter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from elanus import native
from elanus.errors import DatabaseCorruptError
from elanus.index.dense._exact import dot_error, score_slots
from elanus.index.dense._lengths import TAME_MAX, TAME_MIN
from elanus.index.dense._nodes import (
    Growth,
    NodeTable,
    Stopped,
    direction,
    never,
    node_blocks,
)
from elanus.index.dense._rerank import Plan, check_fits, check_slots
from elanus.schema import Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from elanus.index.dense._exact import QueryVector
    from elanus.index.dense._index import DenseIndex
    from elanus.index.dense._lengths import Float32s, Float64s, Slots
    from elanus.index.dense._rows import Rows

_SAMPLE = 2048  # vectors whose spread stands for that of all
_JUDGED = 512  # of these, whose estimates are compared with what they are of
_ASKED = 16  # queries of such a comparison
_LEAST_WEIGHT = 2.0**-10
_STALE_GROWTH = 4  # the spread of a quarter of the vectors may not be that of all
_PER_HIT = 4  # candidates at least; measured: docs/planner.md
# Against a row read in sequence (0.037 µs at 384 d); measured: docs/planner.md.
_CODE_COST, _CANDIDATE_COST = 0.07, 20
_CALL_COST = 400_000  # by the dimension
_FACTOR = 4  # by which they grow
_MOST_SHARE = 16  # more than a sixteenth of the vectors are scored as quickly all together
_MULTIPLE = 8  # of which the package wants dimensions to be
_FORMAT = 1  # of the arrays
_ARRAYS = {
    "codes_header": (np.int64, (5,)),
    "codes_measures": (np.float64, (5,)),
    "codes": (np.uint8, (-1,)),
    "node_start": (np.uint32, (-1,)),
    "node_slots": (np.uint32, (-1,)),
    "stragglers": (np.uint32, (-1,)),
}

CONFIDENCE = 2.0
"""How many standard deviations an estimate is allowed to be too low."""


@dataclass(frozen=True, slots=True)
class CodesParams:
    """How codes are made.

    Attributes:
        bits: for each component, 2 or 4.
    """

    bits: int = 2


@dataclass(frozen=True, slots=True, eq=False)
class _NodeMasks:
    """Which nodes stand for a slot that a mask lets pass.

    Attributes:
        count: of nodes.
        leaders: (count,) a slot of each; None if that is its own number.
        several: the nodes that have more slots than one.
        slots, start: all slots of those, and where each one's begin.
    """

    count: int
    leaders: Slots | None
    several: Slots
    slots: Slots
    start: Slots

    @classmethod
    def of(cls, nodes: NodeTable) -> _NodeMasks:
        leaders, counts = nodes.leaders, np.diff(nodes.start)
        several = np.flatnonzero(counts > 1)
        slots = nodes.slots[np.repeat(counts > 1, counts)]
        start = np.cumsum(counts[several]) - counts[several]
        is_plain = np.array_equal(leaders, np.arange(len(leaders)))
        return cls(len(nodes), None if is_plain else leaders, several, slots, start)

    def passing(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(count,) bool."""
        passes = mask[: self.count] if self.leaders is None else mask.take(self.leaders)
        if len(self.several):
            passes = passes.copy() if self.leaders is None else passes
            passes[self.several] = np.logical_or.reduceat(mask.take(self.slots), self.start)
        return passes


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """Codes of the distinct vectors of slots 0 … ``covered - 1``; never changed.

    What is coded is the `node_vectors`. Under L2 they have one component more, ``(centre - |x|^2) /
    (2 weight)``, and queries the weight: so their products rise as distances fall,
    ``x.q - |x|^2 / 2 + centre / 2``.

    Attributes:
        params: how they were made.
        metric: of the index that they were made from.
        dim: dimension of the vectors.
        covered: slots below are found, unless they were null or masked out when it was built.
        nodes: which slots each distinct vector stands for.
        stragglers: covered slots whose lengths float32 arithmetic cannot hold; scan them.
        scale: power of two that brings the vectors near to length one (1 for COSINE).
        centre: under L2 the mean squared length of the scaled vectors, else 0.
        weight: under L2 what makes the products of lengths, and so the errors, small; else 1.
        longest: the greatest length of what is coded: estimates err in proportion to it.
        error: standard deviation of the error of an estimate, by the product of both lengths.
        measured: number of distinct vectors when spread and error were measured.
        masks: which nodes a mask of slots lets pass.
        confidence: `CONFIDENCE`, or what a search asks for.
        busy: one entry for each call that is inside of the package just now.
    """

    params: CodesParams
    metric: Metric
    dim: int
    covered: int
    nodes: NodeTable
    stragglers: Slots
    scale: float
    centre: float
    weight: float
    longest: float
    error: float
    measured: int
    _coded: Any
    masks: _NodeMasks
    confidence: float = CONFIDENCE
    busy: native.Entries = field(default_factory=list)

    @classmethod
    def build(
        cls,
        index: DenseIndex,
        params: CodesParams,
        *,
        mask: NDArray[np.bool_] | None = None,
        stop: Callable[[], bool] = never,
    ) -> Codes | None:
        """Code all slots that are present and in ``mask``.

        Args:
            index: where the vectors are.
            params: how many bits.
            mask: bool, shape ``(n,)``: the slots worth adding; None for all.
            stop: asked every few milliseconds; True abandons the build.

        Returns:
            The codes, or None when they were stopped.

        Raises:
            MissingExtraError: the package is not installed.
            ParamError: ``mask`` does not fit.
        """
        rows = index.rows
        made = native.load("turbovec").TurboQuantIndex(dim=_width(rows), bit_width=params.bits)
        try:
            grown = Growth.of(NodeTable.empty(), 1.0, rows, 0, mask, stop)
            blank = cls(
                params, rows.metric, rows.dim, 0, NodeTable.empty(), grown.wild[:0], grown.scale,
                *_of_squares(rows, grown), 0.0, 0.0, len(grown.nodes), made,
                _NodeMasks.of(NodeTable.empty()),
            )  # fmt: skip
            sample = np.random.default_rng(0).permutation(len(grown.added))[:_SAMPLE]
            if not len(sample):
                return blank._filled(rows, grown, made, stop)
            vectors = np.concatenate(list(blank._coding(rows, grown.added[sample], stop)))
            native.call(None, made.calibrate, vectors)
            filled = blank._filled(rows, grown, made, stop)
            return replace(filled, error=_error(made, vectors[:_JUDGED], sample[:_JUDGED]))
        except Stopped:
            return None

    def extend(
        self,
        index: DenseIndex,
        *,
        mask: NDArray[np.bool_] | None = None,
        stop: Callable[[], bool] = never,
    ) -> Codes | None:
        """Codes that cover all of ``index``; these stay as they are.

        All are made anew once there are four times as many vectors. Args and errors are those of
        `build`; ``mask`` counts from ``covered`` on.
        """
        rows = index.rows
        check_fits(self, rows)
        try:
            grown = Growth.of(self.nodes, self.scale, rows, self.covered, mask, stop)
            if len(grown.nodes) > _STALE_GROWTH * self.measured:
                return Codes.build(index, self.params, mask=mask, stop=stop)
            made = self._coded
            if len(grown.added):
                # A copy: searches read what is there meanwhile.
                made = native.call(self.busy, lambda: type(made).from_bytes(made.to_bytes()))
            return self._filled(rows, grown, made, stop)
        except Stopped:
            return None

    def _filled(self, rows: Rows, grown: Growth, made: Any, stop: Callable[[], bool]) -> Codes:
        """These codes and those of what was grown, in ``made``, which nobody else has."""
        longest = self.longest
        for block in self._coding(rows, grown.added, stop):
            longest = max(longest, math.sqrt(float(np.einsum("ij,ij->i", block, block).max())))
            native.call(None, made.add, block, chunk_size=0)
        native.call(None, made.prepare)  # or the first search would
        wilds = np.concatenate([self.stragglers, grown.wild])
        return replace(
            self, covered=rows.n, nodes=grown.nodes, stragglers=wilds, longest=longest,
            _coded=made, masks=_NodeMasks.of(grown.nodes), busy=[],
        )  # fmt: skip

    def _coding(
        self, rows: Rows, slots: Slots, stop: Callable[[], bool] = never
    ) -> Iterator[Float32s]:
        """What is coded of the vectors at ``slots``, in pieces."""
        for _, block in node_blocks(rows, slots, self.scale, stop):
            coding = np.zeros((len(block), self._coded.dim), dtype=np.float32)
            coding[:, : self.dim] = block
            if self.metric is Metric.L2:
                lengths = np.einsum("ij,ij->i", block, block)
                coding[:, self.dim] = (self.centre - lengths) / (2 * self.weight)
            yield coding

    @property
    def nbytes(self) -> int:
        """Bytes of memory: codes, once as they are saved and once as they are read."""
        codes = 2 * (self._coded.dim * self.params.bits // 8 + 4)
        return int(len(self.nodes) * codes + self.nodes.nbytes + self.stragglers.nbytes)

    def trusting(self, confidence: float) -> Codes:
        """The same codes, whose estimates are allowed to be more wrong, or less."""
        return replace(self, confidence=confidence)

    def plan(self, k: int, ef: int, count: int, n: int) -> Plan:  # noqa: ARG002  (masks cost nothing)
        """All codes are read, whatever the mask, and some candidates scored."""
        fetch = max(ef, _PER_HIT * k)
        return Plan(fetch, _CALL_COST / self.dim + n * _CODE_COST + fetch * _CANDIDATE_COST)

    def candidates(
        self,
        rows: Rows,
        queries: Sequence[QueryVector],
        k: int,
        fetch: int,
        mask: NDArray[np.bool_] | None,
    ) -> list[Slots | None]:
        """For each query the slots that are its first ``k`` in all likelihood.

        None where they are so many, or where float32 cannot hold the query, that a scan is better.

        Args:
            rows: the vectors.
            queries: the queries.
            k: how many hits.
            fetch: how many candidates are looked at first.
            mask: bool, shape ``(n,)``: the slots that may be found; None for all.
        """
        allowed, most = self._allowed(mask)
        if not most:
            return [self.nodes.slots[:0] for _ in queries]
        found: list[Slots | None] = [None] * len(queries)
        directions = {
            i: one for i, q in enumerate(queries) if (one := self._direction(q)) is not None
        }
        count = min(fetch, most)
        while directions and (count == most or count * _MOST_SHARE <= most):
            wanted = np.array(list(directions.values()))
            estimates, nodes = native.call(
                self.busy, self._coded.search, wanted, k=count, mask=allowed
            )
            for i, near, how_near in zip(list(directions), nodes, estimates, strict=True):
                last = -math.inf if count == most else float(how_near[-1])
                slots, values = self._slots(near, how_near, mask)
                found[i] = self._surely_nearest(rows, queries[i], slots, values, k, last)
                if found[i] is not None:
                    del directions[i]
            count = min(count * _FACTOR, most)
        return found

    def _allowed(self, mask: NDArray[np.bool_] | None) -> tuple[NDArray[np.bool_] | None, int]:
        """The nodes that stand for a slot in ``mask``, and how many those are."""
        if mask is None:
            return None, len(self.nodes)
        passes = self.masks.passing(mask)
        return passes, int(np.count_nonzero(passes))

    def _direction(self, query: QueryVector) -> Float32s | None:
        found = direction(self.metric, query, self.scale)
        if found is None or self._coded.dim == self.dim:
            return found
        padded = np.zeros(self._coded.dim, dtype=np.float32)
        padded[: self.dim] = found
        if self.metric is Metric.L2:
            padded[self.dim] = self.weight
        return padded

    def _slots(
        self, nodes: NDArray[np.int64], estimates: Float32s, mask: NDArray[np.bool_] | None
    ) -> tuple[Slots, Float32s]:
        slots, values = self.nodes.expand(nodes, estimates)
        if mask is None or len(self.nodes.slots) == len(self.nodes):
            return slots, values
        passes = mask[slots]
        return slots[passes], values[passes]

    def _surely_nearest(
        self,
        rows: Rows,
        query: QueryVector,
        slots: Slots,
        estimates: Float32s,
        k: int,
        last: float,
    ) -> Slots | None:
        """The first ``k`` of the slots, with those that score alike; None if others may be before.

        Those have estimates of ``last`` at most.
        """
        if len(slots) < k or last == -math.inf:
            return slots if last == -math.inf else None
        exact, wrong = self._nearness(rows, slots, query)
        kth = np.partition(exact, len(exact) - k)[len(exact) - k]
        errors = (exact - estimates) * (self.longest / self._lengths(rows, slots))
        usual = self.longest * self.error * self._length_of(query)
        doubt = self.confidence * max(float(errors.std()), usual) + 2 * wrong
        return slots[exact >= kth - 2 * wrong] if kth > last + doubt else None

    def _nearness(self, rows: Rows, slots: Slots, query: QueryVector) -> tuple[Float64s, float]:
        """What the codes estimate, by the vectors themselves, and how wrong float32 may be.

        Canonical scores would take several times as long, and only those of hits are wanted.
        """
        factors = rows.factors.take(slots)
        if np.isnan(factors).any():  # of lengths that float32 cannot hold; only by COSINE
            return score_slots(rows, slots, query), 0.0
        wanted = query.vector if self.metric is Metric.L2 else query.unit()
        dots = native.call(None, np.matmul, rows.take(slots), wanted).astype(np.float64)
        if self.metric is Metric.COSINE:
            dots *= factors
        elif self.metric is Metric.IP:
            dots *= self.scale
        else:
            dots = dots * self.scale**2 + (self.centre - rows.squares[slots] * self.scale**2) / 2
        return dots, dot_error(self.dim) * self.longest * self._length_of(query)

    def _lengths(self, rows: Rows, slots: Slots) -> Float64s | float:
        """Of what is coded of the vectors at ``slots``."""
        if self.metric is Metric.COSINE:
            return 1.0
        squares = rows.squares.take(slots) * self.scale**2
        if self.metric is Metric.L2:
            squares += ((self.centre - squares) / (2 * self.weight)) ** 2
        return np.sqrt(np.maximum(squares, TAME_MIN**2))

    def _length_of(self, query: QueryVector) -> float:
        """Of what is looked for."""
        if self.metric is not Metric.L2:
            return 1.0
        return math.hypot(query.norm * self.scale, self.weight)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The codes, for `from_arrays`: about a quarter of a byte for each component."""
        header = (_FORMAT, self.params.bits, self.covered, self.measured, len(self.nodes))
        return {
            "codes_header": np.array(header, dtype=np.int64),
            "codes_measures": np.array(
                [self.scale, self.centre, self.weight, self.longest, self.error]
            ),
            "codes": np.frombuffer(native.call(self.busy, self._coded.to_bytes), dtype=np.uint8),
            "node_start": self.nodes.start.astype(np.uint32),
            "node_slots": self.nodes.slots.astype(np.uint32),
            "stragglers": self.stragglers.astype(np.uint32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], index: DenseIndex) -> Codes:
        """Saved codes, over the vectors of ``index``.

        Raises:
            DatabaseCorruptError: an array is missing, of a wrong type or shape, or holds a value
                that is out of range.
            MissingExtraError: the package is not installed.
        """
        for name, (kind, shape) in _ARRAYS.items():
            _check(name in arrays, f"the array {name} is missing")
            of = arrays[name]
            fits = of.dtype == kind and of.ndim == 1 and shape[0] in {-1, len(of)}
            _check(fits, f"the array {name} is {of.dtype} of shape {of.shape}")
        rows = index.rows
        version, bits, covered, measured, count = arrays["codes_header"].tolist()
        measures = arrays["codes_measures"]
        scale, centre, weight, longest, error = measures.tolist()
        start, slots, wild = (
            arrays[name].astype(np.intp) for name in ("node_start", "node_slots", "stragglers")
        )
        _check(version == _FORMAT, "they are of another format")
        _check(0 <= covered <= rows.n and 0 <= measured <= count, "a count is out of range")
        _check(
            TAME_MIN <= scale <= TAME_MAX and np.frexp(scale)[0] == 0.5,
            "the scale is no power of two within range",
        )
        _check(np.isfinite(measures).all() and (measures >= 0).all(), "a measure is out of range")
        sound = len(start) == count + 1 and start[0] == 0 and start[-1] == len(slots)
        _check(sound and (np.diff(start) > 0).all(), "node_start does not fit")
        try:
            data = arrays["codes"].tobytes()
            coded = native.call(None, native.load("turbovec").TurboQuantIndex.from_bytes, data)
        except ValueError as why:
            raise DatabaseCorruptError(f"saved codes: {why!s:.200}; they are made anew") from why
        width = _width(rows)
        _check(
            len(coded) == count and coded.dim == width and coded.bit_width == bits,
            "they do not fit",
        )
        nodes = NodeTable(start, slots)
        found = cls(
            CodesParams(bits), rows.metric, rows.dim, covered, nodes, wild, scale, centre, weight,
            longest, error, measured, coded, _NodeMasks.of(nodes),
        )  # fmt: skip
        check_slots(found, scale, rows)
        native.call(None, coded.prepare)
        return found


def _width(rows: Rows) -> int:
    """Components of what is coded."""
    return -(-(rows.dim + (rows.metric is Metric.L2)) // _MULTIPLE) * _MULTIPLE


def _of_squares(rows: Rows, grown: Growth) -> tuple[float, float]:
    """Centre and weight for L2.

    The component that is added has about the size ``h / weight``, where ``h`` is half of the
    deviation of squared lengths, and lengths are near to one: the weight ``sqrt(h)`` makes the
    product of ``1 + weight^2`` and ``1 + (h / weight)^2`` least.
    """
    if rows.metric is not Metric.L2 or not len(grown.added):
        return 0.0, 1.0
    squares = rows.squares.take(grown.added) * grown.scale**2
    return float(squares.mean()), max(math.sqrt(float(squares.std()) / 2), _LEAST_WEIGHT)


def _error(made: Any, vectors: Float32s, nodes: Slots) -> float:
    """The error of estimates of some vectors, by the product of lengths, if they are asked for."""
    mask = np.zeros(len(made), dtype=np.bool_)
    mask[nodes] = True
    asked = vectors[:_ASKED]
    estimates, found = native.call(None, made.search, asked, k=len(nodes), mask=mask)
    places = np.argsort(nodes)[np.searchsorted(np.sort(nodes), found)]
    wide = vectors.astype(np.float64)
    exact = np.take_along_axis(wide[: len(asked)] @ wide.T, places, axis=1)
    lengths = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    products = lengths[: len(asked), np.newaxis] * lengths[places]
    sound = products > 0
    return float(((exact - estimates)[sound] / products[sound]).std()) if sound.any() else 0.0


def _check(sound: object, what: str) -> None:
    if not sound:
        raise DatabaseCorruptError(f"saved codes: {what}; they are made anew")
