"""The store where LlamaIndex uses it, with a real embedding and LlamaIndex's mock language model."""

from __future__ import annotations

import asyncio

import pytest
from llama_index.core import Document, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.extractors import BaseExtractor
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.core.memory import VectorMemory
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.schema import IndexNode, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters

BIRDS = MetadataFilters(filters=[MetadataFilter(key="topic", value="birds")])


@pytest.fixture
def index(store, documents, embed_model):
    context = StorageContext.from_defaults(vector_store=store)
    return VectorStoreIndex.from_documents(
        documents,
        storage_context=context,
        embed_model=embed_model,
        transformations=[SentenceSplitter()],
    )


def sources(found):
    return [each.node.ref_doc_id for each in found]


@pytest.mark.parametrize("mode", ["default", "hybrid", "semantic_hybrid", "text_search", "mmr"])
def test_a_retriever_of_every_mode_finds_the_passage(index, mode):
    retriever = index.as_retriever(vector_store_query_mode=mode, similarity_top_k=2)
    found = retriever.retrieve("Which birds soar on warm air?")
    assert found[0].node.ref_doc_id == "kite"
    assert 0 < found[0].score <= 1
    asynchronous = asyncio.run(retriever.aretrieve("Which birds soar on warm air?"))
    assert [(each.node_id, each.score) for each in asynchronous] == [
        (each.node_id, each.score) for each in found
    ]


def test_a_retriever_hands_its_settings_to_the_store(index):
    retriever = index.as_retriever(
        vector_store_query_mode="hybrid",
        similarity_top_k=5,
        alpha=1.0,
        sparse_top_k=2,
        hybrid_top_k=3,
        filters=BIRDS,
        doc_ids=["owl", "python", "penguin"],
        vector_store_kwargs={"explain": True},
    )
    found = retriever.retrieve("compiled modules")
    assert set(sources(found)) == {"owl", "penguin"}
    assert all("_elanus" in each.metadata for each in found)


def test_words_need_no_embedding(index):
    class NeverAsked(type(index._embed_model)):
        def _get_query_embedding(self, query):
            raise AssertionError(query)

    model = NeverAsked(index._embed_model.function)
    retriever = index.as_retriever(vector_store_query_mode="text_search", embed_model=model)
    assert sources(retriever.retrieve("bytecode")) == ["python"]


def test_a_query_engine_answers_from_the_passages(index):
    engine = index.as_query_engine(
        llm=MockLLM(),
        vector_store_query_mode="hybrid",
        similarity_top_k=1,
        node_postprocessors=[SimilarityPostprocessor(similarity_cutoff=0.4)],
    )
    # The mock model answers with the prompt that it was given.
    answer = engine.query("Who hunts at night?")
    assert "hear a mouse beneath the snow" in str(answer)
    assert sources(answer.source_nodes) == ["owl"]
    assert str(asyncio.run(engine.aquery("Who hunts at night?"))) == str(answer)


def test_an_index_over_an_existing_file_searches_and_grows(
    tmp_path, make_store, documents, embed_model
):
    path = tmp_path / "kb.db"
    context = StorageContext.from_defaults(vector_store=make_store(path))
    VectorStoreIndex.from_documents(documents, storage_context=context, embed_model=embed_model)
    index = VectorStoreIndex.from_vector_store(make_store(path), embed_model=embed_model)
    index.insert(Document(id_="wren", text="Wrens sing loudly for their size."))
    retriever = index.as_retriever(vector_store_query_mode="hybrid", similarity_top_k=6)
    found = sources(retriever.retrieve("small birds that sing"))
    assert (found[0], len(found)) == ("wren", 6)
    index.delete_ref_doc("wren")
    assert len(retriever.retrieve("small birds that sing")) == 5


def test_documents_are_refreshed_by_their_hashes(store, documents, embed_model):
    context = StorageContext.from_defaults(vector_store=store, docstore=SimpleDocumentStore())
    index = VectorStoreIndex.from_documents(
        documents, storage_context=context, embed_model=embed_model, store_nodes_override=True
    )
    documents[1] = Document(id_="falcon", text="Falcons nest on cliffs and towers.")
    new = Document(id_="heron", text="Herons stand still in shallow water.")
    assert index.refresh_ref_docs([*documents, new]) == [False, True, False, False, False, True]
    assert index.refresh_ref_docs([*documents, new]) == [False] * 6
    texts = {node.ref_doc_id: node.get_content() for node in store.get_nodes()}
    assert texts["falcon"] == "Falcons nest on cliffs and towers."
    assert len(texts) == len(store.get_nodes()) == 6


def test_documents_are_refreshed_asynchronously(store, documents, embed_model):
    context = StorageContext.from_defaults(vector_store=store)
    index = VectorStoreIndex.from_documents(
        documents, storage_context=context, embed_model=embed_model, store_nodes_override=True
    )
    documents[0] = Document(id_="kite", text="Kites have forked tails.")
    assert asyncio.run(index.arefresh_ref_docs(documents)) == [True, False, False, False, False]
    texts = {node.ref_doc_id: node.get_content() for node in store.get_nodes()}
    assert texts["kite"] == "Kites have forked tails."
    assert len(store.get_nodes()) == 5


