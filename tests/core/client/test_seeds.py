"""The examples of the Milvus pages on Milvus Lite and on asyncio, with only the import changed."""

import asyncio
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from elanus import AnnSearchRequest, AsyncMilvusClient, DataType, MilvusClient, RRFRanker


def test_the_milvus_lite_page_runs_on_a_file(tmp_path):
    path = tmp_path / "milvus_demo.db"
    client = MilvusClient(str(path))
    client.create_collection(collection_name="demo_collection", dimension=384)
    docs = [
        "Artificial intelligence was founded as an academic discipline in 1956.",
        "Alan Turing was the first person to conduct substantial research in AI.",
        "Born in Maida Vale, London, Turing was raised in southern England.",
    ]
    rng = np.random.default_rng(0)
    vectors = [[rng.uniform(-1, 1) for _ in range(384)] for _ in range(len(docs))]
    data = [
        {"id": i, "vector": vectors[i], "text": docs[i], "subject": "history"}
        for i in range(len(vectors))
    ]
    res = client.insert(collection_name="demo_collection", data=data)
    assert res["insert_count"] == 3
    assert res["ids"] == [0, 1, 2]

    res = client.search(
        collection_name="demo_collection",
        data=[vectors[0]],
        filter="subject == 'history'",
        limit=2,
        output_fields=["text", "subject"],
    )
    assert len(res) == 1
    assert len(res[0]) == 2
    assert res[0][0]["id"] == 0
    assert res[0][0]["distance"] == pytest.approx(1.0, abs=1e-6)
    assert res[0][0]["entity"] == {"text": docs[0], "subject": "history"}

    res = client.query(
        collection_name="demo_collection",
        filter="subject == 'history'",
        output_fields=["text", "subject"],
    )
    assert res == [{"id": i, "text": docs[i], "subject": "history"} for i in range(3)]

    res = client.delete(collection_name="demo_collection", filter="subject == 'history'")
    assert res["delete_count"] == 3
    assert client.query("demo_collection", filter="subject == 'history'") == []
    assert client.verify() == []
    client.close()
    assert path.is_file()


def test_the_calls_of_the_support_table_of_the_milvus_lite_page(tmp_path):
    """Every call that the page lists, with the arguments that it marks as supported."""
    client = MilvusClient(uri=str(tmp_path / "lite.db"))
    client.create_collection(
        collection_name="quick",
        dimension=4,
        primary_field_name="key",
        id_type="string",
        vector_field_name="embedding",
        metric_type="L2",
        auto_id=False,
        max_length=64,
        enable_dynamic_field=True,
        consistency_level="Strong",
        timeout=5,
    )
    schema = client.create_schema(auto_id=False, enable_dynamic_field=True, primary_field="id")
    schema.add_field("id", DataType.INT64)
    schema.add_field("name", DataType.VARCHAR, max_length=32)
    schema.add_field("tags", DataType.ARRAY, element_type=DataType.INT64, max_capacity=8)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    index_params = client.prepare_index_params()
    index_params.add_index("vector", index_type="FLAT", metric_type="IP")
    client.create_collection("full", schema=schema, index_params=index_params)
    assert client.list_collections() == ["full", "quick"]
    assert client.describe_collection("full", timeout=1)["fields"][0]["is_primary"] is True

    rows = [{"id": i, "name": f"n{i}", "tags": [i], "vector": [i, 0, 0, 1]} for i in range(5)]
    client.insert(collection_name="full", data=rows, timeout=5)
    client.upsert(collection_name="full", data={**rows[1], "name": "changed"}, timeout=5)
    assert client.get_collection_stats("full", timeout=1) == {"row_count": 5}
    hits = client.search(
        collection_name="full",
        data=[[1, 0, 0, 0]],
        filter="id < 4",
        limit=2,
        output_fields=["name"],
        search_params={"metric_type": "IP", "params": {}},
        timeout=5,
        anns_field="vector",
    )
    assert [(hit["id"], hit["distance"]) for hit in hits[0]] == [(3, 3.0), (2, 2.0)]
    assert client.query("full", ids=[1], output_fields=["name"], timeout=5) == [
        {"id": 1, "name": "changed"}
    ]
    assert client.get("full", ids=2, output_fields=["tags"], timeout=5) == [{"id": 2, "tags": [2]}]
    assert client.delete("full", ids=[0], timeout=5)["delete_count"] == 1

    client.release_collection("full", timeout=5)
    client.load_collection("full", timeout=5)
    assert client.list_indexes("full", field_name="vector") == ["vector"]
    assert client.describe_index("full", "vector", timeout=5)["index_type"] == "FLAT"
    client.drop_index("full", "vector", timeout=5)
    client.create_index("full", index_params, timeout=5)
    client.rename_collection("quick", "renamed")
    client.drop_collection("full", timeout=5)
    assert client.has_collection("full", timeout=5) is False
    assert client.verify() == []
    client.close()


SEED = (
    "this is a seed paragraph to generate random text, which is used for testing purposes. "
    "Specifically, a random text is generated by randomly selecting words from this sentence."
)


COLLECTION = "my_collection"


@dataclass
class Page:
    """What the page of the asyncio tutorial has in its global variables."""

    loop: asyncio.AbstractEventLoop
    client: MilvusClient
    async_client: AsyncMilvusClient
    rng: np.random.Generator
    data: list[dict[str, Any]]

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)


@pytest.fixture
def page(tmp_path):
    """Two clients, one synchronous, with the same file open."""
    path, loop = str(tmp_path / "async.db"), asyncio.new_event_loop()
    async_client = AsyncMilvusClient(uri=path, token="root:Milvus")  # noqa: S106  # the page's
    opened = Page(loop, MilvusClient(uri=path), async_client, np.random.default_rng(42), [])
    yield opened
    assert opened.client.verify() == []
    opened.run(async_client.close())
    opened.client.close()
    loop.close()


