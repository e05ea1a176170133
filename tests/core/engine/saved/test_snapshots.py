"""The cache folder beside a database: used when it fits, ignored when it does not."""

import logging
import shutil
import subprocess
import sys
import textwrap
import time

import apsw
import numpy as np
import pytest

from elanus import DataType, MilvusClient
from elanus.engine._parts import DenseKey
from elanus.engine.saved import _cache
from elanus.storage._sqlite import copy as copy_file

DIM = 16


def _state(client):
    client.query("c", limit=1)
    return next(iter(client._database.commits.states.values()))


def _index(client):
    parts = _state(client).view.parts
    return next(part for key, part in parts.items() if isinstance(key, DenseKey))


def _search(client, query, k=10, **options):
    (hits,) = client.search("c", [query], anns_field="vector", limit=k, **options)
    return [(hit.id, hit.distance) for hit in hits]


def _wait_for_graph(client, query):
    deadline = time.monotonic() + 60
    while _index(client).graph is None:
        _search(client, query)
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _files(path):
    return {f.name for f in (path.parent / f"{path.name}-cache").iterdir()} - {
        "writer.lock",
        "cache.lock",
        "commits",
    }


@pytest.fixture(params=["HNSW", "AUTOINDEX"])
def index_type(request):
    return request.param


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.db"


@pytest.fixture
def query():
    return np.random.default_rng(9).normal(size=DIM)


def test_a_saved_view_is_mapped_and_answers_as_before(path, fill, query):
    with fill(path) as client:
        before = _search(client, query)
    with MilvusClient(path) as client:
        assert _search(client, query) == before
        assert not _index(client).rows.base.flags.writeable
        assert len(_index(client).rows.base) == 600
        _wait_for_graph(client, query)
        assert _search(client, query) == before
        assert client.verify() == []


def test_once_the_graph_is_saved_its_vectors_are_mapped_and_no_longer_held(path, fill, rows, query):
    with fill(path) as client:
        index = _index(client)
        assert len(index.rows.base) == 600
        assert not index.rows.base.flags.writeable
        assert len(index.rows.tail) == 0
        client.insert("c", rows(600, 650))
        found = dict(_search(client, query, k=650))
        assert len(found) == 650
        assert len(_index(client).rows.tail) == 50
        assert client.verify() == []
    with MilvusClient(path) as client:
        assert dict(_search(client, query, k=650)) == found


def test_searches_that_began_before_the_vectors_were_mapped_end_with_what_they_had(path, fill):
    with fill(path) as client:
        state = _state(client)
        view = state.view
        vectors = _index(client).vectors(np.arange(600))
        (key,) = (key for key in view.parts if isinstance(key, DenseKey))
        client._database._upkeep.cache.map_again(state, key)
        assert _index(client).rows.base is not view.parts[key].rows.base
        assert np.array_equal(view.parts[key].vectors(np.arange(600)), vectors)
        assert np.array_equal(_index(client).vectors(np.arange(600)), vectors)


def test_vectors_that_cannot_be_saved_stay_in_memory(path, fill, query, monkeypatch):
    with fill(":memory:") as client:
        assert _index(client).rows.base.flags.writeable
    monkeypatch.setattr(_cache.SavedCache, "_register", lambda *_: False)
    with fill(path) as client:
        assert _index(client).rows.base.flags.writeable
        assert len(_search(client, query)) == 10


def test_a_saved_graph_is_assembled_and_not_built_again(path, fill, query, monkeypatch):
    fill(path).close()
    monkeypatch.setattr(_cache.SavedCache, "save", lambda *_: pytest.fail("saved again"))
    with MilvusClient(path) as client:
        _wait_for_graph(client, query)
        assert _index(client).graph.covered == 600
        assert client.describe_index("c", "vector")["indexed_rows"] == 600


def test_text_keys_survive_saving(path, fill, query):
    def key(i):
        return f"schlüssel {i:04}"

    with fill(path, key_type=DataType.VARCHAR, key=key) as client:
        before = _search(client, query)
    with MilvusClient(path) as client:
        assert _search(client, query) == before
        assert client.verify() == []


def test_what_was_written_after_saving_is_found(path, fill, rows, query):
    with fill(path) as client:
        client.insert("c", rows(600, 650))
        client.delete("c", filter="num < 50")
        client.upsert("c", rows(100, 110))
        before = _search(client, query, k=700)
    with MilvusClient(path) as client:
        after = _search(client, query, k=700)
        assert after == before
        assert len(after) == 600
        assert client.verify() == []


def test_deleting_the_folder_loses_nothing(path, fill, query):
    with fill(path) as client:
        before = _search(client, query, k=600)
    shutil.rmtree(f"{path}-cache")
    with MilvusClient(path) as client:
        assert _search(client, query, k=600) == before
        assert client.verify() == []


@pytest.mark.parametrize("kind", ["arrays", "f32"])
def test_a_missing_file_is_no_harm(path, fill, query, kind):
    with fill(path) as client:
        before = _search(client, query, k=600)
    for file in (path.parent / "a.db-cache").glob(f"*.{kind}"):
        file.unlink()
    with MilvusClient(path) as client:
        assert _search(client, query, k=600) == before
        assert client.verify() == []


