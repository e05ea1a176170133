"""Texts by key, in a collection beside the documents."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from elanus.aio import twin
from elanus.client import MilvusClient
from elanus.documents._collection import ClientOptions, open_client
from elanus.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    ParamError,
    listed,
    quoted,
    shown,
)
from elanus.schema import CollectionSchema, DataType, check_name, is_mapping, names, refuse, text

if TYPE_CHECKING:
    # Type checkers have it built in; nothing that runs needs it.
    from typing_extensions import Unpack

KEY, VALUE = "key", "value"

MAX_KEY: Final = 65535
"""Longest key in bytes of UTF-8, as of the ids of documents."""

MAX_VALUE: Final = 2**28
"""Longest value in bytes of UTF-8. A row is JSON of at most 10⁹ bytes, and JSON may double it."""

_FOR_PATTERNS = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})


class KeyValueStore:
    """Texts by key, in a collection of the file that holds the documents.

    For what belongs to documents and is never searched: the whole of which they are parts, or
    what a framework keeps of them. Each call is one commit, or reads one. Any number of stores,
    threads and processes may use one collection.

    The collection is made by the first ``put``; before that, what is read is empty.

    Args:
        uri: path of the file (``str`` or ``Path``), or ``":memory:"``; ``./elanus.db`` if it is
            left out.
        collection: name of the collection in the file.
        client: a client to use instead of opening ``uri``, such as ``store.client`` of a
            ``DocumentStore``; it is not closed with this object.
        **options: as for ``MilvusClient``: ``read_only``, ``durability``, ``timeout``, ``journal``.

    Raises:
        ParamError: if an argument is wrong, or the collection holds something else.
        StorageError: if the file cannot be opened.

    Example:
        >>> with KeyValueStore(":memory:") as values:
        ...     values.put({"page/1": "Kites hover.", "page/2": "Owls sleep by day."})
        ...     values.get(["page/2", "page/3"]), values.keys("page/")
        (['Owls sleep by day.', None], ['page/1', 'page/2'])
    """

    def __init__(
        self,
        uri: str | os.PathLike[str] | None = None,
        collection: str = "key_values",
        *,
        client: MilvusClient | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        self._collection = check_name(text("collection", collection), "collection")
        self._client = open_client(uri, client, options)
        self._owns_client = client is None
        try:
            self._is_made()
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"KeyValueStore({self._client!r}, collection={quoted(self._collection)})"

    @property
    def client(self) -> MilvusClient:
        """The client underneath."""
        return self._client

    @property
    def collection(self) -> str:
        """Name of the collection in the file."""
        return self._collection

    def __enter__(self) -> KeyValueStore:
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
        if self._owns_client:
            self._client.close()

    def put(self, values: Mapping[str, str]) -> None:
        """Write values under their keys, replacing what is there; all of them, or none.

        Args:
            values: texts by key. A key has up to 65,535 bytes of UTF-8, a value up to 2²⁸.

        Raises:
            ParamError: naming the first key or value that cannot be kept.
        """
        if not is_mapping(values):
            refuse("values", "a dict of texts by key", values)
        rows = [
            {
                KEY: _checked("key", key, MAX_KEY),
                VALUE: _checked(f"value of key {quoted(key)}", value, MAX_VALUE),
            }
            for key, value in values.items()
        ]
        if rows:
            self._make()
            self._client.upsert(self._collection, rows)

    def get(self, keys: Sequence[str]) -> list[str | None]:
        """The value of each key, in order; None for keys that do not exist.

        Raises:
            ParamError: if ``keys`` is no list of strings; a set has no order.
        """
        if isinstance(keys, (set, frozenset)):
            refuse("keys", "a list, whose order the values have", keys)
        wanted = names("keys", keys)
        if not self._is_made():
            return [None] * len(wanted)
        rows = self._client.get(self._collection, list(dict.fromkeys(wanted)), [VALUE])
        found = {row[KEY]: row[VALUE] for row in rows}
        return [found.get(key) for key in wanted]

    def delete(self, keys: Sequence[str]) -> int:
        """Delete keys with their values; how many there were. Others are no error."""
        gone = list(dict.fromkeys(names("keys", keys)))
        if not gone or not self._is_made():
            return 0
        return int(self._client.delete(self._collection, ids=gone)["delete_count"])

    def keys(self, prefix: str = "") -> list[str]:
        """The keys that begin with ``prefix``, in their order; all keys without one."""
        return [row[KEY] for row in self._rows(prefix, KEY)]

    def items(self, prefix: str = "") -> dict[str, str]:
        """Keys that begin with ``prefix`` and their values, in the order of the keys."""
        return {row[KEY]: row[VALUE] for row in self._rows(prefix, VALUE)}

    aput = twin(put)
    aget = twin(get)
    adelete = twin(delete)
    akeys = twin(keys)
    aitems = twin(items)
    aclose = twin(close)

    def _rows(self, prefix: str, field: str) -> list[dict[str, Any]]:
        pattern = text("prefix", prefix).translate(_FOR_PATTERNS) + "%"
        if not self._is_made():
            return []
        return self._client.query(
            self._collection, f"{KEY} like {{pattern}}", [field], filter_params={"pattern": pattern}
        )

    def _make(self) -> None:
        """Make the collection, unless it is there."""
        if self._is_made():
            return
        schema = CollectionSchema(description="texts by key")
        schema.add_field(KEY, DataType.VARCHAR, is_primary=True, max_length=MAX_KEY)
        schema.add_field(VALUE, DataType.VARCHAR, max_length=MAX_VALUE)
        try:
            self._client.create_collection(self._collection, schema=schema)
        except CollectionExistsError:
            self._is_made()  # another was quicker: with the same, it is to be hoped

    def _is_made(self) -> bool:
        """Whether the collection is there.

        Raises:
            ParamError: if it holds something else.
        """
        try:
            described = self._client.describe_collection(self._collection)
        except CollectionNotFoundError:
            return False
        fields = [field["name"] for field in described["fields"]]
        if fields != [KEY, VALUE]:
            raise ParamError(
                f"collection {quoted(self._collection)} has the fields {listed(fields)}, and no "
                "texts by key; choose another name"
            )
        for field in described["fields"]:
            is_key = field["name"] == KEY
            is_text = field["type"] == DataType.VARCHAR and not field.get("nullable", False)
            if not is_text or bool(field.get("is_primary", False)) is not is_key:
                rule = "the primary key" if is_key else "a field beside the primary key"
                nullable = ", nullable" if field.get("nullable", False) else ""
                raise ParamError(
                    f"collection {quoted(self._collection)}: texts by key need {field['name']!r} "
                    f"to be {rule}, of strings that are never null, and it is of type "
                    f"{field['type'].name}{nullable}; choose another name"
                )
        return True


def _checked(what: str, value: Any, most: int) -> str:
    plain = text(what, value)
    if len(plain) * 4 > most and (size := len(plain.encode())) > most:
        raise ParamError(
            f"{what} has {size:,} bytes, more than the {most:,} that are kept; got {shown(value)}"
        )
    return plain
