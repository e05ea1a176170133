"""Three-valued logic over slots: how a filter treats null, a missing key, and another type.

Null and what is missing are unknown, and unknown does not match: for fields and for keys of JSON
alike, but for regular expressions, which are false where a key has no string. ``is null``,
``exists`` and ``text_match`` are never unknown. A filter that was written as a dict is made of
nodes that are never unknown; its rules are in `filter_from_dict`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from elanus.query.columns._kinds import ValueType

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from elanus.query.columns._column import Column


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """True, false or unknown for each slot (Kleene's strong logic).

    Attributes:
        certain: bool (n,), where the condition is true.
        possible: bool (n,), where it is true or unknown. The same object as ``certain`` where
            nothing is unknown, which makes two-valued filters cost one mask each step.
    """

    certain: NDArray[np.bool_]
    possible: NDArray[np.bool_]

    def __and__(self, other: Truth) -> Truth:
        certain = self.certain & other.certain
        if self.is_two_valued and other.is_two_valued:
            return Truth(certain, certain)
        return Truth(certain, self.possible & other.possible)

    def __or__(self, other: Truth) -> Truth:
        certain = self.certain | other.certain
        if self.is_two_valued and other.is_two_valued:
            return Truth(certain, certain)
        return Truth(certain, self.possible | other.possible)

    def __invert__(self) -> Truth:
        possible = ~self.certain
        return Truth(possible if self.is_two_valued else ~self.possible, possible)

    @property
    def is_two_valued(self) -> bool:
        """Whether no slot is unknown, as far as one can tell without looking."""
        return self.certain is self.possible


def where(mask: NDArray[np.bool_] | np.bool_, applies: NDArray[np.bool_]) -> Truth:
    """Return ``mask`` where it applies, and unknown elsewhere."""
    certain = mask & applies
    return Truth(certain, certain | ~applies)


def null_mask(column: Column) -> NDArray[np.bool_]:
    """Return where a column is null or missing, bool (n,)."""
    return column.all_kinds() <= ValueType.NULL.value


def settle(
    operator: str,
    kinds: NDArray[np.uint8],
    same: NDArray[np.bool_],
    hits: NDArray[np.bool_],
) -> Truth:
    """Return the truth of a comparison whose operands may be of different types.

    A value of another type is not equal, and has no order: ``==`` is false, ``!=`` is true, ``<``
    is unknown. Null and missing are unknown throughout.

    Args:
        operator: ``==``, ``!=``, ``<``, ``<=``, ``>`` or ``>=``.
        kinds: types of the slots, uint8 (n,).
        same: where both sides are of one type.
        hits: the result there; False elsewhere.
    """
    if operator not in ("==", "!="):
        return where(hits, same)
    null = kinds <= ValueType.NULL.value
    certain = hits if operator == "==" else hits | ~(same | null)
    return Truth(certain, certain | null)
