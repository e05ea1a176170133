"""Saved columns: mapped at the next opening instead of read, and never able to change an answer."""

import logging
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from elanus import DataType, MilvusClient
from elanus.engine._parts import ColumnKey, NamesKey
from elanus.storage.tables._following import Following

FILTERS = (
    'num % 3 == 1 and name like "n1%"',
    'name is null or name >= "n5"',
    'array_contains(tags, "t2")',
    "any > 3",
    'any == "word" or any["deep"] == true',
    "json_contains(any, [1, 2])",
    "any[1] == 2.5",
    "array_length(any) == 2",
    "exists any or ratio < 0.25",
    "nothing == 1",
)
MIXED = (7, 2.5, "word", None, True, [1, 2.5], [[1, 2], ["x"]], [], {"deep": True}, -(2**63))


@pytest.fixture(autouse=True)
def _small_columns(thresholds, monkeypatch):
    """Save small columns, and at once."""
    thresholds(text_rows=100)
    monkeypatch.setattr("elanus.engine.upkeep._tasks._QUIET_SECONDS", 0.0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.db"


def rows(start, stop):
    """Rows whose values are of all types, some of them null, and some missing."""
    return [
        {"id": i, "vector": [i, 1.0], "num": i, "name": f"n{i}" if i % 5 else None}
        | {"tags": [f"t{i % 4}"] * (i % 3), "ratio": i % 100 / 100}
        | ({} if i % 11 == 0 else {"any": MIXED[i % len(MIXED)]})
        for i in range(start, stop)
    ]


def fill(path, n=600):
    client = MilvusClient(path)
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("num", DataType.INT64)
    schema.add_field("name", DataType.VARCHAR, max_length=10, nullable=True)
    schema.add_field("ratio", DataType.FLOAT)
    array = {"element_type": DataType.VARCHAR, "max_capacity": 5, "max_length": 5}
    schema.add_field("tags", DataType.ARRAY, **array)
    client.create_collection("c", schema=schema)
    client.insert("c", rows(0, n))
    return client


@pytest.fixture
def saved(path):
    """A client of 600 rows whose columns were saved."""
    client = fill(path)
    found(client)
    wait(client)
    yield client
    client.close()


@pytest.fixture
def reads(monkeypatch):
    """Numbers of rows that columns read from the tables, one entry a read of any."""
    counts = []
    read = Following.data_since

    def counted(self, *args):
        numbers, blobs = read(self, *args)
        counts.extend([len(numbers)] * (len(numbers) > 0))
        return numbers, blobs

    monkeypatch.setattr(Following, "data_since", counted)
    return counts


def state_of(client):
    client.query("c", limit=1)
    return next(iter(client._database.commits.states.values()))


def wait(client):
    client._database._upkeep.background.wait((state_of(client).number, "save"))


def found(client, filters=FILTERS):
    """The keys that each filter lets pass; the columns of all are read together."""
    client.query("c", " or ".join(f"({each})" for each in filters), limit=1)
    return [[r["id"] for r in client.query("c", f, output_fields=["id"])] for f in filters]


def afresh(path, tmp_path):
    """The answer of a copy that has no folder to take anything from."""
    copy = tmp_path / "fresh.db"
    with MilvusClient(path) as client:
        client.backup(copy)
    with MilvusClient(copy) as client:
        answer = found(client)
    copy.unlink()
    return answer


def column_files(path):
    """The saved files that hold columns."""
    files = sorted(path.parent.glob("a.db-cache/*.arrays"))
    return [f for f in files if b'"levels"' in f.read_bytes()[:4_000]]


def test_saved_columns_are_mapped_and_filter_as_before(path, saved, reads):
    before = found(saved)
    assert all(before[:-1])
    saved.close()
    reads.clear()
    with MilvusClient(path) as client:
        assert found(client) == before
        assert reads == []
        parts = state_of(client).view.parts
        (num,) = (c for k, c in parts.items() if isinstance(k, ColumnKey) and k.path == ("num",))
        assert not num.ints.flags.writeable


def test_only_what_is_newer_is_read_and_saved_once_it_is_a_quarter(path, saved, reads):
    before = column_files(path)
    for last, expected in ((640, 40), (900, 300)):
        saved.insert("c", rows(last - 40 if last == 640 else 640, last))
        saved.close()
        reads.clear()
        saved = MilvusClient(path)
        assert len(found(saved, ["num >= 0"])[0]) == last
        assert reads == [expected]
        wait(saved)
    saved.close()
    (now,) = {*column_files(path)} - {*before}
    assert len(column_files(path)) == len(before)
    assert now.stat().st_size > 900 * 8
    reads.clear()
    with MilvusClient(path) as client:
        assert len(found(client, ["num >= 0"])[0]) == 900
    assert reads == []


def test_the_keys_of_objects_are_saved_too(path, reads):
    with fill(path) as client:
        before = client.count_keys("c", "$meta")
        wait(client)
    reads.clear()
    with MilvusClient(path) as client:
        assert client.count_keys("c", "$meta") == before
        (key,) = (key for key in state_of(client).view.parts if isinstance(key, NamesKey))
        assert key.path == ("$meta",)
    assert reads == []


@pytest.mark.parametrize("seed", range(3))
def test_any_history_around_the_saving_gives_what_a_fresh_file_gives(path, tmp_path, seed):
    rng = np.random.default_rng(seed)
    client = fill(path)
    last = 600
    for _ in range(4):
        steps = rng.choice(["insert", "delete", "upsert", "filter", "reopen", "truncate"], 4)
        for step in steps.tolist():
            low = int(rng.integers(0, last))
            if step == "insert":
                client.insert("c", rows(last, last + 150))
                last += 150
            elif step == "delete":
                client.delete("c", filter=f"num >= {low} and num < {low + 60}")
            elif step == "upsert":
                client.upsert("c", [{**r, "id": r["id"] - 7} for r in rows(low, low + 20)])
            elif step == "filter":
                found(client, FILTERS[: int(rng.integers(1, len(FILTERS)))])
                wait(client)
            elif step == "truncate" and rng.random() < 0.2:
                client.truncate_collection("c")
            else:
                client.close()
                client = MilvusClient(path)
        answer = found(client)
        assert client.verify() == []
        assert answer == afresh(path, tmp_path)
    client.close()


@pytest.mark.parametrize("damage", ["flipped", "shortened", "missing", "a pipe"])
def test_damaged_columns_are_read_again_with_a_warning_and_saved_anew(
    path, saved, reads, caplog, damage
):
    before = found(saved)
    saved.close()
    for file in column_files(path):
        content = bytearray(file.read_bytes())
        content[-1 - 64 * (len(content) // 128)] ^= 4
        if damage in {"missing", "a pipe"}:
            file.unlink()
            if damage == "a pipe":
                os.mkfifo(file)
        else:
            file.write_bytes(content if damage == "flipped" else content[:-64])
    with caplog.at_level(logging.WARNING, "elanus"), MilvusClient(path) as client:
        assert found(client) == before
        wait(client)
    assert "ignoring" in caplog.text
    reads.clear()
    with MilvusClient(path) as client:
        assert found(client) == before
    assert reads == []


def test_whatever_byte_is_flipped_no_filter_lets_other_rows_pass(path, saved):
    before = found(saved)
    saved.close()
    rng = np.random.default_rng(0)
    for _ in range(12):
        for file in column_files(path):
            content = bytearray(file.read_bytes())
            content[rng.integers(len(content))] ^= 1 << rng.integers(8)
            file.write_bytes(content)
        with MilvusClient(path) as client:
            assert found(client) == before


def test_another_process_adopts_the_columns_that_this_one_saves(path, reads):
    with fill(path) as first, MilvusClient(path) as second:
        state_of(first)  # so that each numbers the slots by itself
        before = found(second)
        wait(second)
        state = state_of(second)
        first.insert("c", rows(600, 700))
        found(first)
        wait(first)
        reads.clear()
        assert state.adopt(second._database._upkeep.cache.restore_newest(state.number))
        after = found(second)
        assert [keys[: len(old)] for keys, old in zip(after, before, strict=True)] == before
        assert after[1][-1] == 699
        assert reads == []


def test_a_process_that_is_killed_while_it_saves_leaves_what_was_saved(path, saved):
    saved.insert("c", rows(600, 1_000))
    saved.close()
    before = {f: f.read_bytes() for f in column_files(path)}
    script = textwrap.dedent(
        f"""
        import os, signal
        from elanus import MilvusClient
        from elanus.engine.saved import _saving
        from elanus.engine.upkeep._tasks import BackgroundUpkeep
        from elanus.engine.upkeep._thresholds import Thresholds
        BackgroundUpkeep.thresholds = Thresholds(text_rows=100)
        write = _saving.write_arrays
        def half(path, arrays, *rest):
            if "levels" in arrays:
                path.write_bytes(b"ELANARR1")
                os.kill(os.getpid(), signal.SIGKILL)
            return write(path, arrays, *rest)
        _saving.write_arrays = half
        client = MilvusClient({os.fspath(path)!r})
        client.query("c", "num > 5", output_fields=["id"])
        client._database._upkeep.cache.save(*client._database.commits.states.values())
        """
    )
    child = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert child.returncode == -signal.SIGKILL
    assert before == {f: f.read_bytes() for f in column_files(path)}
    with MilvusClient(path) as client:
        assert len(found(client, ["num >= 0"])[0]) == 1_000
        wait(client)
    assert not [f for f in path.parent.glob("a.db-cache/*.arrays") if f.stat().st_size == 8]


def test_who_opens_read_only_takes_the_saved_columns_and_writes_none(path, saved, reads):
    before = found(saved)
    saved.insert("c", rows(600, 1_000))
    saved.close()
    files = column_files(path)
    reads.clear()
    with MilvusClient(path, read_only=True) as client:
        assert [keys[: len(old)] for keys, old in zip(found(client), before, strict=True)] == before
        assert reads == [400]
        wait(client)
    assert column_files(path) == files


def test_slots_are_never_paired_with_the_columns_of_who_numbers_them_otherwise(path):
    """Of two processes, one has seen rows come and go, which the other never saw."""
    with fill(path) as first, MilvusClient(path) as second:
        second.query("c", limit=1)
        first.insert("c", rows(600, 700))
        found(first)
        first.delete("c", filter="num >= 600 and num < 650")
        first.insert("c", rows(700, 1_000))
        found(first)
        wait(first)
        assert column_files(path)
        second.insert("c", rows(1_000, 1_500))
        second._database._upkeep.cache.save(state_of(second))
        assert column_files(path) == []
        expected = found(first)
    with MilvusClient(path) as client:
        assert found(client) == expected


def test_only_the_first_columns_have_files(path, thresholds):
    thresholds(text_rows=100, most_columns=2)
    with fill(path) as client:
        found(client)
        wait(client)
        assert len(column_files(path)) == 2
        state = state_of(client)
        assert state.unsaved(state.view, state.view.parts) == []


def test_small_columns_and_databases_in_memory_save_nothing(path, thresholds):
    with fill(":memory:") as client:
        assert len(found(client, ["num >= 0"])[0]) == 600
    thresholds(text_rows=601)
    with fill(path) as client:
        found(client)
        wait(client)
    assert column_files(path) == []
