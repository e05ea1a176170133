"""Checking what a process keeps in memory against the file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from elanus.engine._parts import DenseKey, TextKey, TextPart, pieces
from elanus.engine._snapshot import Snapshot
from elanus.index import DenseIndex
from elanus.storage import is_abandoned


def view_faults(snapshot: Snapshot) -> list[str]:
    """Where a view and its indexes differ from the tables of the same commit."""
    name = snapshot.info.name
    snapshot.db.give_up_when(is_abandoned)
    try:
        return [f"collection {name!r}: {fault}" for fault in _faults(snapshot)]
    finally:
        snapshot.db.give_up_when(None)


def _faults(snapshot: Snapshot) -> Iterator[str]:
    view, tables = snapshot.view, snapshot.state.tables
    rows, keys = tables.keys_since(snapshot.db, 0)
    alive = view.rows[view.alive]
    if not np.array_equal(alive, rows) or view.keys[view.alive].tolist() != keys:
        yield "the rows in memory differ from those in the file"
        return
    for key, part in list(view.parts.items()):
        if isinstance(key, DenseKey) and not _same_vectors(snapshot, key, part):
            yield f"field {key.field!r}: the vectors in memory differ from those in the file"
        if isinstance(key, TextKey) and not _same_statistics(snapshot, key, part):
            yield f"field {key.field!r}: the statistics of its terms differ from a fresh count"
    for field, vocabulary in snapshot.state.vocabularies.items():
        if not vocabulary.agrees(snapshot.db):
            yield f"field {field!r}: the terms in memory have other numbers than in the file"


def _same_vectors(snapshot: Snapshot, key: DenseKey, index: DenseIndex) -> bool:
    view, tables = snapshot.view, snapshot.state.tables
    for rows, filled, stored in pieces(partial(tables.dense_since, snapshot.db, key.field), view):
        slots = view.slots_of(rows[filled])
        covered = slots < index.n
        if not np.array_equal(index.vectors(slots[covered]), stored[covered]):
            return False
    return True


def _same_statistics(snapshot: Snapshot, key: TextKey, part: TextPart) -> bool:
    if not key.is_current(part, snapshot.view):
        part = snapshot.part(key)
    tables = snapshot.state.tables
    documents = length = 0
    frequencies = np.zeros(tables.last_word(snapshot.db, key.field) + 1, dtype=np.int64)
    read = partial(tables.terms_since, snapshot.db, key.field)
    for rows, (_, terms, counts) in pieces(read, snapshot.view):
        documents += len(rows)
        length += int(counts.sum())
        frequencies += np.bincount(terms, minlength=len(frequencies))
    distinct = np.flatnonzero(frequencies).astype(np.uint32)
    return (
        part.index.documents == documents
        and part.index.total_length == length
        and np.array_equal(part.index.document_frequency(distinct), frequencies[distinct])
    )
