"""Types that Python or JSON lack: the right values, or the row and the field that has them."""

import datetime as dt
import re
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from elanus import CollectionSchema, DataType, MilvusClient
from elanus.errors import DataNotMatchException, FilterError, ParamError

BIG = 2**53 + 1  # no float


class Geo(pd.DataFrame):
    """A frame of a library that is built upon pandas."""

    @property
    def _constructor(self):
        return Geo


def stored(data, **field):
    """The values of ``x`` after an insert; it is a dynamic key, or a field as given."""
    schema = CollectionSchema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    if field:
        schema.add_field("x", nullable=True, **field)
    with MilvusClient(":memory:") as client:
        client.create_collection("c", schema=schema)
        client.insert("c", data)
        return [row["x"] for row in client.query("c", "", output_fields=["x"])]


def columns(x):
    return {"id": list(range(len(x))), "x": x}


NAMES = [
    "column", "column_names", "columns", "schema", "to_pydict", "to_pylist", "null_count", "dtypes",
    "num_rows", "iter_rows", "shape", "index", "values", "T", "iloc", "loc", "isna", "get_column",
    "to_list", "tocsr", "dtype", "array", "keys", "items", "combine_chunks", "name", "collect",
    "__class__", "__module__", "__len__", "",
]  # fmt: skip
TABLES = {
    "pandas": pd.DataFrame,
    "subclass of pandas": Geo,
    "pandas on arrow": lambda data: pa.table(data).to_pandas(types_mapper=pd.ArrowDtype),
    "polars": pl.DataFrame,
    "subclass of polars": type("Frame", (pl.DataFrame,), {}),
    "arrow": pa.table,
    "arrow batch": lambda data: pa.table(data).to_batches()[0],
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_no_name_of_a_column_changes_what_a_table_is(table):
    data = {"id": [1, 2], "x": [0, 0], **{name: [i, -i] for i, name in enumerate(NAMES)}}
    rows = [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)]
    with MilvusClient(":memory:") as client:
        schema = CollectionSchema(enable_dynamic_field=True)
        client.create_collection(
            "c", schema=schema.add_field("id", DataType.INT64, is_primary=True)
        )
        assert client.insert("c", table(data))["ids"] == [1, 2]
        assert client.query("c", "", output_fields=["*"]) == rows
        for name in NAMES:
            assert client.upsert("c", table({"id": [1, 2], name: [5, 6]}))["ids"] == [1, 2]


def test_what_only_looks_like_a_table_is_none():
    class Double:
        column_names = columns = iloc = ("id",)

        def column(self, _name):
            return [1]

        get_column = __getitem__ = column

    with pytest.raises(ParamError, match="got Double"):
        stored(Double())
    with pytest.raises(ParamError, match=r"LazyFrame.*collect\(\)"):
        stored(pl.DataFrame({"id": [1]}).lazy())


DATES = {
    "date": np.datetime64("2020-01-01", "D"),
    "nanoseconds": np.datetime64(5, "ns"),
    "not a time": np.datetime64("NaT", "ns"),
    "duration": np.timedelta64(5, "ns"),
    "seconds": np.timedelta64(5, "s"),
    "datetime": dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc),
    "timestamp": pd.Timestamp(5),
    "timedelta": pd.Timedelta(5),
    "period": pd.Period("2020", "M"),
    "interval": pd.Interval(0, 1),
    "record": np.array([(1, 5)], dtype=[("a", "i8"), ("b", "M8[ns]")])[0],
    "bytes": b"x",
    "complex": 1j,
    "decimal": Decimal(1),
}


def cells(value):
    """A value inside everything that may hold it in a row."""
    yield value
    yield [value]
    yield (1, value)
    yield {"a": {"b": [value]}}
    holder = np.empty(1, dtype=object)
    holder[0] = value
    yield holder
    yield [holder]
    if isinstance(value, (np.generic, bytes, complex)):
        array = np.array([value])
        yield from (array, array.reshape(1, 1), np.array(value), [array], {"a": array})
        yield from (np.ma.array(array, mask=[False]), np.ma.array(array, mask=[True]))


