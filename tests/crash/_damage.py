"""A process of its own: ``python _damage.py make FOLDER`` or ``… play FOLDER WORK FIRST COUNT``.

Makes a database, with and without a log beside it, and plays every call on damaged copies of it. A
call may give what is right, or raise an error that says that the file is damaged; nothing else.
"""

import faulthandler
import json
import os
import random
import resource
import shutil
import sys
import traceback
from pathlib import Path

from elanus import AnnSearchRequest, DataType, Function, FunctionType, MilvusClient, RRFRanker
from elanus.errors import StorageError
from elanus.storage import SavedFile, Written, register

PAGE = 16_384
SECONDS = 20
MEMORY = 4 << 30
WORDS = [f"{a}{b}{c}" for a in "bdfg" for b in "aeio" for c in "klmn"]
COLLECTIONS = ("numbers", "texts")
FIELDS = ["id", "text", "n", "tags", "more", "v", "w", "s", "extra"]
QUERIES = {"v": [1.0] * 8, "w": [1.0] * 3, "s": {5: 1.0, 7: 2.0}, "bm": "bak dal fim gon"}
_FILTERS = ["", "n > 50", "TEXT_MATCH(text, 'bak')", "more['a'] > 0.5", "extra like 'b%'"]
FILTERS = {
    "numbers": [*_FILTERS, "id != 3", "array_contains(tags, 3)"],
    "texts": [*_FILTERS, "id != 'key 00003'"],
}


# --- making --------------------------------------------------------------------------------------


