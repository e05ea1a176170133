"""Catalogue, vocabulary, row numbers and the log of deletes."""

import subprocess
import sys

import pytest

from elanus import MilvusClient
from elanus.engine import _write
from elanus.errors import CollectionExistsError, CollectionNotFoundError, ElanusError
from elanus.storage import Tables, Vocabulary, load_catalogue, read_state


def tables_of(client, name):
    info = client._database.catalogue().collection(name)
    return Tables(info.number, info.schema)


def numbers(client, name):
    with client._database.file.read() as db:
        query = f"SELECT pk, row FROM {tables_of(client, name).names.rows}"
        return dict(db.execute(query).fetchall())


def vocabulary_table(client, name):
    with client._database.file.read() as db:
        query = f"SELECT text, number FROM {tables_of(client, name).names.words('text')}"
        return dict(db.execute(query).fetchall())


# --- catalogue -----------------------------------------------------------------------------------


def test_the_catalogue_comes_back_from_the_file(path, world):
    with MilvusClient(path) as client:
        client.create_collection(
            "one", schema=world.make_schema(), properties={"colour": "grün", "n": [1, None]}
        )
        client.create_collection("two", dimension=3)
        before = [client.describe_collection(n) for n in ("one", "two")]
        indexes = {n: client.list_indexes(n) for n in ("one", "two")}
    with MilvusClient(path) as client:
        assert client.list_collections() == ["one", "two"]
        assert [client.describe_collection(n) for n in ("one", "two")] == before
        assert {n: client.list_indexes(n) for n in ("one", "two")} == indexes
        assert client.verify() == []


def test_a_name_is_free_again_after_a_drop_and_the_number_is_not(client, world):
    first = client._database.catalogue().collection(world.NAME).number
    client.drop_collection(world.NAME)
    world.create(client)
    assert client._database.catalogue().collection(world.NAME).number > first
    assert world.keys(client) == []
    assert world.found(client, "common") == []


def test_every_commit_counts_once_and_a_failed_one_not(client, world):
    def state():
        with client._database.file.read() as db:
            return read_state(db)[:2]

    seq, catalogue = state()
    client.insert(world.NAME, world.rows(200, 210))
    assert state() == (seq + 1, catalogue)
    client.delete(world.NAME, ids=[1])
    assert state() == (seq + 2, catalogue)
    client.rename_collection(world.NAME, "other")
    assert state() == (seq + 3, catalogue + 1)
    client.rename_collection("other", world.NAME)
    with pytest.raises(CollectionNotFoundError, match=r"'gone' not found; collections here: rows"):
        client.rename_collection("gone", "x")
    with pytest.raises(ElanusError):
        client.insert(world.NAME, [{"id": 1}])
    assert state() == (seq + 4, catalogue + 2)


def test_renaming_onto_a_taken_name_changes_nothing(client, world):
    client.create_collection("other", dimension=2)
    with pytest.raises(CollectionExistsError, match="'other' exists already"):
        client.rename_collection(world.NAME, "other")
    assert client.list_collections() == ["other", world.NAME]


def test_dropped_collections_leave_no_table_behind(path, world):
    def names(client):
        with client._database.file.read() as db:
            return {n for (n,) in db.execute("SELECT name FROM sqlite_master")}

    with MilvusClient(path) as client:
        before = names(client)
        world.create(client)
        client.insert(world.NAME, world.rows(10))
        assert names(client) > before
        client.drop_collection(world.NAME)
        assert names(client) == before
        assert client.verify() == []


# --- numbers -------------------------------------------------------------------------------------


def test_row_numbers_are_never_used_again(path, world):
    with MilvusClient(path) as client:
        world.create(client)
        client.insert(world.NAME, world.rows(10))
        used = set(numbers(client, world.NAME).values())
        client.delete(world.NAME, ids=list(range(10)))
        client.insert(world.NAME, world.rows(5))
        again = set(numbers(client, world.NAME).values())
        assert min(again) > max(used)
        used |= again
        client.truncate_collection(world.NAME)
        client.insert(world.NAME, world.rows(5))
        assert min(numbers(client, world.NAME).values()) > max(used)
    with MilvusClient(path) as client:
        used = set(numbers(client, world.NAME).values())
        client.delete(world.NAME, filter="id >= 0")
        client.compact()
        client.insert(world.NAME, world.rows(5))
        assert min(numbers(client, world.NAME).values()) > max(used)
        assert client.verify() == []


def test_an_upsert_gives_a_row_a_new_number_and_keeps_one_row_a_key(client, world):
    before = numbers(client, world.NAME)
    client.upsert(world.NAME, world.rows(10, text="other"))
    after = numbers(client, world.NAME)
    assert before.keys() == after.keys()
    assert all(after[key] > max(before.values()) for key in range(10))
    assert all(after[key] == before[key] for key in range(10, 100))


# --- vocabulary ----------------------------------------------------------------------------------


class Interrupted(Exception):
    pass


