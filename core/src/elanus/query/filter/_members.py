"""The values of a list, sorted by what they can be equal to."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from elanus.query.columns._convert import to_float
from elanus.query.columns._kinds import FieldType
from elanus.schema import computed_once

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


@dataclass(frozen=True, eq=False)
class Members:
    """A list prepared for membership tests; arrays are made when a column asks for them.

    Numbers are equal across types, as ``1`` and ``1.0``; a bool is no number.

    Attributes:
        bools: which of the two bools are there.
        numbers: the ints and floats as given.
        strings: the strings.
        lists: the lists, as tuples.
    """

    bools: frozenset[bool]
    numbers: tuple[float, ...]
    strings: frozenset[str]
    lists: tuple[tuple[Any, ...], ...]

    @classmethod
    def of(cls, values: Sequence[Any]) -> Members:
        """Sort values, each exactly a bool, int, float, str or tuple."""
        types = set(map(type, values))
        if types <= {int, float}:
            return cls(frozenset(), tuple(values), frozenset(), ())
        return cls(
            bools=frozenset(v for v in values if isinstance(v, bool)),
            numbers=tuple(v for v in values if type(v) in (int, float)),
            strings=frozenset(v for v in values if isinstance(v, str)),
            lists=tuple(v for v in values if isinstance(v, tuple)),
        )

    @computed_once
    def ints(self) -> NDArray[np.int64]:
        """The int64 values equal to some number."""
        numbers = self.numbers
        if (
            set(map(type, numbers)) == {int}
            and _INT64_MIN <= min(numbers) <= max(numbers) <= _INT64_MAX
        ):
            return np.array(numbers, np.int64)
        inside = (number for number in numbers if _INT64_MIN <= number <= _INT64_MAX)
        return np.fromiter((int(number) for number in inside if int(number) == number), np.int64)

    @computed_once
    def floats(self) -> NDArray[np.float64]:
        """The float64 values equal to some number."""
        return np.fromiter((to_float(n) for n in self.numbers if to_float(n) == n), np.float64)

    @computed_once
    def singles(self) -> NDArray[np.float32]:
        """The float32 values that some number rounds to."""
        return round_to_single(np.fromiter(map(to_float, self.numbers), np.float64))

    def distinct(self) -> Iterator[Any]:
        """Yield every value once, except lists."""
        # Sorted, not hashed: anyone can write integers that all have one hash.
        numbers = (number for number, _ in groupby(sorted(self.numbers)))
        return chain(self.bools, numbers, self.strings, self.lists)

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


def round_to_single(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round to float32, as a FLOAT field did with what was inserted; too large is infinite."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)
