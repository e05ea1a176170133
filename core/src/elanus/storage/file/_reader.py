"""A reader: a connection only if one is needed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType

from elanus.storage._sqlite import Connection
from elanus.storage.file._file import DatabaseFile


class Reader:
    """The file for the time of one read; most searches find all in memory, and never touch it.

    Args:
        file: the open file.
        db: a connection of it that is held already.
    """

    __slots__ = ("_block", "_db", "_file")

    def __init__(self, file: DatabaseFile, db: Connection | None = None) -> None:
        self._file = file
        self._block: AbstractContextManager[Connection] | None = None
        self._db = db

    @property
    def has_begun(self) -> bool:
        """Whether a transaction was begun: then all is of its commit."""
        return self._db is not None and self._db.in_transaction

    def begin(self) -> None:
        """Begin a transaction. Raises as ``glance``."""
        self.db.execute("BEGIN")

    @property
    def db(self) -> Connection:
        """A connection, outside a transaction until one is begun. Raises as ``glance``."""
        if self._db is None:
            self._block = self._file.glance()
            self._db = self._block.__enter__()
        return self._db

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._block is not None:
            self._block.__exit__(kind, error, trace)