@pytest.mark.parametrize("value", DATES.values(), ids=DATES)
@pytest.mark.parametrize("field", [{}, {"datatype": DataType.JSON}], ids=["dynamic", "json"])
def test_what_json_lacks_is_refused_inside_of_everything(value, field):
    for cell in cells(value):
        column = np.empty(3, dtype=object)
        column[1] = cell
        forms = [
            [{"id": i, "x": x} for i, x in enumerate(column)],
            columns(list(column)),
            columns(column),
            columns(np.ma.array(column, mask=False)),
        ]
        if not pd.api.types.is_scalar(cell) or not pd.isna(cell):  # NaT is null in a frame
            forms.append(pd.DataFrame(columns(column)))
        for data in forms:
            with pytest.raises(DataNotMatchException, match=r"row 1, .*field .*'?x'"):
                stored(data, **field)


@pytest.mark.parametrize("dtype", ["M8[ns]", "M8[D]", "m8[ns]", "m8[s]", "S3", "c16", "i8,M8[ns]"])
def test_arrays_of_what_json_lacks_are_refused(dtype):
    array = np.zeros(2, dtype=dtype)
    for column in (
        array,
        np.ma.array(array, mask=[True, False]),
        array.reshape(2, 1),
        np.ma.array(array.reshape(2, 1), mask=[[True], [False]]),
        list(array),
        np.recarray(2, dtype=dtype) if "," in dtype else array[::-1],
    ):
        with pytest.raises(DataNotMatchException, match=r"row [01], dynamic field at \['x'\]"):
            stored(columns(column))


def test_dates_are_no_numbers_in_a_field_or_a_filter():
    for value in (np.timedelta64(5, "ns"), np.datetime64(5, "ns"), pd.Timedelta(5)):
        for kind in (DataType.INT64, DataType.DOUBLE, DataType.FLOAT):
            for x in ([1, value], pd.Series([1, value], dtype=object)):
                with pytest.raises(DataNotMatchException, match="row 1, field 'x'"):
                    stored(columns(x), datatype=kind)
        arrays = {"datatype": DataType.ARRAY, "element_type": DataType.INT64}
        with pytest.raises(DataNotMatchException, match="row 1, field 'x'"):
            stored(columns([[1], np.array([value])]), **arrays)
    with MilvusClient(":memory:") as client:
        client.create_collection("c", dimension=2)
        for value in (np.datetime64(5, "ns"), np.array([5], "M8[ns]"), np.timedelta64(5, "ns")):
            with pytest.raises(FilterError, match=r"\{t\} is .*64"):
                client.query("c", "id in {t}", filter_params={"t": value})
            with pytest.raises(FilterError, match=r"\{t\} is .*64"):
                client.query("c", "id in {t}", filter_params={"t": [value]})


