"""What all rerankers over HTTP share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from elanus.arguments import flag
from elanus.errors import quoted
from elanus_embeddings._contract import RerankResult
from elanus_embeddings._http import EmbeddingRequestError
from elanus_embeddings._providers._flow import (
    Answer,
    HttpFlow,
    Limits,
    Request,
    place_of,
    search_fault,
)
from elanus_embeddings._providers._provider import checked_name
from elanus_embeddings._texts import checked_query, checked_texts, positive

if TYPE_CHECKING:
    from elanus_embeddings._providers._transport import Endpoint


class HttpRerankFunction:
    """A reranker whose model runs behind an HTTP API.

    It can be used by many threads, in any event loop and after a fork. Documents that exceed one
    request are sent in several, and ranked together by their scores.
    """

    # Where the provider's format differs.
    _top = "top_n"
    _results = "results"

    def __init__(
        self, model_name: str, endpoint: Endpoint, limits: Limits, *, return_documents: bool = True
    ) -> None:
        self._model = checked_name(model_name)
        self._endpoint = endpoint
        self._limits = limits
        self._return_documents = flag("return_documents", return_documents)

    @property
    def name(self) -> str:
        """The model's identity: provider and model."""
        return f"{self._endpoint.provider.lower()}/{self._model}"

    def __call__(self, query: str, documents: Sequence[str], top_k: int = 5) -> list[RerankResult]:
        """Order documents by their relevance to a query.

        Args:
            query: what is looked for.
            documents: a list of strings; none send nothing.
            top_k: how many to return at most.

        Returns:
            The best documents, best first; of equal scores the one given first.

        Raises:
            ParamError: an argument is of a wrong type.
            EmbeddingRequestError: the provider failed or refused.
        """
        return self._endpoint.run(self._flow(query, documents, top_k))

    async def arerank(
        self, query: str, documents: Sequence[str], top_k: int = 5
    ) -> list[RerankResult]:
        """Order documents without blocking the event loop; otherwise as calling the object."""
        return await self._endpoint.arun(self._flow(query, documents, top_k))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({quoted(self._model)}, url={quoted(self._endpoint.url)})"

    def _payload(self, query: str, documents: list[str], top: int) -> dict[str, Any]:
        return {"model": self._model, "query": query, "documents": documents, self._top: top}

    def _flow(
        self, query: str, documents: Sequence[str], top_k: int
    ) -> HttpFlow[list[RerankResult]]:
        query = checked_query(query)
        texts = checked_texts(documents, "documents")
        positive("top_k", top_k)
        # Providers count the query once for every document.
        sizes = [len(text.encode()) + len(query.encode()) for text in texts]
        found: list[tuple[float, int]] = []

        def make(places: range) -> Request:
            part, top = texts[places.start : places.stop], min(top_k, len(places))
            return Request(self._payload(query, part, top), places, "documents")

        for part in self._limits.batches(sizes):
            request = make(range(part.start, part.stop))
            try:
                answer = yield request
            except EmbeddingRequestError as error:
                yield from search_fault(error, make, texts, works=bool(found))
                raise
            scores = self._scores(answer, request, min(top_k, len(request.places)))
            found += [(-score, part.start + i) for i, score in scores.items()]
        return [
            RerankResult(texts[i] if self._return_documents else "", -score, i)
            for score, i in sorted(found)[:top_k]
        ]

    def _scores(self, answer: Answer, request: Request, top: int) -> dict[int, float]:
        """Return the scores of the documents that an answer ranks, by their place."""
        count = len(request.places)
        try:
            items = [
                (place_of(item), item["relevance_score"]) for item in answer.body[self._results]
            ]
        except (LookupError, TypeError, AttributeError):
            items = []
        scores = {i: float(score) for i, score in items if 0 <= i < count and _is_score(score)}
        if len(scores) != top or len(items) != top:
            said = self._endpoint.excerpt(quoted(answer.body))
            raise self._endpoint.failure(
                f"answered {answer.status} to {{texts}}, but not with the scores of {top} "
                f"documents: {said}",
                request,
                status=answer.status,
            )
        return scores


def _is_score(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return abs(value) <= sys.float_info.max
