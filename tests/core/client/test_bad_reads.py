"""Searches, queries and deletes with wrong arguments: refused, and nothing is changed."""

import math

import numpy as np
import pytest

from elanus import (
    AnnSearchRequest,
    CombMNZRanker,
    MinMaxRanker,
    RRFRanker,
    WeightedRanker,
    ZScoreRanker,
)
from elanus.errors import (
    CollectionNotFoundError,
    DataNotMatchException,
    ParamError,
    UnsupportedError,
)


class Missing:
    """As pandas.NA: what it is compared with is not known, and so neither true nor false."""

    def __eq__(self, other):
        return self

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")

    def __hash__(self):
        return 1

    def __repr__(self):
        return "<NA>"


def search(data=None, **options):
    options = {"anns_field": "dense", **options}
    return lambda client: client.search("c", [[1, 2]] if data is None else data, **options)


def query(*args, **options):
    return lambda client: client.query("c", *args, **options)


def fuse(*requests, ranker=None, **options):
    return lambda client: client.hybrid_search("c", list(requests), ranker, **options)


def leg(data=None, field="dense", param=None, limit=3, **options):
    return AnnSearchRequest(
        [[1, 2]] if data is None else data, field, param or {}, limit, **options
    )


WHOLE = "limit must be an integer of at least 1"
BAD_READS = {
    "limit 0": (search(limit=0), ParamError, f"{WHOLE}, got 0"),
    "limit -1": (search(limit=-1), ParamError, f"{WHOLE}, got -1"),
    "limit True": (search(limit=True), ParamError, f"{WHOLE}, got True"),
    "limit text": (search(limit="5"), ParamError, f"{WHOLE}, got '5'"),
    "limit float": (search(limit=5.0), ParamError, f"{WHOLE}, got 5.0"),
    "limit None": (search(limit=None), ParamError, f"{WHOLE}, got None"),
    "query limit 0": (query(limit=0), ParamError, f"{WHOLE}, got 0"),
    "query limit text": (query(limit="5"), ParamError, f"{WHOLE}, got '5'"),
    "hybrid limit": (fuse(leg(), limit=0), ParamError, f"{WHOLE}, got 0"),
    "leg limit": (fuse(leg(limit=0)), ParamError, f"{WHOLE}, got 0"),
    "offset -1": (search(offset=-1), ParamError, "offset must be.*got -1"),
    "offset text": (query(offset="1"), ParamError, "offset must be.*got '1'"),
    "hybrid offset": (fuse(leg(), offset=-1), ParamError, "offset must be.*got -1"),
    "round_decimal": (search(round_decimal="x"), ParamError, "round_decimal.*'x'"),
    "text on dense": (
        search(["hello"]),
        DataNotMatchException,
        "query 0 on field 'dense'.*BM25 function fills",
    ),
    "vector on text field": (
        search(anns_field="terms"),
        DataNotMatchException,
        "query 0.*takes texts, got list",
    ),
    "vector on sparse": (search(anns_field="weights"), DataNotMatchException, "'weights'.*pairs"),
    "sparse on dense": (search([{1: 1.0}]), DataNotMatchException, "query 0 on field 'dense'"),
    "query dimension": (
        search([[1, 2], [1, 2, 3]]),
        DataNotMatchException,
        "query 1.*dimension 3.*dim=2",
    ),
    "query NaN": (search([[1, math.nan]]), DataNotMatchException, "query 0.*finite"),
    "query None": (search([None]), DataNotMatchException, "query 0 on field 'dense'"),
    "no data": (lambda c: c.search("c", anns_field="dense"), ParamError, "data is needed"),
    "data is a number": (search(5), ParamError, "list of vectors or texts, got int"),
    "data is bytes": (search(b"ab"), ParamError, "list of vectors or texts, got bytes"),
    "leg without data": (fuse(AnnSearchRequest(None, "dense", {}, 3)), ParamError, "got NoneType"),
    "no field named": (search(anns_field=None), ParamError, "anns_field is needed.*dense, weights"),
    "unknown vector field": (search(anns_field="none"), ParamError, "'none' is no vector field"),
    "scalar field": (search(anns_field="small"), ParamError, "'small' is no vector field"),
    "field is a list": (search(anns_field=["dense"]), ParamError, "no vector field"),
    "metric mismatch": (
        search(search_params={"metric_type": "L2"}),
        ParamError,
        "not match: expected=COSINE, actual=L2",
    ),
    "unknown metric": (
        search(search_params={"metric_type": "X"}),
        ParamError,
        "unknown metric_type 'X'",
    ),
    "unknown search parameter": (
        search(search_params={"params": {"eff": 5}}),
        ParamError,
        "parameter 'eff'; known.*ef",
    ),
    "search parameter without truth": (
        search(search_params={Missing(): 5}),
        ParamError,
        "unknown search parameter <NA>; known.*ef",
    ),
    "search parameter without truth, in params": (
        search(search_params={"params": {Missing(): 5}}),
        ParamError,
        "unknown search parameter <NA>; known.*ef",
    ),
    "ef 1.5": (search(search_params={"ef": 1.5}), ParamError, "ef must be an integer.*got 1.5"),
    "ef 0": (search(search_params={"ef": 0}), ParamError, "ef must be an integer.*got 0"),
    "search_params text": (search(search_params="ef"), ParamError, "search_params must be a dict"),
    "nested params": (search(search_params={"params": 5}), ParamError, "params must be a dict"),
    "radius": (search(search_params={"params": {"radius": 1}}), UnsupportedError, "'radius'"),
    "grouping": (search(group_by_field="short"), UnsupportedError, "group_by_field='short'"),
    **{
        f"{name}={value!r}": (search(**{name: value}), UnsupportedError, f"argument {name}=")
        for name in ("ids", "group_by_field", "group_size", "ranker")
        for value in (0, [], {}, ())
    },
    "ids of an empty text": (search(ids=""), UnsupportedError, "argument ids=''"),
    **{
        f"anns_field={value!r}": (search(anns_field=value), ParamError, "is no vector field")
        for value in (0, [], {}, (), False)
    },
    **{
        f"metric_type={value!r}": (
            search(search_params={"metric_type": value}),
            ParamError,
            "metric",
        )
        for value in (0, [], {}, False)
    },
    "list_indexes field 0": (lambda c: c.list_indexes("c", 0), ParamError, "field_name.*got 0"),
    "compact 0": (lambda c: c.compact(0), CollectionNotFoundError, "collection 0 not found"),
    "unknown keyword": (query(foo=1), UnsupportedError, "query: the argument foo=1"),
    "unknown keyword, array": (search(foo=np.ones(2)), UnsupportedError, "argument foo="),
    "partitions": (search(partition_names=["p"]), UnsupportedError, "partitions.*'p'"),
    "partition number": (query(partition_names=5), UnsupportedError, "partitions.*5"),
    "partition of insert": (
        lambda c: c.insert("c", {}, partition_name="p"),
        UnsupportedError,
        "insert: partitions",
    ),
    "output field": (search(output_fields=["none"]), ParamError, "unknown output field 'none'"),
    "output fields text": (query(output_fields="id"), ParamError, "must be a list of names"),
    "output fields number": (query(output_fields=5), ParamError, "must be a list of names"),
    "output fields mixed": (query(output_fields=["id", 5]), ParamError, "must be a list of names"),
    "output of a function": (query(output_fields=["terms"]), ParamError, "'terms' is filled by"),
    "count and more": (
        query(output_fields=["count(*)", "id"]),
        ParamError,
        r"count\(\*\) goes with",
    ),
    "count with limit": (
        query(output_fields=["count(*)"], limit=1),
        ParamError,
        r"count\(\*\) goes",
    ),
    "count in search": (search(output_fields=["count(*)"]), ParamError, r"count\(\*\) can only"),
    "ids and filter": (query("id > 1", ids=[1]), ParamError, "either a filter or ids"),
    "key of text": (lambda c: c.get("c", ["1"]), DataNotMatchException, "'id'.*integer; got '1'"),
    "key of float": (lambda c: c.get("c", 1.5), DataNotMatchException, "'id'.*integer; got 1.5"),
    "key None": (lambda c: c.get("c", None), DataNotMatchException, "'id'.*integer; got None"),
    "key in a list in a list": (lambda c: c.get("c", [[1]]), DataNotMatchException, r"got \[1\]"),
    "key far too large": (lambda c: c.get("c", 10**5000), DataNotMatchException, "out of range"),
    "key too large": (lambda c: c.get("c", 2**63), DataNotMatchException, "out of range"),
    "delete key of text": (lambda c: c.delete("c", ids=[0, "1"]), DataNotMatchException, "got '1'"),
    "delete key bool": (lambda c: c.delete("c", ids=True), DataNotMatchException, "got True"),
    "delete nothing": (lambda c: c.delete("c"), ParamError, "either ids or a filter"),
    "delete with empty filter": (lambda c: c.delete("c", filter=""), ParamError, "either ids or"),
    "delete both": (lambda c: c.delete("c", ids=[1], filter="id > 0"), ParamError, "either ids or"),
    "requests none": (fuse(), ParamError, "reqs must be a list of AnnSearchRequest"),
    "requests number": (lambda c: c.hybrid_search("c", 5), ParamError, "reqs must be a list"),
    "request of no kind": (fuse(5), ParamError, "5 is no AnnSearchRequest"),
    "uneven requests": (
        fuse(leg(), leg([[1, 2], [2, 1]])),
        ParamError,
        r"as many queries, got \[1, 2\]",
    ),
    "ranker of no kind": (
        fuse(leg(), ranker=5),
        ParamError,
        "ranker must be one of RRFRanker, WeightedRanker, AdaptiveRanker, .*, got 5",
    ),
    "relevance of no truth": (
        fuse(leg(), relevance=2),
        ParamError,
        "relevance must be True or False, got 2",
    ),
    "negative weight": (
        lambda _: MinMaxRanker(1, -1),
        ParamError,
        "MinMaxRanker: a weight.*got -1",
    ),
    "weight of text": (lambda _: ZScoreRanker("1"), ParamError, "ZScoreRanker: a weight.*got '1'"),
    "endless weight": (
        lambda _: CombMNZRanker(float("inf")),
        ParamError,
        "CombMNZRanker: a weight must be a number of at least 0",
    ),
    "weights of other number": (
        fuse(leg(), ranker=WeightedRanker(0.5, 0.5)),
        ParamError,
        "2 weights for 1",
    ),
    "k of 0": (lambda _: RRFRanker(0), ParamError, "k must be between 0 and 16384.*got 0"),
    "weight over 1": (lambda _: WeightedRanker(1.5), ParamError, "from 0 to 1"),
    "request with both filters": (
        lambda _: leg(expr="id > 1", filter="id > 1"),
        ParamError,
        "expr or filter, not both",
    ),
}


@pytest.mark.parametrize("case", BAD_READS.values(), ids=BAD_READS)
def test_a_bad_read_or_delete_is_refused(table, case, check_refused):
    call, error, message = case
    check_refused(table, error, f"(?s){message}", call)


class Unshown(str):
    """A text that cannot be shown."""

    __slots__ = ()

    def __repr__(self):
        raise RuntimeError


def test_a_text_that_is_no_number_and_cannot_be_shown_is_refused(client):
    with pytest.raises(ParamError, match="search parameter ef must be an integer"):
        search(search_params={"params": {"ef": Unshown("x")}})(client)
