# ruff: noqa: ARG005  # the calls of a table all take the same arguments
"""Closing any other descriptor of the database's files would drop SQLite's locks (POSIX).

So one process holds the write lock, does all that a client can do, and after each call another
process must still be kept out. The lists of calls are complete by introspection.
"""

import ast
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import apsw
import pytest

import elanus
from elanus import (
    AnnSearchRequest,
    AsyncMilvusClient,
    DocumentStore,
    MilvusClient,
    SearchSettings,
)

DIM = 4
SOURCE = Path(elanus.__file__).parent
# The queue's own file, the mark, and the folder of what can be computed again: never the database's.
MAY_OPEN_FILES = {
    "storage/file/_lock.py", "storage/file/_mark.py", "storage/cache/_container.py", "storage/cache/_folder.py",
    "storage/file/_backup.py",  # the folder of a copy, to sync it
    "storage/_errors.py",  # maps memory of no file, to see whether there is any
    "evaluation/_folder.py",  # reads folders of judged questions, and never one of a database
}  # fmt: skip
OPENERS = {
    "open", "fdopen", "read_bytes", "read_text", "write_bytes", "write_text", "memmap", "fromfile",
    "tofile", "copy", "copy2", "copyfile", "copytree", "touch", "hardlink_to", "symlink_to",
    "sendfile", "copy_file_range",
}  # fmt: skip


class Hashed:
    """An embedding of letters, for texts without a model."""

    dim, name = DIM, "letters"

    def encode_documents(self, texts):
        return [[float(t.count(c)) + 1 for c in "aeio"] for t in texts]

    encode_queries = encode_documents


# Reads, which are possible while another connection of this process holds the write lock.
CLIENT_READS = {
    "__repr__": lambda c, w: repr(c),
    "verify": lambda c, w: c.verify(),
    "check_readable": lambda c, w: c.check_readable("a"),
    "check_writable": lambda c, w: c.check_writable(),
    "backup": lambda c, w: c.backup(w.new_path()),
    "create_schema": lambda c, w: c.create_schema(),
    "create_field_schema": lambda c, w: c.create_field_schema("x", 5),
    "prepare_index_params": lambda c, w: c.prepare_index_params("v"),
    "has_collection": lambda c, w: c.has_collection("a"),
    "list_collections": lambda c, w: c.list_collections(),
    "describe_collection": lambda c, w: c.describe_collection("a"),
    "get_collection_stats": lambda c, w: c.get_collection_stats("a"),
    "list_indexes": lambda c, w: c.list_indexes("a"),
    "describe_index": lambda c, w: c.describe_index("a", "vector"),
    "load_collection": lambda c, w: c.load_collection("a"),
    "refresh_load": lambda c, w: c.refresh_load("a"),
    "release_collection": lambda c, w: c.release_collection("a"),
    "get_load_state": lambda c, w: c.get_load_state("a"),
    "flush": lambda c, w: c.flush("a"),
    "get_server_version": lambda c, w: c.get_server_version(),
    "get": lambda c, w: c.get("a", [1, 2]),
    "query": lambda c, w: c.query("a", "id > 1"),
    "count_values": lambda c, w: c.count_values("a", "$meta", ["tag"]),
    "count_keys": lambda c, w: c.count_keys("a", "$meta"),
    "query_terms": lambda c, w: c.query_terms("texts", "terms", "kite"),
    "file_size": lambda c, w: c.file_size(),
    "search": lambda c, w: c.search("a", [[1, 0, 0, 0]], output_fields=["*"]),
    "hybrid_search": lambda c, w: c.hybrid_search(
        "a", [AnnSearchRequest([[1, 0, 0, 0]], "vector", {}, 5)], limit=3
    ),
}

