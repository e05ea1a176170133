"""Reading an answer no further than an answer can go, and no longer than it may take."""

from __future__ import annotations

import time
import zlib

from elanus.errors import quoted

# Of an answer that is an error only the beginning is shown.
_ERROR = 1 << 20
_ANY, _FOR_EACH_TEXT = 16 << 20, 256 << 10  # 8,192 numbers, of 30 characters

ENCODING = "gzip"
"""What a server is asked for, as it can be unpacked up to a bound."""

_PACKED = frozenset({"gzip", "x-gzip", "deflate"})
_EITHER = zlib.MAX_WBITS | 32  # zlib tells gzip and deflate apart


class AnswerError(Exception):
    """An answer is too long, takes too long, or is packed so that it cannot be read."""


class Body:
    """The body of an answer, piece by piece.

    Args:
        texts: how many the request has.
        encoding: the header ``Content-Encoding``.
        is_error: whether the answer is one; it is cut where others are refused.
        patience: seconds after which no further piece is taken.

    Raises:
        AnswerError: it is in an encoding that cannot be unpacked up to a bound.
    """

    def __init__(self, texts: int, encoding: str, *, is_error: bool, patience: float) -> None:
        self._most = _ERROR if is_error else _ANY + texts * _FOR_EACH_TEXT
        self._is_error = is_error
        self._patience = patience
        self._deadline = time.monotonic() + patience
        self._pieces: list[bytes] = []
        self._size = 0
        name = encoding.strip().lower()
        if not is_error and name not in _PACKED | {"", "identity"}:
            raise AnswerError(f"in an encoding that was not asked for, {quoted(name)}")
        self._unpack = zlib.decompressobj(_EITHER) if name in _PACKED else None

    def add(self, piece: bytes) -> bool:
        """Take a piece as it was sent; False if no more is wanted.

        Raises:
            AnswerError: it is too much, too late, or cannot be unpacked.
        """
        if time.monotonic() > self._deadline:
            raise AnswerError(f"that had not ended after {self._patience:g} s")
        room = self._most + 1 - self._size
        if self._unpack is not None:
            try:
                piece = self._unpack.decompress(piece, room)
            except zlib.error as error:
                if self._is_error:
                    return False
                raise AnswerError(f"that cannot be unpacked: {error}") from None
        self._pieces.append(piece[:room])
        self._size += len(self._pieces[-1])
        if self._size > self._most and not self._is_error:
            raise AnswerError(f"of more than {self._most} bytes")
        return self._size <= self._most

    def content(self) -> bytes:
        """All that was taken.

        Raises:
            AnswerError: it ended before what was packed in it.
        """
        is_whole = self._unpack is None or self._unpack.eof or self._is_error or not self._size
        if not is_whole:
            raise AnswerError("that cannot be unpacked: its end is missing")
        return b"".join(self._pieces)
