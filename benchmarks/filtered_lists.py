"""How long must a graph's list be when a filter lets only a share of the rows pass?

    python benchmarks/filtered_lists.py DATA

Recall of the ten nearest that pass random filters, for lists that grow by several powers of
1 / share. The planner's power should keep it at what it is without a filter.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

import hnswlib
import numpy as np
from _data import K, from_folder
from _measure import machine, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _data import Floats
    from numpy.typing import NDArray

EFS = (64, 128)
SHARES = (0.5, 0.25, 0.1)
POWERS = (1.0, 0.8, 2 / 3, 0.5)
FILTERS = 6  # random ones for each share


def main() -> None:
    """Print one line for each ef and share."""
    parser = argparse.ArgumentParser(description="Recall under filters, by the list's length.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=500)
    arguments = parser.parse_args()
    corpus = from_folder(arguments.data, arguments.documents, arguments.queries)
    print(machine("hnswlib"))
    print()
    head = ["ef", "rows that pass", "no filter", *(f"power {p:.2g}: list, recall" for p in POWERS)]
    print(table(head, _rows(corpus.vectors, corpus.queries)))


def _rows(vectors: Floats, queries: Floats) -> Iterator[list[str]]:
    graph = hnswlib.Index("ip", vectors.shape[1])
    graph.init_index(len(vectors), M=16, ef_construction=200)
    graph.add_items(vectors)
    order = np.argsort(-(queries @ vectors.T), axis=1)
    for ef in EFS:
        plain = _recall(graph, queries, order, ef, np.ones(len(vectors), dtype=np.bool_))
        for share in SHARES:
            cells = []
            for power in POWERS:
                length = min(math.ceil(ef / share**power), len(vectors))
                recalls = [
                    _recall(graph, queries, order, length, _random(len(vectors), share, seed))
                    for seed in range(FILTERS)
                ]
                cells.append(f"{length}, {np.mean(recalls):.4f}")
            yield [str(ef), f"{share:.0%}", f"{plain:.4f}", *cells]


def _random(rows: int, share: float, seed: int) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random(rows) < share


def _recall(
    graph: hnswlib.Index,
    queries: Floats,
    order: NDArray[np.intp],
    length: int,
    passing: NDArray[np.bool_],
) -> float:
    found, _ = graph.knn_query(queries, k=length)
    shares = []
    for ids, row in zip(found, order, strict=True):
        true = row[passing[row]][:K]
        shares.append(np.isin(true, ids).mean() if len(true) else 1.0)
    return float(np.mean(shares))


if __name__ == "__main__":
    main()
