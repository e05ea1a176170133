"""Arguments that are the same everywhere: addresses, limits, and pymilvus's many keywords."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from elanus.errors import ParamError, UnsupportedError

_REMOTE = ("http://", "https://", "tcp://", "unix:", "grpc://")

# Accepted by every call, since they change nothing here: reads see every commit before them,
# nothing is loaded or replicated, and no call waits for a server.
_HARMLESS = frozenset(
    {"consistency_level", "guarantee_timestamp", "graceful_time", "ignore_growing", "timezone",
     "replica_number", "resource_groups", "refresh", "skip_load_dynamic_field", "sync",
     "num_shards", "num_partitions", "is_clustering", "is_l0", "context"}
)  # fmt: skip


def check_options(call: str, given: Mapping[str, Any], known: frozenset[str] = frozenset()) -> None:
    """Refuse keywords that would otherwise be dropped in silence.

    Raises:
        UnsupportedError: naming the keyword; a value of None, False or nothing asks for nothing.
    """
    for key, value in given.items():
        if key in known or key in _HARMLESS or value in (None, False, "", [], ()):
            continue
        raise UnsupportedError(f"{call}: the argument {key}={value!r} is not supported")


def check_partitions(call: str, *names: Any) -> None:
    """Refuse partitions other than the one that every collection has.

    Raises:
        UnsupportedError: if another is named.
    """
    for name in names:
        wanted = [name] if isinstance(name, str) else list(name or [])
        if any(n not in ("", "_default") for n in wanted):
            raise UnsupportedError(f"{call}: partitions are not supported, got {name!r}")


def local_path(uri: Any) -> str:
    """The file that an address names.

    Raises:
        UnsupportedError: if it names a server.
        ParamError: if it is no path at all.
    """
    if not isinstance(uri, (str, os.PathLike)) or not str(uri):
        raise ParamError(f"uri must be a file path or ':memory:', got {uri!r}")
    address = os.fspath(uri)
    if not isinstance(address, str):
        raise ParamError(f"uri must be text, got {uri!r}")
    if address.lower().startswith(_REMOTE):
        raise UnsupportedError(
            f"uri {address!r} is a server's address; this version of elanus opens files: "
            "give a path such as './milvus.db', or ':memory:'"
        )
    return address


def whole(what: str, value: Any, least: int) -> int:
    """An integer of at least ``least``.

    Raises:
        ParamError: if it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ParamError(f"{what} must be an integer of at least {least}, got {value!r}")
    return int(value)
