"""``DocumentStore``: text in, ranked documents out."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from elanus.client import Worker, in_thread, twin
from elanus.documents._collection import ID, METADATA, TEXT, VECTOR
from elanus.documents._input import checked_documents, checked_ids, checked_vectors
from elanus.documents._progress import ProgressBar
from elanus.documents._reading import ReadingCalls
from elanus.documents._scope import Filter, make_scope, selects
from elanus.documents._values import Document
from elanus.errors import EmbeddingError, ParamError
from elanus.schema import flag

_EMBEDDED_AT_ONCE = 128


class DocumentStore(ReadingCalls):
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

    def __enter__(self) -> DocumentStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

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
        documents = checked_documents(texts, metadatas, ids)
        rows = [
            {ID: uuid.uuid4().hex if d.id is None else d.id, TEXT: d.text, METADATA: d.metadata}
            for d in documents
        ]
        if rows and vectors is None and self._layout.dim is not None:
            self._add_embedding(rows, progress=progress)
        else:
            self._add_at_once(rows, vectors)
        return [str(row[ID]) for row in rows]

    def _add_at_once(
        self, rows: list[dict[str, Any]], vectors: Any, source: str = "vectors"
    ) -> None:
        if vectors is not None or source != "vectors":
            matrix = checked_vectors(vectors, len(rows), self._needed_dim(), source)
            for row, vector in zip(rows, matrix, strict=True):
                row[VECTOR] = vector
        self._client.upsert(self._collection, rows)

    def _add_embedding(self, rows: list[dict[str, Any]], *, progress: bool) -> None:
        embedding = self._needed_embedding()
        bar = ProgressBar(len(rows), shown=progress)
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
            bar.show(start + len(part))

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
            found = self._client.delete(self._collection, **make_scope(filter, ids, filter_params))
        else:
            found = self._client.delete(self._collection, ids=checked_ids(ids))
        return found["delete_count"]

    def clear(self) -> None:
        """Delete all documents; what the store was made with stays."""
        self._client.truncate_collection(self._collection)

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
    aclear = twin(clear)
    aget = twin(ReadingCalls.get)
    acount = twin(ReadingCalls.count)
    asearch = twin(ReadingCalls.search)
    asearch_mmr = twin(ReadingCalls.search_mmr)
    averify = twin(ReadingCalls.verify)

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
