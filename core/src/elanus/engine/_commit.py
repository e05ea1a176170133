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
history     nothing: names the file's    another program that puts   `Commits`, `Snapshot` and
            past, as SQLite's count of   another state in its place  the saving of views: whether
            layouts is part of it                                    anything known still counts
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

In a file all of them only rise, and the history stays. If it is another, or a clock is lower than
it was seen before, then another state of the file was restored in place, and nothing that is in
memory can be trusted: all is forgotten (`RestoredError`). A search notices when it asks the file,
which it does at least once a second; a write always, first of all in its transaction
(`Commits.transaction`), for what it would write by what is remembered would stay. A view that is
newer than the transaction of a call, or that was numbered afresh under it, is no fault: the call
begins again (`OutdatedSnapshotError`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import wraps
from threading import get_ident
from typing import Any, Concatenate, ParamSpec, TypeVar

from elanus.engine._snapshot import Collection, Snapshot
from elanus.engine._state import (
    CollectionState,
    History,
    OutdatedSnapshotError,
    RestoredError,
    Upkeep,
)
from elanus.errors import DatabaseCorruptError, StorageError
from elanus.storage import (
    Catalogue,
    CollectionInfo,
    Connection,
    DatabaseFile,
    FileState,
    Reader,
    ending,
    faults,
    is_abandoned,
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


@dataclass(frozen=True, slots=True, eq=False)
class Newest:
    """The newest commit that this process knows of: replaced as a whole, never changed.

    Attributes:
        mark: what the file's mark showed before the commit was asked for; None for no mark.
        seq: number of the commit.
        catalogue: as of that commit, or as of a later one if there is no mark.
        collections: those of the catalogue that were used, by name. This grows, and what is worked
            out of the catalogue's entries is kept in it; a new catalogue begins with none.
        history: of the file, to which all of this belongs.
        past: identity and layout of the file when it was last looked at (`FileState`).
        states: what is kept of each collection that was used, by its number. This grows, too, and
            is the same as long as the history is.
    """

    mark: int | None = None
    seq: int = -1
    catalogue: Catalogue = field(default_factory=lambda: Catalogue(-1, {}))
    collections: dict[str, Collection] = field(default_factory=dict)
    history: History = field(default_factory=History)
    past: tuple[Any, ...] = ()
    states: dict[int, CollectionState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Transaction:
    """A writing transaction; what this process knew when it began is of the same past.

    Attributes:
        commits: whose it is.
        db: its connection.
        known: the newest commit that was known.
        version: of the catalogue that it sees.
        used: what is kept of the collections that it writes.
    """

    commits: Commits
    db: Connection
    known: Newest
    version: int
    used: list[CollectionState]

    def catalogue(self) -> Catalogue:
        """The catalogue as the transaction sees it."""
        known = self.known.catalogue
        return known if known.version == self.version else load_catalogue(self.db)

    def state_of(self, info: CollectionInfo) -> CollectionState:
        """What is kept of a collection; terms that get numbers are known after the commit."""
        state = self.commits.state_of(self.known, info)
        self.used.append(state)
        return state


def _check(known: Newest, state: FileState) -> None:
    """Compare what is known with a newer look at the file.

    Raises:
        RestoredError: if another state was put in place.
    """
    is_older = state.seq < known.seq or state.version < known.catalogue.version
    # Nearly always they are what they were; else somebody has changed the tables.
    if is_older or (state[2:] != known.past and not known.history.goes_on(state)):
        raise RestoredError


def _newest_view(known: Newest) -> int:
    """The commit of the newest view."""
    return max((state.view.seq for state in list(known.states.values())), default=0)


class Commits:
    """The commits of a file as one process sees them, and what it keeps of the collections.

    Args:
        file: the open file.
        upkeep: what the collections ask for in the background.

    Attributes:
        newest: the newest commit that was seen.
    """

    def __init__(self, file: DatabaseFile, upkeep: Upkeep) -> None:
        self.file = file
        self.newest = Newest()
        self._upkeep = upkeep

    @property
    def states(self) -> dict[int, CollectionState]:
        """What is kept of each collection that was used, by its number."""
        return self.newest.states

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
                        if read_state(reader.db).seq < newest:
                            raise RestoredError  # noqa: TRY301  # as `follow` does
                    # The mark before anything else: what is read afterwards is at least as new.
                    mark = self.file.look() if newest < 0 else None
                    return action(self._snapshot(reader, mark, name), *args, **kwargs)
            except RestoredError:
                newest, restored = -1, restored + 1
                self._after_restoring(restored)
            except OutdatedSnapshotError:
                newest = _newest_view(self.newest)
            except DatabaseCorruptError:
                # What was read by its number may be another row of another state, and no damage.
                if not self._is_restored():
                    raise
                restored += 1
                self._after_restoring(restored)

    def _snapshot(self, reader: Reader, mark: int | None, name: str) -> Snapshot:
        """The newest snapshot; ``mark`` is what the file's showed just now, or None."""
        newest = self.newest
        if mark is None or mark != newest.mark:
            newest = self._look(reader, mark)
        collection = newest.collections.get(name)
        # The state may be another by now: dropped collections are forgotten while others publish.
        if collection is None or newest.states.get(collection.info.number) is not collection.state:
            info = newest.catalogue.collection(name)
            collection = newest.collections[name] = Collection(info, self.state_of(newest, info))
        return Snapshot(reader, newest.seq, collection)

    def _look(self, reader: Reader, mark: int | None) -> Newest:
        """Ask the file for its newest commit.

        Raises:
            RestoredError: if it is no longer the one that is known.
        """
        # Known before it is asked: so what is asked can only be newer, unless it was restored.
        known, begun = self.newest, reader.has_begun
        state = read_state(reader.db)
        if not begun:
            _check(known, state)
        elif not known.history.goes_on(state):
            raise RestoredError
        if state.version != known.catalogue.version and not reader.has_begun:
            # The catalogue has to be read, and must be of the same commit as its number.
            reader.begin()
            state = read_state(reader.db)
            _check(known, state)
        return self._publish(reader.db, mark, state, known)

    def _publish(self, db: Connection, mark: int | None, state: FileState, known: Newest) -> Newest:
        """The commit that a connection sees, published if it says more than what is known."""
        catalogue, collections = known.catalogue, known.collections
        if catalogue.version != state.version:
            # Apart: what a handler raised in the middle of decoding would be taken for damage.
            catalogue, collections = self.file.apart.run(lambda: load_catalogue(db)), {}
        found = replace(
            known, mark=mark, seq=state.seq, catalogue=catalogue, collections=collections,
            past=state[2:],
        )  # fmt: skip
        newest = self.newest
        if newest.history is not known.history:
            # All was forgotten meanwhile.
            return found
        # Without a lock: should two come at once and the older one stay, the mark has moved since
        # it looked, and the next look finds and replaces it.
        if catalogue.version > newest.catalogue.version:
            # Without a mark it is not known as of when: the next who reads has to look.
            self.newest = found if mark is not None else replace(found, seq=newest.seq)
            self._forget_dropped(catalogue)
        elif catalogue.version == newest.catalogue.version:
            if mark is not None:
                self.newest = found
            elif state.seq > newest.seq and newest.mark is not None:
                # The mark that is known may never tell of this commit: whoever reads next looks.
                self.newest = replace(newest, mark=None)
        return found

    def _forget_dropped(self, catalogue: Catalogue) -> None:
        """Give back the memory of collections that are gone, whoever dropped them."""
        numbers = {info.number for info in catalogue.collections.values()}
        for number in set(self.states) - numbers:
            self.states.pop(number, None)

    @_reading
    def catalogue(self) -> Catalogue:
        """The catalogue as of now."""
        restored = 0
        while True:
            known, mark = self.newest, self.file.look()
            if mark is not None and mark == known.mark:
                return known.catalogue
            try:
                with self.file.read() as db:
                    state = read_state(db)
                    _check(known, state)
                    return self._publish(db, None, state, known).catalogue
            except RestoredError:
                restored += 1
                self._after_restoring(restored)

    @_reading
    def file_faults(self) -> list[str]:
        """Where the file contradicts itself."""
        with self.file.read() as db:
            return faults(db, is_abandoned)

    @_reading
    def size(self) -> int:
        """Bytes of all pages, those included that the log has and the file has not yet."""
        with self.file.read() as db:
            return size_of(db)

    def state_of(self, known: Newest, info: CollectionInfo) -> CollectionState:
        """What is kept of a collection, as of a commit that was seen; made at its first use."""
        state = known.states.get(info.number)
        if state is None:
            made = CollectionState(info, self._upkeep, self.file.apart, known.history)
            # Two threads may come here at once, and have to get the same.
            state = known.states.setdefault(info.number, made)
        return state

    # --- writing ---------------------------------------------------------------------------

    @contextmanager
    def transaction(self, operation: str, rows: int = 0) -> Iterator[Transaction]:
        """A writing transaction, committed at the end of the block: every write begins here.

        What is remembered is compared with the file first, so that nothing is written that follows
        from another state of it. See `again`.

        Args:
            operation: for the error text of whoever has to wait.
            rows: about how many rows are written.

        Raises:
            RestoredError: if another state of the file was put in place.
        """
        used: list[CollectionState] = []

        def finish(committed: bool) -> None:
            for state in used:
                state.finish_terms(committed)

        with self.file.write(operation, rows=rows, after=finish) as db:
            # The turn to write is ours: nobody commits from here on.
            known, state = self.newest, read_state(db)
            _check(known, state)
            if state.seq < _newest_view(known):
                raise RestoredError
            known.history.write_on(db, state)
            yield Transaction(self, db, known, state.version, used)

    def write(
        self,
        name: str,
        operation: str,
        action: Callable[Concatenate[Snapshot, Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run ``action`` on the snapshot that a writing transaction sees, and commit. See `again`.

        Args:
            name: the collection.
            operation: for the error text of whoever has to wait.
            action: takes the snapshot and the connection of the transaction.
            *args: more of what it takes.
            **kwargs: the same.
        """
        with self.transaction(operation) as writing:
            snapshot = self._snapshot(Reader(self.file, writing.db), None, name)
            writing.used.append(snapshot.state)
            return action(snapshot, writing.db, *args, **kwargs)

    def again(self, call: Callable[[], T]) -> T:
        """Run a call until it comes through; what an attempt before that wrote is rolled back."""
        restored = 0
        while True:
            try:
                return call()
            except RestoredError:
                restored += 1
                self._after_restoring(restored)
            except OutdatedSnapshotError:
                continue

    # --- beginning again -------------------------------------------------------------------

    def _is_restored(self) -> bool:
        """Whether the file is another than is known; not if it cannot be asked."""
        known = self.newest
        try:
            _check(known, self._state())
        except RestoredError:
            return True
        except StorageError:
            return False
        return False

    def _after_restoring(self, times: int) -> None:
        """Begin again. Nobody restores a file so often: then it contradicts itself, for ever.

        Raises:
            DatabaseCorruptError: if it was so often.
        """
        if times >= _MOST_RESTORED:
            raise DatabaseCorruptError(
                f"{self.file.path} is damaged: it holds what is newer than the last commit, row or "
                "delete that it knows of; restore it from a backup"
            )
        self.start_again()
        # What was restored is in the log, under another identity than that of the file beside it,
        # which nobody else opens before they are one.
        self.file.apart.run(self.file.fold)

    def start_again(self) -> None:
        """Forget all: another state was restored in place.

        Who searches meanwhile goes on with the states that were; nothing leads to them any more.
        """
        # Asked anew: whoever is still inside of an old transaction shall not name the new history.
        history, states = History(self._state().history), self.states
        self.newest = Newest(history=history)
        for state in states.values():
            self.file.apart.run(state.forget)

    @_reading
    def _state(self) -> FileState:
        with self.file.read() as db:
            return read_state(db)

    def let_go(self) -> None:
        """Give back all memory: the file is closed, but its object may live on."""
        self.newest = Newest()

    def forget(self, number: int) -> None:
        """Forget a collection that was dropped."""
        self.states.pop(number, None)
