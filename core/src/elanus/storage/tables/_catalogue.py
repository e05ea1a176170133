"""The catalogue: which collections and indexes a file holds, and the number of its last commit."""

from __future__ import annotations

import json
import re
import secrets
import time
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from elanus.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    DatabaseCorruptError,
    DataNotMatchException,
    ElanusError,
    likely,
    listed,
    quoted,
)
from elanus.schema import IndexSpec, Schema
from elanus.storage._errors import DECODING, is_refusal
from elanus.storage._sqlite import Connection
from elanus.storage.tables._numbers import MOST
from elanus.storage.tables._writing import LAST_ID

_LAYOUT = "SELECT schema_version FROM pragma_schema_version"
_MOST_LAYOUTS = 2**31 - 2**16  # those that SQLite counts on fit into 31 bits, too


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What the catalogue says of a collection.

    Attributes:
        number: never used again, also after a drop; tables are named by it.
        generation: raised by truncate.
        floor: deletes with numbers up to this one are gone from the log.
        analyzers: identity of each analysed field's analyzer.
        indexes: by name.
    """

    number: int
    name: str
    schema: Schema
    properties: Mapping[str, Any]
    analyzers: Mapping[str, str]
    generation: int
    floor: int
    created: int
    indexes: Mapping[str, IndexSpec]

    def index_on(self, field: str) -> IndexSpec | None:
        """The index of a field, or None."""
        return next((i for i in self.indexes.values() if i.field == field), None)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All collections of a file as of one change of the catalogue."""

    version: int
    collections: Mapping[str, CollectionInfo]

    def collection(self, name: object) -> CollectionInfo:
        """The collection of a name.

        Raises:
            CollectionNotFoundError: if there is none.
        """
        found = self.collections.get(name) if isinstance(name, str) else None
        if found is None:
            known = listed(sorted(self.collections)) or "none"
            raise CollectionNotFoundError(
                f"collection {quoted(name)} not found; collections here: {known}"
                f"{likely(name, self.collections)}"
            )
        return found


class FileState(NamedTuple):
    """What a transaction sees of the whole file.

    SQLite counts how often the layout of the tables changed (``PRAGMA schema_version``). When a
    program copies another state into the file by the backup API, this does not become the copy's
    count, but one more than it was here. So with each change of our own we set the count to a
    random number and note that in ``identity``: one that is not noted there tells that somebody
    else has changed the file. Counted on by ones, it could be that of a copy which was once
    compacted more often.

    Attributes:
        seq: number of the last commit.
        version: number of the last change of the catalogue.
        identity: the random name that the file has from when it was made; if another program has
            changed it, a dash and a random name of what came since; a dot, and the count that is
            noted.
        layout: SQLite's count.
    """

    seq: int
    version: int
    identity: str
    layout: int

    @property
    def name(self) -> str:
        """The random name that the file has from when it was made."""
        return re.split("[-.]", self.identity, maxsplit=1)[0]

    @property
    def is_noted(self) -> bool:
        """Whether the last change of the layout was ours."""
        return self.identity.endswith(f".{self.layout}")

    @property
    def history(self) -> str:
        """Names the file's past: equal as long as it goes on from commit to commit."""
        return (
            self.identity.partition(".")[0] if self.is_noted else f"{self.identity} {self.layout}"
        )


def read_state(db: Connection) -> FileState:
    """Numbers of the last commit and of the last change of the catalogue, and the file's past."""
    state = FileState(*db.row(f"SELECT seq, catalogue, identity, ({_LAYOUT}) FROM state"))
    seq, version = state.seq, state.version
    if not (type(seq) is type(version) is int and 0 <= seq < MOST and 0 <= version < MOST):
        raise _damaged("state", f"it counts commits as {seq!r:.40} and {version!r:.40}")
    if not isinstance(state.identity, str):
        raise _damaged("state", f"its name is {state.identity!r:.40}")
    return state


def name_file(db: Connection) -> None:
    """Give the file a random name."""
    _note_layout(db, uuid.uuid4().hex)


def begin_history(db: Connection) -> FileState:
    """Give the file's past another name."""
    _note_layout(db, f"{read_state(db).name}-{uuid.uuid4().hex}")
    return read_state(db)


def note_vacuum(db: Connection) -> None:
    """Note the change that VACUUM counts, if it was the only one that is not noted."""
    state = read_state(db)
    before = state._replace(layout=state.layout - 1)
    if before.is_noted:
        _note_layout(db, before.history)


def _note_layout(db: Connection, history: str) -> None:
    layout = secrets.randbelow(_MOST_LAYOUTS) + 1
    with db:  # both or neither, also where no transaction was begun
        db.execute(f"PRAGMA schema_version = {layout}")
        db.execute("UPDATE state SET identity = ?", (f"{history}.{layout}",))


