"""Texts by key do what a dict does, in the documents' own file, for any number of processes."""

from __future__ import annotations

import inspect
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus import DataType, DocumentStore, KeyValueStore, MilvusClient, ParamError
from elanus.documents import _keyed
from elanus.errors import ClosedError, ReadOnlyError, UnsupportedError
from unwieldy import VALUES, raises_short

KEYS = ["", "a", "a%", "a_", "a\\", "ab", "A", "a\x00b", "é", "e\u0301", "'\"", "𝔘", "%", "_"]
SOME_KEYS = st.lists(st.sampled_from(KEYS) | st.text(max_size=3), max_size=4)
TEXTS = st.text(max_size=20)
CALLS = st.one_of(
    st.tuples(st.just("put"), st.dictionaries(st.sampled_from(KEYS), TEXTS, max_size=4)),
    st.tuples(st.sampled_from(["get", "delete"]), SOME_KEYS),
    st.tuples(st.just("prefix"), st.sampled_from(KEYS)),
)


@pytest.fixture
def values():
    with KeyValueStore(":memory:") as opened:
        yield opened
        assert opened.client.verify() == []


@settings(max_examples=25)
@given(calls=st.lists(CALLS, max_size=12))
def test_any_calls_give_what_a_dict_gives(calls):
    oracle = {}
    with MilvusClient(":memory:") as client:
        other = KeyValueStore(client=client, collection="other")
        other.put({"a": "of another"})
        values = KeyValueStore(client=client)
        for name, argument in calls:
            if name == "put":
                values.put(argument)
                oracle |= argument
            elif name == "get":
                assert values.get(argument) == [oracle.get(key) for key in argument]
            elif name == "delete":
                there = oracle.keys() & set(argument)
                assert values.delete(argument) == len(there)
                oracle = {key: value for key, value in oracle.items() if key not in there}
            else:
                expected = {key: v for key, v in oracle.items() if key.startswith(argument)}
                assert values.items(argument) == expected
                assert values.keys(argument) == list(values.items(argument)) == sorted(expected)
        assert values.keys() == sorted(oracle)
        assert other.items() == {"a": "of another"}
        assert client.verify() == []


async def test_every_call_has_a_coroutine_that_does_the_same(values):
    await values.aput({"a": "1", "b": "2"})
    assert await values.aget(["b", "z"]) == values.get(["b", "z"]) == ["2", None]
    assert await values.akeys("a") == ["a"]
    assert await values.aitems() == {"a": "1", "b": "2"}
    assert await values.adelete(["a", "z"]) == 1
    calls = {n for n, v in vars(KeyValueStore).items() if n[0] != "_" and inspect.isfunction(v)}
    assert calls == {
        f"{a}{n}" for a in ("", "a") for n in (*["put", "get", "delete", "keys", "items", "close"],)
    }
    other = KeyValueStore(":memory:")
    await other.aclose()
    with pytest.raises(ClosedError, match=":memory: is closed"):
        other.keys()


def test_values_stay_beside_the_documents_of_a_file(tmp_path):
    file = tmp_path / "kb.db"
    with DocumentStore(file) as store:
        store.add(["Kites hover."], ids=["kite"])
        values = KeyValueStore(client=store.client, collection="wholes")
        values.put({"kite": "Kites hover, and then they dive.", "n\x00ul": "\x00"})
        values.close()  # the store's client stays open
        assert store.get(["kite"])[0].text == "Kites hover."
        assert store.verify() == []
    with KeyValueStore(file, "wholes", read_only=True) as again:
        assert again.get(["kite", "n\x00ul"]) == ["Kites hover, and then they dive.", "\x00"]
        with pytest.raises(ReadOnlyError):
            again.put({"kite": "!"})
        with pytest.raises(ReadOnlyError):
            again.delete(["kite"])


def test_reading_makes_nothing(tmp_path):
    file = tmp_path / "kb.db"
    MilvusClient(file).close()
    with KeyValueStore(file, read_only=True) as values:
        assert values.get(["a"]) == [None]
        assert values.delete(["a"]) == 0
        assert values.items() == {}
        assert values.client.list_collections() == []
    with KeyValueStore(file) as values:
        values.put({})
        assert values.client.list_collections() == []


def test_keys_without_an_order_are_refused():
    with KeyValueStore(":memory:") as values:
        for keys in ({"a", "b"}, frozenset({"a"}), set()):
            with pytest.raises(ParamError, match="keys must be a list, whose order the values"):
                values.get(keys)
        values.put({"a": "1", "b": "2"})
        assert values.get(("b", "a", "b")) == ["2", "1", "2"]
        assert values.delete({"a", "b"}) == 2


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ((DataType.INT64, {}), (DataType.VARCHAR, {}), "'key' .* it is of type INT64;"),
        ((DataType.VARCHAR, {}), (DataType.JSON, {}), "'value' .* it is of type JSON;"),
        ((DataType.VARCHAR, {}), (DataType.INT64, {}), "'value' .* it is of type INT64;"),
        (
            (DataType.VARCHAR, {}),
            (DataType.VARCHAR, {"nullable": True}),
            "'value' .* VARCHAR, nullable;",
        ),
    ],
)
def test_other_fields_of_these_names_are_no_texts_by_key(key, value, says):
    with MilvusClient(":memory:") as client:
        schema = client.create_schema()
        for name, (kind, more) in (("key", key), ("value", value)):
            most = {"max_length": 9} if kind is DataType.VARCHAR else {}
            schema.add_field(name, kind, is_primary=name == "key", **most, **more)
        client.create_collection("x", schema=schema)
        with pytest.raises(ParamError, match=f"collection 'x': texts by key need {says} choose"):
            KeyValueStore(client=client, collection="x")


