"""Checking documents before anything is embedded or written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elanus.client import whole
from elanus.documents._values import EmbeddingFunction
from elanus.errors import DataNotMatchException, ParamError
from elanus.schema import Rejected, to_json, to_text

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
    part = "text"
    try:
        to_text(text)
        part = "metadata"
        if not isinstance(metadata, (Mapping, type(None))):
            raise Rejected("metadata must be a dict")  # noqa: TRY301  # one place adds the number
        values = to_json(dict(metadata or {}))
        part = "id"
        return NewDocument(None if key is None else to_text(key, _LONGEST_ID), text, values)
    except Rejected as rule:
        raise DataNotMatchException(f"document {number}, {part}: {rule}") from None


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


def check_min_relevance(value: Any) -> None:
    """Check a threshold.

    Raises:
        ParamError: if it is no number from 0 to 1.
    """
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if value is not None and not (is_number and 0.0 <= value <= 1.0):
        raise ParamError(f"min_relevance must be a number from 0 to 1, got {value!r}")


def checked_vectors(vectors: Any, count: int, dim: int) -> NDArray[np.float32]:
    """Vectors as one matrix (count, dim).

    Raises:
        DataNotMatchException: if they have another shape, or are no finite numbers.
    """
    try:
        found = np.asarray(vectors)
    except (TypeError, ValueError):
        found = np.asarray(None)
    if found.dtype.kind not in "fiu":
        raise DataNotMatchException(f"vectors do not form {count} rows of {dim} numbers")
    with np.errstate(over="ignore"):
        matrix = found.astype(np.float32, copy=False)
    if matrix.shape != (count, dim):
        raise DataNotMatchException(f"vectors have shape {matrix.shape}, expected ({count}, {dim})")
    if not np.isfinite(matrix).all():
        raise DataNotMatchException(
            "vectors must be finite in single precision, without NaN or infinity"
        )
    return matrix
