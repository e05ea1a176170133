"""The regression benchmark: two commits, measured in turns, as ratios.

    python benchmarks/compare.py A B [--tolerance 1.15]

A and B are commits, or folders that hold a checkout (`.` measures what is not committed yet).
Commits are checked out into temporary worktrees. Both run the workload of *this* checkout, which
uses calls only that every version has. A round has two new processes that take turns of 100
searches, so that a busy second of the machine meets both; who is first changes with every round.
Exit status 1: in the median of the rounds, a row of B is worse than A's by more than the tolerance.
"""

from __future__ import annotations

import argparse
import compileall
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from _data import synthetic
from _measure import figure, git, higher_is_better, machine, table
from _rounds import measured_in_turns, medians

if TYPE_CHECKING:
    from collections.abc import Iterator

    Runs = list[dict[str, float]]

PACKAGE = Path("core", "src")
# Differences that no one feels, however large their ratio: a build of 0.1 ms, a page of memory.
NEGLIGIBLE = {", s": 0.005, ", MB": 1.0}


def main() -> None:
    """Measure both, print the table, and say by the exit status whether B is slower."""
    arguments = _arguments()
    print(machine(), flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="bench") as corpus,
        checkout(arguments.a) as a,
        checkout(arguments.b) as b,
    ):
        synthetic(arguments.documents, arguments.queries).save(Path(corpus))
        runs = measure((a, b), Path(corpus), arguments.system, arguments.rounds)
    rows, slower = compared(*runs, tolerance=arguments.tolerance)
    print(f"\n{table(['row', 'A', 'B', 'B / A', 'in single rounds', 'verdict'], rows)}")
    if slower:
        sys.exit(f"B is worse by more than {arguments.tolerance:g} in: {'; '.join(slower)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare the speed of two commits.")
    parser.add_argument("a", metavar="A", help="a commit, or a folder with a checkout")
    parser.add_argument("b", metavar="B", help="likewise")
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--system", choices=("ours", "ours-auto"), default="ours-auto")
    parser.add_argument("--tolerance", type=float, default=1.15)
    return parser.parse_args()


@contextmanager
def checkout(name: str) -> Iterator[Path]:
    """The folder of the package at a commit, or in a folder that is a checkout already.

    Its modules are compiled, as an installed package's are: else each import compiles them anew
    where Python may write no bytecode.
    """
    if Path(name, PACKAGE, "elanus").is_dir():
        compileall.compile_dir(Path(name, PACKAGE), quiet=1)
        yield Path(name, PACKAGE).resolve()
        return
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        tree = Path(folder, "tree")
        made = git("worktree", "add", "--detach", str(tree), name)
        if made.returncode:
            sys.exit(f"{name!r} is neither a commit nor a checkout: {made.stderr.strip()}")
        try:
            compileall.compile_dir(tree / PACKAGE, quiet=1)
            yield tree / PACKAGE
        finally:
            git("worktree", "remove", "--force", str(tree))


def measure(
    sources: tuple[Path, Path], corpus: Path, system: str, rounds: int
) -> tuple[Runs, Runs]:
    """Runs of both; who is first changes with every round."""
    runs: tuple[Runs, Runs] = ([], [])
    for number in range(rounds):
        load = os.getloadavg()[0]
        print(f"round {number + 1}: load {load:.2f}", file=sys.stderr)
        order = (0, 1) if number % 2 == 0 else (1, 0)
        figures = measured_in_turns(system, corpus, [sources[which] for which in order])
        for which, run in zip(order, figures, strict=True):
            runs[which].append(run)
    return runs


def compared(a: Runs, b: Runs, *, tolerance: float) -> tuple[list[list[str]], list[str]]:
    """The rows of the table, and the names of those in which B is worse by too much."""
    before, after = medians(a), medians(b)
    rows, slower = [], []
    for row in before:
        ratios = _ratios(row, a, b)
        if not ratios:  # no round in which both reached the recall of this row
            continue
        ratio = float(np.median(ratios))
        worse = _is_worse(row, after[row] - before[row], ratio, tolerance)
        numbers = [figure(value) for value in (before[row], after[row], ratio)]
        spread = f"{figure(min(ratios))} … {figure(max(ratios))}"
        rows.append([row, *numbers, spread, "**worse**" if worse else ""])
        if worse:
            slower.append(row)
    return rows, slower


def _is_worse(row: str, difference: float, ratio: float, tolerance: float) -> bool:
    if any(row.endswith(unit) and abs(difference) < least for unit, least in NEGLIGIBLE.items()):
        return False
    return ratio < 1 / tolerance if higher_is_better(row) else ratio > tolerance


def _ratios(row: str, a: Runs, b: Runs) -> list[float]:
    """B to A in each round that has the row of both."""
    return [_ratio(x[row], y[row]) for x, y in zip(a, b, strict=True) if row in x and row in y]


def _ratio(before: float, after: float) -> float:
    """How many times as large; from nothing to something is infinitely so."""
    if before == after:
        return 1.0
    return after / before if before else float("inf")


if __name__ == "__main__":
    main()
