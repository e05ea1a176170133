"""A ``VectorStoreQuery`` as one call of the store, and what it found as LlamaIndex's result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from elanus import Document, DocumentStore, ParamError, RankedDocument, WeightedRanker
from elanus.arguments import LARGEST, flag, members, names, number, refuse, whole
from elanus.errors import likely, listed, quoted
from llama_index.vector_stores.elanus._filters import FilterDict, to_filter
from llama_index.vector_stores.elanus._nodes import REF_DOC_ID, to_node
from llama_index.vector_stores.elanus._rerank import check_hit_reranker

EXPLANATION: Final = "_elanus"
"""Metadata key of a node's explanation, with ``explain=True``."""

PASSAGE: Final = "_elanus_passage"
"""Metadata key of a node's text with those around it, with ``context``."""

_FLAGS = ("explain", "phrases", "prefix", "typos")
_LEAST_CHOICE = 50
_PREFETCH_FACTOR = 4.0
_LEAST_FACTOR, _LARGEST_FACTOR = 1e-6, 1e6
# What other stores call a field of a query, where its name is not alike.
_ELSEWHERE: Final = {
    **dict.fromkeys(("k", "limit", "top_k", "n_results"), "similarity_top_k"),
    **dict.fromkeys(("where", "expr", "filter"), "filters"),
    "score_threshold": "min_relevance",
}
_OPTIONS = frozenset(
    {
        *("explain", "min_relevance", "ranker", "group_by", "reranker", "rerank_top"),
        *("context", "phrases", "prefix", "typos"),
        *("mmr_threshold", "mmr_prefetch_factor", "mmr_prefetch_k"),
    }
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query is answered.

    Attributes:
        search: the store's method.
        arguments: of that call.
        has_scores: whether similarities are scores, cosines or a reranker's, and not relevances.
        output_fields: the metadata keys that nodes keep; None keeps all.
    """

    search: Callable[..., list[RankedDocument]]
    arguments: Mapping[str, Any]
    has_scores: bool
    output_fields: Sequence[str] | None

    def run(self, store: DocumentStore) -> VectorStoreQueryResult:
        """Ask the store."""
        hits = self.search(store, **self.arguments)
        return VectorStoreQueryResult(
            nodes=[self._node(hit) for hit in hits],
            similarities=[hit.score if self.has_scores else hit.relevance for hit in hits],
            ids=[hit.id for hit in hits],
        )

    def _node(self, hit: RankedDocument) -> BaseNode:
        said: dict[str, Any] = {}
        if self.arguments["explain"]:
            legs = [asdict(leg) for leg in hit.explanation]
            said[EXPLANATION] = {"score": hit.score, "relevance": hit.relevance, "legs": legs}
        if self.arguments["context"]:
            said[PASSAGE] = "\n".join([*_texts(hit.before), hit.text, *_texts(hit.after)])
        # Given to the class with all else: it need not take a change of a node that is made.
        return to_node(hit, only=self.output_fields, said=said)


def _texts(documents: Sequence[Document]) -> list[str]:
    return [document.text for document in documents]


def make_plan(query: VectorStoreQuery, options: Mapping[str, Any], reranker: Any) -> Plan:
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
        "ids": _members("node_ids", query.node_ids) or None,
        "group_by": options.get("group_by"),
        "context": whole("context", _given(options, "context", 0), 0),
        **{name: flag(name, _given(options, name, False)) for name in _FLAGS},
        **_MODES[query.mode](query, options),
        **_reranking(query, options, reranker),
    }
    return Plan(
        search=DocumentStore.search_mmr
        if query.mode == VectorStoreQueryMode.MMR
        else DocumentStore.search,
        arguments=arguments,
        has_scores=is_dense or "reranker" in arguments,
        output_fields=None
        if query.output_fields is None
        else names("output_fields", query.output_fields),
    )


def _given(options: Mapping[str, Any], name: str, usual: Any) -> Any:
    given = options.get(name)
    return usual if given is None else given


def _reranking(
    query: VectorStoreQuery, options: Mapping[str, Any], reranker: Any
) -> dict[str, Any]:
    """How hits are ordered anew: by the query's reranker, or in SEMANTIC_HYBRID by the store's."""
    is_semantic = query.mode == VectorStoreQueryMode.SEMANTIC_HYBRID
    chosen = options.get("reranker", reranker if is_semantic else None)  # None does without
    if chosen is None:
        if options.get("rerank_top") is not None:
            raise ParamError("rerank_top says how many nodes a reranker reads; give a reranker too")
        return {}
    check_hit_reranker(chosen)
    found = {"reranker": chosen, "query": _words_of(query)}
    top, name = options.get("rerank_top"), "rerank_top"
    if is_semantic:
        # As LlamaIndex defines it, that many come of the fusion.
        found["k"] = _top(query, "similarity_top_k")
        top, name = (query.hybrid_top_k, "hybrid_top_k") if top is None else (top, name)
    return found if top is None else found | {"rerank_top": whole(name, top, 1)}


def _check(query: VectorStoreQuery, options: Mapping[str, Any]) -> None:
    if unknown := sorted(options.keys() - _OPTIONS):
        own = [each.name for each in fields(VectorStoreQuery)]
        elsewhere = _ELSEWHERE.get(unknown[0])
        meant = f"; did you mean {elsewhere!r}?" if elsewhere else ""
        raise TypeError(
            f"query: unknown arguments {listed(unknown)}; known: {sorted(_OPTIONS)}; fields of a "
            f"VectorStoreQuery: {', '.join(own)}"
            f"{meant or likely(unknown[0], [*_OPTIONS, *own])}"
        )
    if not isinstance(query, VectorStoreQuery):
        refuse("query", "a VectorStoreQuery", query)
    # Not everything has a hash, or one truth value when it is compared.
    mode: Any = query.mode
    if not isinstance(mode, str) or mode not in _MODES:
        known = ", ".join(mode.name for mode in _MODES)
        raise ParamError(f"query mode {quoted(mode)} is not supported; supported: {known}")
    if query.query_str is not None and not isinstance(query.query_str, str):
        refuse("query_str", "a string", query.query_str)
    # Where one of them counts it must not be 0; see `_top`.
    whole("similarity_top_k", query.similarity_top_k, 0)
    for name in ("sparse_top_k", "hybrid_top_k"):
        if (top := getattr(query, name)) is not None:
            whole(name, top, 0)
    if query.embedding_field is not None:
        raise ParamError(
            f"embedding_field={quoted(query.embedding_field)}: a store has one embedding a node; "
            "leave it out"
        )


def _filter_of(query: VectorStoreQuery) -> FilterDict | None:
    parts = [to_filter(query.filters)]
    # An empty list restricts nothing, as node_ids: an index passes [] when it means all nodes.
    if doc_ids := _members("doc_ids", query.doc_ids):
        parts.append({REF_DOC_ID: {"$in": doc_ids}})
    found = [part for part in parts if part is not None]
    return {"$and": found} if found else None


def _members(name: str, given: Any) -> list[Any]:
    return [] if given is None else members(name, "a list", given)


def _dense(query: VectorStoreQuery, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "query": "" if query.query_str is None else query.query_str,
        "mode": "dense",
        "k": _top(query, "similarity_top_k"),
        "vector": _vector_of(query),
        "min_relevance": options.get("min_relevance"),
    }


def _text(query: VectorStoreQuery, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "query": _words_of(query),
        "mode": "text",
        "k": _top(query, "sparse_top_k", "similarity_top_k"),
        "min_relevance": options.get("min_relevance"),
    }


def _hybrid(query: VectorStoreQuery, options: Mapping[str, Any]) -> dict[str, Any]:
    depth = {}
    if query.hybrid_top_k is not None:  # then, as LlamaIndex defines it, the other is of this leg
        depth["dense"] = _top(query, "similarity_top_k")
    if query.sparse_top_k is not None:
        depth["text"] = _top(query, "sparse_top_k")
    return {
        "query": _words_of(query),
        "mode": "hybrid",
        "k": _top(query, "hybrid_top_k", "similarity_top_k"),
        "vector": _vector_of(query),
        "ranker": _ranker_of(query, options),
        "depth": depth,
        "min_relevance": options.get("min_relevance"),
    }


def _mmr(query: VectorStoreQuery, options: Mapping[str, Any]) -> dict[str, Any]:
    if "min_relevance" in options:
        raise ParamError("min_relevance does not go with mode MMR; use mmr_threshold")
    given = (query.mmr_threshold, options.get("mmr_threshold"))
    share = next((each for each in given if each is not None), 0.5)
    return {
        "query": "" if query.query_str is None else query.query_str,
        "mode": "dense",
        "k": _top(query, "similarity_top_k"),
        "fetch_k": _prefetch(query, options),
        "lambda_mult": number("mmr_threshold", share, 0, 1),
        "vector": _vector_of(query),
    }


def _prefetch(query: VectorStoreQuery, options: Mapping[str, Any]) -> int:
    factor, most = options.get("mmr_prefetch_factor"), options.get("mmr_prefetch_k")
    if factor is not None and most is not None:
        raise ParamError("give mmr_prefetch_factor or mmr_prefetch_k, not both")
    if most is not None:
        return whole("mmr_prefetch_k", most, 1)
    if factor is None:
        return _choice(query)
    factor = number("mmr_prefetch_factor", factor, _LEAST_FACTOR, _LARGEST_FACTOR)
    return min(LARGEST, max(1, round(factor * query.similarity_top_k)))


def _choice(query: VectorStoreQuery) -> int:
    """How many hits to choose the best from, if the caller does not say."""
    return min(LARGEST, max(_LEAST_CHOICE, round(_PREFETCH_FACTOR * query.similarity_top_k)))


def _ranker_of(query: VectorStoreQuery, options: Mapping[str, Any]) -> Any:
    ranker = options.get("ranker")
    if query.alpha is None:
        return ranker
    if ranker is not None:
        raise ParamError(f"give alpha ({quoted(query.alpha)}) or a ranker, not both")
    # From text alone to the dense leg alone.
    alpha = number("alpha", query.alpha, 0, 1)
    return WeightedRanker(alpha, 1.0 - alpha)


def _vector_of(query: VectorStoreQuery) -> list[float]:
    if query.query_embedding is None:
        raise ParamError(f"query mode {_name(query)} needs a query_embedding")
    return query.query_embedding


def _words_of(query: VectorStoreQuery) -> str:
    if query.query_str is None:
        raise ParamError(f"query mode {_name(query)} needs a query_str")
    return query.query_str


def _name(query: VectorStoreQuery) -> str:
    return VectorStoreQueryMode(query.mode).name  # the mode may be given as its text


def _top(query: VectorStoreQuery, *names: str) -> int:
    """The first number of hits that is given; an error says it by its own name."""
    name = next(each for each in names if getattr(query, each) is not None)
    return whole(name, getattr(query, name), 1)


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
