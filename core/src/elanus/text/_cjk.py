"""Words from scripts that do not mark them: every character and every pair of neighbours."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

from elanus.text._unicode import marks


@cache
def _cluster() -> re.Pattern[str]:
    return re.compile(rf"(?s:.)[{marks()}]*")


def ngrams(run: str) -> list[str]:
    """Characters and overlapping pairs of an unspaced run, in the order of their first character.

    A pair is the cheapest stand-in for a word (most Chinese words have two characters), and the
    single characters let a query of one character find what it should. A vowel sign or tone mark
    stays with its base character.

    Args:
        run: text of one unspaced script, without spaces and punctuation.

    Returns:
        For a run of n characters n + (n - 1) strings: ``机器学`` gives 机, 机器, 器, 器学, 学.
    """
    units = _cluster().findall(run)
    pairs = [first + second for first, second in pairwise(units)]
    grams = [gram for both in zip(units, pairs, strict=False) for gram in both]
    return [*grams, *units[-1:]]
