"""A snapshot: one commit of a collection, seen by a view and, where that is not enough, the file.

A transaction is begun only when the tables have to be followed, and must then be of the same
commit. Filters read their columns from here, and their masks are kept here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Collection as Several
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from elanus.engine._parts import ColumnKey, Path, TextKey, TextPart, column_key
from elanus.engine._state import CollectionState, OutdatedSnapshotError
from elanus.engine._view import PartKey, View
from elanus.errors import said_by
from elanus.query import Column, Expression, evaluate
from elanus.schema import DEFAULT_B, DEFAULT_K1
from elanus.storage import CollectionInfo, Connection, Reader, read_state
from elanus.text import Spellings

T = TypeVar("T")

_AT_ONCE = 4_096
"""Texts analysed at a time: their terms take about 100 bytes a word."""


@dataclass(slots=True, eq=False)
class Collection:
    """An entry of the catalogue with what belongs to it.

    Attributes:
        info: the entry, which never changes.
        state: what this process keeps of the collection, whatever the catalogue says.
        targets: what searches of a field by a metric mean. This and the next are worked out of the
            entry at first use, and grow.
        projections: what names of output fields mean.
    """

    info: CollectionInfo
    state: CollectionState
    targets: dict[Any, Any] = field(default_factory=dict)
    projections: dict[tuple[str, ...], Any] = field(default_factory=dict)


class Snapshot:
    """One commit of a collection; a column source for filters.

    Args:
        reader: the file; a transaction is begun when it is first needed.
        seq: number of the commit to see.
        collection: as of that commit.

    Attributes:
        collection, info, schema, state: the collection, and its parts.
        view: the rows of the commit.
        n: number of slots.
        kinds: what the fields are, by name.
    """

    __slots__ = ("_reader", "_seq", "collection", "info", "kinds", "n", "schema", "state", "view")

    def __init__(self, reader: Reader, seq: int, collection: Collection) -> None:
        self._reader = reader
        self._seq = seq
        self.collection = collection
        self.info = info = collection.info
        self.schema = info.schema
        self.state = state = collection.state
        self.kinds = state.kinds
        if state.saved.maps:
            state.check_maps()
        view = state.view
        # A view of this commit needs nothing of the file, and a search of it no transaction.
        self.view: View = view if view.seq == seq else state.at(self.db, info, seq)
        self.n = len(self.view.rows)

    @property
    def db(self) -> Connection:
        """A connection inside a transaction of this commit.

        Raises:
            OutdatedSnapshotError: if there was another commit before the transaction began.
        """
        if not self._reader.has_begun:
            self._reader.begin()
            state = read_state(self._reader.db)
            if state.seq != self._seq or not self.state.history.goes_on(state):
                raise OutdatedSnapshotError
        return self._reader.db

    def part(self, key: PartKey) -> Any:
        """An index or column, covering every slot of the view."""
        part = self.view.derived.current.get(key)
        return self._followed(key) if part is None else part

    def _followed(self, key: PartKey) -> Any:
        part = self.view.part(key)
        if part is None:
            self._show(self.state.with_part(self.db, self.info, self._seq, key))
            part = self.view.parts[key]
        return part

    def _show(self, view: View) -> None:
        if view.numbering is not self.view.numbering:
            # Slots were numbered afresh meanwhile: masks and slots known so far are void.
            raise OutdatedSnapshotError
        self.view = view

    # --- column source of filters ----------------------------------------------------------

    def columns(self, paths: Iterable[Path]) -> dict[Path, Column]:
        """The values of fields and paths by slot. Those that are behind come of one pass."""
        keys = {path: column_key(self.schema, path) for path in paths}
        stored = [key for key in keys.values() if isinstance(key, ColumnKey)]
        behind = [key for key in stored if self.view.part(key) is None]
        if behind:
            self._show(self.state.with_columns(self.db, self.info, self._seq, behind))
        return {path: self.part(key) for path, key in keys.items()}

    def text_match(self, field: str, text: str, minimum: int) -> NDArray[np.bool_]:
        """The slots whose text holds at least ``minimum`` of the terms of ``text``."""
        terms = set(self.state.analyzers[field].query_tokens(text))
        return self._with_terms(field, terms, minimum)

    def phrase_match(
        self,
        field: str,
        phrases: Sequence[tuple[str, int]],
        among: NDArray[np.bool_] | None,
        *,
        every: bool,
    ) -> NDArray[np.bool_]:
        """The slots whose text holds every phrase, or any of them; see `Analyzer.holding`.

        Only texts with all terms of a phrase are read, and only ``among`` those asked for. Each is
        analysed once, whatever the number of phrases.
        """
        analyzer = self.state.analyzers[field]
        asked = [(analyzer.tokens(text), slop) for text, slop in phrases]
        several = [(terms, slop) for terms, slop in asked if len(terms) > 1]
        join = np.logical_and if every else np.logical_or
        found, possible = np.full(self.n, every), np.full(self.n, every)
        for terms, _ in asked:
            distinct = set(terms)
            held = self._with_terms(field, distinct, len(distinct))
            join(possible, held, out=possible)
            # Of one term the index knows all.
            join(found, held if len(terms) <= 1 else False, out=found)
        # The texts of the dead are gone.
        masks = (possible, ~found, self.view.mask, among)
        slots = np.flatnonzero(reduce(np.logical_and, (m for m in masks if m is not None)))
        for begin in range(0, len(slots), _AT_ONCE):
            some = slots[begin : begin + _AT_ONCE]
            texts = [row[field] for row in self._documents(some)]
            found[some] = join.reduce(analyzer.holding(texts, several))
        return found

    def _with_terms(self, field: str, terms: set[str], minimum: int) -> NDArray[np.bool_]:
        """The slots whose text holds at least ``minimum`` of some terms; none without terms."""
        numbers = self.numbers(field, terms)
        part: TextPart = self.part(self.text_key(field))
        if not terms or minimum > len(numbers):
            return np.zeros(self.n, dtype=bool)
        return part.index.matching(list(numbers.values()), minimum)

    def _documents(self, slots: NDArray[np.intp]) -> list[dict[str, Any]]:
        rows, keys = self.view.rows[slots].tolist(), self.view.keys[slots].tolist()
        return self.by_row(rows, self.state.tables.documents, rows, keys)

    def numbers(self, field: str, terms: Several[str]) -> dict[str, int]:
        """Vocabulary numbers of those terms of a text field that have one."""
        vocabulary = self.state.vocabularies[field]
        found = vocabulary.known(terms)
        return found if len(found) == len(terms) else vocabulary.find(self.db, terms)

    def spellings(self, field: str) -> Spellings:
        """The terms of a text field by their spelling; some may be in no row."""
        return self.state.spellings(lambda: self.db, field, self._seq)

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
            return self.view.mask
        mask = self.view.derived.masks.kept.get(filters)
        if mask is None:
            masks = [evaluate(expression, self) for expression in filters]
            alive = self.view.mask
            mask = reduce(np.logical_and, masks if alive is None else [*masks, alive])
            self.view.derived.masks.put(filters, mask)
        return mask

    def by_row(self, rows: list[int], read: Callable[..., dict[int, T]], *what: Any) -> list[T]:
        """What is stored of some rows of the view, in their order.

        It needs no transaction: a row never changes, and its number is never used again; so one
        that is there is the row that was meant, and one that is missing was deleted since.

        Args:
            rows: their numbers.
            read: reads them by number; takes a connection, and what follows here.
            *what: what else it takes, the rows among it.

        Raises:
            OutdatedSnapshotError: if one is missing.
        """
        try:
            found = read(self._reader.db, *what)
        except Exception as error:
            # The collection was dropped, and its tables with it.
            if not self._reader.has_begun and "no such table" in said_by(error):
                raise OutdatedSnapshotError from None
            raise
        try:
            return [found[row] for row in rows]
        except KeyError:
            if self._reader.has_begun:
                raise
            raise OutdatedSnapshotError from None