def size_of(db: Connection) -> int:
    """Bytes of all pages of the database, as a transaction sees it."""
    pages, of_each = (db.row(f"PRAGMA {name}")[0] for name in ("page_count", "page_size"))
    return int(pages * of_each)


def _damaged(what: str, why: object) -> DatabaseCorruptError:
    return DatabaseCorruptError(
        f"the catalogue of the file is damaged: {what}: {why!s:.200}; restore it from a backup"
    )


def bump(db: Connection, *, catalogue: bool = False) -> None:
    """Count this commit: every transaction that changes what a search can find does so.

    By one, or by two if it also trims the log of deletes; nobody counts the steps. One that only
    registers a saved view does not: that would send everybody to look, for nothing.
    """
    if catalogue:
        db.execute("UPDATE state SET seq = seq + 1, catalogue = catalogue + 1")
        _note_layout(db, read_state(db).identity.partition(".")[0])
    else:
        db.execute("UPDATE state SET seq = seq + 1")


def load_catalogue(db: Connection) -> Catalogue:
    """Read the whole catalogue.

    Raises:
        DatabaseCorruptError: if a part of it is damaged.
    """
    version = read_state(db).version
    found = {}
    for info in collections_of(db):
        if isinstance(info, DatabaseCorruptError):
            raise info
        found[info.name] = info
    return Catalogue(version, found)


def collections_of(db: Connection) -> Iterator[CollectionInfo | DatabaseCorruptError]:
    """The collections one by one; an error in place of one whose entry is damaged."""
    indexes: dict[Any, list[tuple[Any, ...]]] = {}
    for collection, *entry in db.execute(
        "SELECT collection, name, definition, definition_sum FROM indexes "
        "ORDER BY collection, rowid"
    ):
        indexes.setdefault(collection, []).append(tuple(entry))
    for row in db.execute(
        "SELECT number, name, definition, definition_sum, generation, floor, created "
        "FROM collections"
    ):
        collection, name = row[:2]
        try:
            yield _collection(row, indexes.pop(collection, []))
        except (ElanusError, *DECODING) as error:
            if is_refusal(error):
                raise
            yield _damaged(f"collection {name!r:.100}", error)
    if indexes:
        yield _damaged("indexes", f"no collection {next(iter(indexes))!r:.40}")


def _collection(row: tuple[Any, ...], indexes: list[tuple[Any, ...]]) -> CollectionInfo:
    collection, name, definition, kept, generation, floor, created = row
    raw = _decoded(collection, name, definition, kept)
    schema = Schema.from_dict(raw["schema"])
    names = sorted(index for index, *_ in indexes)
    counts = generation, floor, created
    if not all(type(value) is int and 0 <= value < MOST for value in counts):
        raise ValueError("a number is no number")
    # One that is lost would be one that was never made: another metric, and other answers. Files
    # whose collections are older than this list have none.
    if sorted(raw.get("indexes", names)) != names:
        raise ValueError(f"its indexes are {names!s:.100}, and not those that were made")
    return CollectionInfo(
        number=collection,
        name=name,
        schema=schema,
        properties=raw["properties"],
        analyzers=raw["analyzers"],
        generation=generation,
        floor=floor,
        created=created,
        indexes={index: _index(collection, schema, index, *entry) for index, *entry in indexes},
    )


def _index(
    collection: int, schema: Schema, name: str, definition: str, kept: int | None
) -> IndexSpec:
    spec = IndexSpec.from_dict(_decoded(collection, name, definition, kept))
    if spec.field not in schema.by_name:
        raise ValueError(f"index {name!r:.40} is of a field that is not there")
    return spec


def _decoded(collection: int, name: str, definition: str, kept: int | None) -> dict[str, Any]:
    if kept not in (None, _sum(collection, name, definition)):
        raise ValueError(f"{name!r:.40} is not what was written")
    raw = json.loads(definition)
    if not isinstance(raw, dict):
        raise TypeError(f"{name!r:.40} is no JSON object")
    return raw


def _sum(collection: int, name: str, definition: str) -> int:
    return zlib.crc32(f"{name}\0{definition}".encode(), collection)


