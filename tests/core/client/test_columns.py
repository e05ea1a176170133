"""Columns, Arrow tables and frames are stored, and refused, as the same rows would be."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from elanus import CollectionSchema, DataType, MilvusClient
from elanus.errors import DataNotMatchException, ElanusError, ParamError

# The types that every library has in common; None is in a nullable field only.
TYPES = pa.schema(
    [
        ("id", pa.int64()),
        ("vector", pa.list_(pa.float32())),
        ("text", pa.string()),
        ("whole", pa.int64()),
        ("real", pa.float64()),
        ("flag", pa.bool_()),
        ("tags", pa.list_(pa.string())),
        ("extra", pa.string()),
    ]
)


def schema(*, dynamic=True, auto_id=False):
    found = CollectionSchema(enable_dynamic_field=dynamic, auto_id=auto_id)
    found.add_field("id", DataType.INT64, is_primary=True)
    found.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    found.add_field("text", DataType.VARCHAR, max_length=8)
    found.add_field("whole", DataType.INT8, nullable=True)
    found.add_field("real", DataType.FLOAT, default_value=0.5)
    found.add_field("flag", DataType.BOOL, nullable=True)
    found.add_field(
        "tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=3, max_length=4
    )
    return found


def listed(rows):
    return {name: [row[name] for row in rows] for name in TYPES.names}


def as_arrays(rows):
    columns = listed(rows)
    vectors = np.array(columns["vector"], dtype=np.float32)
    return {**columns, "id": np.array(columns["id"]), "vector": vectors}


def as_arrow(rows):
    return pa.Table.from_pylist(rows, schema=TYPES)


def with_fixed_lists(rows):
    table, width = as_arrow(rows), len(rows[0]["vector"])
    fixed = table["vector"].cast(pa.list_(pa.float32(), width))
    return table.set_column(1, "vector", fixed)


def as_pandas(rows):
    dtypes = {"whole": "Int64", "flag": "boolean", "real": "float64"}
    return pd.DataFrame(listed(rows), index=range(7, 7 + len(rows))).astype(dtypes)


def as_polars_arrays(rows):
    width = len(rows[0]["vector"])
    return as_polars(rows).with_columns(pl.col("vector").cast(pl.Array(pl.Float32, width)))


def as_polars(rows):
    kinds = [pl.Int64, pl.List(pl.Float32), pl.String, pl.Int64, pl.Float64, pl.Boolean]
    kinds += [pl.List(pl.String), pl.String]
    return pl.DataFrame(listed(rows), schema=dict(zip(TYPES.names, kinds, strict=True)))


FORMS = {
    "lists": listed,
    "numpy": as_arrays,
    "arrow": as_arrow,
    "arrow in chunks": lambda rows: pa.concat_tables([as_arrow(rows[:1]), as_arrow(rows[1:])]),
    "arrow batch": lambda rows: as_arrow(rows).to_batches()[0],
    "arrow slice": lambda rows: as_arrow([*rows, *rows]).slice(len(rows)),
    "arrow columns": lambda rows: dict(zip(TYPES.names, as_arrow(rows).columns, strict=True)),
    "arrow fixed lists": with_fixed_lists,
    "pandas": as_pandas,
    "pandas on arrow": lambda rows: as_arrow(rows).to_pandas(types_mapper=pd.ArrowDtype),
    "pandas columns": lambda rows: dict(as_pandas(rows).items()),
    "polars": as_polars,
    "polars arrays": as_polars_arrays,
}

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(0, 5),  # small, so that keys occur twice
            "vector": st.lists(FLOATS, min_size=2, max_size=2),
            "text": st.text("aé机\x00", max_size=3),
            "whole": st.none() | st.integers(-130, 127),  # -129 and -130 do not fit
            "real": st.none() | FLOATS,
            "flag": st.none() | st.booleans(),
            "tags": st.lists(st.text("ab", max_size=4), max_size=4),  # four are too many
            "extra": st.none() | st.text("xy", max_size=2),
        }
    ),
    min_size=1,
    max_size=4,
)


def outcome(data, **options):
    """What is in a collection after an insert, or the error without the value's own form."""
    with MilvusClient(":memory:") as client:
        client.create_collection("c", schema=schema(**options))
        try:
            client.insert("c", data)
        except ElanusError as error:
            assert client.query("c", output_fields=["count(*)"]) == [{"count(*)": 0}]
            return type(error), str(error).split("; got")[0].split(" (in a pandas")[0]
        return client.query("c", "")


