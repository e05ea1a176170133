"""``AsyncMilvusClient``: the same calls as coroutines, on threads of their own."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any

from elanus.aio import HasWorker, Worker, in_thread, twin
from elanus.client._client import MilvusClient


class AsyncMilvusClient(HasWorker):
    """``MilvusClient`` with coroutines; takes the same arguments.

    It never blocks the event loop, can be made outside one, and works in several, one after
    another or at once. Cancelling a coroutine ends the wait, not the write.
    """

    def __init__(
        self, uri: str | os.PathLike[str] = "http://localhost:19530", *args: Any, **kwargs: Any
    ) -> None:
        self._client = MilvusClient(uri, *args, **kwargs)
        self._worker = Worker("elanus-async")

    @property
    def blocking(self) -> MilvusClient:
        """The synchronous client that the calls run on."""
        return self._client

    async def __aenter__(self) -> AsyncMilvusClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return repr(self._client).replace("MilvusClient", "AsyncMilvusClient", 1)

    async def close(self) -> None:
        """Release the file. Calls that are running finish; a second close does nothing."""
        await in_thread(self._client.close)
        self._worker.close()

    create_schema = staticmethod(MilvusClient.create_schema)
    create_field_schema = staticmethod(MilvusClient.create_field_schema)
    prepare_index_params = staticmethod(MilvusClient.prepare_index_params)

    create_collection = twin(MilvusClient.create_collection)
    has_collection = twin(MilvusClient.has_collection)
    list_collections = twin(MilvusClient.list_collections)
    describe_collection = twin(MilvusClient.describe_collection)
    drop_collection = twin(MilvusClient.drop_collection)
    rename_collection = twin(MilvusClient.rename_collection)
    truncate_collection = twin(MilvusClient.truncate_collection)
    get_collection_stats = twin(MilvusClient.get_collection_stats)
    create_index = twin(MilvusClient.create_index)
    list_indexes = twin(MilvusClient.list_indexes)
    describe_index = twin(MilvusClient.describe_index)
    drop_index = twin(MilvusClient.drop_index)
    load_collection = twin(MilvusClient.load_collection)
    refresh_load = twin(MilvusClient.refresh_load)
    release_collection = twin(MilvusClient.release_collection)
    get_load_state = twin(MilvusClient.get_load_state)
    flush = twin(MilvusClient.flush)
    compact = twin(MilvusClient.compact)
    get_server_version = twin(MilvusClient.get_server_version)
    verify = twin(MilvusClient.verify)
    check_readable = twin(MilvusClient.check_readable)
    check_writable = twin(MilvusClient.check_writable)
    backup = twin(MilvusClient.backup)

    insert = twin(MilvusClient.insert)
    upsert = twin(MilvusClient.upsert)
    delete = twin(MilvusClient.delete)
    get = twin(MilvusClient.get)
    query = twin(MilvusClient.query)
    search = twin(MilvusClient.search)
    hybrid_search = twin(MilvusClient.hybrid_search)

    replace = twin(MilvusClient.replace)
    change_json = twin(MilvusClient.change_json)
    change_collection = twin(MilvusClient.change_collection)
    count_values = twin(MilvusClient.count_values)
    count_keys = twin(MilvusClient.count_keys)
    query_terms = twin(MilvusClient.query_terms)
    file_size = twin(MilvusClient.file_size)
