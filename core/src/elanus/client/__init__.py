"""Milvus's client API: arguments in, pymilvus-shaped results out."""

from elanus.client._async import AsyncMilvusClient
from elanus.client._client import MilvusClient
from elanus.client._results import Hit

__all__ = ["AsyncMilvusClient", "Hit", "MilvusClient"]
