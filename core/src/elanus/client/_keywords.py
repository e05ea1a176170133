"""The keyword arguments that calls take beside those in their signatures, for type checkers.

A call refuses any other when it runs, too; see ``check_options``. Most values are of any type here,
since the calls check them with errors of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict


class Keywords(TypedDict, total=False):
    """What pymilvus's calls take, and what means nothing for a file."""

    consistency_level: Any
    guarantee_timestamp: Any
    graceful_time: Any
    ignore_growing: Any
    timezone: Any
    replica_number: Any
    resource_groups: Any
    refresh: Any
    skip_load_dynamic_field: Any
    sync: Any
    num_shards: Any
    num_partitions: Any
    context: Any


class SchemaKeywords(TypedDict, total=False):
    """Of ``create_schema``."""

    auto_id: bool
    enable_dynamic_field: bool
    description: str
    primary_field: Any
    fields: Any
    functions: Any


class CreationKeywords(Keywords, total=False):
    """Of ``create_collection``."""

    properties: Mapping[str, Any] | None
    description: str
    max_length: int
    enable_dynamic_field: bool


class FilterKeywords(Keywords, total=False):
    """Of calls with a filter: the values of its templates."""

    filter_params: Mapping[str, Any] | None


class DeletionKeywords(FilterKeywords, total=False):
    """Of ``delete``."""

    pks: Any


class QueryKeywords(FilterKeywords, total=False):
    """Of ``query``."""

    limit: int | None
    offset: int | None


class SearchKeywords(FilterKeywords, total=False):
    """Of ``search``."""

    offset: int | None
    round_decimal: int | None


class HybridKeywords(SearchKeywords, total=False):
    """Of ``hybrid_search``."""

    filter: Any
    explain: bool
    relevance: Any
    min_relevance: float | None
    group_by: Any
