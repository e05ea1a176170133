"""The catalogue: which collections and indexes a file holds, and the number of its last commit."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from elanus.errors import CollectionExistsError, CollectionNotFoundError, listed, quoted
from elanus.schema import IndexSpec, Schema
from elanus.storage._sqlite import Connection


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What the catalogue says of a collection.

    Attributes:
        number: never used again, also after a drop; tables are named by it.
        generation: raised by truncate.
        floor: deletes with numbers up to this one are gone from the log.
        analyzers: identity of each analysed field's analyzer.
        indexes: by name.
        memo: what searches worked out of the rest, which does not change.
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
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

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
            )
        return found


def read_state(db: Connection) -> tuple[int, int]:
    """Numbers of the last commit and of the last change of the catalogue."""
    seq, catalogue = db.row("SELECT seq, catalogue FROM state")
    return seq, catalogue


def bump(db: Connection, *, catalogue: bool = False) -> None:
    """Count this commit; every writing transaction does so once."""
    db.execute("UPDATE state SET seq = seq + 1, catalogue = catalogue + ?", (int(catalogue),))


def load_catalogue(db: Connection) -> Catalogue:
    """Read the whole catalogue."""
    version = read_state(db)[1]
    indexes: dict[int, dict[str, IndexSpec]] = {}
    for number, name, definition in db.execute(
        "SELECT collection, name, definition FROM indexes ORDER BY collection, rowid"
    ):
        indexes.setdefault(number, {})[name] = IndexSpec.from_dict(json.loads(definition))
    found = {}
    for number, name, raw, generation, floor, created in db.execute(
        "SELECT number, name, definition, generation, floor, created FROM collections"
    ):
        definition = json.loads(raw)
        found[name] = CollectionInfo(
            number=number,
            name=name,
            schema=Schema.from_dict(definition["schema"]),
            properties=definition["properties"],
            analyzers=definition["analyzers"],
            generation=generation,
            floor=floor,
            created=created,
            indexes=indexes.get(number, {}),
        )
    return Catalogue(version, found)


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
    }
    _check_free(db, name)
    db.execute(
        "INSERT INTO collections(name, definition, generation, floor, next_id, created) "
        "VALUES (?, ?, 0, 0, 1, ?)",
        (name, json.dumps(definition), time.time_ns()),
    )
    return db.last_insert_rowid()


def _check_free(db: Connection, name: str) -> None:
    if db.execute("SELECT 1 FROM collections WHERE name = ?", (name,)).fetchone():
        raise CollectionExistsError(f"collection {name!r} exists already")


def rename_collection(db: Connection, number: int, name: str) -> None:
    """Give a collection another name.

    Raises:
        CollectionExistsError: if the name is taken.
    """
    _check_free(db, name)
    db.execute("UPDATE collections SET name = ? WHERE number = ?", (name, number))


def remove_collection(db: Connection, number: int) -> None:
    """Take a collection and its indexes out of the catalogue."""
    db.execute("DELETE FROM collections WHERE number = ?", (number,))
    db.execute("DELETE FROM indexes WHERE collection = ?", (number,))
    db.execute("DELETE FROM snapshots WHERE collection = ?", (number,))


def next_generation(db: Connection, number: int) -> None:
    """Make everything that was derived from a collection's rows void."""
    db.execute("UPDATE collections SET generation = generation + 1 WHERE number = ?", (number,))
    db.execute("DELETE FROM snapshots WHERE collection = ?", (number,))


def put_index(db: Connection, number: int, spec: IndexSpec) -> None:
    """Enter an index, or replace the one of its name."""
    db.execute(
        "INSERT OR REPLACE INTO indexes VALUES (?, ?, ?)",
        (number, spec.name, json.dumps(spec.to_dict())),
    )


def remove_index(db: Connection, number: int, name: str) -> None:
    """Take an index out of the catalogue."""
    db.execute("DELETE FROM indexes WHERE collection = ? AND name = ?", (number, name))


def take_ids(db: Connection, number: int, count: int) -> range:
    """Reserve keys of an auto_id collection."""
    (first,) = db.row("SELECT next_id FROM collections WHERE number = ?", (number,))
    raise_next_id(db, number, first + count)
    return range(first, first + count)


def raise_next_id(db: Connection, number: int, at_least: int) -> None:
    """Keep generated keys above those that users gave, so that none is taken twice."""
    db.execute(
        "UPDATE collections SET next_id = max(next_id, ?) WHERE number = ?", (at_least, number)
    )