def test_the_key_is_the_primary_key():
    with MilvusClient(":memory:") as client:
        schema = client.create_schema()
        schema.add_field("key", DataType.VARCHAR, max_length=9)
        schema.add_field("value", DataType.VARCHAR, max_length=9, is_primary=True)
        client.create_collection("x", schema=schema)
        with pytest.raises(ParamError, match="need 'key' to be the primary key"):
            KeyValueStore(client=client, collection="x")


def test_a_collection_of_something_else_is_refused_and_left_alone():
    with DocumentStore(":memory:") as store:
        store.add(["Kites hover."], ids=["kite"])
        with pytest.raises(ParamError, match=r"'documents' has the fields id, text, .*another"):
            KeyValueStore(client=store.client, collection="documents")
        values = KeyValueStore(client=store.client, collection="later")
        store.client.create_collection("later", dimension=2)
        for call in (lambda: values.put({"a": "b"}), lambda: values.get(["a"]), values.keys):
            with pytest.raises(ParamError, match="no texts by key"):
                call()
        assert store.count() == 1


def test_the_collection_may_be_dropped_meanwhile(values):
    values.put({"a": "1"})
    values.client.drop_collection("key_values")
    assert values.keys() == []
    values.put({"b": "2"})
    assert values.items() == {"b": "2"}


def test_a_value_of_many_megabytes_comes_back(values):
    whole = '0123456789"\\é\n' * 600_000
    values.put({"whole": whole, "part": "p"})
    assert values.get(["whole"]) == [whole]


def test_what_cannot_be_kept_is_refused_by_key_and_nothing_is_written(values, monkeypatch):
    values.put({"a": "old"})
    fields = values.client.describe_collection("key_values")["fields"]
    assert [field["params"]["max_length"] for field in fields] == [65_535, 2**28]
    monkeypatch.setattr(_keyed, "MAX_VALUE", 3_000)
    too_long = "x" + 1_500 * "é"
    for wrong, said in [
        ({"a": "new", "b": too_long}, r"value of key 'b' has 3,001 bytes, more than the 3,000"),
        ({"a": "new", "é" * 32_768: ""}, r"key has 65,536 bytes, more than the 65,535"),
        ({"a": "new", "b": b"bytes"}, r"value of key 'b' must be a string, got b'bytes'"),
        ({"a": "new", "b": "\ud800"}, r"value of key 'b' must be valid Unicode"),
        ({"a": "new", "\udfff": ""}, r"key must be valid Unicode"),
        ({"a": "new", 1: ""}, r"key must be a string, got 1"),
    ]:
        with raises_short(ParamError, match=said):
            values.put(wrong)
    assert values.items() == {"a": "old"}
    values.put({"x" * 65_535: too_long[1:], "é" * 32_767: ""})
    assert len(values.keys()) == 3


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_an_argument_of_another_type_is_refused_in_short(values, value):
    if not isinstance(value, dict):
        with raises_short(ParamError, match="values must be a dict of texts by key"):
            values.put(value)
    if not isinstance(value, str):
        with raises_short(ParamError, match="prefix must be a string"):
            values.keys(value)
    if not (isinstance(value, list) and isinstance(value[0], str)):
        for call in (values.get, values.delete):
            with raises_short(ParamError, match="keys must be a list of names"):
                call(value)


def test_arguments_of_opening_that_are_wrong_are_named(values):
    for collection in ("", "a b", 1, None):
        with pytest.raises(ParamError, match="collection"):
            KeyValueStore(":memory:", collection)
    with pytest.raises(ParamError, match="client must be a MilvusClient"):
        KeyValueStore(client="kb.db")
    with pytest.raises(ParamError, match="client or uri, not both"):
        KeyValueStore("kb.db", client=values.client)
    with pytest.raises(ParamError, match=r"unknown argument 'readonly'.*read_only"):
        KeyValueStore(":memory:", readonly=True)
    with pytest.raises(UnsupportedError, match="localhost"):
        KeyValueStore("http://localhost:19530")


WRITER = """
import sys
from elanus import KeyValueStore
with KeyValueStore(sys.argv[1]) as values:
    for n in range(8):
        values.put({f"{sys.argv[2]}/{i}": str(n) for i in range(5)})
"""


def test_processes_and_threads_write_whole_batches_into_one_file(tmp_path):
    file = tmp_path / "kb.db"
    children = [
        subprocess.Popen([sys.executable, "-c", WRITER, file, name]) for name in ("one", "two")
    ]
    # Stores of their own, so that the collection is made by several at once.
    with KeyValueStore(file) as values, KeyValueStore(file) as other, ThreadPoolExecutor() as pool:
        writes = [
            pool.submit(each.put, {f"{name}/{i}": "done" for i in range(5)})
            for each in (values, other)
            for name in ("three", "four")
        ]
        while any(child.poll() is None for child in children):
            for name in ("one", "two"):
                assert len(set(values.items(f"{name}/").values())) <= 1
        assert [write.result() for write in writes] == [None] * 4
        assert [child.returncode for child in children] == [0, 0]
        numbers = dict.fromkeys(("one", "two"), "7") | dict.fromkeys(("three", "four"), "done")
        assert values.items() == {
            f"{name}/{i}": value for name, value in sorted(numbers.items()) for i in range(5)
        }
        assert values.client.verify() == []
