"""Calls about collections and indexes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from elanus.client._base import BaseClient
from elanus.client._options import check_options, check_partitions
from elanus.client._results import describe
from elanus.engine import count
from elanus.errors import ParamError
from elanus.schema import (
    MAX_NAME,
    CollectionSchema,
    DataType,
    IndexParams,
    LoadState,
    Schema,
    as_index_specs,
    as_json,
    as_schema,
    check_name,
    flag,
    mapping,
    names_something,
    refuse,
    text,
    whole,
)


class CollectionCalls(BaseClient):
    """``create_collection`` and its kin."""

    def create_collection(
        self,
        /,
        collection_name: str,
        dimension: int | None = None,
        primary_field_name: str = "id",
        id_type: str | int = "int",
        vector_field_name: str = "vector",
        metric_type: str = "COSINE",
        auto_id: bool = False,
        timeout: float | None = None,
        schema: Any = None,
        index_params: Any = None,
        **kwargs: Any,
    ) -> None:
        """Create a collection, from a schema or, quickly, from a dimension.

        The quick form has a primary key, one dense vector field with an AUTOINDEX, and dynamic
        fields. Creating a collection again with the same schema does nothing.

        Args:
            collection_name: letters, digits and underscores.
            dimension: number of components of the vectors (quick form).
            primary_field_name, id_type: name of the key, ``"int"`` or ``"string"`` (quick form).
            vector_field_name, metric_type: name and metric of the vectors (quick form).
            auto_id: whether the engine makes the keys (quick form).
            timeout: accepted for compatibility.
            schema: a schema, ours or pymilvus's.
            index_params: from ``prepare_index_params``.
            **kwargs: ``properties``, ``description``; for the quick form ``max_length`` and
                ``enable_dynamic_field``.

        Raises:
            CollectionExistsError: if one of this name has another schema.
            SchemaError: if the schema contradicts itself.
            ParamError: if an argument is wrong.
        """
        name = check_name(collection_name, "collection")
        auto_id = flag("auto_id", auto_id)
        given = mapping("properties", kwargs.pop("properties", None))
        properties = as_json("create_collection: properties", given)
        quick = {k: kwargs.pop(k) for k in ("max_length", "enable_dynamic_field") if k in kwargs}
        description = kwargs.pop("description", "")
        check_options("create_collection", kwargs, timeout)
        if schema is None:
            if dimension is None:
                raise ParamError("create_collection: give a schema or a dimension")
            checked = _quick_schema(
                primary_field_name, id_type, vector_field_name, dimension,
                auto_id=auto_id, description=description, **quick,
            )  # fmt: skip
            if index_params is None:
                index_params = IndexParams()
                index_params.add_index(vector_field_name, "AUTOINDEX", metric_type=metric_type)
        else:
            checked = as_schema(schema)
        specs = as_index_specs(index_params, checked)
        self._database.create_collection(name, checked, specs, properties)

    def has_collection(
        self, /, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> bool:
        """Whether there is a collection of this name."""
        check_options("has_collection", kwargs, timeout)
        return text("collection_name", collection_name) in self._database.catalogue().collections

    def list_collections(self, /, timeout: float | None = None, **kwargs: Any) -> list[str]:
        """The names of all collections."""
        check_options("list_collections", kwargs, timeout)
        return sorted(self._database.catalogue().collections)

    def describe_collection(
        self, /, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Schema and properties of a collection.

        Raises:
            CollectionNotFoundError: if there is none of this name.
        """
        check_options("describe_collection", kwargs, timeout)
        return describe(self._database.catalogue().collection(collection_name))

    def drop_collection(
        self, /, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Drop a collection with all its rows; one that does not exist is no error."""
        check_options("drop_collection", kwargs, timeout)
        name = text("collection_name", collection_name)
        if len(name) <= MAX_NAME:  # a longer one is nobody's, and would stand in others' errors
            self._database.drop_collection(name)

    def rename_collection(
        self,
        /,
        old_name: str,
        new_name: str,
        target_db: str = "",
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Give a collection another name.

        Raises:
            CollectionNotFoundError, CollectionExistsError: if one name is missing or taken.
        """
        check_options("rename_collection", {"target_db": target_db, **kwargs}, timeout)
        self._database.rename_collection(self._name(old_name), check_name(new_name, "collection"))

    def truncate_collection(
        self, /, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Delete all rows of a collection; schema and indexes stay."""
        check_options("truncate_collection", kwargs, timeout)
        self._database.truncate_collection(self._name(collection_name))

    def get_collection_stats(
        self, /, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> dict[str, int]:
        """``{"row_count": number of rows}``."""
        check_options("get_collection_stats", kwargs, timeout)
        return {"row_count": self._database.read(self._name(collection_name), count)}

    # --- indexes ---------------------------------------------------------------------------

    def create_index(
        self,
        /,
        collection_name: str,
        index_params: Any,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Add indexes; rows inserted before and after are found through them.

        Raises:
            ParamError: if a field has an index with other parameters already.
            UnsupportedError: if the index type is none of ours.
        """
        check_options("create_index", kwargs, timeout)
        if index_params is None:
            raise ParamError("create_index: index_params is needed, from prepare_index_params()")
        info = self._database.catalogue().collection(collection_name)
        self._database.create_index(info.name, as_index_specs(index_params, info.schema))

    def list_indexes(
        self, /, collection_name: str, field_name: str | None = "", **kwargs: Any
    ) -> list[str]:
        """Names of a collection's indexes, or of those on one field."""
        check_options("list_indexes", kwargs)
        indexes = self._database.catalogue().collection(collection_name).indexes.values()
        asked = text("field_name", field_name) if names_something(field_name) else ""
        return [i.name for i in indexes if asked in ("", i.field)]

    def describe_index(
        self, /, collection_name: str, index_name: str, timeout: float | None = None, **kwargs: Any
    ) -> dict[str, Any] | None:
        """Type, metric, parameters and coverage of an index; None if there is none."""
        check_options("describe_index", kwargs, timeout)
        info = self._database.catalogue().collection(collection_name)
        spec = info.indexes.get(text("index_name", index_name))
        if spec is None:
            return None
        total, indexed = self._database.index_coverage(info.name, spec)
        described = {
            "index_type": spec.index_type,
            "field_name": spec.field,
            "index_name": spec.name,
            "params": dict(spec.params),
            "total_rows": total,
            "indexed_rows": indexed,
            "pending_index_rows": total - indexed,
            "state": "Finished" if indexed == total else "InProgress",
        }
        if spec.metric is not None:
            described["metric_type"] = spec.metric.value
        return described

    def drop_index(
        self, /, collection_name: str, index_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Drop an index; searches of its field stay possible, and become exact."""
        check_options("drop_index", kwargs, timeout)
        self._database.drop_index(self._name(collection_name), text("index_name", index_name))

    # --- loading ---------------------------------------------------------------------------

    def load_collection(
        self, /, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Read vectors and terms into memory, and wait until no graph is still to be built.

        Never needed: the first search does the same, and answers exactly while a graph is built.
        """
        check_options("load_collection", kwargs, timeout)
        self._database.load(self._name(collection_name))

    def refresh_load(
        self, /, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """The same as ``load_collection``."""
        self.load_collection(collection_name, timeout, **kwargs)

    def release_collection(
        self, /, collection_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Give a collection's memory back; the next search reads it again."""
        check_options("release_collection", kwargs, timeout)
        self._database.release(self._name(collection_name))

    def get_load_state(
        self,
        /,
        collection_name: str,
        partition_name: str = "",
        timeout: float | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """``{"state": LoadState}``: Loaded unless released or missing."""
        check_options("get_load_state", kwargs, timeout)
        check_partitions("get_load_state", partition_name)
        name = text("collection_name", collection_name)
        info = self._database.catalogue().collections.get(name)
        if info is None:
            return {"state": LoadState.NotExist}
        loaded = self._database.is_loaded(info)
        return {"state": LoadState.Loaded if loaded else LoadState.NotLoad}

    def flush(self, /, collection_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Nothing to do: every acknowledged write is in the file already."""
        check_options("flush", kwargs, timeout)
        self._database.catalogue().collection(collection_name)

    def compact(
        self,
        /,
        collection_name: str = "",
        is_clustering: bool = False,
        is_l0: bool = False,
        target_size: Any = None,
        target_size_unit: str = "mb",
        timeout: float | None = None,
        **kwargs: Any,
    ) -> int:
        """Give the space of deleted rows back to the file system. Rewrites the whole file.

        Returns:
            A job number, as in Milvus; the work is done when the call returns.
        """
        text("target_size_unit", target_size_unit)
        check_options("compact", {"target_size": target_size, **kwargs}, timeout)
        if names_something(collection_name):
            self._database.catalogue().collection(collection_name)
        self._database.compact()
        return 0

    def get_server_version(
        self, /, timeout: float | None = None, detail: bool = False, **kwargs: Any
    ) -> str:
        """The version of elanus."""
        from elanus import __version__  # noqa: PLC0415  # the package's face imports this module

        flag("detail", detail)
        check_options("get_server_version", kwargs, timeout)
        return f"elanus {__version__}"


def _quick_schema(
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
