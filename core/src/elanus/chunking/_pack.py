"""Blocks of sections into chunks that are as long as fits."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from elanus.chunking._blocks import Block, Section
from elanus.chunking._size import Limit
from elanus.chunking._split import split

_BETWEEN = " > "
_BELOW = "\n\n"
# Where an overlap may begin: a word after white space, or a character of Chinese or Japanese. Not
# letters that belong to what stands before them, even to a space.
_WORD = re.compile(
    "(?<!\\S)[^\\W\u0e33\u0eb3\uff9e\uff9f]|[\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff]"
)


@dataclass(frozen=True, slots=True)
class Packed:
    """A chunk to be: where its body is, and what stands before it."""

    prefix: str
    headings: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Packer:
    """Packs the blocks of one section.

    Attributes:
        text: that the blocks are in.
        limit: the size of chunks.
        prefix: the headings as they stand before each body.
    """

    text: str
    limit: Limit
    prefix: str

    def count(self, start: int, end: int) -> int:
        return self.limit.count(self.text[start:end])

    def fits(self, start: int, end: int, size: int) -> bool:
        return self.limit.count(self.prefix + self.text[start:end]) <= size

    def fits_whole(self, blocks: Sequence[Block]) -> bool:
        return self.fits(blocks[0].start, blocks[-1].end, self.limit.packed)

    def pieces(self, blocks: Sequence[Block]) -> Iterator[Block]:
        """Blocks that fit, each; those that do not by what is in them."""
        for block in blocks:
            if self.fits(block.start, block.end, self.limit.packed):
                yield block
            elif block.inner:
                yield from self.pieces(block.inner)
            else:
                # Some count what they put around any text, so that nothing may be left of the room.
                room = self.limit.packed - self.limit.count(self.prefix)
                yield from self.parts(block, max(1, room))

    def parts(self, block: Block, room: int) -> Iterator[Block]:
        """What a block without inner ones is split into.

        The splitter wants sizes that add up, as those of texts with headings before them do not. So
        it is told how much room the headings leave, and what is still too long is split once more.
        """
        for part in split(self.text, block, room, self.limit.count):
            over = self.limit.count(self.prefix + self.text[part.start : part.end])
            over -= self.limit.packed
            if over <= 0 or room == 1 or part.end - part.start == 1:
                yield part
            else:
                # In steps that grow with the room, so that there are few.
                yield from self.parts(part, max(1, room - max(over, room // 8)))

    def pack(self, blocks: Sequence[Block]) -> list[tuple[int, int]]:
        """Bodies in order, of neighbouring pieces.

        Sizes are added, as counting every beginning of a chunk would be work for its square. Where
        a counter does not add up, and a chunk is too long, its pieces stand alone.
        """
        room = self.limit.packed - self.limit.count(self.prefix)
        packs: list[list[Block]] = []
        used = 0
        for piece in self.pieces(blocks):
            size = self.count(piece.start, piece.end)
            gap = self.count(packs[-1][-1].end, piece.start) if packs else 0
            if packs and used + gap + size <= room:
                packs[-1].append(piece)
                used += gap + size
            else:
                packs.append([piece])
                used = size
        return [span for pack in packs for span in self._spans(pack)]

    def _spans(self, pack: list[Block]) -> list[tuple[int, int]]:
        if len(pack) == 1 or self.fits_whole(pack):
            return [(pack[0].start, pack[-1].end)]
        return [(piece.start, piece.end) for piece in pack]

    def overlapping(self, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Each body but the first with as much of the one before as the overlap allows."""
        if not self.limit.overlap or not spans:
            return spans
        starts = (
            self._earlier(before, start, end) for (before, _), (start, end) in pairwise(spans)
        )
        return [spans[0], *zip(starts, (end for _, end in spans[1:]), strict=True)]

    def _earlier(self, before: int, start: int, end: int) -> int:
        # The whole chunk before is never repeated: it would be in the index twice.
        words = [found.start() for found in _WORD.finditer(self.text, before + 1, start)]
        most = self.limit.overlap
        i = bisect_left(words, True, key=lambda place: self.count(place, start) <= most)
        at = words[i] if i < len(words) else start
        return at if self.fits(at, end, self.limit.size) else start


def pack(text: str, sections: Sequence[Section], limit: Limit) -> Iterator[Packed]:
    """The chunks of sections, in order."""
    for section in sections:
        packer = _Packer(text, limit, _prefix(section.headings, limit))
        if section.inner and not packer.fits_whole(section.blocks):
            yield from pack(text, section.inner, limit)
            continue
        for start, end in packer.overlapping(packer.pack(section.blocks)):
            # One character may be so long that nothing can stand before it.
            is_too_long = packer.prefix and not packer.fits(start, end, limit.size)
            prefix = "" if is_too_long else packer.prefix
            yield Packed(prefix, section.headings, start, end)


def _prefix(headings: tuple[str, ...], limit: Limit) -> str:
    """The headings in a line and an empty one below; without the outer ones if they are long."""
    for first in range(len(headings)):
        prefix = _BETWEEN.join(headings[first:]) + _BELOW
        if limit.count(prefix) <= limit.packed // 2:
            return prefix
    return ""
