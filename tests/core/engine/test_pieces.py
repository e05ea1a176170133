"""Indexes read the file some rows at a time: how many must make no difference."""

import numpy as np
import pytest

from elanus import DataType, Function, FunctionType, MilvusClient
from elanus.engine import _parts

DIM = 4


def fill(client):
    """40 rows, a third without a vector, and some gone: before the first, in between, at the end."""
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("dense", DataType.FLOAT_VECTOR, dim=DIM, nullable=True)
    schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("text", DataType.VARCHAR, enable_analyzer=True)
    schema.add_field("terms", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(Function("bm25", FunctionType.BM25, ["text"], ["terms"]))
    client.create_collection("c", schema=schema)
    rng = np.random.default_rng(1)
    rows = [
        {
            "id": i,
            "dense": None if i % 3 == 0 else rng.integers(-9, 9, DIM).tolist(),
            "sparse": {i % 5: 1.0, 7: float(i)},
            "text": "" if i % 11 == 0 else f"word{i % 4} all all{'!' * i}",
            "num": i if i % 2 else str(i),
        }
        for i in range(40)
    ]
    client.insert("c", rows[:30])
    client.query("c", limit=1)  # the slots are numbered here, and the indexes later
    client.delete("c", ids=[0, 1, 2, 9, 10, 11, 12, 13, 29])
    client.insert("c", rows[30:])
    client.delete("c", ids=[39])


def answers(client):
    def found(field, query):
        (hits,) = client.search("c", [query], anns_field=field, limit=100)
        return [(hit.id, hit.distance) for hit in hits]

    def passing(expression):
        return sorted(row["id"] for row in client.query("c", filter=expression))

    return (
        found("dense", [1, 2, 3, 4]),
        found("sparse", {7: 1.0, 2: 50.0}),
        found("terms", "word3 all"),
        passing("num > 4"),
        passing("num == '20'"),
        passing("text != ''"),
    )


@pytest.fixture(scope="module")
def expected():
    with MilvusClient(":memory:") as client:
        fill(client)
        return answers(client)


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 29, 30, 31])
def test_the_size_of_the_pieces_changes_no_answer(monkeypatch, expected, at_once):
    monkeypatch.setattr(_parts, "_AT_ONCE", at_once)
    with MilvusClient(":memory:") as client:
        fill(client)
        assert answers(client) == expected
        assert client.verify() == []
        client.upsert(
            "c", [{"id": 5, "dense": [1, 2, 3, 4], "sparse": {7: 99.0}, "text": "all word3"}]
        )
        dense, sparse, text, *_ = answers(client)
        assert [leg[0][0] for leg in (dense, sparse, text)] == [5, 5, 5]


def test_the_answers_are_those_of_the_rows_that_are_left(expected):
    dense, sparse, text, numbers, strings, filled = expected
    left = set(range(40)) - {0, 1, 2, 9, 10, 11, 12, 13, 29, 39}
    assert {key for key, _ in dense} == {i for i in left if i % 3}
    assert {key for key, _ in sparse} == left
    assert {key for key, _ in text} == {i for i in left if i % 11} == set(filled)
    assert numbers == sorted(i for i in left if i % 2 and i > 4)
    assert strings == [20]
