"""``ElanusByteStore``: bytes by key, in the documents' own file."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import AsyncGenerator, Generator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from langchain_core.stores import ByteStore

from elanus import ClientOptions, DocumentStore, KeyValueStore, MilvusClient, ParamError
from elanus.aio import twin
from elanus.arguments import members, names, refuse, text
from elanus.errors import quoted, shown
from langchain_elanus._records import client_of
from langchain_elanus._vectorstore import ElanusVectorStore

if TYPE_CHECKING:
    # Type checkers have it built in; nothing that runs needs it.
    from typing_extensions import Unpack

DEFAULT_COLLECTION = "langchain_bytes"

MAX_BYTES: Final = 3 * 2**26
"""Longest value: base64 of it is the longest text that is kept."""


class ElanusByteStore(ByteStore):
    """Bytes by key, as ``ParentDocumentRetriever``, caches of embeddings and others keep them.

    They are in a collection of the file that holds the documents, so that both survive a restart
    together. Each call is one commit, or reads one; any number of threads and processes may use
    one collection.

    Args:
        store: whose file to use: an ``ElanusVectorStore``, a ``DocumentStore`` or a
            ``MilvusClient``, which is not closed with this object; or the path of a file.
        collection_name: name of the collection in the file.
        **options: with a path, those of the client: ``read_only``, ``durability``, ``timeout``,
            ``journal``.

    Raises:
        ParamError: if an argument is wrong, or the collection holds something else.
        StorageError: if the file cannot be opened.

    Example:
        >>> store = ElanusVectorStore(embedding, uri="kb.db")
        >>> retriever = ParentDocumentRetriever(
        ...     vectorstore=store, byte_store=ElanusByteStore(store), child_splitter=splitter
        ... )
    """

    def __init__(
        self,
        store: ElanusVectorStore | DocumentStore | MilvusClient | str | os.PathLike[str],
        *,
        collection_name: str = DEFAULT_COLLECTION,
        **options: Unpack[ClientOptions],
    ) -> None:
        if isinstance(store, (str, os.PathLike)):
            self._values = KeyValueStore(store, collection_name, **options)
        else:
            client = client_of(store)
            self._values = KeyValueStore(None, collection_name, client=client, **options)

    def __repr__(self) -> str:
        return f"ElanusByteStore({self._values!r})"

    def __enter__(self) -> ElanusByteStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file, if it was opened here; a second call does nothing."""
        self._values.close()

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """The value of each key, in order; None for keys that do not exist."""
        found = self._values.get(keys)
        keys = names("keys", keys)
        return [
            None if value is None else self._as_bytes(key, value)
            for key, value in zip(keys, found, strict=True)
        ]

    def mset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        """Write values under their keys, replacing what is there; all of them, or none.

        Args:
            key_value_pairs: of a text of at most 65,535 bytes of UTF-8, and at most 3 · 2²⁶ bytes.
                Of a key that comes twice, the last value counts.

        Raises:
            ParamError: naming the first pair that cannot be kept.
        """
        rule = "a list of pairs of a key and its bytes"
        pairs = members("key_value_pairs", rule, key_value_pairs)
        for i, pair in enumerate(pairs):
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                refuse(f"key_value_pairs[{i}]", "a pair of a key and its bytes", pair)
            _check_pair(*pair)
        self._values.put({key: b64encode(value).decode() for key, value in pairs})

    def mdelete(self, keys: Sequence[str]) -> None:
        """Delete keys with their values; keys that do not exist are no error."""
        self._values.delete(keys)

    def yield_keys(self, *, prefix: str | None = None) -> Generator[str, None, None]:
        """The keys that begin with ``prefix``, as of this call, in their order."""
        found = self._values.keys("" if prefix is None else prefix)
        return (key for key in found)

    def _as_bytes(self, key: str, value: str) -> bytes:
        try:
            return b64decode(value, validate=True)
        except (NotBase64, ValueError):
            raise ParamError(
                f"key {quoted(key)} of collection {quoted(self._values.collection)} holds no bytes "
                f"of a byte store, but {shown(value)}; choose another collection_name"
            ) from None

    # --- asynchronous forms: each is one call of the file ----------------------------------

    amget = twin(mget)
    amset = twin(mset)
    amdelete = twin(mdelete)
    aclose = twin(close)
    _akeys = twin(yield_keys)

    async def ayield_keys(self, *, prefix: str | None = None) -> AsyncGenerator[str, None]:
        """Asynchronous ``yield_keys``."""
        for key in await self._akeys(prefix=prefix):
            yield key


def _check_pair(key: Any, value: Any) -> None:
    what = f"value of key {quoted(text('key', key))}"
    if not isinstance(value, bytes):
        refuse(what, "bytes", value)
    if len(value) > MAX_BYTES:
        refuse(what, f"of at most {MAX_BYTES:,} bytes, and it has {len(value):,}", value)