def create(client, name):
    schema = MilvusClient.create_schema(enable_dynamic_field=True)
    if name == "numbers":
        schema.add_field("id", DataType.INT64, is_primary=True)
    else:
        schema.add_field("id", DataType.VARCHAR, max_length=100, is_primary=True)
    schema.add_field("text", DataType.VARCHAR, max_length=5000, enable_analyzer=True)
    schema.add_field("n", DataType.INT64, nullable=True)
    schema.add_field("tags", DataType.ARRAY, element_type=DataType.INT64, max_capacity=10)
    schema.add_field("more", DataType.JSON)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=8)
    schema.add_field("w", DataType.FLOAT_VECTOR, dim=3, nullable=True)
    schema.add_field("s", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("bm", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(Function("bm25", FunctionType.BM25, ["text"], ["bm"]))
    params = MilvusClient.prepare_index_params()
    params.add_index("v", "FLAT", metric_type="L2")
    params.add_index("w", "FLAT", metric_type="COSINE")
    params.add_index("s", "SPARSE_INVERTED_INDEX", metric_type="IP")
    params.add_index("bm", "SPARSE_INVERTED_INDEX", metric_type="BM25")
    client.create_collection(name, schema=schema, index_params=params)


def key_of(name, number):
    return number if name == "numbers" else f"key {number:05}"


def row(name, number):
    rng = random.Random(f"{name} {number}")
    return {
        "id": key_of(name, number),
        "text": " ".join(rng.choices(WORDS, k=rng.randrange(1, 60))),
        "n": rng.choice([None, rng.randrange(100)]),
        "tags": [rng.randrange(9) for _ in range(rng.randrange(5))],
        "more": {"a": rng.random(), "b": [1, {"c": rng.choice(WORDS)}]},
        "v": [float(rng.randrange(-50, 50)) for _ in range(8)],
        "w": rng.choice([None, [rng.randrange(1, 9) * 1.0 for _ in range(3)]]),
        "s": {i: rng.randrange(1, 9) * 1.0 for i in rng.sample(range(1000), 5)},
        "extra": rng.choice(WORDS),
    }


def fill(client, name, numbers):
    client.insert(name, [row(name, number) for number in numbers])


def save_expected(client, folder):
    rows = {
        name: {str(r["id"]): r for r in as_json(client.query(name, output_fields=["*"]))}
        for name in COLLECTIONS
    }
    (folder / "expected.json").write_text(json.dumps(rows))


def as_json(value):
    return json.loads(json.dumps(value, default=dict))


def make(folder):
    """``whole/kb.db``, and ``log/kb.db`` whose last commits are in the log."""
    whole, log = Path(folder, "whole"), Path(folder, "log")
    whole.mkdir()
    with MilvusClient(whole / "kb.db") as client:
        for name in COLLECTIONS:
            create(client, name)
            fill(client, name, range(300))
            client.delete(name, ids=[key_of(name, number) for number in range(0, 300, 7)])
            client.upsert(name, [row(name, number) for number in range(1, 300, 50)])
        with client._database.file.write("note a saved view") as db:
            register(db, SavedFile("0" * 32, 1, 0, "slots", 3, 100, 10, Written(1000, 12345)))
        save_expected(client, whole)
        assert client.verify() == []
    shutil.copytree(whole, log)
    client = MilvusClient(log / "kb.db")
    for name in COLLECTIONS:
        fill(client, name, range(300, 360))
        client.delete(name, ids=[key_of(name, number) for number in range(1, 300, 9)])
    save_expected(client, log)
    os._exit(0)  # as a process that is killed: the log stays


# --- damaging ------------------------------------------------------------------------------------


def flip_bits(data, rng):
    for _ in range(rng.choice([1, 1, 1, 5, 50])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def overwrite(data, rng):
    for _ in range(rng.choice([1, 3])):
        size = min(rng.choice([1, 4, 16, 200, 4000, PAGE]), len(data))
        at = rng.randrange(len(data) - size + 1)
        source = rng.randrange(len(data) - size + 1)
        data[at : at + size] = rng.choice(
            [bytes(size), b"\xff" * size, rng.randbytes(size), bytes(data[source : source + size])]
        )


def pages(data):
    return max(len(data) // PAGE, 1)


def swap_pages(data, rng):
    a, b = (rng.randrange(1, pages(data)) * PAGE for _ in range(2))
    data[a : a + PAGE], data[b : b + PAGE] = data[b : b + PAGE], data[a : a + PAGE]


def copy_page(data, rng):
    a, b = (rng.randrange(1, pages(data)) * PAGE for _ in range(2))
    data[a : a + PAGE] = data[b : b + PAGE]


def truncate(data, rng):
    del data[rng.randrange(1, len(data)) :]


def spoil_header(data, rng):
    for _ in range(rng.choice([1, 2, 8])):
        data[rng.randrange(16, 100)] = rng.randrange(256)


def spoil_page_header(data, rng):
    """Kind of page, number of cells, right-most child, places of cells."""
    at = rng.randrange(pages(data)) * PAGE
    at += 100 * (at == 0) + rng.choice([0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, rng.randrange(12, 200)])
    data[at] = rng.choice([rng.randrange(256), 2, 5, 10, 13, rng.randrange(pages(data) + 1)])


def spoil_cells(data, rng):
    """The beginnings of cells: lengths, row numbers, types."""
    for _ in range(rng.choice([1, 3, 10])):
        at = rng.randrange(pages(data)) * PAGE
        head = at + 100 * (at == 0)
        cells = int.from_bytes(data[head + 3 : head + 5], "big")
        if data[head] not in (2, 5, 10, 13) or not 0 < cells < 4000:
            continue
        first = head + (12 if data[head] in (2, 5) else 8)
        entry = first + 2 * rng.randrange(cells)
        place = at + int.from_bytes(data[entry : entry + 2], "big") + rng.randrange(14)
        if place < len(data):
            data[place] = rng.choice([rng.randrange(256), data[place] ^ (1 << rng.randrange(8))])


def spoil_text(data, rng):
    """What stands in words: the schema, definitions, keys."""
    words = [b"CREATE", b"TABLE", b"c1_rows", b"c2_terms", b"schema", b"data_type", b"FLAT", b"dim",
             b"metric", b"sqlite_sequence", b"definition", b"key 0", b"slots", b"INTEGER"]  # fmt: skip
    places = []
    for word in words:
        at = data.find(word)
        while at >= 0 and len(places) < 4000:
            places.append(at + rng.randrange(len(word) + 20))
            at = data.find(word, at + 1)
    at = min(rng.choice(places), len(data) - 1)
    data[at] = rng.choice([data[at] ^ (1 << rng.randrange(8)), rng.randrange(256)])


KINDS = [flip_bits, flip_bits, overwrite, overwrite, swap_pages, copy_page, truncate, spoil_header,
         spoil_page_header, spoil_page_header, spoil_cells, spoil_cells, spoil_text]  # fmt: skip


def damage(base, target, seed):
    """A damaged copy of a database; what was done to which file."""
    rng = random.Random(seed)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(base, target)
    if rng.random() < 0.5:
        shutil.rmtree(target / "kb.db-cache", ignore_errors=True)
    file, kind = target / "kb.db", rng.choice(KINDS)
    log = target / "kb.db-wal"
    if log.exists() and rng.random() < 0.7:
        file, kind = log, rng.choice([flip_bits, overwrite, truncate])
    data = bytearray(file.read_bytes())
    kind(data, rng)
    file.write_bytes(data)
    return f"{base.name}, {file.name}, {kind.__name__}"


# --- playing -------------------------------------------------------------------------------------


class Play:
    """Calls on one damaged database, and what was wrong about their answers."""

    def __init__(self, folder, expected, *, is_log):
        self.path = folder / "kb.db"
        self.expected = expected
        self.is_log = is_log
        self.problems = []

    def call(self, what, action, *arguments, **options):
        try:
            return action(*arguments, **options)
        except StorageError:
            return None
        except Exception:  # noqa: BLE001  # what no call may raise
            self.problems.append(f"{what}: {traceback.format_exc()}")
            return None

    def rows_are_right(self, what, name, rows):
        for got in as_json(rows or ()):
            key = str(got["id"])
            # A damaged log ends sooner: then rows are there that it would have deleted.
            known = self.expected[name].get(key)
            if known is None and self.is_log:
                known = as_json(row(name, int(key.rsplit(maxsplit=1)[-1])))
            if known is None or any(known[field] != value for field, value in got.items()):
                self.problems.append(f"{what}: wrong row {str(got)[:300]} for {str(known)[:300]}")

    def run(self, rng):
        for read_only in (True, False):
            client = self.call("open", MilvusClient, self.path, read_only=read_only, timeout=5)
            if client is None:
                continue
            try:
                self.read(client)
                if not read_only:
                    self.write(client, rng)
                    self.read(client)
            finally:
                self.call("close", client.close)

    def read(self, client):
        self.verify(client)
        self.call("list", client.list_collections)
        for name in COLLECTIONS:
            self.call("describe", client.describe_collection, name)
            self.call("indexes", client.list_indexes, name)
            self.call("stats", client.get_collection_stats, name)
            for field, data in QUERIES.items():
                for text in FILTERS[name]:
                    self.search(client, name, field, data, text)
            self.call("hybrid", hybrid, client, name)
            rows = self.call("query", client.query, name, output_fields=FIELDS)
            self.rows_are_right("query", name, rows)
            for number in (3, 8, 99, 200):
                key = key_of(name, number)
                rows = self.call("get", client.get, name, key, output_fields=["*", "v"])
                self.rows_are_right("get", name, rows)
            self.call("count", client.query, name, output_fields=["count(*)"])

    def search(self, client, name, field, data, text):
        found = self.call(
            f"search {field} {text}", client.search, name, [data],
            anns_field=field, limit=20, filter=text, output_fields=["*"],
        )  # fmt: skip
        for hits in found or ():
            rows = [{**hit["entity"], "id": hit["id"]} for hit in hits]
            self.rows_are_right(f"search {field} {text}", name, rows)

    def verify(self, client):
        faults = self.call("verify", client.verify)
        if faults is None:
            self.problems.append("verify: raised")
        elif len(faults) > 250 or any(len(fault) > 350 for fault in faults):
            self.problems.append(f"verify: too much: {len(faults)}, {max(map(len, faults))}")

    def write(self, client, rng):
        self.call("backup", client.backup, self.path.with_name("copy.db"))
        for name in COLLECTIONS:
            number = rng.randrange(1000, 2000)
            for new in (number, 8, 9):
                self.expected[name][str(key_of(name, new))] = as_json(row(name, new))
            self.call("insert", client.insert, name, [row(name, number)])
            self.call("upsert", client.upsert, name, [row(name, 8), row(name, 9)])
            self.call("delete", client.delete, name, ids=[key_of(name, 10)])
            self.call("delete by filter", client.delete, name, filter="n == 17")
        self.call("rename", rename, client)
        self.call("create", client.create_collection, "other", dimension=2)
        self.call("drop", client.drop_collection, "other")
        self.call("compact", client.compact)


def hybrid(client, name):
    legs = [
        AnnSearchRequest([[1.0] * 8], "v", {}, limit=10),
        AnnSearchRequest(["bak gon"], "bm", {}, limit=10),
    ]
    client.hybrid_search(name, legs, RRFRanker(), limit=10)


def rename(client):
    client.rename_collection("texts", "others")
    client.rename_collection("others", "texts")


def play(folder, work, first, count):
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for seed in range(int(first), int(first) + int(count)):
        base = Path(folder, "log" if seed % 3 == 0 else "whole")
        expected = json.loads((base / "expected.json").read_text())
        target = Path(work, "copy")
        what = damage(base, target, seed)
        print(json.dumps({"seed": seed, "what": what}), flush=True)
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        played = Play(target, expected, is_log=base.name == "log")
        played.run(random.Random(seed))
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps({"seed": seed, "problems": played.problems}), flush=True)


if __name__ == "__main__":
    {"make": make, "play": play}[sys.argv[1]](*sys.argv[2:])