ARROW = {
    "extension of pandas": pa.array(pd.array([None, "2020"], dtype="period[M]")),
    "interval of pandas": pa.array(pd.array([None, pd.Interval(0, 1)])),
    "uuid": pa.array([None, b"0" * 16], pa.uuid()),
    "interval": pa.array([None, (1, 2, 3)], pa.month_day_nano_interval()),
    "extension in a list": pa.ListArray.from_arrays([0, 0, 1], pa.array([b"0" * 16], pa.uuid()), mask=pa.array([True, False])),
    "interval in a struct": pa.array([None, {"a": (1, 2, 3)}], pa.struct({"a": pa.month_day_nano_interval()})),
    "nanoseconds": pa.array([None, 5], pa.timestamp("ns")),
    "duration": pa.array([None, 5], pa.duration("ns")),
    "time": pa.array([None, 5], pa.time64("ns")),
    "durations": pa.array([None, [5]], pa.list_(pa.duration("ns"))),
    "dictionary of dates": pa.array([None, 5], pa.timestamp("ns")).dictionary_encode(),
    "unknown zone": pa.array([None, 5], pa.timestamp("ns", "Nowhere/Else")),
    "date beyond Python's": pa.array([None, 2**31 - 1], pa.date32()),
    "dates beyond Python's": pa.array([None, [10**15]], pa.list_(pa.timestamp("s"))),
    "duration beyond Python's": pa.array([None, 2**62], pa.duration("s")),
    "decimal": pa.array([None, Decimal("1.5")]),
    "binary": pa.array([None, b"x"]),
    "binary view": pa.array([None, b"x"], pa.binary_view()),
    "map of numbers": pa.array([None, [(1, 2)]], pa.map_(pa.int8(), pa.int8())),
    "map with a key twice": pa.array([None, [("a", 1), ("a", 2)]], pa.map_(pa.string(), pa.int8())),
    "struct with a name twice": pa.StructArray.from_arrays([pa.array([1, 2])] * 2, names=["a", "a"], mask=pa.array([True, False])),
    "no UTF-8": pa.chunked_array([pa.nulls(1, pa.string()), pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(np.array([0, 1], np.int32)), pa.py_buffer(b"\xff")])]),
    "unsigned": pa.array([None, 2**63], pa.uint64()),
    "unsigned in a list": pa.array([None, [2**63]], pa.list_(pa.uint64())),
}  # fmt: skip
POLARS = {
    "nanoseconds": pl.Series([None, 5]).cast(pl.Datetime("ns")),
    "durations": pl.Series([None, [5]]).cast(pl.List(pl.Duration("ns"))),
    "time": pl.Series([None, 5]).cast(pl.Time),
    "decimal": pl.Series([None, Decimal("1.5")]),
    "binary": pl.Series([None, [b"x"]]),
    "object": pl.Series([None, {1}], dtype=pl.Object),
    "128 bits": pl.Series([None, 2**100], dtype=pl.Int128),
    "128 bits in a list": pl.Series([None, [2**100]], dtype=pl.List(pl.Int128)),
    "unsigned 128 bits in an array": pl.Series([None, [2**100]], dtype=pl.Array(pl.UInt128, 1)),
    "duration beyond Python's": pl.Series([None, 2**62]).cast(pl.Duration("ms")),
    "date in a struct": pl.Series([None, {"a": dt.date(2020, 1, 1)}]),
    "map with a key twice": pl.from_arrow(ARROW["map with a key twice"]),
    "maps with a key twice": pl.from_arrow(
        pa.array([None, [[("a", 1), ("a", 1)]]], pa.list_(pa.map_(pa.string(), pa.int8())))
    ),
    "map in a map": pl.from_arrow(
        pa.array(
            [None, [("b", [("a", 1), ("a", 1)])]],
            pa.map_(pa.string(), pa.map_(pa.string(), pa.int8())),
        )
    ),
}


def refused(data, **field):
    with pytest.raises(DataNotMatchException) as caught:
        stored(data, **field)
    return str(caught.value)


@pytest.mark.parametrize("values", ARROW.values(), ids=ARROW)
def test_values_of_arrow_without_a_json_value_are_refused(values):
    pandas = pd.Series(values, dtype=pd.ArrowDtype(values.type))
    for x in (values, pa.chunked_array([values[:1], values[1:]]), pandas):
        for field in ({}, {"datatype": DataType.JSON}):
            message = refused(columns(x), **field)
            # A struct of pyarrow cannot be read in part, so that its first row fails.
            assert re.match(r"row [01], (dynamic field at \['x'\]|field 'x')", message), message
            assert len(message) < 500


@pytest.mark.parametrize("values", POLARS.values(), ids=POLARS)
def test_values_of_polars_without_a_json_value_are_refused(values):
    for x in (values, values.extend_constant(None, 1)):
        for field in ({}, {"datatype": DataType.JSON}):
            message = refused(pl.DataFrame(columns(x)), **field)
            assert re.match(r"row 1, (dynamic field at \['x'\]|field 'x')", message), message


class Money(pl.BaseExtension):
    """A type of a user's own, whose values in Python are its storage only."""

    def __init__(self):
        super().__init__("tests.money", pl.Int64)


def test_extension_types_of_polars_are_refused():
    pl.register_extension_type("tests.money", Money)
    try:
        money = pl.Series([None, 5]).ext.to(Money())
        assert refused(columns(money)).startswith("row 1, field 'x': ")
        for x in (pl.DataFrame({"a": money}).to_struct("x"), money.implode()):
            assert refused(columns(x)).startswith("row 0, field 'x': ")
    finally:
        pl.unregister_extension_type("tests.money")