def test_numbers_of_a_failed_transaction_are_not_remembered(client, world, path, monkeypatch):
    before = vocabulary_table(client, world.NAME)
    number = client._database.catalogue().collection(world.NAME).number
    tables = client._database.commits.states[number].tables
    add = tables.add

    def failing(db, new):
        add(db, new)
        raise Interrupted

    monkeypatch.setattr(tables, "add", failing)
    with pytest.raises(Interrupted):
        client.insert(world.NAME, [world.row(500, "alpha beta gamma")])
    monkeypatch.setattr(tables, "add", add)
    assert vocabulary_table(client, world.NAME) == before
    # Another handle takes the numbers that the failed one had given.
    with MilvusClient(path) as other:
        other.insert(world.NAME, [world.row(501, "delta epsilon")])
    client.insert(world.NAME, [world.row(502, "gamma beta zeta")])
    assert [world.found(client, w) for w in ("alpha", "gamma", "delta", "zeta")] == [
        [], [502], [501], [502],
    ]  # fmt: skip
    words = vocabulary_table(client, world.NAME)
    assert sorted(words.values()) == list(range(len(words)))


def test_a_vocabulary_numbers_in_order_and_finds_only_what_is_entered(client, world):
    vocabulary = Vocabulary(tables_of(client, world.NAME), "text")
    with client._database.file.write(
        "test", after=lambda ok: vocabulary.finish(committed=ok)
    ) as db:
        first = len(
            db.execute(
                f"SELECT 1 FROM {tables_of(client, world.NAME).names.words('text')}"
            ).fetchall()
        )
        given = vocabulary.number(db, ["neu", "common", "größe", "neu2"])
        assert given == [first, 0, first + 1, first + 2]
    with client._database.file.read() as db:
        assert vocabulary.find(db, ["größe", "never", "common"]) == {
            "größe": first + 1,
            "common": 0,
        }
        again = Vocabulary(tables_of(client, world.NAME), "text")
        assert again.find(db, ["größe", "never", "common"]) == {"größe": first + 1, "common": 0}


def test_a_vocabulary_of_thousands_of_terms_is_read_in_parts(client, world):
    text = " ".join("w" + "".join("abcdefghij"[int(d)] for d in str(i)) for i in range(3000))
    client.insert(world.NAME, [world.row(900, text), world.row(901, text)])
    words = vocabulary_table(client, world.NAME)
    assert len(words) == 3001
    assert world.found(client, "wdaaa") == []
    assert world.found(client, "wcjji") == world.found(client, "wa") == [900, 901]


# --- the log of deletes --------------------------------------------------------------------------


@pytest.fixture
def short_log(monkeypatch):
    monkeypatch.setattr(_write, "_MOST_LOGGED_DELETES", 10)


def log_of(client, world):
    info = client._database.catalogue().collection(world.NAME)
    with client._database.file.read() as db:
        kept = [
            n
            for (n,) in db.execute(
                f"SELECT number FROM {tables_of(client, world.NAME).names.deletes}"
            )
        ]
        floor = load_catalogue(db).collection(world.NAME).floor
    assert floor == info.floor
    return kept, floor


def test_the_log_of_deletes_is_trimmed_and_the_catalogue_says_up_to_where(client, world, short_log):
    for start in range(0, 90, 7):
        client.delete(world.NAME, ids=list(range(start, start + 7)))
        kept, floor = log_of(client, world)
        assert len(kept) <= 20 + 7
        assert kept == list(range(floor + 1, start + 8))
    assert floor > 50
    assert world.keys(client) == list(range(91, 100))


@pytest.mark.parametrize("behind", ["handle", "process"])
def test_who_was_behind_the_trimmed_log_reads_afresh(client, path, world, short_log, behind):
    with MilvusClient(path) as other:
        # The other one knows all rows, terms and vectors, and then hears of nothing for long.
        assert world.found(other, "common") == list(range(100))
        assert world.nearest(other, 3) == 3
        for start in range(0, 60, 6):
            if behind == "process":
                changed_elsewhere(path, start)
            else:
                client.delete(world.NAME, ids=list(range(start, start + 6)))
                client.upsert(world.NAME, world.rows(start + 60, start + 62, text="changed"))
        _, floor = log_of(client, world)
        assert floor > 0
        for each in (other, client):
            changed = sorted(k for s in range(0, 60, 6) for k in (s + 60, s + 61))
            assert world.keys(each) == sorted({*range(60, 100), *changed})
            assert world.found(each, "changed") == changed
            assert world.found(each, "common") == sorted({*range(60, 100)} - {*changed})
            assert world.nearest(each, 3) is None
            assert world.nearest(each, 61) == 61
        assert other.verify() == []


def changed_elsewhere(path, start):
    code = f"""
from elanus import MilvusClient
from elanus.engine import _write
_write._MOST_LOGGED_DELETES = 10
with MilvusClient({path!r}) as client:
    client.delete("rows", ids=list(range({start}, {start} + 6)))
    client.upsert("rows", [
        {{"id": k, "text": "changed", "v": [float(k), 1.0, 0.0, 0.0]}} for k in ({start} + 60, {start} + 61)
    ])
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_collection_opened_afresh_after_trimming_reads_right(client, path, world, short_log):
    client.delete(world.NAME, ids=list(range(50)))
    client.delete(world.NAME, ids=list(range(50, 75)))
    with MilvusClient(path) as other:
        assert world.found(other, "common") == list(range(75, 100))
        assert other.verify() == []
