"""Masks of filters, kept between searches: an agent asks within the same scope again and again."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from elanus.query import Expression

Filters = tuple[Expression, ...]

_MOST: Final = 16
_MOST_BYTES: Final = 32 * 1024 * 1024


class Masks:
    """The masks of the last filters over the rows of one view.

    Filters are told apart by identity, which ``as_filter`` keeps for what comes again: equal
    trees may differ in what they mean, as 1 and True do.
    """

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[Filters, NDArray[np.bool_]] = {}

    def get(self, filters: Filters) -> NDArray[np.bool_] | None:
        """The mask of these very filters, which nobody may change; None if it is not kept."""
        return self._kept.get(filters)

    def put(self, filters: Filters, mask: NDArray[np.bool_]) -> None:
        """Keep a mask; the oldest go."""
        mask.flags.writeable = False
        kept = {**self._kept, filters: mask}
        while len(kept) > _MOST or len(kept) * mask.nbytes > _MOST_BYTES:
            del kept[next(iter(kept))]
        self._kept = kept  # by one assignment, as others read meanwhile