def add_collection(
    db: Connection,
    name: str,
    schema: Schema,
    analyzers: Mapping[str, str],
    properties: Mapping[str, Any],
) -> int:
    """Enter a collection; its number.

    Raises:
        CollectionExistsError: if the name is taken.
    """
    definition = {
        "schema": schema.to_dict(),
        "analyzers": dict(analyzers),
        "properties": dict(properties),
        "indexes": [],
    }
    _check_free(db, name)
    text = json.dumps(definition)
    db.execute(
        "INSERT INTO collections(name, definition, generation, floor, next_id, created) "
        "VALUES (?, ?, 0, 0, 1, ?)",
        (name, text, time.time_ns()),
    )
    collection = db.last_insert_rowid()
    _note_sum(db, collection, name, text)
    return collection


def _note_sum(db: Connection, collection: int, name: str, definition: str) -> None:
    db.execute(
        "UPDATE collections SET definition_sum = ? WHERE number = ?",
        (_sum(collection, name, definition), collection),
    )


def _check_free(db: Connection, name: str) -> None:
    if db.execute("SELECT 1 FROM collections WHERE name = ?", (name,)).fetchone():
        raise CollectionExistsError(f"collection {name!r} exists already")


def rename_collection(db: Connection, collection: int, name: str) -> None:
    """Give a collection another name.

    Raises:
        CollectionExistsError: if the name is taken.
    """
    _check_free(db, name)
    (definition,) = db.row("SELECT definition FROM collections WHERE number = ?", (collection,))
    db.execute("UPDATE collections SET name = ? WHERE number = ?", (name, collection))
    _note_sum(db, collection, name, definition)


def set_properties(db: Connection, collection: int, name: str, changes: Mapping[str, Any]) -> None:
    """Set properties of a collection; None takes one out."""
    (definition,) = db.row("SELECT definition FROM collections WHERE number = ?", (collection,))
    raw = json.loads(definition)
    kept = {key: value for key, value in raw["properties"].items() if key not in changes}
    raw["properties"] = kept | {key: v for key, v in changes.items() if v is not None}
    text = json.dumps(raw)
    db.execute("UPDATE collections SET definition = ? WHERE number = ?", (text, collection))
    _note_sum(db, collection, name, text)


def remove_collection(db: Connection, collection: int) -> None:
    """Take a collection and its indexes out of the catalogue."""
    db.execute("DELETE FROM collections WHERE number = ?", (collection,))
    db.execute("DELETE FROM indexes WHERE collection = ?", (collection,))
    db.execute("DELETE FROM snapshots WHERE collection = ?", (collection,))


def next_generation(db: Connection, collection: int) -> None:
    """Make everything that was derived from a collection's rows void."""
    db.execute("UPDATE collections SET generation = generation + 1 WHERE number = ?", (collection,))
    db.execute("DELETE FROM snapshots WHERE collection = ?", (collection,))


def put_index(db: Connection, collection: int, spec: IndexSpec) -> None:
    """Enter an index, or replace the one of its name."""
    definition = json.dumps(spec.to_dict())
    db.execute(
        "INSERT OR REPLACE INTO indexes(collection, name, definition, definition_sum) "
        "VALUES (?, ?, ?, ?)",
        (collection, spec.name, definition, _sum(collection, spec.name, definition)),
    )
    _note_indexes(db, collection)


def remove_index(db: Connection, collection: int, name: str) -> None:
    """Take an index out of the catalogue."""
    db.execute("DELETE FROM indexes WHERE collection = ? AND name = ?", (collection, name))
    _note_indexes(db, collection)


def _note_indexes(db: Connection, collection: int) -> None:
    """Keep with the collection, under its checksum, which indexes it has."""
    name, definition = db.row(
        "SELECT name, definition FROM collections WHERE number = ?", (collection,)
    )
    found = db.execute("SELECT name FROM indexes WHERE collection = ?", (collection,))
    text = json.dumps(json.loads(definition) | {"indexes": [index for (index,) in found]})
    db.execute("UPDATE collections SET definition = ? WHERE number = ?", (text, collection))
    _note_sum(db, collection, name, text)


def take_ids(db: Connection, collection: int, count: int) -> range:
    """Reserve keys of an auto_id collection.

    Raises:
        DataNotMatchException: if so many are not left.
    """
    (first,) = db.row("SELECT next_id FROM collections WHERE number = ?", (collection,))
    if type(first) is not int:
        raise _damaged(f"collection {collection}", f"its next key is {first!r:.40}")
    if first + count > LAST_ID:
        raise DataNotMatchException(
            f"auto_id: no {count} keys are left above {first - 1}, the largest; give the keys"
        )
    raise_next_id(db, collection, first + count)
    return range(first, first + count)


def raise_next_id(db: Connection, collection: int, at_least: int) -> None:
    """Keep generated keys above those that users gave, so that none is taken twice."""
    db.execute(
        "UPDATE collections SET next_id = max(next_id, ?) WHERE number = ?",
        (min(at_least, LAST_ID), collection),
    )
