"""Regular expressions in linear time: an automaton that knows all possibilities at once.

The program is Thompson's (1968): each step takes a character, or leads to others without one. The
set of steps that can be next is the bits of an integer. What follows a set by a character is
remembered, so that a search is mostly one look-up for each character, as in RE2.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from elanus.query.filter.patterns._regex_tree import Anchor, Atom, Choice, Node, Repeat, Sequence

_MOST_LEAPS: Final = 10_000_000
_MOST_STATES: Final = 2_000
_MOST_CHARACTERS: Final = 10_000
_WORD: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")


class Kind(Enum):
    """What the character beside a place is, as far as anchors ask."""

    NONE = 0
    NEWLINE = 1
    WORD = 2
    OTHER = 3


class _State(dict[str, "_State"]):
    """A set of steps behind a kind of character, and the states that follow by characters."""

    __slots__ = ("before", "steps")

    def __init__(self, steps: int, before: Kind) -> None:
        self.steps = steps
        self.before = before


_FOUND: Final = _State(0, Kind.NONE)
_LOST: Final = _State(0, Kind.NONE)


class Effort:
    """What a search may still cost; shared by the searches of one filter.

    Only a pattern with thousands of steps, of which hundreds are possible at once and never the
    same, comes near the end of it.
    """

    def __init__(self) -> None:
        self._left = _MOST_LEAPS

    def spend(self, cost: int) -> None:
        """Take a cost off.

        Raises:
            ValueError: there is nothing left.
        """
        self._left -= cost
        if self._left < 0:
            raise ValueError("it takes too many steps; give it fewer repeats and alternatives")


class Automaton:
    """Searches one pattern; threads may share it."""

    def __init__(self, root: Node) -> None:
        self._size = 0
        self._atoms: dict[Atom, int] = {}
        self._anchors: dict[int, str] = {}
        self._leaps: dict[int, int] = {}
        self._emit(root)
        self._match = 1 << self._size
        self._cost = 1 + self._size // 1_000  # of a leap, as the integers are long
        self._empty = sum(1 << step for step in (*self._leaps, *self._anchors))
        self._tests = [
            (re.compile(atom.written, atom.flags).fullmatch, steps)
            for atom, steps in self._atoms.items()
        ]
        self._taking: dict[str, int] = {}
        self._states: dict[tuple[int, Kind], _State] = {}

    def search(self, text: str, effort: Effort) -> bool:
        """Return whether the pattern occurs in a text.

        Raises:
            ValueError: it takes more effort than is left.
        """
        state = self._state(0, Kind.NONE)
        for character in text:
            following = state.get(character)
            if following is None:
                following = self._follow(state, character, effort)
            if following is _FOUND:
                return True
            state = following
        return self._follow(state, "", effort) is _FOUND

    # ---------------------------------------------------------------- searching

    def _state(self, steps: int, before: Kind) -> _State:
        state = self._states.get((steps, before))
        if state is None:
            if len(self._states) >= _MOST_STATES:
                self._states = {}  # searches that are running keep theirs
            state = self._states[steps, before] = _State(steps, before)
        return state

    def _follow(self, state: _State, character: str, effort: Effort) -> _State:
        """Return the state behind a character; behind the end, if it is empty."""
        after = _kind(character)
        # A match may begin at every place.
        steps = self._reach(state.steps | 1, state.before, after, effort)
        if steps & self._match:
            following = _FOUND
        elif character:
            following = self._state((steps & self._takes(character)) << 1, after)
        else:
            following = _LOST
        state[character] = following
        return following

    def _reach(self, steps: int, before: Kind, after: Kind, effort: Effort) -> int:
        """Add the steps that follow without a character."""
        waiting = steps & self._empty
        while waiting:
            lowest = waiting & -waiting
            waiting ^= lowest
            effort.spend(self._cost)
            step = lowest.bit_length() - 1
            targets = self._leaps.get(step, 0)
            if step in self._anchors and _holds(self._anchors[step], before, after):
                targets = lowest << 1
            new = targets & ~steps
            steps |= new
            waiting |= new & self._empty
        return steps

    def _takes(self, character: str) -> int:
        """Return the steps that take a character."""
        steps = self._taking.get(character)
        if steps is None:
            if len(self._taking) >= _MOST_CHARACTERS:
                self._taking = {}
            steps = sum(each for test, each in self._tests if test(character))
            self._taking[character] = steps
        return steps

    # ---------------------------------------------------------------- the program

    def _emit(self, node: Node) -> None:
        match node:
            case Atom():
                self._atoms[node] = self._atoms.get(node, 0) | 1 << self._size
                self._size += 1
            case Anchor(written):
                self._anchors[self._size] = written
                self._size += 1
            case Sequence(parts):
                for part in parts:
                    self._emit(part)
            case Choice(parts):
                self._emit_choice(parts)
            case Repeat(body, least, most):
                for _ in range(least):
                    self._emit(body)
                if most is None:
                    self._emit_loop(body)
                else:
                    self._emit_options(body, most - least)

    def _leap(self) -> int:
        """Make a step whose targets are still to come."""
        self._leaps[self._size] = 0
        self._size += 1
        return self._size - 1

    def _emit_choice(self, parts: tuple[Node, ...]) -> None:
        if atom := _one_atom(parts):
            self._emit(atom)
            return
        start, ends = self._leap(), []
        for part in parts:
            self._leaps[start] |= 1 << self._size
            self._emit(part)
            ends.append(self._leap())
        for end in ends:
            self._leaps[end] = 1 << self._size

    def _emit_loop(self, body: Node) -> None:
        start = self._leap()
        self._emit(body)
        self._leaps[self._leap()] = 1 << start
        self._leaps[start] = 1 << start + 1 | 1 << self._size

    def _emit_options(self, body: Node, count: int) -> None:
        starts = []
        for _ in range(count):
            starts.append(self._leap())
            self._emit(body)
        for start in starts:
            self._leaps[start] = 1 << start + 1 | 1 << self._size


def _one_atom(parts: tuple[Node, ...]) -> Atom | None:
    """Return alternatives of one character each as one, if that is what they are."""
    atoms = [part.parts[0] for part in parts if isinstance(part, Sequence) and len(part.parts) == 1]
    singles = [atom for atom in atoms if isinstance(atom, Atom)]
    if len(singles) < len(parts) or len({atom.flags for atom in singles}) > 1:
        return None
    return Atom(f"(?:{'|'.join(atom.written for atom in singles)})", singles[0].flags)


def _kind(character: str) -> Kind:
    if not character:
        return Kind.NONE
    if character == "\n":
        return Kind.NEWLINE
    return Kind.WORD if character in _WORD else Kind.OTHER


def _holds(anchor: str, before: Kind, after: Kind) -> bool:
    match anchor:
        case r"\A":
            return before is Kind.NONE
        case r"\z":
            return after is Kind.NONE
        case "^":
            return before in (Kind.NONE, Kind.NEWLINE)
        case "$":
            return after in (Kind.NONE, Kind.NEWLINE)
    return (
        (before is Kind.WORD) != (after is Kind.WORD)
        if anchor == r"\b"
        else (before is Kind.WORD) == (after is Kind.WORD)
    )
