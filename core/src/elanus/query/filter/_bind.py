"""Values for the templates of a filter."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from elanus.errors import FilterError, shown
from elanus.query.filter import _tree as tree
from elanus.query.filter._lexer import is_encodable
from elanus.schema import Rejected, plain_scalar

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_NESTING: Final = 16
_MAX_INNER: Final = 1_000_000


def bind(expression: tree.Expression, params: Mapping[str, Any] | None) -> tree.Expression:
    """Put values in the place of the templates ``{name}``.

    Args:
        expression: a parsed filter.
        params: a bool, int, float, str, or a list of such, for each template; dates, UUIDs and
            what else `plain_scalar` knows, and numpy's arrays, are taken too. Names that the
            filter does not use are allowed, so that one set of values can serve several filters.

    Returns:
        A filter without templates; the same object if it had none.

    Raises:
        FilterError: a template has no value, or a value that a filter cannot compare with.
    """
    if not expression.templates:
        return expression
    values = params or {}
    bound: dict[str, tree.Node] = {}

    def change(node: tree.Node) -> tree.Node:
        if isinstance(node, tree.Template):
            # A long list is looked at once, however often its template is there.
            if node.name not in bound:
                bound[node.name] = _bound(node, values, expression.text)
            return _moved(bound[node.name], node.position)
        node = node.with_children(change)
        return _collected(node) if isinstance(node, tree.ListDisplay) else node

    return tree.Expression(expression.text, change(expression.root))


def _bound(node: tree.Template, values: Mapping[str, Any], text: str) -> tree.Node:
    if node.name not in values:
        raise FilterError(
            f"template {{{node.name:.80}}} has no value; "
            f"pass filter_params={{{node.name!r:.80}: …}}",
            text,
            node.position,
        )
    try:
        value = plain_value(values[node.name])
    except TypeError as error:
        reason = f"the value of template {{{node.name:.80}}} {error}"
        raise FilterError(reason, text, node.position) from None
    return tree.literal(node.position, value)


def _moved(node: tree.Node, position: int | None) -> tree.Node:
    """A node at another place, with all that was made of its values."""
    found = copy(node)
    object.__setattr__(found, "position", position)
    return found


def _collected(display: tree.ListDisplay) -> tree.Node:
    values = tuple(
        item.values if isinstance(item, tree.ListLiteral) else item.value  # type: ignore[attr-defined]  # the parser admits these two only
        for item in display.items
    )
    return tree.ListLiteral(display.position, values)


def plain_value(value: Any) -> Any:
    """Return a value as bool, int, float, str or a tuple of such.

    Raises:
        TypeError: it is none of these; the message goes behind "the value of … ".
    """
    return _Conversion().value(value, 0)


class _Conversion:
    """One conversion. It counts, as lists that hold one list many times are small and endless."""

    def __init__(self) -> None:
        self._inner = 0

    def value(self, value: Any, nesting: int) -> Any:
        try:
            value = plain_scalar(value)
        except Rejected as rule:
            raise TypeError(f"is {shown(value)}: {rule}") from None
        # Of spans and records, tolist() makes numbers and tuples; of an array without a dimension
        # a number, for which no array stands.
        if isinstance(value, np.ndarray) and value.ndim > 0 and value.dtype.kind not in "mV":
            value = list(value) if value.dtype.kind == "M" else value.tolist()
        if isinstance(value, (list, tuple, set, frozenset)):
            return self._list(value, nesting)
        if isinstance(value, str):
            return _plain_text(value)
        for number in (bool, int, float):
            if isinstance(value, number):
                return number(value)
        hint = "; ask for null by `is null`" if value is None else ""
        raise TypeError(
            f"is of type {type(value).__name__}: {shown(value)}; give a bool, int, float, str or "
            f"a list of them{hint}"
        )

    def _list(self, values: Any, nesting: int) -> tuple[Any, ...]:
        if nesting >= _MAX_NESTING:
            raise TypeError(f"has lists in lists, more than {_MAX_NESTING} deep")
        self._inner += len(values) if nesting else 0
        if self._inner > _MAX_INNER:
            raise TypeError(f"has more than {_MAX_INNER} values in inner lists")
        types = set(map(type, values))
        if types <= {bool, int, float}:
            return tuple(values)  # long lists of keys need no look at each
        if types == {str} and is_encodable("".join(values)):
            return tuple(values)
        return tuple(self.value(value, nesting + 1) for value in values)


def _plain_text(value: str) -> str:
    if not is_encodable(value):
        raise TypeError(f"is {shown(value)}, which holds half of a surrogate pair")
    return str.__str__(value)  # of an enum's member str() gives the name, this gives the value
