"""Values that JSON lacks: one form when they are stored, and the same in filters."""

from __future__ import annotations

import datetime as dt
import enum
import math
import operator
import uuid
from decimal import Decimal
from pathlib import PurePosixPath, PureWindowsPath

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus import DocumentStore
from elanus.errors import DataNotMatchException, FilterError

UTC = dt.timezone.utc
EAST = dt.timezone(dt.timedelta(hours=5, minutes=30))


class Colour(enum.Enum):
    RED = "red"
    NIGHT = None


class Genre(str, enum.Enum):
    NEWS = "news"


class Grade(enum.IntEnum):
    GOOD = 1


class Title(str):
    __slots__ = ()

    def __str__(self):
        return "not this"


NUMBER = uuid.UUID("0F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0")
FORMS = [
    (dt.date(2024, 5, 1), "2024-05-01"),
    (dt.date(33, 4, 3), "0033-04-03"),
    (dt.datetime(2024, 5, 1, 12, 30, tzinfo=UTC), "2024-05-01T12:30:00+00:00"),
    (dt.datetime(2024, 5, 1, 2, 30, tzinfo=EAST), "2024-04-30T21:00:00+00:00"),
    (dt.datetime(2024, 5, 1, 12, 30), "2024-05-01T12:30:00+00:00"),  # noqa: DTZ001
    (dt.datetime(2024, 5, 1, 12, 30, 0, 5), "2024-05-01T12:30:00.000005+00:00"),  # noqa: DTZ001
    (pd.Timestamp("2024-05-01 12:30", tz="Asia/Kolkata"), "2024-05-01T07:00:00+00:00"),
    (np.datetime64("2024-05"), "2024-05-01"),
    (np.datetime64("2024-05-01"), "2024-05-01"),
    (np.datetime64("2024-05-01T12", "h"), "2024-05-01T12:00:00+00:00"),
    (np.datetime64("2024-05-01T12:30:00.5", "ns"), "2024-05-01T12:30:00.500000+00:00"),
    (NUMBER, "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"),
    (PurePosixPath("/a/b.txt"), "/a/b.txt"),
    (PureWindowsPath("c:/a"), "c:\\a"),
    (Colour.RED, "red"),
    (Genre.NEWS, "news"),
    (Grade.GOOD, 1),
    (Title("this"), "this"),
    (Decimal("19.99"), 19.99),
    (Decimal("5.00"), 5),
    (Decimal(2**63 - 1), 2**63 - 1),
    (Decimal(2**63), 2.0**63),
    (Decimal("1E-9999999"), 0.0),
    (np.int64(2**53 + 1), 2**53 + 1),
    (np.uint8(7), 7),
    (np.float32(0.5), 0.5),
    (np.longdouble(0.25), 0.25),
    (np.str_("x"), "x"),
    (np.bool_(True), True),
]
NOTHING = [
    None, math.nan, np.float32("nan"), Decimal("NaN"), Decimal("sNaN"), pd.NaT,
    np.datetime64("NaT"), Colour.NIGHT,
]  # fmt: skip


def exactly(value):
    return type(value).__name__, repr(value)


@pytest.mark.parametrize(("value", "form"), FORMS, ids=lambda each: repr(each)[:40])
def test_a_value_is_stored_in_its_form_and_found_by_itself_and_by_its_form(store, value, form):
    store.add(
        ["d", "e"], [{"k": value, "l": [value], "m": {"n": (value,)}}, {"k": "another"}], ["d", "e"]
    )
    (found,) = store.get("d")
    assert exactly(found.metadata) == exactly({"k": form, "l": [form], "m": {"n": [form]}})
    for asked in (value, form):
        for condition in (
            {"k": asked},
            {"k": {"$eq": asked}},
            {"k": {"$in": [asked, None]}},
            {"k": {"$not": {"$nin": [asked]}}},
            {"l": {"$contains": asked}},
            {"l": {"$any": ["y", asked]}},
            {"l": [asked]},
            {"m": {"n": {"$all": [asked]}}},
        ):
            assert [each.id for each in store.get(filter=condition)] == ["d"], condition
        assert (
            store.count("k == {v} and m['n'][0] in {vs}", filter_params={"v": asked, "vs": [asked]})
            == 1
        )
        assert [each.id for each in store.get(filter={"k": {"$ne": asked}})] == ["e"]