def same(left, right):
    """Equality that compares vectors too."""
    return repr(left) == repr(right)


@settings(max_examples=25, deadline=None)
@given(rows=ROWS)
def test_every_form_has_the_outcome_of_its_rows(rows):
    expected = outcome(rows)
    for name, form in FORMS.items():
        assert same(outcome(form(rows)), expected), name


GOOD = [
    {
        "id": i,
        "vector": [1.0, float(i)],
        "text": f"t{i}",
        "whole": i,
        "real": i / 4,
        "flag": True,
        "tags": ["a"],
        "extra": "x",
    }
    for i in range(3)
]
BAD = {
    "null in a field that takes none": ({"text": None}, "row 1, field 'text'.*not nullable"),
    "null vector": ({"vector": None}, "row 1, field 'vector'.*not nullable"),
    "long text": ({"text": "x" * 9}, "row 1, field 'text'.*9 bytes"),
    "infinite": ({"real": float("inf")}, "row 1, field 'real'.*finite"),
    "beyond single precision": ({"real": 1e39}, "row 1, field 'real'.*single precision"),
    "infinite vector": ({"vector": [1.0, float("inf")]}, "row 1, field 'vector'.*finite"),
    "null inside a vector": ({"vector": [1.0, None]}, "row 1, field 'vector'"),
    "short vector": ({"vector": [1.0]}, "row 1, field 'vector'"),
}


@pytest.mark.parametrize("form", ["lists", "arrow", "pandas", "pandas on arrow", "polars"])
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_value_is_named_and_nothing_is_written(form, bad):
    change, message = bad
    rows = [GOOD[0], {**GOOD[1], **change}, GOOD[2]]
    kind, text = outcome(FORMS[form](rows))
    assert kind is DataNotMatchException
    assert re.search(message, text)


@pytest.mark.parametrize("form", FORMS)
def test_an_unknown_column_is_refused_without_a_dynamic_field(form):
    found = outcome(FORMS[form](GOOD), dynamic=False)
    assert found == outcome(GOOD, dynamic=False)
    assert "row 0: unknown field 'extra'" in found[1]


@pytest.mark.parametrize("form", FORMS)
def test_a_column_of_another_dimension_is_refused(form):
    rows = [{**row, "vector": [1.0, 2.0, 3.0]} for row in GOOD]
    assert outcome(FORMS[form](rows)) == outcome(rows)


def test_a_missing_column_is_a_missing_field():
    columns = listed(GOOD)
    del columns["text"]
    assert "row 0: field 'text' is missing" in outcome(columns)[1]


def test_nan_is_null_in_a_frame_and_a_number_that_is_refused_in_an_array():
    columns = listed(GOOD)
    columns["real"] = np.array([0.25, np.nan, 0.5])
    assert "row 1, field 'real': a FLOAT or DOUBLE must be finite" in outcome(columns)[1]
    stored = outcome(pd.DataFrame(columns))
    assert [row["real"] for row in stored] == [0.25, 0.5, 0.5]  # the default is 0.5
    frame = pd.DataFrame(listed(GOOD)).assign(id=[0, np.nan, 2])
    with MilvusClient(":memory:") as client:
        client.create_collection("c", schema=schema())
        with pytest.raises(DataNotMatchException, match=r"row 1, field 'id'.*NaN, NaT and NA"):
            client.insert("c", frame.astype({"id": "Int64"}))


def test_masked_values_are_null():
    whole = np.ma.array([1, 2, 3], mask=[False, True, False])
    assert [row["whole"] for row in outcome({**listed(GOOD), "whole": whole})] == [1, None, 3]


