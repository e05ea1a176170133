"""What is in the cache folder of a collection, as the process that saved or mapped it knows it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace

from elanus.engine._parts import DenseKey
from elanus.engine._view import View
from elanus.storage import Container, FileMap, SavedFile

SLOTS = "slots"
"""The kind of file that all others depend on."""

Block = tuple[int, int, int]
"""First row, row after the last, CRC-32."""


@dataclass(frozen=True, slots=True)
class SavedMatrix:
    """A raw file of vectors, of which so many rows are registered.

    Attributes:
        name: the file's.
        rows: how many.
        blocks: row ranges of the file with the CRC-32 of each.
    """

    name: str
    rows: int
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class SavedFiles:
    """The registered files that number the slots as this process does.

    Attributes:
        lineage: the numbering. Files of another one say nothing about a view of this one.
        by_kind: what is registered.
        matrices: the files that the vectors are in.
        parts: how many slots the parts cover that have files of their own, by kind.
        moments: how many the saved moments of a dense index cover.
    """

    lineage: str
    by_kind: Mapping[str, SavedFile] = field(default_factory=dict)
    matrices: Mapping[DenseKey, SavedMatrix] = field(default_factory=dict)
    parts: Mapping[str, int] = field(default_factory=dict)
    moments: Mapping[DenseKey, int] = field(default_factory=dict)

    @property
    def name(self) -> str | None:
        """The name of the file of slots, which is new each time; None if nothing is saved."""
        slots = self.by_kind.get(SLOTS)
        return None if slots is None else slots.id

    def without(self, kind: str) -> SavedFiles:
        """The same but for the file of one part, which was damaged."""
        files = {of: file for of, file in self.by_kind.items() if of != kind}
        parts = {of: slots for of, slots in self.parts.items() if of != kind}
        return replace(self, by_kind=files, parts=parts)


@dataclass(frozen=True, slots=True)
class SavedPart:
    """The mapped arrays of a part of a view, and the last delete that it knows."""

    container: Container
    last_delete: int


@dataclass(frozen=True, slots=True, eq=False)
class Restored:
    """A view that was saved, and what was saved with it.

    Attributes:
        view: with indexes that map the saved vectors.
        saved: the files that it was made from.
        graphs: arrays of graphs and codes, not yet assembled.
        parts: terms of text fields and columns, by kind; not yet checked.
        maps: of the files that the view reads from, by what they hold.
    """

    view: View
    saved: SavedFiles
    graphs: Mapping[DenseKey, Container]
    parts: Mapping[str, SavedPart]
    maps: Mapping[Hashable, FileMap]


def graph_kind(key: DenseKey) -> str:
    """The kind of file that holds the graph of a dense index, or its codes."""
    return f"graph:{key.field}:{key.metric.value}"


def array_name(what: str, key: DenseKey) -> str:
    """The name of an array of a dense index in the file of slots."""
    return f"{what}:{key.field}:{key.metric.value}"
