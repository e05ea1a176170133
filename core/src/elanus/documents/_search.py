"""One search of a store: its checked arguments, the call that answers it, and what was found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.client import Hit, MilvusClient
from elanus.documents._collection import FIELDS, ID, METADATA, TERMS, TEXT, VECTOR
from elanus.documents._values import MODES, Mode, RankedDocument
from elanus.errors import ParamError, shown
from elanus.query import NORMALISE, Expression
from elanus.schema import (
    LARGEST,
    AnnSearchRequest,
    LegExplanation,
    Metric,
    RRFRanker,
    WeightedRanker,
    as_ranker,
    choice,
    flag,
    is_mapping,
    refuse,
    whole,
)

_LEAST_DEPTH = 100
_LEGS = {"dense": VECTOR, "text": TERMS}
_MODES_OF = {VECTOR: "dense", TERMS: "text"}
_METRICS = {"dense": Metric.COSINE, "text": Metric.BM25}
_RRF = RRFRanker()


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for, and what to say of it.

    Attributes:
        query: the text.
        mode: which legs there are.
        k: how many documents at most.
        scope: the documents to look among; None for all of them.
        fields: of the documents.
        explain: whether hits say what each leg thought of them.
        ranker: how legs are fused.
        depth: how many hits each leg gives to the fusion, dense and text.
    """

    query: str
    mode: Mode
    k: int
    scope: Expression | None
    fields: Sequence[str]
    explain: bool
    ranker: RRFRanker | WeightedRanker
    depth: tuple[int, int]


def make_search(
    query: str,
    mode: Mode,
    k: int,
    ranker: Any,
    depth: Any = None,
    *,
    explain: bool,
    scope: Expression | None,
    fields: Sequence[str],
    with_vectors: Any = False,
) -> Search:
    """Check everything but the vector: a wrong argument costs no embedding.

    ``fields`` are those of a hit that carries its embedding; ``with_vectors`` says whether it does.

    Raises:
        ParamError: naming the argument that is wrong.
    """
    plain: Any = choice("mode", mode, MODES)
    if not isinstance(query, str):  # of any characters: a query is never refused for what it says
        refuse("query", "a string", query)
    k = whole("k", k, 1)
    usual = min(LARGEST, max(_LEAST_DEPTH, 4 * k))
    depths = (usual, usual) if depth is None else _checked_depth(depth, usual)
    said = flag("explain", explain)
    if not flag("with_vectors", with_vectors):
        fields = FIELDS
    fusion = _RRF if ranker is None else as_ranker(ranker)
    return Search(str.__str__(query), plain, k, scope, fields, said, fusion, depths)


def _checked_depth(depth: Any, usual: int) -> tuple[int, int]:
    """How many hits the dense and the text leg give to the fusion."""
    if not is_mapping(depth):
        each = whole("depth", depth, 1)
        return each, each
    for leg in depth:
        if leg not in _LEGS:
            raise ParamError(f"depth is given for the legs dense and text; got {shown(leg)}")
    dense, text = (whole(f"depth of {leg}", depth.get(leg, usual), 1) for leg in _LEGS)
    return dense, text


def find(
    client: MilvusClient, collection: str, search: Search, vector: NDArray[np.float32] | None
) -> list[RankedDocument]:
    """The documents that a search finds.

    Args:
        client: the client to ask.
        collection: name of the collection.
        search: what to look for.
        vector: (1, dim) the query's embedding; None in text mode.
    """
    hits = _ask(client, collection, search, vector)
    scores = [hit["distance"] for hit in hits]
    if search.mode == "hybrid":
        shares = _shares_of_best(scores, search.ranker)
    else:
        shares = map(NORMALISE[_METRICS[search.mode]], scores)
    said = _explained(hits, search) if search.explain else [()] * len(hits)
    found = []
    for hit, score, share, legs in zip(hits, scores, shares, said, strict=True):
        row = hit["entity"]
        relevance = min(1.0, max(0.0, share))
        stored = np.array(row[VECTOR], dtype=np.float32) if VECTOR in row else None
        found.append(
            RankedDocument(row[ID], row[TEXT], row[METADATA], score, relevance, legs, stored)
        )
    return found


def _ask(client: MilvusClient, collection: str, search: Search, vector: Any) -> list[Hit]:
    """The client's hits: the one place where a store searches."""
    if search.mode != "hybrid":
        data = [search.query] if search.mode == "text" else vector
        (hits,) = client.search(
            collection, data, limit=search.k, output_fields=search.fields,
            anns_field=_LEGS[search.mode], filter=search.scope,
        )  # fmt: skip
        return hits
    dense, text = search.depth
    legs = [
        AnnSearchRequest(vector, VECTOR, {}, dense),
        AnnSearchRequest([search.query], TERMS, {}, text),
    ]
    (hits,) = client.hybrid_search(
        collection, legs, search.ranker, search.k, search.fields, explain=search.explain,
        filter=search.scope,
    )  # fmt: skip
    return hits


def _shares_of_best(scores: list[float], ranker: RRFRanker | WeightedRanker) -> Iterable[float]:
    """Fused scores as shares of the score of a hit that every leg ranks first."""
    best = sum(ranker.weights) if ranker.weights else float(len(_LEGS))
    if isinstance(ranker, RRFRanker):
        best /= ranker.k + 1.0
    return [score / best for score in scores] if best > 0 else [0.0] * len(scores)


def _explained(hits: list[Hit], search: Search) -> list[tuple[LegExplanation, ...]]:
    """What each leg that found a hit said of it."""
    if search.mode == "hybrid":
        return [
            tuple(
                LegExplanation(**leg | {"leg": _MODES_OF[leg["leg"]]}) for leg in hit["explanation"]
            )
            for hit in hits
        ]
    return [
        (LegExplanation(search.mode, hit["distance"], rank, hit["distance"]),)
        for rank, hit in enumerate(hits, 1)
    ]
