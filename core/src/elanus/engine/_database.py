"""A database: the file, its catalogue, and what this process keeps of its collections."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from elanus.engine._check import view_faults
from elanus.engine._parts import DenseKey
from elanus.engine._search import coverage, load_parts
from elanus.engine._snapshot import Snapshot
from elanus.engine._state import (
    CollectionState,
    OutdatedSnapshotError,
    RestoredError,
    make_analyzers,
)
from elanus.engine._write import Prepared, Writer, prepare
from elanus.engine.upkeep import _ending as ending
from elanus.engine.upkeep._tasks import BackgroundUpkeep
from elanus.errors import (
    ClosedError,
    CollectionExistsError,
    CollectionNotFoundError,
    DatabaseCorruptError,
    DatabaseFormatError,
    DatabaseLockedError,
    DatabaseReplacedError,
    DataNotMatchException,
    ParamError,
    StorageError,
    shown,
)
from elanus.query import Expression
from elanus.schema import Batch, IndexSpec, Rejected, Schema, check_name, converter
from elanus.storage import (
    Apart,
    Catalogue,
    CollectionInfo,
    Connection,
    DatabaseFile,
    OpenOptions,
    Reader,
    Tables,
    add_collection,
    bump,
    faults,
    load_catalogue,
    next_generation,
    on_fork,
    put_index,
    read_state,
    remove_collection,
    remove_index,
    rename_collection,
)
from elanus.text import build_analyzer

_MOST_RESTORED = 20

P = ParamSpec("P")
T = TypeVar("T")

_MOST_FAILURES = 2
_log = logging.getLogger("elanus")


def _apart(
    method: Callable[Concatenate[Database, P], T],
) -> Callable[Concatenate[Database, P], T]:
    """A method that takes locks: apart from the main thread, whose signal handlers may raise."""

    @wraps(method)
    def call(self: Database, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.file.apart.run(lambda: method(self, *args, **kwargs))

    return call


@dataclass(frozen=True, slots=True)
class _Seen:
    """The newest commit, and what the file's mark showed before it was asked for."""

    mark: int | None
    seq: int
    version: int


