"""The searches of a vector store, each written once for its blocking and asynchronous forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.documents import Document

from elanus import DocumentStore, Embedder, ParamError, RankedDocument
from elanus.aio import Flow, Step, step_of
from elanus.arguments import number, refuse, whole
from elanus.errors import shown
from langchain_elanus._embeddings import embeds_natively
from langchain_elanus._options import SearchOptions
from langchain_elanus._reranker import search_reranked
from langchain_elanus._results import as_found

_CHECKED = ("ids", "group_by", "context", "phrases", "prefix", "typos")


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
        vector = None
        if options.mode != "text":
            vector = yield from self._vector(query, k, options)
        hits = yield self._search(query, k, options, vector)
        if options.mode == "text" and options.fill and len(hits) < k:
            hits = yield from self._filled(query, k, options, hits)
        return _scored(hits, options)

    def near(self, vector: Sequence[float], k: int, options: SearchOptions) -> Flow[list[Scored]]:
        """The documents nearest to a vector; a reranker would need words, so none is asked."""
        hits = yield self._search("", k, replace(options, mode="dense", reranker=None), vector)
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
            **options.asked(),
        )
        return [each.document for each in _scored(hits, options)]

    def _search(self, query: str, k: int, options: SearchOptions, vector: Any) -> Step:
        arguments = options.asked() | {
            "mode": options.mode,
            "vector": vector,
            "depth": options.depth,
            "min_relevance": options.score_threshold,
        }
        if options.reranker is None:
            return step_of(self.store, "search", query, k, **arguments)
        return search_reranked(self.store, query, k, options, arguments)

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
            depth=options.depth,
            reranker=options.reranker,
            **{name: value for name, value in options.asked().items() if name in _CHECKED},
        )
        return (yield from Embedder(function, self.store.dim).query_flow(query))[0]

    def _filled(
        self, query: str, k: int, options: SearchOptions, hits: list[RankedDocument]
    ) -> Flow[list[RankedDocument]]:
        """Hits of a text search, and after them the nearest by meaning, up to k."""
        vector = yield from self._vector(query, k, options)
        # What follows shares no word with the query, and is not reranked.
        dense = replace(options, mode="dense", reranker=None, prefix=False, typos=False)
        near = yield self._search(query, k, dense, vector)
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
        Scored(as_found(rank, hit, options), hit.score, hit.relevance)
        for rank, hit in enumerate(hits, 1)
        if hit.relevance >= least
    ]
