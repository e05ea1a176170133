"""LangChain's byte store in the documents' file: its standard suite, and a restart."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.stores import ByteStore, InMemoryByteStore
from langchain_tests.integration_tests.base_store import BaseStoreAsyncTests, BaseStoreSyncTests

from elanus import KeyValueStore, ParamError
from elanus.errors import ClosedError, ReadOnlyError
from langchain_elanus import ElanusByteStore, ElanusVectorStore
from unwieldy import VALUES, raises_short

VALUES_OF_THE_SUITE = (b"", b"\x00\xff", '{"page_content": "é"}'.encode())


class TestStandard(BaseStoreSyncTests[bytes]):
    @pytest.fixture
    def three_values(self):
        return VALUES_OF_THE_SUITE

    @pytest.fixture
    def kv_store(self, store):
        return ElanusByteStore(store)


class TestStandardAsync(BaseStoreAsyncTests[bytes]):
    @pytest.fixture
    def three_values(self):
        return VALUES_OF_THE_SUITE

    @pytest.fixture
    async def kv_store(self, store):
        return ElanusByteStore(store)


KEYS = st.lists(st.sampled_from(["", "a", "ab", "a%", "b"]), max_size=4)
PAIRS = st.lists(
    st.tuples(st.sampled_from(["", "a", "ab", "a%"]), st.binary(max_size=9)), max_size=4
)
CALLS = st.one_of(
    st.tuples(st.just("mset"), PAIRS), st.tuples(st.sampled_from(["mget", "mdelete"]), KEYS)
)


@settings(max_examples=25)
@given(calls=st.lists(CALLS, max_size=8), prefix=st.sampled_from([None, "", "a", "a%", "c"]))
def test_any_calls_give_what_langchains_in_memory_store_gives(calls, prefix):
    oracle = InMemoryByteStore()
    with ElanusByteStore(":memory:") as ours:
        for name, argument in calls:
            assert getattr(ours, name)(argument) == getattr(oracle, name)(argument)
        assert list(ours.yield_keys(prefix=prefix)) == sorted(oracle.yield_keys(prefix=prefix))


def test_every_method_is_there_and_ours():
    calls = {"mget", "mset", "mdelete", "yield_keys", "amget", "amset", "amdelete", "ayield_keys"}
    assert {name for name in vars(ByteStore.__origin__) if name[0] != "_"} == calls
    assert calls <= vars(ElanusByteStore).keys()


WRITER = """
import sys
from langchain_elanus import ElanusByteStore, ElanusVectorStore
with ElanusVectorStore(None, uri=sys.argv[1], mode="text") as store:
    parents = ElanusByteStore(store)
    parents.mset([("birds", b"Kites soar. Owls hunt."), ("\\u00e9\\x00", bytes(range(256)))])
    store.add_texts(["Kites soar.", "Owls hunt."], [{"doc_id": "birds"}] * 2)
"""


def test_parents_are_found_by_their_children_after_a_restart_with_one_file(tmp_path):
    file = tmp_path / "kb.db"
    subprocess.run([sys.executable, "-c", WRITER, file], check=True)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["kb.db"]
    with ElanusVectorStore(None, uri=file, mode="text", read_only=True) as store:
        parents = ElanusByteStore(store)
        (child,) = store.similarity_search("owls", k=1)
        assert parents.mget([child.metadata["doc_id"]]) == [b"Kites soar. Owls hunt."]
        assert parents.mget(["é\x00", "é"]) == [bytes(range(256)), None]
        with pytest.raises(ReadOnlyError):
            parents.mset([("birds", b"")])
        assert store.client.verify() == []


def test_what_is_open_stays_open_and_a_path_is_closed(tmp_path, store):
    for opened in (store, store.store, store.client):
        with ElanusByteStore(opened, collection_name="x") as beside:
            beside.mset([("a", b"1")])
        assert beside.mget(["a"]) == [b"1"]
    with ElanusByteStore(Path(tmp_path / "kb.db"), durability="normal") as alone:
        alone.mset([("a", b"1")])
    for call in (lambda: alone.mget(["a"]), lambda: alone.mset([("a", b"")]), alone.yield_keys):
        with pytest.raises(ClosedError):
            call()
    store.close()
    with pytest.raises(ClosedError):
        beside.mget(["a"])


def test_what_cannot_be_kept_is_refused_by_key_and_nothing_is_written(store):
    parents = ElanusByteStore(store)
    parents.mset([("a", b"old")])
    for wrong, said in [
        (
            [("a", b"new"), ("b", bytes(3 * 2**26 + 1))],
            "of at most 201,326,592 bytes, and it has 201,326,593",
        ),
        ([("a", b"new"), ("b", "text")], "value of key 'b' must be bytes, got 'text'"),
        ([("a", b"new"), ("b", None)], "value of key 'b' must be bytes, got None"),
        ([("a", b"new"), (1, b"")], "key must be a string, got 1"),
        ([("a", b"new"), ([], b"")], "key must be a string, got"),
        ([("a", b"new"), ("é" * 40_000, b"")], "key has 80,000 bytes, more than the 65,535"),
        ([("a", b"new"), "ab"], r"key_value_pairs\[1\] must be a pair of a key and its bytes"),
        ([("a", b"new"), ("b", b"", 1)], r"key_value_pairs\[1\] must be a pair"),
        ({"a": b"new"}, "key_value_pairs must be a list of pairs"),
        ("ab", "key_value_pairs must be a list of pairs"),
    ]:
        with raises_short(ParamError, match=said):
            parents.mset(wrong)
    assert parents.mget(["a", "b"]) == [b"old", None]
    for call in (parents.mget, parents.mdelete):
        with raises_short(ParamError, match="keys must be a list of names"):
            call("ab")


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_an_argument_of_another_type_is_refused_in_short(store, value):
    if not isinstance(value, str):
        with raises_short(ParamError, match="store must be an ElanusVectorStore"):
            ElanusByteStore(value)
        with raises_short(ParamError, match="collection"):
            ElanusByteStore(store, collection_name=value)
        with raises_short(ParamError, match="prefix must be a string"):
            ElanusByteStore(store).yield_keys(prefix=value)
    with raises_short(ParamError, match="key_value_pairs"):
        ElanusByteStore(store).mset([value])


def test_a_collection_of_something_else_is_refused(store):
    store.add_texts(["Kites soar."])
    with pytest.raises(ParamError, match="collection 'langchain' has the fields id, text"):
        ElanusByteStore(store, collection_name="langchain")
    KeyValueStore(client=store.client, collection="words").put({"a": "no base64!", "b": "é"})
    words = ElanusByteStore(store, collection_name="words")
    for key in "ab":
        with pytest.raises(ParamError, match=f"key '{key}' of collection 'words' holds no bytes"):
            words.mget([key])
    with pytest.raises(ParamError, match="read_only"):
        ElanusByteStore(store, read_only=True)


def test_like_an_open_vector_store_it_is_not_pickled(store):
    for opened in (store, ElanusByteStore(store)):
        with pytest.raises(TypeError, match=r"cannot be pickled.*open :memory: again"):
            pickle.dumps(opened)
