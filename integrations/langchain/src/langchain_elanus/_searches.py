"""The searches of a vector store, each written once for its blocking and asynchronous forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.documents import Document

from elanus import DocumentStore, ParamError, RankedDocument
from elanus.aio import Flow, Step, step_of
from elanus.arguments import LARGEST, as_query, checked_vectors, number, refuse, whole
from elanus.errors import shown
from langchain_elanus._embeddings import embeds_natively
from langchain_elanus._options import SearchOptions
from langchain_elanus._reranker import rerank_hits
from langchain_elanus._results import as_found

# How many hits a reranker sees: enough that one from far below can come first.
_RERANKED_LEAST = 20
_RERANKED_FACTOR = 4


@dataclass(frozen=True, slots=True)
class Scored:
    """A document that was found, and what the search said of it.

    Attributes:
        document: what LangChain gets.
        score: the mode's own score, or the reranker's.
        relevance: the score on a scale from 0 to 1.
    """

    document: Document
    score: float
    relevance: float


@dataclass(frozen=True, slots=True)
class Searches:
    """Searches of one store.

    Attributes:
        store: what is searched.
    """

    store: DocumentStore

    def similar(self, query: str, k: int, options: SearchOptions) -> Flow[list[Scored]]:
        """The documents that answer a query best."""
        k = whole("k", k, 1)
        wanted = k
        if options.reranker is not None:
            usual = min(LARGEST, max(_RERANKED_LEAST, _RERANKED_FACTOR * k))
            wanted = usual if options.rerank_top is None else max(k, options.rerank_top)
        vector = None
        if options.mode != "text":
            vector = yield from self._vector(query, wanted, options)
        hits = yield self._search(query, wanted, options, vector)
        if options.mode == "text" and options.fill and len(hits) < wanted:
            hits = yield from self._filled(query, wanted, options, hits)
        if options.reranker is not None:
            hits = yield from rerank_hits(options.reranker, query, hits, k)
        return _scored(hits, options)

    def near(self, vector: Sequence[float], k: int, options: SearchOptions) -> Flow[list[Scored]]:
        """The documents nearest to a vector; a reranker would need words, so none is asked."""
        hits = yield self._search("", k, replace(options, mode="dense"), vector)
        return _scored(hits, options)

    def diverse(
        self, query: str, vector: Any, k: int, fetch_k: int, share: float, options: SearchOptions
    ) -> Flow[list[Document]]:
        """Documents that answer a query and are unlike each other; none is reranked."""
        k, fetch_k = whole("k", k, 1), whole("fetch_k", fetch_k, 1)
        share = number("lambda_mult", share, 0, 1)
        if vector is None:
            vector = yield from self._vector(query, max(k, fetch_k), options)
        hits = yield step_of(
            self.store,
            "search_mmr",
            query,
            k,
            fetch_k,
            share,
            options.mode,
            vector=vector,
            filter=options.filter,
            ranker=options.ranker,
            ids=options.ids,
            explain=options.explain,
            group_by=options.group_by,
        )
        return [each.document for each in _scored(hits, options)]

    def _search(self, query: str, k: int, options: SearchOptions, vector: Any) -> Step:
        return step_of(
            self.store,
            "search",
            query,
            k,
            options.mode,
            vector=vector,
            filter=options.filter,
            ranker=options.ranker,
            ids=options.ids,
            depth=options.depth,
            explain=options.explain,
            group_by=options.group_by,
        )

    def _vector(self, query: str, k: int, options: SearchOptions) -> Flow[Any]:
        """The query's vector; None leaves it to the store, which embeds on the thread it uses."""
        function = self.store.embedding
        if function is None or not embeds_natively(function):
            return None
        # Whatever is wrong is to be known before the query is paid for.
        yield step_of(
            self.store,
            "check_search",
            query,
            k,
            options.mode,
            options.filter,
            options.ranker,
            ids=options.ids,
            depth=options.depth,
            group_by=options.group_by,
        )
        vectors = yield step_of(function, "encode_queries", [as_query("query", query)])
        return checked_vectors(f"{function.name}.encode_queries", vectors, 1)[0]

    def _filled(
        self, query: str, k: int, options: SearchOptions, hits: list[RankedDocument]
    ) -> Flow[list[RankedDocument]]:
        """Hits of a text search, and after them the nearest by meaning, up to k."""
        vector = yield from self._vector(query, k, options)
        near = yield self._search(query, k, replace(options, mode="dense"), vector)
        found = {hit.id for hit in hits}
        others = [replace(hit, score=0.0, relevance=0.0) for hit in near if hit.id not in found]
        return [*hits, *others][:k]


def check_vector(embedding: Any) -> None:
    """Check that a search by vector has one: None would ask the model.

    Raises:
        ParamError: if it has none.
    """
    if embedding is None:
        refuse("embedding", "a flat list of numbers", embedding)


def by_vector(call: str, options: SearchOptions, asked: Any) -> SearchOptions:
    """The options of a search by vector, which is dense whatever the store's mode is.

    Raises:
        ParamError: if the call asks for another mode.
    """
    if asked is not None and (not isinstance(asked, str) or asked != "dense"):
        raise ParamError(
            f"{call}: a vector has no words, so mode must be 'dense', not {shown(asked)}"
        )
    return replace(options, mode="dense")


def _scored(hits: list[RankedDocument], options: SearchOptions) -> list[Scored]:
    least = 0.0 if options.score_threshold is None else options.score_threshold
    return [
        Scored(as_found(rank, hit, explain=options.explain), hit.score, hit.relevance)
        for rank, hit in enumerate(hits, 1)
        if hit.relevance >= least
    ]
