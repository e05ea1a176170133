"""Checking documents before anything is embedded or written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from elanus.client import whole
from elanus.documents._values import EmbeddingFunction
from elanus.errors import DataNotMatchException, ParamError
from elanus.schema import Rejected, shown, to_json, to_text

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
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise ParamError(f"{name} must be a list with one entry a document, got {values!r:.80}")
    return list(values)


def _checked(number: int, text: Any, metadata: Any, key: Any) -> NewDocument:
    if not isinstance(text, str):
        _refuse(number, "text", "must be a string", text)
    if not isinstance(metadata, (Mapping, type(None))):
        _refuse(number, "metadata", "must be a dict", metadata)
    if not isinstance(key, (str, type(None))):
        _refuse(number, "id", "must be a string", key)
    part: str = "text"
    value: Any = text
    try:
        to_text(text)
        part, value = "metadata", metadata
        values = to_json(dict(metadata or {}))
        part, value = "id", key
        return NewDocument(None if key is None else to_text(key, _LONGEST_ID), text, values)
    except Rejected as rule:
        _refuse(number, part, rule, value)


def _refuse(number: int, part: str, rule: object, value: Any) -> NoReturn:
    raise DataNotMatchException(f"document {number}, {part}: {rule}; got {shown(value)}")


def check_embedding(embedding: Any) -> None:
    """Check that an object can serve as an embedding function.

    Raises:
        ParamError: if a member is missing, or its name or dimension could not be kept.
    """
    if not isinstance(embedding, EmbeddingFunction):
        raise ParamError(
            f"embedding {embedding!r} needs encode_documents, encode_queries, dim and name"
        )
    name: Any = embedding.name
    if not isinstance(name, str) or not name:
        raise ParamError(f"embedding {embedding!r}: name must be a string, got {name!r}")
    whole(f"embedding {name!r}: dim", embedding.dim, 1)


def check_share(what: str, value: Any) -> None:
    """Check a number from 0 to 1.

    Raises:
        ParamError: if it is none.
    """
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not (is_number and 0.0 <= value <= 1.0):
        raise ParamError(f"{what} must be a number from 0 to 1, got {value!r}")


def checked_ids(ids: Any) -> list[str]:
    """One id, or several, as a list.

    Raises:
        ParamError: if one is no string.
    """
    if isinstance(ids, str):
        return [ids]
    if isinstance(ids, (bytes, Mapping)) or not isinstance(ids, Iterable):
        raise ParamError(f"ids must be a string or a list of strings, got {ids!r:.80}")
    found = list(ids)
    for each in found:
        if not isinstance(each, str):
            raise ParamError(f"ids must be strings, got {each!r:.80}")
    return found


def checked_vectors(
    vectors: Any, count: int, dim: int, source: str = "vectors"
) -> NDArray[np.float32]:
    """Vectors as one matrix (count, dim).

    Args:
        vectors: what was given.
        count: how many there must be.
        dim: of each.
        source: where they come from, for the error.

    Raises:
        DataNotMatchException: if they have another shape, or are no finite numbers.
    """
    if count == 0 and isinstance(vectors, (list, tuple)) and not vectors:
        return np.zeros((0, dim), dtype=np.float32)
    try:
        found = np.asarray(vectors)
    except (TypeError, ValueError):
        found = np.asarray(None)
    if found.dtype.kind not in "fiu":
        raise DataNotMatchException(
            f"{source}: expected {count} rows of {dim} numbers, got {shown(vectors)}"
        )
    with np.errstate(over="ignore"):
        matrix = found.astype(np.float32, copy=False)
    if matrix.shape != (count, dim):
        raise DataNotMatchException(
            f"{source}: expected the shape ({count}, {dim}), got {matrix.shape}"
        )
    finite = np.isfinite(matrix).all(axis=1)
    if not finite.all():
        raise DataNotMatchException(
            f"{source}: row {int(np.argmin(finite))} is not finite in single precision"
        )
    return matrix
