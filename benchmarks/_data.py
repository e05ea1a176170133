"""What the benchmarks search: documents with vectors, texts and numbers, and queries for them.

A corpus is made here (`synthetic`), or read from a folder of real embeddings (`from_folder`), which
is then made larger if more documents are asked for than it has (`grown`).
"""

from __future__ import annotations

import json
import lzma
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

K = 10
NUMBERS = 1_000_000  # `number` is below; a filter `number < share * NUMBERS` keeps that share

_VOCABULARY = 50_000
_TOPICS = 100
_TOPIC_WORDS = 60
_TOPICAL = 0.2  # of a text's words, so that texts and vectors agree on what is near
# With these two, neighbours are as far apart, and as hard for a graph (recall 0.99 at ef 64 of
# 10,000), as the sentence embeddings of real titles are. Tight round clusters are found too well.
_DECAY, _NOISE = 0.5, 2.0
_NOISE_OF_GROWTH = (0.02, 0.05)


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Documents and queries.

    Attributes:
        vectors: unit float32 rows, shape ``(n, dim)``.
        texts: one for each document.
        numbers: evenly distributed over 0 … ``NUMBERS`` - 1, shape ``(n,)``.
        queries: unit float32 rows, shape ``(q, dim)``.
        words: one text query for each of them.
    """

    vectors: Floats
    texts: list[str]
    numbers: Integers
    queries: Floats
    words: list[str]

    def exact(self, share: float = 1.0) -> list[set[int]]:
        """The true nearest ``min(K, matches)`` of each query among the ``share`` kept."""
        kept = np.flatnonzero(self.numbers < share * NUMBERS)
        matrix = self.vectors if len(kept) == len(self.vectors) else self.vectors[kept]
        nearest: list[set[int]] = []
        for query in self.queries:
            best = np.argsort(-(matrix @ query), kind="stable")[:K]
            nearest.append(set(kept[best].tolist()))
        return nearest

    def save(self, folder: Path) -> None:
        """Write what `load` reads."""
        for name in ("vectors", "numbers", "queries"):
            np.save(folder / f"{name}.npy", getattr(self, name))
        for name in ("texts", "words"):
            with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(text) + "\n" for text in getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> Corpus:
        """Read what `save` wrote, all of it into memory."""
        vectors, numbers, queries = (
            np.load(folder / f"{name}.npy") for name in ("vectors", "numbers", "queries")
        )
        texts, words = (list(_lines(folder / f"{name}.jsonl")) for name in ("texts", "words"))
        return cls(vectors, texts, numbers, queries, words)


def synthetic(documents: int, queries: int, dim: int = 384) -> Corpus:
    """A corpus of clustered vectors and of texts whose words are as frequent as in a language.

    Queries are drawn as documents are, and are none of them.
    """
    random = np.random.default_rng(0)
    topics = random.integers(_TOPICS, size=documents + queries)
    lengths = random.lognormal(np.log(100), 0.4, size=documents).astype(np.int64) + 1
    vectors = synthetic_vectors(topics, dim, random)
    vocabulary = [_word(rank) for rank in range(_VOCABULARY)]
    return Corpus(
        vectors[:documents],
        list(_texts(topics[:documents], lengths, vocabulary, random)),
        random.integers(NUMBERS, size=documents),
        vectors[documents:],
        list(_texts(topics[documents:], np.full(queries, 10), vocabulary, random)),
    )


def synthetic_vectors(topics: Integers, dim: int, random: np.random.Generator) -> Floats:
    """Unit vectors around one centre for each topic, shape ``(len(topics), dim)``.

    Directions differ in variance, as those of real embeddings do.
    """
    scale = np.arange(1, dim + 1, dtype=np.float32) ** -_DECAY
    centres = random.standard_normal((int(topics.max()) + 1, dim), dtype=np.float32)
    points = random.standard_normal((len(topics), dim), dtype=np.float32)
    points *= np.float32(_NOISE)
    points += centres[topics]
    return unit(points * scale)


def unit(vectors: Floats) -> Floats:
    """The same directions, at length one."""
    rows: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(rows, dtype=np.float32)


def _texts(
    topics: Integers, lengths: Integers, vocabulary: list[str], random: np.random.Generator
) -> Iterator[str]:
    """Words by Zipf's law in Mandelbrot's form, and some of the text's topic."""
    odds = 1.0 / (np.arange(len(vocabulary)) + 2.7)
    total = int(lengths.sum())
    picked = random.choice(len(vocabulary), size=total, p=odds / odds.sum())
    special = random.integers(_TOPIC_WORDS, size=total) + np.repeat(topics, lengths) * _TOPIC_WORDS
    # The commonest words belong to no topic.
    picked = np.where(random.random(total) < _TOPICAL, 1000 + special, picked)
    start = 0
    for end in np.cumsum(lengths).tolist():
        yield " ".join([vocabulary[i] for i in picked[start:end]])
        start = end


