"""Texts that are longer than a model reads: embedded by their parts, and said once."""

from __future__ import annotations

import asyncio
import warnings

import numpy as np
import pytest

from elanus import EmbeddingFunction, LongTextWarning, SplittingEmbeddingFunction
from elanus.errors import DataNotMatchException, EmbeddingError, ParamError
from elanus_embeddings import CachedEmbeddingFunction

WORDS = [f"w{i}" for i in range(2000)]


class Reader:
    """Reads four words of a text; parts of four overlap by one. Each word has its own vector."""

    name, dim = "reader", 64

    def __init__(self, long_texts=None, *, unit=True):
        self.long_texts = long_texts
        self.unit = unit
        self.calls = []

    def vector(self, text):
        seeds = [hash_of(word) for word in text.split()[:4]]
        vector = np.sum([np.random.default_rng(seed).normal(size=64) for seed in seeds], axis=0)
        return vector / np.linalg.norm(vector) if self.unit else vector

    def encode_documents(self, texts):
        self.calls.append(list(texts))
        return np.array([self.vector(text) for text in texts], dtype=np.float32)

    encode_queries = encode_documents

    def split_documents(self, texts):
        return [self.parts(text) for text in texts]

    def parts(self, text):
        words = text.split()
        if len(words) <= 4:
            return [text]
        return [" ".join(words[i : i + 4]) for i in range(0, len(words) - 1, 3)]


def hash_of(word):
    return int(word[1:])


def words(count, start=0):
    return " ".join(WORDS[start : start + count])


def expected(reader, text):
    """In plain float64: the mean of the parts' vectors, of unit length if they are."""
    vectors = [reader.vector(part) for part in reader.parts(text)]
    mean = np.mean(vectors, axis=0)
    return mean / np.linalg.norm(mean) if reader.unit and len(vectors) > 1 else mean


def vectors_of(store, ids):
    return np.array([d.vector for d in store.get(ids, with_vectors=True)])


TEXTS = [words(3), words(30, 3), "", words(4, 50), words(5, 60), words(200, 100)]
IDS = list("abcdef")


def test_the_protocol_asks_for_two_members_more():
    assert isinstance(Reader(), SplittingEmbeddingFunction)
    assert isinstance(Reader(), EmbeddingFunction)


def test_a_function_without_them_is_no_splitting_one(embedding):
    assert isinstance(embedding, EmbeddingFunction)
    assert not isinstance(embedding, SplittingEmbeddingFunction)


@pytest.mark.parametrize("unit", [True, False])
def test_a_long_text_has_the_mean_of_its_parts(open_store, unit):
    reader = Reader("parts", unit=unit)
    store = open_store(embedding=reader)
    store.add(TEXTS, ids=IDS)
    vectors = vectors_of(store, IDS)
    assert not vectors[2].any()
    for vector, text in zip(vectors, TEXTS, strict=True):
        if text:
            assert np.abs(vector - expected(reader, text)).max() < 1e-6
    # Of a text that the model reads whole it is the model's vector, bit for bit.
    np.testing.assert_array_equal(vectors[[0, 3]], reader.encode_documents([TEXTS[0], TEXTS[3]]))


def test_what_is_said_late_in_a_long_text_is_found(open_store):
    store = open_store(embedding=Reader("parts"))
    store.add([words(40), words(40, 100)], ids=["a", "b"])
    cut = open_store(embedding=Reader("cut"))
    cut.add([words(40), words(40, 100)], ids=["a", "b"])
    late = words(4, 130)
    assert store.search(late, k=1, mode="dense")[0].id == "b"
    gain = store.search(late, k=2, mode="dense")[0].score
    assert gain > max(hit.score for hit in cut.search(late, k=2, mode="dense"))


def test_cut_gives_every_text_as_it_is_and_says_nothing(open_store):
    reader = Reader("cut")
    store = open_store(embedding=reader)
    store.add(TEXTS, ids=IDS)
    assert reader.calls == [[text for text in TEXTS if text]]
    np.testing.assert_array_equal(vectors_of(store, ["b"])[0], np.float32(reader.vector(TEXTS[1])))


