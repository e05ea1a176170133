"""Filters given as dicts, as ``{"year": {"$gte": 2020}, "lang": "en"}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from elanus.errors import FilterError
from elanus.query._filter_bind import plain_value
from elanus.query._filter_lexer import is_encodable

_ORDER: Final = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_COMPARING: Final = (
    *("$eq", "$ne", *_ORDER, "$in", "$nin", "$exists", "$like", "$contains", "$not"),
)
_JOINING: Final = ("$and", "$or", "$nor", "$not")
# The text that comes out is parsed, which has a limit of its own.
_MAX_NESTING: Final = 40
_QUOTED: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"})


def filter_from_dict(query: Mapping[str, Any], root: str) -> tuple[str, dict[str, Any]]:
    """Translate a dict in the manner of MongoDB to a filter and its parameters.

    ``{"key": value}`` asks for equality, ``{"key": {"$operator": value, …}}`` for all of
    ``$eq $ne $gt $gte $lt $lte $in $nin $exists $like $contains $not``, several keys for all of
    them, ``$and $or $nor`` take lists of such dicts and ``$not`` one. A key is one key:
    ``"a.b"`` is not a path. Values never become part of the filter's text.

    A document without the key, or with null there, equals None only: ``{"$eq": None}`` finds
    it. ``$ne``, ``$nin``, ``$not`` and ``$nor`` find it wherever the opposite does not. An order
    (``$gt`` …), ``$like`` and ``$contains`` do not match values of another type, neither plain
    nor under ``$not``.

    Args:
        query: the conditions; an empty dict gives an empty text.
        root: name of the JSON field that holds the keys.

    Returns:
        The filter's text and the values of its templates.

    Raises:
        FilterError: an operator that does not exist, or a value that it cannot take.
    """
    translation = _Translation(root)
    if query == {}:
        return "", {}
    text = translation.conditions(query, negated=False, nesting=0)
    return text, translation.params


class _Translation:
    """One translation; collects the parameters.

    Negations move down to the single comparisons, because the opposite of a comparison with a
    missing key is true here, and unknown in the filter language.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self.params: dict[str, Any] = {}

    def conditions(self, query: Any, *, negated: bool, nesting: int) -> str:
        if not isinstance(query, Mapping) or not query:
            raise FilterError(f"a filter dict needs at least one condition, got {query!r:.80}")
        if nesting > _MAX_NESTING:
            raise FilterError(f"a filter dict may nest {_MAX_NESTING} levels, this one has more")
        parts = [self._item(key, value, negated, nesting + 1) for key, value in query.items()]
        return _joined(parts, conjunction=not negated)

    def _item(self, key: Any, value: Any, negated: bool, nesting: int) -> str:
        if not isinstance(key, str) or not is_encodable(key):
            raise FilterError(f"a key of a filter dict is a string, got {key!r:.80}")
        if not key.startswith("$"):
            return self._key(key, value, negated, nesting)
        if key == "$not":
            return self.conditions(value, negated=not negated, nesting=nesting)
        if key not in _JOINING:
            raise _unknown(key, _JOINING)
        if not isinstance(value, (list, tuple)) or not value:
            raise FilterError(f"{key} needs a list of filter dicts, got {value!r:.80}")
        inner = negated != (key == "$nor")
        parts = [self.conditions(each, negated=inner, nesting=nesting) for each in value]
        return _joined(parts, conjunction=(key == "$and") != inner)

    def _key(self, key: str, value: Any, negated: bool, nesting: int) -> str:
        path = f'{self._root}["{key.translate(_QUOTED)}"]'
        if not isinstance(value, Mapping):
            return self._equal(path, key, value, negated)
        if not value:
            raise FilterError(f"key {key!r} has no operator; known: {', '.join(_COMPARING)}")
        if nesting > _MAX_NESTING:
            raise FilterError(f"a filter dict may nest {_MAX_NESTING} levels, this one has more")
        parts = [
            self._comparison(path, key, operator, operand, negated, nesting)
            for operator, operand in value.items()
        ]
        return _joined(parts, conjunction=not negated)

    def _comparison(
        self, path: str, key: str, operator: Any, operand: Any, negated: bool, nesting: int
    ) -> str:
        match operator:
            case "$eq" | "$ne":
                return self._equal(path, key, operand, negated != (operator == "$ne"))
            case "$in" | "$nin":
                return self._one_of(path, key, operand, negated != (operator == "$nin"))
            case "$gt" | "$gte" | "$lt" | "$lte":
                self._require(operator, key, operand, (int, float, str), "a number or a string")
                return self._leaf(
                    path, f"{path} {_ORDER[operator]} {self._bind(key, operand)}", negated
                )
            case "$like":
                self._require(operator, key, operand, (str,), "a pattern")
                return self._leaf(path, f"{path} like {self._bind(key, operand)}", negated)
            case "$contains":
                text = f"json_contains({path}, {self._bind(key, operand)})"
                return self._leaf(path, text, negated)
            case "$exists":
                self._require(operator, key, operand, (bool,), "True or False")
                return f"exists {path}" if operand != negated else f"not (exists {path})"
            case "$not":
                return self._key(key, self._operators(key, operand), not negated, nesting + 1)
        raise _unknown(operator, _COMPARING)

    def _equal(self, path: str, key: str, value: Any, negated: bool) -> str:
        if value is None:
            return f"{path} is {'not null' if negated else 'null'}"
        return self._leaf(path, f"{path} == {self._bind(key, value)}", negated)

    def _one_of(self, path: str, key: str, values: Any, negated: bool) -> str:
        if not isinstance(values, (list, tuple, set, frozenset)):
            raise FilterError(f"key {key!r}: $in and $nin need a list, got {values!r:.80}")
        text = f"{path} in {self._bind(key, [value for value in values if value is not None])}"
        if None not in values:
            return self._leaf(path, text, negated)
        return f"not ({text})" if negated else f"({text} or {path} is null)"

    @staticmethod
    def _leaf(path: str, text: str, negated: bool) -> str:
        return f"(not ({text}) or {path} is null)" if negated else text

    def _bind(self, key: str, value: Any) -> str:
        name = f"p{len(self.params)}"
        try:
            self.params[name] = _unfrozen(plain_value(value))
        except TypeError as error:
            raise FilterError(f"the value of key {key!r} {error}") from None
        return f"{{{name}}}"

    @staticmethod
    def _require(operator: str, key: str, value: Any, types: tuple[type, ...], what: str) -> None:
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise FilterError(f"key {key!r}: {operator} needs {what}, got {value!r:.80}")

    @staticmethod
    def _operators(key: str, value: Any) -> Mapping[Any, Any]:
        if not isinstance(value, Mapping):
            raise FilterError(f"key {key!r}: $not needs a dict of operators, got {value!r:.80}")
        return value


def _joined(parts: list[str], *, conjunction: bool) -> str:
    if len(parts) == 1:
        return parts[0]
    return f"({(' and ' if conjunction else ' or ').join(parts)})"


def _unfrozen(value: Any) -> Any:
    return list(map(_unfrozen, value)) if isinstance(value, tuple) else value


def _unknown(operator: Any, known: tuple[str, ...]) -> FilterError:
    return FilterError(f"unknown operator {operator!r}; known: {', '.join(known)}")
