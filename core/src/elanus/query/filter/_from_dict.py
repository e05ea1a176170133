"""Filters given as dicts, as ``{"year": {"$gte": 2020}, "lang": "en"}``, made trees.

Also what null and missing keys do there, where nothing is ever unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np

from elanus.errors import FilterError, likely, shown
from elanus.query.filter import _tree as tree
from elanus.query.filter._bind import plain_value
from elanus.query.filter._lexer import is_encodable
from elanus.query.filter.patterns._regex import compile_regex
from elanus.schema import Rejected, is_mapping, plain_scalar

_Make: TypeAlias = Callable[[tree.Node, tree.Node], tree.Node]

_NUMBER_OR_STRING: Final = ((int, float, str), "a number or a string")
_STRING: Final = ((str,), "a string")
_LIST: Final = ((list, tuple, set, frozenset), "a list")
# Of each operator that becomes one condition: what it takes, and the condition.
_TESTS: Final[dict[str, tuple[tuple[type, ...], str, _Make]]] = {
    "$gt": (*_NUMBER_OR_STRING, partial(tree.Compare, None, ">")),
    "$gte": (*_NUMBER_OR_STRING, partial(tree.Compare, None, ">=")),
    "$lt": (*_NUMBER_OR_STRING, partial(tree.Compare, None, "<")),
    "$lte": (*_NUMBER_OR_STRING, partial(tree.Compare, None, "<=")),
    "$like": (*_STRING, partial(tree.Like, None)),
    "$regex": (*_STRING, partial(tree.Regex, None)),
    "$substring": (*_STRING, partial(tree.Like, None)),
    "$isubstring": (*_STRING, partial(tree.HoldsText, None)),
    "$contains": ((object,), "a value", partial(tree.Contains, None, "json_contains", "one")),
    "$any": (*_LIST, partial(tree.Contains, None, "json_contains_any", "any")),
    "$all": (*_LIST, partial(tree.Contains, None, "json_contains_all", "all")),
}
OPERATORS: Final = (*("$eq", "$ne", "$in", "$nin", *_TESTS, "$exists", "$empty", "$not"),)
_OF_TEXT: Final = (
    *("$eq", "$ne", "$in", "$nin", "$gt", "$gte", "$lt", "$lte"),
    *("$like", "$regex", "$substring", "$isubstring", "$match", "$phrase", "$not"),
)
_JOINING: Final = ("$and", "$or", "$nor", "$not")
_TEXT: Final = "$text"
_LITERAL: Final = str.maketrans({each: f"\\{each}" for each in "\\%_"})
# Dicts are walked by recursion; the tree that comes out has a limit of its own.
_MAX_NESTING: Final = 40
# How often dicts may be met again: one that is in another twice, and so on, is small and endless.
_MAX_AGAIN: Final = 100_000


def filter_from_dict(query: Mapping[str, Any], root: str, text: str = "") -> tree.Expression | None:
    """Translate a dict in the manner of MongoDB to a filter.

    ``{"key": value}`` asks for equality, ``{"key": {"$operator": value, …}}`` for all of some
    operators, several keys for all of them; ``$and $or $nor`` take lists of such dicts and
    ``$not`` one. ``{"a": {"b": …}}`` asks of the key ``b`` of what ``a`` holds, and so does
    ``{"a.b": …}``, unless ``"a.b"`` is itself a key of the document; ``"$$x"`` is the key ``$x``.
    The operators:

    * ``$eq $ne $in $nin``: equality; None, or NaN, equals a missing key as well as null.
    * ``$gt $gte $lt $lte``: order of numbers, or of strings.
    * ``$like``: ``%`` and ``_`` stand for characters; ``$regex``: the regular expression occurs;
      ``$substring``: the string occurs, ``$isubstring``: whatever its case.
    * ``$contains``: an array holds the value; ``$any``, ``$all``: any, or all, of several.
    * ``$exists``: the key is there, and not null; ``$empty``: it is missing, or its value is
      null, ``""`` or ``[]``. Both take True or False.
    * ``$not``: the opposite of a dict of operators.

    ``$text`` in the place of a key is the document's own text. It takes the operators of strings,
    and ``$match``: it holds one of the words, as the analyzer makes them, and ``$phrase``: it holds
    all of them, one right behind the other.

    A test of a missing key, of null or of a value of another type does not match, and ``$ne``,
    ``$nin``, ``$not`` and ``$nor`` find exactly what their opposite does not. Values are read as
    `plain_scalar` says, as those of metadata are when they are stored.

    Args:
        query: the conditions.
        root: name of the JSON field that holds the keys.
        text: name of the field that ``$text`` is; empty if there is none.

    Returns:
        The filter; None of an empty dict, which lets everything pass.

    Raises:
        FilterError: an operator that does not exist, or a value that it cannot take.
    """
    given: Any = query  # whatever a caller passes
    if is_mapping(given) and not given:
        return None
    node = _Translation(root, text).conditions(given, nesting=0)
    tree.check_depth(node, "")
    return tree.Expression("", node)


class _Translation:
    """One translation; it counts the dicts."""

    def __init__(self, root: str, text: str) -> None:
        self._root = tree.Path(None, root)
        self._text = tree.Path(None, text) if text else None
        self._met: set[int] = set()
        self._again = 0

    def conditions(self, query: Any, nesting: int) -> tree.Node:
        if not is_mapping(query) or not query:
            raise FilterError(f"a filter dict needs at least one condition, got {shown(query)}")
        self._count(query, nesting)
        return _joined(tree.And, [self._item(*item, nesting + 1) for item in query.items()])

    def _count(self, query: Mapping[Any, Any], nesting: int) -> None:
        _check_nesting(nesting)
        self._again += id(query) in self._met
        self._met.add(id(query))
        if self._again > _MAX_AGAIN:
            raise FilterError(
                f"a filter dict holds the same dicts more than {_MAX_AGAIN:,} times; say each "
                f"condition once: {shown(query)}"
            )

    def _item(self, key: Any, value: Any, nesting: int) -> tree.Node:
        if not isinstance(key, str):
            raise FilterError(f"a key of a filter dict is a string, got {shown(key)}")
        if not _is_operator(key):
            return self._key(self._root, key, value, nesting)
        if key == "$not":
            return _opposite(self.conditions(value, nesting))
        if key == _TEXT and self._text is not None:
            return self._of_text(self._text, value, nesting)
        if key not in _JOINING:
            raise _unknown(key, _JOINING if self._text is None else (*_JOINING, _TEXT))
        if not isinstance(value, (list, tuple)) or not value:
            raise FilterError(f"{key} needs a list of filter dicts, got {shown(value)}")
        parts = [self.conditions(each, nesting) for each in value]
        joined = _joined(tree.And if key == "$and" else tree.Or, parts)
        return _opposite(joined) if key == "$nor" else joined

    def _key(self, above: tree.Path, key: str, value: Any, nesting: int) -> tree.Node:
        if not is_encodable(key):
            raise FilterError(f"a key of a filter dict is a string, got {shown(key)}")
        key = str.__str__(key)
        key = key[1:] if key.startswith("$$") else key
        path = tree.Path(None, above.name, (*above.steps, key_step(key)))
        return self._at(path, key, value, nesting)

    def _at(self, path: tree.Path, key: str, value: Any, nesting: int) -> tree.Node:
        """What is asked of a path: its value, operators, or the keys below it."""
        if not is_mapping(value):
            return _equal(path, key, value)
        if not value:
            raise FilterError(f"key {key!r:.80} has no operator; known: {', '.join(OPERATORS)}")
        below = [inner for inner in value if isinstance(inner, str) and not _is_operator(inner)]
        if not below:
            _check_nesting(nesting)
            return self._tests(path, key, value, nesting)
        if len(below) < len(value):
            other = next(o for o in value if not isinstance(o, str) or _is_operator(o))
            raise FilterError(
                f"key {key!r:.80} has both operators and keys below it: {shown(other)} beside "
                f"{shown(below[0])}; ask for them apart, joined by $and"
            )
        self._count(value, nesting)
        parts = [self._key(path, inner, value[inner], nesting + 1) for inner in below]
        return _joined(tree.And, parts)

    def _of_text(self, path: tree.Path, value: Any, nesting: int) -> tree.Node:
        """What is asked of the document's own text, which is always a string."""
        if not is_mapping(value):
            value = {"$eq": value}
        for operator, operand in value.items():
            if not isinstance(operator, str) or operator not in _OF_TEXT:
                raise _unknown(operator, _OF_TEXT)
            if operator == "$eq":
                _require(_TEXT, operator, operand, *_STRING)
        if not value:
            raise FilterError(f"{_TEXT} has no operator; known: {', '.join(_OF_TEXT)}")
        _check_nesting(nesting)
        return self._tests(path, _TEXT, value, nesting)

    def _tests(
        self, path: tree.Path, key: str, tests: Mapping[Any, Any], nesting: int
    ) -> tree.Node:
        return _joined(tree.And, [self._test(path, key, *item, nesting) for item in tests.items()])

    def _test(
        self, path: tree.Path, key: str, operator: Any, operand: Any, nesting: int
    ) -> tree.Node:
        if not isinstance(operator, str):  # which may have no truth when it is compared
            raise _unknown(operator, OPERATORS)
        match operator:
            case "$eq":
                return _equal(path, key, operand)
            case "$ne":
                return _opposite(_equal(path, key, operand))
            case "$in":
                return _one_of(path, key, operator, operand)
            case "$nin":
                return _opposite(_one_of(path, key, operator, operand))
            case "$exists":
                _require(key, operator, operand, (bool,), "True or False")
                return (tree.Exists if operand else tree.IsNull)(None, path)
            case "$empty":
                _require(key, operator, operand, (bool,), "True or False")
                empty = [_equal(path, key, value) for value in (None, "", ())]
                return _joined(tree.Or, empty) if operand else _opposite(_joined(tree.Or, empty))
            case "$not":
                if not is_mapping(operand):
                    raise FilterError(
                        f"key {key!r:.80}: $not needs operators, got {shown(operand)}"
                    )
                if path is self._text:
                    return _opposite(self._of_text(path, operand, nesting + 1))
                return _opposite(self._at(path, key, operand, nesting + 1))
            case "$match" | "$phrase" if path is self._text:
                _require(key, operator, operand, *_STRING)
                search = tree.TextMatch if operator == "$match" else tree.PhraseMatch
                number = tree.Literal(None, search.least)
                return search(None, path, _value(key, operand), number)
        if operator not in _TESTS:
            raise _unknown(operator, OPERATORS)
        return _comparison(path, key, operator, operand)


