"""Which statistics are right where a filter limits a hybrid search: nDCG@10 of three choices.

    python benchmarks/filtered_quality.py DATA [name ...]

DATA is as for quality.py. Filters keep a part of the documents: a random one, or a topic (a cluster
of their vectors). Each question is asked in the part that holds its first relevant document, and
only relevant documents there count. The choices:

    collection  what the product does: mean and deviation of the cosines, and all that BM25 counts,
                are those of the whole collection
    vectors     mean and deviation are those of the vectors that pass; words as before
    part        all are those of the documents that pass, as if there were no others
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from quality import Judged, K, load, ndcg

from elanus import DocumentStore
from elanus.engine import _search
from elanus.engine._parts import MomentsKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

PARTS = {
    "random 1/2": 2,
    "random 1/10": 10,
    "random 1/100": 100,
    "topic 1/10": 10,
    "topic 1/50": 50,
}
CHOICES = ("collection", "vectors", "part")
MOST_QUESTIONS = 500
ROUNDS = 20


def parts_of(judged: Judged, kind: str) -> NDArray[np.int64]:
    """(n,) the part that each document belongs to."""
    rng, count = np.random.default_rng(0), PARTS[kind]
    if kind.startswith("random"):
        return rng.permutation(len(judged.ids)) % count
    vectors = judged.vectors / np.linalg.norm(judged.vectors, axis=1, keepdims=True)
    centres = vectors[rng.choice(len(vectors), count, replace=False)]
    for _ in range(ROUNDS):  # spherical k-means
        nearest = (vectors @ centres.T).argmax(axis=1)
        for i in range(count):
            if (nearest == i).any():
                centres[i] = vectors[nearest == i].sum(axis=0)
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    return nearest


@contextmanager
def vectors_that_pass() -> Iterator[None]:
    """Have dense legs judge by mean and deviation over what the filter lets pass."""
    usual = _search._evidence  # noqa: SLF001  # the one place that could be otherwise

    def evidence(snapshot: Any, leg: Any, number: int, ids: Any) -> Any:
        found = usual(snapshot, leg, number, ids)
        if found.found is not None or leg.mask is None:
            return found
        moments = snapshot.part(MomentsKey(leg.target.key)).moments
        slots = np.flatnonzero(leg.mask)
        scores, _, _ = leg.index.judge(leg.queries[number], slots, moments)
        return replace(found, mean=float(scores.mean()), deviation=float(scores.std()))

    _search._evidence = evidence  # noqa: SLF001
    try:
        yield
    finally:
        _search._evidence = usual  # noqa: SLF001


def measure(judged: Judged, store: DocumentStore, kind: str) -> dict[str, NDArray[np.float64]]:
    """nDCG@10 of each choice, question by question."""
    parts = parts_of(judged, kind)
    part_of = dict(zip(judged.ids, parts.tolist(), strict=True))
    asked = defaultdict(list)
    for _, text, vector, gains in judged.questions[:MOST_QUESTIONS]:
        part = part_of[next(iter(gains))]
        asked[part].append((text, vector, {d: g for d, g in gains.items() if part_of[d] == part}))
    values: dict[str, list[float]] = {choice: [] for choice in CHOICES}
    for part, questions in asked.items():
        values["collection"] += answers(store, questions, {kind: part})
        with vectors_that_pass():
            values["vectors"] += answers(store, questions, {kind: part})
        with DocumentStore(":memory:", dim=judged.vectors.shape[1]) as alone:
            among = np.flatnonzero(parts == part).tolist()
            alone.add(
                [judged.texts[i] for i in among],
                ids=[judged.ids[i] for i in among],
                vectors=judged.vectors[among],
            )
            values["part"] += answers(alone, questions, None)
    return {choice: np.array(found) for choice, found in values.items()}


def answers(store: DocumentStore, questions: Sequence[Any], passing: Any) -> list[float]:
    """nDCG@10 of each question among the documents that pass."""
    return [
        ndcg([hit.id for hit in store.search(text, K, vector=vector, filter=passing)], gains)
        for text, vector, gains in questions
    ]


def main() -> None:
    """Print a table, one row for each collection and filter."""
    parser = argparse.ArgumentParser(description="nDCG@10 under filters, by three statistics.")
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    names = arguments.names or sorted(p.parent.name for p in arguments.data.glob("*/qrels.tsv"))
    heads = "".join(f"{choice:>12}" for choice in CHOICES)
    print(f"{'collection':14}{'filter':14}{heads}   less collection, ± 2 standard errors")
    for name in names:
        judged = load(arguments.data / name)
        metadatas = np.transpose([parts_of(judged, kind) for kind in PARTS]).tolist()
        with DocumentStore(":memory:", dim=judged.vectors.shape[1]) as store:
            store.add(
                judged.texts,
                [dict(zip(PARTS, each, strict=True)) for each in metadatas],
                ids=judged.ids,
                vectors=judged.vectors,
            )
            for kind in PARTS:
                found = measure(judged, store, kind)
                means = "".join(f"{values.mean():>12.4f}" for values in found.values())
                apart = [found[choice] - found["collection"] for choice in CHOICES[1:]]
                errors = (f"{d.mean():+.4f} ± {2 * d.std() / len(d) ** 0.5:.4f}" for d in apart)
                print(f"{name:14}{kind:14}{means}   {', '.join(errors)}", flush=True)


if __name__ == "__main__":
    main()
