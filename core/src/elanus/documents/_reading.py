"""Calls that read documents and search them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from elanus.documents._base import BaseStore
from elanus.documents._collection import ID
from elanus.documents._input import checked_ids
from elanus.documents._results import as_document
from elanus.documents._scope import Filter, make_scope, selects
from elanus.documents._search import make_search, run
from elanus.documents._values import Document, Mode, RankedDocument
from elanus.errors import ParamError, shown
from elanus.query import mmr
from elanus.schema import number, whole

_READ_AT_ONCE = 1000


class ReadingCalls(BaseStore):
    """``get``, ``search`` and their kin."""

    def get(
        self,
        ids: Sequence[str] | str | None = None,
        *,
        filter: Filter = None,
        filter_params: Mapping[str, Any] | None = None,
        with_vectors: bool = False,
    ) -> list[Document]:
        """Documents by id, by filter, or by both; those that do not exist are left out.

        Args:
            ids: one id or several; without a filter the documents come in their order, with one
                in the order of ids as strings.
            filter: an expression over metadata keys, or a dict.
            filter_params: values of the templates ``{x}`` in an expression.
            with_vectors: whether documents carry their embeddings; a store without vectors has
                none to give.

        Raises:
            ParamError: if neither ids nor a filter is given: to read all, walk the store.
        """
        if ids is None and not selects(filter):
            raise ParamError("get: give ids, a filter, or both; to read all, walk the store")
        fields = self._fields(with_vectors=with_vectors)
        if selects(filter):
            rows = self._client.query(
                self._collection, output_fields=fields, **make_scope(filter, ids, filter_params)
            )
        else:
            rows = self._client.get(self._collection, checked_ids(ids), fields)
        return [as_document(row) for row in rows]

    def count(
        self, filter: Filter = None, *, filter_params: Mapping[str, Any] | None = None
    ) -> int:
        """Number of documents, or of those that a filter lets pass."""
        found = self._client.query(
            self._collection, output_fields=["count(*)"], **make_scope(filter, None, filter_params)
        )
        return int(found[0]["count(*)"])

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        # Without this, an empty store would be false.
        return True

    def __contains__(self, id: object) -> bool:
        """Whether there is a document of this id.

        Raises:
            TypeError: if it is no string.
        """
        if not isinstance(id, str):
            raise TypeError(f"a store holds documents by id: ask for a string, not {shown(id)}")
        return bool(self._client.get(self._collection, [id], [ID]))

    def __iter__(self) -> Iterator[Document]:
        """All documents in the order of their ids, read in pages: writers may go on meanwhile."""
        page = self._page(None)
        while page:
            yield from page
            page = self._page(page[-1].id)

    def _page(self, after: str | None) -> list[Document]:
        """The next documents in the order of their ids."""
        rows = self._client.query(
            self._collection,
            "" if after is None else f"{ID} > {{after}}",
            self._fields(with_vectors=False),
            filter_params=None if after is None else {"after": after},
            limit=_READ_AT_ONCE,
        )
        return [as_document(row) for row in rows]

    def search(
        self,
        query: str,
        k: int = 10,
        mode: Mode = "hybrid",
        filter: Filter = None,
        ranker: Any = None,
        min_relevance: float | None = None,
        explain: bool = False,
        vector: Any = None,
        *,
        filter_params: Mapping[str, Any] | None = None,
        ids: Sequence[str] | str | None = None,
        depth: int | dict[str, int] | None = None,
        with_vectors: bool = False,
    ) -> list[RankedDocument]:
        """The documents that answer a query best.

        Args:
            query: any text; it is never parsed as a query language. May be empty where a
                ``vector`` says what is meant.
            k: how many documents at most; exactly min(k, matches) in dense mode.
            mode: ``"hybrid"`` (by meaning and by words, fused), ``"dense"`` or ``"text"``.
            filter: an expression in which bare names are metadata keys, such as
                ``"year >= 2020 and lang == 'en'"``, or a dict, such as
                ``{"year": {"$gte": 2020}, "$or": [{"lang": "en"}, {"lang": "fr"}]}``.
            ranker: how hybrid mode fuses: ``RRFRanker()`` (the default) or ``WeightedRanker(…)``,
                dense first.
            min_relevance: leave out documents of a smaller relevance.
            explain: whether hits say what each leg thought of them.
            vector: (dim,) the query's embedding, if it is known already; then no embedding
                function is needed.
            filter_params: values of the templates ``{x}`` in an expression.
            ids: only these documents may be found.
            depth: how many hits each leg gives to the fusion of hybrid mode: a number, or
                ``{"dense": n, "text": m}``; max(100, 4k) if it is left out.
            with_vectors: whether hits carry their embeddings; a store without vectors has none.

        Raises:
            ParamError: if an argument is wrong; FilterError: if the filter is.
            EmbeddingMismatchError: if the mode needs a model and the store has none.
        """
        if min_relevance is not None:
            min_relevance = number("min_relevance", min_relevance, 0, 1)
        search = make_search(
            query, mode, k, ranker, depth, explain=explain,
            scope=make_scope(filter, ids, filter_params),
            fields=self._fields(with_vectors=with_vectors),
        )  # fmt: skip
        embedded = None if search.mode == "text" else self._query_vector(search.query, vector)
        hits = run(self._client, self._collection, search, embedded)
        return [h for h in hits if min_relevance is None or h.relevance >= min_relevance]

    def search_mmr(
        self,
        query: str,
        k: int = 10,
        fetch_k: int = 50,
        lambda_mult: float = 0.5,
        mode: Mode = "hybrid",
        filter: Filter = None,
        ranker: Any = None,
        vector: Any = None,
        *,
        filter_params: Mapping[str, Any] | None = None,
        ids: Sequence[str] | str | None = None,
        explain: bool = False,
    ) -> list[RankedDocument]:
        """Documents that answer a query and are unlike each other (maximal marginal relevance).

        Of the first ``fetch_k`` documents of the mode's ranking, the first choice is the nearest
        to the query; each further one maximises λ · (its cosine with the query)
        - (1 - λ) · (its greatest cosine with a document chosen before). Carbonell and Goldstein
        (SIGIR 1998). Every mode needs the query's vector for this, ``"text"`` included.

        Args:
            query: as for ``search``.
            k: how many documents at most.
            fetch_k: how many to choose from; never fewer than ``k``.
            lambda_mult: λ, from 0 (only unlike each other) to 1 (only near the query).
            mode: whose ranking is chosen from.
            filter: as for ``search``.
            ranker: as for ``search``.
            vector: (dim,) the query's embedding, if it is known already.
            filter_params: values of the templates ``{x}`` in an expression.
            ids: only these documents may be found.
            explain: whether hits say what each leg thought of them.

        Returns:
            The documents in the order of the choice, with their vectors; scores, relevances and
            explanations are those of the mode's ranking.

        Raises:
            ParamError, FilterError, EmbeddingMismatchError: as for ``search``.
        """
        lambda_mult = float(number("lambda_mult", lambda_mult, 0, 1))
        k, fetched = whole("k", k, 1), whole("fetch_k", fetch_k, 1)
        search = make_search(
            query, mode, max(k, fetched), ranker, explain=explain,
            scope=make_scope(filter, ids, filter_params),
            fields=self._fields(with_vectors=True),
        )  # fmt: skip
        embedded = self._query_vector(search.query, vector)
        hits = run(self._client, self._collection, search, embedded)
        vectors = np.array([hit.vector for hit in hits])
        return [hits[i] for i in mmr(embedded[0], vectors, k, lambda_mult)]
