"""Any history, by three handles of two processes, against a dict and brute force."""

import subprocess
import sys
from itertools import count
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from elanus import MilvusClient

# Low limits, so that short histories trim the log, split batches and rebuild views.
LIMITS = [
    ("elanus.engine._write", "_MOST_LOGGED_DELETES", 3),
    ("elanus.engine._write", "_AT_ONCE", 4),
]
THRESHOLDS = {"rebuild_slots": 8}

WORDS = ["red", "green", "blue", "the fox", "Fox", "a", ""]
actors = st.sampled_from(["main", "other", "child"])
numbers = st.integers(0, 14)
small = st.integers(-3, 3).map(float)
vectors = st.lists(small, min_size=4, max_size=4)
sparse_vectors = st.dictionaries(st.integers(0, 5), st.sampled_from([-1.0, 0.5, 1.0, 2.0]))
texts = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
row_values = st.fixed_dictionaries(
    {
        "text": texts,
        "v": vectors,
        "w": st.none() | vectors,
        "s": sparse_vectors,
        "n": st.none() | st.integers(0, 5),
        "tag": st.none() | st.sampled_from(["a", "ab", "b"]),
    },
    optional={"extra": st.sampled_from([1, 1.5, "1", None, [1]])},
)
batches = st.lists(st.tuples(numbers, row_values), min_size=1, max_size=8)
limits = st.sampled_from([1, 2, 3, 5, 100])


def stored(row):
    """What two rows have in common if they are the same in the file: 1 is not 1.0."""
    return repr(sorted((row | {"s": sorted(row["s"].items())}).items()))