# Calls that change the file, each followed by taking the lock.
CLIENT_WRITES = {
    "create_collection": lambda c, w: c.create_collection("b", dimension=DIM),
    "insert": lambda c, w: c.insert("b", rows(50)),
    "upsert": lambda c, w: c.upsert("b", rows(70)),
    "replace": lambda c, w: c.replace("b", rows(70)[6:], "id > 5"),
    "change_collection": lambda c, w: c.change_collection("a", {"note": "x"}),
    "change_json": lambda c, w: c.change_json("b", "$meta", {"x": 1}, filter="id < 20"),
    "delete": lambda c, w: c.delete("b", filter="id < 10"),
    "drop_index": lambda c, w: c.drop_index("b", "vector"),
    "create_index": lambda c, w: c.create_index("b", flat(c)),
    "rename_collection": lambda c, w: c.rename_collection("b", "d"),
    "truncate_collection": lambda c, w: c.truncate_collection("d"),
    "drop_collection": lambda c, w: c.drop_collection("d"),
    "compact": lambda c, w: c.compact(),
}
CLIENT_ENDS = {"close", "__enter__", "__exit__"}

STORE_READS = {
    "__repr__": lambda s, w: repr(s),
    "__len__": lambda s, w: len(s),
    "__bool__": lambda s, w: bool(s),
    "__iter__": lambda s, w: list(s),
    "__aiter__": lambda s, w: w.run(listed(s)),
    "__contains__": lambda s, w: "1" in s,
    "client": lambda s, w: s.client,
    "collection": lambda s, w: s.collection,
    "dim": lambda s, w: s.dim,
    "embedding": lambda s, w: s.embedding,
    "blocking": lambda s, w: s.blocking,
    "worker": lambda s, w: s.worker,
    "verify": lambda s, w: s.verify(),
    "check_add": lambda s, w: s.check_add(["an owl"]),
    "acheck_add": lambda s, w: w.run(s.acheck_add(["an owl"])),
    "get": lambda s, w: s.get("1"),
    "count": lambda s, w: s.count(),
    "peek": lambda s, w: s.peek(),
    "stats": lambda s, w: s.stats(),
    "keys": lambda s, w: s.keys(),
    "facets": lambda s, w: s.facets("year"),
    "highlight": lambda s, w: s.highlight("an owl", "owls"),
    "apeek": lambda s, w: w.run(s.apeek()),
    "astats": lambda s, w: w.run(s.astats()),
    "akeys": lambda s, w: w.run(s.akeys()),
    "afacets": lambda s, w: w.run(s.afacets("year")),
    "ahighlight": lambda s, w: w.run(s.ahighlight("an owl", "owls")),
    "search": lambda s, w: [s.search("an owl", mode=m) for m in ("hybrid", "dense", "text")],
    "check_search": lambda s, w: s.check_search("an owl"),
    "acheck_search": lambda s, w: w.run(s.acheck_search("an owl")),
    "search_mmr": lambda s, w: s.search_mmr("an owl"),
    "aget": lambda s, w: w.run(s.aget("1")),
    "acount": lambda s, w: w.run(s.acount()),
    "asearch": lambda s, w: w.run(s.asearch("an owl")),
    "asearch_mmr": lambda s, w: w.run(s.asearch_mmr("an owl")),
    "averify": lambda s, w: w.run(s.averify()),
}
STORE_WRITES = {
    "add": lambda s, w: s.add(["an owl", "a kite"], ids=["1", "2"]),
    "aadd": lambda s, w: w.run(s.aadd(["a gull"])),
    "sync": lambda s, w: s.sync("a.md", ["an egret", "a finch"]),
    "async_": lambda s, w: w.run(s.async_("a.md", ["a finch"])),
    "configure": lambda s, w: s.configure(SearchSettings(k1=0.9)),
    "aconfigure": lambda s, w: w.run(s.aconfigure(None)),
    "update_metadata": lambda s, w: s.update_metadata("1", {"year": 2020}),
    "aupdate_metadata": lambda s, w: w.run(s.aupdate_metadata("1", {"year": 2021})),
    "delete": lambda s, w: s.delete("2"),
    "adelete": lambda s, w: w.run(s.adelete("2")),
    "clear": lambda s, w: s.clear(),
    "aclear": lambda s, w: w.run(s.aclear()),
}
STORE_ENDS = {"close", "aclose", "__enter__", "__exit__", "__aenter__", "__aexit__"}


