"""What phrases, beginnings and typing errors cost, and how much of a wrong question is found.

    python benchmarks/wording.py DATA

DATA has folders of two kinds. One with ``qrels.tsv``, laid out as for ``text_quality.py``: two
neighbouring letters in the middle of the longest word of each question change places, and nDCG@10
is that of the right question, of the wrong one, and of the wrong one with ``typos=True``. One with
``texts.jsonl`` (or ``.xz``) and ``qtexts.jsonl``, a string a line: times of searches by words in a
`DocumentStore` of these texts, the median over the questions.
"""

from __future__ import annotations

import argparse
import json
import lzma
import time
from pathlib import Path
from statistics import fmean, median
from typing import Any

from _measure import machine, table
from text_quality import _corpus, _judged, _lines, ndcg

from elanus import DocumentStore

_ADDED_AT_ONCE = 2000
_QUESTIONS = 100


def main() -> None:
    """Measure every folder, and print two tables."""
    parser = argparse.ArgumentParser(description="Phrases, beginnings and typing errors.")
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    print(machine(), flush=True)
    judged = [recovery(file.parent) for file in sorted(data.glob("*/qrels.tsv"))]
    columns = ["set", "queries", "right", "wrong", "wrong, typos=True"]
    print(f"\n{table(columns, judged)}", flush=True)
    for file in sorted(data.glob("*/texts.jsonl*")):
        rows = times(file)
        print(f"\n{table([file.parent.name, 'first ms', 'median ms', 'hits'], rows)}")


def recovery(folder: Path) -> list[str]:
    """One row of the table of typing errors."""
    documents = {row["_id"]: f"{row.get('title') or ''} {row['text']}" for row in _corpus(folder)}
    queries = {row["_id"]: row["text"] for row in _lines(folder / "queries.jsonl")}
    judged = _judged(folder / "qrels.tsv")
    gains: list[list[float]] = [[], [], []]
    with filled(list(documents.values()), list(documents)) as store:
        for query, grades in judged.items():
            wrong = with_an_error(queries[query])
            for place, (asked, typos) in enumerate(
                [(queries[query], False), (wrong, False), (wrong, True)]
            ):
                hits = store.search(asked, mode="text", typos=typos)
                gains[place].append(ndcg([hit.id for hit in hits], grades))
    return [folder.name, str(len(judged)), *(f"{fmean(each):.4f}" for each in gains)]


def with_an_error(question: str) -> str:
    """A question with two letters of its longest word swapped."""
    words = question.split()
    place = max(range(len(words)), key=lambda at: len(words[at]))
    word = words[place]
    middle = len(word) // 2
    words[place] = word[: middle - 1] + word[middle] + word[middle - 1] + word[middle + 1 :]
    return " ".join(words)


def filled(texts: list[str], ids: list[str]) -> DocumentStore:
    """A store in memory with some texts."""
    store = DocumentStore(":memory:")
    for at in range(0, len(texts), _ADDED_AT_ONCE):
        store.add(texts[at : at + _ADDED_AT_ONCE], ids=ids[at : at + _ADDED_AT_ONCE])
    return store


def times(file: Path) -> list[list[str]]:
    """The rows of the table of times."""
    texts = strings(file)
    questions = strings(file.parent / "qtexts.jsonl")[:_QUESTIONS]
    rows = []
    with filled(texts, [str(n) for n in range(len(texts))]) as store:
        store.search(questions[0], mode="text")
        cases: dict[str, tuple[list[str], dict[str, Any]]] = {
            "words": (questions, {}),
            "typos=True, none in it": (questions, {"typos": True}),
            "one error": ([with_an_error(q) for q in questions], {}),
            "one error, typos=True": ([with_an_error(q) for q in questions], {"typos": True}),
            "prefix=True, last word cut to 3": (
                [f"{q} {q.split()[0][:3]}" for q in questions], {"prefix": True}),
            "prefix=True, to 1": ([f"{q} {q.split()[0][:1]}" for q in questions], {"prefix": True}),
            "phrase of three words of a text": (
                [f'"{" ".join(text.split()[10:13])}"' for text in texts[:: len(texts) // 50]],
                {"phrases": True}),
            'phrase "of the"': (['"of the"'], {"phrases": True}),
        }  # fmt: skip
        for name, (asked, options) in cases.items():
            took, found = [], []
            for question in asked:
                started = time.perf_counter()
                hits = store.search(question, mode="text", **options)
                took.append(1000 * (time.perf_counter() - started))
                found.append(len(hits))
            rows.append([name, f"{took[0]:.1f}", f"{median(took):.1f}", f"{fmean(found):.1f}"])
    return rows


def strings(file: Path) -> list[str]:
    """The strings of a file, one a line."""
    opened = lzma.open if file.suffix == ".xz" else open
    with opened(file, "rt", encoding="utf-8") as lines:
        return [str(json.loads(line)) for line in lines]


if __name__ == "__main__":
    main()
