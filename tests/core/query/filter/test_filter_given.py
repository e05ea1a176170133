"""Filters as callers give them: the same object for the same filter, and never for another."""

import datetime as dt
import time
import uuid

import numpy as np
import pytest

from elanus import DocumentStore, MilvusClient
from elanus.errors import FilterError, ParamError
from elanus.query import as_filter, evaluate, parse_filter

STORE = {"root": "j", "searched": ("t",)}


@pytest.mark.parametrize(
    "make",
    [
        lambda: as_filter("a == 1"),
        lambda: as_filter("a == 1 and b", **STORE),
        lambda: as_filter("a in {x} or b == {y}", {"x": [1, 2.5, "z", [True]], "y": -0.0}),
        lambda: as_filter("a in {x}", {"x": (1, 2)}, **STORE),
        lambda: as_filter("a in {x} or a in {y}", {"x": [*range(500)], "y": {"b"}}),
        lambda: as_filter({"a": {"$in": [1, None]}, "$or": [{"b": True}, {"c": "x"}]}, **STORE),
        lambda: as_filter({"a": 1}, also=("id in {ids}", {"ids": ["x", "y"]}), **STORE),
        lambda: as_filter(None, also=("id in {ids}", {"ids": ["x", "y"]})),
        lambda: as_filter(parse_filter("a == {x}"), {"x": float("nan")}),
    ],
)
def test_what_comes_again_is_the_same_object(make):
    assert make() is make()


ALIKE = [
    1,
    1.0,
    True,
    "1",
    [1],
    (1,),
    [True],
    [1.0],
    [[1]],
    ["1"],
    [1, "1"],
    0,
    0.0,
    -0.0,
    False,
    "",
    [],
]


@pytest.mark.parametrize(
    "make",
    [
        lambda value: as_filter("a == {x}", {"x": value}),
        lambda value: as_filter("a == {x}", {"x": value}, **STORE),
        lambda value: as_filter({"a": value}, **STORE),
        lambda value: as_filter({"a": {"$ne": value}}, **STORE),
        lambda value: as_filter({"$or": [{"a": value}, {"b": 1}]}, **STORE),
        lambda value: as_filter(None, also=("a == {x}", {"x": value})),
    ],
)
def test_values_that_are_equal_to_python_are_not_taken_for_one_another(make):
    made = [make(value) for value in ALIKE]
    assert len(set(made)) == len(ALIKE)
    fresh = [make(value if type(value) is not str else value + "") for value in ALIKE]
    assert list(map(id, fresh)) == list(map(id, made))
    written = [repr(expression.root) for expression in made]
    assert (
        written == [repr(make(np.array(value).tolist()).root) for value in ALIKE[:4]] + written[4:]
    )


def test_where_keys_and_values_stand_makes_a_difference():
    dicts = [
        {"a": "b", "c": "d"},
        {"a": "c", "b": "d"},
        {"a": ["b", "c"], "d": "e"},
        {"a": ["b"], "c": "d"},
        {"a": {"$in": [1, 2]}},
        {"a": {"$in": [1], "$nin": [2]}},
        {"$and": [{"a": 1}, {"b": 1}]},
        {"$and": [{"a": 1, "b": 1}]},
    ]
    assert len({as_filter(each, root="j") for each in dicts}) == len(dicts)
    assert as_filter({"a": 1}, root="j") is not as_filter({"a": 1}, root="k")
    assert as_filter("a == 1", root="j") is not as_filter("a == 1")


def test_a_dict_that_is_changed_is_another_filter():
    query = {"a": {"$in": [1]}}
    before = as_filter(query, root="j")
    query["a"]["$in"].append(2)
    after = as_filter(query, root="j")
    assert after.root != before.root
    assert as_filter({"a": {"$in": [1]}}, root="j") is before


