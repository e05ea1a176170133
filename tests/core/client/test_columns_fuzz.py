"""Columns of random types come back as the plain values that they were made of.

The oracle is the same values given as rows of dicts: what is stored, and what is refused, and where.
"""

import datetime as dt
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus import CollectionSchema, DataType, MilvusClient
from elanus.errors import DataNotMatchException


@dataclass(frozen=True)
class Kind:
    """A type of Arrow, the same of polars, and plain values of it."""

    arrow: Any
    polars: Any
    values: Any


def whole(bits, arrow, kind, *, signed=True):
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    near = st.sampled_from([low, high, 0, min(high, 2**53 + 1)])
    return Kind(arrow, kind, near | st.integers(low, high))


WHEN = dt.datetime(2020, 1, 2, 3, 4, 5, 6)  # noqa: DTZ001  # Arrow's without a zone
LEAVES = [
    whole(8, pa.int8(), pl.Int8),
    whole(64, pa.int64(), pl.Int64),
    whole(64, pa.int64(), pl.Int128),
    whole(32, pa.uint32(), pl.UInt32, signed=False),
    whole(64, pa.uint64(), pl.UInt64, signed=False),  # half of them do not fit
    Kind(pa.float16(), pl.Float32, st.sampled_from([0.0, 1.5, -2.0])),
    Kind(pa.float32(), pl.Float32, st.floats(width=32)),  # NaN and infinity are refused
    Kind(pa.float64(), pl.Float64, st.floats(allow_nan=False, allow_infinity=False)),
    Kind(pa.bool_(), pl.Boolean, st.booleans()),
    Kind(pa.string(), pl.String, st.text("aé机\x00", max_size=3)),
    Kind(pa.large_string(), pl.Categorical, st.text("ab", max_size=2)),
    Kind(pa.string_view(), pl.Enum(["a", "b"]), st.sampled_from("ab")),
    Kind(pa.dictionary(pa.int8(), pa.string()), pl.String, st.sampled_from("ab")),
    Kind(pa.binary(), pl.Binary, st.just(b"\xff")),
    Kind(pa.decimal128(9, 2), pl.Decimal(9, 2), st.just(Decimal("1.50"))),
    Kind(pa.timestamp("ns"), pl.Datetime("ns"), st.just(WHEN)),
    Kind(pa.timestamp("s", "UTC"), pl.Datetime("ms", "UTC"), st.just(WHEN.replace(microsecond=0, tzinfo=dt.timezone.utc))),
    Kind(pa.duration("ns"), pl.Duration("ns"), st.just(dt.timedelta(microseconds=3))),
    Kind(pa.date32(), pl.Date, st.just(dt.date(2020, 1, 2))),
    Kind(pa.time64("ns"), pl.Time, st.just(dt.time(1, 2, 3))),
]  # fmt: skip


def with_nulls(values):
    return st.none() | values


def nested(inner):
    """Lists, structs and maps of a kind."""
    lists = st.lists(with_nulls(inner.values), max_size=3)
    full = st.lists(inner.values, min_size=2, max_size=2)
    pairs = st.builds(
        lambda a, b: {"a": a, "é": b}, with_nulls(inner.values), with_nulls(st.integers(0, 9))
    )
    fields = {"a": inner.arrow, "é": pa.int8()}
    return st.sampled_from(
        [
            Kind(pa.list_(inner.arrow), pl.List(inner.polars), lists),
            Kind(pa.large_list(inner.arrow), pl.List(inner.polars), full),
            Kind(pa.list_view(inner.arrow), pl.List(inner.polars), lists),
            Kind(pa.list_(inner.arrow, 2), pl.Array(inner.polars, 2), full | lists.filter(lambda v: len(v) == 2)),
            Kind(pa.struct(fields), pl.Struct({"a": inner.polars, "é": pl.Int8}), pairs),
        ]
    )  # fmt: skip


KINDS = st.recursive(st.sampled_from(LEAVES), lambda kinds: kinds.flatmap(nested), max_leaves=3)
COLUMNS = KINDS.flatmap(
    lambda kind: st.tuples(st.just(kind), st.lists(with_nulls(kind.values), min_size=1, max_size=4))
)


def objects(values):
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def on_arrow(kind, values):
    return pd.Series(pa.array(values, kind.arrow), dtype=pd.ArrowDtype(kind.arrow))


def in_chunks(kind, values):
    return pa.chunked_array([pa.array(part, kind.arrow) for part in (values[:1], values[1:])])


FORMS = {
    "lists": lambda _, v: {"id": list(range(len(v))), "x": v},
    "arrays": lambda _, v: {"id": np.arange(len(v)), "x": objects(v)},
    "arrow": lambda kind, v: pa.table({"id": range(len(v)), "x": pa.array(v, kind.arrow)}),
    "arrow in chunks": lambda kind, v: pa.table({"id": range(len(v)), "x": in_chunks(kind, v)}),
    "arrow slice": lambda kind, v: {
        "id": pa.array(range(len(v))),
        "x": pa.array([*v, *v], kind.arrow).slice(len(v)),
    },
    "pandas on arrow": lambda kind, v: pd.DataFrame({"id": range(len(v)), "x": on_arrow(kind, v)}),
    "pandas": lambda _, v: pd.DataFrame({"id": range(len(v)), "x": objects(v)}, dtype=object),
    "polars": lambda kind, v: pl.DataFrame(
        {"id": range(len(v)), "x": pl.Series(v, dtype=kind.polars)}
    ),
}
FIELDS = {
    "dynamic": None,
    "json": {"datatype": DataType.JSON},
    "integer": {"datatype": DataType.INT64},
    "single": {"datatype": DataType.FLOAT},
    "double": {"datatype": DataType.DOUBLE},
    "bool": {"datatype": DataType.BOOL},
    "text": {"datatype": DataType.VARCHAR, "max_length": 5},
    "integers": {"datatype": DataType.ARRAY, "element_type": DataType.INT32, "max_capacity": 2},
    "texts": {"datatype": DataType.ARRAY, "element_type": DataType.VARCHAR, "max_capacity": 2},
    "vector": {"datatype": DataType.FLOAT_VECTOR, "dim": 2},
}


def outcome(field, data):
    """What is in a collection after an insert, or the row that was refused."""
    schema = CollectionSchema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    if FIELDS[field] is not None:
        schema.add_field("x", nullable=True, **FIELDS[field])
    with MilvusClient(":memory:") as client:
        client.create_collection("c", schema=schema)
        try:
            client.insert("c", data)
        except DataNotMatchException as error:
            assert client.query("c", "") == []
            return re.match(r"row \d+, (dynamic field at \['x'\]|field 'x')", str(error))[0]
        rows = client.query("c", "", output_fields=["*"])
        assert client.verify() == []
        return rows


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=60, deadline=None)
@given(column=COLUMNS, field=st.sampled_from(list(FIELDS)))
def test_a_column_of_any_type_has_the_outcome_of_its_rows(form, column, field):
    kind, values = column
    # NaN is what pandas itself has for a missing value.
    rows = [
        None if form == "pandas" and isinstance(v, float) and math.isnan(v) else v for v in values
    ]
    expected = outcome(field, [{"id": i, "x": v} for i, v in enumerate(rows)])
    found = outcome(field, FORMS[form](kind, values))
    assert repr(found) == repr(expected)  # since 1 == 1.0 == True
