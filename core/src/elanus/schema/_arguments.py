"""From what a caller gives as an argument to a plain value of Python: used by every public call.

A converter takes the name of an argument and its value, and raises ``ParamError`` with both.
Numpy's scalars are taken for those of Python. Nothing else is converted: what is refused here is
what would be guessed elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, NoReturn, TypedDict

import numpy as np

from elanus.errors import (
    ElanusWarning,
    ParamError,
    UnsupportedError,
    closest,
    cut,
    quoted,
    shown,
    warn,
)
from elanus.schema.frames._libraries import is_mapping, table_library

# How the names of our modules begin, in all distributions.

DEFAULT_URI = "./elanus.db"
"""The file that is opened if the caller names none."""

LONGEST_WAIT = 2_000_000
"""Seconds, about 23 days; SQLite counts milliseconds in 32 bits."""

LARGEST = 2**63 - 1
"""The largest integer that an argument may be."""

# Accepted by every call, since they change nothing here: reads see every commit before them,
# nothing is loaded or replicated, and no call waits for a server.
_HARMLESS = frozenset(
    {"consistency_level", "guarantee_timestamp", "graceful_time", "ignore_growing", "timezone",
     "replica_number", "resource_groups", "refresh", "skip_load_dynamic_field", "sync",
     "num_shards", "num_partitions", "is_clustering", "is_l0", "context"}
)  # fmt: skip

_KEYS = frozenset({"ids", "pks"})  # where the empty text is a key


def refuse(what: str, rule: str, value: Any) -> NoReturn:
    """Raise the error for one argument.

    Raises:
        ParamError: always.
    """
    raise ParamError(f"{cut(what)} must be {rule}, got {shown(value)}")


def is_whole(value: Any) -> bool:
    """Whether a value is an integer; not a bool, nor a span of time, which numpy calls one."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.timedelta64))


def is_number(value: Any) -> bool:
    """Whether a value is an integer or a real number, NaN included."""
    return is_whole(value) or isinstance(value, (float, np.floating))


def whole(what: str, value: Any, least: int, most: int = LARGEST) -> int:
    """An integer from ``least`` to ``most``."""
    if type(value) is int and least <= value <= most:
        return value
    if not is_whole(value) or not least <= int(value) <= most:
        is_open = most == LARGEST and not (is_whole(value) and value > most)
        bounds = f"of at least {least}" if is_open else f"from {least} to {most}"
        refuse(what, f"an integer {bounds}", value)
    return int(value)


def as_written(value: Any) -> Any:
    """The number that a text writes out, integers as such; anything else as it is.

    Parameters of indexes and fields come as text from pymilvus and from Milvus's own tools.
    """
    if not isinstance(value, (str, float, np.floating)):
        return value
    try:
        # A text's own class may say otherwise what it is, and fail in the message.
        found = float(str.__str__(value) if isinstance(value, str) else value)
    except ValueError:
        return value
    return int(found) if found.is_integer() else found


def asks(value: Any) -> bool:
    """Whether an argument asks for anything: None, False and the empty text do not.

    These pymilvus passes where nothing was given. 0 is a key, and an empty list is a list of none.
    """
    return value is not False and names_something(value)


def names_something(value: Any) -> bool:
    """Whether a name is given, be it a wrong one: None and the empty text are none."""
    return value is not None and not (isinstance(value, str) and not value)


def number(what: str, value: Any, least: float, most: float) -> float:
    """A number from ``least`` to ``most``; an integer stays one."""
    plain = as_number(value)
    if plain is None or not least <= plain <= most:  # false for NaN
        refuse(what, f"a number from {least:g} to {most:g}", value)
    return plain


def as_number(value: Any) -> float | None:
    """A number in Python's own type, in which it compares exactly with any other; None for none."""
    if is_whole(value):
        return int(value)
    return float(value) if isinstance(value, (float, np.floating)) else None


def seconds(what: str, value: Any) -> float:
    """A time to wait."""
    plain = as_number(value)
    if plain is None or not 0 <= plain <= LONGEST_WAIT:
        raise ParamError(
            f"{cut(what)} must be a number of seconds, got {shown(value)}; "
            f"give one from 0 to {LONGEST_WAIT:,}"
        )
    return float(plain)


def flag(what: str, value: Any) -> bool:
    """True or False; the text "false" is neither, nor is 0."""
    if not isinstance(value, (bool, np.bool_)):
        refuse(what, "True or False", value)
    return bool(value)


def text(what: str, value: Any) -> str:
    """A string that a file can hold."""
    if not isinstance(value, str):
        refuse(what, "a string", value)
    if not is_encodable(value):
        refuse(what, "valid Unicode, without lone surrogates", value)
    return str.__str__(value)


def as_path(what: str, rule: str, value: Any) -> str:
    """The path that a string or a path object names; bytes, and what names no path, are refused."""
    try:
        found = os.fspath(value)
    except TypeError:
        found = None
    if not isinstance(found, str):
        refuse(what, rule, value)
    if "\0" in found or not _is_named(found):
        raise ParamError(f"{cut(what)} {quoted(found)} holds a character that no path can hold")
    return str.__str__(found)


