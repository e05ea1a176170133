"""LlamaIndex's document and index stores in the vectors' file: all is there after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import datetime as dt
import math
import pickle
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core import Document, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import HierarchicalNodeParser, SentenceSplitter, get_leaf_nodes
from llama_index.core.retrievers import AutoMergingRetriever
from llama_index.core.schema import MediaResource, Node, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.storage.kvstore import SimpleKVStore
from llama_index.core.storage.kvstore.types import BaseKVStore

from elanus import DocumentStore, KeyValueStore, MilvusClient, ParamError
from elanus.errors import ClosedError, ReadOnlyError
from llama_index.vector_stores.elanus import (
    ElanusDocumentStore,
    ElanusIndexStore,
    ElanusKVStore,
    ElanusVectorStore,
)
from unwieldy import VALUES, raises_short

MODEL = MockEmbedding(2)
KITES = "Kites soar on warm air for hours. They steer with their long tails."
OWLS = "Owls hunt mice at night in the old barn. They hear them beneath the deep winter snow."


@pytest.fixture
def nodes(store):
    return ElanusDocumentStore(store)


# --- dicts by key ------------------------------------------------------------------------------

NAMES = st.sampled_from(["", "a", "a:", "1:a", "é", "data"])
DICTS = st.dictionaries(st.text(max_size=2), st.none() | st.booleans() | st.text(max_size=3) | st.lists(st.integers()), max_size=2)  # fmt: skip
CALLS = st.one_of(
    st.tuples(st.just("put"), NAMES, DICTS, NAMES),
    st.tuples(st.just("put_all"), st.lists(st.tuples(NAMES, DICTS), max_size=3), NAMES),
    st.tuples(st.sampled_from(["get", "delete"]), NAMES, NAMES),
    st.tuples(st.just("get_all"), NAMES),
)


@settings(max_examples=40)
@given(calls=st.lists(CALLS, max_size=10))
def test_any_calls_give_what_llamaindexs_own_store_gives(calls):
    oracle, ours = SimpleKVStore(), ElanusKVStore(":memory:")
    for name, *arguments in calls:
        assert getattr(ours, name)(*arguments) == getattr(oracle, name)(*arguments)
    for collection in ("", "a", "data"):
        assert ours.get_all(collection) == oracle.get_all(collection)
    ours.close()


async def test_every_call_has_a_coroutine_that_does_the_same(store):
    ours = ElanusKVStore(store)
    await ours.aput("a", {"n": 1})
    await ours.aput_all([("b", {"n": 2}), ("c", {"n": 3})], batch_size=1)
    assert await ours.aget("b") == ours.get("b") == {"n": 2}
    assert await ours.aget("z") is None
    assert [await ours.adelete("c"), await ours.adelete("c")] == [True, False]
    assert await ours.aget_all() == ours.get_all() == {"a": {"n": 1}, "b": {"n": 2}}
    calls = {name for name in vars(BaseKVStore) if name[0] != "_"}
    assert calls <= vars(ElanusKVStore).keys()


def test_what_json_lacks_has_the_form_that_it_has_in_metadata(store, nodes):
    day, moment, number = (
        dt.date(2024, 5, 1),
        dt.datetime(2024, 5, 1, 14, 30, tzinfo=dt.timezone.utc),
        uuid.UUID(int=7),
    )
    metadata = {"day": day, "at": moment, "id": number, "path": Path("a/b"), "odd": "\ud800"}
    node = TextNode(id_="a", text="Kites.", metadata=metadata, embedding=[1.0, 0.0])
    nodes.add_documents([node])
    back = nodes.get_document("a")
    assert back.metadata == {
        "day": "2024-05-01",
        "at": "2024-05-01T14:30:00+00:00",
        "id": "00000000-0000-0000-0000-000000000007",
        "path": "a/b",
        "odd": "\ud800",
    }
    del node.metadata["odd"]
    store.add([node])
    assert store.get_nodes(["a"])[0].metadata | {"odd": "\ud800"} == back.metadata
    linked = Node(id_="b", image_resource=MediaResource(url="http://a/b", path="x.png"))
    nodes.add_documents([linked])
    assert nodes.get_document("b") == linked


class Twin(str):
    """A string that is no other's equal."""

    __slots__ = ()

    def __eq__(self, other):
        return self is other

    __hash__ = str.__hash__


