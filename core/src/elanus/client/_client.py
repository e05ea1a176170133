"""``MilvusClient`` over a local file: arguments in, pymilvus-shaped results out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from inspect import signature
from types import TracebackType
from typing import TYPE_CHECKING, Any

from elanus.client._keywords import (
    CreationKeywords,
    DeletionKeywords,
    FilterKeywords,
    HybridKeywords,
    Keywords,
    QueryKeywords,
    SchemaKeywords,
    SearchKeywords,
)
from elanus.client._options import (
    column_path,
    group_path,
    json_field,
    keys_of,
    local_path,
    quick_schema,
    text_fields,
    text_source,
)
from elanus.client._results import Hit, as_hits, describe
from elanus.engine import Database, JsonChange, Leg
from elanus.errors import ElanusError, ParamError, UnsupportedError, quoted
from elanus.notebook import described
from elanus.query import Expression, Step, as_filter
from elanus.schema import (
    COUNT,
    MAX_NAME,
    CollectionSchema,
    FieldSchema,
    IndexParams,
    LoadState,
    as_fusion,
    as_index_specs,
    as_json,
    as_schema,
    as_search,
    check_name,
    check_options,
    flag,
    is_data,
    is_whole,
    make_field,
    mapping,
    names,
    names_something,
    output_names,
    refuse,
    text,
    whole,
)
from elanus.storage import OpenOptions

if TYPE_CHECKING:
    # As in `DocumentStore`: nothing that runs needs it.
    from typing_extensions import Unpack

_PAGE = ("offset", "round_decimal")

# What calls take beside the names in their signatures.
_FURTHER: Mapping[str, tuple[str, ...]] = {
    call: tuple(name for name in keywords.__annotations__ if name not in Keywords.__annotations__)
    for call, keywords in {
        "create_schema": SchemaKeywords,
        "create_collection": CreationKeywords,
        "delete": DeletionKeywords,
        "query": QueryKeywords,
        "search": SearchKeywords,
        "hybrid_search": HybridKeywords,
        **dict.fromkeys(("replace", "change_json", "count_values", "count_keys"), FilterKeywords),
    }.items()
}


def _check_options(
    call: str, given: Mapping[str, Any], timeout: Any = None, partitions: Any = None
) -> None:
    """As ``check_options``, knowing the names that each call takes."""
    check_options(call, given, timeout, partitions, _names_of(call) if given else ())


@cache
def _names_of(call: str) -> tuple[str, ...]:
    method = MilvusClient if call == "MilvusClient" else getattr(MilvusClient, call)
    taken = [p.name for p in signature(method).parameters.values() if p.kind is not p.VAR_KEYWORD]
    return (*taken, *_FURTHER.get(call, ()))


class MilvusClient:
    """pymilvus's client over a file, without a server.

    Safe to use from several threads; several processes may open the same file at once.

    Args:
        uri: path of the file (``str`` or ``Path``), or ``":memory:"``.
        user, password, token: accepted for compatibility; a file has no users.
        db_name: empty or ``"default"``; a file is one database.
        timeout: seconds that a write waits for another writer; None means 30.
        read_only: open without ever writing.
        durability: ``"full"`` (an acknowledged write survives a power cut) or ``"normal"``.
        journal: ``"wal"``, or ``"delete"`` on network file systems.

    Raises:
        StorageError: if the file cannot be opened, is not ours, or is damaged.
        UnsupportedError: if ``uri`` is a server's address.

    Example:
        >>> client = MilvusClient(":memory:")
        >>> client.create_collection("demo", dimension=2)
        >>> client.insert("demo", [{"id": 1, "vector": [1, 0]}, {"id": 2, "vector": [0, 1]}])
        {'insert_count': 2, 'ids': [1, 2], 'cost': 0}
        >>> [hit.id for hit in client.search("demo", data=[[1, 0.1]], limit=1)[0]]
        [1]
        >>> client.close()
    """

    def __init__(
        self,
        uri: str | os.PathLike[str] = "http://localhost:19530",
        user: str = "",
        password: str = "",
        db_name: str = "",
        token: str = "",
        timeout: float | None = None,
        *,
        read_only: bool = False,
        durability: str = "full",
        journal: str = "wal",
        **kwargs: Unpack[Keywords],
    ) -> None:
        del user, password, token  # a file has no users
        _check_options("MilvusClient", kwargs)
        if names_something(db_name) and text("db_name", db_name) != "default":
            raise UnsupportedError(
                f"db_name {quoted(db_name)}: a file is one database, named 'default'"
            )
        wait = 30.0 if timeout is None else timeout
        options = OpenOptions(read_only, durability, wait, journal)
        self._database = Database(local_path(uri), options)

    def __enter__(self) -> MilvusClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({quoted(self._database.file.path)})"

    def _repr_html_(self) -> str:
        """The collections, for notebooks; why they cannot be read, if so."""
        try:
            names = self.list_collections()
            rows = [(name, self.get_collection_stats(name)["row_count"]) for name in names]
        except ElanusError as error:
            return described(repr(self), [("error", error)])
        return described(repr(self), [("collection", "rows"), *rows])

    def close(self) -> None:
        """Release the file. Calls that are running finish; a second close does nothing."""
        self._database.close()

    def verify(self) -> list[str]:
        """Check the whole file against itself; the faults found, none if it is sound.

        Raises:
            StorageError: if it cannot be checked now, as on a full disk.
        """
        return self._database.verify()

    def check_writable(self) -> None:
        """Raise what every write would: for whoever has to pay before it can write.

        Raises:
            ReadOnlyError: if the file is open read-only.
            ClosedError: if it is closed.
        """
        self._database.file.check_writable("write")

    def check_readable(self, collection_name: str) -> Mapping[str, Any]:
        """Raise what every read of a collection would: for whoever has to pay before it can read.

        Returns:
            Its properties.

        Raises:
            CollectionNotFoundError: if there is no such collection.
            ClosedError: if the file is closed.
        """
        name = self._name(collection_name)
        catalogue = self._database.catalogue()
        info = catalogue.collections.get(name)
        # In vain, it raises, and names what there is.
        return (catalogue.collection(name) if info is None else info).properties

    def backup(self, target: str | os.PathLike[str]) -> None:
        """Copy the database to a file that does not exist, while others go on writing.

        Copying the open file with other tools, from inside the process that has it open, would
        drop SQLite's locks; this does not.
        """
        self._database.backup(local_path(target))

    @staticmethod
    def create_schema(**kwargs: Unpack[SchemaKeywords]) -> CollectionSchema:
        """A schema to be filled with ``add_field`` and ``add_function``.

        Args:
            **kwargs: ``auto_id``, ``enable_dynamic_field``, ``description``, ``primary_field``,
                ``fields`` and ``functions``.
        """
        known, given = _FURTHER["create_schema"], dict[str, Any](kwargs)
        _check_options("create_schema", {k: v for k, v in given.items() if k not in known})
        return CollectionSchema(**{k: v for k, v in given.items() if k in known})

    @staticmethod
    def create_field_schema(
        name: str, data_type: Any, desc: str = "", **kwargs: Any
    ) -> FieldSchema:
        """A field; the options are those of ``CollectionSchema.add_field``."""
        return make_field(name, data_type, desc, **kwargs)

    @staticmethod
    def prepare_index_params(field_name: str = "", **kwargs: Any) -> IndexParams:
        """Index parameters to be filled with ``add_index``."""
        params = IndexParams()
        if names_something(field_name):
            params.add_index(field_name, **kwargs)
        return params

    # --- collections -----------------------------------------------------------------------

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
        **kwargs: Unpack[CreationKeywords],
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
        quick: dict[str, Any] = {
            k: kwargs.pop(k) for k in ("max_length", "enable_dynamic_field") if k in kwargs
        }
        description = kwargs.pop("description", "")
        _check_options("create_collection", kwargs, timeout)
        if schema is None:
            if dimension is None:
                raise ParamError("create_collection: give a schema or a dimension")
            checked = quick_schema(
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
        self, /, collection_name: str, timeout: float | None = None, **kwargs: Unpack[Keywords]
    ) -> bool:
        """Whether there is a collection of this name."""
        _check_options("has_collection", kwargs, timeout)
        return text("collection_name", collection_name) in self._database.catalogue().collections

    def list_collections(
        self, /, timeout: float | None = None, **kwargs: Unpack[Keywords]
    ) -> list[str]:
        """The names of all collections."""
        _check_options("list_collections", kwargs, timeout)
        return sorted(self._database.catalogue().collections)

    def describe_collection(
        self, /, collection_name: str, timeout: float | None = None, **kwargs: Unpack[Keywords]
    ) -> dict[str, Any]:
        """Schema and properties of a collection.

        Raises:
            CollectionNotFoundError: if there is none of this name.
        """
        _check_options("describe_collection", kwargs, timeout)
        return describe(self._database.catalogue().collection(collection_name))

    def drop_collection(
        self, /, collection_name: str, timeout: float | None = None, **kwargs: Unpack[Keywords]
    ) -> None:
        """Drop a collection with all its rows; one that does not exist is no error."""
        _check_options("drop_collection", kwargs, timeout)
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
        **kwargs: Unpack[Keywords],
    ) -> None:
        """Give a collection another name.

        Raises:
            CollectionNotFoundError, CollectionExistsError: if one name is missing or taken.
        """
        _check_options("rename_collection", {"target_db": target_db, **kwargs}, timeout)
        self._database.rename_collection(self._name(old_name), check_name(new_name, "collection"))

    def truncate_collection(
        self, /, collection_name: str, timeout: float | None = None, **kwargs: Unpack[Keywords]
    ) -> None:
        """Delete all rows of a collection; schema and indexes stay."""
        _check_options("truncate_collection", kwargs, timeout)
        self._database.truncate_collection(self._name(collection_name))

    def get_collection_stats(
        self, /, collection_name: str, timeout: float | None = None, **kwargs: Unpack[Keywords]
    ) -> dict[str, int]:
        """``{"row_count": number of rows}``."""
        _check_options("get_collection_stats", kwargs, timeout)
        return {"row_count": self._database.count(self._name(collection_name))}

    # --- indexes ---------------------------------------------------------------------------

    def create_index(
        self,
        /,
        collection_name: str,
        index_params: Any,
        timeout: float | None = None,
        **kwargs: Unpack[Keywords],
    ) -> None:
        """Add indexes; rows inserted before and after are found through them.

        Raises:
            ParamError: if a field has an index with other parameters already.
            UnsupportedError: if the index type is none of ours.
        """
        _check_options("create_index", kwargs, timeout)
        if index_params is None:
            raise ParamError("create_index: index_params is needed, from prepare_index_params()")
        info = self._database.catalogue().collection(collection_name)
        self._database.create_index(info.name, as_index_specs(index_params, info.schema))

    def list_indexes(
        self, /, collection_name: str, field_name: str | None = "", **kwargs: Unpack[Keywords]
    ) -> list[str]:
        """Names of a collection's indexes, or of those on one field."""
        _check_options("list_indexes", kwargs)
        indexes = self._database.catalogue().collection(collection_name).indexes.values()
        asked = text("field_name", field_name) if names_something(field_name) else ""
        return [i.name for i in indexes if asked in ("", i.field)]

    def describe_index(
        self,
        /,
        collection_name: str,
        index_name: str,
        timeout: float | None = None,
        **kwargs: Unpack[Keywords],
    ) -> dict[str, Any] | None:
        """Type, metric, parameters and coverage of an index; None if there is none.

        Of one on dense vectors also ``index_bytes``: the memory that it takes in this process,
        besides the vectors.
        """
        _check_options("describe_index", kwargs, timeout)
        info = self._database.catalogue().collection(collection_name)
        spec = info.indexes.get(text("index_name", index_name))
        if spec is None:
            return None
        total, indexed, nbytes = self._database.index_coverage(info.name, spec)
        described = {
            "index_type": spec.index_type.value,
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
        if nbytes is not None:
            described["index_bytes"] = nbytes
        return described

    def drop_index(
        self,
        /,
        collection_name: str,
        index_name: str,
        timeout: float | None = None,
        **kwargs: Unpack[Keywords],
    ) -> None:
        """Drop an index; searches of its field stay possible, and become exact."""
        _check_options("drop_index", kwargs, timeout)
        self._database.drop_index(self._name(collection_name), text("index_name", index_name))

    # --- loading ---------------------------------------------------------------------------

    def load_collection(
        self, /, collection_name: str, timeout: float | None = None, **kwargs: Unpack[Keywords]
    ) -> None:
        """Read vectors into memory, and wait until nothing is still to be made of them.

        That is codes (AUTOINDEX), a graph (HNSW) or lists (FAISS), of collections that are large.

        Never needed: the first search reads what it needs, terms and columns too, and answers
        exactly meanwhile.
        """
        _check_options("load_collection", kwargs, timeout)
        self._database.load(self._name(collection_name))

    def refresh_load(
        self, /, collection_name: str, timeout: float | None = None, **kwargs: Unpack[Keywords]
    ) -> None:
        """The same as ``load_collection``."""
        self.load_collection(collection_name, timeout, **kwargs)

    def release_collection(
        self, /, collection_name: str, timeout: float | None = None, **kwargs: Unpack[Keywords]
    ) -> None:
        """Give a collection's memory back; the next search reads it again."""
        _check_options("release_collection", kwargs, timeout)
        self._database.release(self._name(collection_name))

    def get_load_state(
        self,
        /,
        collection_name: str,
        partition_name: str = "",
        timeout: float | None = None,
        **kwargs: Unpack[Keywords],
    ) -> dict[str, Any]:
        """``{"state": LoadState}``: Loaded unless released or missing."""
        _check_options("get_load_state", kwargs, timeout, partition_name)
        name = text("collection_name", collection_name)
        info = self._database.catalogue().collections.get(name)
        if info is None:
            return {"state": LoadState.NotExist}
        loaded = self._database.is_loaded(info)
        return {"state": LoadState.Loaded if loaded else LoadState.NotLoad}

    def flush(
        self, /, collection_name: str, timeout: float | None = None, **kwargs: Unpack[Keywords]
    ) -> None:
        """Nothing to do: every acknowledged write is in the file already."""
        _check_options("flush", kwargs, timeout)
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
        **kwargs: Unpack[Keywords],
    ) -> int:
        """Give the space of deleted rows back to the file system. Rewrites the whole file.

        Returns:
            A job number, as in Milvus; the work is done when the call returns.
        """
        text("target_size_unit", target_size_unit)
        _check_options("compact", {"target_size": target_size, **kwargs}, timeout)
        if names_something(collection_name):
            self._database.catalogue().collection(collection_name)
        self._database.compact()
        return 0

    def get_server_version(
        self, /, timeout: float | None = None, detail: bool = False, **kwargs: Unpack[Keywords]
    ) -> str:
        """The version of elanus."""
        from elanus import __version__  # noqa: PLC0415  # the package's face imports this module

        flag("detail", detail)
        _check_options("get_server_version", kwargs, timeout)
        return f"elanus {__version__}"

    # --- rows ------------------------------------------------------------------------------

    def insert(
        self,
        /,
        collection_name: str,
        data: Any,
        timeout: float | None = None,
        partition_name: str | None = "",
        **kwargs: Unpack[Keywords],
    ) -> dict[str, Any]:
        """Insert rows, all or none; a row whose key exists is replaced.

        Args:
            collection_name: the collection.
            data: rows, as many as one likes: a dict of field names to values, or a list of them.
                Or columns: a dict of field names to lists or arrays of one length (vectors as a
                matrix (n, dim)), an Arrow table or batch, a pandas or polars frame. A dict holds
                columns if its primary key is a list or an array; without a key, if its first
                scalar field is. Null is None, Arrow's and polars's null, pandas's NaN, NaT and NA.
            timeout: accepted for compatibility.
            partition_name: empty or ``"_default"``.
            **kwargs: none that matters here.

        Returns:
            ``{"insert_count": n, "ids": [keys in the order of the rows], "cost": 0}``.

        Raises:
            DataNotMatchException: naming row, field, value and rule; nothing is written then.
        """
        _check_options("insert", kwargs, timeout, partition_name)
        keys = self._put(collection_name, data, "insert")
        return {"insert_count": len(keys), "ids": keys, "cost": 0}

    def upsert(
        self,
        /,
        collection_name: str,
        data: Any,
        timeout: float | None = None,
        partition_name: str | None = "",
        **kwargs: Unpack[Keywords],
    ) -> dict[str, Any]:
        """Insert rows, or replace those whose keys exist, all or none; see ``insert``.

        Returns:
            ``{"upsert_count": n, "ids": [keys], "cost": 0}``.
        """
        _check_options("upsert", kwargs, timeout, partition_name)
        keys = self._put(collection_name, data, "upsert")
        return {"upsert_count": len(keys), "ids": keys, "cost": 0}

    def _put(self, name: Any, data: Any, operation: str) -> list[Any]:
        return self._database.put(self._name(name), self._data(data, operation), operation)

    @staticmethod
    def _data(data: Any, operation: str) -> Any:
        """What is to be written, if it is rows or columns at all."""
        if not is_data(data):
            raise ParamError(
                f"{operation}: data must be a dict or a list of dicts, a dict of columns, an Arrow "
                f"table, or a pandas or polars frame, got {type(data).__name__}"
            )
        return data

    def delete(
        self,
        /,
        collection_name: str,
        ids: Any = None,
        timeout: float | None = None,
        filter: str | Expression | None = None,
        partition_name: str | None = "",
        **kwargs: Unpack[DeletionKeywords],
    ) -> dict[str, int]:
        """Delete rows by primary key or by filter.

        Args:
            collection_name: the collection.
            ids: a key or a list of keys; ``pks`` is another name for it.
            timeout: accepted for compatibility.
            filter: an expression; give either this or ``ids``.
            partition_name: empty or ``"_default"``.
            **kwargs: ``filter_params``, values of the filter's templates.

        Returns:
            ``{"delete_count": number of rows deleted, "cost": 0}``.

        Raises:
            ParamError: if neither or both are given.
        """
        params = kwargs.pop("filter_params", None)
        pks = kwargs.pop("pks", None)
        _check_options("delete", kwargs, timeout, partition_name)
        ids = pks if ids is None else ids
        filters = self._filters(filter, params)
        if (ids is None) == (not filters):
            raise ParamError("delete: give either ids or a filter")
        name = self._name(collection_name)
        if ids is not None:
            deleted = self._database.delete_keys(name, keys_of("ids", ids))
        else:
            deleted = self._database.delete_matching(name, filters)
        return {"delete_count": deleted, "cost": 0}

    def get(
        self,
        /,
        collection_name: str,
        ids: Any,
        output_fields: Sequence[str] | None = None,
        timeout: float | None = None,
        partition_names: Sequence[str] | None = None,
        **kwargs: Unpack[Keywords],
    ) -> list[dict[str, Any]]:
        """Rows by primary key, in the order of ``ids``; keys that do not exist are left out."""
        _check_options("get", kwargs, timeout, partition_names)
        names = output_names(output_fields) or ("*",)
        return self._database.get(self._name(collection_name), keys_of("ids", ids), names)

    def query(
        self,
        /,
        collection_name: str,
        filter: str | Expression | None = "",
        output_fields: Sequence[str] | None = None,
        timeout: float | None = None,
        ids: Any = None,
        partition_names: Sequence[str] | None = None,
        **kwargs: Unpack[QueryKeywords],
    ) -> list[dict[str, Any]]:
        """Rows that a filter lets pass, in the order of their primary keys.

        Args:
            collection_name: the collection.
            filter: an expression; empty means every row.
            output_fields: field names, dynamic keys, ``"*"`` (the default: all), or
                ``["count(*)"]`` for ``[{"count(*)": n}]``. The primary key always comes along.
            timeout: accepted for compatibility.
            ids: keys, instead of a filter.
            partition_names: none, or ``["_default"]``.
            **kwargs: ``limit``, ``offset``, ``filter_params``.

        Raises:
            FilterError: if the filter does not parse; the message points at the place.
        """
        params, limit = kwargs.pop("filter_params", None), kwargs.pop("limit", None)
        offset = kwargs.pop("offset", 0)
        first = 0 if offset is None else whole("offset", offset, 0)
        _check_options("query", kwargs, timeout, partition_names)
        filters = self._filters(filter, params)
        if filters and ids is not None:
            raise ParamError("query: give either a filter or ids, not both")
        names = output_names(output_fields, counting=True) or ("*",)
        is_all = limit is None or (is_whole(limit) and limit == -1)
        most = None if is_all else whole("limit", limit, 1)
        name = self._name(collection_name)
        if COUNT in names:
            if len(names) > 1 or most is not None or first:
                raise ParamError(
                    "query: count(*) goes without other output_fields, limit and offset"
                )
            return [{COUNT: self._count(name, filters, ids)}]
        if ids is None:
            return self._database.query(name, filters, names, limit=most, offset=first)
        rows = self._database.get(name, keys_of("ids", ids), names)
        return rows[first : None if most is None else first + most]

    def _count(self, name: str, filters: tuple[Expression, ...], ids: Any) -> int:
        if ids is None:
            return self._database.count(name, filters)
        return len(self._database.get(name, keys_of("ids", ids), ()))

    def search(
        self,
        /,
        collection_name: str,
        data: Any = None,
        filter: str | Expression | None = "",
        limit: int = 10,
        output_fields: Sequence[str] | None = None,
        search_params: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        partition_names: Sequence[str] | None = None,
        anns_field: str | None = None,
        **kwargs: Unpack[SearchKeywords],
    ) -> list[list[Hit]]:
        """The nearest rows for each query.

        Args:
            collection_name: the collection.
            data: one vector or text a query: lists, numpy arrays, a matrix (n, dim), sparse dicts,
                SciPy rows, or strings for a field that BM25 fills.
            filter: an expression; every hit satisfies it, and there are min(limit, matches) hits.
            limit: number of hits a query.
            output_fields: fields of the hits; none by default.
            search_params: ``{"metric_type": …, "params": {"ef": …}}``.
            timeout: accepted for compatibility.
            partition_names: none, or ``["_default"]``.
            anns_field: the vector field; needed if there are several.
            **kwargs: ``offset``, ``filter_params``, ``round_decimal``.

        Returns:
            For each query its hits, best first: ``{key field: key, "distance": …, "entity": {…}}``.
            COSINE, IP and BM25: larger is better; L2 is the squared distance.

        Raises:
            ParamError: if an argument is wrong; FilterError: if the filter is.
            DataNotMatchException: if a query does not fit the field.
        """
        more = dict[str, Any](kwargs)
        page = {key: more.pop(key) for key in _PAGE if key in more}
        params = more.pop("filter_params", None)
        _check_options("search", more, timeout, partition_names)
        request = as_search(data, anns_field, limit, search_params, page)
        filters = self._filters(filter, params)
        names, name = output_names(output_fields), self._name(collection_name)
        return as_hits(self._database.search(name, Leg(request, filters), names), request.digits)

    def hybrid_search(
        self,
        /,
        collection_name: str,
        reqs: Sequence[Any],
        ranker: Any = None,
        limit: int = 10,
        output_fields: Sequence[str] | None = None,
        timeout: float | None = None,
        partition_names: Sequence[str] | None = None,
        **kwargs: Unpack[HybridKeywords],
    ) -> list[list[Hit]]:
        """Several searches fused into one ranking.

        Args:
            collection_name: the collection.
            reqs: ``AnnSearchRequest`` objects, ours or pymilvus's; each brings its own limit.
            ranker: ``RRFRanker`` (the default), ``WeightedRanker`` (ours or pymilvus's),
                ``AdaptiveRanker``, ``MinMaxRanker``, ``ZScoreRanker`` or ``CombMNZRanker``.
            limit: number of hits a query.
            output_fields: fields of the hits; none by default.
            timeout: accepted for compatibility.
            partition_names: none, or ``["_default"]``.
            **kwargs: ``filter`` and ``filter_params`` (for every request, besides its own),
                ``offset``, ``round_decimal``; ``explain=True``, which adds to each hit an
                ``"explanation"``: leg, score, rank, contribution and reason of each leg that found
                it (with ``AdaptiveRanker``, of every leg); ``relevance=True``, which adds a
                ``"relevance"``: the estimated probability that the hit answers the query;
                ``min_relevance``, which leaves out hits of a smaller one before ``limit`` are
                counted (and after ``group_by``); and ``group_by``, a scalar field, or a list of
                a JSON field and the keys and positions that lead into it, as ``path`` of
                ``count_values``: of the rows that have the same value there the best alone is a
                hit, and requests look as deep as it takes to find ``limit`` values. Where hits
                are judged (by ``AdaptiveRanker``, or for a relevance), a vector of zeros is no hit
                under COSINE.

        Returns:
            As ``search``; ``distance`` is the fused score, larger is better.

        Raises:
            ParamError: if an argument is wrong.
        """
        more = dict[str, Any](kwargs)
        fusion = as_fusion(ranker, limit, output_fields, more)
        given, params = more.pop("filter", ""), more.pop("filter_params", None)
        group = more.pop("group_by", None)
        _check_options("hybrid_search", more, timeout, partition_names)
        common = self._filters(given, params)
        if not isinstance(reqs, (list, tuple)) or not reqs:
            raise ParamError("hybrid_search: reqs must be a list of AnnSearchRequest")
        legs = [self._leg(request, common) for request in reqs]
        name = self._name(collection_name)
        if group is not None:
            schema = self._database.catalogue().collection(name).schema
            fusion = replace(fusion, group=group_path(schema, group))
        return as_hits(self._database.hybrid_search(name, legs, fusion), fusion.digits)

    def _leg(self, request: Any, common: tuple[Expression, ...]) -> Leg:
        try:
            expr, params, data, field, limit, param = (
                request.expr, request.expr_params, request.data, request.anns_field,
                request.limit, request.param,
            )  # fmt: skip
        except AttributeError:
            raise ParamError(f"hybrid_search: {quoted(request)} is no AnnSearchRequest") from None
        filters = (*common, *self._filters(expr, params))
        return Leg(as_search(data, field, limit, param), filters)

    # --- beyond pymilvus -------------------------------------------------------------------

    def replace(
        self,
        /,
        collection_name: str,
        data: Any,
        filter: str | Expression | None = "",
        timeout: float | None = None,
        **kwargs: Unpack[FilterKeywords],
    ) -> dict[str, Any]:
        """Make the rows that a filter selects those that are given: one commit, or none at all.

        A selected row whose key is not given is deleted. One that is stored as it is given, bit for
        bit, is not touched. What is selected and what is stored is seen by the transaction that
        writes, so nothing that others write meanwhile is left over or lost.

        Args:
            collection_name: the collection.
            data: rows or columns, as for ``insert``, each key once.
            filter: an expression; empty selects every row.
            timeout: accepted for compatibility.
            **kwargs: ``filter_params``, values of the filter's templates.

        Returns:
            ``{"ids": [keys of data], "upsert_count": …, "delete_count": …, "unchanged_count": …}``.

        Raises:
            DataNotMatchException: naming row and rule, or a key that is given twice.
            ParamError: if a key is that of a row which the filter does not select.
        """
        params = kwargs.pop("filter_params", None)
        _check_options("replace", kwargs, timeout)
        filters = self._filters(filter, params)
        name = self._name(collection_name)
        keys, took = self._database.replace(name, self._data(data, "replace"), filters)
        return {
            "ids": keys,
            "upsert_count": took.written,
            "delete_count": took.deleted,
            "unchanged_count": took.unchanged,
        }

    def change_json(
        self,
        /,
        collection_name: str,
        field_name: str,
        values: Mapping[str, Any] | None = None,
        remove: Sequence[str] = (),
        ids: Any = None,
        filter: str | Expression | None = None,
        timeout: float | None = None,
        texts: Mapping[str, str] | None = None,
        **kwargs: Unpack[FilterKeywords],
    ) -> int:
        """Set and remove keys of the object in a JSON field of many rows, in one commit.

        All else of a row stays as it is stored: no vector and no text need be given again.

        Args:
            collection_name: the collection.
            field_name: a JSON field, or ``"$meta"`` for the dynamic keys.
            values: keys to set.
            remove: keys to take out, where they are.
            ids: a key or a list of keys of rows.
            filter: an expression; give either this or ``ids``.
            timeout: accepted for compatibility.
            texts: VARCHAR fields that hold the text under a key of the object, ``{field: key}``:
                they are entered anew, ``""`` where there is no text.
            **kwargs: ``filter_params``, values of the filter's templates.

        Returns:
            How many rows were selected, also if some were so already.

        Raises:
            ParamError: if an argument is wrong, or the field of a row holds no object.
        """
        params = kwargs.pop("filter_params", None)
        _check_options("change_json", kwargs, timeout)
        filters = self._filters(filter, params)
        if (ids is None) == (not filters):
            raise ParamError("change_json: give either ids or a filter")
        given = as_json("values", mapping("values", values))
        removed = frozenset(names("remove", remove))
        for key in given:
            if key in removed:
                raise ParamError(f"values and remove both name {quoted(key)}; set it, or remove it")
        name = self._name(collection_name)
        schema = self._database.catalogue().collection(name).schema
        field = json_field(schema, field_name)
        keys = None if ids is None else keys_of("ids", ids)
        change = JsonChange(field, given, removed, text_fields(schema, texts))
        return self._database.change_json(name, filters, keys, change)

    def change_collection(
        self,
        /,
        collection_name: str,
        properties: Mapping[str, Any] | None = None,
        index_params: Any = None,
        timeout: float | None = None,
        **kwargs: Unpack[Keywords],
    ) -> None:
        """Change properties and indexes of a collection, in one commit; all else of both stays.

        Every process sees it at its next call. BM25's statistics are those of the rows, whatever
        the parameters: no text is read or analysed again.

        Args:
            collection_name: the collection.
            properties: JSON values to set by key; None takes the key out.
            index_params: from ``prepare_index_params``; each takes the place of the index that its
                field has.
            timeout: accepted for compatibility.
            **kwargs: none; what is unknown is refused.

        Raises:
            ParamError: if an argument is wrong.
            UnsupportedError: if an index type is none of ours.
        """
        _check_options("change_collection", kwargs, timeout)
        given = mapping("properties", properties)
        changes = as_json("change_collection: properties", given)
        info = self._database.catalogue().collection(collection_name)
        specs = as_index_specs(index_params, info.schema)
        self._database.change_collection(info.name, changes, specs)

    def count_values(
        self,
        /,
        collection_name: str,
        field_name: str,
        path: Sequence[Step] = (),
        filter: str | Expression | None = "",
        timeout: float | None = None,
        **kwargs: Unpack[FilterKeywords],
    ) -> list[tuple[Any, int]]:
        """How many rows have each value of a field, or at a place inside of a JSON field.

        Args:
            collection_name: the collection.
            field_name: a scalar field, or ``"$meta"`` for the dynamic keys.
            path: keys and positions that lead into a JSON field. A tuple of keys is the key that
                is written with dots between them, and, where a row has none or null, the way.
            filter: an expression; only rows that it lets pass are counted.
            timeout: accepted for compatibility.
            **kwargs: ``filter_params``, values of the filter's templates.

        Returns:
            Values and counts, the most frequent first; equally frequent ones by type, then in their
            own order. A row with an array counts once for each different element. Null is None;
            missing values and objects are not counted. Equal numbers are one, whole if they are.
        """
        params = kwargs.pop("filter_params", None)
        _check_options("count_values", kwargs, timeout)
        filters, name = self._filters(filter, params), self._name(collection_name)
        schema = self._database.catalogue().collection(name).schema
        return self._database.count_values(name, column_path(schema, field_name, path), filters)

    def count_keys(
        self,
        /,
        collection_name: str,
        field_name: str,
        filter: str | Expression | None = "",
        timeout: float | None = None,
        **kwargs: Unpack[FilterKeywords],
    ) -> list[tuple[str, str, int]]:
        """In how many rows the object in a JSON field has each key, by the type of its value.

        Args:
            collection_name: the collection.
            field_name: a JSON field, or ``"$meta"`` for the dynamic keys.
            filter: an expression; only rows that it lets pass are counted.
            timeout: accepted for compatibility.
            **kwargs: ``filter_params``, values of the filter's templates.

        Returns:
            Key, type (``NULL BOOL INT FLOAT STRING ARRAY OBJECT``) and number of rows, the most
            frequent first; a key that has values of two types is there twice.
        """
        params = kwargs.pop("filter_params", None)
        _check_options("count_keys", kwargs, timeout)
        filters, name = self._filters(filter, params), self._name(collection_name)
        field = json_field(self._database.catalogue().collection(name).schema, field_name)
        return self._database.count_names(name, (field,), filters)

    def query_terms(
        self,
        /,
        collection_name: str,
        anns_field: str,
        query: str,
        prefix: bool = False,
        typos: bool = False,
        timeout: float | None = None,
        **kwargs: Unpack[Keywords],
    ) -> list[str]:
        """The terms by which a search by words finds rows: those of the field's vocabulary.

        Args:
            collection_name: the collection.
            anns_field: a field that a BM25 function fills.
            query: the text that is searched for.
            prefix: as the search parameter: the last word also stands for those that begin so.
            typos: as the search parameter: a word that no row has also stands for those that one
                edit makes of it.
            timeout: accepted for compatibility.
            **kwargs: none is known.
        """
        _check_options("query_terms", kwargs, timeout)
        name = self._name(collection_name)
        if not isinstance(query, str):  # of any characters, as for a search
            refuse("query", "a string", query)
        source = text_source(self._database.catalogue().collection(name).schema, anns_field)
        return self._database.terms_asked_for(
            name, source, query, prefix=flag("prefix", prefix), typos=flag("typos", typos)
        )

    def file_size(self) -> int:
        """Bytes of the database: all commits count, also those that are still in its log."""
        return self._database.size()

    # --- arguments -------------------------------------------------------------------------

    def _name(self, given: Any) -> str:
        """A collection's name in plain form; what can be nobody's name is refused at once.

        Raises:
            CollectionNotFoundError: naming the collections that there are.
        """
        if not isinstance(given, str) or len(given) > MAX_NAME:
            self._database.catalogue().collection(given)
        return str.__str__(given)

    @staticmethod
    def _filters(expression: Any, params: Mapping[str, Any] | None) -> tuple[Expression, ...]:
        """The filter as a tree; nothing for an empty one.

        Raises:
            FilterError: if it does not parse, or a template has no value.
        """
        is_empty = expression is None or (isinstance(expression, str) and not expression)
        if is_empty and params is None:
            return ()
        found = as_filter(expression, params)
        return () if found is None else (found,)
