"""``ElanusVectorStore``: LlamaIndex's vector store over a ``DocumentStore``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, NoReturn, TypedDict

from llama_index.core.bridge.pydantic import ConfigDict, Field, PrivateAttr
from llama_index.core.schema import BaseComponent, BaseNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryResult,
)

from elanus import DocumentStore, MilvusClient, ParamError, SyncReport, build_analyzer
from elanus.aio import twin
from elanus.arguments import (
    DEFAULT_URI,
    as_path,
    check_name,
    flag,
    is_mapping,
    members,
    number,
    refuse,
    text,
    whole,
)
from elanus.errors import CollectionNotFoundError, DatabaseNotFoundError, cut, listed
from llama_index.vector_stores.elanus._filters import to_filter
from llama_index.vector_stores.elanus._nodes import (
    REF_DOC_ID,
    changed_metadata,
    dim_of,
    to_documents,
    to_node,
)
from llama_index.vector_stores.elanus._query import make_plan
from llama_index.vector_stores.elanus._rerank import check_hit_reranker
from llama_index.vector_stores.elanus._short import ShortRepr

if TYPE_CHECKING:
    # Type checkers have it built in; nothing that runs needs it.
    from typing_extensions import Unpack

_LONGEST_WAIT = 2_000_000  # seconds, as for a client


class DumpedFields(TypedDict, total=False):
    """What LlamaIndex adds to a store's own fields when it dumps."""

    stores_text: bool
    is_embedding_query: bool
    class_name: str


