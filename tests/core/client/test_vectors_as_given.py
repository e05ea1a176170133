"""A vector is stored exactly as it was given, or refused with row, field, value and rule."""

import array
import collections
import datetime as dt
import decimal
import fractions
import math

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix

from elanus import AnnSearchRequest, DataType, DocumentStore, MilvusClient
from elanus.errors import DataNotMatchException, ElanusError, ParamError

torch = pytest.importorskip("torch")
pandas = pytest.importorskip("pandas")


def masked(values, mask):
    return np.ma.array(values, mask=mask, dtype=np.float32)


def objects(*values):
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def generator():
    yield from (1.0, 2.0, 3.0, 4.0)


# None of these is a vector of four numbers.
NO_VECTORS = {
    "nested list": [[1, 2], [3, 4]],
    "nested tuple": ((1, 2, 3, 4),),
    "one list in a list": [[1, 2, 3, 4]],
    "ragged": [1, [2, 3], 4],
    "nested array": np.ones((2, 2)),
    "list of arrays": [np.ones(2), np.ones(2)],
    "list of 0-d arrays": [np.array(1.0)] * 4,
    "list of 1-d arrays": [np.ones(1)] * 4,
    "number": 5,
    "numpy number": np.float32(5),
    "0-d array": np.array(5.0),
    "0-d tensor": torch.tensor(5.0),
    "list of 0-d tensors": [torch.tensor(1.0)] * 4,
    "text": "1234",
    "texts": ["1", "2", "3", "4"],
    "array of texts": np.array(["1", "2", "3", "4"]),
    "bytes": b"1234",
    "bytearray": bytearray(b"1234"),
    "memoryview": memoryview(b"1234"),
    "array of bytes": np.array([b"1", b"2", b"3", b"4"]),
    "masked": masked([1, 2, 3, 4], [0, 1, 0, 0]),
    "masked constant": [1.0, np.ma.masked, 3.0, 4.0],
    "bools": [True, False, True, False],
    "mixed bools": [True, 2.0, 3.0, 4.0],
    "numpy bools": [np.True_, 2.0, 3.0, 4.0],
    "array of bools": np.array([True, False, True, True]),
    "complex": [1j, 2.0, 3.0, 4.0],
    "array of complex": np.ones(4, dtype=complex),
    "array of objects": objects(1.0, 2.0, 3.0, 4.0),
    "array of lists": objects([1], [2], [3], [4]),
    "dates": np.array(["2020-01-01"] * 4, dtype="M8[ns]"),
    "spans of time": np.array([1, 2, 3, 4], dtype="m8[ns]"),
    "list of spans": [np.timedelta64(1, "s"), 2.0, 3.0, 4.0],
    "list of dates": [dt.date(2020, 1, 1)] * 4,
    "decimals": [decimal.Decimal(1)] * 4,
    "fractions": [fractions.Fraction(1)] * 4,
    "None inside": [1.0, None, 3.0, 4.0],
    "NaN": [1.0, math.nan, 3.0, 4.0],
    "infinity": [1.0, -math.inf, 3.0, 4.0],
    "array with NaN": np.array([1.0, np.nan, 3.0, 4.0]),
    "over single precision": [1e39, 2.0, 3.0, 4.0],
    "array over single precision": np.array([1e39, 2.0, 3.0, 4.0]),
    "integer over all": [10**400, 2.0, 3.0, 4.0],
    "gradient": torch.ones(4, requires_grad=True),
    "bfloat16": torch.ones(4, dtype=torch.bfloat16),
    "sparse tensor": torch.ones(4).to_sparse(),
    "meta tensor": torch.ones(4, device="meta"),
    "tensor of bools": torch.ones(4, dtype=torch.bool),
    "nested tensor": torch.ones(2, 2),
    "structured": np.zeros(4, dtype=[("a", "f4")]),
    "set": {1.0, 2.0, 3.0, 4.0},
    "generator": generator(),
    "dict": {0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0},
    "series with a null": pandas.Series([1.0, None, 3.0, 4.0]),
    "series of integers with a null": pandas.Series([1, None, 3, 4], dtype="Int64"),
    "frame": pandas.DataFrame({"a": [1.0, 2.0, 3.0, 4.0]}),
    "too short": [1.0, 2.0, 3.0],
    "empty": [],
    "object": object(),
}
# Each of these is the vector 1, 2, 3, 4.
VECTORS = {
    "list": [1, 2.0, 3, 4.0],
    "tuple": (1, 2, 3, 4),
    "numpy numbers": [np.float16(1), np.int8(2), np.uint64(3), np.float64(4)],
    "integers": np.arange(1, 5),
    "halves": np.arange(1, 5, dtype=np.float16),
    "big-endian": np.arange(1, 5, dtype=">f8"),
    "every second": np.array([1.0, 9, 2, 9, 3, 9, 4, 9])[::2],
    "nothing masked": masked([1, 2, 3, 4], False),
    "array": array.array("f", [1, 2, 3, 4]),
    "range": range(1, 5),
    "deque": collections.deque([1, 2, 3, 4]),
    "tensor": torch.arange(1, 5),
    "detached": torch.arange(1.0, 5.0, requires_grad=True).detach(),
    "series": pandas.Series([1.0, 2.0, 3.0, 4.0]),
}
NO_SPARSE = {
    "bool index": {True: 1.0, 2: 1.0},
    "bool value": {1: True, 2: 2.0},
    "text index": {"1": 1.0},
    "text value": {1: "1"},
    "float index": {1.0: 1.0},
    "0-d value": {1: np.array(1.0)},
    "list value": {1: [1.0]},
    "masked value": {1: np.ma.masked, 2: 1.0},
    "complex value": {1: 1j},
    "NaN": {1: math.nan},
    "over single precision": {1: 1e39},
    "integer over all": {1: 10**400},
    "span of time": {1: np.timedelta64(1, "s")},
    "index too large": {np.uint64(2**63): 1.0},
    "negative": {-1: 1.0},
    "gradient": {1: torch.ones((), requires_grad=True)},
    "pairs as sets": [{1, 0.5}],
    "pairs as dicts": [{1: 2, 3: 4}],
    "pairs as text": ["12", "34"],
    "triples": [(1, 2, 3)],
    "twice": [(1, 0.5), (1, 0.5)],
    "dense": [1.0, 2.0],
    "array": np.ones((2, 2)),
    "0-d array": np.array(1.0),
    "0-d tensor": torch.tensor(1.0),
    "bytes": b"ab",
    "matrix of bools": csr_matrix(np.array([[True, False]])),
    "matrix of complex": csr_matrix(np.array([[1j, 0]])),
    "two rows": csr_matrix(np.ones((2, 2))),
    "frame": pandas.DataFrame({"a": [1.0]}),
    "number": 5,
    "text": "1",
}