def test_a_date_that_polars_cannot_give_is_refused(capfd):
    """Polars panics for such a date, with an exception that is no ``Exception``."""
    far = pl.Series([None, 2**30]).cast(pl.Date)
    struct = pl.DataFrame({"a": far}).to_struct("x")
    for x in (far, pl.Series([None, [2**30]]).cast(pl.List(pl.Date))):
        assert refused(columns(x)).startswith("row 1, field 'x'")
    assert refused(columns(struct)).startswith("row 1, field 'x'")
    capfd.readouterr()  # what polars writes of its panics


# What pandas takes for a column, and cannot give.
UNREADABLE = [
    np.zeros(2, "V4"),
    np.ones((2, 2, 2)),
    pl.Series([{}, {}], dtype=pl.Struct([])),
]


@pytest.mark.parametrize("column", UNREADABLE, ids=lambda column: str(column.dtype))
def test_a_column_that_its_library_cannot_read_is_named(column):
    frame = pd.DataFrame({"id": [0, 1]}).assign(x=column)
    with pytest.raises(DataNotMatchException, match="column 'x' cannot be read"):
        stored(frame)


def test_columns_that_are_all_null_are_null_whatever_their_type():
    types = [
        pa.month_day_nano_interval(),
        pa.uuid(),
        pa.duration("ns"),
        pa.map_(pa.int8(), pa.int8()),
    ]
    for kind in types:
        assert stored(columns(pa.nulls(2, kind))) == [None, None]
    assert stored(columns(pl.Series([None, None], dtype=pl.Duration("ns")))) == [None, None]
    assert stored(columns(pd.Series([pd.NaT, pd.NaT]))) == [None, None]


SAME = {
    "map": (pa.array([[("a", 1), ("b", None)], None, []], pa.map_(pa.string(), pa.int64())), [{"a": 1, "b": None}, None, {}]),
    "maps without null": (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), [{"a": 1}]),
    "maps in lists": (pa.array([[[("a", 1)]], [None]], pa.list_(pa.map_(pa.string(), pa.int8()))), [[{"a": 1}], [None]]),
    "null in a list": (pa.array([[BIG, None], [1]], pa.list_(pa.int64())), [[BIG, None], [1]]),
    "null in a fixed list": (pa.array([[BIG, None], None], pa.list_(pa.int64(), 2)), [[BIG, None], None]),
    "null in a struct": (pa.array([{"a": BIG}, {"a": None}, None]), [{"a": BIG}, {"a": None}, None]),
    "null in a list of structs": (pa.array([[{"a": BIG}, None, {"a": None}]]), [[{"a": BIG}, None, {"a": None}]]),
    "null in a dictionary": (pa.ListArray.from_arrays([0, 2], pa.DictionaryArray.from_arrays([0, 1], pa.array([BIG, None]))), [[BIG, None]]),
    "dictionary of numbers": (pa.array([BIG, None]).dictionary_encode(), [BIG, None]),
    "run ends": (pa.RunEndEncodedArray.from_arrays([1, 2], pa.array([BIG, None])), [BIG, None]),
    "list view": (pa.array([[1, 2], None], pa.list_view(pa.int64())), [[1, 2], None]),
    "list view out of order": (pa.ListViewArray.from_arrays([2, 0], [2, 2], pa.array([1, 2, 3, 4])), [[3, 4], [1, 2]]),
    "string view": (pa.array(["é", None], pa.string_view()), ["é", None]),
    "union": (pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([BIG, 0]), pa.array(["", "b"])]), [BIG, "b"]),
    "json": (pa.array(["{}", None], pa.json_()), ["{}", None]),
    "half": (pa.array([[np.float16(1.5)], [None]], pa.list_(pa.float16())), [[1.5], [None]]),
    "tensor": (pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(4.0).reshape(2, 2)), [[0.0, 1.0], [2.0, 3.0]]),
    "empty lists": (pa.array([[], []], pa.list_(pa.int64())), [[], []]),
    "lists in lists": (pa.array([[[1, None], []], [None]], pa.list_(pa.list_(pa.int8()))), [[[1, None], []], [None]]),
}  # fmt: skip


