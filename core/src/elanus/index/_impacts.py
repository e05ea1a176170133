"""Approximate BM25 impacts: what makes the first pass of a search cheap.

An impact is ``tf / (tf + norm)``, the part of a BM25 score that depends on the row only; idf,
``k1 + 1`` and the query's count are factors of the query. It is kept in float32 at a *reference*
average length, because every insert moves the true one, and 8 million impacts cannot follow.

For a > 0, |d ln impact / d ln avgdl| < 1. So an impact is wrong by a factor of at most
exp(|ln(avgdl / reference)|), which a search allows for; beyond `MAX_DRIFT` impacts are made anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from elanus.index._postings import Postings

MAX_DRIFT: Final = 0.03
"""Largest |ln(avgdl / reference)| that is tolerated."""

DENSE_SHARE: Final = 8
"""A term that at least one row in so many holds gets a dense row (4 bytes a slot)."""

DENSE_MINIMUM: Final = 4096
"""… if it has this many postings: shorter lists are added in microseconds as they are."""


@dataclass(frozen=True, slots=True, eq=False)
class Impacts:
    """Impacts of one `Postings`, at one average length.

    Attributes:
        reference: the average length, in tokens.
        values: (nnz,) float32, beside the postings.
        dense: (d, rows) float32; the impacts of the commonest terms, 0 where a row lacks it.
        peaks: (d,) the largest impact of each dense row.
        dense_rows: term number -> its row of ``dense``.
    """

    reference: float
    values: NDArray[np.float32]
    dense: NDArray[np.float32]
    peaks: list[float]
    dense_rows: dict[int, int]

    @property
    def nbytes(self) -> int:
        """Memory held by the arrays, in bytes."""
        return self.values.nbytes + self.dense.nbytes

    def drift(self, average: float) -> float:
        """``|ln(average / reference)|``: how far the impacts are off, at most, as a logarithm."""
        return abs(math.log(average / self.reference))


def length_norms(
    lengths: NDArray[np.int64], average: float, k1: float, b: float
) -> NDArray[np.float64]:
    """``k1 * (1 - b + b * dl / avgdl)``, in the order of operations of Milvus's formula."""
    norms = k1 * (1 - b + b * lengths / average)
    return norms.astype(np.float64, copy=False)


def make_impacts(
    postings: Postings, lengths: NDArray[np.int64], average: float, k1: float, b: float
) -> Impacts:
    """Impacts of all postings at the average length ``average`` (> 0); O(nnz).

    Args:
        postings: counts by term.
        lengths: (rows,) tokens in each row of the postings.
        average: the reference length.
        k1: saturation of counts.
        b: weight of the length.
    """
    norms = length_norms(lengths, average, k1, b).astype(np.float32)
    values = norms[postings.slots]
    values += postings.weights
    np.divide(postings.weights, values, out=values)
    threshold = max(DENSE_MINIMUM, -(-postings.rows // DENSE_SHARE))
    columns = np.flatnonzero(np.diff(postings.starts) >= threshold)
    dense = np.zeros((columns.size, postings.rows), dtype=np.float32)
    for row, column in enumerate(columns):
        span = slice(postings.starts[column], postings.starts[column + 1])
        dense[row, postings.slots[span]] = values[span]
    peaks = dense.max(axis=1, initial=0).tolist()
    dense_rows = {int(term): row for row, term in enumerate(postings.terms[columns])}
    return Impacts(average, values, dense, peaks, dense_rows)
