"""``ElanusVectorStore``: LangChain's vector store over one file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from elanus import ClientOptions, DocumentStore, MilvusClient
from elanus.aio import in_thread, twin
from elanus.arguments import DEFAULT_URI, refuse
from elanus.errors import quoted
from langchain_elanus._embeddings import as_embeddings
from langchain_elanus._opening import (
    DEFAULT_COLLECTION,
    Model,
    check_alone,
    check_without_embedding,
    file_and_options,
    open_documents,
)
from langchain_elanus._options import Mode, SearchOptions
from langchain_elanus._search_calls import SearchCalls
from langchain_elanus._searches import Searches

if TYPE_CHECKING:
    # Type checkers have it built in; nothing that runs needs it.
    from typing_extensions import Unpack


class ElanusVectorStore(SearchCalls):
    """Documents in one file, found by meaning, by words, or by both.

    Every search takes ``mode``, ``filter`` (a dict or an expression over metadata keys; ``expr``
    is an alias), ``where_document`` (on the text, as Chroma has it), ``ranker``, ``reranker``,
    ``rerank_top``, ``explain``, ``score_threshold``, ``ids``, ``depth``, ``fill``, ``group_by``,
    ``context``, ``phrases``, ``prefix`` and ``typos``, as keyword arguments or in a retriever's
    ``search_kwargs``; another name raises TypeError.
    Scores are better when larger in every mode.

    Args:
        embedding: LangChain ``Embeddings`` or an embedding function of Elanus. None needs
            ``mode="text"``, or a ``store`` that has one.
        uri: path of the file, or ``":memory:"``.
        collection_name: name of the collection in the file.
        mode: how searches look: ``"hybrid"`` (by meaning and by words, fused), ``"dense"`` or
            ``"text"``; each call may differ.
        analyzer: how text is split into terms; see ``DocumentStore``.
        title: for a new collection: the metadata key whose text the search by words finds too; see
            ``DocumentStore``. A collection keeps the one that it was made with.
        ranker: how hybrid mode fuses: ``AdaptiveRanker`` (the default), ``RRFRanker``, …
        reranker: orders the best hits of every similarity search anew: an object with
            ``predict(pairs)``, or one that is called as ``reranker(query, texts)``, as for
            ``DocumentStore.search``. Its coroutine ``arerank`` is awaited where it has one.
        fill: in text mode, whether documents that share no word with the query follow, nearest
            by meaning first, with score 0, if fewer than k share one.
        connection_args: as langchain-milvus has it: a dict with ``uri`` and client options.
        store: an open ``DocumentStore`` to use instead of a file; it stays open.
        embedding_name: the model's name, which the file keeps. By default LangChain
            ``Embeddings`` go by their ``model``, ``model_name``, ``model_id`` or ``deployment``,
            or else by their class; Elanus's functions have a name of their own.
        dim: components of a vector of LangChain ``Embeddings``. By default an existing
            collection says it, or their ``dimensions``; else one word is embedded.
        **options: of the client: ``read_only``, ``durability``, ``timeout``, ``journal``.

    Raises:
        EmbeddingMismatchError: if the file was filled by another model; names both. If only
            the number of components differs, LangChain ``Embeddings`` do not say so before they
            embed: then the first search or addition raises it.
        TypeError: naming arguments that do not exist.
        ParamError: if arguments contradict each other.
        StorageError: if the file cannot be opened.

    Example:
        >>> store = ElanusVectorStore(embedding, uri="kb.db")
        >>> store.add_documents([Document("Kites hover.", metadata={"class": "bird"})])
        >>> store.similarity_search("hovering", k=1, filter={"class": "bird"})
    """

    def __init__(
        self,
        embedding: Any = None,
        *,
        uri: str | os.PathLike[str] = DEFAULT_URI,
        collection_name: str = DEFAULT_COLLECTION,
        mode: Mode = "hybrid",
        analyzer: Any = None,
        title: str | None = None,
        ranker: Any = None,
        reranker: Any = None,
        fill: bool = False,
        connection_args: Mapping[str, Any] | None = None,
        store: DocumentStore | None = None,
        embedding_name: str | None = None,
        dim: int | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        if store is not None and not isinstance(store, DocumentStore):
            refuse("store", "a DocumentStore", store)
        self._defaults = SearchOptions(mode, ranker=ranker, reranker=reranker, fill=fill)
        file, client_options = file_and_options(uri, connection_args, options, ElanusVectorStore)
        if store is not None:
            named = {"uri": file, "collection_name": collection_name, "analyzer": analyzer}
            check_alone(**named, title=title, **client_options)
        elif embedding is None:
            check_without_embedding(self._defaults)
        self._given = store
        self._client = MilvusClient(file, **client_options) if store is None else store.client
        model = Model(embedding, embedding_name, dim)
        try:
            self._store = open_documents(
                self._client, store, collection_name, model, analyzer, title
            )
        except BaseException:
            if store is None:
                self._client.close()
            raise
        self._searches = Searches(self._store)

    def __repr__(self) -> str:
        return f"ElanusVectorStore({quoted(self._store)}, mode={self._defaults.mode!r})"

    @property
    def store(self) -> DocumentStore:
        """The documents underneath."""
        return self._store

    @property
    def client(self) -> MilvusClient:
        """The client underneath."""
        return self._client

    @property
    def embeddings(self) -> Embeddings | None:
        """What embeds queries and documents; None if nothing does."""
        return as_embeddings(self._store.embedding)

    # --- opening and closing ---------------------------------------------------------------

    def __enter__(self) -> ElanusVectorStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> ElanusVectorStore:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def close(self) -> None:
        """Release the file; a second call does nothing. A store that was given stays open."""
        if self._store is not self._given:
            self._store.close()
        if self._given is None:
            self._client.close()

    aclose = twin(close)

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Any,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | Literal["content"] | None = None,
        **kwargs: Any,
    ) -> ElanusVectorStore:
        """Open a store and add texts to it, as ``add_texts``; ``kwargs`` are those of the class."""
        made = cls(embedding, **kwargs)
        try:
            made.add_texts(texts, metadatas, ids=ids)
        except BaseException:
            made.close()
            raise
        return made

    @classmethod
    async def afrom_texts(
        cls,
        texts: list[str],
        embedding: Any,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | Literal["content"] | None = None,
        **kwargs: Any,
    ) -> ElanusVectorStore:
        """Asynchronous ``from_texts``."""
        # Opening reads a file, and may embed a word: not on the event loop.
        made = await in_thread(cls, embedding, **kwargs)
        try:
            await made.aadd_texts(texts, metadatas, ids=ids)
        except BaseException:
            made.close()
            raise
        return made

    @classmethod
    def from_documents(
        cls, documents: Iterable[Document], embedding: Any, **kwargs: Any
    ) -> ElanusVectorStore:
        """Open a store and add documents to it, any iterable; ``kwargs`` as for ``from_texts``."""
        return super().from_documents(list(documents), embedding, **kwargs)

    @classmethod
    async def afrom_documents(
        cls, documents: Iterable[Document], embedding: Any, **kwargs: Any
    ) -> ElanusVectorStore:
        """Asynchronous ``from_documents``."""
        return await super().afrom_documents(list(documents), embedding, **kwargs)
