"""Building graphs in the background: on a private graph, published by one assignment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elanus.engine._parts import DenseKey
from elanus.index import DenseIndex, Graph, GraphParams, wants_graph

if TYPE_CHECKING:
    from elanus.engine._snapshot import CollectionState
    from elanus.engine._view import View
    from elanus.schema import IndexSpec

_LONGEST_TAIL = 10_000
_MOST_DEAD = 0.25


@dataclass(frozen=True, slots=True)
class Job:
    """A graph to be built."""

    state: CollectionState
    key: DenseKey
    spec: IndexSpec


def needs_work(view: View, index: DenseIndex, spec: IndexSpec | None) -> bool:
    """Whether a graph is missing, covers too little, or holds too many dead rows."""
    if spec is None or spec.index_type == "FLAT":
        return False
    graph = index.graph
    if graph is None:
        # Both graph types switch at the same size; see `wants_graph`.
        return wants_graph(view.count, index.dim, "HNSW")
    # The tail is scanned at every search: fold it in when that starts to be felt.
    return index.n - graph.covered > _LONGEST_TAIL or _is_mostly_stale(view, graph)


def _is_mostly_stale(view: View, graph: Graph) -> bool:
    return view.n - view.count > _MOST_DEAD * max(graph.covered, 1)


class GraphBuilder:
    """One background thread that builds the graphs asked for, one after another."""

    def __init__(self) -> None:
        self._jobs: dict[tuple[int, DenseKey], Job] = {}
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def request(self, state: CollectionState, key: DenseKey, spec: IndexSpec) -> None:
        """Ask for a graph; asking again while it is waiting or being built does nothing."""
        with self._change:
            if self._closed:
                return
            self._jobs.setdefault((id(state), key), Job(state, key, spec))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="elanus-graphs", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def wait(self, state: CollectionState, key: DenseKey) -> None:
        """Wait until a requested graph was published, or building it was given up."""
        with self._change:
            self._change.wait_for(lambda: self._closed or (id(state), key) not in self._jobs)

    def close(self) -> None:
        """Give up what is being built, and end the thread."""
        with self._change:
            self._closed = True
            thread = self._thread
            self._change.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._closed or bool(self._jobs))
                if self._closed:
                    return
                place, job = next(iter(self._jobs.items()))
            try:
                build(job, lambda: self._closed)
            finally:
                with self._change:
                    self._jobs.pop(place, None)
                    self._change.notify_all()


def build(job: Job, stop: Callable[[], bool]) -> None:
    """Build or extend the graph of a job from the newest view, and publish it."""
    view = job.state.view
    index = view.parts.get(job.key)
    if index is None or not needs_work(view, index, job.spec):
        return
    old = index.graph
    if old is None or _is_mostly_stale(view, old):
        params = GraphParams(
            m=int(job.spec.params.get("M", GraphParams().m)),
            ef_construction=int(
                job.spec.params.get("efConstruction", GraphParams().ef_construction)
            ),
        )
        graph = Graph.build(index, params, mask=view.mask, stop=stop)
    else:
        graph = old.extend(index, mask=view.mask, stop=stop)
    if graph is not None:
        job.state.publish_graph(view, job.key, graph)
