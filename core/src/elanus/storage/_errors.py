"""SQLite's errors as ours: the one place where they are translated.

A full disk is `DatabaseFullError`, however SQLite says so. What a write that met it has left in the
log is taken back by `DatabaseFile.write`; saved views keep a reserve free (`CacheFolder`).
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from elanus.errors import (
    ClosedError,
    DatabaseCorruptError,
    DatabaseFormatError,
    DatabaseFullError,
    DatabaseLockedError,
    DataNotMatchException,
    ElanusError,
    ReadOnlyError,
    StorageError,
)

_BY_CLASS: dict[type[apsw.Error], tuple[type[ElanusError], str]] = {
    apsw.NotADBError: (DatabaseFormatError, "{path} is not a database file"),
    apsw.FullError: (DatabaseFullError, "no space left for {path}; nothing was written"),
    apsw.BusyError: (DatabaseLockedError, "{path} is locked by another process ({error})"),
    apsw.LockedError: (DatabaseLockedError, "{path} is locked by another process ({error})"),
    apsw.ReadOnlyError: (
        ReadOnlyError,
        "{path} cannot be written ({error}); open it with read_only=True, or make it writable",
    ),
    apsw.PermissionsError: (ReadOnlyError, "{path} may not be used ({error})"),
    apsw.CantOpenError: (
        StorageError,
        "cannot open {path}: check that it is a readable file, in a folder that can be written",
    ),
    apsw.IOError: (
        StorageError,
        "reading or writing {path} failed; check its disk, and the limit of sizes (ulimit -f)",
    ),
    apsw.NoMemError: (
        StorageError, "too little memory for reading or writing {path}; give the process more",
    ),
    apsw.TooBigError: (DataNotMatchException, "a value is too big for {path} ({error})"),
    apsw.ConnectionClosedError: (ClosedError, "{path} is closed; open it again"),
}  # fmt: skip

_SHARED = 1 << 15  # bytes of shared memory that SQLite maps at once

_PIPES = 4

DECODING = (
    ArithmeticError, AssertionError, AttributeError, BufferError, LookupError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip
"""What decoding damaged bytes or text can raise; of these too deep a recursion is a refusal."""

DAMAGE = (
    *DECODING, MemoryError,
    apsw.ConstraintError, apsw.FormatError, apsw.FullError, apsw.InternalError, apsw.IOError,
    apsw.MismatchError, apsw.NoMemError, apsw.RangeError, apsw.SchemaChangeError, apsw.SQLError,
    apsw.TooBigError,
)  # fmt: skip
"""What reading a damaged file can raise, besides SQLite's own error for it. So can a mistake of
ours, or of the system; only the file can tell. A length that a damaged number says may be too much
for the memory; checking the file allocates nothing by such numbers."""


# What a damaged file can be the cause of, among what fails for reading or writing.
_READING = frozenset({
    apsw.SQLITE_IOERR_CORRUPTFS, apsw.SQLITE_IOERR_DATA, apsw.SQLITE_IOERR_IN_PAGE,
    apsw.SQLITE_IOERR_READ, apsw.SQLITE_IOERR_SHORT_READ,
})  # fmt: skip


def is_refusal(error: Exception) -> bool:
    """Whether the system refuses something, which says nothing about the file.

    Reading can need writing: what a writer that died has left half-written is taken back first.
    Nor does a lack of memory or stack: what is decoded is no longer than what SQLite has read, and
    what a number in it says is never allocated before it was checked.
    """
    if isinstance(error, apsw.IOError):
        return getattr(error, "extendedresult", None) not in _READING
    return isinstance(
        error,
        apsw.BusyError | apsw.CantOpenError | apsw.ConnectionClosedError | apsw.FullError
        | apsw.LockedError | apsw.NoMemError | apsw.PermissionsError | apsw.ReadOnlyError
        | MemoryError | RecursionError,
    )  # fmt: skip


def translate(error: apsw.Error, path: str) -> ElanusError:
    """Our error for one of SQLite's."""
    if isinstance(error, apsw.CantOpenError | apsw.IOError):
        cause = _cause(path)
        if cause == errno.EMFILE:
            return too_many_files(path)
        code = getattr(error, "extendedresult", None)
        # Shared memory that cannot grow; SQLite does not say so by its code for a full disk.
        if cause == errno.ENOSPC or code == apsw.SQLITE_IOERR_SHMSIZE:
            return DatabaseFullError(f"no space left for {path}; nothing was written")
        # It has grown, and cannot be mapped: the process may map no more, or the files of this
        # system cannot be.
        if code == apsw.SQLITE_IOERR_SHMMAP:
            if _can_map():
                return without_log(path, "no memory can be shared")
            error = apsw.NoMemError(str(error))
    if isinstance(error, apsw.ReadOnlyError) and (journal := _holds(path, "-journal")):
        return StorageError(
            f"cannot read {path} without writing: a writer died in the middle of a change, which "
            f"{journal} takes back; open the file once for writing"
        )
    if isinstance(error, apsw.CorruptError):
        return damaged(path, error)
    for kind, (ours, message) in _BY_CLASS.items():
        if isinstance(error, kind):
            return ours(message.format(path=path, error=error))
    return StorageError(f"{path}: {error}")