def nested(levels):
    """Lists and dicts in turn; each level has the next one twice, which is no more to look at."""
    found = {}
    for i in range(levels - 1):
        found = [found, found] if i % 2 else {"a": found, "b": found}
    return {"a": found}


def below(frames, call):
    return below(frames - 1, call) if frames else call()


def test_what_was_put_can_be_read_further_down_the_stack(store):
    ours = ElanusKVStore(store)
    deepest = {"a": 1}
    for _ in range(199):
        deepest = {"a": deepest}
    ours.put("deep", deepest)
    assert below(500, lambda: ours.get("deep")) == deepest
    assert below(500, ours.get_all) == {"deep": deepest}
    # What another has written may be deeper.
    KeyValueStore(client=store.client, collection=ours._values.collection).put(
        {"4:data:deep": '{"a":' * 900 + "1" + "}" * 900}
    )
    with raises_short(ParamError, match="key 'deep' .* is nested deeper than Python's stack has"):
        below(500, lambda: ours.get("deep"))


def test_what_cannot_be_kept_is_refused_by_key_and_nothing_is_written(store, nodes):
    ours, endless = ElanusKVStore(store), {}
    endless["again"] = endless
    ours.put("a", {"n": 1})
    for wrong, said in [
        ([("a", {}), ("b", {"s": {1, 2}})], "value of key 'b': set is no JSON value"),
        ([("a", {}), ("b", {"s": b""})], "value of key 'b': bytes is no JSON value"),
        (
            [("a", {}), ("b", {(1, 2): 1})],
            "value of key 'b': a key of a dict must be a string, got",
        ),
        (
            [("a", {}), ("b", {1: "a", "1": "b"})],
            "value of key 'b': a key .* must be a string, got 1",
        ),
        (
            [("a", {}), ("b", {"s": [{None: 1}]})],
            "value of key 'b': a key .* be a string, got None",
        ),
        (
            [("a", {}), ("b", {Twin("s"): 1, "s": 2})],
            "value of key 'b': two keys of a dict are the",
        ),
        (
            [("a", {}), ("b", endless)],
            "value of key 'b' is nested more than 200 deep, or holds itself",
        ),
        ([("a", {}), ("b", nested(201))], "value of key 'b' is nested more than 200 deep"),
        ([("a", {}), ("b", [1])], r"value of key 'b' must be a dict, got \[1\]"),
        ([("a", {}), (1, {})], "key must be a string, got 1"),
        ([("a", {}), ("é" * 40_000, {})], "key has 80,007 bytes, more than the 65,535"),
        ([("a", {}), ("b",)], r"kv_pairs\[1\] must be a pair of a key and its dict"),
        ({"a": {}}, "kv_pairs must be a list of pairs"),
    ]:
        with raises_short(ParamError, match=said):
            ours.put_all(wrong)
    assert ours.get_all() == {"a": {"n": 1}}
    with raises_short(ParamError, match="set is no JSON value"):
        nodes.add_documents([TextNode(id_="kite", metadata={"s": {1}})])
    assert nodes.docs == {}
    for call in (ours.get, ours.delete):
        with raises_short(ParamError, match="key must be a string, got 1"):
            call(1)
        with raises_short(ParamError, match="collection must be a string, got 1"):
            call("a", 1)
    with raises_short(ParamError, match="batch_size must be an integer of at least 1"):
        ours.put_all([], batch_size=0)


# --- restarts ----------------------------------------------------------------------------------


def opened(file, **options):
    store = ElanusVectorStore(file, **options)
    return store, StorageContext.from_defaults(
        vector_store=store, docstore=ElanusDocumentStore(store), index_store=ElanusIndexStore(store)
    )


def make_pipeline(store):
    return IngestionPipeline(
        transformations=[SentenceSplitter(chunk_size=64, chunk_overlap=0), MODEL],
        vector_store=store,
        docstore=ElanusDocumentStore(store, "pipeline"),
        docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
        disable_cache=True,
    )


def write(file):
    """What a process leaves behind: an index with parents, and a pipeline's documents."""
    store, context = opened(file)
    parser = HierarchicalNodeParser.from_defaults(chunk_sizes=[64, 16], chunk_overlap=0)
    nodes = parser.get_nodes_from_documents([Document(text=t) for t in (KITES, OWLS)])
    context.docstore.add_documents(nodes)
    VectorStoreIndex(get_leaf_nodes(nodes), storage_context=context, embed_model=MODEL)
    store.close()
    other = ElanusVectorStore(file, "piped")
    make_pipeline(other).run(
        documents=[Document(id_="k", text=KITES), Document(id_="o", text=OWLS)]
    )
    other.close()


