"""Values that JSON lacks have the store's form, and nested keys and typos the store's treatment."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath

import pytest
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters

from elanus.errors import UnknownKeyWarning


class Colour(Enum):
    RED = "red"


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