def _is_named(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def as_query(what: str, value: Any) -> str:
    """A query as models and rerankers take it: `repaired`.

    None of them takes half of a surrogate pair, and a query is never refused for what it says.
    """
    if not isinstance(value, str):
        refuse(what, "a string", value)
    return repaired(str.__str__(value))


class Nothing(TypedDict):
    """No keywords: type checkers refuse every one of them, and a call refuses them with a hint."""


def is_encodable(value: str) -> bool:
    """Whether UTF-8 can hold a text: not if half of a surrogate pair is in it."""
    try:
        str.encode(value)
    except UnicodeEncodeError:
        return False
    return True


def repaired(value: str) -> str:
    """A text that UTF-8 can hold: surrogate pairs joined, and U+FFFD for each half of one."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def repaired_texts(what: str, values: list[Any]) -> list[Any]:
    """Texts that UTF-8 can hold, with a warning if some were others; what is no text stays."""
    found = [repaired(value) if isinstance(value, str) else value for value in values]
    warn_repaired(
        [f"{what}[{i}]" for i, old in enumerate(values) if old is not found[i]],
    )
    return found


def warn_repaired(what: Sequence[str]) -> None:
    """Say of some values that they were no text that UTF-8 can hold; of none nothing."""
    if what:
        more = f" and {len(what) - 1:,} more" if len(what) > 1 else ""
        message = (
            f"{what[0]}{more} held surrogates, which no file can hold: pairs were joined, "
            "and halves replaced with U+FFFD"
        )
        warn(ElanusWarning(message))


def choice(what: str, value: Any, known: Collection[str]) -> str:
    """One of some words."""
    if not isinstance(value, str) or value not in known:
        either = " or ".join(map(repr, known))
        refuse(what, either if len(known) == 2 else f"one of {', '.join(known)}", value)
    return str.__str__(value)


def word(value: Any) -> str | None:
    """The text of a string or of an enum's member that has one; None for anything else."""
    found = value.value if isinstance(value, Enum) else value
    return str.__str__(found) if isinstance(found, str) else None


def names(what: str, value: Any) -> list[str]:
    """A list of strings; a single string is none."""
    is_list = isinstance(value, (Sequence, set, frozenset)) and not isinstance(value, (str, bytes))
    if not is_list or not all(isinstance(name, str) for name in value):
        refuse(what, "a list of names", value)
    return [str.__str__(name) for name in value]


def mapping(what: str, value: Any) -> dict[Any, Any]:
    """A mapping as a dict; None is empty."""
    if value is None:
        return {}
    if type(value) is not dict and not is_mapping(value):
        refuse(what, "a dict", value)
    return dict(value)


def members(what: str, rule: str, value: Any) -> list[Any]:
    """The members of a list, as ``as_list`` takes them."""
    found = None if isinstance(value, str) else as_list(value)
    if found is None:
        refuse(what, rule, value)
    return found


def as_list(value: Any) -> list[Any] | None:
    """The members of a list, tuple, set, array, column or generator; None for anything else.

    Dicts, frames and bytes can be gone through as well, but mean something else.
    """
    if type(value) in (list, tuple):
        return list(value)
    is_other = isinstance(value, (bytes, bytearray, memoryview, Mapping))
    if is_other or not isinstance(value, Iterable) or table_library(value) is not None:
        return None
    try:
        return list(value)
    except (TypeError, RuntimeError):
        # Arrays without a dimension have `__iter__`, and so have sparse tensors; but a generator's
        # own error is its caller's.
        if isinstance(value, Iterator):
            raise
        return None


# What is one thing in several libraries; the name that a call has for it is the one meant.
_SYNONYMS = (
    {"k", "limit", "n", "top_k", "topk", "n_results", "num_results", "max_results", "size"},
    {"texts", "documents", "docs", "contents"},
    {"metadatas", "metadata", "meta", "payloads", "payload"},
    {"filter", "filters", "where", "expr", "query_filter"},
    {"ids", "id", "pks"},
    {"data", "vectors", "vector", "embeddings", "embedding", "query_embeddings", "query_vector"},
    {"min_relevance", "score_threshold", "similarity_threshold", "min_score", "threshold"},
    {"with_vectors", "include_vectors", "include_embeddings"},
)


def meant(name: str, known: Iterable[str]) -> str:
    """As ``likely``, of the argument of a call: also one that other libraries name nearly so."""
    every = list(known)
    stand_for = {
        other: each
        for names_of_one in reversed(_SYNONYMS)
        for each in reversed(every)
        if each in names_of_one
        for other in names_of_one
    }
    # What is an argument itself means itself, and comes first among those that are alike.
    stand_for = {each: each for each in every} | {
        other: each for other, each in stand_for.items() if other not in every
    }
    found = stand_for.get(closest(name, stand_for) or "")
    return "" if found is None else f"; did you mean {found!r}?"


def check_options(
    call: str,
    given: Mapping[str, Any],
    timeout: Any = None,
    partitions: Any = None,
    known: Iterable[str] = (),
) -> None:
    """Refuse keywords that would otherwise be dropped in silence.

    Args:
        call: for the error.
        given: keywords that the call does not know.
        timeout: taken for compatibility, since no call waits for a server.
        partitions: those that are named: a collection has one.
        known: names of all arguments of the call: one of them may have been meant.

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
                f"{meant(key, known)}"
            )
    if partitions is not None:
        wanted = partitions if isinstance(partitions, (list, tuple)) else [partitions]
        if not all(isinstance(n, str) and n in ("", "_default") for n in wanted):
            raise UnsupportedError(f"{call}: partitions are not supported, got {shown(partitions)}")
