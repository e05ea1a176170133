"""Everything that is measured of one system on one corpus, as a flat table of numbers.

    python benchmarks/_workload.py SYSTEM CORPUS

runs it in a process of its own, as `peers.py` and `compare.py` do, and prints one JSON object. A
row's name says its unit.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from _data import Corpus
from _measure import disk_mb, import_seconds, memory, seconds, timed
from _peers import SYSTEMS
from _systems import MilvusSystem
from _turns import take_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from _data import Floats
    from _systems import System
    from numpy.typing import NDArray

EFS = (64, 128, 256, 512)
FILTERS = {"50 %": 0.5, "10 %": 0.1, "1 %": 0.01, "0.1 %": 0.001}
FILTER_EF = 128
PIECE = 100
"""Searches of a turn, where another process is measured at the same time."""
RECALLS = (0.975, 0.99)

_A = TypeVar("_A")
Figures = dict[str, float]
Answers = list[set[int]]


def run(system_type: type[System], corpus: Corpus, folder: Path) -> Figures:
    """Fill a store in an empty folder, search it in every way, and measure all of it."""
    exact = {share: corpus.exact(share) for share in (1.0, *FILTERS.values())}
    before = memory()
    figures, system = _filled(system_type, corpus, folder)
    figures |= _dense(system, corpus, exact[1.0])
    figures |= _filters(system, corpus, exact)
    figures |= _texts(system, corpus)
    figures |= _together(system, corpus.queries)
    take_turn()
    after = memory()
    if before is not None and after is not None:
        figures["memory added, MB"] = after.rss - before.rss
    figures["close, s"] = seconds(system.close)
    figures["disk, MB"] = disk_mb(folder)
    start = time.perf_counter()
    system.reopen()
    system.dense(corpus.queries[-1], 64)
    figures["reopen to first answer, s"] = time.perf_counter() - start
    system.close()
    figures["import, s"] = import_seconds(system_type.modules)
    return figures


def _filled(system_type: type[System], corpus: Corpus, folder: Path) -> tuple[Figures, System]:
    take_turn()
    start = time.perf_counter()
    system = system_type(folder)
    system.create(corpus.vectors.shape[1])
    system.insert(corpus)
    inserted = time.perf_counter() - start
    if system_type.answers_before_build:
        _first_answers(system, corpus)
        ready = time.perf_counter() - start
    build = seconds(system.build)
    if not system_type.answers_before_build:
        _first_answers(system, corpus)
        ready = time.perf_counter() - start
    figures = {
        "insert, s": inserted,
        "insert until all answers, s": ready,
        "then build, s": build,
        "insert and build, s": inserted + build,
    }
    return figures, system


def _first_answers(system: System, corpus: Corpus) -> None:
    """One search of each kind, so that everything that was inserted is found by all of them.

    Text comes first, since a dense search may set a build going that takes every core.
    """
    vector, words = corpus.queries[0], corpus.words[0]
    if system.has_text:
        system.text(words)
    system.filtered(vector, 0.5, 64)
    system.dense(vector, 64)
    if system.has_text:
        system.hybrid(vector, words)


def _dense(system: System, corpus: Corpus, exact: Answers) -> Figures:
    figures: Figures = {}
    for ef in EFS:
        times, found = _searched(partial(system.dense, ef=ef), corpus.queries)
        figures |= _quantiles(f"dense, ef {ef}", times)
        figures[f"dense, ef {ef}: recall"] = _recall(found, exact)
    for recall in RECALLS:
        good = [ef for ef in EFS if figures[f"dense, ef {ef}: recall"] >= recall]
        if good:
            best = min(figures[f"dense, ef {ef}: p50 ms"] for ef in good)
            figures[f"dense at recall {recall}: p50 ms"] = best
    return figures


def _filters(system: System, corpus: Corpus, exact: dict[float, Answers]) -> Figures:
    figures: Figures = {}
    missing = 0
    for name, share in FILTERS.items():
        queries = corpus.queries[: -(-len(corpus.queries) // 2)]
        search = partial(system.filtered, share=share, ef=FILTER_EF)
        times, found = _searched(search, queries)
        figures |= _quantiles(f"filter keeps {name}", times)
        figures[f"filter keeps {name}: recall"] = _recall(found, exact[share])
        missing += sum(
            len(true) - len(set(ids)) for ids, true in zip(found, exact[share], strict=False)
        )
    figures["hits that filters lack"] = missing
    return figures


def _texts(system: System, corpus: Corpus) -> Figures:
    if not system.has_text:
        return {}
    texts, _ = _searched(system.text, corpus.words)
    pairs = list(zip(corpus.queries, corpus.words, strict=True))
    hybrids, _ = _searched(lambda pair: system.hybrid(*pair), pairs)
    return _quantiles("text", texts) | _quantiles("hybrid", hybrids)


def _together(system: System, queries: Floats) -> Figures:
    """Searches of two threads, and a hundred in one call."""
    twice = [*queries, *queries]
    with ThreadPoolExecutor(2) as pool:
        took = 0.0
        for piece in _pieces(twice):
            take_turn()
            took += seconds(lambda p=piece: list(pool.map(lambda q: system.dense(q, 128), p)))
    figures = {"2 threads, ef 128: queries/s": len(twice) / took}
    if isinstance(system, MilvusSystem):
        hundred = list(islice(twice, 100))
        system.batch(hundred, 64)
        times = []
        for _ in range(5):
            take_turn()
            times.append(seconds(lambda: system.batch(hundred, 64)))
        took = float(np.median(times))
        figures["batch of 100, ef 64: queries/s"] = len(hundred) / took
    return figures


def _searched(
    call: Callable[[_A], list[int]], arguments: Iterable[_A]
) -> tuple[NDArray[np.float64], list[list[int]]]:
    given = list(arguments)
    call(given[0])  # the first search may still bring an index up to date
    times, found = [], []
    for piece in _pieces(given):
        take_turn()
        took, results = timed(call, piece)
        times.append(took)
        found += results
    return np.concatenate(times), found


def _pieces(given: Sequence[_A]) -> Iterator[Sequence[_A]]:
    return (given[at : at + PIECE] for at in range(0, len(given), PIECE))


def _quantiles(name: str, times: NDArray[np.float64]) -> Figures:
    p50, p95 = np.percentile(times, [50, 95]).tolist()
    return {f"{name}: p50 ms": p50, f"{name}: p95 ms": p95}


def _recall(found: list[list[int]], exact: Answers) -> float:
    """Mean share of the true neighbours that were found; 1 where a filter leaves none."""
    shares = [
        len(true.intersection(ids)) / len(true) if true else 1.0
        for ids, true in zip(found, exact, strict=False)
    ]
    return float(np.mean(shares))


def main() -> None:
    """Measure one system, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description="Measure one system on one corpus.")
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("corpus", type=Path, help="a folder written by Corpus.save")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        corpus = Corpus.load(arguments.corpus)
        print(json.dumps(run(SYSTEMS[arguments.system], corpus, Path(folder))))


if __name__ == "__main__":
    main()
