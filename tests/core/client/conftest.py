"""Clients that are verified and closed after each test, and a collection with every kind of leg."""

import pytest

from elanus import CollectionSchema, DataType, ElanusError, Function, FunctionType, MilvusClient

WORDS = ["red fox", "red red wolf", "blue whale", "green frog and red fox", "grey goose", "ant"]


@pytest.fixture(params=["file", "memory"])
def client(request, tmp_path):
    """A client on a file or in memory; sound after the test, whatever the test did."""
    address = tmp_path / "test.db" if request.param == "file" else ":memory:"
    with MilvusClient(address) as opened:
        yield opened
        assert opened.verify() == []


@pytest.fixture
def file_client(tmp_path):
    with MilvusClient(tmp_path / "test.db") as opened:
        yield opened
        assert opened.verify() == []


@pytest.fixture
def hybrid_schema():
    """Key "doc", dense "vector", sparse "weights", text "body" with its BM25 field "terms"."""
    schema = CollectionSchema(enable_dynamic_field=True)
    schema.add_field("doc", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("weights", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field(
        "body", DataType.VARCHAR, max_length=20_000, enable_analyzer=True, enable_match=True
    )
    schema.add_field("terms", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(Function("bm25", FunctionType.BM25, ["body"], ["terms"]))
    return schema


@pytest.fixture
def hybrid_rows():
    return [
        {
            "doc": 10 * i,
            "vector": [1.0, float(i)],
            "weights": {i: 1.0, 100: i / 10},
            "body": text,
            "colour": text.split()[0],
            "size": i,
        }
        for i, text in enumerate(WORDS)
    ]


@pytest.fixture
def hybrid(client, hybrid_schema, hybrid_rows):
    """The client with the collection "docs" of six rows, indexed by COSINE, IP and BM25."""
    params = client.prepare_index_params()
    params.add_index("vector", "AUTOINDEX", metric_type="COSINE")
    params.add_index("weights", "SPARSE_INVERTED_INDEX", metric_type="IP")
    params.add_index("terms", "AUTOINDEX", metric_type="BM25")
    client.create_collection("docs", schema=hybrid_schema, index_params=params)
    client.insert("docs", hybrid_rows)
    return client


GOOD = {
    "id": 1,
    "dense": [1.0, 2.0],
    "weights": {1: 1.0},
    "text": "good words",
    "small": 5,
    "flag": True,
    "single": 0.5,
    "real": 0.5,
    "short": "ab",
    "doc": {"a": 1},
    "numbers": [1, 2],
    "words": ["a"],
}


@pytest.fixture
def good():
    """A row that the collection "c" of `table` takes."""
    return dict(GOOD)


@pytest.fixture
def table():
    """A client with the collection "c" of three rows, one field of each kind.

    In memory: input is refused before it reaches the storage, and a file costs a sync a case.
    """
    with MilvusClient(":memory:") as client:
        fill(client)
        yield client
        assert client.verify() == []


def fill(client):
    schema = CollectionSchema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("dense", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("weights", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("text", DataType.VARCHAR, enable_analyzer=True, enable_match=True)
    schema.add_field("terms", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(Function("bm25", FunctionType.BM25, "text", "terms"))
    schema.add_field("small", DataType.INT8)
    schema.add_field("flag", DataType.BOOL)
    schema.add_field("single", DataType.FLOAT)
    schema.add_field("real", DataType.DOUBLE)
    schema.add_field("short", DataType.VARCHAR, max_length=4)
    schema.add_field("doc", DataType.JSON)
    schema.add_field("numbers", DataType.ARRAY, element_type=DataType.INT16, max_capacity=3)
    schema.add_field(
        "words", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=3, max_length=3
    )
    params = client.prepare_index_params("dense", metric_type="COSINE", index_type="HNSW")
    params.add_index("terms", metric_type="BM25")
    client.create_collection("c", schema=schema, index_params=params)
    client.create_collection("free", dimension=2)
    client.insert("c", [{**GOOD, "id": i} for i in range(3)])
    client.insert("free", {"id": 1, "vector": [1, 2]})


@pytest.fixture
def fill_table():
    """What `table` is filled by, for other clients."""
    return fill


@pytest.fixture(name="check_refused")
def check_refused_fixture():
    """The check that a call is refused, and that it has changed nothing."""
    return check_refused


def check_refused(client, error, message, call):
    """The call raises; nothing has changed; the collections go on working."""
    before = {name: client.query(name) for name in ("c", "free")}
    with pytest.raises(error, match=message) as caught:
        call(client)
    assert isinstance(caught.value, ElanusError)
    assert type(caught.value) is error
    assert client.list_collections() == ["c", "free"]
    assert {name: client.query(name) for name in before} == before
    assert client.verify() == []
    client.upsert("c", {**GOOD, "id": 77})
    client.upsert("free", {"id": 77, "vector": [0, 1], "any": 1})
    assert client.search("c", ["words"], anns_field="terms", filter="id == 77")[0][0].id == 77


@pytest.fixture
def reopened(tmp_path):
    """A function that opens the same file afresh each time."""
    clients = []

    def open_again():
        for client in clients:
            client.close()
        clients.append(MilvusClient(tmp_path / "again.db"))
        return clients[-1]

    yield open_again
    assert clients[-1].verify() == []
    clients[-1].close()
