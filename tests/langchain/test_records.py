"""The record manager does what LangChain's in-memory one does, and index() keeps a store in step."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, RecordManager, aindex, index

from elanus import DocumentStore, MilvusClient, ParamError
from langchain_elanus import ElanusRecordManager, ElanusVectorStore
from langchain_elanus._groups import as_group
from unwieldy import Failing, raises_short


class Clock:
    """A clock that both managers read, and that stands still unless told otherwise."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def records(store):
    manager = ElanusRecordManager("docs", store)
    manager.create_schema()
    return manager


KEYS = st.lists(st.sampled_from("abcdef"), max_size=4)
SOURCES = ["g", "h", 'quo"te', 1, 1.0, "1", True, 2.5, Fraction(5, 2), Path("g"), b"g", ("g", 1)]
GROUPS = st.sampled_from([*SOURCES, None])
CALLS = st.one_of(
    st.tuples(st.just("update"), KEYS.flatmap(
        lambda keys: st.tuples(st.just(keys), st.none() | st.lists(GROUPS, min_size=len(keys), max_size=len(keys)))
    )),
    st.tuples(st.just("delete_keys"), KEYS),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 1.0])),
    st.tuples(st.just("exists"), KEYS),
    st.tuples(st.just("list_keys"), st.fixed_dictionaries({}, optional={
        "before": st.sampled_from([1000.0, 1000.5, 1001.0, 1002.5]),
        "after": st.sampled_from([999.0, 1000.0, 1000.5, 1002.0]),
        "group_ids": st.lists(st.sampled_from([*SOURCES, "none", None]), max_size=2),
    })),
)  # fmt: skip


@settings(max_examples=60)
@given(calls=st.lists(CALLS, max_size=12))
def test_any_calls_give_what_langchains_in_memory_manager_gives(calls):
    clock = Clock()
    oracle = InMemoryRecordManager("docs")
    oracle.get_time = clock
    with MilvusClient(":memory:") as client:
        ours, other = (ElanusRecordManager(name, client) for name in ("docs", "docs:2"))
        ours.get_time = clock
        ours.create_schema()
        other.update(["a", "b"], group_ids=["g", None])
        for name, argument in calls:
            if name == "wait":
                clock.now += argument
            elif name == "update":
                keys, groups = argument
                ours.update(keys, group_ids=groups, time_at_least=clock.now)
                oracle.update(keys, group_ids=groups, time_at_least=clock.now)
            elif name == "list_keys":
                assert ours.list_keys(**argument) == sorted(oracle.list_keys(**argument))
                for limit in (1, 2):
                    assert len(ours.list_keys(**argument, limit=limit)) == len(
                        oracle.list_keys(**argument, limit=limit)
                    )
            else:
                assert getattr(ours, name)(argument) == getattr(oracle, name)(argument)
        assert other.list_keys() == ["a", "b"]
        assert client.verify() == []


async def test_every_asynchronous_form_does_what_the_blocking_one_does(store):
    records = ElanusRecordManager("docs", store)
    await records.acreate_schema()
    start = await records.aget_time()
    await records.aupdate(["a", "b", "c"], group_ids=["g", "h", None], time_at_least=start)
    assert await records.aexists(["a", "z", "c"]) == records.exists(["a", "z", "c"])
    assert await records.alist_keys(group_ids=["g", "h"]) == ["a", "b"]
    assert await records.alist_keys(before=start) == []
    assert await records.alist_keys(after=start - 1, limit=2) == ["a", "b"]
    await records.adelete_keys(["a", "z"])
    assert records.list_keys() == ["b", "c"]


def test_all_abstract_methods_are_there():
    assert len(RecordManager.__abstractmethods__) == 12
    assert ElanusRecordManager.__abstractmethods__ == frozenset()


@pytest.mark.parametrize(
    "make",
    [lambda client: ElanusRecordManager("docs", client), lambda _: InMemoryRecordManager("docs")],
    ids=["ours", "langchains"],
)
def test_before_and_after_leave_out_the_time_itself(make):
    with MilvusClient(":memory:") as client:
        records = make(client)
        records.get_time = Clock()
        records.create_schema()
        records.update(["a"])
        assert records.list_keys(before=1000.0) == records.list_keys(after=1000.0) == []
        assert records.list_keys(before=1000.5) == records.list_keys(after=999.5) == ["a"]


