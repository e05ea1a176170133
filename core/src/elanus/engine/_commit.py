"""Which commit a call sees, and when it begins again: the one owner of both.

The clocks of a file, and of what a process keeps of it:

=========== ============================ =========================== ============================
clock       counts                       raised by                   read by
=========== ============================ =========================== ============================
mark        commits, in a file beside    every commit, before and    `Commits`: while it stands,
            the database that needs no   after (`CommitMark`)        nobody asks the file
            SQLite; None where it cannot
            tell
seq         commits                      `bump`, once a commit       `Commits`; a view shows the
                                                                     state of one seq
version     changes of the catalogue     `bump(catalogue=True)`      `Commits`: whether to read
                                                                     the catalogue
generation  truncations of a collection  `next_generation`           `follow`: another one makes
                                                                     a view void
last row    rows ever given to a         SQLite, as rows come        `follow`: what is above it
            collection                                               is new
last delete deletes ever logged          SQLite, as rows go          `follow`: what is above it
                                                                     died since
floor       deletes gone from the log    `trim_deletes`              `follow`: a view below it is
                                                                     read afresh
lineage     nothing: names a numbering   a view that is read afresh  `saved`: which files belong
            of slots, in files as well                               together
numbering   nothing: one object as long  a view that is read afresh  `Snapshot`, graphs: whether
            as slots mean the same in    or restored                 known slots are void
            this process
=========== ============================ =========================== ============================

In a file all of them only rise. One that is lower than it was seen before says that an older state
of the file was restored in place, and then nothing that is in memory can be trusted: all is
forgotten (`RestoredError`). A view that is newer than the transaction of a call, or that was
numbered afresh under it, is no fault: the call begins again (`OutdatedSnapshotError`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from threading import get_ident
from typing import Any, Concatenate, ParamSpec, TypeVar

from elanus.engine._snapshot import Collection, Snapshot
from elanus.engine._state import CollectionState, OutdatedSnapshotError, RestoredError, Upkeep
from elanus.errors import DatabaseCorruptError
from elanus.storage import (
    Catalogue,
    CollectionInfo,
    Connection,
    DatabaseFile,
    Reader,
    ending,
    faults,
    load_catalogue,
    read_state,
    size_of,
)

_MOST_RESTORED = 20

P = ParamSpec("P")
T = TypeVar("T")


def _reading(
    method: Callable[Concatenate[Commits, P], T],
) -> Callable[Concatenate[Commits, P], T]:
    """A method that reads: the one door for reads of any kind."""

    @wraps(method)
    def call(self: Commits, /, *args: P.args, **kwargs: P.kwargs) -> T:
        thread = get_ident()
        try:
            # Announced before it looks, so that the interpreter's end either waits for this thread
            # or is seen by it. Inside of the try: a signal may come between any two lines.
            ending.reading[thread] = None
            if ending.process.ends:
                ending.hold()
            if self.file.in_memory:
                # Its one connection is locked while it is used, and a signal's handler may want it.
                return self.file.apart.run(lambda: method(self, *args, **kwargs))
            return method(self, *args, **kwargs)
        finally:
            ending.reading.pop(thread, None)

    return call


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest commit that this process knows of: replaced as a whole, never changed.

    Attributes:
        mark: what the file's mark showed before the commit was asked for; None for no mark.
        seq: number of the commit.
        catalogue: as of that commit, or as of a later one if there is no mark.
        collections: those of the catalogue that were used, by name. This grows, and what is worked
            out of the catalogue's entries is kept in it; a new catalogue begins with none.
    """

    mark: int | None = None
    seq: int = -1
    catalogue: Catalogue = field(default_factory=lambda: Catalogue(-1, {}))
    collections: dict[str, Collection] = field(default_factory=dict)


