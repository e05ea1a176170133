"""Files of named arrays in the cache folder: written once, mapped for reading, checksummed.

8 bytes   magic
8 bytes   length of the header
header    JSON: meta, and for each array its type, shape, offset and CRC-32
arrays    each aligned to 64 bytes
"""

from __future__ import annotations

import mmap
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

from elanus.errors import DatabaseCorruptError

_MAGIC = b"ELANARR1"
_ALIGN = 64
_AT_ONCE = 4 << 20  # bytes between two looks at `stop`
_TYPES = frozenset("biuf")


FileMap: TypeAlias = mmap.mmap | None
"""The map of a file; None for one that is empty, or was read instead."""


@dataclass(frozen=True, slots=True)
class Written:
    """What the database registers of a file: its size, and the checksum of its header."""

    size: int
    checksum: int


def write_arrays(
    path: Path,
    arrays: Mapping[str, NDArray[Any]],
    meta: Mapping[str, Any],
    stop: Callable[[], bool] = lambda: False,
) -> Written | None:
    """Write a new file, and wait until it is on disk; None, and no file, when it was stopped.

    Whatever goes wrong, nothing of the file is left.
    """
    entries, place = {}, 0
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    for name, array in contiguous.items():
        crc = checksum(array, stop)
        if crc is None:
            return None
        shape, kind = array.shape, array.dtype.str
        entries[name] = {"type": kind, "shape": shape, "offset": place, "crc": crc}
        place += _aligned(array.nbytes)
    header = orjson.dumps({"meta": dict(meta), "arrays": entries})
    start = _aligned(16 + len(header))
    is_whole = False
    try:
        with path.open("xb") as file:
            file.write(_MAGIC + len(header).to_bytes(8, "little") + header)
            for array in contiguous.values():
                file.write(bytes(-file.tell() % _ALIGN))
                for piece in pieces(array):
                    if stop():
                        return None
                    file.write(piece)
            # Whole to the last byte: a file with holes may find no room for them later.
            file.write(bytes(start + place - file.tell()))
            file.flush()
            os.fsync(file.fileno())
        is_whole = True
    finally:
        if not is_whole:
            path.unlink(missing_ok=True)
    return Written(start + place, zlib.crc32(header))


def pieces(array: NDArray[Any]) -> Iterator[memoryview]:
    """The bytes of an array, some at a time."""
    if array.size:
        flat = np.ascontiguousarray(array).view(np.uint8).reshape(-1).data
        for first in range(0, len(flat), _AT_ONCE):
            yield flat[first : first + _AT_ONCE]


def checksum(array: NDArray[Any], stop: Callable[[], bool] = lambda: False) -> int | None:
    """CRC-32 of an array's bytes; None when it was stopped."""
    crc = 0
    for piece in pieces(array):
        if stop():
            return None
        crc = zlib.crc32(piece, crc)
    return crc


