"""Opening a connection: its settings, and for the first one of a file what is in the file."""

from __future__ import annotations

from collections.abc import Callable

from elanus.errors import DatabaseLockedError, StorageError
from elanus.storage._errors import translate, without_log
from elanus.storage._options import SYNCHRONOUS, OpenOptions
from elanus.storage._sqlite import Connection, Error
from elanus.storage.file._apart import is_abandoned
from elanus.storage.file._place import Place
from elanus.storage.file._turns import Turns
from elanus.storage.tables._layout import PAGE_SIZE, is_outdated, prepare, upgrade

_LOG_LIMIT = 64 * 1024 * 1024


class Opening:
    """How the connections to one file are opened.

    Args:
        place: the file.
        options: how to open it.
        turns: its writers' turns; a new file is laid out in one.
        check_usable: see `Turns.turn`.

    Attributes:
        has_log: whether the file has a write-ahead log, and so memory is shared. Who only reads
            takes the file as it is; and while it has a connection, nobody can end the log.
    """

    def __init__(
        self, place: Place, options: OpenOptions, turns: Turns, check_usable: Callable[[], None]
    ) -> None:
        self._place = place
        self._options = options
        self._turns = turns
        self._check_usable = check_usable
        self.has_log = options.journal == "wal"

    def connect(self, db: Connection, *, first: bool) -> None:
        """Open a connection.

        Args:
            db: one that is known already to those who fork.
            first: whether the file has to be checked, and laid out if it is new.

        Raises:
            Error: of SQLite.
            StorageError: if the file is not ours, or cannot be what the options ask for; a
                `DatabaseReplacedError` if it is no longer the one that was opened first.
        """
        self._place.check_in_place()
        db.connect(self._place.address())
        # Again, before it reads: SQLite would play the log back into whatever it has opened.
        self._place.check_in_place()
        db.wait_for(self._options.timeout, is_abandoned)
        db.execute("PRAGMA trusted_schema=OFF")
        if first:
            self._check_log(db)  # before whatever reads the schema
        if not self._options.read_only:
            db.execute(f"PRAGMA page_size={PAGE_SIZE}")
            db.execute(f"PRAGMA synchronous={SYNCHRONOUS[self._options.durability]}")
            db.execute(f"PRAGMA journal_size_limit={_LOG_LIMIT}")
        if first:
            self._check(db)
        elif self._options.read_only:
            db.row("PRAGMA schema_version")  # looks whether it can be read: see `take_as_media`
        if self._options.read_only and self._place.media is None:
            self.has_log = db.row("PRAGMA journal_mode")[0] == "wal"
        db.log_files = self._place.log_inodes()

    def take_as_media(self, error: Error) -> None:
        """Take a file that SQLite cannot open for one that nobody can write, if it may be that.

        Not only at first: a file whose folder cannot be written is closed before a fork, and if its
        writer ends meanwhile, so does the shared memory without which it cannot be opened again.

        Raises:
            StorageError: what the error means, if it is no such file.
        """
        place = self._place
        if not self._options.read_only or place.media is not None or place.is_folder_writable():
            raise translate(error, place.path) from error
        place.take_as_media()

    def _check_log(self, db: Connection) -> None:
        """Notice a file that was put in the place of another beside whose log it lies now.

        Raises:
            StorageError: if it is.
        """
        place = self._place
        if place.lies_beside_anothers_log(db):
            raise StorageError(
                f"cannot open {place.path}: the log beside it ({place.real}-wal) is of another "
                "file, which it was put in the place of; close that one where it is open, and if "
                "nobody has it open, remove -wal and -shm, or put the old file back"
            )

    def _check(self, db: Connection) -> None:
        path = self._place.path
        if self._options.read_only:
            prepare(db, path, read_only=True)
            return
        is_laid_out = bool(db.row("PRAGMA schema_version")[0])
        if is_laid_out:
            prepare(db, path, read_only=False)
        if not is_laid_out or not self._has_journal(db) or is_outdated(db):
            # Two that switch an empty file to the log at once would not wait, but fail.
            with self._turns.turn("open the file", self._check_usable):
                self._set_journal(db)
                prepare(db, path, read_only=False)
                upgrade(db)

    def _has_journal(self, db: Connection) -> bool:
        found = db.row("PRAGMA journal_mode")[0]
        return self._place.in_memory or found == self._options.journal

    def _set_journal(self, db: Connection) -> None:
        if self._place.in_memory:
            return
        path, wanted = self._place.path, self._options.journal
        try:
            got = db.row(f"PRAGMA journal_mode={wanted}")[0]
        except Error as error:
            ours = translate(error, path)
            if not isinstance(ours, DatabaseLockedError):
                raise
            raise DatabaseLockedError(
                f"{path} is open elsewhere with another journal than "
                f"{wanted!r}; close it there first, or open it here in the same way"
            ) from error
        if got != wanted:
            raise without_log(path, f"journal mode is {got!r}")
