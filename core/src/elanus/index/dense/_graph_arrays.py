"""A graph as plain arrays: hnswlib's memory taken apart, checked, and put together again.

hnswlib trusts what it loads: one flipped bit of a link, a count, a level or the entry point
kills the process. So its own file format is not used, and nothing reaches it unchecked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from elanus import native
from elanus.errors import DatabaseCorruptError
from elanus.index.dense._lengths import TAME_MAX, TAME_MIN, Float32s

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

FORMAT = 1
"""Version of the arrays."""

_TYPES = {
    "header": (np.int64, 1),
    "scale": (np.float64, 1),
    "levels": (np.int32, 1),
    "links": (np.uint32, 2),
    "upper": (np.uint32, 2),
    "labels": (np.uint32, 1),
    "node_start": (np.uint32, 1),
    "node_slots": (np.uint32, 1),
    "stragglers": (np.uint32, 1),
}


@dataclass(frozen=True, slots=True)
class GraphHeader:
    """The header of a saved graph.

    Attributes:
        m: links per node and level.
        ef_construction: candidates when a node is linked.
        covered: number of slots that the graph covers.
        entry: the node where every search begins.
        top: the highest level.
    """

    m: int
    ef_construction: int
    covered: int
    entry: int
    top: int

    def as_array(self) -> NDArray[np.int64]:
        """The header's array."""
        fields = (FORMAT, self.m, self.ef_construction, self.covered, self.entry, self.top)
        return np.array(fields, dtype=np.int64)


def _check(sound: object, what: str) -> None:
    if not sound:
        raise DatabaseCorruptError(f"saved graph: {what}; discard it and build it again")


@dataclass(frozen=True, slots=True, eq=False)
class HnswState:
    """The state of an hnswlib index, whose lowest level is seen as records.

    Attributes:
        state: what hnswlib's ``__getstate__`` gives.
        records: fields ``links`` (a count, then ids), ``vector`` and ``label``, by node.
    """

    state: dict[str, Any]
    records: NDArray[np.void]

    @classmethod
    def of(cls, hnsw: Any, m: int, dim: int) -> HnswState:
        """Copy the memory of an index."""
        state = hnsw.__getstate__()[0]
        return cls(state, state["data_level0"].view(_record_type(m, dim)))

    def assembled(self, capacity: int = 0) -> Any:
        """An hnswlib index of this state, with room for ``capacity`` nodes."""
        nodes = len(self.records)
        levels = np.zeros(max(capacity, nodes), dtype=np.int32)
        levels[:nodes] = self.state["element_levels"][:nodes]
        state = {
            **self.state,
            "max_elements": len(levels),
            "element_levels": levels,
            "data_level0": self.records.view(np.int8),
            # Levels are drawn anew after loading: with one seed for all copies, a graph that
            # grows by single rows would give each of them the same level.
            "seed": 100 + nodes,
        }
        index = native.load("hnswlib").Index
        hnsw = index.__new__(index)
        hnsw.__setstate__((state,))
        return hnsw


def _record_type(m: int, dim: int) -> np.dtype[np.void]:
    links = ("links", np.uint32, (2 * m + 1,))
    return np.dtype([links, ("vector", np.float32, (dim,)), ("label", np.uint64)])


