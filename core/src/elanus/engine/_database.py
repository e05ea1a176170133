"""A database: the file, its catalogue, and what this process keeps of its collections."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from elanus.engine._commit import Commits
from elanus.engine._dense import Coverage, coverage, load_parts
from elanus.engine._parts import DenseKey, Path
from elanus.engine._search import Hits, Leg, hybrid_search, search
from elanus.engine._select import (
    count,
    count_names,
    count_values,
    newly_unknown,
    select,
    select_keys,
)
from elanus.engine._snapshot import Snapshot
from elanus.engine._state import make_analyzers
from elanus.engine._write import (
    JsonChange,
    Prepared,
    Replacement,
    Writer,
    change_json,
    check_distinct,
    check_keys,
    delete,
    prepare,
    replace,
)
from elanus.engine.upkeep._check import view_faults
from elanus.engine.upkeep._tasks import BackgroundUpkeep
from elanus.engine.wording._groups import terms_asked_for
from elanus.errors import (
    ClosedError,
    CollectionExistsError,
    CollectionNotFoundError,
    DatabaseCorruptError,
    DatabaseFormatError,
    DatabaseLockedError,
    DatabaseReplacedError,
    ParamError,
    StorageError,
    UnknownKeyWarning,
    warn,
)
from elanus.query import Expression, unknown_keys
from elanus.schema import (
    FusionRequest,
    IndexSpec,
    Schema,
    check_name,
    make_batch,
)
from elanus.storage import (
    Apart,
    Catalogue,
    CollectionInfo,
    Connection,
    DatabaseFile,
    OpenOptions,
    Tables,
    add_collection,
    bump,
    ending,
    is_refusal,
    load_catalogue,
    next_generation,
    on_fork,
    put_index,
    remove_collection,
    remove_index,
    rename_collection,
    set_properties,
)
from elanus.text import build_analyzer

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


def _writing(
    method: Callable[Concatenate[Database, P], T],
) -> Callable[Concatenate[Database, P], T]:
    """A method that writes in one transaction: apart, and run again where that may come through."""

    @wraps(method)
    def call(self: Database, /, *args: P.args, **kwargs: P.kwargs) -> T:
        commits = self.commits
        return self.file.apart.run(lambda: commits.again(lambda: method(self, *args, **kwargs)))

    return call


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
        self._upkeep = BackgroundUpkeep(self.file)
        self.commits = Commits(self.file, self._upkeep)
        on_fork(self)

    def close(self) -> None:
        """Release the file and all memory; a second call does nothing."""
        self.file.apart.run(self._close)
        self.file.apart.close()

    def _close(self) -> None:
        self._upkeep.close()
        self.file.close()
        self.commits.let_go()

    def after_fork_in_child(self) -> None:
        """See `MadeAnew`: what is in memory is shared with the parent, until one changes it."""
        self._upkeep.after_fork_in_child()
        for state in self.commits.states.values():
            state.after_fork_in_child()

    @_apart
    def verify(self) -> list[str]:
        """Check the file against itself, and the newest views against the file.

        Apart, so that no error here is a signal handler's.

        Raises:
            StorageError: if it cannot be checked now, as it is closed, locked or replaced, or the
                system refuses what reading needs; what is damaged is a fault, not an error.
            MemoryError, RecursionError: if there is too little memory or stack.
        """
        found: list[str] = []
        for check in (self.commits.file_faults, self._view_faults):
            try:
                found += check()
            except (ClosedError, DatabaseLockedError, DatabaseReplacedError):
                raise
            except StorageError as error:
                damaged = isinstance(error, DatabaseCorruptError | DatabaseFormatError)
                if not (damaged or found):
                    raise
                found = found or [str(error)]
            except Exception as error:  # whatever a damaged page can do
                # What the first check has found says more.
                if is_refusal(error) and not found:
                    raise
                found = found or [f"{type(error).__name__}: {error!s:.200}"]
        return found

    def _view_faults(self) -> list[str]:
        found = []
        for name in self.catalogue().collections:
            with suppress(CollectionNotFoundError):  # dropped meanwhile
                found += self.commits.read(name, view_faults)
        return found

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

    def size(self) -> int:
        """Bytes of the database as of now, wherever they are: in the file, its log, or memory."""
        return self.commits.size()

    def catalogue(self) -> Catalogue:
        """The catalogue as of now."""
        return self.commits.catalogue()

    # --- collections -----------------------------------------------------------------------

    @_writing
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
        with self.commits.transaction(f"create collection {name!r}") as writing:
            db = writing.db
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

    @_writing
    def drop_collection(self, name: str) -> bool:
        """Drop a collection; False if there was none."""
        with self.commits.transaction(f"drop collection {name!r}") as writing:
            db = writing.db
            info = load_catalogue(db).collections.get(name)
            if info is None:
                return False
            Tables(info.number, info.schema).drop(db)
            remove_collection(db, info.number)
            bump(db, catalogue=True)
        self.commits.forget(info.number)
        return True

    @_writing
    def rename_collection(self, old: str, new: str) -> None:
        """Give a collection another name.

        Raises:
            CollectionNotFoundError, CollectionExistsError: if one name is missing or taken.
        """
        check_name(new, "collection")
        with self.commits.transaction(f"rename collection {old!r}") as writing:
            db = writing.db
            rename_collection(db, load_catalogue(db).collection(old).number, new)
            bump(db, catalogue=True)

    @_writing
    def change_collection(
        self, name: str, properties: Mapping[str, Any], specs: Sequence[IndexSpec]
    ) -> None:
        """Set properties (None takes one out) and put indexes in place of others, in one commit.

        What is so already is no change, and without one nothing is written.
        """
        with self.commits.transaction(f"change collection {name!r}") as writing:
            db = writing.db
            info = load_catalogue(db).collection(name)
            changes = {k: v for k, v in properties.items() if info.properties.get(k) != v}
            others = [spec for spec in specs if info.index_on(spec.field) != spec]
            if changes:
                set_properties(db, info.number, name, changes)
            for spec in others:
                for old in info.indexes.values():
                    if spec.field == old.field or spec.name == old.name:
                        remove_index(db, info.number, old.name)
                put_index(db, info.number, spec)
            if changes or others:
                bump(db, catalogue=True)

    @_writing
    def truncate_collection(self, name: str) -> None:
        """Delete all rows of a collection."""
        with self.commits.transaction(f"truncate collection {name!r}") as writing:
            db = writing.db
            info = load_catalogue(db).collection(name)
            Tables(info.number, info.schema).clear(db)
            next_generation(db, info.number)
            bump(db, catalogue=True)

    @_writing
    def create_index(self, name: str, specs: Sequence[IndexSpec]) -> None:
        """Add indexes; one that exists unchanged stays.

        Raises:
            ParamError: if a field has another index already.
        """
        with self.commits.transaction(f"create an index on {name!r}") as writing:
            db = writing.db
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

    @_writing
    def drop_index(self, name: str, index: str) -> None:
        """Drop an index; one that does not exist is no error, as in Milvus."""
        with self.commits.transaction(f"drop an index of {name!r}") as writing:
            db = writing.db
            remove_index(db, load_catalogue(db).collection(name).number, index)
            bump(db, catalogue=True)

    @_apart
    def release(self, name: str) -> None:
        """Drop what this process keeps of a collection in memory."""
        info = self.catalogue().collection(name)
        state = self.commits.states.get(info.number)
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
        while due := self.commits.read(name, load_parts, known):
            done = [self._upkeep.wait_for_graph(one.state, one.key) for one in due]
            if self._upkeep.background.is_closed:
                if ending.has_begun() and not self.file.closed:
                    return  # nobody builds any more
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
        return self.commits.state_of(self.commits.newest, info).is_loaded

    def index_coverage(self, name: str, spec: IndexSpec) -> Coverage:
        """Rows of a collection, and how many of them an index answers for as it should.

        All, if scanning is what it does; those in the graph, or codes, if they are due.
        """
        return self.commits.read(name, coverage, spec)

    # --- rows ------------------------------------------------------------------------------

    def search(self, name: str, leg: Leg, names: tuple[str, ...]) -> list[Hits]:
        """The hits of each query; see `_search.search`."""
        found = self.commits.read(name, search, leg, names)
        self._tell_of_unknown(name, leg.filters)
        return found

    def hybrid_search(self, name: str, legs: Sequence[Leg], request: FusionRequest) -> list[Hits]:
        """The fused hits of each query; see `_search.hybrid_search`."""
        found = self.commits.read(name, hybrid_search, legs, request)
        groups = [path for path in (request.group,) if path is not None and len(path) > 1]
        self._tell_of_unknown(name, [each for leg in legs for each in leg.filters], groups)
        return found

    def query(
        self,
        name: str,
        filters: tuple[Expression, ...],
        names: tuple[str, ...],
        *,
        limit: int | None,
        offset: int,
    ) -> list[dict[str, Any]]:
        """The rows that all filters let pass, in the order of their keys."""
        found = self.commits.read(name, select, filters, names, limit=limit, offset=offset)
        self._tell_of_unknown(name, filters)
        return found

    def count(self, name: str, filters: tuple[Expression, ...] = ()) -> int:
        """How many rows all filters let pass."""
        found = self.commits.read(name, count, filters)
        self._tell_of_unknown(name, filters)
        return found

    def _tell_of_unknown(
        self, name: str, filters: Iterable[Expression], others: Iterable[Path] = ()
    ) -> None:
        """Warn of keys that no row has. In the caller's own thread, whose warnings they are."""
        collection = self.commits.newest.collections.get(name)
        expected = [*others, *(path for each in filters for path in each.expected)]
        if collection is None or collection.state.judged.issuperset(expected):
            return
        unknown = newly_unknown(collection, expected)
        if unknown:
            warn(UnknownKeyWarning(unknown_keys(unknown)))

    def _tell_before(self, name: str, filters: tuple[Expression, ...]) -> None:
        """The same before rows are written: a program may make an error of the warning."""
        collection = self.commits.newest.collections.get(name)
        expected = [path for each in filters for path in each.expected]
        if expected and (collection is None or not collection.state.judged.issuperset(expected)):
            self.count(name, filters)

    def count_values(
        self, name: str, path: Path, filters: tuple[Expression, ...]
    ) -> list[tuple[Any, int]]:
        """Values at a path, and how many rows that all filters let pass have each."""
        found = self.commits.read(name, count_values, path, filters)
        self._tell_of_unknown(name, filters, [path] if len(path) > 1 else [])
        return found

    def count_names(
        self, name: str, path: Path, filters: tuple[Expression, ...]
    ) -> list[tuple[str, str, int]]:
        """Keys of the objects at a path, types of their values, and how many rows have each."""
        found = self.commits.read(name, count_names, path, filters)
        self._tell_of_unknown(name, filters)
        return found

    def terms_asked_for(
        self, name: str, field: str, text: str, *, prefix: bool, typos: bool
    ) -> list[str]:
        """The terms of a text field by which a query finds rows."""
        asked = partial(terms_asked_for, prefix=prefix, typos=typos)
        return self.commits.read(name, asked, field, text)

    def get(self, name: str, keys: Sequence[Any], names: tuple[str, ...]) -> list[dict[str, Any]]:
        """The rows of some keys, in the order of the keys; those that do not exist are left out."""
        return self.commits.read(name, select_keys, keys, names)

    def put(self, name: str, data: Any, operation: str) -> list[Any]:
        """Write rows atomically, replacing those whose keys exist; their keys in order.

        Args:
            name: the collection.
            data: rows, as `make_batch` takes them.
            operation: ``insert`` or ``upsert``; also for the error text of whoever has to wait.
        """
        info = self.catalogue().collection(name)
        batch = make_batch(info.schema, data, upsert=operation == "upsert")
        if not batch.count:
            return []
        # All of this before the lock: nobody waits while texts are analysed.
        parts = prepare(
            info.schema, self.commits.state_of(self.commits.newest, info).analyzers, batch
        )
        return self._write(info, f"{operation} {batch.count} rows", batch.count, parts)

    @_writing
    def _write(
        self, info: CollectionInfo, operation: str, rows: int, parts: Sequence[Prepared]
    ) -> list[Any]:
        keys: list[Any] = []
        with self.commits.transaction(operation, rows) as writing:
            catalogue = writing.catalogue()
            # Rows were prepared for a collection that may have been renamed or dropped since.
            if not any(_is_same(found, info) for found in catalogue.collections.values()):
                catalogue.collection(info.name)
                raise _made_again(info)
            writer = Writer(writing.db, info, writing.state_of(info))
            for part in parts:
                keys += writer.put(part)
            bump(writing.db)
        return keys

    def replace(
        self, name: str, data: Any, filters: tuple[Expression, ...]
    ) -> tuple[list[Any], Replacement]:
        """Make the rows that all filters let pass those of ``data``; one commit, or none at all.

        Returns:
            The keys of ``data``, and what it took.

        Raises:
            DataNotMatchException: if two rows have one key.
        """
        self._tell_before(name, filters)
        info = self.catalogue().collection(name)
        batch = make_batch(info.schema, data, upsert=True)
        check_distinct(batch.keys)
        parts = prepare(
            info.schema, self.commits.state_of(self.commits.newest, info).analyzers, batch
        )
        return self._replace(info, filters, parts)

    @_writing
    def _replace(
        self, info: CollectionInfo, filters: tuple[Expression, ...], parts: Sequence[Prepared]
    ) -> tuple[list[Any], Replacement]:
        def act(snapshot: Snapshot, db: Connection) -> tuple[list[Any], Replacement]:
            if not _is_same(snapshot.info, info):
                raise _made_again(info)
            return replace(snapshot, db, filters, parts)

        return self.commits.write(info.name, f"replace rows of {info.name!r}", act)

    def change_json(
        self,
        name: str,
        filters: tuple[Expression, ...],
        keys: Sequence[Any] | None,
        change: JsonChange,
    ) -> int:
        """Change a JSON field of rows, by filter or by key; how many there were."""
        operation = f"change {change.field!r} in {name!r}"
        return self._write_matching(name, operation, change_json, filters, keys, change)

    @_writing
    def delete_keys(self, name: str, keys: Sequence[Any]) -> int:
        """Delete rows by primary key; how many there were."""
        with self.commits.transaction(f"delete from {name!r}", rows=len(keys)) as writing:
            info = writing.catalogue().collection(name)
            checked = check_keys(info.schema, keys)
            db, state = writing.db, writing.state_of(info)
            deleted = Writer(db, info, state).remove(state.tables.rows_to_remove(db, checked))
            bump(db)
        return deleted

    def delete_matching(self, name: str, filters: tuple[Expression, ...]) -> int:
        """Delete the rows that a filter selects, as of the moment of deletion; how many."""
        return self._write_matching(name, f"delete from {name!r}", delete, filters)

    def _write_matching(
        self,
        name: str,
        operation: str,
        action: Callable[..., int],
        filters: tuple[Expression, ...],
        *args: Any,
    ) -> int:
        """Write to the rows that all filters let pass; how many."""
        self._tell_before(name, filters)
        return self._write_selected(name, operation, action, filters, *args)

    @_writing
    def _write_selected(
        self, name: str, operation: str, action: Callable[..., int], *args: Any
    ) -> int:
        return self.commits.write(name, operation, action, *args)


def _is_same(one: CollectionInfo, other: CollectionInfo) -> bool:
    """Whether two are one collection: numbers are used again if a state is restored in place."""
    return (one.number, one.created) == (other.number, other.created)


def _made_again(info: CollectionInfo) -> CollectionExistsError:
    return CollectionExistsError(
        f"collection {info.name!r} was dropped and created again meanwhile; try again"
    )
