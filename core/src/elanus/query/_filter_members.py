"""The values of a list, sorted by what they can be equal to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from elanus.index import FieldType

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """A list prepared for membership tests.

    Numbers are equal across types, as ``1`` and ``1.0``; a bool is no number.

    Attributes:
        bools: which of the two bools are there.
        numbers: the ints and floats as given.
        ints: int64 values equal to some number.
        floats: float64 values equal to some number.
        singles: float32 values that some number rounds to.
        strings: the strings.
        lists: the lists, as tuples.
    """

    bools: frozenset[bool]
    numbers: tuple[float, ...]
    strings: frozenset[str]
    lists: tuple[tuple[Any, ...], ...]
    ints: NDArray[np.int64] = field(repr=False)
    floats: NDArray[np.float64] = field(repr=False)
    singles: NDArray[np.float32] = field(repr=False)

    @classmethod
    def of(cls, values: Sequence[Any]) -> Members:
        """Sort values, each exactly a bool, int, float, str or tuple."""
        numbers = tuple(v for v in values if type(v) in (int, float))
        return cls(
            bools=frozenset(v for v in values if isinstance(v, bool)),
            numbers=numbers,
            strings=frozenset(v for v in values if isinstance(v, str)),
            lists=tuple(v for v in values if isinstance(v, tuple)),
            ints=_as_ints(numbers),
            floats=_as_floats(numbers),
            singles=round_to_single(np.array(list(map(to_float, numbers)), np.float64)),
        )

    def samples(self) -> Iterator[tuple[FieldType, Any]]:
        """Yield one value of each type that is there."""
        for type_, values in (
            (FieldType.BOOL, self.bools),
            (FieldType.DOUBLE, self.numbers),
            (FieldType.STRING, self.strings),
            (FieldType.ARRAY, self.lists),
        ):
            if values:
                yield type_, next(iter(values))


def _as_ints(numbers: Sequence[float]) -> NDArray[np.int64]:
    inside = (number for number in numbers if _INT64_MIN <= number <= _INT64_MAX)
    return np.fromiter((int(number) for number in inside if int(number) == number), np.int64)


def _as_floats(numbers: Sequence[float]) -> NDArray[np.float64]:
    return np.fromiter((to_float(n) for n in numbers if to_float(n) == n), np.float64)


def to_float(number: float) -> float:
    """Return the nearest float64; beyond its range an infinity, not Python's OverflowError."""
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def round_to_single(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round to float32, as a FLOAT field did with what was inserted; too large is infinite."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)
