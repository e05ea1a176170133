"""``ElanusRecordManager``: what LangChain's indexing API remembers, in the documents' own file."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from typing import Any

from langchain_core.indexing import RecordManager

from elanus import (
    CollectionSchema,
    DataType,
    DocumentStore,
    ElanusError,
    MilvusClient,
    ParamError,
)
from elanus.aio import twin
from elanus.arguments import members, names, number, whole
from elanus.errors import CollectionNotFoundError, quoted, shown
from langchain_elanus._groups import as_group
from langchain_elanus._vectorstore import ElanusVectorStore

DEFAULT_COLLECTION = "langchain_records"

_FIELDS = ("id", "namespace", "key", "group_id", "updated_at")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_LONGEST_NAMESPACE = 1000
_END = 1e12  # beyond the years that a clock can show


class ElanusRecordManager(RecordManager):
    """Remembers which documents were indexed and when, so that ``index()`` can clean up.

    Records are rows of a collection beside the documents: no second database. Several
    namespaces, and several managers of one namespace, can share a file.

    Args:
        namespace: whose records these are; a name for the source and the collection.
        store: whose file to use: an ``ElanusVectorStore``, a ``DocumentStore`` or a
            ``MilvusClient``. It is not closed with the manager.
        collection_name: name of the collection of the records.

    Raises:
        ParamError: if ``store`` is none of these, or another argument cannot be kept.

    Example:
        >>> records = ElanusRecordManager("handbook", store)
        >>> records.create_schema()
        >>> index(documents, records, store, cleanup="full", key_encoder="sha256")
    """

    def __init__(
        self,
        namespace: str,
        store: ElanusVectorStore | DocumentStore | MilvusClient,
        *,
        collection_name: str = DEFAULT_COLLECTION,
    ) -> None:
        # What is wrong has to come out here: index() writes records after it has embedded.
        _check_namespace(namespace)
        _check_name(collection_name)
        super().__init__(namespace)
        self._client = client_of(store)
        self._collection = collection_name

    def __repr__(self) -> str:
        return f"ElanusRecordManager({quoted(self.namespace)}, {self._client!r})"

    def create_schema(self) -> None:
        """Make the collection, unless it exists; the first ``update`` does so too."""
        if self._is_made():
            return
        schema = CollectionSchema(description="records of LangChain's indexing API")
        schema.add_field("id", DataType.VARCHAR, is_primary=True)
        schema.add_field("namespace", DataType.VARCHAR)
        schema.add_field("key", DataType.VARCHAR)
        schema.add_field("group_id", DataType.VARCHAR, nullable=True)
        schema.add_field("updated_at", DataType.DOUBLE)
        try:
            self._client.create_collection(self._collection, schema=schema)
        except ElanusError:
            # Another manager may have been quicker.
            if not self._client.has_collection(self._collection):
                raise

    def get_time(self) -> float:
        """Seconds since the epoch, by the clock of this machine, which also dates the records."""
        return time.time()

    def update(
        self,
        keys: Sequence[str],
        *,
        group_ids: Sequence[Any] | None = None,
        time_at_least: float | None = None,
    ) -> None:
        """Write records, dated now; all of them in one commit.

        Args:
            keys: the documents' keys.
            group_ids: the source of each, if known; replaces what was known before. A text, or
                what is the same in every process: numbers that are equal are one source, and 1
                and ``"1"`` are two.
            time_at_least: a time that must not lie in the future.

        Raises:
            ValueError: if there is not one group id a key, one is another in every process, or
                the clock went back behind ``time_at_least``; nothing is written.
        """
        keys = names("keys", keys)
        groups = [None] * len(keys)
        if group_ids is not None:
            groups = members("group_ids", "a list of one a key", group_ids)
        if len(groups) != len(keys):
            raise ParamError(f"{len(keys)} keys, but {len(groups)} group_ids")
        now = self.get_time()
        if time_at_least is not None and number("time_at_least", time_at_least, 0, _END) > now:
            raise ParamError(
                f"time_at_least={quoted(time_at_least)} lies in the future: the clock says "
                f"{now}; a clean-up could delete what was just indexed"
            )
        # A key that comes twice is one record: the last one, as if written one after another.
        records = {
            self._id(key): {"namespace": self.namespace, "key": key, "group_id": as_group(group)}
            for key, group in zip(keys, groups, strict=True)
        }
        rows = [{"id": id_, **record, "updated_at": now} for id_, record in records.items()]
        self.create_schema()
        self._client.upsert(self._collection, rows)

    def exists(self, keys: Sequence[str]) -> list[bool]:
        """For each key whether it has a record."""
        keys = names("keys", keys)
        if not self._is_made():
            return [False] * len(keys)
        ids = [self._id(key) for key in keys]
        found = {row["id"] for row in self._client.get(self._collection, ids, ["id"])}
        return [id_ in found for id_ in ids]

    def list_keys(
        self,
        *,
        before: float | None = None,
        after: float | None = None,
        group_ids: Sequence[Any] | None = None,
        limit: int | None = None,
    ) -> list[str]:
        """Keys of the records that meet every condition given, in the order of the keys.

        Args:
            before: written before this time.
            after: written after it.
            group_ids: of these sources; an empty list asks for all, as LangChain's own do.
            limit: how many at most.
        """
        text, params = "namespace == {namespace}", dict[str, Any](namespace=self.namespace)
        for name, sign, given in (("before", "<", before), ("after", ">", after)):
            if given is not None:
                params[name] = number(name, given, -math.inf, math.inf)
                text = f"{text} and updated_at {sign} {{{name}}}"
        limit = None if limit is None else whole("limit", limit, 0)
        sources = [] if group_ids is None else members("group_ids", "a list", group_ids)
        if sources:
            groups = [as_group(each) for each in sources]
            params["groups"] = [each for each in groups if each is not None]
            unknown = " or group_id is null" if None in groups else ""
            text = f"{text} and (group_id in {{groups}}{unknown})"
        if not self._is_made():
            return []
        rows = self._client.query(
            self._collection, text, ["key"], filter_params=params, limit=limit or None
        )
        return [row["key"] for row in rows]

    def delete_keys(self, keys: Sequence[str]) -> None:
        """Delete records; keys without one are no error."""
        keys = names("keys", keys)
        if self._is_made():
            self._client.delete(self._collection, ids=[self._id(key) for key in keys])

    def _is_made(self) -> bool:
        # Without the collection there are no records; to read them need not write to the file.
        try:
            described = self._client.describe_collection(self._collection)
        except CollectionNotFoundError:
            return False
        if [field["name"] for field in described["fields"]] != list(_FIELDS):
            raise ParamError(
                f"collection {quoted(self._collection)} holds no records of a record manager; "
                "choose another collection_name"
            )
        return True

    def _id(self, key: str) -> str:
        # The length keeps ("a", "b:c") and ("a:b", "c") apart.
        return f"{len(self.namespace)}:{self.namespace}:{key}"

    # --- asynchronous forms: the client's calls are short and end in one commit, so that a
    # thread for each whole call is all they need -------------------------------------------

    acreate_schema = twin(create_schema)
    aupdate = twin(update)
    aexists = twin(exists)
    alist_keys = twin(list_keys)
    adelete_keys = twin(delete_keys)

    async def aget_time(self) -> float:
        """Asynchronous ``get_time``."""
        return self.get_time()


def _check_namespace(namespace: Any) -> None:
    if not isinstance(namespace, str) or len(namespace) > _LONGEST_NAMESPACE:
        raise ParamError(
            f"namespace must be a string of at most {_LONGEST_NAMESPACE} characters, got "
            f"{shown(namespace)}"
        )
    if namespace.encode(errors="ignore").decode() != namespace:
        raise ParamError(f"namespace cannot be encoded as UTF-8: {quoted(namespace)}")


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ParamError(
            f"collection_name must be letters, digits and underscores, got {shown(name)}"
        )


def client_of(store: Any) -> MilvusClient:
    """The client of what is open.

    Raises:
        ParamError: if it is something else.
    """
    if isinstance(store, (ElanusVectorStore, DocumentStore)):
        return store.client
    if isinstance(store, MilvusClient):
        return store
    raise ParamError(
        f"store must be an ElanusVectorStore, a DocumentStore or a MilvusClient, got {shown(store)}"
    )
