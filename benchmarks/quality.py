"""nDCG@10 of every mode and ranker, and of MMR, on judged collections.

    python benchmarks/quality.py DATA [name ...]
    python benchmarks/quality.py . demo

DATA holds a folder for each collection in the layout of BEIR (https://github.com/beir-cellar/beir),
with vectors beside it: corpus.jsonl.xz, queries.jsonl, qrels.tsv, cvec.f16.npy (documents),
qids.json and qvec.f16.npy (queries). The measure is that of Järvelin and Kekäläinen (2002), with
gains as they are judged.

`demo` is the documentation of Python's standard library, as in the quickstart, with the questions
of demo_questions.jsonl; each has the names of the objects that answer it, chosen by hand. It is
embedded by MiniLM, which takes some minutes.
"""

from __future__ import annotations

import argparse
import json
import lzma
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from elanus import (
    AdaptiveRanker,
    CombMNZRanker,
    DocumentStore,
    MinMaxRanker,
    RRFRanker,
    WeightedRanker,
    ZScoreRanker,
)
from elanus_embeddings import MiniLMEmbeddingFunction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

K = 10
DEMO = "demo"
WAYS: dict[str, dict[str, Any]] = {
    "text": {"mode": "text"},
    "dense": {"mode": "dense"},
    "RRF": {"ranker": RRFRanker()},
    "weighted": {"ranker": WeightedRanker(0.5, 0.5)},
    "min-max": {"ranker": MinMaxRanker()},
    "z-score": {"ranker": ZScoreRanker()},
    "CombMNZ": {"ranker": CombMNZRanker()},
    "adaptive": {"ranker": AdaptiveRanker()},
}
MMR = "MMR 0.5"


@dataclass(frozen=True)
class Judged:
    """A collection with judged questions.

    Attributes:
        ids, texts: of the documents; title and text as one.
        vectors: of the documents, (n, dim).
        questions: id, text, vector and gains by document id.
    """

    ids: list[str]
    texts: list[str]
    vectors: NDArray[np.float32]
    questions: list[tuple[str, str, NDArray[np.float32], dict[str, float]]]


def load(folder: Path) -> Judged:
    """Read a collection; only questions with a relevant document count."""
    documents = list(_lines(folder / "corpus.jsonl.xz"))
    texts = [f"{d.get('title') or ''} {d['text']}".strip() for d in documents]
    asked = {str(q["_id"]): str(q["text"]) for q in _lines(folder / "queries.jsonl")}
    gains: dict[str, dict[str, float]] = {}
    for line in (folder / "qrels.tsv").read_text("utf-8").splitlines()[1:]:
        question, document, gain = line.split("\t")
        if float(gain) > 0:
            gains.setdefault(question, {})[document] = float(gain)
    vectors = np.load(folder / "qvec.f16.npy").astype(np.float32)
    order = json.loads((folder / "qids.json").read_text("utf-8"))
    questions = [
        (str(id_), asked[str(id_)], vector, gains[str(id_)])
        for id_, vector in zip(order, vectors, strict=True)
        if str(id_) in gains
    ]
    matrix = np.load(folder / "cvec.f16.npy").astype(np.float32)
    return Judged([str(d["_id"]) for d in documents], texts, matrix, questions)


def load_demo() -> Judged:
    """Read, and embed, the quickstart's collection and its questions."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
    from stdlib_docs import stdlib_passages  # noqa: PLC0415  # from the folder just named

    passages = stdlib_passages()
    asked = list(_lines(Path(__file__).with_name("demo_questions.jsonl")))
    model = MiniLMEmbeddingFunction(long_texts="parts")
    ids, texts = [p.name for p in passages], [p.text for p in passages]
    with DocumentStore(":memory:", model) as store:
        store.add(texts, ids=ids)
        documents = {d.id: d.vector for d in store.get(ids, with_vectors=True)}
    vectors = model.encode_queries([line["question"] for line in asked])
    return Judged(
        ids,
        texts,
        np.array([documents[id_] for id_ in ids], dtype=np.float32),
        [
            (str(i), line["question"], vector, dict.fromkeys(line["answers"], 1.0))
            for i, (line, vector) in enumerate(zip(asked, vectors, strict=True))
        ],
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    opened: Callable[..., Any] = lzma.open if path.suffix == ".xz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def ndcg(found: Sequence[str], gains: dict[str, float]) -> float:
    """nDCG@10 of a ranking."""
    won = sum(gains.get(id_, 0.0) / math.log2(i + 2) for i, id_ in enumerate(found[:K]))
    best = sorted(gains.values(), reverse=True)[:K]
    return won / sum(gain / math.log2(i + 2) for i, gain in enumerate(best))


def measure(judged: Judged) -> dict[str, float]:
    """nDCG@10 of each way, the mean over the questions."""
    with DocumentStore(":memory:", dim=judged.vectors.shape[1]) as store:
        store.add(judged.texts, ids=judged.ids, vectors=judged.vectors)
        means = {}
        for name, how in WAYS.items():
            values = [
                ndcg([hit.id for hit in store.search(text, K, vector=vector, **how)], gains)
                for _, text, vector, gains in judged.questions
            ]
            means[name] = float(np.mean(values))
        values = [
            ndcg([hit.id for hit in store.search_mmr(text, K, vector=vector)], gains)
            for _, text, vector, gains in judged.questions
        ]
        return means | {MMR: float(np.mean(values))}


def main() -> None:
    """Print a table, one row a collection."""
    parser = argparse.ArgumentParser(description="nDCG@10 of every mode and ranker.")
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    names = arguments.names or sorted(p.parent.name for p in arguments.data.glob("*/qrels.tsv"))
    heads = "".join(f"{way:>10}" for way in (*WAYS, MMR))
    print(f"{'collection':14}{'documents':>10}{'questions':>10}{heads}")
    for name in names:
        judged = load_demo() if name == DEMO else load(arguments.data / name)
        means = measure(judged)
        sizes = f"{name:14}{len(judged.ids):>10}{len(judged.questions):>10}"
        print(sizes + "".join(f"{value:>10.4f}" for value in means.values()), flush=True)


if __name__ == "__main__":
    main()