class ElanusVectorStore(ShortRepr, BasePydanticVectorStore):
    """Nodes in one file, found by meaning, by words, or by both.

    A node whose id exists is replaced. Its text is searched by words as it is, its metadata are
    the document's, so that ``DocumentStore`` and LangChain can search the same collection.

    The collection is made when the first node is added, or at once if ``dim`` is given; what is
    read before is empty. If another store drops it (``overwrite=True``), this one goes on as if it
    were opened then. The coroutines do the same work on a thread.

    Args:
        uri: path of the file (``str`` or ``Path``), or ``":memory:"``. It is serialised as it is
            given: a relative one belongs to the working folder of whoever loads it. A pickled
            store has the absolute one, and is loaded only where the file is.
        collection_name: name of the collection in the file.
        dim: number of components of an embedding; None takes that of the first node.
        overwrite: whether to begin by dropping the collection. False from then on, so that
            loading what was serialised never empties it.
        analyzer: how text is split into terms, as for ``DocumentStore``; ``"multilingual"`` for
            a new collection if it is left out.
        title: for a new collection: the metadata key whose text the search by words finds too, as
            for ``DocumentStore``. A collection keeps the one that it was made with.
        reranker: orders the hits of mode ``SEMANTIC_HYBRID``, as that of
            ``DocumentStore.search``: an object with ``predict(pairs)``, or one that is called as
            ``reranker(query, texts)``. Without one that mode is ``HYBRID``. Not serialised.
        read_only: open without ever writing.
        durability: ``"full"`` or ``"normal"``, as for ``DocumentStore``.
        timeout: seconds that a write waits for another writer; None means 30.
        journal: ``"wal"``, or ``"delete"`` on network file systems.
        **fields: what ``to_dict`` adds to these; nothing else is taken.

    Raises:
        EmbeddingMismatchError: if the collection holds vectors of another dimension than ``dim``.
        ParamError: if ``reranker`` cannot be called.
        StorageError: if the file cannot be opened.

    Example:
        >>> from llama_index.core.schema import TextNode
        >>> from llama_index.core.vector_stores import VectorStoreQuery
        >>> store = ElanusVectorStore(":memory:")
        >>> store.add([TextNode(id_="kite", text="Kites hover.", embedding=[1.0, 0.0])])
        ['kite']
        >>> store.query(VectorStoreQuery(query_embedding=[1.0, 1.0])).ids
        ['kite']
    """

    model_config = ConfigDict(extra="forbid")

    stores_text: bool = True
    is_embedding_query: bool = True
    uri: str
    collection_name: str
    dim: int | None
    overwrite: bool
    analyzer: Any
    title: str | None
    reranker: Any = Field(exclude=True)
    read_only: bool
    durability: str
    timeout: float | None
    journal: str

    _client: MilvusClient = PrivateAttr()
    _path: str = PrivateAttr()
    _store: DocumentStore | None = PrivateAttr(default=None)
    _collection_id: int | None = PrivateAttr(default=None)
    _lock: Lock = PrivateAttr(default_factory=Lock)

    def __init__(
        self,
        uri: str | os.PathLike[str] = DEFAULT_URI,
        collection_name: str = "llamaindex",
        dim: int | None = None,
        overwrite: bool = False,
        *,
        analyzer: Any = None,
        title: str | None = None,
        reranker: Any = None,
        read_only: bool = False,
        durability: str = "full",
        timeout: float | None = None,
        journal: str = "wal",
        **fields: Unpack[DumpedFields],
    ) -> None:
        if reranker is not None:
            check_hit_reranker(reranker)
        path = as_path("uri", "a file path or ':memory:'", uri)
        collection_name = check_name(text("collection_name", collection_name), "collection")
        dim = None if dim is None else whole("dim", dim, 1)
        if title is not None and not text("title", title):
            refuse("title", "the name of a metadata key", title)
        # pydantic would read the text "false" as False, and `if overwrite` as True.
        given = dict[str, Any](fields)
        for name in ("stores_text", "is_embedding_query"):
            given |= {name: flag(name, given[name])} if name in given else {}
        overwrite, read_only = flag("overwrite", overwrite), flag("read_only", read_only)
        durability, journal = text("durability", durability), text("journal", journal)
        if timeout is not None:
            timeout = number("timeout", timeout, 0, _LONGEST_WAIT)
        # pydantic's own loading hands over what LlamaIndex adds when it dumps.
        given.pop("class_name", None)
        given |= {
            "uri": path,
            "collection_name": collection_name,
            "dim": dim,
            "overwrite": overwrite,
            "analyzer": analyzer,
            "title": title,
            "reranker": reranker,
            "read_only": read_only,
            "durability": durability,
            "timeout": timeout,
            "journal": journal,
        }
        super().__init__(**given)
        self._client = MilvusClient(
            self.uri, read_only=read_only, durability=durability, timeout=timeout, journal=journal
        )
        self._path = os.path.abspath(self.uri)  # noqa: PTH100  # as of now; keeps links
        try:
            self._begin()
        except BaseException:
            self._client.close()
            raise

    def _begin(self) -> None:
        """Drop what is to be overwritten, and look at what is there."""
        if self.overwrite and self._client.has_collection(self.collection_name):
            self._client.drop_collection(self.collection_name)
        self.overwrite = False
        analyzer = self.analyzer
        is_left_out = analyzer is None or (
            (isinstance(analyzer, str) or is_mapping(analyzer)) and not analyzer
        )
        if self._opened(self.dim) is None and not is_left_out:
            build_analyzer(analyzer)  # a wrong one is to come out now, not at the first node

    @classmethod
    def class_name(cls) -> str:
        """Name of the class in what LlamaIndex serialises."""
        return "ElanusVectorStore"

    def __getstate__(self) -> dict[Any, Any]:
        if self.uri == ":memory:":
            raise TypeError(
                f"an ElanusVectorStore over {cut(self.uri)} cannot be pickled: its nodes are in "
                "this process only; use a file, which the copy opens again"
            )
        # Not LlamaIndex's own form, which takes what cannot be pickled away from this store.
        state = {**super(BaseComponent, self).__getstate__(), "__pydantic_private__": None}
        # The file that is open here, whatever the working folder of the copy.
        state["__dict__"] = {**state["__dict__"], "uri": self._path}
        return state

    def __setstate__(self, state: dict[Any, Any]) -> None:
        fields = state["__dict__"]
        if not os.path.exists(fields["uri"]):  # noqa: PTH110  # else it would be made, and be empty
            raise DatabaseNotFoundError(
                f"the pickled ElanusVectorStore had its nodes in {cut(fields['uri'])}, "
                "which is not there"
            )
        # Without LlamaIndex's other way, which makes a store without a file if it cannot be opened.
        self.__init__(**fields)  # type: ignore[misc]  # opens the file again, as whoever unpickles wants

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> NoReturn:
        raise TypeError(
            f"an open ElanusVectorStore cannot be copied deeply; open {cut(self.uri)} again by its "
            "path where it is needed"
        )

    @property
    def client(self) -> MilvusClient:
        """The client underneath."""
        return self._client

    @property
    def store(self) -> DocumentStore | None:
        """The document store underneath; None before there is a collection."""
        return self._opened()

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        with self._lock:
            if self._store is not None:
                self._store.close()
            self._client.close()

    def _opened(self, dim: int | None = None) -> DocumentStore | None:
        """The store; with ``dim``, its collection is made if there is none."""
        with self._lock:
            found = self._found_id()
            if self._store is not None and found == self._collection_id:
                return self._store
            # Another store may have dropped the collection, and made one of another dimension.
            self._store = None
            exists = found is not None
            if exists or dim is not None:
                self._store = DocumentStore(
                    collection=self.collection_name,
                    analyzer=self.analyzer,
                    title=self.title,
                    dim=self.dim if exists else dim,
                    client=self._client,
                )
                self._collection_id = found if exists else self._found_id()
            return self._store

    def _found_id(self) -> int | None:
        """Which collection the file has under the name now; ids are never used again."""
        try:
            return int(self._client.describe_collection(self.collection_name)["collection_id"])
        except CollectionNotFoundError:
            return None

    # --- writing ---------------------------------------------------------------------------

    def add(self, /, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Add nodes with their embeddings, all or none; one whose id exists is replaced.

        Of several with one id in a call the last is kept, with a warning (``ElanusWarning``).

        Returns:
            The ids, in order.

        Raises:
            ParamError: naming a node without an embedding, or with a reserved metadata key.
            DataNotMatchException: naming what does not fit; nothing is written.
        """
        _refuse("add", kwargs)
        found = _checked_nodes(nodes)
        if not found:
            return []
        new = to_documents(found)
        store = self._opened(self.dim or dim_of(new))
        assert store is not None
        return store.add(new.texts, new.metadatas, new.ids, new.vectors)

    def sync(self, /, source: str, nodes: Sequence[BaseNode]) -> SyncReport:
        """Make the nodes of one source, such as the chunks of a file, those that are given.

        What is new or changed is written and what is gone is deleted, in one commit. A node is as
        it was if its id, its text, its metadata and its links are: give nodes ids that stay.

        Args:
            source: its name. The nodes get it as ``source`` in their metadata, and their places in
                the list, from 0, as ``position``; see ``DocumentStore.sync``.
            nodes: all nodes of the source with their embeddings, in their order; none deletes
                them.

        Raises:
            ParamError: naming a node without an embedding, or an id that is that of another
                source's node.
            DataNotMatchException: naming what does not fit; nothing is written.
        """
        name = text("source", source)
        new = to_documents(_checked_nodes(nodes), name)
        store = self._opened((self.dim or dim_of(new)) if new.vectors else None)
        if store is None:
            return SyncReport([])
        return store.sync(name, new.texts, new.metadatas, new.ids, new.vectors)

    def update_metadata(
        self,
        node_ids: Sequence[str] | str | None = None,
        values: Mapping[str, Any] | None = None,
        *,
        remove: Sequence[str] = (),
        filters: MetadataFilters | None = None,
    ) -> int:
        """Set and remove metadata keys of nodes, in one commit; how many nodes.

        Texts, links and embeddings stay as they are stored: nothing is embedded again, also where
        an embedding was made of text and metadata.

        Args:
            node_ids: one id or several; those that do not exist are left out.
            values: JSON values by key; keys that are not named stay.
            remove: keys to take out, where they are.
            filters: which nodes; beside ``node_ids``, only those of them that they let pass.

        Raises:
            ParamError: if neither restricts anything, an argument is wrong, or a key is reserved.
            DataNotMatchException: if values are nested too deep.
        """
        condition = to_filter(filters)
        if node_ids is None and condition is None:
            raise ParamError("update_metadata: give node_ids, filters, or both")
        new, gone = changed_metadata(values, remove)
        if (store := self._opened()) is None:
            return 0
        return store.update_metadata(node_ids, new, remove=gone, filter=condition)

    def delete(self, /, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Delete all nodes of a source document; a node without a source is its own."""
        _refuse("delete", delete_kwargs)
        source = text("ref_doc_id", ref_doc_id)  # None would mean documents without a source
        if (store := self._opened()) is not None:
            store.delete(filter={REF_DOC_ID: {"$eq": source}})

    def delete_nodes(
        self,
        /,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Delete nodes by id, by filter, or those of the ids that the filter lets pass.

        Raises:
            ParamError: if neither restricts anything: to delete all, use ``clear``.
        """
        _refuse("delete_nodes", delete_kwargs)
        condition = to_filter(filters)
        if node_ids is None and condition is None:
            raise ParamError("delete_nodes: give node_ids, filters, or both; clear() deletes all")
        if (store := self._opened()) is not None:
            store.delete(node_ids, filter=condition)

    def clear(self) -> None:
        """Delete all nodes; the store goes on, with the dimension that it has."""
        if (store := self._opened()) is not None:
            store.clear()

    # --- reading ---------------------------------------------------------------------------

    def get_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """Nodes with their embeddings, by id, by filter, or by both; all nodes without either.

        With ids alone they come in the order of ``node_ids``, else in that of their ids; what
        does not exist is left out.
        """
        condition = to_filter(filters)
        if (store := self._opened()) is None:
            return []
        if node_ids is None and condition is None:
            node_ids = [document.id for document in store]
        found = store.get(node_ids, filter=condition, with_vectors=True)
        return [to_node(document, embedded=True) for document in found]

    def query(self, /, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The nodes that answer a query best, with their similarities, best first.

        Similarities are the reranker's scores with a reranker, cosines in modes ``DEFAULT`` and
        ``MMR``, and relevances from 0 to 1 otherwise.

        Args:
            query: LlamaIndex's query, in mode ``DEFAULT`` (dense), ``SPARSE`` or ``TEXT_SEARCH``
                (words), ``HYBRID``, ``SEMANTIC_HYBRID`` or ``MMR``.
            **kwargs: ``explain`` (put how a node was found into ``metadata["_elanus"]``),
                ``min_relevance``, ``ranker`` (how ``HYBRID`` fuses), ``group_by`` (a metadata key,
                or a list of what leads to a value: of nodes with the same value only the best is
                found), ``reranker`` and ``rerank_top`` (of this query, in any mode), ``context``
                (how many nodes of the same source before and after each stand with it in
                ``metadata["_elanus_passage"]``), ``phrases``, ``prefix`` and ``typos`` (as for
                ``DocumentStore.search``, in modes with words), ``mmr_threshold``, and
                ``mmr_prefetch_factor`` or ``mmr_prefetch_k`` (how many nodes ``MMR`` chooses
                from).

        Raises:
            ParamError: naming a mode that does not exist here, or what it lacks;
                FilterError: if a filter is wrong; TypeError: for an unknown argument;
                RerankError: if a reranker fails.
        """
        plan = make_plan(query, kwargs, self.reranker)
        store = self._opened()
        if store is None:
            return VectorStoreQueryResult(nodes=[], similarities=[], ids=[])
        return plan.run(store)

    # --- asynchronous twins ----------------------------------------------------------------

    async_add = twin(add)
    async_ = twin(sync)
    aupdate_metadata = twin(update_metadata)
    adelete = twin(delete)
    adelete_nodes = twin(delete_nodes)
    aclear = twin(clear)
    aget_nodes = twin(get_nodes)
    aquery = twin(query)
    aclose = twin(close)


def _checked_nodes(nodes: Sequence[BaseNode]) -> list[BaseNode]:
    found = members("nodes", "a list of nodes", nodes)
    for i, node in enumerate(found):
        if not isinstance(node, BaseNode):
            refuse(f"nodes[{i}]", "a node", node)
    return found


def _refuse(call: str, arguments: dict[str, Any]) -> None:
    if arguments:
        raise TypeError(f"{call}: unknown arguments {listed(sorted(arguments))}")