def _word(rank: int) -> str:
    """A distinct word for each rank: the commoner the shorter, as in a language."""
    syllables, rank = [], rank + 1
    while rank:
        rank, digit = divmod(rank - 1, 60)
        syllables.append("bdfgklmnprtv"[digit // 5] + "aeiou"[digit % 5])
    return "".join(syllables) + "n"


def from_folder(folder: Path, documents: int, queries: int) -> Corpus:
    """A corpus of real embeddings.

    Args:
        folder: holds ``vectors.npy`` and ``qvectors.npy`` (float32, or float16 as
            ``vectors.f16.npy``), ``texts.jsonl`` (or ``texts.jsonl.xz``) and ``qtexts.jsonl``, one
            JSON string a line.
        documents: how many; more than there are are made by `grown`.
        queries: how many at most.

    Raises:
        FileNotFoundError: the folder lacks one of them.
    """
    vectors = _matrix(folder, "vectors", documents)
    texts = list(islice(_lines(_file(folder, "texts.jsonl", "texts.jsonl.xz")), len(vectors)))
    words = list(islice(_lines(_file(folder, "qtexts.jsonl")), queries))
    if len(texts) != len(vectors):
        raise ValueError(f"{folder.name}: {len(vectors)} vectors, but {len(texts)} texts")
    random = np.random.default_rng(7)
    vectors, texts = grown(vectors, texts, documents, random)
    numbers = random.integers(NUMBERS, size=documents)
    return Corpus(vectors, texts, numbers, _matrix(folder, "qvectors", len(words)), words)


def grown(
    vectors: Floats, texts: list[str], n: int, random: np.random.Generator
) -> tuple[Floats, list[str]]:
    """As many documents as ``n``: the real ones, and others made of them.

    A made vector is a real one with noise of 0.02 to 0.05 a component, at length one. A made text
    has as many sentences as a real one, each from another text.
    """
    missing = n - len(vectors)
    if missing <= 0:
        return vectors, texts
    made = vectors[random.integers(len(vectors), size=missing)]
    for start in range(0, missing, 10_000):  # noise of all at once would double the memory
        block = made[start : start + 10_000]
        noise = random.standard_normal(block.shape, dtype=np.float32)
        noise *= random.uniform(*_NOISE_OF_GROWTH, size=(len(block), 1)).astype(np.float32)
        made[start : start + 10_000] = unit(block + noise)
    parts = [text.split(". ") for text in texts]
    pool = [sentence for sentences in parts for sentence in sentences]
    lengths = [len(parts[i]) for i in random.integers(len(parts), size=missing)]
    order = iter(random.integers(len(pool), size=sum(lengths)).tolist())
    made_texts = [". ".join(pool[i] for i in islice(order, length)) for length in lengths]
    return np.concatenate([vectors, made]), texts + made_texts


def _file(folder: Path, *names: str) -> Path:
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"{folder} has no {' and no '.join(names)}")


def _matrix(folder: Path, name: str, rows: int) -> Floats:
    mapped = np.load(_file(folder, f"{name}.npy", f"{name}.f16.npy"), mmap_mode="r")
    return unit(np.asarray(mapped[:rows], dtype=np.float32))


def _lines(path: Path) -> Iterator[str]:
    opened = lzma.open if path.suffix == ".xz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
