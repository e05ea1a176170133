"""What Elanus must reach beside its peers, and whether a run does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from _measure import figure, higher_is_better

if TYPE_CHECKING:
    from collections.abc import Mapping

    Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Limit:
    """``factor`` times what a system reached in the same row, and ``plus``.

    Attributes:
        factor: 0 for a limit that depends on no other system.
        system: which one.
        plus: in the unit of the row.
    """

    factor: float = 0.0
    system: str = ""
    plus: float = 0.0

    def value(self, row: str, run: Mapping[str, Figures]) -> float | None:
        """The limit in one run; None if the other system was not measured there."""
        if not self.factor:
            return self.plus
        other = run.get(self.system, {}).get(row)
        return None if other is None else self.factor * other + self.plus

    def __str__(self) -> str:
        if not self.factor:
            return f"{self.plus:g}"
        times = f"{self.factor:g} × " if self.factor != 1 else ""
        return f"{times}{self.system}" + (f" + {self.plus:g}" if self.plus else "")


@dataclass(frozen=True, slots=True)
class Target:
    """A row of `_workload`, and how good it must be: at least, where higher is better.

    Attributes:
        row: which.
        limit: the value that it must reach.
        documents: the largest collection for which it was set; 0 for any.
    """

    row: str
    limit: Limit
    documents: int = 0

    def __str__(self) -> str:
        return f"{'≥' if higher_is_better(self.row) else '≤'} {self.limit}"

    def is_met(self, ours: Figures, run: Mapping[str, Figures]) -> bool | None:
        """Whether one run reaches it; None if that run lacks a number for it.

        A row that depends on a recall is absent when that recall was not reached: a miss.
        """
        limit = self.limit.value(self.row, run)
        if limit is None:
            return None
        value = ours.get(self.row)
        if value is None:
            return False
        return value >= limit if higher_is_better(self.row) else value <= limit


def _below(row: str, factor: float) -> Target:
    return Target(row, Limit(factor, "zvec"))


TARGETS = (
    _below("dense at recall 0.975: p50 ms", 0.7),
    Target("dense at recall 0.975: p50 ms", Limit(1.0, "by-hand", plus=0.06)),
    _below("dense at recall 0.99: p50 ms", 0.85),
    _below("2 threads, ef 128: queries/s", 1.2),
    _below("filter keeps 50 %: p50 ms", 0.7),
    _below("filter keeps 10 %: p50 ms", 0.6),
    _below("filter keeps 1 %: p50 ms", 0.6),
    _below("filter keeps 0.1 %: p50 ms", 0.5),
    Target("filter keeps 50 %: recall", Limit(plus=0.99)),
    Target("filter keeps 10 %: recall", Limit(plus=1.0)),
    Target("filter keeps 1 %: recall", Limit(plus=1.0)),
    Target("filter keeps 0.1 %: recall", Limit(plus=1.0)),
    Target("hits that filters lack", Limit(plus=0.0)),
    _below("text: p50 ms", 0.35),
    _below("text: p95 ms", 0.25),
    _below("hybrid: p50 ms", 0.5),
    _below("hybrid: p95 ms", 0.35),
    Target("insert until all answers, s", Limit(plus=10.0), documents=100_000),
    _below("insert until all answers, s", 0.12),
    _below("insert and build, s", 0.3),
    _below("reopen to first answer, s", 0.8),
    _below("memory added, MB", 0.45),
    _below("disk, MB", 1.2),
    Target("import, s", Limit(plus=0.25)),
)
GROWTH = {"dense, ef 64: p50 ms": 2.5, "text: p50 ms": 4.0}  # from 10,000 to 200,000 documents


def judged(target: Target, name: str, runs: list[dict[str, dict[str, float]]]) -> list[str]:
    """One row of the table of targets, for the system ``name``: row, target, measured, verdict."""
    mine = [(run[name], run) for run in runs if name in run]
    met = [target.is_met(ours, run) for ours, run in mine]
    measured = ", ".join(_measured(target, ours, run) for ours, run in mine)
    known = [verdict for verdict in met if verdict is not None]
    if not known:
        verdict = f"not measured: needs {target.limit.system}"
    elif all(known):
        verdict = f"met in {len(known)} of {len(known)}"
    else:
        verdict = f"**missed** in {known.count(False)} of {len(known)}"
    return [target.row, str(target), measured, verdict]


def _measured(target: Target, ours: Figures, run: Mapping[str, Figures]) -> str:
    """In the terms of the target: a ratio, a difference, or the value itself."""
    limit, value = target.limit, ours.get(target.row)
    other = run.get(limit.system, {}).get(target.row)
    if value is None or not limit.factor:
        return figure(value)
    if other is None:
        return "–"
    return f"{value - other:+.3f}" if limit.plus else figure(value / other)


def growth(sizes: Mapping[int, list[dict[str, dict[str, float]]]], name: str) -> list[list[str]]:
    """By how much searches of the largest size take longer than those of the smallest.

    Medians over the runs of each. The limits are for 10,000 and 200,000 documents.
    """
    small, large = min(sizes), max(sizes)
    judgeable = (small, large) == (10_000, 200_000)
    rows = []
    for row, limit in GROWTH.items():
        medians = [
            float(np.median([run[name][row] for run in sizes[n] if name in run]))
            for n in (small, large)
        ]
        factor = medians[1] / medians[0]
        verdict = ("met" if factor <= limit else "**missed**") if judgeable else "other sizes"
        rows.append([f"{name}, {row}", f"≤ {limit:g}", figure(factor), verdict])
    return rows
