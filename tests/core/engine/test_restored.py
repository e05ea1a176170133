"""Another state of the file is put in place under an open client, and a write comes first.

Nothing that the client remembers may be written then, or decide what is. So the file must be as if
a fresh client had written to a copy of that state.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elanus import DataType, Function, FunctionType, MilvusClient
from elanus.errors import CollectionExistsError, CollectionNotFoundError
from elanus.storage import bump, read_state

NAME = "notes"
WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa common"

_RESTORE = """
import sqlite3, sys
for line in sys.stdin:
    source, target = map(sqlite3.connect, line.rstrip("\\n").split("\\t"))
    source.backup(target)
    target.close()
    print("done", flush=True)
"""


@pytest.fixture(scope="module")
def restore():
    """Put the state of one file in another, as ``.restore`` of SQLite's shell does it."""
    with subprocess.Popen(
        [sys.executable, "-c", _RESTORE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:

        def run(source, path):
            child.stdin.write(f"{source}\t{path}\n")
            child.stdin.flush()
            assert child.stdout.readline() == "done\n"

        yield run
        child.stdin.close()


def note(key, text):
    return {"id": key, "text": f"{text} common", "v": [float(key), 1.0], "n": key}


def create(client, name=NAME):
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("text", DataType.VARCHAR, max_length=1000, enable_analyzer=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("bm", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(Function("bm25", FunctionType.BM25, ["text"], ["bm"]))
    params = client.prepare_index_params()
    params.add_index("bm", "SPARSE_INVERTED_INDEX", metric_type="BM25")
    client.create_collection(name, schema=schema, index_params=params)


def answers(client):
    """All that a collection says: its rows, and what is found by each word and by a vector."""
    found = {}
    for name in sorted(client.list_collections()):
        rows = client.query(name, output_fields=["*"])
        hits = client.search(name, WORDS.split(), anns_field="bm", limit=50)
        near = client.search(name, [[3.0, 1.0]], anns_field="v", limit=50)
        scores = [[(hit["id"], hit["distance"]) for hit in each] for each in [*hits, *near]]
        found[name] = rows, scores, client.list_indexes(name)
    return found


def begin(tmp_path):
    """A client that remembers words and rows of the file, and a copy from before these."""
    client = MilvusClient(tmp_path / "kb.db")
    create(client)
    client.insert(NAME, [note(1, "alpha beta"), note(2, "beta gamma")])
    client.backup(tmp_path / "old.db")
    client.insert(NAME, [note(3, "delta epsilon"), note(4, "zeta")])
    client.create_index(NAME, _near(client))
    answers(client)
    return client


def fork(path, commits):
    """Let a copy go on by itself, by so many commits; by two it is as far as the client."""
    with MilvusClient(path) as copy:
        if commits:
            copy.insert(NAME, [note(3, "theta iota"), note(5, "kappa epsilon")])
        if commits > 1:
            copy.create_index(NAME, _near(copy))
        for number in range(2, commits):
            copy.upsert(NAME, [note(2, f"eta number{number}")])


def change(path):
    """Let a copy go on by more changes of the catalogue than the client has seen."""
    with MilvusClient(path) as copy:
        copy.create_index(NAME, _near(copy))
        for name in ("one", "two", "three"):
            create(copy, name)
            copy.drop_collection(name)
        create(copy, "other")
        copy.insert(NAME, [note(n, "theta iota kappa") for n in range(5, 25)])


WRITES = {
    "insert": lambda c: c.insert(NAME, [note(9, "delta kappa new"), note(10, "epsilon")]),
    "upsert": lambda c: c.upsert(NAME, [note(2, "delta zeta"), note(3, "epsilon")]),
    "delete keys": lambda c: c.delete(NAME, ids=[2, 3, 4]),
    "delete by filter": lambda c: c.delete(NAME, filter="n >= 2 and text != 'x'"),
    "delete by words": lambda c: c.delete(NAME, filter="TEXT_MATCH(text, 'delta beta theta')"),
    "replace": lambda c: c.replace(NAME, [note(2, "beta gamma"), note(7, "delta")], "n >= 2"),
    "change json": lambda c: c.change_json(NAME, "$meta", {"n": 70}, filter="n >= 2"),
    "truncate": lambda c: c.truncate_collection(NAME),
    "drop": lambda c: c.drop_collection(NAME),
    "rename": lambda c: c.rename_collection(NAME, "renamed"),
    "create": lambda c: create(c, "fresh"),
    "create index": lambda c: c.create_index(NAME, _near(c)),
    "drop index": lambda c: c.drop_index(NAME, "near"),
    "compact": lambda c: c.compact(),
    "save": lambda c: [
        c._database._upkeep.cache.save(s) for s in list(c._database.commits.states.values())
    ],
}


def _near(client):
    params = client.prepare_index_params()
    params.add_index("v", "FLAT", metric_type="L2", index_name="near")
    return params


def _prepare(state, copy):
    if state == "other catalogue":
        change(copy)
    else:
        fork(copy, {"older": 0, "equal": 2, "ahead": 8}[state])


CASES = [
    *((name, state) for name in WRITES for state in ("older", "ahead")),
    *(("insert", state) for state in ("equal", "other catalogue")),
    *((name, "other catalogue") for name in ("replace", "create index", "drop index", "save")),
]


@pytest.mark.parametrize(("name", "state"), CASES)
def test_a_write_that_comes_first_is_one_of_the_state_that_is_there(tmp_path, restore, name, state):
    write, path, old = WRITES[name], tmp_path / "kb.db", tmp_path / "old.db"
    with begin(tmp_path) as client:
        _prepare(state, old)
        shutil.copy(old, tmp_path / "fresh.db")
        restore(old, path)
        with MilvusClient(tmp_path / "fresh.db") as fresh:
            for one in client, fresh:
                write(one)
                create(one, "then")
                one.insert("then", [note(1, "delta iota")])
            expected = answers(fresh)
        assert answers(client) == expected
        assert client.verify() == []
    with MilvusClient(path) as other:
        assert answers(other) == expected
        assert other.verify() == []


def test_equal_means_that_no_number_tells(tmp_path):
    with begin(tmp_path) as client:
        fork(tmp_path / "old.db", 2)
        with MilvusClient(tmp_path / "old.db") as copy:
            (mine, its) = (each._database.commits for each in (client, copy))
            for each in client, copy:
                answers(each)
            assert mine.newest.seq == its.newest.seq
            assert mine.newest.catalogue.version == its.newest.catalogue.version
            assert [s.view.last_row for s in mine.states.values()] == [
                s.view.last_row for s in its.states.values()
            ]


def test_what_others_wrote_after_a_restore_is_no_progress_of_what_was_known(tmp_path, restore):
    path = tmp_path / "kb.db"
    with begin(tmp_path) as client:
        restore(tmp_path / "old.db", path)
        with MilvusClient(path) as other:
            for number in range(5):
                create(other, f"c{number}")
                other.insert(NAME, [note(20 + number, f"kappa{number} zeta")])
            client.insert(NAME, [note(40, "zeta delta")])
            assert answers(client) == answers(other)
            assert client.verify() == other.verify() == []


@pytest.mark.parametrize("compacted", [0, 1, 2])
def test_a_plain_copy_that_went_its_own_way_is_another_state(compacted, tmp_path, restore):
    path, other = tmp_path / "kb.db", tmp_path / "other.db"
    begin(tmp_path).close()
    shutil.copy(path, other)  # unlike a backup, it has the name of the original
    with MilvusClient(other) as copy:
        copy.insert(NAME, [note(key, "theta iota") for key in range(20, 40)])
        for _ in range(compacted):
            copy.compact()
        copy.insert(NAME, [note(40, "kappa")])
        expected = answers(copy)
    with MilvusClient(path) as client:
        client.insert(NAME, [note(key, "gamma delta") for key in range(50, 60)])
        answers(client)
        restore(other, path)
        assert answers(client) == expected
        client.insert(NAME, [note(61, "zeta")])
        assert len(client.query(NAME)) == len(expected[NAME][0]) + 1
        assert client.verify() == []


def test_a_read_that_meets_other_rows_by_number_is_no_damage(tmp_path, restore):
    with begin(tmp_path) as client:
        _prepare("ahead", tmp_path / "old.db")
        with MilvusClient(tmp_path / "old.db") as fresh:
            expected = answers(fresh)
        restore(tmp_path / "old.db", tmp_path / "kb.db")
        assert answers(client) == expected


def test_rows_for_a_collection_that_is_another_now_are_refused(tmp_path, restore):
    path, other = tmp_path / "kb.db", tmp_path / "other.db"
    with MilvusClient(path) as client, MilvusClient(other) as copy:
        create(client)
        client.insert(NAME, [note(1, "alpha")])
        copy.create_collection(NAME, dimension=3)
        copy.insert(NAME, [{"id": 5, "vector": [1.0, 2.0, 3.0]}])
        answers(client)
        restore(other, path)
        with pytest.raises(CollectionExistsError, match="dropped and created again meanwhile"):
            client.insert(NAME, [note(2, "beta")])
        client.insert(NAME, [{"id": 6, "vector": [4.0, 5.0, 6.0]}])
        assert [row["id"] for row in client.query(NAME)] == [5, 6]
        assert client.verify() == []


def test_a_state_from_before_the_collection_has_none_to_write_to(tmp_path, restore):
    path = tmp_path / "kb.db"
    with MilvusClient(path) as client:
        client.backup(tmp_path / "old.db")
        create(client)
        client.insert(NAME, [note(1, "alpha")])
        restore(tmp_path / "old.db", path)
        with pytest.raises(CollectionNotFoundError):
            client.delete(NAME, ids=[1])
        assert client.list_collections() == []
        create(client)
        client.insert(NAME, [note(2, "beta")])
        assert [row["id"] for row in client.query(NAME)] == [2]
        assert client.verify() == []


def _state(client):
    with client._database.file.read() as db:
        return read_state(db)


def test_a_file_has_one_history_until_somebody_else_changes_it(tmp_path, restore):
    with begin(tmp_path) as client:
        kept, history = client._database.commits.states.copy(), _state(client).history
        create(client, "second")
        client.compact()
        client.drop_collection("second")
        answers(client)
        assert (_state(client).history, _state(client).is_noted) == (history, True)
        assert client._database.commits.states == kept
        restore(tmp_path / "old.db", tmp_path / "kb.db")
        restored = _state(client)
        assert restored.history != history
        assert not restored.is_noted
        client.compact()
        assert not _state(client).is_noted
        client.insert(NAME, [note(9, "iota")])
        assert _state(client).is_noted
        assert _state(client).history not in (history, restored.history)
        kept = client._database.commits.states.copy()
        client.insert(NAME, [note(10, "iota")])
        answers(client)
        assert client._database.commits.states == kept


# --- any order -----------------------------------------------------------------------------------

_KEYS = st.integers(1, 4)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), _KEYS),
        st.tuples(st.just("put by another"), _KEYS),
        st.tuples(st.just("delete"), _KEYS),
        st.tuples(st.just("copy"), st.none()),
        st.tuples(st.just("restore"), st.integers(0, 9)),
    ),
    min_size=4, max_size=14,
)  # fmt: skip


