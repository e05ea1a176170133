"""The pages of docs/ are true: their tables are compared with what the calls do."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pymilvus
import pytest

from elanus import (
    AsyncMilvusClient,
    DataType,
    DocumentStore,
    Function,
    FunctionType,
    MilvusClient,
)
from elanus.errors import (
    DataTypeNotSupportException,
    FilterError,
    ParamError,
    UnsupportedError,
)

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
COMPATIBILITY = (ROOT / "docs/milvus-compatibility.md").read_text(encoding="utf-8")


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", COMPATIBILITY, re.MULTILINE | re.DOTALL)[1]


def rows(title):
    """The cells of the rows of a section's table."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def names(cell):
    return re.findall(r"`(\w+)`", cell)


def public(cls):
    return {name for name in dir(cls) if not name.startswith("_")}


CALLS = {name: status for cell, status, *_ in rows("Calls") for name in names(cell)}
TYPES = {name: status for cell, status, *_ in rows("Data types") for name in names(cell)}
INDEXES = {cells[0]: names(re.split(r"[:(]", cells[1])[0]) for cells in rows("Index types")}


# --- links -------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_links_to_places_that_exist(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            heads = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in slugs, link


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "README.md"], ids=lambda page: page.name
)
def test_a_page_names_files_and_folders_that_exist(page):
    rooms = ROOT / "core/src/elanus"
    for name in re.findall(r"`([\w./-]+)`", page.read_text(encoding="utf-8")):
        first, has_folder, _ = name.partition("/")
        if has_folder and ((ROOT / first).is_dir() or (rooms / first).is_dir()):
            assert (ROOT / name).exists() or (rooms / name).exists(), name
        elif name.endswith(".py"):
            assert any(rooms.rglob(name)), name


# --- calls -------------------------------------------------------------------------------------


def test_every_public_call_is_in_the_table_and_every_call_there_is_public():
    there = {name for name, status in CALLS.items() if status != "missing"}
    assert there == public(MilvusClient)


def test_no_call_that_is_said_to_be_missing_exists():
    missing = {name for name, status in CALLS.items() if status == "missing"}
    assert missing
    assert missing & (public(MilvusClient) | public(AsyncMilvusClient)) == set()


def test_calls_said_to_be_only_here_are_not_pymilvuss_and_all_others_are():
    ours = {name for name, status in CALLS.items() if status == "only here"}
    assert {name for name in CALLS if not hasattr(pymilvus.MilvusClient, name)} == ours


def test_the_asynchronous_client_has_the_same_calls():
    assert public(AsyncMilvusClient) - {"blocking", "worker"} == public(MilvusClient)
    plain = {
        name
        for name in public(MilvusClient)
        if not inspect.iscoroutinefunction(getattr(AsyncMilvusClient, name))
    }
    assert plain == {"create_schema", "create_field_schema", "prepare_index_params"}


@pytest.mark.parametrize(
    "name",
    re.findall(
        r"`(\w+)`", re.search(r"nothing\s+for\s+a\s+file:(.*?)\.\n", COMPATIBILITY, re.DOTALL)[1]
    ),
)
def test_an_argument_that_means_nothing_here_is_accepted(name):
    with MilvusClient(":memory:") as client:
        client.create_collection("c", dimension=2)
        assert client.query("c", **{name: 1}) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.rename_collection("c", "d", target_db="x"),
        lambda c: c.upsert("c", {"id": 1, "vector": [1, 0]}, partial_update=True),
        lambda c: c.search("c", ids=[1]),
        lambda c: c.search("c", data=[[1, 0]], group_by_field="id"),
        lambda c: c.search("c", data=[[1, 0]], ranker=pymilvus.RRFRanker()),
        lambda c: c.search("c", data=[[1, 0]], function_chains=[1]),
        lambda c: c.search("c", data=[[1, 0]], highlighter=1),
        lambda c: c.search("c", data=[[1, 0]], search_aggregation=1),
        lambda c: c.search("c", data=[[1, 0]], search_params={"params": {"radius": 0.5}}),
        lambda c: c.search("c", data=[[1, 0]], search_params={"params": {"range_filter": 0.5}}),
        lambda c: c.insert("c", [], partition_name="p"),
        lambda c: c.query("c", partition_names=["p"]),
        lambda c: c.create_schema(partition_key_field="x"),
        lambda c: c.create_schema().add_field("x", DataType.INT64, is_partition_key=True),
        lambda _: MilvusClient("http://localhost:19530"),
        lambda _: MilvusClient(":memory:", db_name="x"),
        lambda _: MilvusClient(":memory:", unknown=1),
    ],
)
def test_what_is_said_to_raise_raises(call):
    with MilvusClient(":memory:") as client:
        client.create_collection("c", dimension=2)
        with pytest.raises(UnsupportedError):
            call(client)


