"""From a client's rows and hits to documents, and what their scores are worth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.documents._collection import ID, METADATA, TERMS, TEXT, VECTOR
from elanus.documents._values import Document, RankedDocument, relevance_of
from elanus.schema import LegExplanation, RRFRanker, WeightedRanker

_LEG_NAMES = {VECTOR: "dense", TERMS: "text"}


def _cosine_relevance(score: float) -> float:
    return relevance_of(1.0 + score, 2.0)


def _bm25_relevance(score: float) -> float:
    return 2.0 * math.atan(max(score, 0.0)) / math.pi


_RELEVANCE = {VECTOR: _cosine_relevance, TERMS: _bm25_relevance}


def as_document(row: Mapping[str, Any]) -> Document:
    """A row as a document."""
    return Document(row[ID], row[TEXT], row[METADATA], _vector(row))


def ranked_by_one(field: str, rank: int, hit: Any, *, explain: bool) -> RankedDocument:
    """A hit of a search of one field, at its place from 1."""
    score = hit.distance
    said = (LegExplanation(_LEG_NAMES[field], score, rank, score),) if explain else ()
    return _ranked(hit.entity, score, _RELEVANCE[field](score), said)


def ranked_by_both(hit: Any, best: float) -> RankedDocument:
    """A fused hit; ``best`` is the score of one that every leg ranks first."""
    said = (LegExplanation(**each) for each in hit.get("explanation", ()))
    legs = tuple(
        LegExplanation(_LEG_NAMES[each.leg], each.score, each.rank, each.contribution)
        for each in said
    )
    return _ranked(hit.entity, hit.distance, relevance_of(hit.distance, best), legs)


def best_score(ranker: RRFRanker | WeightedRanker, legs: int) -> float:
    """The score of a hit that every leg ranks first."""
    weight = sum(ranker.weights) if ranker.weights else float(legs)
    return weight / (ranker.k + 1.0) if isinstance(ranker, RRFRanker) else weight


def _ranked(
    row: Mapping[str, Any], score: float, relevance: float, said: tuple[LegExplanation, ...]
) -> RankedDocument:
    return RankedDocument(row[ID], row[TEXT], row[METADATA], score, relevance, said, _vector(row))


def _vector(row: Mapping[str, Any]) -> NDArray[np.float32] | None:
    return np.array(row[VECTOR], dtype=np.float32) if VECTOR in row else None
