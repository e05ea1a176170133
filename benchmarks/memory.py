"""What Elanus needs of memory and disk: at rest, while a graph is built, and in four processes.

    python benchmarks/memory.py [--documents N] [--processes 4]

Memory is what the system says in ``/proc/self/smaps_rollup``; where that is missing (anywhere but
on Linux) the script says so, and ends. PSS divides a page among the processes that share it, so
that the sum over processes is what they need together. Every number is what is added to the memory
of an interpreter that has imported the package; the data themselves are left out.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from _data import NUMBERS, Corpus, synthetic
from _measure import MB, Memory, disk_mb, figure, machine, memory, table
from _processes import Workers, answer
from _systems import NAME, ElanusAuto

if TYPE_CHECKING:
    from collections.abc import Callable

    Rows = list[list[str | float]]

SAMPLE_SECONDS = 0.02
DELETED = 0.6  # more than half of the rows are dead then, so that codes are made afresh


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description="Memory and disk of Elanus.")
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _child(arguments.child)
        return
    print(machine(), flush=True)
    _known(memory())
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        _report(Path(name), arguments.documents, arguments.processes)


def _report(folder: Path, documents: int, processes: int) -> None:
    corpus = synthetic(documents, 100)
    corpus.save(folder)
    (folder / "store").mkdir()
    ElanusAuto.filled(folder / "store", corpus).close()
    texts = sum(len(text.encode()) for text in corpus.texts) / MB
    rows: Rows = [
        ["vectors and texts alone", corpus.vectors.nbytes / MB + texts],
        ["on disk, cache included", disk_mb(folder / "store")],
    ]
    for count in dict.fromkeys((1, processes)):
        rows += _idle(folder, count)
    _print(f"{documents:,} documents, at rest", documents, rows)
    with Workers(__file__, ["--child", str(folder)], 1) as workers:
        stages = json.loads(workers.ask("build")[0])
    rows = [[f"{stage}: {kind}", mb] for stage, pair in stages.items() for kind, mb in pair.items()]
    _print(f"{documents:,} documents, from insert to a second graph", documents, rows)


def _print(title: str, documents: int, rows: Rows) -> None:
    cells = [[str(n), figure(float(mb)), figure(float(mb) * MB / documents)] for n, mb in rows]
    print(f"\n{table([title, 'MB', 'bytes a document'], cells)}", flush=True)


def _idle(folder: Path, count: int) -> Rows:
    """Memory of processes that have opened the same file, and have searched it."""
    with Workers(__file__, ["--child", str(folder)], count) as workers:
        workers.ask("open")
        # Asked again: the last to open changes the shares of the others.
        found = [json.loads(reply) for reply in workers.ask("now")]
    name = "1 process" if count == 1 else f"{count} processes together"
    return [[f"{name}: {kind}", sum(each[kind] for each in found)] for kind in found[0]]


def _child(folder: Path) -> None:
    """Answer ``open``, ``now`` and ``build`` with memory that was added since then."""
    import_module("elanus")
    # The other documents would be counted, were they freed and used again.
    queries = np.load(folder / "queries.npy")
    system: ElanusAuto | None = None
    before = _known(memory())

    def reply(question: str) -> str:
        nonlocal system
        if question == "build":
            return json.dumps(_stages(Corpus.load(folder)))
        if system is None:
            system = ElanusAuto(folder / "store")
            system.settle()
            system.dense(queries[0], 64)
            system.filtered(queries[0], 0.5, 64)
            system.hybrid(queries[0], "a few words")
        return json.dumps(_added(_known(memory()), before))

    answer(reply)
    if system is not None:
        system.close()


def _stages(corpus: Corpus) -> dict[str, dict[str, float]]:
    """Memory from an empty store to a graph that has replaced another."""
    before = _known(memory())
    stages = {}
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        system = ElanusAuto(Path(name))
        system.create(corpus.vectors.shape[1])
        system.insert(corpus)
        stages["inserted"] = _added(_known(memory()), before)
        stages["most while the graph is built"] = _added(_most(system.build), before)
        stages["graph built"] = _added(_known(memory()), before)
        system.client.delete(NAME, filter=f"number < {round(DELETED * NUMBERS)}")
        stages["most while another is built and swapped"] = _added(_most(system.build), before)
        stages["swapped"] = _added(_known(memory()), before)
        system.close()
    return stages


def _most(work: Callable[[], None]) -> Memory:
    """The most memory while ``work`` runs, as seen every 20 ms."""
    samples = [_known(memory())]
    done = threading.Event()

    def sample() -> None:
        while not done.wait(SAMPLE_SECONDS):
            samples.append(_known(memory()))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        work()
    finally:
        done.set()
        sampler.join()
    return Memory(max(s.rss for s in samples), max(s.pss for s in samples))


def _added(now: Memory, before: Memory) -> dict[str, float]:
    return {"RSS": now.rss - before.rss, "PSS": now.pss - before.pss}


def _known(found: Memory | None) -> Memory:
    if found is None:
        sys.exit("this system has no /proc/self/smaps_rollup: memory cannot be measured here")
    return found


if __name__ == "__main__":
    main()
