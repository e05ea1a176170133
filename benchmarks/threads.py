"""How searches scale: threads of one client, batches in one call, processes of one file.

    python benchmarks/threads.py [--documents N] [--seconds S]

Every number is searches a second, counted for that long. Processes begin each kind of search
together, when the last of them is ready.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

from _data import Corpus, Floats, synthetic
from _measure import figure, machine, table
from _processes import Workers, answer
from _systems import Elanus, ElanusAuto

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Pair = tuple[Floats, str]
    Searches = dict[str, Callable[[list[Pair]], object]]

EF = 64
THREADS = (1, 2, 4)
BATCHES = (1, 10, 100, 1000)
PROCESSES = (1, 2)


def main() -> None:
    """Fill a file, measure, and print the tables."""
    parser = argparse.ArgumentParser(description="Searches a second, many at once.")
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each number")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _child(arguments.child, arguments.seconds)
        return
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        folder = Path(name)
        corpus = synthetic(arguments.documents, arguments.queries)
        corpus.save(folder)
        system = ElanusAuto.filled(folder, corpus)
        try:
            print(f"\n{_threads(system, corpus, arguments.seconds)}", flush=True)
            print(f"\n{_batches(system, corpus, arguments.seconds)}", flush=True)
        finally:
            system.close()
        print(f"\n{_processes(folder, arguments.seconds)}")


def _singles(system: Elanus) -> Searches:
    """Searches of one pair of a query vector and words."""
    return {
        "dense": lambda pairs: system.dense(pairs[0][0], EF),
        "dense, filter keeps 10 %": lambda pairs: system.filtered(pairs[0][0], 0.1, EF),
        "text": lambda pairs: system.text(pairs[0][1]),
        "hybrid": lambda pairs: system.hybrid(*pairs[0]),
    }


def _together(system: Elanus) -> Searches:
    """Searches of any number of pairs in one call."""
    return {
        "dense": lambda pairs: system.batch([vector for vector, _ in pairs], EF),
        "dense, filter keeps 10 %": lambda pairs: system.batch(
            [vector for vector, _ in pairs], EF, "number < 100000"
        ),
        "text": lambda pairs: system.text_batch([words for _, words in pairs]),
    }


def _rate(
    call: Callable[[list[Pair]], object],
    corpus: Corpus,
    seconds: float,
    *,
    size: int = 1,
    first: int = 0,
) -> float:
    """Queries a second, ``size`` in each call, beginning with query ``first``."""
    everything = cycle(zip(corpus.queries, corpus.words, strict=True))
    pairs = islice(everything, first, None)
    call(list(islice(pairs, size)))
    done, start = 0, time.perf_counter()
    while time.perf_counter() < start + seconds:
        call(list(islice(pairs, size)))
        done += size
    return done / (time.perf_counter() - start)


def _threads(system: Elanus, corpus: Corpus, seconds: float) -> str:
    rows = []
    for kind, search in _singles(system).items():
        rates = []
        for count in THREADS:
            with ThreadPoolExecutor(count) as pool:
                parts = pool.map(
                    lambda first, call=search: _rate(call, corpus, seconds, first=first),
                    range(count),
                )
                rates.append(sum(parts))
        rows.append([kind, *_with_gain(rates)])
    return _table("threads", THREADS, rows)


def _batches(system: Elanus, corpus: Corpus, seconds: float) -> str:
    rows = []
    for kind, search in _together(system).items():
        rates = [_rate(search, corpus, seconds, size=size) for size in BATCHES]
        rows.append([kind, *_with_gain(rates)])
    return _table("queries in a call", BATCHES, rows)


def _processes(folder: Path, seconds: float) -> str:
    rates: dict[str, list[float]] = {}
    for count in PROCESSES:
        arguments = ["--child", str(folder), "--seconds", str(seconds)]
        with Workers(__file__, arguments, count) as workers:
            for kind in workers.ask("kinds")[0].split(";"):
                rates.setdefault(kind, []).append(sum(map(float, workers.ask(kind))))
    return _table("processes", PROCESSES, [[kind, *_with_gain(r)] for kind, r in rates.items()])


def _child(folder: Path, seconds: float) -> None:
    """Answer a kind of search with how many a second this process does."""
    corpus = Corpus.load(folder)
    system = ElanusAuto(folder)
    system.settle()
    searches = _singles(system)

    def reply(kind: str) -> str:
        if kind == "kinds":
            return ";".join(searches)
        return str(_rate(searches[kind], corpus, seconds))

    answer(reply)
    system.close()


def _with_gain(rates: list[float]) -> list[str]:
    return [figure(rates[0]), *(f"{figure(r)} (× {figure(r / rates[0])})" for r in rates[1:])]


def _table(what: str, counts: Iterable[int], rows: list[list[str]]) -> str:
    return table([f"searches a second, by {what}", *(f"{count:,}" for count in counts)], rows)


if __name__ == "__main__":
    main()
