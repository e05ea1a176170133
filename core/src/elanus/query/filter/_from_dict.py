"""Filters given as dicts, as ``{"year": {"$gte": 2020}, "lang": "en"}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from elanus.errors import FilterError, shown
from elanus.query.filter._bind import plain_value
from elanus.query.filter._lexer import is_encodable
from elanus.query.filter.patterns._regex import compile_regex

_NUMBER_OR_STRING: Final = ((int, float, str), "a number or a string")
_STRING: Final = ((str,), "a string")
_LIST: Final = ((list, tuple, set, frozenset), "a list")
# Of each operator that becomes one comparison: what it takes, and the comparison.
_TESTS: Final[dict[str, tuple[tuple[type, ...], str, str]]] = {
    "$gt": (*_NUMBER_OR_STRING, "{path} > {value}"),
    "$gte": (*_NUMBER_OR_STRING, "{path} >= {value}"),
    "$lt": (*_NUMBER_OR_STRING, "{path} < {value}"),
    "$lte": (*_NUMBER_OR_STRING, "{path} <= {value}"),
    "$like": (*_STRING, "{path} like {value}"),
    "$regex": (*_STRING, "{path} =~ {value}"),
    "$substring": (*_STRING, "{path} like {value}"),
    "$isubstring": (*_STRING, "icontains({path}, {value})"),
    "$contains": ((object,), "a value", "json_contains({path}, {value})"),
    "$any": (*_LIST, "json_contains_any({path}, {value})"),
    "$all": (*_LIST, "json_contains_all({path}, {value})"),
}
_COMPARING: Final = (*("$eq", "$ne", "$in", "$nin", *_TESTS, "$exists", "$empty", "$not"),)
_JOINING: Final = ("$and", "$or", "$nor", "$not")
_LITERAL: Final = str.maketrans({each: f"\\{each}" for each in "\\%_"})
# The text that comes out is parsed, which has a limit of its own.
_MAX_NESTING: Final = 40
# How often dicts may be met again: one that is in another twice, and so on, is small and endless.
_MAX_AGAIN: Final = 100_000
_QUOTED: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"})


def filter_from_dict(query: Mapping[str, Any], root: str) -> tuple[str, dict[str, Any]]:
    """Translate a dict in the manner of MongoDB to a filter and its parameters.

    ``{"key": value}`` asks for equality, ``{"key": {"$operator": value, …}}`` for all of some
    operators, several keys for all of them; ``$and $or $nor`` take lists of such dicts and
    ``$not`` one. A key is one key: ``"a.b"`` is not a path, and ``"$$x"`` is the key ``$x``.
    Values never become part of the filter's text. The operators:

    * ``$eq $ne $in $nin``: equality; None equals a missing key as well as null.
    * ``$gt $gte $lt $lte``: order of numbers, or of strings.
    * ``$like``: ``%`` and ``_`` stand for characters; ``$regex``: the regular expression occurs;
      ``$substring``: the string occurs, ``$isubstring``: whatever its case.
    * ``$contains``: an array holds the value; ``$any``, ``$all``: any, or all, of several.
    * ``$exists``: the key is there, and not null; ``$empty``: it is missing, or its value is
      null, ``""`` or ``[]``. Both take True or False.
    * ``$not``: the opposite of a dict of operators.

    A test of a missing key, of null or of a value of another type does not match, and ``$ne``,
    ``$nin``, ``$not`` and ``$nor`` find exactly what their opposite does not.

    Args:
        query: the conditions; an empty dict gives an empty text.
        root: name of the JSON field that holds the keys.

    Returns:
        The filter's text and the values of its templates.

    Raises:
        FilterError: an operator that does not exist, or a value that it cannot take.
    """
    translation = _Translation(root)
    given: Any = query  # whatever a caller passes
    if isinstance(given, Mapping) and not given:
        return "", {}
    text = translation.conditions(given, nesting=0)
    return text, translation.params


class _Translation:
    """One translation; collects the parameters."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.params: dict[str, Any] = {}
        self._met: set[int] = set()
        self._again = 0

    def conditions(self, query: Any, nesting: int) -> str:
        if not isinstance(query, Mapping) or not query:
            raise FilterError(f"a filter dict needs at least one condition, got {shown(query)}")
        _check_nesting(nesting)
        self._again += id(query) in self._met
        self._met.add(id(query))
        if self._again > _MAX_AGAIN:
            raise FilterError(
                f"a filter dict holds the same dicts more than {_MAX_AGAIN:,} times; say each "
                f"condition once: {shown(query)}"
            )
        return _joined("and", [self._item(*item, nesting + 1) for item in query.items()])

    def _item(self, key: Any, value: Any, nesting: int) -> str:
        if not isinstance(key, str) or not is_encodable(key):
            raise FilterError(f"a key of a filter dict is a string, got {shown(key)}")
        if not key.startswith("$"):
            return self._key(key, value, nesting)
        if key.startswith("$$"):
            return self._key(key[1:], value, nesting)
        if key == "$not":
            return _opposite(self.conditions(value, nesting))
        if key not in _JOINING:
            raise _unknown(key, _JOINING)
        if not isinstance(value, (list, tuple)) or not value:
            raise FilterError(f"{key} needs a list of filter dicts, got {shown(value)}")
        parts = [self.conditions(each, nesting) for each in value]
        joined = _joined("and" if key == "$and" else "or", parts)
        return _opposite(joined) if key == "$nor" else joined

    def _key(self, key: str, value: Any, nesting: int) -> str:
        path = f'{self._root}["{key.translate(_QUOTED)}"]'
        if not isinstance(value, Mapping):
            return self._equal(path, key, value)
        if not value:
            raise FilterError(f"key {key!r:.80} has no operator; known: {', '.join(_COMPARING)}")
        _check_nesting(nesting)
        parts = [self._test(path, key, *item, nesting) for item in value.items()]
        return _joined("and", parts)

    def _test(self, path: str, key: str, operator: Any, operand: Any, nesting: int) -> str:
        match operator:
            case "$eq":
                return self._equal(path, key, operand)
            case "$ne":
                return _opposite(self._equal(path, key, operand))
            case "$in":
                return self._one_of(path, key, operator, operand)
            case "$nin":
                return _opposite(self._one_of(path, key, operator, operand))
            case "$exists":
                _require(key, operator, operand, (bool,), "True or False")
                return f"exists {path}" if operand else f"{path} is null"
            case "$empty":
                _require(key, operator, operand, (bool,), "True or False")
                text = f'({path} is null or {path} == "" or {path} == [])'
                return text if operand else _opposite(text)
            case "$not":
                if not isinstance(operand, Mapping):
                    raise FilterError(
                        f"key {key!r:.80}: $not needs operators, got {shown(operand)}"
                    )
                return _opposite(self._key(key, operand, nesting + 1))
        if operator not in _TESTS:
            raise _unknown(operator, _COMPARING)
        return self._comparison(path, key, operator, operand)

    def _comparison(self, path: str, key: str, operator: str, operand: Any) -> str:
        types, what, form = _TESTS[operator]
        _require(key, operator, operand, types, what)
        if operator == "$substring":
            operand = f"%{operand.translate(_LITERAL)}%"
        if operator == "$regex":
            try:
                compile_regex(operand)
            except ValueError as error:
                raise FilterError(f"key {key!r:.80}: $regex {operand!r:.80}: {error}") from None
        return form.format(path=path, value=self._bind(key, operand))

    def _equal(self, path: str, key: str, value: Any) -> str:
        return f"{path} is null" if value is None else f"{path} == {self._bind(key, value)}"

    def _one_of(self, path: str, key: str, operator: str, values: Any) -> str:
        _require(key, operator, values, *_LIST)
        # Not `None in values`: an array in there would compare itself element by element.
        given = [value for value in values if value is not None]
        text = f"{path} in {self._bind(key, given)}"
        return f"({text} or {path} is null)" if len(given) < len(values) else text

    def _bind(self, key: str, value: Any) -> str:
        name = f"p{len(self.params)}"
        try:
            self.params[name] = _unfrozen(plain_value(value))
        except TypeError as error:
            raise FilterError(f"the value of key {key!r:.80} {error}") from None
        return f"{{{name}}}"


def _require(key: str, operator: str, value: Any, types: tuple[type, ...], what: str) -> None:
    # A bool is an int to Python, and no number to a filter.
    stray = isinstance(value, bool) and int in types
    if stray or not isinstance(value, types):
        raise FilterError(f"key {key!r:.80}: {operator} needs {what}, got {shown(value)}")


def _check_nesting(nesting: int) -> None:
    if nesting > _MAX_NESTING:
        raise FilterError(f"a filter dict may nest {_MAX_NESTING} levels, this one has more")


def _joined(word: str, parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({f' {word} '.join(parts)})"


def _opposite(text: str) -> str:
    """True wherever the condition is not: also where it is unknown, unlike ``not``."""
    return f"(({text}) is not true)"


def _unfrozen(value: Any) -> Any:
    return list(map(_unfrozen, value)) if isinstance(value, tuple) else value


def _unknown(operator: Any, known: tuple[str, ...]) -> FilterError:
    name = f"{operator!r:.80}" if isinstance(operator, str) else shown(operator)
    return FilterError(f"unknown operator {name}; known: {', '.join(known)}")
