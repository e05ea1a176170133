"""Arguments that are the same everywhere: addresses, limits, and pymilvus's many keywords."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from elanus.errors import ParamError, UnsupportedError

_REMOTE = ("http://", "https://", "tcp://", "unix:", "grpc://")

COUNT = "count(*)"

# Types whose empty or false value asks for nothing; a numpy array has no truth value.
_PLAIN = (bool, int, str, list, tuple, dict)

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
        asks = value is not None and (not isinstance(value, _PLAIN) or bool(value))
        if asks and key not in known and key not in _HARMLESS:
            raise UnsupportedError(f"{call}: the argument {key}={value!r} is not supported")


def check_partitions(call: str, *names: Any) -> None:
    """Refuse partitions other than the one that every collection has.

    Raises:
        UnsupportedError: if another is named.
    """
    for name in names:
        wanted = name if isinstance(name, (list, tuple)) else [] if name is None else [name]
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
    if "\0" in address or not _is_unicode(address):
        raise ParamError(f"uri {address!r} holds a character that no path can hold")
    if address.lower().startswith(_REMOTE):
        raise UnsupportedError(
            f"uri {address!r} is a server's address; this version of elanus opens files: "
            "give a path such as './milvus.db', or ':memory:'"
        )
    return address


def _is_unicode(address: str) -> bool:
    try:
        os.fsencode(address)
    except UnicodeEncodeError:
        return False
    return True


def as_dict(what: str, value: Any) -> dict[str, Any]:
    """A mapping as a dict; None is empty.

    Raises:
        ParamError: if it is no mapping.
    """
    if value is not None and not isinstance(value, Mapping):
        raise ParamError(f"{what} must be a dict, got {value!r}")
    return dict(value or {})


def as_list(values: Any) -> list[Any]:
    """One key, or a list of keys, as a list."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        return [values]
    return list(values)


def text(what: str, value: Any) -> str:
    """A name.

    Raises:
        ParamError: if it is no string.
    """
    if not isinstance(value, str):
        raise ParamError(f"{what} must be a string, got {value!r}")
    return value


def field_names(names: Any, *, counting: bool = False) -> list[str] | None:
    """``output_fields`` as a list; None if nothing is asked for.

    Args:
        names: what the caller gave.
        counting: whether ``count(*)`` may be among them.

    Raises:
        ParamError: if it is no list of names.
    """
    if names is None:
        return None
    if not isinstance(names, (Sequence, set, frozenset)) or isinstance(names, str):
        raise ParamError(f"output_fields must be a list of names, got {names!r}")
    if COUNT in names and not counting:
        raise ParamError(f"output_fields: {COUNT} can only be asked of query")
    return list(names)


def whole(what: str, value: Any, least: int) -> int:
    """An integer of at least ``least``.

    Raises:
        ParamError: if it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ParamError(f"{what} must be an integer of at least {least}, got {value!r}")
    return int(value)