class Chameleon(str):
    """Equal to everything."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other):
        return True


@pytest.mark.parametrize("value", [np.int64(5), np.float64(0.5), np.array([1, 2]), Chameleon("x")])
def test_values_of_other_types_are_made_afresh(value):
    one, other = (as_filter("a == {x}", {"x": value}) for _ in range(2))
    assert one is not other
    assert repr(one.root) == repr(other.root)


def test_large_filters_are_made_afresh_and_small_endless_ones_end():
    keys = [*range(100_000)]
    assert as_filter("a in {x}", {"x": keys}) is not as_filter("a in {x}", {"x": keys})
    doubled = {"a": 1}
    for _ in range(39):
        doubled = {"$or": [doubled, doubled]}
    start = time.perf_counter()
    with pytest.raises(FilterError, match="holds the same dicts"):
        as_filter(doubled, root="j")
    itself = []
    itself.append(itself)
    with pytest.raises(FilterError):
        as_filter("a == {x}", {"x": itself})
    assert time.perf_counter() - start < 30


def test_a_dict_is_no_deeper_than_a_text():
    query = {"a": 1}
    for _ in range(39):
        query = {"$nor": [query, {"b": 1}], "c": 1}
    with pytest.raises(FilterError, match=r"^more than 100 levels deep"):
        as_filter(query, root="j")


def test_a_chain_of_text_and_ids_is_rebased_on_the_tree(make_rows):
    among = ("s in {ids}", {"ids": ["x", "y"]})
    expression = as_filter("s == 1 or b", root="j", also=among)
    rows = [{"s": "x", "j": {"s": 1}}, {"s": "z", "j": {"s": 1}}, {"s": "y", "j": {"b": True}}, {}]
    assert evaluate(expression, make_rows(rows)).tolist() == [True, False, True, False]
    with pytest.raises(FilterError) as caught:
        evaluate(as_filter("ok and s > [1]", root="j"), make_rows(rows))
    assert (caught.value.expression, caught.value.position) == ("ok and s > [1]", 9)


def test_what_is_no_filter_is_refused():
    assert as_filter(None) is None
    assert as_filter("") is None
    assert as_filter({}, root="j") is None
    for value in ({}, {"a": 1}, 5, ["a"], b"a"):
        with pytest.raises(FilterError, match="a filter is a string"):
            as_filter(value)
    with pytest.raises(ParamError, match="filter_params must be a dict"):
        as_filter("a == 1", 5)
    with pytest.raises(FilterError, match="has no value"):
        as_filter("a == {x}")


def test_a_client_takes_a_tree_wherever_it_takes_text():
    with MilvusClient(":memory:") as client:
        client.create_collection("c", dimension=2)
        client.insert("c", [{"id": n, "vector": [n, 1], "year": 2000 + n} for n in range(5)])
        tree = as_filter("year > 2002")
        assert [row["id"] for row in client.query("c", tree)] == [3, 4]
        assert {hit["id"] for hit in client.search("c", [[1, 1]], filter=tree)[0]} == {3, 4}
        unbound = parse_filter("year > {y}")
        assert len(client.query("c", unbound, filter_params={"y": 2003})) == 1
        assert client.delete("c", filter=tree)["delete_count"] == 2


def test_a_store_keeps_masks_of_equal_filters_apart_by_type():
    with DocumentStore(":memory:") as store:
        data = [{"k": 1}, {"k": True}, {"k": 1.0}, {"k": "1"}, {"k": None}, {}]
        ids = ["int", "bool", "float", "text", "null", "none"]
        store.add(["x"] * 6, data, ids=ids)
        for _ in range(2):
            for value, expected in [
                (1, {"int", "float"}),
                (True, {"bool"}),
                (1.0, {"int", "float"}),
                ("1", {"text"}),
                (None, {"null", "none"}),
            ]:
                for found in (
                    store.get(filter={"k": value}),
                    store.search("x", filter={"k": value}, mode="text"),
                    *(
                        [store.get(filter="k == {v}", filter_params={"v": value})]
                        if value is not None
                        else []
                    ),
                ):
                    assert {each.id for each in found} == expected
            among = store.get(["int", "bool"], filter={"k": {"$in": [1, True]}})
            assert {each.id for each in among} == {"int", "bool"}


def test_times_and_uuids_that_mean_the_same_give_the_same_filter():
    noon = dt.datetime(2024, 5, 1, 12, tzinfo=dt.timezone.utc)
    east = noon.astimezone(dt.timezone(dt.timedelta(hours=2)))
    made = [as_filter({"a": {"$gt": each}}, root="j") for each in (noon, east, noon.isoformat())]
    assert made[0] is made[1] is made[2]
    assert made[0] is not as_filter({"a": {"$gt": noon.date()}}, root="j")
    key = uuid.UUID(int=7)
    assert as_filter({"a": key}, root="j") is as_filter({"a": uuid.UUID(int=7)}, root="j")
    with pytest.raises(FilterError, match="outside of the years"):
        as_filter({"a": dt.datetime.min.replace(tzinfo=east.tzinfo)}, root="j")
