"""A snapshot: one commit of a collection, seen through one read transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import reduce
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from elanus.engine._parts import ColumnKey, PartKey, Path, TextKey, TextPart, column_key
from elanus.engine._state import CollectionState, OutdatedSnapshotError
from elanus.engine._view import View
from elanus.index import Column, FieldKind
from elanus.query import Expression, columns_of, evaluate
from elanus.schema import Schema
from elanus.storage import CollectionInfo, Connection, Reader, read_state

DEFAULT_K1, DEFAULT_B = 1.2, 0.75

T = TypeVar("T")


class Snapshot:
    """One commit of a collection; a column source for filters.

    Args:
        reader: the file; a transaction is begun when it is first needed.
        seq: number of the commit to see.
        info: the collection as of that commit.
        state: what this process keeps of it.
    """

    def __init__(
        self, reader: Reader, seq: int, info: CollectionInfo, state: CollectionState
    ) -> None:
        self.info = info
        self.state = state
        self._reader = reader
        self._seq = seq
        self._filters: tuple[Expression, ...] = ()
        state.check_maps()
        view = state.view
        # A view of this commit needs nothing of the file, and a search of it no transaction.
        self._view = view if view.seq == seq else state.at(self.db, info, seq)

    @property
    def db(self) -> Connection:
        """A connection inside a transaction of this commit.

        Raises:
            OutdatedSnapshotError: if there was another commit before the transaction began.
        """
        if not self._reader.has_begun:
            self._reader.begin()
            if read_state(self._reader.db)[0] != self._seq:
                raise OutdatedSnapshotError
        return self._reader.db

    @property
    def view(self) -> View:
        """The rows of this commit."""
        return self._view

    @property
    def schema(self) -> Schema:
        """The collection's schema."""
        return self.info.schema

    def part(self, key: PartKey) -> Any:
        """An index or column, covering every slot of the view."""
        if not self._has(key):
            self._show(self.state.with_part(self.db, self.info, self._view.seq, key))
        return self._view.parts[key]

    def _has(self, key: PartKey) -> bool:
        part = self._view.parts.get(key)
        return part is not None and key.is_current(part, self._view)

    def _show(self, view: View) -> None:
        if view.numbering is not self._view.numbering:
            # Slots were numbered afresh meanwhile: masks and slots known so far are void.
            raise OutdatedSnapshotError
        self._view = view

    # --- column source of filters ----------------------------------------------------------

    @property
    def n(self) -> int:
        """Number of slots."""
        return self._view.n

    def kind(self, name: str) -> FieldKind | None:
        """What a field is; None if there is no such field."""
        return self.state.kinds.get(name)

    def column(self, path: Path) -> Column:
        """The values of a field or path by slot."""
        key = column_key(self.schema, path)
        if isinstance(key, ColumnKey) and not self._has(key):
            self._read_columns()
        column: Column = self.part(key)
        return column

    def _read_columns(self) -> None:
        """Bring all columns of the filters up to the view: each by itself would read all rows."""
        paths = dict.fromkeys(p for f in self._filters for p in columns_of(f, self.kind))
        keys = [k for p in paths if isinstance(k := column_key(self.schema, p), ColumnKey)]
        self._show(self.state.with_columns(self.db, self.info, self._view.seq, keys))

    def text_match(self, field: str, text: str, minimum: int) -> NDArray[np.bool_]:
        """The slots whose text holds at least ``minimum`` of the terms of ``text``."""
        terms = set(self.state.analyzers[field].tokens(text))
        numbers = self.numbers(field, terms)
        part: TextPart = self.part(self.text_key(field))
        if not terms or minimum > len(numbers):
            return np.zeros(self.n, dtype=bool)
        return part.index.matching(list(numbers.values()), minimum)

    def numbers(self, field: str, terms: Collection[str]) -> dict[str, int]:
        """Vocabulary numbers of those terms of a text field that have one."""
        vocabulary = self.state.vocabularies[field]
        found = vocabulary.known(terms)
        return found if len(found) == len(terms) else vocabulary.find(self.db, terms)

    def text_key(self, field: str) -> TextKey:
        """The key of a text field's terms, with the parameters of the BM25 index on it."""
        for target, source in self.schema.bm25_inputs.items():
            index = self.info.index_on(target) if source == field else None
            if index is not None:
                k1 = index.params.get("bm25_k1", DEFAULT_K1)
                return TextKey(field, k1, index.params.get("bm25_b", DEFAULT_B))
        return TextKey(field, DEFAULT_K1, DEFAULT_B)

    def eligible(self, *filters: Expression) -> NDArray[np.bool_] | None:
        """The alive slots that all filters let pass, not to be changed; None if all slots are."""
        if not filters:
            return self._view.mask
        mask = self._view.masks.get(filters)
        if mask is None:
            self._filters = filters
            masks = [evaluate(expression, self) for expression in filters]
            alive = self._view.mask
            mask = reduce(np.logical_and, masks if alive is None else [*masks, alive])
            self._view.masks.put(filters, mask)
        return mask

    def by_row(self, read: Callable[[Connection], dict[int, T]], rows: list[int]) -> list[T]:
        """What is stored of some rows of the view, in their order.

        It needs no transaction: a row never changes, and its number is never used again; so one
        that is there is the row that was meant, and one that is missing was deleted since.

        Raises:
            OutdatedSnapshotError: if one is missing.
        """
        try:
            found = read(self._reader.db)
        except Exception as error:
            # The collection was dropped, and its tables with it.
            if not self._reader.has_begun and "no such table" in str(error):
                raise OutdatedSnapshotError from None
            raise
        try:
            return [found[row] for row in rows]
        except KeyError:
            if self._reader.has_begun:
                raise
            raise OutdatedSnapshotError from None
