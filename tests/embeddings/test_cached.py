"""The cache: no text is paid for twice, whatever fails, and the vectors are the function's own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from array import array

import apsw
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elanus import DocumentStore, MilvusClient
from elanus.errors import (
    ClosedError,
    DatabaseFullError,
    DataNotMatchException,
    ElanusError,
    EmbeddingError,
    EmbeddingMismatchError,
    ParamError,
    ReadOnlyError,
)
from elanus_embeddings import BM25EmbeddingFunction, CachedEmbeddingFunction

DIM = 5


def vector(name, kind, text):
    """What a model of a name makes of a text: any numbers that depend on all three."""
    seed = list(f"{name}/{kind}/{text}".encode())
    return np.random.default_rng(seed).normal(size=DIM).astype(np.float32)


class Counting:
    """An embedding function that notes what it was asked, and can fail."""

    dim = DIM

    def __init__(self, name="model", fail_at=None):
        self.name, self.asked, self.fail_at = name, [], fail_at

    def _encode(self, texts, kind):
        if self.fail_at in texts:
            raise ConnectionError("no more credit")
        self.asked += [(kind, text) for text in texts]
        return np.array([vector(self.name, kind, text) for text in texts])

    def encode_documents(self, texts):
        return self._encode(texts, "document")

    def encode_queries(self, texts):
        return self._encode(texts, "query")

    __call__ = encode_documents


class Awaitable(Counting):
    """The same with coroutines of its own, and without calls that block."""

    async def aencode_documents(self, texts):
        await asyncio.sleep(0)
        return self._encode(texts, "document")

    async def aencode_queries(self, texts):
        await asyncio.sleep(0)
        return self._encode(texts, "query")

    def _block(self, texts):
        raise AssertionError(f"the event loop would wait for {texts}")

    encode_documents = encode_queries = _block


@pytest.fixture
def file(tmp_path):
    """A file, sound when the test is over."""
    path = tmp_path / "kb.db"
    yield path
    with MilvusClient(path) as client:
        assert client.verify() == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["document", "query"]), st.lists(st.sampled_from("abcdefg"), max_size=9)
        ),
        max_size=6,
    ),
    st.integers(1, 4),
)
def test_every_answer_is_the_functions_own_and_every_text_is_asked_once(calls, batch_size):
    inner = Counting()
    with CachedEmbeddingFunction(inner, ":memory:", batch_size=batch_size) as cached:
        for kind, texts in calls:
            encode = cached.encode_queries if kind == "query" else cached.encode_documents
            expected = [vector("model", kind, text) for text in texts]
            found = encode(texts)
            assert found.shape == (len(texts), DIM)
            assert np.array_equal(found, np.reshape(expected, (-1, DIM)).astype(np.float32))
    assert len(inner.asked) == len(set(inner.asked))
    assert set(inner.asked) == {(kind, text) for kind, texts in calls for text in texts}


def test_what_was_computed_is_there_after_reopening(file):
    with CachedEmbeddingFunction(Counting(), file) as cached:
        first = cached.encode_documents(["a", "b", "a"])
    again = Counting()
    with CachedEmbeddingFunction(again, str(file)) as cached:
        assert np.array_equal(cached.encode_documents(["b", "a"]), first[[1, 0]])
    assert again.asked == []


def test_only_new_texts_are_asked_for_in_their_order_each_once(file):
    inner = Counting()
    with CachedEmbeddingFunction(inner, file) as cached:
        cached.encode_documents(["b"])
        cached.encode_documents(["c", "b", "a", "c"])
    assert inner.asked == [("document", text) for text in ["b", "c", "a"]]


def test_documents_and_queries_are_kept_apart(file):
    inner = Counting()
    with CachedEmbeddingFunction(inner, file) as cached:
        assert not np.array_equal(cached.encode_documents(["a"]), cached.encode_queries(["a"]))
    assert inner.asked == [("document", "a"), ("query", "a")]


def test_models_are_kept_apart_by_their_names(file):
    one, other = Counting("one"), Counting("other")
    with CachedEmbeddingFunction(one, file) as a, CachedEmbeddingFunction(other, file) as b:
        assert not np.array_equal(a(["text"]), b(["text"]))
        assert np.array_equal(a(["text"])[0], vector("one", "document", "text"))
    assert len(one.asked) == len(other.asked) == 1


def test_a_failure_keeps_what_was_computed_before_it(file):
    failing = Counting(fail_at="d")
    with CachedEmbeddingFunction(failing, file, batch_size=1) as cached:
        with pytest.raises(ConnectionError, match="no more credit"):
            cached.encode_documents(["a", "b", "c", "d", "e"])
        failing.fail_at = None
        cached.encode_documents(["a", "b", "c", "d", "e"])
    assert failing.asked == [("document", text) for text in "abcde"]


def test_a_failed_insert_into_the_store_keeps_the_vectors(file, monkeypatch):
    inner = Counting()
    with MilvusClient(file) as client:
        store = DocumentStore(client=client, embedding=CachedEmbeddingFunction(inner, client))
        upsert = client.upsert

        def disk_full(collection, rows):
            if collection == "documents":
                raise DatabaseFullError("the disk is full")
            return upsert(collection, rows)

        monkeypatch.setattr(client, "upsert", disk_full)
        with pytest.raises(DatabaseFullError):
            store.add(["a", "b"])
        monkeypatch.undo()
        store.add(["a", "b", "c"])
        assert store.count() == 3
    assert inner.asked == [("document", text) for text in "abc"]


def test_a_cache_that_cannot_be_written_says_so(file):
    with CachedEmbeddingFunction(Counting(), file) as cached:
        cached(["a"])
    with MilvusClient(file, read_only=True) as client:
        cached = CachedEmbeddingFunction(Counting(), client)
        assert np.array_equal(cached(["a"])[0], vector("model", "document", "a"))
        with pytest.raises(ReadOnlyError):
            cached(["b"])


def test_a_cache_that_is_read_only_or_closed_pays_for_nothing(file):
    inner = Counting()
    with CachedEmbeddingFunction(inner, file) as cached:
        cached(["a"])
    with pytest.raises(ClosedError):
        cached(["b"])
    with MilvusClient(file, read_only=True) as client:
        cached = CachedEmbeddingFunction(inner, client)
        assert np.array_equal(cached(["a"])[0], vector("model", "document", "a"))
        for ask in (
            cached.encode_documents,
            lambda texts: asyncio.run(cached.aencode_documents(texts)),
        ):
            with pytest.raises(ReadOnlyError):
                ask(["a", "b"])
    assert inner.asked == [("document", "a")]


@pytest.mark.parametrize("name", ["my cache", "a-b", "1a", "\0", "x" * 239])
def test_a_name_that_no_collection_can_have_is_refused_at_once(file, name):
    with pytest.raises(ParamError, match="collection must be at most 238 letters, digits and"):
        CachedEmbeddingFunction(Counting(), file, collection=name)
    with CachedEmbeddingFunction(Counting(), file, collection="x" * 238) as cached:
        cached(["a"])


def test_a_dim_that_cannot_be_read_is_our_error(file):
    class Failing(Counting):
        @property
        def dim(self):
            raise RuntimeError("the model is gone")

    inner = Failing()
    with CachedEmbeddingFunction(inner, file) as cached:
        for use in (lambda: cached.dim, lambda: cached(["a"])):
            with pytest.raises(EmbeddingError, match=r"its dim cannot be read: .*is gone"):
                use()
    assert inner.asked == []

    class Nameless:
        encode_documents = encode_queries = Counting.encode_documents
        name = Failing.dim

    with pytest.raises(ParamError, match=r"its name cannot be read: .*is gone"):
        CachedEmbeddingFunction(Nameless(), file)


def test_a_store_and_its_cache_share_one_file(file):
    inner = Counting()
    for _ in range(2):
        with (
            CachedEmbeddingFunction(inner, file) as cached,
            DocumentStore(file, embedding=cached) as store,
        ):
            store.add(["ice", "bread"], ids=["i", "b"])
            assert len(store.search("ice", k=2)) == 2
            assert store.verify() == []
    assert sorted(inner.asked) == [("document", "bread"), ("document", "ice"), ("query", "ice")]


def test_a_store_or_client_given_is_used_and_not_closed(file):
    with DocumentStore(file) as store:
        with CachedEmbeddingFunction(Counting(), store) as cached:
            cached(["a"])
        assert store.count() == 0
        with CachedEmbeddingFunction(Counting(), store.client) as cached:
            cached(["a"])
        assert len(store.client.list_collections()) == 2


def test_dim_of_what_is_cached_is_known_without_the_function(file):
    class Undecided(Counting):
        @property
        def dim(self):
            return 7 if self.asked else 99

    inner = Undecided()
    with CachedEmbeddingFunction(Counting(), file) as cached:
        cached(["a"])
    with CachedEmbeddingFunction(inner, file) as cached:
        assert cached.dim == DIM
        assert cached([]).shape == (0, DIM)
    assert (cached.name, cached.inner) == ("model", inner)


def test_a_function_that_learns_its_dim_from_the_first_answer_can_be_cached(file):
    class Learning(Counting):
        @property
        def dim(self):
            raise ParamError("not known yet")

    with CachedEmbeddingFunction(Learning(), file) as cached:
        with pytest.raises(ParamError, match="not known yet"):
            _ = cached.dim
        cached(["a"])
        assert cached.dim == DIM


def test_clear_forgets_this_model_only(file):
    one, other = Counting("one"), Counting("other")
    with CachedEmbeddingFunction(one, file) as a, CachedEmbeddingFunction(other, file) as b:
        a(["text"])
        b(["text"])
        a.clear()
        a.clear()
        a(["text"])
        b(["text"])
    assert (len(one.asked), len(other.asked)) == (2, 1)


@pytest.mark.parametrize("sort", [Counting, Awaitable])
def test_coroutines_give_what_the_calls_give_and_ask_once(file, sort):
    inner = sort()

    async def encode():
        documents = await cached.aencode_documents(["a", "b", "a"])
        return documents, await cached.aencode_queries(["a"])

    with CachedEmbeddingFunction(inner, file, batch_size=1) as cached:
        for _ in range(2):
            documents, queries = asyncio.run(encode())
            expected = [vector("model", "document", text) for text in "aba"]
            assert np.array_equal(documents, expected)
            assert np.array_equal(queries[0], vector("model", "query", "a"))
    assert inner.asked == [("document", "a"), ("document", "b"), ("query", "a")]


def test_processes_share_one_file(file):
    code = f"""
