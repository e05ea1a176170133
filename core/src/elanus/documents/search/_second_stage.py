"""What is done with the hits of a search: a reranker, and the documents around each hit."""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from inspect import Parameter, iscoroutinefunction, signature
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.client import MilvusClient
from elanus.documents._collection import FIELDS, as_document
from elanus.documents._sync import POSITION, SOURCE
from elanus.documents._values import Document, RankedDocument
from elanus.documents.search._scope import make_scope
from elanus.errors import ParamError, RerankError, quoted, shown
from elanus.schema import LARGEST, LegExplanation, as_list, as_query, number, refuse, whole

_CALLABLE = (
    "an object with predict(pairs), or one that is called as reranker(query, texts), with top_k if "
    "it takes that"
)
USUAL_TOP = 50
"""How many hits a reranker is shown where nothing is said."""

_LARGEST_SCORE = sys.float_info.max


@dataclass(frozen=True, slots=True)
class SecondStage:
    """How the hits of a ranking become those of the call.

    Attributes:
        reranker: gives hits new scores; None for none.
        rerank_top: how many hits it is shown, or more if more are wanted.
        context: how many documents before and after each hit come along, up to the first position
            that no document has.
    """

    reranker: Any
    rerank_top: int
    context: int

    def depth(self, k: int) -> int:
        """How many hits of the ranking it takes for ``k`` of the call."""
        return k if self.reranker is None else max(k, self.rerank_top)

    def ordered(
        self, query: str, hits: list[RankedDocument], *, explain: bool
    ) -> list[RankedDocument]:
        """The hits in their final order.

        Raises:
            RerankError: if the reranker fails; with the hits as they were.
        """
        if self.reranker is None or not hits:
            return hits
        scores = _scores(self.reranker, as_query("query", query), hits)
        found = []
        for rank, place in enumerate(np.argsort(-scores, kind="stable").tolist(), 1):
            hit, score = hits[place], float(scores[place])
            reason = f"place {place + 1} of {len(hits)} before it, with score {hit.score:.4g}"
            said = (LegExplanation("reranker", score, rank, score, reason),) if explain else ()
            found.append(replace(hit, score=score, explanation=hit.explanation + said))
        return found

    def with_context(
        self, client: MilvusClient, collection: str, hits: list[RankedDocument]
    ) -> list[RankedDocument]:
        """The hits with the documents before and after them, which one statement reads."""
        places = [_place_of(hit) for hit in hits]
        known = list(dict.fromkeys(place for place in places if place is not None))
        if not self.context or not known:
            return hits
        rows = client.query(collection, make_scope({"$or": self._near(known)}), FIELDS)
        around: dict[str, list[Document]] = {}
        for document in map(as_document, rows):  # by id: the sort below keeps that among equals
            around.setdefault(document.metadata[SOURCE], []).append(document)
        sources = {source: _Source(documents) for source, documents in around.items()}
        return [
            hit
            if place is None or place[0] not in sources
            else sources[place[0]].surrounded(hit, place[1], self._span(place[1]))
            for hit, place in zip(hits, places, strict=True)
        ]

    def _near(self, places: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
        """The conditions of what is near some places, one for each stretch of neighbours."""
        stretches: list[tuple[str, int, int]] = []
        for source, position in sorted(places):
            first, last = self._span(position)
            if stretches and stretches[-1][0] == source and first <= stretches[-1][2]:
                first = stretches.pop()[1]
            stretches.append((source, first, last))
        return [{SOURCE: s, POSITION: {"$gte": a, "$lte": b}} for s, a, b in stretches]

    def _span(self, position: int) -> tuple[int, int]:
        return max(-LARGEST, position - self.context), min(LARGEST, position + self.context)


class _Source:
    """Documents of one source in the order of their positions, which are looked up by halving."""

    def __init__(self, documents: list[Document]) -> None:
        self._documents = sorted(documents, key=_position_of)
        self._positions = places = [_position_of(document) for document in self._documents]
        # Where a stretch without a missing position begins, and where the last one ends.
        begins = [i for i in range(1, len(places)) if places[i] - places[i - 1] > 1]
        self._stretches = [0, *begins, len(places)]

    def surrounded(
        self, hit: RankedDocument, position: int, span: tuple[int, int]
    ) -> RankedDocument:
        first, last = bisect_left(self._positions, span[0]), bisect_right(self._positions, span[1])
        own = bisect_left(self._positions, position), bisect_right(self._positions, position)
        if own[0] == own[1]:
            return hit  # deleted since it was found
        stretch = bisect_right(self._stretches, own[0])
        first = max(first, self._stretches[stretch - 1])
        last = min(last, self._stretches[stretch])
        before, after = self._documents[first : own[0]], self._documents[own[1] : last]
        return replace(hit, before=tuple(before), after=tuple(after))


def check_reranker(reranker: Any) -> None:
    """Check that hits can be shown to it.

    Raises:
        ParamError: if not.
    """
    # A class is not yet a reranker.
    if isinstance(reranker, type) or not (_can_predict(reranker) or callable(reranker)):
        refuse("reranker", _CALLABLE, reranker)
    call = getattr(reranker, "predict" if _can_predict(reranker) else "__call__")
    if iscoroutinefunction(reranker) or iscoroutinefunction(call):
        raise ParamError(
            f"reranker {quoted(reranker)} is a coroutine function; give a blocking "
            "one: coroutines such as asearch run it on a thread"
        )


def _can_predict(reranker: Any) -> bool:
    return callable(getattr(reranker, "predict", None))


def _scores(reranker: Any, query: str, hits: list[RankedDocument]) -> NDArray[np.float64]:
    """(n,) what a reranker gives to each hit.

    Raises:
        RerankError: if it fails, or gives something else.
    """
    texts = [hit.text for hit in hits]
    try:
        given = _asked(reranker, query, texts)
        given = list(given) if isinstance(given, Iterator) else given  # which is the work itself
    except Exception as error:
        raise RerankError.failed(reranker, error, hits) from error
    try:
        return _as_scores(given, len(texts))
    except (ParamError, AttributeError, TypeError) as error:
        rule = (
            f"must give a finite number for each of {len(texts)} texts, or for each a result with "
            f"index and score; got {shown(given)}"
        )
        raise RerankError.of(reranker, rule, hits) from error
    except Exception as error:  # a property of a result, or a tensor without values
        raise RerankError.failed(reranker, error, hits) from error


def _asked(reranker: Any, query: str, texts: list[str]) -> Any:
    # First: what has `predict` may be called as well, but means something else (torch's modules).
    if _can_predict(reranker):
        return reranker.predict([(query, text) for text in texts])
    if _takes_top_k(reranker):
        return reranker(query, texts, top_k=len(texts))
    return reranker(query, texts)


def _takes_top_k(reranker: Any) -> bool:
    try:
        parameters = signature(reranker).parameters
    except (TypeError, ValueError):  # some that are written in C have none
        return False
    return "top_k" in parameters or any(
        each.kind is Parameter.VAR_KEYWORD for each in parameters.values()
    )


def _as_scores(given: Any, count: int) -> NDArray[np.float64]:
    """(count,) scores, from numbers in the order of the texts, or from results in any."""
    found = given.tolist() if hasattr(given, "tolist") else as_list(given)
    if not isinstance(found, list) or len(found) != count:
        refuse("scores", f"a list of {count}", given)
    places = list(range(count))
    if all(hasattr(each, "score") for each in found):
        places = [whole("index", each.index, 0, count - 1) for each in found]
        found = [each.score for each in found]
    if len(set(places)) != count:
        refuse("index", "each place once", places)
    scores = np.empty(count)
    scores[places] = [number("score", s, -_LARGEST_SCORE, _LARGEST_SCORE) for s in found]
    return scores


def _place_of(hit: RankedDocument) -> tuple[str, int] | None:
    """Source and position, as ``sync`` enters them; None of a hit that has them not."""
    source, position = hit.metadata.get(SOURCE), hit.metadata.get(POSITION)
    if isinstance(source, str) and type(position) is int and abs(position) <= LARGEST:
        return source, position
    return None


def _position_of(document: Document) -> float:
    position: float = document.metadata[POSITION]
    return position
