"""What the planner's constants are made of: the cost of scanning, of gathering, and of a graph.

    python benchmarks/planner.py [--n N ...] [--dim D ...]

Below the client: `elanus.index` for scans, and hnswlib as the index calls it (ef is the number of
candidates), so that the planner's own choice does not hide what it did not choose. One thread,
k = 10, medians. Three tables: the cost of a row and of a candidate; the share of rows that must
pass a filter for the graph to be cheaper than scanning what passes; and the number of rows from
which a graph is cheaper without a filter. Building the graphs takes nearly all of the time.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

import hnswlib
import numpy as np
from _data import K, synthetic_vectors
from _measure import figure, machine, table, timed

from elanus.index import DenseIndex, over_fetched
from elanus.schema import Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from _data import Floats
    from numpy.typing import NDArray

EFS = (64, 128, 512)
EF = 64
GATHERED = (0.01, 0.1)  # shares of the rows
SHARES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01)


@dataclass(frozen=True, slots=True)
class Costs:
    """Milliseconds of one search among ``n`` rows of dimension ``dim``.

    Attributes:
        n: rows.
        dim: their dimension.
        scan: all rows, in sequence.
        gather: some rows by their slots, by their share.
        walk: what the graph alone takes, by the number of candidates that are fetched.
        overhead: a search that scores K rows and no others: checks, the mask, the order of hits.
    """

    n: int
    dim: int
    scan: float
    gather: dict[float, float]
    walk: dict[int, float]
    overhead: float

    @property
    def row(self) -> float:
        """Microseconds of a row in sequence."""
        return 1e3 * max(self.scan - self.overhead, 0.0) / self.n

    def gathered_row(self, share: float) -> float:
        """Microseconds of a row that is read by its slot."""
        return 1e3 * max(self.gather[share] - self.overhead, 0.0) / max(1.0, share * self.n)

    def candidate(self, ef: int) -> float:
        """Microseconds of a candidate of the graph."""
        return 1e3 * self.walk[ef] / min(ef, self.n)

    def graph(self, ef: int) -> float:
        """Milliseconds of a search through the graph, its hits scored and put in order."""
        return self.walk[ef] + self.overhead


def main() -> None:
    """Measure every size, and print the tables."""
    parser = argparse.ArgumentParser(description="What the planner's constants are made of.")
    parser.add_argument("--n", type=int, nargs="+", default=[1000, 3000, 10_000, 30_000, 100_000])
    parser.add_argument("--dim", type=int, nargs="+", default=[64, 384, 1024])
    parser.add_argument("--queries", type=int, default=50)
    arguments = parser.parse_args()
    print(machine("hnswlib"), flush=True)
    costs = [
        measure(n, dim, arguments.queries) for dim in arguments.dim for n in sorted(arguments.n)
    ]
    print(f"\n{cost_table(costs)}\n\n{filter_table(costs)}\n\n{size_table(costs)}")


def measure(n: int, dim: int, queries: int) -> Costs:
    """Time searches of one size; each is repeated for every query."""
    random = np.random.default_rng(0)
    vectors = synthetic_vectors(random.integers(100, size=n + queries), dim, random)
    index = DenseIndex.from_matrix(vectors[:n], None, Metric.COSINE)
    graph = hnswlib.Index("ip", dim)
    graph.init_index(n, M=16, ef_construction=200)
    graph.add_items(vectors[:n])
    asked, keys = vectors[n:], np.arange(n)

    def scan(mask: NDArray[np.bool_] | None) -> float:
        return _median(lambda query: index.search(query, K, mask=mask, keys=keys), asked)

    def walk(fetch: int) -> float:
        return _median(lambda query: graph.knn_query(query, min(fetch, n), num_threads=1), asked)

    fetches = sorted({*EFS, *(over_fetched(K, EF, share).fetch for share in SHARES)})
    masks = {share: random.permutation(n) < share * n for share in {*GATHERED, *SHARES}}
    return Costs(
        n,
        dim,
        scan(None),
        {share: scan(mask) for share, mask in masks.items()},
        {fetch: walk(fetch) for fetch in fetches},
        scan(np.arange(n) < K),
    )


def _median(call: Callable[[Floats], object], queries: Floats) -> float:
    call(queries[0])
    times, _ = timed(call, queries)
    return float(np.median(times))


def cost_table(costs: Sequence[Costs]) -> str:
    """One line for each size; the last two columns are what the planner's constants stand for."""
    share = GATHERED[-1]
    head = ["n", "dim", "scan ms", "µs a row", f"{share:.0%} gathered ms", "µs a row"]
    head += [f"graph {ef} ms" for ef in EFS]
    head += [f"µs a candidate at {EF}", "gathered / row", "candidate / row"]
    rows = [
        [
            f"{c.n:,}",
            str(c.dim),
            figure(c.scan),
            figure(c.row),
            figure(c.gather[share]),
            figure(c.gathered_row(share)),
            *(figure(c.graph(ef)) for ef in EFS),
            figure(c.candidate(EF)),
            figure(_over(c.gathered_row(share), c.row)),
            figure(_over(c.candidate(EF), c.row)),
        ]
        for c in costs
    ]
    return table(head, rows)


def filter_table(costs: Sequence[Costs]) -> str:
    """Scanning what passes, and the graph asked for as many candidates as the planner would."""
    head = ["n", "dim", *(f"{s:.0%} pass: scan, graph ms" for s in SHARES), "equal at"]
    rows = []
    for c in costs:
        pairs = [(c.gather[s], c.graph(over_fetched(K, EF, s).fetch)) for s in SHARES]
        cells = [f"{figure(scan)}, {figure(graph)}" for scan, graph in pairs]
        side, share = _crossing(SHARES, [graph - scan for scan, graph in pairs])
        # Shares fall along the row.
        side = {"<": "> ", ">": "< "}.get(side, "")
        rows.append([f"{c.n:,}", str(c.dim), *cells, f"{side}{share:.0%}"])
    return table(head, rows)


def size_table(costs: Sequence[Costs]) -> str:
    """From how many rows on a graph of `EF` candidates is the faster, for each dimension."""
    rows = []
    for dim in dict.fromkeys(c.dim for c in costs):
        line = [c for c in costs if c.dim == dim]
        side, n = _crossing([c.n for c in line], [c.scan - c.graph(EF) for c in line])
        rows.append([str(dim), f"{side} {n:,.0f}".strip(), f"{side} {n * dim:,.0f}".strip()])
    return table(["dim", f"rows where a scan costs a graph search (ef {EF})", "values"], rows)


def _crossing(at: Sequence[float], differences: Sequence[float]) -> tuple[str, float]:
    """Where differences first turn from negative to positive, on a logarithmic axis.

    Returns:
        ``("", place)``; or ``"<"`` and the first place if it is before all of them, or ``">"`` and
        the last if it is behind.
    """
    if differences[0] >= 0:
        return "<", at[0]
    for left, right, low, high in zip(
        at[:-1], at[1:], differences[:-1], differences[1:], strict=True
    ):
        if low < 0 <= high:
            part = low / (low - high)
            return "", float(np.exp(np.log(left) + part * (np.log(right) - np.log(left))))
    return ">", at[-1]


def _over(value: float, unit: float) -> float | None:
    return value / unit if unit else None


if __name__ == "__main__":
    main()
