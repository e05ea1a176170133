"""Values that JSON lacks have the store's form, and nested keys and typos the store's treatment."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath

import numpy as np
import pytest
from llama_index.core.schema import Node, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters

from elanus.errors import DataNotMatchException, FilterError, UnknownKeyWarning
from llama_index.vector_stores.elanus import ElanusVectorStore


class Colour(Enum):
    RED = "red"


LINK = RelatedNodeInfo(node_id="b")
PARENT, SOURCE = NodeRelationship.PARENT, NodeRelationship.SOURCE
NOON = dt.datetime(2024, 5, 1, 14, tzinfo=dt.timezone(dt.timedelta(hours=2)))
GIVEN = {
    "day": NOON.date(), "time": NOON, "key": uuid.UUID(int=7), "path": PurePosixPath("a/b"),
    "colour": Colour.RED, "price": Decimal("9.99"), "score": math.nan,
}  # fmt: skip
KEPT = {
    "day": "2024-05-01", "time": "2024-05-01T12:00:00+00:00", "path": "a/b",
    "key": "00000000-0000-0000-0000-000000000007", "colour": "red", "price": 9.99, "score": None,
}  # fmt: skip


def found(store, key, value, operator=FilterOperator.EQ):
    one = MetadataFilter(key=key, value=value, operator=operator)
    return {node.node_id for node in store.get_nodes(filters=MetadataFilters(filters=[one]))}


def node(name, **metadata):
    return TextNode(id_=name, text=name, embedding=[1.0, 0.0], metadata=metadata)


def test_metadata_are_kept_in_the_form_of_the_store(store):
    store.add([node("n", **GIVEN, deep={"l": [NOON, {"c": Colour.RED}]})])
    (back,) = store.get_nodes(["n"])
    assert back.metadata == {**KEPT, "deep": {"l": [KEPT["time"], {"c": "red"}]}}


def test_times_are_compared_by_their_texts(store):
    hours = [dt.timedelta(hours=n) for n in range(3)]
    store.add([node(f"{n}", time=NOON + hour) for n, hour in enumerate(hours)])
    asked = (NOON + hours[1]).astimezone(dt.timezone.utc).isoformat()
    for operator, expected in {
        FilterOperator.EQ: {"1"}, FilterOperator.LT: {"0"}, FilterOperator.GTE: {"1", "2"},
        FilterOperator.NE: {"0", "2"},
    }.items():  # fmt: skip
        assert found(store, "time", asked, operator) == expected


def test_a_key_with_dots_is_the_key_of_that_name_or_else_a_path(store):
    store.add([node("flat", **{"a.b": 1}), node("deep", a={"b": 1}), node("other", a={"b": 2})])
    assert found(store, "a.b", 1) == {"flat", "deep"}
    assert found(store, "a.b", 1, FilterOperator.NE) == {"other"}


@pytest.mark.parametrize("operator", [FilterOperator.EQ, FilterOperator.GT, FilterOperator.NE])
def test_a_key_that_no_node_has_is_said_once(store, operator):
    store.add([node("n", year=2020)])
    with pytest.warns(UnknownKeyWarning, match="no document has the key 'yaer'") as caught:
        answers = [found(store, "yaer", year, operator) for year in (2000, 2001)]
    assert answers == [set(), set()]
    assert [each.filename for each in caught] == [__file__]


EMBEDDINGS = [
    np.array(3.0),
    3.0,
    True,
    "ab",
    (x for x in [1.0, 2.0]),
    {1: 2},
    [[1.0, 2.0]],
    [],
    ["a"],
]


@pytest.mark.parametrize("embedding", EMBEDDINGS, ids=lambda each: type(each).__name__)
def test_an_embedding_that_is_no_vector_makes_no_store(embedding):
    node = TextNode(id_="a", text="x").model_copy(update={"embedding": embedding})
    for dim in (None, 2):
        store = ElanusVectorStore(":memory:", dim=dim)
        for call in (store.add, lambda nodes, to=store: to.sync("s", nodes)):
            with pytest.raises(DataNotMatchException, match="a" if dim else "of node 'a'"):
                call([node])
        assert store.get_nodes(["a"]) == []
        store.add([TextNode(id_="a", text="x", embedding=[1.0, 2.0])])


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"metadata": None}, "field metadata: must be a dict, got None"),
        ({"metadata": [("a", 1)]}, "field metadata: must be a dict"),
        ({"relationships": None}, "field relationships: must be a dict, got None"),
        ({"relationships": {"x": LINK}}, "field relationships: must be links by NodeRel.* got 'x'"),
        ({"relationships": {PARENT: "b"}}, "field relationships.PARENT: must be RelatedNodeInfo"),
        ({"relationships": {PARENT: [LINK, None]}}, "field relationships.PARENT: must be Related"),
        (
            {"relationships": {SOURCE: [LINK]}},
            "field relationships.SOURCE: must be RelatedNodeInfo",
        ),
    ],
)
def test_a_node_that_is_not_what_its_class_says_is_named(store, changed, says):
    node = TextNode(id_="a", text="x", embedding=[1.0, 2.0]).model_copy(update=changed)
    for call in (store.add, lambda nodes: store.sync("s", nodes)):
        with pytest.raises(DataNotMatchException, match=f"node 'a', {says}"):
            call([node])
    odd = Node(id_="b", embedding=[1.0, 2.0]).model_copy(update={"text_resource": "x"})
    with pytest.raises(DataNotMatchException, match="'b', field text_resource: must be a MediaRes"):
        store.add([odd])


@pytest.mark.parametrize(
    ("one", "says"),
    [
        ({"key": None}, "the key of a MetadataFilter must be a string, got None"),
        ({"key": 1}, "the key of a MetadataFilter must be a string, got 1"),
        ({"operator": []}, "unknown operator"),
        ({"operator": np.zeros(2)}, "unknown operator"),
        ({"operator": "in", "value": 1}, "IN needs a list, got 1"),
    ],
)
def test_a_filter_that_is_none_is_named(store, one, says):
    store.add([TextNode(id_="a", text="x", embedding=[1.0, 2.0])])
    odd = MetadataFilter(key="k", value=1).model_copy(update=one)
    for given in (odd, "k"):
        every = MetadataFilters.model_construct(filters=[given])
        with pytest.raises(FilterError, match=says if given is odd else "must be a MetadataFilter"):
            store.get_nodes(filters=every)
    with pytest.raises(FilterError, match="filters must be a list, got None"):
        store.get_nodes(filters=MetadataFilters.model_construct(filters=None))