def damaged(path: str, what: object) -> DatabaseCorruptError:
    """The error for a file that is damaged; says what else it may be, if a log lies beside it."""
    text = f"{path} is damaged ({what}); restore it from a backup"
    if _holds(path, "-wal") or _holds(path, "-journal"):
        text += (
            ", and remove its -wal, -shm and -journal with the old file: the log of another file, "
            "left beside this one, would be the cause"
        )
    return DatabaseCorruptError(text)


def without_log(path: str, why: str) -> StorageError:
    """The error for a file system on which SQLite can have no log."""
    return StorageError(
        f"{path}: the file system does not support SQLite's write-ahead log ({why}); open it with "
        "journal='delete', from one host at a time; a file that was opened with a log before, open "
        "so where it lay then, and copy it when it is closed"
    )


def too_many_files(path: object) -> StorageError:
    """The error for a file that cannot be opened because too many are."""
    return StorageError(
        f"cannot open {path}: this process has too many files open; close some, or raise the limit "
        "(ulimit -n)"
    )


def lacks_descriptors() -> bool:
    """Whether so few are left that a file may not be opened for that reason."""
    ends: list[int] = []
    try:
        # As many as a database needs: those that it had when it failed are free again.
        for _ in range(_PIPES):
            ends += os.pipe()
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    finally:
        for end in ends:
            os.close(end)
    return False


def _can_map() -> bool:
    """Whether this process may map more memory, as a limit (ulimit -v) can forbid."""
    try:
        mmap.mmap(-1, _SHARED).close()
    except (OSError, MemoryError):
        return False
    return True


def _cause(path: str) -> int | None:
    """Why the system refuses, where SQLite only says that it did."""
    if lacks_descriptors():
        return errno.EMFILE
    if hasattr(os, "statvfs"):
        try:
            room = os.statvfs(os.path.dirname(path) or ".")  # noqa: PTH120  # also for what is no path
        except OSError:
            return None
        # No room for another byte, or for another file.
        if (room.f_blocks and not room.f_bavail) or (room.f_files and not room.f_favail):
            return errno.ENOSPC
    return None


def _holds(path: str, ending: str) -> str | None:
    """The file beside a database of this ending, if there is anything in it."""
    beside = os.path.realpath(path) + ending  # as SQLite names it
    try:
        return beside if os.stat(beside).st_size else None  # noqa: PTH116  # never opened
    except OSError:
        return None


@contextmanager
def sqlite_errors(path: str) -> Iterator[None]:
    """Raise SQLite's errors inside the block as ours."""
    try:
        yield
    except apsw.Error as error:
        raise translate(error, path) from error
