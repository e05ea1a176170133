"""``MilvusClient`` over a local file."""

from __future__ import annotations

from elanus.client._collections import CollectionCalls
from elanus.client._data import DataCalls


class MilvusClient(CollectionCalls, DataCalls):
    """pymilvus's client over a file, without a server.

    Safe to use from several threads; several processes may open the same file at once.

    Example:
        >>> client = MilvusClient(":memory:")
        >>> client.create_collection("demo", dimension=2)
        >>> client.insert("demo", [{"id": 1, "vector": [1, 0]}, {"id": 2, "vector": [0, 1]}])
        {'insert_count': 2, 'ids': [1, 2], 'cost': 0}
        >>> [hit.id for hit in client.search("demo", data=[[1, 0.1]], limit=1)[0]]
        [1]
        >>> client.close()
    """

    def __enter__(self) -> MilvusClient:
        return self
