"""Projection: from row numbers to the fields that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elanus.engine._snapshot import Collection, Snapshot
from elanus.errors import ParamError, likely, listed, quoted
from elanus.schema import DYNAMIC, Schema
from elanus.storage import decode_sparse


@dataclass(frozen=True, slots=True)
class Projection:
    """Which fields a result carries.

    Attributes:
        key: name of the primary key if it is asked for.
        scalars: names of scalar fields.
        dynamic: names of dynamic keys; None means all of them.
        dense, sparse: names of vector fields.
    """

    key: str | None = None
    scalars: tuple[str, ...] = ()
    dynamic: tuple[str, ...] | None = ()
    dense: tuple[str, ...] = ()
    sparse: tuple[str, ...] = ()


_MOST_KNOWN = 64
"""Projections kept of a collection: any name may be that of a dynamic key."""


def make_projection(collection: Collection, names: tuple[str, ...]) -> Projection:
    """The projection of ``output_fields``, kept for the next time; ``"*"`` means every field.

    Raises:
        ParamError: if a name is neither a field nor can be a dynamic key.
    """
    schema = collection.info.schema
    wanted = dict.fromkeys(n for n in names if n != "*")
    if "*" in names:
        every = (f.name for f in schema.fields if not f.is_function_output)
        wanted |= dict.fromkeys([*every, DYNAMIC])
    for name in wanted:
        _check_name(schema, name)
    made = Projection(
        key=schema.primary.name if schema.primary.name in wanted else None,
        scalars=tuple(f.name for f in schema.scalars if f.name in wanted),
        dynamic=_dynamic_names(schema, wanted),
        dense=tuple(f.name for f in schema.dense if f.name in wanted),
        sparse=tuple(f.name for f in schema.sparse if f.name in wanted),
    )
    if len(collection.projections) < _MOST_KNOWN:
        collection.projections[names] = made
    return made


def _check_name(schema: Schema, name: str) -> None:
    f = schema.by_name.get(name)
    if f is not None and f.is_function_output:
        raise ParamError(
            f"output field {quoted(name)} is filled by a function and cannot be given back"
        )
    if f is None and not schema.enable_dynamic_field and name != DYNAMIC:
        raise ParamError(
            f"unknown output field {quoted(name)}; fields: {listed(schema.by_name)}"
            f"{likely(name, schema.by_name)}"
        )


def _dynamic_names(schema: Schema, wanted: dict[str, None]) -> tuple[str, ...] | None:
    if not schema.enable_dynamic_field:
        return ()
    if DYNAMIC in wanted:
        return None
    return tuple(n for n in wanted if n not in schema.by_name)


def fetch(
    snapshot: Snapshot, projection: Projection, rows: list[int], keys: Sequence[Any]
) -> list[dict[str, Any]]:
    """The asked fields of some rows, one dict a row, in the given order."""
    entities = [{} if projection.key is None else {projection.key: key} for key in keys]
    if projection.scalars or projection.dynamic != ():
        _add_stored(snapshot, projection, rows, keys, entities)
    for name in projection.dense:
        for blob, entity in zip(_vectors(snapshot, name, rows), entities, strict=True):
            entity[name] = None if blob is None else np.frombuffer(blob, dtype="<f4").tolist()
    for name in projection.sparse:
        for blob, entity in zip(_vectors(snapshot, name, rows), entities, strict=True):
            entity[name] = _sparse_dict(blob)
    return entities


def _add_stored(
    snapshot: Snapshot,
    projection: Projection,
    rows: list[int],
    keys: Sequence[Any],
    entities: list[dict[str, Any]],
) -> None:
    """Add scalar fields and dynamic keys."""
    found = snapshot.by_row(rows, snapshot.state.tables.documents, rows, keys)
    for stored, entity in zip(found, entities, strict=True):
        for name in projection.scalars:
            entity[name] = stored.get(name)
        dynamic = stored.get(DYNAMIC, {}) if projection.dynamic != () else {}
        for name in dynamic if projection.dynamic is None else projection.dynamic:
            if name in dynamic:
                entity[name] = dynamic[name]


def _vectors(snapshot: Snapshot, name: str, rows: list[int]) -> list[bytes | None]:
    return snapshot.by_row(rows, snapshot.state.tables.fetch_vectors, name, rows)


def _sparse_dict(blob: bytes | None) -> dict[int, float] | None:
    if blob is None:
        return None
    _, indices, values = decode_sparse([blob])
    return dict(zip(indices.tolist(), values.tolist(), strict=True))
