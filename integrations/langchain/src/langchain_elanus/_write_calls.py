"""Calls that add, delete and fetch documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore

from elanus import DocumentStore, Embedder, ParamError, SyncReport
from elanus.aio import Flow, arun, run, step, step_of, twin
from elanus.arguments import Nothing, is_mapping, members, refuse, repaired_texts, whole
from elanus.errors import EmbeddingError, quoted
from langchain_elanus._embeddings import embeds_natively, reads_as_they_are
from langchain_elanus._options import check_names, checked_documents
from langchain_elanus._results import as_document

if TYPE_CHECKING:
    # Type checkers have it built in; nothing that runs needs it.
    from typing_extensions import Unpack

_EMBEDDED_AT_ONCE = 128

Metadatas = Sequence[Mapping[str, Any]] | None
Ids = Sequence[str | None] | Literal["content"] | None
Columns = tuple[list[str], list[Mapping[str, Any] | None], list[str | None] | Literal["content"]]


class Alias(TypedDict, total=False):
    """The other name of a filter."""

    expr: str | Mapping[str, Any] | None


class WriteCalls(VectorStore):
    """``add_texts``, ``add_documents``, ``delete``, ``get_by_ids`` and their kin."""

    _store: DocumentStore

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: Metadatas = None,
        *,
        ids: Ids = None,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Embed texts and add them; one whose id exists is replaced.

        Of several with one id in a call, or in a batch, the last is kept, with a warning.
        Each batch is committed when it is embedded. Without ``batch_size`` all are checked before
        the first is embedded; with it, each batch is checked before it is.

        Args:
            texts: one text a document.
            metadatas: JSON values under string keys, one dict a document.
            ids: one string a document; None makes one. ``"content"`` makes all of them from text
                and metadata, so that a document added twice is one; it is not embedded again.
            batch_size: how many documents are checked, embedded and written together.
            **kwargs: none; a name that does not exist raises TypeError.

        Returns:
            The ids, in order.

        Raises:
            DataNotMatchException: naming the document and the rule broken.
            EmbeddingError: if the embedding fails, in whatever way; names the text, or those that
                were given at once. An error of its own is the ``__cause__``.
        """
        check_names("add_texts", kwargs, (), self.add_texts)
        return run(self._add(texts, metadatas, ids, batch_size))

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: Metadatas = None,
        *,
        ids: Ids = None,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Asynchronous ``add_texts``.

        A model with coroutines of its own embeds by them; with ``ids="content"`` on a thread, since
        the store looks first which documents it has.
        """
        check_names("aadd_texts", kwargs, (), self.aadd_texts)
        return await arun(self._add(texts, metadatas, ids, batch_size))

    def _add(
        self, texts: Iterable[str], metadatas: Metadatas, ids: Ids, batch_size: int | None
    ) -> Flow[list[str]]:
        columns = _columns(texts, metadatas, ids)
        size = max(1, len(columns[0])) if batch_size is None else whole("batch_size", batch_size, 1)
        added: list[str] = []
        for part in _parts(columns, size):
            with _placed(len(added), len(part[0])):
                added += yield step(self._store.add, self._aadd, *part)
        return added

    async def _aadd(self, texts: list[str], metadatas: Metadatas, ids: Ids) -> list[str]:
        function = self._store.embedding
        # Of ids that are there twice the store warns, and has to see them all for that.
        at_once = isinstance(ids, str) or _are_repeated(ids)
        if function is None or at_once or not embeds_natively(function):
            return await self._store.aadd(texts, metadatas, ids)
        await self._store.acheck_add(texts, metadatas, ids)
        if not reads_as_they_are(function, texts):
            return await self._store.aadd(texts, metadatas, ids)
        embedder, added = Embedder(function, self._store.dim), list[str]()
        for part in _parts(_columns(texts, metadatas, ids), _EMBEDDED_AT_ONCE):
            places = range(len(added), len(added) + len(part[0]))
            try:
                vectors = await arun(embedder.flow(part[0], places))
            except EmbeddingError as error:
                await self._keep(part, error)
                error.name_ids([None] * len(texts) if ids is None else ids)
                raise
            added += await self._store.aadd(*part, vectors=vectors)
        return added

    async def _keep(self, columns: Columns, error: EmbeddingError) -> None:
        """Add those documents of which the function had vectors when it failed."""
        made, error.made = error.made, None
        if made is not None:
            # If these are no vectors, it is still the error that has to be told.
            with suppress(TypeError, ValueError):
                first = next(_parts(columns, len(made)))
                await self._store.aadd(*first, vectors=made)

    def add_documents(self, documents: Iterable[Document], **kwargs: Any) -> list[str]:
        """Embed documents and add them, as ``add_texts`` does; ``Document.id`` is kept.

        Args:
            documents: any iterable of them, which is read once.
            **kwargs: ``ids``, in place of the documents' own, or ``"content"``; ``batch_size``.

        Returns:
            The ids, in order.
        """
        # LangChain's form goes over them three times, and a generator is empty after the first.
        return super().add_documents(checked_documents(documents), **kwargs)

    async def aadd_documents(self, documents: Iterable[Document], **kwargs: Any) -> list[str]:
        """Asynchronous ``add_documents``."""
        return await super().aadd_documents(checked_documents(documents), **kwargs)

    def sync(
        self, source: str, documents: Iterable[Document], **unknown: Unpack[Nothing]
    ) -> SyncReport:
        """Make the documents of one source, such as the chunks of a file, those that are given.

        What is new or changed is written and what is gone is deleted, in one commit; a text of
        this source that is there already is not embedded again. See ``DocumentStore.sync``.

        Args:
            source: its name. The documents get it as ``source`` in their metadata, and their
                places in the list, from 0, as ``position``.
            documents: all documents of the source, in their order; none deletes them. One without
                an id gets one of source and text.

        Raises:
            DataNotMatchException: naming the document and the rule broken, such as a ``source`` in
                its metadata that is another.
            ParamError: if an argument is wrong, or an id is that of another source's document.
            EmbeddingError: if the embedding fails, as for ``add_texts``.
            TypeError: naming arguments that do not exist.
        """
        check_names("sync", unknown, (), self.sync)
        return self._store.sync(source, *_columns_of(documents))

    async def async_(
        self, source: str, documents: Iterable[Document], **unknown: Unpack[Nothing]
    ) -> SyncReport:
        """Asynchronous ``sync``; it embeds on a thread."""
        check_names("async_", unknown, (), self.async_)
        return await self._store.async_(source, *_columns_of(documents))

    def add_embeddings(
        self,
        texts: Iterable[str],
        embeddings: Sequence[Sequence[float]],
        metadatas: Metadatas = None,
        *,
        ids: Ids = None,
    ) -> list[str]:
        """Add texts whose vectors are known already: all of them at once, or none.

        Args:
            texts: one text a document.
            embeddings: (n, dim) their vectors.
            metadatas: as for ``add_texts``.
            ids: as for ``add_texts``.

        Returns:
            The ids, in order.
        """
        _check_given(embeddings)
        return self._store.add(*_columns(texts, metadatas, ids), vectors=embeddings)

    async def aadd_embeddings(
        self,
        texts: Iterable[str],
        embeddings: Sequence[Sequence[float]],
        metadatas: Metadatas = None,
        *,
        ids: Ids = None,
    ) -> list[str]:
        """Asynchronous ``add_embeddings``."""
        _check_given(embeddings)
        return await self._store.aadd(*_columns(texts, metadatas, ids), vectors=embeddings)

    def update_metadata(
        self,
        ids: Sequence[str] | str | None = None,
        values: Mapping[str, Any] | None = None,
        *,
        remove: Sequence[str] = (),
        filter: Any = None,
        **kwargs: Unpack[Alias],
    ) -> int:
        """Set and remove metadata keys of documents, in one commit; nothing is embedded.

        Args:
            ids: one id or several; those that do not exist are left out.
            values: JSON values by key; keys that are not named stay.
            remove: keys to take out, where they are.
            filter: a dict or an expression over metadata keys; beside ``ids``, only those of them
                that it lets pass are changed.
            **kwargs: ``expr``, an alias of ``filter``.

        Returns:
            How many documents there are of them, also of those that were so already.

        Raises:
            ParamError: if neither ids nor a filter is given, or an argument is wrong.
            TypeError: naming arguments that do not exist.
        """
        call = "update_metadata"
        condition = _condition(call, filter, kwargs, self.update_metadata)
        return self._store.update_metadata(ids, values, remove=remove, filter=condition)

    aupdate_metadata = twin(update_metadata)

    def delete(
        self, ids: Sequence[str] | None = None, *, filter: Any = None, **kwargs: Any
    ) -> bool:
        """Delete documents by id, by filter, or by both; all of them if neither is given.

        Args:
            ids: those to delete; ids that do not exist are no error.
            filter: a dict or an expression over metadata keys; an empty one is an error, so that
                a filter without conditions does not delete everything.
            **kwargs: ``expr``, an alias of ``filter``.

        Returns:
            True.
        """
        return run(self._delete("delete", ids, filter, kwargs))

    async def adelete(
        self, ids: Sequence[str] | None = None, *, filter: Any = None, **kwargs: Any
    ) -> bool:
        """Asynchronous ``delete``."""
        return await arun(self._delete("adelete", ids, filter, kwargs))

    def _delete(
        self, call: str, ids: Sequence[str] | None, condition: Any, kwargs: Mapping[str, Any]
    ) -> Flow[bool]:
        condition = _condition(call, condition, kwargs, getattr(self, call))
        if ids is None and (isinstance(condition, str) or is_mapping(condition)) and not condition:
            raise ParamError(
                f"{call}: the filter {quoted(condition)} has no conditions; to delete all, use "
                f"{call}() without one"
            )
        if ids is None and condition is None:
            yield step_of(self._store, "clear")
        else:
            yield step_of(self._store, "delete", ids, filter=condition)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Documents by id, in the order of ``ids``; those that do not exist are left out."""
        return [as_document(each) for each in self._store.get(ids)]

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Asynchronous ``get_by_ids``."""
        return [as_document(each) for each in await self._store.aget(ids)]


def _condition(call: str, given: Any, kwargs: Mapping[str, Any], own: Any) -> Any:
    """The filter of a call, which may stand under its other name."""
    check_names(call, kwargs, ("expr",), own)
    if "expr" not in kwargs:
        return given
    if given is not None:
        raise ParamError(f"{call}: filter and expr are one argument; give either")
    return kwargs["expr"]


def _check_given(embeddings: Any) -> None:
    """Refuse None, for which the store would ask the model."""
    if embeddings is None:
        refuse("embeddings", "a list of vectors, one a text", embeddings)


def _columns_of(documents: Iterable[Document]) -> Columns:
    found = checked_documents(documents)
    return _columns(
        [each.page_content for each in found],
        [each.metadata for each in found],
        [each.id for each in found],
    )


def _columns(texts: Iterable[str], metadatas: Metadatas, ids: Ids) -> Columns:
    """Texts, metadatas and ids as lists of one length; surrogates in texts are replaced."""
    rule = "a list with one entry a document"
    first = repaired_texts("texts", members("texts", rule, texts))
    columns: Columns = (
        first,
        [None] * len(first) if metadatas is None else members("metadatas", rule, metadatas),
        _checked_ids(ids, len(first)),
    )
    for name, column in zip(("metadatas", "ids"), columns[1:], strict=True):
        if not isinstance(column, str) and len(column) != len(first):
            raise ParamError(f"{len(first)} texts, but {len(column)} {name}")
    return columns


def _checked_ids(ids: Ids, count: int) -> list[str | None] | Literal["content"]:
    if ids is None:
        return [None] * count
    if isinstance(ids, str) and ids == "content":
        return "content"
    return members("ids", "a list with one entry a document, or 'content'", ids)


def _are_repeated(ids: Sequence[str | None] | None) -> bool:
    given = [each for each in ids or () if isinstance(each, str)]
    return len(set(given)) < len(given)


@contextmanager
def _placed(start: int, count: int) -> Iterator[None]:
    """Let an error of an embedding function name the text by its place in the caller's list."""
    try:
        yield
    except EmbeddingError as error:
        error.renumber(range(start, start + count))
        raise


def _parts(columns: Columns, size: int) -> Iterator[Columns]:
    texts, metadatas, ids = columns
    for start in range(0, len(texts), size):
        part = slice(start, start + size)
        yield texts[part], metadatas[part], "content" if isinstance(ids, str) else ids[part]
