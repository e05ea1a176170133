"""A ``VectorStoreQuery`` as one call of the store, and what it found as LlamaIndex's result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from elanus import DocumentStore, ParamError, RankedDocument, WeightedRanker
from elanus.errors import listed, quoted, shown
from llama_index.vector_stores.elanus._filters import FilterDict, to_filter
from llama_index.vector_stores.elanus._nodes import REF_DOC_ID, to_node
from llama_index.vector_stores.elanus._rerank import Reranker

EXPLANATION: Final = "_elanus"
"""Metadata key of a node's explanation, with ``explain=True``."""

_LEAST_CHOICE = 50
_PREFETCH_FACTOR = 4.0
_OPTIONS = frozenset(
    {
        *("explain", "min_relevance", "ranker"),
        *("mmr_threshold", "mmr_prefetch_factor", "mmr_prefetch_k"),
    }
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query is answered.

    Attributes:
        search: the store's method.
        arguments: of that call.
        is_dense: whether vectors alone decide, so that a similarity is a cosine.
        top_k: how many nodes at most.
        reranker: puts the hits in order, if there is one.
        explain: whether nodes say how they were found.
        output_fields: the metadata keys that nodes keep; None keeps all.
    """

    search: Callable[..., list[RankedDocument]]
    arguments: Mapping[str, Any]
    is_dense: bool
    top_k: int
    reranker: Reranker | None
    explain: bool
    output_fields: Sequence[str] | None

    def run(self, store: DocumentStore) -> VectorStoreQueryResult:
        """Ask the store."""
        hits = self.search(store, **self.arguments)
        scored = [(hit, hit.score if self.is_dense else hit.relevance) for hit in hits]
        if self.reranker is not None and hits:
            texts = [hit.text for hit in hits]
            order = self.reranker(str(self.arguments["query"]), texts, top_k=self.top_k)
            scored = [(hits[each.index], float(each.score)) for each in order]
        return VectorStoreQueryResult(
            nodes=[self._node(hit) for hit, _ in scored],
            similarities=[similarity for _, similarity in scored],
            ids=[hit.id for hit, _ in scored],
        )

    def _node(self, hit: RankedDocument) -> BaseNode:
        node = to_node(hit)
        if self.output_fields is not None:
            kept = set(self.output_fields)
            node.metadata = {key: value for key, value in node.metadata.items() if key in kept}
        if self.explain:
            node.metadata[EXPLANATION] = {
                "score": hit.score,
                "relevance": hit.relevance,
                "legs": [asdict(leg) for leg in hit.explanation],
            }
            # It is for people: a model must see the same text as without it.
            node.excluded_llm_metadata_keys.append(EXPLANATION)
            node.excluded_embed_metadata_keys.append(EXPLANATION)
        return node


def make_plan(
    query: VectorStoreQuery, options: Mapping[str, Any], reranker: Reranker | None
) -> Plan:
    """Check a query and decide how it is answered.

    Args:
        query: LlamaIndex's query.
        options: further keyword arguments of ``ElanusVectorStore.query``.
        reranker: of the store.

    Raises:
        TypeError: naming an option that does not exist.
        ParamError: naming the mode, if it is not one of ours or lacks what it needs;
            FilterError: if a filter is wrong.
    """
    _check(query, options)
    is_dense = query.mode in (VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.MMR)
    arguments = {
        "filter": _filter_of(query),
        "ids": query.node_ids or None,
        "explain": bool(options.get("explain")),
    } | _MODES[query.mode](query, options)
    is_semantic = query.mode == VectorStoreQueryMode.SEMANTIC_HYBRID
    if is_semantic and reranker is not None:
        arguments["k"] = query.hybrid_top_k or _choice(query)
    return Plan(
        search=DocumentStore.search_mmr
        if query.mode == VectorStoreQueryMode.MMR
        else DocumentStore.search,
        arguments=arguments,
        is_dense=is_dense,
        top_k=query.similarity_top_k,
        reranker=reranker if is_semantic else None,
        explain=bool(options.get("explain")),
        output_fields=query.output_fields,
    )


def _check(query: VectorStoreQuery, options: Mapping[str, Any]) -> None:
    if unknown := sorted(options.keys() - _OPTIONS):
        raise TypeError(f"query: unknown arguments {listed(unknown)}; known: {sorted(_OPTIONS)}")
    if query.mode not in tuple(_MODES):  # by equality: not everything has a hash
        known = ", ".join(mode.name for mode in _MODES)
        raise ParamError(f"query mode {quoted(query.mode)} is not supported; supported: {known}")
    if query.embedding_field is not None:
        raise ParamError(
            f"embedding_field={quoted(query.embedding_field)}: a store has one embedding a node; "
            "leave it out"
        )


def _filter_of(query: VectorStoreQuery) -> FilterDict | None:
    parts = [to_filter(query.filters)]
    # An empty list restricts nothing, as node_ids: an index passes [] when it means all nodes.
    if query.doc_ids:
        parts.append({REF_DOC_ID: {"$in": list(query.doc_ids)}})
    found = [part for part in parts if part is not None]
    return {"$and": found} if found else None


def _dense(query: VectorStoreQuery, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "query": query.query_str or "",
        "mode": "dense",
        "k": query.similarity_top_k,
        "vector": _vector_of(query),
        "min_relevance": options.get("min_relevance"),
    }


def _text(query: VectorStoreQuery, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "query": _words_of(query),
        "mode": "text",
        "k": _given(query.sparse_top_k, query.similarity_top_k),
        "min_relevance": options.get("min_relevance"),
    }


def _hybrid(query: VectorStoreQuery, options: Mapping[str, Any]) -> dict[str, Any]:
    depth = {
        # As LlamaIndex defines it: with a hybrid_top_k, similarity_top_k is that of the dense leg.
        "dense": None if query.hybrid_top_k is None else query.similarity_top_k,
        "text": query.sparse_top_k,
    }
    return {
        "query": _words_of(query),
        "mode": "hybrid",
        "k": _given(query.hybrid_top_k, query.similarity_top_k),
        "vector": _vector_of(query),
        "ranker": _ranker_of(query, options),
        "depth": {leg: hits for leg, hits in depth.items() if hits is not None},
        "min_relevance": options.get("min_relevance"),
    }


def _mmr(query: VectorStoreQuery, options: Mapping[str, Any]) -> dict[str, Any]:
    if "min_relevance" in options:
        raise ParamError("min_relevance does not go with mode MMR; use mmr_threshold")
    given = (query.mmr_threshold, options.get("mmr_threshold"))
    return {
        "query": query.query_str or "",
        "mode": "dense",
        "k": query.similarity_top_k,
        "fetch_k": _prefetch(query, options),
        "lambda_mult": next((each for each in given if each is not None), 0.5),
        "vector": _vector_of(query),
    }


def _prefetch(query: VectorStoreQuery, options: Mapping[str, Any]) -> int:
    factor, number = options.get("mmr_prefetch_factor"), options.get("mmr_prefetch_k")
    if factor is not None and number is not None:
        raise ParamError("give mmr_prefetch_factor or mmr_prefetch_k, not both")
    if number is not None:
        return int(number)
    return _choice(query) if factor is None else round(factor * query.similarity_top_k)


def _choice(query: VectorStoreQuery) -> int:
    """How many hits to choose the best from, if the caller does not say."""
    return max(_LEAST_CHOICE, round(_PREFETCH_FACTOR * query.similarity_top_k))


def _ranker_of(query: VectorStoreQuery, options: Mapping[str, Any]) -> Any:
    ranker = options.get("ranker")
    if query.alpha is None:
        return ranker
    if ranker is not None:
        raise ParamError(f"give alpha ({quoted(query.alpha)}) or a ranker, not both")
    if not 0.0 <= query.alpha <= 1.0:
        raise ParamError(
            f"alpha must be a number from 0 (text) to 1 (dense), got {shown(query.alpha)}"
        )
    return WeightedRanker(query.alpha, 1.0 - query.alpha)


def _vector_of(query: VectorStoreQuery) -> list[float]:
    if query.query_embedding is None:
        raise ParamError(f"query mode {query.mode.name} needs a query_embedding")
    return query.query_embedding


def _words_of(query: VectorStoreQuery) -> str:
    if query.query_str is None:
        raise ParamError(f"query mode {query.mode.name} needs a query_str")
    return query.query_str


def _given(first: int | None, second: int) -> int:
    return second if first is None else first


_MODES: Final[
    dict[VectorStoreQueryMode, Callable[[VectorStoreQuery, Mapping[str, Any]], dict[str, Any]]]
] = {
    VectorStoreQueryMode.DEFAULT: _dense,
    VectorStoreQueryMode.SPARSE: _text,
    VectorStoreQueryMode.TEXT_SEARCH: _text,
    VectorStoreQueryMode.HYBRID: _hybrid,
    VectorStoreQueryMode.SEMANTIC_HYBRID: _hybrid,
    VectorStoreQueryMode.MMR: _mmr,
}
