"""Which documents a call is about: filters over metadata keys, and ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from elanus.documents._collection import ID, METADATA, TEXT
from elanus.documents._input import checked_ids
from elanus.errors import ParamError
from elanus.query import Expression, as_filter
from elanus.schema import is_mapping, mapping, refuse

Filter: TypeAlias = str | Mapping[str, Any] | None
"""An expression in which bare names are metadata keys, or a dict; None lets everything pass."""

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
