"""What the searches of both sparse indexes share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from elanus.errors import ParamError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from elanus.index._order import Keys

_GROUPS: Final = 1024
"""At least so many groups, and eight for each of the k: few of the best then share one."""


def kth_bound(values: NDArray[Any], k: int) -> float:
    """A lower bound, usually close, of the k-th largest value; -inf if there are fewer than k.

    The values are dealt into groups, and the k-th best of the groups' maxima taken: at least k
    groups hold a value that good. A fifth of the time of a partition of all values.
    """
    if k > values.size:
        return -np.inf
    groups = max(_GROUPS, 8 * k)
    if values.size >= 4 * groups:
        whole = values.size - values.size % groups
        values = values[:whole].reshape(-1, groups).max(axis=0)
    return float(np.partition(values, values.size - k)[values.size - k])


def check_search(what: str, n: int, k: int, mask: NDArray[np.bool_] | None, keys: Keys) -> None:
    """Refuse arguments of a search that do not fit an index of n slots.

    Raises:
        ParamError: k is below 1, or mask or keys are not one entry a slot.
    """
    if k < 1:
        raise ParamError(f"{what}: k is {k}; ask for at least 1 hit")
    if mask is not None and (mask.shape != (n,) or mask.dtype != np.bool_):
        raise ParamError(
            f"{what}: the mask has shape {mask.shape} and type {mask.dtype}; "
            f"give one bool for each of the {n} slots"
        )
    if len(keys) < n:
        raise ParamError(f"{what}: {len(keys)} keys for {n} slots; give one key a slot")
