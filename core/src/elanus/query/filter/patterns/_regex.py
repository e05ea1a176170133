r"""Regular expressions of filters: what RE2 and Python have in common, meaning what RE2 means.

Milvus matches by RE2. A pattern is rewritten for Python's ``re``, and refused where the two
languages cannot be made to agree, so that no filter finds other rows here than there. RE2 needs
linear time for every pattern, ``re`` does not: ``(a+)+b`` takes time exponential in the length of
a text of a's. So ``re``, which is faster as a rule, searches where a bound on its steps is low, and
an automaton elsewhere.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from elanus.query.filter.patterns._automaton import Automaton, Effort
from elanus.query.filter.patterns._regex_parser import Piece, tree_of
from elanus.query.filter.patterns._regex_tree import Node, is_tied_to_the_start, prefix, size, ways
from elanus.schema import computed_once

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from elanus.query.columns._strings import Strings

_MOST_CHARACTERS: Final = 20_000
_MOST_REPEATS: Final = 1000
_DEEPEST: Final = 50
_LONGEST_PROGRAM: Final = 30_000
# A tenth of a second.
_MOST_STEPS: Final = 10_000_000

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
    """Return which of the strings match somewhere, bool (len(strings),), by code.

    Raises:
        ValueError: the pattern takes too many steps on these strings.
    """
    texts, regex, effort = strings.texts(), compile_regex(pattern), Effort()
    search, short = regex.backtracking.search, regex.short
    hits = (
        search(text) is not None if len(text) <= short else regex.search(text, effort)
        for text in texts
    )
    return np.fromiter(hits, np.bool_, len(texts))


class Regex:
    """A compiled pattern.

    Attributes:
        backtracking: the pattern in Python's language.
        short: up to so many characters it takes few steps, whatever they are.
    """

    def __init__(self, backtracking: re.Pattern[str], root: Node) -> None:
        self.backtracking = backtracking
        self._root = root
        factor, self._power = ways(root)
        self._factor = max(1, size(root)) * factor
        # A match may begin at each character, unless it is tied to the start.
        self._tied = is_tied_to_the_start(root)
        self._prefix = prefix(root)
        power = self._power + (not self._tied)
        self.short = 0
        if self._factor <= _MOST_STEPS:
            exact = (_MOST_STEPS / self._factor) ** (1 / power) if power else sys.maxsize
            self.short = int(exact)

    def search(self, text: str, effort: Effort) -> bool:
        """Return whether the pattern occurs in a text, in time linear in its length.

        Raises:
            ValueError: it takes more effort than is left.
        """
        # Places of a prefix may overlap, and are not counted then.
        starts = 1 if self._tied else text.count(self._prefix) * max(1, len(self._prefix))
        if self._factor * starts * len(text) ** self._power <= _MOST_STEPS:
            return self.backtracking.search(text) is not None
        return self._automaton.search(text, effort)

    @computed_once
    def _automaton(self) -> Automaton:
        return Automaton(self._root)


@lru_cache(maxsize=64)
def compile_regex(pattern: str) -> Regex:
    r"""Return what matches as RE2 does.

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
    pieces = list(_pieces(pattern, start, multiline=bool(flags & re.MULTILINE)))
    try:
        backtracking = re.compile("".join(piece.written for piece in pieces), flags)
    except (re.error, OverflowError, RecursionError) as error:
        # Its position is one in the rewritten pattern.
        raise ValueError(getattr(error, "msg", str(error))) from None
    root = tree_of(pieces, flags)
    if size(root) > _LONGEST_PROGRAM:
        raise ValueError(f"its repeats make it longer than {_LONGEST_PROGRAM} steps")
    return Regex(backtracking, root)


def _flags(given: re.Match[str]) -> re.RegexFlag:
    flags = re.DOTALL
    for letter in given["on"]:
        flags |= re.RegexFlag[letter.upper()]
    for letter in given["off"] or "":
        flags &= ~re.RegexFlag[letter.upper()]
    return flags


def _pieces(pattern: str, start: int, *, multiline: bool) -> Iterator[Piece]:
    depth, before = 0, ""
    for match in _TOKEN.finditer(pattern, start):
        kind, text = match.lastgroup or "", match[0]
        depth += (kind == "open") - (text == ")")
        if depth > _DEEPEST:
            raise ValueError(f"groups nest more than {_DEEPEST} deep")
        if kind == before == "repeat":
            raise ValueError(f"{text!r:.40} repeats a repeat")
        yield _piece(kind, text, multiline=multiline)
        before = kind


def _piece(kind: str, text: str, *, multiline: bool) -> Piece:
    match kind:
        case "escape" if text[1:] in _ANCHORS:
            return Piece("anchor", text, _ANCHORS[text[1:]])
        case "escape":
            return Piece("atom", "" if text[1] in _CLASSES else _character(text), _escaped(text))
        case "set":
            return Piece("atom", "", _set(text))
        case "open":
            # Names of groups mean nothing to a match, and `re` knows other ones.
            return Piece("open", text, "(" if text.startswith("(?P") else text)
        case "repeat":
            _check_repeat(text)
            return Piece("repeat", text, text)
        case "end":
            return Piece("anchor", "$", "$") if multiline else Piece("anchor", r"\z", r"\Z")
        case "wrong":
            raise ValueError(_complaint(text))
    match text:
        case "^":
            return Piece("anchor", "^" if multiline else r"\A", "^")
        case "." if kind == "same":
            return Piece("atom", "", ".")
        case "|" | ")" if kind == "same":
            return Piece(text, text, text)
    return Piece("atom", text, re.escape(text))


def _escaped(text: str) -> str:
    """An escape as one character, or as a class."""
    letter = text[1]
    return f"[{_CLASSES[letter]}]" if letter in _CLASSES else re.escape(_character(text))


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