def _is_operator(key: str) -> bool:
    return key.startswith("$") and not key.startswith("$$")


def key_step(key: str) -> tree.Step:
    """Return a key, or several that may stand for one with dots between them."""
    parts = tuple(key.split("."))
    return parts if len(parts) > 1 and all(parts) else key


def _comparison(path: tree.Path, key: str, operator: str, operand: Any) -> tree.Node:
    types, what, make = _TESTS[operator]
    operand = _members(operand) if types is _LIST[0] else _plain(key, operand)
    _require(key, operator, operand, types, what)
    if operator == "$substring":
        operand = f"%{operand.translate(_LITERAL)}%"
    if operator == "$regex":
        try:
            compile_regex(operand)
        except ValueError as error:
            raise FilterError(f"key {key!r:.80}: $regex {operand!r:.80}: {error}") from None
    return make(path, _value(key, operand))


def _equal(path: tree.Path, key: str, value: Any) -> tree.Node:
    if _is_nothing(plain := _plain(key, value)):
        return tree.IsNull(None, path)
    if isinstance(value, (set, frozenset)):
        raise FilterError(
            f"the value of key {key!r:.80} is {shown(value)}: nothing that is stored equals a set; "
            "give a list, or ask for one of several values by $in"
        )
    return tree.Compare(None, "==", path, _value(key, plain))