def test_a_store_warns_once_with_the_number_of_long_texts(open_store):
    reader = Reader()
    store = open_store(embedding=reader)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.add(["w1 w2"], ids=["short"])
    with pytest.warns(LongTextWarning, match=r"^3 of 6 texts are longer than 'reader' reads") as w:
        store.add(TEXTS, ids=IDS)
    assert len(w) == 1
    assert w[0].filename == __file__
    assert "long_texts='parts'" in str(w[0].message)
    assert "long_texts='cut'" in str(w[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.add(TEXTS, ids=IDS)
    with pytest.warns(LongTextWarning, match="^1 of 1 texts"):
        open_store(embedding=reader).add([TEXTS[1]])
    with pytest.warns(LongTextWarning, match="^1 of 1 texts"):
        asyncio.run(open_store(embedding=reader).aadd([TEXTS[1]]))


def test_long_texts_are_counted_over_all_batches_of_a_call(open_store):
    store = open_store(embedding=Reader())
    texts = [words(2 if i % 3 else 10, i) for i in range(300)]
    with pytest.warns(LongTextWarning, match="^100 of 300 texts"):
        store.add(texts)


def test_parts_go_to_the_model_about_128_at_a_time(open_store):
    reader = Reader("parts")
    store = open_store(embedding=reader)
    texts = [words(1 + 13 * (i % 7), i) for i in range(200)] + [words(1500)]
    store.add(texts, ids=[f"n{i:03}" for i in range(201)])
    sizes = [len(call) for call in reader.calls]
    assert sizes[-1] == len(reader.parts(texts[-1])) == 500
    assert all(size <= 128 for size in sizes[:-1])
    vectors = vectors_of(store, [f"n{i:03}" for i in range(201)])
    wanted = np.array([expected(reader, text) for text in texts])
    assert np.abs(vectors - wanted).max() < 1e-6


def test_opposite_parts_of_unit_length_leave_the_vector_zero(open_store):
    class Opposite(Reader):
        def encode_documents(self, texts):
            signs = np.where(np.arange(len(texts)) % 2, -1, 1)
            return signs[:, np.newaxis] * np.eye(64, dtype=np.float32)[:1]

    store = open_store(embedding=Opposite("parts"))
    store.add([words(7)], ids=["a"])
    assert not vectors_of(store, ["a"]).any()


def test_an_error_names_the_text_of_the_part_and_keeps_the_texts_before(open_store):
    class Failing(Reader):
        def encode_documents(self, texts):
            bad = next((i for i, text in enumerate(texts) if "w777" in text), None)
            if bad is None:
                return super().encode_documents(texts)
            error = EmbeddingError("refused {texts}", range(len(texts)), fault=bad)
            error.made = super().encode_documents(texts[: bad - 1])
            error.blame(bad, "; it was {text}")
            raise error

    reader = Failing("parts")
    store = open_store(embedding=reader)
    texts = [words(2), "", words(30, 10), "", words(30, 770), words(3)]
    with pytest.raises(EmbeddingError, match=r"it was texts\[4\]; the id of texts\[4\] is 'e'$"):
        store.add(texts, ids=list("abcdef"))
    assert [d.id for d in store] == ["a", "b", "c", "d"]
    assert np.abs(vectors_of(store, ["c"])[0] - expected(reader, texts[2])).max() < 1e-6


@pytest.mark.parametrize(
    "parts",
    [
        None,
        "ab",
        [],
        [["a"]],
        [["a"], []],
        [["a"], "b"],
        [["a"], [1]],
        [["a"], [None]],
        {"a": 1},
        5,
    ],
)
def test_parts_that_are_none_are_refused_with_the_function_s_name(open_store, parts):
    reader = Reader()
    reader.split_documents = lambda _: parts
    store = open_store(embedding=reader)
    with pytest.raises(ParamError, match=r"'reader'\.split_documents must give a list of strings"):
        store.add(["a", "b"])
    assert reader.calls == []
    assert len(store) == 0


@pytest.mark.parametrize("value", ["whole", "", True, 1, [], {}, np.zeros(2)])
def test_a_way_with_long_texts_that_is_none_is_refused(open_store, value, tmp_path):
    with pytest.raises(ParamError, match="'reader': long_texts must be 'parts' or 'cut', got"):
        open_store(tmp_path / "kb.db", Reader(value))
    assert not list(tmp_path.iterdir())


def test_vectors_of_parts_are_checked_like_others(open_store):
    reader = Reader("parts")
    reader.encode_documents = lambda texts: np.ones((len(texts) + 1, 64))
    store = open_store(embedding=reader)
    with pytest.raises(DataNotMatchException, match=r"reader.encode_documents of 10 texts"):
        store.add([words(30)])


def test_a_file_whose_long_texts_were_cut_stays_usable(open_store, tmp_path):
    file = tmp_path / "kb.db"
    with open_store(file, Reader("cut")) as store:
        store.add([words(30), words(3, 50)], ids=["a", "b"])
    reader = Reader("parts")
    store = open_store(file, reader)
    assert store.search(words(4), k=1, mode="dense")[0].id == "a"
    store.add([words(30)], ids=["a"])  # added again it has the mean
    assert np.abs(vectors_of(store, ["a"])[0] - expected(reader, words(30))).max() < 1e-6


@pytest.mark.parametrize("made", [5, object(), ["x"], [[1.0]], np.ones((1, 3)), "text", [None]])
def test_vectors_that_are_none_do_not_hide_an_error(open_store, made):
    class Failing(Reader):
        def encode_documents(self, texts):
            error = EmbeddingError("no quota for {texts}", range(5, 5 + len(texts)))
            error.made = made
            raise error

    store = open_store(embedding=Failing("parts"))
    for add in (store.add, lambda *given: asyncio.run(store.aadd(*given))):
        with pytest.raises(EmbeddingError, match=r"^no quota for texts$") as caught:
            add(["a", "b"])
        assert caught.value.made is None
        assert store.count() == 0


def test_a_function_that_fails_to_split_is_an_embedding_error(open_store):
    class Failing(Reader):
        def split_documents(self, texts):
            if "w9" in texts:
                raise ConnectionError("no tokenizer")
            return super().split_documents(texts)

    texts = [*map(words, [3] * 128), "w8", " ", "w9"]
    for cached in (False, True):
        store = open_store()
        embedding = CachedEmbeddingFunction(Failing(), store) if cached else Failing()
        store = open_store(embedding=embedding)
        says = r"^'reader'\.split_documents failed with texts\[128\], texts\[130\]: ConnectionError: no"
        for add in (store.add, lambda *given, to=store, **ids: asyncio.run(to.aadd(*given, **ids))):
            with pytest.raises(EmbeddingError, match=says) as caught:
                add(texts, ids=[f"d{i}" for i in range(131)])
            assert str(caught.value).endswith("their ids: d128, d130")
            assert isinstance(caught.value.__cause__, ConnectionError)
            assert store.count() == 128  # those of the batch before
        with pytest.raises(EmbeddingError, match=r"split_documents failed with texts\[0:1\]"):
            store.sync("s", ["w9"])


@pytest.mark.parametrize("member", ["long_texts", "split_documents"])
def test_members_that_cannot_be_read_are_refused(open_store, tmp_path, member):
    def fails(_self):
        raise ConnectionError("no tokenizer")

    odd = type("Odd", (Reader,), {member: property(fails), "__init__": object.__init__})()
    with pytest.raises(ParamError, match=r"split_documents or long_texts cannot be read: .*no tok"):
        open_store(tmp_path / "kb.db", odd)
    assert not list(tmp_path.iterdir())
