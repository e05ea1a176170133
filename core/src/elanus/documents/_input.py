"""Checking documents before anything is embedded or written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        ParamError: if the lists differ in length.
        DataNotMatchException: naming the first document that breaks a rule.
    """
    if isinstance(texts, (str, bytes)):
        raise ParamError("texts must be a list of strings, not one string")
    texts = list(texts)
    for name, other in (("metadatas", metadatas), ("ids", ids)):
        if isinstance(other, (str, bytes)):
            raise ParamError(f"{name} must be a list, got {other!r}")
        if other is not None and len(other) != len(texts):
            raise ParamError(f"{len(texts)} texts, but {len(other)} {name}")
    nothing = [None] * len(texts)
    lists = zip(texts, metadatas or nothing, ids or nothing, strict=True)
    return [_checked(i, text, metadata, key) for i, (text, metadata, key) in enumerate(lists)]


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


def checked_vectors(vectors: Any, count: int, dim: int) -> NDArray[np.float32]:
    """Vectors as one matrix (count, dim).

    Raises:
        DataNotMatchException: if they have another shape, or are no finite numbers.
    """
    try:
        matrix = np.asarray(vectors, dtype=np.float32)
    except (TypeError, ValueError):
        raise DataNotMatchException(f"vectors do not form {count} rows of {dim} numbers") from None
    if matrix.shape != (count, dim):
        raise DataNotMatchException(f"vectors have shape {matrix.shape}, expected ({count}, {dim})")
    if not np.isfinite(matrix).all():
        raise DataNotMatchException("vectors must be finite, without NaN or infinity")
    return matrix