def test_namespaces_whose_names_and_keys_run_together_stay_apart(store):
    first, second = ElanusRecordManager("a", store), ElanusRecordManager("a:b", store)
    first.create_schema()
    first.update(["b:c"])
    second.update(["c"])
    first.delete_keys(["b:c"])
    assert (first.list_keys(), second.list_keys()) == ([], ["c"])


def test_without_a_schema_reading_finds_nothing_and_makes_nothing(store):
    records = ElanusRecordManager("docs", store)
    assert records.exists(["a", "b"]) == [False, False]
    assert records.list_keys() == []
    records.delete_keys(["a"])
    assert "langchain_records" not in store.client.list_collections()


@pytest.mark.parametrize("cleanup", [None, "incremental", "full"])
def test_index_needs_no_create_schema(store, cleanup):
    records = ElanusRecordManager("docs", store)
    assert run(FIRST, records, store, cleanup) == (3, 0, 0, 0)
    assert run(FIRST, records, store, cleanup) == (0, 0, 3, 0)
    assert len(records.list_keys()) == 3


def test_making_the_schema_again_keeps_the_records(records):
    records.update(["a"])
    records.create_schema()
    assert records.exists(["a"]) == [True]


def test_group_ids_of_another_number_are_an_error(records):
    with pytest.raises(ValueError, match="2 keys, but 1 group_ids"):
        records.update(["a", "b"], group_ids=["g"])


def test_a_clock_that_went_back_is_an_error_and_writes_nothing(records):
    with pytest.raises(ValueError, match="lies in the future"):
        records.update(["a"], time_at_least=records.get_time() + 60)
    assert records.list_keys() == []


def test_the_records_are_in_the_documents_file(tmp_path, make_embeddings):
    path = tmp_path / "kb.db"
    with ElanusVectorStore(make_embeddings(), uri=path) as store:
        records = ElanusRecordManager("docs", store)
        records.create_schema()
        records.update(["a"])
    with DocumentStore(path, collection="langchain") as again:
        assert ElanusRecordManager("docs", again).list_keys() == ["a"]
        assert ElanusRecordManager("docs", again.client).exists(["a", "b"]) == [True, False]
        assert again.verify() == []


def test_a_store_of_another_kind_is_an_error():
    with pytest.raises(ParamError, match="must be an ElanusVectorStore"):
        ElanusRecordManager("docs", "kb.db")


# --- the indexing API ---------------------------------------------------------------------------


def page(source, text):
    return Document(page_content=text, metadata={"source": source})


FIRST = [page("a", "kites hover"), page("a", "kites soar"), page("b", "owls hunt by night")]


def texts(store):
    return sorted(document.text for document in store.store)


def run(documents, records, store, cleanup, **options):
    done = index(
        documents, records, store, cleanup=cleanup, source_id_key="source", key_encoder="sha256",
        **options,
    )  # fmt: skip
    return tuple(done[f"num_{what}"] for what in ("added", "updated", "skipped", "deleted"))


@pytest.mark.parametrize("batch_size", [1, 100])
def test_full_clean_up_leaves_exactly_the_documents_of_the_last_run(store, records, batch_size):
    assert run(FIRST, records, store, "full", batch_size=batch_size) == (3, 0, 0, 0)
    changed = [FIRST[0], page("a", "kites glide")]
    assert run(changed, records, store, "full", batch_size=batch_size) == (1, 0, 1, 2)
    assert texts(store) == ["kites glide", "kites hover"]
    assert records.list_keys() == sorted(document.id for document in store.store)


def test_incremental_clean_up_replaces_the_documents_of_the_sources_it_saw(store, records):
    run(FIRST, records, store, "incremental")
    assert run([page("a", "kites glide")], records, store, "incremental") == (1, 0, 0, 2)
    assert texts(store) == ["kites glide", "owls hunt by night"]


def test_scoped_full_clean_up_does_too(store, records):
    run(FIRST, records, store, "scoped_full")
    assert run([page("b", "owls sleep")], records, store, "scoped_full") == (1, 0, 0, 1)
    assert texts(store) == ["kites hover", "kites soar", "owls sleep"]


def test_what_did_not_change_is_not_embedded_again(store, records, embeddings):
    run(FIRST, records, store, "full")
    embeddings.calls.clear()
    assert run(FIRST, records, store, "full") == (0, 0, 3, 0)
    assert embeddings.calls == []


def test_a_forced_update_embeds_again_and_counts_as_updated(store, records):
    run(FIRST, records, store, None)
    assert run(FIRST, records, store, None, force_update=True) == (0, 3, 0, 0)


