"""Structured queries, as a language model writes them, as filters."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from langchain_core.structured_query import (
    Comparator,
    Comparison,
    Operation,
    Operator,
    StructuredQuery,
    Visitor,
)

from elanus import FilterError
from elanus.arguments import is_mapping
from elanus.errors import quoted, shown

_PLAIN: Final = {
    Comparator.EQ: "$eq",
    Comparator.NE: "$ne",
    Comparator.GT: "$gt",
    Comparator.GTE: "$gte",
    Comparator.LT: "$lt",
    Comparator.LTE: "$lte",
    Comparator.LIKE: "$like",
}
_LISTS: Final = {Comparator.IN: "$in", Comparator.NIN: "$nin"}
_JOINED: Final = {Operator.AND: "$and", Operator.OR: "$or", Operator.NOT: "$nor"}
_DATES: Final = ("date", "datetime")
_MOST_LEVELS: Final = 38  # of a filter dict's 40; a comparison takes two
_MOST_IN_VALUES: Final = 50


class ElanusTranslator(Visitor):
    """Translates structured queries to dict filters, for self-query retrievers.

    Every comparator and operator of LangChain is translated. ``contain`` finds a string in which
    the value occurs, and a list that has it as an item; ``like`` takes a pattern with ``%`` and
    ``_``; ``not`` of several filters holds where none of them does; ``ne`` and ``nin`` also match
    documents without the key. Dates and times are compared in the form in which metadata are kept:
    as ISO strings, times by UTC.

    Example:
        >>> query = StructuredQuery("owls", Comparison(Comparator.GT, "year", 2020))
        >>> ElanusTranslator().visit_structured_query(query)
        ('owls', {'filter': {'year': {'$gt': 2020}}})
    """

    allowed_comparators = tuple(Comparator)
    allowed_operators = tuple(Operator)

    def visit_operation(self, operation: Operation) -> dict[str, Any]:
        """Translate a combination of filters.

        Raises:
            FilterError: if they are nested too deep.
        """
        self._validate_func(operation.operator)
        _check_levels(operation)
        parts = [argument.accept(self) for argument in operation.arguments]
        return {_JOINED[operation.operator]: parts}

    def visit_comparison(self, comparison: Comparison) -> dict[str, Any]:
        """Translate the comparison of one key.

        Raises:
            FilterError: naming the key, if lists are nested too deep in its value.
        """
        self._validate_func(comparison.comparator)
        key, value = comparison.attribute, _plain(comparison, comparison.value)
        # A filter dict takes a key that begins with one $ for an operator.
        key = f"${key}" if key.startswith("$") else key
        if comparison.comparator is Comparator.CONTAIN:
            return _contains(key, value)
        if comparison.comparator in _LISTS:
            values = value if isinstance(value, list) else [value]
            return {key: {_LISTS[comparison.comparator]: values}}
        return {key: {_PLAIN[comparison.comparator]: value}}

    def visit_structured_query(
        self, structured_query: StructuredQuery
    ) -> tuple[str, dict[str, Any]]:
        """The text to search for, and keyword arguments for the search."""
        condition = structured_query.filter
        found = {} if condition is None else {"filter": condition.accept(self)}
        return structured_query.query, found


def _contains(key: str, value: Any) -> dict[str, Any]:
    item = {key: {"$contains": value}}
    return {"$or": [item, {key: {"$substring": value}}]} if isinstance(value, str) else item


def _check_levels(operation: Operation) -> None:
    """Refuse what would not end, or not within Python's stack: level by level, each part once."""
    level: list[Any] = [operation]
    for _ in range(_MOST_LEVELS):
        inside = [part for each in level for part in each.arguments if isinstance(part, Operation)]
        level = list({id(part): part for part in inside}.values())
        if not level:
            return
    raise FilterError(f"a structured query may nest {_MOST_LEVELS} operations, this one has more")


def _plain(comparison: Comparison, value: Any, levels: int = _MOST_IN_VALUES) -> Any:
    """A value without the wrapping that LangChain's query parser puts around dates."""
    if isinstance(value, (list, tuple)):
        if not levels:
            raise FilterError(
                f"key {quoted(comparison.attribute)}: a value may nest {_MOST_IN_VALUES} lists, "
                f"this one has more: {shown(value)}"
            )
        return [_plain(comparison, each, levels - 1) for each in value]
    if is_mapping(value):
        kind = value.get("type")
        if isinstance(kind, str) and kind in _DATES:
            return _time(value.get(kind, value))
    return value


def _time(value: Any) -> Any:
    """The time that a text says, for the store to write; the text, if it is a date or says none."""
    if not isinstance(value, str) or "T" not in value:
        return value
    try:
        # Python 3.10 knows neither "Z" nor an offset without a colon.
        written = re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", re.sub("[Zz]$", "+00:00", value))
        return datetime.fromisoformat(written)
    except ValueError:
        return value
