"""Oracles and data of the sparse index tests: plain Python, no numpy in what they compute."""

from __future__ import annotations

import math
import struct
from collections import Counter

import numpy as np
import pytest

from elanus.index import SparseRows


class Bm25Oracle:
    """BM25 by its definition, over a dict of live rows: slot -> {term: count}."""

    def __init__(self, live, k1=1.2, b=0.75):
        self.live, self.k1, self.b = live, k1, b
        self.lengths = {slot: sum(row.values()) for slot, row in live.items()}
        self.average = sum(self.lengths.values()) / len(live) if live else 0.0
        self.frequency = Counter(term for row in live.values() for term in row)

    def score(self, slot, query):
        return to_float32(self.total(slot, query))

    def total(self, slot, query):
        """The score before it is rounded."""
        total = 0.0
        for term, count in query:
            tf = self.live[slot].get(term, 0)
            if tf:
                df = self.frequency[term]
                idf = math.log(1 + (len(self.live) - df + 0.5) / (df + 0.5))
                norm = self.k1 * (1 - self.b + self.b * self.lengths[slot] / self.average)
                total += idf * tf * (self.k1 + 1) / (tf + norm) * count
        return total

    def search(self, query, k, allowed, keys):
        """The first k (slot, score) pairs among the slots for which ``allowed`` is true."""
        terms = [term for term, _ in query]
        found = [s for s, row in self.live.items() if allowed(s) and any(t in row for t in terms)]
        hits = [(slot, self.score(slot, query)) for slot in found]
        return sorted(hits, key=lambda hit: (-hit[1], keys[hit[0]]))[:k]


class InnerProductOracle:
    """Inner products by their definition, over a list of rows {dimension: value}."""

    def __init__(self, rows):
        self.rows = rows

    def search(self, query, k, allowed, keys):
        hits = [(slot, self._score(row, query)) for slot, row in enumerate(self.rows)]
        hits = [hit for hit in hits if hit[1] != 0 and allowed(hit[0])]
        return sorted(hits, key=lambda hit: (-hit[1], keys[hit[0]]))[:k]

    @staticmethod
    def _score(row, query):
        total = 0.0
        for dimension in sorted(query.keys() & row.keys()):
            total += row[dimension] * query[dimension]
        return to_float32(total)


def to_float32(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def to_rows(dicts, dtype=np.uint32):
    """Rows {term: weight} in CSR form."""
    offsets = np.cumsum([0, *(len(row) for row in dicts)], dtype=np.int64)
    terms = np.array([term for row in dicts for term in row], dtype=np.uint32)
    weights = np.array([weight for row in dicts for weight in row.values()], dtype=dtype)
    return SparseRows(offsets, terms, weights)


def to_hits(result):
    slots, scores = result
    assert slots.dtype == np.intp
    assert scores.dtype == np.float64
    return list(zip(slots.tolist(), scores.tolist(), strict=True))


@pytest.fixture(scope="session")
def bm25_oracle():
    return Bm25Oracle


@pytest.fixture(scope="session")
def inner_product_oracle():
    return InnerProductOracle


@pytest.fixture(scope="session")
def csr():
    return to_rows


@pytest.fixture(scope="session")
def hits():
    return to_hits


@pytest.fixture(scope="session")
def texts():
    """6,000 rows of Zipf-distributed terms: term 0 in nearly all of them, most terms in few."""
    rng = np.random.default_rng(7)
    chances = 1 / np.arange(1, 3001) ** 1.1
    drawn = rng.choice(3000, size=(6000, 40), p=chances / chances.sum())
    lengths = rng.integers(0, 40, size=6000)
    return [
        {int(term): int(count) for term, count in Counter(row[:length].tolist()).items()}
        for row, length in zip(drawn, lengths, strict=True)
    ]
