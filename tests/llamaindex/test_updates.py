"""Metadata of nodes that change without embedding, and programs that run twice."""

from __future__ import annotations

import asyncio

import pytest
from llama_index.core import Document, MockEmbedding, StorageContext, VectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import NodeRelationship, TextNode
from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters
from pydantic import AnyUrl

from elanus import ParamError
from elanus.errors import DataNotMatchException, FilterError

FROM_2025 = MetadataFilters(
    filters=[MetadataFilter(key="year", value=2025, operator=FilterOperator.GTE)]
)


@pytest.fixture
def filled(store, make_node):
    years = {"red": 2024, "black": 2025, "owl": 2026}
    nodes = [
        make_node(name, [year, 1.0], source="birds", year=year) for name, year in years.items()
    ]
    store.add(nodes)
    return store


def updated(store, is_async, *arguments, **options):
    if is_async:
        return asyncio.run(store.aupdate_metadata(*arguments, **options))
    return store.update_metadata(*arguments, **options)


def metadata_of(store):
    return {node.node_id: node.metadata for node in store.get_nodes()}


@pytest.mark.parametrize("is_async", [False, True])
def test_keys_are_set_and_taken_out_and_all_else_stays(filled, is_async):
    before = filled.get_nodes()
    assert updated(filled, is_async, ["red", "nobody"], {"seen": AnyUrl("http://a.b/")}) == 1
    assert updated(filled, is_async, filters=FROM_2025, remove=["year", "no such key"]) == 2
    assert updated(filled, is_async, "red", {"never": 1}, filters=FROM_2025) == 0
    assert updated(filled, is_async, [], {"never": 1}) == 0
    assert metadata_of(filled) == {
        "red": {"year": 2024, "seen": "http://a.b/"}, "black": {}, "owl": {},
    }  # fmt: skip
    for old, new in zip(before, filled.get_nodes(), strict=True):
        new.metadata = old.metadata
        assert new == old
        assert new.relationships[NodeRelationship.SOURCE].node_id == "birds"


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        ({"values": {"a": 1}}, ParamError, "update_metadata: give node_ids, filters, or both"),
        (
            {"values": {"a": 1}, "filters": MetadataFilters(filters=[])},
            ParamError,
            "give node_ids, filters, or both",
        ),
        ({"node_ids": "red", "values": {"_node": 1}}, ParamError, "key '_node' is reserved"),
        ({"node_ids": "red", "remove": ["_ref_doc_id"]}, ParamError, "key '_ref_doc_id' is res"),
        ({"node_ids": "red", "remove": "year"}, ParamError, "remove must be a list of names"),
        ({"node_ids": "red", "values": [1]}, ParamError, "values must be a dict"),
        ({"node_ids": "red", "values": {"a": {1}}}, ParamError, r"at \['a'\]: set is no JSON"),
        ({"filters": {"year": 1}, "values": {}}, FilterError, "filters must be MetadataFilters"),
    ],
)
def test_a_wrong_update_changes_nothing(filled, arguments, kind, says):
    before = metadata_of(filled)
    with pytest.raises(kind, match=says):
        filled.update_metadata(**arguments)
    assert metadata_of(filled) == before


def test_values_that_hold_themselves_are_refused(filled):
    endless = {}
    endless["a"] = endless
    with pytest.raises(DataNotMatchException, match="values: metadata is nested more than 100"):
        filled.update_metadata("red", endless)


def test_before_the_first_node_there_is_nothing_to_change(store):
    assert store.update_metadata(["a"], {"b": 1}) == 0
    with pytest.raises(ParamError, match="key '_node' is reserved"):
        store.update_metadata(["a"], {"_node": 1})
    assert store.store is None
    store.add([TextNode(id_="a", text="kite", embedding=[1.0])])
    assert store.update_metadata(["a"], {"b": 1}) == 1


def chunks(store):
    return {node.node_id: node.text for node in store.get_nodes()}


def test_ids_of_what_documents_hold_let_a_program_run_twice(store):
    """As the page says: the same documents by any way are the same nodes, others are new ones."""
    splitter = SentenceSplitter(
        chunk_size=20, chunk_overlap=0, id_func=lambda i, document: f"{document.hash}-{i}"
    )
    model = MockEmbedding(embed_dim=2)
    text = "Kites soar on warm air. They steer with their tails. " * 3

    def documents():  # with new ids each time
        return [Document(text=text), Document(text="Owls hunt.", metadata={"year": 2024})]

    index = VectorStoreIndex.from_documents(
        documents(),
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=model,
        transformations=[splitter],
    )
    once = chunks(store)
    assert len(once) > 2
    VectorStoreIndex.from_documents(
        documents(),
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=model,
        transformations=[splitter],
    )
    for document in documents():
        index.insert(document)
    IngestionPipeline(
        transformations=[splitter, model], vector_store=store, disable_cache=True
    ).run(documents=documents())
    assert chunks(store) == once
    for node in store.get_nodes():
        links = {NodeRelationship.PREVIOUS, NodeRelationship.NEXT} & node.relationships.keys()
        assert {node.relationships[link].node_id for link in links} <= once.keys()
    index.insert(Document(text="Owls hunt.", metadata={"year": 2025}))
    assert sorted(chunks(store).values()) == sorted([*once.values(), "Owls hunt."])
