"""Projection: from row numbers to the fields that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elanus.engine._snapshot import Snapshot
from elanus.errors import ParamError, listed, quoted
from elanus.schema import DYNAMIC, DataType, Schema
from elanus.storage import decode_sparse


@dataclass(frozen=True, slots=True)
class Projection:
    """Which fields a result carries.

    Attributes:
        key: name of the primary key if it is asked for.
        scalars: names of scalar fields.
        dynamic: names of dynamic keys; None means all of them.
        dense, sparse: names of vector fields.
        arrays: whether dense vectors come as numpy arrays instead of lists.
    """

    key: str | None = None
    scalars: tuple[str, ...] = ()
    dynamic: tuple[str, ...] | None = ()
    dense: tuple[str, ...] = ()
    sparse: tuple[str, ...] = ()

    @property
    def reads_rows(self) -> bool:
        """Whether the stored rows are needed at all."""
        return bool(self.scalars) or self.dynamic is None or bool(self.dynamic)


NOTHING = Projection()


def make_projection(schema: Schema, names: Sequence[str] | None) -> Projection:
    """The projection of ``output_fields``; ``"*"`` means every field.

    Raises:
        ParamError: if a name is neither a field nor can be a dynamic key.
    """
    if not names:
        return NOTHING
    if "*" in names:
        names = [*names, *(f.name for f in schema.fields if not f.is_function_output), DYNAMIC]
    wanted = dict.fromkeys(n for n in names if n != "*")
    for name in wanted:
        _check_name(schema, name)
    return Projection(
        key=schema.primary.name if schema.primary.name in wanted else None,
        scalars=tuple(f.name for f in schema.scalars if f.name in wanted),
        dynamic=_dynamic_names(schema, wanted),
        dense=tuple(f.name for f in schema.dense if f.name in wanted),
        sparse=tuple(f.name for f in schema.sparse if f.name in wanted),
    )


def _check_name(schema: Schema, name: str) -> None:
    f = schema.by_name.get(name)
    if f is not None and f.is_function_output:
        raise ParamError(
            f"output field {quoted(name)} is filled by a function and cannot be given back"
        )
    if f is None and not schema.enable_dynamic_field and name != DYNAMIC:
        raise ParamError(f"unknown output field {quoted(name)}; fields: {listed(schema.by_name)}")


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
    entities: list[dict[str, Any]] = [{} for _ in rows]
    if projection.key is not None:
        for entity, key in zip(entities, keys, strict=True):
            entity[projection.key] = key
    if projection.reads_rows:
        _add_scalars(snapshot, projection, rows, keys, entities)
    _add_vectors(snapshot, projection, rows, entities)
    return entities


def _add_scalars(
    snapshot: Snapshot,
    projection: Projection,
    rows: list[int],
    keys: Sequence[Any],
    entities: list[dict[str, Any]],
) -> None:
    tables = snapshot.state.tables
    found = snapshot.by_row(lambda db: tables.documents(db, rows, keys), rows)
    for stored, entity in zip(found, entities, strict=True):
        for name in projection.scalars:
            entity[name] = stored.get(name)
        if projection.dynamic != ():
            _add_dynamic(entity, stored.get(DYNAMIC, {}), projection.dynamic)


def _add_dynamic(
    entity: dict[str, Any], stored: dict[str, Any], names: tuple[str, ...] | None
) -> None:
    for name in stored if names is None else names:
        if name in stored:
            entity[name] = stored[name]


def _add_vectors(
    snapshot: Snapshot, projection: Projection, rows: list[int], entities: list[dict[str, Any]]
) -> None:
    for name in projection.dense:
        for blob, entity in zip(_vectors(snapshot, name, rows), entities, strict=True):
            entity[name] = None if blob is None else np.frombuffer(blob, dtype="<f4").tolist()
    for name in projection.sparse:
        for blob, entity in zip(_vectors(snapshot, name, rows), entities, strict=True):
            entity[name] = _sparse_dict(blob)


def _vectors(snapshot: Snapshot, name: str, rows: list[int]) -> list[bytes | None]:
    tables = snapshot.state.tables
    return snapshot.by_row(lambda db: tables.fetch_vectors(db, name, rows), rows)


def _sparse_dict(blob: bytes | None) -> dict[int, float] | None:
    if blob is None:
        return None
    _, indices, values = decode_sparse([blob])
    return dict(zip(indices.tolist(), values.tolist(), strict=True))


def is_vector(schema: Schema, name: str) -> bool:
    """Whether a field holds vectors."""
    return schema.by_name[name].dtype in (DataType.FLOAT_VECTOR, DataType.SPARSE_FLOAT_VECTOR)
