"""Dense indexes at work: which one answers, what it still needs, and how hard it looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from elanus import native
from elanus.engine._parts import DenseKey
from elanus.engine._snapshot import Snapshot
from elanus.engine._state import CollectionState
from elanus.engine.upkeep._graphs import is_scanned, needs_work
from elanus.index import Codes, DenseIndex, FaissIndex
from elanus.schema import DEFAULT_EF, DataType, IndexSpec, IndexType, SearchParams

DEFAULT_REORDER = 100


def dense_index(snapshot: Snapshot, key: DenseKey, spec: IndexSpec | None) -> DenseIndex:
    """The index that answers searches of a dense field; it may lack a graph, and then scans."""
    index: DenseIndex = snapshot.part(key)
    if index.graph is not None and (spec is None or spec.index_type is IndexType.FLAT):
        # Left from an index that was dropped. Without it, answers are exact.
        return index.with_graph(None)
    return index


def request_upkeep(
    snapshot: Snapshot, key: DenseKey, spec: IndexSpec | None, index: DenseIndex
) -> None:
    """Ask for the graph that an index lacks; it is made in the background, and searches go on.

    To be asked until the key is among those that are settled: a request is forgotten if the
    database is closed, and what was made may have become too little meanwhile.

    Raises:
        MissingExtraError: if the index needs a package that is not installed.
    """
    view = snapshot.view
    if spec is not None and spec.index_type.package:
        native.load(spec.index_type.package)  # says what to install
    if (
        spec is not None
        and spec.metric is key.metric
        and needs_work(snapshot.state.thresholds, view, index, spec)
    ):
        snapshot.state.upkeep.request_graph(snapshot.state, key, spec)
    else:
        view.derived.settled.add(key)


class Coverage(NamedTuple):
    """How far an index has come.

    Attributes:
        total: rows of the collection.
        indexed: those that it answers for as it should.
        nbytes: bytes of memory that it takes besides the vectors; None for what has none of its
            own.
    """

    total: int
    indexed: int
    nbytes: int | None


def coverage(snapshot: Snapshot, spec: IndexSpec) -> Coverage:
    """How far an index has come."""
    f, count = snapshot.schema.by_name[spec.field], snapshot.view.count
    if f.dtype is not DataType.FLOAT_VECTOR or spec.metric is None:
        return Coverage(count, count, None)
    if is_scanned(snapshot.state.thresholds, spec, count, f.dim or 0):
        return Coverage(count, count, 0)
    # Whoever asks waits for the graph: so it is asked for.
    key = DenseKey(f.name, f.dim or 0, spec.metric)
    index = dense_index(snapshot, key, spec)
    request_upkeep(snapshot, key, spec, index)
    view = snapshot.view
    nbytes = index.graph.nbytes if index.graph else 0
    if not needs_work(snapshot.state.thresholds, view, index, spec):
        return Coverage(view.count, view.count, nbytes)
    covered = index.graph.covered if index.graph else 0
    return Coverage(view.count, int(np.count_nonzero(view.alive[:covered])), nbytes)


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
        index = dense_index(snapshot, key, spec)
        request_upkeep(snapshot, key, spec, index)
        view = snapshot.view
        if known.setdefault(key, (view.numbering, view.n))[0] is not view.numbering:
            known[key] = view.numbering, view.n
        if needs_work(snapshot.state.thresholds, view, index, spec, known[key][1]):
            covered = -1 if index.graph is None else index.graph.covered
            due.append(DueGraph(snapshot.state, key, view.numbering, covered))
    return due


def with_effort(
    index: DenseIndex, params: SearchParams, spec: IndexSpec | None, limit: int
) -> tuple[DenseIndex, int]:
    """The index set to look as hard as was asked for, and the number of candidates."""
    usual = spec.params if spec else {}
    if params.confidence is not None and isinstance(index.graph, Codes):
        index = index.with_graph(index.graph.trusting(params.confidence))
    if spec is None or spec.index_type.package != "faiss":
        return index, params.ef or int(usual.get("ef", DEFAULT_EF))
    nprobe = params.nprobe or usual.get("nprobe")
    if nprobe and isinstance(index.graph, FaissIndex):
        index = index.with_graph(index.graph.probing(int(nprobe)))
    # Distances between codes are rough: ten candidates for each hit.
    reorder_k = params.reorder_k or usual.get("reorder_k")
    return index, int(reorder_k or max(DEFAULT_REORDER, 10 * limit))
