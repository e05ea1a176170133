"""Bad rows: missing, unknown and dynamic fields; and a bad row among many good ones."""

import math

import numpy as np
import pytest

from elanus.errors import DataNotMatchException, ParamError


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


def dynamic(**values):
    return {"id": 5, "vector": [1, 2], **values}


BAD_ROWS = {
    "missing field": (
        "c",
        lambda good: {k: v for k, v in good.items() if k != "small"},
        "row 0.*'small' is mis",
    ),
    "missing vector": (
        "c",
        lambda good: {k: v for k, v in good.items() if k != "dense"},
        "row 0.*'dense' is mis",
    ),
    "missing key": ("free", {"vector": [1, 2]}, "row 0.*'id' is missing"),
    "unknown field": (
        "c",
        lambda good: {**good, "other": 1},
        "row 0.*unknown field 'other'.*no dynamic",
    ),
    "key that is no string": ("free", {**dynamic(), 5: 1}, "row 0.*key must be a string, not 5"),
    "row is a list": ("c", [[1, 2]], "row 0: a row must be a dict.*list"),
    "row is None": ("c", lambda good: [good, None], "row 1: a row must be a dict.*NoneType"),
    "dynamic NaN": ("free", dynamic(x=math.nan), "row 0, dynamic field.*'x'.*finite"),
    "dynamic int over 64 bits": ("free", dynamic(x=2**64), "'x'.*must fit in 64 bits"),
    "dynamic date": ("free", dynamic(x=np.datetime64("2020-01-01")), "'x'.*no JSON value"),
    "dynamic bytes": ("free", dynamic(x=b"a"), "'x'.*bytes is no JSON value"),
    "dynamic deep JSON": ("free", dynamic(x=nested(5000)), "nested more than 100 deep"),
    "dynamic surrogate": ("free", dynamic(x="\ud83d"), "'x'.*lone surrogates"),
    "dynamic key surrogate": ("free", dynamic(**{"\ud83d": 1}), "lone surrogates"),
    "$meta is no dict": ("free", dynamic(**{"$meta": 5}), r"'\$meta'.*dict"),
}


@pytest.mark.parametrize("case", BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_refused(table, case, check_refused, good):
    name, row, message = case
    row = row(good) if callable(row) else row
    check_refused(
        table, DataNotMatchException, f"(?s){message}", lambda client: client.insert(name, row)
    )


@pytest.mark.parametrize("data", [None, 5, "rows", b"rows", iter([{}]), {1, 2}], ids=repr)
def test_data_must_be_a_dict_or_a_list(table, data, check_refused):
    check_refused(
        table, ParamError, "data must be a dict or a list of dicts", lambda c: c.insert("c", data)
    )


def test_an_explicit_key_is_refused_where_the_collection_makes_keys(client):
    client.create_collection("auto", dimension=2, auto_id=True)
    with pytest.raises(DataNotMatchException, match=r"row 0.*'id'.*auto_id=True.*got 5"):
        client.insert("auto", {"id": 5, "vector": [1, 2]})
    assert client.query("auto") == []


@pytest.mark.parametrize("place", [0, 5_000, 10_000])
@pytest.mark.parametrize("call", ["insert", "upsert"])
def test_one_bad_row_among_ten_thousand_writes_nothing(client, call, place):
    client.create_collection("c", dimension=2)
    client.insert("c", {"id": 3, "vector": [1, 1], "old": True})
    rows = [{"id": i, "vector": [1.0, float(i)]} for i in range(10_000)]
    rows.insert(place, {"id": 99_999, "vector": [1.0, math.nan]})
    with pytest.raises(DataNotMatchException, match=f"row {place}, field 'vector'"):
        getattr(client, call)("c", rows)
    assert client.query("c") == [{"id": 3, "vector": [1.0, 1.0], "old": True}]
    assert client.search("c", [[1, 1]], limit=20_000)[0][0].id == 3
    del rows[place]
    assert getattr(client, call)("c", rows)[f"{call}_count"] == 10_000
    assert client.get_collection_stats("c") == {"row_count": 10_000}
