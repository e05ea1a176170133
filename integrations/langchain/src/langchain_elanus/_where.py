"""Chroma's ``where_document`` as a filter over the document's own text."""

from __future__ import annotations

from typing import Any, Final

from elanus import FilterError, ParamError
from elanus.arguments import is_mapping
from elanus.errors import quoted, shown

_TESTS: Final = {
    "$contains": ("$substring", True),
    "$not_contains": ("$substring", False),
    "$regex": ("$regex", True),
    "$not_regex": ("$regex", False),
}
_JOINING: Final = ("$and", "$or")
_MOST_LEVELS: Final = 30  # a filter dict has a limit of its own, above this one


def with_text(call: str, condition: Any, where: Any) -> dict[str, Any]:
    """A filter dict that asks for both: a condition on metadata and one on the text.

    Args:
        call: who asks, for errors.
        condition: a filter dict, or none.
        where: in Chroma's form: ``{"$contains": "kite"}``; also ``$not_contains``, ``$regex`` and
            ``$not_regex``, joined by ``$and`` and ``$or``. Capitals matter.

    Raises:
        ParamError: if the condition is an expression.
        FilterError: if ``where`` has no such form.
    """
    of_text = _translated(where, 0)
    if not condition:
        return of_text
    if not is_mapping(condition):
        raise ParamError(
            f"{call}: where_document goes with a filter that is a dict, got {shown(condition)}"
        )
    return {"$and": [condition, of_text]}


def _translated(where: Any, level: int) -> dict[str, Any]:
    if not is_mapping(where) or len(where) != 1:
        raise FilterError(f"where_document is a dict with one operator, got {shown(where)}")
    if level > _MOST_LEVELS:
        raise FilterError(f"where_document may nest {_MOST_LEVELS} levels, this one has more")
    ((operator, operand),) = where.items()
    if operator in _JOINING:
        if not isinstance(operand, (list, tuple)) or not operand:
            raise FilterError(f"where_document: {operator} needs a list, got {shown(operand)}")
        return {operator: [_translated(each, level + 1) for each in operand]}
    if operator not in _TESTS:
        known = ", ".join((*_TESTS, *_JOINING))
        raise FilterError(f"where_document: unknown operator {quoted(operator)}; known: {known}")
    if not isinstance(operand, str):
        raise FilterError(f"where_document: {operator} needs a string, got {shown(operand)}")
    name, holds = _TESTS[operator]
    test = {name: operand}
    return {"$text": test if holds else {"$not": test}}
