"""Results in pymilvus's shapes, as plain dicts and lists that serialise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from elanus.engine import Hits as Found
from elanus.errors import listed, quoted
from elanus.schema import FieldSchema, Schema
from elanus.storage import CollectionInfo

CONSISTENCY = (0, "Strong")
"""Every read sees every commit before it; Milvus calls that Strong."""


class Hit(dict[str, Any]):
    """One hit: ``{primary key field: key, "distance": …, "entity": {…}}``.

    As in pymilvus, fields can also be reached directly: ``hit["title"]``, ``hit.get("title")``,
    ``hit.title``; and ``hit.id``, ``hit.pk``, ``hit.distance``, ``hit.score``, ``hit.entity``.
    """

    def __missing__(self, key: str) -> Any:
        return self["entity"][key] if key != "entity" else {}

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key of the hit or of its entity."""
        try:
            return self[key]
        except KeyError:
            return default

    @property
    def id(self) -> Any:
        """The primary key."""
        return next(iter(self.values()))

    pk = id

    @property
    def score(self) -> float:
        """The distance, under its other name."""
        return float(self["distance"])

    @property
    def fields(self) -> dict[str, Any]:
        """The entity, under its other name."""
        return dict(self["entity"])

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(
                f"hit has no field {quoted(name)}; fields: {listed(self)}"
            ) from None


def as_hits(found: Sequence[Found], digits: int) -> list[list[Hit]]:
    """Hits of each query in pymilvus's shape, their scores rounded to some digits or to none."""
    results = []
    for one in found:
        name = one.key_name
        scores = one.scores if digits < 0 else [round(score, digits) for score in one.scores]
        hits = [
            Hit({name: key, "distance": score, "entity": entity})
            for key, score, entity in zip(one.keys, scores, one.entities, strict=True)
        ]
        for hit, legs in zip(hits, one.legs, strict=False):  # no legs: nobody asked for them
            hit["explanation"] = [asdict(leg) for leg in legs]
        for hit, relevance in zip(hits, one.relevances, strict=False):  # likewise
            hit["relevance"] = relevance
        results.append(hits)
    return results


def describe(info: CollectionInfo) -> dict[str, Any]:
    """A collection as ``describe_collection`` gives it."""
    schema = info.schema
    return {
        "collection_name": info.name,
        "auto_id": schema.primary.auto_id,
        "num_shards": 1,
        "description": schema.description,
        "fields": [_describe_field(i, f) for i, f in enumerate(schema.fields)],
        "functions": _describe_functions(schema),
        "aliases": [],
        "collection_id": info.number,
        "consistency_level": CONSISTENCY[0],
        "consistency_level_name": CONSISTENCY[1],
        "properties": dict(info.properties),
        "num_partitions": 1,
        "enable_dynamic_field": schema.enable_dynamic_field,
        "created_timestamp": info.created,
    }


_TYPE_PARAMS = (
    "dim",
    "max_length",
    "max_capacity",
    "enable_analyzer",
    "enable_match",
    "analyzer_params",
)


def _describe_field(number: int, f: FieldSchema) -> dict[str, Any]:
    # Milvus counts user fields from 100.
    described: dict[str, Any] = {
        "field_id": 100 + number,
        "name": f.name,
        "description": f.description,
        "type": f.dtype,
        "params": {k: getattr(f, k) for k in _TYPE_PARAMS if getattr(f, k)} | dict(f.hints),
    }
    if f.is_primary:
        described |= {"is_primary": True, "auto_id": f.auto_id}
    optional = {
        "element_type": f.element_type,
        "nullable": f.nullable,
        "is_function_output": f.is_function_output,
    }
    described |= {k: v for k, v in optional.items() if v}
    if f.default_value is not None:
        described["default_value"] = f.default_value
    return described


def _describe_functions(schema: Schema) -> list[dict[str, Any]]:
    return [
        {
            "name": f.name,
            "id": 100 + i,
            "description": f.description,
            "type": f.function_type,
            "input_field_names": list(f.input_field_names),
            "output_field_names": list(f.output_field_names),
            "params": dict(f.params),
        }
        for i, f in enumerate(schema.functions)
    ]
