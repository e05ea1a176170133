"""Saved terms: mapped at the next opening instead of read, and never able to change an answer."""

import logging
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest

from elanus import MilvusClient
from elanus.engine._parts import TextKey
from elanus.storage.tables._following import Following

QUERY = "black pink common"


@pytest.fixture(autouse=True)
def _small_texts(thresholds):
    thresholds(text_rows=100)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.db"


@pytest.fixture
def saved(path, fill):
    """A client of 600 rows whose terms were saved."""
    client = fill(path)
    text(client)
    wait(client)
    yield client
    client.close()


@pytest.fixture
def reads(monkeypatch):
    """Numbers of rows whose terms indexes read from the tables, one entry a read of any."""
    found = []
    read = Following.terms_since

    def counted(self, *args):
        rows, terms = read(self, *args)
        found.extend([len(rows)] * (len(rows) > 0))
        return rows, terms

    monkeypatch.setattr(Following, "terms_since", counted)
    return found


def state_of(client):
    client.query("c", limit=1)
    return next(iter(client._database.commits.states.values()))


def wait(client):
    client._database._upkeep.background.wait((state_of(client).number, "save"))


def text(client, k=5_000):
    (hits,) = client.search("c", [QUERY], anns_field="terms", limit=k)
    return [(hit.id, hit.distance) for hit in hits]


def afresh(path, tmp_path):
    """The answer of a copy that has no folder to take anything from."""
    copy = tmp_path / "fresh.db"
    with MilvusClient(path) as client:
        client.backup(copy)
    with MilvusClient(copy) as client:
        found = text(client)
    copy.unlink()
    return found


def text_files(path):
    return [f for f in (path.parent / "a.db-cache").iterdir() if b'"lengths"' in f.read_bytes()]


def test_saved_terms_are_mapped_and_answer_to_the_bit(path, saved, reads):
    before = text(saved)
    saved.close()
    with MilvusClient(path) as client:
        assert text(client) == before
        assert reads == []
        parts = state_of(client).view.parts
        (part,) = (part for key, part in parts.items() if isinstance(key, TextKey))
        assert not part.index.segments[0].postings.slots.flags.writeable
        assert client.verify() == []


def test_only_what_is_newer_is_read(path, saved, rows, reads):
    saved.insert("c", rows(600, 640))
    saved.close()
    with MilvusClient(path) as client:
        assert len(text(client)) == 640
        assert reads == [40]


@pytest.mark.parametrize("seed", range(6))
def test_any_history_around_the_saving_gives_what_a_fresh_file_gives(
    path, fill, rows, tmp_path, seed
):
    rng = np.random.default_rng(seed)
    client = fill(path)
    last = 600
    for _ in range(8):
        for step in rng.choice(["insert", "delete", "upsert", "search", "reopen"], 4).tolist():
            low = int(rng.integers(0, last))
            if step == "insert":
                client.insert("c", rows(last, last + 150))
                last += 150
            elif step == "delete":
                client.delete("c", filter=f"num >= {low} and num < {low + 60}")
            elif step == "upsert":
                client.upsert("c", rows(low, low + 20))
            elif step == "search":
                text(client)
                wait(client)
            else:
                client.close()
                client = MilvusClient(path)
        found = text(client)
        assert client.verify() == []
        assert found == afresh(path, tmp_path)
    client.close()


@pytest.mark.parametrize("damage", ["flipped", "shortened", "missing", "a pipe"])
def test_damaged_terms_are_read_again_with_a_warning_and_saved_anew(
    path, saved, reads, caplog, damage
):
    before = text(saved)
    saved.close()
    (file,) = text_files(path)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    if damage in {"missing", "a pipe"}:
        file.unlink()
        if damage == "a pipe":
            os.mkfifo(file)
    else:
        file.write_bytes(content if damage == "flipped" else content[:-64])
    with caplog.at_level(logging.WARNING, "elanus"), MilvusClient(path) as client:
        assert text(client) == before
        assert client.verify() == []
        wait(client)
    assert "ignoring" in caplog.text
    reads.clear()
    with MilvusClient(path) as client:
        assert text(client) == before
    assert reads == []


def test_other_parameters_of_bm25_use_the_same_file(path, saved, reads, tmp_path):
    saved.drop_index("c", "terms")
    params = saved.prepare_index_params()
    settings = {"bm25_k1": 0.4, "bm25_b": 0.2}
    params.add_index("terms", "SPARSE_INVERTED_INDEX", metric_type="BM25", params=settings)
    saved.create_index("c", params)
    saved.close()
    with MilvusClient(path) as client:
        found = text(client)
    assert reads == []
    assert found == afresh(path, tmp_path)


def test_slots_are_never_paired_with_the_terms_of_who_numbers_them_otherwise(path, fill, rows):
    """Of two processes, one has seen rows come and go, which the other never saw."""
    with fill(path) as first, MilvusClient(path) as second:
        second.query("c", limit=1)
        first.insert("c", rows(600, 700))
        text(first)
        first.delete("c", filter="num >= 600 and num < 650")
        first.insert("c", rows(700, 1_000))
        text(first)
        wait(first)
        assert len(text_files(path)) == 1
        for client in (first, second):
            state_of(client).thresholds = replace(state_of(client).thresholds, text_rows=10_000)
        second.insert("c", rows(1_000, 1_500))
        second._database._upkeep.cache.save(state_of(second))
        expected = text(first)
    with MilvusClient(path) as client:
        assert text(client) == expected
        assert client.verify() == []


def test_a_truncated_collection_takes_nothing_of_the_old_terms(path, saved, rows):
    saved.truncate_collection("c")
    saved.insert("c", rows(0, 300))
    before = text(saved)
    wait(saved)
    saved.close()
    with MilvusClient(path) as client:
        assert text(client) == before
        assert len(before) == 300
        assert client.verify() == []


def test_a_process_that_is_killed_while_it_saves_leaves_what_was_saved(path, saved, rows):
    saved.insert("c", rows(600, 1_000))
    before = text(saved, k=400)
    saved.close()
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
            if "lengths" in arrays:
                path.write_bytes(b"ELANARR1")
                os.kill(os.getpid(), signal.SIGKILL)
            return write(path, arrays, *rest)
        _saving.write_arrays = half
        client = MilvusClient({os.fspath(path)!r})
        client.search("c", [{QUERY!r}], anns_field="terms", limit=5)
        state = next(iter(client._database.commits.states.values()))
        state.saved.drop("text:text")
        client._database._upkeep.cache.save(state)
        """
    )
    child = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert child.returncode == -signal.SIGKILL
    with MilvusClient(path) as client:
        assert text(client, k=400) == before
        assert client.verify() == []
        state = state_of(client)
        state.saved.drop("text:text")
        client._database._upkeep.cache.save(state)
    assert len(text_files(path)) == 1
    assert not [f for f in path.parent.glob("a.db-cache/*.arrays") if f.stat().st_size == 8]


def test_small_texts_and_databases_in_memory_save_nothing(path, fill, thresholds):
    with fill(":memory:") as client:
        assert len(text(client)) == 600
    thresholds(text_rows=601)
    with fill(path) as client:
        text(client)
        wait(client)
    assert text_files(path) == []
