"""The cache folder: what can be computed again. Deleting it loses nothing.

No save begins that would leave less than `RESERVE` of the disk free: the database goes first.

A file counts only if a row of the table ``snapshots`` registers it, by a name that is never used
again; so a database that was restored from a copy never trusts a file that it did not make.
"""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from elanus.storage._sqlite import Connection
from elanus.storage.cache._container import Container, Written, read_arrays
from elanus.storage.file._lock import WriterLock

_SHARED = frozenset({"writer.lock", "cache.lock", "commits"})

RESERVE = 256 * 1024 * 1024
"""Bytes that saving leaves free: what is saved can be computed again, what users write cannot."""


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A registered file: which part of a collection it holds, as of which commit."""

    id: str
    collection: int
    generation: int
    kind: str
    seq: int
    last_row: int
    last_delete: int
    written: Written


def find_saved(db: Connection, collection: int) -> dict[str, SavedFile]:
    """The registered files of a collection by kind."""
    found = {}
    for row in db.execute("SELECT * FROM snapshots WHERE collection = ?", (collection,)):
        name, number, generation, kind, seq, last_row, last_delete, size, checksum = row
        written = Written(size, checksum)
        found[kind] = SavedFile(name, number, generation, kind, seq, last_row, last_delete, written)
    return found


def register(db: Connection, row: SavedFile) -> None:
    """Register a file in place of the one of its kind."""
    db.execute(
        "DELETE FROM snapshots WHERE collection = ? AND kind = ?", (row.collection, row.kind)
    )
    db.execute(
        "INSERT INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (row.id, row.collection, row.generation, row.kind, row.seq, row.last_row, row.last_delete,
         row.written.size, row.written.checksum),
    )  # fmt: skip


def unregister(db: Connection, collection: int, kind: str | None = None) -> None:
    """Forget the files of a collection, or that of one kind."""
    db.execute(
        "DELETE FROM snapshots WHERE collection = ? AND kind = ifnull(?, kind)", (collection, kind)
    )


class CacheFolder:
    """The files beside a database, and the lock of whoever writes them."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._lock = WriterLock(None if read_only else path / "cache.lock", fair=False)

    def try_lock(self) -> bool:
        """Become the one who writes here; False if another process is, or nobody can."""
        if not self._lock.acquire(0.0, "write the cache"):
            return False
        if self.can_be_locked():
            return True
        self._lock.release()
        return False

    def can_be_locked(self) -> bool:
        """Whether there is a place for the lock at all."""
        return os.path.isdir(self.path)  # noqa: PTH112  # Path's may raise

    def unlock(self) -> None:
        """Let another process write."""
        self._lock.release()

    def new_name(self) -> str:
        """A name that no file had or will have."""
        return uuid.uuid4().hex

    def arrays(self, name: str) -> Path:
        """The path of a file of arrays."""
        return self.path / f"{name}.arrays"

    def matrix(self, name: str) -> Path:
        """The path of a raw matrix."""
        return self.path / f"{name}.f32"

    def open(self, row: SavedFile) -> Container:
        """Map a registered file.

        Raises:
            OSError, DatabaseCorruptError: if it is gone, or is not what was registered.
        """
        return read_arrays(self.arrays(row.id), row.written)

    def holds(self, row: SavedFile) -> bool:
        """Whether a file of arrays is there, and of its size."""
        return _has_size(self.arrays(row.id), row.written.size)

    def holds_matrix(self, name: str, size: int) -> bool:
        """Whether a raw matrix is there, and has so many bytes or more."""
        return _has_size(self.matrix(name), size)

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more leave enough of the disk to those who cannot do without it."""
        try:
            return shutil.disk_usage(self.path).free - size >= RESERVE
        except OSError:
            return True  # it cannot be asked; a full disk then ends the write

    def sweep(self, keep: set[str]) -> None:
        """Remove the files that are not listed; one that is mapped elsewhere may stay for now."""
        try:
            files = list(self.path.iterdir())
        except OSError:  # deleted meanwhile
            return
        for file in files:
            if file.name not in _SHARED and file.stem not in keep:
                with suppress(OSError):
                    file.unlink()

    def after_fork_in_child(self) -> None:
        """Let go of the lock, which the parent may hold."""
        self._lock.after_fork_in_child()

    def close(self) -> None:
        """Close the lock file."""
        self._lock.close()


def _has_size(path: Path, least: int) -> bool:
    try:
        return path.stat().st_size >= least
    except OSError:
        return False
