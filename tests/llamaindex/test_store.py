"""Adding, deleting, reading and opening."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import re
from pathlib import Path

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.vector_stores import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)

from elanus import DocumentStore, MilvusClient
from elanus.errors import (
    ClosedError,
    DatabaseNotFoundError,
    DataNotMatchException,
    ElanusWarning,
    EmbeddingMismatchError,
    FilterError,
    ParamError,
    ReadOnlyError,
)
from llama_index.vector_stores.elanus import ElanusVectorStore


def ids(nodes):
    return [node.node_id for node in nodes]


def only(key, value):
    return MetadataFilters(filters=[MetadataFilter(key=key, value=value)])


@pytest.fixture
def filled(store, make_node):
    store.add(
        [
            make_node("a", [1.0, 0.0], source="first", year=2020),
            make_node("b", [0.8, 0.6], source="first", year=2021),
            make_node("c", [0.0, 1.0], source="second", year=2021),
            make_node("d", [-1.0, 0.0], year=2022),
        ]
    )
    return store


def test_add_gives_the_ids_in_order(store, make_node):
    assert store.add([make_node("z", [1.0]), make_node("a", [2.0])]) == ["z", "a"]
    assert store.add([]) == []


def test_a_node_whose_id_exists_is_replaced(filled, make_node):
    filled.add([make_node("a", [0.0, 1.0], text="new words", source="third")])
    (node,) = filled.get_nodes(["a"])
    assert (node.text, node.embedding, node.ref_doc_id) == ("new words", [0.0, 1.0], "third")
    assert node.metadata == {}
    assert filled.store.count() == 4


def test_of_two_nodes_of_one_id_the_last_is_kept_with_a_warning(store, make_node):
    with pytest.warns(ElanusWarning, match=r"^ids\[0\] and ids\[1\] are both 'n'"):
        store.add([make_node("n", [1, 0], "first"), make_node("n", [1, 0], "second")])
    assert [node.text for node in store.get_nodes(["n"])] == ["second"]


def test_before_the_first_node_everything_is_empty(store):
    assert store.store is None
    assert store.query(VectorStoreQuery(query_embedding=[1.0])).ids == []
    assert store.get_nodes() == store.get_nodes(["a"]) == []
    store.delete("doc")
    store.delete_nodes(["a"])
    store.clear()
    assert store.client.list_collections() == []


def test_the_dimension_is_that_of_the_first_node(filled, make_node):
    assert filled.store.dim == 2
    with pytest.raises(DataNotMatchException, match="shape"):
        filled.add([make_node("e", [1.0, 2.0, 3.0])])
    assert filled.store.count() == 4


def test_a_given_dimension_makes_the_collection_at_once(make_store, make_node):
    store = make_store(dim=3)
    assert store.store.dim == 3
    with pytest.raises(DataNotMatchException):
        store.add([make_node("a", [1.0, 0.0])])


def test_a_node_without_an_embedding_is_named(store, make_node):
    with pytest.raises(ParamError, match="'bare' has no embedding"):
        store.add([make_node("a", [1.0]), make_node("bare", None)])
    assert store.store is None


def test_delete_takes_all_nodes_of_a_source(filled):
    filled.delete("first")
    assert ids(filled.get_nodes()) == ["c", "d"]
    filled.delete("never there")
    assert filled.store.count() == 2


def test_a_node_without_a_source_is_its_own(filled):
    filled.delete("d")
    assert ids(filled.get_nodes()) == ["a", "b", "c"]


def test_ids_with_quotes_are_only_ids(filled, make_node):
    evil = 'x\' or "1" == "1" \\ \n'
    filled.add([make_node(evil, [1.0, 1.0], source=evil)])
    assert ids(filled.get_nodes([evil])) == [evil]
    filled.delete(evil)
    assert filled.store.count() == 4


def test_nodes_are_deleted_by_id_by_filter_and_by_both(filled):
    filled.delete_nodes(["a", "c"], only("year", 2021))
    assert ids(filled.get_nodes()) == ["a", "b", "d"]
    filled.delete_nodes(filters=only("year", 2021))
    assert ids(filled.get_nodes()) == ["a", "d"]
    filled.delete_nodes([])
    filled.delete_nodes(["a"])
    assert ids(filled.get_nodes()) == ["d"]


@pytest.mark.parametrize("filters", [None, MetadataFilters(filters=[])])
def test_delete_nodes_without_a_restriction_deletes_nothing(filled, filters):
    with pytest.raises(ParamError, match="clear"):
        filled.delete_nodes(filters=filters)
    assert filled.store.count() == 4


def test_nodes_are_read_in_the_order_of_their_ids_or_as_asked(filled):
    assert ids(filled.get_nodes()) == ["a", "b", "c", "d"]
    assert ids(filled.get_nodes(["c", "gone", "a"])) == ["c", "a"]
    assert ids(filled.get_nodes(filters=only("year", 2021))) == ["b", "c"]
    assert ids(filled.get_nodes(["c", "a"], only("year", 2021))) == ["c"]
    assert filled.get_nodes([]) == []


def test_a_cleared_store_goes_on(filled, make_node):
    filled.clear()
    assert filled.get_nodes() == []
    filled.add([make_node("new", [0.0, 1.0])])
    assert filled.query(VectorStoreQuery(query_embedding=[0.0, 1.0])).ids == ["new"]


def test_the_coroutines_do_the_same_in_any_event_loop(store, make_node):
    query = VectorStoreQuery(query_embedding=[1.0, 0.0], similarity_top_k=2)

    async def fill():
        nodes = [make_node(name, [1.0, place], source="s") for place, name in enumerate("abcd")]
        assert await store.async_add(nodes) == ["a", "b", "c", "d"]
        results = await asyncio.gather(*[store.aquery(query) for _ in range(8)])
        assert all(result.ids == ["a", "b"] for result in results)

    async def empty():
        await store.adelete_nodes(["a"])
        assert ids(await store.aget_nodes()) == ["b", "c", "d"]
        await store.adelete("s")
        assert await store.aget_nodes() == []
        await store.async_add([make_node("e", [1.0, 1.0])])
        await store.aclear()
        assert (await store.aquery(query)).ids == []

    asyncio.run(fill())
    asyncio.run(empty())


def test_a_closed_store_says_so(tmp_path, make_node):
    store = ElanusVectorStore(tmp_path / "kb.db", dim=1)
    asyncio.run(store.aclose())
    store.close()
    with pytest.raises(ClosedError):
        store.add([make_node("a", [1.0])])


def test_a_file_is_found_again_and_overwritten_only_when_asked(tmp_path, make_store, make_node):
    path = tmp_path / "kb.db"
    make_store(path).add([make_node("a", [1.0, 0.0])])
    again = make_store(path, dim=2)
    assert ids(again.get_nodes()) == ["a"]
    with pytest.raises(EmbeddingMismatchError, match="dim=3"):
        ElanusVectorStore(path, dim=3)
    assert ids(make_store(path, collection_name="other").get_nodes()) == []
    fresh = make_store(path, overwrite=True)
    assert fresh.get_nodes() == []
    fresh.add([make_node("b", [1.0, 0.0, 0.0])])
    assert fresh.store.dim == 3


def test_an_open_store_goes_on_when_another_one_overwrites(tmp_path, make_store, make_node):
    path = tmp_path / "kb.db"
    query = VectorStoreQuery(query_embedding=[1.0, 0.0])
    store = make_store(path)
    store.add([make_node("a", [1.0, 0.0], source="s")])
    make_store(path, overwrite=True)
    assert store.store is None
    assert store.get_nodes() == []
    assert store.query(query).ids == []
    store.delete("s")
    store.delete_nodes(["a"])
    store.clear()
    store.add([make_node("b", [0.0, 1.0])])
    assert store.query(query).ids == ["b"]
    assert store.store is store.store


def test_an_open_store_sees_the_collection_that_another_one_made_anew(
    tmp_path, make_store, make_node
):
    path = tmp_path / "kb.db"
    free, fixed = make_store(path), make_store(path, dim=2)
    free.add([make_node("a", [1.0, 0.0])])
    make_store(path, overwrite=True).add([make_node("b", [1.0, 0.0, 0.0])])
    assert ids(free.get_nodes()) == ["b"]
    assert free.store.dim == 3
    free.add([make_node("c", [0.0, 1.0, 0.0])])
    assert ids(free.get_nodes()) == ["b", "c"]
    with pytest.raises(EmbeddingMismatchError, match="dim=2"):
        fixed.get_nodes()


def test_pydantic_loads_what_it_dumped(tmp_path, make_store, make_node):
    store = make_store(tmp_path / "kb.db")
    store.add([make_node("a", [1.0])])
    for again in (
        ElanusVectorStore.model_validate_json(store.model_dump_json()),
        ElanusVectorStore.model_validate(store.model_dump()),
    ):
        assert ids(again.get_nodes()) == ["a"]
        assert again.to_dict() == store.to_dict()
        again.close()


def test_a_reranker_that_cannot_be_called_is_named(tmp_path):
    with pytest.raises(ParamError, match=r"reranker must have predict.*got 5"):
        ElanusVectorStore(tmp_path / "kb.db", reranker=5)
    assert not (tmp_path / "kb.db").exists()


def test_it_serialises_with_its_uri_and_settings(tmp_path, make_store, make_node):
    path = tmp_path / "kb.db"
    options = {"collection_name": "c", "dim": 2, "analyzer": "standard", "durability": "normal"}
    store = make_store(path, overwrite=True, timeout=5.0, **options)
    store.add([make_node("a", [1.0, 0.0])])
    data = store.to_dict()
    assert data["uri"] == str(path)
    assert data["class_name"] == "ElanusVectorStore"
    assert data["timeout"] == 5.0
    assert {key: data[key] for key in options} == options
    # Opened again, it must not be emptied: `overwrite` belongs to one opening.
    again = ElanusVectorStore.from_dict(data)
    assert ids(again.get_nodes()) == ["a"]
    assert again.to_dict() == data
    again.close()
    copied = pickle.loads(pickle.dumps(store))  # noqa: S301  # made one line above
    assert ids(copied.get_nodes()) == ["a"]
    copied.close()
    third = ElanusVectorStore.from_json(store.to_json())
    assert json.loads(third.to_json()) == data
    third.close()


def twice(encoded):
    return encoded


def test_a_store_in_memory_is_not_pickled(store, make_node):
    store.add([make_node("a", [1.0, 0.0])])
    index = VectorStoreIndex.from_vector_store(store, embed_model=MockEmbedding(2))
    for what in (store, index, index.as_retriever(), [store]):
        with pytest.raises(TypeError, match=r"over :memory: cannot be pickled.*use a file"):
            pickle.dumps(what)
    for what in (store, index, index.as_retriever()):
        with pytest.raises(TypeError, match="cannot be copied deeply; open :memory: again"):
            copy.deepcopy(what)
    assert ids(copy.copy(store).get_nodes()) == ["a"]
    assert ids(store.get_nodes()) == ["a"]


def test_a_pickled_store_opens_its_file_and_the_first_goes_on(tmp_path, make_store, make_node):
    store = make_store(tmp_path / "kb.db", reranker=twice)
    store.add([make_node("a", [1.0, 0.0])])
    content = pickle.dumps(store)
    copied = pickle.loads(content)  # noqa: S301  # made one line above
    assert copied.reranker is store.reranker is twice
    copied.add([make_node("b", [0.0, 1.0])])
    copied.close()
    assert ids(store.get_nodes()) == ["a", "b"]
    with pytest.raises(TypeError, match="cannot be copied deeply"):
        copy.deepcopy(store)


def test_a_pickled_store_finds_its_file_from_any_folder_and_makes_no_other(
    tmp_path, make_node, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    store = ElanusVectorStore("kb.db")
    store.add([make_node("a", [1.0, 0.0])])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    content = pickle.dumps(store)
    assert store.to_dict()["uri"] == "kb.db"
    copied = pickle.loads(content)  # noqa: S301  # made two lines above
    assert ids(copied.get_nodes()) == ["a"]
    copied.close()
    store.close()
    (tmp_path / "kb.db").rename(tmp_path / "moved.db")
    with pytest.raises(DatabaseNotFoundError, match=r"kb\.db, which is not there"):
        pickle.loads(content)  # noqa: S301  # as above
    assert not (tmp_path / "kb.db").exists()
    assert not any((tmp_path / "elsewhere").iterdir())


def test_what_cannot_be_pickled_says_so_and_stays(tmp_path, make_store):
    store = make_store(tmp_path / "kb.db", reranker=lambda *_, **__: [])
    with pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
        pickle.dumps(store)
    assert callable(store.reranker)


def test_a_pickled_store_whose_file_is_gone_is_not_half_a_store(tmp_path, make_store, monkeypatch):
    folder = tmp_path / "folder"
    folder.mkdir()
    content = pickle.dumps(make_store(folder / "kb.db"))
    monkeypatch.setattr(
        ElanusVectorStore, "__init__", lambda *_, **__: (_ for _ in ()).throw(OSError("no file"))
    )
    with pytest.raises(OSError, match="no file"):
        pickle.loads(content)  # noqa: S301  # made above


@pytest.mark.parametrize("key", ["$x", "$", "$$x", "$and", "$eq", "$not", "a$", "$a.b"])
def test_a_key_that_begins_with_a_dollar_is_a_key(store, make_node, key):
    store.add(
        [
            make_node("one", [1.0, 0.0], **{key: 1}),
            make_node("two", [1.0, 0.0], **{key: 2, "other": "$x"}),
            make_node("none", [1.0, 0.0], **{key.lstrip("$") + "_": 1}),
        ]
    )

    def found(value, operator=FilterOperator.EQ, condition=FilterCondition.AND):
        one = MetadataFilter(key=key, value=value, operator=operator)
        inner = MetadataFilters(filters=[one], condition=condition)
        return set(ids(store.get_nodes(filters=MetadataFilters(filters=[inner, inner]))))

    assert found(1) == {"one"}
    assert found(1, FilterOperator.NE) == {"two"}
    assert found([1, 2], FilterOperator.IN) == {"one", "two"}
    assert found([1], FilterOperator.NIN) == {"two"}
    assert found(1, FilterOperator.GT) == {"two"}
    assert found(None, FilterOperator.IS_EMPTY) == {"none"}
    assert found(None) == {"none"}
    assert found(2, condition=FilterCondition.NOT) == {"one", "none"}
    with pytest.raises(FilterError, match=f"key '{re.escape(key)}': GT needs"):
        found([1], FilterOperator.GT)


def test_unknown_arguments_are_named(filled, make_node):
    with pytest.raises(TypeError, match="similarity_metric"):
        ElanusVectorStore(":memory:", similarity_metric="IP")
    with pytest.raises(TypeError, match="force_flush"):
        filled.add([make_node("a", [1.0, 0.0])], force_flush=True)
    with pytest.raises(TypeError, match="hard"):
        filled.delete("first", hard=True)
    with pytest.raises(TypeError, match="hard"):
        filled.delete_nodes(["a"], hard=True)
    with pytest.raises(TypeError, match="string_expr"):
        filled.query(VectorStoreQuery(query_embedding=[1.0, 0.0]), string_expr="year > 1")
    assert filled.store.count() == 4


def test_a_read_only_store_reads(tmp_path, make_store, make_node):
    make_store(tmp_path / "kb.db").add([make_node("a", [1.0])])
    store = make_store(tmp_path / "kb.db", read_only=True)
    assert ids(store.get_nodes()) == ["a"]
    with pytest.raises(ReadOnlyError):
        store.clear()


def test_the_client_and_the_documents_underneath_are_at_hand(filled):
    assert isinstance(filled.client, MilvusClient)
    assert isinstance(filled.store, DocumentStore)
    assert [document.id for document in filled.store] == ["a", "b", "c", "d"]
    assert filled.store.collection == "llamaindex"


def test_the_default_file_is_in_the_working_folder(tmp_path, monkeypatch, make_store):
    monkeypatch.chdir(tmp_path)
    assert make_store("./elanus.db").uri == ElanusVectorStore.__init__.__defaults__[0]
    assert Path("elanus.db").is_file()


def test_an_operator_is_refused_with_a_value_that_it_cannot_take(filled):
    cases = [
        (FilterOperator.GT, [1], "GT needs a number or a string"),
        (FilterOperator.LTE, None, "LTE needs a number or a string"),
        (FilterOperator.IN, "red", "IN needs a list"),
        (FilterOperator.NIN, 5, "NIN needs a list"),
        (FilterOperator.ANY, "red", "ANY needs a list"),
        (FilterOperator.ALL, None, "ALL needs a list"),
        (FilterOperator.CONTAINS, ["red"], "CONTAINS needs a number or a string"),
        (FilterOperator.TEXT_MATCH, 5, "TEXT_MATCH needs a string"),
        (FilterOperator.TEXT_MATCH_INSENSITIVE, ["x"], "TEXT_MATCH_INSENSITIVE needs a string"),
    ]
    for operator, value, message in cases:
        one = MetadataFilter(key="colour", value=value, operator=operator)
        with pytest.raises(ValueError, match=f"'colour'.*{message}"):
            filled.get_nodes(filters=MetadataFilters(filters=[one]))


def test_unknown_operators_and_conditions_are_named(filled):
    odd = MetadataFilter.model_construct(key="k", value=1, operator="near")
    with pytest.raises(ValueError, match="unknown operator 'near'; known: EQ, GT"):
        filled.get_nodes(filters=MetadataFilters.model_construct(filters=[odd], condition="and"))
    one = MetadataFilter(key="k", value=1)
    with pytest.raises(ValueError, match="unknown filter condition 'xor'"):
        filled.get_nodes(filters=MetadataFilters.model_construct(filters=[one], condition="xor"))


def test_a_filter_without_filters_restricts_nothing(filled):
    empty = MetadataFilters(filters=[])
    nested = MetadataFilters(filters=[empty, empty], condition=FilterCondition.NOT)
    for filters in (empty, nested):
        assert len(filled.get_nodes(filters=filters)) == 4
    year = MetadataFilter(key="year", value=2022)
    both = MetadataFilters(filters=[empty, year], condition=None)
    assert ids(filled.get_nodes(filters=both)) == ["d"]
