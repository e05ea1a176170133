"""Where a database file is, and whether it still is the one that was opened.

Only SQLite touches the database files. Closing any other descriptor of them would drop its POSIX
locks, and acknowledged commits with them; so identity is asked of ``os.stat``.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from elanus.errors import (
    DatabaseCorruptError,
    DatabaseFormatError,
    DatabaseNotFoundError,
    DatabaseReplacedError,
    StorageError,
)
from elanus.storage._errors import translate
from elanus.storage._options import OpenOptions
from elanus.storage._sqlite import Connection, Error
from elanus.storage.file._backup import is_unnamed
from elanus.storage.tables._layout import PAGE_SIZE, find_identity

MEMORY = ":memory:"

_Inode = tuple[int, int]


class Place:
    """The place of one open file.

    Args:
        path: the file, or ``:memory:``.
        options: how it is opened.

    Raises:
        StorageError: if the path is relative to a folder that is gone.

    Attributes:
        path: absolute from the start, links kept: connections are opened later too, from wherever
            the program is then.
        real: links followed. Whoever comes by a link must meet the others there, and SQLite names
            its log by it.
        in_memory: whether there is no file.
        cache_folder: the folder beside it; None in memory.
        media: what a file was like that nobody can write; None for any other.
        inode: the file that was opened; None before, and in memory.
    """

    def __init__(self, path: str, options: OpenOptions) -> None:
        self.in_memory = path == MEMORY
        self.path = path if self.in_memory else _absolute(path)
        self.real = os.path.realpath(self.path)
        real = Path(self.real)
        self.cache_folder = None if self.in_memory else real.with_name(f"{real.name}-cache")
        self.media: os.stat_result | None = None
        self.inode: _Inode | None = None
        self._options = options

    def address(self) -> str:
        """The URI that SQLite opens it by."""
        if self.in_memory:
            return "file::memory:"
        address = Path(self.path).as_uri()
        if self.media is not None:
            return address + "?immutable=1"
        if self._options.read_only:
            return address + "?mode=ro"
        # Later none is made: it may have been moved, and SQLite would delete the log beside it.
        return address + ("?mode=rwc" if self.inode is None else "?mode=rw")

    # --- before it is opened ---------------------------------------------------------------

    def check_free(self, others: Iterable[Place]) -> None:
        """Check that a database can be here.

        Args:
            others: of the databases that this process has open.

        Raises:
            StorageError: if none can.
        """
        if self.in_memory:
            return
        # Before the file: one that is being made just now is there before its log.
        log = self._log()
        try:
            found = os.stat(self.path)  # noqa: PTH116  # never opened: see above
        except (FileNotFoundError, NotADirectoryError):
            self._check_absent(log)
            return
        except OSError as error:
            raise StorageError(f"cannot open {self.path}: {error.strerror}") from error
        self._check_kind(found)
        if not found.st_size and log is not None:
            self._refuse_log(log)
        self._check_other_names(found, others)

    def _check_absent(self, log: str | None) -> None:
        parent = os.path.dirname(self.path)  # noqa: PTH120  # `Path.is_dir` may raise
        if not os.path.isdir(parent):  # noqa: PTH112  # as above
            raise DatabaseNotFoundError(f"cannot open {self.path}: no folder {parent}") from None
        if self._options.read_only:
            raise DatabaseNotFoundError(
                f"cannot open {self.path} read-only: no such file"
            ) from None
        if log is not None:
            self._refuse_log(log)

    def _log(self) -> str | None:
        """A log that holds something, other than of the making of a file."""
        if _size(self.real + "-wal"):
            return self.real + "-wal"
        # The journal of an empty file has no page to give back; anybody else's has one.
        return self.real + "-journal" if (_size(self.real + "-journal") or 0) > PAGE_SIZE else None

    def _refuse_log(self, log: str) -> NoReturn:
        """SQLite would delete the log of a file that is gone, and what was committed to it."""
        raise StorageError(
            f"cannot open {self.path}: there is nothing in it, but {log} has changes of a database "
            "that lay here; put that one back, or remove its -wal, -shm and -journal when nobody "
            "has it open"
        ) from None

    def _check_kind(self, found: os.stat_result) -> None:
        if stat.S_ISDIR(found.st_mode):
            raise StorageError(f"cannot open {self.path}: it is a folder; give the path of a file")
        if not stat.S_ISREG(found.st_mode):
            raise StorageError(f"cannot open {self.path}: it is no regular file")
        if found.st_size == 1:
            # SQLite takes a file of one byte for an empty one, and would write over it.
            raise DatabaseFormatError(f"{self.path} is not a database file")

    def _check_other_names(self, found: os.stat_result, others: Iterable[Place]) -> None:
        """A file of two names has two logs: each hides, or takes back, the other's commits.

        A name whose log was ended, or never begun, may be open all the same, and nothing beside it
        tells. So in one folder no second name is let be, whoever has it open.

        Raises:
            StorageError: if there is another name, as far as that can be seen: open in this
                process, or in the same folder.
        """
        same = f"cannot open {self.path}: it is the same file as"
        for other in others:
            if other.inode == (found.st_dev, found.st_ino) and other.real != self.real:
                raise StorageError(
                    f"{same} {other.real} (a hard link, or a mount of one file), which is open; "
                    "open it by that name, or make a copy by backup()"
                )
        name = self._name_beside(found)
        if name is not None:
            raise StorageError(
                f"{same} {name} (a hard link), and each name has a log of its own; remove one of "
                "the two, not one with a -wal or -journal beside it, and make copies by backup()"
            )

    def _name_beside(self, found: os.stat_result) -> str | None:
        if found.st_nlink == 1:
            return None
        folder, mine = os.path.split(self.real)
        with suppress(OSError):  # a folder that cannot be listed
            for name in os.listdir(folder):  # noqa: PTH208  # as `real`
                if name == mine or is_unnamed(name):
                    continue
                other = os.path.join(folder, name)  # noqa: PTH118  # as above
                with suppress(OSError):  # gone meanwhile
                    if os.path.samestat(os.lstat(other), found):
                        return other
        return None

    def take_as_media(self) -> None:
        """From now on, take it for a file that nobody can write.

        SQLite cannot make its shared memory there, or take back what a writer that died has left
        half-written. Ignoring the logs is right only where there are none.

        Raises:
            StorageError: if there is one.
        """
        if self._has_log():
            raise StorageError(
                f"cannot open {self.path} read-only: its folder cannot be written, and a log lies "
                "beside it with changes that are not in the file yet; open it once for writing, "
                "or copy both to a folder that can be written"
            ) from None
        self.check_in_place()
        # Before it is opened: a change between the two is then noticed at the first look.
        self.media = os.stat(self.path)  # noqa: PTH116  # never opened: see above

    def lies_beside_anothers_log(self, db: Connection) -> bool:
        """Whether the log of a connection is of another file than the one that lies here.

        SQLite plays back any log that is whole in itself. But each commit writes the row with the
        file's identity, so it is in the log; if the file alone has another one, it is another file.
        And where the other file is still open, SQLite takes its size for that of this one, even if
        nothing is in the log, and takes a larger file for damaged: alone it is not.

        Args:
            db: a connection that reads the log.

        Returns:
            False also if that is not known: the file was laid out in the log only, or is damaged,
            or caught in a checkpoint.
        """
        size = None if self.in_memory or self.media is not None else _size(self.real + "-wal")
        if size is None:
            return False
        together: object = None
        try:
            together = find_identity(db)
        except DatabaseCorruptError:
            pass
        except Error as error:
            if not isinstance(translate(error, self.path), DatabaseCorruptError):
                return False
        if not size and together is not None:
            return False
        alone = Connection()
        try:
            alone.connect(Path(self.path).as_uri() + "?immutable=1")
            return bool(find_identity(alone) != together)
        except (Error, DatabaseCorruptError):
            return False
        finally:
            alone.close()

    def is_folder_writable(self) -> bool:
        """Whether the folder can be written; running out of descriptors is no reason to say no."""
        return os.access(os.path.dirname(self.real), os.W_OK)  # noqa: PTH120  # as `real`

    # --- while it is open ------------------------------------------------------------------

    def note_inode(self) -> None:
        """It is open now: this is the file that it has to stay."""
        self.inode = None if self.in_memory else _inode_of(self.path)

    def check(self, opened: Iterable[Connection]) -> None:
        """Check that the file and its log are those that were opened.

        Args:
            opened: the connections to it.

        Raises:
            DatabaseReplacedError: if they are not.
        """
        if self.in_memory:
            return
        if self.media is not None:
            self.check_media(self.media)
            return
        self.check_in_place()
        # They stay the same while anybody has a connection; without one, another process may have
        # ended the log, and a new one begun.
        now = self.log_inodes()
        for db in opened:
            if any(one not in (None, other) for one, other in zip(db.log_files, now, strict=False)):
                raise DatabaseReplacedError(
                    f"the log of {self.path} (-wal, -shm) was replaced or deleted while it was "
                    "open, and the newest commits with it; close it and open it again"
                )

    def check_in_place(self) -> None:
        """Check that the file that was opened lies here still, if one was.

        Raises:
            DatabaseReplacedError: if it does not.
        """
        if self.inode is not None and _inode_of(self.path) != self.inode:
            raise DatabaseReplacedError(
                f"{self.path} was replaced or deleted while it was open; close it and open it again"
            )

    def has_log_of(self, db: Connection) -> bool:
        """Whether the log that a connection has open may be folded into the file, and removed.

        Not if others have begun another one: old pages would be put over newer ones. Nor if the
        file was moved: it may be in use where it is now, without this log. Nor if another file lies
        here: whoever opened that one has the same log, and what was committed to it would go into
        the file that lay here before. But the log of a file that is gone for good is ended, unless
        another one lies here that it may belong to; and what lies in a removed log, after which
        nobody has begun another, is kept that way.
        """
        here = _inode_of(self.path)
        if self.inode not in (None, here) and not (
            _is_gone(self.inode) and (here is None or self.lies_beside_anothers_log(db))
        ):
            return False
        now = self.log_inodes()
        return all(
            one is None or other in (None, one)
            for one, other in zip(db.log_files, now, strict=False)
        )

    def check_media(self, opened: os.stat_result) -> None:
        """SQLite never looks again at a file that it takes for immutable; so each call does."""
        try:
            now = os.stat(self.path)  # noqa: PTH116  # never opened: see above
        except OSError:
            now = None
        if now is None or _what(now) != _what(opened) or self._has_log():
            raise DatabaseReplacedError(
                f"{self.path} was changed while it was open read-only, in a folder that could not "
                "be written; close it and open it again"
            )

    def log_inodes(self) -> tuple[_Inode | None, ...]:
        """The log and its index, as they are now."""
        if self._options.journal != "wal" or self.in_memory or self.media is not None:
            return ()
        return _inode_of(self.real + "-wal"), _inode_of(self.real + "-shm")

    def _has_log(self) -> bool:
        return bool(_size(self.real + "-wal") or _size(self.real + "-journal"))


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)  # noqa: PTH100  # keeps links
    except OSError as error:  # asks for the working folder, if the path is relative
        raise StorageError(
            f"cannot open {path}: the path is relative, and the working folder was deleted or "
            f"cannot be found ({error.strerror}); give an absolute path"
        ) from error


def _inode_of(path: str) -> _Inode | None:
    try:
        found = os.stat(path)  # noqa: PTH116  # one system call, and it never opens the file
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_gone(inode: _Inode) -> bool:
    """Whether a file that this process has open has no name any more; False if it cannot tell."""
    with suppress(OSError):
        for number in os.listdir("/dev/fd"):  # noqa: PTH208  # names, not paths
            with suppress(OSError):  # of the listing itself
                found = os.stat(f"/dev/fd/{number}")  # noqa: PTH116  # never opened
                if (found.st_dev, found.st_ino) == inode:
                    return found.st_nlink == 0
    return False


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size  # noqa: PTH116  # never opened: see above
    except OSError:
        return None


def _what(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
