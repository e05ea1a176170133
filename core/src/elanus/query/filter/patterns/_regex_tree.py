"""The tree of a regular expression, and what bounds the time of a search by backtracking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, prod
from typing import Final, TypeAlias

# Low enough that no power of them overflows.
_HUGE: Final = 1e12
_HIGHEST_POWER: Final = 10
_MOST_REPEATS: Final = 20


@dataclass(frozen=True, slots=True)
class Atom:
    """One character: ``written`` in Python's language, under flags.

    ``letter`` is the character if only one will do.
    """

    written: str
    flags: int
    letter: str = ""


@dataclass(frozen=True, slots=True)
class Anchor:
    r"""A condition on a place: ``^``, ``$``, ``\A``, ``\z``, ``\b`` or ``\B``."""

    written: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after another."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """From ``least`` to ``most`` times, without end if that is None."""

    body: Node
    least: int
    most: int | None


Node: TypeAlias = Atom | Anchor | Sequence | Choice | Repeat


def size(node: Node) -> int:
    """Return how many steps the program of an automaton has."""
    match node:
        case Sequence(parts):
            return sum(map(size, parts))
        case Choice(parts):
            return sum(map(size, parts)) + 2 * len(parts)
        case Repeat(body, least, None):
            return (least + 1) * size(body) + 2
        case Repeat(body, least, most):
            return (most or 0) * (size(body) + 1)
    return 1


def ways(node: Node) -> tuple[float, int]:
    """Return c and d, so that at most c * n**d ways lead through n characters from one place.

    c is infinite if the number grows faster than every power, as for ``(a|a)*``, or is huge.
    """
    match node:
        case Sequence(parts):
            each = [ways(part) for part in parts]
            return _bounded(prod(c for c, _ in each), sum(d for _, d in each))
        case Choice(parts):
            each = [ways(part) for part in parts]
            return _bounded(sum(c for c, _ in each), max(d for _, d in each))
        case Repeat(body, least, most):
            c, d = ways(body)
            if (c, d) == (1, 0) and least_length(body):
                return (1.0, 1) if most is None else (most - least + 1.0, 0)
            if most is None or most > _MOST_REPEATS:
                return inf, 0
            return _bounded((most - least + 1) * c**most, d * most)
    return 1.0, 0


def _bounded(c: float, d: int) -> tuple[float, int]:
    return (c, d) if c < _HUGE and d < _HIGHEST_POWER else (inf, 0)


def least_length(node: Node) -> int:
    """Return how many characters it takes at least."""
    match node:
        case Atom():
            return 1
        case Sequence(parts):
            return sum(map(least_length, parts))
        case Choice(parts):
            return min(map(least_length, parts))
        case Repeat(body, least, _):
            return least * least_length(body)
    return 0


def prefix(node: Node) -> str:
    """Return the letters that every match begins with, as far as they are plain to see."""
    letters = []
    for part in _flat(node):
        if not isinstance(part, Atom) or not part.letter:
            break
        letters.append(part.letter)
    return "".join(letters)


def is_tied_to_the_start(node: Node) -> bool:
    """Return whether a match can begin at the start of the text only."""
    return next(_flat(node), None) == Anchor(r"\A")


def _flat(node: Node) -> Iterator[Node]:
    if isinstance(node, Sequence):
        for part in node.parts:
            yield from _flat(part)
    else:
        yield node
