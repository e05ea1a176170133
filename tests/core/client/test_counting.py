"""``count(*)`` in any case and spacing is a count, and never a field."""

import asyncio

import pytest

from elanus import AnnSearchRequest, AsyncMilvusClient, MilvusClient
from elanus.errors import ParamError

SPELLINGS = [
    "count(*)", "COUNT(*)", "Count(*)", "cOuNt(*)", "count( * )", " Count(*) ", "COUNT (*)",
    "\tcount\n(\t*\t)", "count(*  )",
]  # fmt: skip


@pytest.fixture
def client():
    with MilvusClient(":memory:") as opened:
        opened.create_collection("c", dimension=2)
        opened.insert("c", [{"id": i, "vector": [1, i]} for i in range(7)])
        yield opened


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("wrap", [list, tuple, set], ids=["list", "tuple", "set"])
def test_a_query_counts(client, spelling, wrap):
    fields = wrap([spelling])
    assert client.query("c", output_fields=fields) == [{"count(*)": 7}]
    assert client.query("c", "id > 2", fields) == [{"count(*)": 4}]
    assert client.query("c", ids=[1, 2, 99], output_fields=fields) == [{"count(*)": 2}]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_asynchronous_query_counts(spelling):
    async def run():
        async with AsyncMilvusClient(":memory:") as opened:
            await opened.create_collection("c", dimension=2)
            await opened.insert("c", [{"id": 1, "vector": [1, 2]}])
            return await opened.query("c", output_fields=[spelling])

    assert asyncio.run(run()) == [{"count(*)": 1}]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_count_goes_with_nothing_else(client, spelling):
    request = AnnSearchRequest([[1, 2]], "vector", {}, 3)
    for call in (
        lambda: client.query("c", output_fields=[spelling, "id"]),
        lambda: client.query("c", output_fields=[spelling, "*"]),
        lambda: client.query("c", output_fields=[spelling], limit=3),
        lambda: client.query("c", output_fields=[spelling], offset=1),
        lambda: client.get("c", [1], [spelling]),
        lambda: client.search("c", [[1, 2]], output_fields=["id", spelling]),
        lambda: client.hybrid_search("c", [request], output_fields=[spelling]),
    ):
        with pytest.raises(ParamError, match=r"count\(\*\)"):
            call()
