"""SQLite's errors as ours: the one place where they are translated."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from elanus.errors import (
    DatabaseCorruptError,
    DatabaseFormatError,
    DatabaseFullError,
    DatabaseLockedError,
    DataNotMatchException,
    ElanusError,
    ReadOnlyError,
    StorageError,
)

# By the text, since Python 3.10 has no error codes; SQLite's texts have not changed in 15 years.
_BY_TEXT: tuple[tuple[str, type[ElanusError], str], ...] = (
    ("file is not a database", DatabaseFormatError, "{path} is not a database file"),
    ("malformed", DatabaseCorruptError, "{path} is damaged ({error}); restore it from a backup"),
    ("disk is full", DatabaseFullError, "no space left for {path}; nothing was written"),
    ("is locked", DatabaseLockedError, "{path} is locked by another process ({error})"),
    ("readonly", ReadOnlyError, "{path} is read-only ({error})"),
    ("unable to open", StorageError, "cannot open {path}: check that it is a readable file"),
    ("disk i/o error", StorageError, "reading or writing {path} failed ({error})"),
    ("too big", DataNotMatchException, "a value is too big for {path} ({error})"),
)


def translate(error: sqlite3.Error, path: str) -> ElanusError:
    """Our error for one of SQLite's."""
    text = str(error).lower()
    for part, kind, message in _BY_TEXT:
        if part in text:
            return kind(message.format(path=path, error=error))
    return StorageError(f"{path}: {error}")


@contextmanager
def sqlite_errors(path: str) -> Iterator[None]:
    """Raise SQLite's errors inside the block as ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path) from error