@pytest.mark.parametrize("value", NOTHING, ids=repr)
def test_what_says_that_there_is_no_value_is_null(store, value):
    store.add(["a", "b", "c"], [{"k": value, "l": [1, value]}, {"k": 1.0}, {}], ["a", "b", "c"])
    assert exactly(store.get("a")[0].metadata) == exactly({"k": None, "l": [1, None]})
    for condition, expected in [
        ({"k": value}, ["a", "c"]),
        ({"k": {"$ne": value}}, ["b"]),
        ({"k": {"$in": [value, 1]}}, ["a", "b", "c"]),
        ({"k": {"$nin": [value]}}, ["b"]),
    ]:
        assert [each.id for each in store.get(filter=condition)] == expected


def test_arrays_of_times_are_lists_of_their_texts(store):
    times = np.array([["2024-05-01T12:30", "NaT"]], "M8[m]")
    store.add(["d"], [{"k": times, "l": np.array("2024-05-01", "M8[D]")}], ["d"])
    assert store.get("d")[0].metadata == {
        "k": [["2024-05-01T12:30:00+00:00", None]],
        "l": "2024-05-01",
    }
    days = np.array(["2024-05-01", "2024-05-02"], "M8[D]")
    assert store.count({"l": {"$in": list(days)}}) == 1
    assert store.count("l in {days}", filter_params={"days": days}) == 1


def test_a_member_of_an_enum_is_a_key(store):
    store.add(["d"], [{Genre.NEWS: 1}], ["d"])
    assert list(store.get("d")[0].metadata) == ["news"]
    assert store.count({Genre.NEWS: 1}) == 1


REFUSED = [
    (pd.Timestamp(5), "to the microsecond"),
    (np.datetime64(5, "ns"), "to the microsecond"),
    (np.datetime64(10**15, "h"), "outside of the years 1 to 9999"),
    (dt.datetime.min.replace(tzinfo=EAST), "outside of the years 1 to 9999"),
]
STRANGE = [
    (dt.time(12), "time is no JSON value"),
    (dt.timedelta(1), "timedelta is no JSON value"),
    (np.timedelta64(1, "s"), "timedelta64 is no JSON value"),
    (pd.NA, "NAType is no JSON value"),
    (1j, "complex is no JSON value"),
    (math.inf, "must be finite"),
    (Decimal("-Infinity"), "must be finite"),
    (Decimal("1E+9999999"), "must be finite"),
]


@pytest.mark.parametrize(("value", "says"), [*REFUSED, *STRANGE], ids=lambda each: repr(each)[:40])
def test_what_has_no_form_is_refused_by_document_and_key(store, value, says):
    with pytest.raises(
        DataNotMatchException, match=rf"document 1, metadata: at \['k'\]\[0\]: .*{says}"
    ):
        store.add(["a", "b"], [{}, {"k": [value]}])
    assert store.count() == 0


@pytest.mark.parametrize(("value", "says"), REFUSED, ids=lambda each: repr(each)[:40])
def test_a_filter_refuses_what_has_no_form(store, value, says):
    for test in (value, {"$gt": value}, {"$in": [value]}, {"$contains": value}):
        with pytest.raises(FilterError, match=f"the value of key 'k' .*{says}"):
            store.count({"k": test})
    with pytest.raises(FilterError, match=f"the value of template {{v}} .*{says}"):
        store.count("k == {v}", filter_params={"v": [value]})


# --- order ----------------------------------------------------------------------------------

zones = st.none() | st.integers(-14 * 60, 14 * 60).map(
    lambda minutes: dt.timezone(dt.timedelta(minutes=minutes))
)
# Few days and few seconds, so that times meet.
times = st.builds(
    lambda day, hour, second, micro, zone: dt.datetime(2024, 2, day, hour, 0, second, micro, zone),
    st.integers(27, 29), st.integers(0, 23), st.sampled_from([0, 1]),
    st.sampled_from([0, 1, 500_000]), zones,
)  # fmt: skip
moments = times | st.dates(dt.date(2024, 2, 27), dt.date(2024, 3, 1))


def place(value):
    """Where a value stands in time: a date before all times of its day."""
    if not isinstance(value, dt.datetime):
        return value, dt.time(), 0
    by_utc = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return by_utc.date(), by_utc.time(), 1


@settings(max_examples=60, deadline=None)
@given(st.lists(moments, max_size=6), moments)
def test_times_are_compared_as_times(values, asked):
    names = [f"{number}" for number in range(len(values))]
    with DocumentStore(":memory:") as store:
        store.add(["d"] * len(values), [{"k": value} for value in values], names)
        for name, compare in {
            "$lt": operator.lt, "$lte": operator.le, "$gt": operator.gt, "$gte": operator.ge,
            "$eq": operator.eq, "$ne": operator.ne,
        }.items():  # fmt: skip
            expected = [
                number
                for number, value in zip(names, values, strict=True)
                if compare(place(value), place(asked))
            ]
            assert [each.id for each in store.get(filter={"k": {name: asked}})] == expected
