"""Which documents a call is about: filters over metadata keys, and ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from elanus.documents._collection import ID, METADATA, TEXT
from elanus.documents._input import checked_ids
from elanus.errors import ParamError
from elanus.query import bind, filter_from_dict, parse_filter, rebase_names
from elanus.schema import mapping, refuse

Filter: TypeAlias = str | Mapping[str, Any] | None
"""An expression in which bare names are metadata keys, or a dict; None lets everything pass."""

# No template of filter_from_dict has this name.
_IDS = "ids_"


def selects(filter: Any) -> bool:
    """Whether a filter is given: None, ``""`` and ``{}`` let everything pass."""
    return filter is not None and not (isinstance(filter, (str, Mapping)) and not filter)


def make_scope(
    filter: Filter, ids: Any = None, given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The client's ``filter`` and ``filter_params``.

    Args:
        filter: over metadata keys.
        ids: the ids to look among.
        given: values of the filter's templates.

    Raises:
        ParamError: if an argument is of the wrong type; FilterError: if the filter is wrong.
    """
    text, params = _expression(filter, given)
    if ids is not None:
        text = f"({text}) and {ID} in {{{_IDS}}}" if text else f"{ID} in {{{_IDS}}}"
        params = {**params, _IDS: checked_ids(ids)}
    return {"filter": text, "filter_params": params}


def _expression(filter: Filter, given: Mapping[str, Any] | None) -> tuple[str, dict[str, Any]]:
    params = mapping("filter_params", given)
    if params and not isinstance(filter, str):
        raise ParamError("filter_params go with an expression; a dict binds its own values")
    if filter is None or (isinstance(filter, str) and not filter):
        return "", {}
    if isinstance(filter, str):
        # Here already, so that an error shows the filter as it was written.
        parsed = parse_filter(filter)
        bind(parsed, params)
        return rebase_names(parsed, METADATA, {TEXT}), params
    if not isinstance(filter, Mapping):
        refuse("filter", "an expression or a dict", filter)
    return filter_from_dict(filter, METADATA)
