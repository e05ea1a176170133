"""``count_values`` and ``count_keys`` against counting by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus import DataType, MilvusClient
from elanus.errors import ParamError

pandas = pytest.importorskip("pandas")

NAMES = ["NULL", "BOOL", "INT", "FLOAT", "STRING", "ARRAY", "OBJECT"]


def type_name(value):
    types = [type(None), bool, int, float, str, list, dict]
    return NAMES[types.index(type(value))]


def order(value):
    """Null, bools, numbers, strings; each in its own order."""
    rank = {type(None): 0, bool: 1, int: 2, float: 2, str: 3}[type(value)]
    return rank, 0 if value is None else value


def counted(values):
    """What ``count_values`` should say of the values at one place, one a row."""
    slots = Counter()
    for value in values:
        inside = value if isinstance(value, list) else [value]
        slots.update({order(v): v for v in inside if not isinstance(v, dict | list)}.keys())
    return sorted(((key, count) for key, count in slots.items()), key=lambda one: (-one[1], one[0]))


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.sampled_from([0.5, 1.0, -1.5, 1e300, 2.0**63]),
    st.sampled_from(["", "a", "b", "é", "true", "1"]),
)  # fmt: skip
values = scalars | st.lists(scalars | st.just({"x": 1}) | st.just([1]), max_size=4)
metadata = st.dictionaries(st.sampled_from(["k", "l", "a b", ""]), values | st.just({"x": 1}))


@pytest.fixture(scope="module")
def client():
    with MilvusClient(":memory:") as client:
        yield client


@given(rows=st.lists(metadata, max_size=12), gone=st.sets(st.integers(0, 11), max_size=4))
@settings(max_examples=60, deadline=None)
def test_counts_are_those_of_counting_by_hand(client, rows, gone):
    client.drop_collection("c")
    client.create_collection("c", dimension=2)
    all_rows = [{"id": i, "vector": [1, 0], "m": m, "x": i % 2} for i, m in enumerate(rows)]
    if all_rows:
        client.insert("c", all_rows[: len(all_rows) // 2])
        client.count_keys("c", "$meta"), client.count_values("c", "$meta", ["m", "k"])
        client.insert("c", all_rows)
    client.delete("c", ids=sorted(gone)) if gone else None
    for chosen, wanted in (("", {0, 1}), ("x == 1", {1})):
        left = [m for i, m in enumerate(rows) if i not in gone and i % 2 in wanted]
        for name in ("k", "l", "a b", "", "nothing"):
            found = client.count_values("c", "$meta", ["m", name], chosen)
            expected = counted([m[name] for m in left if name in m])
            assert [(order(value), count) for value, count in found] == expected
        for path in (["m", "l", "x"], ["m", ("l", "x")]):
            assert client.count_values("c", "$meta", path, chosen) == (
                [(1, n)] if (n := sum(m.get("l") == {"x": 1} for m in left)) else []
            )


@given(rows=st.lists(metadata, max_size=12), gone=st.sets(st.integers(0, 11), max_size=4))
@settings(max_examples=40, deadline=None)
def test_keys_are_those_of_looking_at_every_row(client, rows, gone):
    client.drop_collection("j")
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("m", DataType.JSON, nullable=True)
    client.create_collection("j", schema=schema)
    client.insert("j", [{"id": i, "m": m} for i, m in enumerate(rows)] + [{"id": 99, "m": None}])
    client.count_keys("j", "m")
    client.delete("j", ids=[*gone, 98])
    left = [m for i, m in enumerate(rows) if i not in gone]
    counts = Counter((name, type_name(value)) for m in left for name, value in m.items())
    found = client.count_keys("j", "m")
    assert {(name, kind): n for name, kind, n in found} == counts
    assert [n for *_, n in found] == sorted(counts.values(), reverse=True)


def test_a_field_of_the_schema_is_counted_too():
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=5)
    schema.add_field("price", DataType.FLOAT, nullable=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    with MilvusClient(":memory:") as client:
        client.create_collection("c", schema=schema)
        base = {"v": [0, 1]}
        client.insert("c", [
            base | {"id": 1, "tags": ["a", "b", "a"], "price": 1.5},
            base | {"id": 2, "tags": ["b"], "price": None},
            base | {"id": 3, "tags": [], "price": 2.0},
        ])  # fmt: skip
        assert client.count_values("c", "tags") == [("b", 2), ("a", 1)]
        assert client.count_values("c", "price") == [(None, 1), (1.5, 1), (2, 1)]
        assert client.count_values("c", "id", filter="price > 1") == [(1, 1), (3, 1)]
        for arguments, says in [
            (("v",), "'v' holds vectors"),
            (("nothing",), "no field 'nothing'; fields: id, tags, price, v"),
            (("price", ["a"]), "'price' is of type FLOAT; give a JSON field"),
            (("$meta", ["a"]), "no field '\\$meta'"),
            (("price", "a"), "path must be a list of keys and positions, got 'a'"),
            (("price", [-1]), "path must be a list of keys and positions"),
            (("price", [("a",)]), "path must be a list of keys and positions"),
            (("price", [("a", 1)]), "path must be a list of keys and positions"),
        ]:
            with pytest.raises(ParamError, match=says):
                client.count_values("c", *arguments)
        with pytest.raises(ParamError, match="'tags' is of type ARRAY"):
            client.count_keys("c", "tags")


@pytest.mark.parametrize("name", [np.array(["a", "b"]), pandas.Series(["$meta"]), pandas.NA, 5])
def test_a_field_has_a_name(client, name):
    client.create_collection("named", dimension=2)
    try:
        for count in (client.count_values, client.count_keys):
            with pytest.raises(ParamError, match=r"no field .*; fields: id, vector, \$meta"):
                count("named", name)
    finally:
        client.drop_collection("named")


def test_the_size_of_a_file_counts_what_is_committed(tmp_path):
    with MilvusClient(tmp_path / "a.db") as client:
        client.create_collection("c", dimension=100)
        before = client.file_size()
        client.insert("c", [{"id": i, "vector": [0.5] * 100} for i in range(1000)])
        assert client.file_size() > before + 400_000
        client.compact()
        assert client.file_size() == (tmp_path / "a.db").stat().st_size
    with MilvusClient(":memory:") as client:
        assert client.file_size() > 0
