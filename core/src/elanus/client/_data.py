"""Calls about rows: writing, reading and searching."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from elanus.client._base import BaseClient
from elanus.client._options import (
    COUNT,
    check_options,
    check_partitions,
    field_names,
    keys_of,
)
from elanus.client._results import Hit, as_hits
from elanus.engine import (
    Leg,
    Projection,
    check_keys,
    count,
    hybrid_search,
    make_projection,
    search,
    select_keys,
)
from elanus.engine import select as select_rows
from elanus.errors import ParamError, quoted
from elanus.query import Expression
from elanus.schema import (
    Schema,
    as_ranker,
    as_search_params,
    flag,
    is_data,
    is_whole,
    make_batch,
    mapping,
    split_queries,
    whole,
)


class DataCalls(BaseClient):
    """``insert``, ``search`` and their kin."""

    def insert(
        self,
        /,
        collection_name: str,
        data: Any,
        timeout: float | None = None,
        partition_name: str | None = "",
        **kwargs: Any,
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
        check_options("insert", kwargs, timeout)
        check_partitions("insert", partition_name)
        keys = self._put(self._name(collection_name), data, "insert")
        return {"insert_count": len(keys), "ids": keys, "cost": 0}

    def upsert(
        self,
        /,
        collection_name: str,
        data: Any,
        timeout: float | None = None,
        partition_name: str | None = "",
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Insert rows, or replace those whose keys exist, all or none; see ``insert``.

        Returns:
            ``{"upsert_count": n, "ids": [keys], "cost": 0}``.
        """
        check_options("upsert", kwargs, timeout)
        check_partitions("upsert", partition_name)
        keys = self._put(self._name(collection_name), data, "upsert")
        return {"upsert_count": len(keys), "ids": keys, "cost": 0}

    def _put(self, name: str, data: Any, operation: str) -> list[Any]:
        if not is_data(data):
            raise ParamError(
                f"{operation}: data must be a dict or a list of dicts, a dict of columns, an Arrow "
                f"table, or a pandas or polars frame, got {type(data).__name__}"
            )
        upsert = operation == "upsert"
        return self._database.put(
            name, lambda schema: make_batch(schema, data, upsert=upsert), operation
        )

    def delete(
        self,
        /,
        collection_name: str,
        ids: Any = None,
        timeout: float | None = None,
        filter: str | Expression | None = None,
        partition_name: str | None = "",
        **kwargs: Any,
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
        check_options("delete", kwargs, timeout)
        check_partitions("delete", partition_name)
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
        **kwargs: Any,
    ) -> list[dict[str, Any]]:
        """Rows by primary key, in the order of ``ids``; keys that do not exist are left out."""
        check_options("get", kwargs, timeout)
        check_partitions("get", partition_names)
        return self._by_ids(self._name(collection_name), ids, field_names(output_fields) or ["*"])

    def _by_ids(self, name: str, ids: Any, names: Sequence[str]) -> list[dict[str, Any]]:
        keys = keys_of("ids", ids)
        return self._database.read(
            name,
            lambda s: select_keys(s, check_keys(s.schema, keys), _with_key(s.schema, names)),
        )

    def query(
        self,
        /,
        collection_name: str,
        filter: str | Expression | None = "",
        output_fields: Sequence[str] | None = None,
        timeout: float | None = None,
        ids: Any = None,
        partition_names: Sequence[str] | None = None,
        **kwargs: Any,
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
        params = kwargs.pop("filter_params", None)
        limit, first = kwargs.pop("limit", None), _offset(kwargs.pop("offset", 0))
        check_options("query", kwargs, timeout)
        check_partitions("query", partition_names)
        filters = self._filters(filter, params)
        if filters and ids is not None:
            raise ParamError("query: give either a filter or ids, not both")
        names = field_names(output_fields, counting=True) or ["*"]
        most = _query_limit(limit)
        name = self._name(collection_name)
        if COUNT in names and (len(names) > 1 or most is not None or first):
            raise ParamError("query: count(*) goes without other output_fields, limit and offset")
        if ids is not None:
            rows = self._by_ids(name, ids, [] if names == [COUNT] else names)
            end = None if most is None else first + most
            return [{COUNT: len(rows)}] if names == [COUNT] else rows[first:end]
        if names == [COUNT]:
            return [{COUNT: self._database.read(name, lambda s: count(s, filters))}]
        return self._database.read(
            name,
            lambda s: select_rows(
                s,
                filters,
                limit=most,
                offset=first,
                projection=_with_key(s.schema, names),
            ),
        )

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
        **kwargs: Any,
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
        options = mapping("search_params", search_params)
        first = _offset(kwargs.pop("offset", options.pop("offset", 0)))
        params = kwargs.pop("filter_params", None)
        digits = _digits(kwargs.pop("round_decimal", options.pop("round_decimal", -1)))
        check_options("search", kwargs, timeout)
        check_partitions("search", partition_names)
        if data is None:
            raise ParamError("search: data is needed: one vector or text a query")
        leg = Leg(
            split_queries(data),
            _plain(anns_field),
            whole("limit", limit, 1),
            as_search_params(options),
            self._filters(filter, params),
        )
        names = field_names(output_fields)
        key, found = self._database.read(
            self._name(collection_name),
            lambda s: (
                s.schema.primary.name,
                search(s, leg, offset=first, projection=make_projection(s.schema, names)),
            ),
        )
        return as_hits(key, found, digits)

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
        **kwargs: Any,
    ) -> list[list[Hit]]:
        """Several searches fused into one ranking.

        Args:
            collection_name: the collection.
            reqs: ``AnnSearchRequest`` objects, ours or pymilvus's; each brings its own limit.
            ranker: ``RRFRanker`` (the default) or ``WeightedRanker``, ours or pymilvus's.
            limit: number of hits a query.
            output_fields: fields of the hits; none by default.
            timeout: accepted for compatibility.
            partition_names: none, or ``["_default"]``.
            **kwargs: ``filter`` and ``filter_params`` (for every request, besides its own),
                ``offset``, ``round_decimal``, and ``explain=True``, which adds to each hit an
                ``"explanation"``: leg, score, rank and contribution of each leg that found it.

        Returns:
            As ``search``; ``distance`` is the fused score, larger is better.

        Raises:
            ParamError: if an argument is wrong.
        """
        first, digits = _offset(kwargs.pop("offset", 0)), _digits(kwargs.pop("round_decimal", -1))
        explain = flag("explain", kwargs.pop("explain", False))
        common = self._filters(kwargs.pop("filter", ""), kwargs.pop("filter_params", None))
        check_options("hybrid_search", kwargs, timeout)
        check_partitions("hybrid_search", partition_names)
        if not isinstance(reqs, (list, tuple)) or not reqs:
            raise ParamError("hybrid_search: reqs must be a list of AnnSearchRequest")
        legs = [self._leg(request, common) for request in reqs]
        names = field_names(output_fields)
        fusion, most = as_ranker(ranker), whole("limit", limit, 1)
        key, found = self._database.read(
            self._name(collection_name),
            lambda s: (
                s.schema.primary.name,
                hybrid_search(
                    s, legs, fusion, limit=most, offset=first,
                    projection=make_projection(s.schema, names), explain=explain,
                ),
            ),
        )  # fmt: skip
        return as_hits(key, found, digits)

    def _leg(self, request: Any, common: tuple[Expression, ...]) -> Leg:
        try:
            expr, params, data, field, limit, param = (
                request.expr, request.expr_params, request.data, request.anns_field,
                request.limit, request.param,
            )  # fmt: skip
        except AttributeError:
            raise ParamError(f"hybrid_search: {quoted(request)} is no AnnSearchRequest") from None
        filters = (*common, *self._filters(expr, params))
        queries, most = split_queries(data), whole("limit", limit, 1)
        return Leg(queries, _plain(field), most, as_search_params(param), filters)


def _query_limit(given: Any) -> int | None:
    is_all = given is None or (is_whole(given) and given == -1)
    return None if is_all else whole("limit", given, 1)


def _offset(given: Any) -> int:
    return 0 if given is None else whole("offset", given, 0)


def _digits(given: Any) -> int:
    return whole("round_decimal", given, -1, 100)


def _plain(field: Any) -> Any:
    """A field's name as a plain string; whether it is one is looked at with the collection."""
    return str.__str__(field) if isinstance(field, str) else field


def _with_key(schema: Schema, names: Sequence[str]) -> Projection:
    """The projection of a query: as in Milvus, its rows always carry their primary key."""
    return make_projection(schema, [schema.primary.name, *names])
