"""Filters over the keys of one JSON field, written as if the keys were fields."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from elanus.errors import FilterError
from elanus.query.filter import _tree as tree

if TYPE_CHECKING:
    from collections.abc import Collection


def rebase_names(expression: tree.Expression, root: str, keep: Collection[str]) -> tree.Expression:
    """Make every bare name a key of a JSON field: ``year > 2020`` to ``meta["year"] > 2020``.

    A name means a key whatever it is, so that no key is out of reach for being called like a
    field. Only ``$meta[…]`` stays. Errors of the filter go on pointing into its text as written.

    Args:
        expression: a filter.
        root: name of the JSON field.
        keep: fields that ``text_match`` and ``phrase_match`` may search; their first argument stays
            a field.

    Raises:
        FilterError: one of these two searches another field.
    """

    def change(node: tree.Node) -> tree.Node:
        match node:
            case tree.Path(name=name, steps=steps) if name != "$meta":
                return tree.Path(node.position, root, (name, *steps))
            case tree.TextSearch(text=text, number=number):
                _check_searched(node, expression.text, keep)
                return replace(node, text=change(text), number=change(number))
            case _:
                return node.with_children(change)

    return replace(expression, root=change(expression.root))


def _check_searched(node: tree.TextSearch, text: str, keep: Collection[str]) -> None:
    field = node.operand
    if not isinstance(field, tree.Path) or field.steps or field.name not in keep:
        known = ", ".join(sorted(keep)) or "none"
        reason = f"{node.written} searches analysed fields only, here: {known}"
        raise FilterError(reason, text, field.position)
