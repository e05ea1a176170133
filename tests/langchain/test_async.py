"""The asynchronous forms do what the blocking ones do, and use the model's own coroutines."""

from __future__ import annotations

import asyncio
import threading

import pytest
from langchain_core.documents import Document

from elanus import ElanusError
from elanus.errors import ElanusWarning
from langchain_elanus import ElanusRetriever, ElanusVectorStore

TEXTS = [f"{bird} number {i} over the {place}" for i, (bird, place) in enumerate(
    (bird, place) for bird in ("kite", "owl", "wren") for place in ("valley", "river", "sea")
)]  # fmt: skip
QUERY = "kite over the river"
SEARCHES = [
    ("similarity_search", (QUERY,), {}),
    ("similarity_search", (QUERY,), {"mode": "dense", "filter": {"i": {"$gt": 2}}}),
    ("similarity_search", (QUERY,), {"mode": "text", "fill": True, "k": 9}),
    ("similarity_search", (QUERY,), {"explain": True, "score_threshold": 0.5}),
    ("similarity_search_with_score", (QUERY, 3), {"expr": "i > 2"}),
    ("similarity_search_with_relevance_scores", (QUERY,), {"score_threshold": 0.5}),
    ("similarity_search_by_vector", ([0.1] * 32, 2), {}),
    ("similarity_search_with_score_by_vector", ([0.1] * 32, 2), {"filter": "i > 2"}),
    ("max_marginal_relevance_search", (QUERY, 3, 6, 0.3), {}),
    ("max_marginal_relevance_search_by_vector", ([0.1] * 32, 3, 6, 0.3), {}),
    ("search", (QUERY, "mmr"), {"k": 2}),
    ("get_by_ids", (["3", "1", "x"],), {}),
]


@pytest.fixture
async def filled(make_store):
    store = make_store(dim=32)
    ids = [str(i) for i in range(len(TEXTS))]
    assert await store.aadd_texts(TEXTS, [{"i": i} for i in range(len(TEXTS))], ids=ids) == ids
    return store


@pytest.mark.parametrize(("name", "arguments", "options"), SEARCHES)
async def test_an_asynchronous_search_finds_what_the_blocking_one_finds(
    filled, name, arguments, options
):
    expected = getattr(filled, name)(*arguments, **options)
    assert expected
    assert await getattr(filled, f"a{name}")(*arguments, **options) == expected


async def test_the_models_own_coroutines_embed(filled, embeddings):
    await filled.asimilarity_search(QUERY)
    await filled.amax_marginal_relevance_search(QUERY)
    await filled.as_retriever().ainvoke(QUERY)
    await ElanusRetriever(vectorstore=filled).ainvoke(QUERY)
    await filled.aadd_documents([Document("new")] * 130, batch_size=None)
    called = [call for call, _ in embeddings.calls]
    assert called == ["aembed_documents", *["aembed_query"] * 4, *["aembed_documents"] * 2]


async def test_text_mode_embeds_nothing(filled, embeddings):
    embeddings.calls.clear()
    await filled.asimilarity_search(QUERY, mode="text")
    filled.similarity_search(QUERY, mode="text")
    assert embeddings.calls == []


async def test_many_searches_and_writes_at_once_are_each_right(filled):
    async def write(i):
        await filled.aadd_texts([f"falcon {i}"], [{"i": 100 + i}], ids=[f"f{i}"])
        return [
            d.id
            for d in await filled.asimilarity_search(f"falcon {i}", k=1, filter=f"i == {100 + i}")
        ]

    expected = filled.similarity_search(QUERY, filter="i < 100")
    searches = [filled.asimilarity_search(QUERY, filter="i < 100") for _ in range(20)]
    done = await asyncio.gather(*searches, *(write(i) for i in range(20)))
    # Scores depend on the whole collection, so only what is found is the same throughout.
    assert all({d.id for d in found} == {d.id for d in expected} for found in done[:20])
    assert done[20:] == [[f"f{i}"] for i in range(20)]


async def test_the_event_loop_goes_on_while_a_blocking_model_embeds(make_store):
    ticked, waits = threading.Event(), 0

    class Slow:
        name, dim = "slow", 2

        def encode_documents(self, texts):
            nonlocal waits
            for _ in range(5):
                ticked.clear()
                assert ticked.wait(60), "the loop is blocked"
                waits += 1
            return [[1.0, 0.0]] * len(texts)

        encode_queries = encode_documents

    async def tick():
        while True:
            await asyncio.sleep(0)
            ticked.set()

    store = make_store(Slow())
    ticking = asyncio.create_task(tick())
    await store.aadd_texts(["a"])
    await store.asimilarity_search("a")
    ticking.cancel()
    assert waits == 10


def test_one_store_serves_several_event_loops(make_store):
    store = make_store()
    asyncio.run(store.aadd_texts(["kite"], ids=["a"]))
    (found,) = asyncio.run(store.asimilarity_search("kite"))
    assert found.id == "a"


async def test_deleting_and_unknown_arguments(filled):
    with pytest.raises(TypeError, match="fetchk"):
        await filled.asimilarity_search(QUERY, fetchk=1)
    with pytest.raises(TypeError, match="fetchk"):
        await filled.aadd_texts(["x"], fetchk=1)
    assert await filled.adelete(["1"], filter={"i": 1})
    assert await filled.adelete(expr="i == 2")
    assert filled.store.count() == len(TEXTS) - 2
    assert await filled.adelete()
    assert filled.store.count() == 0


async def test_known_embeddings_can_be_added(filled, embeddings):
    await filled.aadd_embeddings(["vulture"], [embeddings.vector("vulture")], ids=["v"])
    (found,) = await filled.asimilarity_search("vulture", k=1)
    assert found.id == "v"


async def test_a_store_can_be_made_and_left_asynchronously(embeddings):
    documents = [Document(id="a", page_content="kite", metadata={"n": [1]})]
    made = await ElanusVectorStore.afrom_documents(documents, embeddings, uri=":memory:")
    async with made as store:
        assert await store.aget_by_ids(["a"]) == documents
    with pytest.raises(ElanusError, match="closed"):
        await store.asimilarity_search("kite")


async def test_a_failed_afrom_texts_leaves_the_file_free(tmp_path, embeddings):
    path = tmp_path / "kb.db"
    with pytest.raises(ElanusError):
        await ElanusVectorStore.afrom_texts(["a"], embeddings, [{"x": object()}], uri=path)
    path.unlink()


async def test_an_id_that_is_given_twice_is_told_with_both_its_places(make_store):
    texts, ids = [f"text {i}" for i in range(200)], [str(i) for i in range(199)] + ["7"]
    store = make_store(dim=32)
    with pytest.warns(ElanusWarning, match=r"^ids\[7\] and ids\[199\] are both '7'") as said:
        await store.aadd_texts(texts, ids=ids)
    assert len(said) == 1
    assert [d.page_content for d in store.get_by_ids(["7"])] == ["text 199"]
    with pytest.warns(ElanusWarning, match=r"^ids\[0\] and ids\[1\] are both 'a'"):
        store.add_documents([Document("one", id="a"), Document("two", id="a")])
