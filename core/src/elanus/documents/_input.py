"""Checking documents before anything is embedded or written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NoReturn, TypeAlias

import orjson

from elanus.documents._values import EmbeddingFunction
from elanus.errors import (
    DataNotMatchException,
    ElanusWarning,
    ParamError,
    quoted,
    reading,
    shown,
    warn,
)
from elanus.schema import (
    MAX_JSON_DEPTH,
    Rejected,
    is_mapping,
    members,
    refuse,
    repaired,
    repaired_texts,
    text,
    to_json,
    to_text,
    warn_repaired,
    whole,
)

_LONGEST_ID = 65535

CONTENT: Final = "content"
"""In place of ids: each follows from the document's text and metadata."""

Ids: TypeAlias = Sequence[str | None] | Literal["content"] | None
"""One id a document, None where one is to be made; or ``CONTENT``."""


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A checked document; ``id`` is None if the store is to make one."""

    id: str | None
    text: str
    metadata: dict[str, Any]


def checked_documents(
    texts: Sequence[str],
    metadatas: Sequence[Mapping[str, Any] | None] | None,
    ids: Ids,
) -> list[NewDocument]:
    """Documents from parallel lists; surrogates in texts and metadata are replaced, with a warning.

    Raises:
        ParamError: if one is no list, or they differ in length.
        DataNotMatchException: naming the first document that breaks a rule.
    """
    if is_by_content(ids):
        return [
            replace(d, id=content_id(d.text, d.metadata))
            for d in checked_documents(texts, metadatas, None)
        ]
    columns = [repaired_texts("texts", _as_list("texts", texts))]
    for name, other in (("metadatas", metadatas), ("ids", ids)):
        columns.append([None] * len(columns[0]) if other is None else _as_list(name, other))
        if len(columns[-1]) != len(columns[0]):
            raise ParamError(f"{len(columns[0])} texts, but {len(columns[-1])} {name}")
    mended: list[str] = []
    found = [
        _checked(i, *parts, mended=mended) for i, parts in enumerate(zip(*columns, strict=True))
    ]
    warn_repaired(mended)
    return found


def is_by_content(ids: Any) -> bool:
    """Whether ids are to be made from the documents."""
    return isinstance(ids, str) and ids == CONTENT


def warn_repeated(ids: Sequence[str]) -> None:
    """Say of ids that are given twice in one call which document is kept; of others nothing.

    Before anything is written: a program may make an error of the warning.
    """
    if len(set(ids)) == len(ids):
        return
    places: dict[str, int] = {}
    for place, key in enumerate(ids):
        first = places.setdefault(key, place)
        if first != place:
            message = (
                f"ids[{first}] and ids[{place}] are both {quoted(key)}: of documents with one id "
                "in a call the last is kept"
            )
            warn(ElanusWarning(message))
            return


def content_id(*content: Any) -> str:
    """An id that follows from JSON values, and from nothing else: 128 bits of SHA-256."""
    import hashlib  # noqa: PLC0415  # which loads OpenSSL

    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def _as_list(name: str, values: Any) -> list[Any]:
    if isinstance(values, (set, frozenset)):  # which text goes with which id?
        refuse(name, "a list with one entry a document", values)
    return members(name, "a list with one entry a document", values)


def _checked(
    number: int, written: Any, metadata: Any, key: Any, *, mended: list[str]
) -> NewDocument:
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
        values = _repaired_metadata(f"metadatas[{number}]", metadata or {}, mended)
        part, value = "id", key
        return NewDocument(None if key is None else to_text(key, _LONGEST_ID), plain, values)
    except Rejected as rule:
        _refuse(number, part, rule, value)


def as_metadata(given: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata as they are stored: by one rule, whichever call or adapter they come through.

    Raises:
        Rejected: with the path to the first value that JSON has no form for.
    """
    return dict(to_json(dict(given), wide=True))


def _repaired_metadata(what: str, given: Mapping[str, Any], mended: list[str]) -> dict[str, Any]:
    """As `as_metadata`; ``what`` is added to ``mended`` if surrogates had to be replaced."""
    try:
        return as_metadata(given)
    except Rejected:
        found = as_metadata(_repaired(given))  # which may be as wrong as before, for another reason
        mended.append(what)
        return found


def _repaired(value: Any, depth: int = 0) -> Any:
    """A copy without surrogates; dicts of which two keys would become one stay as they are."""
    if isinstance(value, str):
        return repaired(value)
    if depth > MAX_JSON_DEPTH:
        raise Rejected(f"JSON nested more than {MAX_JSON_DEPTH} deep")
    if isinstance(value, (list, tuple)):
        return [_repaired(each, depth + 1) for each in value]
    if is_mapping(value):
        # A key that is no text stays what it is: a tuple of texts would become a list, and no key.
        found = {
            repaired(key) if isinstance(key, str) else key: _repaired(each, depth + 1)
            for key, each in value.items()
        }
        return found if len(found) == len(value) else value
    return value


def checked_values(given: Any) -> Any:
    """Metadata that are to be changed, as they are stored; what is no dict stays what it is.

    Raises:
        ParamError: naming the value.
    """
    if not is_mapping(given):
        return given
    mended: list[str] = []
    try:
        found = _repaired_metadata("values", given, mended)
        warn_repaired(mended)
        return found
    except Rejected as rule:
        raise ParamError(f"values: {rule}; got {shown(given)}") from None


def _refuse(number: int, part: str, rule: object, value: Any) -> NoReturn:
    raise DataNotMatchException(f"document {number}, {part}: {rule}; got {shown(value)}")


def check_embedding(embedding: Any) -> None:
    """Check that an object can serve as an embedding function.

    Raises:
        ParamError: if a member is missing, or its name or dimension could not be kept.
    """
    with reading(f"embedding {quoted(embedding)}", "name or dim"):
        known = isinstance(embedding, EmbeddingFunction) and (embedding.name, embedding.dim)
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
