"""The long benchmark: Elanus beside other embedded stores, on the same data and in the same hour.

    python benchmarks/peers.py DATA [SYSTEM ...] [--n N ...] [--runs 3] [--json FILE]

DATA is a folder of real embeddings; `_data.from_folder` says what it holds. Each system runs in a
process of its own, one after the other, and so again in each run. The page that is printed has the
machine, the medians of all runs, and for each target whether it was met in every run. Other systems
are not installed by this project; one that is named and missing is an error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from _data import from_folder
from _measure import figure, machine, table
from _peers import SYSTEMS, missing
from _rounds import MeasurementError, measured, medians
from _targets import TARGETS, growth, judged

Run = dict[str, dict[str, float]]  # by system

USUAL = ("ours", "ours-auto", "zvec", "by-hand")
OURS = ("ours", "ours-auto")
REFERENCE = "zvec"


def main() -> None:
    """Measure, and print the page."""
    arguments = _arguments()
    systems = arguments.systems or list(USUAL)
    _check_installed(systems)
    page = [machine(*sorted({SYSTEMS[name].package for name in systems} - {"elanus"}))]
    sizes: dict[int, list[Run]] = {}
    for n in arguments.n:
        sizes[n] = measure(arguments, systems, n)
        page.append(results(n, systems, sizes[n]))
    if len(sizes) > 1:
        page.append(growths(systems, sizes))
    print("\n\n".join(page))
    if arguments.json:
        arguments.json.write_text(json.dumps(sizes, indent=1), encoding="utf-8")
    if any(len(run) < len(systems) for runs in sizes.values() for run in runs):
        sys.exit("a system failed; see above")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure Elanus beside other embedded stores.")
    parser.add_argument("data", type=Path)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=", ".join(SYSTEMS))
    parser.add_argument("--n", type=int, nargs="+", default=[100_000], help="documents")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for one system")
    parser.add_argument("--json", type=Path, help="where to write every number")
    return parser.parse_args()


def _check_installed(systems: list[str]) -> None:
    for name in systems:
        if name not in SYSTEMS:
            sys.exit(f"{name!r} is no system: name some of {', '.join(SYSTEMS)}")
        if lacking := missing(name):
            package = SYSTEMS[name].package
            sys.exit(
                f"{name} needs {', '.join(lacking)}, which {'is' if len(lacking) == 1 else 'are'} "
                f"not installed: pip install {package}, or leave {name} out"
            )


def measure(arguments: argparse.Namespace, systems: list[str], n: int) -> list[Run]:
    """Every system once in each run, in turns; a system that fails is left out of that run."""
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        from_folder(arguments.data, n, arguments.queries).save(Path(folder))
        for number in range(1, arguments.runs + 1):
            run: Run = {}
            for name in systems:
                _say(f"{n:,} documents, run {number}, {name}: load {os.getloadavg()[0]:.2f}")
                try:
                    run[name] = measured(name, Path(folder), timeout=arguments.timeout)
                except MeasurementError as error:
                    _say(str(error))
            runs.append(run)
    return runs


def _say(line: str) -> None:
    """Progress is no part of the page."""
    print(line, file=sys.stderr, flush=True)


def results(n: int, systems: list[str], runs: list[Run]) -> str:
    """The tables of one size: medians of all systems, and the targets of ours."""
    parts = [
        f"## {n:,} documents, medians of {len(runs)} run{'' if len(runs) == 1 else 's'}",
        _medians(systems, runs),
    ]
    for name in systems:
        if name in OURS:
            targets = [t for t in TARGETS if not t.documents or n <= t.documents]
            head = ["row", "target", "measured in each run", "verdict"]
            parts.append(f"### Targets: {name}")
            parts.append(table(head, [judged(target, name, runs) for target in targets]))
    return "\n\n".join(parts)


def _medians(systems: list[str], runs: list[Run]) -> str:
    """Ours with the ratio to the reference, the others beside them."""
    middle = {name: medians([run[name] for run in runs if name in run]) for name in systems}
    head, columns = ["row"], []
    for name in systems:
        head.append(name)
        columns.append((middle[name], False))
        if name in OURS and REFERENCE in systems:
            head.append(f"/ {REFERENCE}")
            columns.append((middle[name], True))
    rows = dict.fromkeys(row for figures in middle.values() for row in figures)
    reference = middle.get(REFERENCE, {})
    return table(
        head,
        [
            [
                row,
                *(_cell(row, figures, reference if ratio else None) for figures, ratio in columns),
            ]
            for row in rows
        ],
    )


def _cell(row: str, figures: dict[str, float], reference: dict[str, float] | None) -> str:
    value = figures.get(row)
    if reference is None or value is None:
        return figure(value)
    return figure(value / reference[row]) if reference.get(row) else figure(None)


def growths(systems: list[str], sizes: dict[int, list[Run]]) -> str:
    """How the times of ours grow with the number of documents."""
    head = ["row", "target", f"{max(sizes):,} / {min(sizes):,}", "verdict"]
    rows = [row for name in systems if name in OURS for row in growth(sizes, name)]
    return f"## Growth\n\n{table(head, rows)}"


if __name__ == "__main__":
    main()
