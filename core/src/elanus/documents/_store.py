"""``DocumentStore``: text in, ranked documents out."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.aio import HasWorker, Worker, in_thread, twin
from elanus.client import MilvusClient
from elanus.documents._collection import (
    FIELDS,
    ID,
    METADATA,
    TEXT,
    VECTOR,
    as_document,
    lacks_model,
    lacks_vectors,
    open_client,
    open_collection,
)
from elanus.documents._input import (
    NewDocument,
    check_embedding,
    checked_documents,
    checked_ids,
)
from elanus.documents._scope import Filter, make_scope, selects
from elanus.documents._search import find, make_search
from elanus.documents._values import Document, EmbeddingFunction, Mode, RankedDocument
from elanus.errors import EmbeddingError, ParamError, quoted, shown
from elanus.progress import ProgressBar
from elanus.query import mmr
from elanus.schema import as_query, checked_vectors, flag, number, text, whole

_EMBEDDED_AT_ONCE = 128
_READ_AT_ONCE = 1000


class DocumentStore(HasWorker):
    """Documents in one file, found by meaning, by words, or by both.

    Args:
        uri: path of the file (``str`` or ``Path``), or ``":memory:"``; ``./elanus.db`` if it is
            left out.
        embedding: any object with ``encode_documents``, ``encode_queries``, ``dim`` and ``name``.
            Its name and dimension are kept in the file. None opens an existing store without its
            model, or makes one that is searched by words only, or by given vectors (``dim``).
        collection: name of the collection in the file.
        analyzer: how text is split into terms: ``"english"`` (the default of a new collection),
            ``"standard"``, ``"chinese"``, … or Milvus's ``analyzer_params``.
        dim: makes a store for vectors that the caller always gives, to ``add`` and to ``search``.
            Such a store names no model: it can be opened with any embedding of this dimension.
        client: a client to use instead of opening ``uri``; it is not closed with the store.
        **options: as for ``MilvusClient``: ``read_only``, ``durability``, ``timeout``, ``journal``.

    Raises:
        EmbeddingMismatchError: if the file was filled by another model, or has vectors of another
            dimension; names both.
        StorageError: if the file cannot be opened.

    A filter is an expression in which bare names are metadata keys (``"year >= 2020 and lang ==
    'en'"``), or a dict in the manner of MongoDB: ``{"key": value}`` or ``{"key": {"$op": value}}``.
    Its operators are ``$eq $ne $in $nin`` (None equals a missing key as well as null), ``$gt $gte
    $lt $lte``, ``$like`` (``%`` and ``_``), ``$regex``, ``$substring``, ``$isubstring`` (in any
    case), ``$contains $any $all`` (of arrays), ``$exists $empty`` (True or False; empty is missing,
    null, ``""`` or ``[]``) and ``$not``; dicts are joined by ``$and $or $nor $not``, and a key that
    begins with ``$`` is written with one more. A key that is
    missing or of another type does not match, and a negation finds exactly what its opposite does
    not. Values are bound and never parsed.

    Example:
        >>> with DocumentStore(":memory:", embedding=None) as store:
        ...     _ = store.add(["Kites hover.", "Owls sleep by day."], ids=["kite", "owl"])
        ...     [hit.id for hit in store.search("hovering kite", mode="text")]
        ['kite']
    """

    def __init__(
        self,
        uri: str | os.PathLike[str] | None = None,
        embedding: EmbeddingFunction | None = None,
        collection: str = "documents",
        analyzer: Any = None,
        *,
        dim: int | None = None,
        client: MilvusClient | None = None,
        **options: Any,
    ) -> None:
        if embedding is not None:
            check_embedding(embedding)
        dim = None if dim is None else whole("dim", dim, 1)
        if embedding is not None and dim not in (None, embedding.dim):
            raise ParamError(
                f"dim={dim}, but embedding {quoted(embedding.name)} has {embedding.dim}"
            )
        self._client = open_client(uri, client, options)
        self._owns_client = client is None
        self._embedding = embedding
        self._worker = Worker("elanus-documents")
        try:
            self._collection = text("collection", collection)
            self._layout = open_collection(self._client, collection, embedding, dim, analyzer)
        except BaseException:
            self.close()
            raise
        self._all_fields = FIELDS if self._layout.dim is None else (*FIELDS, VECTOR)

    def __repr__(self) -> str:
        return f"DocumentStore({self._client!r}, collection={quoted(self._collection)})"

    @property
    def client(self) -> MilvusClient:
        """The client underneath."""
        return self._client

    @property
    def collection(self) -> str:
        """Name of the collection in the file."""
        return self._collection

    @property
    def embedding(self) -> EmbeddingFunction | None:
        """The embedding function that the store was opened with."""
        return self._embedding

    @property
    def dim(self) -> int | None:
        """Number of components of the stored vectors; None if the store has none."""
        return self._layout.dim

    def __enter__(self) -> DocumentStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

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
            EmbeddingError: naming the text, if the embedding function fails with one.
            ParamError: if an argument is of another type.
        """
        progress = flag("progress", progress)
        must_embed = vectors is None and self._layout.dim is not None
        documents = (
            self._checked(texts, metadatas, ids)
            if must_embed
            else checked_documents(texts, metadatas, ids)
        )
        rows = [
            {ID: uuid.uuid4().hex if d.id is None else d.id, TEXT: d.text, METADATA: d.metadata}
            for d in documents
        ]
        if rows and must_embed:
            self._add_embedding(rows, progress=progress)
        else:
            self._add_at_once(rows, vectors)
        return [str(row[ID]) for row in rows]

    def check_add(
        self,
        texts: Sequence[str],
        metadatas: Sequence[Mapping[str, Any] | None] | None = None,
        ids: Sequence[str | None] | None = None,
    ) -> None:
        """Raise what ``add`` raises before it embeds; for whoever embeds on his own.

        Raises:
            DataNotMatchException, ParamError: as for ``add``.
            ReadOnlyError, ClosedError, CollectionNotFoundError: if nothing can be added.
        """
        self._checked(texts, metadatas, ids)

    def _checked(self, texts: Any, metadatas: Any, ids: Any) -> list[NewDocument]:
        documents = checked_documents(texts, metadatas, ids)
        if documents:
            self._client.check_writable()
            self._client.check_readable(self._collection)  # it may have been dropped
        return documents

    def _add_at_once(
        self, rows: list[dict[str, Any]], vectors: Any, source: str = "vectors"
    ) -> None:
        if vectors is not None or source != "vectors":
            if self._layout.dim is None:
                raise lacks_vectors(self)
            matrix = checked_vectors(source, vectors, len(rows), self._layout.dim)
            for row, vector in zip(rows, matrix, strict=True):
                row[VECTOR] = vector
        self._client.upsert(self._collection, rows)

    def _add_embedding(self, rows: list[dict[str, Any]], *, progress: bool) -> None:
        embedding = self._embedding
        if embedding is None:
            raise lacks_model(self, self._layout)
        bar = ProgressBar(len(rows), "documents", shown=progress, timed=True)
        for start in range(0, len(rows), _EMBEDDED_AT_ONCE):
            part = rows[start : start + _EMBEDDED_AT_ONCE]
            places = range(start, start + len(part))
            try:
                vectors = embedding.encode_documents([row[TEXT] for row in part])
            except EmbeddingError as error:
                error.renumber(places)
                raise
            source = f"{embedding.name}.encode_documents(texts[{start}:{places.stop}])"
            self._add_at_once(part, vectors, source)
            bar.add(len(part))

    def delete(
        self,
        ids: Sequence[str] | str | None = None,
        *,
        filter: Filter = None,
        filter_params: Mapping[str, Any] | None = None,
    ) -> int:
        """Delete documents by id, by filter, or by both; how many there were.

        Args:
            ids: one id or several.
            filter: an expression over metadata keys, or a dict; beside ``ids``, only those of
                them that it lets pass are deleted.
            filter_params: values of the templates ``{x}`` in an expression.

        Raises:
            ParamError: if neither is given: to delete all, ``clear``.
        """
        if ids is None and not selects(filter):
            raise ParamError("delete: give ids, a filter, or both; to delete all, use clear()")
        if selects(filter):
            found = self._client.delete(
                self._collection, filter=make_scope(filter, ids, filter_params)
            )
        else:
            found = self._client.delete(self._collection, ids=checked_ids(ids))
        return found["delete_count"]

    def clear(self) -> None:
        """Delete all documents; what the store was made with stays."""
        self._client.truncate_collection(self._collection)

    # --- reading ---------------------------------------------------------------------------

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
        fields = self._all_fields if flag("with_vectors", with_vectors) else FIELDS
        if selects(filter):
            rows = self._client.query(
                self._collection,
                output_fields=fields,
                filter=make_scope(filter, ids, filter_params),
            )
        else:
            rows = self._client.get(self._collection, checked_ids(ids), fields)
        return [as_document(row) for row in rows]

    def count(
        self, filter: Filter = None, *, filter_params: Mapping[str, Any] | None = None
    ) -> int:
        """Number of documents, or of those that a filter lets pass."""
        found = self._client.query(
            self._collection,
            output_fields=["count(*)"],
            filter=make_scope(filter, None, filter_params),
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
            FIELDS,
            filter_params=None if after is None else {"after": after},
            limit=_READ_AT_ONCE,
        )
        return [as_document(row) for row in rows]

    # --- searching -------------------------------------------------------------------------

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
            fields=self._all_fields, with_vectors=with_vectors,
        )  # fmt: skip
        embedded = None if search.mode == "text" else self._query_vector(search.query, vector)
        hits = find(self._client, self._collection, search, embedded)
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
            fields=self._all_fields, with_vectors=True,
        )  # fmt: skip
        embedded = self._query_vector(search.query, vector)
        hits = find(self._client, self._collection, search, embedded)
        vectors = np.array([hit.vector for hit in hits])
        return [hits[i] for i in mmr(embedded[0], vectors, k, lambda_mult)]

    def check_search(
        self,
        query: str,
        k: int = 10,
        mode: Mode = "hybrid",
        filter: Filter = None,
        ranker: Any = None,
        *,
        filter_params: Mapping[str, Any] | None = None,
        ids: Sequence[str] | str | None = None,
        depth: int | dict[str, int] | None = None,
    ) -> None:
        """Raise what ``search`` raises before it embeds; for whoever embeds on his own.

        Raises:
            ParamError, FilterError: as for ``search``.
            ClosedError, CollectionNotFoundError: if nothing can be found.
        """
        make_search(
            query, mode, k, ranker, depth, explain=False,
            scope=make_scope(filter, ids, filter_params), fields=FIELDS,
        )  # fmt: skip
        self._client.check_readable(self._collection)

    def _query_vector(self, query: str, vector: Any) -> NDArray[np.float32]:
        """The query's embedding (1, dim): the given one, or the model's."""
        dim, embedding = self._layout.dim, self._embedding
        if dim is None:
            raise lacks_vectors(self)
        if vector is not None:
            return checked_vectors("vector", [vector], 1, dim)
        if embedding is None:
            raise lacks_model(self, self._layout)
        # Closed, or dropped: to be known before the query is paid for.
        self._client.check_readable(self._collection)
        found = embedding.encode_queries([as_query("query", query)])
        return checked_vectors(f"{embedding.name}.encode_queries", found, 1, dim)

    # --- asynchronous twins ----------------------------------------------------------------

    aadd = twin(add)
    acheck_add = twin(check_add)
    adelete = twin(delete)
    aclear = twin(clear)
    aget = twin(get)
    acount = twin(count)
    asearch = twin(search)
    asearch_mmr = twin(search_mmr)
    acheck_search = twin(check_search)
    averify = twin(verify)

    async def aclose(self) -> None:
        """Release the file; a second call does nothing."""
        await in_thread(self.close)

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
