"""Keys that a filter takes for granted: if no document has one, it may be written wrongly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elanus.errors import cut, quoted
from elanus.query.filter import _tree as tree
from elanus.query.filter._from_dict import OPERATORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from elanus.query.filter._check import ColumnPath


def expected_keys(node: tree.Node, root: str) -> tuple[ColumnPath, ...]:
    """Return the paths of the keys without which a condition could not hold.

    Not those whose absence is asked for anywhere (``is null``, ``exists``, ``$empty``, None), nor
    those of a negation that finds what has no such key (``$ne``, ``$nin``, ``$not``, ``!~``). An
    expression's ``!=`` and ``not`` find no document without the key, so theirs are.

    Args:
        node: a condition.
        root: the JSON field whose keys are meant.
    """
    keys: dict[tree.Path, None] = {}
    absent: set[tree.Path] = set()
    waiting = [(node, True)]
    while waiting:
        node, counts = waiting.pop()
        match node:
            case tree.IsNull(operand=tree.Path() as key) | tree.Exists(operand=tree.Path() as key):
                absent.add(key)
            case tree.Path(name=name, steps=steps):
                if counts and name == root and steps:
                    keys[node] = None
            case tree.Not(operand=tree.IsTrue() | tree.Regex()):
                waiting.append((node.operand, False))
            case _:
                waiting += [(child, counts) for child in node.children()]
    return tuple((root, *key.steps) for key in reversed(keys) if key not in absent)


def unknown_keys(paths: Sequence[ColumnPath]) -> str:
    """Return what is to be said of one or more keys that no document has."""
    names = [".".join(step) if isinstance(step, tuple) else step for step in paths[0][1:]]
    written = quoted(names[0]) + "".join(f"[{quoted(name)}]" for name in names[1:])
    meant = f"${names[-1]}"
    hint = f"is {meant} meant?" if names[1:] and meant in OPERATORS else "is it written wrongly?"
    more = f" (and {len(paths) - 1:,} more that are in the filter)" if len(paths) > 1 else ""
    return f"no document has the key {cut(written)}{more}, which is asked for: {hint}"