def test_an_empty_full_run_deletes_everything(store, records):
    run(FIRST, records, store, "full")
    assert run([], records, store, "full") == (0, 0, 0, 3)
    assert texts(store) == []


@pytest.mark.parametrize("cleanup", ["full", "incremental"])
async def test_the_asynchronous_api_does_the_same(make_store, embeddings, cleanup):
    store = make_store(dim=32)
    records = ElanusRecordManager("docs", store)
    await records.acreate_schema()
    for documents in (FIRST, [page("a", "kites glide"), FIRST[2]]):
        await aindex(
            documents, records, store, cleanup=cleanup, source_id_key="source", key_encoder="sha256"
        )
    assert texts(store) == ["kites glide", "owls hunt by night"]
    assert {call for call, _ in embeddings.calls} == {"aembed_documents"}


class Shade(Enum):
    DARK = 1


class Name(str, Enum):
    A = "a"


ANY_SOURCES = [
    *(0, 1, -1, 10**400, 0.5, -0.5, math.inf, -math.inf, math.nan, 1e300, "", "0", "1", "nan"),
    *("None", "\x1fnumber:1", "\x1f\x1fnumber:1", "\ud800", "\\ud800", "x" * 70_000, "x" * 70_001),
    *(b"", b"1", Path("1"), Path("a/b"), uuid.UUID(int=1), str(uuid.UUID(int=1)), Shade.DARK),
    *(
        dt.date(2026, 1, 1),
        dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc),
        np.datetime64("2026-01-01", "ns"),
    ),
    *(np.timedelta64(1, "s"), Decimal("0.1"), Fraction(1, 3), (1, "1"), ("1", 1)),
]
SAME = [
    (1, np.int64(1), np.float32(1), 1.0, True, np.True_, Decimal(1), Fraction(1)),
    (0.5, np.float64(0.5), Decimal("0.5"), Fraction(1, 2)),
    (math.inf, Decimal("Infinity"), np.float64("inf")),
    (math.nan, Decimal("NaN"), Decimal("sNaN"), np.float32("nan")),
    ("a", np.str_("a"), Name.A),
]


def test_sources_of_any_type_are_kept_apart_and_equal_ones_are_one(records):
    keys = [f"k{i:02}" for i in range(len(ANY_SOURCES))]
    records.update(keys, group_ids=ANY_SOURCES)
    for key, source in zip(keys, ANY_SOURCES, strict=True):
        assert records.list_keys(group_ids=[source]) == [key]
    for equal in SAME:
        for first, second in itertools.product(equal, equal):
            records.update(["same"], group_ids=[first])
            assert "same" in records.list_keys(group_ids=[second])


@dataclass(frozen=True)
class Origin:
    site: str
    tags: frozenset[str]


class Address:
    """Shows what is another in every process."""


class Local(dt.tzinfo):
    def utcoffset(self, _):
        return dt.timedelta(0)


def nested(levels):
    found = ()
    for _ in range(levels):
        found = (found,)
    return found


ENDLESS: list[object] = []
ENDLESS.append(ENDLESS)
NAMED = {
    "a": "a",
    1: "\x1fnumber:1",
    b"a": "\x1fbytes:b'a'",
    Path("a/b"): "\x1fpath:a/b",
    dt.date(2026, 1, 2): "\x1fdate:datetime.date(2026, 1, 2)",
    uuid.UUID(int=1): "\x1fUUID:UUID('00000000-0000-0000-0000-000000000001')",
    Shade.DARK: "\x1fShade:<Shade.DARK: 1>",
    (1, ("b",), None, True): "\x1ftuple:(1, ('b',), None, True)",
    frozenset({"b", "a", "c"}): "\x1ffrozenset:frozenset({'a', 'b', 'c'})",
    Origin("x", frozenset("ba")): "\x1fOrigin:Origin(site='x', tags=frozenset({'a', 'b'}))",
}


@pytest.mark.parametrize(("source", "name"), NAMED.items(), ids=str)
def test_a_source_has_the_same_name_in_every_version(source, name):
    assert as_group(source) == name


def test_what_has_no_order_has_none_in_its_name():
    assert as_group({"b": [1], "a": {2}}) == "\x1fdict:{'a': {2}, 'b': [1]}"
    assert as_group({"a": {2}, "b": [1]}) == as_group({"b": [1], "a": {2}})
    assert as_group([1, 2]) != as_group([2, 1])
    assert as_group([]) != as_group(()) != as_group(set()) != as_group({})


