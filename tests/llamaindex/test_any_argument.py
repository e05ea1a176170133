"""Every argument of every call with every kind of value: a result, or one of our errors."""

import asyncio
import math
from types import SimpleNamespace

import numpy as np
import pytest
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.vector_stores.types import (
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)
from pydantic import ValidationError
from scipy.sparse import csr_matrix

from elanus import DocumentStore, ParamError
from elanus.errors import DataNotMatchException, FilterError, RerankError
from llama_index.vector_stores.elanus import (
    ElanusEmbedding,
    ElanusRerank,
    ElanusSparseEmbedding,
    ElanusVectorStore,
)

torch = pytest.importorskip("torch")


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
    update = {"node_ids": ["x"], "values": {"b": 1}, "remove": ["c"], "filters": None}
    assert refusals(store.update_metadata, update) == {}
    assert refusals(store.delete_nodes, {"node_ids": ["x"], "filters": None}) == {}
    assert refusals(store.get_nodes, {"node_ids": ["x"], "filters": None}) == {}
    assert store.client.verify() == []


def test_any_argument_of_opening(refusals, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = {
        "uri": ":memory:", "collection_name": "c", "dim": 2, "overwrite": False,
        "analyzer": "english", "title": "a", "reranker": None, "read_only": False, "durability": "full",
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
    with pytest.raises(RerankError, match="must give a finite number for each of"):
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
        assert np.isfinite(np.array(found, np.float32)).all()
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
        [[math.nan, 1.0]],
        np.array([[math.inf, 1.0]]),
        [[1e39, 1.0]],
        [np.array([1, 2], "m8[s]")],
        [[np.timedelta64(1, "s"), 1.0]],
        torch.ones(1, 2, requires_grad=True),
        torch.ones(1, 2).to_sparse(),
        torch.ones(1, 2, device="meta"),
        [torch.ones(2).to_sparse()],
        [bytearray(b"ab")],
        [[]],
    ],
)
def test_what_is_no_vector_for_each_text_is_refused(answer):
    with pytest.raises(DataNotMatchException, match=r"f\.encode_documents of 1 texts: expected"):
        ElanusEmbedding(Function(answer)).get_text_embedding("a")
    with pytest.raises(DataNotMatchException, match="the embedding function gave"):
        ElanusEmbedding(Function(answer)).get_query_embedding("a")


@pytest.mark.parametrize(
    "matrix",
    [
        csr_matrix(np.array([[math.nan, 0.0]])),
        csr_matrix(np.array([[1e39, 0.0]])),
        csr_matrix(np.array([[1j, 0]])),
        csr_matrix(np.array([[True, False]])),
    ],
    ids=repr,
)
def test_the_values_of_a_sparse_vector_are_finite_numbers(matrix):
    with pytest.raises(DataNotMatchException, match="the values of a sparse vector are finite"):
        ElanusSparseEmbedding(Function(matrix)).get_text_embedding("a")


def test_what_a_sparse_vector_has_twice_is_added():
    twice = csr_matrix((np.array([1.0, 2.0]), np.array([3, 3]), np.array([0, 2])), shape=(1, 5))
    assert ElanusSparseEmbedding(Function(twice)).get_text_embedding("a") == {3: 3.0}
    assert twice.nnz == 2


class Counted(Function):
    def encode_documents(self, texts):
        return np.ones((len(texts), 2))

    encode_queries = encode_documents


def test_any_text_of_an_embedding(refusals):
    model = ElanusEmbedding(Counted(None))
    assert refusals(model.get_query_embedding, {"query": "a"}) == {}
    assert refusals(model.get_text_embedding, {"text": "a"}) == {}
    assert refusals(model.get_text_embedding_batch, {"texts": ["a"]}) == {}
    for wrong in (None, 5, ["a", None]):
        with pytest.raises(ParamError, match=r"texts(\[1\])? must be a "):
            model.get_text_embedding_batch(wrong)
        with pytest.raises(ParamError, match=r"texts(\[1\])? must be a "):
            asyncio.run(model.aget_text_embedding_batch(wrong))


@pytest.mark.parametrize("value", [None, "query", 5, {"query_str": "a"}, QUERY])
def test_what_is_no_query_is_refused(store, value):
    for empty in (store, ElanusVectorStore(":memory:")):
        with pytest.raises(ParamError, match="query must be a VectorStoreQuery, got"):
            empty.query(value)


@pytest.mark.parametrize("name", ["a b", "a-b", "1a", "", "x" * 256])
def test_a_name_that_no_collection_can_have_is_refused_at_once(name, tmp_path):
    with pytest.raises(ParamError, match=r"collection name .* is invalid"):
        ElanusVectorStore(tmp_path / "kb.db", name)


def test_a_wrong_analyzer_is_refused_at_once(tmp_path):
    with pytest.raises(ParamError, match="analyzer_params must be a name"):
        ElanusVectorStore(tmp_path / "kb.db", analyzer=5)
    for nothing in (None, "", {}):
        ElanusVectorStore(tmp_path / "kb.db", analyzer=nothing).close()


@pytest.mark.parametrize("name", ["stores_text", "is_embedding_query"])
def test_what_llamaindex_asks_of_a_store_is_true_or_false(name):
    with pytest.raises(ParamError, match=f"{name} must be True or False, got 'false'"):
        ElanusVectorStore(":memory:", **{name: "false"})


WRONG_NUMBERS = ["3", True, 3.0, np.array(3), 0, None]


@pytest.mark.parametrize("value", WRONG_NUMBERS, ids=repr)
def test_numbers_of_the_components_are_not_guessed_at(value):
    def rerank(_query, documents, top_k):
        return [SimpleNamespace(index=i, score=1.0) for i in range(min(top_k, len(documents)))]

    nodes = [NodeWithScore(node=node())]
    with pytest.raises(ValidationError, match=r"top_n\n.*top_n must be an integer of at least 1"):
        ElanusRerank(reranker=rerank, top_n=value)
    made = ElanusRerank(reranker=rerank, top_n=np.int64(1))
    assert made.postprocess_nodes(nodes, query_str="q")[0].score == 1.0
    assert ElanusRerank.from_dict(made.to_dict(), reranker=rerank).top_n == 1
    # Nobody checks this, so that it has to come out when it is used.
    with pytest.raises(ParamError, match="top_n must be an integer of at least 1"):
        made.model_copy(update={"top_n": value}).postprocess_nodes(nodes, query_str="q")
    for kind in (ElanusEmbedding, ElanusSparseEmbedding):
        for name in ("embed_batch_size", "num_workers"):
            if value is not None or name == "embed_batch_size":
                with pytest.raises(ValidationError, match=rf"{name}\n.*{name} must be an integer"):
                    kind(Function(None), **{name: value})
        assert kind(Function(None), num_workers=None, embed_batch_size=7).embed_batch_size == 7
    with pytest.raises(ValidationError, match="less than or equal to 2048"):
        ElanusEmbedding(Function(None), embed_batch_size=5000)


SCORES = ["1", 1j, True, math.inf, -math.inf, math.nan, torch.tensor(1.0), np.array(1.0), 10**400]


@pytest.mark.parametrize("member", ["score", "index"])
@pytest.mark.parametrize("value", SCORES, ids=repr)
def test_a_score_or_index_that_is_no_number_is_refused(member, value):
    result = SimpleNamespace(**{"index": 0, "score": 0.5, member: value})
    rerank = ElanusRerank(reranker=lambda *_, **__: [result])
    with pytest.raises(ParamError, match="an integer index and a score, which is a finite number"):
        rerank.postprocess_nodes([NodeWithScore(node=node())], query_str="q")


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