@pytest.fixture
def client():
    with MilvusClient(":memory:") as opened:
        schema = opened.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("dense", DataType.FLOAT_VECTOR, dim=4)
        schema.add_field("one", DataType.FLOAT_VECTOR, dim=1)
        schema.add_field("weights", DataType.SPARSE_FLOAT_VECTOR)
        opened.create_collection("c", schema=schema)
        yield opened
        assert opened.verify() == []


def row(number, **fields):
    return {"id": number, "dense": [1, 2, 3, 4], "one": [1], "weights": {1: 1.0}, **fields}


def columns(name, value):
    rows = [row(0), row(1, **{name: value})]
    return {key: [r[key] for r in rows] for key in rows[0]}


def check_refused(client, write, name):
    with pytest.raises(DataNotMatchException, match=rf"row 1, field '{name}': .*; got ") as caught:
        write()
    assert len(str(caught.value)) < 500
    assert client.query("c", output_fields=["count(*)"]) == [{"count(*)": 0}]


@pytest.mark.parametrize("value", NO_VECTORS.values(), ids=NO_VECTORS)
def test_what_is_no_vector_is_refused_and_nothing_is_written(client, value):
    for put in (client.insert, client.upsert):
        check_refused(client, lambda put=put: put("c", [row(0), row(1, dense=value)]), "dense")
    check_refused(client, lambda: client.insert("c", columns("dense", value)), "dense")