async def create_my_collection(page):
    schema = page.async_client.create_schema(auto_id=False, description="This is a sample schema")
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("dense_vector", DataType.FLOAT_VECTOR, dim=5)
    schema.add_field("sparse_vector", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("text", DataType.VARCHAR, max_length=512)
    if page.client.has_collection(COLLECTION):
        await page.async_client.drop_collection(COLLECTION)
    await page.async_client.create_collection(collection_name=COLLECTION, schema=schema)


async def create_indexes(page):
    index_params = page.client.prepare_index_params()
    index_params.add_index(field_name="dense_vector", index_type="AUTOINDEX", metric_type="IP")
    index_params.add_index(field_name="sparse_vector", index_type="AUTOINDEX", metric_type="IP")
    index_params.add_index(field_name="text", index_type="AUTOINDEX")
    await page.async_client.create_index(COLLECTION, index_params)


async def load_my_collection(page):
    await page.async_client.load_collection(COLLECTION)
    return page.client.get_load_state(COLLECTION)


async def insert_sample_data(page):
    words, rng = SEED.split(), page.rng
    page.data = [
        {
            "id": i,
            "dense_vector": rng.random(5).tolist(),
            "sparse_vector": csr_matrix(rng.random(5)),
            "text": " ".join(rng.choice(words, 10)),
        }
        for i in range(10_000)
    ]
    return await page.async_client.insert(COLLECTION, page.data)


async def query_my_collection(page):
    return await page.async_client.query(
        collection_name=COLLECTION,
        filter='text like "%random%"',
        output_fields=["count(*)"],
    )


async def conduct_vector_search(page, query_vectors, field):
    return await page.async_client.search(
        collection_name=COLLECTION,
        data=query_vectors,
        anns_field=field,
        output_fields=["text", field],
    )


async def conduct_hybrid_search(page, queries, rows):
    req_dense = AnnSearchRequest(
        data=queries, anns_field="dense_vector", param={"metric_type": "IP"}, limit=10
    )
    req_sparse = AnnSearchRequest(
        data=rows, anns_field="sparse_vector", param={"metric_type": "IP"}, limit=10
    )
    return await page.async_client.hybrid_search(
        collection_name=COLLECTION,
        reqs=[req_dense, req_sparse],
        ranker=RRFRanker(),
        output_fields=["text", "dense_vector", "sparse_vector"],
    )


def test_the_asyncio_page_runs_on_a_file(page):
    for _ in range(2):  # the second time drops the first collection
        page.run(create_my_collection(page))
        assert page.client.has_collection(COLLECTION)
    page.run(create_indexes(page))
    assert page.client.list_indexes(COLLECTION) == ["dense_vector", "sparse_vector", "text"]
    assert repr(page.run(load_my_collection(page))) == "{'state': <LoadState: Loaded>}"

    res = page.run(insert_sample_data(page))
    assert res["insert_count"] == 10_000
    assert res["ids"] == list(range(10_000))
    expected = sum("random" in row["text"] for row in page.data)
    assert 5_000 < expected < 10_000  # three of 28 words hold "random"
    assert page.run(query_my_collection(page)) == [{"count(*)": expected}]
    _check_searches(page, expected)


def _check_searches(page, expected):
    dense = np.array([row["dense_vector"] for row in page.data])
    sparse = np.array([row["sparse_vector"].toarray()[0] for row in page.data])
    queries = [page.rng.random(5) for _ in range(3)]
    rows = [csr_matrix(page.rng.random(5)) for _ in range(3)]

    by_dense = page.run(conduct_vector_search(page, queries, "dense_vector"))
    _assert_top(by_dense, dense @ np.array(queries).T, page.data)
    best = by_dense[0][0]
    assert best["entity"]["dense_vector"] == pytest.approx(dense[best["id"]])

    by_sparse = page.run(conduct_vector_search(page, rows, "sparse_vector"))
    _assert_top(by_sparse, sparse @ np.vstack([row.toarray() for row in rows]).T, page.data)
    best = by_sparse[0][0]
    assert best["entity"]["sparse_vector"] == pytest.approx(dict(enumerate(sparse[best["id"]])))

    fused = page.run(conduct_hybrid_search(page, queries, rows))
    for number, hits in enumerate(fused):
        wanted = _fused([by_dense, by_sparse], number)
        assert [(h["id"], pytest.approx(h["distance"])) for h in hits] == wanted
        assert hits[0]["entity"].keys() == {"text", "dense_vector", "sparse_vector"}

    async def all_at_once():
        return await asyncio.gather(
            query_my_collection(page),
            conduct_vector_search(page, queries, "dense_vector"),
            conduct_hybrid_search(page, queries, rows),
        )

    assert page.run(all_at_once()) == [[{"count(*)": expected}], by_dense, fused]


def _assert_top(res, scores, data):
    """The ten largest scores of each query, in order, with the texts of their rows."""
    assert len(res) == scores.shape[1] == 3
    for column, hits in zip(scores.T, res, strict=True):
        best = np.argsort(-column)[:10]
        assert [hit["id"] for hit in hits] == best.tolist()
        assert [hit["distance"] for hit in hits] == pytest.approx(column[best].tolist(), rel=1e-5)
        assert all(hit["entity"]["text"] == data[hit["id"]]["text"] for hit in hits)


def _fused(legs, number):
    """Reciprocal rank fusion with k = 60 of the legs' hits; ties by key."""
    scores = {}
    for leg in legs:
        for rank, hit in enumerate(leg[number], start=1):
            scores[hit["id"]] = scores.get(hit["id"], 0) + 1 / (60 + rank)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:10]
