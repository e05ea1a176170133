"""The exact GELU in numpy, which has no error function of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

# Rows that are taken at a time: 32 * 1536 float32 are 192 KiB, so that the passes over them stay
# within a core's cache.
_ROWS = 32

# Of -ln(Φ(x) / Φ(-x)) / x, an even function, in powers of x² from the lowest up. They minimise the
# greatest error of x·Φ(x) over |x| < 6.5 (7e-8), found by reweighted least squares (Lawson, 1961).
# Beyond, Φ is 0 or 1 in float32, and so is what they give.
_LOGIT = tuple(
    np.float32(c)
    for c in (
        -1.5957684322,
        -7.2668567063e-2,
        6.6260013310e-5,
        1.1048030929e-4,
        -7.9382178819e-6,
        2.6689275538e-7,
        -3.6112314208e-9,
    )
)


def gelu(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The Gaussian error linear unit, ``x · Φ(x)``, in place.

    As ``x / (1 + exp(-l))`` with ``l = ln(Φ(x) / Φ(-x))``, an odd function that a polynomial of few
    terms follows: within 3e-7 of the true value, or 3e-7 of its size, which is the precision of
    float32. ``scipy.special.erf`` was ten times slower, and 0.2 s to import.

    Args:
        rows: float32, shape (n, width); overwritten.

    Returns:
        The same array.
    """
    with np.errstate(over="ignore"):  # of the exponential, for x below -13: x / inf is 0
        for start in range(0, len(rows), _ROWS):
            _gelu_block(rows[start : start + _ROWS])
    return rows


def _gelu_block(x: npt.NDArray[np.float32]) -> None:
    square = x * x
    power = square * _LOGIT[-1]
    for c in _LOGIT[-2:0:-1]:
        power += c
        power *= square
    power += _LOGIT[0]
    power *= x
    np.exp(power, out=power)
    power += np.float32(1)
    np.divide(x, power, out=x)
