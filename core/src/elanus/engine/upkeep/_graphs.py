"""When a graph is needed, and how one comes about: adopted, assembled, extended or built.

The codes of AUTOINDEX and the lists of FAISS are graphs here, too.

From which size on is told by `wants_graph` of the index, the rest by `Thresholds`; searches ask for
what is missing by `request_upkeep`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from typing import cast

import numpy as np

from elanus import native
from elanus.engine._parts import DenseKey
from elanus.engine._state import CollectionState
from elanus.engine._view import View
from elanus.engine.saved._cache import SavedCache
from elanus.engine.saved._saving import Stopped
from elanus.engine.upkeep._background import Stop
from elanus.engine.upkeep._thresholds import Thresholds
from elanus.errors import DatabaseCorruptError, MissingExtraError
from elanus.index import (
    Approximate,
    Codes,
    CodesParams,
    DenseIndex,
    FaissIndex,
    FaissKind,
    FaissParams,
    Graph,
    GraphParams,
    wants_graph,
)
from elanus.schema import IndexSpec, IndexType

_log = logging.getLogger("elanus")

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 600.0


def is_scanned(limits: Thresholds, spec: IndexSpec, count: int, dim: int) -> bool:
    """Whether so many vectors are scanned by design."""
    if spec.index_type is IndexType.FLAT:
        return True
    if not wants_graph(count, dim, limits.graph_rows, limits.graph_values):
        return True
    return spec.index_type is IndexType.AUTOINDEX and not _can_be_indexed()


@lru_cache(maxsize=1)
def _can_be_indexed() -> bool:
    """Whether there is a package for what needs none by name; says once if there is not."""
    if native.is_there("turbovec"):
        return True
    instead = "graphs" if native.is_there("hnswlib") else "exact scans, which take longer"
    _log.warning("AUTOINDEX searches by %s: %s", instead, native.how_to_install("turbovec"))
    return native.is_there("hnswlib")


def needs_work(
    limits: Thresholds,
    view: View,
    index: DenseIndex,
    spec: IndexSpec | None,
    slots: int | None = None,
) -> bool:
    """Whether a graph is missing, covers too little, or holds too many dead rows.

    Args:
        limits: what is missing, too little or too much.
        view: the view.
        index: its index.
        spec: what is to stand on the field.
        slots: how many slots the graph has to cover; None for all.
    """
    if spec is None or spec.index_type is IndexType.FLAT:
        return False
    if index.graph is None:
        return not is_scanned(limits, spec, view.count, index.dim)
    # The tail is scanned at every search: fold it in when that starts to be felt.
    wanted = index.n if slots is None else slots
    has_tail = wanted - index.graph.covered > _longest_tail(limits, index.graph)
    return has_tail or _is_unfit(limits, view, index, spec)


def _longest_tail(limits: Thresholds, graph: Approximate) -> float:
    if not isinstance(graph, Codes):
        return limits.longest_tail
    share = limits.codes_share * graph.covered
    return min(limits.longest_tail, max(limits.codes_tail, share))


def _is_unfit(limits: Thresholds, view: View, index: DenseIndex, spec: IndexSpec) -> bool:
    """Whether the graph must be built afresh."""
    assert index.graph is not None
    # Another index may have stood on the field when it was built.
    return index.graph.params != _params(spec) or _is_stale(limits, view, index)


def _is_stale(limits: Thresholds, view: View, index: DenseIndex) -> bool:
    """Whether too many of the slots that the graph links are dead.

    Slots that were dead before it was built keep their numbers, but are not in it.
    """
    assert index.graph is not None
    covered, present = index.graph.covered, index.rows.present
    most = limits.codes_dead if isinstance(index.graph, Codes) else limits.most_dead
    linked = len(index.graph.nodes.slots) + len(index.graph.stragglers)
    alive = view.alive[:covered] if present is None else view.alive[:covered] & present[:covered]
    return linked - int(np.count_nonzero(alive)) > most * linked


def make_graph(
    state: CollectionState, key: DenseKey, spec: IndexSpec, cache: SavedCache | None, stop: Stop
) -> None:
    """Give a dense index the graph that it lacks.

    One process at a time does so for a file; the others wait, scanning meanwhile, and adopt what
    it saved. Whoever gets the turn looks first what the one before has saved, or ten processes
    would build ten times. What is adopted replaces the view, with other slots perhaps: searches
    that began with the old one end with it. A graph is published before it is saved, since a full
    disk shall keep nobody from searching with it; if saving fails, the work is tried again, and
    finds a graph that is in place and has only to be saved.
    """
    if _assembled(state, key, spec, cache, stop):
        return
    if cache is None or not _wait_for_turn(cache, stop):
        if not stop():
            _build(state, key, spec, stop)
        return
    try:
        restored = cache.restore_newest(state.number)
        if restored is not None and state.adopt(restored):
            _assembled(state, key, spec, cache, stop)
        _build(state, key, spec, stop)
        # Also what could not be saved when it was built.
        if state.saved.lacks_graph(key):
            cache.save(state, stop=stop.is_late)
            state.saved.note_graph(key, is_saved=True)
    except Stopped:
        _log.warning("gave up saving %s", cache.folder.path)
    finally:
        cache.folder.unlock()


def _wait_for_turn(cache: SavedCache, stop: Stop) -> bool:
    """Wait to be the one process that builds; False if there is no folder to agree by.

    Also if another one takes so long that it may never end: it could have been suspended.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not cache.folder.try_lock():
        if stop() or not cache.folder.can_be_locked() or time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _assembled(
    state: CollectionState,
    key: DenseKey,
    spec: IndexSpec,
    cache: SavedCache | None,
    stop: Callable[[], bool],
) -> bool:
    """Put a saved graph in place; whether nothing more is needed then."""
    saved = state.saved.graph(key)
    if saved is None:
        return False
    try:
        stop, view = state.saved.until_cut(stop), state.view
        index = view.parts.get(key)
        if index is None or index.graph is not None or saved.meta["lineage"] != view.lineage:
            return False
        read = saved.read()
        read.check()
        graph: Approximate | None
        if "codes" in read.arrays:
            graph = Codes.from_arrays(read.arrays, index)
        else:
            graph = Graph.from_arrays(read.arrays, index, stop=stop)
        if graph is None:
            return False
        published = state.publish_graph(view, key, graph, is_saved=True)
        if published and cache is not None:
            # Searches until now, and the graph itself, have read all of the map.
            cache.map_again(state, key)
    except (OSError, DatabaseCorruptError, KeyError, MissingExtraError, ValueError) as error:
        _log.warning("ignoring a saved graph, and building another: %s", error)
        return False
    finally:
        state.saved.drop_graph(key, saved)
    view = state.view
    index = view.parts.get(key)
    return index is not None and not needs_work(state.thresholds, view, index, spec)


