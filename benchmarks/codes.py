"""Codes of dense vectors: what they take, what they find, and how hard they look for it.

    python benchmarks/codes.py [DATA] [--n N ...] [--queries N]

Below the client, as `AUTOINDEX` searches: k = 10, one query at a time, medians. Two tables. By
size: how long the codes take to be made, what they cost in memory, and a search of all vectors and
of a random share, beside an exact scan. By kind of vectors, at the smallest size: the recall, how
many candidates were scored, and how often all vectors were scanned after all. DATA is a folder of
embeddings (`peers.py` says which files); without it vectors are made.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from _data import K, from_folder, synthetic_vectors
from _measure import figure, machine, seconds, table, timed

from elanus.index import DENSE_METRICS, Codes, CodesParams, DenseIndex
from elanus.schema import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _data import Floats
    from numpy.typing import NDArray

SHARES = (0.5, 0.1, 0.01)


def main() -> None:
    """Measure, and print both tables."""
    parser = argparse.ArgumentParser(description="Codes of dense vectors.")
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--n", type=int, nargs="+", default=[10_000, 30_000, 100_000])
    parser.add_argument("--queries", type=int, default=200)
    arguments = parser.parse_args()
    print(machine(), flush=True)
    vectors, queries = _vectors(arguments.data, max(arguments.n), arguments.queries)
    head = ["n", "made s", "bytes a vector", "scan ms", "codes ms", "recall"]
    head += [f"{share:.0%} pass: scan, codes ms, recall" for share in SHARES]
    sizes = [_size(vectors[:n], queries) for n in sorted(arguments.n)]
    print(f"\n{table(head, sizes)}", flush=True)
    head = ["vectors", "metric", "recall", "candidates, median", "of one in ten", "scanned"]
    kinds = [
        [name, metric.value, *_kind(metric, rows, asked)]
        for name, rows, asked in _kinds(min(arguments.n), min(arguments.queries, 100))
        for metric in DENSE_METRICS
    ]
    print(f"\n{table(head, kinds)}")


def _vectors(folder: Path | None, n: int, queries: int) -> tuple[Floats, Floats]:
    if folder is not None:
        corpus = from_folder(folder, n, queries)
        return corpus.vectors, corpus.queries
    random = np.random.default_rng(0)
    made = synthetic_vectors(random.integers(100, size=n + queries), 384, random)
    return made[:n], made[n:]


def _size(vectors: Floats, queries: Floats) -> list[str]:
    index, took = _coded(vectors, Metric.COSINE)
    assert index.graph is not None
    row = [f"{index.n:,}", figure(took), figure(index.graph.nbytes / index.n)]
    row += _search(index, queries, None)
    random = np.random.default_rng(1)
    for share in SHARES:
        row.append(", ".join(_search(index, queries, random.random(index.n) < share)))
    return row


def _search(index: DenseIndex, queries: Floats, mask: NDArray[np.bool_] | None) -> list[str]:
    """Milliseconds of a scan and of a search, and its recall."""
    keys, scanned = np.arange(index.n), index.with_graph(None)
    index.search(queries[0], K, mask=mask, keys=keys)
    slow, exact = timed(lambda q: scanned.search(q, K, mask=mask, keys=keys)[0], queries)
    fast, found = timed(lambda q: index.search(q, K, mask=mask, keys=keys)[0], queries)
    times = [figure(float(np.median(each))) for each in (slow, fast)]
    return [*times, f"{_recall(found, exact):.4f}"]


def _recall(found: list[Any], exact: list[Any]) -> float:
    pairs = zip(found, exact, strict=True)
    return float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in pairs]))


def _coded(vectors: Floats, metric: Metric) -> tuple[DenseIndex, float]:
    index = DenseIndex.from_matrix(vectors, None, metric)
    made: list[Codes | None] = []
    took = seconds(lambda: made.append(Codes.build(index, CodesParams())))
    return index.with_graph(made[0]), took


def _kind(metric: Metric, vectors: Floats, queries: Floats) -> list[str]:
    index, _ = _coded(vectors, metric)
    assert isinstance(index.graph, Codes)
    asked = _Asked(index.graph)
    keys, scanned = np.arange(index.n), index.with_graph(None)
    exact = [scanned.search(q, K, mask=None, keys=keys)[0] for q in queries]
    found, counts = [], []
    for query in queries:
        asked.count = 0
        found.append(asked.index(index).search(query, K, mask=None, keys=keys)[0])
        counts.append(asked.count)
    most = np.percentile(counts, 90, method="higher")
    scans = np.mean([count == index.n for count in counts])
    return [
        f"{_recall(found, exact):.4f}",
        f"{np.median(counts):.0f}",
        f"{most:.0f}",
        f"{scans:.0%}",
    ]


class _Asked:
    """Notes how many candidates the last search scored."""

    def __init__(self, codes: Codes) -> None:
        self._codes = codes
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codes, name)

    def index(self, index: DenseIndex) -> DenseIndex:
        """The index, searched through this."""
        # It has what codes have by `__getattr__`, which a type checker does not see.
        return index.with_graph(self)  # type: ignore[arg-type]

    def plan(self, *_: Any) -> Any:
        """Never a scan, however few vectors there are."""
        plan = self._codes.plan(K, 64, 1, 1)
        return type(plan)(plan.fetch, 0.0)

    def candidates(self, rows: Any, queries: Any, k: int, fetch: int, mask: Any) -> Any:
        """Those of the codes."""
        coded = self._codes._coded  # noqa: SLF001
        sizes: list[int] = []

        class Noting:
            dim = coded.dim

            def search(self, wanted: Any, k: int, mask: Any) -> Any:
                sizes.append(k)
                return coded.search(wanted, k=k, mask=mask)

        found = replace(self._codes, _coded=Noting()).candidates(rows, queries, k, fetch, mask)
        self.count = rows.n if found[0] is None else max(sizes)
        return found


def _kinds(n: int, queries: int) -> Iterator[tuple[str, Floats, Floats]]:
    """Vectors that suit codes, and vectors that do not."""
    random = np.random.default_rng(2)

    def normal(*shape: int) -> NDArray[np.float64]:
        return random.standard_normal(shape)

    def around(centres: NDArray[np.float64], spread: float) -> NDArray[np.float64]:
        rows = centres[random.integers(len(centres), size=n + queries)]
        return rows + spread * normal(*rows.shape)

    made = {
        "random, 384 d": normal(n + queries, 384),
        "random, 64 d": normal(n + queries, 64),
        "random, 8 d": normal(n + queries, 8),
        "100 tight clusters, 384 d": around(normal(100, 384), 0.1),
        "near duplicates, 384 d": around(normal(n // 10, 384), 0.02),
        "lengths from 0.01 to 100, 64 d": normal(n + queries, 64)
        * np.exp(1.5 * normal(n + queries, 1)),
    }
    for name, rows in made.items():
        rounded = rows.astype(np.float32)
        yield name, rounded[:n], rounded[n:]


if __name__ == "__main__":
    main()
