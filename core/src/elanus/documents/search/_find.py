"""One search of a store: its checked arguments, the call that answers it, and what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.client import MilvusClient
from elanus.documents._collection import FIELDS, ID, METADATA, TERMS, TEXT, VECTOR
from elanus.documents._values import MODES, Mode, RankedDocument
from elanus.documents.search._scope import key_path
from elanus.documents.search._second_stage import USUAL_TOP, SecondStage, check_reranker
from elanus.documents.search._settings import (
    DEPTH,
    NOTHING,
    WEIGHT,
    SearchSettings,
    checked_settings,
    kept_for_fusion,
    text_params,
    title_params,
)
from elanus.documents.search._wording import Wording
from elanus.errors import ParamError, shown
from elanus.query import Expression, Step
from elanus.schema import (
    LARGEST,
    AdaptiveRanker,
    AnnSearchRequest,
    LegExplanation,
    Ranker,
    WeightedRanker,
    as_ranker,
    choice,
    flag,
    is_mapping,
    number,
    refuse,
    whole,
)

_LEAST_ALONE = 40  # a relevance looks at three rivals, of which there may be copies
_LEGS = {"dense": VECTOR, "text": TERMS}
_MODES_OF = {VECTOR: "dense", TERMS: "text"}
_ALONE = WeightedRanker(1.0, norm_score=False)
"""Leaves the scores of a single leg as they are."""

_adaptive = lru_cache(maxsize=16)(AdaptiveRanker)


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for, and what to say of it.

    Attributes:
        query: the text.
        mode: which legs there are.
        k: how many documents at most.
        ranked: how many hits of the ranking that takes.
        scope: the documents to look among; None for all of them.
        fields: of the documents.
        explain: whether hits say what each leg thought of them.
        ranker: how legs are fused; None for what the settings say.
        depth: how many hits each leg gives to the fusion, by mode; where it is left out, the
            settings say it.
        group: what leads to the metadata value of which each is among the hits once, at most.
        settings: what the caller wants instead of what is kept with the collection.
        wording: what is asked of its words, without phrases, which are part of the scope; or None.
        least: the relevance that a hit has at least; None for any.
        second: what is done with the hits; or None.
    """

    query: str
    mode: Mode
    k: int
    ranked: int
    scope: Expression | None
    fields: Sequence[str]
    explain: bool
    ranker: Ranker | None
    depth: Mapping[str, int]
    group: Sequence[Step] | None
    settings: SearchSettings
    wording: Wording | None
    least: float | None
    second: SecondStage | None


