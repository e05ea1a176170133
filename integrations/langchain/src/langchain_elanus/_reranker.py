"""Reranking: a second, slower look at the best hits."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import ConfigDict, Field, field_validator

from elanus import DocumentStore, ElanusError, LegExplanation, ParamError, RankedDocument
from elanus.aio import Flow, Step, arun, run, step, step_of
from elanus.arguments import as_query, flag, members, number, whole
from elanus.errors import RerankError, quoted, shown
from langchain_elanus._options import SearchOptions, check_reranker, checked_documents
from langchain_elanus._results import EXPLANATION
from langchain_elanus._short import ShortRepr

_LARGEST = sys.float_info.max
_RERANK_TOP = 50
"""How many hits a store shows a reranker, unless it is told."""


class ElanusReranker(ShortRepr, BaseDocumentCompressor):
    """A reranker of Elanus as a document compressor.

    Args:
        reranker: any object that is called as ``reranker(query, texts, top_k=n)`` and returns
            results with ``index`` and ``score``, best first, such as the rerankers of
            ``elanus_embeddings``.
        top_n: how many documents are kept.
        explain: whether documents carry ``metadata["_elanus"]["rerank_score"]``.

    Example:
        >>> reranker = ElanusReranker(reranker=CrossEncoderRerankFunction("…"), top_n=3)
        >>> reranker.compress_documents(retriever.invoke(question), question)
    """

    reranker: Any
    top_n: int = Field(default=5, ge=1)
    explain: bool = False

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    # Before pydantic, which would read the text "false" as False, and True as 1.

    @field_validator("top_n", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> int:
        return whole("top_n", value, 1)

    @field_validator("explain", mode="before")
    @classmethod
    def _flag(cls, value: Any) -> bool:
        return flag("explain", value)

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """The documents that answer the query best, best first; the given ones stay as they are.

        Raises:
            ParamError: if the reranker gives anything but results with ``index`` and ``score``.
            RerankError: if it fails; has the documents as ``hits``.
        """
        del callbacks  # a reranker reports to none
        return run(self._compress(documents, query))

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """Asynchronous ``compress_documents``."""
        del callbacks
        return await arun(self._compress(documents, query))

    def _compress(self, documents: Sequence[Document], query: str) -> Flow[list[Document]]:
        # Again: nobody checks what is assigned, or given to model_copy.
        most, explain = whole("top_n", self.top_n, 1), flag("explain", self.explain)
        documents = checked_documents(documents)
        texts = [document.page_content for document in documents]
        try:
            order = yield from reranked(self.reranker, query, texts, most)
        except ElanusError:
            raise
        except Exception as error:  # a reranker is anybody's code
            raise RerankError.failed(self.reranker, error, documents) from error
        return [_copy(documents[index], score, explain=explain) for index, score in order]


def _copy(document: Document, score: float, *, explain: bool) -> Document:
    metadata = dict(document.metadata)
    if explain:
        said = metadata.get(EXPLANATION)
        known = said if isinstance(said, dict) else {}  # else it is the user's own
        metadata[EXPLANATION] = {**known, "rerank_score": score}
    return document.model_copy(update={"metadata": metadata})


def reranked(
    reranker: Any, query: str, texts: list[str], most: int
) -> Flow[list[tuple[int, float]]]:
    """Which texts answer a query best: their places in the list and scores, best first.

    Raises:
        ParamError: naming the reranker, if it cannot be called or gives no such results.
    """
    check_reranker(reranker)
    query = as_query("query", query)
    if not texts:
        return []
    # Providers differ in what they do when asked for more than there is.
    asked = min(most, len(texts))
    results = yield step(reranker, getattr(reranker, "arerank", None), query, texts, top_k=asked)
    if isinstance(results, Iterator):  # which does its work only when it is read
        results = yield step(list, None, results)
    try:
        given = members("results", "a list", results)
    except ParamError as error:
        raise ParamError(
            f"reranker {quoted(reranker)} must give a list of results, got {shown(results)}"
        ) from error
    return [_place(reranker, each, len(texts)) for each in given]


def _place(reranker: Any, result: Any, count: int) -> tuple[int, float]:
    """The index and the score of one result over so many texts."""
    try:
        place = whole("index", result.index, -(2**63))
        score = float(number("score", result.score, -_LARGEST, _LARGEST))
    except (AttributeError, OverflowError, ParamError) as error:
        raise ParamError(
            f"reranker {quoted(reranker)} gave {quoted(result)}; each result needs an integer "
            "index and a score, which is a finite number"
        ) from error
    if not 0 <= place < count:
        raise ParamError(
            f"reranker {quoted(reranker)} gave the index {quoted(place)} for {count} texts; "
            f"indexes go from 0 to {count - 1}"
        )
    return place, score


def search_reranked(
    store: DocumentStore, query: str, k: int, options: SearchOptions, arguments: dict[str, Any]
) -> Step:
    """A search whose hits a reranker orders anew; its own coroutine is awaited where it has one.

    Args:
        store: what is searched.
        query: the query.
        k: how many hits at most.
        options: those of the reranker.
        arguments: the others of ``DocumentStore.search``.
    """
    top = {} if options.rerank_top is None else {"rerank_top": options.rerank_top}
    of_store = step_of(store, "search", query, k, reranker=options.reranker, **top, **arguments)
    if not callable(getattr(options.reranker, "arerank", None)):
        return of_store
    wanted = max(k, options.rerank_top or _RERANK_TOP)

    async def awaited() -> list[RankedDocument]:
        hits: list[RankedDocument] = await store.asearch(query, wanted, **arguments)
        return (await _in_order(options.reranker, query, hits, explain=options.explain))[:k]

    return Step(of_store.blocking, awaited)


async def _in_order(
    reranker: Any, query: str, hits: list[RankedDocument], *, explain: bool
) -> list[RankedDocument]:
    """Hits in the order of a reranker's coroutine, as a store orders them by its call.

    Raises:
        RerankError: if it fails, or does not give each text a score; with the hits.
    """
    if not hits:
        return hits
    try:
        order = await arun(reranked(reranker, query, [hit.text for hit in hits], len(hits)))
    except ParamError as error:
        told = RerankError(str(error))  # which names the reranker
        told.hits = hits
        raise told from error
    except Exception as error:
        raise RerankError.failed(reranker, error, hits) from error
    if sorted(place for place, _ in order) != list(range(len(hits))):
        rule = f"must give each of {len(hits)} texts one score"
        raise RerankError.of(reranker, rule, hits)
    found = []
    for rank, (place, score) in enumerate(sorted(order, key=lambda each: (-each[1], each[0])), 1):
        hit = hits[place]
        reason = f"place {place + 1} of {len(hits)} before it, with score {hit.score:.4g}"
        said = (LegExplanation("reranker", score, rank, score, reason),) if explain else ()
        found.append(replace(hit, score=score, explanation=hit.explanation + said))
    return found