def _aligned(size: int) -> int:
    return -(-size // _ALIGN) * _ALIGN


@dataclass(frozen=True, slots=True, eq=False)
class Container:
    """An open file of arrays.

    Attributes:
        meta: what the writer said of them.
        arrays: read-only, mapped.
        checksums: CRC-32 of each array.
        map: the whole file; None if it was read instead.
        expected: what was registered of it.
    """

    path: Path
    meta: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    checksums: Mapping[str, int]
    map: FileMap
    expected: Written

    def read(self) -> Container:
        """The same, read into memory: one that is then made shorter by others is no danger.

        Raises:
            DatabaseCorruptError: if it is not the file that was registered.
            OSError: if it cannot be read.
        """
        return _parsed(self.path, self.path.read_bytes(), self.expected)

    def check(self, *names: str) -> None:
        """Compare the checksums of some arrays, or of all. Reads them whole.

        Raises:
            DatabaseCorruptError: if one differs, or the file was made shorter.
        """
        if is_cut(self.map):
            raise DatabaseCorruptError(f"{self.path} was made shorter")
        for name in names or self.arrays:
            if checksum(self.arrays[name]) != self.checksums[name]:
                raise DatabaseCorruptError(f"{self.path}: array {name!r} is damaged")


def _at_once(path: str, flags: int) -> int:
    """Open without waiting: a pipe that somebody put there would wait for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_arrays(path: Path, expected: Written) -> Container:
    """Map a file of arrays. Takes no longer for a larger one.

    Raises:
        DatabaseCorruptError: if it is not the file that was registered.
        FileNotFoundError: if it is gone.
    """
    with open(path, "rb", opener=_at_once) as file:  # Path.open has none
        if os.fstat(file.fileno()).st_size != expected.size:
            raise DatabaseCorruptError(f"{path} has another size than was registered")
        return _parsed(path, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), expected)


def _parsed(path: Path, view: mmap.mmap | bytes, expected: Written) -> Container:
    length = int.from_bytes(view[8:16], "little")
    header = view[16 : 16 + length] if length < len(view) else b""
    if len(view) != expected.size or view[:8] != _MAGIC or zlib.crc32(header) != expected.checksum:
        raise DatabaseCorruptError(f"{path} has another header than was registered")
    raw = orjson.loads(header)
    start = _aligned(16 + length)
    arrays = {name: _array(view, start, entry) for name, entry in raw["arrays"].items()}
    checksums = {name: entry["crc"] for name, entry in raw["arrays"].items()}
    mapped = None if isinstance(view, bytes) else view
    return Container(path, raw["meta"], arrays, checksums, mapped, expected)


def is_cut(view: FileMap) -> bool:
    """Whether a mapped file was made shorter: to read what is gone would kill the process."""
    return view is not None and view.size() < len(view)


def _array(view: mmap.mmap | bytes, start: int, entry: Mapping[str, Any]) -> NDArray[Any]:
    dtype = np.dtype(entry["type"])
    if dtype.kind not in _TYPES:
        raise DatabaseCorruptError(f"an array of type {dtype} cannot be in a cache file")
    count = int(np.prod(entry["shape"], dtype=np.int64))
    flat = np.frombuffer(view, dtype=dtype, count=count, offset=start + entry["offset"])
    shaped: NDArray[Any] = flat.reshape(entry["shape"])
    return shaped


@dataclass(frozen=True, slots=True, eq=False)
class MappedMatrix:
    """The first rows of a raw float32 file.

    Attributes:
        array: read-only, shape ``(rows, dim)``.
        map: where it is; None if it has no rows.
    """

    array: NDArray[np.float32]
    map: FileMap


def map_matrix(path: Path, rows: int, dim: int) -> MappedMatrix:
    """Map the first rows of a raw float32 file.

    Raises:
        DatabaseCorruptError: if it is shorter.
        FileNotFoundError: if it is gone.
    """
    size = rows * dim * 4
    with open(path, "rb", opener=_at_once) as file:
        if os.fstat(file.fileno()).st_size < size:
            raise DatabaseCorruptError(f"{path} is shorter than was registered")
        if not size:
            return MappedMatrix(np.zeros((0, dim), dtype=np.float32), None)
        view = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    return MappedMatrix(np.frombuffer(view, dtype="<f4").reshape(rows, dim), view)


def extend_matrix(path: Path, known: int, rows: NDArray[np.float32]) -> bool:
    """Append rows to a raw file, if it holds exactly ``known`` bytes; False if it does not."""
    with path.open("ab") as file:
        if file.tell() != known:
            return False
        for piece in pieces(rows):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return True


def is_sound(path: Path, parts: Iterable[tuple[int, int, int]], stop: Callable[[], bool]) -> bool:
    """Whether ranges of a file's bytes have their CRC-32; False also when it was stopped.

    Read, not mapped, so that a file that is made shorter meanwhile is no more than unsound.

    Args:
        path: the file.
        parts: first byte, byte after the last, CRC-32.
        stop: asked after every few milliseconds.

    Raises:
        OSError: if it cannot be read.
    """
    with open(path, "rb", buffering=0, opener=_at_once) as file:
        for first, end, expected in parts:
            file.seek(first)
            crc, left = 0, end - first
            while left:
                piece = file.read(min(left, _AT_ONCE))
                if stop() or not piece:
                    return False
                crc, left = zlib.crc32(piece, crc), left - len(piece)
            if crc != expected:
                return False
    return True
