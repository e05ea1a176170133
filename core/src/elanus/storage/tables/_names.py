"""The tables of one collection: their names, their columns, and making and dropping them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from elanus.schema import DataType, Schema
from elanus.storage._sqlite import Connection


class Names:
    """Names of the tables and columns of one collection. Nothing of it changes.

    Args:
        collection: its number in the catalogue.
        schema: its schema, which gives the columns.

    Attributes:
        collection: its number.
        rows, vectors, terms, deletes: names of the tables.
        vector_columns, term_columns: by field. They are numbered by the field's place in the
            schema, so no name needs quoting.
        nullable: the vector fields that may lack a vector.
        dims: of the dense vector fields.
        key_class: the type of a primary key.
        seeds: by column, what tells its checksums from those of others, as pages can change places.
    """

    def __init__(self, collection: int, schema: Schema) -> None:
        self.collection = collection
        self.rows = f"c{collection}_rows"
        self.vectors = f"c{collection}_vectors"
        self.terms = f"c{collection}_terms"
        self.deletes = f"c{collection}_deletes"
        self.key_class: type = int if schema.primary.dtype is DataType.INT64 else str
        self.dims = {f.name: f.dim or 0 for f in schema.dense}
        places = {f.name: i for i, f in enumerate(schema.fields)}
        self.vector_columns = {
            f.name: f"v{places[f.name]}" for f in (*schema.dense, *schema.sparse)
        }
        self.term_columns = {f.name: f"t{places[f.name]}" for f in schema.analysed}
        self.nullable = {f.name for f in (*schema.dense, *schema.sparse) if f.nullable}
        self._columns = {**self.vector_columns, **self.term_columns}
        self.seeds = {
            column: zlib.crc32(f"{collection} {column}".encode())
            for column in ("key", "data", *self._columns.values())
        }

    def column(self, field: str) -> str:
        """The column of a vector field, or of an analysed field's terms."""
        return self._columns[field]

    def words(self, field: str) -> str:
        """The vocabulary table of an analysed field."""
        return f"c{self.collection}_words_{self.term_columns[field]}"

    def all(self) -> list[str]:
        """All tables, vocabularies included."""
        return [
            self.rows, self.vectors, self.terms, self.deletes, *map(self.words, self.term_columns)
        ]  # fmt: skip

    def create(self, db: Connection) -> None:
        """Create the tables."""
        vectors = _declared(self.vector_columns.values())
        terms = _declared(self.term_columns.values())
        key_type = "INTEGER" if self.key_class is int else "TEXT"
        db.execute(
            f"CREATE TABLE {self.rows}(row INTEGER PRIMARY KEY AUTOINCREMENT, "
            f"pk {key_type} NOT NULL UNIQUE, key_sum INTEGER, data_sum INTEGER, "
            "data BLOB NOT NULL)"
        )
        db.execute(f"CREATE TABLE {self.vectors}(row INTEGER PRIMARY KEY{vectors})")
        db.execute(f"CREATE TABLE {self.terms}(row INTEGER PRIMARY KEY{terms})")
        db.execute(
            f"CREATE TABLE {self.deletes}(number INTEGER PRIMARY KEY AUTOINCREMENT, "
            f"row INTEGER NOT NULL{terms})"
        )
        for field in self.term_columns:
            db.execute(
                f"CREATE TABLE {self.words(field)}(number INTEGER PRIMARY KEY, "
                "text TEXT NOT NULL UNIQUE)"
            )

    def add_sums(self, db: Connection) -> None:
        """Add the checksums that format 1 did not have; rows that are there have none."""
        terms = list(self.term_columns.values())
        for table, columns in (
            (self.rows, ["key", "data"]),
            (self.vectors, list(self.vector_columns.values())),
            (self.terms, terms),
            (self.deletes, terms),
        ):
            for column in columns:
                db.execute(f"ALTER TABLE {table} ADD COLUMN {column}_sum INTEGER")

    def are_upgraded(self, db: Connection) -> bool:
        """Whether rows may be from format 1, without checksums: these columns were added last."""
        (last,) = db.row(
            "SELECT name FROM pragma_table_info(?) ORDER BY cid DESC LIMIT 1", (self.rows,)
        )
        return bool(last == "data_sum")

    def drop(self, db: Connection) -> None:
        """Drop the tables."""
        for name in self.all():
            db.execute(f"DROP TABLE {name}")

    def clear(self, db: Connection) -> None:
        """Delete all rows. Row numbers go on; the vocabulary stays, since it describes words."""
        for name in (self.rows, self.vectors, self.terms, self.deletes):
            db.execute(f"DELETE FROM {name}")


def _declared(columns: Iterable[str]) -> str:
    """The columns of a table: checksums first, for which no long value need be read."""
    names = list(columns)
    return "".join([f", {c}_sum INTEGER" for c in names] + [f", {c} BLOB" for c in names])


def listed(columns: Iterable[str]) -> str:
    """Those columns in a statement."""
    names = list(columns)
    return "".join([f", {c}_sum" for c in names] + [f", {c}" for c in names])