async def listed(store):
    return [document async for document in store]


def rows(count):
    return [{"id": i, "vector": [i, 1, 0, 0], "tag": f"t{i}"} for i in range(count)]


def flat(client):
    params = client.prepare_index_params()
    params.add_index("vector", "FLAT", metric_type="COSINE")
    return params


def public(kind):
    """The names of a class that are its own or its parents', but not ``object``'s."""
    own = {
        n for base in kind.__mro__[:-1] for n, v in vars(base).items() if callable(v) or n[0] != "_"
    }
    special = {"__init__", "__class_getitem__", "__init_subclass__"}
    return {n for n in own if not n.startswith("_") or n.startswith("__")} - special


def test_the_lists_of_calls_are_complete():
    assert {*CLIENT_READS, *CLIENT_WRITES, *CLIENT_ENDS} == public(MilvusClient)
    assert {*STORE_READS, *STORE_WRITES, *STORE_ENDS} == public(DocumentStore)
    only_async = {"blocking", "worker", "__aenter__", "__aexit__"}
    only_blocking = {"__enter__", "__exit__"}
    assert public(AsyncMilvusClient) - only_async == public(MilvusClient) - only_blocking


# --- a second process ----------------------------------------------------------------------------


@pytest.fixture
def world(path, tmp_path, start):
    """Another process that tries to become the writer, and helpers for the calls."""
    numbers = iter(range(1000))
    with MilvusClient(path) as client:
        client.create_collection("a", dimension=DIM)
        client.insert("a", rows(200))
        DocumentStore(client=client, collection="texts").add(["a kite"])
    child = start("probe", path)

    def probe():
        child.stdin.write("now\n")
        child.stdin.flush()
        return child.stdout.readline().strip()

    def run(coroutine):
        import asyncio  # noqa: PLC0415  # only the stores' coroutines need a loop

        return asyncio.run(coroutine)

    return SimpleNamespace(
        path=path, probe=probe, run=run, new_path=lambda: tmp_path / f"copy{next(numbers)}.db"
    )


@pytest.fixture
def writer(world):
    """A connection of this process that can hold the write lock."""
    db = apsw.Connection(world.path)
    db.set_busy_timeout(60_000)
    yield db
    db.close()


KEPT_OUT = "database is locked"


def assert_kept_out(world, writer, name):
    """Whoever holds the lock after a call is alone."""
    writer.execute("BEGIN IMMEDIATE")
    assert world.probe() == KEPT_OUT, name
    writer.execute("ROLLBACK")
    assert world.probe() == "admitted", name


def test_the_probe_notices_a_lock_that_was_dropped(world, writer):
    """What this module guards against, done on purpose."""
    writer.execute("BEGIN IMMEDIATE")
    assert world.probe() == KEPT_OUT
    os.close(os.open(world.path + "-shm", os.O_RDONLY))
    assert world.probe() == "admitted"


def test_no_read_of_a_client_drops_the_lock_that_this_process_holds(world, writer):
    with MilvusClient(world.path) as client:
        writer.execute("BEGIN IMMEDIATE")
        for name, call in CLIENT_READS.items():
            call(client, world)
            assert world.probe() == KEPT_OUT, name
        for read_only in (False, True):
            with MilvusClient(world.path, read_only=read_only) as other:
                assert len(other.query("a")) == 200
                assert world.probe() == KEPT_OUT, "opening again"
            assert world.probe() == KEPT_OUT, f"closing a client with read_only={read_only}"
        writer.execute("ROLLBACK")
        assert client.verify() == []