import numpy as np
from elanus_embeddings import CachedEmbeddingFunction
class Inner:
    name, dim, asked = "model", 3, 0
    def encode_documents(self, texts):
        self.asked += len(texts)
        return np.array([[len(t), ord(t[0]), 1] for t in texts], np.float32)
    encode_queries = __call__ = encode_documents
inner = Inner()
texts = [chr(97 + i % 26) * (1 + i // 26) for i in range(200)]
with CachedEmbeddingFunction(inner, {str(file)!r}, batch_size=10) as cached:
    assert (cached.encode_documents(texts) == inner.encode_documents(texts)).all()
print(inner.asked - 200)
"""
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    asked = [int(process.communicate(timeout=60)[0]) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert all(count <= 200 for count in asked)
    last = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(last.stdout) == 0


@pytest.mark.parametrize(
    "answer", [np.zeros((1, DIM)), np.zeros(2), np.zeros((2, 0)), [[1.0], [2.0], [3.0]]]
)
def test_an_answer_of_another_shape_is_refused_and_not_kept(file, answer):
    inner = Counting()
    inner.encode_documents = lambda _: answer
    with CachedEmbeddingFunction(inner, file) as cached:
        with pytest.raises(DataNotMatchException, match="one dense vector a text can be cached"):
            cached.encode_documents(["a", "b"])
        assert cached._client.list_collections() == []


def test_an_array_of_numbers_is_a_vector_and_bytes_are_none(file):
    inner = Counting()
    inner.encode_documents = lambda _: [array("f", [1, 2, 3, 4, 5])]
    with CachedEmbeddingFunction(inner, file) as cached:
        assert cached(["a"]).tolist() == [[1.0, 2.0, 3.0, 4.0, 5.0]]
        inner.encode_documents = lambda _: [bytearray(b"abcde")]
        with pytest.raises(DataNotMatchException, match=r"bytearray\(b'abcde'\) for texts\[0\]"):
            cached(["b"])


def test_an_answer_that_is_no_number_is_refused_and_not_kept(file):
    inner = Counting()
    inner.encode_documents = lambda texts: np.full((len(texts), DIM), np.nan)
    with CachedEmbeddingFunction(inner, file) as cached:
        with pytest.raises(DataNotMatchException):
            cached.encode_documents(["a"])
        del inner.encode_documents
        assert np.array_equal(cached(["a"])[0], vector("model", "document", "a"))


def test_a_model_of_one_name_and_two_widths_is_refused(file):
    inner = Counting()
    with CachedEmbeddingFunction(inner, file) as cached:
        cached(["a"])
        inner.encode_documents = lambda texts: np.ones((len(texts), DIM + 1))
        with pytest.raises(ElanusError):
            cached(["b"])


def test_sparse_vectors_cannot_be_cached(file):
    sparse = BM25EmbeddingFunction(corpus=["ice moves", "bread"])
    with (
        CachedEmbeddingFunction(sparse, file) as cached,
        pytest.raises(DataNotMatchException, match="one dense vector a text can be cached"),
    ):
        cached(["ice"])


@pytest.mark.parametrize("inner", [None, "model", object()])
def test_something_that_is_no_embedding_function_is_refused(inner):
    with pytest.raises(ParamError, match="needs encode_documents, encode_queries"):
        CachedEmbeddingFunction(inner, ":memory:")


def test_a_batch_size_below_one_is_refused():
    with pytest.raises(ParamError, match="batch_size must be a whole number of at least 1"):
        CachedEmbeddingFunction(Counting(), ":memory:", batch_size=0)


def test_vectors_that_another_model_left_under_the_name_are_refused(tmp_path):
    class Model:
        name = "a model"

        def __init__(self, dim):
            self.dim = dim

        def encode_documents(self, texts):
            return np.ones((len(texts), self.dim), dtype=np.float32)

        encode_queries = encode_documents

    with CachedEmbeddingFunction(Model(4), tmp_path / "a.db") as first:
        assert first.encode_documents(["a"]).shape == (1, 4)
    with (
        CachedEmbeddingFunction(Model(5), tmp_path / "a.db") as second,
        pytest.raises(EmbeddingMismatchError, match="vectors of 4 d under the name 'a model'"),
    ):
        second.encode_documents(["a"])


def damage(file, change):
    """Change every BLOB of the cache that may hold a vector or a row."""
    with apsw.Connection(str(file)) as db:
        for (table,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall():
            columns = [row[1] for row in db.execute(f"PRAGMA table_info('{table}')")]
            for column in columns:
                if change(db, table, column):
                    return
    raise AssertionError("nothing was changed")


@pytest.mark.parametrize("bit", [0, 7, 8 * 4 * DIM - 1])
def test_a_damaged_vector_is_computed_again(file, bit):
    inner = Counting()
    with CachedEmbeddingFunction(inner, file) as cached:
        cached(["a", "b", "c"])
    good = vector("model", "document", "b").tobytes()
    bad = bytearray(good)
    bad[bit // 8] ^= 1 << bit % 8

    def flip(db, table, column):
        where = f"typeof({column}) = 'blob' AND instr({column}, ?) > 0"
        rows = db.execute(f"SELECT rowid, {column} FROM {table} WHERE {where}", (good,)).fetchall()
        for row, content in rows:
            changed = content.replace(good, bytes(bad))
            db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (changed, row))
        return bool(rows)

    damage(file, flip)
    for _ in range(2):
        with CachedEmbeddingFunction(inner, file) as cached:
            expected = [vector("model", "document", text) for text in "abc"]
            assert np.array_equal(cached(["a", "b", "c"]), expected)
    assert inner.asked == [("document", text) for text in "abcb"]


def test_a_row_that_cannot_be_read_is_computed_again(file):
    inner = Counting()
    texts = [f"text {i}" for i in range(40)]
    with CachedEmbeddingFunction(inner, file) as cached:
        cached(texts)

    def spoil(db, table, column):
        if not table.endswith("_rows") or column != "data":
            return False
        db.execute(f"UPDATE {table} SET data = x'67617262616765' WHERE rowid % 13 = 0")
        return True

    damage(file, spoil)
    for _ in range(2):
        with CachedEmbeddingFunction(inner, file) as cached:
            expected = [vector("model", "document", text) for text in texts]
            assert np.array_equal(cached(texts), expected)
    assert len(inner.asked) == 43


def test_a_vector_under_the_key_of_another_text_is_computed_again(file):
    inner = Counting()
    with CachedEmbeddingFunction(inner, file) as cached:
        cached(["a", "b"])
        (name,) = cached._client.list_collections()
        first, second = cached._client.query(name, "key != ''")
        swapped = [{**first, "key": second["key"]}, {**second, "key": first["key"]}]
        cached._client.upsert(name, swapped)
        assert np.array_equal(cached(["a"])[0], vector("model", "document", "a"))
    assert inner.asked == [("document", text) for text in "aba"]


class Learning(Counting):
    """A model that knows its dimension from its first answer only."""

    def __init__(self, dim):
        super().__init__()
        self.width = dim

    @property
    def dim(self):
        raise ParamError("not known yet")

    def _encode(self, texts, kind):
        super()._encode(texts, kind)
        return np.ones((len(texts), self.width), np.float32)


def test_one_reply_of_another_length_than_the_model_says_is_refused_and_not_kept(file):
    class Counts(Counting):
        width = DIM

        def _encode(self, texts, kind):
            return super()._encode(texts, kind)[:, : self.width]

    inner = Counts()
    with CachedEmbeddingFunction(inner, file) as cached:
        inner.width = 1
        with pytest.raises(DataNotMatchException, match=rf"1 d for texts\[0\].* it gives {DIM}"):
            cached(["a"])
        inner.width = DIM
        assert cached(["a", "b"]).shape == (2, DIM)
        inner.width = 1
        with pytest.raises(DataNotMatchException, match=r"1 d for texts\[1\]"):
            cached(["a", "c"])


def test_a_model_that_changed_its_dimension_is_told_so_and_can_begin_anew(file):
    with CachedEmbeddingFunction(Learning(4), file) as cached:
        cached(["a"])
    with CachedEmbeddingFunction(Learning(5), file) as cached:
        with pytest.raises(EmbeddingMismatchError, match=r"vectors of 4 d .* gives 5: .*clear\(\)"):
            cached(["b"])
        cached.clear()
        assert cached(["a", "b"]).shape == (2, 5)


def test_a_collection_of_that_name_that_is_no_cache_is_named(file):
    with MilvusClient(file) as client:
        cached = CachedEmbeddingFunction(Counting(), client)
        client.create_collection(cached._collection, dimension=DIM)
        with pytest.raises(ParamError, match=f"{cached._collection!r} is no cache of vectors"):
            cached(["a"])


@pytest.mark.parametrize("call", ["get", "upsert", "describe_collection"])
def test_a_cache_that_is_cleared_between_two_steps_of_a_call_goes_on(file, monkeypatch, call):
    with MilvusClient(file) as client:
        cached = CachedEmbeddingFunction(Counting(), client)
        cached(["a"])
        usual, left = getattr(client, call), [2]

        def cleared(*args, **options):
            if left[0] and args[0] == cached._collection:
                left[0] -= 1
                cached.clear()
            return usual(*args, **options)

        monkeypatch.setattr(client, call, cleared)
        expected = [vector("model", "document", text) for text in "abc"]
        assert np.array_equal(cached(["a", "b", "c"]), expected)
        assert cached.dim == DIM
        assert left == [0] or call == "get"


def test_clearing_all_the_time_disturbs_no_encoding(file):
    texts = [f"text {i}" for i in range(20)]
    expected = [vector("model", "document", text) for text in texts]
    over, failed = threading.Event(), []
    with CachedEmbeddingFunction(Counting(), file, batch_size=3) as cached:

        def clear():
            while not over.is_set():
                cached.clear()

        def encode():
            for _ in range(10):
                try:
                    assert np.array_equal(cached.encode_documents(texts), expected)
                except (ElanusError, AssertionError) as error:
                    failed.append(error)

        clearing, *encoding = [threading.Thread(target=t) for t in (clear, encode, encode)]
        for thread in (clearing, *encoding):
            thread.start()
        for thread in encoding:
            thread.join()
        over.set()
        clearing.join()
    assert failed == []


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[0.5] * DIM, [True] + [0.5] * (DIM - 1)], r"True as number 0 for texts\[3\]"),
        ([[0.5] * DIM, ["0.5"] * DIM], r"'0.5' as number 0 for texts\[3\]"),
        ([[0.5] * DIM, [0.5] * (DIM - 1) + [None]], r"None as number 4 for texts\[3\]"),
        ([[0.5] * DIM, [0.5] * 2], r"2 numbers instead of 5 for texts\[3\]"),
        (np.ma.masked_array(np.ones((2, DIM)), mask=np.eye(2, DIM)), "masked"),
        (np.ones((2, DIM), dtype=bool), "True_? as number 0"),
    ],
)
def test_what_is_no_vector_is_named_by_the_callers_place_and_not_kept(file, rows, said):
    inner = Counting()
    with CachedEmbeddingFunction(inner, file) as cached:
        cached(["known", "x"])
        inner.encode_documents = lambda _: rows
        with pytest.raises(DataNotMatchException, match=said):
            cached(["new", "known", "new", "newer"])


@pytest.mark.parametrize("made", [5, ["x"], [[1.0, 2.0], [None]], np.ones(2), "text"])
def test_vectors_that_are_none_do_not_hide_an_error(made):
    class Failing:
        name, dim = "failing", 2

        def encode_documents(self, texts):
            error = EmbeddingError("no quota for {texts}", range(5, 5 + len(texts)))
            error.made = made
            raise error

        encode_queries = encode_documents

    with (
        CachedEmbeddingFunction(Failing(), ":memory:") as cache,
        pytest.raises(EmbeddingError, match=r"^no quota for texts$"),
    ):
        cache.encode_documents(["a", "b"])