@pytest.mark.parametrize("value", [5, 5.0, np.float32(5), np.array(5.0), [[5.0]], "5", True])
def test_a_number_is_no_vector_of_one(client, value):
    check_refused(client, lambda: client.insert("c", [row(0), row(1, one=value)]), "one")


def test_a_column_of_numbers_holds_no_vectors_of_one(client):
    with pytest.raises(DataNotMatchException, match="row 0, field 'one'"):
        client.insert("c", {"id": [0, 1], "dense": np.ones((2, 4)), "one": np.ones(2),
                            "weights": [{1: 1.0}, {1: 1.0}]})  # fmt: skip


def test_a_matrix_with_a_masked_element_is_refused(client):
    matrix = np.ma.array(np.ones((2, 4)), mask=[[0] * 4, [0, 0, 1, 0]])
    check_refused(client, lambda: client.insert("c", {**columns("one", [1]), "dense": matrix}),
                  "dense")  # fmt: skip


@pytest.mark.parametrize("value", VECTORS.values(), ids=VECTORS)
def test_what_is_a_vector_is_stored_as_it_is(client, value):
    client.insert("c", [row(0), row(1, dense=value)])
    client.upsert("c", [row(2, dense=value)])
    client.insert("c", {k: [v] for k, v in row(3, dense=value).items()})
    assert [r["dense"] for r in client.query("c")] == [[1.0, 2.0, 3.0, 4.0]] * 4
    for data in ([value], [row(0)["dense"], value]):
        for hits in client.search("c", data, anns_field="dense", limit=1):
            assert hits[0].distance == pytest.approx(1.0)


@pytest.mark.parametrize("value", NO_VECTORS.values(), ids=NO_VECTORS)
def test_what_is_no_vector_is_no_query(client, value):
    client.insert("c", row(0))
    for data in ([value], [[1, 2, 3, 4], value]):
        calls = (
            lambda data=data: client.search("c", data, anns_field="dense"),
            lambda data=data: client.hybrid_search("c", [AnnSearchRequest(data, "dense", {}, 3)]),
        )
        for call in calls:
            with pytest.raises(DataNotMatchException, match=r"query \d on field 'dense': .*; got "):
                call()


@pytest.mark.parametrize(
    "data",
    [
        5, np.array(5.0), torch.tensor(5.0), b"1234", bytearray(b"1234"), memoryview(b"1234"),
        {1.0, 2.0, 3.0, 4.0}, pandas.DataFrame({"a": [1.0], "b": [2.0], "c": [3.0], "d": [4.0]}),
        object(), None, True,
    ],
    ids=lambda data: type(data).__name__,
)  # fmt: skip
def test_what_holds_no_queries_is_refused(client, data):
    client.insert("c", row(0))
    with pytest.raises(ParamError, match="data"):
        client.search("c", data, anns_field="dense")


@pytest.mark.parametrize("value", NO_SPARSE.values(), ids=NO_SPARSE)
def test_what_is_no_sparse_vector_is_refused(client, value):
    for put in (client.insert, client.upsert):
        check_refused(client, lambda put=put: put("c", [row(0), row(1, weights=value)]), "weights")
    client.insert("c", row(0))
    with pytest.raises(ElanusError):
        client.search("c", [value], anns_field="weights")


def test_a_scipy_row_of_the_caller_stays_as_it_was(client):
    indices, data = np.array([3, 1, 3]), np.array([1.0, 2.0, 0.5])
    given = csr_array((data.copy(), indices.copy(), np.array([0, 3])), shape=(1, 5))
    client.insert("c", row(0, weights=given))
    assert client.query("c")[0]["weights"] == {1: 2.0, 3: 1.5}
    assert given.indices.tolist() == indices.tolist()
    assert given.data.tolist() == data.tolist()