def _word(number):
    return "w" + "abcdefghijklmnopqrstuvwxyz"[number]


class Model:
    """Two clients of a file, copies of it, and what each must hold: a word for each key."""

    def __init__(self, folder, restore):
        self.folder, self.restore, self.rows, self.copies, self.words = folder, restore, {}, [], 0
        self.clients = [MilvusClient(folder / "kb.db") for _ in range(2)]
        create(self.clients[0])
        self.copy(None)

    def put(self, key, client=0):
        self.words += 1
        self.rows[key] = _word(self.words)
        self.clients[client].upsert(NAME, [note(key, self.rows[key])])
        self.check(self.clients[client])

    def delete(self, key):
        self.rows.pop(key, None)
        self.clients[0].delete(NAME, ids=[key])

    def copy(self, _):
        self.clients[1].backup(self.folder / f"{len(self.copies)}.db")
        self.copies.append(dict(self.rows))

    def put_back(self, number):
        number %= len(self.copies)
        self.restore(self.folder / f"{number}.db", self.folder / "kb.db")
        self.rows = dict(self.copies[number])

    def check(self, client):
        """After a write, which has noticed whatever there was."""
        words = [_word(number) for number in range(1, self.words + 1)]
        found = client.search(NAME, words, anns_field="bm", limit=9)
        assert {
            w: [h["id"] for h in hits] for w, hits in zip(words, found, strict=True) if hits
        } == {word: [key] for key, word in self.rows.items()}
        assert client.verify() == []


