"""Filters over the keys of one JSON field, written as if the keys were fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elanus.errors import FilterError
from elanus.query.filter import _tree as tree
from elanus.query.filter._parser import parse_filter

if TYPE_CHECKING:
    from collections.abc import Collection


def rebase_names(expression: str | tree.Expression, root: str, keep: Collection[str]) -> str:
    """Make every bare name a key of a JSON field: ``year > 2020`` to ``meta["year"] > 2020``.

    A name means a key whatever it is, so that no key is out of reach for being called like a
    field. Keywords, functions, templates, strings and ``$meta[…]`` stay.

    Args:
        expression: a filter, parsed or not.
        root: name of the JSON field.
        keep: fields that ``text_match`` may search; its first argument stays a field.

    Raises:
        FilterError: the filter does not parse, or ``text_match`` searches another field.
            Positions are those of ``expression``.
    """
    parsed = expression if isinstance(expression, tree.Expression) else parse_filter(expression)
    text = parsed.text
    parts: list[str] = []
    done = 0
    for path in sorted(_keys(parsed, keep), key=lambda path: path.position):
        end = path.position + len(path.name)
        parts += text[done : path.position], f'{root}["{path.name}"]'
        done = end
    return "".join(parts) + text[done:]


def _keys(expression: tree.Expression, keep: Collection[str]) -> list[tree.Path]:
    nodes = list(tree.walk(expression.root))
    searched = [node.operand for node in nodes if isinstance(node, tree.TextMatch)]
    for field in searched:
        _check_searched(field, expression.text, keep)
    fields = set(map(id, searched))
    paths = (node for node in nodes if isinstance(node, tree.Path) and id(node) not in fields)
    return [path for path in paths if path.name != "$meta"]


def _check_searched(field: tree.Node, expression: str, keep: Collection[str]) -> None:
    if not isinstance(field, tree.Path) or field.steps or field.name not in keep:
        known = ", ".join(sorted(keep)) or "none"
        reason = f"text_match searches analysed fields only, here: {known}"
        raise FilterError(reason, expression, field.position)