def _without_leftovers(links: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Zero what lies behind the counted ids, so that equal graphs are equal bytes."""
    kept = np.where(_counted(links), links[:, 1:], np.uint32(0))
    return np.concatenate([links[:, :1], kept], axis=1)


def hnsw_to_arrays(
    hnsw: Any, m: int, ef_construction: int, covered: int, dim: int
) -> dict[str, NDArray[Any]]:
    """Links, levels, labels and header of an hnswlib index, without its vectors."""
    held = HnswState.of(hnsw, m, dim)
    nodes = len(held.records)
    entry = held.state["enterpoint_node"] if nodes else 0
    top = held.state["max_level"] if nodes else 0
    upper = held.state["link_lists"].view(np.uint32).reshape(-1, m + 1)
    return {
        "header": GraphHeader(m, ef_construction, covered, entry, top).as_array(),
        "levels": held.state["element_levels"][:nodes].copy(),
        "links": _without_leftovers(held.records["links"]),
        "upper": _without_leftovers(upper),
        "labels": held.records["label"].astype(np.uint32),
    }


def hnsw_from_arrays(
    arrays: Mapping[str, NDArray[Any]],
    template: Any,
    blocks: Iterable[tuple[int, Float32s]],
    header: GraphHeader,
) -> Any:
    """The hnswlib index of checked arrays.

    Args:
        arrays: as `checked_header` has passed them.
        template: an empty hnswlib index of the same space, dimension and parameters.
        blocks: the vectors in the order of the ``labels``, in pieces, each with its offset.
        header: their header.
    """
    empty = template.__getstate__()[0]
    nodes = len(arrays["labels"])
    records = np.empty(nodes, dtype=_record_type(header.m, empty["dim"]))
    records["links"] = arrays["links"]
    for start, block in blocks:
        records["vector"][start : start + len(block)] = block
    records["label"] = arrays["labels"]
    state = {
        **empty,
        "cur_element_count": nodes,
        "ep_added": True,
        "enterpoint_node": header.entry,
        "max_level": header.top,
        "element_levels": arrays["levels"],
        "link_lists": np.ascontiguousarray(arrays["upper"]).view(np.int8).ravel(),
        "label_lookup_external": arrays["labels"].astype(np.uint64),
        "label_lookup_internal": np.arange(nodes, dtype=np.uint32),
    }
    return HnswState(state, records).assembled()


def checked_header(arrays: Mapping[str, NDArray[Any]], n: int) -> GraphHeader:
    """Check everything that hnswlib will follow without looking.

    Args:
        arrays: of `Graph.to_arrays`.
        n: number of slots of the index.

    Raises:
        DatabaseCorruptError: an array is missing, of a wrong type or shape, or holds a value
            that is out of range.
    """
    for name, (kind, dimensions) in _TYPES.items():
        _check(name in arrays, f"the array {name} is missing")
        array = arrays[name]
        _check(
            array.dtype == kind and array.ndim == dimensions,
            f"the array {name} is {array.dtype} with {array.ndim} dimensions",
        )
    numbers = arrays["header"]
    _check(len(numbers) == 6 and numbers[0] == FORMAT, "its header is of another format")
    header = GraphHeader(*numbers[1:].tolist())
    _check(2 <= header.m <= 2048, f"M is {header.m}")
    _check(0 <= header.covered <= n, f"it covers {header.covered} slots of {n}")
    scale = arrays["scale"]
    _check(
        len(scale) == 1 and TAME_MIN <= scale[0] <= TAME_MAX and np.frexp(scale[0])[0] == 0.5,
        "its scale is no power of two within range",
    )
    _check_nodes(arrays)
    _check_levels(arrays, header)
    _check_links(arrays)
    return header


def _check_nodes(arrays: Mapping[str, NDArray[Any]]) -> None:
    start, labels = arrays["node_start"].astype(np.int64), arrays["labels"]
    nodes = len(labels)
    _check(len(start) == nodes + 1 and start[0] == 0, "node_start does not fit the labels")
    _check((np.diff(start) > 0).all(), "a node has no slot")
    _check(start[-1] == len(arrays["node_slots"]), "node_start does not fit node_slots")
    _check(np.array_equal(np.sort(labels), np.arange(nodes)), "labels are no permutation")


def _check_levels(arrays: Mapping[str, NDArray[Any]], header: GraphHeader) -> None:
    levels, nodes = arrays["levels"], len(arrays["labels"])
    _check(len(levels) == nodes, "levels do not fit the labels")
    if not nodes:
        _check(len(arrays["upper"]) == 0, "it has links but no nodes")
        return
    _check(levels.min() >= 0, "a level is negative")
    _check(int(levels.sum(dtype=np.int64)) == len(arrays["upper"]), "levels do not fit the links")
    _check(0 <= header.entry < nodes, f"the entry point is {header.entry} of {nodes} nodes")
    _check(
        levels[header.entry] == header.top == levels.max(),
        "the entry point is not on the highest level",
    )


def _check_links(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Every counted id is a node, and on an upper level one that reaches that level."""
    links, upper, levels = arrays["links"], arrays["upper"], arrays["levels"]
    m = int(arrays["header"][1])
    _check(links.shape == (len(levels), 2 * m + 1), "links do not fit M or the labels")
    _check(upper.shape[1] == m + 1, "upper links do not fit M")
    _check((links[:, 1:][_counted(links)] < len(levels)).all(), "a link leads to no node")
    counted = _counted(upper)
    targets = upper[:, 1:][counted]
    _check((targets < len(levels)).all(), "an upper link leads to no node")
    # A node of level L owns L consecutive rows of upper links, for levels 1 … L.
    firsts = np.cumsum(levels, dtype=np.int64) - levels
    level_of_row = np.arange(len(upper)) - np.repeat(firsts, levels) + 1
    level_of_link = np.repeat(level_of_row, upper[:, 0])
    _check((levels[targets] >= level_of_link).all(), "a link leads below its level")


def _counted(links: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which columns behind the count it counts, after a check of the count."""
    counts = links[:, :1]
    _check((counts < links.shape[1]).all(), "a node counts more links than fit")
    return np.arange(1, links.shape[1]) <= counts
