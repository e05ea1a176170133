"""LlamaIndex's metadata filters as the store's filter dicts; values are never part of a text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from elanus import FilterError
from elanus.errors import quoted, shown

FilterDict = dict[str, Any]

_MOST_LEVELS: Final = 38  # of a filter dict's 40; the query and a comparison take one each

_JOINING: Final = {
    FilterCondition.AND: "$and",
    FilterCondition.OR: "$or",
    FilterCondition.NOT: "$nor",
}


def to_filter(filters: MetadataFilters | None) -> FilterDict | None:
    """The store's filter for LlamaIndex's; None if it restricts nothing.

    A group without filters restricts nothing, whatever its condition.

    Raises:
        FilterError: naming an operator or a condition that is not known, or the value that an
            operator cannot take; or groups that are nested too deep.
    """
    return None if filters is None else _group(filters, 1, {})


def _group(filters: Any, level: int, made: dict[int, FilterDict | None]) -> FilterDict | None:
    """The filter of a group; ``made`` has those of groups that were met before."""
    if not isinstance(filters, MetadataFilters):
        raise FilterError(f"filters must be MetadataFilters, got {shown(filters)}")
    if level > _MOST_LEVELS:
        raise FilterError(f"MetadataFilters may nest {_MOST_LEVELS} levels, these have more")
    if id(filters) not in made:
        given = vars(filters).get("filters")  # `model_construct` takes anything, or nothing
        if not isinstance(given, (list, tuple)):
            raise FilterError(f"filters must be a list, got {shown(given)}")
        parts = [
            _group(part, level + 1, made)
            if isinstance(part, MetadataFilters)
            else _comparison(part)
            for part in given
        ]
        found = [part for part in parts if part is not None]
        # LlamaIndex's field takes None, and its own stores read that as AND.
        condition: Any = FilterCondition.AND if filters.condition is None else filters.condition
        if found and (not isinstance(condition, str) or condition not in _JOINING):
            raise FilterError(f"unknown filter condition {quoted(condition)}; known: and, or, not")
        made[id(filters)] = {_JOINING[FilterCondition(condition)]: found} if found else None
    return made[id(filters)]


def _comparison(one: Any) -> FilterDict:
    if not isinstance(one, MetadataFilter):
        raise FilterError(f"a filter must be a MetadataFilter, got {shown(one)}")
    if not isinstance(one.key, str):
        raise FilterError(f"the key of a MetadataFilter must be a string, got {shown(one.key)}")
    named: Any = vars(one).get("operator")  # what cannot be looked up is no operator, either
    is_known = isinstance(named, str) and named in list(FilterOperator)
    translate = _OPERATORS.get(FilterOperator(named)) if is_known else None
    if translate is None:
        known = ", ".join(operator.name for operator in FilterOperator)
        raise FilterError(
            f"key {quoted(one.key)}: unknown operator {quoted(one.operator)}; known: {known}"
        )
    # A filter dict takes a key that begins with one $ for an operator.
    key = f"${one.key}" if one.key.startswith("$") else one.key
    return translate(one.model_copy(update={"key": key}))


def _equal(one: MetadataFilter) -> FilterDict:
    _require(one, (int, float, str, list, type(None)), "a single value, a list or None")
    return {one.key: {"$eq": one.value}}


def _unequal(one: MetadataFilter) -> FilterDict:
    if one.value is None:
        return {one.key: {"$ne": None}}
    return {"$and": [_of_type(one, [one.value]), {one.key: {"$ne": one.value}}]}


def _not_in(one: MetadataFilter) -> FilterDict:
    values = _list_of(one)
    # No value says which type is meant, so every value of any type is none of them.
    guard = _of_type(one, values) if values else {one.key: {"$ne": None}}
    return {"$and": [guard, {one.key: {"$nin": values}}]}


def _of_type(one: MetadataFilter, values: list[Any]) -> FilterDict:
    """What lets every value of a type pass that ``values`` has, and nothing else."""
    types = {str if isinstance(v, str) else list if isinstance(v, list) else float for v in values}
    every: dict[type, list[FilterDict]] = {
        str: [{one.key: {"$gte": ""}}],
        float: [{one.key: {"$gte": 0}}, {one.key: {"$lt": 0}}],
        list: [{one.key: {"$all": []}}],
    }
    return {"$or": [condition for each in sorted(types, key=str) for condition in every[each]]}


def _list_of(one: MetadataFilter) -> list[Any]:
    _require(one, (list,), "a list")
    return list(one.value) if isinstance(one.value, list) else []


def _ordered(operator: str) -> Callable[[MetadataFilter], FilterDict]:
    def translate(one: MetadataFilter) -> FilterDict:
        _require(one, (int, float, str), "a number or a string")
        return {one.key: {operator: one.value}}

    return translate


def _listed(operator: str) -> Callable[[MetadataFilter], FilterDict]:
    return lambda one: {one.key: {operator: _list_of(one)}}


def _textual(operator: str) -> Callable[[MetadataFilter], FilterDict]:
    def translate(one: MetadataFilter) -> FilterDict:
        _require(one, (str,), "a string")
        return {one.key: {operator: one.value}}

    return translate


def _contains(one: MetadataFilter) -> FilterDict:
    _require(one, (int, float, str), "a number or a string")
    return {one.key: {"$contains": one.value}}


def _empty(one: MetadataFilter) -> FilterDict:
    return {one.key: {"$empty": True}}


def _require(one: MetadataFilter, types: tuple[type, ...], what: str) -> None:
    if not isinstance(one.value, types):
        key = one.key.removeprefix("$") if one.key.startswith("$$") else one.key
        name = FilterOperator(one.operator).name
        raise FilterError(f"key {quoted(key)}: {name} needs {what}, got {shown(one.value)}")


_OPERATORS: Final[dict[FilterOperator, Callable[[MetadataFilter], FilterDict]]] = {
    FilterOperator.EQ: _equal,
    FilterOperator.NE: _unequal,
    FilterOperator.GT: _ordered("$gt"),
    FilterOperator.GTE: _ordered("$gte"),
    FilterOperator.LT: _ordered("$lt"),
    FilterOperator.LTE: _ordered("$lte"),
    FilterOperator.IN: _listed("$in"),
    FilterOperator.NIN: _not_in,
    FilterOperator.ANY: _listed("$any"),
    FilterOperator.ALL: _listed("$all"),
    FilterOperator.CONTAINS: _contains,
    FilterOperator.TEXT_MATCH: _textual("$substring"),
    FilterOperator.TEXT_MATCH_INSENSITIVE: _textual("$isubstring"),
    FilterOperator.IS_EMPTY: _empty,
}
