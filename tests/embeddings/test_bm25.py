"""BM25 vectors: their inner product is the score of the formula; files are those of pymilvus."""

from __future__ import annotations

import json
import math
import re
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus import CollectionSchema, DataType, MilvusClient, build_analyzer
from elanus.errors import MissingExtraError, ParamError
from elanus_embeddings import BM25EmbeddingFunction
from unwieldy import raises_short

CORPUS = [
    "Red kites hover over red fields.",
    "Black kites migrate.",
    "Owls sleep by day, and hunt by night; owls see well.",
    "The night is long.",
    "",
]
LETTERS = st.lists(st.sampled_from("abcdef"), max_size=8).map(" ".join)


def oracle(corpus, query, document, k1=1.5, b=0.75, epsilon=0.25):
    """The score, term by term, over texts of words with spaces between."""
    texts = [text.split() for text in corpus]
    average = sum(map(len, texts)) / len(texts)
    holding = Counter(term for text in texts for term in set(text))
    idf = {term: math.log((len(texts) - n + 0.5) / (n + 0.5)) for term, n in holding.items()}
    floor = epsilon * sum(idf.values()) / len(idf)
    score = 0.0
    terms = document.split()
    for term in query.split():
        f = terms.count(term)
        if term in idf and f:
            weight = idf[term] if idf[term] >= 0 else floor
            score += weight * f * (k1 + 1) / (f + k1 * (1 - b + b * len(terms) / average))
    return score


@given(
    corpus=st.lists(LETTERS, min_size=1, max_size=8).filter(any),
    texts=st.lists(LETTERS, min_size=1, max_size=4),
    query=LETTERS,
    k1=st.sampled_from([0.0, 0.9, 1.5]),
    b=st.sampled_from([0.0, 0.75, 1.0]),
    epsilon=st.sampled_from([0.0, 0.25]),
)
def test_the_inner_product_is_the_score_of_the_formula(corpus, texts, query, k1, b, epsilon):
    bm25 = BM25EmbeddingFunction(str.split, corpus, k1, b, epsilon)
    scores = (bm25.encode_documents(texts) @ bm25.encode_queries([query]).T).toarray()[:, 0]
    expected = [oracle(corpus, query, text, k1, b, epsilon) for text in texts]
    assert np.allclose(scores, expected, rtol=1e-5, atol=1e-5)


def test_terms_are_numbered_as_they_first_occur_and_unknown_ones_are_dropped():
    bm25 = BM25EmbeddingFunction(str.split, ["b a", "c b a", "d", "e", "f"])
    assert bm25.dim == 6
    matrix = bm25.encode_queries(["c zeppelin b", ""])
    assert (matrix.format, matrix.dtype, matrix.shape) == ("csr", np.float32, (2, 6))
    assert matrix.indices.tolist() == [0, 2]
    assert matrix.indptr.tolist() == [0, 2, 2]


@pytest.mark.parametrize("analyzer", [None, "english", {"type": "english"}, "object"])
def test_the_default_analyzer_is_the_english_one(analyzer):
    given = build_analyzer("english") if analyzer == "object" else analyzer
    bm25 = BM25EmbeddingFunction(given, CORPUS)
    assert bm25.encode_queries(["kite"]).nnz == bm25.encode_queries(["KITES"]).nnz == 1
    assert bm25.encode_queries(["the"]).nnz == 0
    assert bm25.name == BM25EmbeddingFunction(corpus=CORPUS).name


def test_queries_drop_what_the_analyzer_drops_from_queries():
    bm25 = BM25EmbeddingFunction("multilingual", ["the owl", "a kite", "b", "c", "d"])
    assert bm25.encode_documents(["the owl"]).nnz == 2
    assert bm25.encode_queries(["the owl"]).nnz == 1
    assert bm25.encode_queries(["the"]).nnz == 1


def test_another_analyzer_gives_other_terms_and_another_name():
    bm25 = BM25EmbeddingFunction("standard", CORPUS)
    assert bm25.encode_queries(["kite"]).nnz == 0
    assert bm25.encode_queries(["the"]).nnz == 1
    assert bm25.name != BM25EmbeddingFunction(corpus=CORPUS).name


def test_fitting_again_forgets_what_was_fitted_before():
    bm25 = BM25EmbeddingFunction(corpus=["glaciers flow"])
    bm25.fit(CORPUS)
    fresh = BM25EmbeddingFunction(corpus=CORPUS)
    assert bm25.name == fresh.name
    assert (bm25.encode_documents(CORPUS) != fresh.encode_documents(CORPUS)).nnz == 0


