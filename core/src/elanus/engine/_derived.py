"""What is worked out of a view while it is searched: the one thing beside it that changes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elanus.query import Expression

Filters = tuple[Expression, ...]

_MOST: Final = 16
_MOST_BYTES: Final = 32 * 1024 * 1024


class Masks:
    """The masks of the last filters over the rows of one view.

    An agent asks within the same scope again and again. Filters are told apart by identity, which
    ``as_filter`` keeps for what comes again: equal trees may differ in what they mean, as 1 and
    True do.

    Attributes:
        kept: the mask of each, which nobody may change. Replaced, never changed.
    """

    __slots__ = ("kept",)

    def __init__(self) -> None:
        self.kept: Mapping[Filters, NDArray[np.bool_]] = {}

    def put(self, filters: Filters, mask: NDArray[np.bool_]) -> None:
        """Keep a mask; the oldest go."""
        mask.flags.writeable = False
        kept = {**self.kept, filters: mask}
        while len(kept) > _MOST or len(kept) * mask.nbytes > _MOST_BYTES:
            del kept[next(iter(kept))]
        self.kept = kept  # by one assignment, as others read meanwhile


class Derived:
    """What follows from one view, kept from one search of it to the next.

    A view is searched by many threads at once, and none of them takes a lock for this. So whatever
    is entered here must follow from the view alone: who comes second enters the same again, and who
    looks too early works it out. Each entry is made by one assignment, or one call of a dict or
    set, of which no other thread sees a half. A new view gets a new one, which takes over what is
    true of both (`with_parts`); whoever still searches the old view goes on with the old one, and
    what it enters there is lost, never wrong.

    Attributes:
        current: the parts that were found to cover all slots, by key.
        settled: keys of the dense indexes that were found to need nothing more in the background.
        order: the slots in the order of their keys; None until somebody asks.
        masks: of the last filters.
    """

    __slots__ = ("current", "masks", "order", "settled")

    def __init__(self, order: NDArray[np.intp] | None = None, masks: Masks | None = None) -> None:
        self.current: dict[Hashable, Any] = {}
        self.settled: set[Hashable] = set()
        self.order = order
        self.masks = Masks() if masks is None else masks

    def with_parts(self) -> Derived:
        """What is still true once parts are replaced: the slots, and who of them is alive, stay."""
        return Derived(self.order, self.masks)