@pytest.mark.parametrize(("values", "expected"), SAME.values(), ids=SAME)
def test_values_of_arrow_are_stored_as_they_are(values, expected):
    forms = [values, pa.chunked_array([values]), pa.chunked_array([values, values])[len(values) :]]
    if not isinstance(values, pa.ExtensionArray):
        forms.append(pd.Series(values, dtype=pd.ArrowDtype(values.type)))
    for x in forms:
        for field in ({}, {"datatype": DataType.JSON}):
            assert repr(stored(columns(x), **field)) == repr(expected)


INTEGERS = {
    "Int64": lambda: pd.Series([BIG, None, 1], dtype="Int64"),
    "arrow": lambda: pd.Series([BIG, None, 1], dtype="int64[pyarrow]"),
    "objects": lambda: pd.Series([BIG, np.nan, 1], dtype=object),
    "category": lambda: pd.Series(pd.Categorical([BIG, None, 1])),
    "category on arrow": lambda: pd.Series(pd.array([BIG, None, 1], dtype="int64[pyarrow]")).astype("category"),
    "masked": lambda: np.ma.array([BIG, 0, 1], mask=[False, True, False]),
    "int128": lambda: pl.Series([BIG, None, 1], dtype=pl.Int128),
}  # fmt: skip


@pytest.mark.parametrize("make", INTEGERS.values(), ids=INTEGERS)
def test_integers_beside_a_null_stay_integers(make):
    for field in ({}, {"datatype": DataType.INT64}, {"datatype": DataType.JSON}):
        assert repr(stored(columns(make()), **field)) == repr([BIG, None, 1])


def test_frames_of_nullable_types_are_stored_as_rows():
    frame = pd.DataFrame(
        {
            "id": pd.Series([1, 2], dtype="UInt32"),
            "x": pd.Series([True, None], dtype="boolean"),
            "t": pd.Series(["a", None], dtype="string[pyarrow]"),
            "c": pd.Series(["a", None], dtype="category"),
            "f": pd.Series([0.5, None], dtype="Float32"),
            "s": pd.Series([0, 5], dtype="Sparse[int64]"),
        }
    )
    expected = [
        {"id": 1, "x": True, "t": "a", "c": "a", "f": 0.5, "s": 0},
        {"id": 2, "x": None, "t": None, "c": None, "f": None, "s": 5},
    ]
    with MilvusClient(":memory:") as client:
        schema = CollectionSchema(enable_dynamic_field=True)
        client.create_collection(
            "c", schema=schema.add_field("id", DataType.INT64, is_primary=True)
        )
        client.insert("c", frame)
        assert repr(client.query("c", "", output_fields=["*"])) == repr(expected)


def test_a_map_of_arrow_is_a_sparse_vector_too():
    values = pa.array([[(3, 0.5), (1, 1.5)]], pa.map_(pa.uint32(), pa.float32()))
    assert stored(columns(values), datatype=DataType.SPARSE_FLOAT_VECTOR) == [{1: 1.5, 3: 0.5}]


@pytest.mark.parametrize("x", [5, [1], ARROW["uuid"], ARROW["date beyond Python's"], [1, b"x"]])
def test_messages_do_not_grow_with_the_name_of_a_column(x):
    data = {"id": [1, 2], "a" * 100_000: x}
    assert len(refused(data)) < 500
    assert len(refused([{"id": 1, "b" * 100_000: b"x"}])) < 500
    with MilvusClient(":memory:") as client:
        schema = CollectionSchema().add_field("id", DataType.INT64, is_primary=True)
        client.create_collection("c", schema=schema)
        with pytest.raises(DataNotMatchException, match="row 0: unknown field 'a") as caught:
            client.insert("c", {"id": [1], "a" * 100_000: [1]})
        assert len(str(caught.value)) < 500


def test_records_are_no_lists_in_a_filter():
    records = np.zeros(1, [("a", "M8[ns]")])
    with MilvusClient(":memory:") as client:
        client.create_collection("c", dimension=2)
        for value in (records, records[0], [records[0]], [[records]]):
            with pytest.raises(FilterError, match=r"\{t\} is "):
                client.query("c", "id in {t}", filter_params={"t": value})