class Machine(RuleBasedStateMachine):
    """Every rule lets one of the handles act, and compares what it says with the model."""

    def __init__(self, world, folder, child, key_type):
        super().__init__()
        self.world, self.child, self.key_type = world, child, key_type
        self.path = str(folder / f"{next(self.files)}.db")
        self.name, self.rows, self.steps = world.NAME, {}, 0
        self.filters = {
            "": lambda _: True,
            "n > 2": lambda r: r["n"] is not None and r["n"] > 2,
            "not (n > 2)": lambda r: r["n"] is not None and r["n"] <= 2,
            "n is null or tag == 'b'": lambda r: r["n"] is None or r["tag"] == "b",
            "tag in ['a', 'b']": lambda r: r["tag"] in {"a", "b"},
            "tag like 'a%'": lambda r: r["tag"] is not None and r["tag"].startswith("a"),
            "extra == 1": lambda r: type(r.get("extra")) is int,
            "text_match(text, 'fox red')": lambda r: {"fox", "red"} & set(world.TOKENS(r["text"])),
            f"id >= {self.key(7)!r}": lambda r: r["id"] >= self.key(7),
            "n > 100": lambda _: False,
        }

    files = count()

    def key(self, number):
        return number if self.key_type == "int" else f"k{number:02d}"

    def call(self, who, what, **args):
        if who == "child":
            return self.child(what, **args)
        if what == "hybrid_search":
            args["reqs"] = [self.world.AnnSearchRequest(**r) for r in args["reqs"]]
        result = getattr(self.handles[who], what)(**args)
        return orjson.loads(orjson.dumps(result, option=orjson.OPT_NON_STR_KEYS))

    def open(self, who):
        if who == "child":
            self.child("open", path=self.path)
        else:
            self.handles[who] = MilvusClient(self.path, durability="normal")

    def close(self, who):
        if who == "child":
            self.child("close")
        else:
            self.handles.pop(who).close()

    @initialize()
    def begin(self):
        self.handles = {}
        self.open("main")
        self.world.create(self.handles["main"], key_type=self.key_type)
        self.open("other")
        self.open("child")

    def teardown(self):
        for who in ("main", "other", "child"):
            assert self.call(who, "verify") == []
        for who in ("child", "other", "main"):
            self.close(who)

    # --- writing ---------------------------------------------------------------------------

    @rule(who=actors, batch=batches, how=st.sampled_from(["insert", "upsert"]))
    def put(self, who, batch, how):
        rows = [{"id": self.key(number), **values} for number, values in batch]
        said = self.call(who, how, collection_name=self.name, data=rows)
        assert said["ids"] == [r["id"] for r in rows]
        self.rows |= {r["id"]: r for r in rows}

    @rule(who=actors, chosen=st.lists(numbers, min_size=1, max_size=6))
    def delete(self, who, chosen):
        keys = [self.key(number) for number in chosen]
        said = self.call(who, "delete", collection_name=self.name, ids=keys)
        gone = set(keys) & self.rows.keys()
        assert said["delete_count"] == len(gone)
        self.rows = {k: r for k, r in self.rows.items() if k not in gone}

    @rule(who=actors, data=st.data())
    def delete_by_filter(self, who, data):
        text, keep = self.filter(data, nothing=False)
        said = self.call(who, "delete", collection_name=self.name, filter=text)
        left = {k: r for k, r in self.rows.items() if not keep(r)}
        assert said["delete_count"] == len(self.rows) - len(left)
        self.rows = left

    @rule(who=actors, batch=batches, again=st.booleans(), data=st.data())
    def replace(self, who, batch, again, data):
        text, keep = self.filter(data)
        chosen = {k: r for k, r in self.rows.items() if keep(r)}
        new = {self.key(number): {"id": self.key(number), **values} for number, values in batch}
        elsewhere = self.rows.keys() - chosen.keys()
        new = {k: r for k, r in ((chosen if again else {}) | new).items() if k not in elsewhere}
        said = self.call(
            who, "replace", collection_name=self.name, data=list(new.values()), filter=text
        )
        same = [k for k in new.keys() & chosen.keys() if stored(new[k]) == stored(chosen[k])]
        assert said == {
            "ids": list(new), "upsert_count": len(new) - len(same),
            "delete_count": len(chosen.keys() - new.keys()), "unchanged_count": len(same),
        }  # fmt: skip
        self.rows = {k: r for k, r in self.rows.items() if k not in chosen} | new

    @rule(who=actors, chosen=st.lists(numbers, min_size=1, max_size=6), data=st.data())
    def change_json(self, who, chosen, data):
        text, keep = self.filter(data)
        by_keys = text == ""
        keys = [self.key(number) for number in chosen] if by_keys else list(self.rows)
        wanted = {k for k in keys if k in self.rows and (by_keys or keep(self.rows[k]))}
        value = data.draw(st.sampled_from([1, 2.5, None]), label="value")
        change = {"remove": ["extra"]} if value is None else {"values": {"extra": value}}
        rows = {"ids": keys} if by_keys else {"filter": text}
        args = {"collection_name": self.name, "field_name": "$meta", **change, **rows}
        assert self.call(who, "change_json", **args) == len(wanted)
        for key in wanted:
            plain = {k: v for k, v in self.rows[key].items() if k != "extra"}
            self.rows[key] = plain if value is None else plain | {"extra": value}

    @precondition(lambda self: self.rows)
    @rule(who=actors, again=st.booleans())
    def truncate(self, who, again):
        self.call(who, "truncate_collection", collection_name=self.name)
        rows, self.rows = self.rows, {}
        if again:
            self.call(who, "insert", collection_name=self.name, data=list(rows.values()))
            self.rows = rows

    @rule(who=actors)
    def drop_and_create(self, who):
        self.call(who, "drop_collection", collection_name=self.name)
        self.world.create(self.handles["other"], self.name, key_type=self.key_type)
        self.rows = {}

    @rule(who=actors)
    def rename(self, who):
        new = "renamed" if self.name == self.world.NAME else self.world.NAME
        self.call(who, "rename_collection", old_name=self.name, new_name=new)
        self.name = new

    @rule(who=actors)
    def reopen(self, who):
        self.close(who)
        self.open(who)

    @rule(who=actors, what=st.sampled_from(["release_collection", "load_collection", "compact"]))
    def maintain(self, who, what):
        self.call(who, what, collection_name=self.name)

    # --- reading ---------------------------------------------------------------------------

    def filter(self, data, *, nothing=True):
        texts = list(self.filters)[not nothing :]
        text = data.draw(st.sampled_from(texts), label="filter")
        return text, self.filters[text]

    def search(self, who, field, query, limit, filter, offset=0):
        [hits] = self.call(
            who, "search", collection_name=self.name, data=[query], anns_field=field,
            filter=filter, limit=limit, offset=offset,
        )  # fmt: skip
        return self.world.pairs(hits)

    @rule(who=actors, field=st.sampled_from("vw"), query=vectors, limit=limits, data=st.data())
    def search_dense(self, who, field, query, limit, data):
        text, keep = self.filter(data)
        metric = {"v": "COSINE", "w": "L2"}[field]
        expected = self.world.dense(self.rows, field, metric, query, keep)
        offset = data.draw(st.integers(0, 3), label="offset")
        got = self.search(who, field, query, limit, text, offset)
        assert got == expected[offset : offset + limit]

    @rule(who=actors, query=texts, limit=limits, data=st.data())
    def search_text(self, who, query, limit, data):
        text, keep = self.filter(data)
        expected = self.world.text(self.rows, "text", query, keep)[:limit]
        assert self.search(who, "bm", query, limit, text) == expected

    @rule(who=actors, query=sparse_vectors.filter(bool), limit=limits, data=st.data())
    def search_sparse(self, who, query, limit, data):
        text, keep = self.filter(data)
        expected = self.world.sparse(self.rows, "s", query, keep)[:limit]
        assert self.search(who, "s", list(query.items()), limit, text) == expected

    @rule(who=actors, query=vectors, words=texts, limit=limits, data=st.data())
    def search_hybrid(self, who, query, words, limit, data):
        text, keep = self.filter(data)
        legs = [
            self.world.dense(self.rows, "w", "L2", query, keep)[:limit],
            self.world.text(self.rows, "text", words, keep)[: limit + 2],
        ]
        reqs = [
            {"data": [query], "anns_field": "w", "param": {}, "limit": limit},
            {"data": [words], "anns_field": "bm", "param": {}, "limit": limit + 2},
        ]
        [hits] = self.call(
            who, "hybrid_search", collection_name=self.name, reqs=reqs, limit=limit, filter=text
        )
        assert self.world.pairs(hits) == self.world.rrf(legs)[:limit]

    @rule(who=actors, limit=limits, offset=st.integers(0, 4), data=st.data())
    def query(self, who, limit, offset, data):
        text, keep = self.filter(data)
        got = self.call(
            who, "query", collection_name=self.name, filter=text, limit=limit, offset=offset,
            output_fields=["id", "n", "tag", "extra"],
        )  # fmt: skip
        passing = [self.rows[k] for k in sorted(self.rows) if keep(self.rows[k])]
        names = ("id", "n", "tag", "extra")
        expected = [{n: r[n] for n in names if n in r} for r in passing]
        assert got == expected[offset : offset + limit]

    @rule(who=actors, chosen=st.lists(numbers, min_size=1, max_size=4, unique=True))
    def get(self, who, chosen):
        keys = [self.key(number) for number in chosen]
        got = self.call(who, "get", collection_name=self.name, ids=keys)
        expected = [
            {**self.rows[k], "s": {str(d): x for d, x in sorted(self.rows[k]["s"].items())}}
            for k in keys
            if k in self.rows
        ]
        assert got == expected

    @rule(who=actors, data=st.data())
    def count_matching(self, who, data):
        text, keep = self.filter(data)
        got = self.call(
            who, "query", collection_name=self.name, filter=text, output_fields=["count(*)"]
        )
        assert got == [{"count(*)": sum(bool(keep(r)) for r in self.rows.values())}]

    @rule(who=actors, data=st.data())
    def count_values(self, who, data):
        text, keep = self.filter(data)
        got = self.call(
            who, "count_values", collection_name=self.name, field_name="tag", filter=text
        )
        tags = [r["tag"] for r in self.rows.values() if keep(r)]
        assert dict(got) == {tag: tags.count(tag) for tag in tags}

    @rule(who=actors)
    def verify(self, who):
        assert self.call(who, "verify") == []

    @invariant()
    def has_the_keys_of_the_model(self):
        # One handle after the other, so that each of them also falls some commits behind.
        self.steps += 1
        who = ("main", "other", "child", None)[self.steps % 4]
        if who:
            got = self.call(who, "query", collection_name=self.name, output_fields=["id"])
            assert [r["id"] for r in got] == sorted(self.rows)
            stats = self.call(who, "get_collection_stats", collection_name=self.name)
            assert stats == {"row_count": len(self.rows)}


@pytest.fixture(scope="module")
def child():
    """Calls into a long-lived second process."""
    script = Path(__file__).with_name("_child.py")
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:

        def call(what, **args):
            line = orjson.dumps({"call": what, "args": args}, option=orjson.OPT_NON_STR_KEYS)
            process.stdin.write(line + b"\n")
            process.stdin.flush()
            answer = orjson.loads(process.stdout.readline())
            assert "error" not in answer, answer["error"]
            return answer["result"]

        call("patch", constants=LIMITS, thresholds=THRESHOLDS)
        yield call
        process.stdin.close()
        assert process.wait(timeout=60) == 0


@pytest.mark.parametrize("key_type", ["int", "string"])
def test_any_history_by_three_handles_equals_the_model(
    world, child, tmp_path, thresholds, monkeypatch, key_type
):
    for module, name, value in LIMITS:
        monkeypatch.setattr(f"{module}.{name}", value)
    thresholds(**THRESHOLDS)
    run_state_machine_as_test(
        lambda: Machine(world, tmp_path, child, key_type),
        settings=settings(
            max_examples=settings().max_examples // 2,
            stateful_step_count=40,
            suppress_health_check=list(HealthCheck),
        ),
    )
