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
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from elanus.index.sparse._bm25_exact import length_norms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from elanus.index.sparse._postings import Postings

MAX_DRIFT: Final = 0.03
"""Largest |ln(avgdl / reference)| that is tolerated."""

DENSE_SHARE: Final = 6
"""A term that at least one row in so many holds gets a dense row of counts (a byte a slot)."""

DENSE_MINIMUM: Final = 4096
"""… if it has this many postings: shorter lists are added in microseconds as they are."""

_TINY: Final = 1e-30


@dataclass(frozen=True, slots=True, eq=False)
class Impacts:
    """Impacts of one `Postings`, at one average length.

    Attributes:
        reference: the average length, in tokens.
        values: (nnz,) float32, beside the postings.
        norms: (rows,) float32 length norms; positive.
        dense: (d, rows) of the postings' type; the counts of the commonest terms. Counts, because
            they are exact, need a quarter of the bytes, and are mostly read for few rows.
        peaks: (d,) the largest impact in each dense row.
        dense_rows: term number -> its row of ``dense``.
    """

    reference: float
    values: NDArray[np.float32]
    norms: NDArray[np.float32]
    dense: NDArray[Any]
    peaks: list[float]
    dense_rows: dict[int, int]

    @property
    def nbytes(self) -> int:
        """Memory held by the arrays, in bytes."""
        return self.values.nbytes + self.norms.nbytes + self.dense.nbytes

    def drift(self, average: float) -> float:
        """``|ln(average / reference)|``: how far the impacts are off, at most, as a logarithm."""
        return abs(math.log(average / self.reference))


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
    # Never 0, which would make 0 / 0 of an absent term; too small to change a count.
    norms = np.maximum(length_norms(lengths, average, k1, b), _TINY).astype(np.float32)
    values = norms[postings.slots]
    values += postings.weights
    np.divide(postings.weights, values, out=values)
    threshold = max(DENSE_MINIMUM, -(-postings.rows // DENSE_SHARE))
    columns = np.flatnonzero(np.diff(postings.starts) >= threshold)
    dense = np.zeros((columns.size, postings.rows), dtype=postings.weights.dtype)
    peaks = []
    for row, column in enumerate(columns):
        span = slice(postings.starts[column], postings.starts[column + 1])
        dense[row, postings.slots[span]] = postings.weights[span]
        peaks.append(float(values[span].max()))
    dense_rows = {int(term): row for row, term in enumerate(postings.terms[columns])}
    return Impacts(average, values, norms, dense, peaks, dense_rows)