def test_parents_indexes_and_pipelines_go_on_after_a_restart_with_one_file(tmp_path):
    file = tmp_path / "kb.db"
    script = "import sys; sys.path += sys.argv[2:]; import test_storage as t; t.write(sys.argv[1])"
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "helpers")]
    subprocess.run([sys.executable, "-c", script, file, *folders], check=True)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["kb.db"]

    store, context = opened(file)
    assert len(context.index_store.index_structs()) == 1
    index = load_index_from_storage(context, embed_model=MODEL)
    store.close()

    store, context = opened(file, read_only=True)
    index = VectorStoreIndex.from_vector_store(store, embed_model=MODEL)
    leaves = index.as_retriever(vector_store_query_mode="text_search", similarity_top_k=9)
    retriever = AutoMergingRetriever(leaves, context, simple_ratio_thresh=0.4)
    words = "mice at night beneath the snow"
    assert len(leaves.retrieve(words)) > 1
    for found in (retriever.retrieve(words), asyncio.run(retriever.aretrieve(words))):
        assert [each.node.text for each in found] == [OWLS]
    with pytest.raises(ReadOnlyError):
        context.docstore.add_documents([TextNode(text="x")])
    assert store.client.verify() == []
    store.close()

    store = ElanusVectorStore(file, "piped")
    documents = [Document(id_="k", text=KITES), Document(id_="o", text=OWLS)]
    assert make_pipeline(store).run(documents=documents) == []
    documents[1] = Document(id_="o", text="Owls sleep by day.")
    assert [node.ref_doc_id for node in make_pipeline(store).run(documents=documents)] == ["o"]
    assert sorted(node.text for node in store.get_nodes()) == [KITES, "Owls sleep by day."]
    make_pipeline(store).run(documents=documents[1:])
    assert [node.ref_doc_id for node in store.get_nodes()] == ["o"]
    assert store.client.verify() == []
    store.close()


def test_refreshing_embeds_only_what_has_changed(tmp_path):
    documents = [Document(id_="kite", text=KITES), Document(id_="owl", text=OWLS)]
    store, context = opened(tmp_path / "kb.db")
    VectorStoreIndex.from_documents(documents, storage_context=context, embed_model=MODEL)
    store.close()
    store, context = opened(tmp_path / "kb.db")
    index = load_index_from_storage(context, embed_model=MODEL)
    documents[1] = Document(id_="owl", text="Owls sleep by day.")
    assert index.refresh_ref_docs(documents) == [False, True]
    assert sorted(node.text for node in store.get_nodes()) == [KITES, "Owls sleep by day."]
    assert index.refresh_ref_docs(documents) == [False, False]
    store.close()


def test_a_document_store_does_what_llamaindexs_own_does(nodes, documents):
    oracle = SimpleDocumentStore()
    parts = SentenceSplitter(chunk_size=16, chunk_overlap=0).get_nodes_from_documents(documents)
    for each in (nodes, oracle):
        each.add_documents([*documents, *parts])
        each.delete_document(parts[0].node_id)
        each.delete_ref_doc("owl")
        asyncio.run(each.async_add_documents(parts[-1:]))
        with pytest.raises(ValueError, match="not found"):
            each.get_document("owl")
    assert nodes.docs == oracle.docs
    assert nodes.get_all_ref_doc_info() == oracle.get_all_ref_doc_info()
    assert nodes.get_all_document_hashes() == oracle.get_all_document_hashes()


# --- opening and closing -----------------------------------------------------------------------


def test_stores_of_one_file_are_kept_apart_by_namespace_and_collection(store):
    one, two = ElanusDocumentStore(store), ElanusDocumentStore(store, "two")
    three = ElanusDocumentStore(store, collection_name="three")
    for name, each in (("a", one), ("b", two), ("c", three)):
        each.add_documents([TextNode(id_=name)])
    assert [list(each.docs) for each in (one, two, three)] == [["a"], ["b"], ["c"]]
    assert store.client.list_collections() == ["llamaindex_storage", "three"]


