"""One function shows a value in a message: at most 200 characters, whatever the value is."""

import enum
import os
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from elanus import DataType, DocumentStore, ElanusError, MilvusClient
from elanus.errors import (
    EmbeddingError,
    FilterError,
    RerankError,
    cut,
    listed,
    quoted,
    said_by,
    shown,
)
from unwieldy import MEGA, Failing, Long, Mute, Muter, endless


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Some texts are taken for the names of databases, which are made then."""
    monkeypatch.chdir(tmp_path)


class Colour(str, enum.Enum):
    RED = "red"


def deep():
    found = []
    for _ in range(100_000):
        found = [found]
    return found


@pytest.mark.parametrize(
    "value",
    [
        MEGA, MEGA.encode(), bytearray(MEGA.encode()), [MEGA] * 1_000, {MEGA: MEGA}, (MEGA,),
        {MEGA}, frozenset({MEGA}), range(10**9), 10**5_000, -(10**4_000), endless(), deep(),
        np.array([MEGA]), np.ones((1_000, 1_000)), np.array([[MEGA]], dtype=object), Failing(),
        [Failing()], {1: Failing()}, Long(), [Long()] * 9, type("T" * 10_000, (), {})(),
        ValueError(MEGA), np.str_(MEGA), "\ud800" * 1_000, "\0" * 1_000, type(MEGA, (str,), {})(MEGA),
    ],
    ids=lambda v: type(v).__name__[:20],
)  # fmt: skip
def test_a_value_of_any_kind_is_short(value):
    assert 0 < len(shown(value)) <= 200
    assert 0 < len(quoted(value)) <= 200
    shown(value).encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"), (-1.5, "-1.5"), (True, "True"), (None, "None"), ("it's", '"it\'s"'), ([], "[]"),
        (b"a", "b'a'"), ([1, "a"], "[1, 'a']"), ({"a": [1]}, "{'a': [1]}"), ((1, 2), "(1, 2)"),
        ({3}, "{3}"), (np.float32(0.5), repr(np.float32(0.5))), (Colour.RED, "<Colour.RED: 'red'>"),
        (DataType.INT8, "<DataType.INT8: 2>"), (np.array([1, 2]), "array([1, 2])"),
        ([1, 2, 3, 4, 5], "[1, 2, 3, 4, …]"), ("a\nb", r"'a\nb'"),
    ],
)  # fmt: skip
def test_a_short_value_is_shown_as_python_writes_it(value, text):
    assert quoted(value) == text
    assert shown(value) == f"{text} ({type(value).__name__})"


class Half:
    def __repr__(self):
        return "half \ud800" + "\udfff" * 300


@pytest.mark.parametrize("value", [Half(), [Half()], "\ud800", b"\xff"])
def test_whatever_is_shown_can_be_written_in_utf_8(value):
    for text in (shown(value), quoted(value), listed(["a\ud800", "b"]), cut("\udc80" * 500)):
        assert len(text.encode()) > 0
        assert len(text) <= 200


def test_every_message_can_be_written_in_utf_8(tmp_path):
    name = os.fsdecode(b"\xff.db")
    (tmp_path / name).write_bytes(b"no database of ours, whatever its name is")
    errors = [
        ElanusError("a \ud800"),
        FilterError("wrong", "a == '\ud800' or", 3),
        EmbeddingError("{text} \udfff", [3], 0),
        EmbeddingError("{texts}", [3, 4], None, "t\ud800"),
    ]
    errors[-2].blame(3, " \ud801")
    for call in (
        lambda: MilvusClient(tmp_path / name),
        lambda: MilvusClient(tmp_path / "none" / name),
        lambda: MilvusClient(":memory:").query("\ud800"),
        lambda: MilvusClient(":memory:").create_collection("\ud800", dimension=2),
    ):
        with pytest.raises(ElanusError) as caught:
            call()
        errors.append(caught.value)
    for error in errors:
        for text in (str(error), error.message, repr(error), *map(str, error.args)):
            text.encode()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no\n\n  5"), "no 5"), (KeyError("a"), "'a'"), (OSError(), ""),
        (Mute("status"), "Mute('status')"), (Muter(), "a value that cannot be shown"),
        (ValueError(MEGA), MEGA[:199] + "…"),
    ],
    ids=["plain", "key", "empty", "mute", "muter", "long"],
)  # fmt: skip
def test_an_error_says_something_whatever_its_text_does(error, text):
    assert said_by(error) == text


@pytest.mark.parametrize("error", [Mute, Muter])
def test_an_error_without_a_text_hides_neither_who_failed_nor_the_hits(error):
    def fails(*_):
        raise error

    function = SimpleNamespace(encode_documents=fails, encode_queries=fails, name="n", dim=2)
    with pytest.raises(EmbeddingError, match=r"'n'.encode_documents failed .*Mute") as caught:
        DocumentStore(":memory:", function).add(["kite"])
    assert type(caught.value.__cause__) is error
    store = DocumentStore(":memory:")
    store.add(["kite"])
    with pytest.raises(RerankError, match=r"failed with 1 texts: Mute") as lost:
        store.search("kite", mode="text", reranker=fails)
    assert [hit.text for hit in lost.value.hits] == ["kite"]
    column = type("Column", (), {"__array__": fails})()
    with pytest.raises(ElanusError, match=r"numpy cannot read it as numbers: .+"):
        DocumentStore(":memory:", dim=2).search("", vector=column, mode="dense")


def test_a_list_of_names_is_short():
    assert listed(["a", "b"]) == "a, b"
    assert len(listed([MEGA] * 1_000)) <= 1_000


def test_only_a_part_of_a_long_value_is_looked_at():
    values = [["y" * 1_000] * 10_000] * 1_000, "x" * 50_000_000, dict.fromkeys(range(100_000), MEGA)
    tracemalloc.start()
    try:
        for value in values:
            shown(value)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


CALLS = {
    "name": lambda c: c.query(MEGA),
    "names": lambda c: c.query("strict", output_fields=[MEGA]),
    "new name": lambda c: c.rename_collection("c", MEGA),
    "insert into": lambda c: c.insert(MEGA, []),
    "delete from": lambda c: c.delete(MEGA, ids=[1]),
    "truncate": lambda c: c.truncate_collection(MEGA),
    "create": lambda c: c.create_collection(MEGA, dimension=2),
    "metric": lambda c: c.create_collection("n", dimension=2, metric_type=MEGA),
    "key": lambda c: c.get("c", MEGA),
    "keys": lambda c: c.get("c", [[MEGA] * 100]),
    "value": lambda c: c.insert("c", {"id": MEGA, "vector": [1, 2]}),
    "vector": lambda c: c.insert("c", {"id": 1, "vector": [MEGA]}),
    "long vector": lambda c: c.insert("c", {"id": 1, "vector": [1.0] * 1_000_000}),
    "key of a row": lambda c: c.insert("strict", {"id": 1, "vector": [1, 2], MEGA: 1}),
    "key of JSON": lambda c: c.insert("c", {"id": 1, "vector": [1, 2], "a": {MEGA: object()}}),
    "query vector": lambda c: c.search("c", [MEGA]),
    "field": lambda c: c.search("c", [[1, 2]], anns_field=MEGA),
    "parameter": lambda c: c.search("c", [[1, 2]], search_params={MEGA: 1}),
    "value of a parameter": lambda c: c.search("c", [[1, 2]], search_params={"ef": MEGA}),
    "index": lambda c: c.create_index("c", [{"field_name": MEGA}]),
    "index type": lambda c: c.create_index("c", [{"field_name": "vector", "index_type": MEGA}]),
    "index parameter": lambda c: c.create_index("c", [{"field_name": "vector", MEGA: MEGA}]),
    "keyword": lambda c: c.query("c", **{MEGA: MEGA}),
    "partition": lambda c: c.query("c", partition_names=[MEGA]),
    "address": lambda _: MilvusClient(MEGA),
    "remote": lambda _: MilvusClient("http://" + MEGA),
    "backup": lambda c: c.backup(MEGA),
    "database": lambda _: MilvusClient(":memory:", db_name=MEGA),
    "analyzer": lambda _: DocumentStore(":memory:", analyzer=MEGA),
    "analyzer option": lambda _: DocumentStore(":memory:", analyzer={"type": "english", MEGA: 1}),
    "analyzer JSON": lambda _: DocumentStore(":memory:", analyzer="{" + MEGA),
    "collection": lambda _: DocumentStore(":memory:", collection=MEGA),
    "option": lambda _: DocumentStore(":memory:", **{MEGA: 1}),
    "many fields": lambda c: c.insert("wide", {"unknown": 1}),
    "many fields, output": lambda c: c.query("wide", output_fields=["unknown"]),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_no_message_grows_with_what_was_given(call):
    with MilvusClient(":memory:") as client:
        client.create_collection("c", dimension=2)
        client.create_collection("strict", dimension=2, enable_dynamic_field=False)
        wide = client.create_schema()
        wide.add_field("id", DataType.INT64, is_primary=True)
        for number in range(60):
            wide.add_field(f"{'f' * 240}{number}", DataType.INT8)
        client.create_collection("wide", schema=wide)
        with pytest.raises(ElanusError) as caught:
            call(client)
        assert len(str(caught.value)) < 1_500


@pytest.mark.parametrize(
    ("places", "fault"),
    [(range(5, 9), None), (range(5, 9), 1), ([-1, 0], 0), (["x"], 0), (None, None), (5, None)],
)
def test_places_that_a_list_does_not_have_are_left_out(places, fault):
    error = EmbeddingError("no quota for {texts}", places, fault)
    error.name_ids(["a", "b"])
    assert (str(error), error.places, error.place) == ("no quota for texts", (), None)
    error = EmbeddingError("no quota for {texts}", places, fault)
    error.renumber([7, 8])
    assert (str(error), error.places, error.place) == ("no quota for texts", (), None)


@pytest.mark.parametrize("fault", [2, 100, -1, "x", 1.5, [0]])
def test_a_fault_that_is_none_of_the_places_is_left_out(fault):
    error = EmbeddingError("bad {texts}", range(2), fault)
    error.renumber([7, 8])
    assert (str(error), error.place) == ("bad texts[7:9]", None)
    error.blame(5, "; said so")
    assert (str(error), error.place) == ("bad texts[7:9]; said so", None)


def test_the_message_of_an_embedding_error_is_short():
    error = EmbeddingError(MEGA + "{texts}", [3], 0, MEGA)
    assert str(error) == "x" * 999 + "\N{HORIZONTAL ELLIPSIS}"
    error.blame(3, MEGA)
    assert len(str(error)) == 2_000
    assert str(EmbeddingError(5, [3])) == "5"