STORE_PAGE = (ROOT / "docs/document-store.md").read_text(encoding="utf-8")


def test_the_page_of_the_store_has_every_call_and_every_argument_of_opening():
    written = set(re.findall(r"\w+", STORE_PAGE))
    calls = public(DocumentStore)
    coroutines = {name for name in calls if name[0] == "a" and name[1:] in calls} | {"async_"}
    # Properties, and what the adapters for frameworks use.
    others = {"blocking", "worker", "check_add", "check_search", "aclose"}
    assert calls - coroutines - others <= written
    assert set(inspect.signature(DocumentStore).parameters) - {"options"} <= written


def test_every_call_of_the_store_has_its_coroutine():
    calls = {n for n, v in vars(DocumentStore).items() if n[0] != "_" and inspect.isfunction(v)}
    coroutines = {
        name for name in calls if inspect.iscoroutinefunction(getattr(DocumentStore, name))
    }
    assert coroutines == {f"a{name}" for name in calls - coroutines - {"sync"}} | {"async_"}


# --- data types and indexes --------------------------------------------------------------------


def test_the_table_has_every_data_type_of_pymilvus():
    theirs = {t.name for t in pymilvus.DataType if not t.name.startswith("_")}
    # STRING is not for fields, in Milvus either.
    assert set(TYPES) == theirs - {"NONE", "UNKNOWN", "STRING"}


@pytest.mark.parametrize(("name", "status"), TYPES.items())
def test_a_data_type_does_what_the_table_says(name, status):
    options = {"VARCHAR": {"max_length": 9}, "FLOAT_VECTOR": {"dim": 2}}.get(name, {})
    if name == "ARRAY":
        options = {"element_type": DataType.INT64, "max_capacity": 3}
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    if status == "works":
        schema.add_field("x", DataType[name], **options)
        with MilvusClient(":memory:") as client:
            client.create_collection("c", schema=schema)
            assert client.describe_collection("c")["fields"][1]["type"] == DataType[name]
    else:
        assert status == "raises"
        with pytest.raises(DataTypeNotSupportException):
            schema.add_field("x", DataType[name])


