"""A model of a collection in plain Python, and the collection that it is compared with.

The oracles compute from the definitions, in float64, over a dict of rows; they share no code with
the engine. Random vectors have small whole components, so that every sum of products is exact in
any order, and a score that differs in one bit is a fault.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from elanus import AnnSearchRequest, DataType, Function, FunctionType, MilvusClient
from elanus.engine.upkeep._tasks import BackgroundUpkeep
from elanus.text import build_analyzer

NAME = "things"
DIM = 4
ANALYZER = "standard"
TOKENS = build_analyzer(ANALYZER).tokens


def to_float32(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def dense_score(metric, x, q):
    dot = sum(float(a) * float(b) for a, b in zip(x, q, strict=True))
    if metric == "IP":
        return to_float32(dot)
    if metric == "L2":
        return to_float32(sum((float(a) - float(b)) ** 2 for a, b in zip(x, q, strict=True)))
    squares = sum(float(a) ** 2 for a in x) * sum(float(b) ** 2 for b in q)
    return to_float32(dot / math.sqrt(squares)) if squares else 0.0


def in_order(scored, *, smaller=False):
    """Best first, ties by key."""
    return sorted(scored, key=lambda hit: (hit[1] if smaller else -hit[1], hit[0]))


def everything(row):
    return True


def dense(rows, field, metric, query, keep=everything):
    """All (key, score) pairs, best first; rows without a vector are not among them."""
    scored = [
        (key, dense_score(metric, row[field], query))
        for key, row in rows.items()
        if row.get(field) is not None and keep(row)
    ]
    return in_order(scored, smaller=metric == "L2")


def sparse(rows, field, query, keep=everything):
    scored = []
    for key, row in rows.items():
        vector = row.get(field) or {}
        score = to_float32(sum(vector[d] * query[d] for d in sorted(vector.keys() & query.keys())))
        if score and keep(row):
            scored.append((key, score))
    return in_order(scored)


def text(rows, field, query, keep=everything, k1=1.2, b=0.75):
    """BM25 with idf = ln(1 + (N - df + 0.5) / (df + 0.5)), over all rows."""
    counts = {key: Counter(TOKENS(row[field])) for key, row in rows.items()}
    lengths = {key: sum(c.values()) for key, c in counts.items()}
    frequency = Counter(term for c in counts.values() for term in c)
    total = sum(lengths.values())
    scored = []
    for key, row in rows.items():
        score, found = 0.0, False
        for term, times in sorted(Counter(TOKENS(query)).items()):
            tf = counts[key][term]
            if tf:
                found, df = True, frequency[term]
                idf = math.log(1 + (len(rows) - df + 0.5) / (df + 0.5))
                norm = k1 * (1 - b + b * lengths[key] / (total / len(rows)))
                score += idf * tf * (k1 + 1) / (tf + norm) * times
        if found and keep(row):
            scored.append((key, to_float32(score)))
    return in_order(scored)


def rrf(legs, k=60):
    """Legs are lists of (key, score) pairs, best first."""
    total = {}
    for leg in legs:
        for rank, (key, _) in enumerate(leg, 1):
            total[key] = total.get(key, 0.0) + 1.0 / (k + rank)
    return in_order(total.items())


def make_schema(*, key_type="int"):
    """Key, text with BM25, two dense fields (one nullable), a sparse one, scalars, dynamic."""
    schema = MilvusClient.create_schema(enable_dynamic_field=True)
    if key_type == "int":
        schema.add_field("id", DataType.INT64, is_primary=True)
    else:
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=64)
    schema.add_field(
        "text", DataType.VARCHAR, max_length=4000, enable_analyzer=True, enable_match=True,
        analyzer_params={"type": ANALYZER},
    )  # fmt: skip
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("w", DataType.FLOAT_VECTOR, dim=DIM, nullable=True)
    schema.add_field("s", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("bm", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("n", DataType.INT64, nullable=True)
    schema.add_field("tag", DataType.VARCHAR, max_length=64, nullable=True)
    schema.add_function(
        Function(
            name="bm25",
            function_type=FunctionType.BM25,
            input_field_names=["text"],
            output_field_names=["bm"],
        )
    )
    return schema


def make_indexes(*, v=("FLAT", "COSINE"), w=("HNSW", "L2"), bm25=None):
    params = MilvusClient.prepare_index_params()
    params.add_index("v", v[0], metric_type=v[1])
    params.add_index("w", w[0], metric_type=w[1])
    params.add_index("s", "SPARSE_INVERTED_INDEX", metric_type="IP")
    params.add_index("bm", "SPARSE_INVERTED_INDEX", metric_type="BM25", params=bm25 or {})
    return params


def create(client, name=NAME, *, key_type="int", **indexes):
    client.create_collection(
        name, schema=make_schema(key_type=key_type), index_params=make_indexes(**indexes)
    )


def row(key, **values):
    """A row with everything that must be there."""
    usual = {"id": key, "text": "", "v": [1, 0, 0, 0], "w": None, "s": {1: 1.0}, "n": None}
    return {**usual, "tag": None, **values}


def pairs(hits, key="id"):
    """What a search gave for one query, as (key, score)."""
    return [(hit[key], hit["distance"]) for hit in hits]


def request(field, query, limit, **options):
    return AnnSearchRequest([query], field, {}, limit, **options)


def found(client, field, query, limit=1000, name=NAME, **options):
    """Hits of one query as (key, score)."""
    [hits] = client.search(name, [query], anns_field=field, limit=limit, **options)
    return pairs(hits)


@pytest.fixture(scope="session")
def world():
    """The helpers above, for modules that cannot import this one."""
    return SimpleNamespace(**{k: v for k, v in globals().items() if not k.startswith("_")})


@pytest.fixture
def thresholds(monkeypatch):
    """Have collections that are first used from now on find less, or more, worth doing."""

    def use(**values):
        changed = replace(BackgroundUpkeep.thresholds, **values)
        monkeypatch.setattr(BackgroundUpkeep, "thresholds", changed)

    return use


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "kb.db")


@pytest.fixture
def client(path):
    """An empty collection in a file; checked against itself when the test is over."""
    with MilvusClient(path, durability="normal") as opened:
        create(opened)
        yield opened
        assert opened.verify() == []
