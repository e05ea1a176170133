"""One save: what is written of a view, and taken back if it does not end well."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from elanus.engine._parts import DenseKey, MomentsKey
from elanus.engine._view import KeptKey, View
from elanus.engine.saved._saved import SLOTS, SavedMatrix, array_name, graph_kind
from elanus.errors import DatabaseCorruptError
from elanus.index import Codes, DenseIndex, Graph, Moments
from elanus.storage import CacheFolder, SavedFile, checksum, extend_matrix, write_arrays

_ROWS_AT_ONCE = 16_384


class Stopped(Exception):
    """The database is being closed, and this takes too long. Never leaves the engine."""


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A file to write.

    Attributes:
        kind: what it holds.
        arrays: its content.
        last_delete: number of the last delete that the content knows; None for the view's.
        slots: how many slots the content covers, if it is a part that covers some only.
    """

    kind: str
    arrays: Mapping[str, NDArray[Any]]
    last_delete: int | None = None
    slots: int | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the content."""
        return sum(array.nbytes for array in self.arrays.values())


def graph_drafts(view: View) -> Iterator[Draft]:
    """The graphs and codes of a view."""
    for key, index in dense_parts(view):
        if isinstance(index.graph, (Codes, Graph)):
            yield Draft(graph_kind(key), index.graph.to_arrays())


def part_draft(key: KeptKey, part: Any) -> Draft:
    """A part that has a file of its own."""
    return Draft(key.file_kind, key.to_arrays(part), key.known_delete(part), key.covered(part))


def slots_draft(
    view: View, indexes: Mapping[DenseKey, DenseIndex], moments: Mapping[DenseKey, Moments]
) -> Draft:
    """The slots of a view, with what goes with the vectors that are saved."""
    if view.keys.dtype == object:
        keys: NDArray[Any] = np.frombuffer(orjson.dumps(view.keys.tolist()), dtype=np.uint8)
    else:
        keys = view.keys
    arrays: dict[str, NDArray[Any]] = {"rows": view.rows, "alive": view.alive, "keys": keys}
    for key, index in indexes.items():
        arrays[array_name("squares", key)] = index.squares
        if index.rows.present is not None:
            arrays[array_name("present", key)] = index.rows.present
    for key, sums in moments.items():
        if sums.square is not None:
            arrays[array_name("total", key)] = sums.total
            arrays[array_name("square", key)] = sums.square
    return Draft(SLOTS, arrays)


def moments_of(view: View, indexes: Mapping[DenseKey, DenseIndex]) -> dict[DenseKey, Moments]:
    """The moments of these indexes that took long to add up, and cover every slot of a view."""
    found = {}
    for key, index in indexes.items():
        part = view.parts.get(MomentsKey(key))
        if part is None or index.n < view.n or not MomentsKey(key).is_current(part, view):
            continue
        if part.moments.square is not None:
            found[key] = part.moments
    return found


def dense_parts(view: View) -> Iterator[tuple[DenseKey, DenseIndex]]:
    """The dense indexes of a view."""
    for key, part in view.parts.items():
        if isinstance(key, DenseKey):
            yield key, part


class Saving:
    """Writes files; leaving the block takes them back, unless they are to be kept.

    Args:
        folder: where they go.
        collection: number of the collection.
        view: what is saved.
        stop: whether to give up, which raises `Stopped`.
    """

    def __init__(
        self, folder: CacheFolder, collection: int, view: View, stop: Callable[[], bool]
    ) -> None:
        self._folder = folder
        self._collection = collection
        self._view = view
        self._stop = stop
        self._sizes: dict[Path, int] = {}  # before
        self._is_kept = False

    def __enter__(self) -> Saving:
        return self

    def keep(self) -> None:
        """The files are registered."""
        self._is_kept = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_kept:
            return
        for path, size in self._sizes.items():
            with suppress(OSError):
                if size:
                    os.truncate(path, size)
                else:
                    path.unlink()

    def write(self, draft: Draft, meta: Mapping[str, Any]) -> SavedFile:
        """Write a file of arrays; the row that registers it."""
        name, view = self._folder.new_name(), self._view
        path = self._folder.arrays(name)
        self._sizes[path] = 0
        known = meta if draft.slots is None else {**meta, "slots": draft.slots}
        written = write_arrays(path, draft.arrays, {"lineage": view.lineage, **known}, self._stop)
        if written is None:
            raise Stopped
        last_delete = view.last_delete if draft.last_delete is None else draft.last_delete
        return SavedFile(
            name, self._collection, view.generation, draft.kind, view.seq, view.last_row,
            last_delete, written,
        )  # fmt: skip

    def extend(self, saved: SavedMatrix | None, index: DenseIndex) -> SavedMatrix:
        """Append what the file of an index lacks; begin a new file if it is not as we left it."""
        if saved is None or not self._is_as_we_left_it(saved, index.dim):
            saved = SavedMatrix(self._folder.new_name(), 0)
        path, width = self._folder.matrix(saved.name), index.dim * 4
        self._sizes[path] = saved.rows * width
        blocks = list(saved.blocks)
        for offset, rows in index.rows.blocks(saved.rows, _ROWS_AT_ONCE):
            first = saved.rows + offset
            crc = checksum(rows, self._stop)
            if crc is None:
                raise Stopped
            if not extend_matrix(path, first * width, rows):
                raise DatabaseCorruptError(f"{path} was changed by someone else")
            blocks.append((first, first + len(rows), crc))
        return replace(saved, rows=index.n, blocks=tuple(blocks))

    def _is_as_we_left_it(self, saved: SavedMatrix, dim: int) -> bool:
        try:
            return self._folder.matrix(saved.name).stat().st_size == saved.rows * dim * 4
        except OSError:
            return False


def missing_bytes(saved: SavedMatrix | None, index: DenseIndex) -> int:
    """How much `Saving.extend` appends."""
    return (index.n - (0 if saved is None else saved.rows)) * index.dim * 4
