"""What is in a store, at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from elanus.client import MilvusClient
from elanus.documents._collection import METADATA, Layout
from elanus.documents.search._scope import Key, key_path
from elanus.documents.search._settings import SearchSettings, kept_settings
from elanus.query import Expression
from elanus.schema import whole
from elanus.text import analyzer_name

_TYPE_NAMES = {
    "NULL": "null", "BOOL": "bool", "INT": "int", "FLOAT": "float", "STRING": "str",
    "ARRAY": "list", "OBJECT": "dict",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoreStats:
    """Sizes of a store, and what it was made with.

    Attributes:
        documents: how many there are.
        collection: its name in the file.
        model: name of the embedding; None if the store names none.
        dim: number of components of the vectors; None if it has none.
        analyzer: the name of its analyzer, or its identity if no name stands for it;
            ``build_analyzer`` takes both.
        file_size: bytes of the whole file with its log, other collections included.
        settings: what a search goes by where its arguments say nothing.
        kept: those of them that are kept in the file; None for what is not.
        title: the metadata key of the titles; None if it has none.
    """

    documents: int
    collection: str
    model: str | None
    dim: int | None
    analyzer: str
    file_size: int
    settings: SearchSettings
    kept: SearchSettings
    title: str | None = None


def stats_of(
    client: MilvusClient, collection: str, layout: Layout, usual: SearchSettings
) -> StoreStats:
    """The sizes as of now, and the settings; ``usual`` are those where none are kept."""
    count = client.get_collection_stats(collection)["row_count"]
    kept = kept_settings(client, collection)
    return StoreStats(
        count, collection, layout.model, layout.dim,
        analyzer_name(layout.analyzer) or layout.analyzer, client.file_size(),
        kept.over(usual), kept, layout.title,
    )  # fmt: skip


def keys_of(
    client: MilvusClient, collection: str, scope: Expression | None
) -> dict[str, dict[str, int]]:
    """Metadata keys, and in how many documents each has a value of which type."""
    found: dict[str, dict[str, int]] = {}
    for name, kind, count in client.count_keys(collection, METADATA, scope):
        found.setdefault(name, {})[_TYPE_NAMES[kind]] = count
    return dict(sorted(found.items(), key=lambda one: (-sum(one[1].values()), one[0])))


def facets_of(
    client: MilvusClient,
    collection: str,
    key: Key,
    scope: Expression | None,
    limit: int | None,
) -> list[tuple[Any, int]]:
    """Values of a metadata key, and how many documents have each."""
    most = None if limit is None else whole("limit", limit, 1)
    return client.count_values(collection, METADATA, key_path("key", key), scope)[:most]
