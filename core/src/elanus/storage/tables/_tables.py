"""The tables of one collection."""

from __future__ import annotations

from elanus.schema import Schema
from elanus.storage.tables._checks import Checks
from elanus.storage.tables._fetching import Fetching
from elanus.storage.tables._following import Following
from elanus.storage.tables._names import Names
from elanus.storage.tables._numbers import Numbers
from elanus.storage.tables._writing import RowWriting


class Tables:
    """Reads and writes the tables of one collection. It has no state: that is in the file.

    Each verb is one of a part, and a call of it goes there at once.

    Args:
        collection: the collection's number in the catalogue.
        schema: its schema, which gives the columns.

    Attributes:
        names: names of the tables, and making them.
        checks: what is compared when they are read.
    """

    def __init__(self, collection: int, schema: Schema) -> None:
        self.names = names = Names(collection, schema)
        self.create, self.drop, self.clear = names.create, names.drop, names.clear

        numbers = Numbers(names)
        self.last_row, self.last_delete = numbers.last_row, numbers.last_delete
        self.last_word, self.floor = numbers.last_word, numbers.floor
        self.logged_deletes = numbers.logged_deletes

        self.checks = checks = Checks(names, numbers)
        self.check_count, self.check_words = checks.check_count, checks.check_words
        writing = RowWriting(names, numbers, checks)
        self.add, self.remove = writing.add, writing.remove
        self.check_new, self.trim_deletes = writing.check_new, writing.trim_deletes

        following = Following(names, numbers, checks)
        self.keys_since, self.data_since = following.keys_since, following.data_since
        self.dense_since, self.sparse_since = following.dense_since, following.sparse_since
        self.terms_since, self.removed_terms = following.terms_since, following.removed_terms
        self.deletes_since = following.deletes_since

        fetching = Fetching(names, checks)
        self.documents, self.fetch_terms = fetching.documents, fetching.fetch_terms
        self.fetch_vectors = fetching.fetch_vectors
        self.rows_of, self.rows_to_remove = fetching.rows_of, fetching.rows_to_remove
