"""Checking what a process keeps in memory against the file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from elanus.engine._parts import DenseKey, TextKey, TextPart
from elanus.engine._snapshot import Snapshot
from elanus.index import DenseIndex
from elanus.storage import decode_dense, decode_terms


def view_faults(snapshot: Snapshot) -> list[str]:
    """Where a view and its indexes differ from the tables of the same commit."""
    name = snapshot.info.name
    return [f"collection {name!r}: {fault}" for fault in _faults(snapshot)]


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


def _same_vectors(snapshot: Snapshot, key: DenseKey, index: DenseIndex) -> bool:
    view = snapshot.view
    rows, blobs = snapshot.state.tables.vectors_since(snapshot.db, key.field, 0)
    filled = np.array([blob is not None for blob in blobs], dtype=bool)
    slots = view.slots_of(rows[filled])
    covered = slots < index.n
    stored = decode_dense([blob for blob in blobs if blob is not None], key.dim)[covered]
    return np.array_equal(index.vectors(slots[covered]), stored)


def _same_statistics(snapshot: Snapshot, key: TextKey, part: TextPart) -> bool:
    if not key.is_current(part, snapshot.view):
        part = snapshot.part(key)
    _, blobs = snapshot.state.tables.terms_since(snapshot.db, key.field, 0)
    _, terms, counts = decode_terms(blobs)
    distinct, frequencies = np.unique(terms, return_counts=True)
    return (
        part.index.documents == len(blobs)
        and part.index.total_length == int(counts.sum())
        and np.array_equal(part.index.document_frequency(distinct), frequencies)
    )
