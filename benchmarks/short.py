"""The short benchmark: 10,000 documents in one new file, and the time of each kind of search.

    python benchmarks/short.py [--documents N] [--queries N]

It makes its own data, and needs no model and no other system. Recall is against brute force. Times
of other machines and other hours do not compare; see README.md beside this file.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from _data import synthetic
from _measure import figure, machine, table
from _systems import ElanusAuto
from _workload import run

COLUMNS = ("p50 ms", "p95 ms", "recall", "queries/s")


def main() -> None:
    """Build a collection, search it, and print the tables."""
    parser = argparse.ArgumentParser(description="The short benchmark of Elanus.")
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=200)
    arguments = parser.parse_args()
    print(machine(), flush=True)
    corpus = synthetic(arguments.documents, arguments.queries)
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        figures = run(ElanusAuto, corpus, Path(folder))
    print(f"\n{searches(figures)}\n\n{others(figures)}")


def searches(figures: dict[str, float]) -> str:
    """The rows that have several columns."""
    names = dict.fromkeys(row.partition(": ")[0] for row in figures if ": " in row)
    rows = [[name, *(_cell(figures, f"{name}: {c}") for c in COLUMNS)] for name in names]
    return table(["search", *COLUMNS], rows)


def others(figures: dict[str, float]) -> str:
    """The rows that have one."""
    rows = [[name, figure(value)] for name, value in figures.items() if ": " not in name]
    return table(["whole", "value"], rows)


def _cell(figures: dict[str, float], row: str) -> str:
    return figure(figures[row]) if row in figures else ""


if __name__ == "__main__":
    main()
