"""Every argument of every call with every kind of value: a result, or one of our errors."""

from types import SimpleNamespace

import numpy as np
import pytest
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.vector_stores.types import (
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)
from scipy.sparse import csr_matrix

from elanus import DocumentStore, ParamError
from elanus.errors import DataNotMatchException, FilterError
from llama_index.vector_stores.elanus import (
    ElanusEmbedding,
    ElanusRerank,
    ElanusSparseEmbedding,
    ElanusVectorStore,
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Some texts are taken for the names of databases, which are made then."""
    monkeypatch.chdir(tmp_path)


QUERY = {
    "query_embedding": [1.0, 2.0], "query_str": "kite", "mode": "default", "similarity_top_k": 2,
    "sparse_top_k": 2, "hybrid_top_k": 2, "alpha": None, "doc_ids": None, "node_ids": None,
    "filters": None, "embedding_field": None, "output_fields": None,
}  # fmt: skip
OPTIONS = {
    "default": {"explain": False, "min_relevance": None},
    "text_search": {"explain": True},
    "hybrid": {"ranker": None},
    "semantic_hybrid": {},
    "mmr": {"mmr_threshold": 0.5, "mmr_prefetch_factor": 2.0},
    "MMR": {"mmr_prefetch_k": 5},
}


def node(**fields):
    given = {"id_": "x", "text": "kite", "metadata": {"a": 1}, "embedding": [1.0, 2.0]}
    return TextNode(**{**given, **fields})


@pytest.fixture
def store():
    made = ElanusVectorStore(":memory:")
    made.add([node(), node(id_="y")])
    yield made
    made.close()


@pytest.mark.parametrize("mode", OPTIONS)
def test_any_argument_of_a_query(mode, store, refusals):
    def ask(**given):
        options = {name: given.pop(name) for name in OPTIONS[mode]}
        return store.query(VectorStoreQuery(**given), **options)

    arguments = {**QUERY, "mode": mode.lower(), **OPTIONS[mode]}
    assert ask(**arguments).ids
    assert refusals(ask, arguments) == {}


def test_any_argument_of_a_store(store, refusals):
    assert refusals(store.add, {"nodes": [node()]}) == {}
    assert refusals(lambda node: store.add([node]), {"node": node()}) == {}
    assert refusals(store.delete, {"ref_doc_id": "x"}) == {}
    assert refusals(store.delete_nodes, {"node_ids": ["x"], "filters": None}) == {}
    assert refusals(store.get_nodes, {"node_ids": ["x"], "filters": None}) == {}
    assert store.client.verify() == []


def test_any_argument_of_opening(refusals, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = {
        "uri": ":memory:", "collection_name": "c", "dim": 2, "overwrite": False,
        "analyzer": "english", "reranker": None, "read_only": False, "durability": "full",
        "timeout": 1.0, "journal": "wal",
    }  # fmt: skip
    assert refusals(lambda **given: ElanusVectorStore(**given).close(), arguments) == {}


def test_the_text_false_does_not_drop_the_collection(tmp_path):
    path = tmp_path / "kb.db"
    first = ElanusVectorStore(path)
    first.add([node()])
    first.close()
    with pytest.raises(ParamError, match="overwrite must be True or False, got 'false'"):
        ElanusVectorStore(path, overwrite="false")
    again = ElanusVectorStore(path)
    assert [each.node_id for each in again.get_nodes()] == ["x"]
    again.close()


def test_no_source_is_none_to_delete(store):
    # Documents of other adapters have no source.
    with DocumentStore(client=store.client, collection="llamaindex", dim=2) as documents:
        documents.add(["a"], ids=["other"], vectors=[[1.0, 2.0]])
    with pytest.raises(ParamError, match="ref_doc_id must be a string, got None"):
        store.delete(None)
    assert len(store.get_nodes()) == 3


@pytest.mark.parametrize(
    ("missing", "mode"), [("query_embedding", "default"), ("query_str", "sparse")]
)
def test_a_mode_given_as_text_is_named_in_errors(store, missing, mode):
    query = VectorStoreQuery(**{**QUERY, "mode": mode, missing: None})
    with pytest.raises(ParamError, match=f"query mode {mode.upper()} needs a {missing}"):
        store.query(query)


@pytest.mark.parametrize("member", ["index", "score", "results"])
def test_any_result_of_a_reranker(member, store, refusals):
    def ask(value):
        result = SimpleNamespace(**{"index": 0, "score": 0.5, member: value})
        results = value if member == "results" else [result]
        store.reranker = rerank = lambda *_, **__: results
        query = {**QUERY, "mode": "semantic_hybrid"}
        store.query(VectorStoreQuery(**query))
        ElanusRerank(reranker=rerank).postprocess_nodes([NodeWithScore(node=node())], query_str="q")

    assert refusals(ask, {"value": 0}) == {}


def test_an_index_of_a_reranker_is_not_counted_from_the_end(store):
    nodes = [NodeWithScore(node=node()), NodeWithScore(node=node(id_="y"))]
    wrong = lambda *_, **__: [SimpleNamespace(index=-1, score=1.0)]  # noqa: E731
    store.reranker = wrong
    with pytest.raises(ParamError, match="gave the index -1 for 2 texts"):
        ElanusRerank(reranker=wrong).postprocess_nodes(nodes, query_str="q")
    with pytest.raises(ParamError, match="gave the index -1 for 2 texts"):
        store.query(VectorStoreQuery(**{**QUERY, "mode": "semantic_hybrid"}))


class Function:
    name, dim = "f", 2

    def __init__(self, answer):
        self.answer = answer

    def encode_documents(self, _texts):
        return self.answer

    encode_queries = encode_documents


@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: [[v, 1.0]]])
def test_any_answer_of_an_embedding_function(wrap, refusals):
    def ask(answer):
        found = ElanusEmbedding(Function(wrap(answer))).get_text_embedding("a")
        assert all(type(each) is float for each in found)

    assert refusals(ask, {"answer": 1}) == {}
    assert refusals(
        lambda answer: ElanusSparseEmbedding(Function(wrap(answer))).get_text_embedding("a"),
        {"answer": 1},
    ) == {}  # fmt: skip


@pytest.mark.parametrize(
    "answer",
    [
        np.ma.array([[1.0, 2.0]], mask=[[0, 1]]),
        [np.ma.array([1.0, 2.0], mask=[0, 1])],
        np.array([[1.0, 2.0]] * 2),
        [],
        [[True, 1.0]],
    ],
)
def test_what_is_no_vector_for_each_text_is_refused(answer):
    with pytest.raises(DataNotMatchException, match="the embedding function gave"):
        ElanusEmbedding(Function(answer)).get_text_embedding("a")


def test_sparse_rows_are_as_many_as_the_texts():
    with pytest.raises(DataNotMatchException, match="for 1 texts; it must give a SciPy sparse"):
        ElanusSparseEmbedding(Function(csr_matrix(np.eye(2)))).get_text_embedding("a")


def group(*parts):
    return MetadataFilters(filters=list(parts))


def test_groups_of_filters_that_are_too_deep_or_there_many_times_are_refused(store):
    one = MetadataFilter(key="a", value=1)
    deep = shared = itself = group(one)
    for _ in range(37):
        deep, shared = group(deep), group(shared, shared)
    assert len(store.get_nodes(filters=deep)) == 2
    with pytest.raises(FilterError, match="holds the same dicts more than 100,000 times"):
        store.get_nodes(filters=shared)
    for _ in range(10_000):
        deep = group(deep)
    itself.filters = [itself, itself]
    for filters in (deep, itself):
        with pytest.raises(FilterError, match="MetadataFilters may nest 38 levels"):
            store.get_nodes(filters=filters)
        with pytest.raises(FilterError, match="MetadataFilters may nest 38 levels"):
            store.query(VectorStoreQuery(**{**QUERY, "filters": filters}))
