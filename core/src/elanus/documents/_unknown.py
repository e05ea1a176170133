"""Keywords that a call does not know: refused with the name that may have been meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, NoReturn

from elanus.errors import ParamError, quoted
from elanus.schema import meant


def refuse_unknown(call: Callable[..., Any], unknown: Mapping[str, Any]) -> NoReturn:
    """Refuse keywords that Python itself would refuse without a hint.

    Args:
        call: the method that was called.
        unknown: what it was given beside its arguments.

    Raises:
        ParamError: naming the first of them, and all that the call takes.
    """
    every = signature(call).parameters.values()
    known = [each.name for each in every if each.kind is not each.VAR_KEYWORD]
    name = min(unknown)
    raise ParamError(
        f"{call.__name__}: unknown argument {quoted(name)}; arguments: {', '.join(known)}"
        f"{meant(name, known)}"
    )
