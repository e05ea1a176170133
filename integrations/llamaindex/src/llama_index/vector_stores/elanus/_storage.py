"""LlamaIndex's key-value, document and index stores, in the vector store's own file."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from llama_index.core.storage.docstore.keyval_docstore import KVDocumentStore
from llama_index.core.storage.index_store.keyval_index_store import KVIndexStore
from llama_index.core.storage.kvstore.types import (
    DEFAULT_BATCH_SIZE,
    DEFAULT_COLLECTION,
    BaseKVStore,
)

from elanus import (
    ClientOptions,
    DocumentStore,
    ElanusError,
    KeyValueStore,
    MilvusClient,
    ParamError,
)
from elanus.aio import twin
from elanus.arguments import as_json, is_mapping, members, refuse, text, whole
from elanus.errors import listed, quoted, said_by, shown
from llama_index.vector_stores.elanus._nodes import plain
from llama_index.vector_stores.elanus._store import ElanusVectorStore

if TYPE_CHECKING:
    # Type checkers have it built in; nothing that runs needs it.
    from typing_extensions import Unpack

STORAGE: Final = "llamaindex_storage"

# Each takes one of Python's 1000 frames of whoever reads it; metadata may nest 100.
_MOST_LEVELS: Final = 200

File: TypeAlias = "ElanusVectorStore | DocumentStore | MilvusClient | str | os.PathLike[str]"
Pairs: TypeAlias = list[tuple[str, dict[str, Any]]]


class ElanusKVStore(BaseKVStore):
    """LlamaIndex's dicts by key, in a collection of the file that holds the nodes.

    Dicts are kept as JSON; what JSON lacks (dates, paths, …) has the form that it has in metadata.
    NaN, infinity, long integers and lone surrogates, which metadata lack, come back as they were.
    They may be nested 200 deep, and their keys are strings.
    Each call is one commit, or reads one; any number of threads and processes may use one
    collection.

    Args:
        store: whose file to use: an ``ElanusVectorStore``, a ``DocumentStore`` or a
            ``MilvusClient``, which is not closed with this object; or the path of a file.
        collection_name: name of the collection in the file. LlamaIndex's own "collections", an
            argument of each call, are kept apart in it.
        **options: with a path, those of the client: ``read_only``, ``durability``, ``timeout``,
            ``journal``.

    Raises:
        ParamError: if an argument is wrong, or the collection holds something else.
        StorageError: if the file cannot be opened.
    """

    def __init__(
        self, store: File, collection_name: str = STORAGE, **options: Unpack[ClientOptions]
    ) -> None:
        self._again = partial(type(self), store, collection_name, **options)
        self._path = os.fspath(store) if isinstance(store, (str, os.PathLike)) else None
        if self._path is not None:
            self._values = KeyValueStore(self._path, collection_name, **options)
        elif isinstance(store, (ElanusVectorStore, DocumentStore, MilvusClient)):
            client = store if isinstance(store, MilvusClient) else store.client
            self._values = KeyValueStore(None, collection_name, client=client, **options)
        else:
            kinds = "an ElanusVectorStore, a DocumentStore, a MilvusClient or a file path"
            refuse("store", kinds, store)

    def __repr__(self) -> str:
        return f"ElanusKVStore({self._values!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # As a vector store is: by the way to the file. What is open says itself if it cannot be.
        if self._path == ":memory:":
            raise TypeError(
                "an ElanusKVStore over :memory: cannot be pickled: what it holds is in this "
                "process only; use a file, which the copy opens again"
            )
        return self._again, ()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> NoReturn:
        raise TypeError(
            f"an open {self!r} cannot be copied deeply; open the file again where it is needed"
        )

    def close(self) -> None:
        """Release the file, if it was opened here; a second call does nothing."""
        self._values.close()

    def put(self, key: str, val: dict[str, Any], collection: str = DEFAULT_COLLECTION) -> None:
        """Write a dict under a key, replacing what is there.

        Raises:
            ParamError: naming what cannot be kept, by key.
        """
        self.put_all([(key, val)], collection)

    def put_all(
        self,
        kv_pairs: Pairs,
        collection: str = DEFAULT_COLLECTION,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> None:
        """Write dicts under their keys; all of them, or none, whatever ``batch_size`` says.

        Raises:
            ParamError: naming the first pair that cannot be kept, by its key.
        """
        whole("batch_size", batch_size, 1)
        pairs = members("kv_pairs", "a list of pairs of a key and its dict", kv_pairs)
        for i, pair in enumerate(pairs):
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                refuse(f"kv_pairs[{i}]", "a pair of a key and its dict", pair)
        start = _prefix(collection)
        self._values.put({start + text("key", key): _dumped(key, value) for key, value in pairs})

    def get(self, key: str, collection: str = DEFAULT_COLLECTION) -> dict[str, Any] | None:
        """The dict of a key; None if there is none."""
        (found,) = self._values.get([_prefix(collection) + text("key", key)])
        return None if found is None else self._loaded(key, found)

    def get_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, dict[str, Any]]:
        """All keys and dicts, in the order of the keys."""
        start = _prefix(collection)
        found = self._values.items(start)
        return {key[len(start) :]: self._loaded(key, each) for key, each in found.items()}

    def delete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """Delete a key with its dict; whether it was there."""
        return self._values.delete([_prefix(collection) + text("key", key)]) == 1

    aput = twin(put)
    aput_all = twin(put_all)
    aget = twin(get)
    aget_all = twin(get_all)
    adelete = twin(delete)
    aclose = twin(close)

    def _loaded(self, key: str, value: str) -> dict[str, Any]:
        try:
            found = json.loads(value)
        except RecursionError as error:
            raise ParamError(
                f"key {quoted(key)} of collection {quoted(self._values.collection)} holds a dict "
                "that is nested deeper than Python's stack has room for here: read it from "
                "further up"
            ) from error
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ParamError(
                f"key {quoted(key)} of collection {quoted(self._values.collection)} holds no dict "
                f"of LlamaIndex, but {shown(value)}; choose another collection_name"
            )
        return found


class _InFile:
    """What document and index stores share: where they are opened, and who closes what."""

    def __init__(
        self,
        store: File | ElanusKVStore,
        namespace: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        is_given = isinstance(store, ElanusKVStore)
        if is_given and options:
            raise ParamError(
                f"give an ElanusKVStore, or a file to open ({listed(sorted(options))}), not both"
            )
        if namespace is not None:
            namespace = text("namespace", namespace)
        self._values = (
            store if isinstance(store, ElanusKVStore) else ElanusKVStore(store, **options)
        )
        self._owns_values = not is_given
        super().__init__(self._values, namespace)  # type: ignore[call-arg]  # of LlamaIndex's class

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._values!r})"

    def close(self) -> None:
        """Release the file, if it was opened here; a second call does nothing."""
        if self._owns_values:
            self._values.close()

    aclose = twin(close)


class ElanusDocumentStore(_InFile, KVDocumentStore):
    """LlamaIndex's document store in the file of the vectors.

    With it ``AutoMergingRetriever``, ``refresh_ref_docs`` and ingestion pipelines find after a
    restart what they had before, without ``persist``.

    Args:
        store: as for ``ElanusKVStore``, or such a store, which is not closed with this one.
        namespace: keeps the nodes of several document stores in one file apart.
        **options: as for ``ElanusKVStore``.

    Raises:
        ParamError, StorageError: as for ``ElanusKVStore``.

    Example:
        >>> from llama_index.core.schema import TextNode
        >>> nodes = ElanusDocumentStore(":memory:")
        >>> nodes.add_documents([TextNode(id_="kite", text="Kites hover.")])
        >>> nodes.get_document("kite").text
        'Kites hover.'
    """


class ElanusIndexStore(_InFile, KVIndexStore):
    """LlamaIndex's index store in the file of the vectors, for ``load_index_from_storage``.

    Args:
        store: as for ``ElanusKVStore``, or such a store, which is not closed with this one.
        namespace: keeps the indexes of several index stores in one file apart.
        **options: as for ``ElanusKVStore``.

    Raises:
        ParamError, StorageError: as for ``ElanusKVStore``.
    """


def _prefix(collection: Any) -> str:
    # The length keeps ("a", "b:c") and ("a:b", "c") apart.
    name = text("collection", collection)
    return f"{len(name)}:{name}:"


def _dumped(key: str, value: Any) -> str:
    what = f"value of key {quoted(key)}"
    if not is_mapping(value):
        refuse(what, "a dict", value)
    _check_parts(what, value)
    try:
        # Python's own: surrogates, NaN and long integers come back as they were.
        return json.dumps(dict(value), default=lambda part: _form(what, part))
    except ElanusError:
        raise
    except (RecursionError, TypeError, ValueError) as error:
        raise ParamError(f"{what} has no form in JSON: {said_by(error)}") from error


def _check_parts(what: str, value: Any) -> None:
    """Refuse what could not be read wherever it is asked for, or would come back as another.

    Level by level, each part once: a dict may hold itself.
    """
    level = [value]
    for _ in range(_MOST_LEVELS):
        for keys in (list(each) for each in level if is_mapping(each)):
            if odd := [key for key in keys if not isinstance(key, str)]:
                raise ParamError(f"{what}: a key of a dict must be a string, got {shown(odd[0])}")
            if len(set(map(str.__str__, keys))) < len(keys):
                raise ParamError(f"{what}: two keys of a dict are the same text: {listed(keys)}")
        inside = [p for each in level for p in (each.values() if is_mapping(each) else each)]
        level = list({id(p): p for p in inside if isinstance(p, (dict, list, tuple))}.values())
        if not level:
            return
    raise ParamError(f"{what} is nested more than {_MOST_LEVELS} deep, or holds itself")


def _form(what: str, part: Any) -> Any:
    """What stands for a value that JSON lacks: the same as in metadata."""
    return as_json(what, plain(part, what), wide=True)