def test_every_process_names_a_source_alike():
    code = (
        "import numpy as np; from pathlib import Path; from langchain_elanus._groups import *;"
        "words = set('abcdefgh');"
        "print([as_group(words), as_group((frozenset(words), Path('a'))), as_group({'a': words}),"
        "as_group(np.arange(2000))])"
    )
    names = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "123"
    }
    assert len(names) == 1


def test_long_arrays_are_told_apart():
    first, second = np.zeros(2000), np.zeros(2000)
    second[1000] = 1
    assert as_group(first) != as_group(second)
    assert as_group(first) == as_group(np.zeros(2000))
    assert as_group(first) != as_group(np.zeros(2000, np.float32)) != as_group(np.zeros((2, 1000)))


@pytest.mark.parametrize(
    "source",
    [
        *(
            Address(),
            (Address(),),
            {"a": Address()},
            Origin("x", Address()),
            Failing(),
            [Failing()],
        ),
        *(np.array([Address()]), dt.datetime(2026, 1, 1, tzinfo=Local()), print, nested(2000)),
        *(ENDLESS, np.array([(Address(),)], dtype=[("a", object)])[0]),
    ],
    ids=lambda source: type(source).__name__,
)
def test_a_source_that_is_another_in_every_process_is_refused_before_a_record(records, source):
    with raises_short(ParamError, match="must be the same in every process"):
        records.update(["a", "b"], group_ids=["g", source])
    assert records.exists(["a"]) == [False]
    with raises_short(ParamError, match="must be the same in every process"):
        records.list_keys(group_ids=[source])


@pytest.mark.parametrize("source", [*ANY_SOURCES, np.int64(7), np.bool_(True), np.str_("s")])
@pytest.mark.parametrize("cleanup", ["incremental", "full", "scoped_full", None])
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_sources_of_any_type_are_embedded_once_and_cleaned_up(
    make_store, embeddings, source, cleanup, asynchronous
):
    store = make_store(dim=32)
    records = ElanusRecordManager("docs", store)

    async def go(*contents):
        documents = [Document(page_content=content) for content in contents]
        options = {
            "cleanup": cleanup,
            "source_id_key": lambda _: source,
            "key_encoder": "sha256",
        }
        if asynchronous:
            done = await aindex(documents, records, store, **options)
        else:
            done = index(documents, records, store, **options)
        return tuple(done[f"num_{what}"] for what in ("added", "skipped", "deleted"))

    assert await go("kites hover", "owls hunt") == (2, 0, 0)
    embeddings.calls.clear()
    assert await go("kites hover", "owls hunt") == (0, 2, 0)
    assert embeddings.calls == []
    assert await go("owls hunt", "swifts sleep") == (1, 1, 1 if cleanup else 0)


@pytest.mark.parametrize("cleanup", ["incremental", "full", "scoped_full", None])
def test_integer_sources_in_the_metadata_do_not_embed_again(store, records, embeddings, cleanup):
    documents = [page(1, "kites hover"), page(2, "owls hunt"), page(True, "swifts sleep")]
    assert run(documents, records, store, cleanup) == (3, 0, 0, 0)
    embeddings.calls.clear()
    assert run(documents, records, store, cleanup) == (0, 0, 3, 0)
    assert embeddings.calls == []


@pytest.mark.parametrize(
    "options",
    [
        *({"collection_name": name} for name in ("a-b", "", "1a", "a b", None, "langchain")),
        *({"namespace": name} for name in (None, 5, b"docs", "\ud800", "x" * 70_000)),
    ],
)
def test_what_is_wrong_comes_out_before_anything_is_embedded(store, embeddings, options):
    with pytest.raises(ParamError, match=r"collection|namespace"):
        run(
            FIRST,
            ElanusRecordManager(**{"namespace": "docs", "store": store, **options}),
            store,
            None,
        )
    assert [name for name, _ in embeddings.calls if name == "embed_documents"] == []
    assert texts(store) == []


def test_a_decimal_takes_no_longer_than_its_digits(records):
    for zero in ("0E+999999999", "-0E-999999999"):
        assert as_group(Decimal(zero)) == as_group(0)
    for long in ("1E+10000", "-1E+9999", "12E-9999"):
        assert as_group(Decimal(long)) == as_group(Fraction(Decimal(long)))
    for longer in ("1E+10001", "1E-10001", "1E+999999999", "-1E-999999999", "1" * 10_002):
        with pytest.raises(ParamError, match=r"a Decimal of at most 10,000 digits.* got .*Decimal"):
            records.update(["k"], group_ids=[Decimal(longer)])
    assert records.list_keys() == []