def test_what_was_saved_is_loaded(tmp_path):
    file = tmp_path / "bm25.json"
    fitted = BM25EmbeddingFunction(corpus=CORPUS, k1=1.2, b=0.5, epsilon=0.1)
    fitted.save(file)
    loaded = BM25EmbeddingFunction()
    loaded.load(str(file))
    assert (loaded.name, loaded.dim) == (fitted.name, fitted.dim)
    assert (loaded.k1, loaded.b, loaded.epsilon) == (1.2, 0.5, 0.1)
    for encode in ("encode_documents", "encode_queries"):
        pair = [getattr(each, encode)(CORPUS).toarray() for each in (fitted, loaded)]
        assert np.array_equal(*pair)


def test_the_file_has_the_keys_of_pymilvus(tmp_path):
    file = tmp_path / "bm25.json"
    BM25EmbeddingFunction(str.split, ["b a b", "a c"]).save(file)
    state = json.loads(file.read_text())
    assert state.pop("idf_value") == pytest.approx(
        # "a" is in both texts: its negative value gives way to a quarter of the mean.
        [0, 0.25 * math.log(0.5 / 2.5) / 3, 0]
    )
    assert state == {
        "version": "v1",
        "corpus_size": 2,
        "avgdl": 2.5,
        "idf_word": ["b", "a", "c"],
        "k1": 1.5,
        "b": 0.75,
        "epsilon": 0.25,
    }


def test_a_file_of_pymilvus_is_loaded(tmp_path):
    file = tmp_path / "theirs.json"
    state = {
        "version": "v1", "corpus_size": 4, "avgdl": 2.0, "idf_word": ["kite", "owl"],
        "idf_value": [0.5, 1.5], "k1": 1.0, "b": 0.5, "epsilon": 0.25,
    }  # fmt: skip
    file.write_text(json.dumps(state))
    bm25 = BM25EmbeddingFunction()
    bm25.load(file)
    assert bm25.encode_queries(["owls and kites"]).toarray().tolist() == [[0.5, 1.5]]
    # f = 1, l = 3 ("the" is a stop word, "by day" is not): 2 / (1 + (0.5 + 0.5 · 3 / 2))
    document = bm25.encode_documents(["the owl dives daily"]).toarray()
    assert document == pytest.approx(np.array([[0, 2 / 2.25]]))


def test_a_file_of_another_analyzer_is_refused(tmp_path):
    file = tmp_path / "bm25.json"
    BM25EmbeddingFunction("standard", CORPUS).save(file)
    with pytest.raises(ParamError, match="was made with analyzer"):
        BM25EmbeddingFunction("english").load(file)


STATE = {
    "version": "v1", "corpus_size": 4, "avgdl": 2.0, "idf_word": ["kite", "owl"],
    "idf_value": [0.5, -1.5], "k1": 1.0, "b": 0.5, "epsilon": 0.25,
}  # fmt: skip


def with_value(key, value):
    return json.dumps(STATE | {key: value})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("nonsense", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("9" * 5_000, "is no JSON"),
        ("[1]", "not of version v1"),
        ('{"version": "v2"}', "not of version v1"),
        (json.dumps({k: STATE[k] for k in STATE if k != "idf_value"}), "without ['idf_value']"),
        (with_value("idf_value", [1]), "differ in number: 2, 1"),
        (with_value("idf_value", {"a": 1}), "idf_value must be a list of numbers"),
        (with_value("idf_value", [1, "x"]), "idf_value[1] must be a number"),
        (with_value("idf_value", [math.nan, 1]), "idf_value[0] must be a number"),
        (with_value("idf_value", [1, -math.inf]), "idf_value[1] must be a number"),
        (with_value("idf_value", [1, 10**400]), "idf_value[1] must be a number"),
        (with_value("idf_value", [1, 1e300]), "idf_value[1] must be a number"),
        (with_value("idf_word", "ko"), "idf_word must be a list of words"),
        (with_value("idf_word", []), "idf_word must be a list of words"),
        (with_value("idf_word", ["kite", 1]), "idf_word[1] must be a string"),
        (with_value("idf_word", ["kite", ["owl"]]), "idf_word[1] must be a string"),
        (with_value("idf_word", ["kite", "kite"]), "idf_word[1] is the word of idf_word[0]"),
        (with_value("corpus_size", 0), "corpus_size must be an integer of at least 1"),
        (with_value("corpus_size", "4"), "corpus_size must be an integer"),
        (with_value("avgdl", 0), "avgdl must be a number from 0.25"),
        (with_value("avgdl", math.nan), "avgdl must be a number"),
        (with_value("k1", "1.5"), "k1 must be a number"),
        (with_value("k1", True), "k1 must be a number"),
        (with_value("k1", -1), "k1 must be a number from 0"),
        (with_value("b", 1.5), "b must be a number from 0 to 1"),
        (with_value("epsilon", math.inf), "epsilon must be a number"),
        (with_value("analyzer", ["standard"]), "was made with analyzer"),
    ],
)
def test_a_file_that_cannot_be_is_refused_and_changes_nothing(tmp_path, content, message):
    file = tmp_path / "bm25.json"
    file.write_text(content)
    bm25 = BM25EmbeddingFunction(corpus=CORPUS)
    before = (bm25.name, bm25.k1, bm25.b, bm25.epsilon, bm25.dim)
    vectors = bm25.encode_documents(CORPUS).toarray()
    with raises_short(ParamError, match=re.escape(message)) as caught:
        bm25.load(file)
    assert "bm25.json" in str(caught.value)
    assert (bm25.name, bm25.k1, bm25.b, bm25.epsilon, bm25.dim) == before
    assert np.array_equal(bm25.encode_documents(CORPUS).toarray(), vectors)


