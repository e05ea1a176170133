"""The examples of the Milvus pages on Milvus Lite and on asyncio, with only the import changed."""

import asyncio

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


@pytest.fixture
def loop():
    made = asyncio.new_event_loop()
    yield made
    made.close()


def test_the_asyncio_page_runs_on_a_file(tmp_path, loop):
    """The whole page; two clients, one synchronous, have the same file open."""
    path = str(tmp_path / "async.db")
    async_client = AsyncMilvusClient(uri=path, token="root:Milvus")  # noqa: S106  # the page's
    client = MilvusClient(uri=path)
    rng = np.random.default_rng(42)

    schema = async_client.create_schema(auto_id=False, description="This is a sample schema")
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("dense_vector", DataType.FLOAT_VECTOR, dim=5)
    schema.add_field("sparse_vector", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("text", DataType.VARCHAR, max_length=512)

    async def create_my_collection(collection_name, schema):
        if client.has_collection(collection_name):
            await async_client.drop_collection(collection_name)
        await async_client.create_collection(collection_name=collection_name, schema=schema)

    for _ in range(2):  # the second time drops the first one
        loop.run_until_complete(create_my_collection("my_collection", schema))
        assert client.has_collection("my_collection")

    async def create_indexes(collection_name):
        index_params = client.prepare_index_params()
        index_params.add_index(
            field_name="dense_vector", index_type="AUTOINDEX", metric_type="IP"
        )
        index_params.add_index(
            field_name="sparse_vector", index_type="AUTOINDEX", metric_type="IP"
        )
        index_params.add_index(field_name="text", index_type="AUTOINDEX")
        await async_client.create_index(collection_name, index_params)

    loop.run_until_complete(create_indexes("my_collection"))
    assert client.list_indexes("my_collection") == ["dense_vector", "sparse_vector", "text"]

    async def load_my_collection(collection_name):
        await async_client.load_collection(collection_name)
        return client.get_load_state(collection_name)

    state = loop.run_until_complete(load_my_collection("my_collection"))
    assert repr(state) == "{'state': <LoadState: Loaded>}"

    def generate_random_text(length):
        return " ".join(rng.choice(SEED.split(), length))

    data = [
        {
            "id": i,
            "dense_vector": rng.random(5).tolist(),
            "sparse_vector": csr_matrix(rng.random(5)),
            "text": generate_random_text(10),
        }
        for i in range(10_000)
    ]

    async def insert_sample_data(collection_name):
        return await async_client.insert(collection_name, data)

    res = loop.run_until_complete(insert_sample_data("my_collection"))
    assert res["insert_count"] == 10_000
    assert res["ids"] == list(range(10_000))

    async def query_my_collection():
        return await async_client.query(
            collection_name="my_collection",
            filter='text like "%random%"',
            output_fields=["count(*)"],
        )

    expected = sum("random" in row["text"] for row in data)
    assert loop.run_until_complete(query_my_collection()) == [{"count(*)": expected}]
    assert 5_000 < expected < 10_000  # two of 28 words, "randomly" too

    async def conduct_vector_search(query_vectors, field):
        return await async_client.search(
            collection_name="my_collection",
            data=query_vectors,
            anns_field=field,
            output_fields=["text", field],
        )

    dense = np.array([row["dense_vector"] for row in data])
    sparse = np.array([row["sparse_vector"].toarray()[0] for row in data])
    queries = [rng.random(5) for _ in range(3)]
    res = loop.run_until_complete(conduct_vector_search(queries, "dense_vector"))
    _assert_top(res, dense @ np.array(queries).T, data)
    assert res[0][0]["entity"]["dense_vector"] == pytest.approx(dense[res[0][0]["id"]])

    rows = [csr_matrix(rng.random(5)) for _ in range(3)]
    res = loop.run_until_complete(conduct_vector_search(rows, "sparse_vector"))
    _assert_top(res, sparse @ np.vstack([row.toarray() for row in rows]).T, data)
    found = res[0][0]["entity"]["sparse_vector"]
    assert found == pytest.approx(dict(enumerate(sparse[res[0][0]["id"]])))

    req_dense = AnnSearchRequest(
        data=queries, anns_field="dense_vector", param={"metric_type": "IP"}, limit=10
    )
    req_sparse = AnnSearchRequest(
        data=rows, anns_field="sparse_vector", param={"metric_type": "IP"}, limit=10
    )

    async def conduct_hybrid_search(collection_name):
        return await async_client.hybrid_search(
            collection_name=collection_name,
            reqs=[req_dense, req_sparse],
            ranker=RRFRanker(),
            output_fields=["text", "dense_vector", "sparse_vector"],
        )

    res = loop.run_until_complete(conduct_hybrid_search("my_collection"))
    legs = [
        loop.run_until_complete(conduct_vector_search(queries, "dense_vector")),
        loop.run_until_complete(conduct_vector_search(rows, "sparse_vector")),
    ]
    for number, hits in enumerate(res):
        assert [(h["id"], pytest.approx(h["distance"])) for h in hits] == _fused(legs, number)
        assert hits[0]["entity"].keys() == {"text", "dense_vector", "sparse_vector"}

    async def all_at_once():
        return await asyncio.gather(
            query_my_collection(),
            conduct_vector_search(queries, "dense_vector"),
            conduct_hybrid_search("my_collection"),
        )

    counted, found, fused = loop.run_until_complete(all_at_once())
    assert counted == [{"count(*)": expected}]
    assert found == legs[0]
    assert fused == res

    assert client.verify() == []
    loop.run_until_complete(async_client.close())
    client.close()


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
