"""Columns of Arrow and polars as plain Python values, of types that keep their meaning there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from elanus.errors import DataNotMatchException, said_by
from elanus.schema.frames._libraries import is_polars_extension

# Their values in Python are not only storage.
_KNOWN_EXTENSIONS = ("arrow.bool8", "arrow.json")
_TENSOR = "arrow.fixed_shape_tensor"


def arrow_values(name: str, column: Any) -> list[Any]:
    """The values of an Arrow array; a map is a dict.

    Raises:
        DataNotMatchException: naming the row, if a value has no plain form.
    """
    types = list(_arrow_types(column.type))
    if not all(map(_keeps_its_meaning, types)):
        _refuse(name, column.type, column.is_valid().to_pylist())
    is_map = any(str(each).startswith("map<") for each in types)
    return _values(name, column, "to_pylist", {"maps_as_pydicts": "strict"} if is_map else {})


def polars_values(name: str, column: Any) -> list[Any]:
    """The values of a polars series.

    Raises:
        DataNotMatchException: naming the row, if a value has no plain form.
    """
    if any(map(is_polars_extension, _polars_types(column.dtype))):
        _refuse(name, column.dtype, column.is_not_null().to_list())
    if any(hasattr(each, "key") for each in _polars_types(column.dtype)):
        # A dict would keep the last of two values; what polars keeps in a map's place has both.
        for row, value in enumerate(column.to_physical().to_list()):
            if _repeats_a_key(column.dtype, value):
                raise DataNotMatchException(
                    f"row {row}, field {name!r:.80}: a map has a key twice; keep one of them"
                )
    return _values(name, column, "to_list", {})


def _repeats_a_key(kind: Any, value: Any) -> bool:
    """Whether a value of polars's storage holds a map of a type with a key twice."""
    if value is None:
        return False
    if hasattr(kind, "key"):
        keys = [repr(each["key"]) for each in value]
        below = any(_repeats_a_key(kind.value, each["value"]) for each in value)
        return below or len(set(keys)) < len(keys)
    if getattr(kind, "inner", None) is not None:
        return any(_repeats_a_key(kind.inner, each) for each in value)
    fields = getattr(kind, "fields", ())
    return any(_repeats_a_key(each.dtype, value[each.name]) for each in fields)


def _arrow_types(kind: Any) -> Iterator[Any]:
    """A type and all that it is made of."""
    yield kind
    for i in range(kind.num_fields):
        yield from _arrow_types(kind.field(i).type)
    if str(kind).startswith("dictionary<"):
        yield from _arrow_types(kind.value_type)


def _keeps_its_meaning(kind: Any) -> bool:
    """Whether Arrow's value in Python says what it is.

    An extension's need not: a pandas period is an integer there. An interval is a tuple.
    """
    extension = getattr(kind, "extension_name", None)
    if extension == _TENSOR:
        return len(kind.shape) == 1
    return extension in {None, *_KNOWN_EXTENSIONS} and str(kind) != "month_day_nano_interval"


def _polars_types(kind: Any) -> Iterator[Any]:
    """A type and all that it is made of."""
    yield kind
    parts = [getattr(kind, part, None) for part in ("inner", "key", "value")]
    for part in (*parts, *(f.dtype for f in getattr(kind, "fields", ()))):
        if part is not None:
            yield from _polars_types(part)


def _refuse(name: str, kind: object, valid: list[bool]) -> None:
    if any(valid):
        raise DataNotMatchException(
            f"row {valid.index(True)}, field {name!r:.80}: {kind!s:.80} has no JSON value; cast "
            "the column to numbers or text first"
        )


def _values(name: str, column: Any, method: str, options: dict[str, Any]) -> list[Any]:
    found = _attempt(column, method, options)
    if isinstance(found, list):
        return found
    for row in range(len(column)):
        reason = _attempt(column.slice(row, 1), method, options)
        if not isinstance(reason, list):
            raise DataNotMatchException(
                f"row {row}, field {name!r:.80}: a value of type {_type_name(column):.80} has no "
                f"form in Python: {said_by(reason)}"
            )
    raise DataNotMatchException(f"column {name!r:.80} cannot be read: {said_by(found)}")


def _type_name(column: Any) -> str:
    return str(getattr(column, "type", None) or column.dtype)


def _attempt(column: Any, method: str, options: dict[str, Any]) -> list[Any] | BaseException:
    """A column by its library's own method, or what that raised."""
    try:
        values: list[Any] = getattr(column, method)(**options)
    except Exception as error:  # noqa: BLE001  # the libraries' errors have no base in common
        return error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of polars, for dates beyond Python's
            raise
        return error
    return values
