"""Arguments that are the same everywhere: addresses, limits, and pymilvus's many keywords."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from elanus.errors import ParamError, UnsupportedError, likely, listed, quoted
from elanus.query import Step
from elanus.schema import (
    DYNAMIC,
    LARGEST,
    VECTOR_TYPES,
    CollectionSchema,
    DataType,
    Schema,
    as_path,
    is_whole,
    mapping,
    members,
    refuse,
    text,
    whole,
)

_REMOTE = ("http://", "https://", "tcp://", "unix:", "grpc://")

_GROUP = "a scalar field, or a list of a JSON field and of the keys that lead into it"

_LONGEST_PATH = 4095  # no system takes a longer one, and others' errors would print it


def local_path(uri: Any) -> str:
    """The file that an address names.

    Raises:
        UnsupportedError: if it names a server.
        ParamError: if it is no path at all.
    """
    rule = "a file path or ':memory:'"
    address = as_path("uri", rule, uri)
    if not address:
        refuse("uri", rule, uri)
    if len(address) > _LONGEST_PATH:
        raise ParamError(
            f"uri {quoted(address)} is longer than a path can be: {len(address)} characters"
        )
    if address.lower().startswith(_REMOTE):
        raise UnsupportedError(
            f"uri {quoted(address)} is a server's address; this version of elanus opens files: "
            "give a path such as './milvus.db', or ':memory:'"
        )
    return address


def keys_of(what: str, ids: Any) -> list[Any]:
    """One key, or a list of keys, as a list; whether they fit the collection is not looked at.

    Raises:
        ParamError: if it is a dict, a frame, or another object that holds something else.
    """
    if isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
        return [ids]
    return members(what, "a key or a list of keys", ids)


def json_field(schema: Schema, name: Any) -> str:
    """The name of a JSON field, or ``$meta``.

    Raises:
        ParamError: if it is that of another field, or of none.
    """
    plain = _field(schema, name)
    if plain != DYNAMIC and schema.by_name[plain].dtype is not DataType.JSON:
        raise ParamError(f"field {quoted(plain)} is of type {schema.by_name[plain].dtype.name}; "
                         "give a JSON field")  # fmt: skip
    return plain


def column_path(schema: Schema, name: Any, path: Any) -> tuple[Step, ...]:
    """A scalar field, or the way to a place inside of a JSON field.

    Raises:
        ParamError: if it is no scalar field, or there is a way into something else than JSON.
    """
    steps = [] if isinstance(path, (tuple, list)) and not path else _steps(path)
    plain = _field(schema, name)
    if steps or plain == DYNAMIC:
        return (json_field(schema, plain), *steps)
    if schema.by_name[plain].dtype in VECTOR_TYPES:
        raise ParamError(f"field {quoted(plain)} holds vectors; give a scalar field")
    return (plain,)


def group_path(schema: Schema, given: Any) -> tuple[Step, ...]:
    """``group_by``: a scalar field, or a list of a JSON field and of what leads into it.

    Raises:
        ParamError: if it is neither.
    """
    name, *path = [given] if isinstance(given, str) else members("group_by", _GROUP, given) or [""]
    if not isinstance(name, str):
        refuse("group_by", _GROUP, given)
    return column_path(schema, name, path)


def text_source(schema: Schema, name: Any) -> str:
    """The text field of which a BM25 function fills the named one.

    Raises:
        ParamError: if none does.
    """
    plain = _field(schema, name)
    if plain not in schema.bm25_inputs:
        known = listed(schema.bm25_inputs) or "none"
        raise ParamError(
            f"no BM25 function fills the field {quoted(plain)}; filled by one: {known}"
        )
    return schema.bm25_inputs[plain]


def text_fields(schema: Schema, given: Any) -> dict[str, str]:
    """VARCHAR fields, and the keys under which what they hold stands in a JSON field.

    Raises:
        ParamError: if it is no dict of such names.
    """
    found = {_field(schema, name): text("texts: a key", key)
             for name, key in mapping("texts", given).items()}  # fmt: skip
    for name in found:
        f = schema.by_name.get(name)
        if f is None or f.is_primary or f.dtype is not DataType.VARCHAR:
            raise ParamError(f"texts: {quoted(name)} is no VARCHAR field beside the key")
    return found


def _steps(path: Any) -> list[Step]:
    found = members("path", "a list of keys and positions", path)
    return [_step(step, path) for step in found]


def _step(given: Any, path: Any) -> Step:
    if isinstance(given, str):
        return str.__str__(given)
    if isinstance(given, tuple) and len(given) > 1 and all(isinstance(key, str) for key in given):
        return tuple(str.__str__(key) for key in given)
    if not is_whole(given) or given < 0:
        refuse("path", "a list of keys and positions", path)
    if given > LARGEST:
        refuse("path: a position", f"an integer up to {LARGEST}", given)
    return int(given)


def _field(schema: Schema, name: Any) -> str:
    known = [*schema.by_name, *[DYNAMIC] * schema.enable_dynamic_field]
    if not isinstance(name, str) or name not in known:
        raise ParamError(f"no field {quoted(name)}; fields: {listed(known)}{likely(name, known)}")
    return str.__str__(name)


def quick_schema(
    key: str,
    id_type: Any,
    vector: str,
    dimension: Any,
    *,
    auto_id: bool,
    description: str,
    max_length: int | None = None,
    enable_dynamic_field: bool = True,
) -> Schema:
    """The schema of ``create_collection`` with a dimension."""
    types = {"int": DataType.INT64, "integer": DataType.INT64, "str": DataType.VARCHAR,
             "string": DataType.VARCHAR, DataType.INT64: DataType.INT64,
             DataType.VARCHAR: DataType.VARCHAR}  # fmt: skip
    if not isinstance(id_type, (str, int)) or id_type not in types:
        refuse("id_type", "'int' or 'string'", id_type)
    schema = CollectionSchema(description=description, enable_dynamic_field=enable_dynamic_field)
    options: Mapping[str, Any] = {} if max_length is None else {"max_length": max_length}
    schema.add_field(key, types[id_type], is_primary=True, auto_id=auto_id, **options)
    schema.add_field(vector, DataType.FLOAT_VECTOR, dim=whole("dimension", dimension, 1))
    return schema.freeze()
