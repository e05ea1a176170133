"""The mark: a number beside the file that moves with every commit of any process.

Whether there was a commit could be asked of SQLite, by one statement; but each statement gives up
Python's lock, which costs most when several threads search. Reading eight mapped bytes does not.

Should the file be replaced, because the folder was deleted and made again, the new one may come to
show the same number; so a file is told apart as well, and whoever leaves the old one makes its
number odd for ever.

The number is odd while a commit is under way, and even otherwise. A writer that dies in between
leaves it odd: then everyone asks SQLite, until the next commit. So the mark may send a reader to
look in vain, and never keeps one from looking.
"""

from __future__ import annotations

import errno
import mmap
import os
import threading
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from elanus.errors import DatabaseFullError, StorageError
from elanus.storage._errors import lacks_descriptors, too_many_files

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})
_BYTES = 8  # one aligned word: a processor reads and writes it whole
_WRAP = 1 << 8 * _BYTES


class CommitMark:
    """A shared number that tells whether anybody has committed.

    Args:
        path: its file; None for a number of this process alone.
        writable: whether this process commits.
        needed: whether others trust it. With ``journal="delete"`` nobody does, and a commit that
            cannot move it, where no file can be mapped, is as good as any.
    """

    def __init__(self, path: Path | None, *, writable: bool, needed: bool = True) -> None:
        self._path = path
        self._writable = writable
        self._needed = needed
        self._inode: tuple[int, int] | None = None
        self._map: mmap.mmap | None = None
        self._word = memoryview(array("Q", [0])) if path is None else None
        self._moving = threading.RLock()
        self._file = 0  # counts the files that were mapped
        self._closed = False
        self.refresh()

    def look(self) -> int | None:
        """The number and the file's, if no commit is under way; None if only SQLite can tell."""
        file, word = self._file, self._word
        if word is None:
            return None
        try:
            number = word[0]
        except ValueError:  # closed a moment ago
            return None
        return None if number & 1 else file * _WRAP + number

    def refresh(self) -> None:
        """Map the file that is there now: the folder may have been deleted, or made, meanwhile."""
        # Whoever commits just now has done so already.
        if self._moving.acquire(blocking=False):
            try:
                if not self._closed:
                    self._follow()
            finally:
                self._moving.release()

    def _follow(self) -> None:
        if self._path is None:
            return
        try:
            found = os.stat(self._path)  # noqa: PTH116  # one system call
        except OSError:
            self._leave()
            return
        inode = found.st_dev, found.st_ino
        if inode != self._inode:
            self._leave()
        if found.st_size < _BYTES:
            # Not made yet; or cut by somebody, and whoever read it from the map would be killed.
            self._unmap()
        elif self._map is None:
            self._remap(self._path, inode)

    def _leave(self) -> None:
        """Let go of a file that is no longer the one; those who still look there shall ask."""
        if self._writable and self._word is not None:
            self._word[0] |= 1
        self._unmap()

    def _remap(self, path: Path, inode: tuple[int, int]) -> None:
        access = mmap.ACCESS_WRITE if self._writable else mmap.ACCESS_READ
        try:
            descriptor = self._open(path)
        except OSError:
            return
        try:
            self._map = mmap.mmap(descriptor, _BYTES, access=access)
        except (OSError, ValueError):  # cut meanwhile
            return
        finally:
            os.close(descriptor)
        self._file += 1  # first: with the old number, it is one that nobody has seen
        self._word, self._inode = memoryview(self._map).cast("Q"), inode

    def _open(self, path: Path) -> int:
        # For writing also by who only reads, as SQLite opens its shared memory: an overlay (of a
        # container) copies a file of its lower layer when it is first opened so, and whoever has
        # mapped it before keeps the pages of the lower one, which no writer moves. It is still
        # mapped for reading only. Where this is refused by a medium, nobody writes there.
        try:
            return os.open(path, os.O_RDWR)
        except OSError:
            if self._writable:
                raise
        return os.open(path, os.O_RDONLY)

    def _unmap(self) -> None:
        if self._map is not None and self._word is not None:
            self._word.release()
            self._map.close()
        self._map = self._inode = None
        self._word = self._word if self._path is None else None

    @contextmanager
    def moving(self) -> Iterator[None]:
        """Around a commit; the caller holds the writers' lock.

        Raises:
            StorageError: if there is a mark that this process cannot move: others, who trust it,
                would miss the commit.
        """
        with self._moving:
            self._prepare()
            word = self._word
            if word is None:
                yield
                return
            odd = (word[0] + 1 | 1) % _WRAP  # a new one, also after a writer that died
            word[0] = odd
            try:
                yield
            finally:
                word[0] = (odd + 1) % _WRAP
                if self._closed:
                    self._unmap()

    def _prepare(self) -> None:
        if self._path is None:
            return
        self._follow()
        if self._word is None:
            try:
                self._create(self._path)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise DatabaseFullError(
                        f"no space left for {self._path}; nothing was written"
                    ) from error
            self._follow()
        if self._word is None and self._needed and _may_be_there(self._path):
            if lacks_descriptors():
                raise too_many_files(self._path)
            raise StorageError(
                f"cannot write {self._path}, by which other processes notice a commit; nothing was "
                "written; make the file and its folder writable for this user, or delete the "
                "folder while nobody has the database open"
            )

    def _create(self, path: Path) -> None:
        # Written, not only made long enough: a page that the disk has no room for when it is first
        # written through the map would kill the process.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if os.fstat(descriptor).st_size < _BYTES:  # else it is one that could not be mapped
                os.write(descriptor, bytes(_BYTES))
        finally:
            os.close(descriptor)

    def after_fork_in_child(self) -> None:
        """Make a new lock: no commit of the parent is under way here."""
        self._moving = threading.RLock()

    def close(self) -> None:
        """Let go of the file. A write that still runs maps it again, for its commit only."""
        with self._moving:
            self._closed = True
            self._unmap()


def _may_be_there(path: Path) -> bool:
    """Whether others may find a file there; one in a folder that only they can enter, they do."""
    # Not `exists`: depending on Python's version it raises for such a folder, or says no.
    try:
        os.stat(path)  # noqa: PTH116  # see above
    except OSError as error:
        return error.errno not in _ABSENT
    return True