def test_any_flipped_byte_of_arrays_is_noticed(path, fill, query):
    with fill(path) as client:
        before = _search(client, query, k=600)
    rng = np.random.default_rng(3)
    originals = {f: f.read_bytes() for f in (path.parent / "a.db-cache").glob("*.arrays")}
    for file, content in originals.items():
        for place in rng.integers(0, len(content), 12).tolist():
            damaged = bytearray(content)
            damaged[place] ^= 1 << int(rng.integers(8))
            # A crash of the process would fail the test as well.
            file.write_bytes(damaged)
            with MilvusClient(path) as client:
                assert _search(client, query, k=600) == before
                client.load_collection("c")
                assert _search(client, query, k=600) == before
                assert client.verify() == []
            _restore(path, originals)


def _restore(path, originals):
    folder = path.parent / "a.db-cache"
    for file, content in originals.items():
        file.write_bytes(content)
    assert folder.is_dir()


def test_damaged_vectors_are_noticed_and_read_again(path, fill, query, caplog):
    with fill(path) as client:
        before = _search(client, query, k=600)
    (file,) = (path.parent / "a.db-cache").glob("*.f32")
    content = bytearray(file.read_bytes())
    content[1003] ^= 0x80  # the sign of a component: its square stays the same
    file.write_bytes(content)
    caplog.set_level(logging.CRITICAL, "elanus")
    with MilvusClient(path) as client:
        _search(client, query)
        client._database._upkeep.background.wait((_state(client).number, "check"))
        assert _search(client, query, k=600) == before
        assert client.verify() == []


def test_a_restored_copy_does_not_trust_what_was_saved_after_it(path, fill, rows, query):
    """A copy from before the saving, put back beside the newer folder, with other rows."""
    with MilvusClient(path) as client:
        client.create_collection("other", dimension=4)
    with fill(path, n=400) as client:
        client.backup(path.parent / "copy.db")
        client.delete("c", filter="num >= 390")
        client.insert("c", rows(1000, 1400))
        client.load_collection("c")
    for suffix in ("", "-wal", "-shm"):
        (path.parent / f"a.db{suffix}").unlink(missing_ok=True)
    (path.parent / "copy.db").rename(path)
    with MilvusClient(path) as client:
        client.insert("c", rows(2000, 2005))
        found = {key for key, _ in _search(client, query, k=5000)}
        assert found == {*range(400), *range(2000, 2005)}
        assert client.verify() == []


def test_a_copy_made_by_backup_registers_nothing_of_its_original(path, fill, query, caplog):
    copy = path.parent / "copy.db"
    with fill(path, n=400) as client:
        before = _search(client, query)
        with client._database.file.read() as db:
            assert db.row("SELECT count(*) FROM snapshots")[0]
        client.backup(copy)
    with MilvusClient(copy, read_only=True) as client, client._database.file.read() as db:
        assert db.row("SELECT count(*) FROM snapshots") == (0,)
    with MilvusClient(copy) as client:
        assert _search(client, query) == before
        assert client.verify() == []
    assert caplog.messages == []


def test_a_diverged_copy_with_its_own_folder_begins_a_new_vector_file(path, fill, rows, query):
    with fill(path, n=400) as client:
        # Not `backup()`, after which nothing of the folder counts.
        with client._database.file.read() as db:
            copy_file(db, str(path.parent / "copy.db"), lambda: False)
        first = _files(path)
        client.insert("c", rows(400, 11_000))
        client.load_collection("c")
    shutil.copytree(f"{path}-cache", path.parent / "copy.db-cache")
    with MilvusClient(path.parent / "copy.db") as copy:
        copy.insert("c", rows(20_000, 31_000))
        copy.load_collection("c")
        found = {key for key, _ in _search(copy, query, k=20_000)}
        assert found == {*range(400), *range(20_000, 31_000)}
        assert copy.verify() == []
    assert first


def test_vectors_are_appended_and_old_files_removed(path, fill, rows):
    with fill(path) as client:
        before = _files(path)
        client.insert("c", rows(600, 11_000))
        client.load_collection("c")
        after = _files(path)
    kept = {name for name in before & after if name.endswith(".f32")}
    assert len(kept) == 1
    assert len(after) == 3  # vectors, slots, graph
    assert (path.parent / "a.db-cache" / kept.pop()).stat().st_size == 11_000 * DIM * 4


def test_truncating_and_dropping_void_what_was_saved(path, fill, rows, query):
    with fill(path) as client:
        client.truncate_collection("c")
        client.insert("c", rows(0, 5))
    with MilvusClient(path) as client:
        assert len(_search(client, query, k=600)) == 5
        assert client.verify() == []
        client.drop_collection("c")
    with apsw.Connection(str(path)) as db:
        assert db.execute("SELECT count(*) FROM snapshots").fetchone() == (0,)
    db.close()


