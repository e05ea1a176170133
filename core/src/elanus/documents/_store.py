"""``DocumentStore``: text in, ranked documents out."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

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
    ClientOptions,
    as_document,
    check_same,
    checked_title,
    lacks_model,
    lacks_vectors,
    open_client,
    open_collection,
)
from elanus.documents._embed import Embedder
from elanus.documents._highlight import Fragment, fragments
from elanus.documents._input import (
    Ids,
    NewDocument,
    check_embedding,
    checked_documents,
    checked_ids,
    checked_values,
    is_by_content,
    warn_repeated,
)
from elanus.documents._overview import StoreStats, facets_of, keys_of, stats_of
from elanus.documents._sync import (
    StoredSource,
    SyncReport,
    checked_source,
    embedded,
    rows_of,
    without_stored,
)
from elanus.documents._unknown import refuse_unknown
from elanus.documents._values import Document, EmbeddingFunction, Mode, RankedDocument
from elanus.documents.search._find import find, make_search, worths
from elanus.documents.search._scope import Filter, make_scope, selects
from elanus.documents.search._settings import (
    USUAL_TITLE_BOOST,
    SearchSettings,
    check_titles,
    checked_settings,
    keep_settings,
    usual_settings,
)
from elanus.documents.search._wording import Wording
from elanus.errors import ElanusError, EmbeddingError, ParamError, quoted, shown
from elanus.notebook import described
from elanus.progress import ProgressBar
from elanus.query import mmr
from elanus.schema import (
    Nothing,
    as_query,
    checked_vectors,
    flag,
    is_blank,
    number,
    refuse,
    text,
    whole,
)

if TYPE_CHECKING:
    # Type checkers have it built in, also those that check for a Python before 3.11; nothing that
    # runs needs it.
    from typing_extensions import Unpack

_READ_AT_ONCE = 1000


class DocumentStore(HasWorker):
    """Documents in one file, found by meaning, by words, or by both.

    Args:
        uri: path of the file (``str`` or ``Path``), or ``":memory:"``; ``./elanus.db`` if it is
            left out.
        embedding: any object with ``encode_documents``, ``encode_queries``, ``dim`` and ``name``.
            Its name and dimension are kept in the file. It may have ``adaptive_weight``: that of
            ``AdaptiveRanker`` where the file keeps none. None opens an existing store without its
            model, or makes one that is searched by words only, or by given vectors (``dim``).
        collection: name of the collection in the file.
        analyzer: how text is split into terms: ``"multilingual"`` (for a new collection),
            ``"english"``, ``"standard"``, ``"chinese"``, … or Milvus's ``analyzer_params``. A
            collection keeps the one that it was made with.
        dim: makes a store for vectors that the caller always gives, to ``add`` and to ``search``.
            Such a store names no model: it can be opened with any embedding of this dimension.
        title: for a new collection: the metadata key whose text the search by words finds too,
            with ``SearchSettings.title_boost``; one of the metadata's own keys, as it is written
            (``"a.b"`` leads into no nested dict). A collection keeps the one that it was made with.
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
    begins with ``$`` is written with one more. ``$text`` stands for the document's own text, and
    takes ``$phrase`` too. ``{"a.b": 1}`` and ``{"a": {"b": 1}}`` lead into nested dicts. A key that
    is missing or of another type does not match, and a negation finds exactly what its opposite
    does not. Values are bound and never parsed.

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
        title: str | None = None,
        client: MilvusClient | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        if embedding is not None:
            check_embedding(embedding)
        dim = None if dim is None else whole("dim", dim, 1)
        if embedding is not None and dim not in (None, embedding.dim):
            raise ParamError(
                f"dim={dim}, but embedding {quoted(embedding.name)} has {embedding.dim}"
            )
        self._usual = usual_settings(embedding)
        self._embedder = None if embedding is None else Embedder(embedding, embedding.dim)
        self._client = open_client(uri, client, options)
        self._owns_client = client is None
        self._embedding = embedding
        self._worker = Worker("elanus-documents")
        try:
            self._collection = text("collection", collection)
            self._layout = open_collection(
                self._client, collection, embedding, dim, analyzer,
                checked_title(title),
            )  # fmt: skip
        except BaseException:
            self.close()
            raise
        if self._layout.title is not None:
            self._usual = replace(self._usual, title_boost=USUAL_TITLE_BOOST)
        self._known: Mapping[str, Any] = {}  # properties that were compared with the layout
        self._all_fields = FIELDS if self._layout.dim is None else (*FIELDS, VECTOR)

    def __repr__(self) -> str:
        title = "" if self._layout.title is None else f", title={quoted(self._layout.title)}"
        return f"DocumentStore({self._client!r}, collection={quoted(self._collection)}{title})"

    def _repr_html_(self) -> str:
        """What is in the store, for notebooks; why it cannot be read, if so."""
        try:
            stats = self.stats()
        except ElanusError as error:
            return described(repr(self), [("error", error)])
        return described(
            repr(self),
            [
                ("documents", f"{stats.documents:,}"),
                ("model", stats.model or "none is named"),
                ("dimension", stats.dim or "no vectors"),
                ("title", "no titles" if stats.title is None else stats.title),
                ("file", f"{stats.file_size:,} bytes"),
            ],
        )

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
        ids: Ids = None,
        vectors: Any = None,
        progress: bool = False,
        **unknown: Unpack[Nothing],
    ) -> list[str]:
        """Add documents; one whose id exists is replaced.

        Of several with one id in a call the last is kept, with a warning (``ElanusWarning``).
        Everything is checked before the first text is embedded. Documents are committed as they
        are embedded, so that an interrupted call loses no vector that was computed; with
        ``vectors``, or without an embedding, all are committed at once or none.

        A blank text is not embedded, has the vector zero, and is found by no vector. One that is
        longer than the model reads is embedded by its parts, if the function splits it, and has the
        mean of their vectors; the first call with such texts warns (``LongTextWarning``).

        Args:
            texts: one text a document. Surrogates, which no file can hold, are joined or replaced
                by U+FFFD, with a warning.
            metadatas: JSON values under string keys, one dict a document; surrogates as in texts.
            ids: one string a document; None makes one. ``"content"`` makes all of them from text
                and metadata, so that a document added twice is one; it is not embedded again.
            vectors: (n, dim) their embeddings, if they are known already.
            progress: show a progress bar on standard error.

        Returns:
            The ids, in order.

        Raises:
            DataNotMatchException: naming the document and the rule broken; nothing is written.
            EmbeddingError: if the embedding function fails; names the text and its id, or those
                that it was given at once.
            ParamError: if an argument is of another type.
        """
        if unknown:
            refuse_unknown(self.add, unknown)
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
        made = [str(row[ID]) for row in rows]
        if not is_by_content(ids):
            warn_repeated(made)
        elif must_embed:
            rows = without_stored(self._client, self._collection, rows)
        if rows and must_embed:
            try:
                self._add_embedding(rows, progress=progress)
            except EmbeddingError as error:
                error.name_ids([d.id for d in documents])
                raise
        else:
            self._add_at_once(rows, vectors)
        return made

    def check_add(
        self,
        texts: Sequence[str],
        metadatas: Sequence[Mapping[str, Any] | None] | None = None,
        ids: Ids = None,
        **unknown: Unpack[Nothing],
    ) -> None:
        """Raise what ``add`` raises before it embeds; for whoever embeds on his own.

        Raises:
            DataNotMatchException, ParamError: as for ``add``.
            ReadOnlyError, ClosedError, CollectionNotFoundError: if nothing can be added.
        """
        if unknown:
            refuse_unknown(self.check_add, unknown)
        self._checked(texts, metadatas, ids)

    def _checked(self, texts: Any, metadatas: Any, ids: Any) -> list[NewDocument]:
        documents = checked_documents(texts, metadatas, ids)
        if documents:
            self._client.check_writable()
            self._kept()  # it may have been dropped
        return documents

    def _add_at_once(self, rows: list[dict[str, Any]], vectors: Any) -> None:
        self._enter_vectors(rows, vectors)
        self._kept()
        if self._layout.title is not None:
            self._layout.enter_titles(rows)
        self._client.upsert(self._collection, rows)

    def _enter_vectors(self, rows: Sequence[dict[str, Any]], vectors: Any) -> None:
        if vectors is not None:
            if self._layout.dim is None:
                raise lacks_vectors(self)
            matrix = checked_vectors("vectors", vectors, len(rows), self._layout.dim)
            for row, vector in zip(rows, matrix, strict=True):
                row[VECTOR] = vector

    def _add_embedding(self, rows: list[dict[str, Any]], *, progress: bool) -> None:
        if self._embedder is None:
            raise lacks_model(self, self._layout)
        bar = ProgressBar(len(rows), "documents", shown=progress, timed=True)
        for part, vectors in self._embedder.batches([row[TEXT] for row in rows]):
            self._add_at_once(rows[part], vectors)
            bar.add(len(vectors))

    def sync(
        self,
        source: str,
        texts: Sequence[str],
        metadatas: Sequence[Mapping[str, Any] | None] | None = None,
        ids: Sequence[str | None] | None = None,
        vectors: Any = None,
        progress: bool = False,
        **unknown: Unpack[Nothing],
    ) -> SyncReport:
        """Make the documents of one source, such as the chunks of a file, those that are given.

        What is new or changed is written and what is gone is deleted, in one commit. What is there
        already stays untouched, and a text of this source that has a vector is not embedded again.
        A sync that was interrupted has written nothing; the next one does it all.

        Args:
            source: name of the source. The documents get it as ``source`` in their metadata, and
                their places in the list, from 0, as ``position``: keys like all others.
            texts: the texts of all documents of the source, in their order; none deletes them.
            metadatas: as for ``add``.
            ids: one string a document; None makes one of source and text, which stays when other
                documents come and go.
            vectors: (n, dim) their embeddings, if they are known already.
            progress: show a progress bar on standard error.

        Raises:
            DataNotMatchException: naming the document and the rule broken.
            ParamError: if an argument is wrong, or an id is that of another source's document.
            EmbeddingError: if the embedding function fails; names the text, or those that it was
                given at once.
        """
        if unknown:
            refuse_unknown(self.sync, unknown)
        progress, name = flag("progress", progress), checked_source(source)
        rows = rows_of(name, self._checked(texts, metadatas, ids))
        self._client.check_writable()
        stored = StoredSource(self._client, self._collection, name)
        made = [str(row[ID]) for row in rows]
        if vectors is None and stored.is_as(rows):
            return SyncReport(made, unchanged=len(made))
        stored.check_free(rows)
        given = 0
        if vectors is None and self._layout.dim is not None:
            given = self._fill_vectors(rows, stored, progress=progress)
        else:
            self._enter_vectors(rows, vectors)
        self._layout.enter_titles(rows)
        took = self._client.replace(self._collection, rows, stored.filter)
        return SyncReport(
            made, took["upsert_count"], took["unchanged_count"], took["delete_count"], given
        )

    def _fill_vectors(
        self, rows: Sequence[dict[str, Any]], stored: StoredSource, *, progress: bool
    ) -> int:
        """Enter the vectors that are stored, and those of other texts; how many were embedded."""
        first: dict[str, int] = {}
        for place, row in enumerate(rows):
            first.setdefault(row[TEXT], place)
        known = stored.vectors(first.keys())
        missing = {written: place for written, place in first.items() if written not in known}
        if missing:
            if self._embedder is None:
                raise lacks_model(self, self._layout)
            known |= embedded(self._embedder, missing, progress=progress)
        for row in rows:
            row[VECTOR] = known[row[TEXT]]
        return sum(not is_blank(written) for written in missing)

    def update_metadata(
        self,
        ids: Sequence[str] | str | None = None,
        values: Mapping[str, Any] | None = None,
        *,
        remove: Sequence[str] = (),
        filter: Filter = None,
        filter_params: Mapping[str, Any] | None = None,
        **unknown: Unpack[Nothing],
    ) -> int:
        """Set and remove metadata keys of documents, in one commit; how many were selected.

        Texts and vectors stay as they are stored: nothing is embedded again. A key is taken as it
        is written: a dot leads into no nested dict.

        Args:
            ids: one id or several; those that do not exist are left out.
            values: JSON values by key; keys that are not named stay.
            remove: keys to take out, where they are.
            filter: an expression over metadata keys, or a dict; beside ``ids``, only those of
                them that it lets pass are changed.
            filter_params: values of the templates ``{x}`` in an expression.

        Raises:
            ParamError: if neither ids nor a filter is given, or an argument is wrong.
        """
        if unknown:
            refuse_unknown(self.update_metadata, unknown)
        if ids is None and not selects(filter):
            raise ParamError("update_metadata: give ids, a filter, or both")
        changed, copied = checked_values(values), self._layout.copied
        if selects(filter):
            return self._client.change_json(
                self._collection, METADATA, changed, remove,
                filter=make_scope(filter, ids, filter_params), texts=copied,
            )  # fmt: skip
        return self._client.change_json(
            self._collection, METADATA, changed, remove, ids=checked_ids(ids), texts=copied
        )

    def delete(
        self,
        ids: Sequence[str] | str | None = None,
        *,
        filter: Filter = None,
        filter_params: Mapping[str, Any] | None = None,
        **unknown: Unpack[Nothing],
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
        if unknown:
            refuse_unknown(self.delete, unknown)
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

    def configure(self, settings: SearchSettings | None = None, **unknown: Unpack[Nothing]) -> None:
        """Keep settings of searches with the collection, in one commit; None: keep none.

        Whoever has the file open goes by them from the next search on, and so does every later
        opening. A call's own arguments come first, then what is kept, then the embedding function's
        ``adaptive_weight``, then the defaults. No text is read again, and none embedded.

        Args:
            settings: all that is to be kept: what they leave out is kept no longer. What was
                kept before is ``stats().kept``.

        Raises:
            ParamError: if a weight or a depth is to be kept, and the store has no vectors; or a
                title_boost, and it has no titles.
            ReadOnlyError: if the file is open for reading only.
        """
        if unknown:
            refuse_unknown(self.configure, unknown)
        keep_settings(
            self._client, self._collection, checked_settings(settings),
            has_vectors=self._layout.dim is not None, has_titles=self._layout.title is not None,
        )  # fmt: skip

    # --- reading ---------------------------------------------------------------------------

    def get(
        self,
        ids: Sequence[str] | str | None = None,
        *,
        filter: Filter = None,
        filter_params: Mapping[str, Any] | None = None,
        with_vectors: bool = False,
        **unknown: Unpack[Nothing],
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
        if unknown:
            refuse_unknown(self.get, unknown)
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
        self,
        filter: Filter = None,
        *,
        filter_params: Mapping[str, Any] | None = None,
        **unknown: Unpack[Nothing],
    ) -> int:
        """Number of documents, or of those that a filter lets pass."""
        if unknown:
            refuse_unknown(self.count, unknown)
        found = self._client.query(
            self._collection,
            output_fields=["count(*)"],
            filter=make_scope(filter, None, filter_params),
        )
        return int(found[0]["count(*)"])

    def peek(self, n: int = 5, **unknown: Unpack[Nothing]) -> list[Document]:
        """The first documents in the order of their ids, ``n`` at most."""
        if unknown:
            refuse_unknown(self.peek, unknown)
        rows = self._client.query(self._collection, output_fields=FIELDS, limit=whole("n", n, 1))
        return [as_document(row) for row in rows]

    def stats(self) -> StoreStats:
        """Sizes of the store, what it was made with, and the settings of its searches."""
        self._kept()
        return stats_of(self._client, self._collection, self._layout, self._usual)

    def keys(
        self,
        filter: Filter = None,
        *,
        filter_params: Mapping[str, Any] | None = None,
        **unknown: Unpack[Nothing],
    ) -> dict[str, dict[str, int]]:
        """The metadata keys, and in how many documents each has a value of which type.

        Args:
            filter: an expression or a dict; only documents that it lets pass are counted.
            filter_params: values of the templates ``{x}`` in an expression.

        Returns:
            ``{key: {type: documents}}``, the most frequent key first. Types are ``null bool int
            float str list dict``.
        """
        if unknown:
            refuse_unknown(self.keys, unknown)
        return keys_of(self._client, self._collection, make_scope(filter, None, filter_params))

    def facets(
        self,
        key: str | Sequence[str | int],
        filter: Filter = None,
        limit: int | None = None,
        *,
        filter_params: Mapping[str, Any] | None = None,
        **unknown: Unpack[Nothing],
    ) -> list[tuple[Any, int]]:
        """The values of a metadata key, and how many documents have each, the most frequent first.

        A document with a list counts once for each different element. Null is None; documents
        without the key are not counted, nor are dicts. Equal numbers are one value.

        Args:
            key: a metadata key as in a filter dict: ``"a.b"`` leads into nested dicts, where no
                key is called so; or keys and positions, each as it is written: ``["a", "b"]``.
            filter: an expression or a dict; only documents that it lets pass are counted.
            limit: how many values at most; None for all.
            filter_params: values of the templates ``{x}`` in an expression.
        """
        if unknown:
            refuse_unknown(self.facets, unknown)
        scope = make_scope(filter, None, filter_params)
        return facets_of(self._client, self._collection, key, scope, limit)

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        # Without this, an empty store would be false.
        return True

    def __contains__(self, id: object) -> bool:
        """Whether there is a document of this id.

        Raises:
            ParamError: if it is no string.
        """
        if not isinstance(id, str):
            raise ParamError(f"a store holds documents by id: ask for a string, not {shown(id)}")
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
        group_by: str | Sequence[str | int] | None = None,
        reranker: Any = None,
        rerank_top: int = 50,
        context: int = 0,
        settings: SearchSettings | None = None,
        phrases: bool = False,
        prefix: bool = False,
        typos: bool = False,
        **unknown: Unpack[Nothing],
    ) -> list[RankedDocument]:
        """The documents that answer a query best.

        In this order: ``filter`` and ``ids`` say what may be found, the mode and the ranker rank
        it, ``group_by`` leaves the best of each group, ``min_relevance`` leaves out whatever is
        below it among all that the legs found, the reranker orders the first of the rest anew,
        ``k`` are kept, and ``context`` is read.

        Args:
            query: any text; it is never parsed as a query language, but for the quotes of
                ``phrases``. May be empty where a ``vector`` says what is meant.
            k: how many documents at most; exactly min(k, matches) in dense mode, where a document
                whose vector is zero, such as that of a blank text, is no match.
            mode: ``"hybrid"`` (by meaning and by words, fused), ``"dense"`` or ``"text"``.
            filter: an expression in which bare names are metadata keys, such as
                ``"year >= 2020 and lang == 'en'"``, or a dict, such as
                ``{"year": {"$gte": 2020}, "$or": [{"lang": "en"}, {"lang": "fr"}]}``.
            ranker: how hybrid mode fuses: ``AdaptiveRanker()`` (the default), ``RRFRanker()``,
                ``WeightedRanker(…)``, ``MinMaxRanker()``, ``ZScoreRanker()`` or
                ``CombMNZRanker()``; weights are of the dense leg first.
            min_relevance: leave out documents of a smaller relevance; 0.5 leaves those that answer
                the query more likely than not.
            explain: whether hits say what each leg thought of them.
            vector: (dim,) the query's embedding, if it is known already; then no embedding
                function is needed.
            filter_params: values of the templates ``{x}`` in an expression.
            ids: only these documents may be found.
            depth: how many hits each leg gives to the fusion of hybrid mode: a number, or
                ``{"dense": n, "text": m}``; max(100, 4k) if it is left out, or what is kept with
                the collection in place of 100.
            with_vectors: whether hits carry their embeddings; a store without vectors has none.
            group_by: a metadata key, or keys and positions, as for ``facets``. Of the documents
                with the same value only the best is a hit. One without a value there, or with
                null, a list or a dict, stands for itself. Legs look as deep as it takes.
            reranker: a second, slower look at the best hits: an object with ``predict(pairs)``,
                such as sentence-transformers' ``CrossEncoder``, or one that is called as
                ``reranker(query, texts)``, with ``top_k`` if it takes that, such as those of
                ``elanus_embeddings``. It gives a number a text, or results with ``index`` and
                ``score``. The hits' scores are its scores then; relevances stay.
            rerank_top: how many of the best hits it is shown; ``k`` if that is more. Without a
                reranker it is refused.
            context: how many documents before and after each hit come along, as ``before`` and
                ``after``: those of its ``source`` with the next positions, as ``sync`` enters
                them, whatever the filter says.
            settings: to be gone by in this search instead of what is kept with the collection
                (``configure``), where ``ranker`` and ``depth`` say nothing.
            phrases: whether only documents are found that hold what stands between quotes in the
                query (``"…"``, ``“…”``, ``„…“``, ``«…»``, ``「…」``), word for word as the
                analyzer sees them.
            prefix: whether the last word of the query also finds words that begin with it.
            typos: whether a word of four letters or more that no document has also finds those that
                one edit makes of it.

        Raises:
            ParamError: if an argument is wrong; FilterError: if the filter is.
            EmbeddingMismatchError: if the mode needs a model and the store has none.
            EmbeddingError: if the embedding function fails with the query.
            RerankError: if the reranker fails; its ``hits`` are those that it was given.
        """
        if unknown:
            refuse_unknown(self.search, unknown)
        search = make_search(
            query, mode, k, ranker, depth, settings, explain=explain,
            scope=make_scope(filter, ids, filter_params), group_by=group_by,
            fields=self._all_fields, with_vectors=with_vectors,
            wording=Wording(self._layout.analyzer, phrases, prefix, typos),
            reranker=reranker, rerank_top=rerank_top, context=context, min_relevance=min_relevance,
        )  # fmt: skip
        if settings is not None:
            check_titles(settings, has_titles=self._layout.title is not None)
        # Closed, or dropped: to be known before the query is paid for.
        kept = self._kept()
        embedded = None if search.mode == "text" else self._query_vector(search.query, vector)
        hits = find(self._client, self._collection, search, embedded, self._usual, kept)
        if search.second is None:
            return hits
        best = search.second.ordered(search.query, hits, explain=search.explain)[: search.k]
        return search.second.with_context(self._client, self._collection, best)

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
        depth: int | dict[str, int] | None = None,
        min_relevance: float | None = None,
        explain: bool = False,
        group_by: str | Sequence[str | int] | None = None,
        reranker: Any = None,
        rerank_top: int = 50,
        context: int = 0,
        settings: SearchSettings | None = None,
        phrases: bool = False,
        prefix: bool = False,
        typos: bool = False,
        **unknown: Unpack[Nothing],
    ) -> list[RankedDocument]:
        """Documents that answer a query and are unlike each other (maximal marginal relevance).

        Of the first ``fetch_k`` documents of the mode's ranking, the first choice is the best; each
        further one maximises λ · (how well it fits the query) - (1 - λ) · (its greatest cosine with
        a document chosen before). Carbonell and Goldstein (SIGIR 1998). How well a document fits
        is its cosine in dense mode; in the others, and with a reranker, its score, mapped to [0, 1]
        from the last of the ``fetch_k`` to the first. Blank texts, which have no meaning to be near
        or far, are never chosen.

        Args:
            query: as for ``search``.
            k: how many documents at most.
            fetch_k: how many to choose from; never fewer than ``k``.
            lambda_mult: λ, from 0 (only unlike each other) to 1 (only fitting the query).
            mode: whose ranking is chosen from.
            filter: as for ``search``.
            ranker: as for ``search``.
            vector: (dim,) the query's embedding, if it is known already.
            filter_params: values of the templates ``{x}`` in an expression.
            ids: only these documents may be found.
            depth: as for ``search``, with ``fetch_k`` in place of k.
            min_relevance: as for ``search``: what is below it cannot be chosen.
            explain: whether hits say what each leg thought of them.
            group_by: as for ``search``: the best of each group alone can be chosen.
            reranker: as for ``search``; the ``fetch_k`` are the first of its order.
            rerank_top: how many of the best hits it is shown; ``fetch_k`` if that is more.
            context: as for ``search``.
            settings: as for ``search``.
            phrases: as for ``search``.
            prefix: as for ``search``.
            typos: as for ``search``.

        Returns:
            The documents in the order of the choice, with their vectors; scores, relevances and
            explanations are those of the ranking.

        Raises:
            ParamError, FilterError, EmbeddingMismatchError, EmbeddingError, RerankError: as for
                ``search``.
        """
        if unknown:
            refuse_unknown(self.search_mmr, unknown)
        lambda_mult = float(number("lambda_mult", lambda_mult, 0, 1))
        k = whole("k", k, 1)
        among = max(k, whole("fetch_k", fetch_k, 1))
        search = make_search(
            query, mode, among, ranker, depth, settings, explain=explain,
            scope=make_scope(filter, ids, filter_params), group_by=group_by,
            fields=self._all_fields, with_vectors=True,
            wording=Wording(self._layout.analyzer, phrases, prefix, typos),
            reranker=reranker, rerank_top=rerank_top, context=context, min_relevance=min_relevance,
        )  # fmt: skip
        if self._layout.dim is None:
            raise lacks_vectors(self)
        if settings is not None:
            check_titles(settings, has_titles=self._layout.title is not None)
        kept = self._kept()
        embedded = None if search.mode == "text" else self._query_vector(search.query, vector)
        hits = find(self._client, self._collection, search, embedded, self._usual, kept)
        second = search.second
        if second is not None:
            hits = second.ordered(search.query, hits, explain=search.explain)[:among]
        # Found by a title. The vector zero is unlike everything.
        hits = [hit for hit in hits if not is_blank(hit.text) or np.any(hit.vector)]
        vectors = np.array([hit.vector for hit in hits])
        fit = worths(hits, are_cosines=search.mode == "dense" and reranker is None)
        chosen = [hits[i] for i in mmr(fit, vectors, k, lambda_mult)]
        if second is None:
            return chosen
        return second.with_context(self._client, self._collection, chosen)

    def highlight(
        self,
        found: Document | RankedDocument | str,
        query: str,
        length: int = 160,
        most: int = 3,
        *,
        phrases: bool = False,
        prefix: bool = False,
        typos: bool = False,
        **unknown: Unpack[Nothing],
    ) -> list[Fragment]:
        """The parts of a document that hold words of a query, by the store's analyzer.

        Args:
            found: a document, or any text.
            query: the text whose words are looked for, in any of the forms that a search finds.
            length: of a part, in characters, about.
            most: how many parts.
            phrases: as for ``search``: what stands between quotes is marked as a whole, and only
                where it stands so.
            prefix: as for ``search``.
            typos: as for ``search``: whether a word is replaced, the documents of the store say.

        Returns:
            The parts that hold most, in the order of the text; none if no word is there.
        """
        if unknown:
            refuse_unknown(self.highlight, unknown)
        whole_text: Any = getattr(found, "text", found)
        if not isinstance(whole_text, str):
            refuse("found", "a document or a text", found)
        if not isinstance(query, str):
            refuse("query", "a string", query)
        length, most = whole("length", length, 1), whole("most", most, 1)
        wording = Wording(self._layout.analyzer, phrases, prefix, typos).checked("text")
        spans = wording.spans(self._client, self._collection, whole_text, query)
        return fragments(whole_text, spans, length, most)

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
        group_by: str | Sequence[str | int] | None = None,
        reranker: Any = None,
        rerank_top: int = 50,
        context: int = 0,
        phrases: bool = False,
        prefix: bool = False,
        typos: bool = False,
        **unknown: Unpack[Nothing],
    ) -> None:
        """Raise what ``search`` raises before it embeds; for whoever embeds on his own.

        Raises:
            ParamError, FilterError: as for ``search``.
            ClosedError, CollectionNotFoundError: if nothing can be found.
        """
        if unknown:
            refuse_unknown(self.check_search, unknown)
        make_search(
            query, mode, k, ranker, depth, explain=False,
            scope=make_scope(filter, ids, filter_params), fields=FIELDS, group_by=group_by,
            wording=Wording(self._layout.analyzer, phrases, prefix, typos),
            reranker=reranker, rerank_top=rerank_top, context=context,
        )  # fmt: skip
        self._kept()

    def _kept(self) -> Mapping[str, Any]:
        """The properties of the collection, as of now.

        Raises:
            ClosedError, CollectionNotFoundError: if it cannot be read.
            EmbeddingMismatchError: if it was made again, with another model.
        """
        kept = self._client.check_readable(self._collection)
        if kept is not self._known:
            check_same(self._collection, self._layout, kept)
            self._known = kept
        return kept

    def _query_vector(self, query: str, vector: Any) -> NDArray[np.float32]:
        """The query's embedding (1, dim): the given one, or the model's."""
        dim, embedding, call = self._layout.dim, self._embedding, "encode_queries"
        if dim is None:
            raise lacks_vectors(self)
        if vector is not None:
            return checked_vectors("vector", [vector], 1, dim)
        if embedding is None:
            raise lacks_model(self, self._layout)
        # Not by the steps of `Embedder.query_flow`: every search comes here, and none awaits it.
        # A query may hold surrogates, which no model reads.
        asked = query if query.isascii() else as_query("query", query)
        try:
            found = embedding.encode_queries([asked])
            return checked_vectors(f"{embedding.name}.{call}", found, 1, dim)
        except Exception:  # a function is anybody's code: told as of any other call
            with EmbeddingError.around(embedding.name, call):
                raise

    # --- asynchronous twins ----------------------------------------------------------------

    aadd = twin(add)
    acheck_add = twin(check_add)
    async_ = twin(sync)  # `async` is a word of the language
    aupdate_metadata = twin(update_metadata)
    adelete = twin(delete)
    aclear = twin(clear)
    aconfigure = twin(configure)
    aget = twin(get)
    acount = twin(count)
    apeek = twin(peek)
    astats = twin(stats)
    akeys = twin(keys)
    afacets = twin(facets)
    ahighlight = twin(highlight)
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