class Database:
    """An open database.

    Args:
        path: the file, or ``:memory:``.
        options: how to open it.

    Raises:
        StorageError: if it cannot be opened.
    """

    def __init__(self, path: str, options: OpenOptions | None = None) -> None:
        apart = Apart()
        self.file = apart.run(lambda: DatabaseFile(path, options or OpenOptions(), apart))
        self._catalogue = Catalogue(-1, {})
        self._seen = _Seen(None, -1, -1)
        self._states: dict[int, CollectionState] = {}
        self._upkeep = BackgroundUpkeep(self.file)
        on_fork(self)

    def close(self) -> None:
        """Release the file and all memory; a second call does nothing."""
        self.file.apart.run(self._close)
        self.file.apart.close()

    def _close(self) -> None:
        self._upkeep.close()
        self.file.close()
        self._states.clear()

    def after_fork_in_child(self) -> None:
        """See `MadeAnew`: what is in memory is shared with the parent, until one changes it."""
        self._upkeep.after_fork_in_child()
        for state in self._states.values():
            state.after_fork_in_child()

    def verify(self) -> list[str]:
        """Check the file against itself, and the newest views against the file.

        Raises:
            StorageError: if it cannot be checked now, as it is closed, locked or replaced, or the
                system refuses what reading needs; what is damaged is a fault, not an error.
        """
        found: list[str] = []
        for check in (self._file_faults, self._view_faults):
            try:
                found += check()
            except (ClosedError, DatabaseLockedError, DatabaseReplacedError):
                raise
            except StorageError as error:
                damaged = isinstance(error, DatabaseCorruptError | DatabaseFormatError)
                if not (damaged or found):
                    raise
                found = found or [str(error)]
            except Exception as error:  # noqa: BLE001  # whatever a damaged page can do
                # What the first check has found says more.
                found = found or [f"{type(error).__name__}: {error!s:.200}"]
        return found

    def _file_faults(self) -> list[str]:
        return self._reading(self._faults)

    def _view_faults(self) -> list[str]:
        found = []
        for name in self.catalogue().collections:
            with suppress(CollectionNotFoundError):  # dropped meanwhile
                found += self.read(name, view_faults)
        return found

    def _faults(self) -> list[str]:
        with self.file.read() as db:
            return faults(db)

    def backup(self, target: str) -> None:
        """Copy the file as of now to a path that does not exist.

        Raises:
            ParamError: if it exists.
        """
        if os.path.exists(target):  # noqa: PTH110  # Path's raises for a name that is too long
            raise ParamError(f"backup: {target} exists already; give a new path")
        try:
            self.file.apart.run(lambda: self.file.backup(target))
        except FileExistsError:
            raise ParamError(f"backup: {target} was made meanwhile; give a new path") from None

    @_apart
    def compact(self) -> None:
        """Give the space of deleted rows back to the file system."""
        self.file.vacuum()

    # --- snapshots -------------------------------------------------------------------------

    def catalogue(self) -> Catalogue:
        """The catalogue as of now."""
        return self._reading(self._newest_catalogue)

    def _newest_catalogue(self) -> Catalogue:
        known = self._catalogue
        with self.file.read() as db:
            version = read_state(db)[1]
            if version < known.version:
                self._start_again()
            return self._catalogue_of(db, version, self._catalogue)

    def _catalogue_of(self, db: Connection, version: int, known: Catalogue) -> Catalogue:
        if known.version == version:
            return known
        found = load_catalogue(db)
        # Without a lock: should an older one come later, the next look finds and replaces it.
        if found.version > self._catalogue.version:
            self._catalogue = found
            self._forget_dropped(found)
        return found

    def _forget_dropped(self, catalogue: Catalogue) -> None:
        """Give back the memory of collections that are gone, whoever dropped them."""
        numbers = {info.number for info in catalogue.collections.values()}
        for number in set(self._states) - numbers:
            self._states.pop(number, None)

    def _state_of(self, info: CollectionInfo) -> CollectionState:
        state = self._states.get(info.number)
        if state is None:
            made = CollectionState(info, self._upkeep, self.file.apart)
            state = self._states.setdefault(info.number, made)
        return state

    def _snapshot(self, reader: Reader, name: str) -> Snapshot:
        mark = None if reader.has_begun else self.file.look()
        seen, catalogue = self._seen, self._catalogue
        if mark is None or seen.mark != mark or seen.version != catalogue.version:
            seen, catalogue = self._look(reader, mark)
        info = catalogue.collection(name)
        return Snapshot(reader, seen.seq, info, self._state_of(info))

    def _look(self, reader: Reader, mark: int | None) -> tuple[_Seen, Catalogue]:
        """Ask the file for its newest commit; ``mark`` is what it showed before."""
        known, seen, begun = self._catalogue, self._seen, reader.has_begun
        seq, version = read_state(reader.db)
        if not begun and (seq < seen.seq or version < known.version):
            self._start_again()
            known = self._catalogue
        if version != known.version and not reader.has_begun:
            # The catalogue has to be read, and must be of the same commit as its number.
            reader.begin()
            seq, version = read_state(reader.db)
        catalogue = self._catalogue_of(reader.db, version, known)
        seen = _Seen(mark, seq, version)
        if mark is not None:
            self._seen = seen
        return seen, catalogue

    def read(self, name: str, action: Callable[[Snapshot], T]) -> T:
        """Run ``action`` on the newest snapshot of a collection; all it reads is of one commit.

        Raises:
            CollectionNotFoundError: if there is no such collection.
        """
        return self._reading(lambda: self._read(name, action))

    def _reading(self, call: Callable[[], T]) -> T:
        # The one connection of :memory: is locked while it is used, and a handler may want it.
        try:
            ending.enter()
            return self.file.apart.run(call) if self.file.in_memory else call()
        finally:
            ending.leave()

    def _read(self, name: str, action: Callable[[Snapshot], T]) -> T:
        newest, restored = -1, 0
        while True:
            try:
                with Reader(self.file) as reader:
                    if newest >= 0:
                        # Somebody writes: now the transaction comes before the first look.
                        reader.begin()
                        if read_state(reader.db)[0] < newest:
                            self._start_again()
                    return action(self._snapshot(reader, name))
            except RestoredError:
                restored += 1
                self._check_restored(name, restored)
                self._start_again()
            except OutdatedSnapshotError:
                newest = self._newest_view()

    def _check_restored(self, name: str, times: int) -> None:
        """Nobody restores a file so often: then it contradicts itself, and would for ever.

        Raises:
            DatabaseCorruptError: if it was so often.
        """
        if times >= _MOST_RESTORED:
            raise DatabaseCorruptError(
                f"{self.file.path} is damaged: what is read of {name!r:.100} is newer than the "
                "last commit, row or delete that it knows of; restore it from a backup"
            )

    def _newest_view(self) -> int:
        """The commit of the newest view."""
        return max((state.view.seq for state in list(self._states.values())), default=0)

    def _start_again(self) -> None:
        """Forget all: an older state was restored in place."""
        states, self._states = self._states, {}
        self._catalogue, self._seen = Catalogue(-1, {}), _Seen(None, -1, -1)
        for state in states.values():
            self.file.apart.run(state.forget)

    # --- collections -----------------------------------------------------------------------

    @_apart
    def create_collection(
        self,
        name: str,
        schema: Schema,
        indexes: Iterable[IndexSpec] = (),
        properties: Mapping[str, Any] | None = None,
    ) -> None:
        """Create a collection with its indexes. Creating the same one again does nothing.

        Raises:
            CollectionExistsError: if one of this name has another schema.
        """
        check_name(name, "collection")
        for f in schema.fields:
            if f.enable_analyzer:  # wrong parameters are wrong even where no terms are kept
                build_analyzer(f.analyzer_params)
        identities = {n: a.identity for n, a in make_analyzers(schema).items()}
        with self.file.write(f"create collection {name!r}") as db:
            existing = load_catalogue(db).collections.get(name)
            if existing is not None:
                if existing.schema != schema:
                    raise CollectionExistsError(
                        f"collection {name!r} exists with another schema; drop it first"
                    )
                return
            number = add_collection(db, name, schema, identities, properties or {})
            Tables(number, schema).create(db)
            for spec in indexes:
                put_index(db, number, spec)
            bump(db, catalogue=True)

    @_apart
    def drop_collection(self, name: str) -> bool:
        """Drop a collection; False if there was none."""
        with self.file.write(f"drop collection {name!r}") as db:
            info = load_catalogue(db).collections.get(name)
            if info is None:
                return False
            Tables(info.number, info.schema).drop(db)
            remove_collection(db, info.number)
            bump(db, catalogue=True)
        self._states.pop(info.number, None)
        return True

    @_apart
    def rename_collection(self, old: str, new: str) -> None:
        """Give a collection another name.

        Raises:
            CollectionNotFoundError, CollectionExistsError: if one name is missing or taken.
        """
        check_name(new, "collection")
        with self.file.write(f"rename collection {old!r}") as db:
            rename_collection(db, load_catalogue(db).collection(old).number, new)
            bump(db, catalogue=True)

    @_apart
    def truncate_collection(self, name: str) -> None:
        """Delete all rows of a collection."""
        with self.file.write(f"truncate collection {name!r}") as db:
            info = load_catalogue(db).collection(name)
            Tables(info.number, info.schema).clear(db)
            next_generation(db, info.number)
            bump(db, catalogue=True)

    @_apart
    def create_index(self, name: str, specs: Sequence[IndexSpec]) -> None:
        """Add indexes; one that exists unchanged stays.

        Raises:
            ParamError: if a field has another index already.
        """
        with self.file.write(f"create an index on {name!r}") as db:
            info = load_catalogue(db).collection(name)
            for spec in specs:
                old = info.index_on(spec.field) or info.indexes.get(spec.name)
                if old is not None and old != spec:
                    raise ParamError(
                        f"field {spec.field!r} of {name!r} has index {old.name!r} already, with "
                        "other parameters; drop it first"
                    )
                put_index(db, info.number, spec)
            bump(db, catalogue=True)

    @_apart
    def drop_index(self, name: str, index: str) -> None:
        """Drop an index; one that does not exist is no error, as in Milvus."""
        with self.file.write(f"drop an index of {name!r}") as db:
            remove_index(db, load_catalogue(db).collection(name).number, index)
            bump(db, catalogue=True)

    @_apart
    def release(self, name: str) -> None:
        """Drop what this process keeps of a collection in memory."""
        info = self.catalogue().collection(name)
        state = self._states.get(info.number)
        if state is not None:
            state.forget()
            state.is_loaded = False

    def load(self, name: str) -> None:
        """Read vectors into memory, and wait until no graph is due for what is there now.

        Terms and columns are read by the first search that needs them. A graph that cannot be built
        is not waited for; nor is one that somebody else goes on making necessary.
        """
        known: dict[DenseKey, tuple[object, int]] = {}
        before: object = None
        failures = 0
        while due := self.read(name, lambda snapshot: load_parts(snapshot, known)):
            done = [self._upkeep.wait_for_graph(one.state, one.key) for one in due]
            if self._upkeep.background.is_closed:
                raise ClosedError(f"{self.file.path} is closed; open it again")
            # What counts is progress, not time: a large graph takes hours.
            seen = [(one.key, one.numbering, one.covered) for one in due]
            failures = failures + 1 if seen == before or not all(done) else 0
            before = seen
            if failures >= _MOST_FAILURES:
                _log.warning("load %r: searches scan, as a graph could not be built", name)
                return

    def is_loaded(self, info: CollectionInfo) -> bool:
        """Whether a collection was not released since it was last used."""
        return self._state_of(info).is_loaded

    def index_coverage(self, name: str, spec: IndexSpec) -> tuple[int, int]:
        """Rows of a collection, and how many of them an index answers for as it should.

        All, if scanning is what it does; those in the graph, if one is due.
        """
        return self.read(name, lambda snapshot: coverage(snapshot, spec))

    # --- rows ------------------------------------------------------------------------------

    def put(self, name: str, make: Callable[[Schema], Batch], operation: str) -> list[Any]:
        """Write rows atomically, replacing those whose keys exist; their keys in order.

        Args:
            name: the collection.
            make: makes the checked batch for the collection's schema.
            operation: for the error text of whoever has to wait.
        """
        info = self.catalogue().collection(name)
        state = self._state_of(info)
        batch = make(info.schema)
        if not batch.count:
            return []
        parts = prepare(info.schema, state.analyzers, batch)
        return self._write(info, f"{operation} {batch.count} rows", batch.count, parts)

    @_apart
    def _write(
        self, info: CollectionInfo, operation: str, count: int, parts: Sequence[Prepared]
    ) -> list[Any]:
        state = self._state_of(info)
        keys: list[Any] = []

        def finish(committed: bool) -> None:
            for vocabulary in state.vocabularies.values():
                vocabulary.finish(committed=committed)

        with self.file.write(operation, rows=count, after=finish) as db:
            self._check_unchanged(db, info)
            writer = Writer(db, info.number, info.schema, state.tables, state.vocabularies)
            for part in parts:
                keys += writer.put(part)
            bump(db)
        return keys

    def _check_unchanged(self, db: Connection, info: CollectionInfo) -> None:
        """Rows were prepared for a collection that may have been dropped or renamed since."""
        current = (
            load_catalogue(db) if read_state(db)[1] != self._catalogue.version else self._catalogue
        )
        if not any(c.number == info.number for c in current.collections.values()):
            current.collection(info.name)
            raise CollectionExistsError(
                f"collection {info.name!r} was dropped and created again meanwhile; try again"
            )

    @_apart
    def delete_keys(self, name: str, keys: Sequence[Any]) -> int:
        """Delete rows by primary key; how many there were."""
        with self.file.write(f"delete from {name!r}", rows=len(keys)) as db:
            info = load_catalogue(db).collection(name)
            state = self._state_of(info)
            checked = check_keys(info.schema, keys)
            writer = Writer(db, info.number, info.schema, state.tables, state.vocabularies)
            count = writer.remove(state.tables.rows_to_remove(db, checked))
            bump(db)
        return count

    @_apart
    def delete_matching(self, name: str, filters: tuple[Expression, ...]) -> int:
        """Delete the rows that a filter selects, as of the moment of deletion; how many."""
        restored = 0
        while True:
            try:
                with self.file.write(f"delete from {name!r}") as db:
                    if read_state(db)[0] < self._newest_view():
                        raise RestoredError  # noqa: TRY301  # as `follow` does
                    snapshot = self._snapshot(Reader(self.file, db), name)
                    mask = snapshot.eligible(*filters)
                    view, state = snapshot.view, snapshot.state
                    rows = view.rows if mask is None else view.rows[np.flatnonzero(mask)]
                    number, schema = snapshot.info.number, snapshot.schema
                    writer = Writer(db, number, schema, state.tables, state.vocabularies)
                    count = writer.remove(rows.tolist())
                    bump(db)
                return count
            except RestoredError:
                restored += 1
                self._check_restored(name, restored)
                self._start_again()
            except OutdatedSnapshotError:
                continue


def check_keys(schema: Schema, keys: Sequence[Any]) -> list[Any]:
    """Primary keys, checked against the key's type.

    Raises:
        DataNotMatchException: if one has another type.
    """
    convert = converter(schema.primary)
    checked = []
    for key in keys:
        try:
            checked.append(convert(key))
        except Rejected as rule:
            raise DataNotMatchException(
                f"primary key {schema.primary.name!r}: {rule}; got {shown(key)}"
            ) from None
    return checked