class Commits:
    """The commits of a file as one process sees them, and what it keeps of the collections.

    Args:
        file: the open file.
        upkeep: what the collections ask for in the background.

    Attributes:
        states: what is kept of each collection that was used, by its number.
        newest: the newest commit that was seen.
    """

    def __init__(self, file: DatabaseFile, upkeep: Upkeep) -> None:
        self.file = file
        self.states: dict[int, CollectionState] = {}
        self.newest = Newest()
        self._upkeep = upkeep

    # --- reading ---------------------------------------------------------------------------

    @_reading
    def read(self, name: str, action: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run ``action`` on the newest snapshot of a collection; all it reads is of one commit.

        It may be run several times, and so must change nothing.

        Args:
            name: the collection.
            action: takes the snapshot.
            *args: more of what it takes.
            **kwargs: the same.

        Raises:
            CollectionNotFoundError: if there is no such collection.
        """
        newest, restored = -1, 0
        while True:
            try:
                with Reader(self.file) as reader:
                    if newest >= 0:
                        # Somebody writes: now the transaction comes before the first look, so that
                        # no commit can come between them, and this attempt is the last.
                        reader.begin()
                        if read_state(reader.db)[0] < newest:
                            self.start_again()
                    # The mark before anything else: what is read afterwards is at least as new.
                    mark = self.file.look() if newest < 0 else None
                    return action(self._snapshot(reader, mark, name), *args, **kwargs)
            except RestoredError:
                restored += 1
                self._after_restoring(name, restored)
            except OutdatedSnapshotError:
                newest = self._newest_view()

    def _snapshot(self, reader: Reader, mark: int | None, name: str) -> Snapshot:
        """The newest snapshot; ``mark`` is what the file's showed just now, or None."""
        newest = self.newest
        if mark is None or mark != newest.mark:
            newest = self._look(reader, mark)
        collection = newest.collections.get(name)
        # The state may be another by now: all is forgotten while others still publish.
        if collection is None or self.states.get(collection.info.number) is not collection.state:
            info = newest.catalogue.collection(name)
            collection = newest.collections[name] = Collection(info, self.state_of(info))
        return Snapshot(reader, newest.seq, collection)

    def _look(self, reader: Reader, mark: int | None) -> Newest:
        """Ask the file for its newest commit."""
        # Known before it is asked: so what is asked can only be newer, unless it was restored.
        known, begun = self.newest, reader.has_begun
        seq, version = read_state(reader.db)
        if not begun and (seq < known.seq or version < known.catalogue.version):
            self.start_again()
            known = self.newest
        if version != known.catalogue.version and not reader.has_begun:
            # The catalogue has to be read, and must be of the same commit as its number.
            reader.begin()
            seq, version = read_state(reader.db)
        return self._publish(reader.db, mark, seq, version, known)

    def _publish(
        self, db: Connection, mark: int | None, seq: int, version: int, known: Newest
    ) -> Newest:
        """The commit that a connection sees, published if it says more than what is known."""
        catalogue, collections = known.catalogue, known.collections
        if catalogue.version != version:
            catalogue, collections = load_catalogue(db), {}
        found = Newest(mark, seq, catalogue, collections)
        newest = self.newest
        # Without a lock: should two come at once and the older one stay, the mark has moved since
        # it looked, and the next look finds and replaces it.
        if catalogue.version > newest.catalogue.version:
            # Without a mark it is not known as of when: the next who reads has to look.
            published = found if mark is not None else Newest(None, newest.seq, catalogue)
            self.newest = published
            self._forget_dropped(catalogue)
        elif mark is not None and catalogue.version == newest.catalogue.version:
            self.newest = found
        return found

    def _forget_dropped(self, catalogue: Catalogue) -> None:
        """Give back the memory of collections that are gone, whoever dropped them."""
        numbers = {info.number for info in catalogue.collections.values()}
        for number in set(self.states) - numbers:
            self.states.pop(number, None)

    @_reading
    def catalogue(self) -> Catalogue:
        """The catalogue as of now."""
        known, mark = self.newest, self.file.look()
        if mark is not None and mark == known.mark:
            return known.catalogue
        with self.file.read() as db:
            seq, version = read_state(db)
            if version < known.catalogue.version:
                self.start_again()
            return self._publish(db, None, seq, version, self.newest).catalogue

    @_reading
    def file_faults(self) -> list[str]:
        """Where the file contradicts itself."""
        with self.file.read() as db:
            return faults(db)

    @_reading
    def size(self) -> int:
        """Bytes of all pages, those included that the log has and the file has not yet."""
        with self.file.read() as db:
            return size_of(db)

    def catalogue_of(self, db: Connection) -> Catalogue:
        """The catalogue as a transaction sees it."""
        known = self.newest.catalogue
        return known if read_state(db)[1] == known.version else load_catalogue(db)

    def state_of(self, info: CollectionInfo) -> CollectionState:
        """What is kept of a collection; made at its first use."""
        state = self.states.get(info.number)
        if state is None:
            made = CollectionState(info, self._upkeep, self.file.apart)
            # Two threads may come here at once, and have to get the same.
            state = self.states.setdefault(info.number, made)
        return state

    # --- writing ---------------------------------------------------------------------------

    def write(
        self,
        name: str,
        operation: str,
        action: Callable[Concatenate[Snapshot, Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run ``action`` on the snapshot that a writing transaction sees, and commit.

        It is run until it comes through; what an attempt before that wrote is rolled back.

        Args:
            name: the collection.
            operation: for the error text of whoever has to wait.
            action: takes the snapshot and the connection of the transaction.
            *args: more of what it takes.
            **kwargs: the same.
        """
        restored = 0
        seen: list[CollectionState] = []

        def finish(committed: bool) -> None:
            for state in seen:
                state.finish_terms(committed)
            seen.clear()

        while True:
            try:
                with self.file.write(operation, after=finish) as db:
                    # The turn to write is ours: nobody commits from here on.
                    if read_state(db)[0] < self._newest_view():
                        raise RestoredError  # noqa: TRY301  # as `follow` does
                    snapshot = self._snapshot(Reader(self.file, db), None, name)
                    seen.append(snapshot.state)
                    done = action(snapshot, db, *args, **kwargs)
                return done  # noqa: RET504  # committed: only now
            except RestoredError:
                restored += 1
                self._after_restoring(name, restored)
            except OutdatedSnapshotError:
                continue

    # --- beginning again -------------------------------------------------------------------

    def _newest_view(self) -> int:
        """The commit of the newest view."""
        return max((state.view.seq for state in list(self.states.values())), default=0)

    def _after_restoring(self, name: str, times: int) -> None:
        """Begin again. Nobody restores a file so often: then it contradicts itself, for ever.

        Raises:
            DatabaseCorruptError: if it was so often.
        """
        if times >= _MOST_RESTORED:
            raise DatabaseCorruptError(
                f"{self.file.path} is damaged: what is read of {name!r:.100} is newer than the "
                "last commit, row or delete that it knows of; restore it from a backup"
            )
        self.start_again()

    def start_again(self) -> None:
        """Forget all: an older state was restored in place.

        Who searches meanwhile goes on with the states that were; nothing leads to them any more.
        """
        states, self.states = self.states, {}
        self.newest = Newest()
        for state in states.values():
            self.file.apart.run(state.forget)

    def let_go(self) -> None:
        """Give back all memory: the file is closed, but its object may live on."""
        self.states, self.newest = {}, Newest()

    def forget(self, number: int) -> None:
        """Forget a collection that was dropped."""
        self.states.pop(number, None)
