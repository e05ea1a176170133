"""Calls that search; what they do is in ``_searches``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document

from elanus.aio import Flow, arun, run
from langchain_elanus._options import SearchKeywords, SearchOptions
from langchain_elanus._searches import Scored, Searches, by_vector, check_vector
from langchain_elanus._write_calls import WriteCalls

if TYPE_CHECKING:
    # Type checkers have it built in; nothing that runs needs it.
    from typing_extensions import Unpack


class SearchCalls(WriteCalls):
    """The similarity searches and maximal marginal relevance.

    ``**options`` are those of ``ElanusVectorStore``; they take the place of its defaults.
    """

    _defaults: SearchOptions
    _searches: Searches

    def _chosen(self, call: str, options: Mapping[str, Any]) -> SearchOptions:
        return self._defaults.but(call, options, getattr(self, call))

    # --- by text ---------------------------------------------------------------------------

    def similarity_search(self, query: str, k: int = 4, **options: Any) -> list[Document]:
        """The k documents that answer a query best.

        Args:
            query: any text; it is never parsed as a query language.
            k: how many documents at most.
            **options: see ``ElanusVectorStore``.

        Raises:
            TypeError: naming options that do not exist.
            ParamError, FilterError: if an option is wrong.
        """
        return _documents(run(self._similar("similarity_search", query, k, options)))

    async def asimilarity_search(self, query: str, k: int = 4, **options: Any) -> list[Document]:
        """Asynchronous ``similarity_search``."""
        return _documents(await arun(self._similar("asimilarity_search", query, k, options)))

    def similarity_search_with_score(
        self, query: str, k: int = 4, **options: Unpack[SearchKeywords]
    ) -> list[tuple[Document, float]]:
        """As ``similarity_search``, with scores: cosine, BM25, the fused or the reranker's."""
        return _scores(run(self._similar("similarity_search_with_score", query, k, options)))

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, **options: Unpack[SearchKeywords]
    ) -> list[tuple[Document, float]]:
        """Asynchronous ``similarity_search_with_score``."""
        return _scores(
            await arun(self._similar("asimilarity_search_with_score", query, k, options))
        )

    # Not the private forms that LangChain's own of these ask: they do not see score_threshold.

    def similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **options: Any
    ) -> list[tuple[Document, float]]:
        """As ``similarity_search``, with relevances, from 0 to 1 in every mode."""
        found = self._similar("similarity_search_with_relevance_scores", query, k, options)
        return [(each.document, each.relevance) for each in run(found)]

    async def asimilarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **options: Any
    ) -> list[tuple[Document, float]]:
        """Asynchronous ``similarity_search_with_relevance_scores``."""
        found = self._similar("asimilarity_search_with_relevance_scores", query, k, options)
        return [(each.document, each.relevance) for each in await arun(found)]

    def _similar(
        self, call: str, query: str, k: int, options: Mapping[str, Any]
    ) -> Flow[list[Scored]]:
        return self._searches.similar(query, k, self._chosen(call, options))

    # --- by vector -------------------------------------------------------------------------

    def similarity_search_by_vector(
        self, embedding: Sequence[float], k: int = 4, **options: Any
    ) -> list[Document]:
        """The k documents nearest to a vector, in dense mode; nothing is reranked."""
        return _documents(run(self._near("similarity_search_by_vector", embedding, k, options)))

    async def asimilarity_search_by_vector(
        self, embedding: Sequence[float], k: int = 4, **options: Any
    ) -> list[Document]:
        """Asynchronous ``similarity_search_by_vector``."""
        return _documents(
            await arun(self._near("asimilarity_search_by_vector", embedding, k, options))
        )

    def similarity_search_with_score_by_vector(
        self, embedding: Sequence[float], k: int = 4, **options: Unpack[SearchKeywords]
    ) -> list[tuple[Document, float]]:
        """As ``similarity_search_by_vector``, with cosines."""
        return _scores(
            run(self._near("similarity_search_with_score_by_vector", embedding, k, options))
        )

    async def asimilarity_search_with_score_by_vector(
        self, embedding: Sequence[float], k: int = 4, **options: Unpack[SearchKeywords]
    ) -> list[tuple[Document, float]]:
        """Asynchronous ``similarity_search_with_score_by_vector``."""
        return _scores(
            await arun(self._near("asimilarity_search_with_score_by_vector", embedding, k, options))
        )

    def _near(
        self, call: str, vector: Sequence[float], k: int, options: Mapping[str, Any]
    ) -> Flow[list[Scored]]:
        check_vector(vector)
        chosen = self._chosen(call, options)
        return self._searches.near(vector, k, by_vector(call, chosen, options.get("mode")))

    # --- unlike each other -----------------------------------------------------------------

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **options: Any
    ) -> list[Document]:
        """Documents that answer a query and are unlike each other, in any mode, in one search.

        Args:
            query: any text.
            k: how many documents at most.
            fetch_k: how many of the mode's ranking to choose from; never fewer than k.
            lambda_mult: from 0 (only unlike each other) to 1 (only near the query).
            **options: see ``ElanusVectorStore``; nothing is reranked.
        """
        call = "max_marginal_relevance_search"
        return run(self._diverse(call, query, None, k, fetch_k, lambda_mult, options))

    async def amax_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **options: Any
    ) -> list[Document]:
        """Asynchronous ``max_marginal_relevance_search``."""
        call = "amax_marginal_relevance_search"
        return await arun(self._diverse(call, query, None, k, fetch_k, lambda_mult, options))

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: Sequence[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **options: Any,
    ) -> list[Document]:
        """As ``max_marginal_relevance_search``, by a vector and in dense mode."""
        check_vector(embedding)
        call = "max_marginal_relevance_search_by_vector"
        return run(self._diverse(call, "", embedding, k, fetch_k, lambda_mult, options))

    async def amax_marginal_relevance_search_by_vector(
        self,
        embedding: Sequence[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **options: Any,
    ) -> list[Document]:
        """Asynchronous ``max_marginal_relevance_search_by_vector``."""
        check_vector(embedding)
        call = "amax_marginal_relevance_search_by_vector"
        return await arun(self._diverse(call, "", embedding, k, fetch_k, lambda_mult, options))

    def _diverse(
        self,
        call: str,
        query: str,
        vector: Sequence[float] | None,
        k: int,
        fetch_k: int,
        lambda_mult: float,
        options: Mapping[str, Any],
    ) -> Flow[list[Document]]:
        chosen = self._chosen(call, options)
        if vector is not None:
            chosen = by_vector(call, chosen, options.get("mode"))
        return self._searches.diverse(query, vector, k, fetch_k, lambda_mult, chosen)


def _documents(found: list[Scored]) -> list[Document]:
    return [each.document for each in found]


def _scores(found: list[Scored]) -> list[tuple[Document, float]]:
    return [(each.document, each.score) for each in found]