def make_search(
    query: str,
    mode: Mode,
    k: int,
    ranker: Any,
    depth: Any = None,
    settings: Any = None,
    *,
    explain: bool,
    scope: Expression | None,
    fields: Sequence[str],
    with_vectors: Any = False,
    group_by: Any = None,
    wording: Wording,
    reranker: Any = None,
    rerank_top: Any = USUAL_TOP,
    context: Any = 0,
    min_relevance: Any = None,
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
    depths = {} if depth is None else _checked_depth(depth)
    said = flag("explain", explain)
    if not flag("with_vectors", with_vectors):
        fields = FIELDS
    fusion = None if ranker is None else as_ranker(ranker)
    chosen = NOTHING if settings is None else checked_settings(settings)
    group = None if group_by is None else key_path("group_by", group_by)
    asked, words, second = str.__str__(query), None, None
    if not (wording.phrases is wording.prefix is wording.typos is False):
        words = wording.checked(plain)
        asked, scope = words.taken_from(asked, scope)
    least = None if min_relevance is None else float(number("min_relevance", min_relevance, 0, 1))
    are_plain = type(context) is type(rerank_top) is int
    if not (reranker is None and are_plain and context == 0 and rerank_top == USUAL_TOP):
        second = _checked_second_stage(reranker, rerank_top, context)
    ranked = k if second is None else second.depth(k)
    return Search(
        asked, plain, k, ranked, scope, fields, said, fusion, depths, group, chosen, words, least,
        second,
    )  # fmt: skip


def _checked_second_stage(reranker: Any, rerank_top: Any, context: Any) -> SecondStage:
    if reranker is not None:
        check_reranker(reranker)
    top, reach = whole("rerank_top", rerank_top, 1), whole("context", context, 0)
    if reranker is None and top != USUAL_TOP:
        raise ParamError(f"rerank_top={top} needs a reranker, which is shown so many hits")
    return SecondStage(reranker, top, reach)


def _checked_depth(depth: Any) -> dict[str, int]:
    """How many hits each leg gives to the fusion, of those legs for which it is said."""
    if not is_mapping(depth):
        return dict.fromkeys(_LEGS, whole("depth", depth, 1))
    for leg in depth:
        if leg not in _LEGS:
            raise ParamError(f"depth is given for the legs dense and text; got {shown(leg)}")
    return {leg: whole(f"depth of {leg}", depth[leg], 1) for leg in _LEGS if leg in depth}


def find(
    client: MilvusClient,
    collection: str,
    search: Search,
    vector: NDArray[np.float32] | None,
    usual: SearchSettings,
    kept: Mapping[str, Any],
) -> list[RankedDocument]:
    """The documents that a search finds, as they are ranked.

    Args:
        client: the client to ask.
        collection: name of the collection.
        search: what to look for.
        vector: (1, dim) the query's embedding; None in text mode.
        usual: all that neither the search nor the collection says.
        kept: the properties of the collection.
    """
    data = {"dense": vector, "text": [search.query]}
    if search.mode == "hybrid":
        settings = usual
        if search.settings is not NOTHING or WEIGHT in kept or DEPTH in kept:
            settings = search.settings.over(kept_for_fusion(kept)).over(usual)
        ranker = search.ranker or _adaptive(settings.weight)
        most = min(LARGEST, max(settings.depth or 0, 4 * search.ranked))
        depth = {leg: search.depth.get(leg, most) for leg in _LEGS}
    else:
        ranker, depth = _ALONE, {search.mode: max(search.ranked, _LEAST_ALONE)}
    params: dict[str, dict[str, Any]] = {"dense": {}, "text": {}}
    if search.settings is not NOTHING:
        params["text"] |= text_params(search.settings)
    if usual.title_boost is not None:
        params["text"] |= title_params(search.settings, kept, usual)
    if search.wording is not None:
        params["text"] |= {"prefix": search.wording.prefix, "typos": search.wording.typos}
    legs = [
        AnnSearchRequest(data[leg], _LEGS[leg], params[leg], most) for leg, most in depth.items()
    ]
    group = None if search.group is None else [METADATA, *search.group]
    (hits,) = client.hybrid_search(
        collection, legs, ranker, search.ranked, search.fields, explain=search.explain,
        relevance=True, min_relevance=search.least, filter=search.scope, group_by=group,
    )  # fmt: skip
    found = []
    for hit in hits:
        row, asked = hit["entity"], hit["explanation"] if search.explain else []
        said = tuple(LegExplanation(**leg | {"leg": _MODES_OF[leg["leg"]]}) for leg in asked)
        stored = np.array(row[VECTOR], dtype=np.float32) if VECTOR in row else None
        found.append(
            RankedDocument(
                row[ID], row[TEXT], row[METADATA], hit["distance"], hit["relevance"], said, stored
            )
        )
    return found


def worths(hits: Sequence[RankedDocument], *, are_cosines: bool) -> NDArray[np.float64]:
    """(n,) how well hits fit the query, on about the scale of the cosines among them.

    Scores that are no cosines are mapped to [0, 1] from the last hit to the first.
    """
    scores = np.array([hit.score for hit in hits])
    if are_cosines or not len(scores):
        return scores
    low, high = scores.min(), scores.max()
    spread: NDArray[np.float64] = (
        (scores - low) / (high - low) if high > low else np.ones(len(scores))
    )
    return spread