@settings(max_examples=12, deadline=None)
@given(steps=_STEPS)
def test_in_any_order_of_writes_copies_and_restores(restore, steps):
    with tempfile.TemporaryDirectory() as folder:
        model = Model(Path(folder), restore)
        for what, value in steps:
            if what == "put by another":
                model.put(value, client=1)
            else:
                getattr(model, {"restore": "put_back"}.get(what, what))(value)
        model.put(5)
        for client in model.clients:
            client.close()


# --- what verify() says --------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["terms", "deletes"])
def test_verify_names_terms_that_the_vocabulary_lacks(tmp_path, table):
    with begin(tmp_path) as client:
        client.delete(NAME, ids=[2])
        assert client.verify() == []
        with client._database.file.write("lose the last words") as db:
            db.execute("DELETE FROM c1_words_t1 WHERE number > 1")
            if table == "deletes":
                db.execute("DELETE FROM c1_terms")
            bump(db)
        faults = " ".join(client.verify())
        assert "a term of field 'text' cannot be" in faults


def test_verify_names_words_that_are_remembered_otherwise(tmp_path):
    with begin(tmp_path) as client:
        (state,) = client._database.commits.states.values()
        state.vocabularies["text"]._known["delta"] += 1
        (fault,) = client.verify()
        assert fault == (
            f"collection {NAME!r}: field 'text': the terms in memory have other numbers than in "
            "the file"
        )