def test_no_read_of_a_store_drops_the_lock_that_this_process_holds(world, writer):
    with DocumentStore(world.path, Hashed()) as store:
        store.add(["an owl", "a kite"], ids=["1", "2"])
        writer.execute("BEGIN IMMEDIATE")
        for name, call in STORE_READS.items():
            call(store, world)
            assert world.probe() == KEPT_OUT, name
        with DocumentStore(world.path, Hashed()) as other:
            other.get("1")
        assert world.probe() == KEPT_OUT, "closing another store"
        writer.execute("ROLLBACK")
        assert store.verify() == []


def test_after_every_write_of_a_client_the_lock_still_keeps_others_out(world, writer):
    with MilvusClient(world.path) as client:
        for name, call in CLIENT_WRITES.items():
            call(client, world)
            assert_kept_out(world, writer, name)
        assert client.verify() == []
    assert_kept_out(world, writer, "close")


def test_after_every_write_of_a_store_the_lock_still_keeps_others_out(world, writer):
    with DocumentStore(world.path, Hashed()) as store:
        for name, call in STORE_WRITES.items():
            call(store, world)
            assert_kept_out(world, writer, name)
        assert store.verify() == []
    assert_kept_out(world, writer, "close")
    store = DocumentStore(world.path, Hashed())
    world.run(store.aclose())
    assert_kept_out(world, writer, "aclose")


# --- no other descriptor -------------------------------------------------------------------------

_opened = []
_watching = []


def _watch(event, arguments):
    if _watching and event == "open":
        _opened.append(str(arguments[0]))


def test_no_call_opens_a_file_of_the_database(world):
    """An audit hook sees every file that Python or numpy opens; SQLite's own are not among them."""
    sys.addaudithook(_watch)
    _watching.append(True)
    try:
        with MilvusClient(world.path) as client:
            for call in [*CLIENT_READS.values(), *CLIENT_WRITES.values()]:
                call(client, world)
        with DocumentStore(world.path, Hashed()) as store:
            for call in [*STORE_WRITES.values(), *STORE_READS.values()]:
                call(store, world)
    finally:
        _watching.clear()
    forbidden = {world.path + ending for ending in ("", "-wal", "-shm", "-journal")}
    assert forbidden.isdisjoint(_opened)
    assert any(name.endswith("writer.lock") for name in _opened), "the hook sees nothing"


def opening_calls(source):
    """Calls by which a module could open a file: line, and name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names]
            module = getattr(node, "module", None) or ""
            if module == "shutil" or {"shutil", "mmap", "fileinput"} & set(names):
                yield node.lineno, "import"
        elif isinstance(node, ast.Call):
            function = node.func
            name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
            # `self.folder.open(row)` and the like are our own; `copy()` of an array takes nothing.
            owner = ast.unparse(function.value) if isinstance(function, ast.Attribute) else ""
            if name in OPENERS and not (name == "copy" and owner != "shutil"):
                yield node.lineno, f"{owner}.{name}" if owner else name


def test_no_module_but_those_of_lock_and_cache_can_open_a_file():
    found = {}
    for module in sorted(SOURCE.rglob("*.py")):
        name = module.relative_to(SOURCE).as_posix()
        calls = [
            c for c in opening_calls(module.read_text("utf-8")) if not c[1].endswith("folder.open")
        ]
        if calls and name not in MAY_OPEN_FILES:
            found[name] = calls
    assert found == {}


def test_only_one_module_connects_to_a_database():
    connecting = [
        module.relative_to(SOURCE).as_posix()
        for module in SOURCE.rglob("*.py")
        if re.search(r"sqlite3\.connect\(|apsw\.Connection\(", module.read_text("utf-8"))
    ]
    assert connecting == ["storage/_sqlite.py"]


@pytest.mark.parametrize(
    "line",
    ["open(p)", "p.open('rb')", "os.open(p, 0)", "io.open(p)", "p.read_bytes()", "import shutil",
     "from shutil import copy", "np.memmap(p)", "p.write_text('')"],
)  # fmt: skip
def test_the_search_for_opening_calls_finds(line):
    assert list(opening_calls(line))
