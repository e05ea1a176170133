"""Every argument of every call with every kind of value: a result, or one of our errors."""

import math

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.runnables import ConfigurableField
from pydantic import ValidationError

from elanus import ElanusError, ParamError
from elanus.errors import ClosedError, DataNotMatchException, ReadOnlyError
from langchain_elanus import (
    ElanusEmbeddings,
    ElanusRecordManager,
    ElanusReranker,
    ElanusRetriever,
    ElanusVectorStore,
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Some texts are taken for the names of databases, which are made then."""
    monkeypatch.chdir(tmp_path)


class Result:
    def __init__(self, index, score=0.5):
        self.index, self.score = index, score


def in_order(query, texts, top_k):
    return [Result(i) for i in range(min(top_k, len(texts)))]


class Model(Embeddings):
    model = "two"

    def embed_documents(self, texts):
        return [[1.0, 2.0] for _ in texts]

    def embed_query(self, _text):
        return [1.0, 2.0]


CALLS = {
    "similarity_search": {
        "query": "a", "k": 2, "mode": "hybrid", "filter": None, "ranker": None,
        "reranker": in_order, "explain": False, "score_threshold": 0.0, "ids": ["x"],
        "depth": None, "fill": False,
    },
    "similarity_search_with_score": {"query": "a", "k": 2, "mode": "text", "fill": True},
    "similarity_search_with_relevance_scores": {"query": "a", "k": 2, "score_threshold": 0.1},
    "similarity_search_by_vector": {"embedding": [1.0, 2.0], "k": 2, "mode": None},
    "max_marginal_relevance_search": {
        "query": "a", "k": 2, "fetch_k": 5, "lambda_mult": 0.5, "mode": "text",
    },
    "max_marginal_relevance_search_by_vector": {
        "embedding": [1.0, 2.0], "k": 2, "fetch_k": 5, "lambda_mult": 0.5,
    },
    "add_texts": {"texts": ["a"], "metadatas": [{}], "ids": ["x"], "batch_size": 2},
    "add_documents": {"documents": [Document("a")], "ids": ["x"], "batch_size": 2},
    "add_embeddings": {
        "texts": ["a"], "embeddings": [[1.0, 2.0]], "metadatas": [{}], "ids": ["x"],
    },
    "delete": {"ids": ["x"], "filter": {"a": 1}},
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_any_argument_of_a_store(name, refusals):
    with ElanusVectorStore(Model(), uri=":memory:") as store:
        store.add_texts(["a b", "b c"], [{"a": 1}, {"a": 2}], ids=["x", "y"])
        getattr(store, name)(**CALLS[name])
        assert refusals(getattr(store, name), CALLS[name]) == {}
        assert store.client.verify() == []


def test_any_argument_of_opening(refusals, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = {
        "embedding": Model(), "uri": ":memory:", "collection_name": "c", "mode": "hybrid",
        "analyzer": "english", "reranker": None, "fill": False, "embedding_name": None, "dim": 2, "title": None,
        "read_only": False, "timeout": 1.0,
    }  # fmt: skip
    assert refusals(lambda **given: ElanusVectorStore(**given).close(), arguments) == {}
    # Of a dict of other names TypeError says which there are, as for any argument.
    wrong = refusals(
        lambda **given: ElanusVectorStore(None, mode="text", **given).close(),
        {"connection_args": {"uri": ":memory:"}},
    )
    assert wrong.keys() == {("connection_args", "dict")}


def test_any_argument_of_a_record_manager(refusals):
    with ElanusVectorStore(None, uri=":memory:", mode="text") as store:
        records = ElanusRecordManager("n", store)
        update = {"keys": ["a"], "group_ids": ["b"], "time_at_least": 0.0}
        assert refusals(records.update, update) == {}
        listing = {"before": 1e11, "after": 0.0, "group_ids": ["b"], "limit": 3}
        assert refusals(records.list_keys, listing) == {}
        assert refusals(records.exists, {"keys": ["a"]}) == {}
        assert refusals(records.delete_keys, {"keys": ["a"]}) == {}


@pytest.mark.parametrize("wrong", [np.array(1), np.array(["x"]), "5", [1.0], True, math.nan])
def test_a_time_that_is_no_number_is_refused_by_name(wrong):
    with ElanusVectorStore(None, uri=":memory:", mode="text") as store:
        records = ElanusRecordManager("n", store)
        for is_made in (False, True):
            for name in ("before", "after"):
                with pytest.raises(ParamError, match=rf"^{name} must be a number"):
                    records.list_keys(**{name: wrong})
            if not is_made:
                records.update(["a"])
        assert records.list_keys(before=math.inf, after=-math.inf) == ["a"]
        assert records.list_keys(before=np.float64(1e11), after=np.int64(0)) == ["a"]


def test_keys_that_are_no_strings_are_not_taken_for_their_text():
    with ElanusVectorStore(None, uri=":memory:", mode="text") as store:
        records = ElanusRecordManager("n", store)
        records.update(["1", "2"])
        for keys in ([1], "12"):
            for call in (records.exists, records.delete_keys, records.update):
                with pytest.raises(ParamError, match="keys must be a list of names"):
                    call(keys)
        assert records.list_keys() == ["1", "2"]


def test_any_argument_of_the_components(refusals):
    with ElanusVectorStore(Model(), uri=":memory:") as store:
        store.add_texts(["a b"])
        retriever = {"vectorstore": store, "k": 2, "mode": "text", "explain": False}
        ask = lambda **given: ElanusRetriever(**given).invoke("a")  # noqa: E731
        assert refusals(ask, retriever, ValidationError) == {}
        asked = {"k": 2, "filter": None, "mode": "text", "explain": True, "reranker": None}
        assert refusals(lambda **given: ElanusRetriever(vectorstore=store).invoke("a", **given),
                        asked) == {}  # fmt: skip
    reranker = ElanusReranker(reranker=in_order, explain=True)
    assert refusals(lambda documents: reranker.compress_documents(documents, "a"),
                    {"documents": [Document("a")]}) == {}  # fmt: skip
    own = Document("a", metadata={"_elanus": 5})
    [found] = reranker.compress_documents([own], "a")
    assert found.metadata == {"_elanus": {"rerank_score": 0.5}}


@pytest.mark.parametrize("member", ["index", "score"])
def test_any_result_of_a_reranker(member, refusals):
    def ask(value):
        results = [Result(**{"index": 0, member: value})]
        ElanusReranker(reranker=lambda *_, **__: results).compress_documents([Document("a")], "q")

    assert refusals(ask, {"value": 0}) == {}


@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: [[v, 1.0]]])
def test_any_answer_of_a_model(wrap, refusals):
    class Odd(Model):
        def embed_documents(self, _texts):
            return wrap(self.answer)

    def add(answer):
        model = Odd()
        model.answer = answer
        with ElanusVectorStore(model, uri=":memory:", dim=2) as store:
            store.add_texts(["a"])

    assert refusals(add, {"answer": 1}) == {}


@pytest.mark.parametrize("whole", [True, False])
def test_masked_elements_of_a_vector_are_refused(whole):
    rows = np.ma.array([[1.0, 2.0]], mask=[[0, 1]])

    class Masked(Model):
        def embed_documents(self, _texts):
            return rows if whole else [rows[0]]

    with ElanusVectorStore(Masked(), uri=":memory:", dim=2) as store:
        with pytest.raises(DataNotMatchException, match="has no masked elements"):
            store.add_texts(["a"])
        assert store.similarity_search("a") == []


def test_a_flag_is_no_text():
    with ElanusVectorStore(Model(), uri=":memory:") as store:
        for name in ("fill", "explain"):
            with pytest.raises(ElanusError, match=f"{name} must be True or False, got 'false'"):
                store.similarity_search("a", **{name: "false"})


BY_VECTOR = [
    "similarity_search_by_vector",
    "similarity_search_with_score_by_vector",
    "max_marginal_relevance_search_by_vector",
]


@pytest.mark.parametrize("name", BY_VECTOR)
async def test_no_vector_is_none_to_search_by(name):
    with ElanusVectorStore(Model(), uri=":memory:") as store:
        store.add_texts(["a"])
        with pytest.raises(ParamError, match="embedding must be a flat list of numbers, got None"):
            getattr(store, name)(None)
        with pytest.raises(ParamError, match="embedding must be a flat list of numbers, got None"):
            await getattr(store, f"a{name}")(None)


async def test_no_vectors_are_none_to_add():
    with ElanusVectorStore(Model(), uri=":memory:") as store:
        with pytest.raises(ParamError, match=r"embeddings must be a list of vectors, .*got None"):
            store.add_embeddings(["a"], None)
        with pytest.raises(ParamError, match=r"embeddings must be a list of vectors, .*got None"):
            await store.aadd_embeddings(["a"], None)
        assert store.store.count() == 0


@pytest.mark.parametrize("store", [5, "kb.db", False, Model()])
def test_a_store_that_is_none_is_named(store):
    for embedding in (None, Model()):
        with pytest.raises(ParamError, match="store must be a DocumentStore, got"):
            ElanusVectorStore(embedding, store=store)


@pytest.mark.parametrize("answer", [None, 5, [], [[1.0]], float("nan")])
def test_a_model_whose_first_answer_is_no_vector_is_named(answer):
    class Odd(Model):
        def embed_query(self, _text):
            return answer

    with pytest.raises(DataNotMatchException, match="the model 'two' gave for the texts: expected"):
        ElanusVectorStore(Odd(), uri=":memory:")


class Function:
    name, dim = "f", 2

    def __init__(self, answer):
        self.answer = answer

    def encode_documents(self, _texts):
        return self.answer

    encode_queries = encode_documents


torch = pytest.importorskip("torch")
NO_ANSWERS = {
    "NaN": [[math.nan, 1.0]],
    "infinite": np.array([[np.inf, 1.0]]),
    "over single precision": [[1e39, 1.0]],
    "numbers": [1.0],
    "column": [[[1.0], [2.0]]],
    "two": [[1.0, 2.0], [3.0, 4.0]],
    "none": [],
    "empty": [[]],
    "None": None,
    "number": 5,
    "span": [[np.timedelta64(1, "s"), 1.0]],
    "bytes": [bytearray(b"ab")],
    "gradient": torch.ones(1, 2, requires_grad=True),
    "sparse": torch.ones(1, 2).to_sparse(),
    "meta": torch.ones(1, 2, device="meta"),
}


@pytest.mark.parametrize("answer", NO_ANSWERS.values(), ids=NO_ANSWERS)
async def test_what_is_no_vector_is_not_handed_on(answer):
    model = ElanusEmbeddings(Function(answer))
    document, query = "f.encode_documents of 1 texts: expected", "f.encode_queries: expected 1 rows"
    with pytest.raises(DataNotMatchException, match=document):
        model.embed_documents(["a"])
    with pytest.raises(DataNotMatchException, match=document):
        await model.aembed_documents(["a"])
    with pytest.raises(DataNotMatchException, match=query):
        model.embed_query("a")
    with pytest.raises(DataNotMatchException, match=query):
        await model.aembed_query("a")


def test_any_text_of_an_embedding(refusals):
    class Counted(Function):
        def encode_documents(self, texts):
            return np.ones((len(texts), 2))

        encode_queries = encode_documents

    model = ElanusEmbeddings(Counted(None))
    assert refusals(model.embed_query, {"text": "a"}) == {}
    assert refusals(model.embed_documents, {"texts": ["a"]}) == {}
    assert model.embed_documents([]) == []
    for wrong in (None, 5, b"a", ["a", None]):
        with pytest.raises(ParamError, match=r"texts(\[1\])? must be a "):
            model.embed_documents(wrong)
        with pytest.raises(ParamError, match=r"text must be a string"):
            model.embed_query(wrong)


def test_a_function_whose_members_cannot_be_read_is_our_error():
    class Odd(Function):
        @property
        def dim(self):
            raise RuntimeError("the model is gone")

    for make in (ElanusEmbeddings, lambda f: ElanusVectorStore(f, uri=":memory:")):
        with pytest.raises(ParamError, match=r"cannot be read: .*the model is gone"):
            make(Odd(None))


WRONG_FLAGS = ["false", "true", 1, 0, None, np.array(True)]
WRONG_NUMBERS = ["2", True, 2.0, np.array(2), 0, None]


@pytest.mark.parametrize(
    ("kind", "name", "values"),
    [
        ("retriever", "explain", WRONG_FLAGS),
        ("retriever", "k", WRONG_NUMBERS),
        ("retriever", "score_threshold", ["0.1", True, math.nan, 1.5, np.array(0.5)]),
        ("reranker", "explain", WRONG_FLAGS),
        ("reranker", "top_n", WRONG_NUMBERS),
    ],
)
def test_flags_and_numbers_of_the_components_are_not_guessed_at(kind, name, values):
    with ElanusVectorStore(Model(), uri=":memory:") as store:
        store.add_texts(["a"])

        def make(**given):
            if kind == "retriever":
                return ElanusRetriever(vectorstore=store, **given)
            return ElanusReranker(reranker=in_order, **given)

        def use(made):
            if kind == "retriever":
                return made.invoke("a")
            return made.compress_documents([Document("a")], "a")

        for value in values:
            with pytest.raises(ValidationError, match=rf"(?s){name}\n.*{name} must be .*, got"):
                make(**{name: value})
            # Nobody checks this, so that it has to come out when it is used.
            with pytest.raises(ParamError, match=f"{name} must be"):
                use(make().model_copy(update={name: value}))


def test_the_frameworks_own_ways_to_make_and_change_a_component_go_on():
    with ElanusVectorStore(Model(), uri=":memory:") as store:
        store.add_texts(["a", "b", "c"])
        made = ElanusRetriever(
            vectorstore=store, k=np.int64(2), explain=np.True_, score_threshold=0
        )
        assert (made.k, made.explain, made.score_threshold) == (2, True, 0.0)
        assert type(made.k) is int
        assert len(made.model_copy(update={"k": 1}).invoke("a")) == 1
        chosen = made.configurable_fields(k=ConfigurableField(id="k"))
        assert len(chosen.with_config(configurable={"k": 3}).invoke("a")) == 3
        assert len(store.as_retriever(search_kwargs={"k": 1, "explain": True}).invoke("a")) == 1
        with pytest.raises(ParamError, match="explain must be True or False, got 'false'"):
            store.as_retriever(search_kwargs={"explain": "false"}).invoke("a")
    again = ElanusReranker.model_validate({"reranker": in_order, "top_n": 1})
    assert len(again.compress_documents([Document("a"), Document("b")], "a")) == 1


SCORES = ["1", 1j, True, math.inf, -math.inf, math.nan, torch.tensor(1.0), np.array(1.0), 10**400]


@pytest.mark.parametrize("member", ["score", "index"])
@pytest.mark.parametrize("value", SCORES, ids=repr)
def test_a_score_or_index_that_is_no_number_is_refused(member, value):
    result = Result(**{"index": 0, member: value})
    reranker = ElanusReranker(reranker=lambda *_, **__: [result])
    with pytest.raises(ParamError, match="an integer index and a score, which is a finite number"):
        reranker.compress_documents([Document("a")], "q")


class Counting(Function):
    def __init__(self):
        self.asked = 0

    def encode_documents(self, texts):
        self.asked += len(texts)
        return np.ones((len(texts), 2))

    encode_queries = encode_documents


class Native(Counting):
    async def aencode_documents(self, texts):
        return self.encode_documents(texts)

    aencode_queries = aencode_documents


@pytest.mark.parametrize("sort", [Counting, Native])
async def test_what_is_certain_to_fail_is_not_embedded_first(sort, tmp_path):
    file = tmp_path / "kb.db"
    ElanusVectorStore(sort(), uri=file).close()
    function = sort()
    with ElanusVectorStore(function, uri=file, read_only=True) as store:
        with pytest.raises(ReadOnlyError):
            store.add_texts(["a"])
        with pytest.raises(ReadOnlyError):
            await store.aadd_texts(["a"])
    with ElanusVectorStore(function, uri=":memory:") as other:
        texts = ["a"] * 200
        for wrong in (
            {"texts": [*texts, 7]},
            {"texts": texts, "metadatas": [{}] * 199 + [{"a": {1}}]},
            {"texts": texts, "ids": ["a"] * 199 + [5]},
        ):
            with pytest.raises(DataNotMatchException):
                await other.aadd_texts(**wrong)
    for use in (store.similarity_search, store.max_marginal_relevance_search, store.add_texts):
        with pytest.raises(ClosedError):
            use(["a"] if use == store.add_texts else "a")
        with pytest.raises(ClosedError):
            await getattr(store, f"a{use.__name__}")(["a"] if use == store.add_texts else "a")
    assert function.asked == 0
