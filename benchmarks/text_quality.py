"""How well words alone find what is asked for: nDCG@10 of text search for each analyzer.

    python benchmarks/text_quality.py DATA [SET ...] [--analyzers NAME_OR_JSON ... | --steps]

DATA has a folder for each set, laid out as BEIR does: ``corpus.jsonl`` (or ``.xz``) with ``_id``,
``title`` and ``text``; ``queries.jsonl`` with ``_id`` and ``text``; ``qrels.tsv`` with a line of
heads, then query, document and grade. Queries without a judgement are left out. Each set goes into
a `DocumentStore` in a new file, title before text, and is searched with ``mode="text"``. The other
columns are the file's size, the seconds of `add`, and the median time of a search. With ``--steps``
the analyzers are those that lead from ``english`` to ``multilingual``, one change after another.
"""

from __future__ import annotations

import argparse
import json
import lzma
import math
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import fmean, median
from typing import Any

from _measure import disk_mb, machine, table

from elanus import DocumentStore

K = 10
_ADDED_AT_ONCE = 2000
COLUMNS = ("set", "analyzer", "queries", f"nDCG@{K}", "disk MB", "add s", "search ms")

_STOP: dict[str, object] = {"type": "stop", "stop_words": ["_english_"]}
_QUESTIONS: dict[str, object] = {"type": "querystop", "stop_words": ["_questions_"]}
STEPS: dict[str, list[object]] = {
    "stems by script": [_STOP, "scriptstemmer"],
    "and no question words": [_STOP, _QUESTIONS, "scriptstemmer"],
    "and folded": [_STOP, _QUESTIONS, "folding", "scriptstemmer"],
}

Analyzer = str | dict[str, object]
Judged = dict[str, dict[str, float]]


def main() -> None:
    """Search every set through every analyzer, and print the table."""
    parser = argparse.ArgumentParser(description="nDCG@10 of text search.")
    parser.add_argument("data", type=Path)
    parser.add_argument("sets", nargs="*", help="all folders of DATA with qrels.tsv if left out")
    parser.add_argument("--analyzers", nargs="+", default=["english", "multilingual"])
    parser.add_argument("--steps", action="store_true", help="from english to multilingual")
    arguments = parser.parse_args()
    print(machine(), flush=True)
    sets = arguments.sets or sorted(p.parent.name for p in arguments.data.glob("*/qrels.tsv"))
    analyzers: dict[str, Analyzer] = {a: a for a in arguments.analyzers}
    if arguments.steps:
        analyzers = {"english": "english", **_steps(), "multilingual": "multilingual"}
    rows = [measure(arguments.data / s, *a) for s in sets for a in analyzers.items()]
    print(f"\n{table(list(COLUMNS), rows)}")


def _steps() -> dict[str, Analyzer]:
    return {
        name: {"tokenizer": "standard", "filter": ["wordparts", "lowercase", *filters]}
        for name, filters in STEPS.items()
    }


def measure(folder: Path, name: str, analyzer: Analyzer) -> list[str]:
    """One row of the table.

    Args:
        folder: a set.
        name: what the row is called.
        analyzer: a name, or ``analyzer_params``.
    """
    documents = {row["_id"]: f"{row.get('title') or ''} {row['text']}" for row in _corpus(folder)}
    queries = {row["_id"]: row["text"] for row in _lines(folder / "queries.jsonl")}
    judged = _judged(folder / "qrels.tsv")
    gains, times = [], []
    with tempfile.TemporaryDirectory(prefix="bench") as place:
        with DocumentStore(Path(place) / "kb.db", analyzer=analyzer) as store:
            started = time.perf_counter()
            ids = list(documents)
            for at in range(0, len(ids), _ADDED_AT_ONCE):
                some = ids[at : at + _ADDED_AT_ONCE]
                store.add([documents[i] for i in some], ids=some)
            added = time.perf_counter() - started
            for query in judged:
                started = time.perf_counter()
                hits = store.search(queries[query], k=K, mode="text")
                times.append(time.perf_counter() - started)
                gains.append(ndcg([hit.id for hit in hits], judged[query]))
        size = disk_mb(Path(place))
    figures = (f"{fmean(gains):.4f}", f"{size:.1f}", f"{added:.1f}", f"{1000 * median(times):.2f}")
    return [folder.name, name, str(len(gains)), *figures]


def ndcg(found: list[str], grades: dict[str, float]) -> float:
    """Discounted gain of the first K, by that of the best order there is; in [0, 1]."""
    best = sorted(grades.values(), reverse=True)
    return _discounted([grades.get(i, 0.0) for i in found]) / _discounted(best)


def _discounted(grades: list[float]) -> float:
    return sum(grade / math.log2(rank + 2) for rank, grade in enumerate(grades[:K]))


def _corpus(folder: Path) -> list[dict[str, Any]]:
    packed = folder / "corpus.jsonl.xz"
    return _lines(packed if packed.exists() else folder / "corpus.jsonl")


def _lines(file: Path) -> list[dict[str, Any]]:
    opened = lzma.open if file.suffix == ".xz" else open
    with opened(file, "rt", encoding="utf-8") as lines:
        return [{**row, "_id": str(row["_id"])} for row in map(json.loads, lines)]


def _judged(file: Path) -> Judged:
    judged: Judged = defaultdict(dict)
    for line in file.read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        if float(grade) > 0:
            judged[query][document] = float(grade)
    return judged


if __name__ == "__main__":
    main()