@pytest.mark.parametrize("how", ["truncate", "delete most"])
def test_rows_that_are_numbered_afresh_begin_a_new_vector_file(
    path, fill, rows, query, how, thresholds
):
    thresholds(rebuild_slots=500)
    with fill(path) as client:
        if how == "truncate":
            client.truncate_collection("c")
        else:
            client.delete("c", filter="num < 550")
        _search(client, query)  # follows
        client.insert("c", rows(5_000, 6_000))
        client.load_collection("c")
        before = _search(client, query, k=100)
        assert client.verify() == []
    with MilvusClient(path) as client:
        assert _search(client, query, k=100) == before
        assert len(_index(client).rows.base) >= 1_000
        assert client.verify() == []


def test_a_view_from_before_ours_was_read_afresh_is_not_taken_over(
    path, fill, rows, query, thresholds
):
    """It was of no use then: taken over, it would be read afresh at every search."""
    thresholds(rebuild_slots=500)
    with fill(path) as client:
        old = client._database._upkeep.cache.restore_newest(_state(client).number)
        client.delete("c", filter="num < 550")
        client.insert("c", rows(5_000, 5_100))
        _search(client, query)
        assert not _state(client).adopt(old)
        assert _state(client).view.n == 150


def test_a_saved_graph_of_rows_that_are_gone_is_not_assembled(path, fill, rows, query):
    fill(path).close()
    with MilvusClient(path) as client:
        state = _state(client)
        held = dict(state.saved._graphs)
        client.truncate_collection("c")
        client.insert("c", rows(5_000, 5_700))
        _state(client).saved._graphs.update(held)
        _search(client, query)
        _wait_for_graph(client, query)
        exact = _search(client, query, k=700)[:10]
        assert _search(client, query) == exact
        assert _index(client).graph.covered == 700


def test_a_read_only_handle_uses_what_was_saved_and_writes_nothing(path, fill, query):
    with fill(path) as client:
        before = _search(client, query)
    files = {f: f.stat().st_mtime_ns for f in (path.parent / "a.db-cache").iterdir()}
    with MilvusClient(path, read_only=True) as client:
        assert _search(client, query) == before
        assert len(_index(client).rows.base) == 600
        _wait_for_graph(client, query)
    assert {f: f.stat().st_mtime_ns for f in (path.parent / "a.db-cache").iterdir()} == files


def test_another_process_adopts_the_graph_that_this_one_saves(path, fill, query):
    """Two processes see 600 rows without a graph; one builds it, the other takes it over."""
    with fill(path) as client:
        folder = client._database._upkeep.cache.folder
        with apsw.Connection(str(path)) as db:
            db.execute("DELETE FROM snapshots")
        db.close()
        assert folder.try_lock()
        script = textwrap.dedent(
            f"""
            import numpy as np, time
            from elanus import MilvusClient
            from elanus.engine.upkeep import _graphs
            from elanus.engine.upkeep._tasks import BackgroundUpkeep
            from elanus.engine.upkeep._thresholds import Thresholds
            BackgroundUpkeep.thresholds = Thresholds(graph_rows=300, graph_values=0)
            _graphs.Graph.build = None  # adopting needs no building
            client = MilvusClient({str(path)!r})
            def index():
                parts = next(iter(client._database.commits.states.values())).view.parts
                return next(p for k, p in parts.items() if type(k).__name__ == "DenseKey")
            query = np.ones({DIM})
            client.search("c", [query], anns_field="vector")
            print("waiting", index().graph, flush=True)
            deadline = time.monotonic() + 60
            while index().graph is None and time.monotonic() < deadline:
                time.sleep(0.01)
                client.search("c", [query], anns_field="vector")
            print(index().graph.covered, client.verify(), flush=True)
            client.close()
            """
        )
        child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "waiting None\n"
        client._database._upkeep.cache.save(_state(client))
        folder.unlock()
        output, _ = child.communicate(timeout=120)
    assert output == "600 []\n"
    assert child.returncode == 0


def test_only_registered_files_count(path, fill, query):
    with fill(path) as client:
        before = _search(client, query)
    with apsw.Connection(str(path)) as db:
        db.execute("UPDATE snapshots SET checksum = checksum + 1")
    db.close()
    with MilvusClient(path) as client:
        assert _search(client, query) == before
        assert _index(client).rows.base.flags.writeable  # read from the tables, not mapped


def test_searches_stay_right_when_a_release_falls_between_their_legs(path, fill, query):
    """A release makes the rows be read afresh, with other slots; no hit may mix the two."""
    with fill(path) as client:
        client.delete("c", filter="num < 100")
        state = _state(client)
        follow_part = state.with_part
        released = []

        def release_once(*args):
            if not released:
                released.append(True)
                state.forget()
            return follow_part(*args)

        state.with_part = release_once
        (hits,) = client.search(
            "c", ["black"], anns_field="terms", limit=500, filter="num < 300", output_fields=["num"]
        )
    assert released
    assert {hit.id for hit in hits} == {i for i in range(100, 300) if i % 7 == 3}
    assert all(hit["num"] == hit.id for hit in hits)
