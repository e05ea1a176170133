"""``DocumentStore``: text in, ranked documents out."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.client import MilvusClient, Worker, twin, whole
from elanus.documents._collection import (
    ID,
    METADATA,
    TERMS,
    TEXT,
    VECTOR,
    open_collection,
)
from elanus.documents._input import (
    check_embedding,
    check_min_relevance,
    checked_documents,
    checked_vectors,
)
from elanus.documents._progress import ProgressBar
from elanus.documents._results import (
    as_document,
    best_score,
    ranked_by_both,
    ranked_by_one,
    without_explanation,
)
from elanus.documents._values import MODES, Document, EmbeddingFunction, Mode, RankedDocument
from elanus.errors import EmbeddingMismatchError, ParamError
from elanus.query import filter_from_dict, rebase_names
from elanus.schema import AnnSearchRequest, as_ranker

Filter = str | Mapping[str, Any] | None

_EMBEDDED_AT_ONCE = 128
_READ_AT_ONCE = 1000
_LEAST_DEPTH = 100
_FIELDS = [ID, TEXT, METADATA]


class DocumentStore:
    """Documents in one file, found by meaning, by words, or by both.

    Args:
        uri: path of the file (``str`` or ``Path``), or ``":memory:"``.
        embedding: any object with ``encode_documents``, ``encode_queries``, ``dim`` and ``name``.
            Its name and dimension are kept in the file. None makes a store that is searched by
            words only, or opens an existing one without its model.
        collection: name of the collection in the file.
        analyzer: how text is split into terms: ``"english"`` (the default of a new collection),
            ``"standard"``, ``"chinese"``, … or Milvus's ``analyzer_params``.
        client: a client to use instead of opening ``uri``; it is not closed with the store.
        **options: as for ``MilvusClient``: ``read_only``, ``durability``, ``timeout``, ``journal``.

    Raises:
        EmbeddingMismatchError: if the file was filled by another model; names both.
        StorageError: if the file cannot be opened.

    Example:
        >>> with DocumentStore(":memory:", embedding=None) as store:
        ...     _ = store.add(["Kites hover.", "Owls sleep by day."], ids=["kite", "owl"])
        ...     [hit.id for hit in store.search("hovering kite", mode="text")]
        ['kite']
    """

    def __init__(
        self,
        uri: str | os.PathLike[str] = "./elanus.db",
        embedding: EmbeddingFunction | None = None,
        collection: str = "documents",
        analyzer: Any = None,
        *,
        client: MilvusClient | None = None,
        **options: Any,
    ) -> None:
        if embedding is not None:
            check_embedding(embedding)
        if client is not None and options:
            raise ParamError(f"give a client or the options {sorted(options)}, not both")
        self._owns_client = client is None
        self._client = MilvusClient(uri, **options) if client is None else client
        self._collection = collection
        self._embedding = embedding
        self._worker = Worker("elanus-documents")
        try:
            self._layout = open_collection(self._client, collection, embedding, analyzer)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> DocumentStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"DocumentStore({self._client!r}, collection={self._collection!r})"

    @property
    def client(self) -> MilvusClient:
        """The client underneath."""
        return self._client

    @property
    def embedding(self) -> EmbeddingFunction | None:
        """The embedding function that the store was opened with."""
        return self._embedding

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        if self._owns_client:
            self._client.close()
        self._worker.close()

    def verify(self) -> list[str]:
        """Check the whole file against itself; the faults found, none if it is sound."""
        return self._client.verify()

    # --- writing ---------------------------------------------------------------------------

    def add(
        self,
        texts: Sequence[str],
        metadatas: Sequence[Mapping[str, Any] | None] | None = None,
        ids: Sequence[str | None] | None = None,
        vectors: Any = None,
        progress: bool = False,
    ) -> list[str]:
        """Add documents; one whose id exists is replaced.

        Everything is checked before the first text is embedded. Documents are committed as they
        are embedded, so that an interrupted call loses no vector that was computed; with
        ``vectors``, or without an embedding, all are committed at once or none.

        Args:
            texts: one text a document.
            metadatas: JSON values under string keys, one dict a document.
            ids: one string a document; None makes one.
            vectors: (n, dim) their embeddings, if they are known already.
            progress: show a progress bar on standard error.

        Returns:
            The ids, in order.

        Raises:
            DataNotMatchException: naming the document and the rule broken; nothing is written.
        """
        documents = checked_documents(texts, metadatas, ids)
        rows = [
            {ID: uuid.uuid4().hex if d.id is None else d.id, TEXT: d.text, METADATA: d.metadata}
            for d in documents
        ]
        if vectors is None and self._layout.model is not None:
            self._add_embedding(rows, progress=progress)
        else:
            self._add_at_once(rows, vectors)
        return [str(row[ID]) for row in rows]

    def _add_at_once(self, rows: list[dict[str, Any]], vectors: Any) -> None:
        if vectors is not None:
            dim = self._needed_dim()
            for row, vector in zip(rows, checked_vectors(vectors, len(rows), dim), strict=True):
                row[VECTOR] = vector
        self._client.upsert(self._collection, rows)

    def _add_embedding(self, rows: list[dict[str, Any]], *, progress: bool) -> None:
        embedding = self._needed_embedding()
        bar = ProgressBar(len(rows), shown=progress)
        for start in range(0, len(rows), _EMBEDDED_AT_ONCE):
            part = rows[start : start + _EMBEDDED_AT_ONCE]
            vectors = embedding.encode_documents([row[TEXT] for row in part])
            self._add_at_once(part, vectors)
            bar.show(start + len(part))

    def delete(self, ids: Sequence[str] | str | None = None, *, filter: Filter = None) -> int:
        """Delete documents by id or by filter; how many there were.

        Args:
            ids: one id or several.
            filter: an expression over metadata keys, or a dict; give either this or ``ids``.

        Raises:
            ParamError: if neither or both are given.
        """
        if (ids is None) == (not filter):
            raise ParamError("delete: give either ids or a filter")
        if ids is not None:
            return self._client.delete(self._collection, ids=ids)["delete_count"]
        text, params = _expression(filter)
        found = self._client.delete(self._collection, filter=text, filter_params=params)
        return found["delete_count"]

    # --- reading ---------------------------------------------------------------------------

    def get(self, ids: Sequence[str] | str) -> list[Document]:
        """Documents by id, in the order of ``ids``; those that do not exist are left out."""
        return [as_document(row) for row in self._client.get(self._collection, ids, _FIELDS)]

    def count(self, filter: Filter = None) -> int:
        """Number of documents, or of those that a filter lets pass."""
        text, params = _expression(filter)
        found = self._client.query(self._collection, text, ["count(*)"], filter_params=params)
        return int(found[0]["count(*)"])

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        # Without this, an empty store would be false.
        return True

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
            _FIELDS,
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
    ) -> list[RankedDocument]:
        """The documents that answer a query best.

        Args:
            query: any text; it is never parsed as a query language.
            k: how many documents at most; exactly min(k, matches) in dense mode.
            mode: ``"hybrid"`` (by meaning and by words, fused), ``"dense"`` or ``"text"``.
            filter: an expression in which bare names are metadata keys, such as
                ``"year >= 2020 and lang == 'en'"``, or a dict, such as
                ``{"year": {"$gte": 2020}, "$or": [{"lang": "en"}, {"lang": "fr"}]}``.
            ranker: how hybrid mode fuses: ``RRFRanker()`` (the default) or ``WeightedRanker(…)``,
                dense first.
            min_relevance: leave out documents of a smaller relevance.
            explain: whether hits say what each leg thought of them.
            vector: (dim,) the query's embedding, if it is known already.

        Raises:
            ParamError: if an argument is wrong; FilterError: if the filter is.
            EmbeddingMismatchError: if the mode needs a model and the store has none.
        """
        if mode not in MODES:
            raise ParamError(f"mode must be one of {', '.join(MODES)}; got {mode!r}")
        if not isinstance(query, str):
            raise ParamError(f"query must be a string, got {query!r}")
        check_min_relevance(min_relevance)
        k = whole("k", k, 1)
        text, params = _expression(filter)
        scope = {"filter": text, "filter_params": params}
        if mode == "hybrid":
            hits = self._search_both(query, self._query_vector(query, vector), k, ranker, scope)
        elif mode == "dense":
            hits = self._search_one(VECTOR, self._query_vector(query, vector), k, scope)
        else:
            hits = self._search_one(TERMS, [query], k, scope)
        if not explain:
            hits = [without_explanation(hit) for hit in hits]
        return [h for h in hits if min_relevance is None or h.relevance >= min_relevance]

    def _query_vector(self, query: str, vector: Any) -> NDArray[np.float32]:
        if vector is not None:
            return checked_vectors([vector], 1, self._needed_dim())
        return checked_vectors(
            self._needed_embedding().encode_queries([query]), 1, self._needed_dim()
        )

    def _search_one(
        self, field: str, data: Any, k: int, scope: Mapping[str, Any]
    ) -> list[RankedDocument]:
        (found,) = self._client.search(
            self._collection, data, limit=k, output_fields=_FIELDS, anns_field=field, **scope
        )
        return [ranked_by_one(field, rank, hit) for rank, hit in enumerate(found, 1)]

    def _search_both(
        self, query: str, vector: Any, k: int, ranker: Any, scope: Mapping[str, Any]
    ) -> list[RankedDocument]:
        fusion = as_ranker(ranker)
        depth = max(_LEAST_DEPTH, 4 * k)
        requests = [
            AnnSearchRequest(vector, VECTOR, {}, depth),
            AnnSearchRequest([query], TERMS, {}, depth),
        ]
        (found,) = self._client.hybrid_search(
            self._collection, requests, fusion, k, _FIELDS, explain=True, **scope
        )
        best = best_score(fusion, len(requests))
        return [ranked_by_both(hit, best) for hit in found]

    # --- asynchronous twins ----------------------------------------------------------------

    @property
    def blocking(self) -> DocumentStore:
        """The object whose calls the coroutines run: this one."""
        return self

    @property
    def worker(self) -> Worker:
        """The threads that the coroutines run calls on."""
        return self._worker

    aadd = twin(add)
    adelete = twin(delete)
    aget = twin(get)
    acount = twin(count)
    asearch = twin(search)
    averify = twin(verify)

    async def aclose(self) -> None:
        """Release the file; a second call does nothing."""
        await asyncio.to_thread(self.close)

    async def __aenter__(self) -> DocumentStore:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def __aiter__(self) -> AsyncIterator[Document]:
        """All documents in the order of their ids; see ``__iter__``."""
        page = await self._worker.run(self._page, None)
        while page:
            for document in page:
                yield document
            page = await self._worker.run(self._page, page[-1].id)

    # --- parts -----------------------------------------------------------------------------

    def _needed_embedding(self) -> EmbeddingFunction:
        if self._embedding is None:
            raise EmbeddingMismatchError(
                f"{self!r} was opened without an embedding function, and holds vectors of "
                f"{self._layout.model!r}: open it with that model"
                if self._layout.model
                else f"{self!r} has no embedding function: make it with one, or search with "
                "mode='text'"
            )
        return self._embedding

    def _needed_dim(self) -> int:
        if self._layout.dim is None:
            raise EmbeddingMismatchError(
                f"{self!r} was made without an embedding function: it holds no vectors"
            )
        return self._layout.dim


def _expression(filter: Filter) -> tuple[str, dict[str, Any]]:
    """The client's filter for one over metadata keys."""
    if filter is None or filter == "":
        return "", {}
    if isinstance(filter, str):
        return rebase_names(filter, METADATA, {TEXT}), {}
    if isinstance(filter, Mapping):
        return filter_from_dict(filter, METADATA)
    raise ParamError(f"filter must be an expression or a dict, got {filter!r}")