@pytest.mark.parametrize("values", [np.array(["2020-01-01"] * 3, "M8[ns]"), np.array([b"a"] * 3)])
def test_values_that_json_lacks_are_refused(values):
    for data in (
        {**listed(GOOD), "extra": values},
        pd.DataFrame(listed(GOOD)).assign(extra=values),
    ):
        assert "row 0, dynamic field" in outcome(data)[1]


def test_integers_of_other_widths_and_bools_keep_their_rules():
    assert same(outcome({**listed(GOOD), "id": np.arange(3, dtype=np.uint8)}), outcome(GOOD))
    assert "must be an integer" in outcome({**listed(GOOD), "whole": np.array([True] * 3)})[1]
    assert "out of range" in outcome({**listed(GOOD), "id": np.array([2**63] * 3, "u8")})[1]
    assert "must be an integer" in outcome({**listed(GOOD), "id": np.arange(3.0)})[1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({**listed(GOOD), "text": ["a", "b"]}, "column 'text' has 2 values.*'id' has 3"),
        ({**listed(GOOD), "text": "abc"}, "column 'text' must be a list"),
        ({**listed(GOOD), "text": None}, "column 'text' must be a list"),
    ],
)
def test_what_is_no_column_of_that_length_is_refused(data, message):
    kind, text = outcome(data)
    assert kind is DataNotMatchException
    assert re.search(message, text)


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame([[1, 2]], columns=["id", "id"]),
        pd.DataFrame([[1, 2]]),
        pa.table([pa.array([1]), pa.array([2])], names=["id", "id"]),
        pl.DataFrame({"id": [1]}).lazy(),
        pd.Series([1]),
        iter([1]),
        5,
    ],
    ids=lambda data: type(data).__name__,
)
def test_what_is_no_table_is_refused(data):
    assert outcome(data)[0] is ParamError


def test_columns_without_a_key_are_known_by_a_scalar_or_by_the_vectors():
    columns = listed(GOOD)
    del columns["id"]
    stored = outcome(columns, auto_id=True)
    assert [row["text"] for row in stored] == ["t0", "t1", "t2"]
    with MilvusClient(":memory:") as client:
        client.create_collection("c", dimension=2, auto_id=True)
        for vectors in ([[1.0, 2.0], [3.0, 4.0]], np.ones((2, 2)), [np.ones(2), np.ones(2)]):
            assert client.insert("c", {"vector": vectors})["insert_count"] == 2
        for vector in ([1.0, 2.0], np.ones(2)):
            assert client.insert("c", {"vector": vector})["insert_count"] == 1


def test_a_row_with_lists_is_still_a_row():
    assert same(outcome(GOOD[1]), outcome([GOOD[1]]))


def test_tables_without_rows_write_nothing():
    for data in ({name: [] for name in TYPES.names}, as_arrow([]), pl.DataFrame(), pd.DataFrame()):
        assert outcome(data) == []


def test_sparse_vectors_may_be_a_matrix_or_a_list():
    matrix = csr_matrix(np.array([[0, 1.5, 0], [2.5, 0, 3.5]]))
    with MilvusClient(":memory:") as client:
        found = CollectionSchema().add_field("id", DataType.INT64, is_primary=True)
        client.create_collection("c", schema=found.add_field("s", DataType.SPARSE_FLOAT_VECTOR))
        client.insert("c", {"id": [1, 2], "s": matrix})
        client.insert("c", {"id": [3, 4], "s": [{1: 1.5}, {0: 2.5, 2: 3.5}]})
        stored = [row["s"] for row in client.query("c", "", output_fields=["s"])]
    assert stored == [{1: 1.5}, {0: 2.5, 2: 3.5}] * 2


def test_upsert_takes_columns_and_gives_keys_in_order():
    with MilvusClient(":memory:") as client:
        client.create_collection("c", schema=schema())
        client.insert("c", GOOD)
        columns = {**listed(GOOD), "id": np.array([2, 9, 2]), "text": ["a", "b", "c"]}
        assert client.upsert("c", columns) == {"upsert_count": 3, "ids": [2, 9, 2], "cost": 0}
        texts = {row["id"]: row["text"] for row in client.query("c", "")}
    assert texts == {0: "t0", 1: "t1", 2: "c", 9: "b"}
