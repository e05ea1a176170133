"""Which documents a call is about: filters over metadata keys, and ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from elanus.documents._collection import ID, METADATA, TEXT
from elanus.documents._input import checked_ids
from elanus.errors import ParamError
from elanus.query import Expression, Step, as_filter, key_step
from elanus.schema import is_mapping, is_whole, mapping, refuse

Filter: TypeAlias = str | Mapping[str, Any] | None
"""An expression in which bare names are metadata keys, or a dict; None lets everything pass."""

Key: TypeAlias = str | Sequence[str | int]
"""A metadata key as dicts have them, or the keys and positions that lead to a value."""

_AMONG = f"{ID} in {{ids_}}"


def selects(filter: Any) -> bool:
    """Whether a filter is given: None, ``""`` and ``{}`` let everything pass."""
    return filter is not None and not (
        (isinstance(filter, str) or is_mapping(filter)) and not filter
    )


def make_scope(
    filter: Filter, ids: Any = None, given: Mapping[str, Any] | None = None
) -> Expression | None:
    """The client's filter; None if every document is meant.

    Args:
        filter: over metadata keys.
        ids: the ids to look among.
        given: values of the filter's templates.

    Raises:
        ParamError: if an argument is of the wrong type; FilterError: if the filter is wrong.
    """
    if not isinstance(filter, str):
        if given is not None and mapping("filter_params", given):
            raise ParamError("filter_params go with an expression; a dict binds its own values")
        if filter is not None and type(filter) is not dict and not is_mapping(filter):
            refuse("filter", "an expression or a dict", filter)
    among = None if ids is None else (_AMONG, {"ids_": checked_ids(ids)})
    return as_filter(filter, given, root=METADATA, searched=(TEXT,), also=among)


def key_path(what: str, given: Any) -> list[Step]:
    """What leads to a metadata value.

    Args:
        what: name of the argument, for errors.
        given: a key as in a filter that is a dict, in which a dot may lead into a nested dict; or
            a list of keys and positions, each as it is written.

    Raises:
        ParamError: if it is neither.
    """
    if isinstance(given, str):
        return [key_step(str.__str__(given))]
    if not isinstance(given, (list, tuple)) or not given or not all(map(_is_step, given)):
        refuse(what, "a metadata key, or the keys and positions that lead to a value", given)
    return [str.__str__(step) if isinstance(step, str) else int(step) for step in given]


def _is_step(step: Any) -> bool:
    return isinstance(step, str) or (is_whole(step) and step >= 0)
