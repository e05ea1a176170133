"""Clients that are verified and closed after each test, and a collection with every kind of leg."""

import pytest

from elanus import CollectionSchema, DataType, Function, FunctionType, MilvusClient

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
