"""Arrays that grow while others read them: the one rule by which buffers are shared.

Dense vectors, columns of filters, row numbers and keys all grow by a few rows at each commit, and
each is read by any number of threads through values that never change. To copy the whole array for
every commit would cost O(n) a row; so successive values share one *room*, an array with space left
at its end, and each shows a prefix of it. Nobody takes a lock, and it is safe because

1. what is shown is never written again. `Growing.append` writes only behind ``used``, which is as
   much as *any* value ever showed of the room. A reader cannot see a half-written row, as its
   array ends before it;
2. only who shows all that is used may append in place. Whoever shows less is an older value (of a
   view that was abandoned, of a commit that another thread has followed already), and what stands
   behind it may be shown by a newer one: it copies its prefix into a room of its own. So a line of
   values may branch anywhere, and no branch sees another;
3. the rows are written before ``used`` is raised, and ``used`` before the new value exists. An
   exception in between (a signal, no memory) leaves rows that nobody shows, or a ``used`` that is
   too high: the next append writes over the ones, and copies because of the other. Both are right;
4. a value reaches other threads by one assignment of a reference, after all of this;
5. one thread at a time appends to the values of a line: two that both found rule 2 fulfilled would
   write to the same place. Collections append under their own lock, and searches never do.

A fork copies the rooms with everything else: from then on parent and child share nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True, eq=False)
class _Room:
    """An array, and how much of it the values that share it show at most."""

    array: NDArray[Any]
    used: int


@dataclass(frozen=True, slots=True, eq=False)
class Growing:
    """An immutable array that shares its memory with longer ones; `append` makes such a one.

    Attributes:
        array: what this value shows, as long as the value is; not to be written to.
    """

    array: NDArray[Any]
    _room: _Room

    @classmethod
    def of(cls, array: NDArray[Any]) -> Growing:
        """Adopt an array, possibly a read-only map, which is neither copied nor written to."""
        return cls(array, _Room(array, len(array)))

    @property
    def nbytes(self) -> int:
        """Bytes of memory, spare room included."""
        return self._room.array.nbytes

    def append(self, more: NDArray[Any]) -> Growing:
        """This value's rows and then ``more``; amortised O(len(more)). This value stays as it is.

        For one thread at a time.
        """
        if not len(more):
            return self
        length, end, room = len(self.array), len(self.array) + len(more), self._room
        if length != room.used or end > len(room.array):
            # By half: appends are amortised O(1) a row, and less is wasted than by doubling. The
            # first rows, which are often all of them, get no spare room.
            capacity = max(end, length + length // 2)
            room = _Room(np.empty((capacity, *more.shape[1:]), dtype=self.array.dtype), length)
            room.array[:length] = self.array
        room.array[length:end] = more
        room.used = end
        return Growing(room.array[:end], room)
