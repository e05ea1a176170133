"""A collection that is dropped and made again, by another process or handle, under an open store."""

import threading

import numpy as np
import pytest

from elanus import DocumentStore, MilvusClient
from elanus.errors import CollectionNotFoundError, ElanusError, EmbeddingMismatchError


class Model:
    dim = 2

    def __init__(self, name):
        self.name = name

    def encode_documents(self, texts):
        return np.array([[len(text), 1.0] for text in texts])

    encode_queries = encode_documents


@pytest.fixture
def store(tmp_path):
    with DocumentStore(tmp_path / "kb.db", Model("one")) as opened:
        opened.add(["kite", "owl"], ids=["k", "o"])
        yield opened


def made_again(store, **how):
    with MilvusClient(store.client._database.file.path) as client:
        client.drop_collection("documents")
        if how:
            DocumentStore(client=client, **how).close()
        else:
            client.create_collection("documents", dimension=2)


def uses(store):
    yield lambda: store.search("kite", mode="dense")
    yield lambda: store.search("kite")
    yield lambda: store.search("kite", mode="text")
    yield lambda: store.search_mmr("kite")
    yield lambda: store.check_search("kite")
    yield lambda: store.add(["raven"])
    yield lambda: store.add(["raven"], vectors=[[1.0, 2.0]])
    yield lambda: store.sync("birds.md", ["raven"])
    yield store.stats


@pytest.mark.parametrize(
    ("how", "error", "says"),
    [
        ({"embedding": Model("two")}, EmbeddingMismatchError, r"vectors of 'two' \(2 d\) instead of 'one'"),
        ({"dim": 3}, EmbeddingMismatchError, r"vectors of None \(3 d\) instead of 'one' \(2 d\)"),
        ({"embedding": Model("one"), "analyzer": "standard"}, CollectionNotFoundError, "another one"),
        ({}, CollectionNotFoundError, "another one"),
    ],
)  # fmt: skip
def test_a_store_neither_searches_nor_fills_another_collection_than_it_opened(
    store, how, error, says
):
    made_again(store, **how)
    for use in uses(store):
        with pytest.raises(error, match=f"{says}.*opened again"):
            use()
    assert store.client.query("documents", "", ["count(*)"]) == [{"count(*)": 0}]


def test_the_same_collection_made_again_is_gone_on_with(store):
    made_again(store, embedding=Model("one"))
    assert store.search("kite") == []
    store.add(["raven"], ids=["r"])
    assert [hit.id for hit in store.search("raven")] == ["r"]


def test_two_syncs_of_one_source_at_once_take_nothing_for_another_sources(store):
    wrong = []

    def sync(texts):
        for _ in range(150):
            try:
                store.sync("birds.md", texts)
            except ElanusError as error:
                wrong.append(error)

    threads = [threading.Thread(target=sync, args=(t,)) for t in (["a", "b"], ["b", "c"], [])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert store.verify() == []
