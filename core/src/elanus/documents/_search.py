"""One search of a store: its checked arguments, and the calls of the client that answer it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.client import MilvusClient
from elanus.documents._collection import ID, METADATA, TERMS, TEXT, VECTOR
from elanus.documents._results import best_score, ranked_by_both, ranked_by_one
from elanus.documents._values import MODES, Mode, RankedDocument
from elanus.errors import ParamError, shown
from elanus.query import Expression
from elanus.schema import (
    AnnSearchRequest,
    RRFRanker,
    WeightedRanker,
    as_ranker,
    choice,
    flag,
    refuse,
    whole,
)

FIELDS = (ID, TEXT, METADATA)

_LEAST_DEPTH = 100
_LEGS = {"dense": VECTOR, "text": TERMS}


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
    fields: list[str]
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
    fields: list[str],
) -> Search:
    """Check everything but the vector: a wrong argument costs no embedding.

    Raises:
        ParamError: naming the argument that is wrong.
    """
    plain: Any = choice("mode", mode, MODES)
    if not isinstance(query, str):  # of any characters: a query is never refused for what it says
        refuse("query", "a string", query)
    k = whole("k", k, 1)
    depths = _checked_depth(depth, k)
    said = flag("explain", explain)
    return Search(str.__str__(query), plain, k, scope, fields, said, as_ranker(ranker), depths)


def _checked_depth(depth: Any, k: int) -> tuple[int, int]:
    """How many hits the dense and the text leg give to the fusion."""
    default = max(_LEAST_DEPTH, 4 * k)
    if not isinstance(depth, Mapping):
        each = default if depth is None else whole("depth", depth, 1)
        return each, each
    for leg in depth:
        if leg not in _LEGS:
            raise ParamError(f"depth is given for the legs dense and text; got {shown(leg)}")
    dense, text = (whole(f"depth of {leg}", depth.get(leg, default), 1) for leg in _LEGS)
    return dense, text


def run(
    client: MilvusClient, collection: str, search: Search, vector: NDArray[np.float32] | None
) -> list[RankedDocument]:
    """The documents that a search finds.

    Args:
        client: the client to ask.
        collection: name of the collection.
        search: what to look for.
        vector: (1, dim) the query's embedding; None in text mode.
    """
    if search.mode == "hybrid":
        return _both(client, collection, search, vector)
    data: Any = [search.query] if search.mode == "text" else vector
    return _one(client, collection, search, data)


def _one(client: MilvusClient, collection: str, search: Search, data: Any) -> list[RankedDocument]:
    field = _LEGS[search.mode]
    (found,) = client.search(
        collection,
        data,
        limit=search.k,
        output_fields=search.fields,
        anns_field=field,
        filter=search.scope,
    )
    return [
        ranked_by_one(field, rank, hit, explain=search.explain) for rank, hit in enumerate(found, 1)
    ]


def _both(
    client: MilvusClient, collection: str, search: Search, vector: Any
) -> list[RankedDocument]:
    dense, text = search.depth
    requests = [
        AnnSearchRequest(vector, VECTOR, {}, dense),
        AnnSearchRequest([search.query], TERMS, {}, text),
    ]
    (found,) = client.hybrid_search(
        collection,
        requests,
        search.ranker,
        search.k,
        search.fields,
        explain=search.explain,
        filter=search.scope,
    )
    best = best_score(search.ranker, len(requests))
    return [ranked_by_both(hit, best) for hit in found]
