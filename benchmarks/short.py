"""The short benchmark: 10,000 documents in one new file, and the time of each kind of search.

    python benchmarks/short.py [--documents N] [--queries N]

Texts are the passages of the quickstart, repeated with another number each; vectors are random
points around random centres, so that no model is needed and neighbours exist. The table shows the
median and the 95th percentile of single searches, and for dense searches the recall against float64
brute force. Times of other machines and other hours do not compare; see README.md beside this file.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from elanus import AnnSearchRequest, DataType, Function, FunctionType, MilvusClient, RRFRanker

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from stdlib_docs import stdlib_passages

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

DIMENSION = 384
K = 10


def main() -> None:
    """Build a collection, search it, and print the table."""
    parser = argparse.ArgumentParser(description="The short benchmark of Elanus.")
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=200)
    arguments = parser.parse_args()

    load = os.getloadavg()[0]
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.2f} at the start"
    )
    texts, vectors = make_documents(arguments.documents)
    queries = make_queries(texts, vectors, arguments.queries)
    with tempfile.TemporaryDirectory() as folder:
        client = MilvusClient(str(Path(folder, "short.db")))
        try:
            insert(client, texts, vectors)
            search(client, vectors, *queries)
        finally:
            client.close()


def make_documents(count: int) -> tuple[list[str], NDArray[np.float32]]:
    """Return texts, and unit vectors of shape (count, DIMENSION)."""
    passages = [passage.text for passage in stdlib_passages()]
    texts = [f"{passages[i % len(passages)]}\nnumber {i}" for i in range(count)]
    random = np.random.default_rng(0)
    centres = random.standard_normal((max(1, count // 100), DIMENSION))
    points = centres[random.integers(len(centres), size=count)]
    points += 0.7 * random.standard_normal(points.shape)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return texts, points.astype(np.float32)


def make_queries(
    texts: list[str], vectors: NDArray[np.float32], count: int
) -> tuple[list[str], NDArray[np.float32]]:
    """Return the first words of some documents, and vectors near them."""
    random = np.random.default_rng(1)
    chosen = random.integers(len(texts), size=count)
    words = [" ".join(texts[i].split()[1:9]) for i in chosen]
    near = vectors[chosen] + 0.02 * random.standard_normal((count, DIMENSION))
    return words, near.astype(np.float32)


def insert(client: MilvusClient, texts: list[str], vectors: NDArray[np.float32]) -> None:
    """Insert all documents at once, durably, and print how long that took."""
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("text", DataType.VARCHAR, max_length=65_535, enable_analyzer=True)
    schema.add_field("number", DataType.INT64)
    schema.add_field("dense", DataType.FLOAT_VECTOR, dim=DIMENSION)
    schema.add_field("words", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(Function("bm25", FunctionType.BM25, ["text"], ["words"]))
    indexes = client.prepare_index_params()
    indexes.add_index("dense", index_type="AUTOINDEX", metric_type="COSINE")
    indexes.add_index("words", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
    client.create_collection("short", schema=schema, index_params=indexes)
    rows = [
        {"id": i, "text": text, "number": i % 1000, "dense": vector}
        for i, (text, vector) in enumerate(zip(texts, vectors, strict=True))
    ]
    start = time.perf_counter()
    client.insert("short", rows)
    print(f"insert of {len(rows)} documents: {time.perf_counter() - start:.2f} s")


def search(
    client: MilvusClient,
    vectors: NDArray[np.float32],
    words: list[str],
    near: NDArray[np.float32],
) -> None:
    """Time every kind of search, and print one line each."""

    def dense(i: int, **arguments: Any) -> Any:
        return client.search("short", [near[i]], anns_field="dense", limit=K, **arguments)

    def text(i: int) -> Any:
        return client.search("short", [words[i]], anns_field="words", limit=K)

    def hybrid(i: int) -> Any:
        requests = [
            AnnSearchRequest([near[i]], "dense", {}, limit=5 * K),
            AnnSearchRequest([words[i]], "words", {}, limit=5 * K),
        ]
        return client.hybrid_search("short", requests, RRFRanker(), limit=K, output_fields=["text"])

    print(f"{'search':<24}{'p50 ms':>9}{'p95 ms':>9}{'recall':>9}")
    measure("dense", dense, len(near), true_neighbours(vectors, near, 1000))
    for keep in (500, 100, 10, 1):
        measure(
            f"dense, filter {keep / 10:g} %",
            lambda i, keep=keep: dense(i, filter=f"number < {keep}"),
            len(near),
            true_neighbours(vectors, near, keep),
        )
    measure("text (BM25)", text, len(words))
    measure("hybrid (RRF), with text", hybrid, len(words))


def true_neighbours(
    vectors: NDArray[np.float32], near: NDArray[np.float32], keep: int
) -> list[set[int]]:
    """Return the best K ids among those whose number is below `keep`, in float64."""
    allowed = np.flatnonzero(np.arange(len(vectors)) % 1000 < keep)
    scores = near.astype(np.float64) @ vectors[allowed].astype(np.float64).T
    return [set(allowed[row[:K]].tolist()) for row in np.argsort(-scores, axis=1)]


def measure(
    name: str, one: Callable[[int], Any], count: int, truth: list[set[int]] | None = None
) -> None:
    """Run one search after the other, and print the quantiles of their times."""
    one(0)  # the first search brings the index up to date
    times = np.empty(count)
    found = 0
    for i in range(count):
        start = time.perf_counter()
        result = one(i)
        times[i] = time.perf_counter() - start
        if truth is not None:
            found += len(truth[i] & {hit["id"] for hit in result[0]})
    p50, p95 = np.percentile(times * 1000, [50, 95])
    recall = "" if truth is None else f"{found / sum(map(len, truth)):.3f}"
    print(f"{name:<24}{p50:>9.3f}{p95:>9.3f}{recall:>9}")


if __name__ == "__main__":
    main()