class Four:
    name, dim = "four", 4

    def __init__(self):
        self.answer = None

    def encode_documents(self, _texts):
        return self.answer

    encode_queries = encode_documents


@pytest.mark.parametrize("value", NO_VECTORS.values(), ids=NO_VECTORS)
def test_a_store_takes_no_wrong_vector_from_anybody(value):
    embedding = Four()
    with DocumentStore(":memory:", embedding) as store:
        embedding.answer = [[1, 2, 3, 4], value]
        for given in (embedding.answer, None):
            with pytest.raises(DataNotMatchException, match=r"rows of 4 numbers.*row 1.*; got "):
                store.add(["a", "b"], vectors=given)
        embedding.answer = [value]
        with pytest.raises(DataNotMatchException, match="rows of 4 numbers"):
            store.search("a")
        if value is not None:
            with pytest.raises(DataNotMatchException, match="rows of 4 numbers"):
                store.search("a", vector=value)
        assert store.count() == 0


@pytest.mark.parametrize(
    "vectors",
    [
        np.ma.array(np.ones((2, 4)), mask=np.eye(2, 4)),
        torch.ones(2, 4, requires_grad=True),
        torch.ones(2, 4, dtype=torch.bfloat16),
        torch.ones(2, 4).to_sparse(),
        torch.ones(2, 4, device="meta"),
        np.ones((2, 4), dtype=bool),
        np.ones((2, 4), dtype="m8[s]"),
        np.ones((2, 4, 1)),
        np.ones(8),
        np.array(1.0),
        torch.tensor(1.0),
        [None, None],
        [[1, 2, 3, 4], None],
        [1, 2, 3, 4, 5, 6, 7, 8],
        {0: [1, 2, 3, 4], 1: [1, 2, 3, 4]},
        pandas.DataFrame(np.ones((2, 4))),
        "12",
        b"12",
        5,
    ],
    ids=lambda v: type(v).__name__,
)
def test_a_store_takes_no_wrong_matrix(vectors):
    with DocumentStore(":memory:", dim=4) as store:
        with pytest.raises(DataNotMatchException, match=r"\(2, 4\)|rows of 4 numbers"):
            store.add(["a", "b"], vectors=vectors)
        assert store.count() == 0


@pytest.mark.parametrize("value", VECTORS.values(), ids=VECTORS)
def test_a_store_keeps_what_is_a_vector(value):
    embedding = Four()
    with DocumentStore(":memory:", embedding) as store:
        store.add(["a"], vectors=[value], ids=["a"])
        embedding.answer = [value, value]
        store.add(["b", "c"], ids=["b", "c"])
        found = store.get(["a", "b", "c"], with_vectors=True)
        assert [d.vector.tolist() for d in found] == [[1, 2, 3, 4]] * 3
        assert store.search("a", vector=value, mode="dense")[0].score == pytest.approx(1.0)


def test_a_store_takes_tensors(client):
    with DocumentStore(":memory:", dim=4) as store:
        store.add(["a", "b"], vectors=torch.ones(2, 4), ids=["a", "b"])
        assert store.get("b", with_vectors=True)[0].vector.tolist() == [1.0] * 4


class Lying(list):
    def __len__(self):
        return 3


@pytest.mark.parametrize("values", [[1.0, 2.0], [1.0, 2.0, 3.0, 4.0]])
def test_a_list_has_as_many_numbers_as_it_gives(values):
    with MilvusClient(":memory:") as client:
        client.create_collection("c", dimension=3)
        says = f"the vector has dimension {len(values)}, the field has dim=3"
        with pytest.raises(DataNotMatchException, match=says):
            client.insert("c", {"id": 1, "vector": Lying(values)})
        client.insert("c", {"id": 1, "vector": Lying([1.0, 2.0, 3.0])})
        assert client.get("c", 1)[0]["vector"] == [1.0, 2.0, 3.0]