def test_what_is_open_stays_open_and_a_path_is_closed(tmp_path, store, make_node):
    store.add([make_node("a", [1.0, 0.0])])
    for each in (store, store.client, store.store, ElanusKVStore(store)):
        beside = ElanusIndexStore(each)
        beside.close()
        assert beside.index_structs() == []
    alone = ElanusDocumentStore(tmp_path / "kb.db", durability="normal")
    asyncio.run(alone.aclose())
    with pytest.raises(ClosedError):
        alone.add_documents([TextNode(id_="a")])
    with pytest.raises(ClosedError):
        alone.get_document("a")


def test_a_collection_of_something_else_is_refused(store, make_node):
    store.add([make_node("a", [1.0, 0.0])])
    with pytest.raises(ParamError, match="collection 'llamaindex' has the fields id, text"):
        ElanusDocumentStore(store, collection_name="llamaindex")
    KeyValueStore(client=store.client, collection="words").put({"4:data:a": "[1]", "4:data:b": "{"})
    for key in "ab":
        with pytest.raises(ParamError, match=f"key '{key}' of collection 'words' holds no dict"):
            ElanusKVStore(store, "words").get(key)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_an_argument_of_another_type_is_refused_in_short(store, value):
    if isinstance(value, str):
        return
    with raises_short(ParamError, match="store must be an ElanusVectorStore"):
        ElanusDocumentStore(value)
    with raises_short(ParamError, match="namespace must be a string"):
        ElanusIndexStore(store, value)
    with raises_short(ParamError, match="collection"):
        ElanusKVStore(store, value)
    with raises_short(ParamError, match="value of key 'a'"):
        ElanusKVStore(store).put("a", value if isinstance(value, list) else {"b": value})


def test_arguments_that_contradict_each_other_are_named(store):
    with pytest.raises(ParamError, match="client or read_only, not both"):
        ElanusDocumentStore(store, read_only=True)
    with pytest.raises(ParamError, match=r"ElanusKVStore, or a file to open \(read_only\)"):
        ElanusDocumentStore(ElanusKVStore(store), read_only=True)
    with pytest.raises(ParamError, match="unknown argument 'dim'"):
        ElanusDocumentStore(":memory:", dim=2)


def test_a_pickled_store_opens_its_file_and_one_in_memory_says_that_it_cannot(tmp_path, store):
    file = tmp_path / "kb.db"
    vectors = ElanusVectorStore(file)
    for first in (ElanusDocumentStore(file, "n", timeout=3), ElanusDocumentStore(vectors, "n")):
        first.add_documents([TextNode(id_="a", text="Kites.")])
        again = pickle.loads(pickle.dumps(first))  # noqa: S301  # made in this line
        assert again.get_document("a").text == "Kites."
        again.close()
        assert list(first.docs) == ["a"]
        with pytest.raises(TypeError, match="cannot be copied deeply; open the file again"):
            copy.deepcopy(first)
        first.close()
    vectors.close()
    with MilvusClient(file) as client, DocumentStore(client=client) as documents:
        for each in (":memory:", store, client, documents):
            with pytest.raises(TypeError, match="cannot be pickled"):
                pickle.dumps(ElanusIndexStore(each))


def test_numbers_that_metadata_lack_come_back_as_they_were(tmp_path):
    value = {"up": math.inf, "down": [-math.inf], "none": {"n": math.nan}, "long": 2**70}
    with contextlib.closing(ElanusKVStore(tmp_path / "a.db")) as store:
        store.put("numbers", value)
    with contextlib.closing(ElanusKVStore(tmp_path / "a.db")) as store:
        found = store.get("numbers")
    assert math.isnan(found["none"].pop("n"))
    assert found == {**value, "none": {}}


def test_half_of_a_surrogate_pair_stops_llama_indexes_hash_and_not_this_store(tmp_path):
    odd = "kite \ud800"
    with contextlib.closing(ElanusVectorStore(tmp_path / "a.db")) as store:
        with pytest.raises(UnicodeEncodeError):
            ElanusDocumentStore(store).add_documents([Document(text=odd)])
        with pytest.warns(UserWarning, match="surrogates"):
            store.add([TextNode(id_="a", text=odd, embedding=[1.0, 0.0])])
        clean = Document(text=odd.encode("utf-8", "replace").decode())
        ElanusDocumentStore(store).add_documents([clean])
        assert store.get_nodes(["a"])[0].text == "kite \ufffd"
