"""User sparse vectors (SPLADE, BGE-M3): exact inner products over inverted lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from elanus.errors import ParamError
from elanus.index._order import check_search, kth_bound, top_hits
from elanus.index.sparse._postings import Postings, append_postings, merge_postings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from elanus.index._order import Keys, Ranking
    from elanus.index.sparse._postings import SparseRows


@dataclass(frozen=True, slots=True, eq=False)
class SparseIndex:
    """An immutable index of sparse vectors, metric IP; `append` returns a new value.

    A query meets each list once, in float64, which already is the exact score. There is no first
    pass in float32 as for BM25: with weights of both signs its bounds would hold little back.

    Attributes:
        segments: what was appended, in the order of slots.
        n: number of slots.
    """

    segments: tuple[Postings, ...] = ()
    n: int = field(init=False)

    def __post_init__(self) -> None:
        last = self.segments[-1] if self.segments else None
        object.__setattr__(self, "n", 0 if last is None else last.base + last.rows)

    @classmethod
    def empty(cls) -> SparseIndex:
        """An index without rows."""
        return cls()

    @property
    def nbytes(self) -> int:
        """Memory held by the arrays, in bytes."""
        return sum(part.nbytes for part in self.segments)

    def append(self, rows: SparseRows) -> SparseIndex:
        """This index with the rows in the next slots; the work is as for `Bm25Index.append`.

        Args:
            rows: dimension numbers with finite float32 values.

        Raises:
            ParamError: values of another type or not finite, a dimension twice in a row, or too
                many slots.
        """
        if rows.weights.dtype != np.float32:
            raise ParamError(
                f"SparseIndex.append: values are of type {rows.weights.dtype}; give float32"
            )
        if not np.isfinite(rows.weights).all():
            raise ParamError("SparseIndex.append: a value is NaN or infinite; give finite numbers")
        return SparseIndex(append_postings(self.segments, rows))

    def merged(self) -> SparseIndex:
        """An equal index in one segment, which searches fastest; O(postings)."""
        return SparseIndex((merge_postings(self.segments),)) if self.segments else self

    def search(
        self,
        indices: NDArray[np.uint32],
        values: NDArray[np.float32],
        k: int,
        *,
        mask: NDArray[np.bool_] | None,
        keys: Keys,
    ) -> Ranking:
        """The first k rows by inner product, then by key, of those with a product other than 0.

        Products are summed in float64 by ascending dimension and rounded once to float32; a row
        whose sum is 0 then (it shares no dimension, or all cancels) is no hit.

        Args:
            indices: (t,) distinct dimensions of the query, in any order.
            values: (t,) their finite values.
            k: the largest number of hits.
            mask: (n,) the slots that may be found; None for all.
            keys: primary keys by slot, int64 or objects of type str.

        Returns:
            Slots and scores, best first; negative scores come last.

        Raises:
            ParamError: an argument is out of range, or not of the index's size.
        """
        check_search("SparseIndex.search", self.n, k, mask, keys)
        products = self._products(*_ascending(indices, values))
        if mask is not None:
            products *= mask
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite, and still sorts
            rounded = products.astype(np.float32)
        bound = kth_bound(rounded, k)
        slots = np.flatnonzero(rounded >= bound if bound > 0 else rounded)
        return top_hits(slots, rounded[slots].astype(np.float64), k, keys, descending=True)

    def search_many(
        self,
        queries: Sequence[tuple[NDArray[np.uint32], NDArray[np.float32]]],
        k: int,
        *,
        mask: NDArray[np.bool_] | None,
        keys: Keys,
    ) -> list[Ranking]:
        """`search` for each (indices, values); equal to the searches one by one."""
        return [
            self.search(indices, values, k, mask=mask, keys=keys) for indices, values in queries
        ]

    def _products(
        self, indices: NDArray[np.uint32], values: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        total = np.zeros(self.n, dtype=np.float64)
        for part in self.segments:
            sums = total[part.base : part.base + part.rows]
            lists = zip(part.ranges(indices).tolist(), values.tolist(), strict=True)
            for (begin, end), value in lists:
                products = part.weights[begin:end].astype(np.float64)
                products *= value
                # Of native integers: `add.at` would convert others in small pieces.
                np.add.at(sums, part.slots[begin:end].astype(np.intp), products)
        return total


def _ascending(
    indices: NDArray[np.uint32], values: NDArray[np.float32]
) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """The query by ascending dimension, which is the order of summation."""
    if indices.dtype != np.uint32 or indices.ndim != 1:
        raise ParamError(
            f"SparseIndex.search: indices have shape {indices.shape} and type {indices.dtype}; "
            "give a one-dimensional uint32 array"
        )
    if values.shape != indices.shape or not np.isfinite(values).all():
        raise ParamError(
            f"SparseIndex.search: {indices.size} indices and values of shape {values.shape}; "
            "give one finite value for each index"
        )
    order = np.argsort(indices, kind="stable")
    indices, values = indices[order], values[order]
    doubled = np.flatnonzero(indices[1:] == indices[:-1])
    if doubled.size:
        raise ParamError(
            f"SparseIndex.search: dimension {indices[doubled[0]]} occurs twice in the query; "
            "give each dimension once"
        )
    return indices, values
