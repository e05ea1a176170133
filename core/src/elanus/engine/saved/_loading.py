"""Opening what was saved of a collection: files are mapped, and only the small ones read."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping

import numpy as np
import orjson

from elanus.engine._parts import COLUMN, TEXT, DenseKey, MomentsKey, MomentsPart, with_direction
from elanus.engine._view import View, as_keys
from elanus.engine.saved._saved import (
    SLOTS,
    Restored,
    SavedFiles,
    SavedMatrix,
    SavedPart,
    array_name,
    graph_kind,
)
from elanus.errors import DatabaseCorruptError
from elanus.index import DenseIndex, Keys, Moments
from elanus.schema import Metric
from elanus.storage import (
    CacheFolder,
    CollectionInfo,
    Container,
    FileMap,
    MappedMatrix,
    SavedFile,
    map_matrix,
)

_log = logging.getLogger("elanus")


def open_saved(
    folder: CacheFolder,
    saved: SavedFile,
    others: Mapping[str, SavedFile],
    info: CollectionInfo,
) -> Restored:
    """The view of a registered file of slots, with what belongs to it.

    Args:
        folder: where the files are.
        saved: the slots.
        others: what else is registered, by kind.
        info: the collection.

    Raises:
        OSError, DatabaseCorruptError, KeyError, ValueError: if slots or vectors are damaged or
            gone.
    """
    # All but the vectors, terms, columns and graphs; about 25 bytes a row. Not mapped: everybody
    # reads them all the time, and would be killed if another program made the file shorter.
    slots = folder.open(saved).read()
    slots.check()
    view = _as_view(saved, slots, text_keys=slots.meta["text_keys"])
    matrices = {}
    maps: dict[Hashable, FileMap] = {}
    moments = {}
    for entry in slots.meta["dense"]:
        key = DenseKey(entry["field"], entry["dim"], Metric(entry["metric"]))
        if key.field in info.schema.by_name:
            blocks = tuple((a, b, crc) for a, b, crc in entry["blocks"])
            matrices[key] = SavedMatrix(entry["matrix"], entry["rows"], blocks)
            mapped = map_matrix(folder.matrix(entry["matrix"]), entry["rows"], key.dim)
            maps[key] = mapped.map
            index = _index_over(mapped, key, slots)
            view = view.with_part(key, index)
            if array_name("square", key) in slots.arrays:
                moments[key] = view.n
                view = view.with_part(MomentsKey(key), _moments_of(index, key, view, slots))
    files = _open_others(folder, others, view)
    graphs = {key: files[kind] for key in matrices if (kind := graph_kind(key)) in files}
    parts = {
        kind: SavedPart(file, others[kind].last_delete)
        for kind, file in files.items()
        if kind.startswith((TEXT, COLUMN))
    }
    kept = {SLOTS: saved, **{kind: row for kind, row in others.items() if kind in files}}
    covered = {kind: int(part.container.meta["slots"]) for kind, part in parts.items()}
    known = SavedFiles(view.lineage, kept, matrices, covered, moments)
    return Restored(view, known, graphs, parts, maps)


def _index_over(mapped: MappedMatrix, key: DenseKey, slots: Container) -> DenseIndex:
    return DenseIndex.from_matrix(
        mapped.array,
        slots.arrays.get(array_name("present", key)),
        key.metric,
        squares=slots.arrays[array_name("squares", key)],
    )


def _moments_of(index: DenseIndex, key: DenseKey, view: View, slots: Container) -> MomentsPart:
    of = with_direction(index, view.alive)
    total, square = (slots.arrays[array_name(what, key)] for what in ("total", "square"))
    return MomentsPart(Moments(int(np.count_nonzero(of)), total, square), of, view.last_delete)


def _open_others(
    folder: CacheFolder, rows: Mapping[str, SavedFile], view: View
) -> dict[str, Container]:
    """The registered files, besides the slots, that number them alike."""
    found = {}
    for kind, row in rows.items():
        try:
            file = folder.open(row)
        except (OSError, DatabaseCorruptError, KeyError, ValueError, TypeError) as error:
            _log.warning("ignoring what was saved as %r: %s", kind, error)
            continue
        if file.meta["lineage"] == view.lineage and row.generation == view.generation:
            found[kind] = file
    return found


def _as_view(saved: SavedFile, slots: Container, *, text_keys: bool) -> View:
    arrays = slots.arrays
    keys: Keys = arrays["keys"]
    if text_keys:
        keys = as_keys(orjson.loads(arrays["keys"].tobytes()), np.dtype(object))
    return View(
        seq=saved.seq,
        generation=saved.generation,
        lineage=slots.meta["lineage"],
        last_row=saved.last_row,
        last_delete=saved.last_delete,
        rows=arrays["rows"],
        keys=keys,
        alive=arrays["alive"],
        count=int(np.count_nonzero(arrays["alive"])),
        began=saved.seq,
    )