@pytest.fixture
def typed():
    """A collection with a dense, a sparse, a scalar and an analysed field, without indexes."""
    schema = MilvusClient.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("dense", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("scalar", DataType.INT64)
    schema.add_field("text", DataType.VARCHAR, enable_analyzer=True)
    schema.add_field("terms", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(Function("bm25", FunctionType.BM25, ["text"], ["terms"]))
    with MilvusClient(":memory:") as client:
        client.create_collection("c", schema=schema)
        row = {"id": 1, "dense": [1, 0], "sparse": {3: 1.0}, "scalar": 5, "text": "red kite"}
        client.insert("c", row | {"k": {"a": [1, 2]}})
        yield client
        assert client.verify() == []


@pytest.mark.parametrize(("field", "types"), INDEXES.items())
def test_the_index_types_of_a_field_are_those_of_the_table(typed, field, types):
    assert types
    for index_type in types:
        typed.create_index("c", typed.prepare_index_params(field, index_type=index_type))
        assert typed.describe_index("c", field)["index_type"] == index_type
        typed.drop_index("c", field)
    with pytest.raises(UnsupportedError) as caught:
        typed.create_index("c", typed.prepare_index_params(field, index_type="OTHER"))
    supported = caught.value.message.rpartition("supported: ")[2].split(", ")
    assert sorted(supported) == sorted(types)


def test_the_index_types_said_to_raise_do(typed):
    listed = re.search(r"Other types \((.*?)\)", section("Index types"), re.DOTALL)[1]
    for index_type in names(listed):
        for field in INDEXES:
            with pytest.raises(UnsupportedError, match=index_type):
                typed.create_index("c", typed.prepare_index_params(field, index_type=index_type))


# --- filters -----------------------------------------------------------------------------------

WORKING = [
    "scalar == 5 and id == 1", "scalar == 5 && id == 1", "scalar == 6 || id == 1", "!(scalar == 6)",
    "scalar == 5 AND NOT scalar == 6", "scalar != 4", "1 < scalar <= 5", "5 >= scalar > 1",
    "scalar + 1 == 6", "scalar - 1 == 4", "scalar * 2 == 10", "scalar / 2 == 2", "scalar % 2 == 1",
    "scalar ** 2 == 25", "scalar in [4, 5]", "scalar not in [4]", "text like 'red%'", "text like 're_ kite'",
    "k['a'][0] in [1]", "nothing is null", "scalar is not null", "exists k", "k['a'][0] == 1",
    "$meta['k']['a'][1] == 2", "json_contains(k['a'], 1)", "json_contains_all(k['a'], [1, 2])",
    "json_contains_any(k['a'], [1, 9])", "array_contains(k['a'], 1)", "ARRAY_CONTAINS_ALL(k['a'], [1])",
    "array_contains_any(k['a'], [1])", "array_length(k['a']) == 2", "text_match(text, 'KITE')",
    "text_match(text, 'red owl kite', minimum_should_match=2)", "scalar in {values}", "scalar == 0x5",
    "scalar == 0b101", "text =~ 'r.d'", r"text =~ '^RED|\bkite$' or text =~ r'\bkite$'",
    "text =~ '(?i)RED'", "text !~ '^kite'", "k !~ 'x'", "text like r'r%'", "icontains(text, 'RED')",
    "phrase_match(text, 'RED kite')", "PHRASE_MATCH(text, 'kite red', 2)",
    "(scalar == 5) is true", "nothing == 1 is not true",
]  # fmt: skip
RAISING = [
    "scalar == 05", r"text =~ '(a)\\1'", r"text =~ r'\p{Han}'", "text =~ 'red(?= )'",
    "random_sample(0.5)", "scalar & 1 == 1", "scalar | 1 == 5", "scalar ^ 1 == 4", "~scalar == 1",
    "scalar << 1 == 10", "scalar >> 1 == 2", "element_filter(k, $ > 1)", "match_any(k, $ > 1)",
    "ST_WITHIN(k, 'POINT(1 1)')", "k > ISO '2024-01-01T00:00:00Z'", "k > INTERVAL 'P1D'",
    "scalar == 5 And id == 1", "missing(",
]  # fmt: skip


@pytest.mark.parametrize("expression", WORKING)
def test_a_filter_said_to_work_works(typed, expression):
    found = typed.query("c", filter=expression, filter_params={"values": [5]}, output_fields=["id"])
    assert [row["id"] for row in found] == [1]


@pytest.mark.parametrize("expression", RAISING)
def test_a_filter_said_to_raise_raises(typed, expression):
    with pytest.raises(FilterError):
        typed.query("c", filter=expression)


def test_none_in_a_filter_is_the_name_of_a_key(typed):
    assert typed.query("c", filter="nothing == None") == []
    assert len(typed.query("c", filter="nothing is null", output_fields=["id"])) == 1


# --- differences -------------------------------------------------------------------------------


def test_metrics_are_those_that_are_said(typed):
    for field, metrics in {
        "dense": ["COSINE", "IP", "L2"],
        "sparse": ["IP"],
        "terms": ["BM25"],
    }.items():
        for metric in ("COSINE", "IP", "L2", "BM25"):
            params = typed.prepare_index_params(field, metric_type=metric)
            if metric in metrics:
                typed.create_index("c", params)
                typed.drop_index("c", field)
            else:
                with pytest.raises(ParamError, match="metric_type"):
                    typed.create_index("c", params)


def test_after_a_release_a_search_answers_and_the_state_says_not_loaded(typed):
    typed.release_collection("c")
    assert typed.get_load_state("c")["state"].name == "NotLoad"
    assert typed.search("c", data=[[1, 0]], anns_field="dense")[0][0].id == 1
    assert typed.get_load_state("c")["state"].name == "NotLoad"
    typed.load_collection("c")
    assert typed.get_load_state("c")["state"].name == "Loaded"


def test_limits_can_be_as_large_as_one_likes(typed):
    assert len(typed.search("c", data=[[1, 0]], anns_field="dense", limit=10**6)[0]) == 1
    assert typed.query("c", limit=10**9, offset=10**9) == []


def test_a_varchar_without_a_length_takes_65535_bytes():
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("short", DataType.VARCHAR)
    schema.add_field("long", DataType.VARCHAR, max_length=2**30)
    with MilvusClient(":memory:") as client:
        client.create_collection("c", schema=schema)
        client.insert("c", {"id": 1, "short": "x" * 65535, "long": "x" * 70_000})
        with pytest.raises(ValueError, match="max_length=65535"):
            client.insert("c", {"id": 2, "short": "x" * 65536, "long": ""})


def test_the_graph_sizes_in_the_page_are_those_of_the_code():
    # Not public: only this claim needs them.
    from elanus.engine.upkeep._graphs import is_scanned  # noqa: PLC0415
    from elanus.engine.upkeep._thresholds import Thresholds  # noqa: PLC0415
    from elanus.index import wants_graph  # noqa: PLC0415
    from elanus.schema import IndexSpec, IndexType  # noqa: PLC0415

    for page in ("planner.md", "scores.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        assert "3,840 rows" in text
        assert "3,000,000" in text
    assert not wants_graph(3840, 10_000)
    assert wants_graph(3841, 10_000)
    assert not wants_graph(29_999, 100)
    assert wants_graph(30_000, 100)
    assert is_scanned(Thresholds(), IndexSpec("flat", "v", IndexType.FLAT), 10**9, 100)
