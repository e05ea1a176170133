"""The tables of a database file, whose file it is, and its format version."""

from __future__ import annotations

import os

from elanus.errors import DatabaseCorruptError, DatabaseFormatError
from elanus.storage._sqlite import Connection
from elanus.storage.tables._catalogue import load_catalogue, name_file, read_state
from elanus.storage.tables._names import Names

APPLICATION_ID = 0x454C414E
"""``ELAN`` in ASCII: marks the file as ours (``PRAGMA application_id``)."""

FORMAT_VERSION = 2
"""Raised by one with every change of the tables (``PRAGMA user_version``)."""

PAGE_SIZE = 16384

_TABLES = (
    """CREATE TABLE state(
        only INTEGER PRIMARY KEY CHECK (only = 0),
        seq INTEGER NOT NULL,        -- number of the last commit
        catalogue INTEGER NOT NULL,  -- number of the last change of the two tables below
        identity TEXT NOT NULL)      -- see FileState""",
    """CREATE TABLE collections(
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        definition TEXT NOT NULL,      -- JSON: schema, analyzers, properties
        definition_sum INTEGER,        -- CRC-32 of name, zero byte, definition
        generation INTEGER NOT NULL,   -- raised by truncate: whoever knows an older one rebuilds
        floor INTEGER NOT NULL,        -- deletes up to this number are gone from the log
        next_id INTEGER NOT NULL,      -- next key of an auto_id collection
        created INTEGER NOT NULL)""",
    """CREATE TABLE indexes(
        collection INTEGER NOT NULL,
        name TEXT NOT NULL,
        definition TEXT NOT NULL,
        definition_sum INTEGER,
        PRIMARY KEY (collection, name))""",
    """CREATE TABLE snapshots(
        id TEXT PRIMARY KEY,
        collection INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        kind TEXT NOT NULL,
        seq INTEGER NOT NULL,
        last_row INTEGER NOT NULL,
        last_delete INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        checksum INTEGER NOT NULL)""",
)


def prepare(db: Connection, path: str, *, read_only: bool) -> None:
    """Check that the file is ours and of a format that this version reads; lay out a new one.

    Raises:
        DatabaseFormatError: if it is another program's file, or of a newer format.
        DatabaseCorruptError: if it is shorter than it says.
    """
    application = db.row("PRAGMA application_id")[0]
    version = db.row("PRAGMA user_version")[0]
    if application == APPLICATION_ID:
        if version > FORMAT_VERSION:
            raise DatabaseFormatError(
                f"{path} has format {version}, newer than this version of elanus reads "
                f"(up to {FORMAT_VERSION}); install a newer elanus"
            )
        _check_length(db, path)
        if version < FORMAT_VERSION and read_only:
            raise DatabaseFormatError(
                f"{path} has format {version}, from before the first release; open it once for "
                f"writing, which brings it to format {FORMAT_VERSION}"
            )
        return
    if application or db.row("SELECT count(*) FROM sqlite_master")[0]:
        raise DatabaseFormatError(f"{path} is a database of another program, not an Elanus file")
    if read_only:
        raise DatabaseFormatError(f"{path} is empty, and opened read-only")
    _create(db)


def is_outdated(db: Connection) -> bool:
    """Whether a file that is laid out has an older format."""
    return 0 < int(db.row("PRAGMA user_version")[0]) < FORMAT_VERSION


def upgrade(db: Connection) -> None:
    """Bring a file of format 1 to format 2: add checksums, which the rows there do not have."""
    db.execute("BEGIN IMMEDIATE")
    try:
        if is_outdated(db):
            for table in ("collections", "indexes"):
                db.execute(f"ALTER TABLE {table} ADD COLUMN definition_sum INTEGER")
            for info in load_catalogue(db).collections.values():
                Names(info.number, info.schema).add_sums(db)
            db.execute(f"PRAGMA user_version={FORMAT_VERSION}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # else SQLite has rolled back by itself, as on a full disk
            db.execute("ROLLBACK")
        raise


def find_identity(db: Connection) -> str:
    """The random name that a file keeps from when it was made.

    Raises:
        Error: of SQLite, if it is not there.
        DatabaseCorruptError: likewise.
    """
    return read_state(db).name


def sign(db: Connection) -> None:
    """Have a commit that is not counted write the file's identity too: no log is without it."""
    # Up and down again: SQLite writes no page for a row that is replaced by the same.
    db.execute("UPDATE state SET seq = seq + 1")
    db.execute("UPDATE state SET seq = seq - 1")


def _create(db: Connection) -> None:
    """Lay out an empty file, unless another process just did."""
    db.execute("BEGIN IMMEDIATE")
    try:
        if not db.row("SELECT count(*) FROM sqlite_master")[0]:
            for statement in _TABLES:
                db.execute(statement)
            db.execute("INSERT INTO state VALUES (0, 0, 0, '')")
            name_file(db)
            db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            db.execute(f"PRAGMA user_version={FORMAT_VERSION}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # else SQLite has rolled back by itself, as on a full disk
            db.execute("ROLLBACK")
        raise


def _check_length(db: Connection, path: str) -> None:
    """Notice a truncated file at once, not at the first read of a missing page.

    The size is asked of ``os.stat``: opening the file would, on closing, drop SQLite's locks.
    """
    try:
        # SQLite names its log by the real path, also where the file was opened by a link.
        if os.stat(os.path.realpath(path) + "-wal").st_size:  # noqa: PTH116  # the file may grow by what the log holds
            return
    except OSError:
        pass
    try:
        size = os.stat(path).st_size  # noqa: PTH116  # as above
    except OSError:
        return
    pages = db.row("PRAGMA page_count")[0]
    expected = pages * db.row("PRAGMA page_size")[0]
    if size < expected:
        raise DatabaseCorruptError(
            f"{path} is truncated: {size} bytes of {expected}; restore it from a backup"
        )
