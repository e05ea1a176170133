"""Checking texts before any model sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elanus.arguments import repaired_texts
from elanus.errors import ParamError, cut, quoted, shown

# Of a longer text a message says how long it is.
_LONG = 80


def checked_texts(texts: Any, name: str = "texts") -> list[str]:
    """Texts as a list; with a warning where UTF-8 cannot express one, which no tokenizer takes.

    Args:
        texts: what the caller gave.
        name: what the argument is called, for messages.

    Raises:
        ParamError: it is not a list, or an item is not a string.
    """
    # A bare string is a sequence of strings, and would be encoded letter by letter.
    if isinstance(texts, (str, bytes)) or not isinstance(texts, Sequence):
        raise ParamError(f"{name} must be a list of strings, not {cut(type(texts).__name__)}")
    for i, text in enumerate(texts):
        _check_string(text, f"{name}[{i}]")
    return repaired_texts(name, list(texts))


def checked_query(query: Any) -> str:
    """The query of a reranker; likewise.

    Raises:
        ParamError: it is not a string.
    """
    _check_string(query, "query")
    return str(checked_texts([query], "query")[0])


def checked_text(text: Any, name: str) -> str:
    """One text, as it is.

    Raises:
        ParamError: it is not a string, or is one that UTF-8 cannot express.
    """
    _check_string(text, name)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ParamError(
            f"{name} cannot be encoded as UTF-8: it holds half of a surrogate pair; "
            "replace it, for instance by text.encode(errors='replace').decode()"
        ) from error
    return str.__str__(text)


def _check_string(text: Any, name: str) -> None:
    if not isinstance(text, str):
        raise ParamError(f"{name} must be a string, not {cut(type(text).__name__)}")


def excerpt(text: str) -> str:
    """The beginning of a text, for messages."""
    return quoted(text) + (f" ({len(text):,} characters)" if len(text) > _LONG else "")


def positive(name: str, value: Any) -> int:
    """A whole number of at least 1.

    Raises:
        ParamError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ParamError(f"{name} must be a whole number of at least 1, got {shown(value)}")
    return value
