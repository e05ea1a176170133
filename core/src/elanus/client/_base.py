"""What every call of the client stands on: the open database."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from elanus.client._options import check_options, filter_text, local_path
from elanus.engine import Database
from elanus.errors import UnsupportedError, quoted
from elanus.query import Expression, bind, parse_filter
from elanus.schema import (
    MAX_NAME,
    CollectionSchema,
    FieldSchema,
    IndexParams,
    make_field,
    mapping,
    names_something,
    text,
)
from elanus.storage import OpenOptions


class BaseClient:
    """Opening and closing, and what needs no database.

    Args:
        uri: path of the file (``str`` or ``Path``), or ``":memory:"``.
        user, password, token: accepted for compatibility; a file has no users.
        db_name: empty or ``"default"``; a file is one database.
        timeout: seconds that a write waits for another writer; None means 30.
        read_only: open without ever writing.
        durability: ``"full"`` (an acknowledged write survives a power cut) or ``"normal"``.
        journal: ``"wal"``, or ``"delete"`` on network file systems.

    Raises:
        StorageError: if the file cannot be opened, is not ours, or is damaged.
        UnsupportedError: if ``uri`` is a server's address.
    """

    def __init__(
        self,
        uri: str | os.PathLike[str] = "http://localhost:19530",
        user: str = "",
        password: str = "",
        db_name: str = "",
        token: str = "",
        timeout: float | None = None,
        *,
        read_only: bool = False,
        durability: str = "full",
        journal: str = "wal",
        **kwargs: Any,
    ) -> None:
        del user, password, token  # a file has no users
        check_options("MilvusClient", kwargs)
        if names_something(db_name) and text("db_name", db_name) != "default":
            raise UnsupportedError(
                f"db_name {quoted(db_name)}: a file is one database, named 'default'"
            )
        wait = 30.0 if timeout is None else timeout
        options = OpenOptions(read_only, durability, wait, journal)
        self._database = Database(local_path(uri), options)

    def __enter__(self) -> BaseClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({quoted(self._database.file.path)})"

    def close(self) -> None:
        """Release the file. Calls that are running finish; a second close does nothing."""
        self._database.close()

    def verify(self) -> list[str]:
        """Check the whole file against itself; the faults found, none if it is sound.

        Raises:
            StorageError: if it cannot be checked now, as on a full disk.
        """
        return self._database.verify()

    def backup(self, target: str | os.PathLike[str]) -> None:
        """Copy the database to a file that does not exist, while others go on writing.

        Copying the open file with other tools, from inside the process that has it open, would
        drop SQLite's locks; this does not.
        """
        self._database.backup(local_path(target))

    @staticmethod
    def create_schema(**kwargs: Any) -> CollectionSchema:
        """A schema to be filled with ``add_field`` and ``add_function``.

        Args:
            **kwargs: ``auto_id``, ``enable_dynamic_field``, ``description``, ``primary_field``,
                ``fields`` and ``functions``.
        """
        known = {"auto_id", "enable_dynamic_field", "description", "primary_field", "fields",
                 "functions"}  # fmt: skip
        check_options("create_schema", {k: v for k, v in kwargs.items() if k not in known})
        return CollectionSchema(**{k: v for k, v in kwargs.items() if k in known})

    @staticmethod
    def create_field_schema(
        name: str, data_type: Any, desc: str = "", **kwargs: Any
    ) -> FieldSchema:
        """A field; the options are those of ``CollectionSchema.add_field``."""
        return make_field(name, data_type, desc, **kwargs)

    @staticmethod
    def prepare_index_params(field_name: str = "", **kwargs: Any) -> IndexParams:
        """Index parameters to be filled with ``add_index``."""
        params = IndexParams()
        if names_something(field_name):
            params.add_index(field_name, **kwargs)
        return params

    def _name(self, given: Any) -> str:
        """A collection's name in plain form; what can be nobody's name is refused at once.

        Raises:
            CollectionNotFoundError: naming the collections that there are.
        """
        if not isinstance(given, str) or len(given) > MAX_NAME:
            self._database.catalogue().collection(given)
        return str.__str__(given)

    @staticmethod
    def _filters(expression: Any, params: Mapping[str, Any] | None) -> tuple[Expression, ...]:
        """The parsed filter; nothing for an empty one.

        Raises:
            FilterError: if it does not parse, or a template has no value.
        """
        values = mapping("filter_params", params)
        written = filter_text(expression)
        return (bind(parse_filter(written), values),) if written else ()