def _members(values: Any) -> Any:
    """The members of an array of numpy; anything else as it is."""
    return list(values) if isinstance(values, np.ndarray) and values.ndim else values


def _one_of(path: tree.Path, key: str, operator: str, values: Any) -> tree.Node:
    values = _members(values)
    _require(key, operator, values, *_LIST)
    given = [value for value in values if not _is_nothing(_plain(key, value))]
    listed = tree.In(None, path, _value(key, given))
    if len(given) == len(values):
        return listed
    return tree.Or(None, (listed, tree.IsNull(None, path)))


def _is_nothing(value: Any) -> bool:
    """Whether a value is stored as null: None, and NaN."""
    return value is None or (type(value) is float and value != value)  # noqa: PLR0124


def _plain(key: str, value: Any) -> Any:
    try:
        return plain_scalar(value)
    except Rejected as rule:
        raise FilterError(f"the value of key {key!r:.80} is {shown(value)}: {rule}") from None


def _value(key: str, value: Any) -> tree.Node:
    try:
        plain = plain_value(value)
    except TypeError as error:
        raise FilterError(f"the value of key {key!r:.80} {error}") from None
    if _holds_nan(plain):
        raise FilterError(
            f"the value of key {key!r:.80} is or holds NaN, which is stored as null, and nothing "
            f"but null itself can be asked for: {shown(value)}"
        )
    return tree.literal(None, plain)


def _holds_nan(value: Any) -> bool:
    return any(map(_holds_nan, value)) if type(value) is tuple else _is_nothing(value)


def _require(key: str, operator: str, value: Any, types: tuple[type, ...], what: str) -> None:
    # A bool is an int to Python, and no number to a filter.
    stray = isinstance(value, bool) and int in types
    if stray or not isinstance(value, types):
        raise FilterError(f"key {key!r:.80}: {operator} needs {what}, got {shown(value)}")


def _check_nesting(nesting: int) -> None:
    if nesting > _MAX_NESTING:
        raise FilterError(f"a filter dict may nest {_MAX_NESTING} levels, this one has more")


def _joined(join: type[tree.And | tree.Or], parts: list[tree.Node]) -> tree.Node:
    return parts[0] if len(parts) == 1 else join(None, tuple(parts))


def _opposite(node: tree.Node) -> tree.Node:
    """True wherever the condition is not: also where it is unknown, unlike ``not``."""
    return tree.Not(None, tree.IsTrue(None, node))


def _unknown(operator: Any, known: tuple[str, ...]) -> FilterError:
    name = f"{operator!r:.80}" if isinstance(operator, str) else shown(operator)
    return FilterError(
        f"unknown operator {name}; known: {', '.join(known)}{likely(operator, known)}"
    )
