"""A copy of a database: it gets its name when it is whole, and an identity of its own."""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from elanus.errors import StorageError
from elanus.storage._sqlite import Connection
from elanus.storage.tables._catalogue import name_file

_UNNAMED = re.compile(r"backup-\d+-\d+\.part")
_BESIDE = ("-journal", "-wal", "-shm")


@contextmanager
def named_when_whole(target: str) -> Iterator[str]:
    """Another name to write a database to; at the end of the block it gets its own.

    Who is killed in between leaves the other one, and never half a database under the name that was
    asked for; who fails leaves nothing.

    Raises:
        FileExistsError: if there is such a file already.
        StorageError: if it cannot be named so, or the log of another one lies there.
    """
    _check_beside(target)
    # However long the target's name is.
    folder = os.path.dirname(target)  # noqa: PTH120  # names, not paths
    name = f"backup-{os.getpid()}-{threading.get_ident()}.part"
    made = os.path.join(folder, name)  # noqa: PTH118  # as above
    try:
        yield made
        _publish(made, target)
    finally:
        for ending in ("", *_BESIDE):
            with suppress(OSError):
                os.unlink(made + ending)  # noqa: PTH108  # names, not paths
    _sync_names(folder or os.curdir)


def is_unnamed(name: str) -> bool:
    """Whether a file is a copy under way, or one whose maker was killed just when it was named."""
    return _UNNAMED.fullmatch(name) is not None


def give_identity(made: str) -> None:
    """Tell a copy from its original, whose log could come to lie beside it, and whose cache not.

    Args:
        made: the copy, which nobody else knows yet.

    Raises:
        Error: of SQLite, if it cannot be written.
    """
    db = Connection()
    try:
        db.connect(Path(made).absolute().as_uri() + "?mode=rw")
        # A log without shared memory, which the place of a copy need not have.
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        with db:
            db.execute("DELETE FROM snapshots")  # files that lie beside the original
            name_file(db)
        db.fold(whole=True)
    finally:
        db.close()


def _sync_names(folder: str) -> None:
    """Have the names of a folder survive a cut of the power, as what lies under them does."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows writes names down itself
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that has no such thing
            raise StorageError(
                f"cannot write down the names in {folder}: {error.strerror}"
            ) from error
    finally:
        os.close(descriptor)


def _check_beside(target: str) -> None:
    """Leave a name alone beside which a log lies: whoever opens the copy would get its changes."""
    for ending in _BESIDE:
        if os.path.lexists(target + ending):
            raise StorageError(
                f"backup to {target}: {target}{ending} lies there, of another database; give "
                "another path, or remove its -wal, -shm and -journal if that database is gone, and "
                "nobody has it open"
            )


def _publish(made: str, target: str) -> None:
    """Give a file its name, unless there is one already; a link, unlike a renaming, cannot."""
    _check_beside(target)  # it may have come meanwhile
    try:
        os.link(made, target)  # names, not paths
    except FileExistsError:
        raise
    except OSError:  # a file system without links, or a name that it cannot hold
        if os.path.exists(target):  # noqa: PTH110  # as above
            raise FileExistsError(target) from None
        try:
            os.rename(made, target)  # noqa: PTH104  # as above
        except OSError as error:
            raise StorageError(f"cannot open {target}: {error.strerror}") from error
