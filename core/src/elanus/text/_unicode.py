"""Classes of characters that Python's ``re`` has no name for, as pieces of character sets."""

from __future__ import annotations

import unicodedata
from functools import cache
from itertools import groupby

HAN = (
    "\u3005\u3007\u3021-\u3029\u3038-\u303b\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U000323af"
)
_KANA = "\u3041-\u309f\u30a1-\u30ff\u31f0-\u31ff\U0001b000-\U0001b16f"
_HANGUL = "\u1100-\u11ff\u3131-\u318f\ua960-\ua97f\uac00-\ud7ff"
_BOPOMOFO = "\u3105-\u312f\u31a0-\u31bf"
_THAI_LAO_MYANMAR_KHMER = "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff"

# Scripts without spaces between words; and Korean, whose spaces divide phrases (a noun carries
# its particles), so that only a part of what stands between two spaces is a word.
UNSPACED = HAN + _KANA + _HANGUL + _BOPOMOFO + _THAI_LAO_MYANMAR_KHMER

REGIONAL = "\U0001f1e6-\U0001f1ff"
# Skin tones (1F3FB to 1F3FF) and regional letters are left out: they are no pictures themselves.
PICTOGRAPHS = (
    "\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff"
    "\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff"
)

# Invisible inside a word: soft hyphen, zero-width joiners, word joiner, byte order mark.
JOINERS = "\u00ad\u200c\u200d\u2060\ufeff"
VARIATION_SELECTORS = tuple(range(0xFE00, 0xFE10)) + tuple(range(0xE0100, 0xE01F0))


@cache
def marks() -> str:
    r"""Combining marks (category M) as ranges of a character set.

    ``\w`` leaves them out, which would cut every Indic and every decomposed word into pieces.
    Python's own tables are asked, at first use (some milliseconds), so that they agree with
    ``\w`` and ``str.lower``.
    """
    planes = (range(0x20000), range(0xE0100, 0xE01F0))
    found = (c for plane in planes for c in plane if unicodedata.category(chr(c))[0] == "M")
    runs = groupby(enumerate(found), lambda pair: pair[1] - pair[0])
    return "".join(_range([code for _, code in run]) for _, run in runs)


def _range(codes: list[int]) -> str:
    return f"{chr(codes[0])}-{chr(codes[-1])}"
