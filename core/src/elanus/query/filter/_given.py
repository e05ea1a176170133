"""Filters as callers give them, made trees: the one door into the language."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import lru_cache
from sys import getsizeof
from types import NoneType
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from elanus.errors import FilterError, shown
from elanus.query.filter import _tree as tree
from elanus.query.filter._bind import bind
from elanus.query.filter._expected import expected_keys
from elanus.query.filter._from_dict import filter_from_dict
from elanus.query.filter._parser import LONGEST_REMEMBERED, parse_filter, remembered
from elanus.query.filter._rebase import rebase_names
from elanus.schema import Rejected, is_mapping, mapping, plain_scalar

if TYPE_CHECKING:
    from collections.abc import Collection

_Signature = tuple[Any, ...]

_PLAIN: Final = frozenset({str, int, float, bool, NoneType, tree.Expression})
_KNOWN: Final = _PLAIN | {dict, list, tuple, set, frozenset}
_WRITTEN: Final = frozenset({date, datetime, UUID})  # which mean what their text means
_ALIKE: Final = ({str}, {int})  # lists of one such type need no look at each
_MOST: Final = 512
# What is larger is mostly a list of keys that comes once.
_MOST_BYTES: Final = 32 * 1024

# No lock: each step is one of C's, and a thread that comes between two loses an entry at most.
_made: OrderedDict[_Signature, tree.Expression] = OrderedDict()


def as_filter(
    given: Any,
    params: Mapping[str, Any] | None = None,
    *,
    root: str = "",
    searched: Collection[str] = (),
    also: tuple[str, Mapping[str, Any]] | None = None,
) -> tree.Expression | None:
    """Make a filter of what a caller gives: a tree whose templates have values.

    What was given lately gives the same object again, whether text, dict or text with values:
    masks are kept by identity.

    Args:
        given: text or an ``Expression``; with a ``root`` a dict as well. None, the empty text and
            the empty dict let everything pass.
        params: values for the templates.
        root: a JSON field: bare names, and the keys of a dict, are its keys. Without one they are
            fields.
        searched: with a ``root``, the fields that ``text_match`` may search; ``$text`` of a dict
            is the first of them.
        also: another filter that must hold, over fields: its text and its values.

    Returns:
        The filter; None if it lets everything pass.

    Raises:
        ParamError: ``params`` is no dict.
        FilterError: it is no filter, or a template has no value.
    """
    values = None if params is None else mapping("filter_params", params)
    if isinstance(given, str) and not given:
        given = None
    found: tree.Expression | None
    if also is None and not root:
        found = _parsed(given) if isinstance(given, str) else given
        if found is None or (isinstance(found, tree.Expression) and not found.templates):
            return found
    signature = _signature((given, values, also, root, *searched))
    found = None if signature is None else _made.get(signature)
    if found is None:
        found = _make(given, values, root, searched)
        if root and found is not None:
            found = replace(found, expected=expected_keys(found.root, root))
        if also is not None:
            found = _both(found, bind(_parsed(also[0]), also[1]))
        if signature is not None and found is not None:
            _made[signature] = found
            if len(_made) > _MOST:
                _made.popitem(last=False)
    return found


@lru_cache(maxsize=256)
def with_phrases(
    scope: tree.Expression | None, field: str, phrases: tuple[str, ...]
) -> tree.Expression | None:
    """A filter that also asks for phrases in an analysed field; the same object for the same."""
    nodes: list[tree.Node] = [
        tree.PhraseMatch(
            None, tree.Path(None, field), tree.Literal(None, phrase), tree.Literal(None, 0)
        )
        for phrase in phrases
    ]
    if not nodes:
        return scope
    given = tree.Expression("", nodes.pop()) if scope is None else scope
    root = tree.And(None, (given.root, *nodes)) if nodes else given.root
    return replace(given, root=root)


def _parsed(text: str) -> tree.Expression:
    return remembered(text) if len(text) <= LONGEST_REMEMBERED else parse_filter(text)


def _make(
    given: Any, params: Mapping[str, Any] | None, root: str, searched: Collection[str]
) -> tree.Expression | None:
    if given is None:
        return None
    if root and is_mapping(given):
        return filter_from_dict(given, root, next(iter(searched), ""))
    if not isinstance(given, (str, tree.Expression)):
        raise FilterError(f"a filter is a string, got {shown(given)}")
    parsed = _parsed(given) if isinstance(given, str) else given
    bound = bind(parsed, params)
    return rebase_names(bound, root, searched) if root else bound


def _both(one: tree.Expression | None, other: tree.Expression) -> tree.Expression:
    if one is None:
        return other
    return replace(one, root=tree.And(None, (one.root, other.root)))


def _signature(given: _Signature) -> _Signature | None:
    """All that is in some values, one behind the other, each with its type.

    Equal signatures mean the same filter: ``1``, ``1.0`` and ``True`` differ, and so do ``0.0``
    and ``-0.0``. None for what is large, holds itself, or has values of other types: numpy's, say,
    or such as others may define, whose equality says nothing.
    """
    found: list[Any] = []
    room = _MOST_BYTES
    waiting: list[Any] = [given]
    while waiting:
        value = waiting.pop()
        kind = type(value)
        if kind in _WRITTEN:
            try:
                kind, value = str, plain_scalar(value)
            except Rejected:  # who makes the filter says why
                return None
        if kind not in _KNOWN or (room := room - getsizeof(value)) < 0:
            return None
        if kind in _PLAIN:
            found += kind, value.hex() if kind is float else value
            continue
        found += kind, len(value)
        if kind is dict:
            waiting += (*value.values(), *value)
        elif set(map(type, value)) in _ALIKE:
            found.append(tuple(value))
            room -= sum(map(getsizeof, value))
        else:
            waiting += value
    return tuple(found) if room >= 0 else None
