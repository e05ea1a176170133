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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from elanus.errors import DatabaseCorruptError

_MAGIC = b"ELANARR1"
_ALIGN = 64
_TYPES = frozenset("biuf")


@dataclass(frozen=True, slots=True)
class Written:
    """What the database registers of a file: its size, and the checksum of its header."""

    size: int
    checksum: int


def write_arrays(
    path: Path, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]
) -> Written:
    """Write a new file, and wait until it is on disk."""
    entries, place = {}, 0
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    for name, array in contiguous.items():
        entries[name] = {
            "type": array.dtype.str,
            "shape": array.shape,
            "offset": place,
            "crc": zlib.crc32(array.view(np.uint8).reshape(-1).data) if array.size else 0,
        }
        place += -(-array.nbytes // _ALIGN) * _ALIGN
    header = orjson.dumps({"meta": dict(meta), "arrays": entries})
    start = _start_of_arrays(len(header))
    with path.open("xb") as file:
        file.write(_MAGIC + len(header).to_bytes(8, "little") + header)
        for name, array in contiguous.items():
            file.seek(start + entries[name]["offset"])
            file.write(array.data if array.size else b"")
        file.truncate(start + place)
        file.flush()
        os.fsync(file.fileno())
    return Written(start + place, zlib.crc32(header))


def _start_of_arrays(header: int) -> int:
    return -(-(16 + header) // _ALIGN) * _ALIGN


@dataclass(frozen=True, slots=True)
class Container:
    """An open file of arrays.

    Attributes:
        meta: what the writer said of them.
        arrays: read-only, mapped.
        checksums: CRC-32 of each array.
    """

    path: Path
    meta: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    checksums: Mapping[str, int]

    def check(self, *names: str) -> None:
        """Compare the checksums of some arrays, or of all. Reads them whole.

        Raises:
            DatabaseCorruptError: if one differs.
        """
        for name in names or self.arrays:
            array = self.arrays[name]
            found = zlib.crc32(array.view(np.uint8).reshape(-1).data) if array.size else 0
            if found != self.checksums[name]:
                raise DatabaseCorruptError(f"{self.path}: array {name!r} is damaged")


def read_arrays(path: Path, expected: Written) -> Container:
    """Map a file of arrays. Takes no longer for a larger one.

    Raises:
        DatabaseCorruptError: if it is not the file that was registered.
        FileNotFoundError: if it is gone.
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size != expected.size:
            raise DatabaseCorruptError(f"{path} has another size than was registered")
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    length = int.from_bytes(view[8:16], "little")
    header = view[16 : 16 + length] if length < len(view) else b""
    if view[:8] != _MAGIC or zlib.crc32(header) != expected.checksum:
        raise DatabaseCorruptError(f"{path} has another header than was registered")
    raw = orjson.loads(header)
    start = _start_of_arrays(length)
    arrays = {name: _array(view, start, entry) for name, entry in raw["arrays"].items()}
    return Container(path, raw["meta"], arrays, {n: e["crc"] for n, e in raw["arrays"].items()})


def _array(view: mmap.mmap, start: int, entry: Mapping[str, Any]) -> NDArray[Any]:
    dtype = np.dtype(entry["type"])
    if dtype.kind not in _TYPES:
        raise DatabaseCorruptError(f"an array of type {dtype} cannot be in a cache file")
    count = int(np.prod(entry["shape"], dtype=np.int64))
    flat = np.frombuffer(view, dtype=dtype, count=count, offset=start + entry["offset"])
    shaped: NDArray[Any] = flat.reshape(entry["shape"])
    return shaped


def map_matrix(path: Path, rows: int, dim: int) -> NDArray[np.float32]:
    """The first rows of a raw float32 file, mapped.

    Raises:
        DatabaseCorruptError: if it is shorter.
        FileNotFoundError: if it is gone.
    """
    if path.stat().st_size < rows * dim * 4:
        raise DatabaseCorruptError(f"{path} is shorter than was registered")
    if rows == 0:
        return np.zeros((0, dim), dtype=np.float32)
    return np.memmap(path, dtype="<f4", mode="r", shape=(rows, dim))


def extend_matrix(path: Path, known: int, rows: NDArray[np.float32]) -> bool:
    """Append rows to a raw file, if it holds exactly ``known`` bytes; False if it does not."""
    with path.open("ab") as file:
        if file.tell() != known:
            return False
        file.write(rows.data if rows.size else b"")
        file.flush()
        os.fsync(file.fileno())
    return True