class Counted(BaseExtractor):
    """A transformation that counts what passes through it."""

    seen: list = []  # noqa: RUF012  # pydantic copies a default for each object

    async def aextract(self, nodes):
        self.seen.extend(node.ref_doc_id for node in nodes)
        return [{"length": len(node.get_content())} for node in nodes]


def pipeline(store, embed_model, strategy, docstore):
    counted = Counted()
    steps = [SentenceSplitter(chunk_size=64, chunk_overlap=0), counted, embed_model]
    return IngestionPipeline(
        transformations=steps,
        vector_store=store,
        docstore=docstore,
        docstore_strategy=strategy,
        disable_cache=True,
    ), counted


@pytest.mark.parametrize("run", ["run", "arun"])
def test_a_pipeline_with_a_docstore_upserts(store, documents, embed_model, run):
    def ingest(given):
        done = getattr(steps, run)(documents=given)
        return asyncio.run(done) if run == "arun" else done

    strategy = DocstoreStrategy.UPSERTS_AND_DELETE
    steps, counted = pipeline(store, embed_model, strategy, SimpleDocumentStore())
    ingest(documents)
    assert sorted(counted.seen) == sorted(document.id_ for document in documents)
    counted.seen.clear()
    documents[3] = Document(id_="owl", text="Owls turn their heads most of the way round.")
    ingest(documents[1:])
    assert counted.seen == ["owl"]
    nodes = {node.ref_doc_id: node for node in store.get_nodes()}
    assert sorted(nodes) == ["falcon", "owl", "penguin", "python"]
    assert nodes["owl"].get_content().startswith("Owls turn")
    assert nodes["owl"].metadata["length"] == len(nodes["owl"].get_content())


def test_a_pipeline_upserts_nodes_that_have_no_source(store, embed_model):
    steps = IngestionPipeline(
        transformations=[embed_model], vector_store=store, docstore=SimpleDocumentStore()
    )
    steps.run(nodes=[TextNode(id_="one", text="first version")])
    steps.run(nodes=[TextNode(id_="one", text="second version")])
    assert [node.text for node in store.get_nodes()] == ["second version"]


def test_a_memory_remembers_what_fits_and_can_be_reset(store, embed_model):
    memory = VectorMemory.from_defaults(
        vector_store=store, embed_model=embed_model, retriever_kwargs={"similarity_top_k": 1}
    )
    for question, answer in [
        ("My dog is called Milo.", "A fine name."),
        ("I work at the harbour.", "Do you like the sea?"),
    ]:
        memory.put(ChatMessage(role="user", content=question))
        memory.put(ChatMessage(role="assistant", content=answer))
    # Each answer replaced the node of its question: two nodes, not four.
    assert len(store.get_nodes()) == 2
    remembered = memory.get("What is the name of my pet?")
    assert [message.content for message in remembered] == ["My dog is called Milo.", "A fine name."]
    memory.reset()
    assert memory.get("What is the name of my pet?") == []
    memory.set([ChatMessage(role="user", content="I have a cat.")])
    assert [message.content for message in memory.get("pets")] == ["I have a cat."]


def test_a_storage_context_is_persisted_and_loaded(tmp_path, make_store, documents, embed_model):
    path, folder = tmp_path / "kb.db", tmp_path / "storage"
    context = StorageContext.from_defaults(vector_store=make_store(path))
    index = VectorStoreIndex.from_documents(
        documents, storage_context=context, embed_model=embed_model
    )
    index.storage_context.persist(folder)
    context = StorageContext.from_defaults(persist_dir=str(folder), vector_store=make_store(path))
    loaded = load_index_from_storage(context, embed_model=embed_model)
    question = "Which bird hunts at night?"
    found = loaded.as_retriever(vector_store_query_mode="hybrid").retrieve(question)
    assert sources(found)[0] == "owl"


def test_index_nodes_lead_to_their_objects(store, embed_model):
    target = TextNode(id_="target", text="The table of contents")
    pointer = IndexNode(id_="pointer", text="what the book holds", index_id="target", obj=target)
    index = VectorStoreIndex(
        [pointer],
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=embed_model,
    )
    (found,) = index.as_retriever(similarity_top_k=1).retrieve("contents of the book")
    assert found.node.get_content() == "The table of contents"
    (kept,) = store.get_nodes(["pointer"])
    assert (kept.index_id, kept.obj) == ("target", target)
    # As docs/llamaindex.md says: such an index sees its index nodes only, one over the store all.
    index.insert_nodes([TextNode(id_="other", text="contents of the book")])
    whole = VectorStoreIndex.from_vector_store(store, embed_model=embed_model)
    found = {
        each: [hit.node_id for hit in each.as_retriever().retrieve("contents of the book")]
        for each in (index, whole)
    }
    assert found == {index: ["target"], whole: ["other", "target"]}
