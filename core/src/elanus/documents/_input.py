"""Checking documents before anything is embedded or written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from elanus.documents._values import EmbeddingFunction
from elanus.errors import DataNotMatchException, ElanusError, ParamError, quoted, shown
from elanus.schema import (
    Rejected,
    is_mapping,
    members,
    refuse,
    text,
    to_json,
    to_text,
    whole,
)

_LONGEST_ID = 65535


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A checked document; ``id`` is None if the store is to make one."""

    id: str | None
    text: str
    metadata: dict[str, Any]


def checked_documents(
    texts: Sequence[str],
    metadatas: Sequence[Mapping[str, Any] | None] | None,
    ids: Sequence[str | None] | None,
) -> list[NewDocument]:
    """Documents from parallel lists.

    Raises:
        ParamError: if one is no list, or they differ in length.
        DataNotMatchException: naming the first document that breaks a rule.
    """
    columns = [_as_list("texts", texts)]
    for name, other in (("metadatas", metadatas), ("ids", ids)):
        columns.append([None] * len(columns[0]) if other is None else _as_list(name, other))
        if len(columns[-1]) != len(columns[0]):
            raise ParamError(f"{len(columns[0])} texts, but {len(columns[-1])} {name}")
    return [_checked(i, *parts) for i, parts in enumerate(zip(*columns, strict=True))]


def _as_list(name: str, values: Any) -> list[Any]:
    if isinstance(values, (set, frozenset)):  # which text goes with which id?
        refuse(name, "a list with one entry a document", values)
    return members(name, "a list with one entry a document", values)


def _checked(number: int, written: Any, metadata: Any, key: Any) -> NewDocument:
    if not isinstance(written, str):
        _refuse(number, "text", "must be a string", written)
    if metadata is not None and not is_mapping(metadata):
        _refuse(number, "metadata", "must be a dict", metadata)
    if not isinstance(key, (str, type(None))):
        _refuse(number, "id", "must be a string", key)
    part: str = "text"
    value: Any = written
    try:
        plain = to_text(written)
        part, value = "metadata", metadata
        values = to_json(dict(metadata or {}))
        part, value = "id", key
        return NewDocument(None if key is None else to_text(key, _LONGEST_ID), plain, values)
    except Rejected as rule:
        _refuse(number, part, rule, value)


def _refuse(number: int, part: str, rule: object, value: Any) -> NoReturn:
    raise DataNotMatchException(f"document {number}, {part}: {rule}; got {shown(value)}")


def check_embedding(embedding: Any) -> None:
    """Check that an object can serve as an embedding function.

    Raises:
        ParamError: if a member is missing, or its name or dimension could not be kept.
    """
    try:
        known = isinstance(embedding, EmbeddingFunction) and (embedding.name, embedding.dim)
    except ElanusError:
        raise
    except Exception as error:  # a property is anybody's code
        raise ParamError(
            f"embedding {quoted(embedding)}: its name or dim cannot be read: {quoted(error)}"
        ) from error
    if not known:
        raise ParamError(
            f"embedding {quoted(embedding)} needs encode_documents, encode_queries, dim and name"
        )
    name, dim = known
    if not text(f"embedding {quoted(embedding)}: name", name):
        raise ParamError(f"embedding {quoted(embedding)}: name must be a string, got ''")
    whole(f"embedding {quoted(name)}: dim", dim, 1)


def checked_ids(ids: Any) -> list[str]:
    """One id, or several, as a list.

    Raises:
        ParamError: if one is no string.
    """
    if isinstance(ids, str):
        return [str.__str__(ids)]
    found = members("ids", "a string or a list of strings", ids)
    for each in found:
        if not isinstance(each, str):
            raise ParamError(f"ids must be strings, got {shown(each)}")
    return [str.__str__(each) for each in found]
