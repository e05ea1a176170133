"""Pieces of a regular expression that ``re`` has compiled, to a tree."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from elanus.query.filter.patterns._regex_tree import Anchor, Atom, Choice, Node, Repeat, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterable

_REPEATS: Final = {"*": (0, None), "+": (1, None), "?": (0, 1)}


class Piece(NamedTuple):
    """A token.

    Attributes:
        kind: ``atom``, ``anchor``, ``open``, ``repeat``, ``|`` or ``)``.
        text: the one character that an atom takes, or nothing; of others what was written.
        written: the same in Python's language.
    """

    kind: str
    text: str
    written: str


class _Group:
    """A group that is not closed yet: its alternatives, and the flags that held around it."""

    def __init__(self, flags: int) -> None:
        self.flags = flags
        self.choices: list[list[Node]] = [[]]

    def node(self) -> Node:
        parts = tuple(Sequence(tuple(choice)) for choice in self.choices)
        return parts[0] if len(parts) == 1 else Choice(parts)


def tree_of(pieces: Iterable[Piece], flags: int) -> Node:
    """Return the tree of a pattern without errors.

    Args:
        pieces: all of it.
        flags: of Python's ``re``, which hold at its start.
    """
    groups = [_Group(flags)]
    for kind, text, written in pieces:
        parts = groups[-1].choices[-1]
        match kind:
            case "atom":
                letter = "" if flags & re.IGNORECASE else text
                parts.append(Atom(written, int(flags), letter))
            case "anchor":
                parts.append(Anchor(text))
            case "open":
                groups.append(_Group(flags))
                flags = _within(text, flags)
            case ")":
                closed = groups.pop()
                flags = closed.flags
                groups[-1].choices[-1].append(closed.node())
            case "|":
                groups[-1].choices.append([])
            case "repeat":
                parts.append(_repeat(parts.pop(), text))
    return groups[0].node()


def _within(text: str, flags: int) -> int:
    """Return the flags within a group that begins so, as ``(?i-s:``."""
    if not text.startswith("(?") or text.startswith("(?P"):
        return flags
    on, _, off = text[2:-1].partition("-")
    for letter in on:
        flags |= re.RegexFlag[letter.upper()]
    for letter in off:
        flags &= ~re.RegexFlag[letter.upper()]
    return flags


def _repeat(body: Node, text: str) -> Node:
    # A question mark behind it changes which match is found, not whether there is one.
    text = text[:-1] if len(text) > 1 and text.endswith("?") else text
    if text in _REPEATS:
        return Repeat(body, *_REPEATS[text])
    least, comma, most = text[1:-1].partition(",")
    return Repeat(body, int(least), int(most) if most else None if comma else int(least))
