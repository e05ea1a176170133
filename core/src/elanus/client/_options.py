"""Arguments that are the same everywhere: addresses, limits, and pymilvus's many keywords."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from elanus.errors import FilterError, ParamError, UnsupportedError, cut, quoted, shown
from elanus.schema import asks, members, names, refuse, seconds

_REMOTE = ("http://", "https://", "tcp://", "unix:", "grpc://")

_LONGEST_PATH = 4095  # no system takes a longer one, and others' errors would print it

COUNT = "count(*)"

_COUNT = re.compile(r"\s*count\s*\(\s*\*\s*\)\s*", re.IGNORECASE)

# Accepted by every call, since they change nothing here: reads see every commit before them,
# nothing is loaded or replicated, and no call waits for a server.
_HARMLESS = frozenset(
    {"consistency_level", "guarantee_timestamp", "graceful_time", "ignore_growing", "timezone",
     "replica_number", "resource_groups", "refresh", "skip_load_dynamic_field", "sync",
     "num_shards", "num_partitions", "is_clustering", "is_l0", "context"}
)  # fmt: skip

_KEYS = frozenset({"ids", "pks"})  # where the empty text is a key


def check_options(call: str, given: Mapping[str, Any], timeout: Any = None) -> None:
    """Refuse keywords that would otherwise be dropped in silence.

    Args:
        call: for the error.
        given: keywords that the call does not know.
        timeout: taken for compatibility, since no call waits for a server.

    Raises:
        UnsupportedError: naming the keyword; None, False and the empty text ask for nothing.
        ParamError: if the timeout is no number of seconds.
    """
    if timeout is not None:
        seconds(f"{call}: timeout", timeout)
    for key, value in given.items():
        is_given = value is not None if key in _KEYS else asks(value)
        if is_given and key not in _HARMLESS:
            raise UnsupportedError(
                f"{call}: the argument {cut(key)}={quoted(value)} is not supported"
            )


def check_partitions(call: str, *names: Any) -> None:
    """Refuse partitions other than the one that every collection has.

    Raises:
        UnsupportedError: if another is named.
    """
    for name in names:
        wanted = name if isinstance(name, (list, tuple)) else [] if name is None else [name]
        if not all(isinstance(n, str) and n in ("", "_default") for n in wanted):
            raise UnsupportedError(f"{call}: partitions are not supported, got {shown(name)}")


def local_path(uri: Any) -> str:
    """The file that an address names.

    Raises:
        UnsupportedError: if it names a server.
        ParamError: if it is no path at all.
    """
    address = os.fspath(uri) if isinstance(uri, (str, os.PathLike)) else None
    if not isinstance(address, str) or not address:
        refuse("uri", "a file path or ':memory:'", uri)
    address = str.__str__(address)
    if "\0" in address or not _is_unicode(address):
        raise ParamError(f"uri {quoted(address)} holds a character that no path can hold")
    if len(address) > _LONGEST_PATH:
        raise ParamError(
            f"uri {quoted(address)} is longer than a path can be: {len(address)} characters"
        )
    if address.lower().startswith(_REMOTE):
        raise UnsupportedError(
            f"uri {quoted(address)} is a server's address; this version of elanus opens files: "
            "give a path such as './milvus.db', or ':memory:'"
        )
    return address


def _is_unicode(address: str) -> bool:
    try:
        os.fsencode(address)
    except UnicodeEncodeError:
        return False
    return True


def keys_of(what: str, ids: Any) -> list[Any]:
    """One key, or a list of keys, as a list; whether they fit the collection is not looked at.

    Raises:
        ParamError: if it is a dict, a frame, or another object that holds something else.
    """
    if isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
        return [ids]
    return members(what, "a key or a list of keys", ids)


def field_names(given: Any, *, counting: bool = False) -> list[str] | None:
    """``output_fields`` as a list; None if nothing is asked for.

    Args:
        given: what the caller gave.
        counting: whether ``count(*)`` may be among them, in any case and spacing.

    Raises:
        ParamError: if it is no list of names.
    """
    if given is None:
        return None
    found = [COUNT if _COUNT.fullmatch(name) else name for name in names("output_fields", given)]
    if COUNT in found and not counting:
        raise ParamError(f"output_fields: {COUNT} can only be asked of query")
    return found


def filter_text(given: Any) -> str:
    """A filter as text; none is empty.

    Raises:
        FilterError: if it is no text.
    """
    if given is not None and not isinstance(given, str):
        raise FilterError(f"a filter is a string, got {shown(given)}")
    return given or ""