def test_a_file_of_the_largest_numbers_gives_finite_vectors(tmp_path):
    file = tmp_path / "bm25.json"
    file.write_text(
        json.dumps(
            STATE
            | {"k1": 1e30, "b": 1, "corpus_size": 2**63 - 1, "avgdl": 2**-62}
            | {"idf_value": [1e32, -1e32]}
        )
    )
    bm25 = BM25EmbeddingFunction()
    bm25.load(file)
    for encode in (bm25.encode_documents, bm25.encode_queries):
        assert np.isfinite(encode(["kite owl kite", ""]).toarray()).all()


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ParamError, match=r"none\.json.*No such file"):
        BM25EmbeddingFunction().load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("a\0b.json", "path 'a.x00b.json' holds a character that no path can hold"),
        ("\ud800", "no path can hold"), ("", "path must be that of a file"),
        (b"a.json", "path must be that of a file"),
    ],
    ids=["NUL", "surrogate", "empty", "bytes"],
)  # fmt: skip
def test_what_is_no_path_is_refused(path, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bm25 = BM25EmbeddingFunction(corpus=CORPUS)
    for call in (bm25.save, bm25.load):
        with pytest.raises(ParamError, match=said):
            call(path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_an_error_of_the_system(tmp_path):
    bm25 = BM25EmbeddingFunction(corpus=CORPUS)
    with pytest.raises(IsADirectoryError):
        bm25.save(tmp_path)
    with pytest.raises(FileNotFoundError):
        bm25.save(tmp_path / "none" / "a.json")


def test_without_statistics_nothing_is_encoded_or_saved(tmp_path):
    bm25 = BM25EmbeddingFunction()
    assert bm25.dim == 0
    for call in (bm25.encode_documents, bm25.encode_queries, lambda _: bm25.save(tmp_path / "x")):
        with pytest.raises(ParamError, match="call fit or load"):
            call(["a"])


@pytest.mark.parametrize("corpus", [[], ["", "  "], ["the of and"]])
def test_a_corpus_without_terms_is_refused(corpus):
    with pytest.raises(ParamError, match="hold no term"):
        BM25EmbeddingFunction(corpus=corpus)


@pytest.mark.parametrize("name", ["k1", "b", "epsilon"])
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, 10**400, "1", None, True])
def test_parameters_that_are_no_numbers_are_refused_by_name(name, value):
    with pytest.raises(ParamError, match=f"{name} must be a number from 0"):
        BM25EmbeddingFunction(**{name: value})


def test_a_length_matters_by_one_at_most():
    with pytest.raises(ParamError, match=r"b must be a number from 0 to 1, got 5\.0"):
        BM25EmbeddingFunction(b=5.0)


@pytest.mark.parametrize("analyzer", [7, ["english"], "no such analyzer"])
def test_an_analyzer_that_is_none_is_refused(analyzer):
    with pytest.raises(ParamError, match="analyzer"):
        BM25EmbeddingFunction(analyzer)


def test_a_missing_scipy_is_named_with_its_extra(monkeypatch):
    bm25 = BM25EmbeddingFunction(corpus=CORPUS)
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(MissingExtraError, match=r"elanus-embeddings\[bm25\]"):
        bm25.encode_documents(CORPUS)


def test_an_engine_ranks_as_the_formula_does():
    texts = ["a b", "a a b c", "c", "b b b a c d", "d e", "e"]
    bm25 = BM25EmbeddingFunction(str.split, texts)
    schema = CollectionSchema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("terms", DataType.SPARSE_FLOAT_VECTOR)
    with MilvusClient(":memory:") as client:
        indexes = client.prepare_index_params()
        indexes.add_index("terms", "SPARSE_INVERTED_INDEX", metric_type="IP")
        client.create_collection("c", schema=schema, index_params=indexes)
        matrix = bm25.encode_documents(texts)
        client.insert("c", [{"id": i, "terms": matrix[[i]]} for i in range(len(texts))])
        (hits,) = client.search("c", data=bm25.encode_queries(["d b"]), limit=9)
        assert client.verify() == []
    scores = {i: oracle(texts, "d b", text) for i, text in enumerate(texts)}
    expected = sorted((i for i in scores if scores[i] > 0), key=lambda i: -scores[i])
    assert [hit["id"] for hit in hits] == expected
    assert [hit["distance"] for hit in hits] == pytest.approx([scores[i] for i in expected])
