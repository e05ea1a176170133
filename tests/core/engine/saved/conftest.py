"""Collections large enough for a graph, whatever the constants say."""

import numpy as np
import pytest

from elanus import DataType, Function, FunctionType, MilvusClient

DIM = 16
COLOURS = ("red", "green", "blue", "black", "white", "pink", "grey")


@pytest.fixture(autouse=True)
def _small_graphs(thresholds):
    """Build graphs for small collections, so that there is something to save."""
    thresholds(graph_rows=300, graph_values=0)


@pytest.fixture
def rows():
    rng = np.random.default_rng(5)

    def make(start, stop, key=int):
        vectors = rng.normal(size=(stop - start, DIM)).astype(np.float32)
        return [
            {"id": key(i), "vector": v, "text": f"{COLOURS[i % 7]} common", "num": i}
            for i, v in zip(range(start, stop), vectors, strict=True)
        ]

    return make


@pytest.fixture
def index_type():
    """What stands on the vectors."""
    return "HNSW"


@pytest.fixture
def fill(rows, index_type):
    """Make a collection of ``n`` rows with a graph, and wait until it was saved."""

    def make(path, n=600, key_type=DataType.INT64, key=int):
        client = MilvusClient(path)
        schema = client.create_schema()
        schema.add_field("id", key_type, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
        schema.add_field("text", DataType.VARCHAR, enable_analyzer=True)
        schema.add_field("num", DataType.INT64)
        schema.add_field("terms", DataType.SPARSE_FLOAT_VECTOR)
        schema.add_function(Function("bm25", FunctionType.BM25, ["text"], ["terms"]))
        params = client.prepare_index_params()
        params.add_index("vector", index_type, metric_type="COSINE")
        client.create_collection("c", schema=schema, index_params=params)
        client.insert("c", rows(0, n, key))
        client.load_collection("c")
        return client

    return make
