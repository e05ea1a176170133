"""No message and no representation grows with what a caller or a model gave."""

from types import SimpleNamespace

import pytest
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import (
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from elanus import ElanusError
from llama_index.vector_stores.elanus import (
    ElanusEmbedding,
    ElanusRerank,
    ElanusSparseEmbedding,
    ElanusVectorStore,
)
from unwieldy import MEGA, VALUES, assert_shown_short, endless, raises_short


def node(**fields):
    return TextNode(**{"text": "a", "embedding": [1.0, 0.0], **fields})


def query(mode=VectorStoreQueryMode.DEFAULT, **fields):
    return VectorStoreQuery(
        **{"query_embedding": [1.0, 0.0], "query_str": "a", "mode": mode, **fields}
    )


def filtered(operator, value, key=MEGA):
    one = MetadataFilter.model_construct(key=key, operator=operator, value=value)
    return query(filters=MetadataFilters.model_construct(filters=[one], condition="and"))


def function_of(answer):
    return SimpleNamespace(
        encode_documents=lambda _: answer, encode_queries=lambda _: answer, name=MEGA, dim=2
    )


CALLS = {
    "function": lambda _, v: ElanusEmbedding(v),
    "sparse function": lambda _, v: ElanusSparseEmbedding(v),
    "vector": lambda _, v: ElanusEmbedding(function_of([[v]])).get_text_embedding("a"),
    "vector of a query": lambda _, v: ElanusEmbedding(function_of([[v]])).get_query_embedding("a"),
    "reranker": lambda _, v: ElanusVectorStore(":memory:", reranker=[v]),
    "mode": lambda s, v: s.query(query(mode=v)),
    "embedding_field": lambda s, v: s.query(query(embedding_field=v)),
    "alpha and ranker": lambda s, v: s.query(query(VectorStoreQueryMode.HYBRID, alpha=v), ranker=v),
    "key of a filter": lambda s, v: s.query(filtered(FilterOperator.GT, [v])),
    "operator": lambda s, v: s.query(filtered("=" + MEGA, v)),
    "list of a filter": lambda s, v: s.query(filtered(FilterOperator.TEXT_MATCH, [v], key="k")),
    "key": lambda s, v: s.add([node(metadata={MEGA: object(), "k": v})]),
}

FIXED = {
    "uri": lambda _: ElanusVectorStore(MEGA),
    "collection": lambda _: ElanusVectorStore(":memory:", MEGA, dim=2),
    "alpha": lambda s: s.query(query(VectorStoreQueryMode.HYBRID, alpha=10**5_000)),
    "condition": lambda s: s.query(
        query(
            filters=MetadataFilters.model_construct(
                filters=[MetadataFilter(key="k", value=1)], condition=MEGA
            )
        )
    ),
    "no embedding": lambda s: s.add([node(id_=MEGA, embedding=None)]),
    "reserved key": lambda s: s.add([node(id_=MEGA, metadata={"_node": 1})]),
    "depth": lambda s: s.add([node(id_=MEGA, metadata={"k": endless()})]),
    "id": lambda s: s.add([node(id_=MEGA)]),
}


@pytest.fixture
def filled(store):
    store.add([node(id_="kite"), node(id_="owl")])
    return store


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_no_message_grows_with_an_argument(filled, call, value):
    with raises_short(ElanusError):
        call(filled, value)


@pytest.mark.parametrize("call", FIXED.values(), ids=FIXED)
def test_no_message_grows_with_a_long_argument(filled, call):
    with raises_short(ElanusError):
        call(filled)


@pytest.mark.parametrize(
    "kept",
    [
        {"class_name": MEGA},
        {"__class__": MEGA, "class_name": "TextNode"},
        {"class_name": "TextNode", "start_char_idx": MEGA},
        {"class_name": "TextNode", MEGA: MEGA, "relationships": MEGA},
    ],
)
def test_no_message_grows_with_what_the_file_says_of_a_node(filled, kept):
    filled.store.add(
        ["a"], [{"_node": kept, "_ref_doc_id": "odd"}], ids=["odd"], vectors=[[1.0, 0.0]]
    )
    with raises_short(ElanusError, match="'odd'"):
        filled.get_nodes(["odd"])


def test_an_unknown_argument_is_shown_in_part(filled):
    for call in (
        lambda: filled.query(query(), **{MEGA: 1}),
        lambda: filled.add([], **{MEGA: 1}),
        lambda: filled.delete("a", **{MEGA: 1}),
    ):
        with raises_short(TypeError, match="unknown arguments"):
            call()


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_representation_is_short(value):
    function = function_of(value)
    shown = [
        ElanusEmbedding(function),
        ElanusSparseEmbedding(function),
        ElanusRerank(reranker=lambda *_, **__: value),
        ElanusVectorStore(":memory:", analyzer={"type": "english", "stop_words": [MEGA]}),
    ]
    shown[2].reranker = value
    assert_shown_short(shown)
    shown[3].close()
