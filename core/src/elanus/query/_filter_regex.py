r"""Regular expressions of filters: what RE2 and Python have in common, meaning what RE2 means.

Milvus matches by RE2. A pattern is rewritten for Python's ``re``, and refused where the two
languages cannot be made to agree, so that no filter finds other rows here than there. RE2 needs
linear time for every pattern, ``re`` does not: ``(a+)+b`` takes time exponential in the length of
a text of a's.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from elanus.index import Strings

_MOST_CHARACTERS: Final = 20_000
_MOST_REPEATS: Final = 1000
_DEEPEST: Final = 50

_FLAGS: Final = re.compile(r"\(\?(?P<on>[ims]*)(?:-(?P<off>[ims]*))?\)")
_TOKEN: Final = re.compile(
    r"""
      (?P<escape> \\ (?: x\{[0-9a-fA-F]{1,6}\} | x[0-9a-fA-F]{2} | . ) )
    | (?P<set>    \[ \^? \]? (?: [^]\\] | \\. )* \] )
    | (?P<open>   \( (?: \?: | \?P<[A-Za-z_][A-Za-z_0-9]*> | \?[is]*-?[is]*: | (?!\?) ) )
    | (?P<repeat> (?: [*+?] | \{[0-9]+(?:,[0-9]*)?\} ) \?? )
    | (?P<same>   [.^|)] )
    | (?P<end>    \$ )
    | (?P<wrong>  \[ | \(\? | \\ )
    | (?P<plain>  . )
    """,
    re.VERBOSE | re.DOTALL,
)
_SET_ITEM: Final = re.compile(r"\\x\{[0-9a-fA-F]{1,6}\}|\\x[0-9a-fA-F]{2}|\\.|.", re.DOTALL)

# RE2's classes are ASCII; those of `re` are not, and its flag for that changes (?i) too.
_CLASSES: Final = {
    "d": "0-9",
    "D": r"\x00-/:-\U0010ffff",
    "w": "0-9A-Za-z_",
    "W": r"\x00-/:-@\[-\^`{-\U0010ffff",
    "s": r"\t\n\f\r\x20",
    "S": r"\x00-\x08\x0b\x0e-\x1f!-\U0010ffff",
}
# Python's \B does not match the empty text before 3.14, RE2's does.
_ANCHORS: Final = {"b": r"(?a:\b)", "B": r"(?a:(?!\b))", "A": r"\A", "z": r"\Z"}
_CONTROLS: Final = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def regex_table(strings: Strings, pattern: str) -> NDArray[np.bool_]:
    """Return which of the strings match somewhere, bool (len(strings),), by code."""
    texts, search = strings.texts(), compile_regex(pattern).search
    return np.fromiter((search(text) is not None for text in texts), np.bool_, len(texts))


@lru_cache(maxsize=256)
def compile_regex(pattern: str) -> re.Pattern[str]:
    r"""Return a pattern in Python's language that matches what RE2 matches.

    As in Milvus, ``.`` matches a newline too, and flags (``(?i)``, ``(?m)``, ``(?-s)``) may begin
    the pattern. ``\d``, ``\w``, ``\s`` and ``\b`` know ASCII only.

    Raises:
        ValueError: it is wrong, or has what RE2 or this subset has not: looking around, references
            to groups, possessive repeats, ``\p{…}``, ``[[:…:]]``, flags in the middle.
    """
    if len(pattern) > _MOST_CHARACTERS:
        raise ValueError(f"more than {_MOST_CHARACTERS} characters")
    flags, start = re.DOTALL, 0
    if given := _FLAGS.match(pattern):
        flags, start = _flags(given), given.end()
    parts = _parts(pattern, start, "$" if flags & re.MULTILINE else r"\Z")
    try:
        return re.compile("".join(parts), flags)
    except (re.error, OverflowError) as error:
        # Its position is one in the rewritten pattern.
        raise ValueError(getattr(error, "msg", str(error))) from None


def _flags(given: re.Match[str]) -> re.RegexFlag:
    flags = re.DOTALL
    for letter in given["on"]:
        flags |= re.RegexFlag[letter.upper()]
    for letter in given["off"] or "":
        flags &= ~re.RegexFlag[letter.upper()]
    return flags


def _parts(pattern: str, start: int, end_anchor: str) -> Iterator[str]:
    depth, before = 0, ""
    for match in _TOKEN.finditer(pattern, start):
        kind, text = match.lastgroup or "", match[0]
        depth += (kind == "open") - (text == ")")
        if depth > _DEEPEST:
            raise ValueError(f"groups nest more than {_DEEPEST} deep")
        if kind == before == "repeat":
            raise ValueError(f"{text!r:.40} repeats a repeat")
        yield _part(kind, text, end_anchor)
        before = kind


def _part(kind: str, text: str, end_anchor: str) -> str:
    match kind:
        case "escape":
            return _ANCHORS.get(text[1:]) or _escaped(text, "[{}]")
        case "set":
            return _set(text)
        case "open":
            # Names of groups mean nothing to a match, and `re` knows other ones.
            return "(" if text.startswith("(?P") else text
        case "repeat":
            _check_repeat(text)
            return text
        case "same":
            return text
        case "end":
            return end_anchor
        case "wrong":
            raise ValueError(_complaint(text))
    return re.escape(text)


def _escaped(text: str, form: str) -> str:
    """An escape as one character, or as a class in a form."""
    letter = text[1]
    if letter in _CLASSES:
        return form.format(_CLASSES[letter])
    return re.escape(_character(text))


def _character(item: str) -> str:
    """The character that an item of a set, or an escape, stands for."""
    if item[0] != "\\" or len(item) == 1:
        return item
    letter = item[1]
    if letter == "x" and len(item) > 2:
        code = int(item[2:].strip("{}"), 16)
        if code > 0x10FFFF:  # where Unicode ends
            raise ValueError(f"{item} is no character")
        return chr(code)
    if letter.isalnum() and letter not in _CONTROLS:
        raise ValueError(f"\\{letter} is not supported")
    return _CONTROLS.get(letter, letter)


def _set(text: str) -> str:
    body = text[2:-1] if text.startswith("[^") else text[1:-1]
    if "[:" in body:
        raise ValueError("[[:…:]] is not supported; write [A-Za-z] or \\d, \\w, \\s")
    items = _SET_ITEM.findall(body)
    parts: list[str] = []
    while items:
        item = items.pop(0)
        if item[1:] in _CLASSES and item[0] == "\\":
            parts.append(_CLASSES[item[1:]])
        elif len(items) > 1 and items[0] == "-":
            parts.append(f"{re.escape(_character(item))}-{re.escape(_character(items[1]))}")
            del items[:2]
        else:
            parts.append(re.escape(_character(item)))
    return f"[{'^' if text.startswith('[^') else ''}{''.join(parts)}]"


def _check_repeat(text: str) -> None:
    numbers = [int(number) for number in re.findall("[0-9]{1,9}", text)]
    if any(number > _MOST_REPEATS for number in numbers):
        raise ValueError(f"{text:.40} repeats more than {_MOST_REPEATS} times")


def _complaint(text: str) -> str:
    return {
        "[": "a [ has no ]",
        "(?": "of what begins with (?, only groups are supported, and flags at the start",
        "\\": "a backslash at the end",
    }[text]