def _build(
    state: CollectionState, key: DenseKey, spec: IndexSpec, stop: Callable[[], bool]
) -> bool:
    """Build or extend from the newest view, and publish; whether that was done."""
    stop, view = state.saved.until_cut(stop), state.view
    index = view.parts.get(key)
    if index is None or not needs_work(state.thresholds, view, index, spec):
        return False
    old, mask = index.graph, view.mask
    if mask is not None:
        mask = mask[: index.n]  # the view may have followed new rows that the index has not
    graph: Approximate | None
    if old is not None and not _is_unfit(state.thresholds, view, index, spec):
        graph = old.extend(index, mask=mask, stop=stop)
    else:
        params = _params(spec)
        if isinstance(params, FaissParams):
            graph = FaissIndex.build(index, params, mask=mask, stop=stop)
        elif isinstance(params, CodesParams):
            graph = Codes.build(index, params, mask=mask, stop=stop)
        else:
            graph = Graph.build(index, params, mask=mask, stop=stop)
    return graph is not None and state.publish_graph(view, key, graph)


def _params(spec: IndexSpec) -> GraphParams | FaissParams | CodesParams:
    if spec.index_type is IndexType.AUTOINDEX and native.is_there("turbovec"):
        return CodesParams()
    if spec.index_type.package == "faiss":
        given = {name: spec.params[name] for name in ("nlist", "m", "nbits") if name in spec.params}
        return FaissParams(cast("FaissKind", spec.index_type.value), **given)
    usual = GraphParams()
    return GraphParams(
        m=int(spec.params.get("M", usual.m)),
        ef_construction=int(spec.params.get("efConstruction", usual.ef_construction)),
    )
